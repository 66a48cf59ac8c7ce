/* exr_b44.c - B44 and B44A ("Data Compression" of OpenEXR's technical introduction): the samples of a chunk, one channel after the
 * other. Those of a half channel in blocks of 4x4, row of blocks by row of blocks, of 14 bytes (big-endian):
 *
 *	16 bits  the first sample
 *	 6 bits  a shift, below 13
 *	 6 bits  15 times, column by column: the difference to the sample on the left, or in the first column to the one above,
 *	         plus 32, in units of 1 << shift
 *
 * or of 3 bytes, with a shift of 13 or more, where all are the same. All this of numbers in the order of the values: of halves with
 * the top bit set where positive, with all bits inverted where negative. Of a block that reaches over the edge the rest is left
 * out. Channels of other types are stored as they are. Making it is lossy, undoing it is not.
 *
 * The OpenEXR library undoes it a sample at a time, through a copy, and takes four times as long. Channels with pLinear are left to
 * it: for them it has a table of logarithms. */
#include "exr.h"

#include <errno.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SIDE = 4, FLAT_BYTES = 3, BLOCK_BYTES = 14, FLAT_SHIFT = 13, BIAS = 32 };

static bool is_flat(const uint8_t *block)
{
	return block[2] >> 2 >= FLAT_SHIFT;
}

static uint16_t half_of(uint16_t ordered)
{
	return ordered & 0x8000 ? ordered & 0x7fff : (uint16_t)~ordered;
}

