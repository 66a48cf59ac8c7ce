/* segments.h - pieces of unpacked data that are kept, of one size each and the longest unused leaving first. For one thread at a
 * time. */
#ifndef PIXFS_SEGMENTS_H
#define PIXFS_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

enum { SEGMENT_BYTES = 256 << 10 };

struct segment {
	struct segment *newer, *older;
	uint64_t number;   /* holds the bytes from number * SEGMENT_BYTES */
	size_t have_bytes; /* from its start: fewer where the data ends, or is damaged */
	uint8_t data[SEGMENT_BYTES];
};

/* All of one object. Zeroed: none. */
struct segments {
	struct segment **table; /* by number; NULL until there is one */
	uint64_t size_bytes;    /* of the data */
	uint32_t count;         /* that are held */
	struct segment *newest, *oldest;
};

uint64_t segments_memory_bytes(const struct segments *segments);

/* The segment, which becomes the newest; NULL where it isn't held. */
struct segment *segments_find(struct segments *segments, uint64_t number);

/* A new segment of that number, empty, in the place of the oldest where otherwise all would occupy more than limit_bytes.
 * size_bytes: of the data. NULL: no memory. */
struct segment *segments_add(struct segments *segments, uint64_t size_bytes, uint64_t number, uint64_t limit_bytes);

void segments_free(struct segments *segments);

#endif
