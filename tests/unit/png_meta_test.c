/* png_meta_test.c - what the PNG codec tells of ancillary chunks. */
#include "png_case.h"

static void finish_file(void)
{
	put_idat();
	put_iend();
}

static void start_small(void)
{
	start(2, 2, 8, 2, 0);
}

static void put_gamma(uint32_t stored)
{
	const uint8_t data[4] = {(uint8_t)(stored >> 24), (uint8_t)(stored >> 16), (uint8_t)(stored >> 8), (uint8_t)stored};
	put_chunk("gAMA", data, 4);
}

/* sRGB's: white 0.3127 0.329, red 0.64 0.33, green 0.3 0.6, blue 0.15 0.06 */
static void put_chromaticities(void)
{
	static const uint32_t values[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
	uint8_t data[32];
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)(values[i / 4] >> (24 - 8 * (i % 4)));
	put_chunk("cHRM", data, 32);
}

/* 132 bytes: size, the data colour space at 16, "acsp" at 36, no tags */
static void put_icc(const char *space)
{
	uint8_t profile[132] = {0, 0, 0, 132}, data[300] = "a name\0";
	memcpy(profile + 16, space, 4);
	memcpy(profile + 36, "acsp", 4);
	struct raw z = packed(profile, sizeof profile);
	memcpy(data + 8, z.data, z.len);
	put_chunk("iCCP", data, 8 + z.len);
	free(z.data);
}

static int has_color(const struct result *r, const char *id, const char *transfer, const char *source)
{
	const struct codec_color *color = &r->part->color;
	return !strcmp(color->interop_id, id) && !strcmp(color->transfer, transfer) && !strcmp(color->source, source);
}

/* PNG 4.3: cICP, then iCCP, then sRGB, then gAMA and cHRM; each level without those above it. */
static void color_precedence(void)
{
	static const char *const wanted[5][3] = {{"pq_rec2020_display", "pq", "cICP"},
						 {"unknown", "icc", "iCCP"},
						 {"srgb_rec709_scene", "srgb", "sRGB"},
						 {"g22_rec709_scene", "gamma", "gAMA"},
						 {"unknown", "unknown", "none"}};
	for (int level = 0; level < 5; level++) {
		start_small();
		if (level <= 3)
			put_chromaticities();
		if (level <= 3)
			put_gamma(45455);
		if (level <= 2)
			put_chunk("sRGB", "\0", 1);
		if (level <= 1)
			put_icc("RGB ");
		if (level <= 0)
			put_chunk("cICP", "\x09\x10\x00\x01", 4);
		finish_file();
		struct result r = open_built();
		CHECK(r.open_code == 0 && has_color(&r, wanted[level][0], wanted[level][1], wanted[level][2]));
		CHECK(r.header->nwarnings == 0);
		if (level == 3)
			CHECK(r.part->color.gamma == 2.2 && r.part->color.chromaticities[6] == 0.3127);
		result_free(&r);
	}
}

static void gamma_alone_is_no_srgb(void)
{
	static const struct {
		uint32_t stored;
		double gamma; /* 0: linear */
	} rows[] = {{45455, 2.2}, {55556, 1.8}, {41667, 2.4}, {100000, 0}, {50000, 2}, {45454, 2.20003}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		start_small();
		put_gamma(rows[i].stored);
		finish_file();
		struct result r = open_built();
		CHECK(r.open_code == 0 && has_color(&r, "unknown", rows[i].gamma > 0 ? "gamma" : "linear", "gAMA"));
		CHECK(r.part->color.gamma == rows[i].gamma && !r.part->color.has_chromaticities);
		result_free(&r);
	}
	start_small();
	put_chromaticities();
	finish_file();
	struct result r = open_built();
	CHECK(has_color(&r, "unknown", "unknown", "cHRM") && r.part->color.has_chromaticities);
	result_free(&r);
}

