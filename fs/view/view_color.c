/* view_color.c - transfer curves. The powers are computed here, not by libm, so that the compiler can vectorise them and
 * every machine gives the same bits: relative error below 2^-40, far less than a float32 shows. */
#include "view_color.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "codecs/core/simd.h"

SIMD_OPTIMIZE

struct transfer transfer_of_color(const struct codec_color *color)
{
	static const struct {
		const char *name;
		enum transfer_kind kind;
	} known[] = {{"linear", TRANSFER_LINEAR}, {"srgb", TRANSFER_SRGB},      {"gamma", TRANSFER_GAMMA},
		     {"bt709", TRANSFER_BT709},   {"pq", TRANSFER_PQ},          {"hlg", TRANSFER_HLG},
		     {"icc", TRANSFER_ICC},       {"unknown", TRANSFER_UNKNOWN}};
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

struct curve curve_of_transfer(const struct transfer *transfer)
{
	static const uint8_t decode[] = {
		[TRANSFER_SRGB] = DECODE_SRGB, [TRANSFER_GAMMA] = DECODE_POWER, [TRANSFER_BT709] = DECODE_BT709,
		[TRANSFER_PQ] = DECODE_PQ,     [TRANSFER_HLG] = DECODE_HLG,     [TRANSFER_ICC] = DECODE_NOTHING};
	return (struct curve){.decode = decode[transfer->kind], .power = transfer->gamma};
}

struct curve curve_of_profile(const struct icc_curve *profile)
{
	static const uint8_t decode[] = {[ICC_FORM_LINEAR] = DECODE_NOTHING,
					 [ICC_FORM_SRGB] = DECODE_SRGB,
					 [ICC_FORM_POWER] = DECODE_POWER,
					 [ICC_FORM_PARAMETRIC] = DECODE_FORMULA,
					 [ICC_FORM_TABLE] = DECODE_TABLE};
	return (struct curve){.decode = decode[icc_curve_form(profile)], .power = profile->g, .profile = profile};
}

bool curve_acts(const struct curve *curve)
{
	return curve->decode != DECODE_NOTHING || curve->encode_srgb;
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

/* ITU-T H.273 table 3, 1: the constants that make both pieces meet. */
static inline double bt709_decode(double v)
{
	const double alpha = 1.099296826809442, beta = 0.018053968510807;
	double power = power_of((v + (alpha - 1.0)) / alpha, 1.0 / 0.45);
	return v < 4.5 * beta ? v / 4.5 : power;
}

/* H.273 table 3, 16: its constants are fractions of 4096. */
static inline double pq_decode(double v)
{
	const double m1 = 2610.0 / 16384.0, m2 = 2523.0 / 32.0, c1 = 107.0 / 128.0, c2 = 2413.0 / 128.0, c3 = 2392.0 / 128.0;
	double n = power_of(v, 1.0 / m2), above = n - c1, below = c2 - c3 * n;
	above = above > 0.0 ? above : 0.0;
	double power = power_of(above / (below > 0.0 ? below : 1.0), 1.0 / m1);
	return below > 0.0 ? power : (double)INFINITY;
}

/* H.273 table 3, 18. */
static inline double hlg_decode(double v)
{
	const double a = 0.17883277, b = 0.28466892, c = 0.55991073;
	double t = (v - c) / a * 1.4426950408889634; /* 1 / ln 2 */
	t = t < 1020.0 ? t : 1020.0;
	t = t > -1020.0 ? t : -1020.0;
	double exponential = (exp2_of(t) + b) / 12.0;
	return v <= 0.5 ? v * v / 3.0 : exponential;
}

/* The formula of icc.h, for v >= 0. */
static inline double formula_decode(double v, const struct icc_curve *p)
{
	double power = power_of(p->a * v + p->b, p->g) + p->e; /* of a negative base: 0 */
	double line = p->c * v + p->f;
	return v >= p->d ? power : line;
}

static inline double table_decode(double v, const struct icc_curve *p)
{
	double place = (v < 1.0 ? v > 0.0 ? v : 0.0 : 1.0) * (p->nentries - 1); /* NaN: 1, and not used */
	int32_t i = (int32_t)place, last = (int32_t)p->nentries - 2;
	i = i < last ? i : last;
	double low = (double)p->entries[i], high = (double)p->entries[i + 1];
	return (low + (high - low) * (place - i)) / 65535.0;
}

/* Of either sign. */
static inline double encode_either(double v)
{
	double positive = srgb_encode(v < 0.0 ? -v : v);
	return v < 0.0 ? -positive : positive;
}

static inline double encode_nothing(double v)
{
	return v;
}

/* encode(decoded(|v|)), negative values by symmetry about f(0), which is `at_zero`; NaN stays as it is. */
#define CURVE(name, decoded, at_zero, encode)                                                                                      \
	SIMD_KERNEL static void name(const struct curve *curve, float *dst, const float *src, size_t n)                            \
	{                                                                                                                          \
		const struct icc_curve profile = curve->profile ? *curve->profile : (struct icc_curve){0};                         \
		const double gamma = curve->power, zero = at_zero;                                                                 \
		(void)gamma, (void)profile;                                                                                        \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			float value = src[i];                                                                                      \
			double v = value < 0.0f ? -(double)value : (double)value;                                                  \
			double linear = decoded;                                                                                   \
			linear = value < 0.0f ? 2.0 * zero - linear : linear;                                                      \
			float out = (float)encode(linear), origin = zero == 0.0 ? value : out;                                     \
			out = value == 0.0f ? origin : out;                                                                        \
			dst[i] = value != value ? value : out;                                                                     \
		}                                                                                                                  \
	}
#define CURVES(name, decoded, at_zero)                                                                                             \
	CURVE(name, decoded, at_zero, encode_nothing)                                                                              \
	CURVE(name##_srgb, decoded, at_zero, encode_either)
CURVES(curve_nothing, v, 0.0)
CURVES(curve_srgb, srgb_decode(v), 0.0)
CURVES(curve_power, power_of(v, gamma), 0.0)
CURVES(curve_bt709, bt709_decode(v), 0.0)
CURVES(curve_pq, pq_decode(v), 0.0)
CURVES(curve_hlg, hlg_decode(v), 0.0)
CURVES(curve_formula, formula_decode(v, &profile), formula_decode(0.0, &profile))
CURVE(curve_table, table_decode(v, &profile), table_decode(0.0, &profile), encode_nothing)

SIMD_KERNEL static void encode_batch(float *dst, const double *light, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double encoded = encode_either(light[i]);
		dst[i] = (float)(light[i] != light[i] ? light[i] : encoded);
	}
}

/* Looking up doesn't vectorise and encoding does: one after the other, still rounded once. */
static void curve_table_srgb(const struct curve *curve, float *dst, const float *src, size_t n)
{
	enum { BATCH = 256 };
	const double zero = table_decode(0.0, curve->profile);
	double light[BATCH];
	for (size_t done = 0; done < n; done += BATCH) {
		size_t count = n - done < BATCH ? n - done : BATCH;
		for (size_t i = 0; i < count; i++) {
			double v = (double)src[done + i], decoded = table_decode(v < 0.0 ? -v : v, curve->profile);
			light[i] = v != v || (v == 0.0 && zero == 0.0) ? v : v < 0.0 ? 2.0 * zero - decoded : decoded;
		}
		encode_batch(dst + done, light, count);
	}
}

void curve_apply(const struct curve *curve, float *dst, const float *src, size_t n)
{
	typedef void kernel(const struct curve *curve, float *dst, const float *src, size_t n);
	static kernel *const kernels[][2] = {[DECODE_NOTHING] = {curve_nothing, curve_nothing_srgb},
					     [DECODE_SRGB] = {curve_srgb, curve_srgb_srgb},
					     [DECODE_POWER] = {curve_power, curve_power_srgb},
					     [DECODE_BT709] = {curve_bt709, curve_bt709_srgb},
					     [DECODE_PQ] = {curve_pq, curve_pq_srgb},
					     [DECODE_HLG] = {curve_hlg, curve_hlg_srgb},
					     [DECODE_FORMULA] = {curve_formula, curve_formula_srgb},
					     [DECODE_TABLE] = {curve_table, curve_table_srgb}};
	kernels[curve->decode][curve->encode_srgb](curve, dst, src, n);
}

void curve_apply_covered(const struct curve *curve, float *dst, const float *colour, const float *alpha, size_t n)
{
	enum { BATCH = 256 };
	float cover[BATCH], straight[BATCH];
	for (size_t done = 0; done < n; done += BATCH) {
		size_t count = n - done < BATCH ? n - done : BATCH;
		for (size_t i = 0; i < count; i++) {
			float c = colour[done + i], a = alpha[done + i], quotient = c / (a == 0.0f ? 1.0f : a);
			bool covered = a != 0.0f && fabsf(a) <= FLT_MAX && fabsf(quotient) <= FLT_MAX;
			straight[i] = covered ? quotient : c;
			cover[i] = covered ? a : 1.0f;
		}
		curve_apply(curve, straight, straight, count);
		for (size_t i = 0; i < count; i++)
			dst[done + i] = straight[i] * cover[i];
	}
}
