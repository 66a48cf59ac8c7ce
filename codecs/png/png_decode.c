/* png_decode.c - from image data to samples, through libpng; its header is included here and nowhere else.
 *
 * What libpng reads is made by png_stream.c. Every image is decoded the quick way. Where that fails, for whatever reason, it
 * is decoded again the plain way from the first row on, and what comes of that counts. So zlib decides what is damage and
 * in which words, and costs time only where something is wrong.
 *
 * Errors leave libpng by longjmp. Only rows_read() and stream_start() call setjmp; neither changes a local variable between
 * setjmp and the end of what may jump, and all memory hangs on the cursor.
 */
#include "png_file.h"

#include <errno.h>
#include <inttypes.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"

const char png_decoder[] = "libpng " PNG_LIBPNG_VER_STRING;

struct codec_cursor {
	const struct png_file *file;
	struct png_stream *stream;
	png_structp png;
	png_infop info;
	bool data_check; /* zlib: the Adler-32 over the image data is wrong */
	unsigned npasses, pass;
	uint32_t row;     /* next row of the pass */
	size_t row_bytes; /* of decoded samples */
	struct err err;
};

/* Of decoded samples. */
static size_t row_bytes(const struct png_file *file)
{
	const struct codec_part *part = file->image.header.parts;
	return (size_t)file->width * part->nplanes * sample_size_bytes((enum sample_type)part->planes[0].type);
}

/* ---- libpng's callbacks ---- */

static void on_read(png_structp png, png_bytep dst, size_t len_bytes)
{
	struct codec_cursor *cursor = png_get_io_ptr(png);
	if (png_stream_read(cursor->stream, dst, len_bytes, &cursor->err))
		png_error(png, "read");
}

/* cursor->err may hold the cause already: the first error wins. Where zlib gets no memory and the Adler-32 is to be ignored, libpng
 * goes on to set that on the stream it doesn't have, and tells of that (png_inflate_claim, 1.6). */
static void on_error(png_structp png, png_const_charp words)
{
	struct codec_cursor *cursor = png_get_error_ptr(png);
	bool no_zlib = png_stream_is_quick(cursor->stream) && strstr(words, "bad parameters to zlib");
	if (no_zlib || strstr(words, "emory") || strstr(words, "alloc"))
		err_set(&cursor->err, -ENOMEM, "no memory for a PNG decoder");
	else
		err_set(&cursor->err, -EIO, "row %" PRIu32 ": %s", cursor->row, words);
	png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
	struct codec_cursor *cursor = png_get_error_ptr(png);
	if (strstr(words, "incorrect data check"))
		cursor->data_check = true;
}

/* ---- rows ---- */

static bool has_byte_above(const uint8_t *row, size_t len_bytes, unsigned limit)
{
	uint8_t most = 0;
	for (size_t i = 0; i < len_bytes; i++)
		most = row[i] > most ? row[i] : most;
	return most >= limit;
}

/* PNG 11.2.2: an index without a palette entry is an error. Showing black (PNG 13.2) would make up a value. */
static int palette_check(struct codec_cursor *cursor, const uint8_t *row)
{
	uint32_t npalette = cursor->file->image.header.parts->npalette;
	if (cursor->file->color_type != PNG_PALETTE || npalette >= 1u << cursor->file->depth)
		return 0;
	if (has_byte_above(row, cursor->row_bytes, npalette))
		return err_set(&cursor->err, -EIO,
			       "row %" PRIu32 " has an index that the palette of %" PRIu32 " colours doesn't have", cursor->row,
			       npalette);
	return 0;
}

