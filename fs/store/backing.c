/* backing.c - see backing.h. One lock; never held while anything is written or the kernel asked. */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"
#include "thrift.h"

enum {
	KEPT_ONE_IN = 8,
	FORGOTTEN_AFTER = 4,
	LEFT_BYTES = 64 << 20,
	NSIZES = 3,
	TIMED_BYTES = 64 << 10,
	SLOW_NS_PER_KIB = 1000,
};

struct idle_list {
	struct backing *newest, *oldest;
	uint64_t len_bytes; /* of all in it */
};

struct backing {
	struct backing_group *group;
	struct backing *group_next;
	struct idle_list *list; /* while nobody refers to it */
	struct backing *newer, *older;
	uint64_t used; /* when it was put there */
	uint64_t key, len_bytes;
	unsigned refs, uses; /* references now; times it was taken or found */
	int fd;              /* until it is finished, then -1 */
	int id;              /* the kernel's; 0: not finished */
	bool copy;           /* can be made again without a decode */
	bool reuses;         /* others made room for it just before */
	uint64_t write_ns;   /* processor time */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t settled; /* one was finished or given up */
	atomic_bool on;
	int tmpfs_fd;
	struct backing_kernel kernel;
	uint64_t budget_bytes, used_bytes;
	struct idle_list kept, on_trial, copies_on_trial;
	struct thrift thrift;
	size_t count;
	uint64_t clock;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .tmpfs_fd = -1};

/* A tmpfs that is mounted nowhere. huge=within_size: pages as large as what is written at once (Linux 6.14), or small ones. */
static int make_tmpfs(void)
{
	int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	fsconfig(context, FSCONFIG_SET_STRING, "huge", "within_size", 0); /* without it just slower */
	/* no limit of its own: what is in it is counted here */
	int rc = fsconfig(context, FSCONFIG_SET_STRING, "size", "0", 0) || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	int fd = rc ? -1 : fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	rc = fd < 0 ? -errno : fd;
	close(context);
	return rc;
}

int backing_start(uint64_t budget_bytes, const struct backing_kernel *kernel)
{
	int fd = make_tmpfs();
	if (fd < 0)
		return fd;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&all.settled, &attributes);
	pthread_condattr_destroy(&attributes);
	all.tmpfs_fd = fd;
	all.budget_bytes = budget_bytes;
	all.kernel = *kernel;
	all.on = true;
	return 0;
}

void backing_disable(void)
{
	all.on = false;
}

void backing_stop(void)
{
	all.on = false;
	if (all.tmpfs_fd < 0)
		return;
	close(all.tmpfs_fd);
	all.tmpfs_fd = -1;
	pthread_cond_destroy(&all.settled);
}

bool backing_is_on(void)
{
	return all.on;
}

/* ---- those that nobody refers to ---- */

/* One that was used once stands on trial and leaves before those that were there: else a pass over more than fits would, each time,
 * drop what it needs next and find nothing at all. But every few are kept as if they had been used again, so that what is needed
 * now gets in (bimodal insertion: Qureshi and others, Adaptive insertion policies for high performance caching, 2007); and what
 * nobody used while several times as many were opened as there are leaves before all. */
static struct idle_list *list_for(const struct backing *backing)
{
	if (backing->uses != 1 || all.clock % KEPT_ONE_IN == 0)
		return &all.kept;
	return backing->copy ? &all.copies_on_trial : &all.on_trial;
}

static void idle_add(struct backing *backing)
{
	struct idle_list *list = list_for(backing);
	backing->list = list;
	backing->used = ++all.clock;
	backing->older = list->newest;
	backing->newer = NULL;
	*(list->newest ? &list->newest->newer : &list->oldest) = backing;
	list->newest = backing;
	list->len_bytes += backing->len_bytes;
}

static void idle_remove(struct backing *backing)
{
	*(backing->newer ? &backing->newer->older : &backing->list->newest) = backing->older;
	*(backing->older ? &backing->older->newer : &backing->list->oldest) = backing->newer;
	backing->list->len_bytes -= backing->len_bytes;
}

/* Who leaves next; NULL where all are open. */
static struct backing *idle_next(void)
{
	struct backing *oldest = all.kept.oldest, *trial = all.on_trial.newest, *copy = all.copies_on_trial.newest;
	if (!trial || (copy && copy->used > trial->used))
		trial = copy;
	if (trial && !(oldest && all.clock - oldest->used > FORGOTTEN_AFTER * (uint64_t)all.count))
		return trial;
	return oldest;
}

static void leave_group(struct backing *backing)
{
	struct backing **link = &backing->group->first;
	while (*link != backing)
		link = &(*link)->group_next;
	*link = backing->group_next;
	all.count--;
}

/* Of one that nobody can find any more. */
static void backing_free(struct backing *backing)
{
	if (backing->id > 0)
		all.kernel.remove(backing->id);
	if (backing->fd >= 0)
		close(backing->fd);
	cache_reserve(-(int64_t)backing->len_bytes);
	status_sub(&status.backing_bytes, backing->len_bytes);
	free(backing);
}

