/* ycc.h - chunks of a JPEG kept as the file has them: Y, Cb, Cr, the chroma with a sample for every 2x1 (4:2:2) or 2x2 (4:2:0)
 * pixels. That is two thirds or half of the memory that R, G, B takes, and RGB is made from it where it is read.
 *
 * The arithmetic is libjpeg's, bit for bit, with its fancy upsampling (a triangle filter, in integers) and T.871's matrix in 16
 * bits of fixed point:
 *
 *   across   even pixel (3 near + left + 1) >> 2, odd (3 near + right + 2) >> 2; at the edge near itself is its neighbour
 *   down     (4:2:0) the same with the sums 3 near + far of two rows for samples: (... + 8) >> 4 and (... + 7) >> 4; far is the
 *            row above for even rows, below for odd ones; at the edge near itself
 *   R = Y + ((91881 Cr + 32768) >> 16), B = Y + ((116130 Cb + 32768) >> 16), G = Y + ((32768 - 22554 Cb - 46802 Cr) >> 16)
 *   with 128 subtracted from Cb and Cr before, and clamped to 0..255
 *
 * A chunk has its rows of each plane, of 4:2:0 also the chroma row above and below it: so it needs no other chunk.
 */
#ifndef PIXFS_YCC_H
#define PIXFS_YCC_H

#include <stddef.h>
#include <stdint.h>

#include "codec.h"

enum { YCC_PLANES = 3, YCC_BLOCK = 8 };

/* Where a kept chunk has its planes: sample (i, row j) of the chunk at offset + j * row_bytes + i. The first row is the chunk's
 * own; rows -1 and `height` of 4:2:0 chroma are the neighbours'. There is room for whole iMCUs; what lies behind the picture's
 * right and bottom edge is undefined. */
struct ycc_layout {
	uint32_t y, rows; /* of the picture, that the chunk has */
	size_t len_bytes;
	struct ycc_plane {
		size_t offset, row_bytes;
		uint32_t width, height;
	} planes[YCC_PLANES];
};

/* For a part with a chroma_x. */
void ycc_layout(const struct codec_part *part, uint32_t cy, struct ycc_layout *ret_layout);

/* R, G, B of columns x to x + width of row y of the picture, which lies in the chunk. dst: 3 * width bytes. */
void ycc_row_to_rgb(const struct codec_part *part, const struct ycc_layout *layout, const uint8_t *kept, uint32_t x, uint32_t y,
		    uint32_t width, uint8_t *dst);

#endif
