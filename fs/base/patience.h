/* patience.h - how long somebody waits: for ever, or until a question is answered with true. */
#ifndef PIXFS_PATIENCE_H
#define PIXFS_PATIENCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* NULL, or give_up NULL: for ever. give_up is asked now and then; true ends the wait with -EINTR. */
struct patience {
	bool (*give_up)(void *context);
	void *context;
};

/* The patience of whoever this thread works for just now, for what lies too deep to be handed it: sources of bytes, which are read
 * by decoders that know of no waiting. Set for the length of a request; NULL: for ever. Gives the one before, to be set again. */
const struct patience *patience_set_of_thread(const struct patience *patience);
const struct patience *patience_of_thread(void);

static inline bool patience_is_over(const struct patience *patience)
{
	return patience && patience->give_up && patience->give_up(patience->context);
}

/* Waits for a condition variable of CLOCK_MONOTONIC, but not longer than until it is time to ask again. */
static inline void patience_nap(pthread_cond_t *condition, pthread_mutex_t *lock)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 50 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(condition, lock, &until);
}

#endif
