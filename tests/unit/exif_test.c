/* exif_test.c - EXIF blocks built field by field (TIFF 6.0 section 2, Exif 2.32), and the growing header they are told in. */
#include "codecs/facts/exif.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed, failed_line;
static const char *words;

#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (!(condition) && !words) {                                                                                      \
			words = #condition;                                                                                        \
			failed_line = __LINE__;                                                                                    \
		}                                                                                                                  \
	} while (0)

static struct {
	uint8_t data[70000];
	size_t len;
	int big;
	struct arena arena;
	struct header_builder builder;
	struct exif exif;
	int code;
} t;

static void put16(unsigned value)
{
	t.data[t.len++] = (uint8_t)(t.big ? value >> 8 : value);
	t.data[t.len++] = (uint8_t)(t.big ? value : value >> 8);
}

static void put32(uint32_t value)
{
	put16(t.big ? value >> 16 : value & 0xffff);
	put16(t.big ? value & 0xffff : value >> 16);
}

static void start(int big, unsigned nentries)
{
	t.len = 0;
	t.big = big;
	memcpy(t.data, big ? "MM" : "II", 2);
	t.len = 2;
	put16(42);
	put32(8);
	put16(nentries);
}

static void entry(unsigned tag, unsigned type, uint32_t count, uint32_t value)
{
	put16(tag);
	put16(type);
	put32(count);
	if (type == 3 && count == 1) {
		put16(value);
		put16(0);
	} else {
		put32(value);
	}
}

static void inline_entry(unsigned tag, unsigned type, uint32_t count, const char *value)
{
	put16(tag);
	put16(type);
	put32(count);
	memcpy(t.data + t.len, value, 4);
	t.len += 4;
}

/* Parses a copy that is exactly as long, so that a sanitizer sees the end. */
static void parse_limited(size_t limit_bytes)
{
	uint8_t *copy = malloc(t.len ? t.len : 1);
	memcpy(copy, t.data, t.len);
	arena_init(&t.arena, limit_bytes);
	header_init(&t.builder, &t.arena);
	t.code = exif_parse(copy, t.len, &t.builder, &t.exif);
	free(copy);
}

static void parse(void)
{
	parse_limited(1 << 20);
}

static void done(void)
{
	arena_free(&t.arena);
}

static const struct codec_attribute *find(const char *name)
{
	for (size_t i = 0; i < t.builder.nattributes; i++)
		if (!strcmp(t.builder.attributes[i].name, name) && !strcmp(t.builder.attributes[i].group, "exif"))
			return &t.builder.attributes[i];
	return NULL;
}

static int is_int(const char *name, int64_t value)
{
	const struct codec_attribute *a = find(name);
	return a && a->type == ATTRIBUTE_INTS && a->count == 1 && a->ints[0] == value;
}

static int is_text(const char *name, const char *value)
{
	const struct codec_attribute *a = find(name);
	return a && a->type == ATTRIBUTE_TEXT && a->count == strlen(value) && memcmp(a->text, value, a->count) == 0;
}

static void end_case(const char *name)
{
	if (words)
		printf("FAIL %s: line %d: %s\n", name, failed_line, words);
	else
		printf("ok %s\n", name);
	*(words ? &failed : &passed) += 1;
	words = NULL;
}

static void test_both_orders(void)
{
	for (int big = 0; big < 2; big++) {
		start(big, 8);
		entry(0x0112, 3, 1, 6);             /* Orientation */
		entry(0x010f, 2, 9, 200);           /* Make, ASCII */
		entry(0x011a, 5, 1, 210);           /* XResolution 300/2 */
		entry(0x011b, 5, 1, 218);           /* YResolution 72/1 */
		entry(0x0128, 3, 1, 3);             /* ResolutionUnit: centimetre */
		entry(0x0102, 3, 3, 226);           /* BitsPerSample 8, 9, 10 */
		inline_entry(0x0110, 2, 3, "ab\0"); /* Model, within the entry */
		entry(0x8769, 4, 1, 300);           /* the Exif IFD */
		put32(0);
		t.len = 200;
		memcpy(t.data + 200, "Pentax\0\0", 9);
		t.len = 210;
		put32(300), put32(2), put32(72), put32(1);
		put16(8), put16(9), put16(10);
		t.len = 300;
		put16(5);
		inline_entry(0x9000, 7, 4, "0232"); /* ExifVersion */
		entry(0xa001, 3, 1, 1);             /* ColorSpace: sRGB */
		entry(0x9204, 10, 1, 400);          /* ExposureBiasValue -1/3 */
		entry(0x829a, 5, 1, 408);           /* ExposureTime 1/0 */
		entry(0xc0de, 4, 1, 4000000000u);   /* no such tag */
		put32(0);
		t.len = 400;
		put32((uint32_t)-1), put32(3), put32(1), put32(0);
		parse();
		CHECK(t.code == 0 && t.builder.nwarnings == 0);
		CHECK(t.exif.orientation == 6 && t.exif.color_space == EXIF_COLOR_SRGB);
		CHECK(t.exif.resolution_x == 15000 && t.exif.resolution_y == 7200);
		CHECK(is_int("Orientation", 6) && is_text("Make", "Pentax") && is_text("Model", "ab") &&
		      is_text("ExifVersion", "0232"));
		const struct codec_attribute *bits = find("BitsPerSample"), *bias = find("ExposureBiasValue"),
					     *time = find("ExposureTime");
		CHECK(bits && bits->count == 3 && bits->ints[0] == 8 && bits->ints[2] == 10);
		CHECK(bias && bias->type == ATTRIBUTE_DOUBLES && bias->doubles[0] == -1 / 3.);
		CHECK(time && isinf(time->doubles[0]));
		CHECK(is_int("0xc0de", 4000000000));
		CHECK(!find("ExifTag") && !find("0x8769"));
		done();
	}
	end_case("both byte orders, all kinds of values");
}

