/* exr_chunks.c - where the chunks of a file are: its offset tables and the header in front of each chunk.
 *
 * The tables of all parts lie behind each other and are read in one piece, when the first chunk is asked for. An entry
 * that can't be right (0, as a writer leaves it that did not come to its end; inside the header; behind the end of the
 * file) is looked for: chunks are walked from the first byte behind the tables on, each one's header telling where the
 * next one is, as OpenEXR's readers do. What is found counts, what is not found is missing: check_chunks() names the first
 * missing chunk of those asked for, and decoding any other works. It reads many chunk headers with one call: that the file is
 * still the version that was opened costs a quarter of a small read.
 *
 * Each use of a chunk compares its header (part number, line or tile coordinates, size) with what was asked for, so a
 * table can't pass another chunk off as this one. */
#include "exr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEADER_MAX_BYTES = 4 + 16 + 24, CHECKED_AT_ONCE = 64 };

/* "Chunk Layout": [part number] then y, or tile x, tile y, level x, level y; then the size, or for deep data the packed
 * size of the sample counts, the packed and the unpacked size of the samples. */
struct leader {
	uint32_t part, chunk; /* whose it is; chunk counts within the part */
	uint32_t len_bytes;   /* of the leader itself */
	uint64_t data_bytes;  /* behind it */
};

static bool is_tiled(const struct exr_part *part)
{
	return part->storage == STORAGE_TILED || part->storage == STORAGE_DEEP_TILED;
}

static bool is_deep(const struct exr_part *part)
{
	return part->storage == STORAGE_DEEP_SCANLINE || part->storage == STORAGE_DEEP_TILED;
}

/* The chunk that a leader's coordinates name; false where they name none. */
static bool tile_index(const struct codec_part *part, const struct exr_part *exr, const int32_t at[4], uint32_t *ret_chunk)
{
	bool rip = part->levels_mode == LEVELS_RIP;
	if (at[2] < 0 || at[3] < 0 || (uint32_t)at[2] >= part->nlevels_x || (uint32_t)at[3] >= part->nlevels_y ||
	    (!rip && at[2] != at[3]))
		return false;
	uint32_t index = (uint32_t)at[2] + (rip ? (uint32_t)at[3] * part->nlevels_x : 0);
	const struct codec_level *level = &part->levels[index];
	if (at[0] < 0 || at[1] < 0 || (uint32_t)at[0] >= level->nchunks_x || (uint32_t)at[1] >= level->nchunks_y)
		return false;
	*ret_chunk = exr->level_chunk0[index] + (uint32_t)at[1] * level->nchunks_x + (uint32_t)at[0];
	return true;
}

static bool line_index(const struct codec_part *part, int32_t y, uint32_t *ret_chunk)
{
	const struct codec_level *level = part->levels;
	uint32_t row = (uint32_t)y - (uint32_t)part->data_window.min_y;
	if (y < part->data_window.min_y || row >= level->height || row % level->chunk_height)
		return false;
	*ret_chunk = row / level->chunk_height;
	return true;
}

static bool parse_sizes(const struct exr_part *exr, const uint8_t *raw, size_t left, struct leader *leader)
{
	if (is_deep(exr)) {
		uint64_t counts, samples;
		if (left < 24)
			return false;
		memcpy(&counts, raw, 8);
		memcpy(&samples, raw + 8, 8);
		leader->len_bytes += 24;
		return !__builtin_add_overflow(counts, samples, &leader->data_bytes);
	}
	int32_t size;
	if (left < 4)
		return false;
	memcpy(&size, raw, 4);
	leader->len_bytes += 4;
	leader->data_bytes = (uint32_t)size;
	return size >= 0;
}

/* Parses a leader of any part. False where it is none. */
static bool parse_leader(const struct exr_image *image, const uint8_t *raw, size_t len_bytes, struct leader *leader)
{
	int32_t numbers[5] = {0};
	size_t at = 0;
	*leader = (struct leader){0};
	if (image->multipart) {
		if (len_bytes < 4)
			return false;
		memcpy(&leader->part, raw, 4);
		at = 4;
	}
	if (leader->part >= image->image.header.nparts || image->parts[leader->part].storage == STORAGE_OTHER)
		return false;
	const struct codec_part *part = &image->image.header.parts[leader->part];
	const struct exr_part *exr = &image->parts[leader->part];
	size_t coordinates = is_tiled(exr) ? 16 : 4;
	if (len_bytes - at < coordinates)
		return false;
	memcpy(numbers, raw + at, coordinates);
	at += coordinates;
	leader->len_bytes = (uint32_t)at;
	if (is_tiled(exr) ? !tile_index(part, exr, numbers, &leader->chunk) : !line_index(part, numbers[0], &leader->chunk))
		return false;
	return parse_sizes(exr, raw + at, len_bytes - at, leader);
}

