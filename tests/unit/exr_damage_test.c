/* exr_damage_test.c - OpenEXR files whose offset table or chunks are damaged, cut or hostile: an error with words, never
 * samples that the file doesn't hold; and what is whole stays readable. Headers are in exr_header_test.c. */
#include "exr_case.h"

static const struct spec striped = {.x = 4,
				    .y = -8,
				    .width = 40,
				    .height = 64,
				    .compression = ZIP,
				    .channels = {{"R", HALF, 1, 1}, {"Z", FLOAT, 1, 1}}}; /* four chunks */

/* The file as built: what is wrong with chunk `bad` is said in words with `words` when it is checked; the others are right and
 * decode. */
static void expect_bad_chunk(uint32_t bad, const char *words)
{
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.check_code == -EIO && strstr(r.check_err.text, words));
	for (uint32_t cy = 0; !r.open_code && cy < 4; cy++) {
		struct err err = ERR_NONE;
		int rc = judge_chunk(r.image, 0, 0, 0, cy, &err);
		CHECK(cy == bad ? rc == -EIO && strstr(err.text, words) : rc == 0);
		struct err alone = ERR_NONE;
		rc = codec_exr.check_chunks(r.image, 0, 0, 0, cy, 0, 3, &alone);
		CHECK(cy <= bad ? rc == -EIO && strcmp(alone.text, r.check_err.text) == 0 : rc == 0);
		CHECK(cy <= bad || codec_exr.check_chunks(r.image, 0, 0, 0, bad + 1, 0, cy, NULL) == 0);
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
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
