/* jpeg_reader.h - one libjpeg decompressor over a struct bytes, for jpeg.c alone: errors and warnings become a struct err,
 * memory is released whatever happens. jpeg_reader.c has the table of which warnings are damage.
 *
 * A reader is made by jpeg_reader_init, then jpeg_reader_header, jpeg_reader_start and jpeg_reader_rows or
 * jpeg_reader_planes in this order, each once but the last; after a failure, or at the end, only jpeg_reader_destroy may follow.
 * Not shared between threads. */
#ifndef PIXFS_JPEG_READER_H
#define PIXFS_JPEG_READER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

#include "codecs/core/bytes.h"
#include "codecs/core/err.h"
#include "codecs/core/header.h"
#include "jpeg_meta.h"

struct jpeg_reader {
	struct jpeg_decompress_struct cinfo;
	struct err err;                 /* why the last call failed */
	struct bytes *bytes;            /* borrowed */
	int sof;                        /* the frame's marker, 0xc0..0xca, once the header is read */
	int max_scans;                  /* more are EFBIG */
	uint64_t max_pixels;            /* tells which errno a frame gets that libjpeg finds too large */
	struct header_builder *builder; /* while the header is described: gets the warnings; else NULL */
	struct jpeg_meta *meta;         /* likewise: gets the APPn and COM segments */
	uint64_t max_header_bytes;      /* likewise: more bytes before the first scan, skipped ones not counted, are EFBIG */
	/* the rest is private */
	struct jpeg_error_mgr errors;
	struct jpeg_source_mgr source;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	uint64_t offset;         /* in the file, of the byte behind buffer */
	uint8_t *segment;        /* one APPn or COM segment, with meta only */
	uint8_t *buffer;         /* what was read of the file: most JPEGs of a data set are far smaller than a large buffer */
	size_t buffer_bytes;     /* its room */
	size_t at, len_bytes;    /* of buffer: where the next window starts, what is filled */
	size_t segment_bytes;    /* room of segment */
	uint8_t *apart;          /* the rows of one call where they don't go to their place at once, libjpeg's memory */
	size_t apart_step_bytes; /* from row to row there */
	bool ended;              /* libjpeg was given EOI because the file ended */
	uint64_t header_bytes;
};

void jpeg_reader_init(struct jpeg_reader *reader, struct bytes *bytes);
void jpeg_reader_destroy(struct jpeg_reader *reader); /* not the struct itself */

/* Reads the header, up to the first scan. 0 or an error, with words in reader->err: -EIO, -EOPNOTSUPP, -EFBIG, -ENOMEM, or
 * what the bytes gave. */
int jpeg_reader_header(struct jpeg_reader *reader);

/* Starts the decoding with the accurate DCT: to planes as they are stored, else to pixels with fancy upsampling. Where there are
 * several scans, reads them all. */
int jpeg_reader_start(struct jpeg_reader *reader, bool planes);

/* Decodes the next nrows rows to dst. */
int jpeg_reader_rows(struct jpeg_reader *reader, uint8_t *dst, size_t row_bytes, uint32_t nrows);

/* Of a file of three components: decodes the next iMCU row, of each plane 8 rows times its vertical sampling, and of each row whole
 * blocks of 8 samples. */
int jpeg_reader_planes(struct jpeg_reader *reader, uint8_t *const planes[3], const size_t row_bytes[3]);

#endif
