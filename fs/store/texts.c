/* texts.c - see texts.h. A text is in the table with one reference of the table's; what left it lives on for who still has it. */
#include "texts.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "fs/base/config.h"

enum { NBUCKETS = 1 << 12, LEAST_BYTES = 8 << 20, MADE_AT_ONCE = 2 };

struct text {
	struct text_key key;
	unsigned refs; /* under the lock */
	struct text *bucket_next, *newer, *older;
	char *bytes;
	size_t len_bytes;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t made;
	unsigned nmaking;
	struct text *buckets[NBUCKETS];
	struct text *newest, *oldest;
	uint64_t held_bytes;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .made = PTHREAD_COND_INITIALIZER};

static uint64_t cost_bytes(const struct text *text)
{
	return sizeof *text + text->len_bytes + 32;
}

static uint64_t limit_bytes(void)
{
	return config.cache_bytes / 16 + LEAST_BYTES;
}

static struct text **bucket_of(const struct text_key *key)
{
	uint64_t h = 0;
	for (unsigned i = 0; i < 3; i++) {
		h = (h ^ key->words[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 31;
	}
	return &all.buckets[h & (NBUCKETS - 1)];
}

/* ---- the table, under the lock ---- */

static struct text *find(const struct text_key *key)
{
	struct text *text = *bucket_of(key);
	while (text && memcmp(&text->key, key, sizeof *key) != 0)
		text = text->bucket_next;
	return text;
}

static void list_remove(struct text *text)
{
	*(text->newer ? &text->newer->older : &all.newest) = text->older;
	*(text->older ? &text->older->newer : &all.oldest) = text->newer;
}

static void list_add(struct text *text)
{
	text->older = all.newest;
	text->newer = NULL;
	*(all.newest ? &all.newest->newer : &all.oldest) = text;
	all.newest = text;
}

/* The table's reference becomes the caller's. */
static struct text *remove_oldest(void)
{
	struct text *text = all.oldest, **link = bucket_of(&text->key);
	while (*link != text)
		link = &(*link)->bucket_next;
	*link = text->bucket_next;
	list_remove(text);
	all.held_bytes -= cost_bytes(text);
	return text;
}

/* ---- life ---- */

static void text_free(struct text *text)
{
	cache_reserve(-(int64_t)cost_bytes(text));
	free(text->bytes);
	free(text);
}

void text_unref(struct text *text)
{
	if (!text)
		return;
	pthread_mutex_lock(&all.lock);
	bool last = --text->refs == 0;
	pthread_mutex_unlock(&all.lock);
	if (last)
		text_free(text);
}

/* Down to so many bytes. */
static void shrink(uint64_t most_bytes)
{
	for (;;) {
		pthread_mutex_lock(&all.lock);
		struct text *text = all.held_bytes > most_bytes && all.oldest ? remove_oldest() : NULL;
		pthread_mutex_unlock(&all.lock);
		if (!text)
			return;
		text_unref(text);
	}
}

struct text *texts_find(const struct text_key *key)
{
	pthread_mutex_lock(&all.lock);
	struct text *text = find(key);
	if (text) {
		text->refs++;
		list_remove(text);
		list_add(text);
	}
	pthread_mutex_unlock(&all.lock);
	return text;
}

struct text *texts_keep(const struct text_key *key, char *bytes, size_t len_bytes)
{
	struct text *text = calloc(1, sizeof *text);
	if (!text) {
		free(bytes);
		return NULL;
	}
	*text = (struct text){.key = *key, .refs = 1, .bytes = bytes, .len_bytes = len_bytes};
	cache_reserve((int64_t)cost_bytes(text));
	pthread_mutex_lock(&all.lock);
	if (!find(key)) { /* else somebody was faster: this one is its caller's alone */
		struct text **bucket = bucket_of(key);
		text->refs++;
		text->bucket_next = *bucket;
		*bucket = text;
		list_add(text);
		all.held_bytes += cost_bytes(text);
	}
	pthread_mutex_unlock(&all.lock);
	shrink(limit_bytes());
	return text;
}

const char *text_bytes(const struct text *text)
{
	return text->bytes;
}

size_t text_len_bytes(const struct text *text)
{
	return text->len_bytes;
}

void texts_stop(void)
{
	shrink(0);
}

/* ---- making ---- */

void texts_begin(void)
{
	pthread_mutex_lock(&all.lock);
	while (all.nmaking == MADE_AT_ONCE)
		pthread_cond_wait(&all.made, &all.lock);
	all.nmaking++;
	pthread_mutex_unlock(&all.lock);
}

void texts_end(void)
{
	pthread_mutex_lock(&all.lock);
	all.nmaking--;
	pthread_cond_signal(&all.made);
	pthread_mutex_unlock(&all.lock);
}
