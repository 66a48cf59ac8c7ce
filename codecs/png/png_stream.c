/* png_stream.c - the datastream that libpng reads: IHDR, PLTE where the samples are indices, IDATs, IEND. So libpng meets no
 * ancillary chunk and no CRC (ours are verified before, faster). There are two ways to make the IDATs:
 *
 *	quick	the image data inflated by png_inflate.c, in stored blocks (RFC 1951, 3.2.4): zlib, in which libpng would spend most
 *		of its time, only copies
 *	plain	the image data as they are
 *
 * The quick way fails without words wherever something isn't as it should be; see png_decode.c. */
#include "png_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ZLIB_START_BYTES = 2, /* RFC 1950: before the data, */
	ZLIB_END_BYTES = 4,   /* and behind them the Adler-32 */
	STORED_BYTES = 5,     /* RFC 1951: before a stored block */
	BLOCK_BYTES = PNG_READ_BYTES - ZLIB_START_BYTES - STORED_BYTES - ZLIB_END_BYTES,
	BOUNDS_BYTES = 12, /* what a chunk has around its data */
	/* IHDR, PLTE, the start of the first IDAT and of a stream in it */
	PREFIX_BYTES = 3 * BOUNDS_BYTES + PNG_IHDR_BYTES + 3 * 256 + ZLIB_START_BYTES + STORED_BYTES,
	QUICK_MAX_BYTES = 0xf0000000, /* ISA-L counts in 32 bits, and somewhat ahead of what it hands out */
};

struct png_stream {
	const struct png_file *file;
	struct png_idat *idat;
	struct png_ahead *ahead; /* NULL: the plain way */
	uint64_t left_bytes;     /* image data, packed or inflated, not yet in a chunk */
	uint32_t chunk_bytes;    /* of these, left in the chunk under way */
	size_t small_at, small_end;
	uint8_t small[PREFIX_BYTES]; /* what is around the data, from small_at to small_end still to be read */
};

static void put_bytes(struct png_stream *stream, const void *data, size_t len_bytes)
{
	memcpy(stream->small + stream->small_end, data, len_bytes);
	stream->small_end += len_bytes;
}

static void put_chunk_start(struct png_stream *stream, uint32_t len_bytes, const char *type)
{
	uint8_t start[8];
	png_put32(start, len_bytes);
	memcpy(start + 4, type, 4);
	put_bytes(stream, start, sizeof start);
}

static void put_crc(struct png_stream *stream)
{
	put_bytes(stream, "\0\0\0\0", 4); /* nobody looks at it */
}

static void put_prefix(struct png_stream *stream)
{
	const struct png_file *file = stream->file;
	const struct codec_part *part = file->image.header.parts;
	uint8_t ihdr[PNG_IHDR_BYTES] = {0};
	png_put32(ihdr, file->width);
	png_put32(ihdr + 4, file->height);
	ihdr[8] = file->depth;
	ihdr[9] = file->color_type;
	ihdr[12] = file->interlaced;
	put_chunk_start(stream, sizeof ihdr, "IHDR");
	put_bytes(stream, ihdr, sizeof ihdr);
	put_crc(stream);
	if (file->color_type != PNG_PALETTE)
		return;
	uint32_t npalette = part->npalette < 1u << file->depth ? part->npalette : 1u << file->depth;
	put_chunk_start(stream, npalette * 3, "PLTE");
	for (uint32_t i = 0; i < npalette; i++)
		put_bytes(stream, part->palette[i], 3);
	put_crc(stream);
}

/* The bounds of chunks that hold the image data as they are. */
static void put_plain_bounds(struct png_stream *stream)
{
	stream->chunk_bytes = stream->left_bytes > INT32_MAX ? INT32_MAX : (uint32_t)stream->left_bytes;
	put_chunk_start(stream, stream->chunk_bytes, stream->chunk_bytes ? "IDAT" : "IEND");
}

