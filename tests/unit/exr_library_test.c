/* exr_library_test.c - PIZ, B44, B44A, DWAA, which the codec leaves to the OpenEXR C++ library, and PXR24. The files are
 * written by OpenEXRCore's encoder, another implementation, from samples that the compressions keep exactly; DWA, which it
 * can't write, is a small file whose values were read by another program. */
#include "exr_case.h"

#include <openexr.h>

#include "exr_dwa_file.h"

static void must(exr_result_t result)
{
	if (result != EXR_ERR_SUCCESS) {
		fprintf(stderr, "the writer: %s\n", exr_get_default_error_message(result));
		abort();
	}
}

static int64_t write_to_build(exr_const_context_t context, void *user_data, const void *data, uint64_t len, uint64_t offset,
			      exr_stream_error_func_ptr_t error)
{
	(void)context;
	(void)user_data;
	(void)error;
	while (build.len < offset + len)
		put("", 1);
	memcpy(build.data + offset, data, len);
	return (int64_t)len;
}

static exr_context_t start_writer(const struct spec *spec)
{
	exr_context_initializer_t setup = EXR_DEFAULT_CONTEXT_INITIALIZER;
	exr_context_t writer;
	setup.write_fn = write_to_build;
	build.len = 0;
	build.specs = spec;
	build.nparts = 1;
	exr_attr_box2i_t window = {{.x = spec->x, .y = spec->y},
				   {.x = spec->x + (int32_t)spec->width - 1, .y = spec->y + (int32_t)spec->height - 1}};
	must(exr_start_write(&writer, "memory", EXR_WRITE_FILE_DIRECTLY, &setup));
	must(exr_add_part(writer, "part", spec->tile_width ? EXR_STORAGE_TILED : EXR_STORAGE_SCANLINE, NULL));
	must(exr_initialize_required_attr_simple(writer, 0, (int32_t)spec->width, (int32_t)spec->height,
						 (exr_compression_t)spec->compression));
	must(exr_set_data_window(writer, 0, &window));
	for (const struct channel *c = spec->channels; c->name; c++)
		must(exr_add_channel(writer, 0, c->name, (exr_pixel_type_t)c->type, EXR_PERCEPTUALLY_LOGARITHMIC,
				     (int32_t)c->xsampling, (int32_t)c->ysampling));
	if (spec->tile_width)
		must(exr_set_tile_descriptor(writer, 0, spec->tile_width, spec->tile_height,
					     (exr_tile_level_mode_t)(spec->tile_mode & 15),
					     (exr_tile_round_mode_t)(spec->tile_mode >> 4)));
	must(exr_write_header(writer));
	return writer;
}

static exr_context_t writing;

static uint8_t *plane_of(uint32_t level, uint32_t channel, const uint32_t box[4])
{
	const struct channel *c = &build.specs->channels[channel];
	uint8_t *samples = malloc((size_t)box[2] * box[3] * 4 + 1), *at = samples;
	for (uint32_t y = box[1] / c->ysampling; y * c->ysampling < box[1] + box[3]; y++)
		for (uint32_t x = box[0] / c->xsampling; x * c->xsampling < box[0] + box[2]; x++) {
			uint32_t bits = sample_at(0, level, channel, c->type, x, y);
			memcpy(at, &bits, c->type == HALF ? 2 : 4);
			at += c->type == HALF ? 2 : 4;
		}
	return samples;
}

static void write_chunk(uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, uint32_t index)
{
	const struct spec *spec = &build.specs[part];
	exr_chunk_info_t info;
	exr_encode_pipeline_t pipeline = EXR_ENCODE_PIPELINE_INITIALIZER;
	uint32_t box[4] = {cx * columns_of(spec), cy * lines_of(spec), 0, 0};
	uint8_t *planes[8] = {NULL};
	(void)index;
	if (spec->tile_width)
		must(exr_write_tile_chunk_info(writing, 0, (int)cx, (int)cy, (int)level, (int)level, &info));
	else
		must(exr_write_scanline_chunk_info(writing, 0, spec->y + (int)box[1], &info));
	box[2] = (uint32_t)info.width;
	box[3] = (uint32_t)info.height;
	must(exr_encoding_initialize(writing, 0, &info, &pipeline));
	for (int i = 0; i < pipeline.channel_count; i++) {
		exr_coding_channel_info_t *channel = &pipeline.channels[i];
		planes[i] = plane_of(level, (uint32_t)i, box);
		channel->encode_from_ptr = planes[i];
		channel->user_pixel_stride = channel->user_bytes_per_element;
		channel->user_line_stride = channel->user_bytes_per_element * channel->width;
	}
	must(exr_encoding_choose_default_routines(writing, 0, &pipeline));
	must(exr_encoding_run(writing, 0, &pipeline));
	must(exr_encoding_destroy(writing, &pipeline));
	for (int i = 0; i < 8; i++)
		free(planes[i]);
}

/* Written by the library, read by the codec; fewer bytes than stored, so that something is decoded. (Only blocks and tiles of
 * full levels: OpenEXRCore 3.1 writes B44 blocks that are larger than their samples, and tiles at the edge of lower levels
 * with the sizes of level 0.) */
static void expect_written(const struct spec *spec, size_t stored_bytes)
{
	writing = start_writer(spec);
	each_chunk(write_chunk);
	must(exr_finish(&writing));
	CHECK(build.len < stored_bytes);
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.check_code == 0 && judge_all(&r) == 0);
	result_free(&r);
}

