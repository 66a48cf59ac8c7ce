/* handle.c - see handle.h. */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status.h"

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

int handle_open_array(struct target *target, struct view *view, struct handle **ret_handle, struct err *err)
{
	int rc = image_use(target->image, err);
	struct handle *handle = rc ? NULL : handle_new(HANDLE_ARRAY, view_info(view)->nbytes, err);
	if (!handle) {
		if (rc == 0)
			image_unuse(target->image);
		view_free(view);
		target_close(target);
		return rc ? rc : -ENOMEM;
	}
	handle->target = *target;
	handle->view = view;
	pthread_mutex_init(&handle->pattern.lock, NULL);
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

void handle_close(struct handle *handle)
{
	if (!handle)
		return;
	if (handle->kind == HANDLE_ARRAY) {
		image_unuse(handle->target.image);
		target_close(&handle->target);
		pthread_mutex_destroy(&handle->pattern.lock);
	}
	view_free(handle->view);
	free(handle->text);
	bytes_unref(handle->bytes);
	if (handle->fd >= 0)
		close(handle->fd);
	free(handle);
	status_sub(&status.open_files, 1);
}

static ssize_t read_array(struct handle *handle, void *dst, size_t len_bytes, uint64_t offset, bool (*give_up)(void *context),
			  void *give_up_context, struct err *err)
{
	struct image_reader reader;
	const struct picture *picture = &handle->target.picture;
	image_reader_init(&reader, handle->target.image, picture->part_index, picture->level);
	reader.pattern = &handle->pattern;
	reader.give_up = give_up;
	reader.give_up_context = give_up_context;
	int rc = view_read(handle->view, offset, len_bytes, dst, &reader.source, err);
	image_reader_end(&reader);
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

ssize_t handle_read(struct handle *handle, void *dst, size_t len_bytes, uint64_t offset, bool (*give_up)(void *context),
		    void *give_up_context, struct err *err)
{
	if (handle->kind == HANDLE_HOST)
		return read_host(handle->fd, dst, len_bytes, offset, err);
	if (offset >= handle->size_bytes)
		return 0;
	if (len_bytes > handle->size_bytes - offset)
		len_bytes = (size_t)(handle->size_bytes - offset);
	if (handle->kind == HANDLE_ARRAY)
		return read_array(handle, dst, len_bytes, offset, give_up, give_up_context, err);
	if (handle->kind == HANDLE_BYTES)
		return bytes_read(handle->bytes, dst, len_bytes, offset, err);
	memcpy(dst, handle->text + offset, len_bytes);
	return (ssize_t)len_bytes;
}
