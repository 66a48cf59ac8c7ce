/* png_meta.c - ancillary chunks: one table of those that are known, one short function for each.
 *
 * Attributes stand in the group "png" under the chunk's name, numbers in the order of the chunk's fields, scaled to what
 * they mean (gAMA 45455 is 0.45455). Text chunks stand there under their keyword. An ancillary chunk never fails an open:
 * one that is damaged, misplaced, repeated or too large is ignored with a warning (PNG 13.2).
 */
#include "png_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/facts/color.h"
#include "codecs/facts/exif.h"

enum { MAX_CHUNK_BYTES = 8 << 20, BUDGET_BYTES = 32 << 20, MAX_UNKNOWN = 64 };

/* Where a chunk may stand (PNG 5.6). */
enum { ONCE = 1, BEFORE_PALETTE = 2, BEFORE_DATA = 4, AFTER_PALETTE = 8, SILENT = 16 };

typedef bool take_chunk(struct png_meta *meta, const uint8_t *data, size_t len_bytes);

static void add_ints(struct png_meta *meta, const char *name, const int64_t *values, size_t count)
{
	header_add_ints(meta->builder, "png", name, values, count);
}

/* ---- colour: PNG 11.3.2 ---- */

static bool take_gamma(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	uint32_t gamma = png_get32(data);
	if (gamma == 0 || gamma > INT32_MAX)
		return false;
	meta->gamma = gamma;
	header_add_double(meta->builder, "png", "gAMA", gamma / 100000.);
	return true;
}

/* White first in the chunk, last in struct codec_color. */
static bool take_chromaticities(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	double values[8];
	for (size_t i = 0; i < len_bytes / 4; i++) {
		if (png_get32(data + 4 * i) > INT32_MAX)
			return false;
		values[i] = png_get32(data + 4 * i) / 100000.;
		meta->chromaticities[(i + 6) % 8] = values[i];
	}
	meta->have_chromaticities = true;
	header_add_doubles(meta->builder, "png", "cHRM", values, 8);
	return true;
}

static bool take_srgb(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	if (data[0] > 3)
		return false;
	meta->have_srgb = true;
	header_add_int(meta->builder, "png", "sRGB", data[0]);
	return true;
}

/* PNG 11.3.2.6: matrix coefficients shall be 0, as there is only RGB; the range flag is 0 or 1. */
static bool take_cicp(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	if (data[2] != 0 || data[3] > 1)
		return false;
	memcpy(meta->cicp, data, len_bytes);
	meta->have_cicp = true;
	add_ints(meta, "cICP", (int64_t[]){data[0], data[1], data[2], data[3]}, 4);
	return true;
}

static bool take_mastering(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	double values[10];
	for (int i = 0; i < 8; i++)
		values[i] = png_get16(data + 2 * i) / 50000.;
	values[8] = png_get32(data + 16) / 10000.;
	values[9] = png_get32(data + 20) / 10000.;
	header_add_doubles(meta->builder, "png", "mDCV", values, 10);
	return true;
}

static bool take_light_level(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	header_add_doubles(meta->builder, "png", "cLLI", (double[]){png_get32(data) / 10000., png_get32(data + 4) / 10000.}, 2);
	return true;
}

/* One number for each channel of the colour type, three for a palette, whose colours have 8 bits. */
static bool take_significant_bits(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	bool palette = meta->file->color_type == PNG_PALETTE;
	uint8_t depth = palette ? 8 : meta->file->depth;
	if (len_bytes != (palette ? 3 : meta->part->nplanes))
		return false;
	int64_t bits[4];
	for (size_t i = 0; i < len_bytes; i++) {
		if (data[i] == 0 || data[i] > depth)
			return false;
		bits[i] = data[i];
	}
	for (size_t i = 0; !palette && i < len_bytes; i++)
		meta->part->planes[i].significant_bits = data[i];
	add_ints(meta, "sBIT", bits, len_bytes);
	return true;
}

