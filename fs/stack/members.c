/* members.c - see members.h. */
#include "members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/source/walk.h"

enum { ASK_EVERY = 1024, FIRST_ROOM = 64 };

/* ---- making the list ---- */

struct lister {
	struct members *members;
	size_t members_room, dirs_room, paths_len, paths_room;
	uint32_t *prefix_lens; /* of dirs: bytes of "cat/" */
	uint64_t *prefixes;    /* of dirs: where "cat/" stands in paths */
	const struct patience *patience;
	struct err *err;
};

/* Makes room for one more of size bytes each in *array. */
static bool grow(void *array, size_t count, size_t *room, size_t size)
{
	void **at = array;
	if (count < *room)
		return true;
	size_t more = *room ? *room + *room / 2 : FIRST_ROOM;
	void *grown = realloc(*at, more * size);
	if (!grown)
		return false;
	*at = grown;
	*room = more;
	return true;
}

/* Appends prefix + name + tail to paths. */
static bool add_path(struct lister *lister, size_t dir, const char *name, const char *tail, uint64_t *ret_path)
{
	struct members *members = lister->members;
	size_t prefix_len = lister->prefix_lens[dir], name_len = strlen(name), tail_len = strlen(tail);
	size_t needed = lister->paths_len + prefix_len + name_len + tail_len + 1;
	if (needed > lister->paths_room) {
		size_t room = needed + needed / 2 + 4096;
		char *paths = realloc(members->paths, room);
		if (!paths)
			return false;
		members->paths = paths;
		lister->paths_room = room;
	}
	char *at = members->paths + lister->paths_len;
	if (prefix_len)
		memcpy(at, members->paths + lister->prefixes[dir], prefix_len);
	memcpy(at + prefix_len, name, name_len);
	memcpy(at + prefix_len + name_len, tail, tail_len + 1);
	*ret_path = lister->paths_len;
	lister->paths_len = needed;
	return true;
}

static bool add_member(struct lister *lister, size_t dir, const char *name)
{
	struct members *members = lister->members;
	struct member member = {.dir = (uint32_t)dir};
	if (!grow(&members->all, members->count, &lister->members_room, sizeof *members->all) ||
	    !add_path(lister, dir, name, "", &member.path))
		return false;
	members->all[members->count++] = member;
	return true;
}

/* Takes over the reference on node. */
static bool add_dir(struct lister *lister, struct node *node, uint64_t prefix, size_t prefix_len)
{
	struct members *members = lister->members;
	size_t room = lister->dirs_room, room_lens = room, room_prefixes = room;
	if (!grow(&members->dirs, members->ndirs, &room, sizeof *members->dirs) ||
	    !grow(&lister->prefix_lens, members->ndirs, &room_lens, sizeof *lister->prefix_lens) ||
	    !grow(&lister->prefixes, members->ndirs, &room_prefixes, sizeof *lister->prefixes)) {
		node_unref(node, 1);
		return false;
	}
	lister->dirs_room = room;
	members->dirs[members->ndirs] = (struct member_dir){.node = node};
	lister->prefix_lens[members->ndirs] = (uint32_t)prefix_len;
	lister->prefixes[members->ndirs++] = prefix;
	return true;
}

/* A directory or an archive below: gets its turn after those known already. */
static bool add_child(struct lister *lister, size_t dir, const char *name)
{
	struct node *node;
	struct err ignored = ERR_NONE;
	uint64_t prefix;
	if (walk_lookup(lister->members->dirs[dir].node, name, &node, &ignored))
		return ignored.code != -ENOMEM; /* gone meanwhile */
	if (!add_path(lister, dir, name, "/", &prefix)) {
		node_unref(node, 1);
		return false;
	}
	return add_dir(lister, node, prefix, lister->prefix_lens[dir] + strlen(name) + 1);
}

