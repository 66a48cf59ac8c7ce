/* cache.h - decoded samples, chunk by chunk, within a budget of bytes.
 *
 * A chunk belongs to a group (an opened image) and has a key in it. Its life:
 *
 *   state     data   who may act                                      goes to
 *   (absent)  -      cache_begin: the caller becomes the filler       FILLING
 *   FILLING   -      the filler: cache_finish or cache_fail           READY or FAILED
 *                    others: cache_wait
 *   READY     yes    pinned: read it; unpinned: may be evicted        absent
 *   FAILED    words  anyone: the words; unpinned: may be evicted      absent
 *
 * One decode per chunk however many wait; a failed one is remembered with its words. Bytes are charged when the buffer is
 * made, before it is filled, and what the chunk itself costs (cache_cost_bytes) when it begins; unpinned chunks leave, the longest
 * unused first, to keep the sum within the budget. Buffers in use can't leave, so the sum may pass the budget by what is pinned or
 * being filled.
 */
#ifndef PIXFS_CACHE_H
#define PIXFS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/err.h"
#include "fs/base/patience.h"

struct chunk;

struct chunk_key {
	uint32_t part, level, cx, cy;
};

/* All chunks of one image. Embedded in its owner; the fields are the cache's. */
struct cache_group {
	struct chunk *chunks;
};

int cache_start(uint64_t budget_bytes); /* 0 or -ENOMEM */
void cache_stop(void);                  /* all groups were dropped before */

void cache_group_init(struct cache_group *group);
/* Forgets all chunks of the group; none may be pinned or filling. */
void cache_group_drop(struct cache_group *group);
/* Forgets those that are ready and not pinned: all, or those of a part and level from (cx0, cy0) to (cx1, cy1), both included. */
void cache_group_shrink(struct cache_group *group);
void cache_drop(struct cache_group *group, struct chunk_key first, uint32_t cx1, uint32_t cy1);

/* Whether all chunks of a part and level from (cx0, cy0) to (cx1, cy1), both included, are ready. */
bool cache_has_all(const struct cache_group *group, struct chunk_key first, uint32_t cx1, uint32_t cy1);

enum cache_state { CACHE_READY, CACHE_FILLING, CACHE_FAILED, CACHE_BEGUN };

/* Finds the chunk or begins it. READY, FILLING and BEGUN: *ret_chunk is pinned for the caller (for BEGUN: the caller is the
 * filler and must finish or fail it, then unpin). FAILED: err has the words, nothing is pinned. NULL in *ret_chunk with
 * CACHE_FAILED where memory is out. */
enum cache_state cache_begin(struct cache_group *group, struct chunk_key key, struct chunk **ret_chunk, struct err *err);

/* Waits until the pinned chunk is READY (0) or FAILED (its errno and words). -EINTR where patience is over
 * (NULL: never). The pin stays in all cases. */
int cache_wait(struct chunk *chunk, const struct patience *patience, struct err *err);

const void *cache_data(const struct chunk *chunk); /* of a READY, pinned chunk */
struct chunk_key cache_key(const struct chunk *chunk);
void cache_unpin(struct chunk *chunk);
/* The same of a chunk that is hardly needed again: it leaves before all others. */
void cache_unpin_cold(struct chunk *chunk);

/* Memory for a chunk's samples (aligned as memory.h says, not cleared), charged to the budget; NULL where there is none. */
void *cache_alloc(size_t len_bytes);
void cache_release(void *data, size_t len_bytes); /* one that was never given to cache_finish */

/* What a chunk of so many bytes costs with its bookkeeping. */
uint64_t cache_cost_bytes(uint64_t len_bytes);
/* The part of the budget that is left for chunks: what others reserved is taken off. */
uint64_t cache_room_bytes(void);

/* Memory of others that counts against the budget too (headers of known images): by so many bytes more or less. */
void cache_reserve(int64_t change_bytes);

/* Memory ran out, though the budget isn't used up (an address space limit, say): half of what nobody uses leaves, and freed memory
 * goes back to the system. */
void cache_relieve(void);

/* For the filler, once: the samples (taken over), or why there are none. */
void cache_finish(struct chunk *chunk, void *data, size_t len_bytes);
void cache_fail(struct chunk *chunk, const struct err *err);

#endif
