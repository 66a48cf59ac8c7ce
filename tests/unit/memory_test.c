/* memory_test.c - memory for samples: nothing overlaps, and what is freed goes back to the system. */
#include "fs/store/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "case.h"

enum { NBLOCKS = 64, NSTEPS = 4000, MIB = 1 << 20 };

#ifdef __SANITIZE_THREAD__ /* its own memory grows with ours */
enum { MOST_BESIDES = 1 << 30 };
#else
enum { MOST_BESIDES = 8 << 20 };
#endif

static atomic_llong held; /* what all threads were charged for */

struct block {
	unsigned char *data;
	size_t len;
	unsigned char value;
};

static void block_free(struct block *block)
{
	if (block->data)
		atomic_fetch_sub(&held, (long long)memory_free(block->data, block->len));
	block->data = NULL;
}

static bool block_is_whole(const struct block *block)
{
	return !block->data || (block->data[0] == block->value && block->data[block->len / 2] == block->value &&
				block->data[block->len - 1] == block->value);
}

static size_t random_length(unsigned *seed)
{
	static const size_t most[] = {100, 16 << 10, 200 << 10, MIB, 5 * MIB};
	return 1 + (size_t)rand_r(seed) % most[rand_r(seed) % 5];
}

/* Blocks of all sizes come and go in any order; each keeps its own value. */
static void *churn(void *right)
{
	struct block blocks[NBLOCKS] = {0};
	unsigned seed = (unsigned)(uintptr_t)right;
	bool good = true;
	for (unsigned i = 0; i < NSTEPS; i++) {
		struct block *block = &blocks[rand_r(&seed) % NBLOCKS];
		size_t charged;
		good = good && block_is_whole(block);
		block_free(block);
		block->len = random_length(&seed);
		block->value = (unsigned char)i;
		block->data = memory_alloc(block->len, &charged);
		good = good && block->data && (uintptr_t)block->data % (block->len < 64 ? 16 : 64) == 0;
		atomic_fetch_add(&held, (long long)charged);
		memset(block->data, block->value, block->len);
	}
	for (unsigned i = 0; i < NBLOCKS; i++) {
		good = good && block_is_whole(&blocks[i]);
		block_free(&blocks[i]);
	}
	*(bool *)right = good;
	return NULL;
}

static void blocks_of_several_threads_keep_their_bytes(void)
{
	pthread_t threads[3];
	bool right[3] = {false};
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, &right[i]);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CHECK(right[i]);
	}
	CHECK(atomic_load(&held) == 0);
}

static size_t resident_bytes(void)
{
	unsigned long all = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* 96 MiB of chunks, of which every 64th stays: what is charged and what is resident fall together. */
static void what_is_freed_goes_back(void)
{
	enum { N = 512, LEN = 192 << 10 };
	static unsigned char *chunks[N];
	size_t charged, before = resident_bytes(), sum = 0;
	for (int i = 0; i < N; i++) {
		chunks[i] = memory_alloc(LEN, &charged);
		memset(chunks[i], i, LEN);
		sum += charged;
	}
	CHECK(sum >= (size_t)N * LEN && sum <= (size_t)N * LEN + 16 * MIB);
	for (int i = 0; i < N; i++)
		if (i % 64 != 7)
			sum -= memory_free(chunks[i], LEN);
	CHECK(sum <= (size_t)(N / 64) * (LEN + (256 << 10)));
	CHECK(resident_bytes() < before + sum + MOST_BESIDES);
	for (int i = 7; i < N; i += 64) {
		CHECK(chunks[i][LEN - 1] == (unsigned char)i);
		sum -= memory_free(chunks[i], LEN);
	}
	CHECK(sum == 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(blocks_of_several_threads_keep_their_bytes),
		CASE(what_is_freed_goes_back),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
