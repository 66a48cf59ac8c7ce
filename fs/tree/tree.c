/* tree.c - look-ups: names that lie in the source come from walk.c, all others from the table in rows.c. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "rows.h"
#include "fs/source/root.h"
#include "fs/source/walk.h"

bool tree_is_folder(struct place place)
{
	if (!place.row)
		return place.node->kind != NODE_FILE && place.node->kind != NODE_LINK && place.node->kind != NODE_ARRAY &&
		       place.node->kind != NODE_STACK && place.node->kind != NODE_CHUNK;
	const struct row *row = row_find(place.row);
	return row && row->type == ROW_FOLDER;
}

bool tree_is_array(struct place place)
{
	const struct row *row = place.row ? row_find(place.row) : NULL;
	return row ? row->type == ROW_ARRAY : !place.row && node_is_view(place.node);
}

/* Not so what lies directly in a root that shows one file: the next version of it is found by the same look-up. */
bool tree_is_constant(struct place place)
{
	if (tree_stack_node(place.node) || place.row == ROW_STACK)
		return false;
	const struct node *folder = place.row ? place.node : place.node->parent;
	if (folder && folder->parent && folder->parent->shows_file)
		return false;
	if (place.row)
		return place.row < ROW_STATUS || place.row >= ROW_BLOB_FIRST;
	return place.node->in_archive || place.node->kind == NODE_PICTURE || node_is_view(place.node);
}

/* ---- look-ups ---- */

static unsigned find_blob(const struct folder *folder, const char *name)
{
	const struct codec_header *header = folder->target.picture.header;
	for (size_t i = 0; i < header->nblobs && i <= ROW_BLOB_LAST - ROW_BLOB_FIRST; i++)
		if (strcmp(header->blobs[i].name, name) == 0)
			return ROW_BLOB_FIRST + (unsigned)i;
	return 0;
}

/* The row of that name below `parent`, 0 where there is none. */
static unsigned find_row(const struct folder *folder, unsigned parent, const char *name)
{
	char buffer[300];
	for (size_t i = 0; i < row_count; i++) {
		const struct row *row = &row_table[i];
		if (row->parent == parent && row->resolves(folder) && strcmp(row_name(row, row->row, folder, buffer), name) == 0)
			return row->row;
	}
	return parent == ROW_ATTRIBUTES && !folder->broken ? find_blob(folder, name) : 0;
}

static bool row_is_known(unsigned parent, const char *name)
{
	for (size_t i = 0; i < row_count; i++)
		if (row_table[i].parent == parent && row_table[i].name && strcmp(row_table[i].name, name) == 0)
			return row_table[i].row != ROW_ERROR && row_table[i].row != ROW_STATUS;
	return false;
}

/* What lies by name below channels/, layers/, mips/ and views/. */
static int find_named(const struct folder *folder, unsigned row, const char *name, struct node_spec *ret_spec, struct err *err)
{
	const struct target *target = &folder->target;
	const struct pictures *pictures = image_pictures(target->image);
	int64_t index = -1;
	struct view *view;
	if (row == ROW_VIEWS) {
		int rc = view_compile(&target->picture, name, &view, err);
		if (rc) {
			row_report_view(folder->node, row, name, err);
			return rc;
		}
		*ret_spec = (struct node_spec){.kind = view_info(view)->container == VIEW_ZARR ? NODE_ZARR : NODE_ARRAY};
		view_free(view);
		return 0;
	}
	if (row == ROW_CHANNELS)
		index = target_channel_find(target, name, err);
	else if (row == ROW_MIPS)
		index = picture_level_find(target->picture.part, name);
	for (uint32_t i = 0; row == ROW_LAYERS && index < 0 && i < pictures->nlayers; i++)
		if (strcmp(pictures->layers[i].name, name) == 0)
			index = i;
	if (index < 0)
		return row == ROW_CHANNELS ? (int)index : -ENOENT;
	*ret_spec = (struct node_spec){.kind = row == ROW_CHANNELS ? NODE_ARRAY : NODE_PICTURE, .index = (uint32_t)index};
	return 0;
}

static int find_chunk(struct node *node, const char *name, struct node_spec *ret_spec, struct err *err)
{
	struct zarr zarr;
	uint64_t index;
	int rc = tree_zarr(node, &zarr, err);
	if (rc)
		return rc;
	if (!zarr_chunk_find(&zarr, name, &index) || index > UINT32_MAX)
		return -ENOENT;
	*ret_spec = (struct node_spec){.kind = NODE_CHUNK, .index = (uint32_t)index};
	return 0;
}

