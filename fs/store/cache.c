/* cache.c - see cache.h for the states. One lock for the table, the lists and all states; never held while decoding. */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"

enum { WAIT_MS = 100, FIRST_BUCKETS = 1024, NSIGNALS = 16 };

struct chunk {
	struct cache_group *group;
	struct chunk_key key;
	enum cache_state state; /* FILLING, READY or FAILED */
	unsigned pins;
	unsigned waiters;
	bool doomed; /* a passing failure: forgotten with the last pin, so that it can be tried again */
	struct chunk *bucket_next;
	struct chunk *group_next, **group_link;
	struct chunk *newer, *older; /* the eviction list, only while READY or FAILED, and unpinned */
	void *data;
	size_t len_bytes;
	struct err *err; /* FAILED; NULL: out of memory */
};

/* What malloc makes of a chunk and of its words, and the chunk's share of the table, which has up to two places for each. */
enum {
	CHUNK_BYTES = (sizeof(struct chunk) + 8 + 15) / 16 * 16 + 2 * sizeof(struct chunk *),
	ERR_BYTES = (sizeof(struct err) + 8 + 15) / 16 * 16,
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed[NSIGNALS]; /* a chunk left FILLING: signal_of() it, so that few are woken for nothing */
	struct chunk **buckets;
	size_t nbuckets, nchunks;
	struct chunk *newest, *oldest;
	uint64_t budget_bytes, used_bytes;
	atomic_ullong reserved_bytes; /* changed with the lock held */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

int cache_start(uint64_t budget_bytes)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	for (unsigned i = 0; i < NSIGNALS; i++)
		pthread_cond_init(&cache.changed[i], &attributes);
	pthread_condattr_destroy(&attributes);
	cache.budget_bytes = budget_bytes;
	cache.nbuckets = FIRST_BUCKETS;
	cache.buckets = calloc(cache.nbuckets, sizeof(struct chunk *));
	return cache.buckets ? 0 : -ENOMEM;
}

void cache_stop(void)
{
	free(cache.buckets);
	cache.buckets = NULL;
	for (unsigned i = 0; i < NSIGNALS; i++)
		pthread_cond_destroy(&cache.changed[i]);
}

/* ---- the table ---- */

static size_t bucket_of(const struct cache_group *group, struct chunk_key key, size_t nbuckets)
{
	uint64_t h = (uint64_t)(uintptr_t)group;
	h = (h ^ ((uint64_t)key.part << 32 | key.level)) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29) ^ ((uint64_t)key.cx << 32 | key.cy)) * 0xbf58476d1ce4e5b9u;
	return (size_t)(h ^ h >> 32) & (nbuckets - 1);
}

static void table_grow(void)
{
	size_t nbuckets = cache.nbuckets * 2;
	struct chunk **buckets = calloc(nbuckets, sizeof *buckets);
	if (!buckets)
		return; /* longer chains, nothing worse */
	for (size_t i = 0; i < cache.nbuckets; i++)
		for (struct chunk *chunk = cache.buckets[i], *next; chunk; chunk = next) {
			next = chunk->bucket_next;
			struct chunk **bucket = &buckets[bucket_of(chunk->group, chunk->key, nbuckets)];
			chunk->bucket_next = *bucket;
			*bucket = chunk;
		}
	free(cache.buckets);
	cache.buckets = buckets;
	cache.nbuckets = nbuckets;
}

static struct chunk *table_find(const struct cache_group *group, struct chunk_key key)
{
	struct chunk *chunk = cache.buckets[bucket_of(group, key, cache.nbuckets)];
	while (chunk && (chunk->group != group || memcmp(&chunk->key, &key, sizeof key) != 0))
		chunk = chunk->bucket_next;
	return chunk;
}

static void charge(size_t len_bytes)
{
	cache.used_bytes += len_bytes;
	status_add(&status.cache_bytes, len_bytes);
}

static void discharge(size_t len_bytes)
{
	cache.used_bytes -= len_bytes;
	status_sub(&status.cache_bytes, len_bytes);
}

static struct chunk *table_insert(struct cache_group *group, struct chunk_key key)
{
	struct chunk *chunk = calloc(1, sizeof *chunk);
	if (!chunk)
		return NULL;
	charge(CHUNK_BYTES);
	if (cache.nchunks >= cache.nbuckets)
		table_grow();
	chunk->group = group;
	chunk->key = key;
	chunk->state = CACHE_FILLING;
	chunk->group_next = group->chunks;
	chunk->group_link = &group->chunks;
	if (group->chunks)
		group->chunks->group_link = &chunk->group_next;
	group->chunks = chunk;
	struct chunk **bucket = &cache.buckets[bucket_of(group, key, cache.nbuckets)];
	chunk->bucket_next = *bucket;
	*bucket = chunk;
	cache.nchunks++;
	return chunk;
}

/* ---- the eviction list ---- */

static bool is_listed(const struct chunk *chunk)
{
	return chunk->pins == 0 && !chunk->doomed && (chunk->state == CACHE_READY || chunk->state == CACHE_FAILED);
}

