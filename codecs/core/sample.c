/* sample.c - stored samples <-> float32. See sample.h.
 *
 * Every loop here is one that the compiler vectorises, or a table look-up. What needs a stride goes through a small
 * buffer on the stack, so that the conversions themselves only know contiguous samples. */
#include "sample.h"

#include <string.h>

#include "simd.h"

SIMD_OPTIMIZE

/* Destinations without alignment. */
struct any_u8 {
	uint8_t v;
} __attribute__((packed, may_alias));
struct any_u16 {
	uint16_t v;
} __attribute__((packed, may_alias));
struct any_u32 {
	uint32_t v;
} __attribute__((packed, may_alias));
struct any_f32 {
	float v;
} __attribute__((packed, may_alias));

static inline uint32_t bits_of(float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static inline float f32_of(uint32_t bits)
{
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

/* ---- to float32 ---- */

SIMD_KERNEL static void u8_to_f32(struct any_f32 *restrict dst, const uint8_t *restrict src, float divisor, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = (float)src[i] / divisor;
}

SIMD_KERNEL static void u16_to_f32(struct any_f32 *restrict dst, const uint16_t *restrict src, float divisor, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = (float)src[i] / divisor;
}

SIMD_KERNEL static void u32_to_f32(struct any_f32 *restrict dst, const uint32_t *restrict src, float divisor, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = (float)src[i] / divisor;
}

#ifdef SIMD_X86
/* The quotients of 8 integers by 255 or 65535, correctly rounded: the product with the reciprocal, corrected by what is left of the
 * division (Markstein, Computation of elementary functions on the IBM RISC System/6000, 1990). The tests compare all integers
 * that there are with the division, which takes twice as long. */
#define FMA __attribute__((target("avx2,fma")))

FMA static inline __m256i load_integers(const uint8_t *src, bool wide)
{
	return wide ? _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)src))
		    : _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)src));
}

/* How many were done: all but what is left of 8. */
FMA static size_t integers_to_f32_fma(struct any_f32 *restrict dst, const uint8_t *restrict src, bool wide, float by, size_t n)
{
	const __m256 divisor = _mm256_set1_ps(by), reciprocal = _mm256_set1_ps(1.0f / by);
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_cvtepi32_ps(load_integers(src + (wide ? 2 * i : i), wide)),
		       quotient = _mm256_mul_ps(v, reciprocal);
		__m256 left = _mm256_fnmadd_ps(quotient, divisor, v);
		_mm256_storeu_ps((void *)(dst + i), _mm256_fmadd_ps(left, reciprocal, quotient));
	}
	return i;
}
#endif

/* How many of the first were done: of full bytes and words, on a processor that can. */
static size_t divide_quickly(struct any_f32 *dst, const void *src, enum sample_type type, uint32_t divisor, size_t n)
{
#ifdef SIMD_X86
	if (divisor == (type == SAMPLE_U8 ? 255 : 65535) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return integers_to_f32_fma(dst, src, type == SAMPLE_U16, (float)divisor, n);
#endif
	(void)dst, (void)src, (void)type, (void)divisor, (void)n;
	return 0;
}

/* IEEE 754 binary16 -> binary32 by its bits: the hardware's conversion would quiet signalling NaNs. */
static inline uint32_t half_bits_to_f32_bits(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
	/* 2^-24 is half's smallest step, so that rest * 2^-24 is a subnormal's value, exactly */
	uint32_t subnormal = bits_of((float)(int32_t)rest * 0x1p-24f);
	uint32_t normal = (rest << 13) + 0x38000000;  /* exponent bias 15 -> 127 */
	uint32_t special = (rest << 13) + 0x70000000; /* exponent 31 -> 255, payload kept */
	return sign | (rest < 0x0400 ? subnormal : rest < 0x7c00 ? normal : special);
}

SIMD_KERNEL static void f16_bits_to_f32(struct any_u32 *restrict dst, const uint16_t *restrict src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = half_bits_to_f32_bits(src[i]);
}

#ifdef SIMD_X86
/* The hardware converts 8 at once but sets a bit of signalling NaNs: where there is a NaN, it is done by the bits. */
#define F16C __attribute__((target("avx,f16c")))

F16C static inline __m128i nans_among(__m128i halves)
{
	return _mm_cmpgt_epi16(_mm_and_si128(halves, _mm_set1_epi16(0x7fff)), _mm_set1_epi16(0x7c00));
}

F16C static void f16_to_f32_f16c(struct any_u32 *restrict dst, const uint16_t *restrict src, size_t n)
{
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		__m128i halves = _mm_loadu_si128((const void *)(src + i));
		if (_mm_movemask_epi8(nans_among(halves)))
			f16_bits_to_f32(dst + i, src + i, 8);
		else
			_mm256_storeu_ps((void *)(dst + i), _mm256_cvtph_ps(halves));
	}
	f16_bits_to_f32(dst + i, src + i, n - i);
}
#endif

