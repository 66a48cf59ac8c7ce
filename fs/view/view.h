/* view.h - a view: a pure function of (header, picture, spec) -> shape, and of (spec, byte range) -> bytes.
 *
 * pixels.f32, pixels.npy, a channel, everything below views/ and, later, a stack's member are views. A view does no I/O
 * and has no state: the samples that it needs come through struct view_source, so it is tested without a mount.
 *
 * Spec grammar: README, "Views": "<op>[,<op>...].<ext>", one path component of at most 255 bytes. Operations work left
 * to right on float32 values (y, x, c), but some hold for the whole spec wherever they stand: `native` (the stored sample type,
 * bits untouched), `values` (the stored integers as float32, not divided), `filter=`, and the layout and the sample type, which
 * say how the end result is written. With `native`, and after a sample type, there are only operations that move samples (regions,
 * turns, choice of channels, layout, sizes with filter=nearest).
 *
 * Arithmetic is what numpy does on float32 arrays with constants rounded to float32, without fused multiply-add:
 *   integers   float32(v) / float32(2^n - 1), as sample.h; samples that are only moved keep every bit
 *   gray       (0.2126 R + 0.7152 G) + 0.0722 B; a picture with one channel besides alpha is gray already
 *   premul     c * a; straight: c / a where a != 0, else c. Nothing is done where the file's alpha is that already; where it
 *              is of unknown kind the arithmetic is done. Without alpha both do nothing
 *   over       straight: c * a + k * (1 - a); premultiplied: c + k * (1 - a); alpha is dropped. k is a value at that point;
 *              gray over a colour becomes RGB
 *   linear     decodes, srgb encodes the curve of the channels R, G, B or gray, from the curve that the values have at that
 *              point (view_color.h: within 1 ulp; odd for negative values); EINVAL where that is unknown. Primaries stay.
 *              An ICC profile gives each channel its curve: after gray only where all are the same. One that has only tables
 *              takes R, G, B or C, M, Y, K together, before any is chosen, and makes linear light with the primaries of BT.709:
 *              of inks R, G, B. After rgb, which mixes inks by the plain formula, the profile doesn't apply: EINVAL
 *              Data ("data" as interop ID) is left as it is
 *   CMYK       r g b gray rgb...: R = (1 - C)(1 - K), or C * K of the stored values where attributes.jpeg.adobe_inverted
 *   norm       (x - mean) / std of red, green and blue
 *   range      (x - LO) / (HI - LO) of all channels but alpha
 *   values     everything is data, alpha too: no curve, no alpha operation touches it; u8 and u16 hold the integers unscaled
 *   packed     alpha is one more channel of data from there on, which a and rgba still choose
 *   u8 u16 f16 sample.h: round half to even, clamp, NaN is 0 in integers
 * native and values show what the file stores: of a palette its indices, and no alpha that a tRNS key makes.
 * Choosing channels: r g b a ... by the letter after the last dot, in the root or else the only layer that has such names;
 * gray is repeated, a missing alpha is 1. ch= takes whole names, of any channel of the part, or the name after the last
 * dot; %XX stands for a byte, as for ',' '+' '/'.
 * Geometry: rot=90 turns counter-clockwise, as numpy.rot90; square is centred, rounded down; display has the size of the
 * display window, zeros where there is no data, and must come before other geometry. fit, long and short keep the ratio,
 * rounded to the nearest pixel, halves up, and enlarge too. A view has one size operation; filter= may stand anywhere.
 * Resizing is Pillow's, mode F, channel by channel (resize.h); the default filter is chosen for each axis: box where it
 * shrinks, linear where it grows. Straight alpha weighs its colours, inks too: size is premul,size,straight then, and colour that
 * nothing is seen of is 0. Alpha of unknown kind and packed don't weigh, nor does nearest, which moves samples.
 * squeeze keeps one axis where all have length 1.
 * blender is RGBA, bottom row first, as one flat array (Blender's rna_image.c,
 * rna_Image_pixels_get: float buffers as they are, bytes divided by 255): byte images have the file's own values with
 * straight alpha, EXR its linear premultiplied ones. Of 16-bit integer files Blender itself makes linear premultiplied
 * floats when it loads them; here they stay as stored.
 * png is 8-bit, straight alpha, sRGB where the curve is known (then it says so), else, and of PQ and HLG, which would be dark
 * without a tone mapping, the values as they are; without alpha or
 * colours that a PNG has, other channels are EINVAL. tif is (y, x, c), or planes with chw; float32 where no type is chosen.
 */
#ifndef PIXFS_VIEW_H
#define PIXFS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "picture.h"
#include "zarr.h"

/* Where a view gets decoded chunks of its picture's (part, level) from. pin waits until the chunk is there; its samples
 * (as codec.h's decode_kept makes them, read-only) stay valid until unpin. Several may be pinned at once, but a view keeps no
 * more pinned than one row of chunks needs. */
struct view_source {
	void *context;
	/* These chunks (inclusive ranges) are going to be pinned soon, in row order: a chance to start them all. May be NULL. */
	void (*want)(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1);
	int (*pin)(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err);
	void (*unpin)(void *context, uint32_t cx, uint32_t cy);
};

/* RAW: the elements alone. NPY, TIF: a header before them. PNG: elements u8, within the file. JSON: text about the view.
 * ZARR: the text of zarr.json; its chunks are views of their own. */