static void list_add(struct chunk *chunk)
{
	chunk->older = cache.newest;
	chunk->newer = NULL;
	if (cache.newest)
		cache.newest->newer = chunk;
	else
		cache.oldest = chunk;
	cache.newest = chunk;
}

static void list_add_oldest(struct chunk *chunk)
{
	chunk->newer = cache.oldest;
	chunk->older = NULL;
	if (cache.oldest)
		cache.oldest->older = chunk;
	else
		cache.newest = chunk;
	cache.oldest = chunk;
}

static void list_remove(struct chunk *chunk)
{
	*(chunk->newer ? &chunk->newer->older : &cache.newest) = chunk->older;
	*(chunk->older ? &chunk->older->newer : &cache.oldest) = chunk->newer;
}

/* Forgets an unpinned chunk that is on no list. */
static void chunk_free(struct chunk *chunk)
{
	struct chunk **link = &cache.buckets[bucket_of(chunk->group, chunk->key, cache.nbuckets)];
	while (*link != chunk)
		link = &(*link)->bucket_next;
	*link = chunk->bucket_next;
	*chunk->group_link = chunk->group_next;
	if (chunk->group_next)
		chunk->group_next->group_link = chunk->group_link;
	if (chunk->data)
		discharge(memory_free(chunk->data, chunk->len_bytes));
	discharge(CHUNK_BYTES + (chunk->err ? ERR_BYTES : 0));
	memory_note_freed(CHUNK_BYTES);
	free(chunk->err);
	free(chunk);
	cache.nchunks--;
}

static void shrink(size_t room_bytes)
{
	while (cache.oldest && cache.used_bytes + cache.reserved_bytes + room_bytes > cache.budget_bytes) {
		struct chunk *chunk = cache.oldest;
		list_remove(chunk);
		chunk_free(chunk);
	}
}

/* ---- groups ---- */

void cache_group_init(struct cache_group *group)
{
	group->chunks = NULL;
}

void cache_group_drop(struct cache_group *group)
{
	pthread_mutex_lock(&cache.lock);
	while (group->chunks) {
		if (is_listed(group->chunks))
			list_remove(group->chunks);
		chunk_free(group->chunks);
	}
	pthread_mutex_unlock(&cache.lock);
}

bool cache_has_all(const struct cache_group *group, struct chunk_key first, uint32_t cx1, uint32_t cy1)
{
	bool all = true;
	pthread_mutex_lock(&cache.lock);
	for (struct chunk_key key = first; key.cy <= cy1 && all; key.cy++)
		for (key.cx = first.cx; key.cx <= cx1 && all; key.cx++) {
			const struct chunk *chunk = table_find(group, key);
			all = chunk && chunk->state == CACHE_READY;
		}
	pthread_mutex_unlock(&cache.lock);
	return all;
}

static void drop(struct chunk *chunk)
{
	if (chunk->state != CACHE_READY || chunk->pins)
		return;
	list_remove(chunk);
	chunk_free(chunk);
}

void cache_group_shrink(struct cache_group *group)
{
	pthread_mutex_lock(&cache.lock);
	for (struct chunk *chunk = group->chunks, *next; chunk; chunk = next) {
		next = chunk->group_next;
		drop(chunk);
	}
	pthread_mutex_unlock(&cache.lock);
}

void cache_drop(struct cache_group *group, struct chunk_key first, uint32_t cx1, uint32_t cy1)
{
	pthread_mutex_lock(&cache.lock);
	for (struct chunk_key key = first; key.cy <= cy1; key.cy++)
		for (key.cx = first.cx; key.cx <= cx1; key.cx++) {
			struct chunk *chunk = table_find(group, key);
			if (chunk)
				drop(chunk);
		}
	pthread_mutex_unlock(&cache.lock);
}

/* ---- chunks ---- */

static int copy_failure(const struct chunk *chunk, struct err *err)
{
	if (chunk->err)
		return err_copy(err, chunk->err);
	return err_set(err, -ENOMEM, "no memory for the decoded samples");
}

static void pin(struct chunk *chunk)
{
	if (chunk->pins++ == 0 && chunk->state == CACHE_READY)
		list_remove(chunk);
}

enum cache_state cache_begin(struct cache_group *group, struct chunk_key key, struct chunk **ret_chunk, struct err *err)
{
	pthread_mutex_lock(&cache.lock);
	struct chunk *chunk = table_find(group, key);
	enum cache_state state;
	if (chunk && chunk->state == CACHE_FAILED) {
		copy_failure(chunk, err);
		state = CACHE_FAILED;
	} else if (chunk) {
		state = chunk->state;
		pin(chunk);
	} else {
		state = CACHE_BEGUN;
		shrink(CHUNK_BYTES);
		chunk = table_insert(group, key);
		if (chunk)
			pin(chunk);
	}
	pthread_mutex_unlock(&cache.lock);
	if (!chunk) {
		err_set(err, -ENOMEM, "no memory for the decoded samples");
		state = CACHE_FAILED;
	}
	*ret_chunk = state == CACHE_FAILED ? NULL : chunk;
	return state;
}

