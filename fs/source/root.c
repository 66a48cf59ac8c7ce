/* root.c - see root.h. */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/mounts.h"
#include "fs/base/status.h"
#include "own.h"

enum { MOMENT_MS = 200 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	pthread_t thread;
	bool runs, stops, is_silent; /* silent: it hasn't answered for a moment; who asks isn't kept waiting again */
	uint64_t nasked, nanswered;
	bool statvfs_wanted;
	/* the last answer */
	struct stat st;
	struct statvfs fs;
	int gone; /* 0 or a negative errno */
	/* for the thread alone once it runs */
	int fd, flags;
	char *path;
	bool mount_is_known; /* the table of mounts shows the one that it lies in */
} root = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

/* ---- the thread's side: all that may wait for the source ---- */

/* Whether the mount that fd lies in hangs in no tree any more (umount -l). */
static bool mount_is_gone(int fd)
{
	struct statx stx;
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) == 0 && stx.stx_mask & STATX_MNT_ID &&
	       !mounts_has(stx.stx_mnt_id);
}

/* The name that the kernel has for it, on any file system: where it lies now, with a mark behind it where it was removed. */
static void name_now(int fd, char *ret, size_t room)
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, ret, room - 1);
	ret[len > 0 ? len : 0] = 0;
}

static bool is_removed(const char *name, const struct stat *st)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(name), mark_len = sizeof mark - 1;
	return st->st_nlink == 0 || (len > mark_len && strcmp(name + len - mark_len, mark) == 0);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 0, or why the descriptor is of no use any more. */
static int look(struct stat *ret_stat)
{
	struct stat at_path;
	char name[4096];
	if (fstat(root.fd, ret_stat) != 0)
		return errno == ENOTCONN ? -EIO : -errno;
	bool path_leads_there = !own_covers(root.path) && stat(root.path, &at_path) == 0;
	if (path_leads_there && is_same(&at_path, ret_stat))
		return 0;
	name_now(root.fd, name, sizeof name);
	if (is_removed(name, ret_stat))
		return -ENOENT;
	if (path_leads_there && strcmp(name, root.path) == 0)
		return -EIO;                                             /* something was mounted over it */
	return root.mount_is_known && mount_is_gone(root.fd) ? -EIO : 0; /* else it was renamed */
}

/* The new directory takes the old one's number: whoever uses it at this moment has one or the other. */
static int open_anew(struct stat *ret_stat)
{
	int fd = own_covers(root.path) ? (errno = ENOENT, -1) : open(root.path, root.flags);
	int rc = fd < 0 || fstat(fd, ret_stat) != 0 ? -errno : 0;
	if (rc == 0) {
		pthread_mutex_lock(&root.lock);
		root.st = *ret_stat;
		rc = dup3(fd, root.fd, O_CLOEXEC) < 0 ? -errno : 0;
		pthread_mutex_unlock(&root.lock);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static void answer(bool statvfs_wanted)
{
	struct stat st;
	struct statvfs fs;
	int rc = look(&st);
	if (rc && open_anew(&st) == 0)
		rc = 0;
	bool has_fs = rc == 0 && statvfs_wanted && fstatvfs(root.fd, &fs) == 0;
	pthread_mutex_lock(&root.lock);
	bool is_news = rc && !root.gone;
	root.gone = rc;
	if (rc == 0)
		root.st = st;
	if (has_fs)
		root.fs = fs;
	pthread_mutex_unlock(&root.lock);
	if (is_news)
		status_report("", rc, "source", "the source is gone");
}

static void *answer_all(void *context)
{
	pthread_mutex_lock(&root.lock);
	while (!root.stops) {
		uint64_t nasked = root.nasked;
		bool statvfs_wanted = root.statvfs_wanted;
		if (nasked == root.nanswered) {
			pthread_cond_wait(&root.asked, &root.lock);
			continue;
		}
		root.statvfs_wanted = false;
		pthread_mutex_unlock(&root.lock);
		answer(statvfs_wanted);
		pthread_mutex_lock(&root.lock);
		root.nanswered = nasked;
		root.is_silent = false;
		pthread_cond_broadcast(&root.answered);
	}
	root.runs = false;
	pthread_mutex_unlock(&root.lock);
	return context;
}

/* ---- the others' side ---- */

/* Lock held. Returns after the answer to this very question, or a moment. */
static void ask(bool statvfs_wanted)
{
	struct timespec end;
	if (!root.runs) /* no sooner: a daemon forks after the start */
		root.runs = pthread_create(&root.thread, NULL, answer_all, NULL) == 0;
	if (!root.runs)
		return;
	uint64_t mine = ++root.nasked;
	root.statvfs_wanted |= statvfs_wanted;
	pthread_cond_signal(&root.asked);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += MOMENT_MS * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	while (root.nanswered < mine && !root.is_silent)
		if (pthread_cond_timedwait(&root.answered, &root.lock, &end) == ETIMEDOUT)
			root.is_silent = root.nanswered < mine;
}

void root_stat(struct stat *ret_stat)
{
	pthread_mutex_lock(&root.lock);
	ask(false);
	*ret_stat = root.st;
	pthread_mutex_unlock(&root.lock);
}

void root_statvfs(struct statvfs *ret_statvfs)
{
	pthread_mutex_lock(&root.lock);
	ask(true);
	*ret_statvfs = root.fs;
	pthread_mutex_unlock(&root.lock);
}

bool root_answers(void)
{
	pthread_mutex_lock(&root.lock);
	ask(false);
	bool answers = !root.gone && !root.is_silent;
	pthread_mutex_unlock(&root.lock);
	return answers;
}

int root_check(struct err *err)
{
	pthread_mutex_lock(&root.lock);
	int rc = root.gone;
	pthread_mutex_unlock(&root.lock);
	return rc ? err_set(err, rc, "the source is gone: %s", strerror(-rc)) : 0;
}

uint64_t root_device(void)
{
	pthread_mutex_lock(&root.lock);
	uint64_t device = root.st.st_dev;
	pthread_mutex_unlock(&root.lock);
	return device;
}

bool root_is(const struct stat *st)
{
	pthread_mutex_lock(&root.lock);
	bool same = is_same(st, &root.st);
	pthread_mutex_unlock(&root.lock);
	return same;
}

int root_start(int fd, const char *path)
{
	root.fd = fd;
	root.flags = fcntl(fd, F_GETFL) & O_PATH ? O_PATH | O_DIRECTORY | O_CLOEXEC : O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	root.path = strdup(path);
	if (!root.path)
		return -ENOMEM;
	if (fstat(fd, &root.st) != 0 || fstatvfs(fd, &root.fs) != 0)
		return -errno;
	root.mount_is_known = !mount_is_gone(fd);
	root.gone = 0;
	return 0;
}

/* A thread that waits for a source which never answers is left to the end of the process. */
void root_stop(void)
{
	pthread_mutex_lock(&root.lock);
	bool runs = root.runs, waits = root.is_silent;
	root.stops = true;
	pthread_cond_signal(&root.asked);
	pthread_mutex_unlock(&root.lock);
	if (runs && waits)
		pthread_detach(root.thread);
	else if (runs)
		pthread_join(root.thread, NULL);
	if (waits)
		return;
	free(root.path);
	root.path = NULL;
	root.stops = false;
	root.nasked = root.nanswered = 0;
}
