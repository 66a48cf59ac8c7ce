/* picture.c - from a frozen header to what can be shown of it: the default channels, the layers, the names of both. */
#include "picture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_NAME = 240, NAME_ROOM = 256 };

/* ---- names ---- */

void picture_encode_name(const char *name, char ret[256])
{
	size_t len = 0;
	for (const char *c = name; *c && len + 3 <= MAX_NAME; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte == '/' || byte == '%' || byte < 0x20 || byte == 0x7f || (byte == '.' && c == name))
			len += (size_t)snprintf(ret + len, 4, "%%%02X", byte);
		else
			ret[len++] = *c;
	}
	ret[len] = 0;
}

static const char *suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

static size_t prefix_length(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? (size_t)(dot - name) : 0;
}

/* R, G, B, A first, in this order; 4 for all others. */
static unsigned rank_of(const char *suffix)
{
	static const char *const order[] = {"R", "G", "B", "A"};
	for (unsigned i = 0; i < 4; i++)
		if (strcasecmp(suffix, order[i]) == 0)
			return i;
	return 4;
}

/* ---- choices of channels ---- */

/* Stable: the rest keeps the file's order. */
static void sort_channels(const struct codec_part *part, uint16_t *channels, uint32_t n)
{
	uint32_t sorted = 0;
	for (unsigned rank = 0; rank < 4; rank++)
		for (uint32_t i = sorted; i < n; i++) {
			uint16_t channel = channels[i];
			if (rank_of(suffix_of(part->channels[channel].name)) != rank)
				continue;
			memmove(&channels[sorted + 1], &channels[sorted], (i - sorted) * sizeof *channels);
			channels[sorted++] = channel;
		}
}

static int64_t find_channel(const struct codec_part *part, const char *name)
{
	for (uint32_t i = 0; i < part->nchannels; i++)
		if (strcmp(part->channels[i].name, name) == 0)
			return i;
	return -1;
}

/* Chooses the named channels that are there; 0 where one of the needed (all but A) is missing. */
static uint32_t choose(const struct codec_part *part, const char *const *names, uint16_t *ret_channels)
{
	uint32_t n = 0;
	for (; *names; names++) {
		int64_t at = find_channel(part, *names);
		if (at < 0 && strcmp(*names, "A") != 0)
			return 0;
		if (at >= 0)
			ret_channels[n++] = (uint16_t)at;
	}
	return n;
}

static const char *const rgba_names[] = {"R", "G", "B", "A", NULL}, *const ya_names[] = {"Y", "A", NULL},
				    *const cmyk_names[] = {"C", "M", "Y", "K", NULL};

static int choose_default(const struct codec_header *header, struct pictures *pictures)
{
	uint16_t chosen[4];
	uint32_t n = choose(&header->parts[0], rgba_names, chosen);
	pictures->default_part = 0;
	if (!n)
		n = choose(&header->parts[0], cmyk_names, chosen);
	if (!n)
		n = choose(&header->parts[0], ya_names, chosen);
	for (uint32_t part = 1; part < header->nparts && !n; part++) {
		n = choose(&header->parts[part], rgba_names, chosen);
		pictures->default_part = n ? part : 0;
	}
	const struct codec_part *part = &header->parts[pictures->default_part];
	pictures->ndefault = n ? n : part->nchannels;
	pictures->default_channels = calloc(pictures->ndefault, sizeof *pictures->default_channels);
	if (!pictures->default_channels)
		return -ENOMEM;
	for (uint32_t i = 0; i < pictures->ndefault; i++)
		pictures->default_channels[i] = n ? chosen[i] : (uint16_t)i;
	if (!n)
		sort_channels(part, pictures->default_channels, pictures->ndefault);
	return 0;
}

/* ---- layers ---- */

static void name_layer(const struct codec_header *header, uint32_t part, const char *prefix, size_t prefix_len, char ret[NAME_ROOM])
{
	char plain[1024], number[24];
	const char *part_name = "";
	if (header->nparts > 1) {
		snprintf(number, sizeof number, "part%u", part);
		part_name = *header->parts[part].name ? header->parts[part].name : number;
	}
	snprintf(plain, sizeof plain, "%s%s%.*s", part_name, *part_name && prefix_len ? "." : "", (int)prefix_len, prefix);
	picture_encode_name(*plain ? plain : "layer", ret);
}

