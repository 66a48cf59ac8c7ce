/* png_test.c - the samples of PNG: every kind, forwards and interlaced, by bands, and no further than asked. */
#include "png_case.h"

#include <pthread.h>

static const uint8_t kinds[][2] = {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {16, 0}, {8, 2}, {16, 2}, {1, 3},
				   {2, 3}, {4, 3}, {8, 3}, {8, 4}, {16, 4}, {8, 6}, {16, 6}};
enum { NKINDS = sizeof kinds / sizeof *kinds };

/* A palette as long as the depth allows; its colours are sums that tell their index. */
static void put_palette(uint32_t count)
{
	uint8_t colours[3 * 256];
	for (uint32_t i = 0; i < 3 * count; i++)
		colours[i] = (uint8_t)(7 * i + 1);
	put_chunk("PLTE", colours, 3 * count);
}

static void every_kind(uint8_t interlaced, uint32_t width, uint32_t height)
{
	for (int i = 0; i < NKINDS; i++) {
		start(width, height, kinds[i][0], kinds[i][1], interlaced);
		if (build.color_type == 3)
			put_palette(1u << build.depth);
		put_idat();
		put_iend();
		struct result r = decode_built();
		CHECK(r.open_code == 0 && r.check_code == 0 && r.decode_code == 0);
		if (!r.open_code) {
			CHECK(has_all_samples(&r));
			CHECK(r.part->nplanes == nsamples() && r.part->interleaved);
			CHECK(r.part->planes[0].divisor == (1u << build.depth) - 1 && r.part->planes[0].bit_depth == build.depth);
			CHECK(r.part->planes[0].type == (build.depth == 16 ? SAMPLE_U16 : SAMPLE_U8));
			CHECK(r.part->access == (interlaced ? CODEC_ACCESS_CHUNK : CODEC_ACCESS_FORWARD));
			CHECK(r.header->nwarnings == 0);
		}
		result_free(&r);
	}
}

static void every_kind_forwards(void)
{
	every_kind(0, 23, 17);
}

/* Sizes in which Adam7 has empty passes too. */
static void every_kind_interlaced(void)
{
	for (uint32_t side = 1; side <= 9; side++) {
		every_kind(1, side, 10 - side);
		every_kind(1, side, side);
	}
	every_kind(1, 33, 21);
}

static void channels_are_named(void)
{
	static const struct {
		uint8_t color_type;
		const char *names, *alpha_names;
	} rows[] = {{0, "Y", "YA"}, {2, "RGB", "RGBA"}, {3, "RGB", "RGBA"}, {4, "YA", "YA"}, {6, "RGBA", "RGBA"}};
	for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
		uint8_t color_type = rows[i / 2].color_type;
		const char *names = i % 2 ? rows[i / 2].alpha_names : rows[i / 2].names;
		start(3, 3, 8, color_type, 0);
		if (color_type == 3)
			put_palette(256);
		if (i % 2)
			put_chunk("tRNS", "\0\1\0\2\0\3", color_type == 0 ? 2 : 6);
		put_idat();
		put_iend();
		struct result r = open_built();
		CHECK(r.open_code == 0 && r.part->nchannels == strlen(names));
		for (uint32_t c = 0; !r.open_code && c < r.part->nchannels; c++)
			CHECK(r.part->channels[c].name[0] == names[c] && !r.part->channels[c].name[1]);
		CHECK(r.part->alpha == (strchr(names, 'A') ? ALPHA_STRAIGHT : ALPHA_NONE));
		CHECK(warns(&r, "tRNS") == (i % 2 && color_type >= 4)); /* there it must not be */
		result_free(&r);
	}
}

static void palette_and_its_alpha(void)
{
	start(4, 4, 2, 3, 0);
	put_palette(4);
	put_chunk("tRNS", "\x00\x80", 2);
	put_idat();
	put_iend();
	struct result r = decode_built();
	CHECK(r.decode_code == 0 && has_all_samples(&r) && r.part->npalette == 4 && r.part->nplanes == 1);
	static const uint8_t wanted[4][4] = {{1, 8, 15, 0}, {22, 29, 36, 128}, {43, 50, 57, 255}, {64, 71, 78, 255}};
	CHECK(r.part->palette && memcmp(r.part->palette, wanted, sizeof wanted) == 0);
	for (uint32_t c = 0; c < 4; c++)
		CHECK(r.part->channels[c].origin == ORIGIN_PALETTE && r.part->channels[c].component == c &&
		      r.part->channels[c].plane == 0);
	result_free(&r);
}

