/* flight.c - see flight.h. Whoever waits asks again when somebody left: tasks all at once, in their order. */
#include "flight.h"

#include <pthread.h>
#include <stddef.h>

#include "fs/base/config.h"

static struct {
	pthread_mutex_t lock;
	uint64_t used_bytes;
	unsigned count, nwaiting; /* decodes under way; threads that work until there is room */
	struct pool_task *first, **last;
	bool (*reclaim)(void);
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &all.first};

void flight_set_reclaim(bool (*reclaim)(void))
{
	all.reclaim = reclaim;
}

/* Takes the place, if there is one; with the lock held. */
static bool take(uint64_t len_bytes)
{
	bool room = all.count == 0 || (all.count < config.threads && all.used_bytes + len_bytes <= config.cache_bytes / 2);
	if (room) {
		all.count++;
		all.used_bytes += len_bytes;
	}
	return room;
}

static bool try(void *len_bytes)
{
	pthread_mutex_lock(&all.lock);
	bool taken = take(*(uint64_t *)len_bytes);
	pthread_mutex_unlock(&all.lock);
	return taken;
}

static bool reclaim(void)
{
	return all.reclaim && all.reclaim();
}

static void count_waiting(int change)
{
	pthread_mutex_lock(&all.lock);
	all.nwaiting += (unsigned)change;
	pthread_mutex_unlock(&all.lock);
}

/* What is held without being used is asked for once more when it is known that somebody waits: who leaves something unused after
 * that sees it. */
static void work_until_taken(uint64_t len_bytes)
{
	count_waiting(1);
	while (reclaim())
		;
	pool_work_until(try, &len_bytes);
	count_waiting(-1);
}

bool flight_enter(uint64_t len_bytes, struct pool_task *task)
{
	if (len_bytes < FLIGHT_LEAST_BYTES || try(&len_bytes))
		return true;
	while (reclaim())
		if (try(&len_bytes))
			return true;
	if (!task) {
		work_until_taken(len_bytes);
		return true;
	}
	pthread_mutex_lock(&all.lock);
	bool taken = take(len_bytes);
	if (!taken) {
		task->next = NULL;
		*all.last = task;
		all.last = &task->next;
	}
	pthread_mutex_unlock(&all.lock);
	while (!taken && reclaim())
		;
	return taken;
}

void flight_leave(uint64_t len_bytes)
{
	if (len_bytes < FLIGHT_LEAST_BYTES)
		return;
	pthread_mutex_lock(&all.lock);
	all.count--;
	all.used_bytes -= len_bytes;
	struct pool_task *task = all.first;
	all.first = NULL;
	all.last = &all.first;
	pthread_mutex_unlock(&all.lock);
	for (struct pool_task *next; task; task = next) {
		next = task->next;
		pool_submit(task, POOL_DECODE);
	}
	pool_tell();
}

bool flight_is_wanted(void)
{
	pthread_mutex_lock(&all.lock);
	bool wanted = all.first || all.nwaiting;
	pthread_mutex_unlock(&all.lock);
	return wanted;
}
