/* color.c - see color.h. One table holds the IDs; everything else finds its row in it.
 *
 * Sources: ASWF Color Interop Forum, "Color Space Encodings for Texture Assets and CG Rendering" 1.1.0, "Color Space
 * Encodings for Displays" 1.0.0, "An ID for Color Interop" 1.0.0; ITU-T H.273 tables 2 and 3.
 */
#include "color.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const double color_rec709[8] = {0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290};
const double color_rec2020[8] = {0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290};
const double color_p3d65[8] = {0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290};
const double color_adobergb[8] = {0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290};
const double color_ap0[8] = {0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767};
const double color_ap1[8] = {0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767};
static const double xyzd65[8] = {1, 0, 0, 1, 0, 0, 0.3127, 0.3290};

/* The tolerance that the Forum's "Identifying the Color Space of OpenEXR Files", annex A, recommends; and one for a gamma,
 * wide enough for PNG's rounding and for Adobe RGB's 563/256 written as 2.2. */
static const double CHROMATICITY_TOLERANCE = 0.001, GAMMA_TOLERANCE = 0.01;

struct space {
	const char *id, *transfer;
	double gamma;
	const double *chromaticities;
};

/* Scene-referred first: where both image states have an ID, a file that doesn't tell the state gets the scene one, as
 * textures are read. "unknown": g26_xyzd65_display scales by 48 / 52.37, so it is no pure power. */
static const struct space spaces[] = {
	{"lin_ap1_scene", "linear", 0, color_ap1},
	{"lin_ap0_scene", "linear", 0, color_ap0},
	{"lin_rec709_scene", "linear", 0, color_rec709},
	{"lin_p3d65_scene", "linear", 0, color_p3d65},
	{"lin_rec2020_scene", "linear", 0, color_rec2020},
	{"lin_adobergb_scene", "linear", 0, color_adobergb},
	{"lin_ciexyzd65_scene", "linear", 0, xyzd65},
	{"srgb_rec709_scene", "srgb", 0, color_rec709},
	{"g24_rec709_scene", "gamma", 2.4, color_rec709},
	{"g22_rec709_scene", "gamma", 2.2, color_rec709},
	{"g18_rec709_scene", "gamma", 1.8, color_rec709},
	{"srgb_ap1_scene", "srgb", 0, color_ap1},
	{"g22_ap1_scene", "gamma", 2.2, color_ap1},
	{"srgb_p3d65_scene", "srgb", 0, color_p3d65},
	{"g22_adobergb_scene", "gamma", 2.19921875, color_adobergb},
	{"srgb_rec709_display", "srgb", 0, color_rec709},
	{"g24_rec709_display", "gamma", 2.4, color_rec709},
	{"srgb_p3d65_display", "srgb", 0, color_p3d65},
	{"srgbe_p3d65_display", "srgb", 0, color_p3d65},
	{"pq_p3d65_display", "pq", 0, color_p3d65},
	{"pq_rec2020_display", "pq", 0, color_rec2020},
	{"hlg_rec2020_display", "hlg", 0, color_rec2020},
	{"g22_rec709_display", "gamma", 2.2, color_rec709},
	{"g22_adobergb_display", "gamma", 2.19921875, color_adobergb},
	{"g26_p3d65_display", "gamma", 2.6, color_p3d65},
	{"g26_xyzd65_display", "unknown", 0, xyzd65},
	{"pq_xyzd65_display", "pq", 0, xyzd65},
	{"lin_rec709_display", "linear", 0, color_rec709},
	{"lin_p3d65_display", "linear", 0, color_p3d65},
	{"lin_rec2020_display", "linear", 0, color_rec2020},
	{"data", "linear", 0, NULL},
	{"unknown", "unknown", 0, NULL},
};
enum { NSPACES = sizeof spaces / sizeof *spaces };

bool color_same_chromaticities(const double *a, const double *b)
{
	for (int i = 0; i < 8; i++)
		if (!(fabs(a[i] - b[i]) <= CHROMATICITY_TOLERANCE))
			return false;
	return true;
}

static void set(struct codec_color *color, const char *id, const char *transfer, double gamma, const double *chromaticities,
		const char *source)
{
	*color = (struct codec_color){.interop_id = id, .transfer = transfer, .gamma = gamma, .source = source};
	color->has_chromaticities = chromaticities != NULL;
	if (chromaticities)
		memcpy(color->chromaticities, chromaticities, sizeof color->chromaticities);
}

/* The ID of exactly this curve and these primaries, else "unknown". */
static const char *find_id(const char *transfer, double gamma, const double *chromaticities)
{
	for (int i = 0; chromaticities && i < NSPACES; i++) {
		const struct space *space = &spaces[i];
		if (space->chromaticities && strcmp(space->transfer, transfer) == 0 &&
		    fabs(space->gamma - gamma) <= GAMMA_TOLERANCE &&
		    color_same_chromaticities(space->chromaticities, chromaticities))
			return space->id;
	}
	return "unknown";
}

void color_unknown(struct codec_color *color, const char *source)
{
	set(color, "unknown", "unknown", 0, NULL, source);
}

