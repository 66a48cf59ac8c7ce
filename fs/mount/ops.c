/* ops.c - FUSE requests: resolve, call one function of the tree, reply exactly once. No policy here.
 *
 * Errors that name damage are reported where they are found; here only a failed read or open of an array is told with
 * its path, once per open file.
 */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs/source/archives.h"
#include "fs/base/config.h"
#include "gate.h"
#include "opened.h"
#include "passthrough.h"
#include "reply_buffer.h"
#include "fs/base/status.h"
#include "fs/store/cache.h"
#include "fs/tree/tree.h"
#include "fs/source/root.h"
#include "fs/source/walk.h"

static const double for_ever_s = 365 * 24 * 3600;

static void (*ready)(void);
static struct fuse_session *the_session;

void ops_set_ready(void (*function)(void))
{
	ready = function;
}

void ops_set_session(struct fuse_session *session)
{
	the_session = session;
}

static struct place place_of(fuse_ino_t id)
{
	return node_from_id(id, walk_root);
}

static double timeout_of(struct place place)
{
	if (config.immutable || tree_is_constant(place))
		return for_ever_s;
	return place.row && !tree_is_folder(place) ? 0 : config.timeout_s; /* the status files change all the time */
}

/* Where memory ran out the cache gives some back, so that the next request has it. */
static void reply_err(fuse_req_t req, int rc)
{
	/* the source's own file system is dead: this mount isn't, which is what these two would say of it */
	if (rc == -ENOTCONN || rc == -ECONNABORTED)
		rc = -EIO;
	if (rc == -ENOMEM)
		cache_relieve();
	fuse_reply_err(req, -rc);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	const unsigned wanted[] = {FUSE_CAP_ASYNC_READ,       FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_READDIRPLUS,
				   FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_CACHE_SYMLINKS};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		conn->want |= conn->capable & wanted[i];
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_background = 128;
	conn->congestion_threshold = 96;
	conn->max_readahead = 1 << 20;
	/* libfuse gives each thread a buffer of this size, and the kernel no larger reads: by itself it makes them of 256 KiB.
	 * Those past its pages are longer: see passthrough.c. */
	conn->max_write = config.readahead_kib > 256 ? REPLY_MOST_BYTES : REPLY_OWN_BYTES;
	if (ready)
		ready();
}

/* ---- names and attributes ---- */

static bool was_interrupted(void *req)
{
	gate_sweep();
	return fuse_req_interrupted(req) || fuse_session_exited(the_session);
}

/* Valid replies: an entry (its place gains a look-up), an entry with inode 0 (no such name, remembered), an error. */
static int make_entry(struct place parent, const struct walk_at *at, const char *name, const struct patience *patience,
		      struct fuse_entry_param *entry)
{
	struct place place;
	struct err err = ERR_NONE;
	memset(entry, 0, sizeof *entry);
	int rc = tree_find(parent, at, name, patience, &place, &entry->attr, &err);
	if (rc)
		return rc;
	entry->ino = node_to_id(place);
	entry->generation = 1;
	entry->entry_timeout = entry->attr_timeout = timeout_of(place);
	return 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
	struct place parent = place_of(parent_id);
	struct fuse_entry_param entry;
	struct patience patience = {was_interrupted, req};
	int rc = make_entry(parent, NULL, name, &patience, &entry);
	if (rc == -ENOENT) {
		entry.entry_timeout = timeout_of(parent);
		rc = 0;
	}
	if (rc) {
		reply_err(req, rc);
		return;
	}
	if (fuse_reply_entry(req, &entry) == -ENOENT && entry.ino)
		node_unref(place_of(entry.ino).node, 1); /* the request was interrupted: the kernel doesn't know of it */
}

static void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t count)
{
	node_unref(place_of(id).node, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_unref(place_of(forgets[i].ino).node, forgets[i].nlookup);
	archives_sweep();
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)info;
	struct place place = place_of(id);
	struct stat st;
	struct err err = ERR_NONE;
	int rc = tree_stat(place, &st, &err);
	if (rc && opened_stat(id, &st)) {
		tree_stat_open(place, &st);
		rc = 0;
	}
	if (rc)
		reply_err(req, rc);
	else
		fuse_reply_attr(req, &st, timeout_of(place));
}

static void op_readlink(fuse_req_t req, fuse_ino_t id)
{
	char target[4097];
	struct err err = ERR_NONE;
	int rc = tree_readlink(place_of(id), target, sizeof target, &err);
	if (rc)
		reply_err(req, rc);
	else
		fuse_reply_readlink(req, target);
}

