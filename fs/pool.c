/* pool.c - see pool.h. One queue, one lock. Threads beyond the number asked for are the late shift.
 *
 * A task wakes one thread, and only where one sleeps: most tasks are short, and a wake-up costs more than many of them.
 * While tasks are queued and no regular thread sleeps, one thread of the late shift keeps the watch: it sleeps until the
 * first of them is late. All others of the late shift sleep without a time. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { LATE_THREADS = 6, MAX_THREADS = 256 };
static const uint64_t LATE_NS = 50 * 1000 * 1000;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work, late; /* what the regular threads, and the late shift, sleep on */
	unsigned nidle;            /* regular threads asleep, or woken and not yet here */
	unsigned noff_duty;        /* the same of the late shift without a watch */
	bool watched;
	struct pool_task *head, **tail;
	pthread_t threads[MAX_THREADS + LATE_THREADS];
	unsigned nthreads;
	bool stopping;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .tail = &pool.head};

uint64_t pool_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct pool_task *take(void)
{
	struct pool_task *task = pool.head;
	pool.head = task->next;
	if (!pool.head)
		pool.tail = &pool.head;
	return task;
}

/* Lock held: whether a thread of the late shift must be woken to keep the watch. */
static bool needs_watch(void)
{
	return pool.head && pool.nidle == 0 && !pool.watched && pool.noff_duty > 0;
}

/* Takes the first task and runs it. Lock held, and released meanwhile. */
static void run_first(void)
{
	struct pool_task *task = take();
	bool watch = needs_watch();
	pthread_mutex_unlock(&pool.lock);
	if (watch)
		pthread_cond_signal(&pool.late);
	task->run(task);
	pthread_mutex_lock(&pool.lock);
}

static void *regular_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pool.lock);
	while (pool.head || !pool.stopping) {
		if (pool.head) {
			run_first();
			continue;
		}
		pool.nidle++;
		pthread_cond_wait(&pool.work, &pool.lock);
		pool.nidle--;
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* Sleeps until the first task is late, or for a round if others take the tasks in time. */
static void keep_watch(void)
{
	struct timespec until;
	uint64_t until_ns = pool.head->submitted_ns + LATE_NS;
	until.tv_sec = (time_t)(until_ns / 1000000000);
	until.tv_nsec = (long)(until_ns % 1000000000);
	pool.watched = true;
	pthread_cond_timedwait(&pool.late, &pool.lock, &until);
	pool.watched = false;
}

static void *late_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pool.lock);
	while (pool.head || !pool.stopping) {
		if (pool.head && (pool.stopping || pool_now_ns() - pool.head->submitted_ns > LATE_NS)) {
			run_first();
		} else if (pool.head && !pool.watched) {
			keep_watch();
		} else {
			pool.noff_duty++;
			pthread_cond_wait(&pool.late, &pool.lock);
			pool.noff_duty--;
		}
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

int pool_start(unsigned nthreads)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.work, NULL);
	pthread_cond_init(&pool.late, &attributes);
	pthread_condattr_destroy(&attributes);
	pool.stopping = false;
	unsigned wanted = nthreads < MAX_THREADS ? nthreads : MAX_THREADS;
	for (pool.nthreads = 0; pool.nthreads < wanted + LATE_THREADS; pool.nthreads++) {
		int rc =
			pthread_create(&pool.threads[pool.nthreads], NULL, pool.nthreads < wanted ? regular_main : late_main, NULL);
		if (rc && pool.nthreads == 0)
			return -rc;
		if (rc)
			break;
	}
	return 0;
}

void pool_stop(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.stopping = true;
	pthread_cond_broadcast(&pool.work);
	pthread_cond_broadcast(&pool.late);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < pool.nthreads; i++)
		pthread_join(pool.threads[i], NULL);
	pool.nthreads = 0;
}

void pool_submit(struct pool_task *task)
{
	task->next = NULL;
	task->submitted_ns = pool_now_ns();
	pthread_mutex_lock(&pool.lock);
	*pool.tail = task;
	pool.tail = &task->next;
	bool wake = pool.nidle > 0, watch = needs_watch();
	pthread_mutex_unlock(&pool.lock);
	if (wake)
		pthread_cond_signal(&pool.work);
	else if (watch)
		pthread_cond_signal(&pool.late);
}

int pool_is_contended(void)
{
	pthread_mutex_lock(&pool.lock);
	int contended = pool.head != NULL;
	pthread_mutex_unlock(&pool.lock);
	return contended;
}
