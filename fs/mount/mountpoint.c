/* mountpoint.c - see mountpoint.h. A mount that may be dead or hang is looked up in the kernel's table; only a child process
 * ever asks it. */
#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/mounts.h"
#include "words.h"

enum { QUOTED_BYTES = 8192, ANSWER_MS = 1000, MOST_DEAD = 16, WATCHED_LOOKS = 50, WATCHED_PAUSE_MS = 100 };

static void unmount_path(const char *path)
{
	if (umount2(path, MNT_DETACH) == 0 || errno != EPERM)
		return;
	pid_t child = fork();
	if (child == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", path, (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* The absolute path of the mountpoint, of which the last name may be a mount that doesn't answer and so isn't looked at. */
static int resolve(const char *path, char ret[4096])
{
	char copy[4096], parent[4096];
	if (realpath(path, parent)) {
		snprintf(ret, 4096, "%s", parent);
		return 0;
	}
	if (errno != ENOTCONN)
		return -errno;
	snprintf(copy, sizeof copy, "%s", path);
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = 0;
	char *slash = strrchr(copy, '/');
	if (!realpath(slash == copy ? "/" : slash ? (*slash = 0, copy) : ".", parent))
		return -errno;
	return snprintf(ret, 4096, "%s/%s", strcmp(parent, "/") ? parent : "", slash ? slash + 1 : copy) < 4096 ? 0 : -ENAMETOOLONG;
}

/* statfs always asks the daemon, and one that lives always answers; stat may be answered from what the kernel remembers. One that
 * takes longer lives: it is no business of ours to end it. */
static bool is_dead(const char *path)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid_t child = fork();
	if (child == 0)
		_exit(statfs(path, &(struct statfs){0}) != 0 && (errno == ENOTCONN || errno == ECONNABORTED));
	close(ends[1]);
	if (child > 0) {
		struct pollfd ended = {.fd = ends[0], .events = POLLIN};
		if (poll(&ended, 1, ANSWER_MS) == 0)
			kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	close(ends[0]);
	return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static enum exit_code no_mountpoint(const char *path, int rc)
{
	char quoted[QUOTED_BYTES];
	if (rc == -ENOENT && strncmp(path, "/dev/fd/", 8) != 0)
		fprintf(stderr, "pixfs: mountpoint %s: %s; make it first: mkdir -p %s\n", path, strerror(-rc),
			words_quote(path, quoted, sizeof quoted));
	else
		fprintf(stderr, "pixfs: mountpoint %s: %s\n", path, strerror(-rc));
	return EXIT_NO_MOUNTPOINT;
}

static enum exit_code busy(const char *path, const char *source)
{
	char quoted[QUOTED_BYTES];
	words_quote(path, quoted, sizeof quoted);
	fprintf(stderr,
		"pixfs: mountpoint %s: busy, %s is mounted there; unmount it first: fusermount3 -u %s (who uses it: lsof %s)\n",
		path, source, quoted, quoted);
	return EXIT_BUSY_MOUNTPOINT;
}

/* "/dev/fd/N" with an open /dev/fuse behind it, which somebody who may has mounted: libfuse goes on from there. */
static bool take_descriptor(const char *path, struct mountpoint *point)
{
	struct stat st;
	int fd, end = 0;
	if (sscanf(path, "/dev/fd/%d%n", &fd, &end) != 1 || path[end] || fd < 0 || fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode))
		return false;
	point->is_descriptor = true;
	snprintf(point->path, sizeof point->path, "/dev/fd/%d", fd);
	return true;
}

/* What of pixfs is mounted there already: cleaned up, the same, or in the way. */
static enum exit_code clear(const char *path, const char *fsname, struct mountpoint *point)
{
	struct mount_entry there;
	for (unsigned i = 0; mounts_find(point->path, &there) && strcmp(there.type, "fuse.pixfs") == 0; i++) {
		if (i == MOST_DEAD || !is_dead(point->path)) {
			point->is_same_already = strcmp(there.source, fsname) == 0;
			return point->is_same_already ? EXIT_OK : busy(path, there.source);
		}
		fprintf(stderr, "pixfs: %s: cleaning up a dead pixfs mount\n", path);
		unmount_path(point->path);
	}
	return EXIT_OK;
}

enum exit_code mountpoint_prepare(const char *path, const char *fsname, struct mountpoint *ret_point)
{
	struct stat st;
	*ret_point = (struct mountpoint){0};
	if (take_descriptor(path, ret_point))
		return EXIT_OK;
	int rc = resolve(path, ret_point->path);
	if (rc)
		return no_mountpoint(path, rc);
	enum exit_code code = clear(path, fsname, ret_point);
	if (code != EXIT_OK || ret_point->is_same_already)
		return code;
	if (stat(ret_point->path, &st) != 0)
		return no_mountpoint(path, -errno);
	if (!S_ISDIR(st.st_mode))
		return no_mountpoint(path, -ENOTDIR);
	if (geteuid() != 0 && access(ret_point->path, W_OK) != 0) {
		fprintf(stderr, "pixfs: mountpoint %s: an ordinary user mounts on a directory of his own that he may write to\n",
			path);
		return EXIT_NO_MOUNTPOINT;
	}
	return EXIT_OK;
}

/* ---- FUSE ---- */

static bool has_program(const char *name)
{
	char path[4096];
	const char *places = getenv("PATH");
	for (const char *at = places ? places : ""; *at; at += strspn(at, ":")) {
		int len = (int)strcspn(at, ":");
		if (snprintf(path, sizeof path, "%.*s/%s", len, at, name) < (int)sizeof path && access(path, X_OK) == 0)
			return true;
		at += len;
	}
	snprintf(path, sizeof path, "/usr/bin/%s", name); /* where libfuse looks */
	return access(path, X_OK) == 0;
}

enum exit_code mountpoint_check_fuse(const struct mountpoint *point)
{
	if (point->is_descriptor)
		return EXIT_OK;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		if (geteuid() == 0 || has_program("fusermount3"))
			return EXIT_OK;
		fprintf(stderr, "pixfs: fusermount3 is missing, through which ordinary users mount: install fuse3\n");
		return EXIT_NO_FUSE;
	}
	if (errno == EACCES)
		fprintf(stderr, "pixfs: /dev/fuse: %s: everybody has to be let read and write it (chmod 666 /dev/fuse)\n",
			strerror(errno));
	else
		fprintf(stderr,
			"pixfs: /dev/fuse: %s; load it: modprobe fuse; in a container start it with --device /dev/fuse --cap-add "
			"SYS_ADMIN\n",
			strerror(errno));
	return EXIT_NO_FUSE;
}

enum exit_code mountpoint_failed(const struct mountpoint *point, const char *why)
{
	const char *help = geteuid() == 0 ? "; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN" : "";
	fprintf(stderr, "pixfs: mounting on %s failed%s%s%s\n", point->path, *why ? ": " : "", why, help);
	return EXIT_NO_FUSE;
}

/* ---- ours ---- */

void mountpoint_take(struct mountpoint *point)
{
	struct mount_entry there;
	if (!point->is_descriptor && mounts_find(point->path, &there))
		point->device = there.device;
}

/* Whether it is still what its path shows. */
static bool is_ours(const struct mountpoint *point)
{
	struct mount_entry there;
	return point->device && mounts_find(point->path, &there) && there.device == point->device;
}

void mountpoint_unmount_lazily(const struct mountpoint *point)
{
	if (is_ours(point))
		unmount_path(point->path);
}

/* The watcher holds the reading end of a pipe alone: with /dev/fuse in its hands the mount would outlive the daemon. */
static void watch(const struct mountpoint *point, int pipe_end)
{
	char byte;
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	dup2(pipe_end, 3);
	close_range(4, UINT32_MAX, 0);
	while (read(3, &byte, 1) < 0 && errno == EINTR)
		;
	/* the pipe may be closed before /dev/fuse is: a few looks */
	for (unsigned i = 0; chdir("/") == 0 && i < WATCHED_LOOKS && is_ours(point); i++) {
		if (is_dead(point->path))
			unmount_path(point->path);
		else
			poll(NULL, 0, WATCHED_PAUSE_MS);
	}
}

int mountpoint_watch(const struct mountpoint *point)
{
	int ends[2];
	if (!point->device)
		return -EINVAL;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	pid_t child = fork();
	if (child == 0) {
		watch(point, ends[0]);
		_exit(0);
	}
	int rc = child < 0 ? -errno : 0;
	close(ends[0]);
	if (rc)
		close(ends[1]); /* else it stays open until this process ends */
	return rc;
}

/* ---- remounting ---- */

/* Changes *flags by one word, "ro"; what is no flag of a mount is left out. */
static void apply_flag(const char *word, unsigned long *flags)
{
	static const struct {
		const char *word;
		unsigned long set, clear;
	} table[] = {
		{"ro", MS_RDONLY, 0},
		{"rw", 0, MS_RDONLY},
		{"nosuid", MS_NOSUID, 0},
		{"suid", 0, MS_NOSUID},
		{"nodev", MS_NODEV, 0},
		{"dev", 0, MS_NODEV},
		{"noexec", MS_NOEXEC, 0},
		{"exec", 0, MS_NOEXEC},
		{"noatime", MS_NOATIME, MS_RELATIME},
		{"relatime", MS_RELATIME, 0},
		{"sync", MS_SYNCHRONOUS, 0},
		{"async", 0, MS_SYNCHRONOUS},
		{"atime", 0, MS_NOATIME},
		{"nodiratime", MS_NODIRATIME, 0},
		{"diratime", 0, MS_NODIRATIME},
	};
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(word, table[i].word) == 0)
			*flags = (*flags & ~table[i].clear) | table[i].set;
}

static void apply_flags(const char *words, unsigned long *flags)
{
	char *copy = strdup(words), *rest = copy;
	for (char *word; copy && (word = strsep(&rest, ","));)
		apply_flag(word, flags);
	free(copy);
}

enum exit_code mountpoint_remount(const char *path, const char *flags)
{
	char real[4096];
	struct mount_entry there;
	unsigned long all = MS_REMOUNT;
	int rc = resolve(path, real);
	if (rc)
		return no_mountpoint(path, rc);
	if (!mounts_find(real, &there) || strcmp(there.type, "fuse.pixfs") != 0) {
		fprintf(stderr, "pixfs: mountpoint %s: no pixfs is mounted there that could be remounted\n", path);
		return EXIT_NO_MOUNTPOINT;
	}
	apply_flags(there.flags, &all);
	apply_flags(flags, &all);
	if (mount(NULL, real, NULL, all, NULL) == 0)
		return EXIT_OK;
	fprintf(stderr, "pixfs: remounting %s: %s%s\n", path, strerror(errno), errno == EPERM ? " (only root can)" : "");
	return EXIT_DAMAGED;
}