static void reply_xattr(fuse_req_t req, const char *value, ssize_t len, size_t size)
{
	if (len < 0)
		reply_err(req, (int)len);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)len);
	else
		fuse_reply_buf(req, value, (size_t)len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	char value[512];
	ssize_t len = tree_xattr(place_of(id), name, value, size < sizeof value ? size : sizeof value);
	reply_xattr(req, value, len, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	char value[512];
	ssize_t len = tree_xattr(place_of(id), NULL, value, size < sizeof value ? size : sizeof value);
	reply_xattr(req, value, len, size);
}

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
	(void)id;
	struct statvfs st;
	root_statvfs(&st); /* the source's own room: a disk without any would be a full one for whoever watches disks */
	st.f_namemax = 255;
	fuse_reply_statfs(req, &st);
}

/* ---- files ---- */

/* Puts bytes of a file into the kernel's pages. Only while its open is under way: reads hold the pages that they wait for,
 * and the next version of a source has another number. */
static int store_pages(void *id, uint64_t offset, const void *data, size_t len_bytes)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(len_bytes);
	bytes.buf[0].mem = (void *)(uintptr_t)data;
	return fuse_lowlevel_notify_store(the_session, *(fuse_ino_t *)id, (off_t)offset, &bytes, 0);
}

static struct opened *opened_of(const struct fuse_file_info *info)
{
	return (struct opened *)(uintptr_t)info->fh;
}

static int reply_open(fuse_req_t req, struct opened *opened, struct fuse_file_info *info)
{
	const struct handle *handle = opened->handle;
	info->fh = (uint64_t)(uintptr_t)opened;
	if (opened->way == OPENED_BACKED)
		return passthrough_reply_open(req, info->fh, handle->backing);
	info->keep_cache = handle->keep_cache && !handle->changing;
	info->direct_io = handle->changing || handle->direct;
	info->noflush = 1;
	return fuse_reply_open(req, info);
}

static int get_groups(void *req, int room, gid_t *ret_groups)
{
	return fuse_req_getgroups(req, room, ret_groups);
}

/* NULL for whom no list of files is too much: there are no others, or it is root, or the user whose process this is. */
static struct caller *caller_of(fuse_req_t req, struct caller *caller)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);
	if (!config.shared || context->uid == 0 || context->uid == geteuid())
		return NULL;
	*caller = (struct caller){.uid = context->uid, .gid = context->gid, .get_groups = get_groups, .context = req};
	return caller;
}

static void open_file(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	struct handle *handle;
	struct err err = ERR_NONE;
	struct place place = place_of(id);
	struct patience patience = {was_interrupted, req};
	const struct handle_pages pages = {store_pages, &id, opened_may_be_backed(id) ? node_ino(place) : 0, &patience, false};
	struct caller who = {0};
	patience_set_of_thread(&patience);
	int rc = (info->flags & O_ACCMODE) == O_RDONLY   ? tree_open(place, caller_of(req, &who), &patience, &pages, &handle, &err)
		 : (info->flags & O_ACCMODE) == O_WRONLY ? tree_open_sink(place, &handle, &err)
							 : -EROFS;
	patience_set_of_thread(NULL);
	caller_end(&who);
	if (rc) {
		reply_err(req, rc);
		return;
	}
	if (info->flags & O_TRUNC)
		tree_truncate(place);
	struct opened *opened;
	rc = opened_add_file(id, handle, &opened);
	if (rc)
		reply_err(req, rc);
	else if (reply_open(req, opened, info) == -ENOENT)
		opened_close(opened); /* interrupted: there will be no release */
}

static void run_open(const struct gate_request *request)
{
	struct fuse_file_info info = request->info;
	open_file(request->req, request->id, &info);
}

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	if (tree_is_array(place_of(id)))
		gate_run(GATE_ARRAYS, &(struct gate_request){.run = run_open, .req = req, .id = id, .info = *info});
	else
		open_file(req, id, info);
}

/* Arrays tell of their damage themselves, once; a source's bytes are told of here. */
static void report_read(fuse_ino_t id, const struct handle *handle, const struct err *err)
{
	char path[4096];
	if (handle->kind == HANDLE_ARRAY || handle->kind == HANDLE_STACK || err->code == -EINTR)
		return;
	node_path(place_of(id).node, path, sizeof path);
	status_report(path, err->code, "read", err->text);
}

static void read_file(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, const struct fuse_file_info *info)
{
	struct handle *handle = opened_of(info)->handle;
	uint64_t left_bytes = (uint64_t)offset < handle->size_bytes ? handle->size_bytes - (uint64_t)offset : 0;
	size = size < left_bytes ? size : (size_t)left_bytes;
	char *buffer = reply_buffer_take(size);
	if (!buffer) {
		reply_err(req, -ENOMEM);
		return;
	}
	const struct patience patience = {was_interrupted, req};
	struct err err = ERR_NONE;
	patience_set_of_thread(&patience);
	ssize_t got = handle_read(handle, buffer, size, (uint64_t)offset, &patience, &err);
	patience_set_of_thread(NULL);
	if (got < 0)
		report_read(id, handle, &err);
	if (got < 0)
		reply_err(req, (int)got);
	else
		fuse_reply_buf(req, buffer, (size_t)got);
	reply_buffer_give(buffer, size);
}

