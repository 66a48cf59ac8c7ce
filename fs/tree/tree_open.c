/* tree_open.c - opening a place of the tree: a text is made, a view compiled, a source's bytes checked. */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/open/ahead.h"
#include "fs/base/config.h"
#include "fs/open/prefetch.h"
#include "rows.h"
#include "fs/base/status.h"
#include "fs/source/walk.h"

enum { MAX_CHECKED_AT_OPEN = 64 << 20 };

/* The bytes of a source, or of a plain file in an archive, whose CRC-32 is looked at once (larger ones: verify=full). */
static int open_bytes(struct node *node, struct handle **ret_handle, struct err *err)
{
	struct walk_spec *spec = malloc(sizeof *spec);
	if (!spec)
		return err_set(err, -ENOMEM, "no memory");
	struct bytes *bytes = NULL;
	int rc = walk_image_spec(node, spec, err);
	bool wanted = config.verify == VERIFY_FULL;
	if (rc == 0)
		rc = image_spec_bytes(&spec->image, &bytes, err);
	if (rc == 0 && config.verify == VERIFY_OPEN)
		wanted = bytes->size_bytes <= MAX_CHECKED_AT_OPEN;
	if (rc == 0 && wanted && spec->image.archive && !atomic_load(&node->checked)) {
		rc = archive_bytes_check(spec->image.archive, spec->image.entry, bytes, err);
		atomic_store(&node->checked, rc == 0);
	}
	if (rc && rc != -ENOMEM && rc != -EINTR)
		status_report(spec->path, rc, "check", err->text);
	free(spec);
	if (rc) {
		bytes_unref(bytes);
		return rc;
	}
	return handle_open_bytes(bytes, ret_handle, err);
}

/* Of an array. */
static void array_path(struct place place, char ret_path[4096])
{
	node_path(place.node, ret_path, 4096);
	size_t len = strlen(ret_path);
	if (place.row && len + 2 < 4096)
		snprintf(ret_path + len, 4096 - len, "/%s", row_find(place.row)->name);
}

/* The path of an array below the directory of its file's image; NULL where it has none. To be freed. */
static char *path_below(struct place place)
{
	char image[4096], path[4096];
	node_path(target_file(place.node), image, sizeof image);
	array_path(place, path);
	size_t skipped = strlen(image);
	return strncmp(path, image, skipped) == 0 && path[skipped] == '/' ? strdup(path + skipped + 1) : NULL;
}

static int open_view(struct place place, const struct handle_pages *pages, struct handle **ret_handle, struct err *err)
{
	struct target target;
	struct view *view;
	int rc = row_open_view(place, &target, &view, err);
	if (rc)
		return rc;
	const char *unsupported = target.picture.part->unsupported;
	if (unsupported) {
		char path[4096];
		node_path(place.node, path, sizeof path);
		status_report(path, -EOPNOTSUPP, "open", unsupported);
		view_free(view);
		target_close(&target);
		return err_set(err, -EOPNOTSUPP, "%s", unsupported);
	}
	rc = handle_open_array(&target, view, place.node, pages, ret_handle, err);
	if (rc == 0 && (*ret_handle)->backing && (*ret_handle)->node)
		(*ret_handle)->below = path_below(place);
	if (rc == 0 && (*ret_handle)->again && !(*ret_handle)->backing) {
		char path[4096];
		array_path(place, path);
		ahead_again(path);
	}
	return rc;
}

static int open_text(struct place place, const struct row *row, struct handle **ret_handle, struct err *err)
{
	struct folder folder;
	char *text = NULL;
	size_t len = 0;
	int rc = 0;
	(row_is_status(place.row) ? folder_open_status : folder_open)(place.node, &folder);
	if (place.row == ROW_META && !folder.broken) {
		struct text *kept = text_meta_kept(&folder);
		folder_close(&folder);
		return kept ? handle_open_kept(kept, !tree_is_constant(place), ret_handle, err)
			    : err_set(err, -ENOMEM, "no memory");
	}
	if (row->make) {
		rc = row->make(&folder, &text, &len);
	} else if (!folder.broken) {
		const struct codec_blob *blob = &folder.target.picture.header->blobs[place.row - ROW_BLOB_FIRST];
		len = blob->len_bytes;
		text = malloc(len + 1);
		rc = text ? 0 : -ENOMEM;
		if (text && len)
			memcpy(text, blob->data, len);
	} else {
		rc = err_copy(err, &folder.err);
	}
	folder_close(&folder);
	if (rc)
		return err_set(err, rc, "no memory");
	return handle_open_text(text, len, !tree_is_constant(place), ret_handle, err);
}

static int open_host(struct node *node, struct handle **ret_handle, struct err *err)
{
	struct stat st;
	int fd = walk_open_node(node, O_RDONLY | O_NONBLOCK | O_NOCTTY, &st, err);
	if (fd < 0)
		return fd;
	struct file_id now = file_id_of(&st);
	bool settled = file_settles_in_ns(&now) == 0;
	if (!settled)
		now.ctime_ns = -1;                                /* what is read now may be half written: the next open drops it */
	bool unchanged = node_exchange_id(node, &now) && settled; /* since the last open: the pages that the kernel has are right */
	return handle_open_host(fd, config.immutable || unchanged, ret_handle, err);
}

static int sink_prefetch(void *context, const char *text, size_t len_bytes, struct err *err)
{
	struct prefetch_writer *writer = context;
	if (text)
		return prefetch_write(writer, text, len_bytes, err);
	prefetch_close(writer);
	free(writer);
	return 0;
}

int tree_open_sink(struct place place, struct handle **ret_handle, struct err *err)
{
	if (place.row != ROW_PREFETCH)
		return -EROFS;
	struct prefetch_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return err_set(err, -ENOMEM, "no memory");
	int rc = handle_open_sink(sink_prefetch, writer, ret_handle, err);
	if (rc)
		free(writer);
	return rc;
}

int tree_truncate(struct place place)
{
	if (place.row != ROW_PREFETCH)
		return -EROFS;
	prefetch_clear();
	return 0;
}

int tree_open(struct place place, struct caller *caller, const struct patience *patience, const struct handle_pages *pages,
	      struct handle **ret_handle, struct err *err)
{
	struct node *node = place.node;
	if (tree_is_folder(place))
		return -EISDIR;
	int rc = row_is_status(place.row) ? 0 : walk_check_fresh(node, err);
	if (rc)
		return rc;
	if (tree_stack_node(node))
		return tree_stack_open(place, caller, patience, ret_handle, err);
	if (place.row == ROW_PREFETCH)
		return err_set(err, -EACCES, "it can only be written");
	const struct row *row = place.row ? row_find(place.row) : NULL;
	if (row && row->type == ROW_TEXT)
		return open_text(place, row, ret_handle, err);
	if (place.row >= ROW_BLOB_FIRST)
		return open_text(place, row, ret_handle, err);
	if (place.row == ROW_SOURCE || (!row && node->in_archive))
		return open_bytes(node, ret_handle, err);
	if (row || node_is_view(node))
		return open_view(place, pages, ret_handle, err);
	return open_host(node, ret_handle, err);
}

void tree_make_whole(const char *path, bool now)
{
	struct place place;
	struct handle *handle;
	struct err ignored = ERR_NONE;
	if (tree_resolve(path, &place, &ignored) != 0)
		return;
	const struct handle_pages pages = {.backing_key = node_ino(place), .now = now};
	if (tree_open(place, NULL, NULL, &pages, &handle, &ignored) == 0)
		handle_close(handle);
	node_unref(place.node, 1);
}
