/* exr_imf.h - decoding one chunk by the OpenEXR C++ library: see exr_imf.cpp. */
#ifndef PIXFS_EXR_IMF_H
#define PIXFS_EXR_IMF_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "codecs/core/err.h"

/* Where one channel's samples go. */
struct exr_imf_slice {
	const char *name;
	int type;   /* of the chlist: 0 UINT, 1 HALF, 2 FLOAT */
	char *base; /* where the sample of pixel (0, 0) would be; only those of the rows asked for are written */
	size_t xstride, ystride;
	int xsampling, ysampling;
};

/* Decodes rows first to last, or the only tile, of the OpenEXR file in memory, into the slices (one for each channel of the
 * file, in its order). Any thread; keeps nothing. 0, -EIO, -ENOMEM; no exception passes. */
int exr_imf_decode(const void *file, size_t len_bytes, int tiled, int first, int last, const struct exr_imf_slice *slices,
		   size_t nslices, struct err *err);

/* Undoes the Huffman coding of PIZ and DWA: exactly count values, or -EIO. */
int exr_imf_unhuffman(const void *packed, size_t packed_bytes, unsigned short *values, size_t count, struct err *err);

#ifdef __cplusplus
}
#endif

#endif
