/* view_resize.c - the RESIZE stage: columns first, then rows, as resize.h says.
 *
 * The output is made in pieces small enough that their source columns and weights stay in the cache. Source rows come in
 * strips of LANES: a strip is transposed, so that one weight is applied to LANES rows at a time, and each resampled row is
 * added at once to the output rows it contributes to. Scratch memory thus doesn't grow with the height that is read, and
 * every sum is accumulated in source order, in double: the same bits as summing one output sample after the other.
 *
 * nearest only moves samples, so it serves native views too: theirs go through the same tiles, each in the first bytes of a
 * float's place. */
#include "view_plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/simd.h"

SIMD_OPTIMIZE

enum {
	LANES = 16,
	SOURCE_SAMPLES = 4096, /* source columns x channels of a piece, where more than one output column is made */
	LANED_SAMPLES = 16384, /* above this many a strip is one row */
	PIECE_SAMPLES = 65536, /* outputs x channels of a piece */
	WEIGHTS = 65536,       /* weights of a piece, each axis, where more than one output is made */
	KEPT_WEIGHTS = 524288, /* of an axis, at most, that are kept */
};

struct view_rect resize_source_rect(const struct resize *resize, struct view_rect rect)
{
	uint32_t x0, x1, y0, y1;
	resize_source_range(&resize->x, rect.x, rect.width, &x0, &x1);
	resize_source_range(&resize->y, rect.y, rect.height, &y0, &y1);
	return (struct view_rect){x0, y0, x1 - x0, y1 - y0};
}

/* ---- kernels ---- */

/* Which of two NaNs an addition keeps is the compiler's choice: all become the same one, so that every way to compute a
 * sample gives the same bits. */
static inline float rounded(double sum)
{
	return sum != sum ? NAN : (float)sum;
}

/* Four doubles: as much as the compiler keeps in a register by itself. */
struct quad {
	double v __attribute__((vector_size(4 * sizeof(double))));
};

/* A strip of nrows rows of width samples -> nlanes doubles for each column, the missing rows 0. */
static void strip_transpose(double *to, unsigned nlanes, const float *strip, size_t width, size_t nrows)
{
	for (size_t x = 0; x < width; x++, strip++, to += nlanes) {
		for (size_t r = 0; r < nrows; r++)
			to[r] = (double)strip[r * width];
		for (size_t r = nrows; r < nlanes; r++)
			to[r] = 0.0;
	}
}

/* One output column of 16 rows: four sums at a time hide the latency of the additions. */
SIMD_KERNEL static void lanes_sum_16(float *restrict out, const struct quad *restrict lanes, const double *restrict weights,
				     size_t n)
{
	struct quad a = {{0}}, b = {{0}}, c = {{0}}, d = {{0}};
	for (size_t t = 0; t < n; t++, lanes += 4) {
		a.v += lanes[0].v * weights[t];
		b.v += lanes[1].v * weights[t];
		c.v += lanes[2].v * weights[t];
		d.v += lanes[3].v * weights[t];
	}
	for (size_t r = 0; r < 4; r++) {
		out[r] = rounded(a.v[r]);
		out[r + 4] = rounded(b.v[r]);
		out[r + 8] = rounded(c.v[r]);
		out[r + 12] = rounded(d.v[r]);
	}
}

SIMD_KERNEL static void lanes_sum_8(float *restrict out, const struct quad *restrict lanes, const double *restrict weights,
				    size_t n)
{
	struct quad a = {{0}}, b = {{0}};
	for (size_t t = 0; t < n; t++, lanes += 2) {
		a.v += lanes[0].v * weights[t];
		b.v += lanes[1].v * weights[t];
	}
	for (size_t r = 0; r < 4; r++) {
		out[r] = rounded(a.v[r]);
		out[r + 4] = rounded(b.v[r]);
	}
}

static float row_sum(const float *row, const double *weights, size_t n)
{
	double sum = 0.0;
	for (size_t t = 0; t < n; t++)
		sum += (double)row[t] * weights[t];
	return rounded(sum);
}

