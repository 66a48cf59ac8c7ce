/* jpeg.c - JPEG (ITU-T T.81 | ISO/IEC 10918-1, JFIF T.871) through libjpeg-turbo.
 *
 * Pixels are what libjpeg-turbo makes with the accurate integer DCT and fancy upsampling: gray, RGB (from YCbCr or stored
 * as such), CMYK (from YCCK or stored as such, never inverted), or the bare components. The file is read forwards, in
 * bands of whole iMCU rows; a file with several scans is decoded to coefficients by the first band. Lossless, hierarchical
 * and 12 bit files, and a height given by DNL, are valid but not decoded: EOPNOTSUPP at open. What is damage and what only
 * a warning: jpeg_reader.c. Metadata: jpeg_meta.c.
 */
#include "codecs/core/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/facts/color.h"
#include "codecs/core/header.h"
#include "jpeg_meta.h"
#include "jpeg_reader.h"
#include "jpeg_ycc.h"
#include "codecs/core/ycc.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(x) TEXT_OF(x)

enum {
	HEADER_SLACK_BYTES = 1 << 20, /* what a header may have beside its metadata: tables, and bytes that are no marker */
	MAX_SCANS = 500,              /* a file of more scans is an attack, not an image; */
	MIN_SCANS = 64,               /* of a large one, between these two: */
	SCAN_BLOCKS = 1 << 25,        /* scans x blocks */
	MARKER_SOF0 = 0xc0,
	MARKER_SOF9 = 0xc9,
};

struct jpeg_image {
	struct codec_image base;
	int max_scans;
	uint64_t coefficient_bytes; /* of a file with several scans */
};

struct codec_cursor {
	uint32_t next_cy;
	struct jpeg_reader reader;
	struct jpeg_ycc ycc;
};

static bool is_cmyk(const struct jpeg_decompress_struct *cinfo)
{
	return cinfo->out_color_space == JCS_CMYK;
}

/* "4:2:0" where the components have one of the named samplings, else NULL. */
static const char *subsampling_name(const struct jpeg_decompress_struct *cinfo)
{
	static const struct {
		int h, v;
		const char *name;
	} names[] = {{1, 1, "4:4:4"}, {2, 1, "4:2:2"}, {2, 2, "4:2:0"}, {1, 2, "4:4:0"}, {4, 1, "4:1:1"}, {4, 2, "4:1:0"}};
	const jpeg_component_info *c = cinfo->comp_info;
	if (cinfo->num_components < 3 || c[1].h_samp_factor != c[2].h_samp_factor || c[1].v_samp_factor != c[2].v_samp_factor)
		return NULL;
	for (int i = 3; i < cinfo->num_components; i++)
		if (c[i].h_samp_factor != c[0].h_samp_factor || c[i].v_samp_factor != c[0].v_samp_factor)
			return NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (c[0].h_samp_factor == names[i].h * c[1].h_samp_factor && c[0].v_samp_factor == names[i].v * c[1].v_samp_factor)
			return names[i].name;
	return NULL;
}

static const char *color_model_name(J_COLOR_SPACE space)
{
	switch (space) {
	case JCS_GRAYSCALE:
		return "grayscale";
	case JCS_YCbCr:
		return "YCbCr";
	case JCS_RGB:
		return "RGB";
	case JCS_CMYK:
		return "CMYK";
	case JCS_YCCK:
		return "YCCK";
	default:
		return "unknown";
	}
}

static const char *process_name(int sof)
{
	switch (sof - MARKER_SOF0) {
	case 0:
		return "baseline";
	case 1:
		return "extended";
	case 2:
		return "progressive";
	case 9:
		return "arithmetic";
	default:
		return "arithmetic progressive";
	}
}

