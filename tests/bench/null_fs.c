/* null_fs.c - the least that FUSE itself costs: a file system with the shape of a mount that does nothing else.
 *
 * null_fs MOUNTPOINT N SPEC [-d]: MOUNTPOINT/images/ holds N directories 000000.png ..., each with the files of SPEC,
 * "name=size,name=size,dir/name=size": directories one deep, after a name of which no other directory follows in between. Every
 * reply is computed from the inode number alone; files hold zeros. Time-outs, flags and capabilities are those that pixfs
 * asks the kernel for, so the same programs make the same requests. In the foreground; ends with the unmount.
 */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LEAVES = 200, SHIFT = 8, IMAGES_ID = 2, FOR_EVER_S = 365 * 24 * 3600 };

/* Inode numbers: 1 the root, 2 images, (i + 1) << SHIFT an image's directory, with a leaf's number added the leaf. */
struct leaf {
	char name[64];
	unsigned parent; /* 0: the image's directory itself, else the leaf that is its directory */
	int is_directory;
	off_t size_bytes;
};

static struct leaf leaves[MAX_LEAVES + 1]; /* from 1 */
static unsigned nleaves;
static unsigned long nimages;

static unsigned leaf_add(const char *name, unsigned parent, int is_directory, off_t size_bytes)
{
	if (nleaves == MAX_LEAVES)
		exit(2);
	struct leaf *leaf = &leaves[++nleaves];
	*leaf = (struct leaf){.parent = parent, .is_directory = is_directory, .size_bytes = size_bytes};
	snprintf(leaf->name, sizeof leaf->name, "%s", name);
	return nleaves;
}

static void read_spec(char *spec)
{
	unsigned directory = 0;
	for (char *word = strtok(spec, ","); word; word = strtok(NULL, ",")) {
		char *size = strchr(word, '='), *slash = strchr(word, '/');
		if (!size)
			exit(2);
		*size++ = 0;
		if (slash) {
			*slash++ = 0;
			if (!directory || strcmp(leaves[directory].name, word) != 0)
				directory = leaf_add(word, 0, 1, 0);
		}
		leaf_add(slash ? slash : word, slash ? directory : 0, 0, atoll(size));
	}
}

static int is_directory(fuse_ino_t id)
{
	unsigned leaf = id & ((1 << SHIFT) - 1);
	return id < (1 << SHIFT) || leaf == 0 || leaves[leaf].is_directory;
}

static void set_attributes(fuse_ino_t id, struct stat *st)
{
	unsigned leaf = id & ((1 << SHIFT) - 1);
	*st = (struct stat){.st_ino = id, .st_nlink = 1, .st_mode = S_IFDIR | 0555, .st_blksize = 131072};
	if (!is_directory(id)) {
		st->st_mode = S_IFREG | 0444;
		st->st_size = leaves[leaf].size_bytes;
		st->st_blocks = (st->st_size + 511) / 512;
	}
}

static double timeout_of(fuse_ino_t id)
{
	return id >= (1 << SHIFT) && (id & ((1 << SHIFT) - 1)) ? FOR_EVER_S : 1;
}

/* The inode number of a name, 0 where there is none. */
static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	char *end;
	if (parent == FUSE_ROOT_ID)
		return strcmp(name, "images") == 0 ? IMAGES_ID : 0;
	if (parent == IMAGES_ID) {
		unsigned long i = strtoul(name, &end, 10);
		return strcmp(end, ".png") == 0 && i < nimages ? (i + 1) << SHIFT : 0;
	}
	fuse_ino_t base = parent >> SHIFT << SHIFT;
	for (unsigned leaf = 1; leaf <= nleaves; leaf++)
		if (leaves[leaf].parent == (parent - base) && strcmp(leaves[leaf].name, name) == 0)
			return base + leaf;
	return 0;
}

/* Entry number n of a directory; 0 after the last. */
static fuse_ino_t entry_at(fuse_ino_t directory, unsigned long n, char *name, size_t size)
{
	if (directory == FUSE_ROOT_ID || directory == IMAGES_ID) {
		if (n >= (directory == IMAGES_ID ? nimages : 1))
			return 0;
		if (directory == IMAGES_ID)
			snprintf(name, size, "%06lu.png", n);
		else
			snprintf(name, size, "images");
		return directory == IMAGES_ID ? (n + 1) << SHIFT : IMAGES_ID;
	}
	fuse_ino_t base = directory >> SHIFT << SHIFT;
	for (unsigned leaf = 1; leaf <= nleaves; leaf++)
		if (leaves[leaf].parent == (directory - base) && n-- == 0) {
			snprintf(name, size, "%s", leaves[leaf].name);
			return base + leaf;
		}
	return 0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want |=
		conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_readahead = 1 << 20;
}

static void set_entry(fuse_ino_t id, struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){.ino = id, .generation = 1};
	set_attributes(id, &entry->attr);
	entry->entry_timeout = entry->attr_timeout = timeout_of(id);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.entry_timeout = 1};
	fuse_ino_t id = find(parent, name);
	if (id)
		set_entry(id, &entry);
	fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	struct stat st;
	(void)info;
	set_attributes(id, &st);
	fuse_reply_attr(req, &st, timeout_of(id));
}

/* As pixfs, which has attributes of its own: none of this name. */
static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	(void)id, (void)size;
	fuse_reply_err(req, strncmp(name, "user.", 5) == 0 ? ENODATA : EOPNOTSUPP);
}

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	info->keep_cache = 1;
	info->noflush = 1;
	fuse_reply_open(req, info);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	static const char zeros[1 << 20];
	(void)info;
	off_t left = leaves[id & ((1 << SHIFT) - 1)].size_bytes - offset;
	size_t n = left < 0 ? 0 : (size_t)left < size ? (size_t)left : size;
	fuse_reply_buf(req, zeros, n < sizeof zeros ? n : sizeof zeros);
}

static void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id, (void)info;
	fuse_reply_err(req, 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	info->cache_readdir = 1;
	info->keep_cache = timeout_of(id) > 1;
	fuse_reply_open(req, info);
}

static void read_directory(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, int plus)
{
	char name[256];
	size_t used = 0;
	char *buffer = malloc(size);
	for (unsigned long n = (unsigned long)offset; buffer; n++) {
		struct fuse_entry_param entry;
		fuse_ino_t child = entry_at(id, n, name, sizeof name);
		if (!child)
			break;
		set_entry(child, &entry);
		size_t len = plus ? fuse_add_direntry_plus(req, buffer + used, size - used, name, &entry, (off_t)n + 1)
				  : fuse_add_direntry(req, buffer + used, size - used, name, &entry.attr, (off_t)n + 1);
		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buffer, used);
	free(buffer);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)info;
	read_directory(req, id, size, offset, 0);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)info;
	read_directory(req, id, size, offset, 1);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.getxattr = op_getxattr,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_release,
};

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: null_fs MOUNTPOINT N SPEC [-d]\n");
		return 2;
	}
	nimages = strtoul(argv[2], NULL, 10);
	read_spec(argv[3]);
	char *arguments[] = {argv[0], argc > 4 ? argv[4] : NULL, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(argc > 4 ? 2 : 1, arguments);
	struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
	if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[1]))
		return 1;
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return rc != 0;
}
