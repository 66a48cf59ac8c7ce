/* exr_part.c - what a part's attributes say about its pixels -> planes, channels, levels, chunks.
 *
 * Everything that later code relies on is checked here: windows that can be subtracted, samplings that divide them, tile
 * sizes, the number of chunks, the size of a chunk. It reads nothing from the file. */
#include "exr.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHUNKS = 1 << 24 }; /* of a file: 128 MiB of offset table; 2^30 pixels in tiles of 8 x 8 */

static const struct {
	const char *name;
	uint32_t lines; /* of a scanline chunk ("Scan Line Data" of the layout document) */
} compressions[COMPRESSION_END] = {{"none", 1},   {"rle", 1},  {"zips", 1},  {"zip", 16},  {"piz", 32},
				   {"pxr24", 16}, {"b44", 32}, {"b44a", 32}, {"dwaa", 32}, {"dwab", 256}};

/* The values 10 and 11 of OpenEXR 3.4 are told by name, though not decoded. */
static const char *compression_name(uint8_t compression)
{
	if (compression < COMPRESSION_END)
		return compressions[compression].name;
	return compression == 10 ? "htj2k256" : compression == 11 ? "htj2k32" : "unknown";
}

struct maker {
	struct exr_image *image;
	struct arena *arena;
	const struct exr_attributes *attributes;
	struct header_builder *builder;
	struct codec_part *part;
	struct exr_part *exr;
	struct err *err;
};

static int no_memory(const struct maker *maker)
{
	return exr_header_too_large(maker->arena, maker->err);
}

/* As OpenEXR's readers: corners small enough that differences don't overflow. */
static bool is_window(const struct codec_box *box)
{
	const int32_t limit = INT_MAX / 2;
	return box->min_x <= box->max_x && box->min_y <= box->max_y && box->min_x > -limit && box->min_y > -limit &&
	       box->max_x < limit && box->max_y < limit;
}

static uint32_t width_of(const struct codec_box *box)
{
	return (uint32_t)(box->max_x - box->min_x) + 1;
}

static uint32_t height_of(const struct codec_box *box)
{
	return (uint32_t)(box->max_y - box->min_y) + 1;
}

static int make_windows(const struct maker *maker)
{
	const struct exr_attributes *attributes = maker->attributes;
	struct codec_part *part = maker->part;
	if (!attributes->has_data_window || !attributes->has_channels || !attributes->has_compression)
		return err_set(maker->err, -EIO, "the header has no attribute \"%s\"",
			       !attributes->has_data_window ? "dataWindow"
			       : !attributes->has_channels  ? "channels"
							    : "compression");
	part->data_window = attributes->data_window;
	if (!is_window(&part->data_window))
		return err_set(maker->err, -EIO,
			       "the header gives the data window (%" PRId32 ", %" PRId32 ") to (%" PRId32 ", %" PRId32 ")",
			       part->data_window.min_x, part->data_window.min_y, part->data_window.max_x, part->data_window.max_y);
	part->display_window = attributes->has_display_window ? attributes->display_window : part->data_window;
	if (!is_window(&part->display_window)) {
		part->display_window = part->data_window;
		header_warn(maker->builder, "the display window is empty or too large: the data window is taken");
	}
	part->pixel_aspect = 1;
	if (attributes->has_pixel_aspect && isnormal(attributes->pixel_aspect) && attributes->pixel_aspect > 0)
		part->pixel_aspect = (double)attributes->pixel_aspect;
	else
		header_warn(maker->builder, "the pixel aspect ratio is missing or not positive: 1 is taken");
	return 0;
}

/* ---- channels ---- */

struct entry { /* one channel of a chlist */
	const char *name;
	uint32_t type, xsampling, ysampling;
	uint8_t plinear;
};