static void describe_components(const struct jpeg_decompress_struct *cinfo, struct header_builder *builder)
{
	int64_t ids[MAX_COMPONENTS];
	char factors[MAX_COMPONENTS][8];
	const char *texts[MAX_COMPONENTS];
	size_t count = (size_t)cinfo->num_components;
	for (size_t i = 0; i < count && i < MAX_COMPONENTS; i++) {
		const jpeg_component_info *c = &cinfo->comp_info[i];
		ids[i] = c->component_id;
		snprintf(factors[i], sizeof factors[i], "%dx%d", c->h_samp_factor, c->v_samp_factor);
		texts[i] = factors[i];
	}
	header_add_ints(builder, "jpeg", "component_ids", ids, count);
	header_set_list(builder);
	header_add_texts(builder, "jpeg", "sampling_factors", texts, count);
	const char *subsampling = subsampling_name(cinfo);
	if (subsampling)
		header_add_text(builder, "jpeg", "subsampling", subsampling);
}

static void describe_attributes(const struct jpeg_reader *reader, struct header_builder *builder)
{
	const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	header_add_text(builder, "jpeg", "process", process_name(reader->sof));
	header_add_text(builder, "jpeg", "color_model", color_model_name(cinfo->jpeg_color_space));
	describe_components(cinfo, builder);
	header_add_bool(builder, "jpeg", "interleaved", cinfo->comps_in_scan == cinfo->num_components);
	if (cinfo->restart_interval)
		header_add_int(builder, "jpeg", "restart_interval", cinfo->restart_interval);
	if (cinfo->saw_JFIF_marker) {
		char version[16];
		snprintf(version, sizeof version, "%d.%02d", cinfo->JFIF_major_version, cinfo->JFIF_minor_version);
		header_add_text(builder, "jpeg", "jfif_version", version);
		header_add_ints(builder, "jpeg", "density", (const int64_t[]){cinfo->X_density, cinfo->Y_density}, 2);
		header_add_int(builder, "jpeg", "density_unit", cinfo->density_unit);
	}
	if (cinfo->saw_Adobe_marker)
		header_add_int(builder, "jpeg", "adobe_transform", cinfo->Adobe_transform);
	if (is_cmyk(cinfo)) /* Photoshop stores ink as 255 - ink, and no other field tells it */
		header_add_bool(builder, "jpeg", "adobe_inverted", cinfo->saw_Adobe_marker);
}

/* T.871 section 10.1: units 1 are dots per inch, 2 per cm; with unit 0 the densities are only a ratio. A pixel's width to its
 * height is then as the vertical density to the horizontal. */
static void describe_resolution(const struct jpeg_decompress_struct *cinfo, const struct exif *exif, struct codec_header *header)
{
	double x = cinfo->X_density, y = cinfo->Y_density;
	bool told = cinfo->saw_JFIF_marker && x > 0 && y > 0;
	header->resolution_x = exif->resolution_x;
	header->resolution_y = exif->resolution_y;
	if (told && (cinfo->density_unit == 1 || cinfo->density_unit == 2)) {
		header->resolution_x = cinfo->density_unit == 1 ? x * 10000 / 254 : x * 100;
		header->resolution_y = cinfo->density_unit == 1 ? y * 10000 / 254 : y * 100;
	}
	header->parts[0].pixel_aspect = told ? y / x : 1;
}

static void describe_color(const struct jpeg_facts *facts, struct codec_color *color)
{
	if (facts->has_icc)
		color_icc(color, "ICC");
	else if (facts->has_bad_icc)
		color_unknown(color, "ICC"); /* it is told, but what can't be read */
	else if (facts->exif.color_space == EXIF_COLOR_SRGB)
		color_srgb(color, "EXIF");
	else if (facts->exif.color_space == EXIF_COLOR_ADOBE_RGB)
		color_gamma(color, 2.19921875, color_adobergb, "EXIF");
	else if (facts->exif.gamma > 0)
		color_gamma(color, facts->exif.gamma, NULL, "EXIF");
	else
		color_unknown(color, facts->exif.color_space == EXIF_COLOR_UNCALIBRATED ? "EXIF" : "none");
}

