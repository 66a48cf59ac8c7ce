/* opened.c - see opened.h. */
#include "opened.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fs/base/status.h"

enum { BUCKETS = 1024 };

static struct {
	pthread_mutex_t lock;
	struct opened *buckets[BUCKETS];
	uint64_t count, total; /* now, and ever */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct opened **bucket_of(uint64_t id)
{
	return &all.buckets[(id * 0x9e3779b97f4a7c15u) >> 54];
}

/* Somebody who has the file open; NULL: nobody. Lock held. */
static const struct opened *find_file(uint64_t id)
{
	const struct opened *opened = *bucket_of(id);
	while (opened && (opened->id != id || !opened->handle))
		opened = opened->next;
	return opened;
}

bool opened_may_be_backed(uint64_t id)
{
	if (!backing_is_on())
		return false;
	pthread_mutex_lock(&all.lock);
	const struct opened *other = find_file(id);
	bool may = !other || other->way == OPENED_BACKED;
	pthread_mutex_unlock(&all.lock);
	return may;
}

bool opened_stat(uint64_t id, struct stat *ret_stat)
{
	pthread_mutex_lock(&all.lock);
	const struct opened *opened = find_file(id);
	const struct handle *handle = opened ? opened->handle : NULL;
	bool known = handle && (handle->kind != HANDLE_HOST || fstat(handle->fd, ret_stat) == 0);
	if (known && handle->kind != HANDLE_HOST)
		*ret_stat = (struct stat){.st_size = (off_t)handle->size_bytes};
	pthread_mutex_unlock(&all.lock);
	return known;
}

/* 0 where the file can be opened this way or that: *ret_way. Lock held. */
static int choose_way(const struct opened *opened, enum opened_way *ret_way)
{
	const struct opened *other = find_file(opened->id);
	const struct backing *backing = opened->handle->backing;
	if (other && other->way == OPENED_BACKED && other->handle->backing != backing)
		return -ESTALE; /* never seen: what is open has its image, and so its backing file, found again */
	*ret_way = other ? other->way : backing ? OPENED_BACKED : OPENED_BY_REQUESTS;
	return 0;
}

static int add(uint64_t id, struct handle *handle, struct listing *listing, struct opened **ret_opened)
{
	struct opened *opened = calloc(1, sizeof *opened);
	if (!opened)
		return -ENOMEM;
	opened->id = id;
	opened->handle = handle;
	opened->listing = listing;
	pthread_mutex_lock(&all.lock);
	int rc = handle ? choose_way(opened, &opened->way) : 0;
	if (rc == 0) {
		struct opened **bucket = bucket_of(id);
		opened->next = *bucket;
		opened->link = bucket;
		if (opened->next)
			opened->next->link = &opened->next;
		*bucket = opened;
		all.count++;
		all.total++;
	}
	pthread_mutex_unlock(&all.lock);
	if (rc) {
		free(opened);
		return rc;
	}
	status_add(&status.backed_opens, opened->way == OPENED_BACKED);
	status_add(&status.direct_opens, handle && opened->way == OPENED_BY_REQUESTS && handle->direct);
	*ret_opened = opened;
	return 0;
}

int opened_add_file(uint64_t id, struct handle *handle, struct opened **ret_opened)
{
	int rc = add(id, handle, NULL, ret_opened);
	if (rc)
		handle_close(handle);
	return rc;
}

int opened_add_listing(uint64_t id, struct listing *listing, struct opened **ret_opened)
{
	int rc = add(id, NULL, listing, ret_opened);
	if (rc)
		tree_list_close(listing);
	return rc;
}

void opened_close(struct opened *opened)
{
	pthread_mutex_lock(&all.lock);
	all.count--;
	*opened->link = opened->next;
	if (opened->next)
		opened->next->link = opened->link;
	pthread_mutex_unlock(&all.lock);
	handle_close(opened->handle);
	tree_list_close(opened->listing);
	free(opened);
}

void opened_close_all(void)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (all.buckets[i])
			opened_close(all.buckets[i]);
}

bool opened_any(uint64_t *ret_total)
{
	pthread_mutex_lock(&all.lock);
	bool any = all.count > 0;
	*ret_total = all.total;
	pthread_mutex_unlock(&all.lock);
	return any;
}