static void f16_to_f32(struct any_u32 *restrict dst, const uint16_t *restrict src, size_t n)
{
#ifdef SIMD_X86
	if (__builtin_cpu_supports("avx2")) { /* none has it without F16C */
		f16_to_f32_f16c(dst, src, n);
		return;
	}
#endif
	f16_bits_to_f32(dst, src, n);
}

SIMD_KERNEL static void u16_swap(uint16_t *samples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		samples[i] = (uint16_t)(samples[i] << 8 | samples[i] >> 8);
}

void sample_u16_from_be(uint16_t *samples, size_t n)
{
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		u16_swap(samples, n);
}

void sample_to_f32(void *dst, const void *src, enum sample_type type, uint32_t divisor, size_t n)
{
	float by = divisor ? (float)divisor : 1.0f;
	struct any_f32 *floats = dst;
	size_t done = type == SAMPLE_U8 || type == SAMPLE_U16 ? divide_quickly(floats, src, type, divisor, n) : 0;
	switch (type) {
	case SAMPLE_U8:
		u8_to_f32(floats + done, (const uint8_t *)src + done, by, n - done);
		break;
	case SAMPLE_U16:
		u16_to_f32(floats + done, (const uint16_t *)src + done, by, n - done);
		break;
	case SAMPLE_U32:
		u32_to_f32(dst, src, by, n);
		break;
	case SAMPLE_F16:
		f16_to_f32(dst, src, n);
		break;
	case SAMPLE_F32:
		memcpy(dst, src, n * sizeof(float));
		break;
	}
}

void sample_table_to_f32(void *dst, const uint8_t *src, ptrdiff_t step_bytes, const float table[256], size_t n)
{
	struct any_f32 *out = dst;
	for (size_t i = 0; i < n; i++, src += step_bytes)
		out[i].v = table[*src];
}

/* ---- from float32 ---- */

/* v * scale clamped to [0, most]; the comparison is false for NaN, which becomes 0. Adding and taking away 1.5 * 2^23
 * rounds to the nearest integer, ties to even, as numpy's rint. */
static inline uint32_t quantise(float v, float scale, float most)
{
	float t = v * scale;
	t = t > 0.0f ? t : 0.0f;
	t = t < most ? t : most;
	return bits_of(t + 0x1.8p23f) & 0x3fffff;
}

SIMD_KERNEL static void f32_to_u8(struct any_u8 *restrict dst, const float *restrict src, float scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = (uint8_t)quantise(src[i], scale, 255.0f);
}

SIMD_KERNEL static void f32_to_u16(struct any_u16 *restrict dst, const float *restrict src, float scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = (uint16_t)quantise(src[i], scale, 65535.0f);
}

/* binary32 -> binary16, round to nearest even, NaN as numpy's npy_floatbits_to_halfbits: payload cut, never to zero. */
static inline uint16_t f32_bits_to_half_bits(uint32_t bits)
{
	uint32_t sign = (bits >> 16) & 0x8000, rest = bits & 0x7fffffff;
	uint32_t payload = (rest >> 13) & 0x3ff;
	uint32_t nan = 0x7c00 | payload | (payload == 0);
	uint32_t normal = (rest - 0x38000000 + 0xfff + ((rest >> 13) & 1)) >> 13;
	/* below 2^-14: adding 0.5 leaves the multiple of 2^-24 in the low bits, rounded by the addition itself */
	uint32_t subnormal = bits_of(f32_of(rest < 0x38800000 ? rest : 0) + 0.5f) - 0x3f000000;
	uint32_t finite = rest < 0x38800000 ? subnormal : rest < 0x477ff000 ? normal : 0x7c00;
	return (uint16_t)(sign | (rest > 0x7f800000 ? nan : finite));
}

