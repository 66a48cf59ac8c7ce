/* pool.c - see pool.h. One lock for all queues. Threads beyond the number asked for are the late shift. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { LATE_THREADS = 6, MAX_THREADS = 256 };
static const uint64_t LATE_NS = 50 * 1000 * 1000;

struct queue {
	struct pool_task *head, **tail;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue queues[POOL_KINDS];
	pthread_t threads[MAX_THREADS + LATE_THREADS];
	unsigned nthreads;
	bool stopping;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool is_worker;

uint64_t pool_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The queue whose turn it is, NULL: nothing to do. */
static struct queue *next_queue(void)
{
	struct queue *decode = &pool.queues[POOL_DECODE], *member = &pool.queues[POOL_MEMBER], *ahead = &pool.queues[POOL_AHEAD];
	if (decode->head && (!member->head || decode->head->submitted_ns <= member->head->submitted_ns))
		return decode;
	return member->head ? member : ahead->head ? ahead : NULL;
}

static bool decode_is_late(void)
{
	const struct pool_task *head = pool.queues[POOL_DECODE].head;
	return head && (pool.stopping || pool_now_ns() - head->submitted_ns > LATE_NS);
}

static void run_next(struct queue *queue)
{
	struct pool_task *task = queue->head;
	queue->head = task->next;
	pthread_mutex_unlock(&pool.lock);
	task->run(task);
	pthread_mutex_lock(&pool.lock);
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
	is_worker = true;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct queue *queue = late ? &pool.queues[POOL_DECODE] : next_queue();
		if (late ? decode_is_late() : queue != NULL)
			run_next(queue);
		else if (pool.stopping && !(queue && queue->head))
			break;
		else if (late && queue->head)
			wait_until_late();
		else
			pthread_cond_wait(&pool.work, &pool.lock);
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

void pool_submit(struct pool_task *task, enum pool_kind kind)
{
	struct queue *queue = &pool.queues[kind];
	task->next = NULL;
	task->submitted_ns = pool_now_ns();
	pthread_mutex_lock(&pool.lock);
	if (queue->head)
		*queue->tail = task;
	else
		queue->head = task;
	queue->tail = &task->next;
	/* all: a single wake-up could reach a thread of the late shift, which leaves the task where it is */
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
}

int pool_is_contended(void)
{
	pthread_mutex_lock(&pool.lock);
	int contended = pool.queues[POOL_DECODE].head || pool.queues[POOL_MEMBER].head;
	pthread_mutex_unlock(&pool.lock);
	return contended;
}

int pool_is_worker(void)
{
	return is_worker;
}
