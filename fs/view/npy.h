/* npy.h - the header of a .npy file, version 1.0, always 128 bytes.
 * Format: numpy/lib/format.py: magic "\x93NUMPY", version, little-endian u16 header length, a Python dict literal padded
 * with blanks and ended by a newline so that the data starts at a multiple of 64. */
#ifndef PIXFS_NPY_H
#define PIXFS_NPY_H

#include <stdint.h>

#include "codecs/core/codec.h"

enum { NPY_HEADER_BYTES = 128 };

/* numpy's name of the type: "|u1" "<u2" "<u4" "<f2" "<f4". */
const char *npy_descr(enum sample_type dtype);

/* Fills header for a C-order, little-endian array of 1 to 4 dimensions. */
void npy_header(enum sample_type dtype, uint32_t ndim, const uint64_t *shape, unsigned char header[NPY_HEADER_BYTES]);

#endif
