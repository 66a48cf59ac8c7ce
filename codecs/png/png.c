/* png.c - the PNG codec: PNG (Third Edition) and the default image of APNG.
 *
 * open() walks the chunks of the whole file, reading 8 bytes of each and the data of the metadata, never of the image:
 * text, EXIF and time may follow the image data. What it can't do without (signature, IHDR, the palette of an indexed image)
 * must be intact; all other damage is left to check() and decode(), so that a damaged file still shows its header.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "png_file.h"
#include "codecs/core/registry.h"

static const uint8_t signature[PNG_SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

enum { WINDOW_BYTES = 1024, MAX_CHANNELS = 4 };

/* What open() carries along. */
struct opening {
	struct png_file *file;
	struct codec_part *part;
	const struct codec_limits *limits;
	struct png_window window;
	struct header_builder builder;
	struct png_meta meta;
	bool run_ended; /* another chunk followed the image data */
};

/* A spoilt signature still bids, for the sake of the message: with its letters or with IHDR behind it. */
static int png_bid(const uint8_t *head, size_t len_bytes)
{
	if (len_bytes >= PNG_SIGNATURE_BYTES && memcmp(head, signature, PNG_SIGNATURE_BYTES) == 0)
		return 100;
	bool spoilt = len_bytes >= 4 && memcmp(head + 1, "PNG", 3) == 0;
	return spoilt || (len_bytes >= 16 && memcmp(head + 12, "IHDR", 4) == 0) ? 20 : 0;
}

/* ---- IHDR, PLTE ---- */

/* PNG 11.2.1: which depths a colour type has. */
static bool is_depth(uint8_t color_type, uint8_t depth)
{
	static const uint8_t most[] = {16, 0, 16, 8, 16, 0, 16};
	bool power = depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
	bool packed = color_type == PNG_GRAY || color_type == PNG_PALETTE;
	return color_type < sizeof most && power && depth <= most[color_type] && (depth >= 8 || packed);
}

static int parse_ihdr(struct opening *opening, const uint8_t *data, struct err *err)
{
	struct png_file *file = opening->file;
	file->width = png_get32(data);
	file->height = png_get32(data + 4);
	file->depth = data[8];
	file->color_type = data[9];
	file->interlaced = data[12] == 1;
	if (!file->width || !file->height || file->width > INT32_MAX || file->height > INT32_MAX)
		return err_set(err, -EIO, "IHDR gives a size of %" PRIu32 " x %" PRIu32, file->width, file->height);
	if (!is_depth(file->color_type, file->depth))
		return err_set(err, -EIO, "IHDR gives colour type %u with %u bits", file->color_type, file->depth);
	if (data[10] != 0 || data[11] != 0 || data[12] > 1)
		return err_set(err, -EIO, "IHDR gives compression method %u, filter method %u, interlace method %u", data[10],
			       data[11], data[12]);
	header_add_ints(&opening->builder, "png", "IHDR",
			(int64_t[]){file->width, file->height, file->depth, file->color_type, data[10], data[11], data[12]}, 7);
	return 0;
}

/* Planes as stored, channels as asked for; tRNS may add an alpha to three channels later. */
static int describe(struct opening *opening, struct err *err)
{
	static const char *const names[][MAX_CHANNELS] = {[PNG_GRAY] = {"Y"},
							  [PNG_RGB] = {"R", "G", "B"},
							  [PNG_PALETTE] = {"R", "G", "B"},
							  [PNG_GRAY_ALPHA] = {"Y", "A"},
							  [PNG_RGB_ALPHA] = {"R", "G", "B", "A"}};
	const struct png_file *file = opening->file;
	struct codec_part *part = opening->part;
	struct arena *arena = &opening->file->image.arena;
	bool palette = file->color_type == PNG_PALETTE;
	part->planes = arena_alloc(arena, MAX_CHANNELS, sizeof *part->planes);
	part->channels = arena_alloc(arena, MAX_CHANNELS, sizeof *part->channels);
	part->levels = arena_alloc(arena, 1, sizeof *part->levels);
	if (!part->planes || !part->channels || !part->levels)
		return err_set(err, -ENOMEM, "no memory for the header");
	for (uint16_t i = 0; i < MAX_CHANNELS && names[file->color_type][i]; i++) {
		part->channels[part->nchannels++] = (struct codec_channel){.name = names[file->color_type][i],
									   .origin = palette ? ORIGIN_PALETTE : ORIGIN_PLANE,
									   .component = (uint8_t)(palette ? i : 0),
									   .plane = palette ? 0 : i};
	}
	part->nplanes = palette ? 1 : part->nchannels;
	for (uint32_t i = 0; i < part->nplanes; i++)
		part->planes[i] = (struct codec_plane){.type = file->depth == 16 ? SAMPLE_U16 : SAMPLE_U8,
						       .bit_depth = file->depth,
						       .significant_bits = file->depth,
						       .divisor = (1u << file->depth) - 1,
						       .xsampling = 1,
						       .ysampling = 1};
	return 0;
}

