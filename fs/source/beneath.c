/* beneath.c - see beneath.h. The kernel resolves a path where it can (openat2, since 5.6, no link that is absolute or leads
 * up and out); all else is walked here, name by name, and no name of it is followed unseen. */
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "own.h"

enum { MAX_LINKS = 40, MAX_DEPTH = PATH_MAX / 2 + 1, TRIES = 3 };

static bool links_are_followed = true;
static atomic_bool kernel_cant; /* no openat2: an old kernel, or a filter that doesn't know it */

void beneath_follow(bool follow)
{
	links_are_followed = follow;
}

/* ---- by the kernel ---- */

/* -EXDEV where it is not for the kernel to say. */
static int open_by_kernel(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags};
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links_are_followed ? 0 : RESOLVE_NO_SYMLINKS);
	how.resolve |= own_is_inside() ? RESOLVE_NO_XDEV : 0; /* through ourselves we don't go: -EXDEV, too */
	for (unsigned i = 0; i < TRIES && !atomic_load_explicit(&kernel_cant, memory_order_relaxed); i++) {
		long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
		if (fd >= 0)
			return (int)fd;
		if (errno == ENOSYS || errno == EPERM)
			break;
		if (errno != EAGAIN) /* somebody renamed a directory on the way */
			return -errno;
	}
	if (errno == ENOSYS)
		atomic_store(&kernel_cant, true);
	return -EXDEV;
}

/* ---- name by name ---- */

struct identity {
	dev_t device;
	ino_t inode;
};

/* Who may enter the directories that were passed: all, unless one is closed to some. */
struct way {
	bool closed, mixed;
	mode_t mode; /* of the closed ones, what all of them allow */
	uid_t uid;
	gid_t gid;
};

struct walker {
	int root_fd, fd; /* fd: the directory that was reached */
	bool inside;
	unsigned depth; /* inside: of that directory below the root */
	unsigned nlinks;
	bool at_link;                      /* the link that the path itself ends with was reached: the way begins */
	struct identity levels[MAX_DEPTH]; /* of the root and what was passed on the way down */
	struct way way;
	char rest[2 * PATH_MAX], name[NAME_MAX + 1];
};

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){st->st_dev, st->st_ino};
}

static bool is_identity(const struct stat *st, struct identity identity)
{
	return st->st_dev == identity.device && st->st_ino == identity.inode;
}

static void pass(struct way *way, const struct stat *st)
{
	if ((st->st_mode & 0111) == 0111)
		return;
	way->mixed |= way->closed && (way->uid != st->st_uid || way->gid != st->st_gid);
	way->mode = way->closed ? way->mode & st->st_mode : st->st_mode;
	way->uid = st->st_uid;
	way->gid = st->st_gid;
	way->closed = true;
}

static mode_t mode_at_end(const struct way *way, const struct stat *st)
{
	if (!way->closed)
		return st->st_mode;
	mode_t kept = S_IFMT;
	if (!way->mixed && st->st_uid == way->uid && way->mode & S_IXUSR)
		kept |= S_IRWXU;
	if (!way->mixed && st->st_gid == way->gid && way->mode & S_IXGRP)
		kept |= S_IRWXG;
	return st->st_mode & kept;
}

static void leave(struct walker *walker)
{
	if (walker->fd >= 0 && walker->fd != walker->root_fd)
		close(walker->fd);
	walker->fd = -1;
}

/* Stands in the directory fd now. */
static int enter(struct walker *walker, int fd, const struct stat *st)
{
	leave(walker);
	walker->fd = fd;
	if (!walker->inside && is_identity(st, walker->levels[0])) {
		walker->inside = true;
		walker->depth = 0;
	}
	if (walker->inside)
		pass(&walker->way, st);
	return 0;
}

static int go_down(struct walker *walker, int fd, const struct stat *st)
{
	if (walker->inside && ++walker->depth >= MAX_DEPTH) {
		close(fd);
		return -ENAMETOOLONG;
	}
	if (walker->inside)
		walker->levels[walker->depth] = identity_of(st);
	return enter(walker, fd, st);
}

/* A directory that was moved meanwhile has another one above it. */
static int go_up(struct walker *walker)
{
	struct stat st;
	int fd = openat(walker->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st) != 0 ? -errno : 0;
	if (rc == 0 && walker->inside && walker->depth && !is_identity(&st, walker->levels[walker->depth - 1]))
		rc = -ESTALE;
	if (rc) {
		close(fd);
		return rc;
	}
	walker->inside = walker->inside && walker->depth > 0;
	walker->depth -= walker->inside;
	return enter(walker, fd, &st);
}

static int go_to_top(struct walker *walker)
{
	struct stat st;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	walker->inside = false;
	return enter(walker, fd, &st);
}

/* Puts a link's text before what is left to walk. */
static int follow(struct walker *walker, int link_fd)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(link_fd, "", target, sizeof target - 1);
	size_t rest_len = strlen(walker->rest);
	if (len < 0)
		return -errno;
	if (!links_are_followed || ++walker->nlinks > MAX_LINKS)
		return -ELOOP;
	if (len == 0 || (size_t)len + rest_len + 2 > sizeof walker->rest)
		return len ? -ENAMETOOLONG : -ENOENT;
	if (!rest_len && !walker->at_link) {
		walker->at_link = true;
		walker->way = (struct way){0};
	}
	memmove(walker->rest + len + 1, walker->rest, rest_len + 1);
	memcpy(walker->rest, target, (size_t)len);
	walker->rest[len] = rest_len ? '/' : 0;
	return *target == '/' ? go_to_top(walker) : 0;
}