static void test_prefix_and_short_blocks(void)
{
	start(0, 1);
	entry(0x0112, 3, 1, 8);
	put32(0);
	memmove(t.data + 6, t.data, t.len);
	memcpy(t.data, "Exif\0\0", 6);
	t.len += 6;
	parse();
	CHECK(t.code == 0 && t.exif.orientation == 8);
	done();
	for (size_t len = t.len; t.len > 0; t.len--) {
		parse();
		CHECK(t.code == 0 ? t.len >= len - 4 : t.builder.nwarnings == 1); /* all but the offset of the next IFD is needed */
		done();
	}
	memcpy(t.data, "GIF89a\0\0\0\0", 10);
	t.len = 10;
	parse();
	CHECK(t.code == -EIO && t.builder.nattributes == 0);
	done();
	end_case("with and without Exif\\0\\0, cut anywhere");
}

static void test_orientation_values(void)
{
	for (uint32_t value = 0; value < 12; value++) {
		start(1, 1);
		entry(0x0112, 3, 1, value);
		put32(0);
		parse();
		CHECK(t.exif.orientation == (value >= 1 && value <= 8 ? value : 0) && is_int("Orientation", value));
		done();
	}
	start(1, 1);
	inline_entry(0x0112, 2, 2, "6\0\0"); /* text is no orientation */
	put32(0);
	parse();
	CHECK(t.exif.orientation == 0 && is_text("Orientation", "6"));
	done();
	end_case("orientation is 1 to 8 or not told");
}

static void test_color_spaces(void)
{
	static const struct {
		uint32_t space;
		const char *index;
		int wanted;
	} rows[] = {{1, "R98", EXIF_COLOR_SRGB},
		    {0xffff, "R03", EXIF_COLOR_ADOBE_RGB},
		    {0xffff, "R98", EXIF_COLOR_UNCALIBRATED},
		    {2, "R98", EXIF_COLOR_UNCALIBRATED},
		    {1, "R03", EXIF_COLOR_SRGB}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		start(0, 1);
		entry(0x8769, 4, 1, 26);
		put32(0);
		put16(2); /* at 26 */
		entry(0xa001, 3, 1, rows[i].space);
		entry(0xa005, 4, 1, 56);
		put32(0);
		put16(1); /* at 56 */
		inline_entry(0x0001, 2, 4, rows[i].index);
		put32(0);
		parse();
		CHECK(t.code == 0 && t.exif.color_space == rows[i].wanted && is_text("InteroperabilityIndex", rows[i].index));
		done();
	}
	end_case("ColorSpace and InteroperabilityIndex");
}

static void test_thumbnail_and_gps(void)
{
	start(0, 2);
	entry(0x0112, 3, 1, 3);
	entry(0x8825, 4, 1, 60);
	put32(100); /* the thumbnail's IFD */
	t.len = 60;
	put16(2);
	inline_entry(0x0000, 1, 4, "\2\3\0\0"); /* GPSVersionID */
	inline_entry(0x0001, 2, 2, "N\0\0");    /* GPSLatitudeRef */
	put32(0);
	t.len = 100;
	put16(1);
	entry(0x0112, 3, 1, 5);
	put32(8); /* back to the first: not followed */
	parse();
	CHECK(t.code == 0 && t.exif.orientation == 3 && is_int("Thumbnail.Orientation", 5) && is_text("GPSLatitudeRef", "N"));
	const struct codec_attribute *version = find("GPSVersionID");
	CHECK(version && version->count == 4 && version->ints[1] == 3);
	done();
	end_case("thumbnail and GPS");
}

