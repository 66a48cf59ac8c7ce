/* mounts.h - the kernel's table of mounts, read anew at each call: nothing is asked of the file systems themselves. */
#ifndef PIXFS_MOUNTS_H
#define PIXFS_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

struct mount_entry {
	uint64_t id;       /* of the mount, in this boot */
	uint64_t device;   /* st_dev of what lies there */
	char where[4096];  /* the path, as it is */
	char type[64];     /* "fuse.pixfs" */
	char source[4096]; /* "pixfs:/data/photos" */
	char flags[256];   /* "ro,nosuid,nodev,relatime" */
};

/* The topmost mount at exactly this absolute path; false where none is. */
bool mounts_find(const char *path, struct mount_entry *ret);

/* Whether the mount of that number (statx's stx_mnt_id) is in the table. */
bool mounts_has(uint64_t id);

/* Whether the file system of that device is mounted at the directory or below it. */
bool mounts_is_below(uint64_t device, const char *directory);

/* Whether the file system of that device is a pixfs, dead or alive, mounted anywhere in this namespace. */
bool mounts_is_pixfs(uint64_t device);

#endif