SIMD_KERNEL static void sums_add(double *restrict sums, const float *restrict row, double weight, size_t n)
{
	for (size_t x = 0; x < n; x++)
		sums[x] += (double)row[x] * weight;
}

SIMD_KERNEL static void sums_round(float *restrict dst, const double *restrict sums, size_t n)
{
	for (size_t x = 0; x < n; x++)
		dst[x] = rounded(sums[x]);
}

/* ---- weights that are kept ---- */

void resize_memory_free(struct resize_memory *memory)
{
	free(atomic_load(&memory->x));
	free(atomic_load(&memory->y));
}

/* The weights of the whole axis; NULL where they are too many, or memory is out: then each piece makes its own. */
static const struct resize_table *axis_weights(const struct resize_axis *axis, _Atomic(struct resize_table *) *kept)
{
	struct resize_table *found = atomic_load_explicit(kept, memory_order_acquire);
	size_t taps = (size_t)resize_taps(axis), n = axis->out;
	if (found || n > KEPT_WEIGHTS || n * taps > KEPT_WEIGHTS)
		return found;
	struct resize_table *made = malloc(sizeof *made + n * taps * sizeof(double) + 2 * n * sizeof(uint32_t));
	if (!made)
		return NULL;
	made->weights = (double *)(void *)(made + 1);
	made->starts = (uint32_t *)(void *)(made->weights + n * taps);
	made->counts = made->starts + n;
	resize_weights(axis, 0, axis->out, made->weights, made->starts, made->counts);
	if (atomic_compare_exchange_strong(kept, &found, made))
		return made;
	free(made);
	return found;
}

/* ---- one piece ---- */

/* Weights of one axis of a piece. */
struct axis_work {
	bool copies; /* each output is one source sample */
	size_t taps;
	double *weights;
	uint32_t *starts, *counts;
	const struct resize_table *kept;
};

struct piece {
	struct view_rect rect, source;
	uint32_t n, strip_rows;
	struct axis_work x, y;
	double *sums;  /* n x rect.height x rect.width, where rows are summed */
	double *lanes; /* source.width x LANES, where columns are summed in strips */
	float *strip;  /* n x strip_rows x source.width */
	float *rows;   /* strip_rows x rect.width: the strip of one channel, resampled */
	float *tile;   /* the result: n x rect.height x rect.width */
};

static bool axis_copies(const struct resize_axis *axis)
{
	return axis->in == axis->out || axis->filter == FILTER_NEAREST;
}

