/* jpeg_test.c - the JPEG codec against files built bit by bit, whose samples follow from T.81: values and bands. */
#include <math.h>

#include "jpeg_case.h"

/* Four components of one block each, 50 100 150 200 as stored; transform -1: no Adobe marker. */
static void build_four(int transform)
{
	static const uint8_t components[] = {1, 0x11, 2, 0x11, 3, 0x11, 4, 0x11};
	start_frame(0xc0, 8, 8, 4, components);
	uint8_t adobe[12] = {'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, (uint8_t)transform};
	if (transform >= 0)
		put_segment(&build, 0xee, adobe, sizeof adobe);
	put_sos(&build, 4, ids1234, 0, 63, 0);
	put_block(&build, 0, 50 - 128);
	put_block(&build, 1, 100 - 128);
	put_block(&build, 2, 150 - 128);
	put_block(&build, 3, 200 - 128);
	put_eoi(&build);
}

/* ---- samples ---- */

static void gray_blocks(void)
{
	build_column(300);
	struct result r = decode_build();
	CHECK(r.open_code == 0 && r.decode_code == 0);
	CHECK(r.width == 8 && r.height == 2400 && r.count == 1);
	for (uint32_t y = 0; y < r.height; y++)
		for (uint32_t x = 0; x < 8; x++)
			CHECK(sample(&r, x, y, 0) == 100 + (int)(y / 8) % 100);
	result_free(&r);
}

static void partial_blocks_at_the_edges(void)
{
	start_frame(0xc0, 9, 11, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	for (int i = 0; i < 4; i++)
		put_block(&build, 0, 10 * i);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && r.width == 11 && r.height == 9);
	CHECK(sample(&r, 7, 7, 0) == 128 && sample(&r, 8, 7, 0) == 138 && sample(&r, 7, 8, 0) == 148 &&
	      sample(&r, 10, 8, 0) == 158);
	result_free(&r);
}

/* T.871 section 7: R = Y + 1.402 Cr', G = Y - 0.344136 Cb' - 0.714136 Cr', B = Y + 1.772 Cb' */
static void ycc_420_becomes_rgb(void)
{
	static const uint8_t components[] = {1, 0x22, 2, 0x11, 3, 0x11};
	static const int luma[4] = {-60, -20, 20, 60};
	start_frame(0xc0, 16, 16, 3, components);
	put_sos(&build, 3, ids123, 0, 63, 0);
	for (int i = 0; i < 4; i++)
		put_block(&build, 0, luma[i]);
	put_block(&build, 1, 30);
	put_block(&build, 2, -25);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && r.count == 3);
	for (int i = 0; i < 4; i++) {
		double y = 128 + luma[i];
		uint32_t px = 3 + 8 * ((uint32_t)i & 1), py = 3 + 8 * ((uint32_t)i >> 1);
		CHECK(sample(&r, px, py, 0) == (int)lround(y + 1.402 * -25));
		CHECK(sample(&r, px, py, 1) == (int)lround(y - 0.344136 * 30 - 0.714136 * -25));
		CHECK(sample(&r, px, py, 2) == (int)lround(y + 1.772 * 30));
	}
	CHECK(is_text(&r, "subsampling", "4:2:0") && is_text(&r, "color_model", "YCbCr"));
	result_free(&r);
}

static void check_stored_rgb(const char *model)
{
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && r.count == 3);
	CHECK(sample(&r, 0, 0, 0) == 10 && sample(&r, 7, 7, 1) == 90 && sample(&r, 3, 3, 2) == 240);
	CHECK(is_text(&r, "color_model", model));
	CHECK(strcmp(r.image->header.parts[0].channels[2].name, "B") == 0);
	result_free(&r);
}

static void rgb_by_adobe_transform_and_by_ids(void)
{
	static const uint8_t by_number[] = {1, 0x11, 2, 0x11, 3, 0x11}, by_letter[] = {'R', 0x11, 'G', 0x11, 'B', 0x11};
	for (int adobe = 0; adobe < 2; adobe++) {
		start_frame(0xc0, 8, 8, 3, adobe ? by_number : by_letter);
		if (adobe)
			put_segment(&build, 0xee, "Adobe\0\x64\0\0\0\0\0", 12);
		put_sos(&build, 3, adobe ? ids123 : ids_rgb, 0, 63, 0);
		put_block(&build, 0, 10 - 128);
		put_block(&build, 1, 90 - 128);
		put_block(&build, 2, 240 - 128);
		put_eoi(&build);
		check_stored_rgb("RGB");
	}
}

