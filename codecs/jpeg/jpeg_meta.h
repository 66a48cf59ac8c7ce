/* jpeg_meta.h - the application segments (APPn, COM) of a JPEG as attributes and blobs: EXIF, XMP, ICC, Photoshop, comments.
 * Knows nothing of libjpeg: jpeg.c hands it each segment's payload in file order. Damage in here never fails an image, it
 * is a warning. What is kept until the end is bounded by the limit; what doesn't fit is dropped with a warning. */
#ifndef PIXFS_JPEG_META_H
#define PIXFS_JPEG_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/arena.h"
#include "codecs/facts/exif.h"
#include "codecs/core/header.h"

/* One segment of a group that is put together at the end. */
struct jpeg_piece {
	struct jpeg_piece *next;
	uint32_t place; /* ICC: sequence number; extended XMP: offset; else the count so far */
	uint32_t total; /* ICC: number of pieces; extended XMP: full length */
	size_t len_bytes;
	const uint8_t *data;
};

struct jpeg_pieces {
	struct jpeg_piece *first, **tail;
	size_t count, len_bytes;
};

struct jpeg_meta {
	struct header_builder *builder;
	struct arena scratch; /* the pieces; not the image's memory */
	struct jpeg_pieces exif, xmp, xmp_extended, icc, photoshop, comments, applications;
	size_t ndropped;
};

/* What the segments say that is more than an attribute. */
struct jpeg_facts {
	struct exif exif;
	bool has_icc, has_bad_icc; /* a whole profile; only pieces that don't make one */
};

void jpeg_meta_init(struct jpeg_meta *meta, struct header_builder *builder, size_t limit_bytes);
void jpeg_meta_free(struct jpeg_meta *meta);

/* One segment: marker 0xe0..0xef or 0xfe, the payload behind the length. Copies what it needs. */
void jpeg_meta_segment(struct jpeg_meta *meta, int marker, const uint8_t *data, size_t len_bytes);

/* After the last: appends attributes (groups "exif", "jpeg") and blobs to the builder. */
void jpeg_meta_finish(struct jpeg_meta *meta, struct jpeg_facts *ret_facts);

#endif
