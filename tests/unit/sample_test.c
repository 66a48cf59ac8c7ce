/* sample_test.c - conversions of samples, judged by definitions: a half by ldexp, a rounding by searching all halves for
 * the nearest, a division by dividing one value. Every possible 8-bit and 16-bit sample is tried. */
#include "codecs/core/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *words; /* what was wrong first in this case */

static void expect(bool right, const char *what)
{
	if (!right && !words)
		words = what;
}

static uint32_t bits(float v)
{
	uint32_t b;
	memcpy(&b, &v, sizeof b);
	return b;
}

static float from_bits(uint32_t b)
{
	float v;
	memcpy(&v, &b, sizeof v);
	return v;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state ^ *state >> 15;
}

/* ---- to float32 ---- */

static void integers(void)
{
	static const uint32_t divisors[] = {0, 1, 3, 15, 100, 255, 1000, 4095, 65535};
	static uint8_t u8[256];
	static uint16_t u16[65536];
	static unsigned char room[65536 * 4 + 1];
	for (unsigned i = 0; i < 65536; i++) {
		u8[i % 256] = (uint8_t)i;
		u16[i] = (uint16_t)i;
	}
	for (size_t d = 0; d < sizeof divisors / sizeof *divisors; d++) {
		for (unsigned wide = 0; wide < 2; wide++) {
			unsigned n = wide ? 65536 : 256;
			sample_to_f32(room + 1, wide ? (void *)u16 : (void *)u8, wide ? SAMPLE_U16 : SAMPLE_U8, divisors[d], n);
			for (unsigned i = 0; i < n; i++) {
				volatile float value = (float)i, by = divisors[d] ? (float)divisors[d] : 1.0f;
				float got;
				memcpy(&got, room + 1 + i * 4, 4);
				expect(bits(got) == bits(value / by), "an integer divided");
			}
		}
	}
}

static void wide_integers(void)
{
	/* ties: 2^24 + 1 goes down, 2^24 + 3 up; 2^32 - 1 becomes 2^32 */
	const uint32_t src[6] = {0, 16777216, 16777217, 16777219, 4294967295u, 4294967040u};
	const float plain[6] = {0, 16777216, 16777216, 16777220, 4294967296.0f, 4294967040.0f};
	float got[6];
	sample_to_f32(got, src, SAMPLE_U32, 0, 6);
	expect(memcmp(got, plain, sizeof got) == 0, "u32 as it is");
	sample_to_f32(got, src, SAMPLE_U32, 4294967295u, 6);
	for (unsigned i = 0; i < 6; i++)
		expect(got[i] == plain[i] / 4294967296.0f, "u32 divided");
}

/* The value of a half that is no NaN, IEEE 754-2008, 3.4. */
static double half_value(unsigned half)
{
	int exponent = half >> 10 & 31, fraction = half & 1023;
	double v = exponent == 31 ? INFINITY : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
	return half & 0x8000 ? -v : v;
}

static bool half_is_nan(unsigned half)
{
	return (half & 0x7fff) > 0x7c00;
}

static void halves(void)
{
	static uint16_t src[65536];
	static float got[65536];
	for (unsigned i = 0; i < 65536; i++)
		src[i] = (uint16_t)i;
	sample_to_f32(got, src, SAMPLE_F16, 255, 65536); /* a divisor has no meaning here */
	for (unsigned i = 0; i < 65536; i++) {
		uint32_t nan = (uint32_t)(i & 0x8000) << 16 | 0x7f800000 | (uint32_t)(i & 0x3ff) << 13;
		expect(bits(got[i]) == (half_is_nan(i) ? nan : bits((float)half_value(i))), "a half");
	}
}

static void floats_keep_bits(void)
{
	uint32_t state = 1, src[1000];
	unsigned char got[4001];
	for (unsigned i = 0; i < 1000; i++)
		src[i] = next_random(&state);
	src[0] = 0x7f800001; /* a signalling NaN */
	src[1] = 0xffabcdef;
	src[2] = 0x80000000;
	sample_to_f32(got + 1, src, SAMPLE_F32, 0, 1000);
	expect(memcmp(got + 1, src, sizeof src) == 0, "float32 copied");
}

/* ---- from float32 ---- */

/* The nearest half by looking at all of them; of two as near, the even one. From 65520 on it is infinite. */
static unsigned nearest_half(float v)
{
	unsigned best = 0, sign = signbit(v) ? 0x8000 : 0;
	double a = fabs((double)v);
	if (a >= 65520.0)
		return sign | 0x7c00;
	for (unsigned low = 0, high = 0x7bff; low <= high;) { /* halves are ordered as their bits */
		unsigned middle = (low + high) / 2;
		best = middle;
		if (half_value(middle) < a)
			low = middle + 1;
		else if (middle == 0)
			break;
		else
			high = middle - 1;
	}
	unsigned first = best > 1 ? best - 2 : 0;
	best = first;
	for (unsigned h = first; h < first + 5 && h < 0x7c00; h++) {
		double there = fabs(half_value(h) - a), here = fabs(half_value(best) - a);
		if (there < here || (there == here && h % 2 == 0))
			best = h;
	}
	return sign | best;
}

