/* view_read.c - a byte range of a view.
 *
 * A range is cut into spans of pixels that lie behind each other in the file; a span into at most three rectangles (the
 * end of a row, whole rows, the beginning of a row). A view that only moves samples writes each rectangle straight to the
 * caller's buffer; all others are made in blocks of about BLOCK_SAMPLES, converted and interleaved at the end, so that
 * the scratch memory stays small whatever the picture. Bytes of a pixel cut in two by the range's ends go through a pixel
 * in scratch memory. */
#include "view_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "npy.h"

enum {
	BLOCK_SAMPLES = 32768,
	SWAPPED_BLOCK_WIDTH = 128, /* rows of the output are columns of the source: blocks as square as may be */
	PIECE = 512,
	GROUP_MAX = 4,
};

void *reader_buffer(struct view_reader *reader, uint32_t slot, size_t len_bytes)
{
	struct reader_buffer *buffer = &reader->buffers[slot];
	if (buffer->len_bytes < len_bytes) {
		free(buffer->data);
		len_bytes = (len_bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
		buffer->data = aligned_alloc(SCRATCH_ALIGN, len_bytes);
		buffer->len_bytes = buffer->data ? len_bytes : 0;
	}
	if (!buffer->data)
		err_set(reader->err, -ENOMEM, "no memory for a view's scratch buffer");
	return buffer->data;
}

/* Pixels behind each other in the file, n channels each: where channel list[i] of the first goes, and the steps. */
struct span {
	const uint16_t *list;
	uint32_t n;
	uint64_t first, end; /* pixels, row by row */
	unsigned char *dst;  /* of pixel `first` */
};

/* ---- blocks ---- */

/* One row of a block's tile to its place: converted and interleaved. */
static void store_row(const struct view *view, const float *tile, size_t plane, uint32_t width, uint32_t n, unsigned char *dst)
{
	unsigned size = view->element_bytes;
	uint32_t pieces[GROUP_MAX][PIECE];
	for (uint32_t x = 0, count; x < width; x += count, dst += (size_t)count * n * size) {
		count = width - x < PIECE ? width - x : PIECE;
		const void *planes[GROUP_MAX];
		for (uint32_t i = 0; i < n; i++) {
			const float *from = tile + i * plane + x;
			void *piece = pieces[i % GROUP_MAX];
			if (view->info.dtype != SAMPLE_F32)
				(view->unscaled ? sample_round_f32 : sample_from_f32)(piece, from, view->info.dtype, count);
			planes[i % GROUP_MAX] = view->info.dtype == SAMPLE_F32 ? (const void *)from : piece;
			if (n > GROUP_MAX)
				sample_scatter(dst + (size_t)i * size, (ptrdiff_t)((size_t)n * size), planes[i % GROUP_MAX], size,
					       count);
		}
		if (n <= GROUP_MAX)
			sample_interleave(dst, planes, n, size, count);
	}
}

static int read_block(struct view_reader *reader, struct view_rect rect, const struct span *span, unsigned char *dst,
		      size_t row_bytes)
{
	const struct view *view = reader->view;
	size_t plane = (size_t)rect.width * rect.height;
	float *tile = reader_buffer(reader, view->nstages, plane * span->n * sizeof(float));
	if (!tile)
		return -ENOMEM;
	int rc = stage_fetch(reader, view->nstages - 1, rect, span->list, span->n, sink_of_tile(tile, rect, 0));
	for (uint32_t y = 0; !rc && y < rect.height; y++)
		store_row(view, tile + (size_t)y * rect.width, plane, rect.width, span->n, dst + y * row_bytes);
	return rc;
}

/* Pixels that a block may have: all stages' channels of it together in BLOCK_SAMPLES; fewer where a resize reads more than
 * it writes. */
static uint32_t block_pixels(const struct view *view, uint32_t n)
{
	uint64_t most = n;
	for (uint32_t i = 0; i < view->nstages; i++)
		if (view->stages[i].kind != STAGE_MOVE && view->stages[i].nchannels > most && n == view->nout)
			most = view->stages[i].nchannels;
	uint64_t pixels = BLOCK_SAMPLES / most;
	return pixels < 16 ? 16 : (uint32_t)pixels;
}

static int read_blocks(struct view_reader *reader, struct view_rect rect, const struct span *span, unsigned char *dst,
		       size_t row_bytes)
{
	const struct view *view = reader->view;
	uint32_t pixels = block_pixels(view, span->n);
	uint32_t most = view->swaps && pixels > SWAPPED_BLOCK_WIDTH ? SWAPPED_BLOCK_WIDTH : pixels;
	uint32_t width = rect.width < most ? rect.width : most;
	uint32_t height = pixels / width ? pixels / width : 1;
	size_t pixel_bytes = (size_t)span->n * view->element_bytes;
	uint32_t across = (rect.width - 1) / width + 1, down = (rect.height - 1) / height + 1;
	for (uint64_t i = 0; i < (uint64_t)across * down; i++) {
		/* in the order in which the source's rows come */
		uint32_t x = (uint32_t)(view->swaps ? i / down : i % across) * width;
		uint32_t y = (uint32_t)(view->swaps ? i % down : i / across) * height;
		struct view_rect block = {rect.x + x, rect.y + y, rect.width - x < width ? rect.width - x : width,
					  rect.height - y < height ? rect.height - y : height};
		int rc = read_block(reader, block, span, dst + y * row_bytes + x * pixel_bytes, row_bytes);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_rect(struct view_reader *reader, struct view_rect rect, const struct span *span, unsigned char *dst)
{
	const struct view *view = reader->view;
	size_t pixel_bytes = (size_t)span->n * view->element_bytes, row_bytes = pixel_bytes * view->width;
	if (!view->info.only_moves && !view->stages[0].base.native)
		return read_blocks(reader, rect, span, dst, row_bytes);
	struct view_sink sink = {dst, (ptrdiff_t)pixel_bytes, (ptrdiff_t)row_bytes, (ptrdiff_t)view->element_bytes};
	return stage_fetch(reader, view->nstages - 1, rect, span->list, span->n, sink);
}

/* ---- spans ---- */

static void want_span(struct view_reader *reader, const struct span *span)
{
	uint32_t width = reader->view->width;
	uint32_t y0 = (uint32_t)(span->first / width), y1 = (uint32_t)((span->end - 1) / width);
	uint32_t x0 = (uint32_t)(span->first % width), x1 = (uint32_t)((span->end - 1) % width);
	struct view_rect rect = {0, y0, width, y1 - y0 + 1};
	if (y0 == y1) {
		rect.x = x0;
		rect.width = x1 - x0 + 1;
	}
	stage_want(reader, rect);
}

static int read_span(struct view_reader *reader, const struct span *span)
{
	const struct view *view = reader->view;
	size_t pixel_bytes = (size_t)span->n * view->element_bytes;
	for (uint64_t at = span->first, next; at < span->end; at = next) {
		uint32_t x = (uint32_t)(at % view->width), y = (uint32_t)(at / view->width);
		uint64_t left = span->end - at;
		struct view_rect rect = {x, y, view->width - x, 1};
		if (left < rect.width)
			rect.width = (uint32_t)left;
		else if (x == 0)
			rect.height = (uint32_t)(left / view->width);
		next = at + (uint64_t)rect.width * rect.height;
		int rc = read_rect(reader, rect, span, span->dst + (size_t)(at - span->first) * pixel_bytes);
		if (rc)
			return rc;
	}
	return 0;
}

/* Bytes [skip, skip + len) of one pixel. */
static int read_part_of_pixel(struct view_reader *reader, const struct span *span, uint64_t pixel, size_t skip, size_t len,
			      unsigned char *dst)
{
	unsigned char *whole = reader_buffer(reader, reader->view->nstages + 1, (size_t)span->n * reader->view->element_bytes);
	struct span one = {span->list, span->n, pixel, pixel + 1, whole};
	if (!whole)
		return -ENOMEM;
	int rc = read_span(reader, &one);
	if (!rc)
		memcpy(dst, whole + skip, len);
	return rc;
}

/* All rows that the span touches, made at once, and then the bytes asked for of them: a resize would otherwise make the
 * source rows under its filter three times, for the first, the whole and the last rows. */
static int read_whole_rows(struct view_reader *reader, const struct span *span, uint64_t offset, size_t len)
{
	const struct view *view = reader->view;
	size_t pixel_bytes = (size_t)span->n * view->element_bytes;
	uint64_t first = span->first / view->width * view->width, rows = (span->end - 1) / view->width + 1 - first / view->width;
	unsigned char *whole = reader_buffer(reader, view->nstages + 1, (size_t)(rows * view->width) * pixel_bytes);
	struct span all = {span->list, span->n, first, first + rows * view->width, whole};
	if (!whole)
		return -ENOMEM;
	int rc = read_span(reader, &all);
	if (!rc)
		memcpy(span->dst, whole + (offset - first * pixel_bytes), len);
	return rc;
}

/* Bytes [offset, offset + len) of the pixels that the list's channels make: all of them, or one plane of (c, y, x). */
static int read_bytes(struct view_reader *reader, const uint16_t *list, uint32_t n, uint64_t offset, size_t len, unsigned char *dst)
{
	size_t pixel_bytes = (size_t)n * reader->view->element_bytes;
	struct span span = {list, n, offset / pixel_bytes, (offset + len - 1) / pixel_bytes + 1, dst};
	want_span(reader, &span);
	if (reader->view->resizes && pixel_bytes * reader->view->width < len / 2)
		return read_whole_rows(reader, &span, offset, len);
	size_t skip = (size_t)(offset % pixel_bytes);
	if (skip) {
		size_t part = pixel_bytes - skip < len ? pixel_bytes - skip : len;
		int rc = read_part_of_pixel(reader, &span, span.first++, skip, part, dst);
		if (rc || part == len)
			return rc;
		dst += part;
		len -= part;
	}
	size_t tail = len % pixel_bytes;
	span.dst = dst;
	span.end -= tail != 0;
	int rc = read_span(reader, &span);
	if (!rc && tail)
		rc = read_part_of_pixel(reader, &span, span.end, 0, tail, dst + (len - tail));
	return rc;
}

static int read_elements(struct view_reader *reader, uint64_t offset, size_t len, unsigned char *dst)
{
	const struct view *view = reader->view;
	if (!view->chw)
		return read_bytes(reader, view->out, view->nout, offset, len, dst);
	uint64_t plane_bytes = (uint64_t)view->width * view->height * view->element_bytes;
	while (len) {
		uint64_t c = offset / plane_bytes, within = offset % plane_bytes;
		size_t part = plane_bytes - within < len ? (size_t)(plane_bytes - within) : len;
		int rc = read_bytes(reader, &view->out[c], 1, within, part, dst);
		if (rc)
			return rc;
		offset += part;
		dst += part;
		len -= part;
	}
	return 0;
}

int view_read_elements(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_source *source,
		       struct err *err)
{
	struct view_reader reader = {.view = view, .source = source, .err = err};
	reader.layouts = malloc(view->stages[0].base.part->nplanes * sizeof *reader.layouts);
	int rc =
		reader.layouts ? read_elements(&reader, offset, len_bytes, dst) : err_set(err, -ENOMEM, "no memory to read a view");
	for (size_t i = 0; i < sizeof reader.buffers / sizeof *reader.buffers; i++)
		free(reader.buffers[i].data);
	free(reader.layouts);
	return rc;
}

static int read_container(const struct view *view, uint64_t offset, size_t len_bytes, unsigned char *dst,
			  const struct view_elements *elements, struct err *err)
{
	if (view->info.container != VIEW_PNG)
		return elements->read(elements->context, offset - view->info.header_bytes, len_bytes, dst);
	int rc = png_out_read(&view->png, offset, len_bytes, dst, elements->read, elements->context);
	return rc == -ENOMEM ? err_set(err, rc, "no memory to make a PNG") : rc;
}

static void read_prefix(const struct view *view, size_t offset, size_t len_bytes, void *dst)
{
	unsigned char npy[NPY_HEADER_BYTES];
	if (view->info.container == VIEW_NPY)
		npy_header(view->info.dtype, view->info.ndim, view->info.shape, npy);
	memcpy(dst, (view->info.container == VIEW_NPY ? npy : view->prefix) + offset, len_bytes);
}

int view_read_by(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_elements *elements,
		 struct err *err)
{
	unsigned char *out = dst;
	if (offset < view->info.header_bytes) {
		size_t part =
			view->info.header_bytes - (size_t)offset < len_bytes ? view->info.header_bytes - (size_t)offset : len_bytes;
		read_prefix(view, (size_t)offset, part, out);
		offset += part;
		out += part;
		len_bytes -= part;
	}
	return len_bytes ? read_container(view, offset, len_bytes, out, elements, err) : 0;
}

struct maker {
	const struct view *view;
	const struct view_source *source;
	struct err *err;
};

static int make_elements(void *context, uint64_t offset, size_t len_bytes, unsigned char *dst)
{
	const struct maker *maker = context;
	return view_read_elements(maker->view, offset, len_bytes, dst, maker->source, maker->err);
}

int view_read(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_source *source,
	      struct err *err)
{
	struct maker maker = {view, source, err};
	return view_read_by(view, offset, len_bytes, dst, &(struct view_elements){make_elements, &maker}, err);
}

ssize_t view_find(const struct view *view, uint64_t offset, size_t len_bytes, const struct view_source *source, const void **ret_at,
		  uint32_t *ret_cy, struct err *err)
{
	if (!view->info.in_place || offset < view->info.header_bytes)
		return 0;
	return base_find(view, offset - view->info.header_bytes, len_bytes, source, ret_at, ret_cy, err);
}

struct recorder {
	struct view_chunks chunks;
	bool any;
};

static void record_want(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	struct recorder *recorder = context;
	struct view_chunks *all = &recorder->chunks;
	if (!recorder->any)
		*all = (struct view_chunks){cx0, cy0, cx1, cy1};
	recorder->any = true;
	all->cx0 = cx0 < all->cx0 ? cx0 : all->cx0;
	all->cy0 = cy0 < all->cy0 ? cy0 : all->cy0;
	all->cx1 = cx1 > all->cx1 ? cx1 : all->cx1;
	all->cy1 = cy1 > all->cy1 ? cy1 : all->cy1;
}

bool view_chunks(const struct view *view, struct view_chunks *ret_chunks)
{
	struct recorder recorder = {.any = false};
	const struct view_source source = {.context = &recorder, .want = record_want};
	struct view_reader reader = {.view = view, .source = &source};
	if (view->info.header_bytes < view->info.nbytes)
		stage_want(&reader, (struct view_rect){0, 0, view->width, view->height});
	if (recorder.any)
		*ret_chunks = recorder.chunks;
	return recorder.any;
}

struct view_size view_elements_size(const struct view *view)
{
	uint64_t row_bytes = (uint64_t)view->width * view->element_bytes * (view->chw ? 1 : view->nout);
	return (struct view_size){row_bytes, row_bytes * view->height * (view->chw ? view->nout : 1)};
}

bool view_elements_chunks(const struct view *view, uint64_t offset, size_t len_bytes, struct view_chunks *ret_chunks)
{
	struct recorder recorder = {.any = false};
	const struct view_source source = {.context = &recorder, .want = record_want};
	struct view_reader reader = {.view = view, .source = &source};
	uint64_t pixel_bytes = (uint64_t)view->element_bytes * (view->chw ? 1 : view->nout);
	uint64_t plane_bytes = pixel_bytes * view->width * view->height, end = offset + len_bytes;
	for (uint64_t at = offset, next; at < end; at = next) { /* at most one plane, but for chw */
		next = (at / plane_bytes + 1) * plane_bytes < end ? (at / plane_bytes + 1) * plane_bytes : end;
		uint64_t within = at % plane_bytes;
		struct span span = {.first = within / pixel_bytes, .end = (within + (next - at) - 1) / pixel_bytes + 1};
		want_span(&reader, &span);
	}
	if (recorder.any)
		*ret_chunks = recorder.chunks;
	return recorder.any;
}
