/* view_base.c - the first stage of a view: rectangles of decoded chunks -> samples where the sink wants them.
 *
 * Chunks are pinned one at a time. Within a chunk the work goes in pieces of at most PIECE pixels in the direction in which
 * the sink's pixels lie closest: along rows, along columns where x and y are exchanged, backwards where the sink runs
 * backwards. Each channel of a piece is made contiguous on the stack and then stored; where the chunk already holds the row
 * as the sink wants it (interleaved pixels in their own order), a whole row is converted at once.
 *
 * A plane with a sampling of s has a sample for every s-th pixel; in a stage with unit 1 each is repeated, and then the row
 * that is repeated may lie in the chunk before: rows and columns are looked for by the pixel that their sample stands at. */
#include "view_base.h"

#include <string.h>

#include "codecs/core/sample.h"
#include "codecs/core/ycc.h"

enum {
	GROUP_MAX = 4,
	YCC_PIXELS = 4096, /* made RGB at once: they stay in the nearest cache */
};

/* ---- one chunk ---- */

static bool span_clip(uint32_t *start, uint32_t *n, uint64_t from, uint64_t end)
{
	uint64_t a = *start > from ? *start : from, b = (uint64_t)*start + *n < end ? (uint64_t)*start + *n : end;
	if (a >= b)
		return false;
	*start = (uint32_t)a;
	*n = (uint32_t)(b - a);
	return true;
}

/* The part of rect whose samples of this channel lie in the chunk; false: none. */
static bool chunk_clip(const struct base_stage *base, const struct codec_chunk_layout *layout, const struct base_channel *channel,
		       struct view_rect *rect)
{
	const struct codec_plane *plane = plane_of(base, channel);
	uint64_t x0 = ceil_div(layout->x, plane->xsampling), x1 = ceil_div(layout->x + layout->width, plane->xsampling);
	uint64_t y0 = ceil_div(layout->y, plane->ysampling), y1 = ceil_div(layout->y + layout->height, plane->ysampling);
	uint32_t rx = repeat_x(base, channel), ry = repeat_y(base, channel);
	return span_clip(&rect->x, &rect->width, x0 * rx, x1 * rx) && span_clip(&rect->y, &rect->height, y0 * ry, y1 * ry);
}

static unsigned char *chunk_target(const struct chunk *chunk, uint32_t x, uint32_t y)
{
	return chunk->sink.at + (ptrdiff_t)(x - chunk->asked.x) * chunk->sink.x_step +
	       (ptrdiff_t)(y - chunk->asked.y) * chunk->sink.row_step;
}

/* How to walk over a rectangle: in which direction the pieces run, and how far apart their pixels lie in the sink. */
struct walk {
	bool down, back;
	ptrdiff_t step; /* of the sink between the pixels of a piece: positive */
};

static ptrdiff_t distance(ptrdiff_t step)
{
	return step < 0 ? -step : step;
}

static struct walk walk_of(const struct view_sink *sink)
{
	bool down = distance(sink->row_step) < distance(sink->x_step);
	ptrdiff_t step = down ? sink->row_step : sink->x_step;
	return (struct walk){down, step < 0, distance(step)};
}

/* Piece number i of line number `line` of rect: its first pixel is the one that comes first in the sink. */
static struct piece walk_piece(const struct walk *walk, struct view_rect rect, uint32_t line, uint32_t i)
{
	uint32_t length = walk->down ? rect.height : rect.width, at = i * PIECE, n = min_u32(PIECE, length - at);
	uint32_t along = walk->back ? length - 1 - at : at;
	int8_t one = walk->back ? -1 : 1;
	return walk->down ? (struct piece){rect.x + line, rect.y + along, n, 0, one}
			  : (struct piece){rect.x + along, rect.y + line, n, one, 0};
}