static void to_half(void)
{
	static float src[200000];
	static uint16_t got[200000];
	size_t n = 0;
	uint32_t state = 7;
	for (unsigned h = 0; h < 0x7c00; h += 3) { /* a half, the middle to the next, and the floats beside it */
		float v = (float)half_value(h), middle = (float)((half_value(h) + (h < 0x7bff ? half_value(h + 1) : 65536.0)) / 2);
		src[n++] = v;
		src[n++] = middle;
		src[n++] = nextafterf(middle, INFINITY);
		src[n++] = -nextafterf(middle, 0);
	}
	while (n < sizeof src / sizeof *src) {
		src[n] = from_bits(next_random(&state));
		n += isnan(src[n]) ? 0 : 1;
	}
	sample_from_f32(got, src, SAMPLE_F16, n);
	for (size_t i = 0; i < n; i++)
		expect(got[i] == nearest_half(src[i]), "rounded to half");
}

/* numpy: the payload's top ten bits; where these are 0 it would be infinite, and bit 0 is set. */
static void nan_to_half(void)
{
	const uint32_t src[5] = {0x7fc00000, 0xffc02000, 0x7f800001, 0x7f802000, 0xffffffff};
	const uint16_t want[5] = {0x7e00, 0xfe01, 0x7c01, 0x7c01, 0xffff};
	float values[5];
	uint16_t got[5];
	memcpy(values, src, sizeof src);
	sample_from_f32(got, values, SAMPLE_F16, 5);
	expect(memcmp(got, want, sizeof got) == 0, "NaN to half");
}

static void to_integers(void)
{
	uint32_t state = 3;
	for (unsigned wide = 0; wide < 2; wide++) {
		float most = wide ? 65535.0f : 255.0f;
		for (unsigned i = 0; i < 300000; i++) {
			float v = i < 70000    ? (float)i / most
				  : i < 140000 ? ((float)(i - 70000) + 0.5f) / most
					       : from_bits(next_random(&state));
			float scaled = v * most;
			double want = isnan(v) ? 0 : scaled <= 0 ? 0 : scaled >= most ? most : nearbyint((double)scaled);
			unsigned char got[3] = {0, 0, 0xa5};
			sample_from_f32(got + !wide, &v, wide ? SAMPLE_U16 : SAMPLE_U8, 1);
			uint16_t value = (uint16_t)(got[1] << 8 | got[0]);
			expect((wide ? value : got[1]) == want && got[2] == 0xa5, wide ? "to u16" : "to u8");
		}
	}
}

static void integers_stay(void)
{
	static const float src[] = {0, 1, 2, 254.5f, 255, 256, 65535, 65536, -1, 2.5f, 3.5f, NAN, INFINITY};
	static const uint16_t want[2][13] = {{0, 1, 2, 254, 255, 255, 255, 255, 0, 2, 4, 0, 255},
					     {0, 1, 2, 254, 255, 256, 65535, 65535, 0, 2, 4, 0, 65535}};
	uint8_t bytes[13];
	uint16_t shorts[13];
	sample_round_f32(bytes, src, SAMPLE_U8, 13);
	sample_round_f32(shorts, src, SAMPLE_U16, 13);
	for (unsigned i = 0; i < 13; i++)
		expect(bytes[i] == want[0][i] && shorts[i] == want[1][i], "integers as they are");
}

static void many_to_integers(void) /* the vectors do what one does */
{
	float src[77];
	uint8_t many[77], one;
	for (unsigned i = 0; i < 77; i++)
		src[i] = i % 11 == 10 ? NAN : i % 13 == 12 ? -INFINITY : (float)i / 60.0f - 0.1f;
	sample_from_f32(many, src, SAMPLE_U8, 77);
	for (unsigned i = 0; i < 77; i++) {
		sample_from_f32(&one, &src[i], SAMPLE_U8, 1);
		expect(many[i] == one, "u8 at once and alone");
	}
}

/* ---- moving ---- */

static void gathering(void)
{
	static unsigned char src[8192], got[1024], want[1024];
	for (size_t i = 0; i < sizeof src; i++)
		src[i] = (unsigned char)(i * 37 + i / 256);
	for (unsigned size = 1; size <= 4; size *= 2)
		for (ptrdiff_t step = -12; step <= 12; step++)
			for (size_t n = 0; n < 70; n += 23) {
				const unsigned char *from = src + 4096;
				memset(got, 0xa5, sizeof got);
				memset(want, 0xa5, sizeof want);
				for (size_t i = 0; i < n; i++)
					memcpy(want + 1 + i * size, from + (ptrdiff_t)i * step * (ptrdiff_t)size, size);
				sample_gather(got + 1, from, step * (ptrdiff_t)size, size, n);
				expect(memcmp(got, want, sizeof got) == 0, "gather");
				memset(got, 0xa5, sizeof got);
				for (size_t i = 0; step && i < n; i++)
					sample_scatter(got + 512 + (ptrdiff_t)i * (step < 0 ? -7 : 7), 7, from + i * size, size, 1);
				memcpy(want, got, sizeof got);
				memset(got, 0xa5, sizeof got);
				if (step)
					sample_scatter(got + 512, step < 0 ? -7 : 7, from, size, n);
				expect(memcmp(got, want, sizeof got) == 0, "scatter at once and one by one");
			}
}

