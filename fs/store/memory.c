/* memory.c - see memory.h.
 *
 *   below SMALL_BYTES   malloc
 *   to LARGE_BYTES      a block of whole pages: a spare one, or the next of the current region; the pages of a fresh one are asked
 *                       for together, when it is handed out
 *   above               a mapping of its own, in huge pages; they come as they are touched
 *
 * A region is mapped where its address is a multiple of its size, so that what lies in it finds its head, which has the first
 * pages and tells each block's length. It is filled once from front to end, never in gaps, and unmapped when it is full and all
 * of it is freed. Invariant, under the lock: in_use is the sum of the blocks in use and the spare ones; of all others no page but
 * the head's is resident.
 */
#include "memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE_BYTES = 4096,
	ALIGN_BYTES = 64,
	SMALL_BYTES = 16 << 10,
	LARGE_BYTES = 4 << 20,
	HUGE_BYTES = 2 << 20,
	REGION_BYTES = 16 << 20,
	REGION_PAGES = REGION_BYTES / PAGE_BYTES,
	NSPARE = 32,
	SPARE_BYTES = 4 << 20,
	TRIM_BYTES = 64 << 20,
	TRIM_SMALL_BYTES = 16 << 20,
};

struct region {
	size_t end, in_use;            /* where the next bytes go; bytes of blocks that are in use or spare */
	uint16_t npages[REGION_PAGES]; /* of the block that starts at this page */
};

