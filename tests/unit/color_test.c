/* color_test.c - colour facts to interop IDs. The judges are the tables of the ASWF Color Interop Forum ("Color Space Encodings
 * for Texture Assets", "Color Space Encodings for Displays", "An ID for Color Interop") and of ITU-T H.273. */
#include "codecs/facts/color.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int passed, failed;
static const char *words; /* what was not as it must be, NULL so far */

#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (!(condition) && !words)                                                                                        \
			words = #condition;                                                                                        \
	} while (0)

static void end_case(const char *name)
{
	if (words)
		printf("FAIL %s: %s\n", name, words);
	else
		printf("ok %s\n", name);
	*(words ? &failed : &passed) += 1;
	words = NULL;
}

static int is(const struct codec_color *color, const char *id, const char *transfer, const char *source)
{
	return !strcmp(color->interop_id, id) && !strcmp(color->transfer, transfer) && !strcmp(color->source, source);
}

static void test_srgb(void)
{
	struct codec_color color;
	color_srgb(&color, "sRGB");
	CHECK(is(&color, "srgb_rec709_scene", "srgb", "sRGB"));
	CHECK(color.has_chromaticities && color.chromaticities[0] == 0.64 && color.chromaticities[7] == 0.329 && color.gamma == 0);
	end_case("sRGB");
}

static void test_linear(void)
{
	static const struct {
		double xy[8];
		const char *id;
	} rows[] = {
		{{0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290}, "lin_rec709_scene"},
		{{0.7347, 0.2653, 0, 1, 0.0001, -0.077, 0.32168, 0.33767}, "lin_ap0_scene"},
		{{0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767}, "lin_ap1_scene"},
		{{0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290}, "lin_p3d65_scene"},
		{{0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.3290}, "lin_rec2020_scene"},
		{{0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290}, "lin_adobergb_scene"},
		{{1, 0, 0, 1, 0, 0, 0.3127, 0.3290}, "lin_ciexyzd65_scene"},
		{{0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3457, 0.3585}, "unknown"}, /* Rec.709 with a D50 white */
	};
	struct codec_color color;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		color_linear(&color, rows[i].xy, "chromaticities");
		CHECK(is(&color, rows[i].id, "linear", "chromaticities"));
		CHECK(memcmp(color.chromaticities, rows[i].xy, sizeof rows[i].xy) == 0);
	}
	color_linear(&color, NULL, "none");
	CHECK(is(&color, "unknown", "linear", "none") && !color.has_chromaticities);
	end_case("linear light by chromaticities");
}

static void test_tolerance(void)
{
	double near[8], far[8];
	for (int i = 0; i < 8; i++) {
		near[i] = color_rec709[i] + (i % 2 ? 0.0009 : -0.0009);
		far[i] = color_rec709[i];
	}
	far[5] += 0.0011;
	CHECK(color_same_chromaticities(near, color_rec709) && !color_same_chromaticities(far, color_rec709));
	far[5] = (double)NAN;
	CHECK(!color_same_chromaticities(far, color_rec709));
	end_case("chromaticities agree within 0.001");
}