static void describe_geometry(struct opening *opening)
{
	const struct png_file *file = opening->file;
	struct codec_part *part = opening->part;
	uint64_t row_bytes = (uint64_t)file->width * part->nplanes * (file->depth == 16 ? 2 : 1);
	uint32_t rows = file->interlaced ? file->height : codec_band_rows(row_bytes, file->height);
	codec_level_set(part->levels, file->width, file->height, file->width, rows);
	part->nlevels = part->nlevels_x = part->nlevels_y = 1;
	part->levels_mode = LEVELS_ONE;
	part->access = file->interlaced ? CODEC_ACCESS_CHUNK : CODEC_ACCESS_FORWARD;
	part->interleaved = true;
	part->name = part->view = "";
	part->compression = "deflate";
	part->row_order = "increasing";
	part->pixel_aspect = 1;
	part->alpha = file->color_type & 4 ? ALPHA_STRAIGHT : ALPHA_NONE;
	part->data_window = (struct codec_box){0, 0, (int32_t)(file->width - 1), (int32_t)(file->height - 1)};
	part->display_window = part->data_window;
}

/* The header chunk, which must be the first (PNG 5.6), and all that follows from it. */
static int open_ihdr(struct opening *opening, struct err *err)
{
	enum png_step step;
	struct png_chunk chunk;
	uint8_t data[PNG_IHDR_BYTES + 4];
	bool good;
	int rc = png_chunk_read(&opening->window, &step, &chunk, err);
	if (rc)
		return rc;
	if (png_chunk_is(&chunk, "CgBI"))
		return err_set(err, -EOPNOTSUPP, "Apple's CgBI variant of PNG, which is no PNG");
	if (step != PNG_STEP_CHUNK || !png_chunk_is(&chunk, "IHDR") || chunk.len_bytes != PNG_IHDR_BYTES)
		return err_set(err, -EIO, "the file doesn't begin with an IHDR chunk");
	rc = png_chunk_body(&opening->window, &chunk, data, &good, err);
	if (rc)
		return rc;
	if (!good)
		return err_set(err, -EIO, "the IHDR chunk has a bad CRC");
	rc = parse_ihdr(opening, data, err);
	if (!rc)
		rc = describe(opening, err);
	if (rc)
		return rc;
	describe_geometry(opening);
	opening->window.offset = png_chunk_end(&chunk);
	return codec_header_check(&opening->file->image.header, opening->limits, err);
}

static int set_palette(struct opening *opening, const uint8_t *data, uint32_t count, struct err *err)
{
	struct codec_part *part = opening->part;
	part->palette = arena_alloc(&opening->file->image.arena, count, sizeof *part->palette);
	if (!part->palette)
		return err_set(err, -ENOMEM, "no memory for the palette");
	for (uint32_t i = 0; i < count; i++) {
		memcpy(part->palette[i], data + 3 * i, 3);
		part->palette[i][3] = 255;
	}
	part->npalette = count;
	return 0;
}

/* PNG 11.2.2: needed by indexed images, a suggestion in RGB, forbidden in gray. Only the first kind can fail an image here;
 * a bad CRC in the others is check()'s. */
