/* png_out.c - see png_out.h.
 *
 * The file is a row of pieces of known length: the signature with IHDR (and sRGB), then for each block an IDAT chunk, then
 * IEND. png_out_read() makes the pieces that the range touches and copies what it asks for of them.
 *
 * A remembered sum is adler32 << 1 | 1 of the block alone; 0 says that it isn't known. */
#include "png_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

enum {
	BLOCK_BYTES = 65535, /* the most that a stored block holds, RFC 1951, 3.2.4 */
	CHUNK_BYTES = 12,    /* length, type, CRC */
	STORED_BYTES = 5,
	ZLIB_HEAD_BYTES = 2,
	ZLIB_TAIL_BYTES = 4,
	SIGNATURE_BYTES = 8,
	IHDR_BYTES = 13,
	MAX_PIECE_BYTES = BLOCK_BYTES + CHUNK_BYTES + STORED_BYTES + ZLIB_HEAD_BYTES + ZLIB_TAIL_BYTES,
};

static uint64_t row_bytes(const struct png_out *png)
{
	return (uint64_t)png->width * png->channels;
}

/* Bytes of all rows, each behind its filter byte. */
static uint64_t raw_bytes(const struct png_out *png)
{
	return (row_bytes(png) + 1) * png->height;
}

uint64_t png_out_blocks(const struct png_out *png)
{
	return (raw_bytes(png) - 1) / BLOCK_BYTES + 1;
}

static size_t head_bytes(const struct png_out *png)
{
	return SIGNATURE_BYTES + CHUNK_BYTES + IHDR_BYTES + (png->srgb ? CHUNK_BYTES + 1 : 0);
}

/* Bytes of the chunk that holds block b. */
static size_t block_chunk_bytes(const struct png_out *png, uint64_t b)
{
	bool last = b + 1 == png_out_blocks(png);
	size_t raw = last ? (size_t)(raw_bytes(png) - b * BLOCK_BYTES) : BLOCK_BYTES;
	return CHUNK_BYTES + STORED_BYTES + raw + (b == 0 ? ZLIB_HEAD_BYTES : 0) + (last ? ZLIB_TAIL_BYTES : 0);
}

/* Where the chunk of block b starts. */
static uint64_t block_chunk_offset(const struct png_out *png, uint64_t b)
{
	return head_bytes(png) + b * (CHUNK_BYTES + STORED_BYTES + BLOCK_BYTES) + (b ? ZLIB_HEAD_BYTES : 0);
}

static uint64_t end_offset(const struct png_out *png)
{
	uint64_t last = png_out_blocks(png) - 1;
	return block_chunk_offset(png, last) + block_chunk_bytes(png, last);
}

uint64_t png_out_bytes(const struct png_out *png)
{
	return end_offset(png) + CHUNK_BYTES;
}

/* ---- chunks ---- */

