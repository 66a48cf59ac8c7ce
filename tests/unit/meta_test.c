/* meta_test.c - meta.json: valid JSON whatever the header holds, every field of the contract, the same bytes every time. */
#include "fs/tree/meta.h"

#include <errno.h>
#include <math.h>

#include "codecs/core/header.h"
#include "header_case.h"
#include "json_read.h"

static const struct codec fake = {.name = "openexr", .mime_type = "image/x-exr", .decoder = "library 1.2"};
static const struct meta_source on_disk = {"dir/a.exr", NULL, 4711, 1700000000123456789, -1};
static const struct meta_file files[] = {{"pixels.f32", 240}, {"views", -1}};

/* meta.json of the default picture (layer -1) or of a layer; to be freed. */
static char *make(const struct made_header *made, int layer, uint32_t level, const struct meta_source *source)
{
	struct pictures pictures;
	char *text = NULL;
	size_t len = 0;
	if (pictures_make(&made->header, &pictures))
		abort();
	struct picture picture = layer < 0 ? picture_default(&pictures, &made->header, level)
					   : picture_layer(&pictures, &made->header, (uint32_t)layer, level);
	CHECK(meta_make(&picture, &fake, &pictures, layer < 0 && !level, source, files, 2, &text, &len) == 0);
	pictures_free(&pictures);
	CHECK(text && json_is_valid(text, len));
	return text;
}

static void start_rgba(struct made_header *made)
{
	static const char *const names[] = {"A", "B", "G", "R"};
	header_start(made, 1);
	header_part(made, 0, "", 5, 3, SAMPLE_F16, 4, names);
}

/* Makes it, compares, frees all. */
#define EXPECT(made, ...)                                                                                                          \
	do {                                                                                                                       \
		static const struct {                                                                                              \
			const char *path, *value;                                                                                  \
		} expected[] = {__VA_ARGS__};                                                                                      \
		char *made_text = make(made, -1, 0, &on_disk);                                                                     \
		for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)                                                    \
			if (!json_says(made_text, expected[i].path, expected[i].value) && !case_words) {                           \
				case_words = expected[i].path;                                                                     \
				case_line = __LINE__;                                                                              \
			}                                                                                                          \
		free(made_text);                                                                                                   \
		arena_free(&(made)->arena);                                                                                        \
	} while (0)

static void array_facts(void)
{
	struct made_header made;
	start_rgba(&made);
	EXPECT(&made, {"pixfs", "1"}, {"format", "\"openexr\""}, {"mime_type", "\"image/x-exr\""}, {"compression", "\"zip\""},
	       {"width", "5"}, {"height", "3"}, {"channels", "4"}, {"shape", "[3, 5, 4]"}, {"axes", "\"yxc\""},
	       {"dtype", "\"<f4\""}, {"order", "\"C\""}, {"row_order", "\"top_to_bottom\""}, {"npy_offset", "128"},
	       {"nbytes", "240"}, {"channel_names", "[\"R\", \"G\", \"B\", \"A\"]"}, {"color_model", "\"RGBA\""},
	       {"channel_datatype", "\"F16\""}, {"bit_depth", "16"}, {"significant_bits", "16"}, {"is_float", "true"},
	       {"lossless_f32", "true"}, {"normalization.kind", "\"none\""}, {"normalization.divisor", "1"},
	       {"random_access", "\"scanline\""}, {"chunk", "[3, 5]"}, {"n_images", "1"}, {"is_batch", "false"},
	       {"durations", "null"}, {"layers", "[]"}, {"levels", "[]"}, {"attributes", "{}"}, {"warnings", "[]"},
	       {"error", "null"});
}

static void mixed_channels_are_lists(void)
{
	static const char *const names[] = {"id", "x", "y"};
	struct made_header made;
	header_start(&made, 1);
	struct codec_part *part = header_part(&made, 0, "", 2, 2, SAMPLE_F16, 3, names);
	part->planes[0].type = SAMPLE_U32;
	part->planes[0].bit_depth = part->planes[0].significant_bits = 32;
	EXPECT(&made, {"channel_datatype", "[\"U32\", \"F16\", \"F16\"]"}, {"bit_depth", "[32, 16, 16]"}, {"is_float", "false"},
	       {"lossless_f32", "false"}, {"color_model", "\"other\""});
}

static void integers_are_normalised(void)
{
	static const char *const names[] = {"Y", "A"};
	struct made_header made;
	header_start(&made, 1);
	struct codec_part *part = header_part(&made, 0, "", 2, 2, SAMPLE_U16, 2, names);
	part->planes[0].significant_bits = part->planes[1].significant_bits = 12;
	part->alpha = ALPHA_STRAIGHT;
	EXPECT(&made, {"normalization.kind", "\"unorm\""}, {"normalization.divisor", "65535"}, {"significant_bits", "12"},
	       {"bit_depth", "16"}, {"color_model", "\"LA\""}, {"alpha.mode", "\"straight\""}, {"alpha.index", "1"});
}

