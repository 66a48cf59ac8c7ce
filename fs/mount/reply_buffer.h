/* reply_buffer.h - memory in which the answers to READ requests are made.
 *
 * Each thread keeps one buffer for what the kernel asks for by itself: fresh pages would cost more than what is done with them.
 * Reads past the kernel's pages are longer, and as many of them can be under way as there are readers: the buffers for those are
 * shared, the one used last first, as it still lies in a processor's cache. Thread-safe.
 */
#ifndef PIXFS_REPLY_BUFFER_H
#define PIXFS_REPLY_BUFFER_H

#include <stddef.h>

enum {
	REPLY_OWN_BYTES = 256 << 10, /* longer ones are shared */
	REPLY_MOST_BYTES = 1 << 20,  /* of one answer */
};

/* At least size bytes, for one answer of the calling thread; NULL where there is no memory, or size is more than REPLY_MOST_BYTES.
 * Where many shared ones are in use it waits for one, but not for long: they may all wait for the same slow decode. */
char *reply_buffer_take(size_t size);
void reply_buffer_give(char *buffer, size_t size); /* the size that it was taken for */

#endif
