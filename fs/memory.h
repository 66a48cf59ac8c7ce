/* memory.h - memory for decoded samples, in huge pages where the system has them.
 *
 * Fresh memory costs more than what is done with it: the system clears it page by page, and a page fault for every 4 KiB is
 * half of the price. So samples lie behind each other in regions that are asked for as huge pages. What is freed goes
 * back to the system in granules: a granule is charged while anything in it is in use, and given back with the last.
 * Thread-safe.
 */
#ifndef PIXFS_MEMORY_H
#define PIXFS_MEMORY_H

#include <stddef.h>

/* At least len_bytes, 64-byte aligned, not cleared; NULL where there is none. *ret_charged_bytes: by how much the memory that
 * is held grew; may be 0, where it shares granules with others. */
void *memory_alloc(size_t len_bytes, size_t *ret_charged_bytes);

/* Gives memory back that was asked for with this length: by how many bytes what is held shrank. */
size_t memory_free(void *data, size_t len_bytes);

#endif