SIMD_KERNEL static void f32_to_f16(struct any_u16 *restrict dst, const uint32_t *restrict src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i].v = f32_bits_to_half_bits(src[i]);
}

static void from_f32(void *dst, const float *src, enum sample_type type, bool scaled, size_t n)
{
	switch (type) {
	case SAMPLE_U8:
		f32_to_u8(dst, src, scaled ? 255.0f : 1.0f, n);
		break;
	case SAMPLE_U16:
		f32_to_u16(dst, src, scaled ? 65535.0f : 1.0f, n);
		break;
	case SAMPLE_F16:
		f32_to_f16(dst, (const uint32_t *)(const void *)src, n);
		break;
	case SAMPLE_U32: /* not a destination */
	case SAMPLE_F32:
		memcpy(dst, src, n * sizeof(float));
		break;
	}
}

void sample_from_f32(void *dst, const float *src, enum sample_type type, size_t n)
{
	from_f32(dst, src, type, true, n);
}

void sample_round_f32(void *dst, const float *src, enum sample_type type, size_t n)
{
	from_f32(dst, src, type, false, n);
}

/* ---- moving ---- */

/* gather_<type>_<step>: every step-th sample, the step known to the compiler. */
#define GATHER(type, step)                                                                                                         \
	SIMD_KERNEL static void gather_##type##_##step(struct any_##type *restrict dst, const struct any_##type *restrict src,     \
						       size_t n)                                                                   \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++)                                                                                     \
			dst[i].v = src[i * step].v;                                                                                \
	}
GATHER(u8, 2)
GATHER(u8, 3)
GATHER(u8, 4)
GATHER(u16, 2)
GATHER(u16, 3)
GATHER(u16, 4)
GATHER(u32, 2)
GATHER(u32, 3)
GATHER(u32, 4)

/* Any step. */
#define GATHER_ANY(type)                                                                                                           \
	static void gather_##type(struct any_##type *restrict dst, const unsigned char *restrict src, ptrdiff_t step, size_t n)    \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++, src += step)                                                                        \
			dst[i] = *(const struct any_##type *)(const void *)src;                                                    \
	}
GATHER_ANY(u8)
GATHER_ANY(u16)
GATHER_ANY(u32)

void sample_gather(void *dst, const void *src, ptrdiff_t src_step_bytes, unsigned size_bytes, size_t n)
{
	static void (*const u8[])(struct any_u8 *, const struct any_u8 *, size_t) = {gather_u8_2, gather_u8_3, gather_u8_4};
	static void (*const u16[])(struct any_u16 *, const struct any_u16 *, size_t) = {gather_u16_2, gather_u16_3, gather_u16_4};
	static void (*const u32[])(struct any_u32 *, const struct any_u32 *, size_t) = {gather_u32_2, gather_u32_3, gather_u32_4};
	ptrdiff_t step = src_step_bytes / (ptrdiff_t)size_bytes;
	bool near = step >= 2 && step <= 4 && src_step_bytes % (ptrdiff_t)size_bytes == 0;
	if (step == 1)
		memcpy(dst, src, n * size_bytes);
	else if (size_bytes == 1)
		near ? u8[step - 2](dst, src, n) : gather_u8(dst, src, src_step_bytes, n);
	else if (size_bytes == 2)
		near ? u16[step - 2](dst, src, n) : gather_u16(dst, src, src_step_bytes, n);
	else
		near ? u32[step - 2](dst, src, n) : gather_u32(dst, src, src_step_bytes, n);
}

#define SCATTER(type)                                                                                                              \
	static void scatter_##type(unsigned char *dst, ptrdiff_t step, const struct any_##type *src, size_t n)                     \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++, dst += step)                                                                        \
			*(struct any_##type *)(void *)dst = src[i];                                                                \
	}
SCATTER(u8)
SCATTER(u16)
SCATTER(u32)