static void chunk_fetch_one(const struct chunk *chunk, const struct base_channel *channel, uint32_t index)
{
	struct view_rect rect = chunk->asked;
	if (channel->kind == BASE_CONST || !chunk_clip(chunk->base, &chunk->layout, channel, &rect))
		return;
	struct walk walk = walk_of(&chunk->sink);
	unsigned size = element_bytes(chunk->base, channel);
	uint32_t samples[PIECE], lines = walk.down ? rect.width : rect.height, length = walk.down ? rect.height : rect.width;
	for (uint32_t line = 0; line < lines; line++)
		for (uint32_t i = 0; i < ceil_div(length, PIECE); i++) {
			struct piece piece = walk_piece(&walk, rect, line, i);
			unsigned char *dst = chunk_target(chunk, piece.x, piece.y) + (ptrdiff_t)index * chunk->sink.channel_step;
			if (walk.step == (ptrdiff_t)size) {
				piece_fetch(chunk, channel, &piece, dst);
			} else {
				piece_fetch(chunk, channel, &piece, samples);
				sample_scatter(dst, walk.step, samples, size, piece.n);
			}
		}
}

/* The index in the channels of the first of the list that isn't a constant. */
static uint32_t first_stored(const struct base_stage *base, const uint16_t *list, uint32_t n)
{
	uint32_t i = 0;
	while (i + 1 < n && base->channels[list[i]].kind == BASE_CONST)
		i++;
	return list[i];
}

/* Whether the channels are halves to become float32, all side by side in rows, and there is a step that does it at once. */
static bool is_group_of_halves(const struct chunk *chunk, const uint16_t *list, uint32_t count, const struct walk *walk)
{
	if (walk->down || walk->back || chunk->base->native || !sample_can_interleave_f16(count))
		return false;
	for (uint32_t c = 0; c < count; c++) {
		const struct base_channel *channel = &chunk->base->channels[list[c]];
		if (channel->kind != BASE_PLANE || plane_of(chunk->base, channel)->type != SAMPLE_F16 ||
		    chunk->planes[channel->plane].step_bytes != sizeof(uint16_t))
			return false;
	}
	return true;
}

static void fetch_halves(const struct chunk *chunk, const uint16_t *list, uint32_t count, const struct piece *piece,
			 unsigned char *dst)
{
	const void *planes[GROUP_MAX];
	for (uint32_t c = 0; c < count; c++)
		planes[c] = piece_source(chunk, &chunk->base->channels[list[c]], piece);
	sample_interleave_f16(dst, planes, count, piece->n);
}

/* 2 to 4 channels side by side in the sink, none of them subsampled. */
static void chunk_fetch_group(const struct chunk *chunk, const uint16_t *list, uint32_t count)
{
	const struct base_channel *channels = chunk->base->channels;
	struct view_rect rect = chunk->asked;
	if (!chunk_clip(chunk->base, &chunk->layout, &channels[first_stored(chunk->base, list, count)], &rect))
		return;
	struct walk walk = walk_of(&chunk->sink);
	bool halves = is_group_of_halves(chunk, list, count, &walk);
	unsigned size = element_bytes(chunk->base, &channels[list[0]]);
	uint32_t samples[GROUP_MAX][PIECE], lines = walk.down ? rect.width : rect.height,
					    length = walk.down ? rect.height : rect.width;
	const void *planes[GROUP_MAX] = {samples[0], samples[1], samples[2], samples[3]};
	for (uint32_t c = 0; c < count; c++)
		for (uint32_t i = 0; channels[list[c]].kind == BASE_CONST && i < PIECE; i++)
			memcpy(&samples[c][i], &channels[list[c]].value, sizeof(float));
	for (uint32_t line = 0; line < lines; line++)
		for (uint32_t i = 0; i < ceil_div(length, PIECE); i++) {
			struct piece piece = walk_piece(&walk, rect, line, i);
			unsigned char *dst = chunk_target(chunk, piece.x, piece.y);
			if (halves) {
				fetch_halves(chunk, list, count, &piece, dst);
				continue;
			}
			for (uint32_t c = 0; c < count; c++)
				if (channels[list[c]].kind != BASE_CONST)
					piece_fetch(chunk, &channels[list[c]], &piece, samples[c]);
			sample_interleave(dst, planes, count, size, piece.n);
		}
}

