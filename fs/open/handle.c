/* handle.c - see handle.h. */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"
#include "handle_whole.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"

enum { PASSING_LEAST_BYTES = 256 << 10 }; /* who looks at a header reads less, and the same again */

static struct handle *handle_new(enum handle_kind kind, uint64_t size_bytes, struct err *err)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle) {
		err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	handle->kind = kind;
	handle->size_bytes = size_bytes;
	handle->keep_cache = true;
	handle->fd = -1;
	status_add(&status.open_files, 1);
	return handle;
}

static void handle_free(struct handle *handle)
{
	if (handle->kind == HANDLE_ARRAY) {
		backing_unref(handle->backing);
		window_free(handle->window);
		if (handle->node)
			node_unref(handle->node, 1);
		target_close(&handle->target);
		pthread_mutex_destroy(&handle->pattern.lock);
	}
	if (handle->kind == HANDLE_SINK) {
		struct err ignored = ERR_NONE;
		handle_write(handle, NULL, 0, &ignored);
		pthread_mutex_destroy(&handle->pattern.lock);
	}
	stack_reader_close(handle->stack);
	view_free(handle->view);
	free(handle->below);
	if (handle->text)
		cache_reserve(-(int64_t)handle->size_bytes);
	free(handle->text);
	text_unref(handle->kept);
	if (handle->bytes)
		file_unhold(handle->bytes);
	bytes_unref(handle->bytes);
	if (handle->fd >= 0)
		close(handle->fd);
	free(handle);
	status_sub(&status.open_files, 1);
}

int handle_open_stack(struct stack *stack, const struct stack_range *range, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_STACK, range->prefix_bytes + range->len_bytes, err);
	if (!handle)
		return -ENOMEM;
	int rc = stack_reader_open(stack, &handle->stack, err);
	if (rc) {
		handle_free(handle);
		return rc;
	}
	handle->range = *range;
	status_add(&status.array_opens, 1);
	*ret_handle = handle;
	return 0;
}

int handle_open_text(char *text, size_t len_bytes, bool changing, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_TEXT, len_bytes, err);
	if (!handle) {
		free(text);
		return -ENOMEM;
	}
	handle->text = text;
	cache_reserve((int64_t)len_bytes);
	handle->changing = changing;
	*ret_handle = handle;
	return 0;
}

int handle_open_kept(struct text *text, bool changing, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_TEXT, text_len_bytes(text), err);
	if (!handle) {
		text_unref(text);
		return -ENOMEM;
	}
	handle->kept = text;
	handle->changing = changing;
	*ret_handle = handle;
	return 0;
}

int handle_open_bytes(struct bytes *bytes, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_BYTES, bytes->size_bytes, err);
	if (!handle) {
		bytes_unref(bytes);
		return -ENOMEM;
	}
	handle->bytes = bytes;
	file_hold(bytes);
	*ret_handle = handle;
	return 0;
}

int handle_open_host(int fd, bool keep_cache, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_HOST, UINT64_MAX, err);
	if (!handle) {
		close(fd);
		return -ENOMEM;
	}
	handle->fd = fd;
	handle->keep_cache = keep_cache;
	*ret_handle = handle;
	return 0;
}

/* A large array that is read past the kernel's pages, which needs each sample once, and of samples that needn't be kept. */
static bool is_passing(const struct handle *handle)
{
	return handle->direct && handle->size_bytes > WHOLE_LARGE_BYTES && view_info(handle->view)->in_order &&
	       image_is_quick(handle->target.image, handle->target.picture.part_index);
}

/* Who read most of this image will want the next one; of a backing file that isn't seen, but it cost as much. Of a large array only
 * the samples: from those it is read without one. */
static void tell_ahead(struct handle *handle)
{
	const struct picture *picture = &handle->target.picture;
	uint64_t decoded_bytes = image_level_cost_bytes(handle->target.image, picture->part_index, picture->level);
	if (!handle->node || pool_is_worker() || is_passing(handle))
		return;
	if (handle->backing && handle->size_bytes <= WHOLE_LARGE_BYTES)
		ahead_note(handle->node, decoded_bytes > handle->size_bytes ? decoded_bytes : handle->size_bytes, handle->below);
	else if (handle->backing || atomic_load(&handle->served_bytes) >= handle->size_bytes / 2)
		ahead_note(handle->node, decoded_bytes, NULL);
}

