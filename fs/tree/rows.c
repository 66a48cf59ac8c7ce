/* rows.c - THE table of what an image's directory holds: name, kind, when it is listed, how its bytes are made.
 * A new file of the tree is a new row. Sizes of arrays come from their view, of texts from making them. */
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/status.h"
#include "fs/source/walk.h"

void folder_open_status(struct node *node, struct folder *ret_folder)
{
	*ret_folder = (struct folder){.node = node};
}

void folder_open(struct node *node, struct folder *ret_folder)
{
	*ret_folder = (struct folder){.node = node};
	struct archive *archive;
	if (node->kind == NODE_IMAGE || node->kind == NODE_PICTURE) {
		ret_folder->is_image = true;
		ret_folder->broken = target_open(node, &ret_folder->target, &ret_folder->err) != 0;
	} else if (node->kind == NODE_ARCHIVE) {
		ret_folder->broken = walk_archive(node, &archive, &ret_folder->err) != 0;
	}
}

void folder_close(struct folder *folder)
{
	if (folder->is_image && !folder->broken)
		target_close(&folder->target);
}

/* ---- when a row applies ---- */

static bool is_good_image(const struct folder *folder)
{
	return folder->is_image && !folder->broken;
}

static bool is_image(const struct folder *folder)
{
	return folder->is_image;
}

static bool is_broken(const struct folder *folder)
{
	return folder->broken;
}

static bool has_source(const struct folder *folder)
{
	return folder->node->kind == NODE_IMAGE || (folder->node->kind == NODE_ARCHIVE && folder->broken);
}

static bool lists_channels(const struct folder *folder)
{
	return is_good_image(folder) && target_has_more_channels(&folder->target);
}

static bool has_layers(const struct folder *folder)
{
	return is_good_image(folder) && folder->target.is_file && image_pictures(folder->target.image)->nlayers > 0;
}

static bool has_mips(const struct folder *folder)
{
	return is_good_image(folder) && folder->target.picture.part->nlevels > 1 && folder->node->row != ROW_MIPS;
}

static bool has_attributes(const struct folder *folder)
{
	return is_good_image(folder) && folder->target.is_file && folder->target.picture.header->nblobs > 0;
}

static bool has_palette(const struct folder *folder)
{
	return is_good_image(folder) && folder->target.is_file && folder->target.picture.part->npalette > 0;
}

static bool may_have_attributes(const struct folder *folder)
{
	return has_attributes(folder) || has_palette(folder);
}

static bool is_root(const struct folder *folder)
{
	return walk_is_top(folder->node);
}

static bool has_stacks(const struct folder *folder)
{
	return tree_is_container(folder->node) && !folder->broken;
}

static bool has_pixfs(const struct folder *folder)
{
	return has_stacks(folder) || is_root(folder);
}

static bool is_zarr(const struct folder *folder)
{
	return folder->node->kind == NODE_ZARR;
}

static bool never(const struct folder *folder)
{
	(void)folder;
	return false;
}

static int text_stats(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_stats_json(ret_text, ret_len_bytes);
}

static int text_metrics(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_metrics(ret_text, ret_len_bytes);
}

static int text_errors(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_errors_jsonl(ret_text, ret_len_bytes);
}

static int text_formats(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_formats_json(ret_text, ret_len_bytes);
}

static int text_config(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_config_json(ret_text, ret_len_bytes);
}

static int text_readme(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	(void)folder;
	return status_readme(ret_text, ret_len_bytes);
}

/* ---- the table ---- */

