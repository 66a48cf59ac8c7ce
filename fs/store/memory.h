/* memory.h - memory for decoded samples, its pages asked for many at a time.
 *
 * Fresh memory costs more than what is done with it: a page fault for every 4 KiB is more than half of the price. So samples lie
 * behind each other in regions, and the pages of each piece are asked for together. Not as huge pages: where a host gives memory to
 * its virtual machines as they touch it, whole fresh huge pages were ten times slower than pages that had been in use before
 * (2.4 against 0.25 ms a MB), and at best twice as fast. What is freed goes back to the system but for the last 4 MiB: who decodes
 * one image after the other and keeps none does so in the same memory, which costs nothing. These are charged to nobody.
 * Thread-safe.
 */
#ifndef PIXFS_MEMORY_H
#define PIXFS_MEMORY_H

#include <stddef.h>

/* At least len_bytes, not cleared, 64-byte aligned (16 where they are fewer than 64); NULL where there is none. *ret_charged_bytes:
 * by how much the memory that is held grew, what the allocator adds included. */
void *memory_alloc(size_t len_bytes, size_t *ret_charged_bytes);

/* Gives memory back that was asked for with this length: by how many bytes what is held shrank. */
size_t memory_free(void *data, size_t len_bytes);

/* So many bytes of small blocks of malloc were freed that were charged too. */
void memory_note_freed(size_t len_bytes);

/* Gives all that is free back to the system, spare blocks too. */
void memory_give_back(void);

/* What memory_alloc charges for so many bytes, or a little less where it gives a spare block. */
size_t memory_cost_bytes(size_t len_bytes);

#endif
