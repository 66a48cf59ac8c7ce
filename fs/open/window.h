/* window.h - many elements of an open array at once, where a read alone needs more chunks than the cache has room for.
 *
 * A view that turns a picture needs all of its rows for each of its own. Where they don't fit the cache, each read would decode the
 * picture again. So one pass over the chunks makes the next elements too, as many as there is memory for, and the reads that follow
 * find them: there are as many passes as windows, whatever the size of the reads. Windows are memory of kept.h: charged, and
 * dropped where others need it. Arrays whose reads fit the cache have none, and pay nothing for it.
 */
#ifndef PIXFS_WINDOW_H
#define PIXFS_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "fs/image/image.h"

struct window;

/* What its elements are made from; borrowed for as long as the window lives. */
struct window_source {
	struct image *image;
	const struct view *view;
	uint32_t part, level;
};

struct window *window_new(const struct window_source *source); /* NULL: no memory */
void window_free(struct window *window);                       /* nobody reads; NULL is fine */

/* Whether a read of an array with this area may need a window at all. */
bool window_may_help(const struct image *image, const struct image_area *area);

/* Elements [offset, offset + len_bytes) to dst, where the window has them or a read of them needs more chunks than there is room
 * for: 0. 1: they are to be read without it. -EINTR where patience (NULL: endless) ends. Any number of threads. */
int window_read(struct window *window, uint64_t offset, size_t len_bytes, unsigned char *dst, const struct patience *patience,
		struct err *err);

#endif
