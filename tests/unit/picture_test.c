/* picture_test.c - which channels an image directory shows, which layers it has, and their names. */
#include "fs/view/picture.h"

#include <time.h>

#include "header_case.h"

/* The names of a choice of channels behind each other: "R G B". */
static const char *names_of(const struct codec_part *part, const uint16_t *channels, uint32_t count)
{
	static char text[4096];
	size_t len = 0;
	text[0] = 0;
	for (uint32_t i = 0; i < count && len < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", part->channels[channels[i]].name);
	return text;
}

static bool shows(const struct picture *picture, const char *names)
{
	return strcmp(names_of(picture->part, picture->channels, picture->nchannels), names) == 0;
}

#define LIST(...)                                                                                                                  \
	(uint32_t)(sizeof(const char *[]){__VA_ARGS__} / sizeof(const char *)), (const char *const[])                              \
	{                                                                                                                          \
		__VA_ARGS__                                                                                                        \
	}

/* A file of one part with these channels shows this. */
static void expect_default(const char *shown, uint32_t count, const char *const *names)
{
	struct made_header made;
	struct pictures pictures;
	header_start(&made, 1);
	header_part(&made, 0, "", 4, 3, SAMPLE_F16, count, names);
	CHECK(pictures_make(&made.header, &pictures) == 0);
	struct picture picture = picture_default(&pictures, &made.header, 0);
	CHECK(shows(&picture, shown));
	CHECK(picture_level(&picture)->width == 4);
	pictures_free(&pictures);
	arena_free(&made.arena);
}

static void root_channels_come_first(void)
{
	expect_default("R G B A", LIST("A", "B", "G", "R"));
	expect_default("R G B", LIST("B", "G", "R", "Z"));
	expect_default("R G B A", LIST("A", "B", "G", "R", "Z", "diffuse.R", "id"));
	expect_default("Y", LIST("BY", "RY", "Y"));
	expect_default("Y A", LIST("A", "Y"));
	expect_default("C M Y K", LIST("C", "M", "Y", "K"));
	expect_default("Y", LIST("Y"));
	expect_default("r g b", LIST("b", "g", "r"));
	expect_default("Red GREEN blue alpha", LIST("GREEN", "Red", "Z", "alpha", "blue"));
	expect_default("R G B", LIST("B", "G", "R", "r", "red"));
	expect_default(".R .G .B .A", LIST(".A", ".B", ".G", ".R", "VRayZ.Z"));
}

static void else_all_channels_layer_by_layer(void)
{
	expect_default("Z", LIST("Z"));
	expect_default("R G", LIST("G", "R"));
	expect_default("v.R v.G v.B v.A", LIST("v.A", "v.B", "v.G", "v.R", "w.Z"));
	expect_default("a.R a.G a.B a.Z b.R b.G b.B", LIST("a.B", "a.G", "a.R", "a.Z", "b.B", "b.G", "b.R"));
	expect_default("a.R a.G b.Z", LIST("a.G", "a.R", "b.Z"));
	expect_default("channel0 channel1", LIST("channel0", "channel1"));
}

/* name of layer i and what it shows */
static bool layer_is(const struct pictures *pictures, const struct codec_header *header, uint32_t i, const char *name,
		     const char *names)
{
	if (i >= pictures->nlayers || strcmp(pictures->layers[i].name, name) != 0)
		return false;
	struct picture picture = picture_layer(pictures, header, i, 0);
	return shows(&picture, names);
}

static void layers_of_one_part(void)
{
	struct made_header made;
	struct pictures pictures;
	header_start(&made, 1);
	header_part(&made, 0, "only", 4, 3, SAMPLE_F16,
		    LIST("A", "B", "Combined.A", "Combined.B", "Combined.G", "Combined.R", "G", "R", "View.Depth.Z",
			 "View.Depth.id", "v.b", "v.g", "v.r"));
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.nlayers == 3);
	CHECK(layer_is(&pictures, &made.header, 0, "Combined", "Combined.R Combined.G Combined.B Combined.A"));
	CHECK(layer_is(&pictures, &made.header, 1, "View.Depth", "View.Depth.Z View.Depth.id"));
	CHECK(layer_is(&pictures, &made.header, 2, "v", "v.r v.g v.b"));
	pictures_free(&pictures);
	arena_free(&made.arena);
}