/* What breaks a rule is ignored, told, and doesn't count. */
static void invalid_color_is_ignored(void)
{
	for (int i = 0; i < 6; i++) {
		start_small();
		if (i == 0)
			put_chunk("cICP", "\x09\x10\x09\x01", 4); /* not RGB */
		else if (i == 1)
			put_icc("CMYK");
		else if (i == 2)
			put_chunk("cICP", "\x09\x10\x00", 3);
		else if (i == 3)
			put_chunk_crc("cICP", "\x09\x10\x00\x01", 4, 1);
		else if (i == 4)
			put_chunk("iCCP", "a name\0\0this is no zlib datastream", 34);
		else
			put_gamma(0);
		put_chunk("sRGB", "\1", 1);
		put_idat();
		put_chunk("cICP", "\x09\x10\x00\x01", 4); /* too late */
		put_iend();
		struct result r = decode_built();
		CHECK(r.decode_code == 0 && has_color(&r, "srgb_rec709_scene", "srgb", "sRGB"));
		CHECK(warns(&r, i == 3   ? "bad CRC"
				: i == 4 ? "compressed"
				: i == 2 ? "too short"
					 : "not valid") &&
		      warns(&r, "out of place"));
		result_free(&r);
	}
}

static void numbers_of_chunks(void)
{
	start(2, 2, 8, 6, 0);
	put_chunk("sBIT", "\5\6\5\1", 4);
	put_chunk("bKGD", "\0\1\0\2\0\3", 6);
	put_chunk("pHYs", "\0\0\x0b\x13\0\0\x16\x26\1", 9); /* 2835 x 5670 */
	put_chunk("tIME", "\x07\xd0\x01\x02\x03\x04\x05", 7);
	put_chunk("acTL", "\0\0\0\2\0\0\0\7", 8);
	put_chunk("oFFs", "\xff\xff\xff\xff\0\0\0\2\1", 9);
	put_chunk("sCAL", "\0011.5\0002.5", 8);
	put_chunk("vpAg", "abc", 3);
	finish_file();
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.header->nwarnings == 0);
	CHECK(is_ints(find_attribute(&r, "png", "IHDR"), (int64_t[]){2, 2, 8, 6, 0, 0, 0}, 7));
	CHECK(is_ints(find_attribute(&r, "png", "sBIT"), (int64_t[]){5, 6, 5, 1}, 4));
	CHECK(r.part->planes[1].significant_bits == 6 && r.part->planes[3].significant_bits == 1 &&
	      r.part->planes[3].bit_depth == 8);
	CHECK(is_ints(find_attribute(&r, "png", "bKGD"), (int64_t[]){1, 2, 3}, 3));
	CHECK(is_ints(find_attribute(&r, "png", "pHYs"), (int64_t[]){2835, 5670, 1}, 3));
	CHECK(r.header->resolution_x == 2835 && r.header->resolution_y == 5670 && r.part->pixel_aspect == 2);
	CHECK(is_text(find_attribute(&r, "png", "tIME"), "2000-01-02T03:04:05Z"));
	CHECK(is_ints(find_attribute(&r, "png", "acTL"), (int64_t[]){2, 7}, 2) && r.header->nframes == 1);
	CHECK(is_ints(find_attribute(&r, "png", "oFFs"), (int64_t[]){-1, 2, 1}, 3));
	CHECK(is_text(find_attribute(&r, "png", "sCAL"), "1.5 x 2.5 m"));
	CHECK(is_text(find_attribute(&r, "png", "unknown_chunks"), "vpAg 3"));
	result_free(&r);
}