/* PNG 11.3.1.1: bits over the depth are masked away. */
static void key_is_masked(void)
{
	static const struct {
		uint8_t depth, color_type;
		const char *stored;
		uint32_t key[3];
	} rows[] = {{1, 0, "\xff\xfe", {0}},
		    {4, 0, "\x12\x3b", {11}},
		    {8, 0, "\x01\x02", {2}},
		    {16, 0, "\x01\x02", {0x102}},
		    {8, 2, "\xff\x01\x00\x02\x77\x03", {1, 2, 3}},
		    {16, 2, "\xff\x01\x00\x02\x77\x03", {0xff01, 2, 0x7703}}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		start(3, 3, rows[i].depth, rows[i].color_type, 0);
		put_chunk("tRNS", rows[i].stored, rows[i].color_type ? 6 : 2);
		put_idat();
		put_iend();
		struct result r = open_built();
		CHECK(r.open_code == 0 && memcmp(r.part->key, rows[i].key, sizeof rows[i].key) == 0);
		CHECK(r.part->channels[r.part->nchannels - 1].origin == ORIGIN_KEY && r.part->nplanes == nsamples());
		result_free(&r);
	}
}

static void idat_sizes(void)
{
	static const size_t sizes[] = {1, 2, 7, 100, 8192};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		start(40, 40, 16, 6, (uint8_t)(i % 2));
		put_chunk("IDAT", NULL, 0); /* an empty one is allowed */
		put_idats(sizes[i]);
		put_chunk("IDAT", NULL, 0);
		put_iend();
		struct result r = decode_built();
		CHECK(r.check_code == 0 && r.decode_code == 0 && r.part && has_all_samples(&r));
		result_free(&r);
	}
}

/* 1 MiB and more: several bands, decoded in order by two cursors in turn. */
static void bands_and_cursors(void)
{
	start(700, 900, 8, 2, 0);
	put_idats(8192);
	put_iend();
	struct result r = open_built();
	const struct codec_level *level = r.part->levels;
	size_t row_bytes = 700 * 3, band_bytes = row_bytes * level->chunk_height;
	uint8_t *a = malloc(band_bytes), *b = malloc(band_bytes);
	struct codec_cursor *one = NULL, *other = NULL;
	CHECK(level->nchunks_y > 4 && level->nchunks_x == 1 && level->chunk_width == 700);
	CHECK(level->chunk_height == codec_band_rows(row_bytes, 900));
	for (uint32_t cy = 0; cy < level->nchunks_y; cy++) {
		uint32_t rows =
			900 - cy * level->chunk_height < level->chunk_height ? 900 - cy * level->chunk_height : level->chunk_height;
		CHECK(codec_png.decode(r.image, &one, 0, 0, 0, cy, a, NULL) == 0);
		CHECK(codec_png.decode(r.image, &other, 0, 0, 0, cy, b, NULL) == 0);
		CHECK(memcmp(a, b, row_bytes * rows) == 0);
		for (uint32_t i = 0; i < rows * 700 * 3; i++)
			CHECK(a[i] == sample_at(i / 3 % 700, cy * level->chunk_height + i / 2100, i % 3));
	}
	CHECK(codec_png.decode(r.image, &one, 0, 0, 0, 0, a, NULL) == -EINVAL); /* no way back */
	codec_png.cursor_free(one);
	codec_png.cursor_free(other);
	other = NULL;
	CHECK(codec_png.decode(r.image, &other, 0, 0, 0, 1, a, NULL) == -EINVAL && !other);
	codec_png.cursor_free(NULL);
	free(a);
	free(b);
	result_free(&r);
}

/* ---- what is read of the source ---- */

enum { PNG_BOUNDS_BYTES = 64 }; /* read a second time where two reads meet, at most */

