/* share_test.c - every block runs once, others take part, the first failure counts, and nobody is waited for who hasn't begun. */
#include "fs/base/share.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "fs/base/pool.h"
#include "case.h"

enum { NBLOCKS = 200, PATIENCE_MS = 10000 };

static atomic_uint runs[NBLOCKS];
static atomic_uint running, most;
static pthread_t caller;
static atomic_bool others_ran, released;

static void start(unsigned nthreads)
{
	memset(runs, 0, sizeof runs);
	atomic_store(&running, 0);
	atomic_store(&most, 0);
	atomic_store(&others_ran, false);
	atomic_store(&released, false);
	caller = pthread_self();
	config.threads = nthreads;
	CHECK(pool_start(nthreads) == 0);
}

static bool all_ran_once(uint32_t nblocks)
{
	for (uint32_t i = 0; i < NBLOCKS; i++)
		if (atomic_load(&runs[i]) != (i < nblocks))
			return false;
	return true;
}

static int run_slowly(void *context, uint32_t block, struct err *err)
{
	(void)err;
	unsigned now = atomic_fetch_add(&running, 1) + 1;
	if (now > atomic_load(&most))
		atomic_store(&most, now);
	atomic_fetch_add(&runs[block], 1);
	if (!pthread_equal(pthread_self(), caller))
		atomic_store(&others_ran, true);
	usleep(*(const unsigned *)context);
	atomic_fetch_sub(&running, 1);
	return 0;
}

static void every_block_runs_once(void)
{
	unsigned pause_us = 1000;
	start(3);
	CHECK(share_blocks(NBLOCKS, run_slowly, &pause_us, NULL) == 0);
	CHECK(atomic_load(&running) == 0);
	pool_stop();
	CHECK(all_ran_once(NBLOCKS) && atomic_load(&others_ran) && atomic_load(&most) > 1 && atomic_load(&most) <= 3);
}

static void one_thread_is_enough(void)
{
	unsigned pause_us = 100;
	start(1);
	CHECK(share_blocks(0, run_slowly, &pause_us, NULL) == 0 && all_ran_once(0));
	CHECK(share_blocks(7, run_slowly, &pause_us, NULL) == 0 && all_ran_once(7));
	pool_stop();
	CHECK(!atomic_load(&others_ran));
}

/* ---- a pool that is busy ---- */

static void hold(struct pool_task *task)
{
	(void)task;
	for (unsigned i = 0; i < PATIENCE_MS && !atomic_load(&released); i++)
		usleep(1000);
}

static void a_busy_pool_is_not_waited_for(void)
{
	unsigned pause_us = 300;
	start(2);
	struct pool_task tasks[16] = {0};
	for (unsigned i = 0; i < 16; i++) {
		tasks[i].run = hold;
		pool_submit(&tasks[i], POOL_MEMBER);
	}
	CHECK(share_blocks(20, run_slowly, &pause_us, NULL) == 0);
	CHECK(all_ran_once(20) && !atomic_load(&others_ran) && !atomic_load(&released));
	pause_us = 0;
	atomic_store(&released, true); /* the helper comes now, and finds nothing to do */
	pool_stop();
	CHECK(all_ran_once(20));
}

/* ---- failures ---- */

/* Block 5 fails late, and only when 9 has failed; 5 counts. */
static int fail_out_of_order(void *context, uint32_t block, struct err *err)
{
	atomic_bool *nine_failed = context;
	usleep(200);
	if (block == 9) {
		atomic_store(nine_failed, true);
		return err_set(err, -ENOMEM, "block nine");
	}
	if (block != 5)
		return 0;
	for (unsigned i = 0; i < PATIENCE_MS && !atomic_load(nine_failed); i++)
		usleep(1000);
	return err_set(err, -EIO, "block five");
}

static void the_first_failure_counts(void)
{
	atomic_bool nine_failed = false;
	struct err err = ERR_NONE;
	start(2);
	CHECK(share_blocks(NBLOCKS, fail_out_of_order, &nine_failed, &err) == -EIO);
	pool_stop();
	CHECK(atomic_load(&nine_failed) && err.code == -EIO && strcmp(err.text, "block five") == 0);
}

static int fail_at_once(void *context, uint32_t block, struct err *err)
{
	++*(unsigned *)context;
	return block == 2 ? err_set(err, -EIO, "block two") : 0;
}

static void nothing_is_begun_after_a_failure(void)
{
	unsigned n = 0;
	struct err err = ERR_NONE;
	start(1);
	CHECK(share_blocks(NBLOCKS, fail_at_once, &n, &err) == -EIO && n == 3 && strcmp(err.text, "block two") == 0);
	pool_stop();
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(every_block_runs_once),
		CASE(one_thread_is_enough),
		CASE(a_busy_pool_is_not_waited_for),
		CASE(the_first_failure_counts),
		CASE(nothing_is_begun_after_a_failure),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
