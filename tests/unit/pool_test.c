/* pool_test.c - every task runs once, in time, and a long one doesn't hold up the next. */
#include "fs/base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "case.h"

enum { NTASKS = 20000, NSUBMITTERS = 4 };

static atomic_uint runs;

static void count_run(struct pool_task *task)
{
	atomic_fetch_add(&runs, 1);
	free(task);
}

static void *submit_many(void *pause)
{
	for (unsigned i = 0; i < NTASKS; i++) {
		struct pool_task *task = malloc(sizeof *task);
		task->run = count_run;
		pool_submit(task, (enum pool_kind)(i % POOL_KINDS));
		if (pause && i % 1000 == 0)
			usleep(1000); /* the threads fall asleep in between */
	}
	return NULL;
}

static void every_task_runs_once(void)
{
	pthread_t submitters[NSUBMITTERS];
	atomic_store(&runs, 0);
	CHECK(pool_start(2) == 0);
	for (size_t i = 0; i < NSUBMITTERS; i++)
		pthread_create(&submitters[i], NULL, submit_many, i % 2 ? &runs : NULL);
	for (size_t i = 0; i < NSUBMITTERS; i++)
		pthread_join(submitters[i], NULL);
	pool_stop();
	CHECK(atomic_load(&runs) == NTASKS * NSUBMITTERS);
}

/* ---- the late shift ---- */

static atomic_uint waiting;
static atomic_bool released;

static void wait_for_release(struct pool_task *task)
{
	(void)task;
	atomic_fetch_add(&waiting, 1);
	while (!atomic_load(&released))
		usleep(500);
}

static void release(struct pool_task *task)
{
	(void)task;
	atomic_store(&released, true);
}

/* Tasks that end only when the last one ran, more than there are threads. Without the late shift nothing would move. */
static void late_tasks_are_run_by_others(unsigned nlong)
{
	struct pool_task tasks[4] = {0}, last = {.run = release};
	atomic_store(&waiting, 0);
	atomic_store(&released, false);
	CHECK(pool_start(1) == 0);
	for (unsigned i = 0; i < nlong; i++) {
		tasks[i].run = wait_for_release;
		pool_submit(&tasks[i], POOL_DECODE);
	}
	pool_submit(&last, POOL_DECODE);
	for (unsigned i = 0; i < 20000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released));
	atomic_store(&released, true);
	pool_stop();
	CHECK(atomic_load(&waiting) == nlong);
}

static void a_late_task_is_run_by_another_thread(void)
{
	late_tasks_are_run_by_others(1);
}

static void several_late_tasks_are_run_by_others(void)
{
	late_tasks_are_run_by_others(4);
}

/* The threads sleep already when the long tasks come. */
static void also_after_a_rest(void)
{
	struct pool_task hold = {.run = wait_for_release}, last = {.run = release};
	atomic_store(&released, false);
	CHECK(pool_start(1) == 0);
	usleep(20000);
	pool_submit(&hold, POOL_DECODE);
	usleep(20000);
	pool_submit(&last, POOL_DECODE);
	for (unsigned i = 0; i < 20000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released));
	atomic_store(&released, true);
	pool_stop();
}

/* ---- who waits helps ---- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_t helper;
static bool helped_as_worker;

static void note_helper(struct pool_task *task)
{
	(void)task;
	helper = pthread_self();
	helped_as_worker = pool_is_worker() && !pool_help(&held) && pthread_mutex_trylock(&held) == 0;
	if (helped_as_worker)
		pthread_mutex_unlock(&held);
}

/* The only thread is busy until released. */
static void start_with_a_busy_thread(struct pool_task *hold)
{
	*hold = (struct pool_task){.run = wait_for_release};
	atomic_store(&waiting, 0);
	atomic_store(&released, false);
	CHECK(pool_start(1) == 0);
	pool_submit(hold, POOL_MEMBER);
	while (atomic_load(&waiting) == 0)
		usleep(500);
}

static void stop_with_a_busy_thread(void)
{
	atomic_store(&released, true);
	pool_stop();
}

static void who_waits_runs_a_short_task(void)
{
	struct pool_task hold, task = {.run = note_helper, .is_short = true};
	start_with_a_busy_thread(&hold);
	helped_as_worker = false;
	pthread_mutex_lock(&held);
	CHECK(!pool_help(&held));
	pool_submit(&task, POOL_NEXT);
	CHECK(pool_help(&held));
	CHECK(helped_as_worker && pthread_equal(helper, pthread_self()) && !pool_is_worker());
	CHECK(pthread_mutex_trylock(&held) != 0);
	CHECK(!pool_help(&held));
	pthread_mutex_unlock(&held);
	stop_with_a_busy_thread();
}

static void who_waits_runs_nothing_else(void)
{
	struct pool_task hold, longer = {.run = note_helper}, behind = {.run = note_helper, .is_short = true};
	struct pool_task urgent = {.run = note_helper, .is_short = true};
	start_with_a_busy_thread(&hold);
	pthread_mutex_lock(&held);
	pool_submit(&urgent, POOL_MEMBER);
	CHECK(!pool_help(&held));
	pool_submit(&longer, POOL_NEXT);
	pool_submit(&behind, POOL_NEXT);
	CHECK(!pool_help(&held));
	pthread_mutex_unlock(&held);
	stop_with_a_busy_thread();
	CHECK(!pthread_equal(helper, pthread_self()));
}

/* ---- a thread that waits works ---- */

static atomic_uint nested;

static void count_nested(struct pool_task *task)
{
	(void)task;
	atomic_fetch_add(&nested, 1);
	pool_tell();
}

static bool all_ran(void *wanted)
{
	return atomic_load(&nested) == *(unsigned *)wanted;
}

