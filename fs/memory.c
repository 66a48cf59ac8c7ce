/* memory.c - see memory.h.
 *
 *   below SMALL_BYTES   malloc
 *   to LARGE_BYTES      behind each other in a region of the thread's slot; each slot has its own, because two threads that
 *                       fault on one huge page at once both clear one
 *   above               a mapping of its own
 *
 * A region is mapped where its address is a multiple of its size, so that what lies in it finds its head; the head has the
 * first page. It is filled once from front to end, never in gaps, and unmapped when it is full and all of it is freed.
 * Invariant, under the lock: a granule's `used` is the sum of the bytes in use in it, and it is resident only while that
 * isn't 0, but for the head's page and what the last huge page has beyond the region's `end`.
 */
#include "memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE_BYTES = 4096,
	SMALL_BYTES = 16 << 10,
	LARGE_BYTES = 4 << 20,
	HUGE_BYTES = 2 << 20,
	REGION_BYTES = 16 << 20,
	GRANULE_BYTES = 128 << 10,
	NGRANULES = REGION_BYTES / GRANULE_BYTES,
	NSLOTS = 8,
};

struct region {
	size_t end, in_use; /* where the next bytes go; bytes in use */
	bool current;       /* of some slot: more will be put in */
	uint32_t used[NGRANULES];
};

static struct {
	pthread_mutex_t lock;
	struct region *slots[NSLOTS];
	unsigned nthreads;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static void *map_aligned(size_t len_bytes, size_t alignment)
{
	char *all = mmap(NULL, len_bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	char *data = (char *)round_up((uintptr_t)all, alignment);
	if (data > all)
		munmap(all, (size_t)(data - all));
	if (data < all + alignment)
		munmap(data + len_bytes, (size_t)(all + alignment - data));
	madvise(data, len_bytes, MADV_HUGEPAGE); /* without huge pages it is slower, nothing else */
	return data;
}

/* Adds (or takes away) the bytes [at, at + len) of a region to what is used of each granule. By how much the sum of the
 * granules in use changed; granules without use are given back. */
static size_t count_granules(struct region *region, size_t at, size_t len_bytes, bool add)
{
	size_t changed_bytes = 0;
	for (size_t next, end = at + len_bytes; at < end; at = next) {
		size_t granule = at / GRANULE_BYTES;
		next = (granule + 1) * GRANULE_BYTES < end ? (granule + 1) * GRANULE_BYTES : end;
		uint32_t before = region->used[granule], n = (uint32_t)(next - at);
		region->used[granule] = add ? before + n : before - n;
		if (before && region->used[granule])
			continue;
		changed_bytes += GRANULE_BYTES;
		size_t head_bytes = granule == 0 ? PAGE_BYTES : 0;
		if (!add)
			madvise((char *)region + granule * GRANULE_BYTES + head_bytes, GRANULE_BYTES - head_bytes, MADV_DONTNEED);
	}
	return changed_bytes;
}

/* ---- regions, under the lock ---- */

static void region_retire(struct region *region)
{
	if (!region)
		return;
	region->current = false;
	if (region->in_use == 0)
		munmap(region, REGION_BYTES);
	else if (region->end < REGION_BYTES)
		madvise((char *)region + region->end, REGION_BYTES - region->end, MADV_DONTNEED);
}

static struct region *region_with_room(unsigned slot, size_t len_bytes)
{
	struct region *region = memory.slots[slot];
	if (region && REGION_BYTES - region->end >= len_bytes)
		return region;
	region_retire(region);
	region = memory.slots[slot] = map_aligned(REGION_BYTES, REGION_BYTES);
	if (region) {
		region->end = PAGE_BYTES;
		region->current = true;
	}
	return region;
}

static unsigned slot_of_thread(void)
{
	static _Thread_local unsigned number; /* 0: not yet known */
	if (!number)
		number = ++memory.nthreads;
	return number % NSLOTS;
}

static void *region_alloc(size_t len_bytes, size_t *ret_charged_bytes)
{
	len_bytes = round_up(len_bytes, PAGE_BYTES);
	void *data = NULL;
	pthread_mutex_lock(&memory.lock);
	struct region *region = region_with_room(slot_of_thread(), len_bytes);
	if (region) {
		data = (char *)region + region->end;
		*ret_charged_bytes = count_granules(region, region->end, len_bytes, true);
		region->end += len_bytes;
		region->in_use += len_bytes;
	}
	pthread_mutex_unlock(&memory.lock);
	return data;
}

static size_t region_free(void *data, size_t len_bytes)
{
	struct region *region = (struct region *)((uintptr_t)data / REGION_BYTES * REGION_BYTES);
	len_bytes = round_up(len_bytes, PAGE_BYTES);
	pthread_mutex_lock(&memory.lock);
	size_t freed_bytes = count_granules(region, (size_t)((char *)data - (char *)region), len_bytes, false);
	region->in_use -= len_bytes;
	if (region->in_use == 0 && region->current)
		region->end = PAGE_BYTES; /* filled anew */
	else if (region->in_use == 0)
		munmap(region, REGION_BYTES);
	pthread_mutex_unlock(&memory.lock);
	return freed_bytes;
}

/* ---- the choice ---- */

void *memory_alloc(size_t len_bytes, size_t *ret_charged_bytes)
{
	if (len_bytes >= SMALL_BYTES && len_bytes <= LARGE_BYTES)
		return region_alloc(len_bytes, ret_charged_bytes);
	*ret_charged_bytes = len_bytes;
	return len_bytes < SMALL_BYTES ? aligned_alloc(64, round_up(len_bytes, 64))
				       : map_aligned(round_up(len_bytes, PAGE_BYTES), HUGE_BYTES);
}

size_t memory_free(void *data, size_t len_bytes)
{
	if (len_bytes >= SMALL_BYTES && len_bytes <= LARGE_BYTES)
		return region_free(data, len_bytes);
	if (len_bytes < SMALL_BYTES)
		free(data);
	else
		munmap(data, round_up(len_bytes, PAGE_BYTES));
	return len_bytes;
}
