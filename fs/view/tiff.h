/* tiff.h - the header of an uncompressed TIFF: everything before the samples, which then lie behind it in one piece.
 *
 * TIFF 6.0 (Adobe, 1992), little-endian, one directory, one strip (one for each plane where planar); BigTIFF (version 43)
 * where the file is larger than 4 GiB. The samples start at a multiple of 16. */
#ifndef PIXFS_TIFF_H
#define PIXFS_TIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/codec.h"

enum tiff_photometric { TIFF_GRAY = 1, TIFF_RGB = 2, TIFF_CMYK = 5 };

struct tiff {
	uint32_t width, height, channels;
	enum sample_type type;
	enum tiff_photometric photometric; /* its 1, 3 or 4 channels come first */
	bool planar;                       /* (c, y, x), else (y, x, c) */
	uint32_t alpha;                    /* index of the alpha channel, 0: none */
	bool premultiplied;                /* what alpha means */
};

/* Bytes of the header. */
size_t tiff_header_bytes(const struct tiff *tiff);

/* Fills header, which has tiff_header_bytes() bytes. */
void tiff_header(const struct tiff *tiff, unsigned char *header);

#endif