static void run_read(const struct gate_request *request)
{
	read_file(request->req, request->id, request->size, request->offset, &request->info);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	enum handle_kind kind = opened_of(info)->handle->kind;
	const struct gate_request request = {run_read, req, id, size, offset, *info};
	if (kind == HANDLE_ARRAY || kind == HANDLE_STACK)
		gate_run(GATE_ARRAYS, &request);
	else if (kind == HANDLE_BYTES)
		gate_run(GATE_BYTES, &request);
	else
		read_file(req, id, size, offset, info);
}

static void op_write(fuse_req_t req, fuse_ino_t id, const char *text, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)id, (void)offset;
	struct err err = ERR_NONE;
	struct handle *handle = opened_of(info)->handle;
	int rc = handle->kind == HANDLE_SINK ? handle_write(handle, text, size, &err) : -EROFS;
	if (rc)
		reply_err(req, rc);
	else
		fuse_reply_write(req, size);
}

static void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	opened_close(opened_of(info));
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

static void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	struct listing *listing;
	struct err err = ERR_NONE;
	struct place place = place_of(id);
	int rc = tree_list(place, &listing, &err);
	if (rc) {
		reply_err(req, rc);
		return;
	}
	struct opened *opened;
	rc = opened_add_listing(id, listing, &opened);
	if (rc) {
		reply_err(req, rc);
		return;
	}
	info->fh = (uint64_t)(uintptr_t)opened;
	info->cache_readdir = 1;
	info->keep_cache = timeout_of(place) == for_ever_s;
	if (fuse_reply_open(req, info) == -ENOENT)
		opened_close(opened);
}

/* Adds one entry; 0 where it doesn't fit. With plus it carries attributes and counts as a look-up. */
static size_t add_entry(fuse_req_t req, struct place parent, const struct walk_at *where, const struct listing_entry *found,
			bool plus, char *at, size_t room)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = found->ino, .st_mode = found->type}};
	if (!plus)
		return fuse_add_direntry(req, at, room, found->name, &entry.attr, (off_t)found->next);
	if (fuse_add_direntry_plus(req, NULL, 0, found->name, NULL, 0) > room)
		return room + 1;
	if (make_entry(parent, where, found->name, NULL, &entry) != 0) {
		/* gone or unreadable: listed all the same, without attributes; inode 0 tells the kernel to look it up */
		memset(&entry, 0, sizeof entry);
		entry.attr.st_ino = found->ino;
		entry.attr.st_mode = found->type;
	}
	return fuse_add_direntry_plus(req, at, room, found->name, &entry, (off_t)found->next);
}

static void read_directory(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info, bool plus)
{
	struct listing *listing = opened_of(info)->listing;
	struct place place = place_of(id);
	struct walk_at where;
	bool is_open = plus && tree_list_at(listing, &where);
	char *buffer = malloc(size);
	size_t used = 0;
	int rc = buffer ? 0 : -ENOMEM;
	for (uint64_t at = (uint64_t)offset; rc == 0;) {
		struct listing_entry found;
		int more = tree_list_next(listing, at, &found);
		if (more <= 0) {
			rc = used ? 0 : more;
			break;
		}
		size_t n = add_entry(req, place, is_open ? &where : NULL, &found, plus, buffer + used, size - used);
		if (n > size - used)
			break;
		used += n;
		at = found.next;
	}
	if (rc)
		reply_err(req, rc);
	else
		fuse_reply_buf(req, buffer, used);
	free(buffer);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	read_directory(req, id, size, offset, info, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	read_directory(req, id, size, offset, info, true);
}

/* ---- what would change the tree ---- */

/* Cutting .pixfs/prefetch is what a shell's > does. */
static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attributes, int to_set, struct fuse_file_info *info)
{
	(void)attributes;
	int rc = to_set & FUSE_SET_ATTR_SIZE ? tree_truncate(place_of(id)) : -EROFS;
	if (rc)
		reply_err(req, rc);
	else
		op_getattr(req, id, info);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	(void)parent, (void)name, (void)mode, (void)device;
	reply_err(req, -EROFS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
	(void)parent, (void)name, (void)mode, (void)info;
	reply_err(req, -EROFS);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	reply_err(req, -EROFS);
}

/* Both of a file and of a directory. */
static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	reply_err(req, -EROFS);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	reply_err(req, -EROFS);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	(void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
	reply_err(req, -EROFS);
}

static void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	(void)id, (void)parent, (void)name;
	reply_err(req, -EROFS);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size, int flags)
{
	(void)id, (void)name, (void)value, (void)size, (void)flags;
	reply_err(req, -EROFS);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	(void)id, (void)name;
	reply_err(req, -EROFS);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.statfs = op_statfs,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_release,
	.setattr = op_setattr,
	.mknod = op_mknod,
	.create = op_create,
	.mkdir = op_mkdir,
	.unlink = op_remove,
	.rmdir = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
};