const struct row row_table[] = {
	{ROW_PIXELS_F32, ROW_SELF, ROW_ARRAY, "pixels.f32", is_good_image, is_good_image, NULL},
	{ROW_PIXELS_NPY, ROW_SELF, ROW_ARRAY, "pixels.npy", is_good_image, is_good_image, NULL},
	{ROW_META, ROW_SELF, ROW_TEXT, "meta.json", is_image, is_image, text_meta},
	{ROW_SOURCE, ROW_SELF, ROW_BYTES, NULL, has_source, has_source, NULL},
	{ROW_ERROR, ROW_SELF, ROW_TEXT, "error.txt", is_broken, is_broken, text_error},
	{ROW_CHANNELS, ROW_SELF, ROW_FOLDER, "channels", lists_channels, is_good_image, NULL},
	{ROW_LAYERS, ROW_SELF, ROW_FOLDER, "layers", has_layers, has_layers, NULL},
	{ROW_MIPS, ROW_SELF, ROW_FOLDER, "mips", has_mips, has_mips, NULL},
	{ROW_ATTRIBUTES, ROW_SELF, ROW_FOLDER, "attributes", has_attributes, may_have_attributes, NULL},
	{ROW_PALETTE, ROW_ATTRIBUTES, ROW_TEXT, "palette.npy", never, has_palette, text_palette},
	{ROW_VIEWS, ROW_SELF, ROW_FOLDER, "views", is_good_image, is_good_image, NULL},
	{ROW_VIEWS_README, ROW_VIEWS, ROW_TEXT, "README.txt", is_good_image, is_good_image, text_views_readme},
	{ROW_ZARR_JSON, ROW_SELF, ROW_ARRAY, "zarr.json", is_zarr, is_zarr, NULL},
	{ROW_STATUS, ROW_SELF, ROW_FOLDER, ".pixfs", never, has_pixfs, NULL},
	{ROW_STACK, ROW_STATUS, ROW_FOLDER, "stack", has_stacks, has_stacks, NULL},
	{ROW_STACK_README, ROW_STACK, ROW_TEXT, "README.txt", has_stacks, has_stacks, text_stack_readme},
	{ROW_STATUS_FIRST, ROW_STATUS, ROW_TEXT, "stats.json", is_root, is_root, text_stats},
	{ROW_STATUS_FIRST + 1, ROW_STATUS, ROW_TEXT, "metrics", is_root, is_root, text_metrics},
	{ROW_ERRORS, ROW_STATUS, ROW_TEXT, "errors.jsonl", is_root, is_root, text_errors},
	{ROW_STATUS_FIRST + 3, ROW_STATUS, ROW_TEXT, "formats.json", is_root, is_root, text_formats},
	{ROW_CONFIG, ROW_STATUS, ROW_TEXT, "config.json", is_root, is_root, text_config},
	{ROW_PREFETCH, ROW_STATUS, ROW_SINK, "prefetch", is_root, is_root, NULL},
	{ROW_STATUS_LAST, ROW_STATUS, ROW_TEXT, "README.txt", is_root, is_root, text_readme},
};
const size_t row_count = sizeof row_table / sizeof *row_table;

static const struct row row_blob = {ROW_BLOB_FIRST, ROW_ATTRIBUTES, ROW_BYTES, NULL, has_attributes, has_attributes, NULL};

const struct row *row_find(unsigned row)
{
	if (row >= ROW_BLOB_FIRST)
		return &row_blob;
	for (size_t i = 0; i < row_count; i++)
		if (row_table[i].row == row)
			return &row_table[i];
	return NULL;
}

const char *row_name(const struct row *row, unsigned number, const struct folder *folder, char buffer[300])
{
	if (row->name)
		return row->name;
	if (row == &row_blob)
		return folder->target.picture.header->blobs[number - ROW_BLOB_FIRST].name;
	const char *dot = strrchr(folder->node->name, '.');
	snprintf(buffer, 300, "source%s", dot && dot != folder->node->name ? dot : "");
	return buffer;
}

int row_open_view(struct place place, struct target *ret_target, struct view **ret_view, struct err *err)
{
	int rc = target_open(place.node, ret_target, err);
	if (rc)
		return rc;
	if (place.row && place.row != ROW_ZARR_JSON)
		rc = view_compile(&ret_target->picture, row_find(place.row)->name, ret_view, err);
	else
		rc = target_view(ret_target, place.node, ret_view, err);
	if (rc)
		target_close(ret_target);
	return rc;
}

void row_report_view(const struct node *node, unsigned row, const char *name, const struct err *err)
{
	char path[4096 + 300];
	if (err->code != -EINVAL && err->code != -EFBIG)
		return;
	node_path(node, path, 4096);
	size_t len = strlen(path);
	snprintf(path + len, sizeof path - len, "%s%s/%s", len ? "/" : "", row == ROW_STACK ? ".pixfs/stack" : row_find(row)->name,
		 name);
	status_report_once(path, err->code, "view", err->text);
}
