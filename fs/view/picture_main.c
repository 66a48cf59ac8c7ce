/* picture_main.c - see picture_main.h. */
#include "picture_main.h"

#include <string.h>

#include "codecs/facts/channel.h"

enum { MAX_VIEWS = 64 };

void main_start(struct main_search *search, const struct codec_header *header)
{
	*search = (struct main_search){.header = header};
	const struct codec_part *part = &header->parts[0];
	for (size_t i = 0; i < part->nattributes && !search->views; i++)
		if (part->attributes[i].type == ATTRIBUTE_TEXTS && part->attributes[i].count &&
		    strcmp(part->attributes[i].name, "multiView") == 0)
			search->views = &part->attributes[i];
	for (uint32_t p = 0; p < header->nparts && !search->default_view; p++)
		if (*header->parts[p].view)
			search->default_view = header->parts[p].view;
	if (search->views)
		search->default_view = search->views->texts[0];
}

/* ---- letters ---- */

/* The channels of the group with these letters, all of which must be there but A; a name that is the letter itself goes first. */
static struct main_choice choose(const struct codec_header *header, uint32_t part, const struct grouped *group, uint32_t n,
				 const char *letters)
{
	struct main_choice choice = {.part = part};
	for (const char *letter = letters; *letter; letter++) {
		int64_t found = -1;
		for (uint32_t i = 0; i < n; i++) {
			const struct codec_channel *channel = &header->parts[part].channels[group[i].channel];
			if (channel->data || channel_letter(channel->name) != *letter)
				continue;
			const char exact[2] = {*letter, 0};
			if (found < 0 || strcmp(channel->name, exact) == 0)
				found = group[i].channel;
		}
		if (found < 0 && *letter != 'A')
			return (struct main_choice){.n = 0};
		if (found >= 0)
			choice.channels[choice.n++] = (uint16_t)found;
	}
	return choice;
}

static void offer_root(struct main_search *search, uint32_t part, const struct grouped *group, uint32_t n)
{
	search->root = choose(search->header, part, group, n, "RGBA");
	if (!search->root.n && part == 0)
		search->root = choose(search->header, part, group, n, "CMYK");
	if (!search->root.n && part == 0)
		search->root = choose(search->header, part, group, n, "YA");
}

/* ---- layers ---- */

static bool is_text(const char *text, const char *bytes, size_t len)
{
	return strlen(text) == len && memcmp(text, bytes, len) == 0;
}

/* Which of the file's views the layer belongs to, by the last component of its prefix ("Multi-View OpenEXR"), -1: none. Where it is
 * one, *len is cut to what stands before it. */
static int64_t view_of(const struct main_search *search, const char *prefix, size_t *len)
{
	const char *dot = memrchr(prefix, '.', *len);
	size_t start = dot ? (size_t)(dot + 1 - prefix) : 0;
	for (size_t i = 0; search->views && i < search->views->count && i < MAX_VIEWS; i++)
		if (is_text(search->views->texts[i], prefix + start, *len - start)) {
			*len = dot ? (size_t)(dot - prefix) : 0;
			return (int64_t)i;
		}
	return -1;
}

static void offer_layer(struct main_search *search, const struct main_choice *choice, const struct grouped *group)
{
	static const char *const names[MAIN_NAMES] = {"Combined", "rgba", "RGBA", "beauty", "Beauty", "C"};
	const char *part_view = search->header->parts[choice->part].view;
	size_t len = group->len;
	int64_t view = view_of(search, group->prefix, &len);
	bool other = view > 0 || (*part_view && strcmp(part_view, search->default_view) != 0);
	struct main_layers *layers = other ? &search->other_views : &search->layers;
	const char *dot = memrchr(group->prefix, '.', len), *last = dot ? dot + 1 : group->prefix;
	if (!layers->count++)
		layers->first = *choice;
	for (unsigned i = 0; i < MAIN_NAMES; i++)
		if (!layers->named[i].n && is_text(names[i], last, len - (size_t)(last - group->prefix)))
			layers->named[i] = *choice;
}

void main_offer(struct main_search *search, uint32_t part, const struct grouped *group, uint32_t n)
{
	if (search->root.n)
		return;
	if (!group->len) {
		offer_root(search, part, group, n);
		return;
	}
	struct main_choice choice = choose(search->header, part, group, n, "RGBA");
	if (choice.n)
		offer_layer(search, &choice, group);
}

struct main_choice main_found(const struct main_search *search)
{
	const struct main_layers *layers = search->layers.count ? &search->layers : &search->other_views;
	if (search->root.n)
		return search->root;
	if (layers->count == 1)
		return layers->first;
	for (unsigned i = 0; i < MAIN_NAMES; i++)
		if (layers->named[i].n)
			return layers->named[i];
	return (struct main_choice){.n = 0};
}
