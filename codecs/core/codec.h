/* codec.h - what a codec is, and what an image's header says.
 *
 * A codec turns the bytes of one file format into stored samples. It knows nothing of paths, archives, caches or FUSE,
 * and it never converts values: u8 stays u8, half stays half, palette indices stay indices. Scaling to float, alpha
 * from tRNS and palette expansion are described here and done in sample.c and the views.
 *
 * Header first, then frozen. codec_open() parses all of the header, enforces the limits before anything of that size is
 * allocated, and yields an immutable struct codec_image. stat, meta.json and the tree are made from it; no later call
 * changes it, so any number of threads may read it and decode from it at once.
 *
 * The pixels of a (part, level) are a uniform grid of chunks, the codec's own decode units: chunk (cx, cy) holds the
 * pixels x in [cx*chunk_width, min(width, (cx+1)*chunk_width)) and the rows likewise, row 0 on top. An EXR chunk is a
 * scanline block or a tile; formats that can only be read forwards have bands of rows, nchunks_x = 1; what can only be
 * decoded whole is one chunk. codec_chunk_layout() says where each sample lies within the decoded chunk.
 */
#ifndef PIXFS_CODEC_H
#define PIXFS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "err.h"

/* ---- samples ---- */

enum sample_type { SAMPLE_U8, SAMPLE_U16, SAMPLE_U32, SAMPLE_F16, SAMPLE_F32 }; /* native byte order in memory */

static inline unsigned sample_size_bytes(enum sample_type type)
{
	return type == SAMPLE_U8 ? 1 : type == SAMPLE_U16 || type == SAMPLE_F16 ? 2 : 4;
}

/* One stored plane: the samples that the file holds. A 1, 2 or 4 bit sample is stored as U8 with its own divisor. */
struct codec_plane {
	uint8_t type;                  /* enum sample_type */
	uint8_t bit_depth;             /* bits of a stored sample in the file: 1, 2, 4, 8, 16, 32 */
	uint8_t significant_bits;      /* of these, how many carry information (sBIT), else bit_depth */
	uint32_t divisor;              /* pixels = value / divisor (2^n - 1); 0: the value itself (floats, EXR uint) */
	uint32_t xsampling, ysampling; /* 1, or EXR's subsampling: one sample for every xsampling x ysampling pixels */
};

/* Where a channel's value comes from. */
enum codec_origin {
	ORIGIN_PLANE,   /* the sample of plane `plane`, by its divisor */
	ORIGIN_PALETTE, /* palette[sample of plane 0][component] / 255 */
	ORIGIN_KEY,     /* alpha: 0 where all planes equal key[], else 1 (libpng's tRNS expansion) */
	ORIGIN_LUMA,    /* R, G or B of the luminance Y in plane `plane` and the chroma RY and BY in chroma[]: R = (RY + 1) Y,
			 * B = (BY + 1) Y, G = (Y - R * luma[0] - B * luma[2]) / luma[1] (OpenEXR's "Luminance/Chroma Images").
			 * Such channels stand at the end, and there channel p is the sample of plane p for all planes */
};

struct codec_channel {
	const char *name;  /* "R" "G" "B" "A" "Y" "C" "M" "K" ... or the EXR channel name verbatim; NUL-terminated, any bytes */
	uint8_t origin;    /* enum codec_origin */
	uint8_t component; /* ORIGIN_PALETTE: 0..3 = R G B A; ORIGIN_LUMA: 0..2 = R G B */
	uint16_t plane;    /* index in planes[]; 0 for PALETTE and KEY */
	bool data;         /* a measure (depth, normal, id), whatever its name: no curve and no alpha is meant for it */
	bool folded;       /* Y, RY or BY that channels of ORIGIN_LUMA show: by itself it is in no picture */
	uint16_t chroma[2];
};

/* ---- geometry ---- */

enum codec_access {
	CODEC_ACCESS_CHUNK,   /* any chunk alone, in any order, from several threads */
	CODEC_ACCESS_FORWARD, /* chunk rows 0, 1, 2, ... through one struct codec_cursor; nchunks_x is 1 */
};

enum codec_levels { LEVELS_ONE, LEVELS_MIP, LEVELS_RIP };