void sample_scatter(void *dst, ptrdiff_t dst_step_bytes, const void *src, unsigned size_bytes, size_t n)
{
	if (dst_step_bytes == (ptrdiff_t)size_bytes)
		memcpy(dst, src, n * size_bytes);
	else if (size_bytes == 1)
		scatter_u8(dst, dst_step_bytes, src, n);
	else if (size_bytes == 2)
		scatter_u16(dst, dst_step_bytes, src, n);
	else
		scatter_u32(dst, dst_step_bytes, src, n);
}

#define INTERLEAVE(type, integer)                                                                                                  \
	SIMD_KERNEL static void interleave_##type##_2(struct any_##type *restrict dst, const integer *restrict a,                  \
						      const integer *restrict b, size_t n)                                         \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			dst[i * 2].v = a[i];                                                                                       \
			dst[i * 2 + 1].v = b[i];                                                                                   \
		}                                                                                                                  \
	}                                                                                                                          \
	SIMD_KERNEL static void interleave_##type##_3(struct any_##type *restrict dst, const integer *restrict a,                  \
						      const integer *restrict b, const integer *restrict c, size_t n)              \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			dst[i * 3].v = a[i];                                                                                       \
			dst[i * 3 + 1].v = b[i];                                                                                   \
			dst[i * 3 + 2].v = c[i];                                                                                   \
		}                                                                                                                  \
	}                                                                                                                          \
	SIMD_KERNEL static void interleave_##type##_4(struct any_##type *restrict dst, const integer *restrict a,                  \
						      const integer *restrict b, const integer *restrict c,                        \
						      const integer *restrict d, size_t n)                                         \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			dst[i * 4].v = a[i];                                                                                       \
			dst[i * 4 + 1].v = b[i];                                                                                   \
			dst[i * 4 + 2].v = c[i];                                                                                   \
			dst[i * 4 + 3].v = d[i];                                                                                   \
		}                                                                                                                  \
	}                                                                                                                          \
	static void interleave_##type(void *dst, const void *const *planes, unsigned nplanes, size_t n)                            \
	{                                                                                                                          \
		if (nplanes == 2)                                                                                                  \
			interleave_##type##_2(dst, planes[0], planes[1], n);                                                       \
		else if (nplanes == 3)                                                                                             \
			interleave_##type##_3(dst, planes[0], planes[1], planes[2], n);                                            \
		else                                                                                                               \
			interleave_##type##_4(dst, planes[0], planes[1], planes[2], planes[3], n);                                 \
	}
INTERLEAVE(u8, uint8_t)
INTERLEAVE(u16, uint16_t)
INTERLEAVE(u32, uint32_t)

void sample_interleave(void *dst, const void *const *planes, unsigned nplanes, unsigned size_bytes, size_t n)
{
	if (nplanes == 1)
		memcpy(dst, planes[0], n * size_bytes);
	else if (size_bytes == 1)
		interleave_u8(dst, planes, nplanes, n);
	else if (size_bytes == 2)
		interleave_u16(dst, planes, nplanes, n);
	else
		interleave_u32(dst, planes, nplanes, n);
}

#ifdef SIMD_X86
/* As f16_bits_to_f32, interleaved. */
static void interleave_f16_bits(unsigned char *dst, const void *const *planes, unsigned nplanes, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned p = 0; p < nplanes; p++, dst += sizeof(float))
			((struct any_u32 *)(void *)dst)->v = half_bits_to_f32_bits(((const uint16_t *)planes[p])[first + i]);
}

F16C static inline __m128i load_halves(const void *const *planes, unsigned p, size_t i)
{
	return _mm_loadu_si128((const void *)((const uint16_t *)planes[p] + i));
}

/* Four floats to dst, the other four as far behind as the first four pixels reach. */
F16C static inline void store_apart(unsigned char *dst, unsigned nplanes, __m256 both)
{
	_mm_storeu_si128((__m128i *)(void *)dst, _mm_castps_si128(_mm256_castps256_ps128(both)));
	_mm_storeu_si128((__m128i *)(void *)(dst + (size_t)16 * nplanes), _mm_castps_si128(_mm256_extractf128_ps(both, 1)));
}