static void texts(void)
{
	static const uint8_t caf[] = {'N', 'o', 't', 'i', 'z', 0, 'c', 'a', 'f', 0xe9};
	struct raw z = packed("packed \xa9", 8), z2 = packed("gr\xc3\xbc\xc3\x9f", 7);
	uint8_t data[200] = "Packed\0";
	start_small();
	put_chunk("tEXt", caf, sizeof caf);
	put_chunk("tEXt", "Title\0first", 11);
	put_chunk("tEXt", "Empty\0", 6);
	memcpy(data + 8, z.data, z.len);
	put_chunk("zTXt", data, 8 + z.len);
	put_idat();
	put_chunk("tEXt", "Title\0second", 12);
	put_chunk("iTXt", "Titel\0\0\0de\0\xc3\x9c\0gr\xc3\xbc\xc3\x9f", 21);
	memcpy(data, "Tight\0\1\0\0\0", 10);
	memcpy(data + 10, z2.data, z2.len);
	put_chunk("iTXt", data, 10 + z2.len);
	put_iend();
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.header->nwarnings == 0);
	CHECK(is_text(find_attribute(&r, "png", "Notiz"), "caf\xc3\xa9") && is_text(find_attribute(&r, "png", "Empty"), ""));
	CHECK(is_text(find_attribute(&r, "png", "Packed"), "packed \xc2\xa9"));
	const struct codec_attribute *title = find_attribute(&r, "png", "Title");
	CHECK(title && title->type == ATTRIBUTE_TEXTS && title->count == 2);
	CHECK(title && !strcmp(title->texts[0], "first") && !strcmp(title->texts[1], "second"));
	CHECK(is_text(find_attribute(&r, "png", "Titel"), "gr\xc3\xbc\xc3\x9f"));
	CHECK(is_text(find_attribute(&r, "png", "Titel.language"), "de"));
	CHECK(is_text(find_attribute(&r, "png", "Titel.translated"), "\xc3\x9c"));
	CHECK(is_text(find_attribute(&r, "png", "Tight"), "gr\xc3\xbc\xc3\x9f"));
	result_free(&r);
	free(z.data);
	free(z2.data);
}