struct codec_level {
	uint32_t width, height;             /* pixels, at least 1 */
	uint32_t chunk_width, chunk_height; /* pixels of a full chunk */
	uint32_t nchunks_x, nchunks_y;
};

struct codec_box {
	int32_t min_x, min_y, max_x, max_y;
}; /* inclusive, as OpenEXR's box2i */

/* ---- facts for meta.json ---- */

enum codec_alpha { ALPHA_NONE, ALPHA_STRAIGHT, ALPHA_PREMULTIPLIED, ALPHA_UNKNOWN };

/* The colour of a part as the file tells it; nothing is guessed. */
struct codec_color {
	const char *interop_id; /* ASWF color interop ID: "srgb_rec709_scene" "lin_rec709_scene" "data" "unknown" ...; never NULL */
	const char *transfer;   /* "srgb" "linear" "gamma" "icc" "pq" "hlg" "bt709" "unknown"; never NULL */
	double gamma;           /* transfer "gamma": decoded = encoded ^ gamma (PNG gAMA 45455 is 2.2); else 0 */
	bool has_chromaticities;
	double chromaticities[8]; /* CIE xy of red, green, blue, white */
	const char *source;       /* which field said so: "sRGB" "cICP" "iCCP" "gAMA" "EXIF" "OpenEXR default" "none" ... */
};

enum codec_attribute_type {
	ATTRIBUTE_TEXT,
	ATTRIBUTE_TEXTS,
	ATTRIBUTE_INTS,
	ATTRIBUTE_FLOATS,
	ATTRIBUTE_DOUBLES,
	ATTRIBUTE_BYTES,
	ATTRIBUTE_BOOL
};

/* One header attribute, name verbatim. group is the object below "attributes" that it stands in: "png" "exif" "jpeg"
 * "openexr" "tiff". A count of 1 is shown as a scalar, except TEXTS and where `list` is set. */
struct codec_attribute {
	const char *group, *name;
	uint8_t type; /* enum codec_attribute_type */
	bool list;
	size_t count; /* elements; for TEXT and BYTES bytes */
	union {
		const char *text;         /* TEXT: count bytes, any bytes, NUL behind */
		const char *const *texts; /* TEXTS: NUL-terminated */
		const int64_t *ints;      /* INTS, BOOL (one) */
		const float *floats;      /* FLOATS: printed so that the float32 reads back the same */
		const double *doubles;
		const void *bytes; /* BYTES: shown as {"nbytes": count} and, up to 64, "hex" */
	};
};

/* Large metadata shown as a file of attributes/: "icc.icc" "exif.bin" "xmp.xml" ... */
struct codec_blob {
	const char *name;
	const void *data;
	size_t len_bytes;
};

/* ---- the header ---- */

enum { CODEC_MAX_CHANNELS = 4096, CODEC_MAX_PARTS = 4096, CODEC_MAX_LEVELS = 1024 };

/* One part of a multi-part file; all other formats have one. */
struct codec_part {
	const char *name, *view; /* EXR part name and stereo view, any bytes; "" where there is none */
	const char *compression; /* "deflate" "zip" "zips" "piz" "dct" "dct_progressive" "none" ... */
	const char *row_order;   /* stored order: "increasing" "decreasing" "random" (EXR lineOrder); others "increasing" */
	const char *unsupported; /* NULL, or why the pixels of this valid part can't be decoded: EOPNOTSUPP with these words */
	uint32_t nplanes, nchannels;
	struct codec_plane *planes;     /* stored, in the order of the chunk layout */
	struct codec_channel *channels; /* what can be asked for, file order; EXR: alphabetical as in the file */
	bool interleaved;               /* chunk layout: (row, x, plane) of one type; else plane after plane */
	uint8_t access;                 /* enum codec_access */
	bool quick;                     /* a chunk is decoded in no more time than fresh memory for it takes */
	uint8_t chroma_x, chroma_y;     /* 0; or chunks can be kept with a chroma sample for so many pixels: ycc.h */
	uint8_t levels_mode;            /* enum codec_levels */
	uint32_t nlevels_x, nlevels_y;  /* MIP: nlevels_x levels (nlevels_y = nlevels_x); RIP: level = lx + ly * nlevels_x */
	uint32_t nlevels;               /* entries in levels[]; levels[0] is full resolution */
	struct codec_level *levels;
	struct codec_box data_window, display_window; /* (0, 0, width-1, height-1) where the format has no windows */
	double pixel_aspect;                          /* width / height of a pixel; 1 where not told */
	uint8_t alpha;                                /* enum codec_alpha, of every channel that is alpha by its name */
	struct codec_color color;                     /* of the channels that aren't data */
	float luma[3];                                /* ORIGIN_LUMA: the weights of R, G and B in Y */
	/* palette and tRNS */
	uint32_t npalette;     /* 0: no palette; else 1..256, and every stored index is below it (checked at decode) */
	uint8_t (*palette)[4]; /* R, G, B, A; 255 where tRNS has no entry */
	uint32_t key[3];       /* ORIGIN_KEY: the stored value of each plane that means transparent */
	size_t nattributes;
	struct codec_attribute *attributes;
};