static void color_and_geometry_as_told(void)
{
	struct made_header made;
	start_rgba(&made);
	struct codec_part *part = made.header.parts;
	part->color = (struct codec_color){"lin_rec709_scene", "gamma", 2.2, true, {.64, .33, .3, .6, .15, .06, .3127, NAN},
					   "chromaticities"};
	part->alpha = ALPHA_PREMULTIPLIED;
	part->data_window = (struct codec_box){-2, 3, 2, 5};
	part->display_window = (struct codec_box){0, 0, 9, 9};
	part->pixel_aspect = INFINITY;
	made.header.orientation = 6;
	made.header.resolution_x = 10000;
	made.header.resolution_y = 5000.5;
	EXPECT(&made, {"color.interop_id", "\"lin_rec709_scene\""}, {"color.transfer", "\"gamma\""}, {"color.gamma", "2.2"},
	       {"color.chromaticities.red", "[0.64, 0.33]"}, {"color.chromaticities.white", "[0.3127, \"NaN\"]"},
	       {"color.source", "\"chromaticities\""}, {"alpha.mode", "\"premultiplied\""}, {"alpha.index", "3"},
	       {"orientation.exif", "6"}, {"orientation.applied", "false"}, {"data_window.x", "-2"}, {"data_window.y", "3"},
	       {"data_window.width", "5"}, {"data_window.height", "3"}, {"display_window.width", "10"},
	       {"pixel_aspect", "\"Infinity\""}, {"resolution.x", "10000.0"}, {"resolution.y", "5000.5"},
	       {"resolution.unit", "\"1/m\""});
}

static void what_is_not_told_is_null(void)
{
	static const char *const names[] = {"R", "G", "B"};
	struct made_header made;
	header_start(&made, 1);
	header_part(&made, 0, "", 2, 2, SAMPLE_U8, 3, names)->alpha = ALPHA_STRAIGHT; /* but there is no A */
	EXPECT(&made, {"color.gamma", "null"}, {"color.chromaticities", "null"}, {"resolution", "null"},
	       {"orientation.exif", "null"}, {"alpha.mode", "\"none\""}, {"alpha.index", "null"}, {"source.archive", "null"},
	       {"source.crc32", "null"});
}

static void source_on_disk_and_in_an_archive(void)
{
	struct made_header made;
	static const struct meta_source in_archive = {"x.zip/\xff.png", "x.zip", 5, -1, 0x00c0ffee};
	start_rgba(&made);
	char *text = make(&made, -1, 0, &in_archive);
	CHECK(json_says(text, "source.path", "\"x.zip/\xef\xbf\xbd.png\"") && json_says(text, "source.archive", "\"x.zip\""));
	CHECK(json_says(text, "source.crc32", "\"00c0ffee\"") && json_says(text, "source.mtime_ns", "-1"));
	CHECK(json_says(text, "source.decoder", "\"library 1.2\""));
	free(text);
	EXPECT(&made, {"source.size", "4711"}, {"source.mtime_ns", "1700000000123456789"}, {"source.path", "\"dir/a.exr\""});
}

static void attributes_of_every_type(void)
{
	struct made_header made;
	struct header_builder builder;
	static const uint8_t bytes[65] = {0xde, 0xad};
	start_rgba(&made);
	header_init(&builder, &made.arena);
	header_add_text_n(&builder, "openexr", "text", "a\0\xff", 3);
	header_add_texts(&builder, "openexr", "texts", (const char *const[]){"one"}, 1);
	header_add_int(&builder, "openexr", "int", -7);
	header_add_ints(&builder, "openexr", "ints", (const int64_t[]){1, 2}, 2);
	header_add_int(&builder, "openexr", "list", 5);
	header_set_list(&builder);
	header_add_float(&builder, "openexr", "float", 0.1f);
	header_add_doubles(&builder, "openexr", "doubles", (const double[]){0.1, -INFINITY}, 2);
	header_add_bool(&builder, "openexr", "bool", true);
	header_add_bytes(&builder, "openexr", "bytes", bytes, 2);
	header_add_bytes(&builder, "openexr", "many", bytes, 65);
	header_add_bytes(&builder, "openexr", "none", bytes, 0);
	header_add_text(&builder, "exif", "Model", "Probe");
	header_warn(&builder, "something was ignored");
	header_finish(&builder, &made.header, made.header.parts);
	EXPECT(&made, {"attributes.openexr.text", "\"a\\u0000\xef\xbf\xbd\""}, {"attributes.openexr.texts", "[\"one\"]"},
	       {"attributes.openexr.int", "-7"}, {"attributes.openexr.ints", "[1, 2]"}, {"attributes.openexr.list", "[5]"},
	       {"attributes.openexr.float", "0.1"}, {"attributes.openexr.doubles", "[0.1, \"-Infinity\"]"},
	       {"attributes.openexr.bool", "true"}, {"attributes.openexr.bytes.nbytes", "2"},
	       {"attributes.openexr.bytes.hex", "\"dead\""}, {"attributes.openexr.many.nbytes", "65"},
	       {"attributes.openexr.none.hex", "\"\""}, {"attributes.exif.Model", "\"Probe\""},
	       {"warnings", "[\"something was ignored\"]"});
}