/* The row of the chunk is the row of the sink, but for the type: whole rows at once. */
static void chunk_fetch_run(const struct chunk *chunk, const struct base_channel *channel)
{
	struct view_rect rect = chunk->asked;
	if (!chunk_clip(chunk->base, &chunk->layout, channel, &rect))
		return;
	const struct codec_plane *plane = plane_of(chunk->base, channel);
	const struct codec_plane_layout *at = &chunk->planes[0];
	size_t n = (size_t)rect.width * chunk->part->nplanes;
	unsigned size = sample_size_bytes((enum sample_type)plane->type);
	const unsigned char *src = chunk->samples + at->offset + (rect.y - chunk->layout.y) * at->row_bytes +
				   (rect.x - chunk->layout.x) * at->step_bytes;
	for (uint32_t y = rect.y; y < rect.y + rect.height; y++, src += at->row_bytes) {
		unsigned char *dst = chunk_target(chunk, rect.x, y);
		if (chunk->base->native)
			memcpy(dst, src, n * size);
		else if (channel->kind == BASE_TABLE)
			sample_table_to_f32(dst, src, 1, channel->table, n);
		else
			sample_to_f32(dst, src, (enum sample_type)plane->type, channel->divisor, n);
	}
}

/* ---- which way ---- */

static bool same_treatment(const struct base_channel *a, const struct base_channel *b)
{
	return a->kind == b->kind && a->table == b->table && a->divisor == b->divisor;
}

/* All planes in their own order, interleaved in the chunk (or only one), and side by side in the sink. */
static bool is_run(const struct base_stage *base, const uint16_t *list, uint32_t n, const struct view_sink *sink)
{
	const struct base_channel *first = &base->channels[list[0]];
	ptrdiff_t size = (ptrdiff_t)element_bytes(base, first);
	if (n != base->part->nplanes || (n > 1 && !base->part->interleaved) || sink->x_step != size * (ptrdiff_t)n ||
	    (n > 1 && sink->channel_step != size) || first->kind > BASE_TABLE)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct base_channel *channel = &base->channels[list[i]];
		if (channel->plane != i || !same_treatment(first, channel))
			return false;
		if (plane_of(base, channel)->xsampling != 1 || plane_of(base, channel)->ysampling != 1)
			return false;
	}
	return true;
}

static bool is_group(const struct base_stage *base, const uint16_t *list, uint32_t n, const struct view_sink *sink)
{
	ptrdiff_t size = (ptrdiff_t)element_bytes(base, &base->channels[list[0]]);
	if (n < 2 || n > GROUP_MAX || sink->channel_step != size || walk_of(sink).step != size * (ptrdiff_t)n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct base_channel *channel = &base->channels[list[i]];
		if (channel->kind != BASE_CONST && (repeat_x(base, channel) != 1 || repeat_y(base, channel) != 1))
			return false;
	}
	return base->channels[first_stored(base, list, n)].kind != BASE_CONST;
}

static void fill_constant(const struct base_channel *channel, uint32_t index, struct view_rect rect, struct view_sink sink)
{
	for (uint32_t y = 0; y < rect.height; y++) {
		unsigned char *dst = sink.at + (ptrdiff_t)index * sink.channel_step + (ptrdiff_t)y * sink.row_step;
		for (uint32_t x = 0; x < rect.width; x++, dst += sink.x_step)
			memcpy(dst, &channel->value, sizeof channel->value);
	}
}

/* ---- the grid ---- */

/* Chunks, inclusive, that hold the samples of rect. */
struct chunk_range {
	uint32_t x0, y0, x1, y1;
	bool any;
};