/* ---- transparency, background, palette: PNG 11.3.1, 11.3.4 ---- */

static void add_alpha(struct png_meta *meta, enum codec_origin origin)
{
	struct codec_part *part = meta->part;
	part->channels[part->nchannels++] = (struct codec_channel){.name = "A", .origin = (uint8_t)origin, .component = 3};
	part->alpha = ALPHA_STRAIGHT;
}

/* PNG 11.3.1.1: for gray and RGB one 16-bit key for each sample, of which the low bits count. */
static bool take_transparency(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	struct codec_part *part = meta->part;
	uint8_t color_type = meta->file->color_type;
	if (color_type == PNG_PALETTE) {
		if (!meta->have_palette || len_bytes > part->npalette)
			return false;
		for (size_t i = 0; i < len_bytes; i++)
			part->palette[i][3] = data[i];
		add_alpha(meta, ORIGIN_PALETTE);
		header_add_int(meta->builder, "png", "tRNS", (int64_t)len_bytes);
		return true;
	}
	if ((color_type != PNG_GRAY && color_type != PNG_RGB) || len_bytes != 2 * (size_t)part->nplanes)
		return false;
	int64_t told[3];
	for (size_t i = 0; i < len_bytes / 2; i++) {
		told[i] = png_get16(data + 2 * i);
		part->key[i] = (uint32_t)told[i] & ((1u << meta->file->depth) - 1);
	}
	add_alpha(meta, ORIGIN_KEY);
	add_ints(meta, "tRNS", told, len_bytes / 2);
	return true;
}

static bool take_background(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	uint8_t color_type = meta->file->color_type;
	size_t count = color_type == PNG_RGB || color_type == PNG_RGB_ALPHA ? 3 : 1;
	int64_t values[3];
	if (len_bytes != (color_type == PNG_PALETTE ? 1 : 2 * count))
		return false;
	for (size_t i = 0; i < count; i++)
		values[i] = color_type == PNG_PALETTE ? data[0] : png_get16(data + 2 * i);
	add_ints(meta, "bKGD", values, count);
	return true;
}

static bool take_histogram(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	int64_t values[256];
	if (!meta->have_palette || len_bytes % 2 || (meta->part->npalette && len_bytes != 2 * (size_t)meta->part->npalette))
		return false;
	for (size_t i = 0; i < len_bytes / 2; i++)
		values[i] = png_get16(data + 2 * i);
	add_ints(meta, "hIST", values, len_bytes / 2);
	return true;
}

/* ---- size and place: PNG 11.3.4.3, extensions to PNG ---- */

static bool take_physical(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	uint32_t x = png_get32(data), y = png_get32(data + 4);
	struct codec_header *header = &meta->file->image.header;
	if (data[8] > 1)
		return false;
	add_ints(meta, "pHYs", (int64_t[]){x, y, data[8]}, 3);
	if (x && y)
		meta->part->pixel_aspect = (double)y / x; /* so many pixels per unit: a pixel is 1/x wide and 1/y high */
	if (data[8] == 1) {
		header->resolution_x = x;
		header->resolution_y = y;
	}
	return true;
}

static bool take_offset(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	add_ints(meta, "oFFs", (int64_t[]){(int32_t)png_get32(data), (int32_t)png_get32(data + 4), data[8]}, 3);
	return true;
}

/* Unit, and width and height as decimal text with a zero byte between. */
static bool take_scale(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	const uint8_t *zero = memchr(data + 1, 0, len_bytes - 1);
	if (!zero || len_bytes > 256)
		return false;
	char text[512];
	int width_bytes = (int)(zero - data - 1), height_bytes = (int)(len_bytes - 2) - width_bytes;
	snprintf(text, sizeof text, "%.*s x %.*s %s", width_bytes, (const char *)data + 1, height_bytes, (const char *)zero + 1,
		 data[0] == 1   ? "m"
		 : data[0] == 2 ? "rad"
				: "?");
	header_add_text(meta->builder, "png", "sCAL", text);
	return true;
}

