/* walk.c - see walk.h. Host directories are streamed, never held in memory; archives are indexed when first entered. */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "beneath.h"
#include "own.h"
#include "root.h"
#include "fs/base/config.h"
#include "volumes.h"

int walk_root_fd = -1;
struct node *walk_root;
static const char *root_file; /* the name of the one file that SOURCE is; set where the root shows_file */
static enum node_kind root_file_kind;
static struct {
	pthread_mutex_t lock;
	struct node_spec spec;
} root_file_seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what a name is ---- */

const char *const walk_archive_extensions[] = {"zip", "zipx", "cbz", "usdz", NULL};

/* Also that of an archive's first piece. */
static bool is_archive_name(const char *name)
{
	size_t len = strlen(name) - (volumes_is_first(name) ? strlen(".001") : 0);
	for (size_t i = 0; walk_archive_extensions[i]; i++) {
		size_t extension_len = strlen(walk_archive_extensions[i]), start = len - extension_len;
		if (len > extension_len + 1 && name[start - 1] == '.' &&
		    strncasecmp(name + start, walk_archive_extensions[i], extension_len) == 0)
			return true;
	}
	return false;
}

/* What macOS keeps of a file where the file system, or the archive, has no place for it (RFC 1740, AppleDouble): its extension is
 * the file's, its content never. */
static bool is_apple_double(const char *name)
{
	return name[0] == '.' && name[1] == '_';
}

static enum node_kind kind_of_file(const char *name)
{
	if (is_apple_double(name))
		return NODE_FILE;
	return codec_for_name(name) ? NODE_IMAGE : is_archive_name(name) ? NODE_ARCHIVE : NODE_FILE;
}

static enum node_kind kind_of_mode(mode_t mode, const char *name)
{
	return S_ISDIR(mode) ? NODE_DIR : S_ISLNK(mode) ? NODE_LINK : S_ISREG(mode) ? kind_of_file(name) : NODE_FILE;
}

static struct node_spec spec_of(const struct stat *st, const char *name, uint64_t entry_ino)
{
	return (struct node_spec){
		.kind = kind_of_mode(st->st_mode, name),
		.id = file_id_of(st),
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = st->st_mode,
		.ino_salt = entry_ino,
	};
}

/* ---- symlinks on the host ---- */

static bool is_ancestor(const struct node *dir, const struct stat *st)
{
	if (root_is(st))
		return true;
	for (; dir; dir = dir->parent)
		if (dir->kind == NODE_DIR && dir->id.device == st->st_dev && dir->id.inode == st->st_ino)
			return true;
	return false;
}

/* Whether the link of that name is shown as its target; *st becomes the target's then. A directory that contains the link stays a
 * link, so that the tree is finite. */
static bool is_followed(const struct node *dir, const char *name, struct stat *st)
{
	char path[PATH_MAX];
	struct stat target;
	size_t len = node_host_path(dir, path, sizeof path) ? sizeof path : strlen(path);
	if (len == sizeof path || snprintf(path + len, sizeof path - len, "/%s", name) >= (int)(sizeof path - len))
		return false;
	if (beneath_stat_link(walk_root_fd, path, &target) != 0 || (S_ISDIR(target.st_mode) && is_ancestor(dir, &target)))
		return false;
	*st = target;
	return true;
}

/* ---- the root ---- */

