/* bytes.h - a source of bytes: a file, an entry of an archive, or memory.
 *
 * The size is fixed for the life of the object. Reads may come from any number of threads at once. What lies behind it
 * (a file descriptor, an inflated copy) is the implementation's business: fs/source/file.c, fs/source/zip/zip.c, and memory below.
 */
#ifndef PIXFS_BYTES_H
#define PIXFS_BYTES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct bytes;

/* One of several reads that are made together. */
struct bytes_piece {
	uint64_t offset;
	void *dst;
	size_t len_bytes, got_bytes; /* got: set by the read; fewer than asked for only where the source ends */
};

struct bytes_class {
	/* Copies len_bytes from offset to dst, like pread but never interrupted: fewer bytes come back only where the
	 * source ends (0 at or past the end). A negative errno on failure: -EIO (the medium, damaged archive data),
	 * -ESTALE (the source changed since it was opened), -EACCES, -EOPNOTSUPP, -ENOMEM, -EFBIG, with words in err. */
	ssize_t (*read)(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err);
	/* Releases everything, the object itself included. Called once, when the last reference goes. */
	void (*free)(struct bytes *bytes);
	/* All pieces as `read` does each, where that costs less than one by one (NULL: it doesn't). 0 or the first failure. */
	int (*read_pieces)(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err);
	/* Of one that is read out of several: each of them, borrowed, NULL behind the last. (NULL: it isn't.) */
	struct bytes *(*part)(struct bytes *bytes, uint32_t i);
};

struct bytes {
	const struct bytes_class *class;
	atomic_uint refs;
	uint64_t size_bytes;
	struct bytes *below; /* what it is read out of, where it has a reference on that; else NULL */
};

/* For implementations: sets the fields of a new object, with one reference. */
void bytes_init(struct bytes *bytes, const struct bytes_class *class, uint64_t size_bytes);

struct bytes *bytes_ref(struct bytes *bytes);
void bytes_unref(struct bytes *bytes); /* NULL is fine */

/* As class->read. */
ssize_t bytes_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err);

/* Reads n pieces, all of one version of the source. 0, or a negative errno as class->read: then no piece counts. */
int bytes_read_pieces(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err);

/* All of len_bytes or an error: 0, or a negative errno; -EIO with "the file ends at byte N, ..." where it is too short. */
int bytes_read_exact(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err);

/* Bytes in memory; data is borrowed and must outlive the object, or is freed with free() where owned. NULL: no memory. */
struct bytes *bytes_from_memory(const void *data, size_t len_bytes, int owned);

#endif
