/* meta.c - meta.json. One function for each group of fields, in the order of the schema; every key is always there,
 * null where the file doesn't tell. Deterministic: only the header, the path and the source's own attributes go in. */
#include "meta.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/base/json.h"
#include "meta_attributes.h"
#include "fs/view/npy.h"
#include "fs/view/view.h"

enum { SCHEMA_VERSION = 1, MAX_VIEWS = 32, MOST_WARNINGS_BYTES = 256 << 10 };

static const char *const type_name[] = {
	[SAMPLE_U8] = "U8", [SAMPLE_U16] = "U16", [SAMPLE_U32] = "U32", [SAMPLE_F16] = "F16", [SAMPLE_F32] = "F32"};

static const struct codec_channel *channel_of(const struct picture *picture, uint32_t i)
{
	return &picture->part->channels[picture->channels[i]];
}

static const struct codec_plane *plane_of(const struct picture *picture, uint32_t i)
{
	return &picture->part->planes[channel_of(picture, i)->plane];
}

/* ---- what the array is ---- */

static void put_shape(struct json *json, const struct picture *picture)
{
	const struct codec_level *level = picture_level(picture);
	uint64_t nbytes = (uint64_t)level->width * level->height * picture->nchannels * sizeof(float);
	json_uint(json, "width", level->width);
	json_uint(json, "height", level->height);
	json_uint(json, "channels", picture->nchannels);
	json_array(json, "shape");
	json_uint(json, NULL, level->height);
	json_uint(json, NULL, level->width);
	json_uint(json, NULL, picture->nchannels);
	json_end_array(json);
	json_string(json, "axes", "yxc");
	json_string(json, "dtype", "<f4");
	json_string(json, "order", "C");
	json_string(json, "row_order", "top_to_bottom");
	json_uint(json, "npy_offset", NPY_HEADER_BYTES);
	json_uint(json, "nbytes", nbytes);
}

static unsigned bit_depth_of(const struct picture *picture, uint32_t i)
{
	return channel_of(picture, i)->origin == ORIGIN_PALETTE ? 8 : plane_of(picture, i)->bit_depth;
}

static unsigned significant_bits_of(const struct picture *picture, uint32_t i)
{
	return channel_of(picture, i)->origin == ORIGIN_PALETTE ? 8 : plane_of(picture, i)->significant_bits;
}

/* A number where all channels agree, else a list of one for each. */
static void put_per_channel(struct json *json, const char *key, const struct picture *picture,
			    unsigned (*value)(const struct picture *picture, uint32_t i))
{
	bool mixed = false;
	for (uint32_t i = 1; i < picture->nchannels; i++)
		mixed |= value(picture, i) != value(picture, 0);
	if (!mixed) {
		json_uint(json, key, value(picture, 0));
		return;
	}
	json_array(json, key);
	for (uint32_t i = 0; i < picture->nchannels; i++)
		json_uint(json, NULL, value(picture, i));
	json_end_array(json);
}

static void put_datatype(struct json *json, const struct picture *picture)
{
	bool mixed = false;
	for (uint32_t i = 1; i < picture->nchannels; i++)
		mixed |= plane_of(picture, i)->type != plane_of(picture, 0)->type;
	if (!mixed) {
		json_string(json, "channel_datatype", type_name[plane_of(picture, 0)->type]);
		return;
	}
	json_array(json, "channel_datatype");
	for (uint32_t i = 0; i < picture->nchannels; i++)
		json_string(json, NULL, type_name[plane_of(picture, i)->type]);
	json_end_array(json);
}

static void put_samples(struct json *json, const struct picture *picture, const char *color_model)
{
	bool is_float = true, lossless = true;
	uint32_t divisor = channel_of(picture, 0)->origin == ORIGIN_PALETTE ? 255 : plane_of(picture, 0)->divisor;
	json_array(json, "channel_names");
	for (uint32_t i = 0; i < picture->nchannels; i++) {
		uint8_t type = plane_of(picture, i)->type;
		json_string(json, NULL, channel_of(picture, i)->name);
		is_float &= type == SAMPLE_F16 || type == SAMPLE_F32;
		lossless &= type != SAMPLE_U32 && channel_of(picture, i)->origin != ORIGIN_LUMA;
	}
	json_end_array(json);
	json_string(json, "color_model", color_model);
	put_datatype(json, picture);
	put_per_channel(json, "bit_depth", picture, bit_depth_of);
	put_per_channel(json, "significant_bits", picture, significant_bits_of);
	json_bool(json, "is_float", is_float);
	json_bool(json, "lossless_f32", lossless);
	json_object(json, "normalization");
	json_string(json, "kind", divisor ? "unorm" : "none");
	json_uint(json, "divisor", divisor ? divisor : 1);
	json_end_object(json);
}

