/* exr_meta_test.c - what the header of an OpenEXR file tells: every attribute type, windows, colour, alpha, previews. */
#include "exr_case.h"

static struct result open_with(void (*more)(void), const struct spec *spec)
{
	build.more = more;
	build_file(spec, 1);
	build.more = NULL;
	struct result r = open_built();
	CHECK(r.open_code == 0);
	return r;
}

static bool is_ints(const struct result *r, const char *name, size_t count, const int64_t *values)
{
	const struct codec_attribute *a = find_attribute(r, name);
	return a && a->type == ATTRIBUTE_INTS && a->count == count && memcmp(a->ints, values, count * sizeof *values) == 0;
}

static bool is_floats(const struct result *r, const char *name, size_t count, const float *values)
{
	const struct codec_attribute *a = find_attribute(r, name);
	return a && a->type == ATTRIBUTE_FLOATS && a->count == count && memcmp(a->floats, values, count * sizeof *values) == 0;
}

static bool is_doubles(const struct result *r, const char *name, size_t count, const double *values)
{
	const struct codec_attribute *a = find_attribute(r, name);
	return a && a->type == ATTRIBUTE_DOUBLES && a->count == count && memcmp(a->doubles, values, count * sizeof *values) == 0;
}

static bool is_text(const struct result *r, const char *name, const char *text, size_t len)
{
	const struct codec_attribute *a = find_attribute(r, name);
	return a && a->type == ATTRIBUTE_TEXT && a->count == len && memcmp(a->text, text, len) == 0;
}

static bool is_bytes(const struct result *r, const char *name, const void *data, size_t len)
{
	const struct codec_attribute *a = find_attribute(r, name);
	return a && a->type == ATTRIBUTE_BYTES && a->count == len && memcmp(a->bytes, data, len) == 0;
}

static const int32_t some_ints[7] = {-1, 2, INT32_MIN, 4, 5, 6, 7};
static const float some_floats[16] = {0.1f, -2, 3e30f, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -0.0f};
static const double some_doubles[16] = {0.1, -2, 3e300, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -0.0};

static const struct {
	const char *type;
	uint32_t count;
} int_types[] = {{"int", 1}, {"v2i", 2}, {"v3i", 3}, {"box2i", 4}, {"keycode", 7}},
  float_types[] = {{"float", 1}, {"v2f", 2}, {"v3f", 3}, {"box2f", 4}, {"m33f", 9}, {"m44f", 16}, {"floatvector", 5}},
  double_types[] = {{"double", 1}, {"v2d", 2}, {"v3d", 3}, {"m33d", 9}, {"m44d", 16}};

static void put_numbers(void)
{
	for (unsigned i = 0; i < 5; i++) {
		char name[32];
		snprintf(name, sizeof name, "my %s", int_types[i].type);
		put_attribute(name, int_types[i].type, some_ints, 4 * int_types[i].count);
		snprintf(name, sizeof name, "my %s", double_types[i].type);
		put_attribute(name, double_types[i].type, some_doubles, 8 * double_types[i].count);
	}
	for (unsigned i = 0; i < 7; i++) {
		char name[32];
		snprintf(name, sizeof name, "my %s", float_types[i].type);
		put_attribute(name, float_types[i].type, some_floats, 4 * float_types[i].count);
	}
	put_attribute("one", "floatvector", some_floats, 4);
	put_attribute("fps", "rational", (const int32_t[2]){-24000, (int32_t)0x80000001}, 8);
	put_attribute("time", "timecode", (const uint32_t[2]){0x81020304, 7}, 8);
}

static void numbers(void)
{
	struct result r = open_with(put_numbers, &plain);
	int64_t wide[7];
	for (unsigned i = 0; i < 7; i++)
		wide[i] = some_ints[i];
	for (unsigned i = 0; i < 5; i++) {
		char name[32];
		snprintf(name, sizeof name, "my %s", int_types[i].type);
		CHECK(is_ints(&r, name, int_types[i].count, wide));
		snprintf(name, sizeof name, "my %s", double_types[i].type);
		CHECK(is_doubles(&r, name, double_types[i].count, some_doubles));
	}
	for (unsigned i = 0; i < 7; i++) {
		char name[32];
		snprintf(name, sizeof name, "my %s", float_types[i].type);
		CHECK(is_floats(&r, name, float_types[i].count, some_floats));
	}
	CHECK(find_attribute(&r, "one") && find_attribute(&r, "one")->list && find_attribute(&r, "one")->count == 1);
	CHECK(is_ints(&r, "fps", 2, (const int64_t[]){-24000, 0x80000001}) &&
	      is_ints(&r, "time", 2, (const int64_t[]){0x81020304, 7}));
	result_free(&r);
}

static void put_words(void)
{
	put_attribute("text", "string", "a\0b", 3);
	put_attribute("nothing", "string", "", 0);
	put_attribute("views", "stringvector", "\4\0\0\0left\0\0\0\0\5\0\0\0right", 21);
	put_attribute("around", "envmap", "\1", 1);
	put_attribute("state", "deepImageState", "\3", 1);
	put_attribute("odd", "envmap", "\11", 1);
	put_attribute("what", "my own type", "\0\xff\1", 3);
	put_attribute("broken", "int", "\1\2", 2);
	put_attribute("cut", "stringvector", "\5\0\0\0left", 8);
}