/* Prefixes that start alike, with their channels apart in the file. */
static void layers_keep_the_order_of_the_file(void)
{
	struct made_header made;
	struct pictures pictures;
	header_start(&made, 1);
	header_part(&made, 0, "", 4, 3, SAMPLE_F16, LIST("b.R", "a-b.R", "a.R", "b.G", "a.G", "a-b.A", "a.b.R"));
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.nlayers == 4);
	CHECK(layer_is(&pictures, &made.header, 0, "b", "b.R b.G") && layer_is(&pictures, &made.header, 1, "a-b", "a-b.R a-b.A"));
	CHECK(layer_is(&pictures, &made.header, 2, "a", "a.R a.G") && layer_is(&pictures, &made.header, 3, "a.b", "a.b.R"));
	pictures_free(&pictures);
	arena_free(&made.arena);
}

static void layers_of_several_parts(void)
{
	struct made_header made;
	struct pictures pictures;
	header_start(&made, 3);
	header_part(&made, 0, "depth", 4, 3, SAMPLE_F32, LIST("Z"));
	header_part(&made, 1, "", 5, 3, SAMPLE_F16, LIST("A", "B", "G", "R", "spec.R"));
	header_part(&made, 2, "a/b", 6, 3, SAMPLE_F16, LIST("R", "G", "B"));
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.nlayers == 4);
	CHECK(pictures.default_part == 1); /* the first that has R, G, B */
	struct picture picture = picture_default(&pictures, &made.header, 0);
	CHECK(shows(&picture, "R G B A") && picture.part_index == 1 && picture_level(&picture)->width == 5);
	CHECK(layer_is(&pictures, &made.header, 0, "depth", "Z") && layer_is(&pictures, &made.header, 1, "part1", "R G B A"));
	CHECK(layer_is(&pictures, &made.header, 2, "part1.spec", "spec.R") &&
	      layer_is(&pictures, &made.header, 3, "a%2Fb", "R G B"));
	pictures_free(&pictures);
	arena_free(&made.arena);
	header_start(&made, 2); /* Y of the first part counts more than R, G, B of a later one */
	header_part(&made, 0, "luma", 4, 3, SAMPLE_F32, LIST("Y"));
	header_part(&made, 1, "rgb", 5, 3, SAMPLE_F16, LIST("B", "G", "R"));
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.default_part == 0);
	pictures_free(&pictures);
	arena_free(&made.arena);
}

static void names_of_layers_are_unique(void)
{
	struct made_header made;
	struct pictures pictures;
	header_start(&made, 5);
	header_part(&made, 0, "a", 4, 3, SAMPLE_F32, LIST("Z"));
	header_part(&made, 1, "a", 4, 3, SAMPLE_F32, LIST("Z"));
	header_part(&made, 2, "a~2", 4, 3, SAMPLE_F32, LIST("Z"));
	header_part(&made, 3, "a", 4, 3, SAMPLE_F32, LIST("Z"));
	header_part(&made, 4, "b", 4, 3, SAMPLE_F32, LIST("Z"));
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.nlayers == 5);
	CHECK(layer_is(&pictures, &made.header, 0, "a", "Z") && layer_is(&pictures, &made.header, 1, "a~3", "Z"));
	CHECK(layer_is(&pictures, &made.header, 2, "a~2", "Z") && layer_is(&pictures, &made.header, 3, "a~4", "Z"));
	CHECK(layer_is(&pictures, &made.header, 4, "b", "Z"));
	pictures_free(&pictures);
	arena_free(&made.arena);
}