/* It waits for what stands behind it in the queue. */
static void work_until_all_ran(struct pool_task *task)
{
	unsigned wanted = 3;
	(void)task;
	if (pool_work_until(all_ran, &wanted))
		atomic_store(&released, true);
}

static void a_thread_that_waits_runs_decode_tasks(void)
{
	struct pool_task waits[2] = {{.run = work_until_all_ran}, {.run = work_until_all_ran}}, tasks[3];
	unsigned wanted = 3;
	atomic_store(&nested, 0);
	atomic_store(&released, false);
	CHECK(!pool_work_until(all_ran, &wanted));
	CHECK(pool_start(2) == 0);
	for (unsigned i = 0; i < 2; i++)
		pool_submit(&waits[i], POOL_MEMBER);
	uint64_t start_ns = pool_now_ns();
	for (unsigned i = 0; i < 3; i++) {
		usleep(5000); /* they sleep when the first comes */
		tasks[i] = (struct pool_task){.run = count_nested};
		pool_submit(&tasks[i], POOL_DECODE);
	}
	for (unsigned i = 0; i < 20000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released) && pool_now_ns() > start_ns);
	pool_stop();
	CHECK(atomic_load(&nested) == 3);
}

static atomic_bool told;

static bool was_told(void *context)
{
	(void)context;
	return atomic_load(&told);
}

static void work_until_told(struct pool_task *task)
{
	(void)task;
	atomic_fetch_add(&waiting, 1);
	pool_work_until(was_told, NULL);
	atomic_store(&released, true);
}

static void it_goes_on_when_it_is_told(void)
{
	struct pool_task task = {.run = work_until_told};
	atomic_store(&waiting, 0);
	atomic_store(&told, false);
	atomic_store(&released, false);
	CHECK(pool_start(1) == 0);
	pool_submit(&task, POOL_MEMBER);
	while (!atomic_load(&waiting))
		usleep(500);
	usleep(5000);
	CHECK(!atomic_load(&released));
	atomic_store(&told, true);
	pool_tell();
	for (unsigned i = 0; i < 20000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released));
	pool_stop();
}

/* ---- what is read next leaves one thread to others ---- */

static void next_tasks_leave_one_thread(void)
{
	struct pool_task next[3], ahead = {.run = release};
	atomic_store(&waiting, 0);
	atomic_store(&released, false);
	CHECK(pool_start(3) == 0);
	for (unsigned i = 0; i < 3; i++) {
		next[i] = (struct pool_task){.run = wait_for_release};
		pool_submit(&next[i], POOL_NEXT);
	}
	for (unsigned i = 0; i < 4000 && atomic_load(&waiting) < 2; i++)
		usleep(500);
	usleep(20000);
	CHECK(atomic_load(&waiting) == 2);
	pool_submit(&ahead, POOL_AHEAD); /* behind them, and yet run */
	for (unsigned i = 0; i < 4000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released));
	atomic_store(&released, true);
	pool_stop();
	CHECK(atomic_load(&waiting) == 3);
}

static void one_thread_runs_next_tasks_too(void)
{
	struct pool_task next = {.run = release};
	atomic_store(&released, false);
	CHECK(pool_start(1) == 0);
	pool_submit(&next, POOL_NEXT);
	for (unsigned i = 0; i < 4000 && !atomic_load(&released); i++)
		usleep(500);
	CHECK(atomic_load(&released));
	pool_stop();
}

/* Address space for the stacks of one or two threads at the start, and for all of them two seconds later. */
static void threads_that_could_not_start_are_tried_again(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	enum { TASKS = 4 };
	struct pool_task tasks[TASKS], last = {.run = release};
	struct rlimit before, tight;
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	pthread_attr_t attributes;
	CHECK(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	CHECK(getrlimit(RLIMIT_AS, &before) == 0);
	tight = before;
	tight.rlim_cur = pages * 4096 + (100u << 20);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64u << 20);
	pthread_setattr_default_np(&attributes);
	CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
	int rc = pool_start(TASKS);
	CHECK(setrlimit(RLIMIT_AS, &before) == 0);
	CHECK(rc == 0);
	atomic_store(&waiting, 0);
	atomic_store(&released, false);
	for (unsigned i = 0; i < TASKS; i++) {
		tasks[i].run = wait_for_release;
		pool_submit(&tasks[i], POOL_MEMBER); /* which only regular threads run */
	}
	usleep(100000);
	CHECK(atomic_load(&waiting) < TASKS);
	for (unsigned i = 0; i < 8 && atomic_load(&waiting) < TASKS; i++) {
		usleep(300000);
		struct pool_task *more = malloc(sizeof *more);
		more->run = count_run;
		pool_submit(more, POOL_MEMBER);
	}
	for (unsigned i = 0; i < 2000 && atomic_load(&waiting) < TASKS; i++)
		usleep(500);
	CHECK(atomic_load(&waiting) == TASKS);
	pool_submit(&last, POOL_DECODE); /* by the late shift */
	pool_stop();
	pthread_attr_setstacksize(&attributes, 8u << 20);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
#endif
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(who_waits_runs_a_short_task),
		CASE(who_waits_runs_nothing_else),
		CASE(every_task_runs_once),
		CASE(a_late_task_is_run_by_another_thread),
		CASE(several_late_tasks_are_run_by_others),
		CASE(also_after_a_rest),
		CASE(next_tasks_leave_one_thread),
		CASE(one_thread_runs_next_tasks_too),
		CASE(a_thread_that_waits_runs_decode_tasks),
		CASE(it_goes_on_when_it_is_told),
		CASE(threads_that_could_not_start_are_tried_again),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
