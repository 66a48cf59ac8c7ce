/* exr_test.c - the samples of OpenEXR: scanlines, tiles, levels, subsampling, parts; stored, RLE and ZIP. The other
 * compressions are in exr_library_test.c. */
#include "exr_case.h"

#include <pthread.h>

static const uint8_t own_compressions[] = {NONE, RLE, ZIPS, ZIP};

static void scanlines_of_every_type(void)
{
	static const uint32_t sizes[][2] = {{1, 1}, {7, 33}, {300, 17}, {64, 16}, {31, 48}};
	for (unsigned c = 0; c < 4; c++)
		for (unsigned i = 0; i < 5; i++) {
			struct spec spec = {.x = -5,
					    .y = -1000,
					    .width = sizes[i][0],
					    .height = sizes[i][1],
					    .compression = own_compressions[c],
					    .channels = {{"A", HALF, 1, 1}, {"B", FLOAT, 1, 1}, {"Z", UINT, 1, 1}}};
			expect_all(&spec, 1);
		}
}

static void any_channel_names(void)
{
	struct spec spec = plain;
	const struct channel channels[] = {
		{" a b", HALF, 1, 1}, {"a/b.c", FLOAT, 1, 1}, {"left.spec.R", HALF, 1, 1}, {"\xff\xfe", UINT, 1, 1}};
	memcpy(spec.channels, channels, sizeof channels);
	expect_all(&spec, 1);
	struct result r = open_built();
	CHECK(r.part->nchannels == 4 && strcmp(r.part->channels[3].name, "\xff\xfe") == 0 &&
	      strcmp(r.part->channels[0].name, " a b") == 0);
	CHECK(r.part->channels[2].plane == 2 && r.part->planes[2].type == SAMPLE_F16 && r.part->planes[3].divisor == 0);
	result_free(&r);
}

/* Where compression doesn't gain, the chunk is stored as it is. */
static void stored_chunks(void)
{
	for (uint8_t compression = RLE; compression <= DWAB; compression++) {
		struct spec spec = {
			.width = 1, .height = 1, .compression = compression, .channels = {{"R", HALF, 1, 1}, {"S", FLOAT, 1, 1}}};
		expect_all(&spec, 1);
		CHECK(build.len == get_offset(0) + 8 + 6);
	}
}

static void line_order_never_flips(void)
{
	for (uint8_t order = 0; order < 3; order++)
		for (unsigned backwards = 0; backwards < 2; backwards++) {
			struct spec spec = plain;
			spec.compression = ZIP;
			spec.line_order = order;
			build.backwards = backwards;
			expect_all(&spec, 1);
		}
	build.backwards = false;
}

static void tiles_and_levels(void)
{
	static const uint32_t sizes[][4] = {{1, 1, 1, 1}, {37, 21, 8, 5}, {64, 64, 64, 64}, {33, 70, 16, 16}, {5, 100, 200, 3}};
	static const uint8_t modes[] = {0x00, 0x01, 0x02, 0x11, 0x12};
	for (unsigned i = 0; i < 5; i++)
		for (unsigned m = 0; m < 5; m++) {
			struct spec spec = {.x = 3,
					    .y = -7,
					    .width = sizes[i][0],
					    .height = sizes[i][1],
					    .tile_width = sizes[i][2],
					    .tile_height = sizes[i][3],
					    .tile_mode = modes[m],
					    .compression = own_compressions[i % 4],
					    .line_order = 2,
					    .channels = {{"G", HALF, 1, 1}, {"R", FLOAT, 1, 1}}};
			build.backwards = m % 2;
			expect_all(&spec, 1);
		}
	build.backwards = false;
}

static void level_names_and_units(void)
{
	struct spec spec = {
		.width = 20, .height = 6, .tile_width = 4, .tile_height = 4, .tile_mode = 2, .channels = {{"R", HALF, 1, 1}}};
	build_file(&spec, 1);
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.part->levels_mode == LEVELS_RIP && r.part->nlevels_x == 5 && r.part->nlevels_y == 3);
	CHECK(strcmp(r.header->random_access, "tile") == 0 && r.part->access == CODEC_ACCESS_CHUNK);
	CHECK(r.part->levels[1 + 2 * 5].width == 10 && r.part->levels[1 + 2 * 5].height == 1);
	result_free(&r);
	build_file(&plain, 1);
	r = open_built();
	CHECK(strcmp(r.header->random_access, "scanline") == 0 && r.part->levels[0].chunk_width == 37 && !r.part->interleaved);
	result_free(&r);
}