static int start_at_file(const char *source, const struct stat *st, struct err *err)
{
	const char *slash = strrchr(source, '/'), *name = slash + 1;
	char folder[PATH_MAX];
	if ((size_t)(slash - source) >= sizeof folder)
		return err_set(err, -ENAMETOOLONG, "the path is too long");
	memcpy(folder, source, (size_t)(slash - source));
	folder[slash - source] = 0;
	walk_root_fd = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (walk_root_fd < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	beneath_follow(false);
	struct node_spec spec = spec_of(st, name, 0);
	uint8_t head[64] = {0};
	struct bytes *bytes = file_bytes(walk_root_fd, name, &spec.id);
	ssize_t got = bytes ? bytes_read(bytes, head, sizeof head, 0, err) : err_set(err, -ENOMEM, "no memory");
	bytes_unref(bytes);
	if (got < 0)
		return (int)got;
	if (codec_for_content(head, (size_t)got, NULL))
		spec.kind = NODE_IMAGE;
	else if (spec.kind == NODE_FILE && got >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0))
		spec.kind = NODE_ARCHIVE;
	if (spec.kind == NODE_FILE)
		return err_set(err, -EINVAL, "neither a directory nor an archive nor an image");
	root_file = name;
	root_file_kind = spec.kind;
	walk_root = node_root_new(&(struct node_spec){.kind = NODE_DIR}, "");
	if (!walk_root)
		return err_set(err, -ENOMEM, "no memory");
	walk_root->shows_file = true;
	if (spec.kind == NODE_ARCHIVE)
		volumes_describe(walk_root, name, &spec);
	root_file_seen.spec = spec;
	return root_start(walk_root_fd, *folder ? folder : "/");
}

bool walk_is_top(const struct node *node)
{
	return walk_root->shows_file ? node->parent == walk_root : node == walk_root;
}

int walk_enter(struct place *place, struct err *err)
{
	struct stat st;
	if (!place->node->shows_file) {
		node_ref(place->node);
		return 0;
	}
	int rc = beneath_stat(walk_root_fd, root_file, &st);
	if (rc)
		return err_set(err, rc, "%s", strerror(-rc));
	struct node_spec spec = spec_of(&st, root_file, 0);
	spec.kind = root_file_kind;
	if (spec.kind == NODE_ARCHIVE)
		volumes_describe(walk_root, root_file, &spec);
	pthread_mutex_lock(&root_file_seen.lock);
	root_file_seen.spec = spec;
	pthread_mutex_unlock(&root_file_seen.lock);
	place->node = node_child((struct place){walk_root, ROW_SELF}, root_file, &spec);
	return place->node ? 0 : err_set(err, -ENOMEM, "no memory");
}

int walk_enter_known(struct place *place, struct err *err)
{
	if (!place->node->shows_file)
		return walk_enter(place, err);
	pthread_mutex_lock(&root_file_seen.lock);
	struct node_spec spec = root_file_seen.spec;
	pthread_mutex_unlock(&root_file_seen.lock);
	place->node = node_child((struct place){walk_root, ROW_SELF}, root_file, &spec);
	return place->node ? 0 : err_set(err, -ENOMEM, "no memory");
}

int walk_start(const char *source, struct err *err)
{
	struct stat st;
	if (stat(source, &st) != 0)
		return err_set(err, -errno, "%s", strerror(errno));
	if (S_ISREG(st.st_mode))
		return start_at_file(source, &st, err);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -EINVAL, "neither a directory nor an archive nor an image");
	beneath_follow(true);
	walk_root_fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (walk_root_fd < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	struct node_spec spec = spec_of(&st, "", 0);
	walk_root = node_root_new(&spec, "");
	int rc = walk_root ? root_start(walk_root_fd, source) : -ENOMEM;
	return rc ? err_set(err, rc, "%s", strerror(-rc)) : 0;
}

void walk_stop(void)
{
	node_root_free(walk_root);
	root_stop();
	close(walk_root_fd);
}

/* ---- archives ---- */

static enum node_kind kind_of_entry(const struct archive_entry *entry)
{
	return entry->kind == ARCHIVE_DIR ? NODE_DIR : entry->kind == ARCHIVE_LINK ? NODE_LINK : kind_of_file(entry->name);
}

/* The archive that the children of this directory are in, and the entry of the directory in it. */
static int archive_of_dir(struct node *dir, struct archive **ret_archive, uint32_t *ret_entry, struct err *err)
{
	*ret_entry = dir->kind == NODE_ARCHIVE ? 0 : dir->index;
	return walk_archive(dir->kind == NODE_ARCHIVE ? dir : node_archive(dir), ret_archive, err);
}

