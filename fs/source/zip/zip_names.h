/* zip_names.h - the names of a zip archive made fit for a tree. Internal to fs/zip*.c. */
#ifndef PIXFS_ZIP_NAMES_H
#define PIXFS_ZIP_NAMES_H

#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zip_directory.h"

enum { ZIP_NAME_MAX = 255, ZIP_ENCODING_BYTES = 32 };

/* What was changed in a name on its way into the tree; bits. */
enum {
	ZIP_NAME_DEEP = 1, /* too many directories: the rest is one name, with %2F between */
	ZIP_NAME_ABSOLUTE = 2,
	ZIP_NAME_UPWARDS = 4, /* held ".." */
	ZIP_NAME_CONTROL = 8, /* held control characters: now %XX */
	ZIP_NAME_SHORTENED = 16,
	ZIP_NAME_EMPTY = 32,     /* a file without a name */
	ZIP_NAME_BACKSLASH = 64, /* backslashes were its separators */
	ZIP_NAME_NOT_UTF8 = 128, /* flagged as UTF-8 and isn't, or doesn't fit the given encoding */
	ZIP_NAME_RESERVED = 256, /* ".pixfs", which every directory has: now %2Epixfs */
};

/* The first of these changes in words. */
const char *zip_name_change_words(unsigned changes);

struct zip_names {
	iconv_t converter; /* for names that tell no encoding, where has_converter; else they are CP437 */
	bool has_converter;
	bool is_open;                      /* their encoding isn't chosen yet */
	bool is_used;                      /* there was such a name */
	char encoding[ZIP_ENCODING_BYTES]; /* of theirs */
	unsigned changes;                  /* what was changed since the caller set it to 0 */
	char *text;                        /* a decoded name */
	char *component;                   /* a cleaned component */
};

/* encoding: an iconv name, or NULL: to be chosen. 0, -EINVAL (unknown encoding) or -ENOMEM. */
int zip_names_init(struct zip_names *names, const char *encoding, struct err *err);
void zip_names_free(struct zip_names *names);

/* Whether the record tells neither by a flag nor by a field nor by being UTF-8 what its name is in. */
bool zip_names_is_undeclared(const struct zip_record *record);
/* Chooses the encoding of such names; NULL: CP437. 0 or -EINVAL. */
int zip_names_choose(struct zip_names *names, const char *encoding, struct err *err);
/* What iconv calls the encoding that archives mean by this name. */
const char *zip_names_iconv_name(const char *encoding);

/* zip_charset.c: the encoding of names, one behind the other with a newline each. False where it can't be told. */
bool zip_charset_guess(const char *text, size_t len_bytes, char ret_encoding[ZIP_ENCODING_BYTES]);

/* The whole name of a record in UTF-8, '/' between its components, any bytes else; valid until the next call or record. */
size_t zip_names_decode(struct zip_names *names, const struct zip_record *record, const char **ret_text);

/* One component of a decoded name as it stands in the tree: 1 to 255 bytes (not terminated), or 0 where it names nothing
 * ("", ".", ".."). Valid until the next call. A '/' within it is encoded. */
size_t zip_names_component(struct zip_names *names, const char *text, size_t len_bytes, const char **ret_component);

/* "name (number).ext" for a name of at most 255 bytes; the stem is cut so that it has at most 255 bytes. Its length. */
size_t zip_names_number(const char *name, uint64_t number, char ret_name[ZIP_NAME_MAX + 1]);

/* Bytes as printable text, cut to fit: control characters as %XX, invalid UTF-8 as '?'. */
void zip_names_printable(const char *bytes, size_t len_bytes, char *ret_text, size_t room_bytes);

#endif
