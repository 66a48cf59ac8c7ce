/* ycc_test.c - YCbCr kept as it is stored becomes the RGB that libjpeg makes of it, whatever the size, band or column. */
#include "jpeg_case.h"

#include "codecs/core/ycc.h"

static uint32_t state = 1;

static uint32_t any(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)state * n >> 32);
}

struct made {
	unsigned char *data;
	unsigned long len;
	uint32_t width, height;
};

/* Noise in squares of 1 to 4 pixels: differences that are as large as can be, and edges between them. */
static void draw(uint8_t *rgb, uint32_t width, uint32_t height)
{
	uint32_t square = 1 + any(4);
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			for (uint32_t c = 0; c < 3; c++) {
				uint8_t *at = rgb + ((size_t)y * width + x) * 3 + c;
				*at = y % square   ? at[-(ptrdiff_t)width * 3]
				      : x % square ? at[-3]
						   : (uint8_t)(any(4) ? any(256) : any(2) * 255);
			}
}

static struct made encode(uint32_t width, uint32_t height, int h, int v, bool progressive)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	struct made made = {NULL, 0, width, height};
	uint8_t *rgb = malloc((size_t)width * height * 3);
	draw(rgb, width, height);
	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &made.data, &made.len);
	c.image_width = width;
	c.image_height = height;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, 95, TRUE);
	if (progressive)
		jpeg_simple_progression(&c);
	c.comp_info[0].h_samp_factor = h;
	c.comp_info[0].v_samp_factor = v;
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < height) {
		JSAMPROW row = rgb + (size_t)c.next_scanline * width * 3;
		jpeg_write_scanlines(&c, &row, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	free(rgb);
	return made;
}

static uint8_t *decode_by_library(const struct made *made)
{
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr errors;
	uint8_t *rgb = malloc((size_t)made->width * made->height * 3);
	d.err = jpeg_std_error(&errors);
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, made->data, made->len);
	jpeg_read_header(&d, TRUE);
	d.dct_method = JDCT_ISLOW;
	jpeg_start_decompress(&d);
	while (d.output_scanline < d.output_height) {
		JSAMPROW row = rgb + (size_t)d.output_scanline * made->width * 3;
		jpeg_read_scanlines(&d, &row, 1);
	}
	jpeg_destroy_decompress(&d);
	return rgb;
}

/* Both give the same; where it is kept as YCbCr, it is less. */
static void expect_same(uint32_t width, uint32_t height, int h, int v, bool progressive, bool kept)
{
	struct made made = encode(width, height, h, v, progressive);
	uint8_t *wanted = decode_by_library(&made);
	struct result r = decode_bytes(made.data, made.len);
	CHECK(r.decode_code == 0 && r.width == width && r.height == height);
	CHECK(r.decode_code == 0 && memcmp(r.samples, wanted, (size_t)width * height * 3) == 0);
	CHECK((r.image->header.parts[0].chroma_x == 2) == kept && r.image->header.parts[0].chroma_y == (kept ? v : 0));
	result_free(&r);
	free(wanted);
	free(made.data);
}

static void all_small_sizes(void)
{
	for (uint32_t width = 1; width <= 36; width++)
		for (uint32_t height = 1; height <= 36; height += width % 3 + 1)
			for (int v = 1; v <= 2; v++)
				expect_same(width, height, 2, v, (width + height) % 2, width > 4);
}

static void several_bands(void)
{
	for (int v = 1; v <= 2; v++) {
		expect_same(517, 401, 2, v, false, true);
		expect_same(518, 400, 2, v, true, true);
		expect_same(1500, 193, 2, v, false, true);
		expect_same(9001, 50, 2, v, false, true);
		expect_same(7, 3001, 2, v, false, true);
	}
}

static void other_samplings_are_the_librarys(void)
{
	expect_same(65, 33, 1, 1, false, false);
	expect_same(65, 33, 1, 2, false, false);
	expect_same(65, 33, 4, 1, false, false);
}

