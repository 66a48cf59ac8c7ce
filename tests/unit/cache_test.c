/* cache_test.c - the states of a chunk, the budget, one decode for many readers. */
#include "fs/store/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/status.h"

static int passed, failed;

static void expect(const char *name, bool right)
{
	printf("%s %s\n", right ? "ok" : "FAIL", name);
	passed += right;
	failed += !right;
}

static struct chunk_key key(uint32_t cy)
{
	return (struct chunk_key){0, 0, 0, cy};
}

/* Fills a chunk with len bytes of the value and unpins it. */
static enum cache_state fill(struct cache_group *group, uint32_t cy, size_t len, int value)
{
	struct chunk *chunk;
	struct err err = ERR_NONE;
	enum cache_state state = cache_begin(group, key(cy), &chunk, &err);
	if (state == CACHE_BEGUN) {
		void *data = cache_alloc(len);
		memset(data, value, len);
		cache_finish(chunk, data, len);
	}
	if (chunk)
		cache_unpin(chunk);
	return state;
}

static void test_states(void)
{
	struct cache_group group;
	struct chunk *chunk, *again;
	struct err err = ERR_NONE;
	cache_group_init(&group);
	expect("an absent chunk is begun", cache_begin(&group, key(0), &chunk, &err) == CACHE_BEGUN);
	expect("while it is filled others find it filling",
	       cache_begin(&group, key(0), &again, &err) == CACHE_FILLING && again == chunk);
	void *data = cache_alloc(100);
	memset(data, 7, 100);
	cache_finish(chunk, data, 100);
	expect("waiting for a ready chunk is no wait", cache_wait(again, NULL, &err) == 0);
	expect("its data is the filler's", cache_data(again) == data);
	cache_unpin(chunk);
	cache_unpin(again);
	expect("it stays after the last pin", fill(&group, 0, 100, 8) == CACHE_READY);
	cache_group_drop(&group);
	expect("a dropped group has nothing", fill(&group, 0, 100, 8) == CACHE_BEGUN);
	cache_group_drop(&group);
}

static void test_drop(void)
{
	struct cache_group group;
	struct chunk *chunk;
	struct err err = ERR_NONE;
	uint64_t before = atomic_load(&status.cache_bytes);
	cache_group_init(&group);
	fill(&group, 0, 100, 1);
	fill(&group, 1, 100, 2);
	cache_begin(&group, key(1), &chunk, &err);
	cache_drop(&group, key(0), 0, 0);
	cache_drop(&group, key(1), 0, 1);
	cache_drop(&group, key(2), 0, 2);
	expect("a chunk is dropped, but not while it is pinned",
	       fill(&group, 0, 100, 3) == CACHE_BEGUN && cache_data(chunk) && fill(&group, 1, 100, 3) == CACHE_READY);
	cache_unpin(chunk);
	cache_drop(&group, key(0), 0, 0);
	cache_drop(&group, key(1), 0, 1);
	expect("and takes nothing any more", atomic_load(&status.cache_bytes) == before);
	cache_group_drop(&group);
}

static void test_failure_is_remembered(void)
{
	struct cache_group group;
	struct chunk *chunk;
	struct err err = ERR_NONE, damage = ERR_NONE;
	cache_group_init(&group);
	err_set(&damage, -EIO, "row 5 is damaged");
	cache_begin(&group, key(1), &chunk, &err);
	cache_fail(chunk, &damage);
	expect("who waits gets the code and the words",
	       cache_wait(chunk, NULL, &err) == -EIO && strcmp(err.text, "row 5 is damaged") == 0);
	cache_unpin(chunk);
	err = ERR_NONE;
	expect("a failure is remembered", cache_begin(&group, key(1), &chunk, &err) == CACHE_FAILED && err.code == -EIO && !chunk);
	damage = ERR_NONE;
	err_set(&damage, -ENOMEM, "no memory");
	cache_begin(&group, key(2), &chunk, &err);
	cache_fail(chunk, &damage);
	cache_unpin(chunk);
	expect("want of memory is tried again", fill(&group, 2, 10, 1) == CACHE_BEGUN);
	damage = ERR_NONE;
	err_set_source(&damage, -EIO, "the disk failed");
	cache_begin(&group, key(3), &chunk, &err);
	cache_fail(chunk, &damage);
	cache_unpin(chunk);
	expect("a failed source is tried again", fill(&group, 3, 10, 1) == CACHE_BEGUN);
	cache_group_drop(&group);
}

