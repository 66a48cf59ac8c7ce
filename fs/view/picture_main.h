/* picture_main.h - which channels the directory of the file itself shows. Shared by the picture_*.c files only.
 *
 * The root channels R, G, B(, A), C, M, Y, K or Y(, A) of the first part; else R, G, B(, A) of the first part that has them; else
 * the main layer: the only one with R, G and B, or of several the first called Combined, rgba, RGBA, beauty, Beauty or C, in this
 * order; of stereo views only the default one counts. Data never counts. Where nothing of this is there, all channels of part 0. */
#ifndef PIXFS_PICTURE_MAIN_H
#define PIXFS_PICTURE_MAIN_H

#include <stdbool.h>

#include "picture.h"

/* The channels of a part in the order of their layers: equal prefixes behind each other, the layer whose channel comes first
 * in the file in front, channels in the file's order. */
struct grouped {
	const char *prefix;
	size_t len;
	uint32_t channel, first; /* first: the smallest channel of the same prefix */
};

enum { MAIN_NAMES = 6, MAIN_RGBA = 4 };

struct main_choice {
	uint32_t part, n; /* n 0: none */
	uint16_t channels[MAIN_RGBA];
};

struct main_search {
	const struct codec_header *header;
	const struct codec_attribute *views; /* multiView of the first part, or NULL */
	const char *default_view;            /* NULL: the file has no views */
	struct main_choice root;
	struct main_layers {
		uint32_t count;
		struct main_choice first, named[MAIN_NAMES];
	} layers, other_views;
};

void main_start(struct main_search *search, const struct codec_header *header);
/* One group of a part, groups and parts in their order. */
void main_offer(struct main_search *search, uint32_t part, const struct grouped *group, uint32_t n);
/* What was found; n 0: all channels of part 0. */
struct main_choice main_found(const struct main_search *search);

#endif