static void free_list(struct backing *list)
{
	for (struct backing *next; list; list = next) {
		next = list->group_next;
		backing_free(list);
	}
}

/* Takes one that nobody refers to out of the lists; the caller frees it, without the lock. */
static void leave(struct backing *backing, struct backing **leaving)
{
	idle_remove(backing);
	leave_group(backing);
	all.used_bytes -= backing->len_bytes;
	backing->group_next = *leaving;
	*leaving = backing;
}

/* Takes len_bytes of the budget; false where what others have open leaves too little. *ret_reuses: as much was freed for it. Where
 * more memory is dear, copies that were used once make room before the budget is used up; not the last of them, which may be
 * wanted again soon. */
static bool make_room(uint64_t len_bytes, bool *ret_reuses)
{
	if (len_bytes > all.budget_bytes)
		return false;
	struct backing *leaving = NULL, *next;
	pthread_mutex_lock(&all.lock);
	uint64_t used_bytes = all.used_bytes;
	if (thrift_wants_reuse(&all.thrift))
		while (used_bytes - all.used_bytes < len_bytes && all.copies_on_trial.len_bytes > LEFT_BYTES)
			leave(all.copies_on_trial.oldest, &leaving);
	while (all.used_bytes + len_bytes > all.budget_bytes && (next = idle_next()))
		leave(next, &leaving);
	*ret_reuses = used_bytes - all.used_bytes >= len_bytes;
	bool fits = all.used_bytes + len_bytes <= all.budget_bytes;
	if (fits)
		all.used_bytes += len_bytes;
	pthread_mutex_unlock(&all.lock);
	free_list(leaving);
	return fits;
}

static void give_room_back(uint64_t len_bytes)
{
	pthread_mutex_lock(&all.lock);
	all.used_bytes -= len_bytes;
	pthread_mutex_unlock(&all.lock);
}

/* ---- making one ---- */

static struct backing *find(const struct backing_group *group, uint64_t key)
{
	struct backing *backing = group->first;
	while (backing && backing->key != key)
		backing = backing->group_next;
	return backing;
}

struct wait {
	const struct backing_group *group;
	uint64_t key;
};

/* Whether nobody is making it (any more). */
static bool is_settled(void *context)
{
	const struct wait *wait = context;
	pthread_mutex_lock(&all.lock);
	const struct backing *backing = find(wait->group, wait->key);
	bool settled = !backing || backing->id;
	pthread_mutex_unlock(&all.lock);
	return settled;
}

struct backing *backing_find(struct backing_group *group, uint64_t key, const struct patience *patience)
{
	struct backing *backing = NULL;
	struct wait wait = {group, key};
	if (pool_is_worker())
		pool_work_until(is_settled, &wait);
	pthread_mutex_lock(&all.lock);
	while ((backing = find(group, key)) && !backing->id && !patience_is_over(patience))
		if (!pool_help(&all.lock))
			patience_nap(&all.settled, &all.lock);
	if (backing && !backing->id)
		backing = NULL;
	if (backing) {
		backing->uses++;
		if (backing->refs++ == 0)
			idle_remove(backing);
	}
	pthread_mutex_unlock(&all.lock);
	return backing;
}

/* Enters it; false where somebody was faster. */
static bool enter(struct backing_group *group, struct backing *backing)
{
	pthread_mutex_lock(&all.lock);
	bool first = !find(group, backing->key);
	if (first) {
		backing->group = group;
		backing->group_next = group->first;
		group->first = backing;
		all.count++;
	} else {
		all.used_bytes -= backing->len_bytes;
	}
	pthread_mutex_unlock(&all.lock);
	return first;
}

void backing_note_read(struct backing_group *group, uint64_t key, bool direct)
{
	pthread_mutex_lock(&all.lock);
	group->times_read = group->read_key == key ? group->times_read + 1 : 1;
	group->read_key = key;
	group->read_direct = direct;
	pthread_mutex_unlock(&all.lock);
}

unsigned backing_times_read(const struct backing_group *group, uint64_t key, bool *ret_direct)
{
	pthread_mutex_lock(&all.lock);
	unsigned times = group->read_key == key ? group->times_read : 0;
	*ret_direct = group->read_direct;
	pthread_mutex_unlock(&all.lock);
	return times;
}

bool backing_may_begin(const struct backing_group *group, uint64_t key, uint64_t len_bytes)
{
	pthread_mutex_lock(&all.lock);
	bool may = all.on && len_bytes <= all.budget_bytes && !find(group, key);
	pthread_mutex_unlock(&all.lock);
	return may;
}

bool backing_has_room(uint64_t len_bytes)
{
	pthread_mutex_lock(&all.lock);
	bool has_room = all.used_bytes + len_bytes <= all.budget_bytes;
	pthread_mutex_unlock(&all.lock);
	return has_room;
}

