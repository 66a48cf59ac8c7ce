/* view_base.h - what the two files of the base stage share. */
#ifndef PIXFS_VIEW_BASE_H
#define PIXFS_VIEW_BASE_H

#include "view_plan.h"

enum { PIECE = 512 }; /* pixels of a piece, at most */

/* One chunk being read, and what is asked of it. */
struct chunk {
	const struct base_stage *base;
	const struct codec_part *part;
	const struct codec_plane_layout *planes;
	struct codec_chunk_layout layout;
	const unsigned char *samples;
	struct view_rect asked;
	struct view_sink sink;
	enum way { WAY_RUN, WAY_GROUP, WAY_EACH } way;
};

static inline uint32_t ceil_div(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline const struct codec_plane *plane_of(const struct base_stage *base, const struct base_channel *channel)
{
	return &base->part->planes[channel->plane];
}

/* How often each sample of the channel is repeated in the stage. */
static inline uint32_t repeat_x(const struct base_stage *base, const struct base_channel *channel)
{
	return max_u32(1, plane_of(base, channel)->xsampling / base->unit_x);
}

static inline uint32_t repeat_y(const struct base_stage *base, const struct base_channel *channel)
{
	return max_u32(1, plane_of(base, channel)->ysampling / base->unit_y);
}

static inline unsigned element_bytes(const struct base_stage *base, const struct base_channel *channel)
{
	return base->native ? sample_size_bytes((enum sample_type)plane_of(base, channel)->type) : (unsigned)sizeof(float);
}

/* Pixels of the stage behind each other: n from (x, y) on, one to the right or down or back. */
struct piece {
	uint32_t x, y, n;
	int8_t dx, dy;
};

/* The piece's samples of one channel, as the stage holds them, contiguous at dst. */
void piece_fetch(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece, void *dst);

/* Where the first sample of the piece lies in the chunk. */
const void *piece_source(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece);

#endif
