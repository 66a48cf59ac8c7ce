/* tree.c - look-ups and attributes: names that lie in the source come from walk.c, all others from the table in rows.c. */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "rows.h"
#include "fs/source/root.h"
#include "fs/source/walk.h"

enum { BLOCK_BYTES = 128 << 10, LISTING_BYTES = 256 << 10, LISTED_BYTES = 192 };

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

/* ---- attributes ---- */

/* The mode bits a virtual file gets: where others may enter the mount, nobody reads more than the source lets them. */
static mode_t virtual_mode(const struct node *host, mode_t mode)
{
	mode_t readable = host->mode & 0444;
	return config.shared ? mode & (readable | readable >> 2) : mode;
}

static int size_of_view(struct place place, uint64_t *ret_size, struct err *err)
{
	struct target target;
	struct view *view;
	if (tree_stack_node(place.node))
		return tree_stack_size(place, ret_size, err);
	int rc = row_open_view(place, &target, &view, err);
	if (rc)
		return rc;
	*ret_size = view_info(view)->nbytes;
	view_free(view);
	target_close(&target);
	return 0;
}

static int source_size(struct node *node, uint64_t *ret_size, struct err *err)
{
	struct archive *archive;
	struct archive_entry entry;
	*ret_size = node->id.size_bytes;
	if (!node->in_archive)
		return 0;
	int rc = walk_archive(node_archive(node), &archive, err);
	if (rc)
		return rc;
	archive_get(archive, node->index, &entry);
	*ret_size = entry.size_bytes;
	return 0;
}

static int size_of_row(struct place place, const struct row *row, uint64_t *ret_size, struct err *err)
{
	if (row->type == ROW_ARRAY)
		return size_of_view(place, ret_size, err);
	if (place.row == ROW_SOURCE)
		return source_size(place.node, ret_size, err);
	struct folder folder;
	char *text;
	int rc = 0;
	(row_is_status(place.row) ? folder_open_status : folder_open)(place.node, &folder);
	if (place.row >= ROW_BLOB_FIRST && !folder.broken) {
		*ret_size = folder.target.picture.header->blobs[place.row - ROW_BLOB_FIRST].len_bytes;
	} else if (place.row == ROW_META && !folder.broken) {
		struct text *kept = text_meta_kept(&folder);
		rc = kept ? 0 : -ENOMEM;
		*ret_size = kept ? text_len_bytes(kept) : 0;
		text_unref(kept);
	} else if (row->make) {
		size_t len;
		rc = row->make(&folder, &text, &len);
		if (rc == 0) {
			*ret_size = len;
			free(text);
		}
	}
	folder_close(&folder);
	return rc ? err_set(err, rc, "no memory") : 0;
}

static int64_t entry_mtime_ns(struct node *node, const struct node *host)
{
	struct archive *archive;
	struct archive_entry entry;
	struct err err = ERR_NONE;
	while (node->kind == NODE_PICTURE || node_is_view(node))
		node = node->parent;
	if (!node->in_archive || walk_archive(node_archive(node), &archive, &err))
		return host->id.mtime_ns;
	archive_get(archive, node->index, &entry);
	return entry.mtime_s ? entry.mtime_s * 1000000000 : host->id.mtime_ns;
}

static void show_host(struct place place, struct stat *st)
{
	st->st_ino = node_ino(place);
	st->st_nlink = 1;
}

/* Directories, plain files and links of the host are shown as they are now. */
static bool is_host(struct place place)
{
	const struct node *node = place.node;
	return !place.row && !node->in_archive && (node->kind == NODE_DIR || node->kind == NODE_FILE || node->kind == NODE_LINK);
}

/* How much is best read at once. Programs (glibc's opendir) read a directory in pieces of this size, the kernel hands the size
 * on (since 6.16) and asks for attributes along with the first piece alone: what it doesn't hold is looked up one by one. No more
 * than a reply may hold (max_write in ops.c): about 1,400 names. */
static uint32_t block_bytes(struct place place)
{
	struct archive *archive;
	struct err err = ERR_NONE;
	const struct node *node = place.node;
	if (!place.row && node->kind == NODE_ARCHIVE)
		return LISTING_BYTES; /* it may not be open yet, and isn't opened for this */
	if (place.row || node->kind != NODE_DIR || !node->in_archive || walk_archive(node_archive(node), &archive, &err))
		return BLOCK_BYTES;
	uint64_t wanted = archive_child_count(archive, node->index) * LISTED_BYTES;
	uint32_t bytes = BLOCK_BYTES;
	while (bytes < wanted && bytes < LISTING_BYTES)
		bytes *= 2;
	return bytes;
}

