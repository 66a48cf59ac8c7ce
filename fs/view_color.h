/* view_color.h - transfer curves: which one applies, and the arithmetic.
 *
 * sRGB is IEC 61966-2-1, continued to negative values by odd symmetry (f(-v) = -f(v), as scRGB does) and above 1 by the same
 * formula. A gamma is a pure power, odd in the same way. Each value is computed in double precision from the float32 and
 * rounded once: within one unit in the last place of the exact result. NaN stays NaN, infinities stay.
 */
#ifndef PIXFS_VIEW_COLOR_H
#define PIXFS_VIEW_COLOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../codecs/codec.h"

enum transfer_kind {
	TRANSFER_UNKNOWN, /* nobody says */
	TRANSFER_OTHER,   /* known by name, but not a curve that views decode */
	TRANSFER_DATA,    /* no colour: curves leave it alone */
	TRANSFER_LINEAR,
	TRANSFER_SRGB,
	TRANSFER_GAMMA,
};

struct transfer {
	uint8_t kind;     /* enum transfer_kind */
	double gamma;     /* TRANSFER_GAMMA: decoded = encoded ^ gamma */
	const char *name; /* for messages */
};

struct transfer transfer_of_color(const struct codec_color *color);

/* First decode, then encode, in one step. */
struct curve {
	bool decode_srgb, encode_srgb;
	double decode_power; /* 0: none */
};

/* dst[i] = curve(src[i]); may be in place. */
void curve_apply(const struct curve *curve, float *dst, const float *src, size_t n);

#endif
