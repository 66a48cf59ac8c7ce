/* picture.c - from a frozen header to what can be shown of it: the default channels, the layers, the names of both. */
#include "picture.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/facts/channel.h"
#include "picture_main.h"

enum { MAX_NAME = 240, NAME_ROOM = 256 };

/* ---- names ---- */

/* Length without the UTF-8 sequence that the end may cut. */
static size_t whole_length(const char *text, size_t len)
{
	size_t start = len;
	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0xc0)
		return start - 1;
	return len; /* ASCII, or no UTF-8 at all */
}

void picture_encode_name(const char *name, char ret[256])
{
	const char *c = name;
	size_t len = 0;
	for (; *c && len + 3 <= MAX_NAME; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte == '/' || byte == '%' || byte < 0x20 || byte == 0x7f || (byte == '.' && c == name))
			len += (size_t)snprintf(ret + len, 4, "%%%02X", byte);
		else
			ret[len++] = *c;
	}
	ret[*c ? whole_length(ret, len) : len] = 0;
}

/* R, G, B, A first, in this order; 4 for all others. */
static unsigned rank_of(const struct codec_channel *channel)
{
	char letter = channel_letter(channel->name);
	return letter == 'R' ? 0 : letter == 'G' ? 1 : letter == 'B' ? 2 : letter == 'A' ? 3 : 4;
}

/* ---- choices of channels ---- */

/* Stable: the rest keeps the file's order. */
static void sort_channels(const struct codec_part *part, uint16_t *channels, uint32_t n)
{
	uint32_t sorted = 0;
	for (unsigned rank = 0; rank < 4; rank++)
		for (uint32_t i = sorted; i < n; i++) {
			uint16_t channel = channels[i];
			if (rank_of(&part->channels[channel]) != rank)
				continue;
			memmove(&channels[sorted + 1], &channels[sorted], (i - sorted) * sizeof *channels);
			channels[sorted++] = channel;
		}
}

/* ---- groups of channels ---- */

static int compare_prefix(const struct grouped *a, const struct grouped *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->prefix, b->prefix, len);
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_prefix(const void *left, const void *right)
{
	const struct grouped *a = left, *b = right;
	int order = compare_prefix(a, b);
	return order ? order : (a->channel > b->channel) - (a->channel < b->channel);
}

static int by_first(const void *left, const void *right)
{
	const struct grouped *a = left, *b = right;
	int order = (a->first > b->first) - (a->first < b->first);
	return order ? order : (a->channel > b->channel) - (a->channel < b->channel);
}

/* One entry a channel; NULL: no memory. Sorted, not searched: a hostile file has many thousand channels. */
static struct grouped *group_channels(const struct codec_part *part)
{
	struct grouped *grouped = calloc(part->nchannels, sizeof *grouped);
	if (!grouped)
		return NULL;
	for (uint32_t i = 0; i < part->nchannels; i++)
		grouped[i] = (struct grouped){part->channels[i].name, channel_layer_bytes(part->channels[i].name), i, i};
	qsort(grouped, part->nchannels, sizeof *grouped, by_prefix);
	for (uint32_t i = 1; i < part->nchannels; i++)
		if (compare_prefix(&grouped[i], &grouped[i - 1]) == 0)
			grouped[i].first = grouped[i - 1].first;
	qsort(grouped, part->nchannels, sizeof *grouped, by_first);
	return grouped;
}

/* The end of the group that starts at i. */
static uint32_t group_end(const struct grouped *grouped, uint32_t i, uint32_t n)
{
	uint32_t end = i + 1;
	while (end < n && grouped[end].first == grouped[i].first)
		end++;
	return end;
}

/* R, G, B, A of a group first, then the rest as in the file, without those that are shown as colours. Returns how many. */
static uint32_t take_group(const struct codec_part *part, const struct grouped *group, uint32_t n, uint16_t *ret_channels)
{
	uint32_t taken = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!part->channels[group[i].channel].folded)
			ret_channels[taken++] = (uint16_t)group[i].channel;
	sort_channels(part, ret_channels, taken);
	return taken;
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

