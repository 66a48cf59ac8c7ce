/* handle_whole.h - arrays that are made whole while they are opened, so that the kernel needn't ask for them. Inner side of
 * handle.c.
 *
 * Where opening decodes all of the image anyway (formats without checksums, small images), the array is made of it at once. Others
 * are decoded when they are read; unless the arrays that were read last were read whole, from one end to the other: then those
 * opened next are taken to be too, where all processors can decode them or they are decoded already. Every few of them one is left
 * to its reads, which show whether that still holds.
 *
 * While it holds, large arrays, and those of which a read costs little more than a copy, are not made at all: the handle's reads go
 * past the kernel's pages (direct), and are seen.
 */
#ifndef PIXFS_HANDLE_WHOLE_H
#define PIXFS_HANDLE_WHOLE_H

#include "handle.h"

/* Of larger arrays, pages that are stored early have left the processor's caches before they are read: then a read that makes them
 * just before is cheaper. Measured: at 2, 12 and 36 MB all processor time is 14, 13 and 5 % less, at 113 MB 10 % more. */
enum { WHOLE_LARGE_BYTES = 32 << 20 };

struct whole {
	struct handle *handle;
	const struct handle_pages *pages;
	struct backing *writing; /* a backing file, or NULL: pages->store */
	uint64_t done_bytes;
	bool wanted, refused;
};

/* An array's handle is being made; before image_use. pages NULL: nothing will be done. May give the handle its backing file. */
void whole_begin(struct whole *whole, struct handle *handle, const struct handle_pages *pages);
/* For image_use, context is the struct whole; NULL where there is nothing to do meanwhile. */
void whole_meanwhile(void *context);
/* After image_use, with what it returned; else that or an error that was met here, which the open has to tell. */
int whole_end(struct whole *whole, int rc, struct err *err);

/* The handle is about to be closed. */
void whole_note(const struct handle *handle);

#endif