enum view_container { VIEW_RAW, VIEW_NPY, VIEW_TIF, VIEW_PNG, VIEW_JSON, VIEW_ZARR };

struct view; /* compiled; immutable, so safe for any number of threads; borrows the picture's header */

/* What is known of a view without decoding. */
struct view_info {
	uint32_t ndim;          /* 1 to 3; 0 of a JSON that tells why there is no such view */
	uint64_t shape[4];      /* C order */
	enum sample_type dtype; /* of the elements: little-endian bytes */
	enum view_container container;
	size_t header_bytes; /* before the elements: 128 for .npy, 0 for raw and PNG; JSON, ZARR: all */
	uint64_t nbytes;     /* the whole file; what stat says */
	const char *spec;    /* the operations, written in one way; borrowed from the view */
	const char *axes;    /* of the shape, "yxc" in some order, or "flat"; borrowed from the view */
	bool only_moves;     /* samples as they are stored, or as float32: making it costs little more than a copy */
	bool in_order;       /* who reads it forwards needs each row of the picture once, from the top */
	bool in_place;       /* behind the header it is what lies in the decoded chunks: view_find */
	struct zarr zarr;    /* ZARR: the array */
};

/* Compiles spec (the file's name below views/, extension included, e.g. "linear,chw.npy") for a picture.
 * -ENOENT: unknown operation or extension; -EINVAL: malformed or impossible here (words say why); -EFBIG: too large;
 * -ENOMEM. Of a .json there are no EINVAL and EFBIG, but a view with an "error" in its text. Needs only the header: a part whose
 * pixels can't be decoded has views of a shape, whose samples can't be had. */
int view_compile(const struct picture *picture, const char *spec, struct view **ret_view, struct err *err);

/* The view of one channel (an index of part->channels) as float32 (H, W), at the channel's own resolution; npy chooses
 * the container. A part may be subsampled. -ENOENT: no such channel; else as view_compile. */
int view_compile_channel(const struct picture *picture, uint32_t channel, int npy, struct view **ret_view, struct err *err);

/* The view of one chunk of a spec that ends with ".zarr": the raw elements (y, x, c) of the full chunk, zeros beyond the edge.
 * Chunks have the codec's own size, turned where the view is; index as zarr.h. -ENOENT: no such chunk; else as view_compile. */
int view_compile_chunk(const struct picture *picture, const char *spec, uint64_t index, struct view **ret_view, struct err *err);

void view_free(struct view *view); /* NULL is fine */
const struct view_info *view_info(const struct view *view);

/* Writes bytes [offset, offset + len_bytes) of the file to dst; the range lies within nbytes (the caller clips it).
 * Decodes, through source, only what these bytes need. 0, or the error of a pin. */
int view_read(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_source *source,
	      struct err *err);

/* The same of the elements alone, without header and container: from 0 to view_elements_size().nbytes. */
int view_read_elements(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_source *source,
		       struct err *err);

/* As view_read, for who has elements already or makes many at once: they come through read, which does what view_read_elements
 * does, and its errors (with words of its own) are returned. */
struct view_elements {
	int (*read)(void *context, uint64_t offset, size_t len_bytes, unsigned char *dst);
	void *context;
};
int view_read_by(const struct view *view, uint64_t offset, size_t len_bytes, void *dst, const struct view_elements *elements,
		 struct err *err);

/* The elements' bytes, of one row (of one plane, where planes lie behind each other) and of all. */
struct view_size {
	uint64_t row_bytes, nbytes;
};
struct view_size view_elements_size(const struct view *view);

/* Finds bytes of a view that is in_place, from offset (in or behind its header) on, in a decoded chunk: *ret_at is valid until the
 * chunk (0, *ret_cy) is unpinned, which is the caller's part. How many, 1 to len_bytes; 0: they lie in no chunk, nothing is pinned;
 * else the error of a pin. */
ssize_t view_find(const struct view *view, uint64_t offset, size_t len_bytes, const struct view_source *source, const void **ret_at,
		  uint32_t *ret_cy, struct err *err);

/* The chunks (inclusive ranges) that reading the whole file, or any part of it, can ask source for. False: none. */
struct view_chunks {
	uint32_t cx0, cy0, cx1, cy1;
};
bool view_chunks(const struct view *view, struct view_chunks *ret_chunks);
/* The same of a range of its elements. */
bool view_elements_chunks(const struct view *view, uint64_t offset, size_t len_bytes, struct view_chunks *ret_chunks);

/* Writes all operations, a line for each kind, as they are typed. */
void view_help(FILE *out);

/* What the channels of a picture mean, as views take them. */
struct picture_meaning {
	struct codec_color color; /* "data" where there is no colour */
	uint8_t alpha;            /* enum codec_alpha */
	int64_t alpha_index;      /* of the picture's channels, -1: none */
	const char *color_model;  /* "L" "LA" "RGB" "RGBA" "CMYK" "other" */
};
/* 0, or -1: no memory. */
int picture_meaning(const struct picture *picture, struct picture_meaning *ret_meaning);

/* Whether the mount's assume= answers what this colour leaves unknown: its transfer curve. */
bool view_assumes(const struct codec_color *color);

/* The plain views that views/ lists for this picture, as spec names with extension ("rgb.f32"), NULL-terminated; writes
 * at most max-1 entries and the NULL. Static strings. */
void view_list(const struct picture *picture, const char **ret_names, size_t max);

#endif