/* What lies by name in that place of an image, a Zarr array or .pixfs/stack/: -ENOENT where nothing can. */
static int find_child(const struct folder *folder, struct place parent, const char *name, const struct patience *patience,
		      struct node_spec *ret_spec, struct err *err)
{
	if (parent.node->kind == NODE_ZARR)
		return find_chunk(parent.node, name, ret_spec, err);
	if (folder->broken || !parent.row || parent.row >= ROW_FOLDERS_END)
		return -ENOENT;
	if (parent.row == ROW_STACK)
		return tree_stack_lookup(parent.node, name, patience, ret_spec, err);
	return find_named(folder, parent.row, name, ret_spec, err);
}

static int lookup_made(struct place parent, const char *name, const struct patience *patience, struct place *ret_place,
		       struct err *err)
{
	struct folder folder;
	bool is_status = parent.row ? parent.row == ROW_STATUS && strcmp(name, "stack") != 0
				    : strcmp(name, ".pixfs") == 0 && walk_is_top(parent.node);
	(is_status ? folder_open_status : folder_open)(parent.node, &folder);
	unsigned row = find_row(&folder, parent.row, name);
	struct node_spec spec;
	int rc = 0;
	if (row) {
		node_ref(parent.node);
		*ret_place = (struct place){parent.node, row};
	} else {
		rc = find_child(&folder, parent, name, patience, &spec, err);
		struct node *node = rc ? NULL : node_child(parent, name, &spec);
		if (rc == 0 && !node)
			rc = err_set(err, -ENOMEM, "no memory");
		*ret_place = (struct place){node, ROW_SELF};
	}
	/* there would be such a file if the header could be read: say why not */
	if (rc == -ENOENT && folder.broken && folder.is_image && row_is_known(parent.row, name))
		rc = err_copy(err, &folder.err);
	folder_close(&folder);
	return rc;
}

/* ret_stat: st_nlink 0, or what the host said on the way. at (may be NULL): of the parent. */
static int lookup(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
		  struct place *ret_place, struct stat *ret_stat, struct err *err)
{
	*ret_stat = (struct stat){0};
	if (!tree_is_container(parent.node) || parent.row || strcmp(name, ".pixfs") == 0)
		return lookup_made(parent, name, patience, ret_place, err);
	struct node *node;
	struct walk_at own;
	int rc = at ? 0 : walk_at_open(parent.node, &own, err);
	if (rc)
		return rc;
	rc = walk_lookup_at(at ? at : &own, name, &node, ret_stat, err);
	if (!at)
		walk_at_close(&own);
	if (rc == 0)
		*ret_place = (struct place){node, ROW_SELF};
	else if (rc != -ENOENT && parent.node->kind == NODE_ARCHIVE && lookup_made(parent, name, patience, ret_place, err) == 0)
		return 0;
	return rc; /* of an archive that can't be read nobody knows that there is no such name */
}

static int lookup_below(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
			struct place *ret_place, struct stat *ret_stat, struct err *err)
{
	if (!tree_is_folder(parent))
		return -ENOTDIR;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') || !*name)
		return -ENOENT; /* never a way out of the source */
	if (!parent.node->shows_file)
		return lookup(parent, at, name, patience, ret_place, ret_stat, err);
	int rc = strcmp(name, ".pixfs") == 0 ? walk_enter_known(&parent, err) : walk_enter(&parent, err);
	if (rc)
		return rc;
	rc = lookup(parent, at, name, patience, ret_place, ret_stat, err);
	node_unref(parent.node, 1);
	return rc;
}

int tree_lookup(struct place parent, const char *name, const struct patience *patience, struct place *ret_place, struct err *err)
{
	struct stat ignored;
	return lookup_below(parent, NULL, name, patience, ret_place, &ignored, err);
}

int tree_find(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
	      struct place *ret_place, struct stat *ret_stat, struct err *err)
{
	int rc = lookup_below(parent, at, name, patience, ret_place, ret_stat, err);
	if (rc)
		return rc;
	rc = tree_stat_found(*ret_place, ret_stat, err);
	if (rc)
		node_unref(ret_place->node, 1);
	return rc;
}

int tree_resolve(const char *path, struct place *ret_place, struct err *err)
{
	char *copy = strdup(path), *rest = copy;
	struct place place = {walk_root, ROW_SELF};
	int rc = copy ? 0 : err_set(err, -ENOMEM, "no memory");
	node_ref(place.node);
	for (char *name; rc == 0 && (name = strsep(&rest, "/"));) {
		struct place child;
		if (!*name || strcmp(name, ".") == 0)
			continue;
		rc = tree_lookup(place, name, NULL, &child, err);
		node_unref(place.node, 1);
		place = rc ? (struct place){NULL, ROW_SELF} : child;
	}
	free(copy);
	if (rc == 0)
		*ret_place = place;
	else if (place.node)
		node_unref(place.node, 1);
	return rc;
}
