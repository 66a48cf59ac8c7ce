/* png_inflate.c - the image data inflated by ISA-L, which takes a third to a half of zlib's time. It inflates forwards and in
 * pieces, as zlib does: the first rows need the first bytes only, and memory is bounded (about 90 KiB). Where there is no ISA-L (it
 * is for x86-64, arm64 and few others) zlib does it: no faster, but by a helper ahead of libpng too.
 *
 * The word of either counts only where all is well: a zlib stream with exactly the bytes that the rows need and the right Adler-32.
 * In all other cases, and whatever else goes wrong, the answer is false without words: the caller decodes again with zlib, whose
 * verdict and words hold. (ISA-L takes codes that leave a part of the code space unused, which zlib doesn't; where the Adler-32
 * is right nothing is lost by that.) */
#include "png_file.h"

#include <stdlib.h>

/* ---- the library: both have next_in, avail_in, next_out, avail_out ---- */

#ifdef PIXFS_ISAL
#include <isa-l/igzip_lib.h>

struct engine {
	struct inflate_state stream;
};

static bool engine_init(struct engine *engine)
{
	isal_inflate_init(&engine->stream);
	engine->stream.crc_flag = ISAL_ZLIB;
	return true;
}

static void engine_end(struct engine *engine)
{
	(void)engine;
}

static bool engine_run(struct engine *engine)
{
	return isal_inflate(&engine->stream) == ISAL_DECOMP_OK;
}

static bool engine_is_done(const struct engine *engine)
{
	return engine->stream.block_state == ISAL_BLOCK_FINISH;
}

static uint32_t engine_adler(const struct engine *engine)
{
	return engine->stream.crc;
}
#else
#include <zlib.h>

struct engine {
	z_stream stream;
	bool done;
};

static bool engine_init(struct engine *engine)
{
	*engine = (struct engine){0};
	return inflateInit(&engine->stream) == Z_OK;
}

static void engine_end(struct engine *engine)
{
	inflateEnd(&engine->stream);
}

static bool engine_run(struct engine *engine)
{
	int code = inflate(&engine->stream, Z_NO_FLUSH);
	engine->done = code == Z_STREAM_END;
	return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;
}

static bool engine_is_done(const struct engine *engine)
{
	return engine->done;
}

static uint32_t engine_adler(const struct engine *engine)
{
	return (uint32_t)engine->stream.adler;
}
#endif

/* ---- the image data ---- */

struct png_inflate {
	struct engine engine;
	struct png_idat *idat;
	uint64_t packed_left; /* image data not yet read */
	bool started;
};

/* Filtered bytes of the rows of one pass: a filter type and the pixels, for each (PNG 9.2). */
static uint64_t pass_bytes(const struct png_file *file, uint64_t width, uint64_t height)
{
	return width ? height * (1 + (width * png_pixel_bits(file) + 7) / 8) : 0;
}

uint64_t png_inflate_bytes(const struct png_file *file)
{
	/* PNG 8.1, Adam7: each pass's first column and row, and the steps to the next */
	static const uint8_t x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
	static const uint8_t dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
	uint64_t bytes = 0;
	if (!file->interlaced)
		return pass_bytes(file, file->width, file->height);
	for (int i = 0; i < 7; i++)
		bytes += pass_bytes(file, ((uint64_t)file->width + dx[i] - 1 - x0[i]) / dx[i],
				    ((uint64_t)file->height + dy[i] - 1 - y0[i]) / dy[i]);
	return bytes;
}

struct png_inflate *png_inflate_open(const struct png_file *file, struct png_idat *idat)
{
	struct png_inflate *inflate = malloc(sizeof *inflate);
	if (!inflate || !engine_init(&inflate->engine)) {
		free(inflate);
		return NULL;
	}
	inflate->idat = idat;
	inflate->packed_left = file->idat_bytes;
	inflate->started = false;
	return inflate;
}

void png_inflate_free(struct png_inflate *inflate)
{
	if (inflate)
		engine_end(&inflate->engine);
	free(inflate);
}

static bool refill(struct png_inflate *inflate)
{
	struct err ignored = ERR_NONE;
	const uint8_t *data;
	size_t len_bytes;
	bool first = !inflate->started;
	if (png_idat_piece(inflate->idat, PNG_PIECE_BYTES, &data, &len_bytes, &ignored))
		return false;
	inflate->started = true;
	inflate->packed_left -= len_bytes;
	inflate->engine.stream.next_in = (uint8_t *)(uintptr_t)data; /* it is only read */
	inflate->engine.stream.avail_in = (uint32_t)len_bytes;
	return !first || data[0] >> 4 <= 7; /* RFC 1950: windows of up to 32 KiB; ISA-L doesn't look */
}

/* One call of the library. False where it finds something wrong or comes no further. */
static bool step(struct png_inflate *inflate)
{
	struct engine *engine = &inflate->engine;
	if (!engine->stream.avail_in && inflate->packed_left && !refill(inflate))
		return false;
	uint32_t in = engine->stream.avail_in, out = engine->stream.avail_out;
	if (!engine_run(engine))
		return false;
	return engine->stream.avail_in != in || engine->stream.avail_out != out || engine_is_done(engine);
}

bool png_inflate_read(struct png_inflate *inflate, uint8_t *dst, uint32_t len_bytes)
{
	struct engine *engine = &inflate->engine;
	engine->stream.next_out = dst;
	engine->stream.avail_out = len_bytes;
	while (engine->stream.avail_out)
		if (engine_is_done(engine) || !step(inflate))
			return false;
	return true;
}

bool png_inflate_finish(struct png_inflate *inflate, uint32_t *ret_adler)
{
	uint8_t more;
	struct engine *engine = &inflate->engine;
	engine->stream.next_out = &more;
	engine->stream.avail_out = 1;
	while (!engine_is_done(engine))
		if (!step(inflate))
			return false;
	*ret_adler = engine_adler(engine);
	return engine->stream.avail_out == 1;
}
