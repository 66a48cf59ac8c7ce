/* png_out.h - a PNG whose size is known before its pixels: 8 bits a sample, deflate blocks that are only stored.
 *
 * PNG (W3C, third edition) over RFC 1950 and 1951. Each IDAT chunk holds one stored block of up to 65535 bytes of rows, so
 * that any range of the file is made from the blocks that it touches. Only the checksum at the end of the zlib stream
 * depends on all of them: each block's sum is remembered once it was made, and those still missing are made when the end
 * is read.
 */
#ifndef PIXFS_PNG_OUT_H
#define PIXFS_PNG_OUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct png_out {
	uint32_t width, height; /* at most 2^31 - 1 */
	unsigned channels;      /* 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA */
	bool srgb;              /* the values are sRGB: says so in an sRGB chunk */
	_Atomic uint64_t *sums; /* png_out_blocks() of them, 0 at first; shared by all readers */
};

uint64_t png_out_blocks(const struct png_out *png);
uint64_t png_out_bytes(const struct png_out *png); /* of the whole file */

/* Fetches samples [offset, offset + len_bytes) of the picture, (y, x, c), one byte each. 0 or a negative errno. */
typedef int (*png_out_fetch)(void *context, uint64_t offset, size_t len_bytes, unsigned char *dst);

/* Writes bytes [offset, offset + len_bytes) of the file. 0, -ENOMEM, or what fetch gave. */
int png_out_read(const struct png_out *png, uint64_t offset, size_t len_bytes, unsigned char *dst, png_out_fetch fetch,
		 void *context);

#endif