/* Bands of whole iMCU rows, about as long as other codecs' bands. */
static uint32_t band_rows(const struct jpeg_decompress_struct *cinfo, uint32_t ncomponents)
{
	uint32_t imcu = (uint32_t)cinfo->max_v_samp_factor * DCTSIZE;
	uint32_t rows = codec_band_rows((uint64_t)cinfo->image_width * ncomponents, cinfo->image_height);
	rows = rows < imcu ? imcu : rows / imcu * imcu;
	return rows < cinfo->image_height ? rows : cinfo->image_height;
}

static void describe_channels(struct codec_part *part)
{
	static const char *const names[5][4] = {{NULL}, {"Y"}, {"channel0", "channel1"}, {"R", "G", "B"}, {"C", "M", "Y", "K"}};
	static const char *const others[MAX_COMPONENTS] = {"channel0", "channel1", "channel2", "channel3", "channel4",
							   "channel5", "channel6", "channel7", "channel8", "channel9"};
	for (uint32_t i = 0; i < part->nchannels; i++) {
		part->planes[i] = (struct codec_plane){SAMPLE_U8, 8, 8, 255, 1, 1};
		part->channels[i].name = part->nchannels <= 4 ? names[part->nchannels][i] : others[i];
		part->channels[i].origin = ORIGIN_PLANE;
		part->channels[i].plane = (uint16_t)i;
	}
}

static int describe_part(const struct jpeg_reader *reader, struct codec_image *image)
{
	const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	uint32_t count = (uint32_t)cinfo->num_components, width = cinfo->image_width, height = cinfo->image_height;
	struct codec_part *part = arena_alloc(&image->arena, 1, sizeof *part);
	if (!part)
		return -ENOMEM;
	image->header = (struct codec_header){.random_access = "whole", .nparts = 1, .nframes = 1, .parts = part};
	part->name = part->view = "";
	part->row_order = "increasing";
	part->compression = reader->sof == MARKER_SOF9 ? "dct_arithmetic"
			    : !cinfo->progressive_mode ? "dct"
			    : cinfo->arith_code        ? "dct_progressive_arithmetic"
						       : "dct_progressive";
	part->nplanes = part->nchannels = count;
	part->planes = arena_alloc(&image->arena, count, sizeof *part->planes);
	part->channels = arena_alloc(&image->arena, count, sizeof *part->channels);
	part->levels = arena_alloc(&image->arena, 1, sizeof *part->levels);
	if (!part->planes || !part->channels || !part->levels)
		return -ENOMEM;
	describe_channels(part);
	part->interleaved = true;
	jpeg_ycc_sampling(cinfo, &part->chroma_x, &part->chroma_y);
	part->access = CODEC_ACCESS_FORWARD;
	part->levels_mode = LEVELS_ONE;
	part->nlevels = part->nlevels_x = part->nlevels_y = 1;
	codec_level_set(part->levels, width, height, width, band_rows(cinfo, count));
	part->data_window = part->display_window = (struct codec_box){0, 0, (int32_t)width - 1, (int32_t)height - 1};
	part->alpha = ALPHA_NONE;
	return 0;
}

/* A file with several scans keeps all coefficients while it is decoded; and each scan costs a walk over the blocks. */
static int check_scans(struct jpeg_reader *reader, struct jpeg_image *image, const struct codec_limits *limits, struct err *err)
{
	uint64_t blocks = 0;
	for (int i = 0; i < reader->cinfo.num_components; i++) {
		const jpeg_component_info *c = &reader->cinfo.comp_info[i];
		blocks += (uint64_t)c->width_in_blocks * c->height_in_blocks;
	}
	if (jpeg_has_multiple_scans(&reader->cinfo) && blocks > limits->max_chunk_bytes / sizeof(JBLOCK))
		return err_set(err, -EFBIG, "the coefficients of all scans take more than %" PRIu64 " bytes",
			       limits->max_chunk_bytes);
	if (jpeg_has_multiple_scans(&reader->cinfo))
		image->coefficient_bytes = blocks * sizeof(JBLOCK);
	uint64_t scans = SCAN_BLOCKS / blocks;
	image->max_scans = scans > MAX_SCANS ? MAX_SCANS : scans < MIN_SCANS ? MIN_SCANS : (int)scans;
	return 0;
}

