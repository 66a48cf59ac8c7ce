/* view_stages.c - how the stages after the base make their samples. See view_plan.h for what they are.
 *
 * PIXEL and RESIZE compute planar tiles; a sink of another shape gets a copy. MOVE has no samples of its own: it turns the
 * sink instead, so that the stage before writes to the right places at once.
 * The depth of stage_fetch's recursion is the number of stages, at most VIEW_MAX_STAGES. */
#include "view_plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "codecs/core/simd.h"

SIMD_OPTIMIZE

/* ---- sinks ---- */

struct view_sink sink_of_tile(float *at, struct view_rect rect, uint32_t first_channel)
{
	size_t plane = (size_t)rect.width * rect.height;
	return (struct view_sink){(unsigned char *)(at + first_channel * plane), sizeof(float),
				  (ptrdiff_t)(rect.width * sizeof(float)), (ptrdiff_t)(plane * sizeof(float))};
}

bool sink_is_tile(const struct view_sink *sink, struct view_rect rect)
{
	ptrdiff_t row = (ptrdiff_t)rect.width * (ptrdiff_t)sizeof(float);
	return sink->x_step == sizeof(float) && sink->row_step == row && sink->channel_step == row * (ptrdiff_t)rect.height &&
	       (uintptr_t)sink->at % sizeof(float) == 0;
}

/* One row. Samples of fewer than four bytes are packed first: that is what is scattered. */
static void store_row(unsigned char *dst, ptrdiff_t step, const float *row, unsigned size_bytes, size_t n)
{
	uint32_t packed[512];
	if (size_bytes == sizeof *row) {
		sample_scatter(dst, step, row, size_bytes, n);
		return;
	}
	for (size_t x = 0, count; x < n; x += count) {
		count = n - x < sizeof packed / sizeof *packed ? n - x : sizeof packed / sizeof *packed;
		sample_gather(packed, row + x, sizeof *row, size_bytes, count);
		sample_scatter(dst + (ptrdiff_t)x * step, step, packed, size_bytes, count);
	}
}

void sink_store(const float *tile, struct view_rect rect, uint32_t n, struct view_sink sink, unsigned size_bytes)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t y = 0; y < rect.height; y++, tile += rect.width)
			store_row(sink.at + (ptrdiff_t)i * sink.channel_step + (ptrdiff_t)y * sink.row_step, sink.x_step, tile,
				  size_bytes, rect.width);
}

/* ---- PIXEL ---- */

/* Of two NaNs an operation keeps the payload of one, and which is the compiler's choice: all become the same, so that a
 * sample has the same bits in every range that is read. */
static inline float settled(float v)
{
	return v != v ? NAN : v;
}

SIMD_KERNEL static void kernel_fill(float *restrict dst, float k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = k;
}

SIMD_KERNEL static void kernel_mul(float *restrict dst, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled(a[i] * b[i]);
}

SIMD_KERNEL static void kernel_mul_not(float *restrict dst, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled((1.0f - a[i]) * (1.0f - b[i]));
}

SIMD_KERNEL static void kernel_unpremul(float *restrict dst, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled(a[i] / (b[i] == 0.0f ? 1.0f : b[i]));
}

SIMD_KERNEL static void kernel_repremul(float *restrict dst, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled(b[i] == 0.0f ? a[i] : a[i] * b[i]);
}

SIMD_KERNEL static void kernel_chroma(float *restrict dst, const float *y, const float *chroma, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled((chroma[i] + 1.0f) * y[i]);
}

SIMD_KERNEL static void kernel_green(float *restrict dst, const float *y, const float *ry, const float *by, const float *weights,
				     size_t n)
{
	const float red = weights[0], green = weights[1], blue = weights[2];
	for (size_t i = 0; i < n; i++) {
		float r = (ry[i] + 1.0f) * y[i], b = (by[i] + 1.0f) * y[i], g = (y[i] - r * red - b * blue) / green;
		dst[i] = settled(ry[i] == 0.0f && by[i] == 0.0f ? y[i] : g);
	}
}

/* ITU-R BT.709-6, item 3.2. */
SIMD_KERNEL static void kernel_luma(float *restrict dst, const float *r, const float *g, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled((0.2126f * r[i] + 0.7152f * g[i]) + 0.0722f * b[i]);
}

SIMD_KERNEL static void kernel_over(float *restrict dst, const float *a, const float *b, float k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled(a[i] * b[i] + k * (1.0f - b[i]));
}

