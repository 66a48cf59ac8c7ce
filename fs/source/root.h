/* root.h - SOURCE itself, or the folder of the one file that it is: whether it is still there, and its descriptor opened anew where
 * it went away and came back.
 *
 *   what happened to it                                what the descriptor shows from then on
 *   nothing, or it was renamed                         the same directory, whatever stands at its old path
 *   it was removed, its file system was unmounted      nothing: an error; and what stands at its path as soon as something
 *   or answers with errors                             does
 *   another file system was mounted over it            what is mounted there
 *
 * A thread of its own asks, since a source may never answer: nobody else waits for it longer than a moment.
 */
#ifndef PIXFS_ROOT_H
#define PIXFS_ROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "codecs/core/err.h"

/* The open directory and its absolute path. The descriptor keeps its number whatever happens. 0 or a negative errno. */
int root_start(int fd, const char *path);
void root_stop(void);

/* What the directory is now; where it is gone or doesn't answer: what it was. Thread-safe, as all below. */
void root_stat(struct stat *ret_stat);
void root_statvfs(struct statvfs *ret_statvfs);

/* Asks, and tells whether it answered. */
bool root_answers(void);

/* Why it can't be listed, by the last look at it; 0: it can. */
int root_check(struct err *err);

/* Its st_dev, by the last look at it. */
uint64_t root_device(void);
/* Whether these are the attributes of that directory, by the last look at it. */
bool root_is(const struct stat *st);

#endif
