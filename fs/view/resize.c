/* resize.c - filters and weights. The kernels are those of the literature: box, triangle, Keys' cubic convolution with
 * a = -1/2 (IEEE Trans. ASSP 29, 1981), and the windowed sinc of Lanczos with three lobes. */
#include "resize.h"

#include <math.h>
#include <string.h>

static const struct filter {
	const char *name;
	double support; /* 0: takes one sample */
} filters[] = {
	[FILTER_NEAREST] = {"nearest", 0.0}, [FILTER_BOX] = {"box", 0.5},           [FILTER_LINEAR] = {"linear", 1.0},
	[FILTER_CUBIC] = {"cubic", 2.0},     [FILTER_LANCZOS3] = {"lanczos3", 3.0},
};

int resize_filter_find(const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		if (strlen(filters[i].name) == len_bytes && memcmp(filters[i].name, name, len_bytes) == 0)
			return (int)i;
	return -1;
}

static double sinc(double x)
{
	x *= M_PI;
	return x == 0.0 ? 1.0 : sin(x) / x;
}

static double cubic(double x)
{
	const double a = -0.5;
	x = fabs(x);
	if (x < 1.0)
		return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
	return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static double kernel(enum resize_filter filter, double x)
{
	switch (filter) {
	case FILTER_BOX:
		return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
	case FILTER_LINEAR:
		return fabs(x) < 1.0 ? 1.0 - fabs(x) : 0.0;
	case FILTER_CUBIC:
		return cubic(x);
	case FILTER_LANCZOS3:
		return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
	case FILTER_NEAREST:
		break;
	}
	return 0.0;
}

/* Source samples per output sample, and how far the filter is stretched: never below 1. */
static double axis_ratio(const struct resize_axis *axis)
{
	return (double)axis->in / axis->out;
}

static double axis_stretch(const struct resize_axis *axis)
{
	double ratio = axis_ratio(axis);
	return ratio < 1.0 ? 1.0 : ratio;
}

static int is_identity(const struct resize_axis *axis)
{
	return axis->in == axis->out;
}

uint64_t resize_taps(const struct resize_axis *axis)
{
	if (is_identity(axis) || axis->filter == FILTER_NEAREST)
		return 1;
	uint64_t taps = (uint64_t)ceil(filters[axis->filter].support * axis_stretch(axis)) * 2 + 1;
	return taps < axis->in ? taps : axis->in;
}

static uint32_t nearest(const struct resize_axis *axis, uint32_t i)
{
	uint64_t at = (2 * (uint64_t)i + 1) * axis->in / (2 * (uint64_t)axis->out);
	return at < axis->in ? (uint32_t)at : axis->in - 1;
}

/* The source samples of output i: [*ret_start, *ret_end), at most taps, and the centre that their weights are measured from. */
static void window(const struct resize_axis *axis, uint32_t i, uint64_t taps, uint32_t *ret_start, uint32_t *ret_end,
		   double *ret_center)
{
	double support = filters[axis->filter].support * axis_stretch(axis), center = ((double)i + 0.5) * axis_ratio(axis);
	double start = center - support + 0.5, end = center + support + 0.5;
	*ret_start = start < 0.0 ? 0 : (uint32_t)start;
	*ret_end = end > (double)axis->in ? axis->in : (uint32_t)end;
	if (*ret_end > *ret_start + taps)
		*ret_end = *ret_start + (uint32_t)taps;
	*ret_center = center;
}

void resize_source_range(const struct resize_axis *axis, uint32_t first, uint32_t n, uint32_t *ret_first, uint32_t *ret_end)
{
	uint64_t taps = resize_taps(axis);
	double center;
	uint32_t unused;
	if (is_identity(axis)) {
		*ret_first = first;
		*ret_end = first + n;
	} else if (axis->filter == FILTER_NEAREST) {
		*ret_first = nearest(axis, first);
		*ret_end = nearest(axis, first + n - 1) + 1;
	} else {
		window(axis, first, taps, ret_first, &unused, &center);
		window(axis, first + n - 1, taps, &unused, ret_end, &center);
	}
}

void resize_weights(const struct resize_axis *axis, uint32_t first, uint32_t n, double *weights, uint32_t *starts, uint32_t *counts)
{
	size_t taps = (size_t)resize_taps(axis);
	double stretch = axis_stretch(axis), per_sample = 1.0 / stretch;
	for (uint32_t i = 0; i < n; i++, weights += taps) {
		uint32_t end;
		double center, sum = 0.0;
		if (is_identity(axis) || axis->filter == FILTER_NEAREST) {
			starts[i] = is_identity(axis) ? first + i : nearest(axis, first + i);
			counts[i] = 1;
			weights[0] = 1.0;
			continue;
		}
		window(axis, first + i, taps, &starts[i], &end, &center);
		counts[i] = end - starts[i];
		for (uint32_t t = 0; t < counts[i]; t++) {
			weights[t] = kernel((enum resize_filter)axis->filter, ((double)t + starts[i] - center + 0.5) * per_sample);
			sum += weights[t];
		}
		for (uint32_t t = 0; t < counts[i] && sum != 0.0; t++)
			weights[t] /= sum;
	}
}
