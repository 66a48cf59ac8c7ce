/* png_damage_test.c - damaged and hostile PNG files: an error with the right code and words, never samples that nobody stored. */
#include "png_case.h"

static void start_small(void)
{
	start(9, 9, 8, 2, 0);
}

static void expect(int open_code, int check_code, int decode_code, const char *words)
{
	struct result r = decode_built();
	const char *said = r.open_code ? r.open_err.text : r.check_code ? r.check_err.text : r.decode_err.text;
	CHECK(r.open_code == open_code && r.check_code == check_code && r.decode_code == decode_code);
	CHECK(strstr(said, words));
	CHECK(r.open_code || r.decode_code || has_all_samples(&r));
	result_free(&r);
}

static void put_raw_idat(const void *data, size_t len)
{
	struct raw z = packed(data, len);
	put_chunk("IDAT", z.data, z.len);
	free(z.data);
}

static void wrong_headers(void)
{
	static const uint8_t bad[][2] = {{3, 0}, {0, 0}, {32, 0}, {1, 2}, {4, 2}, {16, 3},
					 {4, 4}, {1, 6}, {8, 1},  {8, 5}, {8, 7}, {8, 255}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start(9, 9, bad[i][0], bad[i][1], 0);
		put_chunk("IDAT", "x", 1);
		expect(-EIO, 0, 0, "colour type");
	}
	static const uint32_t sizes[][2] = {{0, 1}, {1, 0}, {0x80000000u, 1}, {1, 0xffffffffu}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		start(sizes[i][0], sizes[i][1], 8, 0, 0);
		expect(-EIO, 0, 0, "size of");
	}
	start(9, 9, 8, 0, 2);
	expect(-EIO, 0, 0, "interlace method 2");
	put_ihdr(9, 9, 8, 0, 0, 1);
	expect(-EIO, 0, 0, "IHDR chunk has a bad CRC");
	build.len = 8;
	put_iend();
	expect(-EIO, 0, 0, "doesn't begin with an IHDR");
	build.len = 8;
	put_chunk("CgBI", "\x50\0\x20\6", 4);
	expect(-EOPNOTSUPP, 0, 0, "CgBI");
	start_small();
	build.len = 20;
	expect(-EIO, 0, 0, "IHDR");
	build.len = 5;
	expect(-EIO, 0, 0, "ends at byte 5");
}

/* The limit holds before anything is allocated; a lying size over it or not. */
static void giants(void)
{
	start(65535, 65535, 8, 2, 1);
	put_chunk("IDAT", "x", 1);
	put_iend();
	expect(-EFBIG, 0, 0, "max_pixels");
	start(30000, 30000, 16, 6, 0); /* under the limit, but 5 bytes can't hold it */
	put_raw_idat("x", 1);
	put_iend();
	expect(0, -EIO, -EIO, "can't hold");
	start(30000, 30000, 1, 0, 0);
	put32(0x7fffffff); /* an IDAT of 2 GiB, it says */
	put_bytes("IDATxx", 6);
	expect(0, -EIO, -EIO, "can't hold");
	struct codec_limits limits = codec_default_limits;
	limits.max_pixels = 80;
	start_small();
	struct result r = open_built_with(&limits);
	CHECK(r.open_code == -EFBIG);
	result_free(&r);
	limits.max_pixels = 81;
	limits.max_chunk_bytes = 26; /* a row has 27 */
	r = open_built_with(&limits);
	CHECK(r.open_code == -EFBIG);
	result_free(&r);
}

static void ancillary_crc_is_ignored_critical_is_damage(void)
{
	start_small();
	put_chunk_crc("gAMA", "\0\0\xb1\x8f", 4, 1);
	put_chunk_crc("zzZz", "anything", 8, 1);
	put_idat();
	put_iend();
	struct result r = decode_built();
	CHECK(r.check_code == 0 && r.decode_code == 0 && has_all_samples(&r) &&
	      warns(&r, "the gAMA chunk at byte 33 has a bad CRC"));
	CHECK(!strcmp(r.part->color.source, "none"));
	result_free(&r);
	start_small();
	put_chunk_crc("tRNS", "\0\1\0\2\0\3", 6, 1);
	put_idat();
	put_iend();
	r = open_built();
	CHECK(r.open_code == 0 && r.part->nchannels == 3 && r.part->alpha == ALPHA_NONE);
	result_free(&r);
	start_small();
	put_idat();
	build.data[build.len - 1] ^= 1;
	put_iend();
	expect(0, -EIO, -EIO, "the IDAT chunk at byte 33 has a bad CRC");
	start_small();
	put_idat();
	put_chunk_crc("PLTE", "abc", 3, 1); /* behind the rows: critical, and so damage all the same */
	put_iend();
	expect(0, -EIO, 0, "the PLTE chunk");
	start_small();
	put_chunk_crc("PLTE", "abc", 3, 1); /* a suggested one: the samples don't need it */
	put_idat();
	put_iend();
	expect(0, -EIO, 0, "the PLTE chunk at byte 33 has a bad CRC");
}

