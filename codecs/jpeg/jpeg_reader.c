/* jpeg_reader.c - see jpeg_reader.h.
 *
 * JPEG has no checksum, so damage is what the decoder trips over. Which of libjpeg's warnings are damage:
 *
 *   HIT_MARKER          damage  the entropy-coded data ends before the last MCU (T.81 F.2.2.5): the file was cut, or bits changed
 *   HUFF_BAD_CODE       damage  a code that the table doesn't have
 *   ARITH_BAD_CODE      damage  likewise
 *   MUST_RESYNC         damage  a restart marker is missing or out of order (F.2.1.3.2)
 *   BOGUS_PROGRESSION   damage  a refinement without the scan it refines (G.1.1.1.2): bits were lost. But an AC scan before
 *                               its DC scan (G.1.1.1.1) loses nothing
 *   EXTRANEOUS_DATA     fine    bytes between a segment and the next marker: all samples before it were decoded, and
 *                               cameras write padding there
 *   ADOBE_XFORM         fine    an unknown colour transform: taken as YCbCr or YCCK
 *   JFIF_MAJOR          fine    a version that JFIF doesn't have
 *   NOT_SEQUENTIAL      fine    Ss, Se, Ah, Al of a sequential scan, which nothing depends on
 *   JPEG_EOF            -       the source below doesn't use it: the end of the file reads as EOI, as T.81 lets a decoder do.
 *                               It is damage where something is missing: in the header, within arithmetic-coded data (where
 *                               the end can't be told from a cut), or before all scans of a file with several were there
 *   TOO_MUCH_DATA, BOGUS_ICC    can't happen: not called like that
 *
 * libjpeg's fast Huffman path takes codes that the table doesn't have for the symbol 0, and says nothing. No table is without
 * such codes (the code of all ones is never used, T.81 annex C.2), so the path is never safe and is not used: see WINDOW_BYTES.
 */
#include "jpeg_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>

enum {
	ROWS_AT_ONCE = 16,
	/* libjpeg takes its fast Huffman path where at least 512 bytes a block of the MCU are in sight. It never sees that
	 * many, so every bad code is found, wherever it lies. Measured: 2 to 7 % of the decoding time. */
	WINDOW_BYTES = 511,
	BUFFER_BYTES = 64 << 10,
	ROW_ALIGN = 32, /* see decode_rows */
	MARKER_DHP = 0xde,
	MARKER_EXP = 0xdf,
	MARKER_JPEGLS = 0xf7,
	MARKER_APP14 = 0xee,
};

static struct jpeg_reader *reader_of(j_common_ptr common)
{
	return common->client_data;
}

static _Noreturn void reader_fail(struct jpeg_reader *reader, int code, const char *words)
{
	err_set(&reader->err, code, "%s", words);
	longjmp(reader->jump, 1);
}

/* The errno for what libjpeg gives up on: valid by T.81 but not built in, or over its own limits, or else damage. */
static int error_code(struct jpeg_reader *reader)
{
	const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	int argument = reader->errors.msg_parm.i[0];
	switch (reader->errors.msg_code) {
	case JERR_OUT_OF_MEMORY:
		return -ENOMEM;
	case JERR_SOF_UNSUPPORTED:
	case JERR_ARITH_NOTIMPL:
	case JERR_CCIR601_NOTIMPL:
	case JERR_CONVERSION_NOTIMPL:
	case JERR_FRACT_SAMPLE_NOTIMPL:
	case JERR_NOTIMPL:
	case JERR_COMPONENT_COUNT:
		return -EOPNOTSUPP;
	case JERR_IMAGE_TOO_BIG:
		return (uint64_t)cinfo->image_width * cinfo->image_height > reader->max_pixels ? -EFBIG : -EOPNOTSUPP;
	case JERR_BAD_PRECISION: /* T.81 table B.2: 8 or 12 */
		return argument == 12 ? -EOPNOTSUPP : -EIO;
	case JERR_UNKNOWN_MARKER:
		return argument == MARKER_DHP || argument == MARKER_EXP || argument == MARKER_JPEGLS ? -EOPNOTSUPP : -EIO;
	case JERR_EMPTY_IMAGE: /* T.81 B.2.5: a height of 0 is told by a DNL segment behind the first scan */
		return cinfo->image_height == 0 && cinfo->image_width > 0 && cinfo->num_components > 0 ? -EOPNOTSUPP : -EIO;
	default:
		return -EIO;
	}
}