struct codec_header {
	const char *random_access; /* "tile" "scanline" "whole": the smallest unit that decodes alone (forward-only is "whole") */
	uint32_t nparts, nframes;  /* nframes: images of an animation or a multi-image file; 1 for all others */
	struct codec_part *parts;
	uint8_t orientation;               /* EXIF 1..8, 0 where not told */
	double resolution_x, resolution_y; /* pixels per metre, 0 where not told */
	size_t nblobs, nwarnings;
	struct codec_blob *blobs;
	const char **warnings; /* what was ignored, in words: "the tEXt chunk at byte 41 has a bad CRC: ignored" */
};

/* ---- the codec ---- */

struct codec_limits {
	uint64_t max_pixels;       /* width x height of a part's largest level: more is EFBIG (default 2^30) */
	uint64_t max_chunk_bytes;  /* decoded bytes of one chunk: more is EFBIG (default 2^32) */
	size_t max_metadata_bytes; /* all that the header keeps: text beyond is dropped with a warning, else EFBIG (16 MiB) */
};
extern const struct codec_limits codec_default_limits;

struct codec;
struct codec_cursor; /* a forward decoder's state, private to the codec */

/* The start of each codec's own image object. Immutable after open. */
struct codec_image {
	const struct codec *codec;
	struct bytes *bytes; /* one reference, held by the image */
	struct arena arena;  /* the memory of the header */
	struct codec_header header;
};

struct codec {
	const char *name; /* "png": meta.json's format */
	const char *mime_type;
	const char *extensions; /* lower case, separated by blanks: "jpg jpeg jpe jfif" */
	const char *decoder; /* library and version for meta.json's source.decoder: "libpng 1.6.39"; from the headers built with */

	/* How sure it is that these first bytes (up to 64, fewer in a short file) are its format: 0 no, 100 a full magic
	 * number. Reads nothing else. */
	int (*bid)(const uint8_t *head, size_t len_bytes);

	/* Parses the header; takes its own reference on bytes. On failure *ret_image is untouched: -EIO damaged, -EFBIG over a
	 * limit, -EOPNOTSUPP a valid file that can't even be described, -ENOMEM, or what the read gave. */
	int (*open)(struct bytes *bytes, const struct codec_limits *limits, struct codec_image **ret_image, struct err *err);
	void (*close)(struct codec_image *image); /* NULL is fine; no decode may be under way, all cursors are freed */

	/* The cheap check made once before the first array of this file is opened: checksums, end marks, the presence of offset
	 * tables. What it finds, no array of the file can be read with. 0 or an error. NULL: the format has no checksum; the caller
	 * decodes everything instead. */
	int (*check)(struct codec_image *image, struct err *err);

	/* Checks of these chunks alone (inclusive ranges, within the level) what can be checked without decoding them, so that
	 * chunks that are missing fail only who needs them. 0, or the error of the first that is wrong. What was found right is
	 * known the next time. From several threads at once. NULL: check() tells all there is. */
	int (*check_chunks)(struct codec_image *image, uint32_t part, uint32_t level, uint32_t cx0, uint32_t cy0, uint32_t cx1,
			    uint32_t cy1, struct err *err);