static int lookup_entry(struct node *dir, const char *name, struct node **ret_node, struct err *err)
{
	struct archive *archive;
	uint32_t parent;
	int rc = archive_of_dir(dir, &archive, &parent, err);
	if (rc)
		return rc;
	uint32_t found = archive_find(archive, parent, name);
	if (found == ARCHIVE_NONE)
		return -ENOENT;
	struct archive_entry entry;
	archive_get(archive, found, &entry);
	struct node_spec spec = {.kind = kind_of_entry(&entry), .in_archive = true, .index = found};
	*ret_node = node_child((struct place){dir, ROW_SELF}, name, &spec);
	return *ret_node ? 0 : err_set(err, -ENOMEM, "no memory");
}

/* ---- look-ups ---- */

static bool is_in_archive(const struct node *dir)
{
	return dir->in_archive || dir->kind == NODE_ARCHIVE;
}

int walk_open_node(const struct node *node, int flags, struct stat *ret_stat, struct err *err)
{
	char path[PATH_MAX];
	int rc = node_host_path(node, path, sizeof path);
	int fd = rc ? rc : beneath_open(walk_root_fd, path, flags);
	if (fd == -EXDEV || fd == -ELOOP) /* a way out has taken its place */
		return err_set(err, -ESTALE, "it was replaced");
	if (fd < 0)
		return err_set(err, fd, "%s", strerror(-fd));
	rc = fstat(fd, ret_stat) != 0 ? err_set(err, -errno, "%s", strerror(errno)) : 0;
	/* the root is whatever its descriptor is */
	if (rc == 0 && node->parent && (ret_stat->st_dev != node->id.device || ret_stat->st_ino != node->id.inode))
		rc = err_set(err, -ESTALE, "it was replaced");
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* What a pixfs covers, or another one's root, as it was when it was looked up: it is never asked again. */
static struct stat stat_of_hidden(const struct node *node)
{
	const struct file_id *id = &node->id;
	struct stat st = {.st_dev = id->device, .st_ino = id->inode, .st_mode = node->mode, .st_nlink = 2};
	st.st_uid = node->uid;
	st.st_gid = node->gid;
	st.st_blksize = 4096;
	st.st_mtim = (struct timespec){id->mtime_ns / 1000000000, id->mtime_ns % 1000000000};
	st.st_atim = st.st_ctim = st.st_mtim;
	return st;
}

int walk_stat(const struct node *node, struct stat *ret_stat, struct err *err)
{
	struct stat masked;
	char path[PATH_MAX];
	if (!node->parent && node->kind == NODE_DIR) { /* the root is its descriptor */
		root_stat(ret_stat);
		return 0;
	}
	if (node->is_hidden) {
		*ret_stat = stat_of_hidden(node);
		return 0;
	}
	int fd = walk_open_node(node, O_PATH | (node->kind == NODE_LINK ? O_NOFOLLOW : 0), ret_stat, err);
	if (fd < 0)
		return fd;
	close(fd);
	if (node->followed && node_host_path(node, path, sizeof path) == 0 && beneath_stat_link(walk_root_fd, path, &masked) == 0)
		ret_stat->st_mode = masked.st_mode;
	return 0;
}

int walk_at_open(struct node *dir, struct walk_at *ret_at, struct err *err)
{
	struct stat st;
	*ret_at = (struct walk_at){dir, -1};
	if (is_in_archive(dir) || dir->is_hidden)
		return 0;
	int fd = dir->parent ? walk_open_node(dir, O_PATH | O_DIRECTORY, &st, err) : walk_root_fd;
	if (fd < 0)
		return fd;
	ret_at->fd = fd;
	return 0;
}

void walk_at_close(struct walk_at *at)
{
	if (at->fd >= 0 && at->fd != walk_root_fd)
		close(at->fd);
	at->fd = -1;
}

static int stat_child(const struct walk_at *at, const char *name, struct stat *ret_stat, struct node_spec *ret_spec)
{
	const struct file_id *dir = &at->dir->id;
	bool hidden = own_is_at(dir->device, dir->inode, name, ret_stat);
	if (!hidden && fstatat(at->fd, name, ret_stat, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	uint64_t entry_ino = ret_stat->st_ino;
	bool followed = S_ISLNK(ret_stat->st_mode) && is_followed(at->dir, name, ret_stat);
	hidden = hidden || own_is(ret_stat, at->dir->parent ? dir->device : root_device());
	*ret_spec = spec_of(ret_stat, name, entry_ino);
	ret_spec->followed = followed;
	ret_spec->is_hidden = hidden;
	if (ret_spec->kind == NODE_ARCHIVE)
		volumes_describe(at->dir, name, ret_spec);
	return 0;
}

int walk_lookup_at(const struct walk_at *at, const char *name, struct node **ret_node, struct stat *ret_stat, struct err *err)
{
	struct stat st;
	struct node_spec spec;
	ret_stat = ret_stat ? ret_stat : &st;
	*ret_stat = (struct stat){0};
	if (is_in_archive(at->dir))
		return lookup_entry(at->dir, name, ret_node, err);
	int rc = at->dir->is_hidden ? -ENOENT : stat_child(at, name, ret_stat, &spec);
	if (rc)
		return err_set(err, rc, "%s", strerror(-rc));
	*ret_node = node_child((struct place){at->dir, ROW_SELF}, name, &spec);
	return *ret_node ? 0 : err_set(err, -ENOMEM, "no memory");
}

int walk_lookup(struct node *dir, const char *name, struct node **ret_node, struct err *err)
{
	struct walk_at at;
	int rc = walk_at_open(dir, &at, err);
	if (rc)
		return rc;
	rc = walk_lookup_at(&at, name, ret_node, NULL, err);
	walk_at_close(&at);
	return rc;
}

int walk_dir_id(const struct node *dir, bool *ret_on_host, struct file_id *ret_id, struct err *err)
{
	struct stat st;
	*ret_on_host = !is_in_archive(dir);
	if (!*ret_on_host)
		return 0;
	int rc = walk_stat(dir, &st, err);
	if (rc == 0)
		*ret_id = file_id_of(&st);
	return rc;
}

/* ---- listings ---- */

struct walk {
	struct node *dir;
	struct archive *archive; /* NULL on the host */
	uint32_t parent;
	DIR *stream;
	uint64_t offset; /* where the stream stands */
};

int walk_open(struct node *dir, struct walk **ret_walk, struct err *err)
{
	struct walk *walk = calloc(1, sizeof *walk);
	if (!walk)
		return err_set(err, -ENOMEM, "no memory");
	walk->dir = dir;
	int rc = 0;
	if (is_in_archive(dir)) {
		rc = archive_of_dir(dir, &walk->archive, &walk->parent, err);
	} else if (!dir->is_hidden && (dir->parent || (rc = root_check(err)) == 0)) {
		struct stat st;
		int fd = walk_open_node(dir, O_RDONLY | O_DIRECTORY, &st, err);
		walk->stream = fd < 0 ? NULL : fdopendir(fd);
		if (fd < 0)
			rc = fd;
		else if (!walk->stream) {
			rc = err_set(err, -errno, "can't be listed: %s", strerror(errno));
			close(fd);
		}
	}
	if (rc) {
		free(walk);
		return rc;
	}
	*ret_walk = walk;
	return 0;
}

void walk_close(struct walk *walk)
{
	if (walk && walk->stream)
		closedir(walk->stream);
	free(walk);
}

static int next_in_archive(struct walk *walk, uint64_t offset, struct walk_entry *ret_entry)
{
	/* offset: 0, or 1 + the entry listed last */
	uint32_t at = offset ? archive_next(walk->archive, (uint32_t)(offset - 1)) : archive_first(walk->archive, walk->parent);
	if (at == ARCHIVE_NONE)
		return 0;
	struct archive_entry entry;
	archive_get(walk->archive, at, &entry);
	ret_entry->name = entry.name;
	ret_entry->kind = kind_of_entry(&entry);
	ret_entry->ino = node_child_ino((struct place){walk->dir, ROW_SELF}, entry.name, 0);
	ret_entry->next = (uint64_t)at + 1;
	return 1;
}

static enum node_kind kind_of_dirent(const struct walk *walk, const struct dirent *entry)
{
	const struct walk_at at = {walk->dir, dirfd(walk->stream)};
	struct node_spec spec;
	struct stat st;
	switch (entry->d_type) {
	case DT_DIR:
		return NODE_DIR;
	case DT_REG:
		return kind_of_file(entry->d_name);
	case DT_LNK:
	case DT_UNKNOWN:
		return stat_child(&at, entry->d_name, &st, &spec) == 0 ? spec.kind : NODE_FILE;
	default:
		return NODE_FILE;
	}
}

static int next_on_host(struct walk *walk, uint64_t offset, struct walk_entry *ret_entry)
{
	if (offset == 0 && walk->offset != 0)
		rewinddir(walk->stream);
	else if (offset != walk->offset)
		seekdir(walk->stream, (long)offset);
	struct dirent *entry;
	do {
		errno = 0;
		entry = readdir(walk->stream);
		/* a .pixfs of the source can't be reached: every directory has one of ours */
	} while (entry &&
		 (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, ".pixfs") == 0));
	walk->offset = (uint64_t)telldir(walk->stream);
	if (!entry)
		return -errno;
	ret_entry->name = entry->d_name;
	ret_entry->kind = kind_of_dirent(walk, entry);
	ret_entry->ino = node_child_ino((struct place){walk->dir, ROW_SELF}, entry->d_name, entry->d_ino);
	ret_entry->next = walk->offset;
	return 1;
}

int walk_next(struct walk *walk, uint64_t offset, struct walk_entry *ret_entry)
{
	if (walk->archive)
		return next_in_archive(walk, offset, ret_entry);
	return walk->stream ? next_on_host(walk, offset, ret_entry) : 0;
}

int walk_next_at(const struct walk *walk, struct walk_at *ret_at, struct err *err)
{
	struct stat st;
	*ret_at = (struct walk_at){walk->dir, -1};
	if (!walk->stream)
		return 0;
	int rc = walk_stat(walk->dir, &st, err); /* it may have been moved since the listing began */
	ret_at->fd = rc ? -1 : dirfd(walk->stream);
	return rc;
}

/* ---- opening what a node stands for ---- */

int walk_image_spec(struct node *node, struct walk_spec *ret_spec, struct err *err)
{
	struct image_spec *spec = &ret_spec->image;
	node_path(node, ret_spec->path, sizeof ret_spec->path);
	*spec = (struct image_spec){.path = *ret_spec->path ? ret_spec->path : node->name, .root_fd = walk_root_fd, .id = node->id};
	if (node->in_archive) {
		struct node *archive = node_archive(node);
		spec->entry = node->index;
		int rc = walk_archive(archive, &spec->archive, err);
		spec->archive_serial = archive->slot->serial;
		return rc;
	}
	int rc = node_host_path(node, ret_spec->host_path, sizeof ret_spec->host_path);
	spec->host_path = ret_spec->host_path;
	return rc ? err_set(err, rc, "the path is too long") : 0;
}

int walk_check_fresh(const struct node *node, struct err *err)
{
	const struct node *host = node_on_host(node);
	char path[PATH_MAX];
	struct stat st;
	if (config.immutable || host->kind == NODE_DIR || host->kind == NODE_FILE)
		return 0;
	if (node_host_path(host, path, sizeof path) || beneath_stat(walk_root_fd, path, &st) != 0)
		return err_set(err, -ESTALE, "the file is gone");
	struct node_spec now = spec_of(&st, host->name, 0);
	if (!file_id_equal(&now.id, &host->id))
		return err_set(err, -ESTALE, "the file changed");
	if (host->volumes)
		volumes_describe(host->parent, host->name, &now);
	return now.volumes == host->volumes ? 0 : err_set(err, -ESTALE, "another volume of the archive changed");
}
