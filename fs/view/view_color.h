/* view_color.h - transfer curves: which one applies, and the arithmetic.
 *
 * Each value is computed in double precision from the float32 and rounded once: within one unit in the last place of the exact
 * result. NaN stays NaN. All curves are continued to negative values by symmetry about their value at 0, f(-v) = 2 f(0) - f(v),
 * which is -f(v) where f(0) = 0 (as scRGB does it), and above 1 as told here:
 *   srgb   IEC 61966-2-1; above 1 by the same formula
 *   gamma  a pure power, likewise
 *   bt709  ITU-T H.273 table 3, 1 (6, 14, 15): the inverse of V = 1.0993 L^0.45 - 0.0993, linear below 0.0812; likewise
 *   pq     H.273 table 3, 16 (SMPTE ST 2084): 1 is 10000 cd/m2; likewise up to 1.99, where the formula has its pole: from there
 *          on infinite
 *   hlg    H.273 table 3, 18 (ITU-R BT.2100): the inverse OETF, 1 is the peak of the scene; without a system gamma; likewise
 *   icc    the profile's own curves, one for each channel (icc.h). Formulas likewise; a table holds its last value above 1.
 *          A formula with the parameters of sRGB is srgb
 * A profile without curves has tables from its samples to colours: the values then become linear light with the primaries
 * of BT.709 (icc_convert).
 */
#ifndef PIXFS_VIEW_COLOR_H
#define PIXFS_VIEW_COLOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/codec.h"
#include "codecs/facts/icc.h"

enum transfer_kind {
	TRANSFER_UNKNOWN, /* nobody says */
	TRANSFER_OTHER,   /* known by name, but not a curve that views decode */
	TRANSFER_DATA,    /* no colour: curves leave it alone */
	TRANSFER_LINEAR,
	TRANSFER_SRGB,
	TRANSFER_GAMMA,
	TRANSFER_BT709,
	TRANSFER_PQ,
	TRANSFER_HLG,
	TRANSFER_ICC, /* as the file's profile says, if it can be used */
};

struct transfer {
	uint8_t kind;     /* enum transfer_kind */
	double gamma;     /* TRANSFER_GAMMA: decoded = encoded ^ gamma */
	const char *name; /* as meta.json has it */
};

struct transfer transfer_of_color(const struct codec_color *color);

/* First decode, then encode as sRGB, in one step. */
enum curve_decode {
	DECODE_NOTHING,
	DECODE_SRGB,
	DECODE_POWER,
	DECODE_BT709,
	DECODE_PQ,
	DECODE_HLG,
	DECODE_FORMULA, /* of profile */
	DECODE_TABLE,   /* of profile */
};

struct curve {
	uint8_t decode; /* enum curve_decode */
	bool encode_srgb;
	double power;                    /* DECODE_POWER */
	const struct icc_curve *profile; /* borrowed */
};

/* The curve that decodes this transfer: not of UNKNOWN, OTHER and ICC. Of DATA and LINEAR: nothing to decode. */
struct curve curve_of_transfer(const struct transfer *transfer);
struct curve curve_of_profile(const struct icc_curve *profile);
/* False: it changes nothing. */
bool curve_acts(const struct curve *curve);

/* dst[i] = curve(src[i]); may be in place. */
void curve_apply(const struct curve *curve, float *dst, const float *src, size_t n);

/* The same of colour premultiplied by alpha: dst[i] = curve(colour[i] / alpha[i]) * alpha[i]. Where alpha is 0 (light without
 * cover) or the quotient isn't finite, the curve of the colour as it is. */
void curve_apply_covered(const struct curve *curve, float *dst, const float *colour, const float *alpha, size_t n);

#endif