static bool offset_possible(const struct exr_image *image, uint64_t offset)
{
	return offset >= image->chunks_offset && offset < image->image.bytes->size_bytes;
}

/* ---- the tables ---- */

/* Walks the chunks in file order and fills the entries that are not possible. The walk ends at the first thing that is no
 * chunk; as each chunk is found once, it takes at most as many steps as there are chunks. */
static int find_chunks(struct exr_image *image, uint64_t *offsets, struct err *err)
{
	struct bytes *bytes = image->image.bytes;
	uint64_t at = image->chunks_offset;
	for (uint32_t step = 0; step < image->nchunks && at < bytes->size_bytes; step++) {
		uint8_t raw[LEADER_MAX_BYTES];
		struct leader leader;
		ssize_t got = bytes_read(bytes, raw, sizeof raw, at, err);
		if (got < 0)
			return (int)got;
		if (!parse_leader(image, raw, (size_t)got, &leader) || leader.data_bytes > bytes->size_bytes - at ||
		    leader.len_bytes > bytes->size_bytes - at - leader.data_bytes)
			return 0;
		uint64_t *entry = &offsets[image->parts[leader.part].chunk0 + leader.chunk];
		if (!offset_possible(image, *entry))
			*entry = at;
		at += leader.len_bytes + leader.data_bytes;
	}
	return 0;
}

/* Whether an entry of a part that can be decoded is impossible. */
static bool has_holes(const struct exr_image *image, const uint64_t *offsets)
{
	for (uint32_t p = 0; p < image->image.header.nparts; p++)
		for (uint32_t i = 0; !image->image.header.parts[p].unsupported && i < image->parts[p].nchunks; i++)
			if (!offset_possible(image, offsets[image->parts[p].chunk0 + i]))
				return true;
	return false;
}

static int read_offsets(struct exr_image *image, uint64_t *offsets, struct err *err)
{
	int rc = bytes_read_exact(image->image.bytes, offsets, (size_t)image->nchunks * 8, image->table_offset, err);
	if (rc || !has_holes(image, offsets))
		return rc;
	rc = find_chunks(image, offsets, err);
	for (uint32_t i = 0; i < image->nchunks; i++)
		if (!offset_possible(image, offsets[i]))
			offsets[i] = 0;
	return rc;
}

/* The tables, read by the first who needs them. A failure is not kept. */
static int get_offsets(struct exr_image *image, const uint64_t **ret_offsets, struct err *err)
{
	uint64_t *offsets = atomic_load_explicit(&image->offsets, memory_order_acquire);
	int rc = 0;
	if (!offsets) {
		pthread_mutex_lock(&image->lock);
		offsets = atomic_load_explicit(&image->offsets, memory_order_relaxed);
		if (!offsets && image->chunks_offset > image->image.bytes->size_bytes) {
			rc = err_set(err, -EIO, "the file ends at byte %" PRIu64 ", inside its offset table for %" PRIu32 " chunks",
				     image->image.bytes->size_bytes, image->nchunks);
		} else if (!offsets) {
			offsets = calloc((size_t)image->nchunks + 1, 8 + 1);
			rc = offsets ? read_offsets(image, offsets, err) : err_set(err, -ENOMEM, "no memory for the offset table");
			if (!rc) {
				image->sound = (atomic_uchar *)(offsets + image->nchunks);
				atomic_store_explicit(&image->offsets, offsets, memory_order_release);
			} else {
				free(offsets);
			}
		}
		pthread_mutex_unlock(&image->lock);
	}
	if (!rc)
		*ret_offsets = offsets;
	return rc;
}

/* ---- one chunk ---- */