static void words(void)
{
	struct result r = open_with(put_words, &plain);
	const struct codec_attribute *views = find_attribute(&r, "views");
	CHECK(is_text(&r, "text", "a\0b", 3) && is_text(&r, "nothing", "", 0));
	CHECK(views && views->type == ATTRIBUTE_TEXTS && views->count == 3);
	CHECK(views && !strcmp(views->texts[0], "left") && !strcmp(views->texts[1], "") && !strcmp(views->texts[2], "right"));
	CHECK(is_text(&r, "around", "cube", 4) && is_text(&r, "state", "tidy", 4) && is_ints(&r, "odd", 1, (const int64_t[]){9}));
	CHECK(is_bytes(&r, "what", "\0\xff\1", 3) && is_bytes(&r, "broken", "\1\2", 2) && is_bytes(&r, "cut", "\5\0\0\0left", 8));
	result_free(&r);
}

/* Those that pixels depend on are told too. */
static void required_attributes(void)
{
	struct spec spec = {.x = -7,
			    .y = 9,
			    .width = 4,
			    .height = 6,
			    .compression = PIZ,
			    .line_order = 1,
			    .tile_width = 16,
			    .tile_height = 8,
			    .tile_mode = 0x11,
			    .channels = {{"BY", HALF, 1, 1}, {"Z", FLOAT, 1, 1}, {"id", UINT, 1, 1}}};
	start_file(&spec, 1);
	struct result r = open_built();
	const struct codec_attribute *channels = find_attribute(&r, "channels");
	CHECK(r.open_code == 0 && is_ints(&r, "dataWindow", 4, (const int64_t[]){-7, 9, -4, 14}));
	CHECK(is_text(&r, "compression", "piz", 3) && is_text(&r, "lineOrder", "decreasing", 10));
	CHECK(is_text(&r, "tiles", "16 x 8, mipmap, round up", 24) && is_floats(&r, "screenWindowWidth", 1, (const float[]){1}));
	CHECK(channels && channels->count == 3 && !strcmp(channels->texts[0], "BY half") && !strcmp(channels->texts[2], "id uint"));
	CHECK(r.part->data_window.min_x == -7 && r.part->data_window.max_y == 14 && r.part->display_window.max_x == 99);
	CHECK(!strcmp(r.part->compression, "piz") && !strcmp(r.part->row_order, "decreasing") && r.part->pixel_aspect == 1);
	CHECK(r.header->nwarnings == 0 && r.header->nframes == 1 && r.header->orientation == 0);
	result_free(&r);
}

static void put_preview(void)
{
	put_attribute("preview", "preview", "\2\0\0\0\1\0\0\0abcdefgh", 16);
	put_attribute("idManifest", "idmanifest", "\1\2\3", 3);
}

static void blobs(void)
{
	struct result r = open_with(put_preview, &plain);
	CHECK(is_ints(&r, "preview", 2, (const int64_t[]){2, 1}) && is_bytes(&r, "idManifest", "\1\2\3", 3));
	CHECK(r.header->nblobs == 2 && !strcmp(r.header->blobs[0].name, "preview.rgba") && r.header->blobs[0].len_bytes == 8);
	CHECK(r.header->nblobs == 2 && memcmp(r.header->blobs[0].data, "abcdefgh", 8) == 0);
	CHECK(r.header->nblobs == 2 && !strcmp(r.header->blobs[1].name, "idmanifest.bin"));
	result_free(&r);
}

static void put_aces(void)
{
	const float ap0[8] = {0.7347f, 0.2653f, 0, 1, 0.0001f, -0.077f, 0.32168f, 0.33767f}, density = 72;
	put_attribute("chromaticities", "chromaticities", ap0, 32);
	put_attribute("xDensity", "float", &density, 4);
	put_text("view", "left");
}

static void put_own_id(void)
{
	put_text("colorInteropID", "lin_ap1_scene");
}

static void color_and_resolution(void)
{
	struct result r = open_with(NULL, &plain);
	CHECK(!strcmp(r.part->color.interop_id, "unknown") && !strcmp(r.part->color.source, "OpenEXR default"));
	CHECK(!strcmp(r.part->color.transfer, "linear") && r.header->resolution_x == 0);
	result_free(&r);
	r = open_with(put_aces, &plain);
	CHECK(!strcmp(r.part->color.interop_id, "lin_ap0_scene") && !strcmp(r.part->color.source, "chromaticities"));
	CHECK(r.header->resolution_x > 2834 && r.header->resolution_x < 2835 && r.header->resolution_y == r.header->resolution_x);
	CHECK(!strcmp(r.part->view, "left"));
	result_free(&r);
	r = open_with(put_own_id, &plain);
	CHECK(!strcmp(r.part->color.interop_id, "lin_ap1_scene") && !strcmp(r.part->color.source, "colorInteropID"));
	result_free(&r);
}

static void alpha_is_premultiplied(void)
{
	struct spec spec = plain;
	struct result r = open_with(NULL, &spec);
	CHECK(r.part->alpha == ALPHA_NONE);
	result_free(&r);
	spec.channels[0].name = "A";
	r = open_with(NULL, &spec);
	CHECK(r.part->alpha == ALPHA_PREMULTIPLIED);
	result_free(&r);
}

static void put_twice(void)
{
	put_text("comment", "first");
	put_text("comment", "second");
}

static void told_twice(void)
{
	struct result r = open_with(put_twice, &plain);
	CHECK(is_text(&r, "comment", "first", 5) && r.header->nwarnings == 1 && strstr(r.header->warnings[0], "twice"));
	result_free(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"numbers", numbers},
		{"words", words},
		{"required_attributes", required_attributes},
		{"blobs", blobs},
		{"color_and_resolution", color_and_resolution},
		{"alpha_is_premultiplied", alpha_is_premultiplied},
		{"told_twice", told_twice},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
