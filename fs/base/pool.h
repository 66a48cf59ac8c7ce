/* pool.h - the decode threads. Requests are answered on other threads, so a slow image never blocks `ls`.
 *
 * Four kinds of tasks:
 *   POOL_DECODE  never waits for another task
 *   POOL_MEMBER  somebody waits for it; it may itself wait for decodes and checks
 *   POOL_NEXT    somebody reads and is going to want it next; may wait as a MEMBER does. Starts only where none of the kinds
 *                above is to be done, and runs on all threads but one: who reads, and those who answer, need a processor too
 *   POOL_AHEAD   nobody waits for it (yet); may wait as a MEMBER does. Starts only where nothing else is to be done
 * DECODE and MEMBER tasks start in the order they were given. There are as many threads as processors (or threads=); a few more
 * step in only where a DECODE task has waited for 50 ms, so that long decodes don't hold up short ones. Tasks that wait don't use
 * up the threads: whoever waits on one runs DECODE tasks meanwhile (pool_work_until).
 */
#ifndef PIXFS_POOL_H
#define PIXFS_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum pool_kind { POOL_DECODE, POOL_MEMBER, POOL_NEXT, POOL_AHEAD, POOL_KINDS };

/* Embedded in what is to be done; belongs to the pool from submit until run is called. */
struct pool_task {
	void (*run)(struct pool_task *task);
	bool is_short; /* of NEXT tasks: takes a few milliseconds at most, so that who waits may run it */
	struct pool_task *next;
	uint64_t submitted_ns;
};

int pool_start(
	unsigned nthreads); /* 0 or a negative errno: none runs. Those that can't be started are tried again, once a second */
void pool_stop(void);       /* runs what is queued, then ends the threads */
void pool_submit(struct pool_task *task, enum pool_kind kind);
/* Submits a DECODE task where a thread has nothing to do; false: there is none, or other tasks come first. */
bool pool_submit_if_idle(struct pool_task *task);
/* For who would only wait: the scheduler leaves a processor idle for a millisecond while two threads of the pool share another.
 * Runs the first NEXT task here, as a thread of the pool would, and releases *held meanwhile; false, and nothing was done, where
 * that is no short one, others come first, or the caller is a thread of the pool. */
bool pool_help(pthread_mutex_t *held);
/* For a thread of the pool that has to wait: runs queued DECODE tasks until is_done(context), which is asked before each, and after
 * each pool_tell(). Where none is queued it sleeps. True; false at once where the caller is no thread of the pool. */
bool pool_work_until(bool (*is_done)(void *context), void *context);
/* Something came to be that a thread in pool_work_until may wait for. Costs nothing while there is none. */
void pool_tell(void);
int pool_is_contended(void); /* a task that somebody waits for has no thread: a long task should queue itself again */
int pool_is_worker(void);    /* the caller is a thread of the pool: it may decode itself what it would wait for */

uint64_t pool_now_ns(void); /* CLOCK_MONOTONIC */

#endif
