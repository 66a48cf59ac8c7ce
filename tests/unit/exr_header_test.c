/* exr_header_test.c - headers of OpenEXR files that are damaged, hostile or beyond this build: refused with words, at once and
 * without large allocations; or described, where only the pixels are more than this build decodes. */
#include "exr_case.h"

#include <time.h>

static void expect_open(int code, const char *words)
{
	struct result r = open_built();
	CHECK(r.open_code == code && strstr(r.open_err.text, words));
	result_free(&r);
}

static void expect_spec(const struct spec *spec, int code, const char *words)
{
	build.len = 0;
	build.specs = spec;
	build.nparts = 1;
	put32(20000630);
	put32(2 | (spec->tile_width ? 0x200 : 0));
	put_header(spec, 0);
	expect_open(code, words);
}

static void giant_windows(void)
{
	struct spec spec = plain;
	clock_t start = clock();
	spec.width = spec.height = 0x3fffffff;
	expect_spec(&spec, -EFBIG, "chunks");
	spec.compression = DWAB;
	expect_spec(&spec, -EFBIG, "2 GiB");
	spec.width = 32769;
	spec.height = 32768;
	expect_spec(&spec, -EFBIG, "max_pixels");
	spec.tile_width = spec.tile_height = 1;
	expect_spec(&spec, -EFBIG, "chunks");
	spec = plain;
	spec.x = INT32_MAX - 36;
	expect_spec(&spec, -EIO, "data window");
	spec.x = 0;
	spec.width = 0;
	expect_spec(&spec, -EIO, "data window");
	CHECK(clock() - start < CLOCKS_PER_SEC / 10);
}

static void impossible_tiles(void)
{
	struct spec spec = plain;
	spec.tile_width = 8;
	expect_spec(&spec, -EIO, "tiles of 8 x 0");
	spec.tile_height = 0x80000000;
	expect_spec(&spec, -EIO, "tiles of");
	spec.tile_height = 8;
	spec.tile_mode = 3;
	expect_spec(&spec, -EIO, "mode 0x3");
	spec.tile_mode = 0x20;
	expect_spec(&spec, -EIO, "mode 0x20");
}

static void impossible_channels(void)
{
	struct spec spec = plain;
	spec.channels[0].type = 3;
	expect_spec(&spec, -EIO, "pixel type 3");
	spec.channels[0] = (struct channel){"R", HALF, 2, 1};
	expect_spec(&spec, -EIO, "sampling 2 x 1");
	spec.channels[0] = (struct channel){"R", HALF, 0, 1};
	expect_spec(&spec, -EIO, "sampling 0 x 1");
	spec.channels[0] = (struct channel){"R", HALF, 1, 1};
	spec.channels[1] = (struct channel){"R", FLOAT, 1, 1};
	expect_spec(&spec, -EIO, "twice");
	spec.channels[0].name = NULL;
	expect_spec(&spec, -EIO, "no channels");
}

static void twice_the_window(void)
{
	put_attribute("dataWindow", "box2i", (const int32_t[4]){0, 0, 1, 1}, 16);
}

static void a_window_of_floats(void)
{
	put_attribute("chromaticities", "box2i", (const int32_t[4]){0, 0, 1, 1}, 16);
}

static void longer_than_the_file(void)
{
	put_attribute("x", "opaque", "", 0);
	build.len -= 4;
	put32(1u << 30);
}

static void negative_size(void)
{
	put_attribute("x", "opaque", "", 0);
	build.len -= 4;
	put32(UINT32_MAX);
}

static void long_name(void)
{
	char name[301];
	memset(name, 'n', 300);
	name[300] = 0;
	put_attribute(name, "int", "\0\0\0", 4);
}

static void bad_attributes(void)
{
	static const struct {
		void (*more)(void);
		const char *words;
	} bad[] = {{twice_the_window, "twice"},
		   {a_window_of_floats, "is of type"},
		   {longer_than_the_file, "are left of the file"},
		   {negative_size, "a size of -1"},
		   {long_name, "255 bytes"}};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		build.more = bad[i].more;
		build_file(&plain, 1);
		expect_open(-EIO, bad[i].words);
	}
	build.more = NULL;
}