/* Reads rows [cursor->row, row_end) of the present pass to dst, stride_bytes apart (0: one row of memory for all). */
static int rows_read(struct codec_cursor *cursor, uint8_t *dst, size_t stride_bytes, uint32_t row_end)
{
	/* a row has all its samples after the last pass */
	const bool final = cursor->pass + 1 == cursor->npasses || !stride_bytes;
	const uint32_t row0 = cursor->row;
	if (setjmp(png_jmpbuf(cursor->png)))
		return cursor->err.code;
	for (; cursor->row < row_end; cursor->row++) {
		uint8_t *row = dst + (size_t)(cursor->row - row0) * stride_bytes;
		png_read_row(cursor->png, row, NULL);
		if (final && cursor->file->depth == 16)
			sample_u16_from_be((uint16_t *)(void *)row, cursor->row_bytes / 2);
		int rc = final ? palette_check(cursor, row) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

/* After the last row: what the rest of the stream says about what was read. */
static int rows_finish(struct codec_cursor *cursor)
{
	int rc = png_stream_finish(cursor->stream, &cursor->err);
	if (!rc && cursor->data_check && !png_stream_is_quick(cursor->stream))
		rc = err_set(&cursor->err, -EIO, "the checksum (Adler-32) of the image data is wrong");
	return rc;
}

static int passes_read(struct codec_cursor *cursor, uint8_t *dst, size_t stride_bytes)
{
	for (; cursor->pass < cursor->npasses; cursor->pass++) {
		cursor->row = 0;
		int rc = rows_read(cursor, dst, stride_bytes, cursor->file->height);
		if (rc)
			return rc;
	}
	return rows_finish(cursor);
}

/* ---- the cursor ---- */

static void stream_settings(struct codec_cursor *cursor)
{
	png_set_read_fn(cursor->png, cursor, on_read);
	png_set_sig_bytes(cursor->png, PNG_SIGNATURE_BYTES);
	png_set_user_limits(cursor->png, INT32_MAX, INT32_MAX); /* ours were enforced by open */
	png_set_crc_action(cursor->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
	png_set_compression_buffer_size(cursor->png, PNG_READ_BYTES);
#ifdef PNG_IGNORE_ADLER32 /* libpng from 1.6.48 on is built without */
	if (png_stream_is_quick(cursor->stream))
		png_set_option(cursor->png, PNG_IGNORE_ADLER32, PNG_OPTION_ON); /* it has been verified */
#endif
	/* Some encoders declare a smaller window than they use; the data says the same with the largest one. */
	png_set_option(cursor->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
}

static int stream_start(struct codec_cursor *cursor)
{
	cursor->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, cursor, on_error, on_warning);
	cursor->info = cursor->png ? png_create_info_struct(cursor->png) : NULL;
	if (!cursor->info)
		return err_set(&cursor->err, -ENOMEM, "no memory for a PNG decoder");
	if (setjmp(png_jmpbuf(cursor->png)))
		return cursor->err.code;
	stream_settings(cursor);
	png_read_info(cursor->png, cursor->info);
	if (cursor->file->depth < 8)
		png_set_packing(cursor->png);
	cursor->npasses = (unsigned)png_set_interlace_handling(cursor->png);
	png_read_update_info(cursor->png, cursor->info);
	if (png_get_rowbytes(cursor->png, cursor->info) != cursor->row_bytes)
		return err_set(&cursor->err, -EIO, "libpng gives rows of another length than the header");
	return 0;
}

static int cursor_open(const struct png_file *file, enum png_way way, struct codec_cursor **ret_cursor, struct err *err)
{
	struct codec_cursor *cursor = calloc(1, sizeof *cursor);
	if (!cursor)
		return err_set(err, -ENOMEM, "no memory for a PNG decoder");
	cursor->file = file;
	cursor->row_bytes = row_bytes(file);
	int rc = png_stream_open(file, way, &cursor->stream, &cursor->err);
	if (!rc)
		rc = stream_start(cursor);
	if (rc) {
		err_copy(err, &cursor->err);
		png_cursor_free(cursor);
		return rc;
	}
	*ret_cursor = cursor;
	return 0;
}

void png_cursor_free(struct codec_cursor *cursor)
{
	if (!cursor)
		return;
	if (cursor->png)
		png_destroy_read_struct(&cursor->png, &cursor->info, NULL);
	png_stream_free(cursor->stream);
	free(cursor);
}

int png_decode_plausible(const struct png_file *file, struct err *err)
{
	/* RFC 1951: the shortest code for the longest match is 2 bits for 258 bytes, 1032 bytes out of one */
	uint64_t pixels = (uint64_t)file->width * file->height;
	uint64_t size_bytes = file->image.bytes->size_bytes; /* a chunk that is cut declares more */
	uint64_t have_bytes = file->idat_bytes < size_bytes ? file->idat_bytes : size_bytes;
	if (!file->idat_bytes)
		return err_set(err, -EIO, "there is no image data (IDAT)");
	if (pixels / 1032 / 8 > have_bytes / png_pixel_bits(file) + 1)
		return err_set(err, -EIO, "%" PRIu64 " bytes of image data can't hold %" PRIu32 " x %" PRIu32 " pixels",
			       file->idat_bytes, file->width, file->height);
	return 0;
}

/* ---- the codec's interface ---- */

/* All rows to dst, stride_bytes apart (0: one row of memory for all). */
static int decode_one_way(const struct png_file *file, enum png_way way, uint8_t *dst, size_t stride_bytes, struct err *err)
{
	struct codec_cursor *cursor;
	int rc = cursor_open(file, way, &cursor, err);
	if (rc)
		return rc;
	rc = passes_read(cursor, dst, stride_bytes);
	err_copy(err, &cursor->err);
	png_cursor_free(cursor);
	return rc;
}

static int decode_whole(const struct png_file *file, uint8_t *dst, size_t stride_bytes, struct err *err)
{
	struct err quick_err = ERR_NONE;
	int rc = png_decode_plausible(file, err);
	if (rc)
		return rc;
	if (decode_one_way(file, PNG_QUICK, dst, stride_bytes, &quick_err) == 0)
		return 0;
	return decode_one_way(file, PNG_PLAIN, dst, stride_bytes, err);
}

/* The cursor's next rows to dst, and after the last one what the end of the stream says. */
static int band_read(struct codec_cursor *cursor, uint32_t row_end, uint8_t *dst)
{
	int rc = rows_read(cursor, dst, cursor->row_bytes, row_end);
	return !rc && row_end == cursor->file->height ? rows_finish(cursor) : rc;
}

/* Puts a plain cursor, from which the rows before this one were read, in the place of a quick one. */
static int cursor_replace(struct codec_cursor **cursor_at, uint32_t row, struct err *err)
{
	const struct png_file *file = (*cursor_at)->file;
	png_cursor_free(*cursor_at);
	*cursor_at = NULL;
	int rc = cursor_open(file, PNG_PLAIN, cursor_at, err);
	if (rc)
		return rc;
	uint8_t *one = malloc((*cursor_at)->row_bytes);
	rc = one ? rows_read(*cursor_at, one, 0, row) : err_set(&(*cursor_at)->err, -ENOMEM, "no memory for a row of pixels");
	free(one);
	return rc;
}

static int decode_band(const struct png_file *file, struct codec_cursor **cursor_at, uint32_t cy, uint8_t *dst, struct err *err)
{
	const struct codec_level *level = file->image.header.parts->levels;
	uint32_t row = cy * level->chunk_height;
	uint32_t row_end = file->height - row > level->chunk_height ? row + level->chunk_height : file->height;
	int rc = *cursor_at ? 0 : png_decode_plausible(file, err);
	if (!rc && !*cursor_at && cy == 0)
		rc = cursor_open(file, PNG_HELPED, cursor_at, err);
	if (rc)
		return rc;
	if (!*cursor_at || (*cursor_at)->row != row || (*cursor_at)->err.code)
		return err_set(err, -EINVAL, "rows of a PNG are decoded in their order");
	rc = band_read(*cursor_at, row_end, dst);
	if (rc && png_stream_is_quick((*cursor_at)->stream)) {
		rc = cursor_replace(cursor_at, row, err);
		if (!rc)
			rc = band_read(*cursor_at, row_end, dst);
	}
	if (*cursor_at)
		err_copy(err, &(*cursor_at)->err);
	return rc;
}

int png_decode(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy,
	       void *dst, struct err *err)
{
	const struct png_file *file = (const struct png_file *)image;
	const struct codec_part *only = image->header.parts;
	if (part != 0 || level != 0 || cx != 0 || cy >= only->levels[0].nchunks_y)
		return err_set(err, -EINVAL, "a PNG has no such chunk");
	if (only->unsupported)
		return err_set(err, -EOPNOTSUPP, "%s", only->unsupported);
	return file->interlaced ? decode_whole(file, dst, row_bytes(file), err) : decode_band(file, cursor, cy, dst, err);
}

int png_decode_check(const struct png_file *file, struct err *err)
{
	uint8_t *row = calloc(1, row_bytes(file));
	int rc = row ? decode_whole(file, row, 0, err) : err_set(err, -ENOMEM, "no memory for a row of pixels");
	free(row);
	return rc;
}
