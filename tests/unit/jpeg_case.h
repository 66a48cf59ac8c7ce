/* jpeg_case.h - what jpeg_test.c and jpeg_meta_test.c share: opening and decoding what jpeg_build.h built, and the checks. */
#ifndef PIXFS_JPEG_CASE_H
#define PIXFS_JPEG_CASE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "codecs/core/registry.h"
#include "jpeg_build.h"
#include "case.h"

static struct jpeg_build build;
static const uint8_t one[] = {1, 0x11}, ids123[] = {1, 2, 3}, ids1234[] = {1, 2, 3, 4}, ids_rgb[] = {'R', 'G', 'B'};

/* An opened file and its samples; codes of the two steps, with words of the one that failed. */
struct result {
	struct codec_image *image;
	int open_code, decode_code;
	struct err err;
	uint8_t *samples;
	uint32_t width, height, count;
};

static inline struct result open_bytes(const void *data, size_t len, const struct codec_limits *limits)
{
	struct result r = {.image = NULL};
	uint8_t *copy = malloc(len ? len : 1); /* exactly as long, so that a sanitizer sees a read behind it */
	memcpy(copy, data, len);
	struct bytes *bytes = bytes_from_memory(copy, len, 1);
	r.open_code = codec_jpeg.open(bytes, limits ? limits : &codec_default_limits, &r.image, &r.err);
	bytes_unref(bytes);
	return r;
}

static inline struct result decode_bytes(const void *data, size_t len)
{
	struct result r = open_bytes(data, len, NULL);
	if (r.open_code)
		return r;
	const struct codec_part *part = &r.image->header.parts[0];
	struct codec_cursor *cursor = NULL;
	r.width = part->levels[0].width;
	r.height = part->levels[0].height;
	r.count = part->nplanes;
	r.samples = malloc((size_t)r.width * r.height * r.count);
	uint8_t *dst = r.samples;
	for (uint32_t cy = 0; cy < part->levels[0].nchunks_y && !r.decode_code; cy++) {
		struct codec_chunk_layout layout;
		codec_chunk_layout(part, 0, 0, cy, &layout, NULL);
		r.decode_code = codec_jpeg.decode(r.image, &cursor, 0, 0, 0, cy, dst, &r.err);
		dst += layout.len_bytes;
	}
	codec_jpeg.cursor_free(cursor);
	return r;
}

static inline struct result decode_build(void)
{
	return decode_bytes(build.data, build.len);
}

static inline void result_free(struct result *r)
{
	codec_jpeg.close(r->image);
	free(r->samples);
}

static inline int sample(const struct result *r, uint32_t x, uint32_t y, uint32_t channel)
{
	return r->samples ? r->samples[((size_t)y * r->width + x) * r->count + channel] : -1;
}

/* Decodes what was built; both codes must be as told. */
static inline void expect_codes(int open_code, int decode_code)
{
	struct result r = decode_build();
	CHECK(r.open_code == open_code);
	CHECK(r.decode_code == decode_code);
	CHECK((open_code || decode_code) == (r.err.text[0] != 0));
	result_free(&r);
}

static inline const struct codec_attribute *find(const struct result *r, const char *name)
{
	const struct codec_part *part = &r->image->header.parts[0];
	for (size_t i = 0; i < part->nattributes; i++)
		if (strcmp(part->attributes[i].group, "jpeg") == 0 && strcmp(part->attributes[i].name, name) == 0)
			return &part->attributes[i];
	return NULL;
}

static inline const struct codec_blob *find_blob(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->image->header.nblobs; i++)
		if (strcmp(r->image->header.blobs[i].name, name) == 0)
			return &r->image->header.blobs[i];
	return NULL;
}

static inline int is_text(const struct result *r, const char *name, const char *text)
{
	const struct codec_attribute *a = find(r, name);
	return a && a->type == ATTRIBUTE_TEXT && strcmp(a->text, text) == 0;
}

/* ---- files that several cases use ---- */

/* SOI, tables and the frame header; the scan is the case's. */
static inline void start_frame(int sof, unsigned height, unsigned width, int count, const uint8_t *components)
{
	put_soi(&build);
	put_dqt(&build);
	put_dht(&build);
	put_sof(&build, sof, 8, height, width, count, components);
}

/* Gray, 8 wide: block i is flat 100 + i % 100. */
static inline void build_column(int nblocks)
{
	start_frame(0xc0, 8 * (unsigned)nblocks, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	for (int i = 0; i < nblocks; i++)
		put_block(&build, 0, i % 100 - 28);
	put_eoi(&build);
}

/* Progressive, gray, two blocks: a DC scan, then nac scans of 1..63, all zero. */
static inline void build_progressive(int nac, int with_eoi)
{
	start_frame(0xc2, 8, 16, 1, one);
	put_sos(&build, 1, ids123, 0, 0, 0);
	put_dc(&build, 0, 10);
	put_dc(&build, 0, -20);
	put_padding(&build);
	for (int i = 0; i < nac; i++) {
		put_sos(&build, 1, ids123, 1, 63, 0);
		put_eob(&build);
		put_eob(&build);
		put_padding(&build);
	}
	if (with_eoi)
		put_eoi(&build);
}

/* An encoder of the library as the writer; the same coefficients in Huffman and in arithmetic code. */
static inline size_t encode_gradient(int arithmetic, int progressive, unsigned char **ret_data)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	unsigned long len = 0;
	uint8_t row[40 * 3];
	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	*ret_data = NULL;
	jpeg_mem_dest(&c, ret_data, &len);
	c.image_width = c.image_height = 40;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	if (progressive)
		jpeg_simple_progression(&c);
	c.arith_code = arithmetic;
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < 40) {
		for (unsigned i = 0; i < sizeof row; i++)
			row[i] = (uint8_t)(i * 2 + c.next_scanline * (5 + i % 3));
		JSAMPROW rows = row;
		jpeg_write_scanlines(&c, &rows, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return len;
}

#endif