void handle_close(struct handle *handle)
{
	if (handle && handle->kind == HANDLE_ARRAY) {
		tell_ahead(handle);
		whole_note(handle);
		if (handle->held)
			image_unhold(handle->target.image);
		image_unuse(handle->target.image);
	}
	if (handle)
		handle_free(handle);
}

int handle_open_sink(handle_sink *sink, void *context, struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_SINK, 0, err);
	if (!handle)
		return -ENOMEM;
	pthread_mutex_init(&handle->pattern.lock, NULL);
	handle->sink = sink;
	handle->sink_context = context;
	handle->changing = true;
	*ret_handle = handle;
	return 0;
}

int handle_write(struct handle *handle, const char *text, size_t len_bytes, struct err *err)
{
	pthread_mutex_lock(&handle->pattern.lock);
	int rc = handle->sink(handle->sink_context, text, len_bytes, err);
	pthread_mutex_unlock(&handle->pattern.lock);
	return rc;
}

static void reader_start(struct image_reader *reader, struct handle *handle, size_t len_bytes, uint64_t offset,
			 const struct patience *patience)
{
	const struct picture *picture = &handle->target.picture;
	image_reader_init(reader, handle->target.image, picture->part_index, picture->level);
	reader->pattern = &handle->pattern;
	reader->passing = is_passing(handle) && len_bytes >= PASSING_LEAST_BYTES;
	reader->first_row = handle->area.chunks.cy0; /* what lies beyond was not checked */
	reader->end_row = handle->area.chunks.cy1 + 1;
	image_pattern_note(reader->pattern, offset, len_bytes);
	reader->patience = patience;
}

static void note_served(struct handle *handle, size_t len_bytes, uint64_t offset)
{
	status_add(&status.bytes_served, len_bytes);
	uint64_t seen_bytes = handle->stored_early && offset + len_bytes == handle->size_bytes ? handle->size_bytes : len_bytes;
	atomic_fetch_add_explicit(&handle->served_bytes, seen_bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&handle->nreads, 1, memory_order_relaxed);
}

/* The first read that may need one makes it. NULL: no memory. */
static struct window *window_of(struct handle *handle)
{
	const struct picture *picture = &handle->target.picture;
	const struct window_source source = {handle->target.image, handle->view, picture->part_index, picture->level};
	pthread_mutex_lock(&handle->pattern.lock);
	if (!handle->window)
		handle->window = window_new(&source);
	struct window *window = handle->window;
	pthread_mutex_unlock(&handle->pattern.lock);
	return window;
}

struct made {
	struct handle *handle;
	struct image_reader *reader;
	struct err *err;
};

/* As view_elements wants it: out of the window, where that is of use. */
static int read_elements(void *context, uint64_t offset, size_t len_bytes, unsigned char *dst)
{
	const struct made *made = context;
	struct window *window = window_of(made->handle);
	int rc = window ? window_read(window, offset, len_bytes, dst, made->reader->patience, made->err) : 1;
	return rc <= 0 ? rc : view_read_elements(made->handle->view, offset, len_bytes, dst, &made->reader->source, made->err);
}

static ssize_t read_array(struct handle *handle, void *dst, size_t len_bytes, uint64_t offset, const struct patience *patience,
			  struct err *err)
{
	struct image_reader reader;
	reader_start(&reader, handle, len_bytes, offset, patience);
	struct made made = {handle, &reader, err};
	const struct view_elements elements = {read_elements, &made};
	int rc = window_may_help(handle->target.image, &handle->area)
			 ? view_read_by(handle->view, offset, len_bytes, dst, &elements, err)
			 : view_read(handle->view, offset, len_bytes, dst, &reader.source, err);
	image_reader_end(&reader);
	if (rc)
		return rc;
	note_served(handle, len_bytes, offset);
	return (ssize_t)len_bytes;
}

