/* view_color.c - transfer curves. The powers are computed here, not by libm, so that the compiler can vectorise them and
 * every machine gives the same bits: relative error below 2^-40, far less than a float32 shows. */
#include "view_color.h"

#include <string.h>

#include "../codecs/simd.h"

SIMD_OPTIMIZE

struct transfer transfer_of_color(const struct codec_color *color)
{
	static const struct {
		const char *name;
		enum transfer_kind kind;
	} known[] = {
		{"linear", TRANSFER_LINEAR}, {"srgb", TRANSFER_SRGB}, {"gamma", TRANSFER_GAMMA}, {"unknown", TRANSFER_UNKNOWN}};
	struct transfer transfer = {TRANSFER_OTHER, color->gamma, color->transfer};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(color->transfer, known[i].name) == 0)
			transfer.kind = (uint8_t)known[i].kind;
	if (strcmp(color->interop_id, "data") == 0)
		transfer.kind = TRANSFER_DATA;
	if (transfer.kind == TRANSFER_GAMMA && !(color->gamma > 0.0 && color->gamma < 1e6))
		transfer.kind = TRANSFER_UNKNOWN;
	return transfer;
}

/* ---- x^p ---- */

static inline uint64_t bits_of(double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static inline double double_of(uint64_t bits)
{
	double v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

/* log2 of a positive normal number: x = m * 2^k with m in [sqrt(1/2), sqrt(2)), and log2(m) by the series of artanh. */
static inline double log2_of(double x)
{
	const uint64_t sqrt_half = 0x3fe6a09e667f3bcdu;
	uint64_t bits = bits_of(x);
	uint64_t k = (bits - sqrt_half + ((uint64_t)1023 << 52)) >> 52; /* 1023 + exponent: never negative */
	double m = double_of(bits - (k << 52) + ((uint64_t)1023 << 52));
	double exponent = double_of(k | 0x4330000000000000u) - (0x1p52 + 1023.0);
	double s = (m - 1.0) / (m + 1.0), s2 = s * s;
	double sum = 1.0 / 15.0;
	sum = sum * s2 + 1.0 / 13.0;
	sum = sum * s2 + 1.0 / 11.0;
	sum = sum * s2 + 1.0 / 9.0;
	sum = sum * s2 + 1.0 / 7.0;
	sum = sum * s2 + 1.0 / 5.0;
	sum = sum * s2 + 1.0 / 3.0;
	sum = sum * s2 + 1.0;
	return exponent + s * sum * 2.8853900817779268; /* 2 / ln 2 */
}

/* 2^t, |t| <= 1020: the nearest integer to the exponent, the rest by Taylor's series. */
static inline double exp2_of(double t)
{
	double shifted = t + 0x1.8p52;
	double f = (t - (shifted - 0x1.8p52)) * 0.69314718055994531;
	double sum = 1.0 / 479001600.0;
	sum = sum * f + 1.0 / 39916800.0;
	sum = sum * f + 1.0 / 3628800.0;
	sum = sum * f + 1.0 / 362880.0;
	sum = sum * f + 1.0 / 40320.0;
	sum = sum * f + 1.0 / 5040.0;
	sum = sum * f + 1.0 / 720.0;
	sum = sum * f + 1.0 / 120.0;
	sum = sum * f + 1.0 / 24.0;
	sum = sum * f + 1.0 / 6.0;
	sum = sum * f + 0.5;
	sum = sum * f + 1.0;
	sum = sum * f + 1.0;
	return sum * double_of((bits_of(shifted) + 1023) << 52);
}

/* x^p for x >= 0, p > 0. Results beyond 2^1020 stay there: infinite as a float32 all the same. */
static inline double power_of(double x, double p)
{
	double t = p * log2_of(x > 0x1p-1000 ? x : 0x1p-1000);
	t = t < 1020.0 ? t : 1020.0;
	t = t > -1020.0 ? t : -1020.0;
	double y = exp2_of(t);
	return x > 0.0 ? y : 0.0;
}

/* ---- curves ---- */

/* IEC 61966-2-1, for v >= 0. */
static inline double srgb_decode(double v)
{
	double power = power_of((v + 0.055) / 1.055, 2.4);
	return v <= 0.04045 ? v / 12.92 : power;
}

static inline double srgb_encode(double v)
{
	double power = 1.055 * power_of(v, 1.0 / 2.4) - 0.055;
	return v <= 0.0031308 ? v * 12.92 : power;
}

/* f(|v|) with v's sign; NaN stays as it is. */
#define CURVE(name, expression)                                                                                                    \
	SIMD_KERNEL static void name(float *dst, const float *src, double gamma, size_t n)                                         \
	{                                                                                                                          \
		(void)gamma;                                                                                                       \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			float value = src[i];                                                                                      \
			double v = value < 0.0f ? -(double)value : (double)value;                                                  \
			float out = (float)(expression);                                                                           \
			out = value < 0.0f ? -out : out;                                                                           \
			dst[i] = value != value || value == 0.0f ? value : out;                                                    \
		}                                                                                                                  \
	}
CURVE(curve_srgb_decode, srgb_decode(v))
CURVE(curve_srgb_encode, srgb_encode(v))
CURVE(curve_power, power_of(v, gamma))
CURVE(curve_power_srgb, srgb_encode(power_of(v, gamma)))

void curve_apply(const struct curve *curve, float *dst, const float *src, size_t n)
{
	if (curve->decode_power != 0.0 && curve->encode_srgb)
		curve_power_srgb(dst, src, curve->decode_power, n);
	else if (curve->decode_power != 0.0)
		curve_power(dst, src, curve->decode_power, n);
	else if (curve->decode_srgb)
		curve_srgb_decode(dst, src, 0.0, n);
	else
		curve_srgb_encode(dst, src, 0.0, n);
}