/* Adds the layer of a group; its name is still what the file says, see make_unique. */
static int add_layer(const struct codec_header *header, uint32_t part_index, const struct grouped *group, uint32_t n,
		     struct pictures *pictures)
{
	char encoded[NAME_ROOM];
	name_layer(header, part_index, group->prefix, group->len, encoded);
	struct layer layer = {strdup(encoded), part_index, n, calloc(n, sizeof *layer.channels)};
	if (!layer.name || !layer.channels) {
		free(layer.name);
		free(layer.channels);
		return -ENOMEM;
	}
	layer.nchannels = take_group(&header->parts[part_index], group, n, layer.channels);
	pictures->layers[pictures->nlayers++] = layer;
	return 0;
}

static int add_part(const struct codec_header *header, uint32_t part_index, const struct grouped *grouped,
		    struct pictures *pictures)
{
	const struct codec_part *part = &header->parts[part_index];
	struct layer *grown = realloc(pictures->layers, (pictures->nlayers + part->nchannels) * sizeof *grown);
	int rc = grown ? 0 : -ENOMEM;
	pictures->layers = grown ? grown : pictures->layers;
	for (uint32_t i = 0, end; i < part->nchannels && !rc; i = end) {
		end = group_end(grouped, i, part->nchannels);
		/* the root channels of a file of one part are the file's own directory */
		if (header->nparts > 1 || grouped[i].len > 0)
			rc = add_layer(header, part_index, grouped + i, end - i, pictures);
	}
	return rc;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep_key(void *key)
{
	(void)key; /* the tree borrows the names */
}

/* Whether name is new to the tree, and then it is in it. -ENOMEM. */
static int insert_name(void **names, const char *name)
{
	const char *const *node = tsearch(name, names, compare_text);
	return !node ? -ENOMEM : *node == name;
}

/* Gives a layer whose name is taken the first of "name~2", "name~3", ... that isn't. *counter is where the search for this
 * name starts, so that thousands of equal names stay cheap. */
static int rename_layer(void **names, struct layer *layer, unsigned *counter)
{
	char *renamed;
	int fresh = 0;
	while (!fresh) {
		if (asprintf(&renamed, "%s~%u", layer->name, (*counter)++) < 0)
			return -ENOMEM;
		fresh = insert_name(names, renamed);
		if (fresh <= 0)
			free(renamed);
	}
	if (fresh < 0)
		return fresh;
	free(layer->name);
	layer->name = renamed;
	return 0;
}

static int by_name(const void *left, const void *right)
{
	const struct layer *a = *(struct layer *const *)left, *b = *(struct layer *const *)right;
	int order = strcmp(a->name, b->name);
	return order ? order : (a > b) - (a < b);
}

/* Of layers with one name the first keeps it. All names that the file has go first. */
static int make_unique(struct pictures *pictures)
{
	struct layer **sorted = calloc(pictures->nlayers + 1, sizeof *sorted);
	void *names = NULL;
	const char *name = NULL; /* of the run of equal names, owned by its first layer */
	unsigned counter = 2;
	int rc = sorted ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < pictures->nlayers && rc >= 0; i++) {
		sorted[i] = &pictures->layers[i];
		rc = insert_name(&names, pictures->layers[i].name);
	}
	if (rc >= 0)
		qsort(sorted, pictures->nlayers, sizeof(struct layer *), by_name);
	for (uint32_t i = 0; i < pictures->nlayers && rc >= 0; i++) {
		if (name && strcmp(name, sorted[i]->name) == 0) {
			rc = rename_layer(&names, sorted[i], &counter);
		} else {
			name = sorted[i]->name;
			counter = 2;
		}
	}
	tdestroy(names, keep_key);
	free(sorted);
	return rc < 0 ? rc : 0;
}

