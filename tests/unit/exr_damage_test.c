/* exr_damage_test.c - OpenEXR files that are damaged, cut, hostile or beyond this build: an error with words, never samples
 * that the file doesn't hold; and what is whole stays readable. */
#include "exr_case.h"

#include <time.h>

static const struct spec striped = {.x = 4,
				    .y = -8,
				    .width = 40,
				    .height = 64,
				    .compression = ZIP,
				    .channels = {{"R", HALF, 1, 1}, {"Z", FLOAT, 1, 1}}}; /* four chunks */

/* The file as built: check() says what is wrong with chunk `bad` in words with `words`, the others decode. */
static void expect_bad_chunk(uint32_t bad, const char *words)
{
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.check_code == -EIO && strstr(r.check_err.text, words));
	for (uint32_t cy = 0; !r.open_code && cy < 4; cy++) {
		struct err err = ERR_NONE;
		int rc = judge_chunk(r.image, 0, 0, 0, cy, &err);
		CHECK(cy == bad ? rc == -EIO && strstr(err.text, words) : rc == 0);
	}
	result_free(&r);
}

/* Takes the bytes of a chunk out of the file, as if it had never been written. */
static void remove_chunk(uint32_t index)
{
	uint64_t at = get_offset(index);
	uint32_t len;
	memcpy(&len, build.data + at + 4, 4);
	memmove(build.data + at, build.data + at + 8 + len, build.len - (size_t)at - 8 - len);
	build.len -= 8 + len;
	set_offset(index, 0);
	for (uint32_t i = 0; i < build.nchunks; i++)
		if (get_offset(i) > at)
			set_offset(i, get_offset(i) - 8 - len);
}

static void missing_chunk(void)
{
	for (uint32_t bad = 0; bad < 4; bad++) {
		build_file(&striped, 1);
		remove_chunk(bad);
		expect_bad_chunk(bad, "missing");
	}
}

/* A table that was never written: the chunks are found, whatever their order. */
static void lost_table(void)
{
	const struct spec specs[2] = {
		{.width = 30, .height = 40, .compression = ZIP, .type = "scanlineimage", .channels = {{"R", HALF, 1, 1}}},
		{.width = 30,
		 .height = 40,
		 .tile_width = 16,
		 .tile_height = 16,
		 .tile_mode = 2,
		 .compression = RLE,
		 .type = "tiledimage",
		 .channels = {{"A", HALF, 1, 1}}},
	};
	for (unsigned i = 0; i < 4; i++) {
		build.backwards = i % 2;
		build_file(i < 2 ? specs : &striped, i < 2 ? 2 : 1);
		for (uint32_t index = 0; index < build.nchunks; index++)
			set_offset(index, index % 3 ? 0 : UINT64_MAX);
		struct result r = open_built();
		CHECK(r.open_code == 0 && r.check_code == 0 && judge_all(&r) == 0);
		result_free(&r);
	}
	build.backwards = false;
}

/* A file cut at any byte: never a wrong sample, and what lies before the cut is there. */
static void cut_anywhere(void)
{
	build_file(&striped, 1);
	size_t whole = build.len;
	for (size_t len = 0; len < whole; len += len < build.table + 60 ? 1 : 37) {
		build.len = len;
		struct result r = open_built();
		CHECK(r.open_code == -EIO ? len < build.table && r.open_err.text[0] : r.check_code == -EIO && r.check_err.text[0]);
		for (uint32_t cy = 0; !r.open_code && cy < 4; cy++) {
			struct err err = ERR_NONE;
			uint64_t end = cy < 3 ? get_offset(cy + 1) : whole;
			int rc = judge_chunk(r.image, 0, 0, 0, cy, &err);
			CHECK(len >= end ? rc == 0 : rc == -EIO && err.text[0]);
		}
		result_free(&r);
	}
}

static void table_leads_astray(void)
{
	build_file(&striped, 1);
	set_offset(1, get_offset(2));
	expect_bad_chunk(1, "another chunk");
	build_file(&striped, 1);
	set_offset(2, get_offset(2) + 1);
	expect_bad_chunk(2, "no chunk");
	build_file(&striped, 1);
	set_offset(3, build.len - 4);
	expect_bad_chunk(3, "no chunk");
	build_file(&striped, 1);
	build.data[get_offset(0)]++; /* the line number of its header */
	expect_bad_chunk(0, "no chunk");
}

static void wrong_part_number(void)
{
	const struct spec specs[2] = {
		{.width = 8, .height = 1, .type = "scanlineimage", .channels = {{"R", HALF, 1, 1}}},
		{.width = 8, .height = 1, .type = "scanlineimage", .channels = {{"R", HALF, 1, 1}}},
	};
	build_file(specs, 2);
	uint64_t first = get_offset(0);
	set_offset(0, get_offset(1));
	set_offset(1, first);
	struct result r = open_built();
	struct err err = ERR_NONE;
	CHECK(r.check_code == -EIO && strstr(r.check_err.text, "part 0") && judge_chunk(r.image, 0, 0, 0, 0, &err) == -EIO);
	result_free(&r);
}

