/* arena.c - see arena.h. Small requests share a block; a large one gets a block of its own. */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Most headers are small, and many are known at once: a block is as large as all before it, between these two. */
enum { FIRST_BYTES = 1024, BLOCK_BYTES = 4096 };

struct arena_block {
	struct arena_block *next;
	size_t used_bytes, size_bytes;
	alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
	*arena = (struct arena){.limit_bytes = limit_bytes};
}

void arena_free(struct arena *arena)
{
	for (struct arena_block *block = arena->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	arena->blocks = NULL;
	arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	size_t want;
	const size_t align = alignof(max_align_t);
	if (__builtin_mul_overflow(count, size, &want) || want > SIZE_MAX / 2)
		return NULL;
	want = (want + align - 1) / align * align;
	if (arena->used_bytes > arena->limit_bytes || want > arena->limit_bytes - arena->used_bytes)
		return NULL;
	struct arena_block *block = arena->blocks;
	if (!block || block->size_bytes - block->used_bytes < want) {
		size_t used = arena->used_bytes;
		size_t room = used < FIRST_BYTES ? FIRST_BYTES : used < BLOCK_BYTES ? used : BLOCK_BYTES;
		size_t size_bytes = want > room ? want : room;
		block = calloc(1, sizeof *block + size_bytes);
		if (!block) {
			arena->out_of_memory = true;
			return NULL;
		}
		block->size_bytes = size_bytes;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *result = block->data + block->used_bytes;
	block->used_bytes += want;
	arena->used_bytes += want;
	return result;
}

void *arena_copy(struct arena *arena, const void *data, size_t len_bytes)
{
	if (len_bytes == SIZE_MAX)
		return NULL;
	unsigned char *copy = arena_alloc(arena, len_bytes + 1, 1);
	if (copy && len_bytes)
		memcpy(copy, data, len_bytes);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_copy(arena, text, strlen(text));
}
