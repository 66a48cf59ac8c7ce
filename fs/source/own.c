/* own.c - see own.h. */
#include "own.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/base/config.h"
#include "fs/base/mounts.h"

static struct {
	bool is_set, is_inside;
	struct stat parent, covered;
	char name[NAME_MAX + 1], path[PATH_MAX];
	uint64_t device; /* 0: none yet */
} own;

void own_set_place(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash || !slash[1] || strlen(path) >= sizeof parent || strlen(slash + 1) > NAME_MAX)
		return;
	snprintf(own.path, sizeof own.path, "%s", path);
	snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	snprintf(own.name, sizeof own.name, "%s", slash + 1);
	own.is_set = stat(parent, &own.parent) == 0 && stat(path, &own.covered) == 0;
}

void own_set_device(uint64_t device)
{
	own.device = device;
	own.is_inside = device && mounts_is_below(device, config.source);
}

bool own_is_at(uint64_t parent_device, uint64_t parent_inode, const char *name, struct stat *ret_covered)
{
	if (!own.is_set || parent_inode != own.parent.st_ino || parent_device != own.parent.st_dev || strcmp(name, own.name) != 0)
		return false;
	*ret_covered = own.covered;
	return true;
}

bool own_is_open(int fd)
{
	struct statx stx;
	return own.device && statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &stx) == 0 &&
	       makedev(stx.stx_dev_major, stx.stx_dev_minor) == own.device;
}

bool own_is(const struct stat *st, uint64_t outer_device)
{
	if (!S_ISDIR(st->st_mode))
		return false;
	if (own.is_set && st->st_ino == own.covered.st_ino && st->st_dev == own.covered.st_dev)
		return true;
	return st->st_dev != outer_device && (st->st_dev == own.device || mounts_is_pixfs(st->st_dev));
}

bool own_covers(const char *path)
{
	size_t len = strlen(own.path);
	return len && strncmp(path, own.path, len) == 0 && (path[len] == '/' || !path[len]);
}

bool own_is_inside(void)
{
	return own.is_inside;
}
