/* exr.h - what the files exr_*.c share: an opened OpenEXR file. Nothing outside of them includes this.
 *
 *	exr.c            the codec: bid, open, close
 *	exr_header.c     the file's header: attribute by attribute, part by part
 *	exr_attribute.c  one attribute's value -> struct codec_attribute
 *	exr_part.c       the attributes that pixels depend on -> planes, levels, chunks
 *	exr_meaning.c    which channels are colour, alpha, data; luminance and chroma as R, G, B; the colour
 *	exr_chunks.c     offset tables and chunk headers: check(), check_chunks()
 *	exr_decode.c     one chunk -> planes: decode()
 *	exr_zip.c        ZIP, ZIPS and RLE
 *	exr_pxr24.c      PXR24
 *	exr_b44.c        B44 and B44A
 *	exr_wrap.c       a chunk as a whole little OpenEXR file, for the library
 *	exr_dwa.c        the sizes in DWAA and DWAB data
 *	exr_imf.cpp      all other compressions, by the OpenEXR C++ library
 *
 * The library never sees the file's own header, offset tables or chunk headers: these are parsed and checked here, and
 * what it gets is one chunk behind a header made by exr_wrap.c. So a hostile header meets no code but this, any thread can
 * decode any chunk without a lock, and multi-part files, levels and broken tables are no case of their own.
 *
 * "The layout document" in comments is OpenEXR's "OpenEXR File Layout" (openexr.com); all numbers are little-endian.
 */
#ifndef PIXFS_EXR_H
#define PIXFS_EXR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/codec.h"
#include "codecs/core/header.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples are stored little-endian and copied as they are");

enum exr_storage { STORAGE_SCANLINE, STORAGE_TILED, STORAGE_DEEP_SCANLINE, STORAGE_DEEP_TILED, STORAGE_OTHER };

/* The values of the compression attribute. */
enum exr_compression {
	COMPRESSION_NONE,
	COMPRESSION_RLE,
	COMPRESSION_ZIPS,
	COMPRESSION_ZIP,
	COMPRESSION_PIZ,
	COMPRESSION_PXR24,
	COMPRESSION_B44,
	COMPRESSION_B44A,
	COMPRESSION_DWAA,
	COMPRESSION_DWAB,
	COMPRESSION_END, /* from here on: unknown to this build */
};

struct exr_part {
	uint8_t storage, compression;
	const uint8_t *plinear;       /* for each plane 0 or 1: the chlist's pLinear, which B44 and DWA heed */
	uint32_t nchunks, chunk0;     /* entries of the offset table; the first one's index in exr_image.offsets */
	const uint32_t *level_chunk0; /* for each level the first entry, counted from chunk0 */
	uint32_t max_chunk_bytes;     /* of a decoded chunk, without the gaps between planes */
};

struct exr_image {
	struct codec_image image; /* its parts and these are the same in number and order */
	bool multipart;           /* chunk headers start with a part number */
	uint64_t table_offset;    /* of the offset tables, which lie behind each other */
	uint64_t chunks_offset;   /* the first byte behind them */
	uint32_t nchunks;         /* of all parts */
	struct exr_part *parts;

	pthread_mutex_t lock;      /* protects the making of offsets, held over its reads */
	uint64_t *_Atomic offsets; /* NULL until first needed, then nchunks of them, 0: missing; never changes again */
	atomic_uchar *sound;       /* made with offsets, in their memory: for each chunk whether its header was found right */
};

/* What the attributes of one part's header say, as stored; exr_part_make turns it into a part. */
struct exr_attributes {
	const char *type, *name, *view, *interop_id; /* in the arena; NULL where not told */
	const uint8_t *channels;                     /* the chlist, in the arena */
	size_t channels_bytes;
	bool has_channels, has_compression, has_data_window, has_display_window, has_line_order, has_pixel_aspect, has_tiles;
	bool has_chromaticities, has_chunk_count;
	uint8_t compression, line_order, tile_mode;
	uint32_t tile_width, tile_height;
	int32_t chunk_count;
	struct codec_box data_window, display_window;
	float pixel_aspect, x_density, chromaticities[8];
};

/* The magic number, version and flags, then all headers; fills image->image.header and image's parts.
 * Allocates in image's arena. 0, or an error as codec.open. */
int exr_header_read(struct exr_image *image, const struct codec_limits *limits, struct err *err);
/* Why an arena gave NULL: -EFBIG, or -ENOMEM. */
int exr_header_too_large(const struct arena *arena, struct err *err);

