/* pool.c - see pool.h. One lock for all queues. Threads beyond the number asked for are the late shift.
 *
 * A task wakes one thread, and only where one sleeps: most tasks are short, and a wake-up costs more than many of them.
 * While DECODE tasks are queued and no regular thread sleeps, one thread of the late shift keeps the watch: it sleeps until
 * the first of them is late. All others of the late shift sleep without a time. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { LATE_THREADS = 6, MAX_THREADS = 256 };
static const uint64_t LATE_NS = 50 * 1000 * 1000, AGAIN_NS = 1000 * 1000 * 1000;

struct queue {
	struct pool_task *head, **tail;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work, late; /* what the regular threads, and the late shift, sleep on */
	unsigned nidle;            /* regular threads asleep, or woken and not yet here */
	unsigned noff_duty;        /* the same of the late shift without a watch */
	bool watched;
	struct queue queues[POOL_KINDS];
	pthread_t threads[MAX_THREADS + LATE_THREADS];
	unsigned nthreads, wanted; /* those that run, and the regular ones that shall: the first of them */
	atomic_bool short_handed;  /* some could not be started */
	uint64_t tried_ns;
	unsigned nnext, most_next; /* threads that run NEXT tasks, and how many may */
	pthread_cond_t told;       /* what threads in pool_work_until sleep on */
	unsigned nasleep;          /* those that do */
	atomic_uint nwaiting;      /* all that are in there */
	uint64_t times_told;
	bool stopping;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool is_worker;
static _Thread_local unsigned depth; /* of pool_work_until */

uint64_t pool_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of tasks that somebody waits for, the queue whose turn it is; NULL: there are none. */
static struct queue *urgent_queue(void)
{
	struct queue *decode = &pool.queues[POOL_DECODE], *member = &pool.queues[POOL_MEMBER];
	if (decode->head && (!member->head || decode->head->submitted_ns <= member->head->submitted_ns))
		return decode;
	return member->head ? member : NULL;
}

/* The queue whose turn it is, NULL: nothing to do. */
static struct queue *next_queue(void)
{
	struct queue *urgent = urgent_queue(), *next = &pool.queues[POOL_NEXT], *ahead = &pool.queues[POOL_AHEAD];
	if (urgent)
		return urgent;
	return next->head && pool.nnext < pool.most_next ? next : ahead->head ? ahead : NULL;
}

static bool decode_is_late(void)
{
	const struct pool_task *head = pool.queues[POOL_DECODE].head;
	return head && (pool.stopping || pool_now_ns() - head->submitted_ns > LATE_NS);
}

/* Lock held: whether a thread of the late shift must be woken to keep the watch. */
static bool needs_watch(void)
{
	return pool.queues[POOL_DECODE].head && pool.nidle == 0 && !pool.watched && pool.noff_duty > 0;
}

static struct pool_task *take_first(struct queue *queue)
{
	struct pool_task *task = queue->head;
	queue->head = task->next;
	return task;
}

/* Takes the first task of a queue and runs it. Lock held, and released meanwhile. */
static void run_first(struct queue *queue)
{
	struct pool_task *task = take_first(queue);
	bool watch = needs_watch(), lend = pool.queues[POOL_DECODE].head && pool.nasleep > 0;
	pthread_mutex_unlock(&pool.lock);
	if (lend)
		pthread_cond_broadcast(&pool.told);
	if (watch)
		pthread_cond_signal(&pool.late);
	task->run(task);
	pthread_mutex_lock(&pool.lock);
}