/* The bounds of chunks that hold one stored block each: RFC 1950, 2.2 and RFC 1951, 3.2.4. */
static void put_stored_bounds(struct png_stream *stream, bool first)
{
	static const uint8_t start[ZLIB_START_BYTES] = {0x78, 0x01};
	uint32_t n = stream->left_bytes > BLOCK_BYTES ? BLOCK_BYTES : (uint32_t)stream->left_bytes;
	bool last = n == stream->left_bytes;
	stream->chunk_bytes = n;
	if (!n) {
		put_chunk_start(stream, 0, "IEND");
		return;
	}
	put_chunk_start(stream, n + STORED_BYTES + (first ? (uint32_t)ZLIB_START_BYTES : 0) + (last ? (uint32_t)ZLIB_END_BYTES : 0),
			"IDAT");
	if (first)
		put_bytes(stream, start, sizeof start);
	const uint8_t block[STORED_BYTES] = {last, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
	put_bytes(stream, block, sizeof block);
}

/* Behind the last stored block: not every libpng can be kept from looking at it. So it must be known when the last piece is read,
 * which may be some rows before the last one. */
static int put_adler(struct png_stream *stream, struct err *err)
{
	uint8_t end[ZLIB_END_BYTES];
	uint32_t adler;
	if (!png_ahead_finish(stream->ahead, &adler))
		return err_set(err, -EIO, "the image data don't end well");
	png_put32(end, adler);
	put_bytes(stream, end, sizeof end);
	return 0;
}

static void put_start(struct png_stream *stream, bool first)
{
	if (stream->ahead)
		put_stored_bounds(stream, first);
	else
		put_plain_bounds(stream);
	stream->left_bytes -= stream->chunk_bytes;
}

/* The end of the chunk under way, the start of the next one. */
static int put_bounds(struct png_stream *stream, struct err *err)
{
	stream->small_at = stream->small_end = 0;
	int rc = stream->ahead && !stream->left_bytes ? put_adler(stream, err) : 0;
	if (rc)
		return rc;
	put_crc(stream);
	put_start(stream, false);
	return 0;
}

static int data_read(struct png_stream *stream, uint8_t *dst, uint32_t len_bytes, struct err *err)
{
	if (!stream->ahead)
		return png_idat_read(stream->idat, dst, len_bytes, err);
	if (!png_ahead_read(stream->ahead, dst, len_bytes))
		return err_set(err, -EIO, "the image data are not what they should be");
	return 0;
}

int png_stream_read(struct png_stream *stream, uint8_t *dst, size_t len_bytes, struct err *err)
{
	while (len_bytes) {
		size_t n = stream->small_end - stream->small_at;
		if (n) {
			n = n < len_bytes ? n : len_bytes;
			memcpy(dst, stream->small + stream->small_at, n);
			stream->small_at += n;
		} else if (stream->chunk_bytes) {
			n = stream->chunk_bytes < len_bytes ? stream->chunk_bytes : len_bytes;
			int rc = data_read(stream, dst, (uint32_t)n, err);
			if (rc)
				return rc;
			stream->chunk_bytes -= (uint32_t)n;
		} else {
			int rc = put_bounds(stream, err);
			if (rc)
				return rc;
		}
		dst += n;
		len_bytes -= n;
	}
	return 0;
}

int png_stream_finish(struct png_stream *stream, struct err *err)
{
	uint32_t adler;
	if (stream->ahead && !png_ahead_finish(stream->ahead, &adler))
		return err_set(err, -EIO, "the image data don't end well");
	return png_idat_finish(stream->idat, err);
}

bool png_stream_is_quick(const struct png_stream *stream)
{
	return stream->ahead;
}

int png_stream_open(const struct png_file *file, enum png_way way, struct png_stream **ret_stream, struct err *err)
{
	struct png_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return err_set(err, -ENOMEM, "no memory for a PNG decoder");
	int rc = png_idat_open(file, &stream->idat, err);
	if (rc) {
		free(stream);
		return rc;
	}
	uint64_t inflated_bytes = png_inflate_bytes(file);
	stream->file = file;
	if (way != PNG_PLAIN && inflated_bytes <= QUICK_MAX_BYTES)
		stream->ahead = png_ahead_open(file, stream->idat, way == PNG_HELPED);
	stream->left_bytes = stream->ahead ? inflated_bytes : file->idat_bytes;
	put_prefix(stream);
	put_start(stream, true);
	*ret_stream = stream;
	return 0;
}

void png_stream_free(struct png_stream *stream)
{
	if (!stream)
		return;
	png_ahead_free(stream->ahead);
	png_idat_free(stream->idat);
	free(stream);
}