static _Noreturn void reader_error_exit(j_common_ptr common)
{
	struct jpeg_reader *reader = reader_of(common);
	char words[JMSG_LENGTH_MAX];
	reader->errors.format_message(common, words);
	int code = error_code(reader);
	if (reader->ended && code == -EIO)
		err_set(&reader->err, code, "the file ends at byte %" PRIu64 ": %s", reader->bytes->size_bytes, words);
	else if (reader->cinfo.output_scanline > 0)
		err_set(&reader->err, code, "%s (behind row %u)", words, reader->cinfo.output_scanline);
	reader_fail(reader, code, words);
}

/* The table at the top. */
static bool warning_is_damage(const struct jpeg_reader *reader)
{
	switch (reader->errors.msg_code) {
	case JWRN_ADOBE_XFORM:
	case JWRN_EXTRANEOUS_DATA:
	case JWRN_JFIF_MAJOR:
	case JWRN_NOT_SEQUENTIAL:
		return false;
	case JWRN_BOGUS_PROGRESSION:
		return !(reader->cinfo.Ss != 0 && reader->errors.msg_parm.i[1] == 0);
	default:
		return true;
	}
}

static void reader_message(j_common_ptr common, int level)
{
	struct jpeg_reader *reader = reader_of(common);
	if (level >= 0) { /* no warning: news of what is read */
		if (reader->errors.msg_code == JTRC_SOF)
			reader->sof = reader->errors.msg_parm.i[0];
		return;
	}
	if (warning_is_damage(reader))
		reader_error_exit(common);
	if (reader->builder) {
		char words[JMSG_LENGTH_MAX];
		reader->errors.format_message(common, words);
		header_warn(reader->builder, "%s", words);
	}
}

/* ---- the source of bytes ---- */

/* Called by libjpeg for each iMCU row while it collects the scans. */
static void scan_monitor(j_common_ptr common)
{
	struct jpeg_reader *reader = reader_of(common);
	if (reader->cinfo.input_scan_number > reader->max_scans)
		reader_fail(reader, -EFBIG, "too many scans");
}

static void source_nothing(j_decompress_ptr cinfo)
{
	(void)cinfo;
}

/* The end of the file: EOI, and again EOI (a decoder that wants more finds it again). */
static void source_end(struct jpeg_reader *reader)
{
	struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	/* input_iMCU_row is below the total only within a scan */
	if (!reader->builder && cinfo->arith_code && cinfo->input_iMCU_row < cinfo->total_iMCU_rows) {
		err_set(&reader->err, -EIO, "the file ends at byte %" PRIu64 ", within the arithmetic-coded data",
			reader->bytes->size_bytes);
		longjmp(reader->jump, 1);
	}
	reader->ended = true;
	reader->buffer[0] = 0xff;
	reader->buffer[1] = JPEG_EOI;
	reader->at = 0;
	reader->len_bytes = 2;
}

static boolean source_fill(j_decompress_ptr cinfo)
{
	struct jpeg_reader *reader = reader_of((j_common_ptr)cinfo);
	if (reader->at == reader->len_bytes) {
		ssize_t got = bytes_read(reader->bytes, reader->buffer, reader->buffer_bytes, reader->offset, &reader->err);
		if (got < 0)
			reader_fail(reader, (int)got, "reading failed");
		reader->offset += (uint64_t)got;
		reader->at = 0;
		reader->len_bytes = (size_t)got;
		if (got == 0)
			source_end(reader);
	}
	size_t left = reader->len_bytes - reader->at;
	size_t window = left < WINDOW_BYTES ? left : WINDOW_BYTES;
	reader->source.next_input_byte = reader->buffer + reader->at;
	reader->source.bytes_in_buffer = window;
	reader->at += window;
	reader->header_bytes += window;
	if (reader->builder && reader->header_bytes > reader->max_header_bytes)
		reader_fail(reader, -EFBIG, "the header is too long");
	return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long count)
{
	struct jpeg_reader *reader = reader_of((j_common_ptr)cinfo);
	struct jpeg_source_mgr *source = &reader->source;
	if (count <= 0)
		return;
	size_t skip = (size_t)count;
	if (skip <= source->bytes_in_buffer) {
		source->next_input_byte += skip;
		source->bytes_in_buffer -= skip;
		return;
	}
	skip -= source->bytes_in_buffer;
	source->bytes_in_buffer = 0;
	size_t left = reader->len_bytes - reader->at;
	size_t within = skip < left ? skip : left;
	reader->at += within;
	reader->offset += skip - within; /* past the end: the next fill finds it */
}

