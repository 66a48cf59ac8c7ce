/* png_case.h - what the PNG codec's unit tests share: files built field by field, and the results of opening them.
 * The encoder here is written from the specification (filters 9, interlace 8, chunks 5), so it can judge the codec. */
#ifndef PIXFS_PNG_CASE_H
#define PIXFS_PNG_CASE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "codecs/core/header.h"
#include "codecs/core/registry.h"
#include "case.h"

/* ---- a file under construction ---- */

static struct {
	uint8_t *data;
	size_t len, room;
	uint32_t width, height;
	uint8_t depth, color_type, interlaced;
} build;

static inline void put_bytes(const void *data, size_t len)
{
	if (build.len + len > build.room) {
		build.room = 2 * (build.len + len);
		build.data = realloc(build.data, build.room);
		if (!build.data)
			abort();
	}
	if (len)
		memcpy(build.data + build.len, data, len);
	build.len += len;
}

static inline void put32(uint32_t value)
{
	const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	put_bytes(bytes, 4);
}

/* crc_error is added to the CRC: 0 for a right one */
static inline void put_chunk_crc(const char *type, const void *data, size_t len, uint32_t crc_error)
{
	uint32_t crc = (uint32_t)crc32(crc32(0, (const uint8_t *)type, 4), len ? data : (const void *)"", (uInt)len);
	put32((uint32_t)len);
	put_bytes(type, 4);
	put_bytes(data, len);
	put32(crc + crc_error);
}

static inline void put_chunk(const char *type, const void *data, size_t len)
{
	put_chunk_crc(type, data, len, 0);
}

static inline void put_ihdr(uint32_t width, uint32_t height, uint8_t depth, uint8_t color_type, uint8_t interlaced,
			    uint32_t crc_error)
{
	const uint8_t data[13] = {(uint8_t)(width >> 24),
				  (uint8_t)(width >> 16),
				  (uint8_t)(width >> 8),
				  (uint8_t)width,
				  (uint8_t)(height >> 24),
				  (uint8_t)(height >> 16),
				  (uint8_t)(height >> 8),
				  (uint8_t)height,
				  depth,
				  color_type,
				  0,
				  0,
				  interlaced};
	build.len = 0;
	build.width = width;
	build.height = height;
	build.depth = depth;
	build.color_type = color_type;
	build.interlaced = interlaced;
	put_bytes("\x89PNG\r\n\x1a\n", 8);
	put_chunk_crc("IHDR", data, 13, crc_error);
}

static inline void start(uint32_t width, uint32_t height, uint8_t depth, uint8_t color_type, uint8_t interlaced)
{
	put_ihdr(width, height, depth, color_type, interlaced, 0);
}

static inline uint32_t nsamples(void)
{
	static const uint8_t counts[7] = {1, 0, 3, 1, 2, 0, 4};
	return counts[build.color_type];
}

/* ---- samples ---- */

/* The sample of the picture that every test shows: anything, but the same in the file and in the check. */
static inline uint16_t sample_at(uint32_t x, uint32_t y, uint32_t channel)
{
	uint32_t value = (x * 2654435761u) ^ (y * 40503u * 65537u) ^ (channel * 97u * 16777619u);
	value ^= value >> 15;
	return (uint16_t)((value * 2246822519u >> 13) & ((1u << build.depth) - 1));
}