/* Three bytes: four numbers of 6 bits, the first in the highest. */
static uint32_t group_of(const uint8_t *block, unsigned column)
{
	const uint8_t *at = block + 2 + 3 * column;
	return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

/* Any block. */
static void undo_block(const uint8_t *block, uint16_t samples[SIDE][SIDE])
{
	uint16_t first = (uint16_t)(block[0] << 8 | block[1]);
	unsigned shift = block[2] >> 2;
	bool flat = is_flat(block);
	for (unsigned x = 0; x < SIDE; x++)
		for (unsigned y = 0; y < SIDE; y++) {
			uint16_t before = x ? samples[y][x - 1] : y ? samples[y - 1][0] : first;
			uint32_t number = flat || (x == 0 && y == 0) ? BIAS : group_of(block, x) >> (18 - 6 * y) & 63;
			samples[y][x] = (uint16_t)(before + ((number - BIAS) << (flat ? 0 : shift)));
		}
	for (unsigned i = 0; i < SIDE * SIDE; i++)
		samples[i / SIDE][i % SIDE] = half_of(samples[i / SIDE][i % SIDE]);
}

/* The part of a block that lies within the plane. */
static void undo_partly(const uint8_t *block, uint8_t *dst, size_t row_bytes, size_t columns, size_t rows)
{
	uint16_t samples[SIDE][SIDE];
	undo_block(block, samples);
	for (size_t y = 0; y < rows && y < SIDE; y++)
		memcpy(dst + y * row_bytes, samples[y], (columns < SIDE ? columns : SIDE) * sizeof(uint16_t));
}

#ifdef __SSE2__
static uint64_t load_big_endian(const uint8_t *src)
{
	uint64_t value;
	memcpy(&value, src, sizeof value);
	return __builtin_bswap64(value);
}

static void store_rows(uint8_t *dst, size_t row_bytes, __m128i two_rows)
{
	/* halves with the top bit lose it, all others are inverted */
	__m128i positive = _mm_and_si128(_mm_srai_epi16(two_rows, 15), _mm_set1_epi16(0x7fff));
	__m128i halves = _mm_xor_si128(two_rows, _mm_xor_si128(positive, _mm_set1_epi16(-1)));
	_mm_storel_epi64((__m128i *)(void *)dst, halves);
	_mm_storel_epi64((__m128i *)(void *)(dst + row_bytes), _mm_unpackhi_epi64(halves, halves));
}

/* In each half of the register, four samples: each plus those before it. */
static __m128i sum_rows(__m128i two_rows)
{
	two_rows = _mm_add_epi16(two_rows, _mm_slli_epi64(two_rows, 16));
	return _mm_add_epi16(two_rows, _mm_slli_epi64(two_rows, 32));
}

/* A block of 14 bytes that lies within the plane. Shifted right by 18, 12, 6 and 0 the four groups are the rows. */
static void undo_whole(const uint8_t *block, uint8_t *dst, size_t row_bytes)
{
	uint64_t front = load_big_endian(block), back = load_big_endian(block + 6);
	uint32_t first = (uint32_t)(front >> 48), shift = block[2] >> 2;
	uint32_t below = (uint32_t)((front >> 36) & 63), below2 = (uint32_t)((front >> 30) & 63);
	const __m128i groups = _mm_set_epi32((int)(back & 0xffffff), (int)(back >> 24 & 0xffffff), (int)(front & 0xffffff),
					     (int)(front >> 24 & 0xffffff));
	const __m128i six = _mm_set1_epi32(63), bias = _mm_set1_epi16(BIAS), count = _mm_cvtsi32_si128((int)shift);
	/* row 0 lacks its first number, which is the shift: there the sum begins at 0 */
	__m128i row0 = _mm_and_si128(_mm_srli_epi32(groups, 18), _mm_set_epi32(63, 63, 63, 0));
	row0 = _mm_or_si128(row0, _mm_cvtsi32_si128(BIAS));
	__m128i upper = _mm_packs_epi32(row0, _mm_and_si128(_mm_srli_epi32(groups, 12), six));
	__m128i lower = _mm_packs_epi32(_mm_and_si128(_mm_srli_epi32(groups, 6), six), _mm_and_si128(groups, six));
	upper = sum_rows(_mm_sll_epi16(_mm_sub_epi16(upper, bias), count));
	lower = sum_rows(_mm_sll_epi16(_mm_sub_epi16(lower, bias), count));
	uint32_t second = first + ((below - BIAS) << shift), third = second + ((below2 - BIAS) << shift);
	__m128i above = _mm_set_epi16((short)third, (short)third, (short)third, (short)third, (short)second, (short)second,
				      (short)second, (short)second);
	store_rows(dst, row_bytes, _mm_add_epi16(upper, _mm_set1_epi16((short)first)));
	store_rows(dst + 2 * row_bytes, row_bytes, _mm_add_epi16(lower, above));
}
#else
static void undo_whole(const uint8_t *block, uint8_t *dst, size_t row_bytes)
{
	undo_partly(block, dst, row_bytes, SIDE, SIDE);
}
#endif

/* Returns the first byte behind the plane's blocks; NULL where the data end before. */
static const uint8_t *undo_plane(const uint8_t *src, const uint8_t *end, const struct codec_plane_layout *plane, uint8_t *dst)
{
	size_t columns = plane->row_bytes / sizeof(uint16_t), rows = plane->height, row_bytes = plane->row_bytes;
	for (size_t y = 0; y < rows; y += SIDE)
		for (size_t x = 0; x < columns; x += SIDE) {
			if (end - src < FLAT_BYTES || (!is_flat(src) && end - src < BLOCK_BYTES))
				return NULL;
			uint8_t *at = dst + y * row_bytes + x * sizeof(uint16_t);
			if (!is_flat(src) && columns - x >= SIDE && rows - y >= SIDE)
				undo_whole(src, at, row_bytes);
			else
				undo_partly(src, at, row_bytes, columns - x, rows - y);
			src += is_flat(src) ? FLAT_BYTES : BLOCK_BYTES;
		}
	return src;
}

static const uint8_t *copy_plane(const uint8_t *src, const uint8_t *end, const struct codec_plane_layout *plane, uint8_t *dst)
{
	size_t plane_bytes = plane->row_bytes * plane->height;
	if ((size_t)(end - src) < plane_bytes)
		return NULL;
	memcpy(dst, src, plane_bytes);
	return src + plane_bytes;
}

bool exr_b44_undoes(const struct codec_part *part, const struct exr_part *exr)
{
	for (uint32_t i = 0; i < part->nplanes; i++)
		if (part->planes[i].type == SAMPLE_F16 && exr->plinear[i])
			return false;
	return true;
}

int exr_b44_expand(const struct codec_part *part, const struct codec_plane_layout *planes, const uint8_t *packed,
		   size_t packed_bytes, uint8_t *dst, struct err *err)
{
	const uint8_t *src = packed, *end = packed + packed_bytes;
	for (uint32_t i = 0; src && i < part->nplanes; i++) {
		uint8_t *plane = dst + planes[i].offset;
		src = part->planes[i].type == SAMPLE_F16 ? undo_plane(src, end, &planes[i], plane)
							 : copy_plane(src, end, &planes[i], plane);
	}
	if (src != end)
		return err_set(err, -EIO, src ? "%zu bytes lie behind its last block" : "its data end before its last block",
			       src ? (size_t)(end - src) : 0);
	return 0;
}
