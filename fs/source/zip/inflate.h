/* inflate.h - deflated data (RFC 1951) as bytes with random access. Knows nothing of archives.
 *
 * Small data is inflated whole at the first read and kept. Larger data is inflated forwards by a few streams at once, so
 * that several readers don't disturb each other, and copies of the decoder's state are kept on the way, evenly spaced, from
 * which a read behind all streams goes on. Memory is bounded whatever the size, and of all objects together (kept.h): who
 * wasn't read for long starts anew. Any number of threads may read.
 */
#ifndef PIXFS_INFLATE_H
#define PIXFS_INFLATE_H

#include "codecs/core/bytes.h"

/* Data up to this size is kept inflated. */
enum { INFLATE_WHOLE_BYTES = 4 << 20 };

/* packed: the deflated data, of which a reference is taken; size_bytes: what it must yield, no more and no less. Reads
 * nothing yet. 0 or -ENOMEM. Reads of the result fail with -EIO where the data is damaged or yields another size. */
int inflate_open(struct bytes *packed, uint64_t size_bytes, struct bytes **ret_bytes, struct err *err);

/* What an object made by inflate_open() occupies now. Waits for a read under way. */
uint64_t inflate_memory_bytes(struct bytes *bytes);

#endif