static int open_palette(struct opening *opening, const struct png_chunk *chunk, struct err *err)
{
	bool needed = opening->file->color_type == PNG_PALETTE, good;
	uint8_t data[3 * 256 + 4];
	if (opening->meta.have_palette && needed)
		return err_set(err, -EIO, "a second PLTE chunk at byte %" PRIu64, chunk->offset);
	if (opening->meta.have_idat || opening->meta.have_palette || !(opening->file->color_type & 2)) {
		header_warn(&opening->builder, "the PLTE chunk at byte %" PRIu64 " is out of place: ignored", chunk->offset);
		return 0;
	}
	if (chunk->len_bytes == 0 || chunk->len_bytes % 3 || chunk->len_bytes > 3 * 256) {
		if (needed)
			return err_set(err, -EIO, "the PLTE chunk at byte %" PRIu64 " has %" PRIu32 " bytes", chunk->offset,
				       chunk->len_bytes);
		header_warn(&opening->builder, "the PLTE chunk at byte %" PRIu64 " is not valid: ignored", chunk->offset);
		return 0;
	}
	int rc = png_chunk_body(&opening->window, chunk, data, &good, err);
	if (rc)
		return rc;
	if (!good && needed)
		return err_set(err, -EIO, "the PLTE chunk at byte %" PRIu64 " has a bad CRC", chunk->offset);
	opening->meta.have_palette = true;
	header_add_int(&opening->builder, "png", "PLTE", chunk->len_bytes / 3);
	return needed ? set_palette(opening, data, chunk->len_bytes / 3, err) : 0;
}

/* ---- the walk ---- */

static int open_idat(struct opening *opening, const struct png_chunk *chunk, struct err *err)
{
	struct png_file *file = opening->file;
	if (file->color_type == PNG_PALETTE && !opening->meta.have_palette)
		return err_set(err, -EIO, "an indexed image without a palette: no PLTE before the IDAT chunk at byte %" PRIu64,
			       chunk->offset);
	if (opening->run_ended) {
		if (!file->idat_again)
			header_warn(&opening->builder, "the IDAT chunk at byte %" PRIu64 " doesn't follow the others: ignored",
				    chunk->offset);
		file->idat_again = true;
		return 0;
	}
	if (!opening->meta.have_idat)
		file->idat_offset = chunk->offset;
	opening->meta.have_idat = true;
	file->idat_end = png_chunk_end(chunk);
	file->idat_bytes += chunk->len_bytes;
	return 0;
}

/* A critical chunk that no edition of the specification has: the pixels can't be told for sure (PNG 13.2). One with a bad
 * CRC may be a known one with a spoilt name: that is check()'s. */
static int open_unknown(struct opening *opening, const struct png_chunk *chunk, struct err *err)
{
	char words[80];
	bool good;
	struct png_window window = opening->window;
	int rc = png_chunk_verify(&window, chunk, &good, err);
	opening->window.len_bytes = 0; /* its memory was used */
	if (rc || !good || opening->part->unsupported)
		return rc;
	snprintf(words, sizeof words, "an unknown critical chunk, %s, at byte %" PRIu64, chunk->type, chunk->offset);
	opening->part->unsupported = arena_strdup(&opening->file->image.arena, words);
	return opening->part->unsupported ? 0 : err_set(err, -ENOMEM, "no memory for the header");
}

/* IEND holds nothing (PNG 11.2.4): all that its CRC can tell is told, and is no damage of the image. */
static int open_end(struct opening *opening, const struct png_chunk *chunk, struct err *err)
{
	struct png_window window = opening->window;
	bool good = false;
	if (chunk->len_bytes) {
		header_warn(&opening->builder, "the IEND chunk at byte %" PRIu64 " has data: ignored", chunk->offset);
		return 0;
	}
	int rc = png_chunk_verify(&window, chunk, &good, err);
	opening->window.len_bytes = 0; /* its memory was used */
	if (rc == 0 && !good)
		header_warn(&opening->builder, "the IEND chunk at byte %" PRIu64 " has a bad CRC: ignored", chunk->offset);
	return rc;
}

static int open_chunk(struct opening *opening, const struct png_chunk *chunk, struct err *err)
{
	if (png_chunk_is(chunk, "IDAT"))
		return open_idat(opening, chunk, err);
	opening->run_ended = opening->meta.have_idat;
	if (png_chunk_is(chunk, "PLTE"))
		return open_palette(opening, chunk, err);
	if (!png_chunk_critical(chunk))
		return png_meta_chunk(&opening->meta, &opening->window, chunk, err);
	if (png_chunk_is(chunk, "IEND"))
		return open_end(opening, chunk, err);
	if (png_chunk_is(chunk, "IHDR"))
		return 0;
	return open_unknown(opening, chunk, err);
}

