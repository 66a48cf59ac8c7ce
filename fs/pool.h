/* pool.h - the decode threads. Requests are answered on other threads, so a slow image never blocks `ls`.
 *
 * Tasks start in the order they were given. There are as many threads as processors (or threads=); a few more step in
 * only where the next task has waited for 50 ms, so that long decodes don't hold up short ones.
 */
#ifndef PIXFS_POOL_H
#define PIXFS_POOL_H

#include <stdint.h>

/* Embedded in what is to be done; belongs to the pool from submit until run is called. */
struct pool_task {
	void (*run)(struct pool_task *task);
	struct pool_task *next;
	uint64_t submitted_ns;
};

int pool_start(unsigned nthreads); /* 0 or a negative errno */
void pool_stop(void);              /* runs what is queued, then ends the threads */
void pool_submit(struct pool_task *task);
int pool_is_contended(void); /* somebody's task waits for a thread: a long task should queue itself again */

uint64_t pool_now_ns(void); /* CLOCK_MONOTONIC */

#endif