/* ---- the rest ---- */

static bool take_time(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	char text[32];
	snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02uZ", png_get16(data), data[2], data[3], data[4], data[5], data[6]);
	header_add_text(meta->builder, "png", "tIME", text);
	return true;
}

static bool take_exif(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	struct exif exif;
	meta->have_exif = true;
	header_add_blob(meta->builder, "exif.bin", data, len_bytes);
	exif_parse(data, len_bytes, meta->builder, &exif); /* its warnings say what is wrong with it */
	meta->file->image.header.orientation = exif.orientation;
	return true;
}

static bool take_animation(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	(void)len_bytes;
	add_ints(meta, "acTL", (int64_t[]){png_get32(data), png_get32(data + 4)}, 2);
	return true;
}

static const struct known {
	char type[5];
	uint32_t least_bytes, most_bytes;
	unsigned rules;
	take_chunk *take;
} known[] = {
	{"cICP", 4, 4, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_cicp},
	{"iCCP", 4, MAX_CHUNK_BYTES, ONCE | BEFORE_PALETTE | BEFORE_DATA, png_icc},
	{"sRGB", 1, 1, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_srgb},
	{"gAMA", 4, 4, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_gamma},
	{"cHRM", 32, 32, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_chromaticities},
	{"mDCV", 24, 24, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_mastering},
	{"cLLI", 8, 8, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_light_level},
	{"sBIT", 1, 4, ONCE | BEFORE_PALETTE | BEFORE_DATA, take_significant_bits},
	{"tRNS", 1, 256, ONCE | AFTER_PALETTE | BEFORE_DATA, take_transparency},
	{"bKGD", 1, 6, ONCE | AFTER_PALETTE | BEFORE_DATA, take_background},
	{"hIST", 2, 512, ONCE | AFTER_PALETTE | BEFORE_DATA, take_histogram},
	{"pHYs", 9, 9, ONCE | BEFORE_DATA, take_physical},
	{"oFFs", 9, 9, ONCE | BEFORE_DATA, take_offset},
	{"sCAL", 4, 256, ONCE | BEFORE_DATA, take_scale},
	{"sPLT", 3, MAX_CHUNK_BYTES, BEFORE_DATA, png_suggested_palette},
	{"acTL", 8, 8, ONCE | BEFORE_DATA, take_animation},
	{"fcTL", 0, 0, SILENT, NULL},
	{"fdAT", 0, 0, SILENT, NULL},
	{"tIME", 7, 7, ONCE, take_time},
	{"eXIf", 8, MAX_CHUNK_BYTES, ONCE, take_exif},
	{"tEXt", 2, MAX_CHUNK_BYTES, 0, png_text_latin1},
	{"zTXt", 4, MAX_CHUNK_BYTES, 0, png_text_compressed},
	{"iTXt", 6, MAX_CHUNK_BYTES, 0, png_text_utf8},
};
enum { NKNOWN = sizeof known / sizeof *known };

void png_meta_init(struct png_meta *meta, struct png_file *file, struct codec_part *part, struct header_builder *builder)
{
	*meta = (struct png_meta){.file = file, .part = part, .builder = builder, .budget_bytes = BUDGET_BYTES};
}

static void tell_unknown(struct png_meta *meta, const struct png_chunk *chunk)
{
	char words[24];
	snprintf(words, sizeof words, "%s %" PRIu32, chunk->type, chunk->len_bytes);
	if (meta->nunknown++ < MAX_UNKNOWN)
		header_append_text(meta->builder, "png", "unknown_chunks", words);
	else if (meta->nunknown == MAX_UNKNOWN + 1)
		header_warn(meta->builder, "more than %d unknown chunks: the others are not listed", MAX_UNKNOWN);
}