static void source_copy(struct jpeg_reader *reader, uint8_t *dst, size_t len_bytes)
{
	struct jpeg_source_mgr *source = &reader->source;
	while (len_bytes) {
		if (source->bytes_in_buffer == 0)
			source_fill(&reader->cinfo);
		if (reader->ended)
			reader_fail(reader, -EIO, "the file ends within its header");
		size_t n = len_bytes < source->bytes_in_buffer ? len_bytes : source->bytes_in_buffer;
		memcpy(dst, source->next_input_byte, n);
		source->next_input_byte += n;
		source->bytes_in_buffer -= n;
		dst += n;
		len_bytes -= n;
	}
}

static _Noreturn void fail_for_memory(struct jpeg_reader *reader)
{
	reader_fail(reader, -ENOMEM, "no memory for a JPEG decoder");
}

static void make_segment_room(struct jpeg_reader *reader, size_t len_bytes)
{
	if (len_bytes < reader->segment_bytes)
		return;
	free(reader->segment);
	reader->segment_bytes = 0;
	reader->segment = malloc(len_bytes + 1);
	if (!reader->segment)
		fail_for_memory(reader);
	reader->segment_bytes = len_bytes + 1;
}

/* APPn and COM while the header is read. APP0 is left to libjpeg, which needs it. */
static boolean reader_segment(j_decompress_ptr cinfo)
{
	struct jpeg_reader *reader = reader_of((j_common_ptr)cinfo);
	uint8_t length[2];
	source_copy(reader, length, sizeof length);
	size_t len_bytes = (size_t)length[0] << 8 | length[1];
	len_bytes -= len_bytes < 2 ? len_bytes : 2;
	if (reader->header_bytes + len_bytes > reader->max_header_bytes / 2) {
		reader->meta->ndropped++;
		source_skip(cinfo, (long)len_bytes);
		return TRUE;
	}
	make_segment_room(reader, len_bytes);
	source_copy(reader, reader->segment, len_bytes);
	/* T.872 section 6.5.3: "Adobe", version, flags0, flags1, transform */
	if (cinfo->unread_marker == MARKER_APP14 && len_bytes >= 12 && memcmp(reader->segment, "Adobe", 5) == 0) {
		cinfo->saw_Adobe_marker = TRUE;
		cinfo->Adobe_transform = reader->segment[11];
	}
	jpeg_meta_segment(reader->meta, cinfo->unread_marker, reader->segment, len_bytes);
	return TRUE;
}

void jpeg_reader_init(struct jpeg_reader *reader, struct bytes *bytes)
{
	*reader = (struct jpeg_reader){0};
	reader->bytes = bytes;
	reader->cinfo.err = jpeg_std_error(&reader->errors);
	reader->cinfo.client_data = reader;
	reader->errors.error_exit = reader_error_exit;
	reader->errors.emit_message = reader_message;
	reader->source.init_source = source_nothing;
	reader->source.fill_input_buffer = source_fill;
	reader->source.skip_input_data = source_skip;
	reader->source.resync_to_restart = jpeg_resync_to_restart;
	reader->source.term_source = source_nothing;
	reader->progress.progress_monitor = scan_monitor;
}

void jpeg_reader_destroy(struct jpeg_reader *reader)
{
	jpeg_destroy_decompress(&reader->cinfo); /* one that was never created is all zeros: fine */
	free(reader->segment);
	free(reader->buffer);
	reader->segment = reader->buffer = NULL;
}

/* No more than the file has, but for the marker of source_end(). */
static void make_buffer(struct jpeg_reader *reader)
{
	uint64_t size_bytes = reader->bytes->size_bytes;
	reader->buffer_bytes = size_bytes < 2 ? 2 : size_bytes < BUFFER_BYTES ? (size_t)size_bytes : BUFFER_BYTES;
	reader->buffer = malloc(reader->buffer_bytes);
	if (!reader->buffer)
		fail_for_memory(reader);
}

int jpeg_reader_header(struct jpeg_reader *reader)
{
	if (setjmp(reader->jump))
		return reader->err.code;
	jpeg_create_decompress(&reader->cinfo);
	make_buffer(reader);
	reader->cinfo.src = &reader->source;
	if (reader->meta) {
		for (int n = 1; n < 16; n++)
			jpeg_set_marker_processor(&reader->cinfo, JPEG_APP0 + n, reader_segment);
		jpeg_set_marker_processor(&reader->cinfo, JPEG_COM, reader_segment);
	}
	jpeg_read_header(&reader->cinfo, TRUE);
	if (reader->ended)
		reader_fail(reader, -EIO, "the file ends within its header");
	return 0;
}

/* Of a file that ended without EOI: whether all of every component was there. */
static bool scans_complete(const struct jpeg_decompress_struct *cinfo)
{
	for (int i = 0; cinfo->coef_bits && i < cinfo->num_components; i++)
		for (int k = 0; k < DCTSIZE2; k++)
			if (cinfo->coef_bits[i][k] != 0)
				return false;
	return true;
}