/* The entry at *at, behind which *at moves. 1 at the list's end, -EIO. */
static int read_entry(const struct maker *maker, size_t *at, struct entry *ret_entry)
{
	const uint8_t *list = maker->attributes->channels;
	size_t len_bytes = maker->attributes->channels_bytes;
	if (*at >= len_bytes || !list[*at])
		return 1;
	size_t name_bytes = strnlen((const char *)list + *at, len_bytes - *at);
	if (name_bytes > 255 || len_bytes - *at < name_bytes + 17)
		return err_set(maker->err, -EIO, "the channel list is damaged at byte %zu", *at);
	const uint8_t *fields = list + *at + name_bytes + 1;
	ret_entry->name = (const char *)list + *at;
	memcpy(&ret_entry->type, fields, 4);
	ret_entry->plinear = fields[4] != 0;
	memcpy(&ret_entry->xsampling, fields + 8, 4);
	memcpy(&ret_entry->ysampling, fields + 12, 4);
	*at += name_bytes + 17;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Samples lie at the multiples of the sampling, and the data window begins and ends at such multiples ("Channel List");
 * tiled and deep parts have no subsampling. */
static int check_sampling(const struct maker *maker, const struct entry *entry, enum exr_storage storage)
{
	const struct codec_box *window = &maker->part->data_window;
	uint32_t x = entry->xsampling, y = entry->ysampling;
	bool valid = x >= 1 && y >= 1 && x <= INT_MAX && y <= INT_MAX;
	if (valid && storage != STORAGE_SCANLINE && storage != STORAGE_OTHER)
		valid = x == 1 && y == 1;
	if (valid)
		valid = (uint32_t)abs(window->min_x) % x == 0 && (uint32_t)abs(window->min_y) % y == 0 &&
			width_of(window) % x == 0 && height_of(window) % y == 0;
	if (!valid)
		return err_set(maker->err, -EIO,
			       "the sampling %" PRId32 " x %" PRId32 " of channel \"%.60s\" does not fit the data window",
			       (int32_t)x, (int32_t)y, entry->name);
	return 0;
}

static int fill_planes(const struct maker *maker, const struct entry *entries, uint32_t count, enum exr_storage storage)
{
	static const uint8_t types[] = {SAMPLE_U32, SAMPLE_F16, SAMPLE_F32}; /* UINT, HALF, FLOAT */
	struct codec_part *part = maker->part;
	part->planes = arena_alloc(maker->arena, count, sizeof *part->planes);
	part->channels = arena_alloc(maker->arena, count, sizeof *part->channels);
	uint8_t *plinear = arena_alloc(maker->arena, count, 1);
	if (!part->planes || !part->channels || !plinear)
		return no_memory(maker);
	part->nplanes = part->nchannels = count;
	maker->exr->plinear = plinear;
	for (uint32_t i = 0; i < count; i++) {
		const struct entry *entry = &entries[i];
		if (entry->type > 2)
			return err_set(maker->err, -EIO, "channel \"%.60s\" has the pixel type %" PRIu32, entry->name, entry->type);
		if (i && strcmp(entries[i - 1].name, entry->name) == 0)
			return err_set(maker->err, -EIO, "the channel \"%.60s\" is there twice", entry->name);
		int rc = check_sampling(maker, entry, storage);
		if (rc)
			return rc;
		uint8_t bits = (uint8_t)(8 * sample_size_bytes((enum sample_type)types[entry->type]));
		part->planes[i] = (struct codec_plane){types[entry->type], bits, bits, 0, entry->xsampling, entry->ysampling};
		part->channels[i] = (struct codec_channel){.name = entry->name, .origin = ORIGIN_PLANE, .plane = (uint16_t)i};
		plinear[i] = entry->plinear;
	}
	return 0;
}

/* The planes, in the order in which pixel data has them: by name, whatever the list's order. */
static int make_planes(const struct maker *maker, enum exr_storage storage)
{
	struct entry *entries = malloc(CODEC_MAX_CHANNELS * sizeof *entries);
	if (!entries)
		return err_set(maker->err, -ENOMEM, "no memory for the channel list");
	uint32_t count = 0;
	size_t at = 0;
	int rc = 0;
	while (!rc && count < CODEC_MAX_CHANNELS) {
		rc = read_entry(maker, &at, &entries[count]);
		count += !rc;
	}
	if (!rc)
		rc = err_set(maker->err, -EFBIG, "the file has %d channels or more", CODEC_MAX_CHANNELS);
	if (rc == 1 && !count)
		rc = err_set(maker->err, -EIO, "the header has no channels");
	if (rc == 1) {
		qsort(entries, count, sizeof *entries, compare_entries);
		rc = fill_planes(maker, entries, count, storage);
	}
	free(entries);
	return rc;
}

/* ---- levels ---- */

/* "Tile Description": level l measures max(1, size / 2^l), and there are log2(size) + 1, both rounded by the mode. */
static uint32_t level_size(uint32_t size, uint32_t level, bool up)
{
	uint64_t step = (uint64_t)1 << level, result = up ? (size + step - 1) / step : size / step;
	return result ? (uint32_t)result : 1;
}

static uint32_t count_levels(uint32_t size, bool up)
{
	uint32_t levels = 1;
	for (uint64_t reach = 1; up ? reach < size : reach * 2 <= size; reach *= 2)
		levels++;
	return levels;
}

/* Offset tables run through all levels, levels_x fastest, each row by row ("Offset Tables"). */
static int count_chunks(const struct maker *maker, uint32_t *level_chunk0)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < maker->part->nlevels && count <= MAX_CHUNKS; i++) {
		level_chunk0[i] = (uint32_t)count;
		count += (uint64_t)maker->part->levels[i].nchunks_x * maker->part->levels[i].nchunks_y;
	}
	count += maker->image->nchunks;
	if (count > MAX_CHUNKS)
		return err_set(maker->err, -EFBIG, "the header gives more than %d chunks", MAX_CHUNKS);
	maker->exr->chunk0 = maker->image->nchunks;
	maker->exr->nchunks = (uint32_t)count - maker->image->nchunks;
	maker->image->nchunks = (uint32_t)count;
	return 0;
}