struct counted {
	struct bytes bytes;
	uint64_t read_bytes;
};

static ssize_t counted_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct counted *counted = (struct counted *)bytes;
	(void)err;
	uint64_t left = offset < build.len ? build.len - offset : 0;
	size_t n = left < len_bytes ? (size_t)left : len_bytes;
	memcpy(dst, build.data + offset, n);
	counted->read_bytes += n;
	return (ssize_t)n;
}

static void counted_free(struct bytes *bytes)
{
	(void)bytes;
}

static void reads_no_further_than_asked(void)
{
	static const struct bytes_class class = {.read = counted_read, .free = counted_free};
	struct counted counted = {.read_bytes = 0};
	struct codec_image *image = NULL;
	struct codec_cursor *cursor = NULL;
	start(1000, 1000, 16, 2, 0); /* random samples: 6 MB in the file too */
	put_idat();
	put_chunk("tEXt", "Late\0text", 9);
	put_iend();
	bytes_init(&counted.bytes, &class, build.len);
	CHECK(codec_png.open(&counted.bytes, &codec_default_limits, &image, NULL) == 0);
	CHECK(counted.read_bytes < 4096 && image->header.parts[0].nattributes == 2);
	uint8_t *band = malloc((size_t)6000 * image->header.parts[0].levels[0].chunk_height);
	counted.read_bytes = 0;
	CHECK(codec_png.decode(image, &cursor, 0, 0, 0, 0, band, NULL) == 0);
	CHECK(counted.read_bytes < 512 << 10);
	/* and none of it twice: good data are never decoded again */
	for (uint32_t cy = 1; cy < image->header.parts[0].levels[0].nchunks_y; cy++)
		CHECK(codec_png.decode(image, &cursor, 0, 0, 0, cy, band, NULL) == 0);
	CHECK(counted.read_bytes <= build.len + PNG_BOUNDS_BYTES);
	codec_png.cursor_free(cursor);
	codec_png.close(image);
	CHECK(atomic_load(&counted.bytes.refs) == 1);
	free(band);
}

/* ---- threads ---- */

static void *decode_all(void *result)
{
	struct result *shared = result;
	struct result own = {.image = shared->image, .part = shared->part};
	decode_rows(&own);
	intptr_t good = own.decode_code == 0 && has_all_samples(&own);
	free(own.samples);
	return (void *)good;
}

static void threads_share_an_image(void)
{
	for (uint8_t interlaced = 0; interlaced < 2; interlaced++) {
		start(300, 300, 8, 6, interlaced);
		put_idats(1000);
		put_iend();
		struct result r = open_built();
		pthread_t threads[4];
		for (int i = 0; i < 4; i++)
			if (pthread_create(&threads[i], NULL, decode_all, &r))
				abort();
		for (int i = 0; i < 4; i++) {
			void *good;
			pthread_join(threads[i], &good);
			CHECK(good);
		}
		result_free(&r);
	}
}

static void bids(void)
{
	start(1, 1, 8, 0, 0);
	CHECK(codec_png.bid(build.data, 33) == 100 && codec_png.bid(build.data, 8) == 100 && codec_png.bid(build.data, 3) == 0);
	build.data[0] = 0x09; /* the high bit lost */
	CHECK(codec_png.bid(build.data, 33) > 0 && codec_png.bid(build.data, 33) < 100);
	struct result r = open_built();
	CHECK(r.open_code == -EIO && strstr(r.open_err.text, "signature"));
	result_free(&r);
	CHECK(codec_png.bid((const uint8_t *)"GIF89a..........", 16) == 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"every colour type and depth", every_kind_forwards},
		{"every colour type and depth, interlaced, odd sizes", every_kind_interlaced},
		{"channel names and alpha", channels_are_named},
		{"palette entries and their alpha", palette_and_its_alpha},
		{"the tRNS key is masked to the depth", key_is_masked},
		{"image data in chunks of any size", idat_sizes},
		{"bands in order, cursors independent", bands_and_cursors},
		{"reads no further than asked", reads_no_further_than_asked},
		{"threads share an image", threads_share_an_image},
		{"bids on first bytes", bids},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