ssize_t handle_give(struct handle *handle, size_t len_bytes, uint64_t offset, const struct patience *patience,
		    void (*take)(void *context, const void *at, size_t len_bytes), void *context, struct err *err)
{
	struct image_reader reader;
	const struct view_info *info = view_info(handle->view);
	const void *at;
	uint32_t cy;
	if (!info->in_place || offset < info->header_bytes)
		return 0;
	reader_start(&reader, handle, len_bytes, offset, patience);
	ssize_t n = view_find(handle->view, offset, len_bytes, &reader.source, &at, &cy, err);
	if (n > 0)
		take(context, at, (size_t)n);
	image_reader_end(&reader);
	if (n > 0)
		note_served(handle, (size_t)n, offset);
	return n;
}

static ssize_t read_stack(struct handle *handle, char *dst, size_t len_bytes, uint64_t offset, const struct patience *patience,
			  struct err *err)
{
	const struct stack_range *range = &handle->range;
	size_t head = 0;
	if (offset < range->prefix_bytes) {
		head = range->prefix_bytes - (size_t)offset < len_bytes ? range->prefix_bytes - (size_t)offset : len_bytes;
		memcpy(dst, range->prefix + offset, head);
		offset += head;
	}
	int rc = 0;
	if (len_bytes > head)
		rc = stack_read(handle->stack, range->start + offset - range->prefix_bytes, len_bytes - head, dst + head, patience,
				err);
	if (rc)
		return rc;
	status_add(&status.bytes_served, len_bytes);
	return (ssize_t)len_bytes;
}

static ssize_t read_host(int fd, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	ssize_t got;
	do
		got = pread(fd, dst, len_bytes, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_set(err, -errno, "reading it failed: %s", strerror(errno)) : got;
}

ssize_t handle_read(struct handle *handle, void *dst, size_t len_bytes, uint64_t offset, const struct patience *patience,
		    struct err *err)
{
	if (handle->kind == HANDLE_HOST)
		return read_host(handle->fd, dst, len_bytes, offset, err);
	if (offset >= handle->size_bytes)
		return 0;
	if (len_bytes > handle->size_bytes - offset)
		len_bytes = (size_t)(handle->size_bytes - offset);
	if (handle->kind == HANDLE_ARRAY)
		return read_array(handle, dst, len_bytes, offset, patience, err);
	if (handle->kind == HANDLE_STACK)
		return read_stack(handle, dst, len_bytes, offset, patience, err);
	if (handle->kind == HANDLE_BYTES)
		return bytes_read(handle->bytes, dst, len_bytes, offset, err);
	memcpy(dst, (handle->kept ? text_bytes(handle->kept) : handle->text) + offset, len_bytes);
	return (ssize_t)len_bytes;
}

int handle_open_array(struct target *target, struct view *view, struct node *node, const struct handle_pages *pages,
		      struct handle **ret_handle, struct err *err)
{
	struct handle *handle = handle_new(HANDLE_ARRAY, view_info(view)->nbytes, err);
	if (!handle) {
		view_free(view);
		target_close(target);
		return -ENOMEM;
	}
	handle->target = *target;
	handle->view = view;
	if (target->is_file && view_info(view)->header_bytes < view_info(view)->nbytes) {
		handle->node = target_file(node);
		node_ref(handle->node);
	}
	pthread_mutex_init(&handle->pattern.lock, NULL);
	handle->area = image_area_of_view(&target->picture, view);
	struct whole whole;
	whole_begin(&whole, handle, pages);
	int rc = image_use(target->image, &handle->area, pages ? pages->patience : NULL, whole.wanted ? whole_meanwhile : NULL,
			   &whole, err);
	bool in_use = rc == 0;
	rc = whole_end(&whole, rc, err);
	if (rc) {
		if (in_use)
			image_unuse(target->image);
		handle_free(handle);
		return rc;
	}
	handle->held = !handle->backing;
	if (handle->held)
		image_hold(target->image);
	status_add(&status.array_opens, 1);
	*ret_handle = handle;
	return 0;
}