static pthread_cond_t *signal_of(const struct chunk *chunk)
{
	return &cache.changed[((chunk->key.cx + chunk->key.cy) ^ (uintptr_t)chunk->group >> 6) % NSIGNALS];
}

/* Sleeps until the chunk left FILLING, for WAIT_MS at most. Lock held. */
static void sleep_for(struct chunk *chunk)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	chunk->waiters++;
	pthread_cond_timedwait(signal_of(chunk), &cache.lock, &until);
	chunk->waiters--;
}

static bool is_settled(void *context)
{
	const struct chunk *chunk = context;
	pthread_mutex_lock(&cache.lock);
	bool settled = chunk->state != CACHE_FILLING;
	pthread_mutex_unlock(&cache.lock);
	return settled;
}

int cache_wait(struct chunk *chunk, const struct patience *patience, struct err *err)
{
	int rc = 0;
	if (pool_is_worker())
		pool_work_until(is_settled, chunk);
	pthread_mutex_lock(&cache.lock);
	while (chunk->state == CACHE_FILLING && rc == 0) {
		sleep_for(chunk);
		if (chunk->state == CACHE_FILLING && patience_is_over(patience))
			rc = err_set(err, -EINTR, "the reader gave up");
	}
	if (chunk->state == CACHE_FAILED)
		rc = copy_failure(chunk, err);
	pthread_mutex_unlock(&cache.lock);
	return rc;
}

const void *cache_data(const struct chunk *chunk)
{
	return chunk->data;
}

struct chunk_key cache_key(const struct chunk *chunk)
{
	return chunk->key;
}

static void unpin(struct chunk *chunk, void (*add)(struct chunk *chunk))
{
	pthread_mutex_lock(&cache.lock);
	if (--chunk->pins == 0) {
		if (is_listed(chunk)) {
			add(chunk);
			shrink(0);
		} else if (chunk->doomed) {
			chunk_free(chunk);
		}
	}
	pthread_mutex_unlock(&cache.lock);
}

void cache_unpin(struct chunk *chunk)
{
	unpin(chunk, list_add);
}

void cache_unpin_cold(struct chunk *chunk)
{
	unpin(chunk, list_add_oldest);
}

uint64_t cache_cost_bytes(uint64_t len_bytes)
{
	return memory_cost_bytes((size_t)len_bytes) + CHUNK_BYTES;
}

uint64_t cache_room_bytes(void)
{
	uint64_t reserved_bytes = atomic_load_explicit(&cache.reserved_bytes, memory_order_relaxed);
	return reserved_bytes < cache.budget_bytes ? cache.budget_bytes - reserved_bytes : 0;
}

void cache_reserve(int64_t change_bytes)
{
	pthread_mutex_lock(&cache.lock);
	cache.reserved_bytes += (uint64_t)change_bytes;
	shrink(0);
	pthread_mutex_unlock(&cache.lock);
}

/* The memory is asked for without the lock, as the system may have to be asked for pages. None of it is touched before what it
 * takes the place of has gone. */
void *cache_alloc(size_t len_bytes)
{
	size_t charged_bytes;
	void *data = memory_alloc(len_bytes, &charged_bytes);
	if (!data) {
		cache_relieve();
		data = memory_alloc(len_bytes, &charged_bytes);
	}
	pthread_mutex_lock(&cache.lock);
	if (data) {
		shrink(charged_bytes);
		charge(charged_bytes);
	}
	pthread_mutex_unlock(&cache.lock);
	return data;
}

void cache_relieve(void)
{
	pthread_mutex_lock(&cache.lock);
	shrink(cache.budget_bytes - cache.used_bytes / 2);
	pthread_mutex_unlock(&cache.lock);
	memory_give_back();
}

void cache_release(void *data, size_t len_bytes)
{
	pthread_mutex_lock(&cache.lock);
	discharge(memory_free(data, len_bytes));
	pthread_mutex_unlock(&cache.lock);
}

/* Lock held: the chunk is filled, or won't be; gives the lock back. */
static void leave_filling_unlock(struct chunk *chunk, enum cache_state state)
{
	pthread_cond_t *signal = chunk->waiters ? signal_of(chunk) : NULL;
	chunk->state = state;
	pthread_mutex_unlock(&cache.lock);
	if (signal)
		pthread_cond_broadcast(signal);
	pool_tell();
}

void cache_finish(struct chunk *chunk, void *data, size_t len_bytes)
{
	pthread_mutex_lock(&cache.lock);
	chunk->data = data;
	chunk->len_bytes = len_bytes;
	leave_filling_unlock(chunk, CACHE_READY);
}

void cache_fail(struct chunk *chunk, const struct err *err)
{
	struct err *copy = malloc(sizeof *copy);
	if (copy)
		*copy = *err;
	pthread_mutex_lock(&cache.lock);
	if (copy)
		charge(ERR_BYTES);
	chunk->err = copy;
	chunk->doomed = !copy || err_is_passing(err);
	leave_filling_unlock(chunk, CACHE_FAILED);
}
