/* target.h - what the directory of an image shows: the opened image and the picture of it. */
#ifndef PIXFS_TARGET_H
#define PIXFS_TARGET_H

#include "image.h"
#include "fs/source/node.h"
#include "fs/view/view.h"

struct target {
	struct image *image; /* one reference */
	struct picture picture;
	bool is_file;  /* the directory of the file itself, not of a layer or a level */
	bool is_layer; /* of a layer, or of a level of one */
};

/* For a NODE_IMAGE, a NODE_PICTURE or what a view makes. Parses the header unless it is known. */
int target_open(struct node *node, struct target *ret_target, struct err *err);
void target_close(struct target *target);

/* The NODE_IMAGE that the node is or lies in. */
struct node *target_file(struct node *node);

/* Whether channels/ holds something that pixels doesn't. */
bool target_has_more_channels(const struct target *target);

/* channels/: the names, i below target_nchannels() * 2. And from a name to the index that its NODE_ARRAY has: of a channel of that
 * name, else of the only one whose last component it is. -ENOENT, or -EINVAL with words where several have it. */
uint32_t target_nchannels(const struct target *target);
void target_channel_name(const struct target *target, uint32_t i, char ret_name[300]);
int64_t target_channel_find(const struct target *target, const char *name, struct err *err);

/* The view behind a NODE_ARRAY or a NODE_CHUNK; of a NODE_ZARR the one that makes its zarr.json. */
int target_view(const struct target *target, const struct node *array, struct view **ret_view, struct err *err);

#endif
