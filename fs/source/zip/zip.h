/* zip.h - a zip archive: its index as a tree, and the bytes of its entries.
 *
 * The central directory counts. It is parsed once, when the archive is first entered; afterwards the index is immutable
 * and may be read by any number of threads. Entry 0 is the root directory; all others have a parent with a smaller or
 * larger number and a name that is unique in it, valid UTF-8, 1 to 255 bytes, without '/', NUL or control characters,
 * never "." or "..". Missing directories are made. What had to be renamed, neutralised or left out is reported.
 *
 * Nothing of it is trusted: every offset and length is checked against the archive's size before it is used.
 */
#ifndef PIXFS_ZIP_H
#define PIXFS_ZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "codecs/core/bytes.h"

struct archive;

enum { ARCHIVE_NONE = UINT32_MAX };
enum { ARCHIVE_SMALL_BYTES = 4 << 10 };

enum archive_kind { ARCHIVE_DIR, ARCHIVE_FILE, ARCHIVE_LINK };

struct archive_entry {
	const char *name;    /* borrowed from the archive */
	uint32_t parent;     /* entry 0: itself */
	uint8_t kind;        /* enum archive_kind */
	uint16_t mode;       /* permission bits, 0 where the archive tells none */
	uint64_t size_bytes; /* as the central directory declares it */
	int64_t mtime_s;     /* seconds since 1970; 0 where the archive tells none */
	uint32_t crc32;
};

/* An archive in several files, one after the other. */
struct archive_volumes {
	struct bytes *bytes; /* all of them */
	uint64_t *starts;    /* of each */
	uint32_t count;
};

struct archive_options {
	uint64_t max_entry_bytes; /* an entry that yields more is EFBIG (default 8 GiB) */
	const char *encoding;     /* iconv name for names that are neither flagged nor valid UTF-8; NULL: what they seem to be in */
	/* Called while the index is built, once for each thing worth telling (at most a bounded number, then a summary);
	 * name is the entry's name made printable, "" for the archive itself; code is 0, or the negative errno that opening
	 * the entry will give. May be NULL. */
	void (*report)(void *context, int code, const char *name, const char *words);
	void *context; /* for all calls */
	/* Called at most once, where bytes are the last of `count` volumes and no whole archive: opens them all; the caller unrefs
	 * bytes and frees starts. 0, or -EIO naming one that is missing, or another error. May be NULL. */
	int (*volumes)(void *context, uint32_t count, struct archive_volumes *ret_volumes, struct err *err);
};

/* Parses the index; takes its own reference on bytes. -EIO: no archive, or a damaged one, with words; -EFBIG: an index that
 * would be too large; -EINVAL: an encoding that iconv doesn't know; -ENOMEM; a read's error. options may be NULL. */
int archive_open(struct bytes *bytes, const struct archive_options *options, struct archive **ret_archive, struct err *err);
struct archive *archive_ref(struct archive *archive);
void archive_unref(struct archive *archive);           /* NULL is fine */
bool archive_is_shared(const struct archive *archive); /* there is another reference than the caller's */

struct bytes *archive_bytes(const struct archive *archive);   /* what it was opened from, borrowed */
uint32_t archive_count(const struct archive *archive);        /* entries, made directories and the root included */
uint64_t archive_memory_bytes(const struct archive *archive); /* what the index occupies */
/* The encoding that names were read in which tell none; "" where there are no such names. */
const char *archive_encoding(const struct archive *archive);
void archive_get(const struct archive *archive, uint32_t entry, struct archive_entry *ret_entry);

/* Children in the archive's order: first child of a directory and the next sibling, ARCHIVE_NONE at the end. */
uint32_t archive_first(const struct archive *archive, uint32_t dir);
uint32_t archive_next(const struct archive *archive, uint32_t entry);
uint64_t archive_child_count(const struct archive *archive, uint32_t dir);
/* The child of that name, ARCHIVE_NONE where there is none. Constant time. */
uint32_t archive_find(const struct archive *archive, uint32_t dir, const char *name);

/* The bytes of a file or of a link's target, size_bytes of them, random access:
 *   stored   a window of the archive's own bytes: reading decompresses nothing. Up to ARCHIVE_SMALL_BYTES: a copy
 *   others   unpacked on demand, memory bounded whatever the size (unpack.h)
 * Holds a reference on the archive. Fails with -EACCES (encrypted), -EOPNOTSUPP (a method that is not built in), -EIO (damaged,
 * overlapping, out of bounds), -EFBIG (over max_entry_bytes). Reads fail with -EIO where the data is damaged or yields
 * another size than declared. */
int archive_entry_bytes(struct archive *archive, uint32_t entry, struct bytes **ret_bytes, struct err *err);
uint64_t archive_copied_bytes(const struct archive *archive, uint32_t entry); /* of that copy; 0 where there is none */

/* Reads the whole entry once and compares its CRC-32 and size. 0, -EIO with words, or as archive_entry_bytes. Not
 * remembered: the caller does. */
int archive_entry_check(struct archive *archive, uint32_t entry, struct err *err);
/* The same for who has the entry's bytes already: what is inflated is inflated once. */
int archive_bytes_check(const struct archive *archive, uint32_t entry, struct bytes *bytes, struct err *err);

#endif