static void range_add(struct chunk_range *range, const struct base_stage *base, const struct base_channel *channel,
		      struct view_rect rect)
{
	if (channel->kind == BASE_CONST)
		return;
	const struct codec_level *level = &base->part->levels[base->level];
	const struct codec_plane *plane = plane_of(base, channel);
	uint32_t rx = repeat_x(base, channel), ry = repeat_y(base, channel);
	uint32_t x0 = rect.x / rx * plane->xsampling / level->chunk_width;
	uint32_t x1 = (rect.x + rect.width - 1) / rx * plane->xsampling / level->chunk_width;
	uint32_t y0 = rect.y / ry * plane->ysampling / level->chunk_height;
	uint32_t y1 = (rect.y + rect.height - 1) / ry * plane->ysampling / level->chunk_height;
	range->x0 = range->any ? min_u32(range->x0, x0) : x0;
	range->y0 = range->any ? min_u32(range->y0, y0) : y0;
	range->x1 = range->any ? max_u32(range->x1, x1) : x1;
	range->y1 = range->any ? max_u32(range->y1, y1) : y1;
	range->any = true;
}

void base_want(struct view_reader *reader, struct view_rect rect)
{
	const struct view_stage *stage = &reader->view->stages[0];
	struct chunk_range range = {0};
	for (uint32_t i = 0; i < stage->nchannels; i++)
		range_add(&range, &stage->base, &stage->base.channels[i], rect);
	if (range.any && reader->source->want)
		reader->source->want(reader->source->context, range.x0, range.y0, range.x1, range.y1);
}

static bool chunk_is_needed(const struct base_stage *base, const struct codec_chunk_layout *layout, const uint16_t *list,
			    uint32_t n, struct view_rect rect)
{
	for (uint32_t i = 0; i < n; i++) {
		struct view_rect clipped = rect;
		if (base->channels[list[i]].kind != BASE_CONST && chunk_clip(base, layout, &base->channels[list[i]], &clipped))
			return true;
	}
	return false;
}

static void chunk_fetch_samples(const struct chunk *chunk, const uint16_t *list, uint32_t n)
{
	if (chunk->way == WAY_RUN)
		chunk_fetch_run(chunk, &chunk->base->channels[list[0]]);
	else if (chunk->way == WAY_GROUP)
		chunk_fetch_group(chunk, list, n);
	else
		for (uint32_t i = 0; i < n; i++)
			chunk_fetch_one(chunk, &chunk->base->channels[list[i]], i);
}

/* A chunk that is kept as YCbCr: rows of RGB are made of it, where they are wanted as they are, else a few at a time, and those are
 * read as if they were a chunk. */
static void chunk_fetch_ycc(struct view_reader *reader, const struct chunk *kept, uint32_t cy, const uint16_t *list, uint32_t n)
{
	uint8_t rgb[YCC_PLANES * YCC_PIXELS];
	struct view_rect rect = kept->asked;
	struct chunk some = *kept;
	struct ycc_layout layout;
	if (!span_clip(&rect.y, &rect.height, kept->layout.y, kept->layout.y + kept->layout.height))
		return;
	ycc_layout(kept->part, cy, &layout);
	if (kept->way == WAY_RUN && kept->base->native) {
		for (uint32_t y = rect.y; y < rect.y + rect.height; y++)
			ycc_row_to_rgb(kept->part, &layout, kept->samples, rect.x, y, rect.width, chunk_target(kept, rect.x, y));
		return;
	}
	uint32_t width = min_u32(rect.width, YCC_PIXELS), rows = YCC_PIXELS / width;
	some.samples = rgb;
	for (uint32_t y = rect.y; y < rect.y + rect.height; y += rows)
		for (uint32_t x = rect.x; x < rect.x + rect.width; x += width) {
			some.layout.x = x;
			some.layout.y = y;
			some.layout.width = min_u32(width, rect.x + rect.width - x);
			some.layout.height = min_u32(rows, rect.y + rect.height - y);
			size_t row_bytes = (size_t)some.layout.width * YCC_PLANES;
			for (uint32_t i = 0; i < some.layout.height; i++)
				ycc_row_to_rgb(kept->part, &layout, kept->samples, x, y + i, some.layout.width,
					       rgb + i * row_bytes);
			for (uint32_t p = 0; p < YCC_PLANES; p++)
				reader->layouts[p].row_bytes = row_bytes;
			chunk_fetch_samples(&some, list, n);
		}
}