/* ---- what the values mean ---- */

static void put_color(struct json *json, const struct codec_color *color)
{
	json_object(json, "color");
	json_string(json, "interop_id", color->interop_id);
	json_string(json, "transfer", color->transfer);
	if (color->gamma > 0)
		json_double(json, "gamma", color->gamma);
	else
		json_null(json, "gamma");
	if (color->has_chromaticities) {
		static const char *const names[] = {"red", "green", "blue", "white"};
		json_object(json, "chromaticities");
		for (int i = 0; i < 4; i++) {
			json_array(json, names[i]);
			json_double(json, NULL, color->chromaticities[2 * i]);
			json_double(json, NULL, color->chromaticities[2 * i + 1]);
			json_end_array(json);
		}
		json_end_object(json);
	} else {
		json_null(json, "chromaticities");
	}
	json_string(json, "source", color->source);
	json_string(json, "assumed", view_assumes(color) ? config.assume : NULL);
	json_end_object(json);
}

static void put_alpha(struct json *json, const struct picture_meaning *meaning)
{
	static const char *const modes[] = {[ALPHA_NONE] = "none",
					    [ALPHA_STRAIGHT] = "straight",
					    [ALPHA_PREMULTIPLIED] = "premultiplied",
					    [ALPHA_UNKNOWN] = "unknown"};
	json_object(json, "alpha");
	json_string(json, "mode", modes[meaning->alpha]);
	if (meaning->alpha_index < 0)
		json_null(json, "index");
	else
		json_int(json, "index", meaning->alpha_index);
	json_end_object(json);
}

static void put_window(struct json *json, const char *key, const struct codec_box *box)
{
	json_object(json, key);
	json_int(json, "x", box->min_x);
	json_int(json, "y", box->min_y);
	json_int(json, "width", (int64_t)box->max_x - box->min_x + 1);
	json_int(json, "height", (int64_t)box->max_y - box->min_y + 1);
	json_end_object(json);
}

static void put_geometry(struct json *json, const struct picture *picture)
{
	const struct codec_header *header = picture->header;
	json_object(json, "orientation");
	if (header->orientation)
		json_uint(json, "exif", header->orientation);
	else
		json_null(json, "exif");
	json_bool(json, "applied", false);
	json_end_object(json);
	put_window(json, "data_window", &picture->part->data_window);
	put_window(json, "display_window", &picture->part->display_window);
	json_double(json, "pixel_aspect", picture->part->pixel_aspect);
	if (header->resolution_x > 0 && header->resolution_y > 0) {
		json_object(json, "resolution");
		json_double(json, "x", header->resolution_x);
		json_double(json, "y", header->resolution_y);
		json_string(json, "unit", "1/m");
		json_end_object(json);
	} else {
		json_null(json, "resolution");
	}
}

/* ---- what else the file holds ---- */

static void put_named(struct json *json, const char *name, const char *folder)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	json_object(json, NULL);
	json_string(json, "name", name);
	json_string(json, "path", path);
}

static void put_contents(struct json *json, const struct picture *picture, const struct pictures *pictures, bool is_root)
{
	const struct codec_part *part = picture->part;
	const char *views[MAX_VIEWS];
	char name[24];
	json_uint(json, "n_images", picture->header->nframes);
	json_bool(json, "is_batch", picture->header->nframes > 1);
	json_null(json, "durations");
	json_array(json, "layers");
	for (uint32_t i = 0; is_root && i < pictures->nlayers; i++) {
		put_named(json, pictures->layers[i].name, "layers");
		json_end_object(json);
	}
	json_end_array(json);
	json_array(json, "views");
	view_list(picture, views, MAX_VIEWS);
	for (size_t i = 0; views[i]; i++) {
		put_named(json, views[i], "views");
		json_end_object(json);
	}
	json_end_array(json);
	json_array(json, "levels");
	for (uint32_t i = 0; picture->level == 0 && part->nlevels > 1 && i < part->nlevels; i++) {
		picture_level_name(part, i, name);
		put_named(json, name, "mips");
		json_uint(json, "width", part->levels[i].width);
		json_uint(json, "height", part->levels[i].height);
		json_end_object(json);
	}
	json_end_array(json);
	json_string(json, "random_access", picture->header->random_access);
	json_array(json, "chunk");
	json_uint(json, NULL, picture_level(picture)->chunk_height);
	json_uint(json, NULL, picture_level(picture)->chunk_width);
	json_end_array(json);
}

