/* target.c - see target.h. */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/source/walk.h"

struct node *target_file(struct node *node)
{
	while (node->kind == NODE_PICTURE || node_is_view(node))
		node = node->parent;
	return node;
}

static void choose_picture(const struct node *node, struct target *target)
{
	int64_t layer = -1, level = 0;
	for (; node->kind != NODE_IMAGE; node = node->parent) {
		if (node->kind == NODE_PICTURE && node->row == ROW_LAYERS)
			layer = node->index;
		else if (node->kind == NODE_PICTURE)
			level = node->index;
	}
	const struct codec_header *header = image_header(target->image);
	const struct pictures *pictures = image_pictures(target->image);
	target->picture = layer < 0 ? picture_default(pictures, header, (uint32_t)level)
				    : picture_layer(pictures, header, (uint32_t)layer, (uint32_t)level);
	target->is_layer = layer >= 0;
}

int target_open(struct node *node, struct target *ret_target, struct err *err)
{
	struct walk_spec *spec = malloc(sizeof *spec);
	if (!spec)
		return err_set(err, -ENOMEM, "no memory");
	struct node *file = target_file(node);
	int rc = walk_image_spec(file, spec, err);
	if (rc == 0)
		rc = image_get(&spec->image, &ret_target->image, err);
	free(spec);
	if (rc)
		return rc;
	while (node_is_view(node))
		node = node->parent;
	choose_picture(node, ret_target);
	ret_target->is_file = node == file;
	return 0;
}

void target_close(struct target *target)
{
	image_unref(target->image);
	target->image = NULL;
}

bool target_has_more_channels(const struct target *target)
{
	return !target->is_layer && target->picture.nchannels < target->picture.part->nchannels;
}

/* ---- channels/ ---- */

/* A layer's directory has the channels of the layer, all others those of the part. */
static uint32_t channel_at(const struct target *target, uint32_t i)
{
	return !target->is_layer ? i : target->picture.channels[i];
}

uint32_t target_nchannels(const struct target *target)
{
	return !target->is_layer ? target->picture.part->nchannels : target->picture.nchannels;
}

void target_channel_name(const struct target *target, uint32_t i, char ret_name[300])
{
	char encoded[256];
	picture_encode_name(target->picture.part->channels[channel_at(target, i / 2)].name, encoded);
	snprintf(ret_name, 300, "%s.%s", encoded, i % 2 ? "npy" : "f32");
}

int64_t target_channel_find(const struct target *target, const char *name)
{
	char candidate[300];
	for (uint32_t i = 0; i < target_nchannels(target) * 2; i++) {
		target_channel_name(target, i, candidate);
		if (strcmp(candidate, name) == 0)
			return i;
	}
	return -1;
}

int target_view(const struct target *target, const struct node *array, struct view **ret_view, struct err *err)
{
	if (array->kind == NODE_CHUNK)
		return view_compile_chunk(&target->picture, array->parent->name, array->index, ret_view, err);
	if (array->row == ROW_VIEWS)
		return view_compile(&target->picture, array->name, ret_view, err);
	return view_compile_channel(&target->picture, channel_at(target, array->index / 2), array->index % 2, ret_view, err);
}