/* T.872: Adobe transform 0 is CMYK as stored, 2 is YCCK: C = 255 - R, M = 255 - G, Y = 255 - B, K as stored */
static void cmyk_and_ycck(void)
{
	for (int transform = -1; transform <= 2; transform += transform < 0 ? 1 : 2) {
		build_four(transform);
		struct result r = decode_build();
		CHECK(r.decode_code == 0 && r.count == 4);
		int expected[4] = {50, 100, 150, 200};
		if (transform == 2) {
			expected[0] = 255 - (int)lround(50 + 1.402 * 22);
			expected[1] = 255 - (int)lround(50 - 0.344136 * -28 - 0.714136 * 22);
			expected[2] = 255 - (int)lround(fmax(0, 50 + 1.772 * -28));
		}
		for (uint32_t c = 0; c < 4; c++)
			CHECK(sample(&r, 4, 4, c) == expected[c]);
		const struct codec_attribute *inverted = find(&r, "adobe_inverted");
		CHECK(inverted && inverted->type == ATTRIBUTE_BOOL && inverted->ints[0] == (transform >= 0));
		CHECK(strcmp(r.image->header.parts[0].channels[3].name, "K") == 0);
		result_free(&r);
	}
}

static void two_components_keep_their_values(void)
{
	static const uint8_t components[] = {1, 0x11, 2, 0x11};
	start_frame(0xc0, 8, 8, 2, components);
	put_sos(&build, 2, ids123, 0, 63, 0);
	put_block(&build, 0, -128);
	put_block(&build, 1, 127);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && r.count == 2 && sample(&r, 5, 5, 0) == 0 && sample(&r, 5, 5, 1) == 255);
	result_free(&r);
}

static void missing_tables_are_the_standard_ones(void)
{
	put_soi(&build);
	put_dqt(&build);
	put_sof(&build, 0xc0, 8, 8, 24, 1, one);
	build.standard = 1;
	put_sos(&build, 1, ids123, 0, 63, 0);
	put_block(&build, 0, 0);
	put_block(&build, 0, 100);
	put_block(&build, 0, -27);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && sample(&r, 0, 0, 0) == 128 && sample(&r, 8, 0, 0) == 228 && sample(&r, 16, 0, 0) == 101);
	result_free(&r);
}

static void build_restarts(int second)
{
	start_frame(0xc0, 8, 24, 1, one);
	put_segment(&build, 0xdd, "\0\1", 2); /* DRI: a marker behind each MCU */
	put_sos(&build, 1, ids123, 0, 63, 0);
	put_block(&build, 0, 1);
	put_padding(&build);
	put_marker(&build, 0xd0);
	put_block(&build, 0, 2);
	put_padding(&build);
	put_marker(&build, second);
	put_block(&build, 0, 3);
	put_eoi(&build);
}

static void restart_markers(void)
{
	build_restarts(0xd1);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && sample(&r, 0, 0, 0) == 129 && sample(&r, 8, 0, 0) == 130 && sample(&r, 16, 0, 0) == 131);
	const struct codec_attribute *interval = find(&r, "restart_interval");
	CHECK(interval && interval->ints[0] == 1);
	result_free(&r);
	build_restarts(0xd3); /* wrong number: data was lost */
	expect_codes(0, -EIO);
}

static void arithmetic_equals_huffman(void)
{
	static const char *const names[2][2] = {{"dct", "dct_progressive"}, {"dct_arithmetic", "dct_progressive_arithmetic"}};
	struct result r[2][2];
	for (int arithmetic = 0; arithmetic < 2; arithmetic++)
		for (int progressive = 0; progressive < 2; progressive++) {
			unsigned char *data;
			size_t len = encode_gradient(arithmetic, progressive, &data);
			r[arithmetic][progressive] = decode_bytes(data, len);
			CHECK(r[arithmetic][progressive].decode_code == 0);
			CHECK(strcmp(r[arithmetic][progressive].image->header.parts[0].compression,
				     names[arithmetic][progressive]) == 0);
			CHECK(memcmp(r[0][0].samples, r[arithmetic][progressive].samples, 40 * 40 * 3) == 0);
			free(data);
		}
	for (int i = 0; i < 4; i++)
		result_free(&r[i / 2][i % 2]);
}

