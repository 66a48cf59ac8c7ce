/* kept.h - memory that is only kept because it may be asked for again, and can be made again: the longest unused goes first.
 *
 * All of it together is bounded, and counted against the cache's budget (cache_reserve). Embed a struct kept in what holds
 * such memory. Thread-safe.
 */
#ifndef PIXFS_KEPT_H
#define PIXFS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

struct kept {
	/* Frees all that can be made again, without waiting for anyone: false where it is in use just now. Called under kept.c's
	 * lock, from any thread; must not call kept_*(). */
	bool (*drop)(struct kept *kept);
	struct kept *newer, *older;
	uint64_t held_bytes;
	bool listed;
};

/* What all of it together may hold; who has many pieces keeps to a part of it by itself. */
uint64_t kept_limit_bytes(void);

/* It was used, and holds so many bytes now. The caller holds no lock that drop asks for. */
void kept_note(struct kept *kept, uint64_t held_bytes);

/* Before it is freed. */
void kept_forget(struct kept *kept);

#endif