/* Appends an attribute, name verbatim, in the group "openexr". What its type doesn't allow is appended as bytes. */
void exr_attribute_add(struct header_builder *builder, const char *name, const char *type, const uint8_t *value, size_t len_bytes,
		       uint32_t part);

/* Fills codec_part and exr_part from attributes; storage is decided by the caller. Checks everything about the part but
 * limits. 0, -EIO, -EFBIG. */
int exr_part_make(struct exr_image *image, const struct exr_attributes *attributes, enum exr_storage storage,
		  struct header_builder *builder, struct codec_part *part, struct exr_part *exr, struct err *err);

/* What the part's channels mean, once all else of it but the colour is filled; builder still has the part's attributes. Sets data
 * and folded of its channels, adds R, G and B where luminance and chroma make them, sets alpha, luma and color. 0, -EFBIG, -ENOMEM.
 */
int exr_part_mean(struct arena *arena, const struct exr_attributes *attributes, struct header_builder *builder,
		  struct codec_part *part, struct err *err);

/* One chunk, found and checked against the file: its header says what was asked for, its data lie within the file. */
struct exr_chunk {
	uint32_t part, level, cx, cy;
	struct codec_chunk_layout layout;
	uint64_t data_offset;
	uint32_t packed_bytes, unpacked_bytes; /* packed == unpacked: stored as it is, whatever the compression */
};

/* Finds chunk (cx, cy). 0, or -EIO with words that name the chunk. Any thread. */
int exr_chunk_find(struct exr_image *image, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, struct exr_chunk *ret_chunk,
		   struct err *err);

/* "rows 16 to 31", "tile 3, 0 of level 2", with the part where there are several. Returns words. */
enum { EXR_WORDS_BYTES = 96 };
const char *exr_chunk_words(const struct exr_image *image, const struct exr_chunk *chunk, char words[EXR_WORDS_BYTES]);

int exr_check(struct codec_image *image, struct err *err);
int exr_check_chunks(struct codec_image *image, uint32_t part, uint32_t level, uint32_t cx0, uint32_t cy0, uint32_t cx1,
		     uint32_t cy1, struct err *err);
int exr_decode(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy,
	       void *dst, struct err *err);

/* A zlib stream of exactly dst_bytes bytes. 0, -EIO, -ENOMEM. */
int exr_inflate(const void *packed, size_t packed_bytes, uint8_t *dst, size_t dst_bytes, struct err *err);

/* ZIP, ZIPS, RLE: packed to unpacked_bytes bytes at dst, predictor undone, in two halves: bytes 0, 2, 4, ... of the
 * samples first, bytes 1, 3, 5, ... from dst + unpacked_bytes / 2 on. 0, -EIO, -ENOMEM. */
int exr_zip_expand(const void *packed, size_t packed_bytes, uint8_t *dst, size_t unpacked_bytes, struct err *err);
int exr_rle_expand(const void *packed, size_t packed_bytes, uint8_t *dst, size_t unpacked_bytes, struct err *err);

/* dst[2i] = even[i], dst[2i+1] = odd[i], len_bytes bytes in all (even). */
void exr_zip_interleave(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t len_bytes);

/* PXR24: the bytes of a chunk once inflated; and of these one row of a plane to row_bytes bytes of samples at dst. Returns how many
 * bytes of src it took. */
size_t exr_pxr24_bytes(const struct codec_part *part, const struct codec_plane_layout *planes);
size_t exr_pxr24_row(uint8_t *dst, const uint8_t *src, enum sample_type type, size_t row_bytes);

/* B44 and B44A: packed to the planes at dst, but for parts that are left to the library. 0 or -EIO. */
bool exr_b44_undoes(const struct codec_part *part, const struct exr_part *exr);
int exr_b44_expand(const struct codec_part *part, const struct codec_plane_layout *planes, const uint8_t *packed,
		   size_t packed_bytes, uint8_t *dst, struct err *err);

/* Whether DWAA or DWAB data say of themselves what the chunk's planes need: 0 or -EIO. */
int exr_dwa_check(const struct codec_part *part, const struct codec_plane_layout *planes, const uint8_t *packed,
		  size_t packed_bytes, struct err *err);

/* A chunk as an OpenEXR file of one part and, but for odd subsampling, one chunk: size of, and the bytes before, its
 * packed data. The file's data window starts at (0, 0) and is the chunk's. */
bool exr_wrap_is_whole(const struct exr_image *image, const struct exr_chunk *chunk); /* the odd case: the window is the image's */
size_t exr_wrap_bytes(const struct exr_image *image, const struct exr_chunk *chunk);
void exr_wrap(const struct exr_image *image, const struct exr_chunk *chunk, uint8_t *dst);

#endif