/* Takes the next name off the rest. False: there is none. */
static bool take_name(struct walker *walker, int *rc)
{
	char *at = walker->rest + strspn(walker->rest, "/");
	size_t len = strcspn(at, "/");
	if (len > NAME_MAX) {
		*rc = -ENAMETOOLONG;
		return false;
	}
	memcpy(walker->name, at, len);
	walker->name[len] = 0;
	memmove(walker->rest, at + len, strlen(at + len) + 1);
	return len > 0;
}

/* With follow_symlinks a path may end anywhere. */
static bool may_end(const struct walker *walker)
{
	return walker->inside || config.follow_symlinks;
}

/* A file, or a link that is not to be followed, is the end of a path: its descriptor. */
static int open_end(struct walker *walker, int path_fd, int flags)
{
	if (!may_end(walker) || flags & O_PATH)
		return may_end(walker) ? path_fd : (close(path_fd), -EXDEV);
	close(path_fd);
	int fd = openat(walker->fd, walker->name, flags | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* One name on. 1: *ret_fd is the end, or a negative errno; 0: a directory was entered or a link read. */
static int step(struct walker *walker, int flags, int *ret_fd)
{
	struct stat st;
	if (strcmp(walker->name, ".") == 0)
		return 0;
	if (strcmp(walker->name, "..") == 0)
		return go_up(walker);
	int fd = openat(walker->fd, walker->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bool is_last = !*walker->rest;
	int rc = !is_last && own_is_open(fd) ? -EXDEV : fstat(fd, &st) != 0 ? -errno : 0;
	bool is_link = rc == 0 && S_ISLNK(st.st_mode);
	if (rc == 0 && S_ISDIR(st.st_mode))
		return go_down(walker, fd, &st);
	if (rc == 0 && (is_last && (!is_link || flags & O_NOFOLLOW))) {
		*ret_fd = open_end(walker, fd, flags);
		return 1;
	}
	if (rc == 0)
		rc = is_link ? follow(walker, fd) : -ENOTDIR;
	close(fd);
	return rc;
}

static int walk_names(struct walker *walker, int flags)
{
	int rc = 0, end_fd = -1;
	while (rc == 0 && take_name(walker, &rc))
		rc = step(walker, flags, &end_fd);
	if (rc)
		return rc < 0 ? rc : end_fd;
	if (!may_end(walker))
		return -EXDEV;
	int fd = openat(walker->fd, ".", flags);
	return fd < 0 ? -errno : fd;
}

static int open_by_name(int root_fd, const char *path, int flags, struct way *ret_way)
{
	struct stat st;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (fstat(root_fd, &st) != 0)
		return -errno;
	struct walker *walker = malloc(sizeof *walker);
	if (!walker)
		return -ENOMEM;
	walker->root_fd = walker->fd = root_fd;
	walker->inside = true;
	walker->at_link = false;
	walker->depth = walker->nlinks = 0;
	walker->levels[0] = identity_of(&st);
	walker->way = (struct way){0};
	memcpy(walker->rest, path, strlen(path) + 1);
	int fd = walk_names(walker, flags);
	leave(walker);
	*ret_way = walker->way;
	free(walker);
	return fd;
}

/* ---- both ---- */

int beneath_open(int root_fd, const char *path, int flags)
{
	struct way ignored;
	flags |= O_CLOEXEC;
	if (config.follow_symlinks && !own_is_inside()) {
		int fd = openat(root_fd, path, flags);
		return fd < 0 ? -errno : fd;
	}
	if (config.follow_symlinks)
		return open_by_name(root_fd, path, flags, &ignored);
	int fd = open_by_kernel(root_fd, path, flags);
	return fd == -EXDEV ? open_by_name(root_fd, path, flags, &ignored) : fd;
}

int beneath_stat(int root_fd, const char *path, struct stat *ret_stat)
{
	if (config.follow_symlinks && !own_is_inside())
		return fstatat(root_fd, path, ret_stat, 0) != 0 ? -errno : 0;
	int fd = beneath_open(root_fd, path, O_PATH);
	if (fd < 0)
		return fd;
	int rc = fstat(fd, ret_stat) != 0 ? -errno : 0;
	close(fd);
	return rc;
}

int beneath_stat_link(int root_fd, const char *path, struct stat *ret_stat)
{
	struct way way;
	if (!config.shared || config.follow_symlinks)
		return beneath_stat(root_fd, path, ret_stat);
	int fd = open_by_name(root_fd, path, O_PATH | O_CLOEXEC, &way);
	if (fd < 0)
		return fd;
	int rc = fstat(fd, ret_stat) != 0 ? -errno : 0;
	close(fd);
	if (rc == 0)
		ret_stat->st_mode = mode_at_end(&way, ret_stat);
	return rc;
}