enum { HEAD_BYTES = (sizeof(struct region) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES };

static struct {
	pthread_mutex_t lock;
	struct region *current; /* where the next is taken from */
	void *spare[NSPARE];    /* freed blocks that still have their pages, the one freed last at the end */
	unsigned nspare;
	size_t spare_bytes;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static void *map_aligned(size_t len_bytes, size_t alignment, int advice)
{
	char *all = mmap(NULL, len_bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	char *data = (char *)round_up((uintptr_t)all, alignment);
	if (data > all)
		munmap(all, (size_t)(data - all));
	if (data < all + alignment)
		munmap(data + len_bytes, (size_t)(all + alignment - data));
	madvise(data, len_bytes, advice); /* otherwise it is slower, nothing else */
	return data;
}

static struct region *region_of(void *block)
{
	return (struct region *)((uintptr_t)block / REGION_BYTES * REGION_BYTES);
}

static uint16_t *npages_of(void *block)
{
	return &region_of(block)->npages[(uintptr_t)block % REGION_BYTES / PAGE_BYTES];
}

static size_t len_of(void *block)
{
	return (size_t)*npages_of(block) * PAGE_BYTES;
}

/* ---- spare blocks, under the lock ---- */

static void *spare_remove(unsigned i)
{
	void *block = memory.spare[i];
	memory.nspare--;
	memory.spare_bytes -= len_of(block);
	for (; i < memory.nspare; i++)
		memory.spare[i] = memory.spare[i + 1];
	return block;
}

/* The smallest that is large enough, but not much too large; of equal ones the last freed. */
static void *spare_take(size_t len_bytes)
{
	size_t best_bytes = len_bytes + len_bytes / 4 + 1;
	unsigned best = memory.nspare;
	for (unsigned i = memory.nspare; i-- > 0;) {
		size_t has_bytes = len_of(memory.spare[i]);
		if (has_bytes >= len_bytes && has_bytes < best_bytes) {
			best_bytes = has_bytes;
			best = i;
		}
	}
	return best < memory.nspare ? spare_remove(best) : NULL;
}

/* ---- regions ---- */

/* Under the lock. */
static struct region *region_with_room(size_t len_bytes)
{
	struct region *region = memory.current;
	if (region && REGION_BYTES - region->end >= len_bytes)
		return region;
	if (region && region->in_use == 0)
		munmap(region, REGION_BYTES);
	memory.current = map_aligned(REGION_BYTES, REGION_BYTES, MADV_NOHUGEPAGE);
	if (memory.current)
		memory.current->end = HEAD_BYTES;
	return memory.current;
}

/* Under the lock. */
static void *block_new(size_t len_bytes)
{
	struct region *region = region_with_room(len_bytes);
	if (!region)
		return NULL;
	void *block = (char *)region + region->end;
	region->end += len_bytes;
	region->in_use += len_bytes;
	*npages_of(block) = (uint16_t)(len_bytes / PAGE_BYTES);
	return block;
}

static void *block_alloc(size_t len_bytes, size_t *ret_charged_bytes)
{
	len_bytes = round_up(len_bytes, PAGE_BYTES);
	pthread_mutex_lock(&memory.lock);
	void *block = spare_take(len_bytes), *fresh = block ? NULL : block_new(len_bytes);
	pthread_mutex_unlock(&memory.lock);
	if (fresh)
		madvise(fresh, len_bytes, MADV_POPULATE_WRITE); /* Linux 5.14; without it they come one by one */
	block = block ? block : fresh;
	*ret_charged_bytes = block ? len_of(block) : 0;
	return block;
}

/* Gives the pages of a block back that nobody knows any more. */
static void block_return(void *block)
{
	struct region *region = region_of(block);
	size_t len_bytes = len_of(block);
	madvise(block, len_bytes, MADV_DONTNEED);
	pthread_mutex_lock(&memory.lock);
	region->in_use -= len_bytes;
	if (region->in_use == 0 && region == memory.current)
		region->end = HEAD_BYTES; /* filled anew */
	else if (region->in_use == 0)
		munmap(region, REGION_BYTES);
	pthread_mutex_unlock(&memory.lock);
}

static size_t block_free(void *block)
{
	void *leaving[NSPARE];
	unsigned nleaving = 0;
	size_t len_bytes = len_of(block);
	pthread_mutex_lock(&memory.lock);
	while (memory.nspare == NSPARE || (memory.nspare && memory.spare_bytes + len_bytes > SPARE_BYTES))
		leaving[nleaving++] = spare_remove(0);
	memory.spare[memory.nspare++] = block;
	memory.spare_bytes += len_bytes;
	pthread_mutex_unlock(&memory.lock);
	while (nleaving)
		block_return(leaving[--nleaving]);
	return len_bytes;
}

void memory_give_back(void)
{
	void *leaving[NSPARE];
	unsigned nleaving = 0;
	pthread_mutex_lock(&memory.lock);
	while (memory.nspare)
		leaving[nleaving++] = spare_remove(memory.nspare - 1);
	pthread_mutex_unlock(&memory.lock);
	while (nleaving)
		block_return(leaving[--nleaving]);
	malloc_trim(0);
}

/* ---- the choice ---- */

/* Of malloc: its own 8 bytes, in steps of 16; an aligned block leaves gaps of about its alignment. */
static size_t small_cost_bytes(size_t len_bytes)
{
	if (len_bytes >= ALIGN_BYTES)
		return round_up(len_bytes, ALIGN_BYTES) + ALIGN_BYTES;
	return len_bytes <= 24 ? 32 : round_up(len_bytes + 8, 16);
}

size_t memory_cost_bytes(size_t len_bytes)
{
	return len_bytes < SMALL_BYTES ? small_cost_bytes(len_bytes) : round_up(len_bytes, PAGE_BYTES);
}

static void *small_alloc(size_t len_bytes)
{
	return len_bytes < ALIGN_BYTES ? malloc(len_bytes ? len_bytes : 1)
				       : aligned_alloc(ALIGN_BYTES, round_up(len_bytes, ALIGN_BYTES));
}

void *memory_alloc(size_t len_bytes, size_t *ret_charged_bytes)
{
	if (len_bytes >= SMALL_BYTES && len_bytes <= LARGE_BYTES)
		return block_alloc(len_bytes, ret_charged_bytes);
	*ret_charged_bytes = memory_cost_bytes(len_bytes);
	return len_bytes < SMALL_BYTES ? small_alloc(len_bytes)
				       : map_aligned(round_up(len_bytes, PAGE_BYTES), HUGE_BYTES, MADV_HUGEPAGE);
}

/* Samples that are freed were decoded: what decoders had of malloc meanwhile lies between other things, where only this gives
 * its pages back. */
static void trim_now_and_then(atomic_size_t *freed, size_t freed_bytes, size_t each_bytes)
{
	size_t before = atomic_fetch_add_explicit(freed, freed_bytes, memory_order_relaxed);
	if (before / each_bytes != (before + freed_bytes) / each_bytes)
		malloc_trim(0);
}

void memory_note_freed(size_t len_bytes)
{
	static atomic_size_t freed;
	trim_now_and_then(&freed, len_bytes, TRIM_SMALL_BYTES);
}

size_t memory_free(void *data, size_t len_bytes)
{
	static atomic_size_t freed;
	if (len_bytes < SMALL_BYTES)
		memory_note_freed(memory_cost_bytes(len_bytes));
	else
		trim_now_and_then(&freed, len_bytes, TRIM_BYTES);
	if (len_bytes >= SMALL_BYTES && len_bytes <= LARGE_BYTES)
		return block_free(data);
	if (len_bytes < SMALL_BYTES)
		free(data);
	else
		munmap(data, round_up(len_bytes, PAGE_BYTES));
	return memory_cost_bytes(len_bytes);
}