static int alloc_levels(const struct maker *maker, uint32_t **ret_level_chunk0)
{
	struct codec_part *part = maker->part;
	part->levels = arena_alloc(maker->arena, part->nlevels, sizeof *part->levels);
	*ret_level_chunk0 = arena_alloc(maker->arena, part->nlevels, sizeof **ret_level_chunk0);
	maker->exr->level_chunk0 = *ret_level_chunk0;
	return part->levels && *ret_level_chunk0 ? 0 : no_memory(maker);
}

static int make_tiled(const struct maker *maker)
{
	const struct exr_attributes *attributes = maker->attributes;
	struct codec_part *part = maker->part;
	uint32_t width = width_of(&part->data_window), height = height_of(&part->data_window), *level_chunk0;
	uint8_t mode = attributes->tile_mode & 15;
	bool up = attributes->tile_mode >> 4 == 1;
	if (!attributes->has_tiles)
		return err_set(maker->err, -EIO, "a tiled part has no attribute \"tiles\"");
	if (!attributes->tile_width || !attributes->tile_height || attributes->tile_width > INT_MAX ||
	    attributes->tile_height > INT_MAX || mode > LEVELS_RIP || attributes->tile_mode >> 4 > 1)
		return err_set(maker->err, -EIO, "the header gives tiles of %" PRIu32 " x %" PRIu32 ", mode %#x",
			       attributes->tile_width, attributes->tile_height, attributes->tile_mode);
	part->levels_mode = mode;
	part->nlevels_x = mode == LEVELS_ONE ? 1 : count_levels(mode == LEVELS_MIP && height > width ? height : width, up);
	part->nlevels_y = mode == LEVELS_RIP ? count_levels(height, up) : part->nlevels_x;
	part->nlevels = mode == LEVELS_RIP ? part->nlevels_x * part->nlevels_y : part->nlevels_x;
	int rc = alloc_levels(maker, &level_chunk0);
	for (uint32_t i = 0; !rc && i < part->nlevels; i++) {
		uint32_t lx = mode == LEVELS_RIP ? i % part->nlevels_x : i, ly = mode == LEVELS_RIP ? i / part->nlevels_x : i;
		codec_level_set(&part->levels[i], level_size(width, lx, up), level_size(height, ly, up), attributes->tile_width,
				attributes->tile_height);
	}
	return rc ? rc : count_chunks(maker, level_chunk0);
}

static int make_scanline(const struct maker *maker)
{
	struct codec_part *part = maker->part;
	uint8_t compression = maker->attributes->compression;
	uint32_t *level_chunk0, lines = compression < COMPRESSION_END ? compressions[compression].lines : 1;
	part->levels_mode = LEVELS_ONE;
	part->nlevels = part->nlevels_x = part->nlevels_y = 1;
	int rc = alloc_levels(maker, &level_chunk0);
	if (rc)
		return rc;
	uint32_t width = width_of(&part->data_window);
	codec_level_set(part->levels, width, height_of(&part->data_window), width, lines);
	return count_chunks(maker, level_chunk0);
}

