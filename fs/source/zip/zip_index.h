/* zip_index.h - what an archive's index is made of. Internal to fs/zip*.c.
 *
 * nodes[0] is the root. Names lie behind each other in one block, NUL-terminated, each kept once. The table finds
 * (parent, name); it is open-addressed, holds node numbers, has a power of two slots and is never more than 3/4 full.
 * While the index is built, nodes are appended and renamed; afterwards nothing changes.
 */
#ifndef PIXFS_ZIP_INDEX_H
#define PIXFS_ZIP_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zip.h"
#include "zip_directory.h"
#include "zip_names.h"

/* Bits of a node. */
enum {
	ZIP_NODE_KIND = 3, /* enum archive_kind */
	ZIP_NODE_ENCRYPTED = 4,
	ZIP_NODE_OVERLAPS = 8,    /* shares bytes with another entry */
	ZIP_NODE_DAMAGED = 16,    /* its record lacks a value */
	ZIP_NODE_PATCHED = 32,    /* compressed patched data, 4.4.4 bit 5 */
	ZIP_NODE_SYMLINK = 64,    /* stored as a symbolic link; kind says whether it is shown as one */
	ZIP_NODE_LZMA_MARK = 128, /* 4.4.4 bit 1, which for LZMA says that the data ends with a mark */
	ZIP_NODE_LOST = 1 << 15,  /* has no local header where it should; only while that is looked for */
};

struct zip_node {
	uint64_t offset; /* of the local header, from the archive's first byte; UINT64_MAX: outside */
	union {
		uint64_t packed_bytes; /* of files and links */
		uint64_t nchildren;    /* of a directory */
	};
	uint64_t size_bytes;
	int64_t mtime_s;
	uint32_t name; /* where it starts in names */
	uint32_t parent, next;
	union {
		uint32_t crc32; /* of files and links */
		uint32_t first; /* child of a directory */
	};
	uint16_t method;
	uint16_t mode;
	uint16_t bits;
};

struct archive {
	atomic_uint refs;
	struct bytes *bytes;
	uint64_t max_entry_bytes;
	uint64_t directory_start; /* entries lie before the central directory */
	struct zip_node *nodes;
	uint32_t nnodes, nodes_room;
	char *names;
	size_t names_bytes, names_room_bytes;
	uint32_t *table;
	size_t table_slots;
	uint64_t seed;      /* of the table's hash: nobody can prepare names that collide */
	uint64_t max_bytes; /* the index may not occupy more: names can make far more directories than they have bytes */
	uint32_t *order;    /* files by offset, NULL where their numbers already are in that order */
	uint32_t nfiles;    /* in order */
	char encoding[ZIP_ENCODING_BYTES];
};

static inline unsigned zip_node_kind(const struct zip_node *node)
{
	return node->bits & ZIP_NODE_KIND;
}

static inline bool zip_node_has_data(const struct zip_node *node)
{
	return zip_node_kind(node) != ARCHIVE_DIR;
}

/* ---- zip_tree.c ---- */

/* Makes the root and room for about that many entries whose directory has directory_bytes. 0, -ENOMEM, -EFBIG. */
int zip_tree_init(struct archive *archive, uint64_t expected, uint64_t directory_bytes, struct err *err);

/* A list of nodes that lost their name to a later one. */
struct zip_losers {
	uint32_t *nodes;
	uint32_t count, room;
};

/* The directory of that name in parent, made where it is missing. A file of that name loses it. */
int zip_tree_directory(struct archive *archive, uint32_t parent, const char *name, size_t len_bytes, struct zip_losers *losers,
		       uint32_t *ret_node, struct err *err);
/* Adds a file or link; an earlier one of that name loses it, a directory keeps it. */
int zip_tree_file(struct archive *archive, uint32_t parent, const char *name, size_t len_bytes, const struct zip_node *node,
		  struct zip_losers *losers, struct err *err);
/* Gives each loser the first free "name (k)", in the archive's order; sorts the list. */
int zip_tree_rename(struct archive *archive, struct zip_losers *losers, struct err *err);
/* Chains the children of each directory in the archive's order and gives back what was allocated in advance. */
void zip_tree_finish(struct archive *archive);

/* The path of a node from the archive's root, its front cut to fit, ending in name, or where that is NULL in the node's own. */
void zip_tree_path(const struct archive *archive, uint32_t node, const char *name, char *ret_path, size_t room_bytes);

/* ---- zip_offset.c ---- */

/* Whether no entry can be at that place: it is behind all of them, or in what lies in front of the archive. */
bool zip_offset_is_odd(const struct zip_place *place, uint64_t offset);
/* Looks for each entry that has no local header where it should, where it must be if other offsets count what lies in front, and
 * behind the entry before. The files are sorted; the caller sorts them anew where any moved. 0 or a read's error. */
int zip_offset_find(struct archive *archive, const struct zip_place *place, uint32_t *ret_moved, struct err *err);
/* Whether all numbers of the archive are modulo 2^32. */
bool zip_offset_is_modulo(const struct zip_place *place);
/* Completes the offsets of such an archive by the local headers. 0 or a read's error. */
int zip_offset_complete(struct archive *archive, struct err *err);
/* Completes its sizes; the files are sorted. */
void zip_offset_complete_sizes(struct archive *archive);

/* ---- zip_overlap.c ---- */

/* Sorts the files by offset, also anew. 0 or -ENOMEM. */
int zip_overlap_sort(struct archive *archive, struct err *err);
/* Marks all entries that share bytes with another or with the central directory; *ret_count: how many. They are sorted. */
void zip_overlap_mark(struct archive *archive, uint32_t *ret_count);
/* Where the next entry or the central directory starts: the data of `node` must end there at the latest. */
uint64_t zip_overlap_limit(const struct archive *archive, uint32_t node);

#endif