/* Sixteen parts of 4096 channels, each its own layer, names equal but for what is cut off: must not cost the square. */
static void hostile_numbers_of_layers(void)
{
	enum { PARTS = 16, CHANNELS = 4096, NAME = 260 };
	struct made_header made;
	struct pictures pictures;
	header_start(&made, PARTS);
	static const char *names[CHANNELS];
	for (uint32_t c = 0; c < CHANNELS; c++) {
		char *name = arena_alloc(&made.arena, NAME + 16, 1);
		memset(name, 'n', NAME);
		snprintf(name + NAME, 16, "%u.Z", c);
		names[c] = name;
	}
	for (uint32_t p = 0; p < PARTS; p++)
		header_part(&made, p, "part", 4, 3, SAMPLE_F32, CHANNELS, names);
	clock_t start = clock();
	CHECK(pictures_make(&made.header, &pictures) == 0 && pictures.nlayers == PARTS * CHANNELS);
	CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 5); /* the square would take minutes */
	size_t longest = 0;
	for (uint32_t i = 0; i < pictures.nlayers; i++)
		longest = strlen(pictures.layers[i].name) > longest ? strlen(pictures.layers[i].name) : longest;
	CHECK(longest <= 255);
	pictures_free(&pictures);
	arena_free(&made.arena);
}

static void names_are_encoded(void)
{
	static const struct {
		const char *plain, *encoded;
	} cases[] = {{"diffuse", "diffuse"},
		     {"a/b", "a%2Fb"},
		     {"50%", "50%25"},
		     {".hidden", "%2Ehidden"},
		     {"..", "%2E."},
		     {"a.b", "a.b"},
		     {"tab\there\x7f", "tab%09here%7F"},
		     {"sch\xc3\xb6n", "sch\xc3\xb6n"},
		     {"\xff", "\xff"},
		     {"", ""}};
	char name[256];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		picture_encode_name(cases[i].plain, name);
		CHECK(strcmp(name, cases[i].encoded) == 0);
	}
	char plain[1000];
	memset(plain, '/', sizeof plain - 1);
	plain[sizeof plain - 1] = 0;
	picture_encode_name(plain, name);
	CHECK(strlen(name) == 240 && strcmp(name + 237, "%2F") == 0);
	for (size_t i = 0; i + 1 < sizeof plain; i += 3)
		memcpy(plain + i, "\xe6\xbc\xa2", 3);
	for (size_t shift = 0; shift < 3; shift++) { /* never cut within a sequence */
		memset(plain, 'x', shift);
		memcpy(plain + shift, "\xe6\xbc\xa2\xe6\xbc\xa2", 6);
		for (size_t i = shift; i + 3 < sizeof plain; i += 3)
			memcpy(plain + i, "\xe6\xbc\xa2", 3);
		picture_encode_name(plain, name);
		CHECK(strlen(name) <= 240 && strlen(name) > 230 && (strlen(name) - shift) % 3 == 0);
	}
}

static void levels_have_names(void)
{
	struct made_header made;
	char name[24];
	header_start(&made, 1);
	struct codec_part *part = header_part(&made, 0, "", 8, 4, SAMPLE_F32, LIST("Y"));
	part->levels_mode = LEVELS_MIP;
	part->nlevels = part->nlevels_x = part->nlevels_y = 4;
	picture_level_name(part, 3, name);
	CHECK(strcmp(name, "3") == 0 && picture_level_find(part, "3") == 3 && picture_level_find(part, "4") == -1);
	CHECK(picture_level_find(part, "03") == -1 && picture_level_find(part, "") == -1 && picture_level_find(part, "-1") == -1);
	part->levels_mode = LEVELS_RIP;
	part->nlevels_y = 3;
	part->nlevels = 12;
	picture_level_name(part, 2 + 1 * 4, name);
	CHECK(strcmp(name, "2,1") == 0 && picture_level_find(part, "2,1") == 6 && picture_level_find(part, "3,2") == 11);
	CHECK(picture_level_find(part, "4,0") == -1 && picture_level_find(part, "2") == -1);
	arena_free(&made.arena);
}

static const struct test_case cases[] = {
	CASE(root_channels_come_first),  CASE(else_all_channels_layer_by_layer),
	CASE(layers_of_one_part),        CASE(layers_keep_the_order_of_the_file),
	CASE(layers_of_several_parts),   CASE(names_of_layers_are_unique),
	CASE(hostile_numbers_of_layers), CASE(names_are_encoded),
	CASE(levels_have_names),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