/* A part of an unknown kind: its table has as many entries as it says; the grid of chunks is not known. */
static int make_other(const struct maker *maker)
{
	uint32_t chunk0 = maker->image->nchunks;
	int32_t told = maker->attributes->has_chunk_count ? maker->attributes->chunk_count : 0;
	int rc = make_scanline(maker);
	if (rc)
		return rc;
	if (told < 0 || told > MAX_CHUNKS - (int32_t)chunk0)
		return err_set(maker->err, -EFBIG, "the header gives %" PRId32 " chunks", told);
	maker->exr->nchunks = (uint32_t)told;
	maker->image->nchunks = chunk0 + (uint32_t)told;
	return 0;
}

/* The size of a chunk is an int in the file, and so it is in the libraries. */
static int check_chunk_bytes(const struct maker *maker)
{
	const struct codec_level *level = maker->part->levels;
	uint64_t width = level->chunk_width < level->width ? level->chunk_width : level->width;
	uint64_t height = level->chunk_height < level->height ? level->chunk_height : level->height, bytes = 0;
	for (uint32_t i = 0; i < maker->part->nplanes && bytes <= INT_MAX; i++) {
		const struct codec_plane *plane = &maker->part->planes[i];
		uint64_t columns = (width + plane->xsampling - 1) / plane->xsampling;
		uint64_t rows = (height + plane->ysampling - 1) / plane->ysampling;
		bytes += columns * rows * sample_size_bytes((enum sample_type)plane->type);
	}
	if (bytes > INT_MAX)
		return err_set(maker->err, -EFBIG, "one chunk of %" PRIu64 " x %" PRIu64 " pixels decodes to more than 2 GiB",
			       width, height);
	maker->exr->max_chunk_bytes = (uint32_t)bytes;
	return 0;
}

/* ---- the rest ---- */

static const char *unsupported_words(enum exr_storage storage, uint8_t compression)
{
	if (storage == STORAGE_DEEP_SCANLINE || storage == STORAGE_DEEP_TILED)
		return "deep data (a varying number of samples in each pixel) is not decoded";
	if (storage == STORAGE_OTHER)
		return "a part of a type that this build does not know";
	return compression >= COMPRESSION_END ? "a compression that this build does not know" : NULL;
}

static bool is_quick(uint8_t compression)
{
	return compression == COMPRESSION_NONE || compression == COMPRESSION_B44 || compression == COMPRESSION_B44A;
}

static void make_words(const struct maker *maker, enum exr_storage storage)
{
	static const char *const orders[] = {"increasing", "decreasing", "random"};
	const struct exr_attributes *attributes = maker->attributes;
	struct codec_part *part = maker->part;
	uint8_t order = attributes->has_line_order ? attributes->line_order : 0;
	if (!attributes->has_line_order || order > 2)
		header_warn(maker->builder, "the line order is missing or unknown; the offset table tells where rows are");
	part->row_order = orders[order > 2 ? 2 : order];
	part->name = attributes->name ? attributes->name : "";
	part->view = attributes->view ? attributes->view : "";
	part->compression = compression_name(attributes->compression);
	part->unsupported = unsupported_words(storage, attributes->compression);
	part->access = CODEC_ACCESS_CHUNK;
	part->quick = is_quick(attributes->compression);
	if (attributes->has_chunk_count && attributes->chunk_count != (int32_t)maker->exr->nchunks)
		header_warn(maker->builder, "chunkCount is %" PRId32 ", %" PRIu32 " chunks follow from the window",
			    attributes->chunk_count, maker->exr->nchunks);
}

int exr_part_make(struct exr_image *image, const struct exr_attributes *attributes, enum exr_storage storage,
		  struct header_builder *builder, struct codec_part *part, struct exr_part *exr, struct err *err)
{
	struct maker maker = {image, &image->image.arena, attributes, builder, part, exr, err};
	*part = (struct codec_part){0};
	*exr = (struct exr_part){.storage = (uint8_t)storage, .compression = attributes->compression};
	int rc = make_windows(&maker);
	if (!rc)
		rc = make_planes(&maker, storage);
	bool known = storage != STORAGE_OTHER && attributes->compression < COMPRESSION_END;
	if (!rc && (storage == STORAGE_TILED || storage == STORAGE_DEEP_TILED))
		rc = make_tiled(&maker);
	else if (!rc)
		rc = known ? make_scanline(&maker) : make_other(&maker);
	if (rc)
		return rc;
	make_words(&maker, storage);
	rc = exr_part_mean(maker.arena, attributes, builder, part, err);
	return rc || part->unsupported ? rc : check_chunk_bytes(&maker);
}
