/* icc.h - what an ICC profile says of a picture's samples: the tone curves of its channels, or else a way from them to linear
 * light.
 *
 * Nothing of the profile is trusted: it is opened by Little CMS with a bounded amount of memory, and whatever it finds wrong is
 * an error in words. An object is immutable once opened: any number of threads may use it.
 */
#ifndef PIXFS_ICC_H
#define PIXFS_ICC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/err.h"

/* The samples that the profile has to be for; the value is how many a pixel has. */
enum icc_space { ICC_GRAY = 1, ICC_RGB = 3, ICC_CMYK = 4 };

/* From a stored value in 0..1 to linear light. Where nentries is 0, by the formula that all parametric types and pure powers are
 * cases of (ICC.1:2022 10.6, 10.18; g and a are positive):
 *   v >= d ? (a v + b)^g + e : c v + f     with a v + b at least 0
 * else entries / 65535, at least two, spaced evenly over 0..1 with straight lines between them. */
struct icc_curve {
	uint32_t nentries;
	const float *entries; /* whole numbers from 0 to 65535 */
	double g, a, b, c, d, e, f;
};

enum icc_form { ICC_FORM_LINEAR, ICC_FORM_SRGB, ICC_FORM_POWER, ICC_FORM_PARAMETRIC, ICC_FORM_TABLE };

/* What a curve is; SRGB: parametric, and each parameter is that of IEC 61966-2-1 as well as a profile can write it (2^-16). */
enum icc_form icc_curve_form(const struct icc_curve *curve);

struct icc {
	enum icc_space space;
	uint32_t ncurves; /* 1: one for all channels; 3: of R, G, B; 0: the profile has none, icc_convert() tells the colours */
	struct icc_curve curves[3];
	void *keeper; /* icc_open.c's own */
};

/* Takes nothing over: data may go afterwards. The profiles opened last are kept, and then the same object is given again. Gray
 * profiles must have a curve; RGB profiles have curves (with the connection space XYZ) or a table from device to connection space,
 * CMYK profiles the latter. -EINVAL: damaged, or not a profile of this kind, with words; -ENOMEM. */
int icc_open(const void *data, size_t len_bytes, enum icc_space space, struct icc **ret_icc, struct err *err);
void icc_close(struct icc *icc); /* NULL is fine */

/* Where there are no curves: n pixels of `space` samples side by side to linear light with the primaries and the white of
 * ITU-R BT.709, three samples side by side; relative colorimetric, without black point compensation, not clipped. The samples
 * are 0..1 (inks: 1 is full ink); others are clipped, NaN counts as 0. */
void icc_convert(const struct icc *icc, const float *src, float *dst, size_t n);

#endif
