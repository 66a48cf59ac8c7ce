/* share.h - blocks of work that its caller does together with idle threads of the pool.
 *
 * For work that costs each processor its own waits (reads from the page cache all over a large file) and that its caller must
 * see the end of. The caller takes blocks itself from the start, so it never waits for a thread that is busy elsewhere, and
 * short work wakes nobody.
 */
#ifndef PIXFS_SHARE_H
#define PIXFS_SHARE_H

#include <stdint.h>

#include "codecs/core/err.h"

/* One block, on any thread: 0 or a negative errno with words. */
typedef int share_run(void *context, uint32_t block, struct err *err);

/* Runs blocks 0 to nblocks - 1, several at a time, and returns when none runs any more: 0, or the failure of the first that
 * failed; which of those behind it ran is not told. */
int share_blocks(uint32_t nblocks, share_run *run, void *context, struct err *err);

#endif