const char *exr_chunk_words(const struct exr_image *image, const struct exr_chunk *chunk, char words[EXR_WORDS_BYTES])
{
	const struct codec_chunk_layout *layout = &chunk->layout;
	int n = 0;
	if (image->image.header.nparts > 1)
		n = snprintf(words, EXR_WORDS_BYTES, "part %" PRIu32 ", ", chunk->part);
	size_t room = (size_t)(EXR_WORDS_BYTES - n);
	if (is_tiled(&image->parts[chunk->part]))
		snprintf(words + n, room, "tile %" PRIu32 ", %" PRIu32 " of level %" PRIu32, chunk->cx, chunk->cy, chunk->level);
	else if (layout->height == 1)
		snprintf(words + n, room, "row %" PRIu32, layout->y);
	else
		snprintf(words + n, room, "rows %" PRIu32 " to %" PRIu32, layout->y, layout->y + layout->height - 1);
	return words;
}

/* Bytes that the chunk's samples have in the file before compression: the planes of the layout without the gaps. */
static uint32_t count_bytes(const struct codec_part *part, const struct codec_chunk_layout *layout)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < part->nplanes; i++) {
		const struct codec_plane *plane = &part->planes[i];
		uint64_t columns = layout->width / plane->xsampling; /* a chunk is as wide as the window where there is sampling */
		uint64_t first = (layout->y + plane->ysampling - 1) / plane->ysampling;
		uint64_t end = ((uint64_t)layout->y + layout->height + plane->ysampling - 1) / plane->ysampling;
		bytes += columns * (end - first) * sample_size_bytes((enum sample_type)plane->type);
	}
	return (uint32_t)bytes; /* at most exr_part.max_chunk_bytes */
}

/* The most that a compression makes of a byte; 0 where it has no useful bound. Deflate: 1032 (a match of 258 bytes for two
 * bits); RLE: 128 for 2; B44: 4 x 4 halves for 3 bytes. It keeps small files from asking for large buffers. */
static uint64_t max_expansion(uint8_t compression)
{
	static const uint16_t bounds[COMPRESSION_END] = {
		[COMPRESSION_NONE] = 1,     [COMPRESSION_RLE] = 64, [COMPRESSION_ZIPS] = 1040, [COMPRESSION_ZIP] = 1040,
		[COMPRESSION_PXR24] = 1400, [COMPRESSION_B44] = 11, [COMPRESSION_B44A] = 11};
	return bounds[compression];
}

/* Compares the chunk's leader at offset with what was asked for. NULL, or what is wrong with it. */
static const char *judge_leader(const struct exr_image *image, const struct leader *leader, uint64_t offset, uint32_t index,
				struct exr_chunk *chunk)
{
	uint64_t left = image->image.bytes->size_bytes - offset, bound;
	uint8_t compression = image->parts[chunk->part].compression;
	if (leader->part != chunk->part || leader->chunk != index)
		return "the offset table leads to another chunk";
	if (leader->data_bytes + leader->len_bytes > left)
		return "the file ends within it";
	if (leader->data_bytes > chunk->unpacked_bytes ||
	    (compression == COMPRESSION_NONE && leader->data_bytes != chunk->unpacked_bytes))
		return "its size is not possible";
	bound = max_expansion(compression);
	if (bound && chunk->unpacked_bytes / bound > leader->data_bytes + 16)
		return "its size is too small for its pixels";
	if (chunk->unpacked_bytes && !leader->data_bytes)
		return "it is empty";
	chunk->data_offset = offset + leader->len_bytes;
	chunk->packed_bytes = (uint32_t)leader->data_bytes;
	return NULL;
}

/* Several leaders that are read together. */
struct leaders {
	size_t n;
	struct bytes_piece pieces[CHECKED_AT_ONCE];
	uint8_t raw[CHECKED_AT_ONCE][LEADER_MAX_BYTES];
	struct exr_chunk chunks[CHECKED_AT_ONCE];
};

/* One leader as read. Completes the chunk, whose part, level, cx and cy are set. */
static int take_leader(const struct exr_image *image, const struct bytes_piece *piece, uint32_t index, struct exr_chunk *chunk,
		       struct err *err)
{
	const struct codec_part *part = &image->image.header.parts[chunk->part];
	struct leader leader;
	char words[EXR_WORDS_BYTES];
	const char *wrong = "the offset table leads to no chunk";
	codec_chunk_layout(part, chunk->level, chunk->cx, chunk->cy, &chunk->layout, NULL);
	chunk->unpacked_bytes = count_bytes(part, &chunk->layout);
	if (!piece->offset)
		return err_set(err, -EIO, "%s: missing, its entry of the offset table leads nowhere",
			       exr_chunk_words(image, chunk, words));
	if (parse_leader(image, piece->dst, piece->got_bytes, &leader))
		wrong = judge_leader(image, &leader, piece->offset, index, chunk);
	if (wrong)
		return err_set(err, -EIO, "%s, at byte %" PRIu64 ": %s", exr_chunk_words(image, chunk, words), piece->offset,
			       wrong);
	return 0;
}

