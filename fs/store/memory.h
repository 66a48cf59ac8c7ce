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

/* At least len_bytes, 64-byte aligned, not cleared; NULL where there is none. *ret_charged_bytes: by how much the memory that
 * is held grew. */
void *memory_alloc(size_t len_bytes, size_t *ret_charged_bytes);

/* Gives memory back that was asked for with this length: by how many bytes what is held shrank. */
size_t memory_free(void *data, size_t len_bytes);

#endif