static void invalid_texts_are_ignored(void)
{
	static const char *const bad[][2] = {{"tEXt", "no zero byte"}, {"tEXt", ""}, {"zTXt", "Word"}, {"iTXt", "Word"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start_small();
		put_chunk(bad[i][0], bad[i][1], strlen(bad[i][1]));
		finish_file();
		struct result r = decode_built();
		CHECK(r.decode_code == 0 && r.header->nwarnings == 1 && warns(&r, bad[i][0]) && r.part->nattributes == 1);
		result_free(&r);
	}
	char keyword[90];
	memset(keyword, 'k', sizeof keyword);
	for (size_t len = 79; len <= 80; len++) { /* a keyword has at most 79 bytes */
		keyword[len] = 0;
		start_small();
		put_chunk("tEXt", keyword, len + 2);
		finish_file();
		struct result r = open_built();
		CHECK((find_attribute(&r, "png", keyword) != NULL) == (len == 79));
		result_free(&r);
		keyword[len] = 'k';
	}
}

/* 64 chunks of 10 KB that would inflate to 640 MB */
static void bombs_are_dropped(void)
{
	size_t zeros = 10 << 20;
	void *nothing = calloc(1, zeros);
	struct raw z = packed(nothing, zeros);
	uint8_t *data = calloc(1, z.len + 20);
	memcpy(data, "Bomb\0", 6);
	memcpy(data + 6, z.data, z.len);
	start_small();
	for (int i = 0; i < 64; i++)
		put_chunk("zTXt", data, z.len + 6);
	memcpy(data, "Bomb\0\1\0\0\0", 9);
	memcpy(data + 9, z.data, z.len);
	put_chunk("iTXt", data, z.len + 9);
	memcpy(data, "Bomb\0", 6);
	memcpy(data + 6, z.data, z.len);
	put_chunk("iCCP", data, z.len + 6);
	finish_file();
	struct result r = decode_built();
	CHECK(r.decode_code == 0 && !find_attribute(&r, "png", "Bomb") && !find_blob(&r, "icc.icc"));
	CHECK(warns(&r, "dropped") && r.image->arena.used_bytes < 1 << 20);
	result_free(&r);
	free(nothing);
	free(data);
	free(z.data);
}

/* Metadata over the limit goes, the image stays. */
static void small_metadata_limit(void)
{
	struct codec_limits limits = codec_default_limits;
	limits.max_metadata_bytes = 8 << 10;
	static char text[20000] = "Long";
	memset(text + 5, 'x', sizeof text - 5);
	start_small();
	put_chunk("tEXt", text, sizeof text);
	put_chunk("sRGB", "\0", 1);
	finish_file();
	struct result r = open_built_with(&limits);
	CHECK(r.open_code == 0 && !find_attribute(&r, "png", "Long") && warns(&r, "over the limit"));
	CHECK(has_color(&r, "srgb_rec709_scene", "srgb", "sRGB"));
	decode_rows(&r);
	CHECK(r.decode_code == 0 && has_all_samples(&r));
	result_free(&r);
}

static void exif_anywhere(void)
{
	static const char exif[] = "MM\0\x2a\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"; /* Orientation 6 */
	for (int late = 0; late < 2; late++) {
		start_small();
		if (late)
			put_idat();
		put_chunk("eXIf", exif, sizeof exif - 1);
		if (!late)
			put_idat();
		put_iend();
		struct result r = open_built();
		const struct codec_blob *blob = find_blob(&r, "exif.bin");
		CHECK(r.open_code == 0 && r.header->orientation == 6 && r.header->nwarnings == 0);
		CHECK(is_ints(find_attribute(&r, "exif", "Orientation"), (int64_t[]){6}, 1));
		CHECK(blob && blob->len_bytes == sizeof exif - 1 && memcmp(blob->data, exif, sizeof exif - 1) == 0);
		result_free(&r);
	}
}

/* As ImageMagick writes it: a newline, the name, a newline, the length, and lines of 36 bytes in hexadecimal digits. */
static size_t profile_text(char *text, const char *keyword, const char *name, const void *data, size_t len, size_t told)
{
	size_t n = (size_t)sprintf(text, "%s%c\n%s\n%8zu\n", keyword, 0, name, told);
	for (size_t i = 0; i < len; i++)
		n += (size_t)sprintf(text + n, "%02x%s", ((const uint8_t *)data)[i], i % 36 == 35 || i + 1 == len ? "\n" : "");
	return n;
}

#define ORIENTATION(n) "MM\0\x2a\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0" n "\0\0\0\0\0\0"

static void exif_in_texts(void)
{
	static const char exif[] = "Exif\0\0" ORIENTATION("\6");
	char text[400];
	for (int form = 0; form < 4; form++) { /* tEXt, zTXt, both with and without what a JPEG has in front */
		size_t front = form & 1 ? 6 : 0, len = sizeof exif - 1 - front;
		const char *keyword = form & 1 ? "Raw profile type APP1" : "Raw profile type exif";
		size_t n = profile_text(text, keyword, form & 1 ? "generic profile" : "exif", exif + front, len, len);
		start_small();
		if (form & 2) {
			struct raw z = packed(text + strlen(keyword) + 1, n - strlen(keyword) - 1);
			text[strlen(keyword) + 1] = 0;
			memcpy(text + strlen(keyword) + 2, z.data, z.len);
			put_chunk("zTXt", text, strlen(keyword) + 2 + z.len);
			free(z.data);
		} else {
			put_chunk("tEXt", text, n);
		}
		finish_file();
		struct result r = open_built();
		const struct codec_blob *blob = find_blob(&r, "exif.bin");
		CHECK(r.open_code == 0 && r.header->orientation == 6 && r.header->nwarnings == 0);
		CHECK(is_ints(find_attribute(&r, "exif", "Orientation"), (int64_t[]){6}, 1));
		CHECK(blob && blob->len_bytes == len && memcmp(blob->data, exif + front, len) == 0);
		CHECK(!find_attribute(&r, "png", keyword));
		result_free(&r);
	}
}

static void exif_chunk_beats_a_text(void)
{
	char text[400];
	size_t n = profile_text(text, "Raw profile type exif", "exif", ORIENTATION("\6"), 26, 26);
	for (int late = 0; late < 2; late++) {
		start_small();
		if (late)
			put_chunk("tEXt", text, n);
		put_chunk("eXIf", ORIENTATION("\3"), 26);
		if (!late)
			put_chunk("tEXt", text, n);
		finish_file();
		struct result r = open_built();
		CHECK(r.header->orientation == 3 && r.header->nwarnings == 1 && warns(&r, "beside the eXIf chunk: ignored"));
		CHECK(is_ints(find_attribute(&r, "exif", "Orientation"), (int64_t[]){3}, 1));
		result_free(&r);
	}
}

/* Cut short, with other characters, of no length, nothing known: a text as any. */
static void other_profiles_stay_texts(void)
{
	static const struct {
		const char *keyword, *text;
		int warned;
	} cases[] = {{"Raw profile type exif", "\nexif\n 26\n4d4d002a", 1},
		     {"Raw profile type exif", "\nexif\n 4\n4d4dxx2a00", 1},
		     {"Raw profile type exif", "\nexif\n -4\n4d4d002a", 1},
		     {"Raw profile type exif", "\nexif\n99999999999999999999999\n4d", 1},
		     {"Raw profile type exif", "", 1},
		     {"Raw profile type APP1", "\nexif\n 4\n01020304", 0},
		     {"Raw profile type iptc", "\niptc\n 4\n01020304", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[200];
		size_t n = (size_t)sprintf(text, "%s%c%s", cases[i].keyword, 0, cases[i].text);
		start_small();
		put_chunk("tEXt", text, n);
		finish_file();
		struct result r = open_built();
		CHECK(r.open_code == 0 && is_text(find_attribute(&r, "png", cases[i].keyword), cases[i].text));
		CHECK(r.header->orientation == 0 && warns(&r, "is no profile") == cases[i].warned && !find_blob(&r, "exif.bin"));
		result_free(&r);
	}
}

static void xmp_in_a_text(void)
{
	static const char app1[] = "http://ns.adobe.com/xap/1.0/\0<x/>";
	char text[400];
	size_t n = profile_text(text, "Raw profile type APP1", "APP1", app1, sizeof app1 - 1, sizeof app1 - 1);
	start_small();
	put_chunk("tEXt", text, n);
	finish_file();
	struct result r = open_built();
	const struct codec_blob *xmp = find_blob(&r, "xmp.xml");
	CHECK(xmp && xmp->len_bytes == 4 && memcmp(xmp->data, "<x/>", 4) == 0);
	result_free(&r);
}

static void profiles_and_xmp_are_files(void)
{
	start_small();
	put_icc("RGB ");
	put_chunk("iTXt", "XML:com.adobe.xmp\0\0\0\0\0<x/>", 26);
	finish_file();
	struct result r = open_built();
	const struct codec_blob *icc = find_blob(&r, "icc.icc"), *xmp = find_blob(&r, "xmp.xml");
	CHECK(icc && icc->len_bytes == 132 && memcmp((const char *)icc->data + 36, "acsp", 4) == 0);
	CHECK(is_text(find_attribute(&r, "png", "iCCP"), "a name"));
	CHECK(xmp && xmp->len_bytes == 4 && memcmp(xmp->data, "<x/>", 4) == 0);
	result_free(&r);
	start(2, 2, 8, 0, 0); /* gray: the profile must be one for gray */
	put_icc("RGB ");
	finish_file();
	r = open_built();
	CHECK(!find_blob(&r, "icc.icc") && warns(&r, "iCCP"));
	result_free(&r);
}

/* 100,000 chunks that nobody knows, and as many texts: bounded, and no more warnings than are kept. */
static void floods_are_bounded(void)
{
	start_small();
	for (int i = 0; i < 100000; i++) {
		put_chunk("zzZz", NULL, 0);
		put_chunk("tEXt", "a\0b", 3);
		put_chunk("gAMA", NULL, 0);
	}
	finish_file();
	struct result r = open_built();
	const struct codec_attribute *a = find_attribute(&r, "png", "a"), *unknown = find_attribute(&r, "png", "unknown_chunks");
	CHECK(r.open_code == 0 && r.check_code == 0 && r.header->nwarnings <= HEADER_MAX_WARNINGS + 2);
	CHECK(a && a->count == 1024 && unknown && unknown->count == 64 && warns(&r, "more warnings"));
	result_free(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"cICP over iCCP over sRGB over gAMA and cHRM", color_precedence},
		{"gAMA alone is a gamma, not sRGB", gamma_alone_is_no_srgb},
		{"invalid colour chunks are ignored and told", invalid_color_is_ignored},
		{"numbers of chunks", numbers_of_chunks},
		{"tEXt, zTXt, iTXt", texts},
		{"invalid texts are ignored and told", invalid_texts_are_ignored},
		{"decompression bombs are dropped", bombs_are_dropped},
		{"metadata over the limit is dropped", small_metadata_limit},
		{"EXIF before and after the image data", exif_anywhere},
		{"EXIF in a text as in a chunk", exif_in_texts},
		{"EXIF in a chunk beats one in a text", exif_chunk_beats_a_text},
		{"what is no profile stays a text", other_profiles_stay_texts},
		{"XMP in a text", xmp_in_a_text},
		{"ICC profile and XMP are blobs", profiles_and_xmp_are_files},
		{"floods of chunks are bounded", floods_are_bounded},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
