/* view.h - a view: a pure function of (header, picture, spec) -> shape, and of (spec, byte range) -> bytes.
 *
 * pixels.f32, pixels.npy, a channel, everything below views/ and, later, a stack's member are views. A view does no I/O
 * and has no state: the samples that it needs come through struct view_source, so it is tested without a mount.
 *
 * Spec grammar: README, "Views": "<op>[,<op>...].<ext>", one path component. Operations work left to right on float32
 * values (y, x, c), except `native` (the stored sample type, bits untouched) and the conversions at the end.
 */
#ifndef PIXFS_VIEW_H
#define PIXFS_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "picture.h"

/* Where a view gets decoded chunks of its picture's (part, level) from. pin waits until the chunk is there; its samples
 * (laid out by codec_chunk_layout, read-only) stay valid until unpin. Several may be pinned at once, but a view keeps no
 * more pinned than one row of chunks needs. */
struct view_source {
	void *context;
	/* These chunks (inclusive ranges) are going to be pinned soon, in row order: a chance to start them all. May be NULL. */
	void (*want)(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1);
	int (*pin)(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err);
	void (*unpin)(void *context, uint32_t cx, uint32_t cy);
};

enum view_container { VIEW_RAW, VIEW_NPY /* issue order: VIEW_TIF, VIEW_PNG, VIEW_JSON, VIEW_ZARR */ };

struct view; /* compiled; immutable, so safe for any number of threads; borrows the picture's header */

/* What is known of a view without decoding. */
struct view_info {
	uint32_t ndim;            /* 1 to 4 */
	uint64_t shape[4];        /* C order */
	enum sample_type dtype;   /* of the elements: little-endian bytes */
	enum view_container container;
	size_t header_bytes;      /* 128 for .npy, 0 raw */
	uint64_t nbytes;          /* the whole file: header_bytes + elements; what stat says */
};

/* Compiles spec (the file's name below views/, extension included, e.g. "linear,chw.npy") for a picture.
 * -ENOENT: unknown operation or extension; -EINVAL: malformed or impossible here (words say why); -EFBIG: too large;
 * -ENOMEM. Needs only the header: a part whose pixels can't be decoded has views of a shape, whose samples can't be had. */
int view_compile(const struct picture *picture, const char *spec, struct view **ret_view, struct err *err);

/* The view of one channel (an index of part->channels) as float32 (H, W), at the channel's own resolution; npy chooses
 * the container. A part may be subsampled. */
int view_compile_channel(const struct picture *picture, uint32_t channel, int npy, struct view **ret_view, struct err *err);

void view_free(struct view *view); /* NULL is fine */
const struct view_info *view_info(const struct view *view);

/* Writes bytes [offset, offset + len_bytes) of the file to dst; the range lies within nbytes (the caller clips it).
 * Decodes, through source, only what these bytes need. 0, or the error of a pin. */
int view_read(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_source *source, struct err *err);

/* The plain views that views/ lists for this picture, as spec names with extension ("rgb.f32"), NULL-terminated; writes
 * at most max-1 entries and the NULL. Static strings. */
void view_list(const struct picture *picture, const char **ret_names, size_t max);

#endif