static void check_scans_read(struct jpeg_reader *reader)
{
	const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	for (int i = 0; i < cinfo->num_components; i++)
		if (!cinfo->comp_info[i].quant_table) /* set by a component's first scan */
			reader_fail(reader, -EIO, reader->ended ? "the file ends before its last scan" : "a component has no scan");
	if (reader->ended && !scans_complete(cinfo))
		reader_fail(reader, -EIO, "the file ends before its last scan");
}

int jpeg_reader_start(struct jpeg_reader *reader, bool planes)
{
	struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	if (setjmp(reader->jump))
		return reader->err.code;
	cinfo->dct_method = JDCT_ISLOW;
	cinfo->do_fancy_upsampling = TRUE;
	cinfo->raw_data_out = planes;
	cinfo->progress = &reader->progress;
	jpeg_start_decompress(cinfo);
	if (jpeg_has_multiple_scans(cinfo))
		check_scans_read(reader);
	return 0;
}

/* Makes room for the rows of one call at addresses that are no multiples of 16. */
static void make_rows_apart(struct jpeg_reader *reader, size_t row_bytes)
{
	j_common_ptr common = (j_common_ptr)&reader->cinfo;
	reader->apart_step_bytes = (row_bytes + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
	size_t len_bytes = reader->apart_step_bytes * ROWS_AT_ONCE + 2 * ROW_ALIGN;
	uint8_t *all = reader->cinfo.mem->alloc_large(common, JPOOL_IMAGE, len_bytes);
	reader->apart = all + ROW_ALIGN - (uintptr_t)all % ROW_ALIGN + ROW_ALIGN / 4;
}

/* Decodes up to nrows rows to dst: how many. Where a row's address is a multiple of 16 (SSE2) or 32 (AVX2), the library's vector
 * code stores it past the caches, into memory. Then its next loads wait for those stores, and whoever reads the row next does so
 * for the memory: rows that would all lie like that are decoded beside it and copied. Measured: 32x32 4:2:0, 16 rows at once: 4
 * instead of 10 us; 3872x2592 with its conversion to float32: 45 instead of 52 ms. */
static uint32_t decode_rows(struct jpeg_reader *reader, uint8_t *dst, size_t row_bytes, uint32_t nrows)
{
	JSAMPROW rows[ROWS_AT_ONCE];
	bool apart = ((uintptr_t)dst | row_bytes) % (ROW_ALIGN / 2) == 0;
	if (apart && !reader->apart)
		make_rows_apart(reader, row_bytes);
	nrows = nrows < ROWS_AT_ONCE ? nrows : ROWS_AT_ONCE;
	for (uint32_t i = 0; i < nrows; i++)
		rows[i] = apart ? reader->apart + i * reader->apart_step_bytes : dst + i * row_bytes;
	uint32_t n = jpeg_read_scanlines(&reader->cinfo, rows, nrows);
	for (uint32_t i = 0; apart && i < n; i++)
		memcpy(dst + i * row_bytes, rows[i], row_bytes);
	return n;
}

/* Several rows in one call: the library then converts the two or more that it upsamples together at once. */
int jpeg_reader_rows(struct jpeg_reader *reader, uint8_t *dst, size_t row_bytes, uint32_t nrows)
{
	if (setjmp(reader->jump))
		return reader->err.code;
	uint32_t row0 = reader->cinfo.output_scanline;
	for (uint32_t done; (done = reader->cinfo.output_scanline - row0) < nrows;)
		if (decode_rows(reader, dst + done * row_bytes, row_bytes, nrows - done) == 0)
			reader_fail(reader, -EIO, "the decoder gives no more rows");
	return 0;
}

int jpeg_reader_planes(struct jpeg_reader *reader, uint8_t *const planes[3], const size_t row_bytes[3])
{
	struct jpeg_decompress_struct *cinfo = &reader->cinfo;
	JSAMPROW rows[3][MAX_SAMP_FACTOR * DCTSIZE];
	JSAMPARRAY all[3] = {rows[0], rows[1], rows[2]};
	if (setjmp(reader->jump))
		return reader->err.code;
	for (int p = 0; p < 3; p++)
		for (int i = 0; i < cinfo->comp_info[p].v_samp_factor * DCTSIZE; i++)
			rows[p][i] = planes[p] + (size_t)i * row_bytes[p];
	if (jpeg_read_raw_data(cinfo, all, (JDIMENSION)(cinfo->max_v_samp_factor * DCTSIZE)) == 0)
		reader_fail(reader, -EIO, "the decoder gives no more rows");
	return 0;
}
