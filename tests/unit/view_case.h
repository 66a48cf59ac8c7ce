/* view_case.h - small pictures made in memory for the tests of views, and reading views of them whole. */
#ifndef PIXFS_VIEW_CASE_H
#define PIXFS_VIEW_CASE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view/view.h"
#include "case.h"

/* ---- pictures ---- */

enum { CASE_PLANES = 6 };

/* A picture of planar chunks as high as chunk_rows and as wide as the picture; every chunk is a copy of its own. */
struct case_picture {
	struct codec_header header;
	struct codec_part part;
	struct codec_plane planes[CASE_PLANES];
	struct codec_channel channels[CASE_PLANES];
	struct codec_level level;
	uint16_t shown[CASE_PLANES];
	struct picture picture;
	struct view_source source;
	const void *samples[CASE_PLANES]; /* whole planes */
	int pinned, npins, fail_after;    /* fail_after: the pin of that number fails; -1: none */
	void *copy;
	uint32_t want[4];
};

static inline int case_pin(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct case_picture *made = context;
	struct codec_chunk_layout layout;
	struct codec_plane_layout planes[CASE_PLANES];
	if (made->npins++ == made->fail_after)
		return err_set(err, -EIO, "the chunk is damaged");
	CHECK(made->pinned++ == 0);
	codec_chunk_layout(&made->part, 0, cx, cy, &layout, planes);
	unsigned char *copy = malloc(layout.len_bytes + 1);
	for (uint32_t p = 0; p < made->part.nplanes; p++) {
		size_t row0 = (layout.y + made->planes[p].ysampling - 1) / made->planes[p].ysampling;
		memcpy(copy + planes[p].offset, (const unsigned char *)made->samples[p] + row0 * planes[p].row_bytes,
		       planes[p].row_bytes * planes[p].height);
	}
	*ret_samples = made->copy = copy;
	return 0;
}

static inline void case_unpin(void *context, uint32_t cx, uint32_t cy)
{
	struct case_picture *made = context;
	(void)cx, (void)cy;
	made->pinned--;
	free(made->copy);
}

static inline void case_want(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	const uint32_t want[4] = {cx0, cy0, cx1, cy1};
	memcpy(((struct case_picture *)context)->want, want, sizeof want);
}

/* An empty picture; transfer "srgb", straight alpha. */
static inline void case_start(struct case_picture *made, uint32_t width, uint32_t height, uint32_t chunk_rows)
{
	memset(made, 0, sizeof *made);
	codec_level_set(&made->level, width, height, width, chunk_rows);
	made->part = (struct codec_part){.name = "", .view = "", .compression = "none", .nlevels = 1, .levels = &made->level};
	made->part.planes = made->planes;
	made->part.channels = made->channels;
	made->part.alpha = ALPHA_STRAIGHT;
	made->part.color = (struct codec_color){.interop_id = "srgb_rec709_scene", .transfer = "srgb", .source = "test"};
	made->part.data_window = made->part.display_window = (struct codec_box){0, 0, (int32_t)width - 1, (int32_t)height - 1};
	made->header = (struct codec_header){.nparts = 1, .nframes = 1, .parts = &made->part};
	made->picture = (struct picture){&made->header, &made->part, 0, 0, 0, made->shown};
	made->source = (struct view_source){made, case_want, case_pin, case_unpin};
	made->fail_after = -1;
}

/* One more plane, a channel of it, shown unless hidden. */
static inline void case_plane(struct case_picture *made, const char *name, enum sample_type type, uint32_t divisor,
			      const void *samples, bool hidden)
{
	uint32_t p = made->part.nplanes++, c = made->part.nchannels++;
	made->planes[p] = (struct codec_plane){(uint8_t)type, 8, 8, divisor, 1, 1};
	made->channels[c] = (struct codec_channel){.name = name, .origin = ORIGIN_PLANE, .plane = (uint16_t)p};
	made->samples[p] = samples;
	if (!hidden)
		made->shown[made->picture.nchannels++] = (uint16_t)c;
}

/* 3 x 2 pixels 0 1 2 / 3 4 5, gray, the numbers themselves, a chunk for each row. */
static inline void start_counting(struct case_picture *made)
{
	static const uint8_t counting[6] = {0, 1, 2, 3, 4, 5};
	case_start(made, 3, 2, 1);
	case_plane(made, "Y", SAMPLE_U8, 0, counting, false);
}

/* ---- views ---- */

static inline int case_compile(struct case_picture *made, const char *spec, struct view **ret_view)
{
	struct err err = ERR_NONE;
	int rc = view_compile(&made->picture, spec, ret_view, &err);
	CHECK(rc == err.code && (rc == 0 || err.text[0]));
	return rc;
}

/* The bytes of a view, read at once; NULL, and the case has failed, where it doesn't compile. Freed with free(). */
static inline unsigned char *case_read(struct case_picture *made, const char *spec, struct view_info *ret_info)
{
	struct view *view;
	struct err err = ERR_NONE;
	int rc = case_compile(made, spec, &view);
	CHECK(rc == 0);
	if (rc)
		return NULL;
	*ret_info = *view_info(view);
	unsigned char *bytes = malloc(ret_info->nbytes + 1);
	CHECK(view_read(view, 0, ret_info->nbytes, bytes, &made->source, &err) == 0);
	CHECK(made->pinned == 0);
	view_free(view);
	return bytes;
}

/* The view is raw and holds exactly these floats. */
static inline bool case_is(struct case_picture *made, const char *spec, const float *want, size_t n)
{
	struct view_info info;
	unsigned char *bytes = case_read(made, spec, &info);
	bool same =
		bytes && info.dtype == SAMPLE_F32 && info.nbytes == n * sizeof *want && memcmp(bytes, want, n * sizeof *want) == 0;
	free(bytes);
	return same;
}

#define FLOATS(...) (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float)

#endif
