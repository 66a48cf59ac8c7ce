/* sample.h - stored samples <-> float32: the only place where values are scaled or change their type.
 *
 * All arrays of one call must not overlap. Destinations may be unaligned (they are often a reply's buffer); sources are
 * aligned to their own type unless said otherwise. n counts samples. Nothing here allocates, fails or keeps state.
 *
 * The arithmetic is IEEE 754 single precision, round to nearest even, without fused multiply-add but where it makes a quotient that
 * is the division's, bit for bit: what numpy gives on float32 arrays. No conversion quiets, drops or invents a NaN: float32 is
 * copied, half keeps its payload.
 */
#ifndef PIXFS_SAMPLE_H
#define PIXFS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

/* Stored samples, contiguous, to float32: value / divisor as a true division of float32 (the divisor rounded to float32:
 * 2^32 - 1 divides by 2^32), the value itself where divisor is 0 or the type is F16 or F32. U32 is rounded to the nearest
 * float32 first, ties to even. */
void sample_to_f32(void *dst, const void *src, enum sample_type type, uint32_t divisor, size_t n);

/* float32, contiguous and aligned, to another type:
 *   U8, U16  round half to even of clamp(v * (2^bits - 1)) to [0, 2^bits - 1]; NaN is 0
 *   F16      round to nearest even; over 65504 + half a step infinite; a NaN keeps the top 10 bits of its payload (bit 0
 *            set where they would be 0), as numpy's astype(float16)
 *   F32      copied
 * U32 is not a destination. */
void sample_from_f32(void *dst, const float *src, enum sample_type type, size_t n);
/* The same of values that are integers already: U8 and U16 take clamp(v), not a multiple of it. */
void sample_round_f32(void *dst, const float *src, enum sample_type type, size_t n);

/* Big-endian samples of 16 bits to native ones, in place: PNG's. libpng swaps them one by one, which takes five times as long. */
void sample_u16_from_be(uint16_t *samples, size_t n);

/* dst[i] = table[src[i * step_bytes]]: palettes, and curves of 8-bit samples. Steps may be negative, here and below. */
void sample_table_to_f32(void *dst, const uint8_t *src, ptrdiff_t step_bytes, const float table[256], size_t n);

/* Moving samples of size_bytes 1, 2 or 4, bits untouched; steps in bytes. */
void sample_gather(void *dst, const void *src, ptrdiff_t src_step_bytes, unsigned size_bytes, size_t n);
void sample_scatter(void *dst, ptrdiff_t dst_step_bytes, const void *src, unsigned size_bytes, size_t n);

/* dst[i * nplanes + p] = planes[p][i]; nplanes 1 to 4; planes are aligned. */
void sample_interleave(void *dst, const void *const *planes, unsigned nplanes, unsigned size_bytes, size_t n);

/* Halves to float32 on the way: as sample_to_f32 of each plane and then sample_interleave, in one step. Only where this processor
 * has such a step for so many planes. */
bool sample_can_interleave_f16(unsigned nplanes);
void sample_interleave_f16(void *dst, const void *const *planes, unsigned nplanes, size_t n);

/* mask[i] &= (src[i * step_bytes] == key), with mask 0 or 1: one plane's part of the tRNS comparison. */
void sample_key_match(uint8_t *mask, const void *src, ptrdiff_t step_bytes, unsigned size_bytes, uint32_t key, size_t n);

#endif
