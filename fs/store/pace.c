/* pace.c - see pace.h. Numbers wrap around; comparisons are of differences. */
#include "pace.h"

#include <pthread.h>

static struct {
	pthread_mutex_t lock;
	void (*on_room)(void);
	uint32_t issued, read;                /* the last numbers */
	uint64_t total_bytes;                 /* of all items ever issued */
	uint64_t until_bytes[PACE_MAX_ITEMS]; /* of an item and all before it */
	bool was_full;
} pace = {.lock = PTHREAD_MUTEX_INITIALIZER};

void pace_on_room(void (*function)(void))
{
	pace.on_room = function;
}

bool pace_has_room(uint64_t limit_bytes)
{
	pthread_mutex_lock(&pace.lock);
	uint64_t read_bytes = pace.read ? pace.until_bytes[pace.read % PACE_MAX_ITEMS] : 0;
	bool room = pace.issued == pace.read ||
		    (pace.issued - pace.read < PACE_MAX_ITEMS && pace.total_bytes - read_bytes < limit_bytes);
	pace.was_full |= !room;
	pthread_mutex_unlock(&pace.lock);
	return room;
}

uint32_t pace_issue(uint64_t len_bytes)
{
	pthread_mutex_lock(&pace.lock);
	pace.total_bytes += len_bytes;
	if (++pace.issued == 0)
		pace.issued = 1;
	uint32_t number = pace.issued;
	pace.until_bytes[number % PACE_MAX_ITEMS] = pace.total_bytes;
	pthread_mutex_unlock(&pace.lock);
	return number;
}

void pace_read(uint32_t number)
{
	if (!number)
		return;
	pthread_mutex_lock(&pace.lock);
	bool further = (int32_t)(number - pace.read) > 0 && (int32_t)(pace.issued - number) >= 0;
	if (further)
		pace.read = number;
	bool room = further && pace.was_full;
	if (room)
		pace.was_full = false;
	pthread_mutex_unlock(&pace.lock);
	if (room && pace.on_room)
		pace.on_room();
}
