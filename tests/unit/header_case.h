/* header_case.h - frozen headers built field by field, for picture_test.c and meta_test.c. */
#ifndef PIXFS_HEADER_CASE_H
#define PIXFS_HEADER_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/codec.h"
#include "case.h"

/* A header with room for parts, and the arena that holds it. */
struct made_header {
	struct arena arena;
	struct codec_header header;
};

static inline void header_start(struct made_header *made, uint32_t nparts)
{
	arena_init(&made->arena, (size_t)1 << 30);
	made->header = (struct codec_header){.random_access = "scanline", .nparts = nparts, .nframes = 1};
	made->header.parts = arena_alloc(&made->arena, nparts, sizeof *made->header.parts);
}

/* A part of one level with these channels, each with a plane of this type. */
static inline struct codec_part *header_part(struct made_header *made, uint32_t index, const char *name, uint32_t width,
					     uint32_t height, enum sample_type type, uint32_t count, const char *const *names)
{
	static const uint8_t bits[] = {[SAMPLE_U8] = 8, [SAMPLE_U16] = 16, [SAMPLE_U32] = 32, [SAMPLE_F16] = 16, [SAMPLE_F32] = 32};
	static const uint32_t divisors[] = {[SAMPLE_U8] = 255, [SAMPLE_U16] = 65535, [SAMPLE_F32] = 0};
	struct codec_part *part = &made->header.parts[index];
	*part = (struct codec_part){.name = name, .view = "", .compression = "zip", .row_order = "increasing", .pixel_aspect = 1};
	part->nplanes = part->nchannels = count;
	part->planes = arena_alloc(&made->arena, count, sizeof *part->planes);
	part->channels = arena_alloc(&made->arena, count, sizeof *part->channels);
	for (uint32_t i = 0; i < count; i++) {
		part->planes[i] = (struct codec_plane){(uint8_t)type, bits[type], bits[type], divisors[type], 1, 1};
		part->channels[i] = (struct codec_channel){.name = names[i], .origin = ORIGIN_PLANE, .plane = (uint16_t)i};
	}
	part->nlevels = part->nlevels_x = part->nlevels_y = 1;
	part->levels = arena_alloc(&made->arena, 1, sizeof *part->levels);
	codec_level_set(part->levels, width, height, width, height < 16 ? height : 16);
	part->data_window = part->display_window = (struct codec_box){0, 0, (int32_t)width - 1, (int32_t)height - 1};
	part->color = (struct codec_color){.interop_id = "unknown", .transfer = "unknown", .source = "none"};
	return part;
}

#endif