/* How the walk ended, where that wasn't at IEND at the end of the file. */
static void warn_end(struct opening *opening, enum png_step step, const struct png_chunk *chunk)
{
	uint64_t size_bytes = opening->window.bytes->size_bytes;
	if (step == PNG_STEP_CHUNK && opening->window.offset < size_bytes)
		header_warn(&opening->builder, "%" PRIu64 " bytes behind IEND: ignored", size_bytes - opening->window.offset);
	else if (step == PNG_STEP_END)
		header_warn(&opening->builder, "the file ends at byte %" PRIu64 " without IEND", size_bytes);
	else if (step == PNG_STEP_CUT)
		header_warn(&opening->builder, "the file ends at byte %" PRIu64 ", within the %s chunk at byte %" PRIu64,
			    size_bytes, chunk->type[0] ? chunk->type : "next", chunk->offset);
	else if (step == PNG_STEP_BAD)
		header_warn(&opening->builder, "no chunk at byte %" PRIu64 ": the rest is ignored", chunk->offset);
}

static int open_walk(struct opening *opening, struct err *err)
{
	enum png_step step;
	struct png_chunk chunk;
	for (;;) {
		int rc = png_chunk_read(&opening->window, &step, &chunk, err);
		if (rc)
			return rc;
		if (step == PNG_STEP_CUT && png_chunk_is(&chunk, "IDAT"))
			rc = open_idat(opening, &chunk, err);
		else if (step == PNG_STEP_CHUNK)
			rc = open_chunk(opening, &chunk, err);
		if (rc)
			return rc;
		if (step != PNG_STEP_CHUNK)
			break;
		opening->window.offset = png_chunk_end(&chunk);
		if (png_chunk_is(&chunk, "IEND"))
			break;
	}
	if (opening->file->color_type == PNG_PALETTE && !opening->meta.have_palette)
		return err_set(err, -EIO, "an indexed image without a palette (PLTE)");
	warn_end(opening, step, &chunk);
	return 0;
}

static int open_signature(struct bytes *bytes, struct err *err)
{
	uint8_t head[PNG_SIGNATURE_BYTES];
	int rc = bytes_read_exact(bytes, head, sizeof head, 0, err);
	if (!rc && memcmp(head, signature, sizeof head) != 0)
		rc = err_set(err, -EIO, "the PNG signature is damaged (a transfer in text mode does that)");
	return rc;
}

static int open_file(struct opening *opening, struct err *err)
{
	struct codec_header *header = &opening->file->image.header;
	uint8_t window[WINDOW_BYTES];
	int rc = open_signature(opening->file->image.bytes, err);
	if (rc)
		return rc;
	opening->part = header->parts = arena_alloc(&opening->file->image.arena, 1, sizeof *header->parts);
	if (!opening->part)
		return err_set(err, -ENOMEM, "no memory for the header");
	header->nparts = header->nframes = 1;
	header->random_access = "whole";
	png_window_init(&opening->window, opening->file->image.bytes, window, sizeof window, PNG_SIGNATURE_BYTES);
	header_init(&opening->builder, &opening->file->image.arena);
	png_meta_init(&opening->meta, opening->file, opening->part, &opening->builder);
	rc = open_ihdr(opening, err);
	if (!rc)
		rc = open_walk(opening, err);
	if (!rc) {
		png_meta_finish(&opening->meta);
		header_finish(&opening->builder, header, opening->part);
	}
	png_meta_free(&opening->meta);
	return rc;
}

static void png_close(struct codec_image *image)
{
	if (!image)
		return;
	bytes_unref(image->bytes);
	arena_free(&image->arena);
	free(image);
}

static int png_open(struct bytes *bytes, const struct codec_limits *limits, struct codec_image **ret_image, struct err *err)
{
	struct png_file *file = calloc(1, sizeof *file);
	if (!file)
		return err_set(err, -ENOMEM, "no memory for the header");
	file->image.codec = &codec_png;
	file->image.bytes = bytes_ref(bytes);
	arena_init(&file->image.arena, limits->max_metadata_bytes);
	struct opening opening = {.file = file, .limits = limits};
	int rc = open_file(&opening, err);
	if (rc)
		png_close(&file->image);
	else
		*ret_image = &file->image;
	return rc;
}

const struct codec codec_png = {
	.name = "png",
	.mime_type = "image/png",
	.extensions = "png apng",
	.decoder = png_decoder,
	.bid = png_bid,
	.open = png_open,
	.close = png_close,
	.check = png_check,
	.decode = png_decode,
	.cursor_free = png_cursor_free,
};