/* ---- where it comes from ---- */

static void put_source(struct json *json, const struct meta_source *source, const struct codec *codec)
{
	char crc[16];
	snprintf(crc, sizeof crc, "%08llx", (unsigned long long)source->crc32);
	json_object(json, "source");
	json_string(json, "path", source->path);
	json_string(json, "archive", source->archive);
	json_uint(json, "size", source->size_bytes);
	json_int(json, "mtime_ns", source->mtime_ns);
	json_string(json, "crc32", source->crc32 < 0 ? NULL : crc);
	json_string(json, "decoder", codec ? codec->decoder : NULL);
	json_end_object(json);
}

/* Folders end with a slash and have no size. */
static void put_files(struct json *json, const struct meta_file *files, size_t nfiles)
{
	char folder[300];
	json_object(json, "files");
	for (size_t i = 0; i < nfiles; i++) {
		snprintf(folder, sizeof folder, "%s/", files[i].name);
		if (files[i].nbytes < 0)
			json_null(json, folder);
		else
			json_int(json, files[i].name, files[i].nbytes);
	}
	json_end_object(json);
}

static void put_warnings(struct json *json, const struct codec_header *header, size_t ncut)
{
	char words[128];
	size_t start = json->len_bytes;
	json_array(json, "warnings");
	if (ncut) {
		snprintf(words, sizeof words, "attributes that are long: of %zu only the size is told here, or nothing", ncut);
		json_string(json, NULL, words);
	}
	for (size_t i = 0; i < header->nwarnings; i++) {
		if (json->len_bytes - start > MOST_WARNINGS_BYTES) {
			snprintf(words, sizeof words, "and %zu more warnings", header->nwarnings - i);
			json_string(json, NULL, words);
			break;
		}
		json_string(json, NULL, header->warnings[i]);
	}
	json_end_array(json);
}

int meta_make(const struct picture *picture, const struct codec *codec, const struct pictures *pictures, int is_root,
	      const struct meta_source *source, const struct meta_file *files, size_t nfiles, char **ret_text,
	      size_t *ret_len_bytes)
{
	struct json json;
	struct picture_meaning meaning;
	if (picture_meaning(picture, &meaning))
		return -ENOMEM;
	json_init(&json, false);
	json_object(&json, NULL);
	json_uint(&json, "pixfs", SCHEMA_VERSION);
	json_string(&json, "format", codec->name);
	json_string(&json, "mime_type", codec->mime_type);
	json_string(&json, "compression", picture->part->compression);
	put_shape(&json, picture);
	put_samples(&json, picture, meaning.color_model);
	put_color(&json, &meaning.color);
	put_alpha(&json, &meaning);
	put_geometry(&json, picture);
	put_contents(&json, picture, pictures, is_root);
	put_source(&json, source, codec);
	size_t ncut = meta_put_attributes(&json, picture->part);
	put_warnings(&json, picture->header, ncut);
	put_files(&json, files, nfiles);
	if (picture->part->unsupported) {
		json_object(&json, "error");
		json_string(&json, "errno", "EOPNOTSUPP");
		json_string(&json, "message", picture->part->unsupported);
		json_end_object(&json);
	} else {
		json_null(&json, "error");
	}
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

int meta_make_error(const struct err *error, const struct meta_source *source, const struct meta_file *files, size_t nfiles,
		    char **ret_text, size_t *ret_len_bytes)
{
	struct json json;
	json_init(&json, false);
	json_object(&json, NULL);
	json_uint(&json, "pixfs", SCHEMA_VERSION);
	put_source(&json, source, NULL);
	put_files(&json, files, nfiles);
	json_object(&json, "error");
	json_string(&json, "errno", strerrorname_np(-error->code));
	json_string(&json, "message", error->text);
	json_end_object(&json);
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}