static void test_budget(void)
{
	struct cache_group group;
	struct chunk *pinned;
	struct err err = ERR_NONE;
	cache_group_init(&group);
	fill(&group, 0, 400 << 10, 1);
	cache_begin(&group, key(0), &pinned, &err);
	bool within = true;
	for (uint32_t cy = 1; cy < 20; cy++) {
		fill(&group, cy, 300 << 10, 2);
		within &= atomic_load(&status.cache_bytes) <= 1 << 20;
	}
	expect("unpinned chunks leave to keep the budget", within);
	expect("a pinned chunk stays", ((const char *)cache_data(pinned))[0] == 1 && fill(&group, 0, 400 << 10, 3) == CACHE_READY);
	expect("the newest is there", fill(&group, 19, 300 << 10, 2) == CACHE_READY);
	expect("the oldest has left", fill(&group, 1, 300 << 10, 2) == CACHE_BEGUN);
	cache_reserve(1 << 20);
	expect("what others reserve counts too", fill(&group, 19, 300 << 10, 2) == CACHE_BEGUN);
	cache_reserve(-(1 << 20));
	cache_unpin(pinned);
	cache_group_drop(&group);
	expect("all is given back", atomic_load(&status.cache_bytes) == 0);
}

/* Chunks of two bytes, and such that can't be decoded: what they cost themselves is more than what they hold. */
static void test_bookkeeping(void)
{
	struct cache_group group;
	struct err damage = ERR_NONE;
	uint64_t before = atomic_load(&status.cache_bytes);
	bool within = true;
	cache_group_init(&group);
	fill(&group, 0, 2, 1);
	expect("a tiny chunk is charged with its bookkeeping",
	       atomic_load(&status.cache_bytes) - before == cache_cost_bytes(2) && cache_cost_bytes(2) > 128);
	for (uint32_t cy = 1; cy < 20000; cy++) {
		fill(&group, cy, 2, 1);
		within &= atomic_load(&status.cache_bytes) <= 1 << 20;
	}
	expect("many tiny ones stay within the budget", within);
	err_set(&damage, -EIO, "damaged");
	for (uint32_t cy = 20000; cy < 40000; cy++) {
		struct chunk *chunk;
		struct err err = ERR_NONE;
		cache_begin(&group, key(cy), &chunk, &err);
		cache_fail(chunk, &damage);
		cache_unpin(chunk);
		within &= atomic_load(&status.cache_bytes) <= 1 << 20;
	}
	expect("and many that can't be decoded", within);
	struct chunk *none;
	struct err err = ERR_NONE;
	expect("of which the last are remembered", cache_begin(&group, key(39999), &none, &err) == CACHE_FAILED && !none);
	cache_group_drop(&group);
	expect("nothing of them is left", atomic_load(&status.cache_bytes) == before);
}

static struct cache_group shared;
static atomic_int fills, right;

static void *reader(void *context)
{
	struct chunk *chunk;
	struct err err = ERR_NONE;
	(void)context;
	for (uint32_t cy = 0; cy < 50; cy++) {
		if (cache_begin(&shared, key(cy), &chunk, &err) == CACHE_BEGUN) {
			unsigned char *data = cache_alloc(64);
			usleep(200);
			memset(data, (int)cy, 64);
			cache_finish(chunk, data, 64);
			atomic_fetch_add(&fills, 1);
		}
		bool good = cache_wait(chunk, NULL, &err) == 0 && ((const unsigned char *)cache_data(chunk))[63] == cy;
		atomic_fetch_add(&right, good);
		cache_unpin(chunk);
	}
	return NULL;
}

static void test_one_fill_for_many_readers(void)
{
	pthread_t threads[8];
	cache_group_init(&shared);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, reader, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	expect("each chunk is filled once", atomic_load(&fills) == 50);
	expect("every reader sees what was filled in", atomic_load(&right) == 8 * 50);
	cache_group_drop(&shared);
}

static bool always(void *context)
{
	(void)context;
	return true;
}

static void test_giving_up(void)
{
	struct cache_group group;
	struct chunk *chunk, *waiter;
	struct err err = ERR_NONE;
	cache_group_init(&group);
	cache_begin(&group, key(0), &chunk, &err);
	cache_begin(&group, key(0), &waiter, &err);
	expect("who gives up gets EINTR", cache_wait(waiter, &(struct patience){always, NULL}, &err) == -EINTR);
	cache_unpin(waiter);
	cache_finish(chunk, cache_alloc(10), 10);
	cache_unpin(chunk);
	cache_group_drop(&group);
}

int main(void)
{
	if (cache_start(1 << 20) != 0)
		return 1;
	test_states();
	test_drop();
	test_failure_is_remembered();
	test_budget();
	test_bookkeeping();
	test_one_fill_for_many_readers();
	test_giving_up();
	cache_stop();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