struct backing *backing_begin(struct backing_group *group, const struct backing_wish *wish)
{
	bool reuses;
	uint64_t len_bytes = wish->len_bytes;
	if (!backing_may_begin(group, wish->key, len_bytes) || !make_room(len_bytes, &reuses))
		return NULL;
	struct backing *backing = calloc(1, sizeof *backing);
	int fd = backing ? openat(all.tmpfs_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
	if (fd < 0) {
		free(backing);
		give_room_back(len_bytes);
		return NULL;
	}
	*backing = (struct backing){
		.key = wish->key,
		.len_bytes = len_bytes,
		.refs = 1,
		.uses = !wish->ahead,
		.fd = fd,
		.copy = wish->copy,
		.reuses = reuses,
	};
	cache_reserve((int64_t)len_bytes);
	status_add(&status.backing_bytes, len_bytes);
	if (enter(group, backing))
		return backing;
	backing_free(backing);
	return NULL;
}

/* What is written at once is the size of the pages that are taken for it. Large ones are filled at 0.15 ms a MB and read fastest,
 * small ones at 0.45. But where a host gives memory to its virtual machines as they touch it and takes back what is free, it takes
 * back large pieces (Linux' free page reporting), and those then cost 1 to 3 ms a MB. So where pages of one size turn out to be
 * slow, the next smaller ones are taken for a while. */
static const struct {
	size_t bytes;
	long instead_bytes; /* written in these pages before larger ones are tried again */
} sizes[NSIZES] = {{512 << 10, 0}, {64 << 10, 64 << 20}, {4 << 10, 4 << 20}};

static atomic_long instead[NSIZES]; /* bytes still to be written in pages of this size or smaller */

static unsigned page_size_now(void)
{
	unsigned size = NSIZES - 1;
	while (size > 0 && atomic_load_explicit(&instead[size], memory_order_relaxed) <= 0)
		size--;
	return size;
}

static void note_page_size(unsigned size, size_t len_bytes, uint64_t took_ns)
{
	for (unsigned i = 1; i <= size; i++)
		atomic_fetch_sub_explicit(&instead[i], (long)len_bytes, memory_order_relaxed);
	if (size + 1 < NSIZES && len_bytes >= TIMED_BYTES && took_ns > (uint64_t)SLOW_NS_PER_KIB * (len_bytes >> 10))
		atomic_store_explicit(&instead[size + 1], sizes[size + 1].instead_bytes, memory_order_relaxed);
}

static int write_pages(const struct backing *backing, size_t page_bytes, uint64_t offset, const char *from, size_t len_bytes)
{
	while (len_bytes > 0) {
		size_t left_bytes = page_bytes - offset % page_bytes;
		ssize_t n = pwrite(backing->fd, from, len_bytes < left_bytes ? len_bytes : left_bytes, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		offset += (uint64_t)n;
		len_bytes -= (size_t)n;
	}
	return 0;
}

int backing_write(struct backing *backing, uint64_t offset, const void *data, size_t len_bytes)
{
	unsigned size = page_size_now();
	uint64_t start_ns = all.kernel.cpu_now_ns();
	int rc = write_pages(backing, sizes[size].bytes, offset, data, len_bytes);
	uint64_t took_ns = all.kernel.cpu_now_ns() - start_ns;
	backing->write_ns += took_ns;
	if (rc == 0)
		note_page_size(size, len_bytes, took_ns);
	return rc;
}

int backing_finish(struct backing *backing)
{
	int id = all.kernel.add(backing->fd);
	if (id <= 0) {
		if (id == -EPERM || id == -EOPNOTSUPP)
			backing_disable(); /* root of a container, say: the next would be refused too */
		backing_unref(backing);
		return id ? id : -EIO;
	}
	close(backing->fd); /* the kernel holds the file */
	backing->fd = -1;
	pthread_mutex_lock(&all.lock);
	thrift_note(&all.thrift, backing->reuses, backing->len_bytes, backing->write_ns);
	backing->id = id;
	pthread_cond_broadcast(&all.settled);
	pthread_mutex_unlock(&all.lock);
	pool_tell();
	return 0;
}

void backing_unref(struct backing *backing)
{
	if (!backing)
		return;
	pthread_mutex_lock(&all.lock);
	bool given_up = !backing->id;
	if (given_up) {
		leave_group(backing);
		all.used_bytes -= backing->len_bytes;
		pthread_cond_broadcast(&all.settled);
	} else if (--backing->refs == 0) {
		idle_add(backing);
	}
	pthread_mutex_unlock(&all.lock);
	if (given_up) {
		pool_tell();
		backing_free(backing);
	}
}

int backing_id(const struct backing *backing)
{
	return backing->id;
}

void backing_group_drop(struct backing_group *group)
{
	pthread_mutex_lock(&all.lock);
	struct backing *list = group->first;
	group->first = NULL;
	for (struct backing *backing = list; backing; backing = backing->group_next) {
		idle_remove(backing);
		all.used_bytes -= backing->len_bytes;
		all.count--;
	}
	pthread_mutex_unlock(&all.lock);
	free_list(list);
}