SIMD_KERNEL static void kernel_over_premul(float *restrict dst, const float *a, const float *b, float k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled(a[i] + k * (1.0f - b[i]));
}

SIMD_KERNEL static void kernel_norm(float *restrict dst, const float *a, float mean, float std, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = settled((a[i] - mean) / std);
}

/* One output plane from planes of inputs; plane[i] holds channel i of the stage before where remap says so. */
static void pixel_compute(const struct pixel_expr *expr, float *dst, const float *inputs, const uint16_t *remap, size_t n)
{
	const float *a = expr->a == VIEW_NO_CHANNEL ? NULL : inputs + remap[expr->a] * n;
	const float *b = expr->b == VIEW_NO_CHANNEL ? NULL : inputs + remap[expr->b] * n;
	const float *c = expr->c == VIEW_NO_CHANNEL ? NULL : inputs + remap[expr->c] * n;
	switch ((enum pixel_op)expr->op) {
	case PIXEL_COPY:
		memcpy(dst, a, n * sizeof(float));
		break;
	case PIXEL_CONST:
		kernel_fill(dst, expr->k0, n);
		break;
	case PIXEL_MUL:
		kernel_mul(dst, a, b, n);
		break;
	case PIXEL_MUL_NOT:
		kernel_mul_not(dst, a, b, n);
		break;
	case PIXEL_UNPREMUL:
		kernel_unpremul(dst, a, b, n);
		break;
	case PIXEL_REPREMUL:
		kernel_repremul(dst, a, b, n);
		break;
	case PIXEL_CHROMA:
		kernel_chroma(dst, a, b, n);
		break;
	case PIXEL_GREEN:
		kernel_green(dst, a, b, c, expr->weights, n);
		break;
	case PIXEL_LUMA:
		kernel_luma(dst, a, b, c, n);
		break;
	case PIXEL_OVER:
		kernel_over(dst, a, b, expr->k0, n);
		break;
	case PIXEL_OVER_PREMUL:
		kernel_over_premul(dst, a, b, expr->k0, n);
		break;
	case PIXEL_NORM:
		kernel_norm(dst, a, expr->k0, expr->k1, n);
		break;
	case PIXEL_CURVE:
		if (b)
			curve_apply_covered(expr->curve, dst, a, b, n);
		else
			curve_apply(expr->curve, dst, a, n);
		break;
	}
}

/* Lists the inputs of the expressions once each; remap[channel] is its place in inputs. Returns how many. */
static uint32_t pixel_inputs(const struct pixel_expr *exprs, const uint16_t *list, uint32_t n, uint16_t *remap, uint32_t nremap,
			     uint16_t *inputs)
{
	uint32_t count = 0;
	memset(remap, 0xff, nremap * sizeof *remap);
	for (uint32_t i = 0; i < n; i++) {
		const uint16_t wanted[3] = {exprs[list[i]].a, exprs[list[i]].b, exprs[list[i]].c};
		for (unsigned w = 0; w < 3; w++)
			if (wanted[w] != VIEW_NO_CHANNEL && remap[wanted[w]] == VIEW_NO_CHANNEL) {
				remap[wanted[w]] = (uint16_t)count;
				inputs[count++] = wanted[w];
			}
	}
	return count;
}

static int pixel_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		       struct view_sink sink)
{
	const struct view_stage *stage = &reader->view->stages[index];
	uint32_t before = reader->view->stages[index - 1].nchannels;
	size_t plane = (size_t)rect.width * rect.height;
	bool direct = sink_is_tile(&sink, rect);
	/* the buffer: input planes (at most all channels), output planes, then the two lists */
	uint32_t most = before < 3 * n ? before : 3 * n;
	size_t floats = (most + (direct ? 0 : (size_t)n)) * plane;
	float *inputs = reader_buffer(reader, index, floats * sizeof(float) + 2 * (size_t)before * sizeof(uint16_t));
	if (!inputs)
		return -ENOMEM;
	uint16_t *remap = (uint16_t *)(void *)(inputs + floats), *wanted = remap + before;
	uint32_t count = pixel_inputs(stage->exprs, list, n, remap, before, wanted);
	if (count) {
		int rc = stage_fetch(reader, index - 1, rect, wanted, count, sink_of_tile(inputs, rect, 0));
		if (rc)
			return rc;
	}
	float *outputs = direct ? (float *)(void *)sink.at : inputs + most * plane;
	for (uint32_t i = 0; i < n; i++)
		pixel_compute(&stage->exprs[list[i]], outputs + i * plane, inputs, remap, plane);
	if (!direct)
		sink_store(outputs, rect, n, sink, sizeof(float));
	return 0;
}

