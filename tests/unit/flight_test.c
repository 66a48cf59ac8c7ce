/* flight_test.c - large decodes share a part of the budget, one always goes on, and who waits comes to its turn. */
#include "fs/image/flight.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "case.h"
#include "fs/base/config.h"

static const uint64_t MIB = 1 << 20;

static void set_up(uint64_t cache_bytes, unsigned threads)
{
	config.cache_bytes = cache_bytes;
	config.threads = threads;
	flight_set_reclaim(NULL);
}

static void never_run(struct pool_task *task)
{
	(void)task;
	CHECK(false);
}

static void small_ones_are_not_counted(void)
{
	struct pool_task task = {.run = never_run};
	set_up(64 * MIB, 1);
	for (int i = 0; i < 100; i++)
		CHECK(flight_enter(FLIGHT_LEAST_BYTES - 1, &task));
	for (int i = 0; i < 100; i++)
		flight_leave(FLIGHT_LEAST_BYTES - 1);
}

/* ---- tasks ---- */

enum { NTASKS = 20 };
static uint64_t sizes[NTASKS];
static atomic_uint ended, now;
static atomic_ullong bytes_now, most_bytes, most_now;

struct decode {
	struct pool_task task;
	uint64_t len_bytes;
};

static void note_most(atomic_ullong *most, unsigned long long value)
{
	unsigned long long seen = atomic_load(most);
	while (value > seen && !atomic_compare_exchange_weak(most, &seen, value))
		;
}

static void decode_run(struct pool_task *task)
{
	uint64_t len_bytes = ((struct decode *)task)->len_bytes;
	if (!flight_enter(len_bytes, task))
		return;
	note_most(&most_now, atomic_fetch_add(&now, 1) + 1);
	note_most(&most_bytes, atomic_fetch_add(&bytes_now, len_bytes) + len_bytes);
	usleep(1000);
	atomic_fetch_sub(&bytes_now, len_bytes);
	atomic_fetch_sub(&now, 1);
	flight_leave(len_bytes);
	atomic_fetch_add(&ended, 1);
}

static void run_all(unsigned nthreads)
{
	static struct decode decodes[NTASKS];
	atomic_store(&ended, 0);
	atomic_store(&most_bytes, 0);
	atomic_store(&most_now, 0);
	CHECK(pool_start(nthreads) == 0);
	for (int i = 0; i < NTASKS; i++) {
		decodes[i] = (struct decode){{.run = decode_run}, sizes[i]};
		pool_submit(&decodes[i].task, POOL_DECODE);
	}
	for (int i = 0; i < 20000 && atomic_load(&ended) < NTASKS; i++)
		usleep(500);
	pool_stop();
	CHECK(atomic_load(&ended) == NTASKS);
}

static void they_share_half_of_the_budget(void)
{
	set_up(128 * MIB, 4);
	for (int i = 0; i < NTASKS; i++)
		sizes[i] = (uint64_t)(16 + i) * MIB;
	run_all(4);
	CHECK(atomic_load(&most_bytes) <= 64 * MIB);
}

static void one_larger_than_all_goes_alone(void)
{
	set_up(8 * MIB, 4);
	for (int i = 0; i < NTASKS; i++)
		sizes[i] = (uint64_t)(i % 2 ? 4000 : 20) * MIB;
	run_all(4);
	CHECK(atomic_load(&most_now) == 1);
}

static void there_are_no_more_than_threads(void)
{
	set_up((uint64_t)1 << 40, 2);
	for (int i = 0; i < NTASKS; i++)
		sizes[i] = 16 * MIB;
	run_all(8);
	CHECK(atomic_load(&most_now) <= 2);
}

/* ---- what is held without being used ---- */

static atomic_uint idle_held;

static bool give_back_idle(void)
{
	if (!atomic_exchange(&idle_held, 0))
		return false;
	flight_leave(100 * MIB);
	return true;
}

static void what_is_idle_is_given_back(void)
{
	struct pool_task task = {.run = never_run};
	set_up(64 * MIB, 4);
	flight_set_reclaim(give_back_idle);
	CHECK(flight_enter(100 * MIB, &task));
	atomic_store(&idle_held, 1);
	CHECK(flight_enter(90 * MIB, &task));
	CHECK(!flight_is_wanted());
	flight_leave(90 * MIB);
}

/* ---- a thread that can't come back later ---- */

static void enter_here(struct pool_task *task)
{
	(void)task;
	CHECK(flight_enter(50 * MIB, NULL));
	flight_leave(50 * MIB);
	atomic_fetch_add(&ended, 1);
}

static void a_thread_waits_for_its_turn(void)
{
	struct pool_task task = {.run = never_run}, waits = {.run = enter_here};
	set_up(64 * MIB, 4);
	CHECK(flight_enter(100 * MIB, &task));
	atomic_store(&ended, 0);
	CHECK(pool_start(1) == 0);
	pool_submit(&waits, POOL_MEMBER);
	while (!flight_is_wanted())
		usleep(500);
	CHECK(atomic_load(&ended) == 0);
	flight_leave(100 * MIB);
	for (int i = 0; i < 20000 && !atomic_load(&ended); i++)
		usleep(500);
	pool_stop();
	CHECK(atomic_load(&ended) == 1);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(small_ones_are_not_counted),     CASE(they_share_half_of_the_budget), CASE(one_larger_than_all_goes_alone),
		CASE(there_are_no_more_than_threads), CASE(what_is_idle_is_given_back),    CASE(a_thread_waits_for_its_turn),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