static void *regular_main(void *unused)
{
	(void)unused;
	is_worker = true;
	pthread_mutex_lock(&pool.lock);
	for (struct queue *queue; (queue = next_queue()) || !pool.stopping;) {
		if (queue) {
			bool is_next = queue == &pool.queues[POOL_NEXT];
			pool.nnext += is_next;
			run_first(queue);
			pool.nnext -= is_next;
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
	uint64_t until_ns = pool.queues[POOL_DECODE].head->submitted_ns + LATE_NS;
	until.tv_sec = (time_t)(until_ns / 1000000000);
	until.tv_nsec = (long)(until_ns % 1000000000);
	pool.watched = true;
	pthread_cond_timedwait(&pool.late, &pool.lock, &until);
	pool.watched = false;
}

static void *late_main(void *unused)
{
	(void)unused;
	is_worker = true;
	pthread_mutex_lock(&pool.lock);
	struct queue *queue = &pool.queues[POOL_DECODE];
	while (queue->head || !pool.stopping) {
		if (decode_is_late()) {
			run_first(queue);
		} else if (queue->head && !pool.watched) {
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

/* Starts those that are missing, until one can't be: its error. Lock held. */
static int start_threads(void)
{
	int rc = 0;
	while (rc == 0 && pool.nthreads < pool.wanted + LATE_THREADS) {
		rc = pthread_create(&pool.threads[pool.nthreads], NULL, pool.nthreads < pool.wanted ? regular_main : late_main,
				    NULL);
		pool.nthreads += rc == 0;
	}
	pool.tried_ns = pool_now_ns();
	atomic_store(&pool.short_handed, rc != 0);
	return rc;
}

/* What a limit on threads or memory refused it may allow later. */
static void start_missing(uint64_t now_ns)
{
	pthread_mutex_lock(&pool.lock);
	if (!pool.stopping && now_ns - pool.tried_ns > AGAIN_NS)
		start_threads();
	pthread_mutex_unlock(&pool.lock);
}

int pool_start(unsigned nthreads)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.work, NULL);
	pthread_cond_init(&pool.late, &attributes);
	pthread_cond_init(&pool.told, NULL);
	pthread_condattr_destroy(&attributes);
	pool.stopping = false;
	pool.wanted = nthreads < MAX_THREADS ? nthreads : MAX_THREADS;
	pool.most_next = pool.wanted > 1 ? pool.wanted - 1 : 1;
	pool.nthreads = 0;
	pthread_mutex_lock(&pool.lock);
	int rc = start_threads();
	pthread_mutex_unlock(&pool.lock);
	return pool.nthreads ? 0 : -rc;
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

/* Lock held. */
static void enqueue(struct pool_task *task, enum pool_kind kind)
{
	struct queue *queue = &pool.queues[kind];
	task->next = NULL;
	if (queue->head)
		*queue->tail = task;
	else
		queue->head = task;
	queue->tail = &task->next;
}

void pool_submit(struct pool_task *task, enum pool_kind kind)
{
	uint64_t now_ns = task->submitted_ns = pool_now_ns();
	if (atomic_load_explicit(&pool.short_handed, memory_order_relaxed))
		start_missing(now_ns);
	pthread_mutex_lock(&pool.lock);
	enqueue(task, kind);
	bool wake = pool.nidle > 0 && (kind != POOL_NEXT || pool.nnext < pool.most_next), watch = needs_watch();
	bool lend = !wake && kind == POOL_DECODE && pool.nasleep > 0;
	pthread_mutex_unlock(&pool.lock);
	if (lend)
		pthread_cond_broadcast(&pool.told);
	if (wake)
		pthread_cond_signal(&pool.work);
	else if (watch)
		pthread_cond_signal(&pool.late);
}

bool pool_submit_if_idle(struct pool_task *task)
{
	task->submitted_ns = pool_now_ns();
	pthread_mutex_lock(&pool.lock);
	bool idle = pool.nidle > 0 && !next_queue();
	if (idle)
		enqueue(task, POOL_DECODE);
	pthread_mutex_unlock(&pool.lock);
	if (idle)
		pthread_cond_signal(&pool.work);
	return idle;
}

bool pool_help(pthread_mutex_t *held)
{
	if (is_worker)
		return false;
	pthread_mutex_lock(&pool.lock);
	struct queue *next = &pool.queues[POOL_NEXT];
	bool can = !urgent_queue() && next->head && next->head->is_short && !pool.stopping;
	struct pool_task *task = can ? take_first(next) : NULL;
	pthread_mutex_unlock(&pool.lock);
	if (!task)
		return false;
	pthread_mutex_unlock(held);
	is_worker = true;
	task->run(task);
	is_worker = false;
	pthread_mutex_lock(held);
	return true;
}

bool pool_work_until(bool (*is_done)(void *context), void *context)
{
	if (!is_worker)
		return false;
	atomic_fetch_add(&pool.nwaiting, 1);
	depth++;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		uint64_t told = pool.times_told;
		pthread_mutex_unlock(&pool.lock);
		bool done = is_done(context);
		pthread_mutex_lock(&pool.lock);
		struct queue *decode = &pool.queues[POOL_DECODE];
		if (done)
			break;
		if (decode->head && pool.nidle == 0) {
			run_first(decode);
		} else if (told == pool.times_told) {
			pool.nasleep++;
			pthread_cond_wait(&pool.told, &pool.lock);
			pool.nasleep--;
		}
	}
	pthread_mutex_unlock(&pool.lock);
	depth--;
	atomic_fetch_sub(&pool.nwaiting, 1);
	return true;
}

/* Who waits counts itself first and asks then; what it asks for is set before this is called, under one lock with the asking: so
 * either it sees that, or it is seen here. */
void pool_tell(void)
{
	if (!atomic_load(&pool.nwaiting))
		return;
	pthread_mutex_lock(&pool.lock);
	pool.times_told++;
	pthread_cond_broadcast(&pool.told);
	pthread_mutex_unlock(&pool.lock);
}

int pool_is_contended(void)
{
	if (depth)
		return true; /* the task below on this thread's stack may be able to go on */
	pthread_mutex_lock(&pool.lock);
	int contended = pool.queues[POOL_DECODE].head || pool.queues[POOL_MEMBER].head;
	pthread_mutex_unlock(&pool.lock);
	return contended;
}

int pool_is_worker(void)
{
	return is_worker;
}