static void jpeg_close(struct codec_image *image)
{
	if (!image)
		return;
	arena_free(&image->arena);
	bytes_unref(image->bytes);
	free(image);
}

static void describe_metadata(struct jpeg_reader *reader, struct codec_header *header)
{
	struct jpeg_facts facts;
	describe_attributes(reader, reader->builder);
	jpeg_meta_finish(reader->meta, &facts);
	describe_color(&facts, &header->parts[0].color);
	describe_resolution(&reader->cinfo, &facts.exif, header);
	header->orientation = facts.exif.orientation;
	header_finish(reader->builder, header, &header->parts[0]);
}

/* Reads and describes the header, with a reader that was given its limits. */
static int open_header(struct jpeg_reader *reader, struct jpeg_image *image, const struct codec_limits *limits, struct err *err)
{
	if (jpeg_reader_header(reader))
		return err_copy(err, &reader->err);
	if (describe_part(reader, &image->base))
		return err_set(err, -ENOMEM, "no memory for the header");
	int rc = codec_header_check(&image->base.header, limits, err);
	if (!rc)
		rc = check_scans(reader, image, limits, err);
	if (!rc)
		describe_metadata(reader, &image->base.header);
	if (!rc && reader->meta->scratch.out_of_memory)
		header_no_memory(reader->builder); /* what was left out may have been the orientation */
	return rc;
}

static int jpeg_open(struct bytes *bytes, const struct codec_limits *limits, struct codec_image **ret_image, struct err *err)
{
	struct header_builder builder;
	struct jpeg_meta meta;
	struct jpeg_image *image = calloc(1, sizeof *image);
	struct jpeg_reader *reader = malloc(sizeof *reader);
	if (!image || !reader) {
		free(image);
		free(reader);
		return err_set(err, -ENOMEM, "no memory for a JPEG decoder");
	}
	image->base.codec = &codec_jpeg;
	image->base.bytes = bytes_ref(bytes);
	arena_init(&image->base.arena, limits->max_metadata_bytes);
	header_init(&builder, &image->base.arena);
	jpeg_meta_init(&meta, &builder, limits->max_metadata_bytes);
	jpeg_reader_init(reader, bytes);
	reader->builder = &builder;
	reader->meta = &meta;
	reader->max_header_bytes = 2 * ((uint64_t)limits->max_metadata_bytes + HEADER_SLACK_BYTES);
	reader->max_pixels = limits->max_pixels;
	int rc = open_header(reader, image, limits, err);
	jpeg_reader_destroy(reader);
	jpeg_meta_free(&meta);
	free(reader);
	if (rc)
		jpeg_close(&image->base);
	else
		*ret_image = &image->base;
	return rc;
}

/* ---- decoding ---- */

static uint64_t jpeg_cursor_bytes(const struct codec_image *image)
{
	return ((const struct jpeg_image *)image)->coefficient_bytes;
}

static void jpeg_cursor_free(struct codec_cursor *cursor)
{
	if (!cursor)
		return;
	jpeg_reader_destroy(&cursor->reader);
	jpeg_ycc_free(&cursor->ycc);
	free(cursor);
}

static int cursor_start(struct codec_cursor *cursor, const struct jpeg_image *image, struct err *err)
{
	const struct codec_part *part = &image->base.header.parts[0];
	struct jpeg_reader *reader = &cursor->reader;
	reader->max_scans = image->max_scans;
	reader->max_pixels = UINT64_MAX;
	if (jpeg_reader_header(reader) || jpeg_reader_start(reader, part->chroma_x))
		return err_copy(err, &reader->err);
	if (reader->cinfo.output_width != part->levels[0].width || reader->cinfo.output_height != part->levels[0].height ||
	    reader->cinfo.output_components != (int)part->nplanes)
		return err_set(err, -ESTALE, "the header changed since it was read");
	return 0;
}