/* Why a chunk is ignored before its data is read, NULL: it isn't. */
static const char *objection(const struct png_meta *meta, const struct known *row, const struct png_chunk *chunk)
{
	bool palette_to_come = meta->file->color_type == PNG_PALETTE && !meta->have_palette;
	if ((row->rules & ONCE) && (meta->seen >> (row - known) & 1))
		return "is not the first of its kind";
	if (((row->rules & BEFORE_PALETTE) && meta->have_palette) || ((row->rules & BEFORE_DATA) && meta->have_idat) ||
	    ((row->rules & AFTER_PALETTE) && palette_to_come))
		return "is out of place";
	if (chunk->len_bytes < row->least_bytes)
		return "is too short";
	if (chunk->len_bytes > row->most_bytes)
		return "is too long";
	return chunk->len_bytes > meta->budget_bytes ? "is over the limit for metadata" : NULL;
}

static int take(struct png_meta *meta, const struct known *row, const struct png_window *window, const struct png_chunk *chunk,
		struct err *err)
{
	bool good;
	uint8_t *data = malloc((size_t)chunk->len_bytes + 4);
	if (!data)
		return err_set(err, -ENOMEM, "no memory for the %s chunk", chunk->type);
	int rc = png_chunk_body(window, chunk, data, &good, err);
	if (rc)
		goto out;
	meta->budget_bytes -= chunk->len_bytes;
	if (!good)
		header_warn(meta->builder, "the %s chunk at byte %" PRIu64 " has a bad CRC: ignored", chunk->type, chunk->offset);
	else if (!row->take(meta, data, chunk->len_bytes))
		header_warn(meta->builder, "the %s chunk at byte %" PRIu64 " is not valid: ignored", chunk->type, chunk->offset);
	else
		meta->seen |= 1u << (row - known);
out:
	free(data);
	return rc;
}

int png_meta_chunk(struct png_meta *meta, const struct png_window *window, const struct png_chunk *chunk, struct err *err)
{
	const struct known *row = known;
	while (row < known + NKNOWN && !png_chunk_is(chunk, row->type))
		row++;
	if (row == known + NKNOWN) {
		tell_unknown(meta, chunk);
		return 0;
	}
	if (row->rules & SILENT)
		return 0;
	const char *why = objection(meta, row, chunk);
	if (!why)
		return take(meta, row, window, chunk, err);
	header_warn(meta->builder, "the %s chunk at byte %" PRIu64 " %s: ignored", chunk->type, chunk->offset, why);
	return 0;
}

/* The gamma that an encoder meant: gAMA is 100000/gamma rounded (PNG 11.3.2.2), so the shortest decimal that rounds to it. */
static double gamma_of(uint32_t stored)
{
	double exact = 100000. / stored, scale = 1;
	for (int digits = 0; digits < 6; digits++, scale *= 10) {
		double shorter = (double)(int64_t)(exact * scale + 0.5) / scale;
		if (shorter > 0 && (int64_t)(100000. / shorter + 0.5) == stored)
			return shorter;
	}
	return exact;
}

void png_meta_free(struct png_meta *meta)
{
	free(meta->raw_exif);
	meta->raw_exif = NULL;
}

void png_meta_finish(struct png_meta *meta)
{
	if (meta->raw_exif && meta->have_exif)
		header_warn(meta->builder, "EXIF in a text beside the eXIf chunk: ignored");
	else if (meta->raw_exif)
		take_exif(meta, meta->raw_exif, meta->raw_exif_bytes);
	struct codec_color *color = &meta->part->color;
	const double *chromaticities = meta->have_chromaticities ? meta->chromaticities : NULL;
	const uint8_t *cicp = meta->cicp;
	if (meta->have_cicp)
		color_cicp(color, cicp[0], cicp[1], cicp[2], cicp[3] == 1, "cICP");
	else if (meta->have_icc)
		color_icc(color, "iCCP");
	else if (meta->have_srgb)
		color_srgb(color, "sRGB");
	else
		color_gamma(color, meta->gamma ? gamma_of(meta->gamma) : 0, chromaticities,
			    meta->gamma      ? "gAMA"
			    : chromaticities ? "cHRM"
					     : "none");
}
