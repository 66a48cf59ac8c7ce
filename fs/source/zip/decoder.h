/* decoder.h - the methods by which an entry can be packed, each a decoder behind one interface: packed bytes in, bytes out.
 *
 * A decoder goes forwards only and knows nothing of archives, offsets or caches. It may be stopped between any two bytes of its
 * input or output. For one thread at a time.
 *
 *   deflate     decoder_deflate.c    zlib, and for small data libdeflate
 *   Deflate64   decoder_deflate64.c  ours
 *   bzip2       decoder_bzip2.c      libbz2
 *   LZMA, xz    decoder_lzma.c       liblzma
 *   Zstandard   decoder_zstd.c       libzstd
 */
#ifndef PIXFS_DECODER_H
#define PIXFS_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/err.h"

/* What is known of the data beforehand. */
struct decoder_spec {
	uint64_t size_bytes;  /* that it must yield */
	uint64_t limit_bytes; /* a decoder that would touch more memory is -EFBIG */
	bool has_mark;        /* LZMA: the data ends with a mark (APPNOTE 4.4.4, bit 1) */
};

struct decoder {
	const struct decoder_class *class;
	uint64_t memory_bytes; /* what it occupies, also in what libraries allocated */
};

/* Both pointers move on by what was used and made. */
struct decoder_io {
	const uint8_t *in;
	size_t in_bytes;
	uint8_t *out;
	size_t out_bytes;
};

struct decoder_class {
	const char *name;  /* for words: "the %s data" */
	bool concatenates; /* the data may be several streams behind each other: step goes on after an end */
	/* 0, -ENOMEM, -EFBIG. */
	int (*open)(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err);
	/* Uses input and makes output until one of the two is used up. 1: the data ended; 0: it goes on; -EIO with words about what
	 * is wrong, which its caller puts a place to; -ENOMEM, -EFBIG. What was made before a failure is right. */
	int (*step)(struct decoder *decoder, struct decoder_io *io, struct err *err);
	/* One that goes on from the same place, without the input that wasn't used yet; NULL: no memory. NULL where decoders of
	 * this method can't be copied. */
	struct decoder *(*copy)(const struct decoder *decoder);
	size_t copy_bytes; /* what a copy occupies */
	void (*close)(struct decoder *decoder);
	/* All of the data at once, where that is faster than by steps; else NULL. 0, -EIO with words, -ENOMEM. */
	int (*whole)(const uint8_t *packed, size_t packed_bytes, uint8_t *dst, size_t len_bytes, struct err *err);
};

extern const struct decoder_class decoder_deflate, decoder_deflate64, decoder_bzip2, decoder_lzma, decoder_xz, decoder_zstd;

/* By the number of APPNOTE 4.4.5. NULL: not known, or nothing to decode. */
const struct decoder_class *decoder_of_method(uint16_t method);
/* The method's name for words; "unknown". */
const char *decoder_method_name(uint16_t method);

#endif
