/* backing.h - whole arrays in memory files that the kernel reads by itself: the backing files of FUSE's passthrough.
 *
 * What is read through requests is copied twice, 128 KiB at a time; what lies in a backing file is read, and mapped, as any file
 * in memory is, and this process isn't asked. It has to be complete before it is handed out. Backing files lie in a tmpfs of large
 * pages that has no name, and end with this process. They are charged to the cache's budget and take half of it at most; those
 * that nobody has open leave first: those that were used once, then the longest unused; where fresh memory is dear (thrift.h),
 * copies that were used once before the budget is used up. Thread-safe.
 *
 * The kernel's side (what is asked of it, and when it can) is passthrough.c.
 */
#ifndef PIXFS_BACKING_H
#define PIXFS_BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/patience.h"

struct backing;

/* All backing files of one image version. Embedded in its owner, zeroed; the fields are backing.c's. */
struct backing_group {
	struct backing *first;
	uint64_t read_key;
	unsigned times_read;
	bool read_direct;
};

/* How a file becomes known to the kernel: its number there, positive, or a negative errno; and is taken back. */
struct backing_kernel {
	int (*add)(int fd);
	void (*remove)(int id);
	uint64_t (*cpu_now_ns)(void); /* processor time of the calling thread */
};

/* The tmpfs. 0, or a negative errno: no backing files can be made (-EPERM without CAP_SYS_ADMIN). budget_bytes: for all. Before any
 * other call; without it, or where it failed, backing_begin makes none. */
int backing_start(uint64_t budget_bytes, const struct backing_kernel *kernel);
void backing_stop(void); /* all groups were dropped before */
/* The kernel takes none after all; what there is stays. */
void backing_disable(void);
bool backing_is_on(void);

/* The array of that key in the group, with one more reference. Where somebody is making it waits for that, unless patience ends.
 * NULL where there is none. */
struct backing *backing_find(struct backing_group *group, uint64_t key, const struct patience *patience);

struct backing_wish {
	uint64_t key, len_bytes;
	bool ahead; /* nobody has asked for it yet */
	bool copy;  /* what it is made from stays in the cache */
};

/* Begins one: the caller's to write until backing_finish, or backing_unref where it can't be. NULL: there is one, or none can be
 * had now. */
struct backing *backing_begin(struct backing_group *group, const struct backing_wish *wish);
int backing_write(struct backing *backing, uint64_t offset, const void *data, size_t len_bytes); /* 0 or a negative errno */
/* It is complete; the reference stays. A negative errno where the kernel doesn't take it: then the reference is gone, and no more
 * are made where it says that it never will (-EPERM, -EOPNOTSUPP). */
int backing_finish(struct backing *backing);

void backing_unref(struct backing *backing); /* NULL is fine; gives one up that was begun and not finished */

int backing_id(const struct backing *backing); /* the kernel's number of it */

/* Notes that the array of that key was read whole through requests (direct: past the kernel's pages); how many times it was since
 * another of the group. */
void backing_note_read(struct backing_group *group, uint64_t key, bool direct);
unsigned backing_times_read(const struct backing_group *group, uint64_t key, bool *ret_direct);
/* Whether one of that size could be had if nothing were open, and none is there or being made. */
bool backing_may_begin(const struct backing_group *group, uint64_t key, uint64_t len_bytes);
/* Whether one could be had without another one's place. */
bool backing_has_room(uint64_t len_bytes);

/* Forgets the group's backing files; nobody may have a reference on one. */
void backing_group_drop(struct backing_group *group);

#endif