static int chunk_fetch(struct view_reader *reader, struct chunk *chunk, uint32_t cx, uint32_t cy, const uint16_t *list, uint32_t n)
{
	codec_chunk_layout(chunk->part, chunk->base->level, cx, cy, &chunk->layout, reader->layouts);
	if (!chunk_is_needed(chunk->base, &chunk->layout, list, n, chunk->asked))
		return 0;
	const void *samples;
	int rc = reader->source->pin(reader->source->context, cx, cy, &samples, reader->err);
	if (rc)
		return rc;
	chunk->samples = samples;
	if (chunk->part->chroma_x)
		chunk_fetch_ycc(reader, chunk, cy, list, n);
	else
		chunk_fetch_samples(chunk, list, n);
	reader->source->unpin(reader->source->context, cx, cy);
	return 0;
}

int base_fetch(struct view_reader *reader, struct view_rect rect, const uint16_t *list, uint32_t n, struct view_sink sink)
{
	const struct base_stage *base = &reader->view->stages[0].base;
	struct chunk chunk = {.base = base, .part = base->part, .planes = reader->layouts, .asked = rect, .sink = sink};
	struct chunk_range range = {0};
	chunk.way = is_run(base, list, n, &sink) ? WAY_RUN : is_group(base, list, n, &sink) ? WAY_GROUP : WAY_EACH;
	for (uint32_t i = 0; i < n; i++) {
		range_add(&range, base, &base->channels[list[i]], rect);
		if (base->channels[list[i]].kind == BASE_CONST && chunk.way == WAY_EACH)
			fill_constant(&base->channels[list[i]], i, rect, sink);
	}
	for (uint32_t cy = range.y0; range.any && cy <= range.y1; cy++)
		for (uint32_t cx = range.x0; cx <= range.x1; cx++) {
			int rc = chunk_fetch(reader, &chunk, cx, cy, list, n);
			if (rc)
				return rc;
		}
	return 0;
}

bool base_is_in_place(const struct base_stage *base, const uint16_t *list, uint32_t n)
{
	struct codec_plane_layout planes[GROUP_MAX];
	struct codec_chunk_layout layout;
	const struct codec_level *level = &base->part->levels[base->level];
	if (!base->native || base->part->chroma_x || level->nchunks_x != 1 || base->part->nplanes > GROUP_MAX)
		return false;
	ptrdiff_t size = (ptrdiff_t)element_bytes(base, &base->channels[list[0]]);
	const struct view_sink rows = {NULL, size * (ptrdiff_t)n, size * (ptrdiff_t)n * level->width, size};
	codec_chunk_layout(base->part, base->level, 0, 0, &layout, planes);
	return is_run(base, list, n, &rows) && (ptrdiff_t)planes[0].row_bytes == rows.row_step;
}

ssize_t base_find(const struct view *view, uint64_t offset, size_t len_bytes, const struct view_source *source, const void **ret_at,
		  uint32_t *ret_cy, struct err *err)
{
	const struct base_stage *base = &view->stages[0].base;
	struct codec_plane_layout planes[GROUP_MAX];
	struct codec_chunk_layout layout;
	uint64_t row_bytes = (uint64_t)view->width * view->nout * view->element_bytes;
	uint64_t chunk_bytes = row_bytes * base->part->levels[base->level].chunk_height;
	uint32_t cy = (uint32_t)(offset / chunk_bytes);
	uint64_t within = offset % chunk_bytes;
	const void *samples;
	if (source->want)
		source->want(source->context, 0, cy, 0, (uint32_t)((offset + len_bytes - 1) / chunk_bytes));
	int rc = source->pin(source->context, 0, cy, &samples, err);
	if (rc)
		return rc;
	codec_chunk_layout(base->part, base->level, 0, cy, &layout, planes);
	uint64_t left_bytes = layout.height * row_bytes - within;
	*ret_at = (const unsigned char *)samples + planes[0].offset + (size_t)within;
	*ret_cy = cy;
	return (ssize_t)(len_bytes < left_bytes ? len_bytes : left_bytes);
}