static void test_gamma(void)
{
	static const struct {
		double gamma;
		const double *xy;
		const char *id, *transfer;
	} rows[] = {
		{2.2, color_rec709, "g22_rec709_scene", "gamma"},
		{1.8, color_rec709, "g18_rec709_scene", "gamma"},
		{2.4, color_rec709, "g24_rec709_scene", "gamma"},
		{2.2, color_ap1, "g22_ap1_scene", "gamma"},
		{563 / 256., color_adobergb, "g22_adobergb_scene", "gamma"},
		{2.6, color_p3d65, "g26_p3d65_display", "gamma"},
		{2.2, color_rec2020, "unknown", "gamma"},
		{2.3, color_rec709, "unknown", "gamma"},
		{2.2, NULL, "unknown", "gamma"},
		{1, color_rec709, "lin_rec709_scene", "linear"},
		{0, color_rec709, "unknown", "unknown"},
		{(double)NAN, NULL, "unknown", "unknown"},
		{-1, NULL, "unknown", "unknown"},
		{(double)INFINITY, NULL, "unknown", "unknown"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct codec_color color;
		color_gamma(&color, rows[i].gamma, rows[i].xy, "gAMA");
		CHECK(is(&color, rows[i].id, rows[i].transfer, "gAMA") && color.has_chromaticities == (rows[i].xy != NULL));
		CHECK(strcmp(rows[i].transfer, "gamma") ? color.gamma == 0 : color.gamma == rows[i].gamma);
	}
	end_case("pure powers");
}

static void test_cicp(void)
{
	static const struct {
		uint8_t primaries, transfer;
		const char *id, *curve;
	} rows[] = {
		{1, 13, "srgb_rec709_scene", "srgb"},
		{12, 13, "srgb_p3d65_scene", "srgb"},
		{9, 16, "pq_rec2020_display", "pq"},
		{9, 18, "hlg_rec2020_display", "hlg"},
		{12, 16, "pq_p3d65_display", "pq"},
		{10, 16, "pq_xyzd65_display", "pq"},
		{1, 1, "g24_rec709_display", "bt709"},
		{1, 4, "g22_rec709_scene", "gamma"},
		{1, 8, "lin_rec709_scene", "linear"},
		{9, 8, "lin_rec2020_scene", "linear"},
		{12, 8, "lin_p3d65_scene", "linear"},
		{10, 17, "g26_xyzd65_display", "unknown"},
		{5, 13, "unknown", "srgb"},
		{9, 14, "unknown", "bt709"},
		{1, 16, "unknown", "pq"},
		{2, 2, "unknown", "unknown"},
		{255, 255, "unknown", "unknown"},
	};
	struct codec_color color;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		color_cicp(&color, rows[i].primaries, rows[i].transfer, 0, true, "cICP");
		CHECK(is(&color, rows[i].id, rows[i].curve, "cICP"));
	}
	color_cicp(&color, 9, 16, 0, false, "cICP"); /* narrow range: the curve doesn't take these samples */
	CHECK(is(&color, "unknown", "unknown", "cICP") && color.chromaticities[0] == 0.708);
	color_cicp(&color, 9, 16, 9, true, "cICP"); /* YCbCr */
	CHECK(is(&color, "unknown", "unknown", "cICP"));
	color_cicp(&color, 1, 5, 0, true, "cICP"); /* BT.470BG: gamma 2.8 */
	CHECK(is(&color, "unknown", "gamma", "cICP") && color.gamma == 2.8);
	end_case("H.273 code points");
}

static void test_others(void)
{
	struct codec_color color;
	color_icc(&color, "iCCP");
	CHECK(is(&color, "unknown", "icc", "iCCP") && !color.has_chromaticities);
	color_unknown(&color, "none");
	CHECK(is(&color, "unknown", "unknown", "none") && !color.has_chromaticities && color.gamma == 0);
	color_data(&color, "channels");
	CHECK(is(&color, "data", "linear", "channels"));
	end_case("icc, unknown, data");
}

static void test_ids_in_files(void)
{
	struct codec_color color;
	CHECK(color_interop_id(&color, "lin_ap1_scene", "colorInteropID") &&
	      is(&color, "lin_ap1_scene", "linear", "colorInteropID"));
	CHECK(memcmp(color.chromaticities, color_ap1, sizeof color_ap1) == 0);
	CHECK(color_interop_id(&color, "g24_rec709_display", "x") && !strcmp(color.transfer, "gamma") && color.gamma == 2.4);
	CHECK(color_interop_id(&color, "srgbe_p3d65_display", "x") && !strcmp(color.interop_id, "srgbe_p3d65_display"));
	CHECK(color_interop_id(&color, "data", "x") && !color.has_chromaticities);
	CHECK(color_interop_id(&color, "my-studio:camera_a123", "x") && is(&color, "my-studio:camera_a123", "unknown", "x"));
	color_unknown(&color, "before");
	static const char *const wrong[] = {"",      "lin_rec709",           "Lin_Rec709_Scene", ":x",       "x:",
					    "a:b:c", "studio:lin_ap1_scene", "st udio:x",        "Studio:x", "\xff:x"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		CHECK(!color_interop_id(&color, wrong[i], "x"));
	CHECK(is(&color, "unknown", "unknown", "before"));
	end_case("IDs that files carry");
}

int main(void)
{
	test_srgb();
	test_linear();
	test_tolerance();
	test_gamma();
	test_cicp();
	test_others();
	test_ids_in_files();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
