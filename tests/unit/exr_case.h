/* exr_case.h - what the OpenEXR codec's unit tests share: cases, and the results of opening what exr_build.h built. */
#ifndef PIXFS_EXR_CASE_H
#define PIXFS_EXR_CASE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/registry.h"
#include "exr_build.h"
#include "case.h"

/* ---- results ---- */

struct result {
	struct codec_image *image;
	int open_code, check_code;
	struct err open_err, check_err;
	const struct codec_header *header;
	const struct codec_part *part;
};

static inline struct result open_built_with(const struct codec_limits *limits)
{
	struct result r = {0};
	uint8_t *copy = malloc(build.len ? build.len : 1); /* exactly as long, so that a sanitizer sees a read behind it */
	memcpy(copy, build.data, build.len);
	struct bytes *bytes = bytes_from_memory(copy, build.len, 1);
	r.open_code = codec_exr.open(bytes, limits, &r.image, &r.open_err);
	bytes_unref(bytes);
	if (!r.open_code) {
		r.header = &r.image->header;
		r.part = r.header->parts;
		r.check_code = codec_check(r.image, &r.check_err);
	}
	return r;
}

static inline struct result open_built(void)
{
	return open_built_with(&codec_default_limits);
}

static inline void result_free(struct result *r)
{
	codec_exr.close(r->image);
}

/* Decodes one chunk and compares all of it: 0, the decode's error, or 1 where a sample or a gap is wrong. */
static inline int judge_chunk(struct codec_image *image, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, struct err *err)
{
	const struct codec_part *p = &image->header.parts[part];
	struct codec_plane_layout planes[8];
	struct codec_chunk_layout layout;
	codec_chunk_layout(p, level, cx, cy, &layout, planes);
	uint8_t *dst = malloc((size_t)layout.len_bytes), *covered = calloc(1, (size_t)layout.len_bytes + 1);
	memset(dst, 0xa5, (size_t)layout.len_bytes);
	int rc = codec_exr.decode(image, NULL, part, level, cx, cy, dst, err);
	for (uint32_t i = 0; rc == 0 && i < p->nplanes; i++)
		for (uint32_t y = 0; y < planes[i].height; y++)
			for (uint32_t x = 0; x < planes[i].width; x++) {
				const struct channel *channel = &build.specs[part].channels[i];
				uint32_t got = 0, size = channel->type == HALF ? 2 : 4;
				size_t at = planes[i].offset + y * planes[i].row_bytes + x * planes[i].step_bytes;
				uint32_t x0 = (layout.x + channel->xsampling - 1) / channel->xsampling;
				uint32_t y0 = (layout.y + channel->ysampling - 1) / channel->ysampling;
				memcpy(&got, dst + at, size);
				memset(covered + at, 1, size);
				rc |= got != sample_at(part, level, i, channel->type, x0 + x, y0 + y);
			}
	for (size_t i = 0; rc == 0 && i < layout.len_bytes; i++)
		rc |= !covered[i] && dst[i] != 0;
	free(dst);
	free(covered);
	return rc;
}

static struct codec_image *judged;
static int judgement;

static inline void judge_one(uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, uint32_t index)
{
	(void)index;
	struct err err = ERR_NONE;
	if (judgement == 0)
		judgement = judge_chunk(judged, part, level, cx, cy, &err);
}

/* Every chunk of every part and level: 0, the first error, or 1. */
static inline int judge_all(struct result *r)
{
	judged = r->image;
	judgement = r->open_code;
	if (!judgement)
		each_chunk(judge_one);
	return judgement;
}

/* Builds, opens, checks, decodes, compares; and the header describes what was built. */
static inline void expect_all(const struct spec *specs, uint32_t nparts)
{
	build_file(specs, nparts);
	struct result r = open_built();
	CHECK(r.open_code == 0 && r.check_code == 0 && judge_all(&r) == 0);
	for (uint32_t i = 0; !r.open_code && i < nparts; i++) {
		const struct codec_part *part = &r.header->parts[i];
		uint32_t counts[2], dims[2];
		level_counts(&specs[i], counts);
		CHECK(r.header->nparts == nparts && part->nlevels == counts[0] * counts[1] && part->nlevels_x == counts[0]);
		for (uint32_t level = 0; level < counts[0] * counts[1]; level++) {
			level_dims(&specs[i], level, dims);
			CHECK(part->levels[level].width == dims[0] && part->levels[level].height == dims[1]);
		}
	}
	result_free(&r);
}

static inline const struct codec_attribute *find_attribute(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->part->nattributes; i++)
		if (strcmp(r->part->attributes[i].name, name) == 0 && strcmp(r->part->attributes[i].group, "openexr") == 0)
			return &r->part->attributes[i];
	return NULL;
}

#endif
