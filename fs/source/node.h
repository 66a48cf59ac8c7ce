/* node.h - identity: what the kernel holds on to.
 *
 * A node is a thing of the tree that has to be remembered while the kernel (or a child, or an open file) refers to it:
 *
 *   NODE_DIR NODE_FILE NODE_LINK   a directory, plain file or symlink, on the host or in an archive
 *   NODE_ARCHIVE                   an archive, shown as a directory
 *   NODE_IMAGE                     an image file, shown as a directory
 *   NODE_PICTURE                   a layer or a level of an image: an image directory within it
 *   NODE_ARRAY                     an array found by name: below views/ or channels/
 *   NODE_STACK                     an array found by name below .pixfs/stack/ of a directory
 *   NODE_ZARR                      a Zarr array found by name in either: a directory
 *   NODE_CHUNK                     a chunk of it
 *
 * The fixed files of a directory (pixels.f32, meta.json, views/ ...) need no node of their own: a place is a node and a
 * row of tree.c's table, packed into one number for the kernel. Row 0 is the node itself.
 *
 *   table     references   what may happen
 *   current   > 0          found by (parent, row, name): shared by all who look it up
 *   replaced  > 0          its source is another version now: a new node has the name; this one lives for who still holds it
 *   -         0            freed, and its reference on its parent with it
 *
 * st_ino is no such number but a hash of the path (and of the host's own inode): the same at the next mount, unique but
 * for a chance of n^2 / 2^65, and not reused, because another file has another one.
 */
#ifndef PIXFS_NODE_H
#define PIXFS_NODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "file.h"
#include "fs/source/zip/zip.h"

enum node_kind {
	NODE_DIR,
	NODE_FILE,
	NODE_LINK,
	NODE_ARCHIVE,
	NODE_IMAGE,
	NODE_PICTURE,
	NODE_ARRAY,
	NODE_STACK,
	NODE_ZARR,
	NODE_CHUNK
};

/* The rows of tree.c's table below which nodes lie; the rest of the table is tree.c's. */
enum { ROW_SELF, ROW_CHANNELS, ROW_LAYERS, ROW_MIPS, ROW_VIEWS, ROW_STACK, ROW_FOLDERS_END };

/* An archive's index, opened when its directory is first entered. */
struct archive_slot {
	pthread_mutex_t lock;
	struct archive *archive; /* NULL until then, and where err says why there is none */
	struct err err;
	uint64_t serial; /* of the open archive, see archives.h */
	bool is_deep;    /* counted in node_deep_archives */
};

/* Open archives that lie in an archive in an archive, or deeper. */
extern atomic_uint node_deep_archives;

struct node {
	struct node *parent, *bucket_next;
	uint64_t ino;
	uint32_t refs; /* the kernel's look-ups + children + open files; under the table's lock */
	uint8_t kind;  /* enum node_kind */
	uint8_t row;   /* the parent's row that this lies below: 0, or channels/ views/ layers/ mips/ stack/ */
	bool current, in_archive;
	bool is_hidden;  /* a NODE_DIR that is this mount itself or another pixfs: shown as an empty directory, never looked into */
	bool followed;   /* on the host by a symlink that is shown as its target */
	bool shows_file; /* the root of a SOURCE that is one file: its only child, which has no name in paths */
	atomic_bool checked;       /* a plain file in an archive: its CRC-32 was right */
	uint32_t index;            /* in_archive: the entry; NODE_PICTURE: the layer or level; NODE_CHUNK: its number;
				    * below .pixfs/stack/: its stack's number */
	uint32_t uid, gid;         /* on the host */
	uint16_t mode;             /* st_mode of the source on the host */
	struct file_id id;         /* on the host; of a NODE_FILE: the version last opened, under the table's lock */
	uint64_t volumes;          /* NODE_ARCHIVE on the host: the version of its other files, see volumes.h */
	struct archive_slot *slot; /* NODE_ARCHIVE */
	char name[];
};

/* What a new node is made from. */
struct node_spec {
	enum node_kind kind;
	bool in_archive, followed, is_hidden;
	uint32_t index;
	struct file_id id;
	uint32_t uid, gid, mode;
	uint64_t ino_salt; /* the host's inode number of the directory entry, else 0 */
	uint64_t volumes;
};

/* Made by a view or a stack. */
static inline bool node_is_view(const struct node *node)
{
	return node->kind >= NODE_ARRAY;
}

struct place {
	struct node *node;
	unsigned row;
};

int node_start(void); /* 0 or -ENOMEM */
void node_stop(void);

/* The root; never forgotten. NULL: no memory. name: its path below the root directory's descriptor ("" for a directory). */
struct node *node_root_new(const struct node_spec *spec, const char *name);
void node_root_free(struct node *root);

/* The child of that name, found or made, with one more reference. A node whose version (id, kind or index) is another one is
 * replaced. NULL: no memory. */
struct node *node_child(struct place parent, const char *name, const struct node_spec *spec);

void node_ref(struct node *node);
void node_unref(struct node *node, uint64_t count);

/* For a plain file on the host: remembers the version that is opened now; true where the one before was the same. */
bool node_exchange_id(struct node *node, const struct file_id *now);

/* st_ino of a child, also of one that has no node (yet). */
uint64_t node_child_ino(struct place parent, const char *name, uint64_t salt);
uint64_t node_ino(struct place place);

/* Numbers for the kernel; 1 is the root. */
uint64_t node_to_id(struct place place);
struct place node_from_id(uint64_t id, struct node *root);

/* The path below the root of the mount, without a leading '/': "" for the root. Cut to len_bytes where it is too long. */
void node_path(const struct node *node, char *ret, size_t len_bytes);
/* The path below the source's descriptor of a node on the host; -ENAMETOOLONG where it doesn't fit. */
int node_host_path(const struct node *node, char *ret, size_t len_bytes);

/* The nearest node, itself included, that lies on the host: its id, uid and times are those of all below it. */
const struct node *node_on_host(const struct node *node);
/* The nearest archive above, NULL where there is none. */
struct node *node_archive(const struct node *node);

#endif
