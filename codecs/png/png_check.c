/* png_check.c - whether a file is whole: its chunks, their CRCs and its end. One pass over the file, nothing is inflated but where
 * IEND is missing or spoilt or IDATs don't follow each other: then only the image data can say whether all rows are there. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "png_file.h"

/* 1 at the end of the walk with a sound IEND, 0 where it ended without and so the image data must say whether all is there. */
static int check_chunks(const struct png_file *file, struct png_window *window, struct err *err)
{
	enum png_step step;
	struct png_chunk chunk;
	for (;;) {
		int rc = png_chunk_read(window, &step, &chunk, err);
		if (rc)
			return rc;
		if (step == PNG_STEP_CUT && png_chunk_is(&chunk, "IDAT"))
			return err_set(err, -EIO,
				       "the file ends at byte %" PRIu64 ", within the image data (the IDAT chunk at byte %" PRIu64
				       ")",
				       file->image.bytes->size_bytes, chunk.offset);
		if (step != PNG_STEP_CHUNK)
			return 0;
		bool good;
		rc = png_chunk_verify(window, &chunk, &good, err);
		if (rc)
			return rc;
		if (png_chunk_is(&chunk, "IEND"))
			return good;
		if (!good && png_chunk_critical(&chunk))
			return err_set(err, -EIO, "the %s chunk at byte %" PRIu64 " has a bad CRC", chunk.type, chunk.offset);
		if (png_chunk_is(&chunk, "IHDR") && chunk.offset > PNG_SIGNATURE_BYTES)
			return err_set(err, -EIO, "a second IHDR chunk at byte %" PRIu64, chunk.offset);
	}
}

int png_check(struct codec_image *image, struct err *err)
{
	const struct png_file *file = (const struct png_file *)image;
	if (image->header.parts->unsupported)
		return 0; /* decode says so */
	int rc = png_decode_plausible(file, err);
	if (rc)
		return rc;
	uint8_t *piece = malloc(PNG_PIECE_BYTES);
	if (!piece)
		return err_set(err, -ENOMEM, "no memory to check the file");
	struct png_window window;
	png_window_init(&window, image->bytes, piece, PNG_PIECE_BYTES, PNG_SIGNATURE_BYTES);
	rc = check_chunks(file, &window, err);
	free(piece);
	if (rc < 0)
		return rc;
	return rc == 0 || file->idat_again ? png_decode_check(file, err) : 0;
}
