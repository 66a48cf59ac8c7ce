/* flight.h - decodes that need much memory at once: how many may be under way.
 *
 * A chunk that is a whole image, or a decoder that keeps all coefficients, may take gigabytes, and none of it can leave the cache
 * before it is done. So those share a part of the budget, and there are no more of them than decode threads; one may always go on,
 * however large. What needs little isn't counted. Thread-safe.
 */
#ifndef PIXFS_FLIGHT_H
#define PIXFS_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/pool.h"

enum { FLIGHT_LEAST_BYTES = 16 << 20 };

/* What flight_enter calls where there is no room: gives back what is held without being used; whether there was any. Set once,
 * before the first call. It is called without any lock of flight.c, and may call flight_leave. */
void flight_set_reclaim(bool (*reclaim)(void));

/* A decode of so many bytes begins. Where it has to wait: false, and the task is submitted (DECODE) when others left, to ask again;
 * with task NULL a thread of the pool works meanwhile, and it is always true. */
bool flight_enter(uint64_t len_bytes, struct pool_task *task);
void flight_leave(uint64_t len_bytes);
/* Whether somebody waits. */
bool flight_is_wanted(void);

#endif