/* ---- the codec's own rules ---- */

static void bands_come_in_order_from_independent_cursors(void)
{
	start_frame(0xc0, 2048, 1024, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	for (int i = 0; i < 128 * 256; i++)
		put_block(&build, 0, i / 128 % 100);
	put_eoi(&build);
	struct result r = open_bytes(build.data, build.len, NULL);
	CHECK(r.open_code == 0 && r.image->header.parts[0].levels[0].chunk_height % 8 == 0 &&
	      r.image->header.parts[0].levels[0].nchunks_y > 2);
	struct codec_cursor *a = NULL, *b = NULL;
	uint8_t *band = malloc((size_t)1024 * r.image->header.parts[0].levels[0].chunk_height);
	CHECK(codec_jpeg.decode(r.image, &a, 0, 0, 0, 1, band, NULL) == -EINVAL); /* not the first */
	CHECK(codec_jpeg.decode(r.image, &a, 0, 0, 0, 0, band, NULL) == 0);
	CHECK(codec_jpeg.decode(r.image, &a, 0, 0, 0, 0, band, NULL) == -EINVAL); /* again */
	CHECK(codec_jpeg.decode(r.image, &b, 0, 0, 0, 0, band, NULL) == 0);
	CHECK(band[0] == 128);
	CHECK(codec_jpeg.decode(r.image, &a, 0, 0, 0, 1, band, NULL) == 0);
	uint32_t row = r.image->header.parts[0].levels[0].chunk_height;
	CHECK(band[0] == 128 + row / 8 % 100);
	codec_jpeg.cursor_free(a);
	codec_jpeg.cursor_free(b);
	free(band);
	result_free(&r);
}

/* A source whose reads fail from some byte on. */
struct failing {
	struct bytes bytes;
	uint64_t from;
};

static ssize_t failing_read(struct bytes *bytes, void *dst, size_t len, uint64_t offset, struct err *err)
{
	uint64_t from = ((struct failing *)bytes)->from;
	if (offset >= from)
		return err_set(err, -ESTALE, "the source changed");
	size_t n = len < from - offset ? len : (size_t)(from - offset);
	memcpy(dst, build.data + offset, n);
	return (ssize_t)n;
}

static void failing_free(struct bytes *bytes)
{
	(void)bytes;
}

static void errors_of_the_source_are_passed_on(void)
{
	static const struct bytes_class class = {.read = failing_read, .free = failing_free};
	build_column(3000);
	for (int in_header = 0; in_header < 2; in_header++) {
		struct failing source = {.from = in_header ? 50 : 400};
		struct err err = ERR_NONE;
		struct codec_image *image = NULL;
		bytes_init(&source.bytes, &class, build.len);
		int code = codec_jpeg.open(&source.bytes, &codec_default_limits, &image, &err);
		CHECK(code == (in_header ? -ESTALE : 0));
		struct codec_cursor *cursor = NULL;
		uint8_t *band = malloc(3000 * 64);
		if (!code)
			code = codec_jpeg.decode(image, &cursor, 0, 0, 0, 0, band, &err);
		CHECK(code == -ESTALE && strcmp(err.text, "the source changed") == 0);
		codec_jpeg.cursor_free(cursor);
		codec_jpeg.close(image);
		free(band);
	}
}

static void bids_by_content(void)
{
	CHECK(codec_jpeg.bid((const uint8_t *)"\xff\xd8\xff\xe0", 4) == 100);
	CHECK(codec_jpeg.bid((const uint8_t *)"\xff\xd8", 2) == 0);
	CHECK(codec_jpeg.bid((const uint8_t *)"\x89PNG", 4) == 0);
}

static const struct test_case cases[] = {
	CASE(gray_blocks),
	CASE(partial_blocks_at_the_edges),
	CASE(ycc_420_becomes_rgb),
	CASE(rgb_by_adobe_transform_and_by_ids),
	CASE(cmyk_and_ycck),
	CASE(two_components_keep_their_values),
	CASE(missing_tables_are_the_standard_ones),
	CASE(restart_markers),
	CASE(arithmetic_equals_huffman),
	CASE(bands_come_in_order_from_independent_cursors),
	CASE(errors_of_the_source_are_passed_on),
	CASE(bids_by_content),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