/* Luminance and chroma, and samplings that don't divide the lines of a block: 6, 5, 5 lines of 16 at a sampling of 3. */
static void subsampled_channels(void)
{
	static const uint32_t samplings[][2] = {{2, 2}, {1, 3}, {3, 1}, {4, 5}, {1, 64}};
	for (unsigned c = 0; c < 4; c++)
		for (unsigned i = 0; i < 5; i++) {
			uint32_t xs = samplings[i][0], ys = samplings[i][1];
			struct spec spec = {.x = -6 * (int32_t)xs,
					    .y = 4 * (int32_t)ys,
					    .width = 12 * xs,
					    .height = ys * (40 / ys + 2),
					    .compression = own_compressions[c],
					    .channels = {{"BY", HALF, xs, ys}, {"RY", FLOAT, xs, ys}, {"Y", HALF, 1, 1}}};
			expect_all(&spec, 1);
			spec.channels[2].name = NULL; /* blocks without any sample */
			expect_all(&spec, 1);
		}
}

static void several_parts(void)
{
	const struct spec specs[3] = {
		{.width = 20, .height = 20, .compression = ZIP, .type = "scanlineimage", .channels = {{"R", HALF, 1, 1}}},
		{.x = -9,
		 .y = 9,
		 .width = 33,
		 .height = 9,
		 .type = "tiledimage",
		 .tile_width = 8,
		 .tile_height = 8,
		 .tile_mode = 1,
		 .channels = {{"Z", FLOAT, 1, 1}}},
		{.width = 5,
		 .height = 40,
		 .compression = RLE,
		 .line_order = 1,
		 .type = "scanlineimage",
		 .channels = {{"A", UINT, 1, 1}}},
	};
	expect_all(specs, 3);
	build.backwards = true;
	expect_all(specs, 3);
	build.backwards = false;
	struct result r = open_built();
	CHECK(strcmp(r.header->parts[2].name, "part 2") == 0 && strcmp(r.header->parts[2].row_order, "decreasing") == 0);
	result_free(&r);
}

static void *judge_many(void *image)
{
	long wrong = 0;
	const struct codec_level *level = ((struct codec_image *)image)->header.parts[0].levels;
	for (int round = 0; round < 3; round++)
		for (uint32_t cy = 0; cy < level->nchunks_y; cy++)
			for (uint32_t cx = 0; cx < level->nchunks_x; cx++) {
				struct err err = ERR_NONE;
				wrong += judge_chunk(image, 0, 0, cx, cy, &err) != 0;
			}
	return (void *)wrong;
}

/* Without check(): the first decode reads the offset table, here in four threads at once. */
static void threads_decode_at_once(void)
{
	struct spec spec = {.width = 100,
			    .height = 90,
			    .tile_width = 16,
			    .tile_height = 16,
			    .compression = ZIP,
			    .channels = {{"G", HALF, 1, 1}, {"R", FLOAT, 1, 1}}};
	build_file(&spec, 1);
	struct bytes *bytes = bytes_from_memory(build.data, build.len, 0);
	struct codec_image *image = NULL;
	struct err err = ERR_NONE;
	CHECK(codec_exr.open(bytes, &codec_default_limits, &image, &err) == 0);
	bytes_unref(bytes);
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, judge_many, image);
	for (int i = 0; i < 4; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		CHECK(!wrong);
	}
	codec_exr.close(image);
}

static void bids_by_the_magic_number(void)
{
	CHECK(codec_exr.bid((const uint8_t *)"\x76\x2f\x31\x01\x02", 5) == 100);
	CHECK(codec_exr.bid((const uint8_t *)"\x76\x2f\x31\x01", 3) == 0 && codec_exr.bid((const uint8_t *)"\x89PNG", 4) == 0);
	codec_exr.close(NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"scanlines_of_every_type", scanlines_of_every_type},
		{"any_channel_names", any_channel_names},
		{"stored_chunks", stored_chunks},
		{"line_order_never_flips", line_order_never_flips},
		{"tiles_and_levels", tiles_and_levels},
		{"level_names_and_units", level_names_and_units},
		{"subsampled_channels", subsampled_channels},
		{"several_parts", several_parts},
		{"threads_decode_at_once", threads_decode_at_once},
		{"bids_by_the_magic_number", bids_by_the_magic_number},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
