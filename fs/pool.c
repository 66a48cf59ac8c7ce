/* pool.c - see pool.h. One queue, one lock. Threads beyond the number asked for are the late shift. */
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
	pthread_cond_t work;
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

static void wait_until_late(void)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)LATE_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&pool.work, &pool.lock, &until);
}

static void *thread_main(void *late)
{
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		if (pool.head && (!late || pool.stopping || pool_now_ns() - pool.head->submitted_ns > LATE_NS)) {
			struct pool_task *task = take();
			pthread_mutex_unlock(&pool.lock);
			task->run(task);
			pthread_mutex_lock(&pool.lock);
		} else if (pool.stopping && !pool.head) {
			break;
		} else if (late && pool.head) {
			wait_until_late();
		} else {
			pthread_cond_wait(&pool.work, &pool.lock);
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
	pthread_cond_init(&pool.work, &attributes);
	pthread_condattr_destroy(&attributes);
	pool.stopping = false;
	unsigned wanted = nthreads < MAX_THREADS ? nthreads : MAX_THREADS;
	for (pool.nthreads = 0; pool.nthreads < wanted + LATE_THREADS; pool.nthreads++) {
		void *late = pool.nthreads < wanted ? NULL : &pool;
		int rc = pthread_create(&pool.threads[pool.nthreads], NULL, thread_main, late);
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
	/* all: a single wake-up could reach a thread of the late shift, which leaves the task where it is */
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
}

int pool_is_contended(void)
{
	pthread_mutex_lock(&pool.lock);
	int contended = pool.head != NULL;
	pthread_mutex_unlock(&pool.lock);
	return contended;
}
