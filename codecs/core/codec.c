/* codec.c - what all codecs share: geometry, layout, limits, and opening by content. */
#include "codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sniff.h"
#include "ycc.h"

const struct codec_limits codec_default_limits = {
	.max_pixels = (uint64_t)1 << 30,
	.max_chunk_bytes = (uint64_t)1 << 32,
	.max_metadata_bytes = (size_t)16 << 20,
};

enum { PLANE_ALIGN = 16, BAND_BYTES = 256 << 10, HEAD_BYTES = 64 };

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

void codec_level_set(struct codec_level *level, uint32_t width, uint32_t height, uint32_t chunk_width, uint32_t chunk_height)
{
	level->width = width;
	level->height = height;
	level->chunk_width = chunk_width;
	level->chunk_height = chunk_height;
	level->nchunks_x = ceil_div(width, chunk_width);
	level->nchunks_y = ceil_div(height, chunk_height);
}

uint32_t codec_band_rows(uint64_t row_bytes, uint32_t height)
{
	uint64_t rows = row_bytes ? BAND_BYTES / row_bytes : height;
	return rows < 1 ? 1 : rows > height ? height : (uint32_t)rows;
}

static void layout_interleaved(const struct codec_part *part, struct codec_chunk_layout *layout, struct codec_plane_layout *planes)
{
	size_t size = sample_size_bytes((enum sample_type)part->planes[0].type);
	size_t step = size * part->nplanes, row = step * layout->width;
	layout->len_bytes = (uint64_t)row * layout->height;
	for (uint32_t p = 0; planes && p < part->nplanes; p++)
		planes[p] = (struct codec_plane_layout){p * size, row, step, layout->width, layout->height};
}

static void layout_planar(const struct codec_part *part, struct codec_chunk_layout *layout, struct codec_plane_layout *planes)
{
	uint64_t offset = 0;
	for (uint32_t p = 0; p < part->nplanes; p++) {
		const struct codec_plane *plane = &part->planes[p];
		size_t size = sample_size_bytes((enum sample_type)plane->type);
		/* samples lie at the multiples of the sampling, counted from the level's top left */
		uint32_t x0 = ceil_div(layout->x, plane->xsampling), x1 = ceil_div(layout->x + layout->width, plane->xsampling);
		uint32_t y0 = ceil_div(layout->y, plane->ysampling), y1 = ceil_div(layout->y + layout->height, plane->ysampling);
		if (planes)
			planes[p] = (struct codec_plane_layout){(size_t)offset, size * (x1 - x0), size, x1 - x0, y1 - y0};
		offset += (uint64_t)size * (x1 - x0) * (y1 - y0);
		offset = (offset + PLANE_ALIGN - 1) / PLANE_ALIGN * PLANE_ALIGN;
	}
	layout->len_bytes = offset;
}

void codec_chunk_layout(const struct codec_part *part, uint32_t level, uint32_t cx, uint32_t cy, struct codec_chunk_layout *layout,
			struct codec_plane_layout *planes)
{
	const struct codec_level *l = &part->levels[level];
	layout->x = cx * l->chunk_width;
	layout->y = cy * l->chunk_height;
	layout->width = l->width - layout->x < l->chunk_width ? l->width - layout->x : l->chunk_width;
	layout->height = l->height - layout->y < l->chunk_height ? l->height - layout->y : l->chunk_height;
	if (part->interleaved)
		layout_interleaved(part, layout, planes);
	else
		layout_planar(part, layout, planes);
}

uint64_t codec_kept_bytes(const struct codec_part *part, uint32_t level, uint32_t cx, uint32_t cy)
{
	struct codec_chunk_layout layout;
	struct ycc_layout ycc;
	if (part->chroma_x) {
		ycc_layout(part, cy, &ycc);
		return ycc.len_bytes;
	}
	codec_chunk_layout(part, level, cx, cy, &layout, NULL);
	return layout.len_bytes;
}

int codec_decode_kept(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
		      uint32_t cy, void *dst, struct err *err)
{
	const struct codec *codec = image->codec;
	return (codec->decode_kept ? codec->decode_kept : codec->decode)(image, cursor, part, level, cx, cy, dst, err);
}

static int check_level(const struct codec_part *part, uint32_t index, const struct codec_limits *limits, struct err *err)
{
	const struct codec_level *level = &part->levels[index];
	if (!level->width || !level->height || !level->chunk_width || !level->chunk_height)
		return err_set(err, -EIO, "the header gives an empty image (%" PRIu32 " x %" PRIu32 ")", level->width,
			       level->height);
	uint64_t pixels = (uint64_t)level->width * level->height;
	if (pixels > limits->max_pixels)
		return err_set(err, -EFBIG, "%" PRIu32 " x %" PRIu32 " pixels are over the limit max_pixels=%" PRIu64, level->width,
			       level->height, limits->max_pixels);
	uint64_t bytes = 0;
	for (uint32_t p = 0; p < part->nplanes; p++)
		bytes += sample_size_bytes((enum sample_type)part->planes[p].type);
	uint64_t chunk_width = level->chunk_width < level->width ? level->chunk_width : level->width;
	uint64_t chunk_height = level->chunk_height < level->height ? level->chunk_height : level->height;
	if (chunk_width * chunk_height > limits->max_chunk_bytes / bytes)
		return err_set(err, -EFBIG, "one chunk of %" PRIu64 " x %" PRIu64 " pixels decodes to more than %" PRIu64 " bytes",
			       chunk_width, chunk_height, limits->max_chunk_bytes);
	return 0;
}