static void interleaving(void)
{
	static uint32_t planes[4][100];
	static unsigned char got[1601];
	const void *list[4] = {planes[0], planes[1], planes[2], planes[3]};
	uint32_t state = 5;
	for (unsigned p = 0; p < 4; p++)
		for (unsigned i = 0; i < 100; i++)
			planes[p][i] = next_random(&state);
	for (unsigned size = 1; size <= 4; size *= 2)
		for (unsigned n = 1; n <= 4; n++) {
			memset(got, 0xa5, sizeof got);
			sample_interleave(got + 1, list, n, size, 99);
			for (unsigned i = 0; i < 99; i++)
				for (unsigned p = 0; p < n; p++)
					expect(memcmp(got + 1 + (i * n + p) * size, (unsigned char *)planes[p] + i * size, size) ==
						       0,
					       "interleave");
			expect(got[0] == 0xa5 && (99 * n * size + 1 >= sizeof got || got[99 * n * size + 1] == 0xa5),
			       "interleave writes outside");
		}
}

/* All halves in each place, and each place of 8 with a NaN; to where no float is aligned. */
static void interleaving_halves(void)
{
	enum { N = 65536 + 7 };
	static uint16_t halves[4][N];
	static float floats[4][N];
	static unsigned char got[(size_t)4 * N * 4 + 2], want[(size_t)4 * N * 4];
	const void *from[4] = {halves[0], halves[1], halves[2], halves[3]};
	const void *list[4] = {floats[0], floats[1], floats[2], floats[3]};
	for (unsigned p = 0; p < 4; p++) {
		for (unsigned i = 0; i < N; i++)
			halves[p][i] = (uint16_t)(i * (2 * p + 1) + 77 * p);
		sample_to_f32(floats[p], halves[p], SAMPLE_F16, 0, N);
	}
	for (unsigned n = 1; n <= 4; n++)
		for (size_t count = N - 16; count <= N; count++) {
			size_t len = count * n * sizeof(float);
			got[0] = got[len + 1] = 0xa5;
			sample_interleave(want, list, n, sizeof(float), count);
			if (!sample_can_interleave_f16(n))
				continue;
			sample_interleave_f16(got + 1, from, n, count);
			expect(memcmp(got + 1, want, len) == 0, "halves interleaved");
			expect(got[0] == 0xa5 && got[len + 1] == 0xa5, "interleaving halves writes outside");
		}
}

static void keys(void)
{
	const uint16_t src[8] = {5, 5, 261, 5, 0, 5, 5, 65535};
	uint8_t mask[4] = {1, 0, 1, 1};
	sample_key_match(mask, src, 4, 2, 5, 4);
	expect(mask[0] == 1 && mask[1] == 0 && mask[2] == 0 && mask[3] == 1, "key of 16 bits");
	uint8_t low[3] = {1, 1, 1};
	sample_key_match(low, src, 2, 1, 5, 3); /* 8-bit samples: the low bytes */
	expect(low[0] && low[1] && low[2], "key of 8 bits");
	uint8_t back[2] = {1, 1};
	sample_key_match(back, src + 7, -2, 2, 65535, 2);
	expect(back[0] && !back[1], "key backwards");
}

static void tables(void)
{
	float table[256], got[4];
	const uint8_t src[10] = {0, 9, 9, 255, 9, 9, 7, 9, 9, 1};
	for (unsigned i = 0; i < 256; i++)
		table[i] = (float)i * 3;
	sample_table_to_f32(got, src, 3, table, 4);
	expect(got[0] == 0 && got[1] == 765 && got[2] == 21 && got[3] == 3, "table");
	sample_table_to_f32(got, src + 9, -3, table, 4);
	expect(got[3] == 0 && got[2] == 765 && got[1] == 21 && got[0] == 3, "table backwards");
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"integers_are_divided", integers},
		{"wide_integers", wide_integers},
		{"all_halves", halves},
		{"floats_keep_their_bits", floats_keep_bits},
		{"to_half", to_half},
		{"nan_to_half", nan_to_half},
		{"to_integers", to_integers},
		{"vectors_as_scalars", many_to_integers},
		{"integers_stay", integers_stay},
		{"gather_and_scatter", gathering},
		{"interleave", interleaving},
		{"interleave_halves", interleaving_halves},
		{"keys", keys},
		{"tables", tables},
	};
	int failed = 0, count = (int)(sizeof cases / sizeof *cases);
	for (int i = 0; i < count; i++) {
		words = NULL;
		cases[i].run();
		failed += words != NULL;
		printf(words ? "FAIL %s: %s\n" : "ok %s\n", cases[i].name, words);
	}
	printf("%d passed, %d failed\n", count - failed, failed);
	return failed != 0;
}
