/* icc_open.c - the profiles that were opened last, kept: the images of a folder mostly have the same one, each view of them
 * opens it, and reading takes Little CMS longer than anything else that makes a view (a quarter of a millisecond for
 * parametric curves, several for large tables).
 *
 * A profile is known by all of its bytes. Large ones are not kept, so that at most NKEPT * (MAX_KEPT_BYTES + MAX_MEMORY_BYTES) are
 * held for no reader. The lock guards the table alone and nothing is called under it but memcmp.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "icc_read.h"

enum { NKEPT = 4, MAX_KEPT_BYTES = 1 << 20, MAX_MEMORY_BYTES = 6 << 20 };

/* A profile read, with what it was read from. */
struct shared {
	struct icc *icc;
	atomic_uint refs;
	size_t len_bytes;
	unsigned char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *kept[NKEPT]; /* the one used last in front; each is one reference */

static void shared_unref(struct shared *shared)
{
	if (!shared || atomic_fetch_sub(&shared->refs, 1) != 1)
		return;
	icc_free(shared->icc);
	free(shared);
}

/* Puts shared in front of the first n; gives back the one that stood at n - 1. Under the lock. */
static struct shared *put_in_front(struct shared *shared, size_t n)
{
	struct shared *last = kept[n - 1];
	memmove(&kept[1], &kept[0], (n - 1) * sizeof kept[0]);
	kept[0] = shared;
	return last;
}

/* The kept one with a reference for the caller; NULL: none. */
static struct shared *find_kept(const void *data, size_t len_bytes, enum icc_space space)
{
	struct shared *found = NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < NKEPT && kept[i] && !found; i++)
		if (kept[i]->len_bytes == len_bytes && kept[i]->icc->space == space &&
		    memcmp(kept[i]->bytes, data, len_bytes) == 0) {
			found = kept[i];
			put_in_front(found, i + 1);
			atomic_fetch_add(&found->refs, 1);
		}
	pthread_mutex_unlock(&lock);
	return found;
}

static void keep(struct shared *shared)
{
	atomic_fetch_add(&shared->refs, 1);
	pthread_mutex_lock(&lock);
	struct shared *last = put_in_front(shared, NKEPT);
	pthread_mutex_unlock(&lock);
	shared_unref(last);
}

/* As icc_open(); where it is small, the object can be kept and knows its bytes. */
static int read_shared(const void *data, size_t len_bytes, enum icc_space space, struct shared **ret_shared, struct err *err)
{
	struct icc *icc;
	size_t memory_bytes;
	int rc = icc_read(data, len_bytes, space, &icc, &memory_bytes, err);
	if (rc)
		return rc;
	bool small = len_bytes <= MAX_KEPT_BYTES && memory_bytes <= MAX_MEMORY_BYTES;
	size_t copied = small ? len_bytes : 0;
	struct shared *shared = malloc(sizeof *shared + copied);
	if (!shared) {
		icc_free(icc);
		return err_set(err, -ENOMEM, "no memory for the ICC profile");
	}
	shared->icc = icc;
	shared->len_bytes = copied;
	atomic_init(&shared->refs, 1);
	memcpy(shared->bytes, data, copied);
	icc->keeper = shared;
	*ret_shared = shared;
	return 0;
}

int icc_open(const void *data, size_t len_bytes, enum icc_space space, struct icc **ret_icc, struct err *err)
{
	struct shared *shared = find_kept(data, len_bytes, space);
	if (!shared) {
		int rc = read_shared(data, len_bytes, space, &shared, err);
		if (rc)
			return rc;
		struct shared *same = find_kept(data, len_bytes, space); /* another thread was first */
		if (same) {
			shared_unref(shared);
			shared = same;
		} else if (shared->len_bytes) {
			keep(shared);
		}
	}
	*ret_icc = shared->icc;
	return 0;
}

void icc_close(struct icc *icc)
{
	if (icc)
		shared_unref(icc->keeper);
}