/* It closes the file and says nothing of the image: no damage where all rows are there, and told. */
static void spoilt_ends_are_told(void)
{
	start_small();
	put_idat();
	put_chunk_crc("IEND", NULL, 0, 1);
	struct result r = decode_built();
	CHECK(r.check_code == 0 && r.decode_code == 0 && has_all_samples(&r) && r.header->nwarnings == 1);
	CHECK(warns(&r, "the IEND chunk at byte") && warns(&r, "has a bad CRC: ignored"));
	result_free(&r);
	start_small();
	put_idat();
	put_chunk("IEND", "more", 4);
	r = decode_built();
	CHECK(r.check_code == 0 && r.decode_code == 0 && has_all_samples(&r) && warns(&r, "has data: ignored"));
	result_free(&r);
	start_small();
	struct raw raw = raw_image();
	put_raw_idat(raw.data, raw.len - 1);
	put_chunk_crc("IEND", NULL, 0, 1);
	expect(0, -EIO, -EIO, "Not enough image data");
	free(raw.data);
}

static void every_flipped_bit_is_found(void)
{
	start(5, 5, 4, 0, 0);
	put_idats(20);
	put_iend();
	for (size_t bit = 0; bit < 8 * build.len; bit++) {
		build.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct result r = decode_built();
		/* a flip that makes IDAT "iDAT" leaves a chunk that may be ignored: then rows are missing */
		CHECK(r.open_code < 0 || r.check_code < 0 || r.decode_code < 0 || (has_all_samples(&r) && r.header->nwarnings));
		result_free(&r);
		build.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* All rows are there once the image data's chunk is; what is behind it isn't needed. */
static void every_cut_is_found(void)
{
	for (uint8_t interlaced = 0; interlaced < 2; interlaced++) {
		start(5, 5, 16, 6, interlaced);
		put_idats(30);
		size_t needed = build.len;
		put_iend();
		for (size_t whole = build.len; build.len > 0; build.len--) {
			struct result r = decode_built();
			int good = !r.open_code && !r.check_code && !r.decode_code && has_all_samples(&r);
			CHECK(good == (build.len >= needed));
			CHECK(build.len == whole || r.open_code || r.check_code || r.header->nwarnings == 1);
			CHECK(!(r.open_code || r.check_code) || r.open_code == -EIO || r.check_code == -EIO);
			result_free(&r);
		}
	}
}

static void too_little_image_data(void)
{
	struct raw raw = {NULL, 0};
	for (uint8_t interlaced = 0; interlaced < 2; interlaced++) {
		start(9, 9, 8, 2, interlaced);
		raw = raw_image();
		put_raw_idat(raw.data, raw.len - 1);
		put_iend();
		expect(0, 0, -EIO, "Not enough image data");
		start(9, 9, 8, 2, interlaced); /* and without IEND, so that check looks at the image data */
		put_raw_idat(raw.data, raw.len - 1);
		expect(0, -EIO, -EIO, "Not enough image data");
		free(raw.data);
	}
	start_small();
	put_chunk("IDAT", NULL, 0);
	put_iend();
	expect(0, -EIO, -EIO, "no image data");
	start_small();
	put_iend();
	expect(0, -EIO, -EIO, "no image data");
}

static void too_much_is_ignored(void)
{
	start_small();
	struct raw raw = raw_image();
	raw.data = realloc(raw.data, raw.len + 1000);
	memset(raw.data + raw.len, 1, 1000);
	put_raw_idat(raw.data, raw.len + 1000); /* more rows */
	put_iend();
	expect(0, 0, 0, "");
	start_small();
	put_idat();
	put_chunk("IDAT", "trailing", 8); /* PNG 10.1: ignored */
	put_iend();
	expect(0, 0, 0, "");
	put_bytes("behind the end", 14);
	struct result r = decode_built();
	CHECK(r.check_code == 0 && r.decode_code == 0 && has_all_samples(&r) && warns(&r, "14 bytes behind IEND"));
	result_free(&r);
	free(raw.data);
}

static void broken_image_data(void)
{
	start_small();
	struct raw raw = raw_image(), z = packed(raw.data, raw.len);
	z.data[z.len - 1] ^= 1;
	put_chunk("IDAT", z.data, z.len);
	put_iend();
	expect(0, 0, -EIO, "data check");
	free(z.data);
	start_small();
	raw.data[28] = 5; /* the filter of the second row: there are 0 to 4 */
	put_raw_idat(raw.data, raw.len);
	put_iend();
	expect(0, 0, -EIO, "filter");
	start_small();
	put_chunk("IDAT", "\x78\x9c\xff\xff\xff\xff\xff\xff\xff\xff", 10);
	put_iend();
	expect(0, 0, -EIO, "row 0");
	free(raw.data);
}

/* Where the image data break off in a later band, the bands before have the stored samples and the one with the damage none. */
static void bands_before_the_damage(void)
{
	start(700, 900, 8, 2, 0);
	struct raw raw = raw_image(), z = packed(raw.data, raw.len);
	memset(z.data + z.len / 2, 0xff, 64);
	put_chunk("IDAT", z.data, z.len);
	put_iend();
	struct result r = open_built();
	uint32_t rows = r.part->levels->chunk_height, cy = 0;
	struct codec_cursor *cursor = NULL;
	uint8_t *band = malloc((size_t)700 * 3 * rows);
	int rc = 0;
	for (; !rc && cy < r.part->levels->nchunks_y; cy++) {
		rc = codec_png.decode(r.image, &cursor, 0, 0, 0, cy, band, &r.decode_err);
		for (uint32_t i = 0; !rc && i < rows * 700 * 3; i++)
			CHECK(band[i] == sample_at(i / 3 % 700, cy * rows + i / 2100, i % 3));
	}
	CHECK(rc == -EIO && cy > 2 && cy < r.part->levels->nchunks_y && strstr(r.decode_err.text, "row "));
	codec_png.cursor_free(cursor);
	free(band);
	free(raw.data);
	free(z.data);
	result_free(&r);
}

/* The wrong Adler-32 is found wherever libpng's reads of the image data end, between the last row and it too. */
static void wrong_data_check_anywhere(void)
{
	for (uint32_t width = 32740; width < 32770; width++) {
		start(width, 1, 8, 0, 0);
		struct raw raw = raw_image();
		uLongf len = compressBound(raw.len) + 100;
		uint8_t *z = malloc(len);
		CHECK(compress2(z, &len, raw.data, raw.len, 0) == Z_OK);
		put_chunk("IDAT", z, len);
		put_iend();
		expect(0, 0, 0, "");
		start(width, 1, 8, 0, 0);
		z[len - 1] ^= 1;
		put_chunk("IDAT", z, len);
		put_iend();
		expect(0, 0, -EIO, "");
		free(z);
		free(raw.data);
	}
}

/* Deflate gives 1032 bytes for one at most; a valid image may come close to that. */
static void flat_image_is_plausible(void)
{
	size_t len = 4096 * 4097;
	uint8_t *zeros = calloc(1, len);
	start(4096, 4096, 8, 0, 0);
	put_raw_idat(zeros, len);
	put_iend();
	struct result r = decode_built();
	CHECK(build.len < len / 1000 && r.check_code == 0 && r.decode_code == 0);
	result_free(&r);
	start(4096, 4400, 8, 0, 0); /* as many bytes for a few more rows than they can hold */
	put_raw_idat(zeros, len);
	put_iend();
	r = open_built();
	CHECK(r.open_code == 0 && r.check_code == -EIO && strstr(r.check_err.text, "can't hold"));
	result_free(&r);
	free(zeros);
}

static void palette_rules(void)
{
	for (uint8_t interlaced = 0; interlaced < 2; interlaced++) {
		start(9, 9, 4, 3, interlaced);
		put_chunk("PLTE", "abcdefghi", 9); /* three colours; the picture has indices up to 15 */
		put_idat();
		put_iend();
		expect(0, 0, -EIO, "palette of 3 colours");
		build.len -= 12;
		expect(0, -EIO, -EIO, "palette of 3 colours");
	}
	start(9, 9, 1, 3, 0);
	put_chunk("PLTE", "abcdefghijkl", 12); /* more than 1 bit can name: harmless */
	put_idat();
	put_iend();
	expect(0, 0, 0, "");
	static const size_t lengths[] = {0, 1, 4, 3 * 257};
	static const uint8_t colours[3 * 257];
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		start(9, 9, 8, 3, 0);
		put_chunk("PLTE", colours, lengths[i]);
		put_idat();
		expect(-EIO, 0, 0, "the PLTE chunk");
	}
	start(9, 9, 8, 3, 0);
	put_idat();
	put_chunk("PLTE", colours, 768);
	expect(-EIO, 0, 0, "without a palette");
	start(9, 9, 8, 3, 0);
	put_iend();
	expect(-EIO, 0, 0, "without a palette");
	start(9, 9, 8, 3, 0);
	put_chunk("PLTE", colours, 768);
	put_chunk("PLTE", colours, 768);
	expect(-EIO, 0, 0, "second PLTE");
	start(9, 9, 8, 3, 0);
	put_chunk_crc("PLTE", colours, 768, 1);
	expect(-EIO, 0, 0, "PLTE chunk at byte 33 has a bad CRC");
}

static void order_of_chunks(void)
{
	start(9, 9, 8, 3, 0);
	put_chunk("tRNS", "\1\2", 2); /* PNG 5.6: behind PLTE */
	static const uint8_t colours[768];
	put_chunk("PLTE", colours, 768);
	put_idat();
	put_iend();
	struct result r = decode_built();
	CHECK(r.decode_code == 0 && r.part->nchannels == 3 && warns(&r, "tRNS chunk at byte 33 is out of place"));
	result_free(&r);
	start_small();
	put_chunk("sRGB", "\0", 1);
	put_chunk("sRGB", "\1", 1);
	put_idat();
	put_iend();
	r = decode_built();
	CHECK(r.decode_code == 0 && warns(&r, "not the first") && is_ints(find_attribute(&r, "png", "sRGB"), (int64_t[]){0}, 1));
	result_free(&r);
	start_small();
	struct raw raw = raw_image(), z = packed(raw.data, raw.len);
	put_chunk("IDAT", z.data, 10);
	put_chunk("tEXt", "a\0b", 3); /* PNG 5.6: IDATs are consecutive */
	put_chunk("IDAT", z.data + 10, z.len - 10);
	put_iend();
	expect(0, -EIO, -EIO, "Not enough image data");
	start_small();
	put_chunk("IDAT", z.data, z.len);
	put_chunk("tEXt", "a\0b", 3);
	put_chunk("IDAT", "more", 4); /* all rows are there without it */
	put_iend();
	expect(0, 0, 0, "");
	start_small();
	put_idat();
	put_chunk("IHDR", "thirteenbytes", 13);
	put_iend();
	expect(0, -EIO, 0, "second IHDR");
	free(raw.data);
	free(z.data);
}

static void unknown_critical_chunk(void)
{
	start_small();
	put_chunk("NeWc", "x", 1);
	put_idat();
	put_iend();
	struct result r = decode_built();
	CHECK(r.open_code == 0 && r.check_code == 0 && r.decode_code == -EOPNOTSUPP && strstr(r.decode_err.text, "NeWc"));
	CHECK(r.part->unsupported && strstr(r.part->unsupported, "NeWc"));
	result_free(&r);
	start_small();
	put_chunk_crc("NeWc", "x", 1, 1);
	put_idat();
	put_iend();
	expect(0, -EIO, 0, "NeWc chunk at byte 33 has a bad CRC");
}

static void no_chunk_behind_the_data(void)
{
	start_small();
	put_idat();
	put_bytes("\0\0\0\1????garbage", 15);
	struct result r = decode_built();
	CHECK(r.check_code == 0 && r.decode_code == 0 && has_all_samples(&r) && warns(&r, "no chunk at byte"));
	result_free(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"headers that can't be", wrong_headers},
		{"giants are refused before they cost", giants},
		{"a bad CRC: ancillary ignored, critical damage", ancillary_crc_is_ignored_critical_is_damage},
		{"a spoilt IEND is told and no damage", spoilt_ends_are_told},
		{"every flipped bit is found", every_flipped_bit_is_found},
		{"every cut is found", every_cut_is_found},
		{"too little image data is damage", too_little_image_data},
		{"too much image data is ignored", too_much_is_ignored},
		{"broken image data is damage", broken_image_data},
		{"the bands before the damage are true", bands_before_the_damage},
		{"a wrong Adler-32 is found anywhere", wrong_data_check_anywhere},
		{"a flat image is plausible, a giant isn't", flat_image_is_plausible},
		{"rules of palettes", palette_rules},
		{"order of chunks", order_of_chunks},
		{"unknown critical chunk", unknown_critical_chunk},
		{"garbage behind the image data", no_chunk_behind_the_data},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
