/* rows.h - the table of what directories hold besides the source's own names. Inner side of tree.c and text.c. */
#ifndef PIXFS_ROWS_H
#define PIXFS_ROWS_H

#include <sys/stat.h>

#include "fs/open/handle.h"
#include "fs/source/node.h"
#include "fs/base/patience.h"
#include "fs/image/target.h"
#include "fs/store/texts.h"

/* Continues the folders of node.h. */
enum {
	ROW_ATTRIBUTES = ROW_FOLDERS_END,
	ROW_PIXELS_F32,
	ROW_PIXELS_NPY,
	ROW_META,
	ROW_SOURCE,
	ROW_ERROR,
	ROW_VIEWS_README,
	ROW_PALETTE,
	ROW_ZARR_JSON,
	ROW_STATUS,
	ROW_STACK_README,
	ROW_PREFETCH,
	ROW_STATUS_FIRST,
	ROW_ERRORS = ROW_STATUS_FIRST + 2,
	ROW_CONFIG = ROW_STATUS_FIRST + 4,
	ROW_STATUS_LAST = ROW_STATUS_FIRST + 5,
	ROW_BLOB_FIRST = 64, /* the files of attributes/, in the header's order */
	ROW_BLOB_LAST = 255,
};

/* .pixfs/ of the root and what tells of the mount there: answered without a look at the source. */
static inline bool row_is_status(unsigned row)
{
	return row == ROW_STATUS || row == ROW_PREFETCH || (row >= ROW_STATUS_FIRST && row <= ROW_STATUS_LAST);
}

/* What a row needs to know of the directory it stands in. */
struct folder {
	struct node *node;
	bool is_image, broken; /* an image or its part; a header (or an archive's index) that can't be read: err says why */
	struct target target;  /* of an image that is not broken */
	struct err err;
};

/* A directory or archive of the source: its names come from walk.c. */
static inline bool tree_is_container(const struct node *node)
{
	return node->kind == NODE_DIR || node->kind == NODE_ARCHIVE;
}

/* Opens the directory's header as far as it has one. Never fails: what went wrong is in folder->err. */
void folder_open(struct node *node, struct folder *ret_folder);
/* For the rows of row_is_status: the source is not looked at. */
void folder_open_status(struct node *node, struct folder *ret_folder);
void folder_close(struct folder *folder);

enum row_type { ROW_FOLDER, ROW_ARRAY, ROW_TEXT, ROW_BYTES, ROW_SINK };

struct row {
	uint8_t row, parent; /* the row that it stands in; ROW_SELF: the node's own directory */
	uint8_t type;        /* enum row_type */
	const char *name;    /* NULL: row_name() makes it */
	bool (*is_listed)(const struct folder *folder);
	bool (*resolves)(const struct folder *folder);
	int (*make)(const struct folder *folder, char **ret_text, size_t *ret_len_bytes); /* ROW_TEXT */
};

extern const struct row row_table[];
extern const size_t row_count;

/* The row of that number, also for the files of attributes/; NULL where there is none. */
const struct row *row_find(unsigned row);
/* Its name in this directory; buffer is used where it has to be made. */
const char *row_name(const struct row *row, unsigned number, const struct folder *folder, char buffer[300]);

/* A view below `row` of the node that can't be made, EINVAL or EFBIG, is told in errors.jsonl: each once. */
void row_report_view(const struct node *node, unsigned row, const char *name, const struct err *err);

/* The view behind an array of the tree (pixels.*, or of a NODE_ARRAY, a NODE_ZARR, a NODE_CHUNK), with what it shows. Both are the
 * caller's on success. */
int row_open_view(struct place place, struct target *ret_target, struct view **ret_view, struct err *err);

/* tree_stack.c. The node of a place below .pixfs/stack/ that carries its stack, NULL elsewhere; look-up of a name there; size and
 * opening of a file there, zarr.json and chunks included. */
const struct node *tree_stack_node(const struct node *node);
int tree_stack_lookup(struct node *dir, const char *name, const struct patience *patience, struct node_spec *ret_spec,
		      struct err *err);
int tree_stack_size(struct place place, uint64_t *ret_size, struct err *err);
int tree_stack_open(struct place place, struct caller *caller, const struct patience *patience, struct handle **ret_handle,
		    struct err *err);
/* Its shape and type; a stack's error otherwise. */
int tree_stack_array(const struct node *node, struct zarr *ret_zarr, struct err *err);
/* The array of a NODE_ZARR, without its spec. */
int tree_zarr(struct node *node, struct zarr *ret_zarr, struct err *err);
int text_stack_readme(const struct folder *folder, char **ret_text, size_t *ret_len_bytes);

/* tree_stat.c: attributes, of which *st has what the host said just now (st_nlink 0: it didn't). */
int tree_stat_found(struct place place, struct stat *st, struct err *err);

/* text.c */
int text_meta(const struct folder *folder, char **ret_text, size_t *ret_len_bytes);
/* The same of an image whose header could be read, kept for the next who asks; one reference, NULL: no memory. */
struct text *text_meta_kept(const struct folder *folder);
int text_error(const struct folder *folder, char **ret_text, size_t *ret_len_bytes);
int text_views_readme(const struct folder *folder, char **ret_text, size_t *ret_len_bytes);
/* attributes/palette.npy: uint8 (n, 4), R G B A as the file stores them, 255 where it has no alpha. */
int text_palette(const struct folder *folder, char **ret_text, size_t *ret_len_bytes);

#endif
