/* picture.h - what one image directory shows: a part, a level, and an ordered choice of channels.
 *
 * The directory of a file shows the default picture; layers/<name>/ and mips/<level>/ hold the others. All of it follows
 * from the frozen header. A picture borrows the header it was made from and must not outlive it.
 */
#ifndef PIXFS_PICTURE_H
#define PIXFS_PICTURE_H

#include <stdint.h>

#include "codecs/core/codec.h"

struct picture {
	const struct codec_header *header;
	const struct codec_part *part;
	uint32_t part_index, level;
	uint32_t nchannels;
	const uint16_t *channels; /* indices into part->channels, in the order shown: R, G, B, A first */
};

/* Width and height in pixels of what the picture shows. */
static inline const struct codec_level *picture_level(const struct picture *picture)
{
	return &picture->part->levels[picture->level];
}

/* One named layer of a file: a part x the prefix before the last dot of its channels' names. */
struct layer {
	char *name; /* as a directory name: "ViewLayer.Combined", "left.diffuse"; '/', '%', a leading '.' and control
		     * characters percent-encoded, never "", unique among the layers, at most 255 bytes */
	uint32_t part;
	uint32_t nchannels;
	uint16_t *channels;
};

struct pictures {
	uint32_t default_part;
	uint32_t ndefault;
	uint16_t *default_channels;
	uint32_t nlayers;
	struct layer *layers;
	uint32_t nparts;
	uint16_t **by_name; /* for each part its channels sorted by name */
};

/* Derives the default choice and the layers of a header. 0 or -ENOMEM. */
int pictures_make(const struct codec_header *header, struct pictures *ret_pictures);
void pictures_free(struct pictures *pictures);

/* The channel of a part with exactly this name, of len_bytes; else the first that it is the beginning of; -1: neither. Takes as
 * many steps as the number of channels has bits. */
int64_t pictures_find_channel(const struct pictures *pictures, const struct codec_header *header, uint32_t part, const char *name,
			      size_t len_bytes);

/* The default picture, or that of layer i, at a level. */
struct picture picture_default(const struct pictures *pictures, const struct codec_header *header, uint32_t level);
struct picture picture_layer(const struct pictures *pictures, const struct codec_header *header, uint32_t layer, uint32_t level);

/* The name of a level in mips/: "3", or "2,1" (lx,ly) for rip maps, and back (-1: none such). */
void picture_level_name(const struct codec_part *part, uint32_t level, char ret_name[24]);
int64_t picture_level_find(const struct codec_part *part, const char *name);

/* name as one path component: '/', '%', control characters, a leading '.' as %XX, cut to 240 bytes. ret has 256. */
void picture_encode_name(const char *name, char ret[256]);

#endif
