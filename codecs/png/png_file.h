/* png_file.h - what the parts of the PNG codec share; only codecs/png*.c include it.
 *
 *	png.c         the codec: open, close
 *	png_check.c   the codec's check
 *	png_chunk.c   the chunk structure of the file
 *	png_meta.c    ancillary chunks -> header
 *	png_text.c    text chunks and what is compressed in ancillary chunks
 *	png_profile.c texts that are profiles
 *	png_idat.c    the image data as one stream of bytes
 *	png_inflate.c the same inflated, where all is well
 *	png_ahead.c   by a helper, ahead of who reads it
 *	png_adler.c   its checksum
 *	png_stream.c  the datastream made of it for libpng
 *	png_decode.c  libpng: datastream -> samples
 *
 * "PNG" in comments is the PNG Specification (Third Edition), W3C 2025, with its section numbers.
 */
#ifndef PIXFS_PNG_FILE_H
#define PIXFS_PNG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "codecs/core/codec.h"
#include "codecs/core/header.h"

enum { PNG_GRAY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GRAY_ALPHA = 4, PNG_RGB_ALPHA = 6 }; /* PNG 11.2.1, colour types */

enum { PNG_SIGNATURE_BYTES = 8, PNG_IHDR_BYTES = 13, PNG_PIECE_BYTES = 64 << 10, PNG_READ_BYTES = 32 << 10 };

struct png_file {
	struct codec_image image; /* first */
	uint32_t width, height;
	uint8_t depth, color_type;
	bool interlaced;
	uint64_t idat_offset, idat_end; /* from the length field of the first IDAT to behind the last of its unbroken run */
	uint64_t idat_bytes;            /* compressed bytes in that run; 0: there is none */
	bool idat_again;                /* more IDATs follow behind other chunks */
};

static inline uint32_t png_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t png_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void png_put32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

/* Bits of a pixel as stored. */
static inline unsigned png_pixel_bits(const struct png_file *file)
{
	static const uint8_t samples[] = {1, 0, 3, 1, 2, 0, 4};
	return (unsigned)samples[file->color_type] * file->depth;
}

int png_check(struct codec_image *image, struct err *err); /* png_check.c */

/* ---- png_chunk.c ---- */

/* Reads a source of bytes forwards through a window of memory. */
struct png_window {
	struct bytes *bytes;
	uint8_t *data; /* room_bytes, the caller's */
	size_t room_bytes, len_bytes;
	uint64_t start;  /* of data[0] in the file */
	uint64_t offset; /* where the next read is */
};

void png_window_init(struct png_window *window, struct bytes *bytes, uint8_t *data, size_t room_bytes, uint64_t offset);

/* Makes the bytes at offset available: *ret_data and how many lie there, at least want (at most room_bytes) but where the
 * file ends. 0 or what the read gave. */
int png_window_need(struct png_window *window, size_t want, const uint8_t **ret_data, size_t *ret_len_bytes, struct err *err);

struct png_chunk {
	uint64_t offset; /* of the length field */
	uint32_t len_bytes;
	char type[5];
};

enum png_step {
	PNG_STEP_CHUNK, /* a chunk, all of it in the file */
	PNG_STEP_END,   /* the file ends where a chunk could begin */
	PNG_STEP_CUT,   /* the file ends within this chunk (type "" where even the header is cut) */
	PNG_STEP_BAD,   /* no chunk: its type is no four letters, or it is longer than 2^31-1 (PNG 5.3) */
};

/* Reads the chunk header at window->offset, which stays there. 0 or what the read gave. */
int png_chunk_read(struct png_window *window, enum png_step *ret_step, struct png_chunk *ret_chunk, struct err *err);

static inline uint64_t png_chunk_end(const struct png_chunk *chunk)
{
	return chunk->offset + 12 + chunk->len_bytes;
}

static inline bool png_chunk_is(const struct png_chunk *chunk, const char *type)
{
	return __builtin_memcmp(chunk->type, type, 4) == 0;
}

/* PNG 5.4: bit 5 of the first letter. */
static inline bool png_chunk_critical(const struct png_chunk *chunk)
{
	return !(chunk->type[0] & 0x20);
}

/* Runs the CRC over a whole chunk and moves the window behind it. 0 or what the read gave; -EIO where the file became shorter. */
int png_chunk_verify(struct png_window *window, const struct png_chunk *chunk, bool *ret_good, struct err *err);

/* Copies the chunk's data to dst (len_bytes + 4 bytes of room) and runs the CRC. The window stays. */
int png_chunk_body(const struct png_window *window, const struct png_chunk *chunk, uint8_t *dst, bool *ret_good, struct err *err);

uint32_t png_crc(uint32_t crc, const void *data, size_t len_bytes); /* starts with 0; 0 bytes give crc back */

/* ---- png_meta.c ---- */

/* What ancillary chunks say while the header is built; zeroed at first but for the pointers. */
struct png_meta {
	struct png_file *file;
	struct codec_part *part;
	struct header_builder *builder;
	bool have_palette, have_idat; /* PLTE, the first IDAT went by */
	uint32_t seen;                /* bit i: chunk i of png_meta.c's table was taken */
	uint64_t budget_bytes;        /* what may still be read and inflated */
	unsigned nunknown, ntexts;
	bool have_xmp, have_exif;
	uint8_t *raw_exif; /* of a text, see png_profile.c; counts where there is no eXIf */
	size_t raw_exif_bytes;
	bool have_cicp, have_icc, have_srgb, have_chromaticities;
	uint8_t cicp[4];
	uint32_t gamma; /* gAMA as stored, 0: none */
	double chromaticities[8];
};