/* Takes count objects of size bytes from the scratch memory; at NULL it only adds up. */
static void *take(unsigned char *at, size_t *used, size_t count, size_t size)
{
	size_t start = (*used + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
	*used = start + count * size;
	return at ? at + start : NULL;
}

static void axis_take(struct axis_work *work, const struct resize_axis *axis, uint32_t n, unsigned char *at, size_t *used)
{
	work->copies = axis_copies(axis);
	work->taps = (size_t)resize_taps(axis);
	n = work->kept ? 0 : n;
	work->weights = take(at, used, n * work->taps, sizeof(double));
	work->starts = take(at, used, n, sizeof(uint32_t));
	work->counts = take(at, used, n, sizeof(uint32_t));
}

static void axis_fill(struct axis_work *work, const struct resize_axis *axis, uint32_t first, uint32_t n)
{
	if (!work->kept) {
		resize_weights(axis, first, n, work->weights, work->starts, work->counts);
		return;
	}
	work->weights = work->kept->weights + first * work->taps;
	work->starts = work->kept->starts + first;
	work->counts = work->kept->counts + first;
}

/* Lays out the scratch memory at `at`, or adds up its size where `at` is NULL. */
static size_t piece_take(struct piece *piece, const struct resize *resize, unsigned char *at)
{
	size_t used = 0, outputs = (size_t)piece->n * piece->rect.width * piece->rect.height;
	axis_take(&piece->x, &resize->x, piece->rect.width, at, &used);
	axis_take(&piece->y, &resize->y, piece->rect.height, at, &used);
	piece->sums = take(at, &used, piece->y.copies ? 0 : outputs, sizeof(double));
	piece->lanes = take(at, &used, piece->x.copies || piece->strip_rows == 1 ? 0 : (size_t)piece->source.width * LANES,
			    sizeof(double));
	piece->strip = take(at, &used, (size_t)piece->n * piece->strip_rows * piece->source.width, sizeof(float));
	piece->rows = take(at, &used, (size_t)piece->strip_rows * piece->rect.width, sizeof(float));
	piece->tile = take(at, &used, outputs, sizeof(float));
	return used;
}

/* Columns of one channel's strip of nrows rows -> piece->rows. */
static void strip_columns_laned(struct piece *piece, const float *strip, uint32_t nrows)
{
	unsigned nlanes = nrows > 8 ? 16 : 8;
	size_t width = piece->rect.width;
	float column[LANES];
	strip_transpose(piece->lanes, nlanes, strip, piece->source.width, nrows);
	for (size_t x = 0; x < width; x++) {
		const void *lanes = piece->lanes + (size_t)(piece->x.starts[x] - piece->source.x) * nlanes;
		(nlanes == 16 ? lanes_sum_16 : lanes_sum_8)(column, lanes, piece->x.weights + x * piece->x.taps,
							    piece->x.counts[x]);
		for (uint32_t r = 0; r < nrows; r++)
			piece->rows[r * width + x] = column[r];
	}
}

static void strip_columns(struct piece *piece, const float *strip, uint32_t nrows)
{
	size_t width = piece->rect.width;
	if (!piece->x.copies && piece->strip_rows > 1) {
		strip_columns_laned(piece, strip, nrows);
		return;
	}
	for (size_t r = 0; r < nrows; r++, strip += piece->source.width)
		for (size_t x = 0; x < width; x++) {
			const float *from = strip + (piece->x.starts[x] - piece->source.x);
			piece->rows[r * width + x] =
				piece->x.copies ? *from : row_sum(from, piece->x.weights + x * piece->x.taps, piece->x.counts[x]);
		}
}

/* Rows that are copied, not summed: only those that are needed are made, up to LANES neighbours at once. */
static int piece_copy_rows(struct view_reader *reader, uint32_t index, struct piece *piece, const uint16_t *list)
{
	const uint32_t *starts = piece->y.starts;
	size_t width = piece->rect.width, plane = width * piece->rect.height;
	for (uint32_t out = 0, end; out < piece->rect.height; out = end) {
		struct view_rect rect = {piece->source.x, starts[out], piece->source.width, 1};
		for (end = out + 1;
		     end < piece->rect.height && starts[end] - rect.y <= rect.height && starts[end] - rect.y < piece->strip_rows;)
			rect.height = starts[end++] - rect.y + 1;
		int rc = stage_fetch(reader, index - 1, rect, list, piece->n, sink_of_tile(piece->strip, rect, 0));
		if (rc)
			return rc;
		for (uint32_t i = 0; i < piece->n; i++) {
			strip_columns(piece, piece->strip + (size_t)i * rect.height * rect.width, rect.height);
			for (uint32_t o = out; o < end; o++)
				memcpy(piece->tile + i * plane + o * width, piece->rows + (starts[o] - rect.y) * width,
				       width * sizeof(float));
		}
	}
	return 0;
}

/* Adds source row y (its columns resampled) of channel i to the outputs, from lo on, that it contributes to. */
static void add_row(struct piece *piece, uint32_t i, uint32_t y, const float *row, uint32_t lo)
{
	size_t width = piece->rect.width;
	for (uint32_t out = lo; out < piece->rect.height && piece->y.starts[out] <= y; out++) {
		size_t at = ((size_t)i * piece->rect.height + out) * width;
		if (y < piece->y.starts[out] + piece->y.counts[out])
			sums_add(piece->sums + at, row, piece->y.weights[out * piece->y.taps + (y - piece->y.starts[out])], width);
	}
}

static int piece_sum_rows(struct view_reader *reader, uint32_t index, struct piece *piece, const uint16_t *list)
{
	uint32_t lo = 0, end = piece->source.y + piece->source.height;
	for (uint32_t y = piece->source.y, nrows; y < end; y += nrows) {
		nrows = end - y < piece->strip_rows ? end - y : piece->strip_rows;
		struct view_rect rect = {piece->source.x, y, piece->source.width, nrows};
		int rc = stage_fetch(reader, index - 1, rect, list, piece->n, sink_of_tile(piece->strip, rect, 0));
		if (rc)
			return rc;
		while (piece->y.starts[lo] + piece->y.counts[lo] <= y && lo + 1 < piece->rect.height)
			lo++;
		for (uint32_t i = 0; i < piece->n; i++) {
			strip_columns(piece, piece->strip + (size_t)i * nrows * rect.width, nrows);
			for (uint32_t r = 0; r < nrows; r++)
				add_row(piece, i, y + r, piece->rows + (size_t)r * piece->rect.width, lo);
		}
	}
	return 0;
}

static int piece_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		       struct view_sink sink)
{
	const struct resize_stage *stage = &reader->view->stages[index].resize;
	const struct resize *resize = &stage->resize;
	struct piece piece = {.rect = rect, .source = resize_source_rect(resize, rect), .n = n};
	piece.x.kept = axis_weights(&resize->x, &stage->memory->x);
	piece.y.kept = axis_weights(&resize->y, &stage->memory->y);
	bool wide = (uint64_t)piece.source.width * n > LANED_SAMPLES;
	piece.strip_rows = wide ? 1 : LANES;
	size_t outputs = (size_t)n * rect.width * rect.height;
	unsigned char *memory = reader_buffer(reader, index, piece_take(&piece, resize, NULL));
	if (!memory)
		return -ENOMEM;
	piece_take(&piece, resize, memory);
	axis_fill(&piece.x, &resize->x, rect.x, rect.width);
	axis_fill(&piece.y, &resize->y, rect.y, rect.height);
	if (!piece.y.copies)
		memset(piece.sums, 0, outputs * sizeof *piece.sums);
	int rc = piece.y.copies ? piece_copy_rows(reader, index, &piece, list) : piece_sum_rows(reader, index, &piece, list);
	if (rc)
		return rc;
	if (!piece.y.copies)
		sums_round(piece.tile, piece.sums, outputs);
	sink_store(piece.tile, rect, n, sink, view_stage_bytes(reader->view));
	return 0;
}