/* No name twice in an object: repeated ones, ones that look like what repeated ones become, ones that differ in what is no
 * UTF-8. */
static void names_of_attributes_are_unique(void)
{
	static const char *const names[] = {"a", "b", "a", "a (2)", "a", "a (2)", "\xff", "\xfe"};
	static const char *const keys[] = {"a", "a (2)", "a (3)", "a (4)", "a (2) (2)", "b", "\xef\xbf\xbd", "\xef\xbf\xbd (2)"};
	struct made_header made;
	struct header_builder builder;
	start_rgba(&made);
	header_init(&builder, &made.arena);
	for (int i = 0; i < 8; i++)
		header_add_int(&builder, "png", names[i], i);
	header_finish(&builder, &made.header, made.header.parts);
	char *text = make(&made, -1, 0, &on_disk);
	const char *png = json_member(json_member(text, "attributes"), "png");
	for (int i = 0; i < 8; i++)
		CHECK(json_count(png, keys[i]) == 1);
	CHECK(json_says(png, "a", "0") && json_says(png, "a (2)", "3") && json_says(png, "a (3)", "2") &&
	      json_says(png, "a (2) (2)", "5"));
	free(text);
	arena_free(&made.arena);
}

static void layers_and_levels_are_named(void)
{
	static const char *const names[] = {"R", "G", "B", "a/b.Z"};
	struct made_header made;
	header_start(&made, 1);
	struct codec_part *part = header_part(&made, 0, "", 8, 4, SAMPLE_F32, 4, names);
	part->levels_mode = LEVELS_MIP;
	part->nlevels = part->nlevels_x = part->nlevels_y = 2;
	part->levels = arena_alloc(&made.arena, 2, sizeof *part->levels);
	codec_level_set(&part->levels[0], 8, 4, 8, 4);
	codec_level_set(&part->levels[1], 4, 2, 4, 2);
	char *text = make(&made, -1, 0, &on_disk), *layer = make(&made, 0, 0, &on_disk), *level = make(&made, -1, 1, &on_disk);
	CHECK(strstr(text, "\"name\": \"a%2Fb\",\n      \"path\": \"layers/a%2Fb\""));
	CHECK(strstr(text, "\"name\": \"1\",\n      \"path\": \"mips/1\",\n      \"width\": 4,\n      \"height\": 2"));
	CHECK(json_says(layer, "layers", "[]") && json_says(layer, "shape", "[4, 8, 1]") &&
	      json_says(layer, "channel_names", "[\"a/b.Z\"]"));
	CHECK(json_says(level, "levels", "[]") && json_says(level, "shape", "[2, 4, 3]") && json_says(level, "chunk", "[2, 4]"));
	free(text);
	free(layer);
	free(level);
	arena_free(&made.arena);
}

static void unsupported_pixels_say_why(void)
{
	struct made_header made;
	start_rgba(&made);
	made.header.parts[0].unsupported = "deep data";
	EXPECT(&made, {"error.errno", "\"EOPNOTSUPP\""}, {"error.message", "\"deep data\""}, {"width", "5"});
}

static void unreadable_headers_say_why(void)
{
	struct err err = ERR_NONE;
	char *text = NULL;
	size_t len;
	err_set(&err, -EIO, "the file ends at byte 3: \"quoted\"");
	CHECK(meta_make_error(&err, &on_disk, files, 2, &text, &len) == 0 && json_is_valid(text, len));
	CHECK(json_says(text, "pixfs", "1") && json_says(text, "error.errno", "\"EIO\""));
	CHECK(json_says(text, "error.message", "\"the file ends at byte 3: \\\"quoted\\\"\""));
	CHECK(json_says(text, "source.decoder", "null") && json_says(text, "source.path", "\"dir/a.exr\""));
	CHECK(json_says(json_member(json_member(text, "files"), "pixels.f32"), "", "240") && !json_member(text, "width"));
	CHECK(json_says(json_member(json_member(text, "files"), "views/"), "", "null"));
	free(text);
}

static void the_same_bytes_every_time(void)
{
	struct made_header first, second;
	start_rgba(&first);
	start_rgba(&second);
	char *a = make(&first, -1, 0, &on_disk), *b = make(&second, -1, 0, &on_disk);
	CHECK(strcmp(a, b) == 0);
	free(a);
	free(b);
	arena_free(&first.arena);
	arena_free(&second.arena);
}

static const struct test_case cases[] = {
	CASE(array_facts),
	CASE(mixed_channels_are_lists),
	CASE(integers_are_normalised),
	CASE(color_and_geometry_as_told),
	CASE(what_is_not_told_is_null),
	CASE(source_on_disk_and_in_an_archive),
	CASE(attributes_of_every_type),
	CASE(names_of_attributes_are_unique),
	CASE(layers_and_levels_are_named),
	CASE(unsupported_pixels_say_why),
	CASE(unreadable_headers_say_why),
	CASE(the_same_bytes_every_time),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