static int add_entries(struct lister *lister, size_t dir, struct walk *walk)
{
	struct walk_entry entry;
	uint64_t at = 0;
	int rc;
	for (size_t n = 1; (rc = walk_next(walk, at, &entry)) == 1; at = entry.next, n++) {
		bool fits = true;
		if (entry.kind == NODE_IMAGE)
			fits = add_member(lister, dir, entry.name);
		else if (lister->members->recursive && (entry.kind == NODE_DIR || entry.kind == NODE_ARCHIVE))
			fits = add_child(lister, dir, entry.name);
		if (!fits)
			return err_set(lister->err, -ENOMEM, "no memory for the list of images");
		if (lister->members->count > MEMBERS_MAX)
			return err_set(lister->err, -EFBIG, "more than %d images", MEMBERS_MAX);
		if (n % ASK_EVERY == 0 && patience_is_over(lister->patience))
			return err_set(lister->err, -EINTR, "the reader gave up");
	}
	return rc ? err_set(lister->err, rc, "can't be listed: %s", strerror(-rc)) : 0;
}

static int list_dir(struct lister *lister, size_t dir)
{
	struct member_dir *at = &lister->members->dirs[dir];
	struct walk *walk;
	struct err err = ERR_NONE;
	int rc = walk_dir_id(at->node, &at->on_host, &at->id, &err);
	if (rc == 0)
		rc = walk_open(at->node, &walk, &err);
	if (rc)
		return dir && rc != -ENOMEM ? 0 : err_copy(lister->err, &err);
	/* of archives within archives the outermost one's file is all that there is */
	if (!at->on_host && (dir == 0 || !at->node->in_archive))
		rc = walk_archive(at->node->kind == NODE_ARCHIVE ? at->node : node_archive(at->node), &at->archive, lister->err);
	if (rc == 0)
		rc = add_entries(lister, dir, walk);
	walk_close(walk);
	return rc;
}

static int compare_members(const void *a, const void *b, void *paths)
{
	return strcmp((const char *)paths + ((const struct member *)a)->path,
		      (const char *)paths + ((const struct member *)b)->path);
}

static void trim(struct lister *lister)
{
	struct members *members = lister->members;
	if (members->count)
		qsort_r(members->all, members->count, sizeof *members->all, compare_members, members->paths);
	struct member *all = realloc(members->all, (members->count + 1) * sizeof *all);
	members->all = all ? all : members->all;
	char *paths = realloc(members->paths, lister->paths_len + 1);
	members->paths = paths ? paths : members->paths;
	members->memory_bytes = sizeof *members + members->count * sizeof *all + lister->paths_len +
				members->ndirs * (sizeof *members->dirs + sizeof(struct node) + 32);
}

int members_list(struct node *dir, bool recursive, const struct patience *patience, struct members **ret_members, struct err *err)
{
	struct members *members = calloc(1, sizeof *members);
	if (!members)
		return err_set(err, -ENOMEM, "no memory for the list of images");
	members->recursive = recursive;
	atomic_store(&members->refs, 1);
	struct lister lister = {.members = members, .patience = patience, .err = err};
	node_ref(dir);
	int rc = add_dir(&lister, dir, 0, 0) ? 0 : err_set(err, -ENOMEM, "no memory for the list of images");
	for (size_t i = 0; rc == 0 && i < members->ndirs; i++)
		rc = list_dir(&lister, i);
	if (rc == 0)
		trim(&lister);
	free(lister.prefix_lens);
	free(lister.prefixes);
	if (rc)
		members_unref(members);
	else
		*ret_members = members;
	if (rc == 0)
		cache_reserve((int64_t)members->memory_bytes);
	return rc;
}

void members_hold(const struct members *members)
{
	for (size_t i = 0; i < members->ndirs; i++)
		if (members->dirs[i].archive)
			file_hold(archive_bytes(members->dirs[i].archive));
}

void members_unhold(const struct members *members)
{
	for (size_t i = 0; i < members->ndirs; i++)
		if (members->dirs[i].archive)
			file_unhold(archive_bytes(members->dirs[i].archive));
}

struct members *members_ref(struct members *members)
{
	atomic_fetch_add(&members->refs, 1);
	return members;
}

void members_unref(struct members *members)
{
	if (!members || atomic_fetch_sub(&members->refs, 1) > 1)
		return;
	for (size_t i = 0; i < members->ndirs; i++)
		node_unref(members->dirs[i].node, 1);
	cache_reserve(-(int64_t)members->memory_bytes);
	free(members->dirs);
	free(members->all);
	free(members->paths);
	free(members);
}

/* ---- using it ---- */

