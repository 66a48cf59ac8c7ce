/* resize.h - separable resampling of float32 planes: the convolution of Pillow's Image.resize, in mode F.
 *
 * For each axis: the support of the filter is widened by the ratio when shrinking (antialiasing), the weights of each output
 * sample are normalised to a sum of 1 in double precision, sums are accumulated in double in source order and rounded to
 * float32 after each axis, columns first, then rows. An axis whose size doesn't change is left alone.
 * nearest takes the source sample under the centre of the output sample: floor((i + 1/2) * in / out).
 */
#ifndef PIXFS_RESIZE_H
#define PIXFS_RESIZE_H

#include <stddef.h>
#include <stdint.h>

enum resize_filter { FILTER_NEAREST, FILTER_BOX, FILTER_LINEAR, FILTER_CUBIC, FILTER_LANCZOS3 };

/* One axis. */
struct resize_axis {
	uint32_t in, out;
	uint8_t filter; /* enum resize_filter */
};

struct resize {
	struct resize_axis x, y;
};

/* The filter of that name, -1: none. */
int resize_filter_find(const char *name, size_t len_bytes);

/* The most source samples that one output sample needs. */
uint64_t resize_taps(const struct resize_axis *axis);

/* The source samples [*ret_first, *ret_end) that the outputs [first, first + n) need. */
void resize_source_range(const struct resize_axis *axis, uint32_t first, uint32_t n, uint32_t *ret_first, uint32_t *ret_end);

/* Weights of the outputs [first, first + n): those of output first + i are weights[i * taps ..], counts[i] of them, for the
 * source samples from starts[i]. weights has n * taps entries, taps as resize_taps. */
void resize_weights(const struct resize_axis *axis, uint32_t first, uint32_t n, double *weights, uint32_t *starts,
		    uint32_t *counts);

#endif