/* All channels of part 0, layer by layer, where nothing is the main picture. */
static int choose_default(const struct codec_header *header, const struct main_choice *found, struct pictures *pictures)
{
	const struct codec_part *part = &header->parts[found->n ? found->part : 0];
	struct grouped *grouped = found->n ? NULL : group_channels(part);
	pictures->default_part = found->n ? found->part : 0;
	pictures->default_channels = calloc(found->n ? found->n : part->nchannels, sizeof *pictures->default_channels);
	int rc = pictures->default_channels && (found->n || grouped) ? 0 : -ENOMEM;
	if (!rc && found->n)
		memcpy(pictures->default_channels, found->channels, found->n * sizeof *found->channels);
	pictures->ndefault = found->n;
	for (uint32_t i = 0, end; !rc && !found->n && i < part->nchannels; i = end) {
		end = group_end(grouped, i, part->nchannels);
		pictures->ndefault += take_group(part, grouped + i, end - i, pictures->default_channels + pictures->ndefault);
	}
	free(grouped);
	return rc;
}

static int by_text(const void *left, const void *right, void *part)
{
	const struct codec_channel *channels = ((const struct codec_part *)part)->channels;
	return strcmp(channels[*(const uint16_t *)left].name, channels[*(const uint16_t *)right].name);
}

static int sort_names(const struct codec_header *header, struct pictures *pictures)
{
	pictures->nparts = header->nparts;
	pictures->by_name = calloc(header->nparts, sizeof *pictures->by_name);
	for (uint32_t p = 0; pictures->by_name && p < header->nparts; p++) {
		const struct codec_part *part = &header->parts[p];
		uint16_t *sorted = pictures->by_name[p] = calloc(part->nchannels, sizeof *sorted);
		if (!sorted)
			return -ENOMEM;
		for (uint32_t i = 0; i < part->nchannels; i++)
			sorted[i] = (uint16_t)i;
		qsort_r(sorted, part->nchannels, sizeof *sorted, by_text, &header->parts[p]);
	}
	return pictures->by_name ? 0 : -ENOMEM;
}

int64_t pictures_find_channel(const struct pictures *pictures, const struct codec_header *header, uint32_t part, const char *name,
			      size_t len_bytes)
{
	const struct codec_channel *channels = header->parts[part].channels;
	const uint16_t *sorted = pictures->by_name[part];
	uint32_t low = 0, high = header->parts[part].nchannels;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strncmp(channels[sorted[middle]].name, name, len_bytes) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < header->parts[part].nchannels && strncmp(channels[sorted[low]].name, name, len_bytes) == 0;
	return found ? sorted[low] : -1;
}

static int find_pictures(const struct codec_header *header, struct pictures *pictures)
{
	struct main_search search;
	main_start(&search, header);
	int rc = 0;
	for (uint32_t p = 0; p < header->nparts && rc == 0; p++) {
		struct grouped *grouped = group_channels(&header->parts[p]);
		rc = grouped ? add_part(header, p, grouped, pictures) : -ENOMEM;
		for (uint32_t i = 0, end; i < header->parts[p].nchannels && rc == 0; i = end) {
			end = group_end(grouped, i, header->parts[p].nchannels);
			main_offer(&search, p, grouped + i, end - i);
		}
		free(grouped);
	}
	const struct main_choice found = main_found(&search);
	return rc ? rc : choose_default(header, &found, pictures);
}

int pictures_make(const struct codec_header *header, struct pictures *ret_pictures)
{
	struct pictures pictures = {0};
	int rc = find_pictures(header, &pictures);
	if (rc == 0)
		rc = make_unique(&pictures);
	if (rc == 0)
		rc = sort_names(header, &pictures);
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
	for (uint32_t p = 0; pictures->by_name && p < pictures->nparts; p++)
		free(pictures->by_name[p]);
	free(pictures->by_name);
	free(pictures->default_channels);
	*pictures = (struct pictures){0};
}

/* ---- pictures and levels ---- */

struct picture picture_default(const struct pictures *pictures, const struct codec_header *header, uint32_t level)
{
	return (struct picture){header,
				&header->parts[pictures->default_part],
				pictures->default_part,
				level,
				pictures->ndefault,
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
