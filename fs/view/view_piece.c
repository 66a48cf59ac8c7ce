/* view_piece.c - the samples of a piece of a chunk's row or column, of one channel. See view_base.c. */
#include "view_base.h"

#include <string.h>

#include "codecs/core/sample.h"

static ptrdiff_t piece_step(const struct piece *piece, const struct codec_plane_layout *plane)
{
	return piece->dx * (ptrdiff_t)plane->step_bytes + piece->dy * (ptrdiff_t)plane->row_bytes;
}

/* The sample of the plane that pixel (x, y) shows; each is repeated repeat_x, repeat_y times. */
static const unsigned char *sample_at(const struct chunk *chunk, const struct base_channel *channel, uint32_t p, uint32_t x,
				      uint32_t y)
{
	const struct codec_plane *plane = &chunk->part->planes[p];
	const struct codec_plane_layout *at = &chunk->planes[p];
	size_t column = x / repeat_x(chunk->base, channel) - ceil_div(chunk->layout.x, plane->xsampling);
	size_t row = y / repeat_y(chunk->base, channel) - ceil_div(chunk->layout.y, plane->ysampling);
	return chunk->samples + at->offset + row * at->row_bytes + column * at->step_bytes;
}

static void piece_key(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece, void *dst)
{
	static const float alpha[256] = {[0] = 1.0f, [1] = 0.0f};
	uint8_t matches[PIECE];
	memset(matches, 1, piece->n);
	for (uint32_t p = 0; p < chunk->part->nplanes && p < 3; p++)
		sample_key_match(matches, sample_at(chunk, channel, p, piece->x, piece->y), piece_step(piece, &chunk->planes[p]),
				 sample_size_bytes((enum sample_type)chunk->part->planes[p].type), chunk->part->key[p], piece->n);
	sample_table_to_f32(dst, matches, 1, alpha, piece->n);
}

/* The piece's samples of one channel that isn't repeated, contiguous at dst. */
static void piece_samples(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece, void *dst)
{
	const struct codec_plane *plane = plane_of(chunk->base, channel);
	const unsigned char *src = sample_at(chunk, channel, channel->plane, piece->x, piece->y);
	ptrdiff_t step = piece_step(piece, &chunk->planes[channel->plane]);
	unsigned size = sample_size_bytes((enum sample_type)plane->type);
	uint32_t packed[PIECE];
	if (channel->kind == BASE_KEY) {
		piece_key(chunk, channel, piece, dst);
	} else if (channel->kind == BASE_TABLE) {
		sample_table_to_f32(dst, src, step, channel->table, piece->n);
	} else if (chunk->base->native) {
		sample_gather(dst, src, step, size, piece->n);
	} else if (step == (ptrdiff_t)size) {
		sample_to_f32(dst, src, (enum sample_type)plane->type, channel->divisor, piece->n);
	} else {
		sample_gather(packed, src, step, size, piece->n);
		sample_to_f32(dst, packed, (enum sample_type)plane->type, channel->divisor, piece->n);
	}
}

/* As piece_samples, of a subsampled plane; only float32 stages repeat. Along a row the samples are converted all at once. */
static void piece_repeated(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece, void *dst)
{
	if (piece->dx == 1) {
		float once[PIECE];
		uint32_t repeat = repeat_x(chunk->base, channel), skip = piece->x % repeat;
		const struct piece samples = {piece->x, piece->y, (skip + piece->n - 1) / repeat + 1, 1, 0};
		piece_samples(chunk, channel, &samples, once);
		for (uint32_t i = 0; i < piece->n; i++)
			memcpy((unsigned char *)dst + i * sizeof(float), &once[(skip + i) / repeat], sizeof(float));
		return;
	}
	float value = 0.0f;
	const unsigned char *known = NULL;
	for (uint32_t i = 0; i < piece->n; i++) {
		struct piece one = {(uint32_t)((int64_t)piece->x + (int64_t)i * piece->dx),
				    (uint32_t)((int64_t)piece->y + (int64_t)i * piece->dy), 1, 1, 0};
		const unsigned char *src = sample_at(chunk, channel, channel->plane, one.x, one.y);
		if (src != known)
			piece_samples(chunk, channel, &one, &value);
		known = src;
		memcpy((unsigned char *)dst + i * sizeof value, &value, sizeof value);
	}
}

void piece_fetch(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece, void *dst)
{
	if (repeat_x(chunk->base, channel) == 1 && repeat_y(chunk->base, channel) == 1)
		piece_samples(chunk, channel, piece, dst);
	else
		piece_repeated(chunk, channel, piece, dst);
}

const void *piece_source(const struct chunk *chunk, const struct base_channel *channel, const struct piece *piece)
{
	return sample_at(chunk, channel, channel->plane, piece->x, piece->y);
}
