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
/* Whether the node is what the root shows. */
bool walk_is_top(const struct node *node);

/* The child of a NODE_DIR or NODE_ARCHIVE, with one more reference. -ENOENT, or why the directory can't be read. */
int walk_lookup(struct node *dir, const char *name, struct node **ret_node, struct err *err);

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

/* Whether the directory lies on the host, and if so what it is now: its id changes when names come or go. */
int walk_dir_id(const struct node *dir, bool *ret_on_host, struct file_id *ret_id, struct err *err);

/* The index of a NODE_ARCHIVE, opened now if need be, borrowed for as long as the node is. The error is remembered. */
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
