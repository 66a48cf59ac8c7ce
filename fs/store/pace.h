/* pace.h - how far ahead of its readers a prefetch may be.
 *
 * What is decoded because .pixfs/prefetch was told so gets a number and its bytes. Who reads it says so; everything with a smaller
 * number then counts as read, too: a reader that leaves something out holds nothing up. Between the two at most a part of the
 * cache's budget, and PACE_MAX_ITEMS, are outstanding. Any thread; locks nothing else. */
#ifndef PIXFS_PACE_H
#define PIXFS_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_MAX_ITEMS = 16384 };

/* The function that is called whenever there is room again; from the thread of a reader, so it may only start something. NULL:
 * none. Set before any thread starts. */
void pace_on_room(void (*function)(void));

/* Whether another item may be started. */
bool pace_has_room(uint64_t limit_bytes);
/* The number of a new item, not 0. */
uint32_t pace_issue(uint64_t len_bytes);
/* A reader came to that item; 0 is ignored. */
void pace_read(uint32_t number);

#endif
