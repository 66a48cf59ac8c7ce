/* pool_test.c - every task runs once, in time, and a long one doesn't hold up the next. */
#include "../../fs/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
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
		pool_submit(task, POOL_DECODE);
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

int main(void)
{
	static const struct test_case cases[] = {
		CASE(every_task_runs_once),
		CASE(a_late_task_is_run_by_another_thread),
		CASE(several_late_tasks_are_run_by_others),
		CASE(also_after_a_rest),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
