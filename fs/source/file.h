/* file.h - host files: which version of a file is meant, and its bytes.
 *
 * A file is named by a path below an open directory and by its identity. Bytes are read with pread and never mapped (a
 * truncated source must not be a SIGBUS here); size and mtime are compared after each read, so that no byte of another
 * version is ever handed out. Descriptors are opened when needed; only a bounded number stay open, and those that are held: what
 * is open goes on from its descriptor whatever becomes of its name. Of what only the ctime moved the bytes are the same.
 *
 * write() sets the times of a file first and copies then: who reads meanwhile sees some of the old bytes under the new
 * identity, for good where they are kept. So nothing is read before a version is as old as one write() of all of it takes
 * (20 ms, and 1 ms for each 512 KiB; at most about a second). By ctime, which nobody can set.
 */
#ifndef PIXFS_FILE_H
#define PIXFS_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "codecs/core/bytes.h"

/* One version of a file's content. */
struct file_id {
	uint64_t device, inode, size_bytes;
	int64_t mtime_ns, ctime_ns;
};

struct file_id file_id_of(const struct stat *st);
bool file_id_equal(const struct file_id *a, const struct file_id *b);
/* The same but for ctime, which chmod, chown, ln, mv and rm move too: for what is open. */
bool file_id_same_bytes(const struct file_id *a, const struct file_id *b);

/* Nanoseconds until the write() that made this version has surely ended; 0: it has. */
int64_t file_settles_in_ns(const struct file_id *id);

/* The bytes of that version; path (below the directory root_fd, which stays open for the life of the process) is copied.
 * Nothing is opened yet. Reads give -ESTALE once the file at that path is another version. NULL: no memory. */
struct bytes *file_bytes(int root_fd, const char *path, const struct file_id *id);

/* The version is found at this path now: another one where a directory above was renamed, which leaves all times of the file as
 * they were. Of other bytes nothing happens. */
void file_found_at(struct bytes *bytes, const char *path);

/* Opens the file and checks that it is that version. A descriptor, or a negative errno with words. */
int file_open(int root_fd, const char *path, const struct file_id *id, struct err *err);

/* As long as it is held the descriptor of the file that these bytes are read out of (at whatever depth; of all volumes of an
 * archive) stays open, as far as the limit allows: beyond it is opened by its path when it is needed. Any number of holds; each is
 * given back. Bytes of no file: nothing happens. */
void file_hold(struct bytes *bytes);
void file_unhold(struct bytes *bytes);

/* The largest number of descriptors kept open between reads, and of those that are held. Set before any thread starts. */
void file_set_limit(unsigned max_open, unsigned max_held);

#endif