static void test_bytes(void)
{
	start(0, 1);
	entry(0x8769, 4, 1, 26);
	put32(0);
	put16(3);
	entry(0x927c, 7, 500, 100);           /* MakerNote */
	entry(0x9286, 7, 13, 700);            /* UserComment */
	inline_entry(0xa300, 7, 1, "\3\0\0"); /* FileSource */
	put32(0);
	memset(t.data + 100, 0xab, 500);
	memcpy(t.data + 700, "ASCII\0\0\0hello", 13);
	t.len = 713;
	parse();
	const struct codec_attribute *note = find("MakerNote");
	CHECK(t.code == 0 && note && note->type == ATTRIBUTE_BYTES && note->count == 500);
	CHECK(is_text("UserComment", "hello") && is_int("FileSource", 3));
	done();
	end_case("MakerNote is bytes, UserComment text");
}

static void test_hostile(void)
{
	start(0, 5);
	entry(0x010f, 2, 100, 0xfffffff0u); /* offset far out */
	entry(0x0110, 2, 0xffffffffu, 8);   /* a count that overflows */
	entry(0x0111, 99, 1, 0);            /* no such type */
	entry(0x0112, 3, 0, 0);             /* no value */
	entry(0x8769, 4, 1, 8);             /* the IFD itself */
	put32(8);
	parse();
	CHECK(t.code == -EIO && t.exif.orientation == 0 && t.builder.nwarnings == 1 && t.builder.nattributes == 0);
	done();
	start(0, 1);
	entry(0x8769, 4, 1, 0x7fffffff);
	put32(0xffffffffu);
	parse();
	CHECK(t.code == -EIO && t.builder.nwarnings == 1);
	done();
	start(1, 5000); /* more entries than are read, all large and of the same bytes */
	for (unsigned i = 0; i < 5000; i++)
		entry(i, 7, 60000, 8);
	t.len = 60010;
	parse_limited(256 << 10);
	CHECK(t.code == -EIO && t.arena.used_bytes <= 256 << 10 && t.builder.ndropped_metadata > 0);
	done();
	end_case("hostile offsets, counts and sizes");
}

static void test_growing_header(void)
{
	struct codec_header header = {0};
	struct codec_part part = {0};
	char name[16];
	arena_init(&t.arena, 1 << 20);
	header_init(&t.builder, &t.arena);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		CHECK(header_add_int(&t.builder, "g", name, i) == 0);
		header_warn(&t.builder, "warning %d\n", i);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "text %d", i);
		CHECK(header_append_text(&t.builder, "g", "many", name) == 0);
	}
	header_append_text(&t.builder, "g", "n5", "not a text before");
	CHECK(header_add_texts(&t.builder, "g", "three", (const char *const[]){"a", "b", "c"}, 3) == 0);
	CHECK(header_append_text(&t.builder, "g", "three", "d") == 0 && header_append_text(&t.builder, "g", "three", "e") == 0);
	CHECK(header_add_texts(&t.builder, "g", "none", NULL, 0) == 0 && header_append_text(&t.builder, "g", "none", "x") == 0);
	CHECK(header_has(&t.builder, "g", "n999") && !header_has(&t.builder, "h", "n999"));
	header_finish(&t.builder, &header, &part);
	CHECK(part.nattributes == 1003 && part.attributes[999].ints[0] == 999 && part.attributes[1000].count == 100);
	CHECK(!strcmp(part.attributes[1000].texts[99], "text 99") && !strcmp(part.attributes[1000].texts[0], "text 0"));
	CHECK(part.attributes[1001].count == 5 && !strcmp(part.attributes[1001].texts[4], "e"));
	CHECK(part.attributes[1002].count == 1 && !strcmp(part.attributes[1002].texts[0], "x"));
	CHECK(header.nwarnings == HEADER_MAX_WARNINGS + 1 && !strcmp(header.warnings[0], "warning 0?"));
	CHECK(strstr(header.warnings[HEADER_MAX_WARNINGS], "more warnings"));
	done();
	end_case("the header grows");
}

static void test_full_arena(void)
{
	struct codec_header header = {0};
	struct codec_part part = {0};
	arena_init(&t.arena, 4096);
	header_init(&t.builder, &t.arena);
	char text[1000] = "";
	memset(text, 'x', sizeof text - 1);
	for (int i = 0; i < 100; i++) {
		header_add_text(&t.builder, "g", "n", text);
		header_add_blob(&t.builder, "b", text, sizeof text);
		header_warn(&t.builder, "%.50s", text);
	}
	header_finish(&t.builder, &header, &part);
	CHECK(part.nattributes >= 1 && part.nattributes < 5 && header.nwarnings >= 2);
	CHECK(strstr(header.warnings[header.nwarnings - 2], "over the limit") &&
	      strstr(header.warnings[header.nwarnings - 1], "more"));
	done();
	end_case("a full arena drops and tells");
}

int main(void)
{
	test_both_orders();
	test_prefix_and_short_blocks();
	test_orientation_values();
	test_color_spaces();
	test_thumbnail_and_gps();
	test_bytes();
	test_hostile();
	test_growing_header();
	test_full_arena();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
