/* tree_stat.c - attributes of a place, and what a link says: from headers alone, or as the host has them now. */
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

/* The mode bits a virtual file gets: where others may enter the mount, nobody reads more than the source lets them. */
static mode_t virtual_mode(const struct node *host, mode_t mode)
{
	mode_t readable = host->mode & 0444;
	return config.shared ? mode & (readable | readable >> 2) : mode;
}

/* Status files that tell, or are told, paths and settings: where others may enter they are the mount's own user's. */
static bool tells_paths(unsigned row)
{
	return row == ROW_ERRORS || row == ROW_CONFIG || row == ROW_PREFETCH;
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

static void show_made(struct place place, uint64_t size, struct stat *ret_stat)
{
	struct node *node = place.node;
	const struct node *host = node_on_host(node);
	int64_t mtime_ns = entry_mtime_ns(node, host);
	mode_t type = tree_is_folder(place)                   ? S_IFDIR | 0555
		      : !place.row && node->kind == NODE_LINK ? S_IFLNK | 0777
							      : S_IFREG | 0444;
	bool is_private = config.shared && tells_paths(place.row);
	mode_t permissions = virtual_mode(host, type & 0777);
	if (place.row == ROW_PREFETCH)
		permissions = 0222;
	if (is_private)
		permissions = place.row == ROW_PREFETCH ? 0200 : 0400;
	*ret_stat = (struct stat){
		.st_ino = node_ino(place),
		.st_mode = (type & S_IFMT) | permissions,
		.st_nlink = 1,
		.st_uid = is_private ? geteuid() : host->uid,
		.st_gid = is_private ? getegid() : host->gid,
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
	show_made(place, size, ret_stat);
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

int tree_stat_found(struct place place, struct stat *st, struct err *err)
{
	if (!st->st_nlink || !is_host(place))
		return tree_stat(place, st, err);
	show_host(place, st);
	return 0;
}

void tree_stat_open(struct place place, struct stat *st)
{
	if (is_host(place))
		show_host(place, st);
	else
		show_made(place, (uint64_t)st->st_size, st);
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
