/* arena.h - the memory of one parsed header: allocated piece by piece, capped in all, freed at once.
 * Not safe for concurrent use; a header is built by one thread and frozen before others see it. */
#ifndef PIXFS_ARENA_H
#define PIXFS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena {
	struct arena_block *blocks;
	size_t used_bytes, limit_bytes;
	bool out_of_memory; /* a NULL was for want of memory, not because of the limit */
};

void arena_init(struct arena *arena, size_t limit_bytes);
void arena_free(struct arena *arena); /* everything; the arena may be used again after arena_init */

/* Zeroed memory for count objects of size bytes each, aligned for any type; NULL where the product overflows, the limit
 * is passed or memory is out. A zero-sized request gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy with a NUL behind it; data may hold any bytes. NULL as arena_alloc. */
void *arena_copy(struct arena *arena, const void *data, size_t len_bytes);
char *arena_strdup(struct arena *arena, const char *text);

#endif
