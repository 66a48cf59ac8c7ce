/* tree.h - the mount as a tree, without FUSE: look up, stat, list, open. What an image's directory holds is one table in
 * tree.c. Every function may be called from any thread. */
#ifndef PIXFS_TREE_H
#define PIXFS_TREE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "fs/open/handle.h"
#include "fs/source/node.h"
#include "fs/base/patience.h"

/* The child of that name, with one more reference on its node (node_unref gives it back). -ENOENT, -ENOTDIR, -EINVAL (a view
 * that can't be), -EFBIG, or why the source can't be read. -EINTR only where a large directory is listed for a stack. */
int tree_lookup(struct place parent, const char *name, const struct patience *patience, struct place *ret_place, struct err *err);

/* The same with its attributes. at (may be NULL): of tree_list_at. */
struct walk_at;
int tree_find(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
	      struct place *ret_place, struct stat *ret_stat, struct err *err);

/* The place of a path below the root ("" or "." is the root), with one more reference; errors as tree_lookup. */
int tree_resolve(const char *path, struct place *ret_place, struct err *err);

/* Whether it is shown as a directory. */
bool tree_is_folder(struct place place);
/* Whether it is an array, or a file of a stack: what opening and reading it may wait for. */
bool tree_is_array(struct place place);

/* Attributes from headers alone: sizes are exact, nothing is decoded. */
int tree_stat(struct place place, struct stat *ret_stat, struct err *err);

/* Of a file that is open though its place can't be asked any more: *st has what its handle knows, st_nlink 0 where that is the size
 * alone. */
void tree_stat_open(struct place place, struct stat *st);

/* True where what the place is can't change while its node lives: names and attributes may be kept for ever. */
bool tree_is_constant(struct place place);

/* The target of a NODE_LINK, NUL-terminated. 0, or a negative errno. */
int tree_readlink(struct place place, char *ret_target, size_t size_bytes, struct err *err);

/* Opens a file for reading. caller: who has to have the right to all that a stack shows (one file's is the kernel's to judge).
 * patience: for a stack's first look at all headers. pages: see handle.h. Each may be NULL. */
int tree_open(struct place place, struct caller *caller, const struct patience *patience, const struct handle_pages *pages,
	      struct handle **ret_handle, struct err *err);

/* Makes the array of that path whole, as who opens it next would have to (now: in any case); for a worker of the pool. */
void tree_make_whole(const char *path, bool now);

/* Opens a file for writing, and cuts one to nothing: .pixfs/prefetch; all others are -EROFS. */
int tree_open_sink(struct place place, struct handle **ret_handle, struct err *err);
int tree_truncate(struct place place);

struct listing;
struct listing_entry {
	const char *name; /* valid until the next call */
	mode_t type;      /* S_IFDIR, S_IFREG, S_IFLNK */
	uint64_t ino, next;
};
/* Lists a directory; one thread at a time. "." and ".." are not in it. offset 0 is the first entry, else a `next`; 1, 0 at the
 * end, or a negative errno. */
int tree_list(struct place place, struct listing **ret_listing, struct err *err);
int tree_list_next(struct listing *listing, uint64_t offset, struct listing_entry *ret_entry);
/* For tree_find of several names that come next; borrowed, as long as the listing is open and for one reply. False where
 * tree_find has to find its own way. */
bool tree_list_at(struct listing *listing, struct walk_at *ret_at);
void tree_list_close(struct listing *listing); /* NULL is fine */

/* Extended attributes: the value's length, -ENODATA, or -EOPNOTSUPP for a name that isn't user.*: xattr(7)'s word for a namespace
 * that a file system doesn't have, upon which ls asks for the ACLs of one file instead of each. It is copied where it fits
 * (-ERANGE where size_bytes is not 0 and too small). name NULL: the list of names, each with a NUL behind it; empty for an
 * image's directory, as ls -l asks for that list too (coreutils from 9.6 on) and a listing opens no image. */
ssize_t tree_xattr(struct place place, const char *name, char *ret_value, size_t size_bytes);

#endif
