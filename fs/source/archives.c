/* archives.c - see archives.h. A list: there are as many as archives in use. */
#include "archives.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct shared {
	struct shared *next;
	struct archive_key key;
	uint64_t serial;
	struct archive *archive; /* one reference */
};

static struct {
	pthread_mutex_t lock;
	struct shared *first;
	uint64_t next_serial;
} list = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_serial = 1};

static struct shared *find(const struct archive_key *key)
{
	struct shared *shared = list.first;
	while (shared && memcmp(&shared->key, key, sizeof *key) != 0)
		shared = shared->next;
	return shared;
}

struct archive *archives_find(const struct archive_key *key, uint64_t *ret_serial)
{
	pthread_mutex_lock(&list.lock);
	struct shared *shared = find(key);
	struct archive *archive = shared ? archive_ref(shared->archive) : NULL;
	if (shared)
		*ret_serial = shared->serial;
	pthread_mutex_unlock(&list.lock);
	return archive;
}

uint64_t archives_share(const struct archive_key *key, struct archive **archive)
{
	struct archive *surplus = NULL;
	uint64_t serial = 0;
	pthread_mutex_lock(&list.lock);
	struct shared *shared = find(key);
	if (shared) {
		surplus = *archive;
		*archive = archive_ref(shared->archive);
	} else {
		shared = malloc(sizeof *shared);
		if (shared) {
			*shared = (struct shared){list.first, *key, list.next_serial++, archive_ref(*archive)};
			list.first = shared;
		}
	}
	if (shared)
		serial = shared->serial;
	pthread_mutex_unlock(&list.lock);
	archive_unref(surplus);
	return serial;
}

/* Whether any was closed. */
static bool sweep(void)
{
	struct shared *unused = NULL;
	pthread_mutex_lock(&list.lock);
	for (struct shared **link = &list.first, *shared; (shared = *link);) {
		if (archive_is_shared(shared->archive)) {
			link = &shared->next;
			continue;
		}
		*link = shared->next;
		shared->next = unused;
		unused = shared;
	}
	pthread_mutex_unlock(&list.lock);
	bool any = unused != NULL;
	for (struct shared *next; unused; unused = next) {
		next = unused->next;
		archive_unref(unused->archive);
		free(unused);
	}
	return any;
}

void archives_sweep(void)
{
	/* one that lies in another one has a reference on it */
	while (sweep()) {
	}
}
