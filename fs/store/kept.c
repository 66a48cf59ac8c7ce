/* kept.c - see kept.h. */
#include "kept.h"

#include <pthread.h>
#include <stddef.h>

#include "cache.h"
#include "fs/base/config.h"

static struct {
	pthread_mutex_t lock;
	struct kept *newest, *oldest;
	uint64_t held_bytes;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t kept_limit_bytes(void)
{
	return config.cache_bytes / 4 + (8 << 20);
}

static void list_remove(struct kept *kept)
{
	*(kept->newer ? &kept->newer->older : &all.newest) = kept->older;
	*(kept->older ? &kept->older->newer : &all.oldest) = kept->newer;
	all.held_bytes -= kept->held_bytes;
	kept->held_bytes = 0;
	kept->listed = false;
}

static void list_add(struct kept *kept, uint64_t held_bytes)
{
	kept->older = all.newest;
	kept->newer = NULL;
	*(all.newest ? &all.newest->newer : &all.oldest) = kept;
	all.newest = kept;
	all.held_bytes += held_bytes;
	kept->held_bytes = held_bytes;
	kept->listed = true;
}

/* What is in use is passed over: it is looked at again at its next use. */
static void shrink(const struct kept *newest)
{
	for (struct kept *kept = all.oldest, *next; kept && all.held_bytes > kept_limit_bytes(); kept = next) {
		next = kept->newer;
		if (kept != newest && kept->drop(kept))
			list_remove(kept);
	}
}

void kept_note(struct kept *kept, uint64_t held_bytes)
{
	pthread_mutex_lock(&all.lock);
	uint64_t before = all.held_bytes;
	if (kept->listed)
		list_remove(kept);
	list_add(kept, held_bytes);
	shrink(kept);
	int64_t change_bytes = (int64_t)(all.held_bytes - before);
	pthread_mutex_unlock(&all.lock);
	if (change_bytes)
		cache_reserve(change_bytes);
}

void kept_forget(struct kept *kept)
{
	pthread_mutex_lock(&all.lock);
	int64_t held_bytes = (int64_t)kept->held_bytes;
	if (kept->listed)
		list_remove(kept);
	pthread_mutex_unlock(&all.lock);
	if (held_bytes)
		cache_reserve(-held_bytes);
}
