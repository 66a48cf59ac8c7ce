/* err.h - what went wrong, in words, without allocating.
 *
 * A function that can fail returns 0 or a negative errno and writes its words here. The first error wins: later calls
 * on the same struct err leave it as it is, so the words name the cause and not what followed from it.
 * The words name the place and the reason; who knows the path of the file adds it (fs/).
 * A struct err is plain data: copy it freely; not shared between threads without a lock.
 */
#ifndef PIXFS_ERR_H
#define PIXFS_ERR_H

#include <stdbool.h>
#include <stddef.h>

struct err {
	int code;       /* a negative errno, 0 while nothing failed */
	bool is_source; /* the medium failed, not what is written on it: set by sources of bytes alone */
	char text[248]; /* valid UTF-8 without control characters: one line, no path */
};

#define ERR_NONE ((struct err){0})

/* Records code (a negative errno) with words made by printf rules and returns code. err may be NULL. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a source of bytes that can't be read: a disk or network that answers EIO says nothing about the file. */
int err_set_source(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether the next try may succeed, so that the failure is not to be remembered: the source failed or changed, memory or
 * descriptors ran out, the reader gave up. Damage, limits, refusals and what isn't supported stay. */
bool err_is_passing(const struct err *err);

/* Copies the words of `from` into `to` under the same rule (the first error wins); returns from->code. */
int err_copy(struct err *to, const struct err *from);

/* Replaces every control character (ASCII and U+0080 to U+009F) by '?': text for a log or a terminal. */
void err_neutralise(char *text);

#endif
