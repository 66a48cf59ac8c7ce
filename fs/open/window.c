/* window.c - see window.h. One thread makes a window, others that need it wait; who makes it has it alone, without the lock. */
#include "window.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/codec.h"
#include "fs/base/config.h"
#include "fs/store/kept.h"

enum { BEFORE_BYTES = 1 << 20 }; /* made before what was asked for: the kernel's reads of one reader overtake each other */

struct window {
	struct window_source source;
	struct view_size size;
	pthread_mutex_t lock;
	pthread_cond_t made;
	bool making, counted;
	unsigned char *bytes; /* elements [start, end); NULL: none */
	uint64_t start, end;
	struct kept kept;
};

static atomic_uint nwindows; /* those that were made at least once: they share the room */

static bool drop(struct kept *kept)
{
	struct window *window = (struct window *)((char *)kept - offsetof(struct window, kept));
	if (pthread_mutex_trylock(&window->lock))
		return false;
	bool idle = !window->making;
	if (idle) {
		free(window->bytes);
		window->bytes = NULL;
	}
	pthread_mutex_unlock(&window->lock);
	return idle;
}

struct window *window_new(const struct window_source *source)
{
	struct window *window = calloc(1, sizeof *window);
	if (!window)
		return NULL;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&window->made, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&window->lock, NULL);
	window->source = *source;
	window->size = view_elements_size(source->view);
	window->kept.drop = drop;
	return window;
}

void window_free(struct window *window)
{
	if (!window)
		return;
	kept_forget(&window->kept);
	free(window->bytes);
	pthread_mutex_destroy(&window->lock);
	pthread_cond_destroy(&window->made);
	atomic_fetch_sub(&nwindows, window->counted);
	free(window);
}

/* ---- where there is need ---- */

/* What chunks cost the cache, the last row and column taken for whole ones. */
static uint64_t cost_bytes(const struct image *image, uint32_t part, uint32_t level, const struct view_chunks *chunks)
{
	uint64_t count = ((uint64_t)chunks->cx1 - chunks->cx0 + 1) * ((uint64_t)chunks->cy1 - chunks->cy0 + 1);
	return count * cache_cost_bytes(codec_kept_bytes(&image_header(image)->parts[part], level, 0, 0));
}

bool window_may_help(const struct image *image, const struct image_area *area)
{
	return area->any && cost_bytes(image, area->part, area->level, &area->chunks) > cache_room_bytes();
}

/* Half of the room: others read too, and chunks that are under way take some. */
static bool is_needed(const struct window *window, uint64_t offset, size_t len_bytes)
{
	struct view_chunks chunks;
	const struct window_source *source = &window->source;
	return view_elements_chunks(source->view, offset, len_bytes, &chunks) &&
	       cost_bytes(source->image, source->part, source->level, &chunks) > cache_room_bytes() / 2;
}

/* ---- making one ---- */

/* Whole rows around what is asked for, most of them behind it; before it where the window before this one lies behind it. False:
 * there is no room for more than what is asked for. */
static bool place(const struct window *window, uint64_t offset, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t row_bytes = window->size.row_bytes, nbytes = window->size.nbytes;
	uint64_t room_bytes = config.cache_bytes / 4 / atomic_load(&nwindows), spare_bytes;
	if (room_bytes < 2 * (end - offset))
		return false;
	spare_bytes = room_bytes - (end - offset);
	bool backwards = window->end && end <= window->start && window->start - end <= BEFORE_BYTES;
	uint64_t before = backwards ? spare_bytes : spare_bytes / 4 < BEFORE_BYTES ? spare_bytes / 4 : BEFORE_BYTES;
	uint64_t start = offset > before ? offset - before : 0, stop = start + room_bytes < nbytes ? start + room_bytes : nbytes;
	if ((start + row_bytes - 1) / row_bytes * row_bytes <= offset)
		start = (start + row_bytes - 1) / row_bytes * row_bytes;
	if (stop / row_bytes * row_bytes >= end)
		stop = stop / row_bytes * row_bytes;
	*ret_start = start;
	*ret_end = stop;
	return true;
}

static int make(const struct window *window, uint64_t start, uint64_t end, unsigned char *bytes, const struct patience *patience,
		struct err *err)
{
	struct image_reader reader;
	image_reader_init(&reader, window->source.image, window->source.part, window->source.level);
	reader.patience = patience;
	int rc = view_read_elements(window->source.view, start, (size_t)(end - start), bytes, &reader.source, err);
	image_reader_end(&reader);
	return rc;
}

/* The lock is held, and released meanwhile. What fails in the elements around doesn't concern who asked: 1. */
static int remake(struct window *window, uint64_t offset, size_t len_bytes, const struct patience *patience, struct err *err)
{
	struct err ignored = ERR_NONE;
	uint64_t start, end;
	atomic_fetch_add(&nwindows, !window->counted);
	window->counted = true;
	if (!place(window, offset, offset + len_bytes, &start, &end))
		return 1;
	window->making = true;
	unsigned char *before = window->bytes;
	window->bytes = NULL;
	pthread_mutex_unlock(&window->lock);
	free(before);
	kept_note(&window->kept, end - start);
	unsigned char *bytes = malloc((size_t)(end - start));
	int rc = bytes ? make(window, start, end, bytes, patience, &ignored) : 1;
	if (rc) {
		free(bytes);
		bytes = NULL;
		kept_note(&window->kept, 0);
	}
	pthread_mutex_lock(&window->lock);
	window->making = false;
	window->bytes = bytes;
	window->start = start;
	window->end = end;
	pthread_cond_broadcast(&window->made);
	return rc == -EINTR ? err_copy(err, &ignored) : rc != 0;
}

int window_read(struct window *window, uint64_t offset, size_t len_bytes, unsigned char *dst, const struct patience *patience,
		struct err *err)
{
	bool needed = is_needed(window, offset, len_bytes);
	int rc = needed ? 0 : 1;
	pthread_mutex_lock(&window->lock);
	while (needed && rc == 0 && (!window->bytes || offset < window->start || offset + len_bytes > window->end)) {
		if (!window->making)
			rc = remake(window, offset, len_bytes, patience, err);
		else if (patience_is_over(patience))
			rc = err_set(err, -EINTR, "interrupted");
		else
			patience_nap(&window->made, &window->lock);
	}
	if (rc == 0)
		memcpy(dst, window->bytes + (offset - window->start), len_bytes);
	pthread_mutex_unlock(&window->lock);
	return rc;
}