static int cursor_make(const struct jpeg_image *image, struct codec_cursor **ret_cursor, struct err *err)
{
	struct codec_cursor *cursor = malloc(sizeof *cursor);
	if (!cursor)
		return err_set(err, -ENOMEM, "no memory for a JPEG decoder");
	cursor->next_cy = 0;
	cursor->ycc = (struct jpeg_ycc){.ahead = NULL};
	jpeg_reader_init(&cursor->reader, image->base.bytes);
	int rc = cursor_start(cursor, image, err);
	if (rc)
		jpeg_cursor_free(cursor);
	else
		*ret_cursor = cursor;
	return rc;
}

static int decode_rows(struct codec_cursor *cursor, const struct codec_part *part, uint32_t cy, void *dst)
{
	struct codec_chunk_layout layout;
	codec_chunk_layout(part, 0, 0, cy, &layout, NULL);
	return jpeg_reader_rows(&cursor->reader, dst, (size_t)layout.width * part->nplanes, layout.height);
}

static int jpeg_decode_kept(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
			    uint32_t cy, void *dst, struct err *err)
{
	const struct codec_part *only = &image->header.parts[0];
	if (part || level || cx || cy >= only->levels[0].nchunks_y || cy != (*cursor ? (*cursor)->next_cy : 0))
		return err_set(err, -EINVAL, "chunk %" PRIu32 " is not the next one", cy);
	if (!*cursor) {
		int rc = cursor_make((const struct jpeg_image *)image, cursor, err);
		if (rc)
			return rc;
	}
	struct jpeg_reader *reader = &(*cursor)->reader;
	if (only->chroma_x ? jpeg_ycc_band(&(*cursor)->ycc, reader, only, cy, dst) : decode_rows(*cursor, only, cy, dst))
		return err_copy(err, &reader->err);
	(*cursor)->next_cy++;
	return 0;
}

/* Of what is kept as YCbCr: that first, then the samples. */
static int jpeg_decode(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
		       uint32_t cy, void *dst, struct err *err)
{
	const struct codec_part *only = &image->header.parts[0];
	struct ycc_layout layout;
	if (!only->chroma_x || cy >= only->levels[0].nchunks_y)
		return jpeg_decode_kept(image, cursor, part, level, cx, cy, dst, err);
	ycc_layout(only, cy, &layout);
	uint8_t *kept = malloc(layout.len_bytes);
	if (!kept)
		return err_set(err, -ENOMEM, "no memory for a JPEG decoder");
	int rc = jpeg_decode_kept(image, cursor, part, level, cx, cy, kept, err);
	uint32_t width = only->levels[0].width;
	for (uint32_t y = 0; !rc && y < layout.rows; y++)
		ycc_row_to_rgb(only, &layout, kept, 0, layout.y + y, width, (uint8_t *)dst + (size_t)y * width * YCC_PLANES);
	free(kept);
	return rc;
}

/* SOI and the start of the next marker; SOI alone where something else lies between. */
static int jpeg_bid(const uint8_t *head, size_t len_bytes)
{
	if (len_bytes < 3 || head[0] != 0xff || head[1] != 0xd8)
		return 0;
	return head[2] == 0xff ? 100 : 30;
}

const struct codec codec_jpeg = {
	.name = "jpeg",
	.mime_type = "image/jpeg",
	.extensions = "jpg jpeg jpe jfif",
	.decoder = "libjpeg-turbo " VERSION_TEXT(LIBJPEG_TURBO_VERSION),
	.bid = jpeg_bid,
	.open = jpeg_open,
	.close = jpeg_close,
	.check = NULL,
	.decode = jpeg_decode,
	.decode_kept = jpeg_decode_kept,
	.cursor_free = jpeg_cursor_free,
	.cursor_bytes = jpeg_cursor_bytes,
};