static void put_u32(unsigned char *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* Closes a chunk whose data lies at chunk + 8; returns its length. */
static size_t finish_chunk(unsigned char *chunk, const char *type, size_t len_bytes)
{
	put_u32(chunk, (uint32_t)len_bytes);
	memcpy(chunk + 4, type, 4);
	put_u32(chunk + 8 + len_bytes, libdeflate_crc32(0, chunk + 4, len_bytes + 4));
	return len_bytes + CHUNK_BYTES;
}

static size_t make_head(const struct png_out *png, unsigned char *at)
{
	static const unsigned char signature[SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	static const unsigned char colour_types[] = {0, 0, 4, 2, 6};
	size_t len = SIGNATURE_BYTES;
	memcpy(at, signature, SIGNATURE_BYTES);
	unsigned char *ihdr = at + len + 8;
	memset(ihdr, 0, IHDR_BYTES);
	put_u32(ihdr, png->width);
	put_u32(ihdr + 4, png->height);
	ihdr[8] = 8;
	ihdr[9] = colour_types[png->channels];
	len += finish_chunk(at + len, "IHDR", IHDR_BYTES);
	if (png->srgb) {
		at[len + 8] = 0; /* perceptual */
		len += finish_chunk(at + len, "sRGB", 1);
	}
	return len;
}

/* ---- blocks ---- */

struct fetcher {
	png_out_fetch fetch;
	void *context;
};

/* Raw bytes [start, end): the rows' samples, a filter byte of 0 (none) before each row. */
static int make_raw(const struct png_out *png, uint64_t start, uint64_t end, unsigned char *dst, const struct fetcher *fetcher)
{
	uint64_t row = row_bytes(png);
	/* samples are fetched all at once to the end of dst, then spread from the front */
	uint64_t first = start - (start + row) / (row + 1), last = end - (end + row) / (row + 1);
	unsigned char *samples = dst + (end - start) - (last - first);
	int rc = last > first ? fetcher->fetch(fetcher->context, first, (size_t)(last - first), samples) : 0;
	for (uint64_t at = start; !rc && at < end;) {
		uint64_t within = at % (row + 1);
		if (within == 0) {
			*dst++ = 0;
			at++;
			continue;
		}
		uint64_t n = row + 1 - within < end - at ? row + 1 - within : end - at;
		memmove(dst, samples, (size_t)n);
		dst += n;
		samples += n;
		at += n;
	}
	return rc;
}

/* Block b's raw bytes to dst; remembers their sum. */
static int make_block(const struct png_out *png, uint64_t b, unsigned char *dst, const struct fetcher *fetcher)
{
	uint64_t start = b * BLOCK_BYTES, end = b + 1 == png_out_blocks(png) ? raw_bytes(png) : start + BLOCK_BYTES;
	int rc = make_raw(png, start, end, dst, fetcher);
	if (!rc)
		atomic_store_explicit(&png->sums[b], (uint64_t)libdeflate_adler32(1, dst, (size_t)(end - start)) << 1 | 1,
				      memory_order_relaxed);
	return rc;
}

/* The sum of the bytes of two sums behind each other, the second of len bytes: RFC 1950, 8.2. */
static uint32_t adler_append(uint32_t first, uint32_t second, uint64_t len)
{
	const uint64_t base = 65521;
	uint64_t a1 = first & 0xffff, b1 = first >> 16, a2 = second & 0xffff, b2 = second >> 16;
	uint64_t a = (a1 + a2 + base - 1) % base;
	uint64_t b = (b1 + b2 + len % base * ((a1 + base - 1) % base)) % base;
	return (uint32_t)(b << 16 | a);
}

/* The sum of all raw bytes; blocks that nobody has read yet are made in spare memory. */
static int sum_all(const struct png_out *png, uint32_t *ret_sum, const struct fetcher *fetcher)
{
	uint32_t sum = 1;
	unsigned char *spare = malloc(BLOCK_BYTES);
	int rc = spare ? 0 : -ENOMEM;
	for (uint64_t b = 0; !rc && b < png_out_blocks(png); b++) {
		uint64_t len = raw_bytes(png) - b * BLOCK_BYTES;
		if (!atomic_load_explicit(&png->sums[b], memory_order_relaxed))
			rc = make_block(png, b, spare, fetcher);
		uint32_t own = (uint32_t)(atomic_load_explicit(&png->sums[b], memory_order_relaxed) >> 1);
		sum = adler_append(sum, own, len < BLOCK_BYTES ? len : BLOCK_BYTES);
	}
	free(spare);
	if (!rc)
		*ret_sum = sum;
	return rc;
}

/* The IDAT chunk of block b; its last bytes are only right where with_sum. */
static int make_block_chunk(const struct png_out *png, uint64_t b, bool with_sum, unsigned char *chunk,
			    const struct fetcher *fetcher)
{
	bool last = b + 1 == png_out_blocks(png);
	size_t raw = last ? (size_t)(raw_bytes(png) - b * BLOCK_BYTES) : BLOCK_BYTES;
	unsigned char *at = chunk + 8;
	if (b == 0) { /* RFC 1950: deflate, a 32 KiB window, fastest; a multiple of 31 */
		*at++ = 0x78;
		*at++ = 0x01;
	}
	*at++ = last;
	*at++ = (unsigned char)raw;
	*at++ = (unsigned char)(raw >> 8);
	*at++ = (unsigned char)~raw;
	*at++ = (unsigned char)(~raw >> 8);
	int rc = make_block(png, b, at, fetcher);
	at += raw;
	if (!rc && last) {
		uint32_t sum = 0;
		rc = with_sum ? sum_all(png, &sum, fetcher) : 0;
		put_u32(at, sum);
		at += ZLIB_TAIL_BYTES;
	}
	if (!rc)
		finish_chunk(chunk, "IDAT", (size_t)(at - chunk - 8));
	return rc;
}

/* ---- reading ---- */

/* The part of piece (len bytes at offset from of the file) that lies in [start, end) goes to dst, which stands for start. */
static void copy_overlap(const unsigned char *piece, uint64_t from, uint64_t len, uint64_t start, uint64_t end, unsigned char *dst)
{
	uint64_t a = from > start ? from : start, b = from + len < end ? from + len : end;
	if (a < b)
		memcpy(dst + (a - start), piece + (a - from), (size_t)(b - a));
}

int png_out_read(const struct png_out *png, uint64_t offset, size_t len_bytes, unsigned char *dst, png_out_fetch fetch,
		 void *context)
{
	const struct fetcher fetcher = {fetch, context};
	uint64_t end = offset + len_bytes, nblocks = png_out_blocks(png), data_end = end_offset(png);
	unsigned char *piece = malloc(MAX_PIECE_BYTES);
	int rc = piece ? 0 : -ENOMEM;
	if (!rc && offset < head_bytes(png))
		copy_overlap(piece, 0, make_head(png, piece), offset, end, dst);
	uint64_t after = offset > head_bytes(png) ? offset - head_bytes(png) : 0;
	/* the first block that may reach into the range: chunks are at most ZLIB_HEAD_BYTES later than their even spacing */
	uint64_t b = after / (CHUNK_BYTES + STORED_BYTES + BLOCK_BYTES);
	for (b -= b != 0; !rc && b < nblocks && block_chunk_offset(png, b) < end; b++) {
		uint64_t start = block_chunk_offset(png, b), len = block_chunk_bytes(png, b);
		if (start + len <= offset)
			continue;
		rc = make_block_chunk(png, b, end > data_end - ZLIB_TAIL_BYTES - 4, piece, &fetcher);
		if (!rc)
			copy_overlap(piece, start, len, offset, end, dst);
	}
	if (!rc && end > data_end) {
		finish_chunk(piece, "IEND", 0);
		copy_overlap(piece, data_end, CHUNK_BYTES, offset, end, dst);
	}
	free(piece);
	return rc;
}