/* Counted within the part. */
static uint32_t chunk_index(const struct exr_image *image, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy)
{
	return image->parts[part].level_chunk0[level] + cy * image->image.header.parts[part].levels[level].nchunks_x + cx;
}

int exr_chunk_find(struct exr_image *image, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, struct exr_chunk *ret_chunk,
		   struct err *err)
{
	const uint64_t *offsets;
	uint8_t raw[LEADER_MAX_BYTES];
	int rc = get_offsets(image, &offsets, err);
	if (rc)
		return rc;
	struct exr_chunk chunk = {.part = part, .level = level, .cx = cx, .cy = cy};
	uint32_t index = chunk_index(image, part, level, cx, cy);
	struct bytes_piece piece = {offsets[image->parts[part].chunk0 + index], raw, sizeof raw, 0};
	if (piece.offset)
		rc = bytes_read_pieces(image->image.bytes, &piece, 1, err);
	if (!rc)
		rc = take_leader(image, &piece, index, &chunk, err);
	if (!rc)
		*ret_chunk = chunk;
	return rc;
}

/* ---- checks ---- */

/* Whether the tables are there. Of parts that can't be decoded nothing is looked at. */
int exr_check(struct codec_image *image, struct err *err)
{
	const uint64_t *offsets;
	for (uint32_t part = 0; part < image->header.nparts; part++)
		if (!image->header.parts[part].unsupported)
			return get_offsets((struct exr_image *)image, &offsets, err);
	return 0;
}

/* One more to be read. */
static void gather_leader(uint64_t offset, const struct exr_chunk *chunk, struct leaders *leaders)
{
	size_t n = leaders->n++;
	leaders->chunks[n] = *chunk;
	leaders->pieces[n] = (struct bytes_piece){offset, leaders->raw[n], offset ? sizeof leaders->raw[n] : 0, 0};
}

/* Reads and judges what was gathered; what is right is known from then on. */
static int check_leaders(struct exr_image *image, struct leaders *leaders, struct err *err)
{
	int rc = leaders->n ? bytes_read_pieces(image->image.bytes, leaders->pieces, leaders->n, err) : 0;
	for (size_t i = 0; i < leaders->n && !rc; i++) {
		struct exr_chunk *chunk = &leaders->chunks[i];
		uint32_t index = chunk_index(image, chunk->part, chunk->level, chunk->cx, chunk->cy);
		rc = take_leader(image, &leaders->pieces[i], index, chunk, err);
		if (!rc)
			atomic_store_explicit(&image->sound[image->parts[chunk->part].chunk0 + index], 1, memory_order_relaxed);
	}
	leaders->n = 0;
	return rc;
}

/* In the order of the file where it is one of the two usual ones: archives are read forwards at less cost. */
int exr_check_chunks(struct codec_image *image, uint32_t part, uint32_t level, uint32_t cx0, uint32_t cy0, uint32_t cx1,
		     uint32_t cy1, struct err *err)
{
	struct exr_image *exr = (struct exr_image *)image;
	bool down = strcmp(image->header.parts[part].row_order, "decreasing") == 0;
	const uint64_t *offsets;
	struct leaders leaders;
	if (image->header.parts[part].unsupported)
		return 0;
	int rc = get_offsets(exr, &offsets, err);
	leaders.n = 0;
	for (uint32_t row = 0; !rc && row <= cy1 - cy0; row++) {
		struct exr_chunk chunk = {.part = part, .level = level, .cy = down ? cy1 - row : cy0 + row};
		for (chunk.cx = cx0; !rc && chunk.cx <= cx1; chunk.cx++) {
			uint32_t at = exr->parts[part].chunk0 + chunk_index(exr, part, level, chunk.cx, chunk.cy);
			if (atomic_load_explicit(&exr->sound[at], memory_order_relaxed))
				continue;
			gather_leader(offsets[at], &chunk, &leaders);
			if (leaders.n == CHECKED_AT_ONCE)
				rc = check_leaders(exr, &leaders, err);
		}
	}
	return rc ? rc : check_leaders(exr, &leaders, err);
}
