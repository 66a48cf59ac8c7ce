/* target.c - see target.h. */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/facts/channel.h"
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

enum { LONG_STEM_BYTES = 230 }; /* names from here on may have been cut: picture_encode_name */

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What picture_encode_name makes text of, as far as it wasn't cut. Returns its length. */
static size_t decode_name(const char *text, size_t len, char ret[256])
{
	size_t n = 0;
	for (size_t i = 0; i < len && n < 255; i++) {
		int high = text[i] == '%' && i + 2 < len ? hex_value(text[i + 1]) : -1;
		int low = high < 0 ? -1 : hex_value(text[i + 2]);
		ret[n++] = low < 0 ? text[i] : (char)(high * 16 + low);
		i += low < 0 ? 0 : 2;
	}
	ret[n] = 0;
	return n;
}

static bool is_shown_as(const struct codec_channel *channel, const char *stem, size_t len)
{
	char encoded[256];
	picture_encode_name(channel->name, encoded);
	return strlen(encoded) == len && memcmp(encoded, stem, len) == 0;
}

/* Whether the channel of the part is one of the target's: a layer's directory has those of the layer. */
static bool has_channel(const struct target *target, const struct codec_channel *channel)
{
	const struct picture *picture = &target->picture;
	return !target->is_layer || channel_same_layer(channel->name, picture->part->channels[picture->channels[0]].name);
}

/* The only channel whose last component is shown as that. */
static int64_t find_component(const struct target *target, const char *component, struct err *err)
{
	const struct codec_part *part = target->picture.part;
	int64_t found = -ENOENT;
	for (uint32_t i = 0; i < part->nchannels; i++) {
		if (strcmp(channel_component(part->channels[i].name), component) != 0 || !has_channel(target, &part->channels[i]))
			continue;
		if (found >= 0)
			return err_set(err, -EINVAL, "several channels are called %.60s: %.60s, %.60s and perhaps more", component,
				       part->channels[found].name, part->channels[i].name);
		found = i;
	}
	return found;
}

int64_t target_channel_find(const struct target *target, const char *name, struct err *err)
{
	const char *extension = strrchr(name, '.');
	char plain[256];
	if (!extension || (strcmp(extension, ".f32") != 0 && strcmp(extension, ".npy") != 0))
		return -ENOENT;
	size_t len = (size_t)(extension - name), plain_len = decode_name(name, len, plain);
	const struct codec_channel *channels = target->picture.part->channels;
	int64_t found = pictures_find_channel(image_pictures(target->image), image_header(target->image),
					      target->picture.part_index, plain, plain_len);
	bool whole = found >= 0 && (len >= LONG_STEM_BYTES || strlen(channels[found].name) == plain_len);
	if (!whole || !is_shown_as(&channels[found], name, len) || !has_channel(target, &channels[found]))
		found = find_component(target, plain, err);
	return found < 0 ? found : found * 2 + (extension[1] == 'n');
}

int target_view(const struct target *target, const struct node *array, struct view **ret_view, struct err *err)
{
	if (array->kind == NODE_CHUNK)
		return view_compile_chunk(&target->picture, array->parent->name, array->index, ret_view, err);
	if (array->row == ROW_VIEWS)
		return view_compile(&target->picture, array->name, ret_view, err);
	return view_compile_channel(&target->picture, array->index / 2, array->index % 2, ret_view, err);
}