void color_data(struct codec_color *color, const char *source)
{
	set(color, "data", "linear", 0, NULL, source);
}

void color_srgb(struct codec_color *color, const char *source)
{
	set(color, "srgb_rec709_scene", "srgb", 0, color_rec709, source);
}

void color_linear(struct codec_color *color, const double *chromaticities, const char *source)
{
	set(color, find_id("linear", 0, chromaticities), "linear", 0, chromaticities, source);
}

void color_gamma(struct codec_color *color, double gamma, const double *chromaticities, const char *source)
{
	if (!isfinite(gamma) || gamma <= 0)
		set(color, "unknown", "unknown", 0, chromaticities, source);
	else if (fabs(gamma - 1) <= GAMMA_TOLERANCE)
		color_linear(color, chromaticities, source);
	else
		set(color, find_id("gamma", gamma, chromaticities), "gamma", gamma, chromaticities, source);
}

void color_icc(struct codec_color *color, const char *source)
{
	set(color, "unknown", "icc", 0, NULL, source);
}

/* ---- H.273 ---- */

/* Table 2, ColourPrimaries; NULL: unspecified or reserved. */
static const double *cicp_primaries(unsigned code)
{
	static const double bt470m[8] = {0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316};
	static const double bt470bg[8] = {0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290};
	static const double smpte170m[8] = {0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290};
	static const double film[8] = {0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316};
	static const double xyz[8] = {1, 0, 0, 1, 0, 0, 1 / 3., 1 / 3.};
	static const double p3dci[8] = {0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351};
	static const double ebu3213[8] = {0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290};
	switch (code) {
	case 1:
		return color_rec709;
	case 4:
		return bt470m;
	case 5:
		return bt470bg;
	case 6:
	case 7:
		return smpte170m;
	case 8:
		return film;
	case 9:
		return color_rec2020;
	case 10:
		return xyz;
	case 11:
		return p3dci;
	case 12:
		return color_p3d65;
	case 22:
		return ebu3213;
	default:
		return NULL;
	}
}

/* Table 3, TransferCharacteristics: 1, 6, 14 and 15 are functionally the same. */
static const char *cicp_transfer(unsigned code, double *ret_gamma)
{
	*ret_gamma = code == 4 ? 2.2 : code == 5 ? 2.8 : 0;
	switch (code) {
	case 1:
	case 6:
	case 14:
	case 15:
		return "bt709";
	case 4:
	case 5:
		return "gamma";
	case 8:
		return "linear";
	case 13:
		return "srgb";
	case 16:
		return "pq";
	case 18:
		return "hlg";
	default:
		return "unknown";
	}
}

/* The pairs of "Color Space Encodings for Displays" (their CICP rows), the scene-referred ID where there is one. */
static const char *cicp_id(unsigned primaries, unsigned transfer)
{
	static const struct {
		uint8_t primaries, transfer;
		const char *id;
	} pairs[] = {
		{1, 13, "srgb_rec709_scene"},   {1, 1, "g24_rec709_display"},   {12, 13, "srgb_p3d65_scene"},
		{1, 4, "g22_rec709_scene"},     {12, 16, "pq_p3d65_display"},   {9, 16, "pq_rec2020_display"},
		{9, 18, "hlg_rec2020_display"}, {10, 17, "g26_xyzd65_display"}, {10, 16, "pq_xyzd65_display"},
		{1, 8, "lin_rec709_scene"},     {12, 8, "lin_p3d65_scene"},     {9, 8, "lin_rec2020_scene"},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i].primaries == primaries && pairs[i].transfer == transfer)
			return pairs[i].id;
	return "unknown";
}

void color_cicp(struct codec_color *color, unsigned primaries, unsigned transfer, unsigned matrix, bool full_range,
		const char *source)
{
	double gamma;
	const char *curve = cicp_transfer(transfer, &gamma);
	const double *chromaticities = cicp_primaries(primaries);
	if (matrix != 0 || !full_range) /* the samples are not what the curve takes: not RGB, or footroom and headroom */
		set(color, "unknown", "unknown", 0, chromaticities, source);
	else
		set(color, cicp_id(primaries, transfer), curve, gamma, chromaticities, source);
}

/* ---- IDs that files carry ---- */

static const struct space *space_named(const char *id)
{
	for (int i = 0; i < NSPACES; i++)
		if (strcmp(spaces[i].id, id) == 0)
			return &spaces[i];
	return NULL;
}

/* "<namespace>:<color space>" by the rules of "An ID for Color Interop": its characters, one colon, no ID of the Forum. */
static bool is_namespaced(const char *id)
{
	const char *colon = strchr(id, ':');
	if (!colon || colon == id || !colon[1] || strchr(colon + 1, ':') || space_named(colon + 1))
		return false;
	return strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz.-_~/*#%^+()[]|:") == strlen(id);
}

bool color_interop_id(struct codec_color *color, const char *id, const char *source)
{
	const struct space *space = space_named(id);
	if (space)
		set(color, space->id, space->transfer, space->gamma, space->chromaticities, source);
	else if (is_namespaced(id))
		set(color, id, "unknown", 0, NULL, source);
	else
		return false;
	return true;
}