static void scanlines(uint8_t compression)
{
	static const uint32_t sizes[][2] = {{64, 64}, {101, 77}, {256, 36}};
	for (unsigned i = 0; i < 3; i++) {
		struct spec spec = {.x = -100,
				    .y = 32,
				    .width = sizes[i][0],
				    .height = sizes[i][1],
				    .compression = compression,
				    .channels = {{"B", HALF, 1, 1}, {"G", HALF, 1, 1}, {"R", HALF, 1, 1}}};
		build.tame = true;
		expect_written(&spec, (size_t)6 * spec.width * spec.height);
		spec.channels[1].type = FLOAT;
		spec.channels[2].type = UINT;
		expect_written(&spec, (size_t)11 * spec.width * spec.height + 4000);
	}
	build.tame = false;
}

static void tiles(uint8_t compression)
{
	struct spec spec = {.x = 1,
			    .y = -2,
			    .width = 100,
			    .height = 60,
			    .tile_width = 32,
			    .tile_height = 16,

			    .compression = compression,
			    .channels = {{"A", HALF, 1, 1}, {"Y", HALF, 1, 1}}};
	build.tame = true;
	expect_written(&spec, compression == PIZ ? SIZE_MAX : (size_t)4 * 100 * 60);
	build.tame = false;
}

static void luminance_and_chroma(uint8_t compression)
{
	struct spec spec = {.x = -64,
			    .y = 2,
			    .width = 64,
			    .height = 70,
			    .compression = compression,
			    .channels = {{"BY", HALF, 2, 2}, {"RY", HALF, 2, 2}, {"Y", HALF, 1, 1}}};
	build.tame = true;
	expect_written(&spec, compression == PIZ ? SIZE_MAX : (size_t)3 * 64 * 70);
	build.tame = false;
}

#define CASES_OF(name, compression)                                                                                                \
	static void name##_scanlines(void)                                                                                         \
	{                                                                                                                          \
		scanlines(compression);                                                                                            \
	}                                                                                                                          \
	static void name##_tiles(void)                                                                                             \
	{                                                                                                                          \
		tiles(compression);                                                                                                \
	}                                                                                                                          \
	static void name##_luminance_and_chroma(void)                                                                              \
	{                                                                                                                          \
		luminance_and_chroma(compression);                                                                                 \
	}
CASES_OF(piz, PIZ)
CASES_OF(pxr24, PXR24)
CASES_OF(b44, B44)
CASES_OF(b44a, B44A)

/* PIZ keeps all bits. */
static void piz_of_any_bits(void)
{
	struct spec spec = {.width = 90, .height = 70, .compression = PIZ, .channels = {{"R", HALF, 1, 1}, {"Z", FLOAT, 1, 1}}};
	expect_written(&spec, SIZE_MAX);
}

static void load_dwa(void)
{
	build.len = 0;
	put(dwa_file, sizeof dwa_file);
}

/* Half channels coded together (R, G, B), alone (Y), by runs (A), deflated (Z); two blocks of lines. */
static void dwaa_values(void)
{
	load_dwa();
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.check_code == 0 && r.part->nplanes == DWA_CHANNELS);
	for (uint32_t cy = 0; !r.open_code && cy < r.part->levels[0].nchunks_y; cy++) {
		struct codec_plane_layout planes[DWA_CHANNELS];
		struct codec_chunk_layout layout;
		struct err err = ERR_NONE;
		codec_chunk_layout(r.part, 0, 0, cy, &layout, planes);
		uint8_t *dst = malloc((size_t)layout.len_bytes);
		CHECK(codec_exr.decode(r.image, NULL, 0, 0, 0, cy, dst, &err) == 0);
		for (uint32_t i = 0; i < DWA_CHANNELS && !case_words; i++)
			for (uint32_t y = 0; y < planes[i].height; y++)
				for (uint32_t x = 0; x < planes[i].width; x++) {
					uint32_t got = 0;
					memcpy(&got, dst + planes[i].offset + y * planes[i].row_bytes + x * planes[i].step_bytes,
					       planes[i].step_bytes);
					CHECK(got == dwa_values[i][layout.y + y][x]);
				}
		free(dst);
	}
	result_free(&r);
}

/* The numbers at the start of a chunk's data: each is checked before the library sees it. */
static void dwaa_lies_are_found(void)
{
	static const uint8_t places[] = {1, 7, 8, 9, 3}; /* deflated bytes, run bytes, AC values, DC values, AC bytes */
	for (unsigned i = 0; i < sizeof places; i++) {
		load_dwa();
		uint64_t offset, number;
		memcpy(&offset, build.data + DWA_TABLE, 8);
		uint8_t *at = build.data + offset + 8 + 8 * places[i], *dst = malloc(1 << 20);
		memcpy(&number, at, 8);
		number--;
		memcpy(at, &number, 8);
		struct result r = open_built();
		struct err err = ERR_NONE;
		CHECK(number && r.open_code == 0 && codec_exr.decode(r.image, NULL, 0, 0, 0, 0, dst, &err) == -EIO && err.text[0]);
		result_free(&r);
		free(dst);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		{"piz_scanlines", piz_scanlines},
		{"piz_tiles", piz_tiles},
		{"piz_luminance_and_chroma", piz_luminance_and_chroma},
		{"pxr24_scanlines", pxr24_scanlines},
		{"pxr24_tiles", pxr24_tiles},
		{"pxr24_luminance_and_chroma", pxr24_luminance_and_chroma},
		{"b44_scanlines", b44_scanlines},
		{"b44_tiles", b44_tiles},
		{"b44_luminance_and_chroma", b44_luminance_and_chroma},
		{"b44a_scanlines", b44a_scanlines},
		{"b44a_tiles", b44a_tiles},
		{"b44a_luminance_and_chroma", b44a_luminance_and_chroma},
		{"piz_of_any_bits", piz_of_any_bits},
		{"dwaa_values", dwaa_values},
		{"dwaa_lies_are_found", dwaa_lies_are_found},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