	/* Decodes one chunk of (part, level) to dst, which has codec_chunk_layout()'s len_bytes and is written in full.
	 * ACCESS_CHUNK: any chunk, from several threads at once; cursor is NULL.
	 * ACCESS_FORWARD: *cursor is NULL for chunk 0 (the codec makes one) and then stays with the caller; chunks come in
	 * order, one thread at a time for each cursor; cursors are independent of each other. After an error the cursor may
	 * only be freed. dst of a failed decode holds nothing that may be shown. */
	int (*decode)(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
		      uint32_t cy, void *dst, struct err *err);
	/* The same to codec_kept_bytes() bytes, in the form in which the chunk is kept: of a part with a chroma_x that of ycc.h,
	 * else the samples. NULL: always the samples. */
	int (*decode_kept)(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
			   uint32_t cy, void *dst, struct err *err);
	void (*cursor_free)(struct codec_cursor *cursor); /* NULL is fine */
	/* What a cursor holds from its first chunk on until it is freed. NULL: no more than a few chunks. */
	uint64_t (*cursor_bytes)(const struct codec_image *image);
};

/* Where the samples of a decoded chunk lie: the sample of plane p at chunk column i, row j (in that plane's own samples)
 * is at planes[p].offset + j * planes[p].row_bytes + i * planes[p].step_bytes. */
struct codec_plane_layout {
	size_t offset, row_bytes, step_bytes;
	uint32_t width, height; /* samples of this plane within the chunk; may be 0 where subsampled */
};

/* Pixels covered by a chunk and the bytes it decodes to. */
struct codec_chunk_layout {
	uint32_t x, y, width, height; /* pixels, relative to the level's top left */
	uint64_t len_bytes;
};

/* The layout of chunk (cx, cy) of a level: fills *layout, and for each plane one entry of planes[] (room for part->nplanes)
 * where planes is not NULL. Planes lie behind each other, each at a multiple of 16 bytes (interleaved ones: one block).
 * A pure function of the header. Subsampled planes: the data window's origin and size are multiples of the sampling
 * (codecs enforce it at open). */
void codec_chunk_layout(const struct codec_part *part, uint32_t level, uint32_t cx, uint32_t cy, struct codec_chunk_layout *layout,
			struct codec_plane_layout *planes);

/* decode_kept, or decode where there is none, and the bytes of its chunk. */
uint64_t codec_kept_bytes(const struct codec_part *part, uint32_t level, uint32_t cx, uint32_t cy);
int codec_decode_kept(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx,
		      uint32_t cy, void *dst, struct err *err);

/* Fills level's grid fields from its size and chunk size. */
void codec_level_set(struct codec_level *level, uint32_t width, uint32_t height, uint32_t chunk_width, uint32_t chunk_height);

/* For codecs: checks planes, levels and limits once the header is filled: 0, -EFBIG or -EIO with words. */
int codec_header_check(const struct codec_header *header, const struct codec_limits *limits, struct err *err);

/* For forward codecs: rows of a band so that a band has about 256 KiB, at least 1 row. */
uint32_t codec_band_rows(uint64_t row_bytes, uint32_t height);

/* ---- registry.c: the one table of codecs ---- */

extern const struct codec *const codec_table[]; /* ends with NULL */

/* The codec whose format the first bytes are: the highest bid, the extension (without dot, any case, may be NULL) only
 * breaks ties. NULL where nobody bids. */
const struct codec *codec_for_content(const uint8_t *head, size_t len_bytes, const char *extension);

/* The codec that owns a file name's extension ("a.PNG" -> png), NULL where it is no image name. Reads no file. */
const struct codec *codec_for_name(const char *name);

/* Chooses the codec by content and opens. name (may be NULL) breaks ties. The result is closed by codec_close().
 * -EIO where the content is no image that this build knows, with words that say what it starts with. */
int codec_open(struct bytes *bytes, const char *name, const struct codec_limits *limits, struct codec_image **ret_image,
	       struct err *err);
void codec_close(struct codec_image *image); /* NULL is fine */

/* check, then check_chunks of every chunk that can be decoded: 0 or the first error. */
int codec_check(struct codec_image *image, struct err *err);

#endif