void png_meta_init(struct png_meta *meta, struct png_file *file, struct codec_part *part, struct header_builder *builder);

/* Takes an ancillary chunk: known ones into the header, unknown ones by name and size; what is damaged, misplaced or too
 * large is ignored with a warning. 0, or an error of the read or memory that fails the open. */
int png_meta_chunk(struct png_meta *meta, const struct png_window *window, const struct png_chunk *chunk, struct err *err);

/* After the last chunk: the colour from the chunk of the highest precedence, EXIF from a text where there is no eXIf. */
void png_meta_finish(struct png_meta *meta);
void png_meta_free(struct png_meta *meta);

/* ---- png_profile.c ---- */

/* Takes a text that holds a profile in hexadecimal digits: EXIF, or XMP. False where it is none: then it is a text as others. */
bool png_profile(struct png_meta *meta, const char *keyword, const char *text);

/* ---- png_text.c: each takes a chunk's data; false: it breaks its syntax ---- */

bool png_text_latin1(struct png_meta *meta, const uint8_t *data, size_t len_bytes);       /* tEXt */
bool png_text_compressed(struct png_meta *meta, const uint8_t *data, size_t len_bytes);   /* zTXt */
bool png_text_utf8(struct png_meta *meta, const uint8_t *data, size_t len_bytes);         /* iTXt */
bool png_icc(struct png_meta *meta, const uint8_t *data, size_t len_bytes);               /* iCCP */
bool png_suggested_palette(struct png_meta *meta, const uint8_t *data, size_t len_bytes); /* sPLT: its name */

/* ---- png_idat.c ---- */

/* The bytes of all IDATs in one stream, CRCs verified as they go by. */
struct png_idat;

int png_idat_open(const struct png_file *file, struct png_idat **ret_idat, struct err *err);
void png_idat_free(struct png_idat *idat); /* NULL is fine */
/* Exactly len_bytes, which the caller knows to be there (file->idat_bytes in all). -EIO: the file is cut, a CRC is wrong. */
int png_idat_read(struct png_idat *idat, void *dst, size_t len_bytes, struct err *err);
/* The next 1 to want bytes, which the caller knows to be there, in memory that is good until the next call. As png_idat_read. */
int png_idat_piece(struct png_idat *idat, size_t want, const uint8_t **ret_data, size_t *ret_len_bytes, struct err *err);
/* Reads what is left and runs the CRCs. */
int png_idat_finish(struct png_idat *idat, struct err *err);

/* ---- png_inflate.c ---- */

struct png_inflate;

/* Filtered bytes of all rows of all passes. */
uint64_t png_inflate_bytes(const struct png_file *file);
/* Inflates what is read from idat, which stays the caller's; nobody else reads from it meanwhile. NULL: no memory. */
struct png_inflate *png_inflate_open(const struct png_file *file, struct png_idat *idat);
void png_inflate_free(struct png_inflate *inflate); /* NULL is fine */
/* Exactly len_bytes. False for any reason not to: only png_inflate_free may follow. */
bool png_inflate_read(struct png_inflate *inflate, uint8_t *dst, uint32_t len_bytes);
/* After the last byte: whether the stream ends here and its Adler-32 is right, and which it is. */
bool png_inflate_finish(struct png_inflate *inflate, uint32_t *ret_adler);

/* ---- png_ahead.c ---- */

/* As png_inflate, for one reader at a time; helped: helpers may inflate meanwhile what is not yet asked for. */
struct png_ahead;

struct png_ahead *png_ahead_open(const struct png_file *file, struct png_idat *idat, bool helped);
void png_ahead_free(struct png_ahead *ahead); /* NULL is fine; waits for a helper's end */
bool png_ahead_read(struct png_ahead *ahead, uint8_t *dst, uint32_t len_bytes);
bool png_ahead_finish(struct png_ahead *ahead, uint32_t *ret_adler);

/* ---- png_stream.c ---- */

struct png_stream;

enum png_way {
	PNG_PLAIN,  /* zlib inflates the image data */
	PNG_QUICK,  /* png_inflate.c does, where it can (is_quick tells) */
	PNG_HELPED, /* the same, with helpers */
};

/* The file outlives the stream. */
int png_stream_open(const struct png_file *file, enum png_way way, struct png_stream **ret_stream, struct err *err);
void png_stream_free(struct png_stream *stream); /* NULL is fine */
bool png_stream_is_quick(const struct png_stream *stream);
/* The next len_bytes of the datastream behind the signature, in pieces of up to PNG_READ_BYTES at best. 0, or what is wrong with
 * the file; -EIO of a quick stream only says that it can't go on. */
int png_stream_read(struct png_stream *stream, uint8_t *dst, size_t len_bytes, struct err *err);
/* After the last row: reads what is left of the image data and runs the CRCs; a quick stream also verifies the Adler-32. */
int png_stream_finish(struct png_stream *stream, struct err *err);

/* ---- png_decode.c ---- */

extern const char png_decoder[]; /* library and version */

int png_decode(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy,
	       void *dst, struct err *err);
void png_cursor_free(struct codec_cursor *cursor);
/* Decodes all rows and keeps none. */
int png_decode_check(const struct png_file *file, struct err *err);
/* -EIO where so few compressed bytes can't be an image of this size. */
int png_decode_plausible(const struct png_file *file, struct err *err);

#endif