static void set_chunk_bytes(uint32_t index, uint32_t len)
{
	memcpy(build.data + get_offset(index) + 4, &len, 4);
}

static void impossible_sizes(void)
{
	static const uint32_t sizes[] = {0, 1, 40 * 6 * 16 + 1, 0x7fffffff, 0x80000000, UINT32_MAX};
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		build_file(&striped, 1);
		set_chunk_bytes(1, sizes[i]);
		struct result r = open_built();
		struct err err = ERR_NONE;
		CHECK(r.open_code == 0 && judge_chunk(r.image, 0, 0, 0, 1, &err) == -EIO && err.text[0]);
		CHECK(i == 1 || r.check_code == -EIO);
		result_free(&r);
	}
	struct spec spec = striped;
	spec.compression = NONE;
	build_file(&spec, 1);
	set_chunk_bytes(1, 40 * 6 - 1);
	struct result r = open_built();
	CHECK(r.check_code == -EIO && strstr(r.check_err.text, "row 1,"));
	result_free(&r);
}

/* One bit at a time in the compressed data of a chunk: Adler-32 and the length find each. */
static void flipped_bits(void)
{
	build_file(&striped, 1);
	struct err err;
	for (size_t bit = 0; bit < 8 * 200; bit += 7) {
		uint8_t *byte = build.data + get_offset(1) + 8 + bit / 8;
		*byte ^= (uint8_t)(1 << bit % 8);
		struct result r = open_built();
		err = ERR_NONE;
		int rc = judge_chunk(r.image, 0, 0, 0, 1, &err);
		CHECK(rc == -EIO && strstr(err.text, "rows 16 to 31 (zip)"));
		result_free(&r);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
}

static void run_lengths_that_end_wrong(void)
{
	struct spec spec = {.width = 64, .height = 1, .compression = RLE, .channels = {{"R", HALF, 1, 1}}};
	static const uint8_t streams[][6] = {
		{126, 5},             /* 127 of 128 bytes */
		{127, 5, 0, 5},       /* one too many */
		{127, 5, 0},          /* a count without its byte */
		{126, 5, 0xff},       /* a literal without its byte */
		{126, 5, 0xfe, 1, 2}, /* literals that are too many */
	};
	static const uint8_t lens[] = {2, 4, 3, 3, 5};
	for (unsigned i = 0; i < 5; i++) {
		start_file(&spec, 1);
		set_offset(0, build.len);
		put32(0);
		put32(lens[i]);
		put(streams[i], lens[i]);
		struct result r = open_built();
		struct err err = ERR_NONE;
		CHECK(r.open_code == 0 && judge_chunk(r.image, 0, 0, 0, 0, &err) == -EIO && strstr(err.text, "run-length"));
		result_free(&r);
	}
}

/* A sound deflate stream of one byte less than the chunk has, and one of one more. */
static void deflated_data_of_another_length(void)
{
	struct spec spec = {.width = 64, .height = 1, .compression = ZIPS, .channels = {{"R", HALF, 1, 1}}};
	for (size_t len = 127; len <= 129; len++) {
		uint8_t zeros[129] = {0}, packed[200];
		uLongf packed_bytes = sizeof packed;
		compress(packed, &packed_bytes, zeros, len);
		start_file(&spec, 1);
		set_offset(0, build.len);
		put32(0);
		put32((uint32_t)packed_bytes);
		put(packed, packed_bytes);
		struct result r = open_built();
		struct err err = ERR_NONE;
		int rc = judge_chunk(r.image, 0, 0, 0, 0, &err);
		CHECK(r.open_code == 0 && (len == 128 ? rc == 1 : rc == -EIO && strstr(err.text, "deflated")));
		result_free(&r);
	}
}

/* ---- headers ---- */

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
		{"missing_chunk", missing_chunk},
		{"lost_table", lost_table},
		{"cut_anywhere", cut_anywhere},
		{"table_leads_astray", table_leads_astray},
		{"wrong_part_number", wrong_part_number},
		{"impossible_sizes", impossible_sizes},
		{"flipped_bits", flipped_bits},
		{"run_lengths_that_end_wrong", run_lengths_that_end_wrong},
		{"deflated_data_of_another_length", deflated_data_of_another_length},
		{"giant_windows", giant_windows},
		{"impossible_tiles", impossible_tiles},
		{"impossible_channels", impossible_channels},
		{"bad_attributes", bad_attributes},
		{"endless_attributes", endless_attributes},
		{"large_values", large_values},
		{"deep_and_unknown_parts", deep_and_unknown_parts},
		{"unknown_versions", unknown_versions},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
