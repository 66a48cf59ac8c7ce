/* ycc.c - see ycc.h. */
#include "ycc.h"

#include <string.h>

#include "simd.h"

SIMD_OPTIMIZE

enum {
	PIECE = 512, /* pixels made at once: even */
	PLANE_ALIGN = 64,
};

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

void ycc_layout(const struct codec_part *part, uint32_t cy, struct ycc_layout *ret_layout)
{
	struct codec_chunk_layout chunk;
	codec_chunk_layout(part, 0, 0, cy, &chunk, NULL);
	*ret_layout = (struct ycc_layout){.y = chunk.y, .rows = chunk.height};
	size_t at = 0;
	for (unsigned p = 0; p < YCC_PLANES; p++) {
		struct ycc_plane *plane = &ret_layout->planes[p];
		uint32_t xsampling = p ? part->chroma_x : 1, ysampling = p ? part->chroma_y : 1;
		plane->width = (chunk.width + xsampling - 1) / xsampling;
		plane->height = (chunk.height + ysampling - 1) / ysampling;
		plane->row_bytes = round_up(plane->width, YCC_BLOCK);
		size_t before = ysampling > 1 ? plane->row_bytes : 0;
		plane->offset = round_up(at + before, PLANE_ALIGN);
		at = plane->offset + round_up(plane->height, p ? YCC_BLOCK : YCC_BLOCK * part->chroma_y) * plane->row_bytes +
		     before;
	}
	ret_layout->len_bytes = at;
}

/* ---- the arithmetic: chroma as signed 16-bit numbers ---- */

SIMD_KERNEL static void sum_rows(int16_t *restrict dst, const uint8_t *near, const uint8_t *far, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (int16_t)(3 * near[i] + far[i]);
}

SIMD_KERNEL static void widen_row(int16_t *restrict dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = src[i];
}

/* Twice as many, less 128; sums[-1] and sums[n] are there. even, odd: what is added to round. */
#define SPREAD(name, even, odd, shift)                                                                                             \
	SIMD_KERNEL static void name(int16_t *restrict dst, const int16_t *restrict sums, size_t n)                                \
	{                                                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                                                   \
			int16_t near = (int16_t)(3 * sums[i]);                                                                     \
			int16_t left = (int16_t)(near + sums[(ptrdiff_t)i - 1] + (even));                                          \
			int16_t right = (int16_t)(near + sums[i + 1] + (odd));                                                     \
			dst[2 * i] = (int16_t)((int16_t)(left >> (shift)) - 128);                                                  \
			dst[2 * i + 1] = (int16_t)((int16_t)(right >> (shift)) - 128);                                             \
		}                                                                                                                  \
	}
SPREAD(spread_sums, 8, 7, 4)
SPREAD(spread_row, 1, 2, 2)

static inline uint8_t clamp_u8(int v)
{
	return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* The factors are 65536 + 26345, 131072 - 14942 and, of Cr, 18734 - 65536: what is left of them fits 16 bits. */
enum { RED_CR = 26345, BLUE_CB = -14942, GREEN_CR = 18734, GREEN_CB = -22554, HALF = 32768 };

static void to_rgb_plain(uint8_t *restrict dst, const uint8_t *restrict luma, const int16_t *restrict cb,
			 const int16_t *restrict cr, size_t n)
{
	for (size_t i = 0; i < n; i++, dst += YCC_PLANES) {
		int y = luma[i], u = cb[i], v = cr[i];
		dst[0] = clamp_u8(y + v + ((RED_CR * v + HALF) >> 16));
		dst[1] = clamp_u8(y - v + ((GREEN_CR * v + GREEN_CB * u + HALF) >> 16));
		dst[2] = clamp_u8(y + 2 * u + ((BLUE_CB * u + HALF) >> 16));
	}
}

#ifdef SIMD_X86
#define AVX2 __attribute__((target("avx2")))

/* (factor * v + HALF) >> 16 of numbers within -128..127. */
AVX2 static inline __m256i scale(__m256i v, int16_t factor)
{
	__m256i twice = _mm256_mulhi_epi16(_mm256_add_epi16(v, v), _mm256_set1_epi16(factor));
	return _mm256_srai_epi16(_mm256_add_epi16(twice, _mm256_set1_epi16(1)), 1);
}

AVX2 static inline __m256i mix_green(__m256i pairs)
{
	const __m256i factors = _mm256_set1_epi32((int)((uint32_t)GREEN_CR << 16 | (uint16_t)GREEN_CB));
	return _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(pairs, factors), _mm256_set1_epi32(HALF)), 16);
}

