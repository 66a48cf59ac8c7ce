/* unpack.h - packed data as bytes with random access. Knows nothing of archives.
 *
 * Small data is unpacked whole at the first read and kept. Larger data is unpacked forwards by a few streams, so that several
 * readers don't disturb each other; a read behind all streams goes on from a copy of a decoder's state that was kept on the way
 * (deflate, Deflate64), else from the start (the methods whose decoders can't be copied).
 *
 * What that costs is bounded by the data, not by the order of the reads: what a decoder that can't be copied makes is kept, in
 * segments, as far as the share of memory reaches, and so is what the others make once they made much for nothing. Several pieces
 * that are read together are read in the order in which they lie.
 *
 * Memory is bounded whatever the size, and of all objects together (kept.h): who wasn't read for long starts anew. Any number of
 * threads may read. A read ends with -EINTR soon after its thread's patience (patience.h) is over.
 */
#ifndef PIXFS_UNPACK_H
#define PIXFS_UNPACK_H

#include "codecs/core/bytes.h"
#include "decoder.h"

/* Data up to this size is kept whole. */
enum { UNPACK_WHOLE_BYTES = 4 << 20 };

/* packed: the packed data, of which a reference is taken; size_bytes: what it must yield, no more and no less. Reads nothing yet.
 * 0 or -ENOMEM. Reads of the result fail with -EIO where the data is damaged or yields another size, with -EFBIG where its
 * decoder would want more memory than the budget allows. */
int unpack_open(const struct decoder_class *class, struct bytes *packed, uint64_t size_bytes, bool has_mark,
		struct bytes **ret_bytes, struct err *err);

/* What an object made by unpack_open() occupies now, and how many bytes its decoders have made in all. Waits for a read under
 * way. */
uint64_t unpack_memory_bytes(struct bytes *bytes);
uint64_t unpack_made_bytes(struct bytes *bytes);

#endif