int members_check_dir(const struct members *members, size_t dir, struct err *err)
{
	const struct member_dir *at = &members->dirs[dir];
	struct file_id now;
	bool on_host;
	struct err ignored = ERR_NONE;
	if (!at->on_host)
		return walk_check_fresh(at->node, err) ? -ESTALE : 0;
	if (walk_dir_id(at->node, &on_host, &now, &ignored) || !on_host || !file_id_equal(&now, &at->id))
		return err_set(err, -ESTALE, "the directory changed");
	return 0;
}

int members_check_names(const struct members *members, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < members->ndirs && !config.immutable && rc == 0; i++)
		rc = members_check_dir(members, i, err);
	return rc;
}

static uint64_t version_of(const struct node *node)
{
	const uint64_t words[4] = {node->id.device, node->id.inode, node->id.size_bytes, (uint64_t)node->id.mtime_ns};
	uint64_t h = 0, low = (uint64_t)node->id.ctime_ns * 0x9e3779b97f4a7c15u >> (64 - MEMBERS_CTIME_BITS);
	if (node->in_archive)
		return 1; /* a new version of an archive is another archive */
	for (unsigned i = 0; i < 4; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	h = h >> MEMBERS_CTIME_BITS << MEMBERS_CTIME_BITS | low;
	return h > 1 ? h : 2;
}

void members_cursor_end(struct members_cursor *cursor)
{
	if (cursor->at.dir)
		walk_at_close(&cursor->at);
	cursor->at.dir = NULL;
}

static int find(struct members_cursor *cursor, size_t i, struct node **ret_node, struct stat *ret_stat, struct err *err)
{
	const struct members *members = cursor->members;
	const char *path = member_path(members, i), *slash = strrchr(path, '/');
	struct node *dir = members->dirs[members->all[i].dir].node;
	int rc = 0;
	if (cursor->at.dir != dir) {
		members_cursor_end(cursor);
		rc = walk_at_open(dir, &cursor->at, err);
		if (rc)
			cursor->at.dir = NULL;
	}
	rc = rc ? rc : walk_lookup_at(&cursor->at, slash ? slash + 1 : path, ret_node, ret_stat, err);
	if (rc == -ENOENT)
		return err_set(err, -ESTALE, "the file is gone");
	if (rc == 0 && (*ret_node)->kind != NODE_IMAGE) {
		node_unref(*ret_node, 1);
		return err_set(err, -ESTALE, "the file was replaced");
	}
	return rc;
}

int members_version(struct members_cursor *cursor, size_t i, uint64_t *ret_version, struct stat *ret_stat, struct err *err)
{
	struct node *node;
	int rc = find(cursor, i, &node, ret_stat, err);
	if (rc)
		return rc;
	*ret_version = version_of(node);
	node_unref(node, 1);
	return 0;
}

int members_open(const struct members *members, size_t i, uint64_t *version, struct image **ret_image, struct err *err)
{
	struct node *node;
	struct members_cursor cursor = members_cursor(members);
	int rc = find(&cursor, i, &node, NULL, err);
	members_cursor_end(&cursor);
	if (rc)
		return rc;
	uint64_t now = version_of(node);
	struct walk_spec spec;
	if (*version && (*version ^ now) >> MEMBERS_CTIME_BITS)
		rc = err_set(err, -ESTALE, "the file changed");
	if (rc == 0)
		rc = walk_image_spec(node, &spec, err);
	if (rc == 0) {
		*version = now;
		rc = image_get(&spec.image, ret_image, err);
	}
	node_unref(node, 1);
	return rc;
}

enum image_verdict members_peek(const struct members *members, size_t i, uint64_t version)
{
	struct node *node;
	struct walk_spec spec;
	struct err ignored = ERR_NONE;
	struct members_cursor cursor = members_cursor(members);
	bool found = image_any_used() && find(&cursor, i, &node, NULL, &ignored) == 0;
	members_cursor_end(&cursor);
	if (!found)
		return IMAGE_UNKNOWN;
	bool same = version_of(node) == version && walk_image_spec(node, &spec, &ignored) == 0;
	enum image_verdict verdict = same ? image_peek(&spec.image) : IMAGE_UNKNOWN;
	node_unref(node, 1);
	return verdict;
}