/* T.871 section 7 in libjpeg's fixed point: jdcolor.c. */
static uint8_t clamped(int v)
{
	return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static bool is_color(const uint8_t *rgb, int y, int cb, int cr)
{
	cb -= 128;
	cr -= 128;
	return rgb[0] == clamped(y + ((91881 * cr + 32768) >> 16)) &&
	       rgb[1] == clamped(y + ((-22554 * cb - 46802 * cr + 32768) >> 16)) &&
	       rgb[2] == clamped(y + ((116130 * cb + 32768) >> 16));
}

static struct codec_level level;
static struct codec_plane planes[3] = {{SAMPLE_U8, 8, 8, 255, 1, 1}, {SAMPLE_U8, 8, 8, 255, 1, 1}, {SAMPLE_U8, 8, 8, 255, 1, 1}};

static struct codec_part part_of(uint32_t width, uint32_t height, uint32_t band, uint8_t chroma_y)
{
	codec_level_set(&level, width, height, width, band);
	return (struct codec_part){.nplanes = 3,
				   .planes = planes,
				   .interleaved = true,
				   .levels = &level,
				   .nlevels = 1,
				   .chroma_x = 2,
				   .chroma_y = chroma_y};
}

/* Where chroma is the same everywhere, upsampling changes nothing. */
static void all_colors_in_rows(int width)
{
	struct codec_part part = part_of((uint32_t)width, 1, 1, 1);
	struct ycc_layout layout;
	ycc_layout(&part, 0, &layout);
	uint8_t *kept = malloc(layout.len_bytes), rgb[256 * 3];
	size_t wrong = 0;
	for (int first = 0; first < 256; first += width)
		for (int color = 0; color < 65536; color++) {
			for (int i = 0; i < width; i++)
				kept[layout.planes[0].offset + (size_t)i] = (uint8_t)(first + i);
			memset(kept + layout.planes[1].offset, color >> 8, layout.planes[1].width);
			memset(kept + layout.planes[2].offset, color & 255, layout.planes[2].width);
			ycc_row_to_rgb(&part, &layout, kept, 0, 0, (uint32_t)width, rgb);
			for (int i = 0; i < width; i++)
				wrong += !is_color(rgb + (size_t)i * 3, (first + i) & 255, color >> 8, color & 255);
		}
	CHECK(wrong == 0);
	free(kept);
}

/* 16 at once where the processor can, and one by one. */
static void all_colors(void)
{
	all_colors_in_rows(256);
	all_colors_in_rows(15);
}

/* Any part of a row is what the whole row has there. */
static void parts_of_rows(void)
{
	enum { WIDTH = 1301, HEIGHT = 21 };
	for (uint8_t chroma_y = 1; chroma_y <= 2; chroma_y++) {
		struct codec_part part = part_of(WIDTH, HEIGHT, 16, chroma_y);
		for (uint32_t cy = 0; cy < 2; cy++) {
			struct ycc_layout layout;
			ycc_layout(&part, cy, &layout);
			uint8_t *kept = malloc(layout.len_bytes), whole[WIDTH * 3], *some;
			for (size_t i = 0; i < layout.len_bytes; i++)
				kept[i] = (uint8_t)any(256);
			for (unsigned i = 0; i < 300; i++) {
				uint32_t x = any(WIDTH), y = layout.y + any(layout.rows), width = 1 + any(WIDTH - x);
				ycc_row_to_rgb(&part, &layout, kept, 0, y, WIDTH, whole);
				some = malloc(3 * width);
				ycc_row_to_rgb(&part, &layout, kept, x, y, width, some);
				CHECK(memcmp(some, whole + (size_t)x * 3, 3 * width) == 0);
				free(some);
			}
			free(kept);
		}
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(all_small_sizes), CASE(several_bands), CASE(other_samplings_are_the_librarys),
		CASE(all_colors),      CASE(parts_of_rows),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