/* Without limits these would cost gigabytes or minutes. */
static void endless_attributes(void)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		start_file(&plain, 1);
		build.len = build.table - 1; /* before the byte that ends the header */
		for (unsigned i = 0; i < 400000; i++) {
			char name[16];
			snprintf(name, sizeof name, "%x", kind ? i : 0);
			put_attribute(name, "i", "", 0);
		}
		clock_t start = clock();
		expect_open(-EFBIG, "attributes");
		CHECK(clock() - start < 2 * CLOCKS_PER_SEC); /* a sanitizer slows it down */
	}
}

static void large_values(void)
{
	struct codec_limits limits = codec_default_limits;
	limits.max_metadata_bytes = 1 << 16;
	start_file(&plain, 1);
	build.len = build.table - 1;
	char *large = calloc(1, 1 << 20);
	put_attribute("large", "opaque", large, 1 << 20);
	put_attribute("small", "int", "\7\0\0\0", 4);
	free(large);
	put("", 1);
	struct result r = open_built_with(&limits);
	CHECK(r.open_code == 0 && !find_attribute(&r, "large") && find_attribute(&r, "small"));
	CHECK(r.open_code == 0 && r.header->nwarnings == 1 && strstr(r.header->warnings[0], "dropped"));
	result_free(&r);
}

/* Attributes that fill what they may have leave room for what the pixels need. */
static void room_for_the_channels(void)
{
	struct codec_limits limits = codec_default_limits;
	char names[7][241];
	struct spec spec = plain;
	limits.max_metadata_bytes = 1 << 16;
	for (int i = 0; i < 7; i++) {
		memset(names[i], 'a' + i, 240);
		names[i][240] = 0;
		spec.channels[i] = (struct channel){names[i], HALF, 1, 1};
	}
	build.specs = &spec;
	build.nparts = 1;
	build.len = 0;
	put32(20000630);
	put32(2 | 0x400);
	for (int i = 0; i < 48; i++) {
		char name[16], value[1000] = {0};
		snprintf(name, sizeof name, "%d", i);
		put_attribute(name, "opaque", value, 1000);
	}
	put_header(&spec, 0);
	struct result r = open_built_with(&limits);
	CHECK(r.open_code == 0 && r.part->nchannels == 7 && r.header->nwarnings == 1 && find_attribute(&r, "0"));
	result_free(&r);
}

/* ---- valid, but more than this build decodes ---- */

static void expect_unsupported(const char *words)
{
	struct result r = open_built();
	struct err err = ERR_NONE;
	uint8_t *dst = malloc(1 << 20);
	CHECK(r.open_code == 0 && r.check_code == 0 && r.part->unsupported && strstr(r.part->unsupported, words));
	CHECK(r.open_code == 0 && codec_exr.decode(r.image, NULL, 0, 0, 0, 0, dst, &err) == -EOPNOTSUPP && strstr(err.text, words));
	free(dst);
	result_free(&r);
}

static void deep_and_unknown_parts(void)
{
	struct spec spec = plain;
	spec.type = "deepscanline";
	start_file(&spec, 1);
	build.data[5] |= 0x08; /* the version's flag for deep data */
	expect_unsupported("deep");
	spec.type = "volume";
	start_file(&spec, 1);
	build.data[5] |= 0x08;
	expect_unsupported("type");
	start_file(&plain, 1);
	for (size_t i = 0; i + 12 < build.table; i++)
		if (memcmp(build.data + i, "compression\0\1", 13) == 0)
			build.data[i + 16] = 10;
	expect_unsupported("compression");
}

static void unknown_versions(void)
{
	build_file(&plain, 1);
	build.data[4] = 3;
	expect_open(-EOPNOTSUPP, "version");
	build.data[4] = 2;
	build.data[6] = 1;
	expect_open(-EOPNOTSUPP, "flags");
	build.data[6] = 0;
	build.data[5] |= 0x12;
	expect_open(-EIO, "multi-part");
}

int main(void)
{
	static const struct test_case cases[] = {
		{"giant_windows", giant_windows},
		{"impossible_tiles", impossible_tiles},
		{"impossible_channels", impossible_channels},
		{"bad_attributes", bad_attributes},
		{"endless_attributes", endless_attributes},
		{"large_values", large_values},
		{"room_for_the_channels", room_for_the_channels},
		{"deep_and_unknown_parts", deep_and_unknown_parts},
		{"unknown_versions", unknown_versions},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