/* ---- MOVE ---- */

static void move_point(const struct view_move *move, int64_t x, int64_t y, int64_t *ret_x, int64_t *ret_y)
{
	*ret_x = move->a * x + move->b * y + move->x0;
	*ret_y = move->c * x + move->d * y + move->y0;
}

bool move_source_rect(const struct view_stage *stage, const struct view_stage *before, struct view_rect rect,
		      struct view_rect *ret_rect)
{
	int64_t x0, y0, x1, y1;
	move_point(&stage->move, rect.x, rect.y, &x0, &y0);
	move_point(&stage->move, (int64_t)rect.x + rect.width - 1, (int64_t)rect.y + rect.height - 1, &x1, &y1);
	int64_t left = x0 < x1 ? x0 : x1, right = x0 < x1 ? x1 : x0, top = y0 < y1 ? y0 : y1, bottom = y0 < y1 ? y1 : y0;
	left = left > 0 ? left : 0;
	top = top > 0 ? top : 0;
	right = right < (int64_t)before->width - 1 ? right : (int64_t)before->width - 1;
	bottom = bottom < (int64_t)before->height - 1 ? bottom : (int64_t)before->height - 1;
	if (left > right || top > bottom)
		return false;
	*ret_rect = (struct view_rect){(uint32_t)left, (uint32_t)top, (uint32_t)(right - left + 1), (uint32_t)(bottom - top + 1)};
	return true;
}

static bool move_is_whole(const struct view_rect *out, bool any, const struct view_rect *source)
{
	return any && (uint64_t)out->width * out->height == (uint64_t)source->width * source->height;
}

static void fill_zero(struct view_rect rect, uint32_t n, struct view_sink sink, unsigned size)
{
	static const unsigned char zero[4];
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t y = 0; y < rect.height; y++) {
			unsigned char *dst = sink.at + (ptrdiff_t)i * sink.channel_step + (ptrdiff_t)y * sink.row_step;
			for (uint32_t x = 0; x < rect.width; x++, dst += sink.x_step)
				memcpy(dst, zero, size);
		}
}

static int move_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		      struct view_sink sink)
{
	const struct view_stage *stage = &reader->view->stages[index];
	const struct view_move *move = &stage->move;
	struct view_rect source;
	bool any = move_source_rect(stage, &reader->view->stages[index - 1], rect, &source);
	if (!move_is_whole(&rect, any, &source))
		fill_zero(rect, n, sink, view_stage_bytes(reader->view));
	if (!any)
		return 0;
	/* the inverse of a flip or turn is its transpose: where the source's first sample goes, and its neighbours */
	int64_t sx = (int64_t)source.x - move->x0, sy = (int64_t)source.y - move->y0;
	int64_t x = move->a * sx + move->c * sy - rect.x, y = move->b * sx + move->d * sy - rect.y;
	struct view_sink turned = {
		.at = sink.at + x * sink.x_step + y * sink.row_step,
		.x_step = move->a * sink.x_step + move->b * sink.row_step,
		.row_step = move->c * sink.x_step + move->d * sink.row_step,
		.channel_step = sink.channel_step,
	};
	return stage_fetch(reader, index - 1, source, list, n, turned);
}

/* ---- all stages ---- */

int stage_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		struct view_sink sink)
{
	switch ((enum stage_kind)reader->view->stages[index].kind) {
	case STAGE_BASE:
		return base_fetch(reader, rect, list, n, sink);
	case STAGE_PIXEL:
		return pixel_fetch(reader, index, rect, list, n, sink);
	case STAGE_MOVE:
		return move_fetch(reader, index, rect, list, n, sink);
	case STAGE_RESIZE:
		return resize_fetch(reader, index, rect, list, n, sink);
	case STAGE_PROFILE:
		return profile_fetch(reader, index, rect, list, n, sink);
	}
	return 0;
}

void stage_want(struct view_reader *reader, struct view_rect rect)
{
	for (uint32_t i = reader->view->nstages - 1; i > 0; i--) {
		const struct view_stage *stage = &reader->view->stages[i], *before = stage - 1;
		if (stage->kind == STAGE_MOVE && !move_source_rect(stage, before, rect, &rect))
			return;
		if (stage->kind == STAGE_RESIZE)
			rect = resize_source_rect(&stage->resize.resize, rect);
	}
	base_want(reader, rect);
}
