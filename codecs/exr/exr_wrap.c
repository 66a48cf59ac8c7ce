/* exr_wrap.c - one chunk as an OpenEXR file of its own: the header and offset table that stand before its packed data.
 *
 * The part's channels and compression; a data window from (0, 0) on that is the chunk's, a tile being the only one of a
 * tiled image; one chunk. Where a channel's line sampling does not divide the chunk's first row or its height (a sampling of 3
 * in blocks of 32 lines), no window of the chunk alone is valid: then it is the whole image's, all entries of the table
 * lead to this one chunk, and only this one may be asked for. */
#include "exr.h"

#include <string.h>

struct writer {
	uint8_t *at; /* NULL: only counts */
	size_t len_bytes;
};

static void put(struct writer *writer, const void *data, size_t len_bytes)
{
	if (writer->at)
		memcpy(writer->at + writer->len_bytes, data, len_bytes);
	writer->len_bytes += len_bytes;
}

static void put_int(struct writer *writer, uint32_t value)
{
	put(writer, &value, sizeof value);
}

static void put_name(struct writer *writer, const char *name)
{
	put(writer, name, strlen(name) + 1);
}

static void put_attribute(struct writer *writer, const char *name, const char *type, const void *value, uint32_t len_bytes)
{
	put_name(writer, name);
	put_name(writer, type);
	put_int(writer, len_bytes);
	put(writer, value, len_bytes);
}

static void put_channels(struct writer *writer, const struct codec_part *part, const struct exr_part *exr)
{
	uint32_t len_bytes = 1;
	for (uint32_t i = 0; i < part->nplanes; i++)
		len_bytes += (uint32_t)strlen(part->channels[i].name) + 17;
	put_name(writer, "channels");
	put_name(writer, "chlist");
	put_int(writer, len_bytes);
	for (uint32_t i = 0; i < part->nplanes; i++) {
		const struct codec_plane *plane = &part->planes[i];
		put_name(writer, part->channels[i].name);
		put_int(writer, plane->type == SAMPLE_U32 ? 0 : plane->type == SAMPLE_F16 ? 1 : 2);
		put_int(writer, exr->plinear[i]);
		put_int(writer, plane->xsampling);
		put_int(writer, plane->ysampling);
	}
	put(writer, "", 1);
}

bool exr_wrap_is_whole(const struct exr_image *image, const struct exr_chunk *chunk)
{
	const struct codec_part *part = &image->image.header.parts[chunk->part];
	for (uint32_t i = 0; i < part->nplanes; i++)
		if (chunk->layout.y % part->planes[i].ysampling || chunk->layout.height % part->planes[i].ysampling)
			return true;
	return false;
}

static void put_header(struct writer *writer, const struct exr_image *image, const struct exr_chunk *chunk, bool tiled, bool whole)
{
	static const float one = 1, center[2] = {0, 0};
	const struct codec_part *part = &image->image.header.parts[chunk->part];
	const struct exr_part *exr = &image->parts[chunk->part];
	const struct codec_level *level = &part->levels[chunk->level];
	uint32_t width = whole ? level->width : chunk->layout.width, height = whole ? level->height : chunk->layout.height;
	uint32_t window[4] = {0, 0, width - 1, height - 1};
	uint8_t tiles[9] = {0};
	put_int(writer, 20000630);
	put_int(writer, 2 | 0x400 | (tiled ? 0x200 : 0)); /* version, long names, tiled */
	put_channels(writer, part, exr);
	put_attribute(writer, "compression", "compression", &exr->compression, 1);
	put_attribute(writer, "dataWindow", "box2i", window, sizeof window);
	put_attribute(writer, "displayWindow", "box2i", window, sizeof window);
	put_attribute(writer, "lineOrder", "lineOrder", "", 1);
	put_attribute(writer, "pixelAspectRatio", "float", &one, sizeof one);
	put_attribute(writer, "screenWindowCenter", "v2f", center, sizeof center);
	put_attribute(writer, "screenWindowWidth", "float", &one, sizeof one);
	memcpy(tiles, &width, 4);
	memcpy(tiles + 4, &height, 4);
	if (tiled)
		put_attribute(writer, "tiles", "tiledesc", tiles, sizeof tiles);
	put(writer, "", 1);
}

static size_t write_all(const struct exr_image *image, const struct exr_chunk *chunk, uint8_t *dst)
{
	struct writer writer = {.at = dst};
	const struct codec_level *level = &image->image.header.parts[chunk->part].levels[chunk->level];
	bool tiled = image->parts[chunk->part].storage == STORAGE_TILED, whole = exr_wrap_is_whole(image, chunk);
	uint32_t nchunks = whole ? level->nchunks_y : 1;
	put_header(&writer, image, chunk, tiled, whole);
	uint64_t offset = writer.len_bytes + (uint64_t)nchunks * 8;
	for (uint32_t i = 0; i < nchunks; i++)
		put(&writer, &offset, sizeof offset);
	put_int(&writer, whole ? chunk->layout.y : 0); /* y, or the tile's x */
	for (int i = 0; tiled && i < 3; i++)
		put_int(&writer, 0);
	put_int(&writer, chunk->packed_bytes);
	return writer.len_bytes;
}

size_t exr_wrap_bytes(const struct exr_image *image, const struct exr_chunk *chunk)
{
	return write_all(image, chunk, NULL);
}

void exr_wrap(const struct exr_image *image, const struct exr_chunk *chunk, uint8_t *dst)
{
	write_all(image, chunk, dst);
}
