/* exr_pxr24.c - PXR24 ("Data Compression" of OpenEXR's technical introduction): of each row of a channel the differences
 * between neighbouring samples are kept, as integers: of a half's 16 bits, of the upper 24 bits of a float, of an uint's 32. The
 * bytes of a row's differences are split into planes, all the highest ones first, and the rows of the chunk are deflated
 * together. Making it is lossy for floats; undoing it is not.
 *
 * The OpenEXR library does the same through zlib, byte by byte, and takes more than twice as long. */
#include "exr.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

static __m128i load(const uint8_t *src)
{
	return _mm_loadl_epi64((const __m128i *)(const void *)src); /* eight bytes */
}

static void store(uint8_t *dst, __m128i value)
{
	_mm_storeu_si128((__m128i *)(void *)dst, value);
}

/* The running sum of four numbers behind *before, their last one in all four places of which it becomes. */
static __m128i sum_four(__m128i differences, __m128i *before)
{
	__m128i sum = _mm_add_epi32(differences, _mm_slli_si128(differences, 4));
	sum = _mm_add_epi32(sum, _mm_slli_si128(sum, 8));
	sum = _mm_add_epi32(sum, *before);
	*before = _mm_shuffle_epi32(sum, 0xff);
	return sum;
}
#endif

static void undo_half(uint8_t *dst, const uint8_t *src, size_t count)
{
	const uint8_t *high = src, *low = src + count;
	uint16_t sample = 0;
	size_t i = 0;
#ifdef __SSE2__
	__m128i before = _mm_setzero_si128();
	for (; count - i >= 8; i += 8) {
		__m128i sum = _mm_unpacklo_epi8(load(low + i), load(high + i));
		sum = _mm_add_epi16(sum, _mm_slli_si128(sum, 2));
		sum = _mm_add_epi16(sum, _mm_slli_si128(sum, 4));
		sum = _mm_add_epi16(sum, _mm_slli_si128(sum, 8));
		/* the last of the sum alone is what the next eight wait for: it is spread before `before` is added */
		__m128i last = _mm_shufflehi_epi16(sum, 0xff);
		last = _mm_unpackhi_epi64(last, last);
		store(dst + 2 * i, _mm_add_epi16(sum, before));
		before = _mm_add_epi16(before, last);
	}
	sample = (uint16_t)_mm_cvtsi128_si32(before);
#endif
	for (; i < count; i++) {
		sample = (uint16_t)(sample + (high[i] << 8) + low[i]);
		memcpy(dst + 2 * i, &sample, 2);
	}
}

static void undo_float(uint8_t *dst, const uint8_t *src, size_t count)
{
	const uint8_t *high = src, *middle = src + count, *low = src + 2 * count;
	uint32_t sample = 0;
	size_t i = 0;
#ifdef __SSE2__
	__m128i before = _mm_setzero_si128();
	for (; count - i >= 8; i += 8) {
		__m128i lower = _mm_unpacklo_epi8(_mm_setzero_si128(), load(low + i));
		__m128i upper = _mm_unpacklo_epi8(load(middle + i), load(high + i));
		store(dst + 4 * i, sum_four(_mm_unpacklo_epi16(lower, upper), &before));
		store(dst + 4 * i + 16, sum_four(_mm_unpackhi_epi16(lower, upper), &before));
	}
	sample = (uint32_t)_mm_cvtsi128_si32(before);
#endif
	for (; i < count; i++) {
		sample += (uint32_t)high[i] << 24 | (uint32_t)middle[i] << 16 | (uint32_t)low[i] << 8;
		memcpy(dst + 4 * i, &sample, 4);
	}
}

static void undo_uint(uint8_t *dst, const uint8_t *src, size_t count)
{
	uint32_t sample = 0;
	for (size_t i = 0; i < count; i++) {
		sample += (uint32_t)src[i] << 24 | (uint32_t)src[count + i] << 16 | (uint32_t)src[2 * count + i] << 8 |
			  src[3 * count + i];
		memcpy(dst + 4 * i, &sample, 4);
	}
}

static size_t packed_bytes(enum sample_type type, size_t bytes)
{
	return type == SAMPLE_F32 ? bytes / 4 * 3 : bytes;
}

size_t exr_pxr24_bytes(const struct codec_part *part, const struct codec_plane_layout *planes)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < part->nplanes; i++)
		bytes += packed_bytes((enum sample_type)part->planes[i].type, planes[i].row_bytes * planes[i].height);
	return bytes;
}

size_t exr_pxr24_row(uint8_t *dst, const uint8_t *src, enum sample_type type, size_t row_bytes)
{
	if (type == SAMPLE_F16)
		undo_half(dst, src, row_bytes / 2);
	else if (type == SAMPLE_F32)
		undo_float(dst, src, row_bytes / 4);
	else
		undo_uint(dst, src, row_bytes / 4);
	return packed_bytes(type, row_bytes);
}