static int check_part(const struct codec_part *part, const struct codec_limits *limits, struct err *err)
{
	if (!part->nplanes || !part->nchannels || part->nplanes > CODEC_MAX_CHANNELS || part->nchannels > CODEC_MAX_CHANNELS)
		return err_set(err, part->nchannels > CODEC_MAX_CHANNELS ? -EFBIG : -EIO, "the header gives %" PRIu32 " channels",
			       part->nchannels);
	if (!part->nlevels || part->nlevels > CODEC_MAX_LEVELS)
		return err_set(err, -EIO, "the header gives %" PRIu32 " levels", part->nlevels);
	for (uint32_t level = 0; level < part->nlevels; level++) {
		int rc = check_level(part, level, limits, err);
		if (rc)
			return rc;
	}
	for (uint32_t p = 0; p < part->nplanes; p++)
		if (!part->planes[p].xsampling || !part->planes[p].ysampling)
			return err_set(err, -EIO, "the header gives a channel without samples");
	return 0;
}

int codec_header_check(const struct codec_header *header, const struct codec_limits *limits, struct err *err)
{
	if (!header->nparts || header->nparts > CODEC_MAX_PARTS)
		return err_set(err, -EFBIG, "the header gives %" PRIu32 " parts", header->nparts);
	for (uint32_t i = 0; i < header->nparts; i++) {
		int rc = check_part(&header->parts[i], limits, err);
		if (rc)
			return rc;
	}
	return 0;
}

static bool has_extension(const struct codec *codec, const char *extension, size_t len)
{
	for (const char *word = codec->extensions; *word; word += strspn(word, " ")) {
		size_t n = strcspn(word, " ");
		if (n == len && strncasecmp(word, extension, n) == 0)
			return true;
		word += n;
	}
	return false;
}

static const char *extension_of(const char *name)
{
	const char *dot = name ? strrchr(name, '.') : NULL;
	return dot && dot != name ? dot + 1 : "";
}

const struct codec *codec_for_name(const char *name)
{
	const char *extension = extension_of(name);
	size_t len = strlen(extension);
	for (const struct codec *const *codec = codec_table; len && *codec; codec++)
		if (has_extension(*codec, extension, len))
			return *codec;
	return NULL;
}

const struct codec *codec_for_content(const uint8_t *head, size_t len_bytes, const char *extension)
{
	const struct codec *best = NULL;
	int best_bid = 0;
	for (const struct codec *const *codec = codec_table; *codec; codec++) {
		int bid = (*codec)->bid(head, len_bytes);
		bool named = extension && has_extension(*codec, extension, strlen(extension));
		if (bid > best_bid || (bid && bid == best_bid && named)) {
			best = *codec;
			best_bid = bid;
		}
	}
	return best;
}

/* No codec bids: another kind of file under an image's name is no damage. */
static int say_what_it_is(struct bytes *bytes, struct err *err)
{
	uint8_t head[SNIFF_BYTES] = {0};
	static const uint8_t zeros[SNIFF_BYTES];
	ssize_t got = bytes_read(bytes, head, sizeof head, 0, err);
	if (got < 0)
		return (int)got;
	const char *words = sniff_words(head, (size_t)got);
	if (words)
		return err_set(err, -EOPNOTSUPP, "not decoded here: the file is %s", words);
	if (memcmp(head, zeros, (size_t)got) == 0)
		return err_set(err, -EIO, "not an image: the first %zd bytes are zeros", got);
	return err_set(err, -EIO, "not an image: starts with the bytes %02x %02x %02x %02x", head[0], head[1], head[2], head[3]);
}

int codec_open(struct bytes *bytes, const char *name, const struct codec_limits *limits, struct codec_image **ret_image,
	       struct err *err)
{
	uint8_t head[HEAD_BYTES] = {0};
	ssize_t got = bytes_read(bytes, head, sizeof head, 0, err);
	if (got < 0)
		return (int)got;
	if (got == 0)
		return err_set(err, -EIO, "the file is empty");
	const struct codec *codec = codec_for_content(head, (size_t)got, extension_of(name));
	if (!codec)
		return say_what_it_is(bytes, err);
	struct codec_image *image;
	int rc = codec->open(bytes, limits, &image, err);
	if (rc)
		return rc;
	if (image->arena.out_of_memory) { /* metadata is left out by its limits, but not because memory was short for a moment */
		codec_close(image);
		return err_set(err, -ENOMEM, "no memory for the header");
	}
	*ret_image = image;
	return 0;
}

void codec_close(struct codec_image *image)
{
	if (image)
		image->codec->close(image);
}

int codec_check(struct codec_image *image, struct err *err)
{
	const struct codec *codec = image->codec;
	int rc = codec->check ? codec->check(image, err) : 0;
	for (uint32_t p = 0; codec->check_chunks && rc == 0 && p < image->header.nparts; p++) {
		const struct codec_part *part = &image->header.parts[p];
		for (uint32_t i = 0; rc == 0 && !part->unsupported && i < part->nlevels; i++)
			rc = codec->check_chunks(image, p, i, 0, 0, part->levels[i].nchunks_x - 1, part->levels[i].nchunks_y - 1,
						 err);
	}
	return rc;
}
