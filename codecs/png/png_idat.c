/* png_idat.c - the image data as one stream: the data of consecutive IDAT chunks (PNG 10.1), read in pieces of 64 KiB.
 * Each chunk's CRC is verified when its end goes by, so bytes are handed out before their CRC is known, as in any
 * streaming decoder; png.c's check verifies them all beforehand. */
#include "png_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct png_idat {
	struct png_window window;
	uint64_t end;           /* file->idat_end */
	uint64_t bytes_left;    /* of all chunks */
	struct png_chunk chunk; /* the present one */
	uint32_t chunk_left, crc;
	bool in_chunk;
	uint8_t piece[PNG_PIECE_BYTES];
};

int png_idat_open(const struct png_file *file, struct png_idat **ret_idat, struct err *err)
{
	struct png_idat *idat = malloc(sizeof *idat);
	if (!idat)
		return err_set(err, -ENOMEM, "no memory for a PNG decoder");
	/* not past the run: what follows isn't wanted */
	uint64_t run_bytes = file->idat_end - file->idat_offset;
	size_t room_bytes = run_bytes < PNG_PIECE_BYTES ? (size_t)run_bytes : PNG_PIECE_BYTES;
	png_window_init(&idat->window, file->image.bytes, idat->piece, room_bytes, file->idat_offset);
	idat->end = file->idat_end;
	idat->bytes_left = file->idat_bytes;
	idat->chunk_left = idat->crc = 0;
	idat->in_chunk = false;
	*ret_idat = idat;
	return 0;
}

void png_idat_free(struct png_idat *idat)
{
	free(idat);
}

static int cut_words(const struct png_idat *idat, struct err *err)
{
	return err_set(err, -EIO, "the file ends at byte %" PRIu64 ", within the image data (the IDAT chunk at byte %" PRIu64 ")",
		       idat->window.bytes->size_bytes, idat->chunk.offset);
}

static int chunk_finish(struct png_idat *idat, struct err *err)
{
	const uint8_t *p = NULL;
	size_t len_bytes = 0;
	int rc = png_window_need(&idat->window, 4, &p, &len_bytes, err);
	if (rc)
		return rc;
	if (len_bytes < 4)
		return cut_words(idat, err);
	if (idat->crc != png_get32(p))
		return err_set(err, -EIO, "the IDAT chunk at byte %" PRIu64 " has a bad CRC", idat->chunk.offset);
	idat->window.offset += 4;
	idat->in_chunk = false;
	return 0;
}

static int chunk_start(struct png_idat *idat, struct err *err)
{
	enum png_step step;
	uint64_t before = idat->chunk.offset;
	int rc = png_chunk_read(&idat->window, &step, &idat->chunk, err);
	if (rc)
		return rc;
	if (step == PNG_STEP_END || !png_chunk_is(&idat->chunk, "IDAT"))
		return err_set(err, -EIO, "no IDAT chunk at byte %" PRIu64 ", behind that at byte %" PRIu64, idat->window.offset,
			       before);
	idat->window.offset += 8;
	idat->chunk_left = idat->chunk.len_bytes;
	idat->crc = png_crc(0, "IDAT", 4);
	idat->in_chunk = true;
	return 0;
}

/* Never past the present chunk; steps over the bounds between chunks first. */
int png_idat_piece(struct png_idat *idat, size_t want, const uint8_t **ret_data, size_t *ret_len_bytes, struct err *err)
{
	while (!idat->chunk_left) {
		int rc = idat->in_chunk ? chunk_finish(idat, err) : 0;
		if (!rc)
			rc = chunk_start(idat, err);
		if (rc)
			return rc;
	}
	size_t len_bytes = 0;
	int rc = png_window_need(&idat->window, 1, ret_data, &len_bytes, err);
	if (rc)
		return rc;
	if (!len_bytes)
		return cut_words(idat, err);
	if (len_bytes > want)
		len_bytes = want;
	if (len_bytes > idat->chunk_left)
		len_bytes = idat->chunk_left;
	idat->crc = png_crc(idat->crc, *ret_data, len_bytes);
	idat->chunk_left -= (uint32_t)len_bytes;
	idat->bytes_left -= len_bytes;
	idat->window.offset += len_bytes;
	*ret_len_bytes = len_bytes;
	return 0;
}

int png_idat_read(struct png_idat *idat, void *dst, size_t len_bytes, struct err *err)
{
	unsigned char *to = dst;
	while (len_bytes) {
		const uint8_t *data;
		size_t n;
		int rc = png_idat_piece(idat, len_bytes, &data, &n, err);
		if (rc)
			return rc;
		memcpy(to, data, n);
		to += n;
		len_bytes -= n;
	}
	return 0;
}

int png_idat_finish(struct png_idat *idat, struct err *err)
{
	while (idat->bytes_left) {
		const uint8_t *data;
		size_t n;
		int rc = png_idat_piece(idat, SIZE_MAX, &data, &n, err);
		if (rc)
			return rc;
	}
	return idat->in_chunk && !idat->chunk_left ? chunk_finish(idat, err) : 0;
}
