/* members.h - the images of a directory or archive, or of all below it: what a stack shows, in its order.
 *
 * A list is made by listing directories alone: no image is opened. It is immutable and shared; it keeps the nodes of its
 * directories, so archives that lie below stay open as long as the list is used. An image costs 16 bytes and its path.
 */
#ifndef PIXFS_MEMBERS_H
#define PIXFS_MEMBERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/image/image.h"
#include "fs/source/node.h"
#include "fs/source/walk.h"
#include "fs/base/patience.h"

struct member_dir {
	struct node *node; /* one reference */
	struct file_id id; /* on the host: when its listing began */
	bool on_host;
	struct archive *archive; /* whose file is held for it, borrowed from its node; NULL: none */
};

struct member {
	uint64_t path; /* where it starts in paths */
	uint32_t dir;
};

struct members {
	atomic_uint refs;
	bool recursive;
	size_t count, ndirs;
	struct member *all; /* sorted by path, bytewise */
	struct member_dir *dirs;
	char *paths;           /* relative to dirs[0], NUL behind each */
	uint64_t memory_bytes; /* counted against the cache's budget */
};

enum { MEMBERS_MAX = 1 << 26 };

/* Lists dir, a directory or an archive. Archives and directories below that can't be listed are left out (they were reported).
 * -EINTR, -ENOMEM, -EFBIG over MEMBERS_MAX, or why dir can't be listed. One reference. */
int members_list(struct node *dir, bool recursive, const struct patience *patience, struct members **ret_members, struct err *err);
/* For who has a list open: its archives' files go on to be read when their names are gone. */
void members_hold(const struct members *members);
void members_unhold(const struct members *members);
struct members *members_ref(struct members *members);
void members_unref(struct members *members); /* NULL is fine */

/* Whether names may have come or gone since: 0, or -ESTALE. */
int members_check_names(const struct members *members, struct err *err);
int members_check_dir(const struct members *members, size_t dir, struct err *err); /* of one of its directories */

static inline const char *member_path(const struct members *members, size_t i)
{
	return members->paths + members->all[i].path;
}

/* For looking at many members, in any order; quickest in theirs. */
struct members_cursor {
	const struct members *members;
	struct walk_at at; /* of the directory looked at last; dir NULL: none */
};
static inline struct members_cursor members_cursor(const struct members *members)
{
	return (struct members_cursor){members, {NULL, -1}};
}
void members_cursor_end(struct members_cursor *cursor);

/* A number that is another one for another version of member i's file on the host, not 0; 1 where it lies in an archive. Its lowest
 * MEMBERS_CTIME_BITS are of the ctime alone: where only those differ the bytes are the same. For version see members_open.
 * ret_stat: as of walk_lookup_at. A negative errno where the file can't be looked at. */
enum { MEMBERS_CTIME_BITS = 16 };
int members_version(struct members_cursor *cursor, size_t i, uint64_t *ret_version, struct stat *ret_stat, struct err *err);

/* The image, its header parsed; one reference. *version: 0, and then it becomes the file's; else the file must be that
 * version: -ESTALE. */
int members_open(const struct members *members, size_t i, uint64_t *version, struct image **ret_image, struct err *err);

/* What is known of it, if it is still that version. */
enum image_verdict members_peek(const struct members *members, size_t i, uint64_t version);

#endif
