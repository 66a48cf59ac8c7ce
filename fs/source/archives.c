/* archives.c - see archives.h. A hash table, and a list by last use: what nobody uses leaves from its end. */
#include "archives.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/store/cache.h"

enum { NBUCKETS_FIRST = 64 };

struct shared {
	struct shared *bucket_next, *newer, *older;
	struct archive_key key;
	uint64_t serial, memory_bytes;
	struct archive *archive; /* one reference */
};

static struct {
	pthread_mutex_t lock;
	struct shared **buckets, *newest, *oldest;
	size_t nbuckets, count; /* nbuckets: a power of two */
	uint64_t next_serial;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_serial = 1};

/* Of archives that nobody uses, kept for who comes back. */
static uint64_t unused_limit_bytes(void)
{
	return config.cache_bytes / 16;
}

static size_t bucket_of(const struct archive_key *key)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < sizeof key->words / sizeof *key->words; i++)
		hash = (hash ^ key->words[i]) * UINT64_C(0x9e3779b97f4a7c15), hash ^= hash >> 29;
	return (size_t)hash & (table.nbuckets - 1);
}

static struct shared *find(const struct archive_key *key)
{
	struct shared *shared = table.buckets ? table.buckets[bucket_of(key)] : NULL;
	while (shared && memcmp(&shared->key, key, sizeof *key) != 0)
		shared = shared->bucket_next;
	return shared;
}

static void list_add(struct shared *shared)
{
	shared->older = table.newest;
	shared->newer = NULL;
	*(table.newest ? &table.newest->newer : &table.oldest) = shared;
	table.newest = shared;
}

static void list_remove(struct shared *shared)
{
	*(shared->newer ? &shared->newer->older : &table.newest) = shared->older;
	*(shared->older ? &shared->older->newer : &table.oldest) = shared->newer;
}

/* Twice the buckets where there are as many archives as those. Without memory for it they get longer. */
static void grow(void)
{
	size_t old_count = table.nbuckets, n = old_count ? old_count * 2 : NBUCKETS_FIRST;
	struct shared **old = table.buckets, **buckets = table.count < old_count ? NULL : calloc(n, sizeof *buckets);
	if (!buckets)
		return;
	table.buckets = buckets;
	table.nbuckets = n;
	for (struct shared *shared = table.newest; shared; shared = shared->older) {
		struct shared **bucket = &buckets[bucket_of(&shared->key)];
		shared->bucket_next = *bucket;
		*bucket = shared;
	}
	free(old);
}

static struct shared *add(const struct archive_key *key, struct archive *archive)
{
	grow();
	struct shared *shared = table.buckets ? calloc(1, sizeof *shared) : NULL;
	if (!shared)
		return NULL;
	struct shared **bucket = &table.buckets[bucket_of(key)];
	shared->key = *key;
	shared->serial = table.next_serial++;
	shared->memory_bytes = sizeof *shared + archive_memory_bytes(archive);
	shared->archive = archive_ref(archive);
	shared->bucket_next = *bucket;
	*bucket = shared;
	list_add(shared);
	table.count++;
	return shared;
}

static struct archive *use(struct shared *shared)
{
	list_remove(shared);
	list_add(shared);
	return archive_ref(shared->archive);
}

struct archive *archives_find(const struct archive_key *key, uint64_t *ret_serial)
{
	pthread_mutex_lock(&table.lock);
	struct shared *shared = find(key);
	struct archive *archive = shared ? use(shared) : NULL;
	if (shared)
		*ret_serial = shared->serial;
	pthread_mutex_unlock(&table.lock);
	return archive;
}

uint64_t archives_share(const struct archive_key *key, struct archive **archive)
{
	struct archive *surplus = NULL;
	uint64_t serial = 0, more_bytes = 0;
	pthread_mutex_lock(&table.lock);
	struct shared *shared = find(key);
	if (shared) {
		surplus = *archive;
		*archive = use(shared);
	} else {
		shared = add(key, *archive);
		more_bytes = shared ? shared->memory_bytes : 0;
	}
	if (shared)
		serial = shared->serial;
	pthread_mutex_unlock(&table.lock);
	if (more_bytes)
		cache_reserve((int64_t)more_bytes);
	archive_unref(surplus);
	return serial;
}

static void table_remove(struct shared *shared)
{
	struct shared **link = &table.buckets[bucket_of(&shared->key)];
	while (*link != shared)
		link = &(*link)->bucket_next;
	*link = shared->bucket_next;
	list_remove(shared);
	table.count--;
}

/* Closes unused ones, the longest unused first, until those that are left occupy no more than that. Whether any was closed. */
static bool sweep(uint64_t limit_bytes)
{
	struct shared *closed = NULL;
	uint64_t unused_bytes = 0;
	pthread_mutex_lock(&table.lock);
	for (struct shared *shared = table.oldest; shared; shared = shared->newer)
		unused_bytes += archive_is_shared(shared->archive) ? 0 : shared->memory_bytes;
	for (struct shared *shared = table.oldest, *next; shared && unused_bytes > limit_bytes; shared = next) {
		next = shared->newer;
		if (archive_is_shared(shared->archive))
			continue;
		unused_bytes -= shared->memory_bytes;
		table_remove(shared);
		shared->bucket_next = closed;
		closed = shared;
	}
	pthread_mutex_unlock(&table.lock);
	bool any = closed != NULL;
	for (struct shared *next; closed; closed = next) {
		next = closed->bucket_next;
		cache_reserve(-(int64_t)closed->memory_bytes);
		archive_unref(closed->archive);
		free(closed);
	}
	return any;
}

void archives_sweep(void)
{
	/* one that lies in another one has a reference on it */
	while (sweep(unused_limit_bytes())) {
	}
}

void archives_stop(void)
{
	while (sweep(0)) {
	}
}
