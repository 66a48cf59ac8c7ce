/* jpeg_damage_test.c - damaged, hostile and unsupported JPEG files: an error with the right code, never samples. */
#include "jpeg_case.h"

/* Every byte but those of the end mark is needed. */
static void every_cut_is_damage(void)
{
	build_column(40);
	size_t whole = build.len;
	for (size_t len = 0; len < whole - 2; len++) {
		struct result r = decode_bytes(build.data, len);
		CHECK(r.open_code == -EIO || (r.open_code == 0 && r.decode_code == -EIO));
		result_free(&r);
	}
	for (size_t len = whole - 2; len < whole; len++) {
		struct result r = decode_bytes(build.data, len);
		CHECK(r.open_code == 0 && r.decode_code == 0);
		result_free(&r);
	}
}

static void every_cut_of_arithmetic_code_is_damage(void)
{
	for (int progressive = 0; progressive < 2; progressive++) {
		unsigned char *data;
		size_t len = encode_gradient(1, progressive, &data);
		for (size_t cut = 0; cut < len - 2; cut++) {
			struct result r = decode_bytes(data, cut);
			CHECK(r.open_code == -EIO || r.decode_code == -EIO);
			result_free(&r);
		}
		free(data);
	}
}

static void every_cut_of_scans_is_damage(void)
{
	build_progressive(1, 1);
	expect_codes(0, 0);
	for (size_t len = 0; len < build.len - 2; len++) {
		struct result r = decode_bytes(build.data, len);
		CHECK(r.open_code == -EIO || r.decode_code == -EIO);
		result_free(&r);
	}
	build_progressive(1, 0);
	expect_codes(0, 0); /* all coefficients are there */
	build_progressive(0, 0);
	expect_codes(0, -EIO); /* the file may have been cut */
	build_progressive(0, 1);
	expect_codes(0, 0); /* the file says that this is all */
}

/* 17 ones are no code of the table, but as long as libjpeg's fast path skips in silence, so that all later blocks fit
 * again; far from the end of the data, where it would take that path. */
static void unknown_code_is_damage(void)
{
	start_frame(0xc0, 8 * 3000, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	for (int i = 0; i < 3000; i++) {
		if (i == 1000) {
			put_bits(&build, 0x1ffff, 17);
			put_eob(&build);
		} else {
			put_block(&build, 0, i % 100);
		}
	}
	put_eoi(&build);
	expect_codes(0, -EIO);
}

static void refinement_of_nothing_is_damage(void)
{
	start_frame(0xc2, 8, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 0, 0x01); /* DC but for its last bit */
	put_dc(&build, 0, 10);
	put_padding(&build);
	put_sos(&build, 1, ids123, 1, 5, 0x10); /* refines AC bits that no scan brought */
	put_eob(&build);
	put_eoi(&build);
	expect_codes(0, -EIO);
}

static void ac_before_dc_is_read(void)
{
	start_frame(0xc2, 8, 8, 1, one);
	put_sos(&build, 1, ids123, 1, 63, 0);
	put_eob(&build);
	put_padding(&build);
	put_sos(&build, 1, ids123, 0, 0, 0);
	put_dc(&build, 0, 77);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && sample(&r, 0, 0, 0) == 205);
	result_free(&r);
}

static void component_without_scan_is_damage(void)
{
	static const uint8_t components[] = {1, 0x11, 2, 0x11, 3, 0x11};
	for (int nscans = 2; nscans <= 3; nscans++) {
		start_frame(0xc0, 8, 8, 3, components);
		for (int i = 0; i < nscans; i++) {
			put_sos(&build, 1, ids123 + i, 0, 63, 0);
			put_block(&build, 0, 5);
			put_padding(&build);
		}
		put_eoi(&build);
		expect_codes(0, nscans == 3 ? 0 : -EIO);
	}
}

static void garbage_between_segments_is_told(void)
{
	put_soi(&build);
	put_dqt(&build);
	put_bytes(&build, "garbage", 7);
	put_dht(&build);
	put_sof(&build, 0xc0, 8, 8, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	put_block(&build, 0, 3);
	put_padding(&build);
	put_bytes(&build, "padding of a camera", 19);
	put_eoi(&build);
	struct result r = decode_build();
	CHECK(r.decode_code == 0 && sample(&r, 0, 0, 0) == 131);
	CHECK(r.image && r.image->header.nwarnings == 1 && strstr(r.image->header.warnings[0], "7 extraneous bytes"));
	result_free(&r);
}

static void segment_longer_than_the_file(void)
{
	put_soi(&build);
	put_marker(&build, 0xe5);
	put_u16(&build, 60000);
	put_bytes(&build, "short", 5);
	expect_codes(-EIO, 0);
}

/* ---- what isn't decoded, limits ---- */

static void features_that_are_not_built_in(void)
{
	static const uint8_t sof_markers[] = {0xc3, 0xc5, 0xc6, 0xc7, 0xcb, 0xcd, 0xce, 0xcf, 0xde, 0xf7};
	for (size_t i = 0; i < sizeof sof_markers; i++) { /* lossless, differential, hierarchical, JPEG-LS */
		start_frame(sof_markers[i], 8, 8, 1, one);
		expect_codes(-EOPNOTSUPP, 0);
	}
	for (int dnl = 0; dnl < 2; dnl++) { /* 12 bit; a height that a DNL segment tells later */
		put_soi(&build);
		put_dqt(&build);
		put_sof(&build, 0xc1, dnl ? 8 : 12, dnl ? 0 : 8, 8, 1, one);
		put_sos(&build, 1, ids123, 0, 63, 0);
		expect_codes(-EOPNOTSUPP, 0);
	}
	start_frame(0xc0, 8, 0, 1, one); /* a width of 0 is never valid */
	expect_codes(-EIO, 0);
}

static void open_with(const struct codec_limits *limits, int code)
{
	struct result r = open_bytes(build.data, build.len, limits);
	CHECK(r.open_code == code);
	result_free(&r);
}

static void limits_come_first(void)
{
	struct codec_limits limits = codec_default_limits;
	for (unsigned side = 65500; side <= 65535; side += 35) {
		start_frame(0xc0, side, side, 1, one);
		put_sos(&build, 1, ids123, 0, 63, 0);
		open_with(&limits, -EFBIG);
	}
	build_progressive(1, 1);
	open_with(&limits, 0);
	limits.max_pixels = 8 * 16 - 1;
	open_with(&limits, -EFBIG);
	limits.max_pixels++;
	limits.max_chunk_bytes = 2 * 64 * 2; /* two blocks of coefficients, 16 bit each */
	open_with(&limits, 0);
	limits.max_chunk_bytes--;
	open_with(&limits, -EFBIG);
}

static void thousand_scans_are_refused(void)
{
	build_progressive(499, 1);
	expect_codes(0, 0);
	build_progressive(1000, 1);
	expect_codes(0, -EFBIG);
}

static const struct test_case cases[] = {
	CASE(every_cut_is_damage),
	CASE(every_cut_of_arithmetic_code_is_damage),
	CASE(every_cut_of_scans_is_damage),
	CASE(unknown_code_is_damage),
	CASE(refinement_of_nothing_is_damage),
	CASE(ac_before_dc_is_read),
	CASE(component_without_scan_is_damage),
	CASE(garbage_between_segments_is_told),
	CASE(segment_longer_than_the_file),
	CASE(features_that_are_not_built_in),
	CASE(limits_come_first),
	CASE(thousand_scans_are_refused),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