static int stat_place(struct place place, struct stat *ret_stat, struct err *err)
{
	struct node *node = place.node;
	uint64_t size = 0;
	int rc = 0;
	if (is_host(place)) {
		rc = walk_stat(node, ret_stat, err);
		show_host(place, ret_stat);
		return rc;
	}
	if (place.row && !tree_is_folder(place))
		rc = size_of_row(place, row_find(place.row), &size, err);
	else if (!place.row && node_is_view(node) && node->kind != NODE_ZARR)
		rc = size_of_view(place, &size, err);
	else if (!place.row && (node->kind == NODE_FILE || node->kind == NODE_LINK))
		rc = source_size(node, &size, err);
	if (rc)
		return rc;
	const struct node *host = node_on_host(node);
	int64_t mtime_ns = entry_mtime_ns(node, host);
	mode_t type = tree_is_folder(place)                   ? S_IFDIR | 0555
		      : !place.row && node->kind == NODE_LINK ? S_IFLNK | 0777
							      : S_IFREG | 0444;
	mode_t permissions = virtual_mode(host, type & 0777);
	if (place.row == ROW_PREFETCH)
		permissions = config.shared ? 0200 : 0222;
	*ret_stat = (struct stat){
		.st_ino = node_ino(place),
		.st_mode = (type & S_IFMT) | permissions,
		.st_nlink = 1,
		.st_uid = host->uid,
		.st_gid = host->gid,
		.st_size = (off_t)size,
		.st_blksize = (blksize_t)block_bytes(place),
		.st_blocks = (blkcnt_t)((size + 511) / 512),
	};
	ret_stat->st_mtim = (struct timespec){mtime_ns / 1000000000, mtime_ns % 1000000000};
	if (mtime_ns < 0 && ret_stat->st_mtim.tv_nsec < 0) {
		ret_stat->st_mtim.tv_nsec += 1000000000;
		ret_stat->st_mtim.tv_sec--;
	}
	ret_stat->st_atim = ret_stat->st_ctim = ret_stat->st_mtim;
	return 0;
}

int tree_stat(struct place place, struct stat *ret_stat, struct err *err)
{
	if (!place.node->shows_file)
		return stat_place(place, ret_stat, err);
	uint64_t ino = node_ino(place);
	int rc = root_answers() ? walk_enter(&place, err) : -EIO;
	if (rc)
		rc = walk_enter_known(&place, err); /* who wants to see .pixfs has to pass the root */
	if (rc)
		return rc;
	rc = stat_place(place, ret_stat, err);
	node_unref(place.node, 1);
	if (rc == 0)
		ret_stat->st_ino = ino;
	return rc;
}

int tree_find(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
	      struct place *ret_place, struct stat *ret_stat, struct err *err)
{
	int rc = lookup_below(parent, at, name, patience, ret_place, ret_stat, err);
	if (rc)
		return rc;
	if (ret_stat->st_nlink && is_host(*ret_place)) {
		show_host(*ret_place, ret_stat);
		return 0;
	}
	rc = tree_stat(*ret_place, ret_stat, err);
	if (rc)
		node_unref(ret_place->node, 1);
	return rc;
}

int tree_readlink(struct place place, char *ret_target, size_t size_bytes, struct err *err)
{
	struct node *node = place.node;
	if (place.row || node->kind != NODE_LINK)
		return -EINVAL;
	if (node->in_archive) {
		struct archive *archive;
		struct bytes *bytes;
		int rc = walk_archive(node_archive(node), &archive, err);
		rc = rc ? rc : archive_entry_bytes(archive, node->index, &bytes, err);
		if (rc)
			return rc;
		ssize_t got = bytes_read(bytes, ret_target, size_bytes - 1, 0, err);
		bytes_unref(bytes);
		ret_target[got > 0 ? got : 0] = 0;
		return got < 0 ? (int)got : 0;
	}
	struct stat st;
	int fd = walk_open_node(node, O_PATH | O_NOFOLLOW, &st, err);
	if (fd < 0)
		return fd;
	ssize_t len = readlinkat(fd, "", ret_target, size_bytes - 1);
	int rc = len < 0 ? err_set(err, -errno, "%s", strerror(errno)) : 0;
	close(fd);
	ret_target[len < 0 ? 0 : len] = 0;
	return rc;
}
