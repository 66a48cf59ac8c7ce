/* walk.h - directories and archives: names -> nodes, and listings that open no image and no archive.
 * What a name is follows from its extension and from the host's file type alone. */
#ifndef PIXFS_WALK_H
#define PIXFS_WALK_H

#include "fs/image/image.h"
#include "node.h"

/* Which names are archives; closed by NULL. */
extern const char *const walk_archive_extensions[];

/* The source tree of this process; constant after walk_start. */
extern int walk_root_fd;
extern struct node *walk_root;

/* Opens SOURCE, a directory, an archive or an image, and makes the root node. 0, -ENOENT, -EACCES ..., or -EINVAL where it
 * is none of the three. */
int walk_start(const char *source, struct err *err);
void walk_stop(void);

/* Where SOURCE is one file the root shows that file, and another node for each version of it: the present one, with one
 * more reference (*place is the root until then). Any other place: the same, with one more reference. */
int walk_enter(struct place *place, struct err *err);
/* The same without asking the source: of a file the version that was seen last. For what tells of the mount itself. */
int walk_enter_known(struct place *place, struct err *err);
/* Whether the node is what the root shows. */
bool walk_is_top(const struct node *node);

/* A directory of the host that is still the one that its node stands for, held open: for one look-up, or one after the other.
 * Of a directory in an archive it is nothing. */
struct walk_at {
	struct node *dir; /* borrowed */
	int fd;           /* -1: none */
};
/* -ESTALE where another directory (or a way out of SOURCE) has taken its place. */
int walk_at_open(struct node *dir, struct walk_at *ret_at, struct err *err);
void walk_at_close(struct walk_at *at);

/* The child of a NODE_DIR or NODE_ARCHIVE, with one more reference. -ENOENT, or why the directory can't be read. ret_stat (may be
 * NULL): the attributes on the host, st_nlink 0 where it lies in an archive. */
int walk_lookup_at(const struct walk_at *at, const char *name, struct node **ret_node, struct stat *ret_stat, struct err *err);
int walk_lookup(struct node *dir, const char *name, struct node **ret_node, struct err *err);

/* What a directory, plain file or link of the host is now; -ESTALE where it is not the one that the node stands for. */
int walk_stat(const struct node *node, struct stat *ret_stat, struct err *err);
/* Opens it with these flags of open(), checked likewise. A descriptor, or a negative errno with words. */
int walk_open_node(const struct node *node, int flags, struct stat *ret_stat, struct err *err);

struct walk_entry {
	const char *name; /* valid until the next call */
	enum node_kind kind;
	uint64_t ino;  /* st_ino */
	uint64_t next; /* where the listing goes on after this entry; never 0 */
};

/* A listing; for one thread at a time. "." and ".." are left out. */
struct walk;
int walk_open(struct node *dir, struct walk **ret_walk, struct err *err);
void walk_close(struct walk *walk); /* NULL is fine */
/* The entry at offset (0: the first; else a `next`). 1, 0 at the end, or a negative errno. */
int walk_next(struct walk *walk, uint64_t offset, struct walk_entry *ret_entry);
/* For looking up what comes next of a listing: as walk_at_open, but the listing's own descriptor, borrowed. */
int walk_next_at(const struct walk *walk, struct walk_at *ret_at, struct err *err);

/* Whether the directory lies on the host, and if so what it is now: its id changes when names come or go. */
int walk_dir_id(const struct node *dir, bool *ret_on_host, struct file_id *ret_id, struct err *err);

/* The index of a NODE_ARCHIVE (walk_archive.c), opened now if need be, borrowed for as long as the node is. The error is
 * remembered. */
int walk_archive(struct node *node, struct archive **ret_archive, struct err *err);

/* -ESTALE where the file on the host that the node lies in is another version now; 0 else. */
int walk_check_fresh(const struct node *node, struct err *err);

/* How to open a NODE_IMAGE, or the plain file or link in an archive that node is. Strings lie in *ret_spec's own buffers. */
struct walk_spec {
	struct image_spec image;
	char path[4096], host_path[4096];
};
int walk_image_spec(struct node *node, struct walk_spec *ret_spec, struct err *err);

#endif