/* ---- pieces ---- */

static uint32_t clamp(uint64_t value, uint32_t most)
{
	return value < 1 ? 1 : value < most ? (uint32_t)value : most;
}

int resize_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		 struct view_sink sink)
{
	const struct resize *resize = &reader->view->stages[index].resize.resize;
	uint64_t columns = (uint64_t)SOURCE_SAMPLES * resize->x.out / ((uint64_t)resize->x.in * n);
	uint64_t weighted_columns = WEIGHTS / resize_taps(&resize->x);
	uint32_t width = clamp(columns < weighted_columns ? columns : weighted_columns, rect.width);
	uint64_t weighted_rows = WEIGHTS / resize_taps(&resize->y), rows = PIECE_SAMPLES / ((uint64_t)width * n);
	uint32_t height = clamp(rows < weighted_rows ? rows : weighted_rows, rect.height);
	for (uint32_t y = 0; y < rect.height; y += height)
		for (uint32_t x = 0; x < rect.width; x += width) {
			struct view_rect part = {rect.x + x, rect.y + y, rect.width - x < width ? rect.width - x : width,
						 rect.height - y < height ? rect.height - y : height};
			struct view_sink to = sink;
			to.at += (ptrdiff_t)x * sink.x_step + (ptrdiff_t)y * sink.row_step;
			int rc = piece_fetch(reader, index, part, list, n, to);
			if (rc)
				return rc;
		}
	return 0;
}