/* 8 pixels; within each half of a register four pixels are put in order. */
F16C static inline void interleave_3_floats(unsigned char *dst, __m256 a, __m256 b, __m256 c)
{
	__m256 ab = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)); /* a0 a2 b0 b2 */
	__m256 bc = _mm256_shuffle_ps(b, c, _MM_SHUFFLE(3, 1, 3, 1)); /* b1 b3 c1 c3 */
	__m256 ca = _mm256_shuffle_ps(c, a, _MM_SHUFFLE(3, 1, 2, 0)); /* c0 c2 a1 a3 */
	store_apart(dst, 3, _mm256_shuffle_ps(ab, ca, _MM_SHUFFLE(2, 0, 2, 0)));
	store_apart(dst + 16, 3, _mm256_shuffle_ps(bc, ab, _MM_SHUFFLE(3, 1, 2, 0)));
	store_apart(dst + 32, 3, _mm256_shuffle_ps(ca, bc, _MM_SHUFFLE(3, 1, 3, 1)));
}

F16C static inline void interleave_4_floats(unsigned char *dst, __m256 a, __m256 b, __m256 c, __m256 d)
{
	__m256 ab01 = _mm256_unpacklo_ps(a, b), ab23 = _mm256_unpackhi_ps(a, b);
	__m256 cd01 = _mm256_unpacklo_ps(c, d), cd23 = _mm256_unpackhi_ps(c, d);
	store_apart(dst, 4, _mm256_shuffle_ps(ab01, cd01, _MM_SHUFFLE(1, 0, 1, 0)));
	store_apart(dst + 16, 4, _mm256_shuffle_ps(ab01, cd01, _MM_SHUFFLE(3, 2, 3, 2)));
	store_apart(dst + 32, 4, _mm256_shuffle_ps(ab23, cd23, _MM_SHUFFLE(1, 0, 1, 0)));
	store_apart(dst + 48, 4, _mm256_shuffle_ps(ab23, cd23, _MM_SHUFFLE(3, 2, 3, 2)));
}

F16C static void interleave_f16_f16c(unsigned char *dst, const void *const *planes, unsigned nplanes, size_t n)
{
	size_t i = 0;
	for (; i + 8 <= n; i += 8, dst += (size_t)32 * nplanes) {
		__m128i a = load_halves(planes, 0, i), b = load_halves(planes, 1, i), c = load_halves(planes, 2, i);
		__m128i d = nplanes == 4 ? load_halves(planes, 3, i) : a;
		__m128i nans = _mm_or_si128(_mm_or_si128(nans_among(a), nans_among(b)), _mm_or_si128(nans_among(c), nans_among(d)));
		if (_mm_movemask_epi8(nans))
			interleave_f16_bits(dst, planes, nplanes, i, 8);
		else if (nplanes == 3)
			interleave_3_floats(dst, _mm256_cvtph_ps(a), _mm256_cvtph_ps(b), _mm256_cvtph_ps(c));
		else
			interleave_4_floats(dst, _mm256_cvtph_ps(a), _mm256_cvtph_ps(b), _mm256_cvtph_ps(c), _mm256_cvtph_ps(d));
	}
	interleave_f16_bits(dst, planes, nplanes, i, n - i);
}
#endif

bool sample_can_interleave_f16(unsigned nplanes)
{
#ifdef SIMD_X86
	return nplanes >= 3 && __builtin_cpu_supports("avx2"); /* none has it without F16C */
#else
	(void)nplanes;
	return false;
#endif
}

void sample_interleave_f16(void *dst, const void *const *planes, unsigned nplanes, size_t n)
{
#ifdef SIMD_X86
	interleave_f16_f16c(dst, planes, nplanes, n);
#else
	(void)dst, (void)planes, (void)nplanes, (void)n;
#endif
}

void sample_key_match(uint8_t *mask, const void *src, ptrdiff_t step_bytes, unsigned size_bytes, uint32_t key, size_t n)
{
	const unsigned char *at = src;
	for (size_t i = 0; i < n; i++, at += step_bytes) {
		uint32_t value = size_bytes == 1   ? *at
				 : size_bytes == 2 ? ((const struct any_u16 *)(const void *)at)->v
						   : ((const struct any_u32 *)(const void *)at)->v;
		mask[i] &= value == key;
	}
}
