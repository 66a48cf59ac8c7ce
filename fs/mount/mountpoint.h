/* mountpoint.h - where the tree is mounted: what has to hold before, the words where it doesn't, unmounting, remounting.
 * Messages go to stderr, one line each. */
#ifndef PIXFS_MOUNTPOINT_H
#define PIXFS_MOUNTPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "mount.h"

struct mountpoint {
	char path[4096];      /* absolute; "/dev/fd/N" where somebody else mounted and left us an open /dev/fuse */
	bool is_descriptor;   /* the latter */
	bool is_same_already; /* a living mount of the same name is there: nothing is to be done */
	uint64_t device;      /* of our mount, 0 before it is mounted and for a descriptor */
};

/* Finds the mountpoint, cleans up a dead pixfs on it, refuses a living one of another name than fsname. */
enum exit_code mountpoint_prepare(const char *path, const char *fsname, struct mountpoint *ret_point);

/* Whether FUSE can be had here at all. */
enum exit_code mountpoint_check_fuse(const struct mountpoint *point);
/* What may help after mounting failed for the reason in `why` ("": none was told). */
enum exit_code mountpoint_failed(const struct mountpoint *point, const char *why);

/* After mounting: remembers which mount is ours. */
void mountpoint_take(struct mountpoint *point);
/* The name goes at once, what is open goes on. Never another mount than ours. */
void mountpoint_unmount_lazily(const struct mountpoint *point);

/* auto_unmount: a process that does nothing but wait for the end of this one, and then unmounts what it left. (libfuse's own can't
 * where root may not look into the mount.) 0 or a negative errno. */
int mountpoint_watch(const struct mountpoint *point);

/* mount -o remount: changes the flags ("ro,noatime"; others are left out) of the pixfs that is mounted at path. */
enum exit_code mountpoint_remount(const char *path, const char *flags);

#endif