AVX2 static inline __m128i clamp_all(__m256i v)
{
	return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* Byte 3 i + p of the 16 bytes at `at` of the interleaved 48 is byte i of plane p; -1 where another plane's is. */
#define FROM(at, p, k) (((at) + (k)) % 3 == (p) ? ((at) + (k)) / 3 : -1)
#define PICK(at, p)                                                                                                                \
	_mm_setr_epi8(FROM(at, p, 0), FROM(at, p, 1), FROM(at, p, 2), FROM(at, p, 3), FROM(at, p, 4), FROM(at, p, 5),              \
		      FROM(at, p, 6), FROM(at, p, 7), FROM(at, p, 8), FROM(at, p, 9), FROM(at, p, 10), FROM(at, p, 11),            \
		      FROM(at, p, 12), FROM(at, p, 13), FROM(at, p, 14), FROM(at, p, 15))
#define STORE_16(dst, at, r, g, b)                                                                                                 \
	_mm_storeu_si128((void *)((dst) + (at)),                                                                                   \
			 _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, PICK(at, 0)), _mm_shuffle_epi8(g, PICK(at, 1))),            \
				      _mm_shuffle_epi8(b, PICK(at, 2))))

/* How many were done: all but what is left of 16. */
AVX2 static size_t to_rgb_avx2(uint8_t *restrict dst, const uint8_t *restrict luma, const int16_t *restrict cb,
			       const int16_t *restrict cr, size_t n)
{
	size_t i = 0;
	for (; i + 16 <= n; i += 16, dst += 16 * YCC_PLANES) {
		__m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(luma + i)));
		__m256i u = _mm256_loadu_si256((const void *)(cb + i)), v = _mm256_loadu_si256((const void *)(cr + i));
		__m256i mixed = _mm256_packs_epi32(mix_green(_mm256_unpacklo_epi16(u, v)), mix_green(_mm256_unpackhi_epi16(u, v)));
		__m128i r = clamp_all(_mm256_add_epi16(_mm256_add_epi16(y, v), scale(v, RED_CR)));
		__m128i g = clamp_all(_mm256_add_epi16(_mm256_sub_epi16(y, v), mixed));
		__m128i b = clamp_all(_mm256_add_epi16(_mm256_add_epi16(y, u), _mm256_add_epi16(u, scale(u, BLUE_CB))));
		STORE_16(dst, 0, r, g, b);
		STORE_16(dst, 16, r, g, b);
		STORE_16(dst, 32, r, g, b);
	}
	return i;
}
#endif

static void to_rgb(uint8_t *dst, const uint8_t *luma, const int16_t *cb, const int16_t *cr, size_t n)
{
	size_t done = 0;
#ifdef SIMD_X86
	if (__builtin_cpu_supports("avx2"))
		done = to_rgb_avx2(dst, luma, cb, cr, n);
#endif
	to_rgb_plain(dst + done * YCC_PLANES, luma + done, cb + done, cr + done, n - done);
}

/* Chroma samples first to first + n of one plane in row y, upsampled to 2 n. */
static void upsample(const struct codec_part *part, const struct ycc_plane *plane, const uint8_t *kept, uint32_t y, uint32_t first,
		     uint32_t n, int16_t *dst)
{
	int16_t sums[PIECE / 2 + 2]; /* with a neighbour at each end */
	uint32_t row = y / part->chroma_y, from = first ? first - 1 : 0, to = first + n < plane->width ? first + n + 1 : first + n;
	const uint8_t *near = kept + plane->offset + row * plane->row_bytes + from;
	int16_t *at = sums + (first ? 0 : 1);
	if (part->chroma_y > 1)
		sum_rows(at, near, y % 2 ? near + plane->row_bytes : near - plane->row_bytes, to - from);
	else
		widen_row(at, near, to - from);
	if (!first)
		sums[0] = sums[1];
	if (first + n == plane->width)
		sums[n + 1] = sums[n];
	if (part->chroma_y > 1)
		spread_sums(dst, sums + 1, n);
	else
		spread_row(dst, sums + 1, n);
}

void ycc_row_to_rgb(const struct codec_part *part, const struct ycc_layout *layout, const uint8_t *kept, uint32_t x, uint32_t y,
		    uint32_t width, uint8_t *dst)
{
	int16_t cb[PIECE], cr[PIECE];
	const uint8_t *luma = kept + layout->planes[0].offset + (y - layout->y) * layout->planes[0].row_bytes;
	for (uint32_t end = x + width, skip, n; x < end; x += n) {
		skip = x % 2; /* a pair of pixels has one chroma sample */
		n = end - x < PIECE - skip ? end - x : PIECE - skip;
		uint32_t pairs = (skip + n + 1) / 2;
		upsample(part, &layout->planes[1], kept, y - layout->y, x / 2, pairs, cb);
		upsample(part, &layout->planes[2], kept, y - layout->y, x / 2, pairs, cr);
		to_rgb(dst, luma + x, cb + skip, cr + skip, n);
		dst += (size_t)YCC_PLANES * n;
	}
}