static bool name_is_taken(const struct pictures *pictures, const char *name)
{
	for (uint32_t i = 0; i < pictures->nlayers; i++)
		if (strcmp(pictures->layers[i].name, name) == 0)
			return true;
	return false;
}

static char *unique_name(const struct pictures *pictures, const char *name)
{
	char candidate[NAME_ROOM + 16];
	snprintf(candidate, sizeof candidate, "%s", name);
	/* starts at the layer's own number: thousands of names that are alike when cut must not cost their cube */
	for (unsigned i = pictures->nlayers + 1; name_is_taken(pictures, candidate); i++)
		snprintf(candidate, sizeof candidate, "%s~%u", name, i);
	return strdup(candidate);
}

static bool same_prefix(const char *a, const char *b)
{
	size_t len = prefix_length(a);
	return len == prefix_length(b) && memcmp(a, b, len) == 0;
}

/* Adds the layer that `first` is the first channel of. */
static int add_layer(const struct codec_header *header, uint32_t part_index, uint32_t first, struct pictures *pictures)
{
	const struct codec_part *part = &header->parts[part_index];
	const char *name = part->channels[first].name;
	char encoded[NAME_ROOM];
	struct layer *grown = realloc(pictures->layers, (pictures->nlayers + 1) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	pictures->layers = grown;
	struct layer layer = {.part = part_index, .channels = calloc(part->nchannels, sizeof(uint16_t))};
	name_layer(header, part_index, name, prefix_length(name), encoded);
	layer.name = unique_name(pictures, encoded);
	if (!layer.name || !layer.channels) {
		free(layer.name);
		free(layer.channels);
		return -ENOMEM;
	}
	for (uint32_t i = first; i < part->nchannels; i++)
		if (same_prefix(name, part->channels[i].name))
			layer.channels[layer.nchannels++] = (uint16_t)i;
	sort_channels(part, layer.channels, layer.nchannels);
	pictures->layers[pictures->nlayers++] = layer;
	return 0;
}

static bool is_first_of_layer(const struct codec_part *part, uint32_t channel)
{
	for (uint32_t i = 0; i < channel; i++)
		if (same_prefix(part->channels[i].name, part->channels[channel].name))
			return false;
	return true;
}

int pictures_make(const struct codec_header *header, struct pictures *ret_pictures)
{
	struct pictures pictures = {0};
	int rc = choose_default(header, &pictures);
	for (uint32_t p = 0; p < header->nparts && rc == 0; p++) {
		const struct codec_part *part = &header->parts[p];
		for (uint32_t c = 0; c < part->nchannels && rc == 0; c++) {
			/* the root channels of a file of one part are the file's own directory */
			bool is_layer = header->nparts > 1 || prefix_length(part->channels[c].name) > 0;
			if (is_layer && is_first_of_layer(part, c))
				rc = add_layer(header, p, c, &pictures);
		}
	}
	if (rc)
		pictures_free(&pictures);
	else
		*ret_pictures = pictures;
	return rc;
}

void pictures_free(struct pictures *pictures)
{
	for (uint32_t i = 0; i < pictures->nlayers; i++) {
		free(pictures->layers[i].name);
		free(pictures->layers[i].channels);
	}
	free(pictures->layers);
	free(pictures->default_channels);
	*pictures = (struct pictures){0};
}

/* ---- pictures and levels ---- */

struct picture picture_default(const struct pictures *pictures, const struct codec_header *header, uint32_t level)
{
	return (struct picture){header, &header->parts[pictures->default_part], pictures->default_part, level, pictures->ndefault,
				pictures->default_channels};
}

struct picture picture_layer(const struct pictures *pictures, const struct codec_header *header, uint32_t layer, uint32_t level)
{
	const struct layer *l = &pictures->layers[layer];
	return (struct picture){header, &header->parts[l->part], l->part, level, l->nchannels, l->channels};
}

void picture_level_name(const struct codec_part *part, uint32_t level, char ret_name[24])
{
	if (part->levels_mode == LEVELS_RIP)
		snprintf(ret_name, 24, "%u,%u", level % part->nlevels_x, level / part->nlevels_x);
	else
		snprintf(ret_name, 24, "%u", level);
}

int64_t picture_level_find(const struct codec_part *part, const char *name)
{
	char candidate[24];
	for (uint32_t level = 0; level < part->nlevels; level++) {
		picture_level_name(part, level, candidate);
		if (strcmp(candidate, name) == 0)
			return level;
	}
	return -1;
}
