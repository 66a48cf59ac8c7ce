/* tree_xattr.c - extended attributes: user.mime_type, user.pixfs.shape, user.pixfs.dtype, user.pixfs.error, and of an archive
 * user.pixfs.encoding. */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/view/npy.h"
#include "rows.h"
#include "fs/source/walk.h"

struct values {
	char mime_type[64], shape[96], dtype[16], encoding[64], error[260];
};

static const char *const container_mime[] = {
	[VIEW_RAW] = "application/octet-stream",
	[VIEW_NPY] = "application/x-npy",
	[VIEW_TIF] = "image/tiff",
	[VIEW_PNG] = "image/png",
	[VIEW_JSON] = "application/json",
	[VIEW_ZARR] = "application/json",
};

static void describe_array(const uint64_t *shape, uint32_t ndim, enum sample_type dtype, struct values *values)
{
	size_t len = 0;
	if (!ndim) /* it tells why there is none */
		return;
	for (uint32_t i = 0; i < ndim && len < sizeof values->shape; i++)
		len += (size_t)snprintf(values->shape + len, sizeof values->shape - len, "%s%" PRIu64, i ? "," : "", shape[i]);
	snprintf(values->dtype, sizeof values->dtype, "%s", npy_descr(dtype));
}

static void describe_view(const struct view *view, struct values *values)
{
	const struct view_info *info = view_info(view);
	describe_array(info->shape, info->ndim, info->dtype, values);
	snprintf(values->mime_type, sizeof values->mime_type, "%s", container_mime[info->container]);
}

static void describe_stack(struct place place, struct values *values)
{
	struct zarr zarr;
	struct err err = ERR_NONE;
	if (tree_stack_array(place.node, &zarr, &err)) {
		snprintf(values->error, sizeof values->error, "%s", err.text);
		return;
	}
	describe_array(place.node->kind == NODE_CHUNK ? zarr.chunk : zarr.shape, zarr.ndim, zarr.dtype, values);
}

/* The image itself, and what its arrays show. */
static void describe_image(struct place place, const struct folder *folder, struct values *values)
{
	const struct target *target = &folder->target;
	struct err err = ERR_NONE;
	struct view *view;
	int rc;
	if (image_error(target->image, &err))
		snprintf(values->error, sizeof values->error, "%s", err.text);
	else if (target->picture.part->unsupported)
		snprintf(values->error, sizeof values->error, "%s", target->picture.part->unsupported);
	if (node_is_view(place.node))
		rc = target_view(target, place.node, &view, &err);
	else
		rc = view_compile(&target->picture, place.row == ROW_PIXELS_NPY ? "pixels.npy" : "pixels.f32", &view, &err);
	if (rc == 0) {
		describe_view(view, values);
		view_free(view);
	}
	if (place.node->kind == NODE_ZARR && !place.row)
		values->mime_type[0] = 0; /* a directory of files */
	else if (tree_is_folder(place) || place.row == ROW_SOURCE)
		snprintf(values->mime_type, sizeof values->mime_type, "%s", image_codec(target->image)->mime_type);
}

static void describe_archive(struct node *node, struct values *values)
{
	struct archive *archive;
	if (walk_archive(node, &archive, &(struct err){0}) == 0)
		snprintf(values->encoding, sizeof values->encoding, "%s", archive_encoding(archive));
}

/* False where the place has no attributes of ours. */
static bool describe(struct place place, struct values *values)
{
	memset(values, 0, sizeof *values);
	bool described = !place.row || node_is_view(place.node) || place.row == ROW_PIXELS_F32 || place.row == ROW_PIXELS_NPY ||
			 place.row == ROW_SOURCE || place.row == ROW_META || place.row == ROW_ERROR || place.row == ROW_PALETTE;
	if (!described || place.node->kind == NODE_DIR || place.node->kind == NODE_FILE || place.node->kind == NODE_LINK)
		return false;
	struct folder folder;
	if (tree_stack_node(place.node)) {
		describe_stack(place, values);
		return true;
	}
	struct node *node = place.node;
	while (node_is_view(node))
		node = node->parent;
	folder_open(node, &folder);
	if (folder.broken)
		snprintf(values->error, sizeof values->error, "%s", folder.err.text);
	else if (folder.is_image)
		describe_image(place, &folder, values);
	else if (node->kind == NODE_ARCHIVE && !place.row)
		describe_archive(node, values);
	uint32_t npalette = folder.is_image && !folder.broken ? folder.target.picture.part->npalette : 0;
	folder_close(&folder);
	if (place.row == ROW_META || place.row == ROW_ERROR) {
		snprintf(values->mime_type, sizeof values->mime_type, "%s",
			 place.row == ROW_META ? "application/json" : "text/plain");
		values->shape[0] = values->dtype[0] = 0;
	} else if (place.row == ROW_PALETTE && npalette) {
		const uint64_t shape[2] = {npalette, 4};
		describe_array(shape, 2, SAMPLE_U8, values);
		snprintf(values->mime_type, sizeof values->mime_type, "%s", container_mime[VIEW_NPY]);
	} else if (place.row == ROW_SOURCE) {
		values->shape[0] = values->dtype[0] = 0;
	}
	return true;
}

static ssize_t put(const char *value, size_t len, char *ret_value, size_t size_bytes)
{
	if (size_bytes == 0)
		return (ssize_t)len;
	if (len > size_bytes)
		return -ERANGE;
	memcpy(ret_value, value, len);
	return (ssize_t)len;
}

ssize_t tree_xattr(struct place place, const char *name, char *ret_value, size_t size_bytes)
{
	struct values values;
	if (name && strncmp(name, "user.", 5) != 0)
		return -EOPNOTSUPP;
	if (!name && place.node->kind == NODE_IMAGE && !place.row)
		return 0;
	struct err err = ERR_NONE;
	if (walk_enter(&place, &err))
		return name ? -ENODATA : 0;
	bool described = describe(place, &values);
	node_unref(place.node, 1);
	if (!described)
		return name ? -ENODATA : 0;
	const struct {
		const char *name, *value;
	} all[] = {
		{"user.mime_type", values.mime_type},     {"user.pixfs.shape", values.shape}, {"user.pixfs.dtype", values.dtype},
		{"user.pixfs.encoding", values.encoding}, {"user.pixfs.error", values.error},
	};
	char names[128];
	size_t len = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (!*all[i].value)
			continue;
		if (name && strcmp(name, all[i].name) == 0)
			return put(all[i].value, strlen(all[i].value), ret_value, size_bytes);
		memcpy(names + len, all[i].name, strlen(all[i].name) + 1);
		len += strlen(all[i].name) + 1;
	}
	return name ? -ENODATA : put(names, len, ret_value, size_bytes);
}
