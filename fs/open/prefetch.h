/* prefetch.h - .pixfs/prefetch: a list of what will be read next, in the order in which it will be; decoded on idle processors.
 *
 * One item a line, the path as it is in the mount, relative to its root (a leading '/' is ignored):
 *   cat/0001.png                    an image, or any array of it (cat/0001.png/views/rgb.npy): its pixels are decoded
 *   .pixfs/stack/SPEC\t5\t17\t3     rows of a stack, each number behind a tab
 * What doesn't exist is left out. Not further ahead than a quarter of the cache's budget: it goes on as the readers do. Lines
 * that were not reached are forgotten when the file is opened anew (a new epoch) and truncated, as `>` does.
 */
#ifndef PIXFS_PREFETCH_H
#define PIXFS_PREFETCH_H

#include <stddef.h>

#include "codecs/core/err.h"

enum { PREFETCH_MAX_QUEUED_BYTES = 64 << 20 };

void prefetch_start(void);

/* What one open file has written of its last line. */
struct prefetch_writer {
	char *line;
	size_t len_bytes, room_bytes;
};

/* Whole lines are queued, the rest waits. 0, -ENOMEM, or -EFBIG over PREFETCH_MAX_QUEUED_BYTES, or half of the cache, in the queue.
 */
int prefetch_write(struct prefetch_writer *writer, const char *text, size_t len_bytes, struct err *err);
/* Queues the last line, frees what the writer holds. */
void prefetch_close(struct prefetch_writer *writer);
/* Forgets what is queued. */
void prefetch_clear(void);

#endif