static int paeth(int a, int b, int c)
{
	int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
	return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* One filtered row behind `out`: PNG 9.2. left and above are raw bytes, 0 outside. */
static inline void filter_row(uint8_t *out, int filter, const uint8_t *row, const uint8_t *above, size_t len, size_t step)
{
	*out++ = (uint8_t)filter;
	for (size_t i = 0; i < len; i++) {
		int a = i >= step ? row[i - step] : 0, b = above ? above[i] : 0, c = above && i >= step ? above[i - step] : 0;
		int predictions[5] = {0, a, b, (a + b) / 2, paeth(a, b, c)};
		out[i] = (uint8_t)(row[i] - predictions[filter]);
	}
}

struct raw {
	uint8_t *data;
	size_t len;
};

/* The pixels x0, x0+dx, ... of rows y0, y0+dy, ...: one pass, each row with another filter. */
static inline void raw_pass(struct raw *raw, uint32_t x0, uint32_t y0, uint32_t dx, uint32_t dy)
{
	uint32_t bits = nsamples() * build.depth, width = build.width > x0 ? (build.width - x0 + dx - 1) / dx : 0;
	size_t len = ((size_t)width * bits + 7) / 8, step = bits >= 8 ? bits / 8 : 1;
	uint8_t *row = calloc(1, len + 1), *above = NULL;
	for (uint32_t y = y0, number = 0; width && y < build.height; y += dy, number++) {
		memset(row, 0, len);
		for (uint32_t i = 0; i < width * nsamples(); i++) {
			uint32_t value = sample_at(x0 + i / nsamples() * dx, y, i % nsamples());
			if (build.depth == 16)
				row[2 * i] = (uint8_t)(value >> 8), row[2 * i + 1] = (uint8_t)value;
			else
				row[(size_t)i * build.depth / 8] |= (uint8_t)(value << (8 - build.depth - i * build.depth % 8));
		}
		raw->data = realloc(raw->data, raw->len + len + 1);
		filter_row(raw->data + raw->len, (int)(number % 5), row, above, len, step);
		raw->len += len + 1;
		above = above ? above : malloc(len + 1);
		memcpy(above, row, len);
	}
	free(row);
	free(above);
}

static inline struct raw raw_image(void)
{
	static const uint32_t adam7[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
					     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
	struct raw raw = {NULL, 0};
	if (!build.interlaced)
		raw_pass(&raw, 0, 0, 1, 1);
	for (int i = 0; build.interlaced && i < 7; i++)
		raw_pass(&raw, adam7[i][0], adam7[i][1], adam7[i][2], adam7[i][3]);
	return raw;
}

static inline struct raw packed(const void *data, size_t len)
{
	uLongf room = compressBound(len);
	struct raw out = {malloc(room), 0};
	if (!out.data || compress2(out.data, &room, data, len, 6) != Z_OK)
		abort();
	out.len = room;
	return out;
}

/* The image data in IDATs of at most most bytes. */
static inline void put_idats(size_t most)
{
	struct raw raw = raw_image(), z = packed(raw.data, raw.len);
	for (size_t at = 0; at < z.len; at += most)
		put_chunk("IDAT", z.data + at, z.len - at < most ? z.len - at : most);
	free(raw.data);
	free(z.data);
}

static inline void put_idat(void)
{
	put_idats(SIZE_MAX / 2);
}

static inline void put_iend(void)
{
	put_chunk("IEND", NULL, 0);
}

/* ---- results ---- */

struct result {
	struct bytes *bytes;
	struct codec_image *image;
	const struct codec_header *header;
	const struct codec_part *part;
	int open_code, check_code, decode_code;
	struct err open_err, check_err, decode_err;
	uint16_t *samples; /* (y, x, plane), NULL where the decode failed */
};

static inline void decode_rows(struct result *r)
{
	const struct codec_part *part = r->part;
	const struct codec_level *level = part->levels;
	struct codec_cursor *cursor = NULL;
	r->samples = calloc((size_t)level->width * level->height * part->nplanes, sizeof *r->samples);
	uint16_t *to = r->samples;
	for (uint32_t cy = 0; cy < level->nchunks_y && !r->decode_code; cy++) {
		struct codec_chunk_layout layout;
		codec_chunk_layout(part, 0, 0, cy, &layout, NULL);
		uint8_t *chunk = malloc(layout.len_bytes);
		r->decode_code = codec_png.decode(r->image, part->access == CODEC_ACCESS_FORWARD ? &cursor : NULL, 0, 0, 0, cy,
						  chunk, &r->decode_err);
		for (size_t i = 0; !r->decode_code && i < (size_t)layout.width * layout.height * part->nplanes; i++, to++) {
			if (part->planes[0].type == SAMPLE_U16)
				memcpy(to, chunk + 2 * i, 2);
			else
				*to = chunk[i];
		}
		free(chunk);
	}
	codec_png.cursor_free(cursor);
	if (r->decode_code) {
		free(r->samples);
		r->samples = NULL;
	}
}

static inline struct result open_built_with(const struct codec_limits *limits)
{
	struct result r = {0};
	r.bytes = bytes_from_memory(build.data, build.len, 0);
	r.open_code = codec_png.open(r.bytes, limits, &r.image, &r.open_err);
	if (!r.open_code) {
		r.header = &r.image->header;
		r.part = r.header->parts;
		r.check_code = codec_png.check(r.image, &r.check_err);
	}
	return r;
}

static inline struct result open_built(void)
{
	return open_built_with(&codec_default_limits);
}

static inline struct result decode_built(void)
{
	struct result r = open_built();
	if (!r.open_code)
		decode_rows(&r);
	return r;
}

static inline void result_free(struct result *r)
{
	free(r->samples);
	if (r->image)
		codec_png.close(r->image);
	bytes_unref(r->bytes);
}

static inline int has_all_samples(const struct result *r)
{
	const struct codec_level *level = r->part->levels;
	size_t i = 0;
	for (uint32_t y = 0; r->samples && y < level->height; y++)
		for (uint32_t x = 0; x < level->width; x++)
			for (uint32_t channel = 0; channel < r->part->nplanes; channel++, i++)
				if (r->samples[i] != sample_at(x, y, channel))
					return 0;
	return r->samples != NULL;
}

static inline const struct codec_attribute *find_attribute(const struct result *r, const char *group, const char *name)
{
	for (size_t i = 0; i < r->part->nattributes; i++)
		if (!strcmp(r->part->attributes[i].group, group) && !strcmp(r->part->attributes[i].name, name))
			return &r->part->attributes[i];
	return NULL;
}

static inline int is_text(const struct codec_attribute *attribute, const char *text)
{
	return attribute && attribute->type == ATTRIBUTE_TEXT && attribute->count == strlen(text) &&
	       memcmp(attribute->text, text, attribute->count) == 0;
}

static inline int is_ints(const struct codec_attribute *attribute, const int64_t *values, size_t count)
{
	return attribute && attribute->type == ATTRIBUTE_INTS && attribute->count == count &&
	       memcmp(attribute->ints, values, count * sizeof *values) == 0;
}

static inline const struct codec_blob *find_blob(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->header->nblobs; i++)
		if (!strcmp(r->header->blobs[i].name, name))
			return &r->header->blobs[i];
	return NULL;
}

static inline int warns(const struct result *r, const char *words)
{
	for (size_t i = 0; i < r->header->nwarnings; i++)
		if (strstr(r->header->warnings[i], words))
			return 1;
	return 0;
}

#endif
