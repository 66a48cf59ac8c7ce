/* exr_decode.c - one chunk of a file to the planes of codec_chunk_layout().
 *
 * Three steps: the packed data are read in one piece; they are expanded to the rows of the chunk, in each row one plane's
 * samples after the other's; the rows are taken apart into the planes. Where rows are made beside the planes the packed data
 * are read to where the planes will be: memory that nobody touched yet costs as much as the inflate. Who expands:
 *
 *	stored as it is     nobody
 *	ZIP, ZIPS, RLE      exr_zip.c, in two halves that are put together in the last step
 *	PXR24               exr_zip.c inflates, the last step is exr_pxr24.c's
 *	B44, B44A           exr_b44.c, which writes the planes itself
 *	all others          exr_imf.cpp, likewise
 *
 * No state is kept between calls: any number of threads. */
#include "exr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exr_imf.h"

enum { PLANES_ON_STACK = 16 };

/* Who undoes the compression of a chunk. */
enum way {
	WAY_STORED, /* nobody: packing didn't make it smaller */
	WAY_LIBRARY,
	WAY_B44,
	WAY_ROWS, /* to rows of all planes, which are taken apart */
};

struct job {
	struct exr_image *image;
	const struct codec_part *part;
	struct exr_chunk chunk;
	enum way way;
	const struct codec_plane_layout *planes;
	uint8_t *dst;
	uint8_t *file;     /* wrap_bytes bytes, then the packed data; may be dst */
	size_t wrap_bytes; /* 0 where no library decodes */
	struct err *err;
};

static uint8_t compression_of(const struct job *job)
{
	return job->image->parts[job->chunk.part].compression;
}

static enum way way_of(const struct job *job)
{
	uint8_t compression = compression_of(job);
	if (job->chunk.packed_bytes == job->chunk.unpacked_bytes)
		return WAY_STORED;
	if (compression < COMPRESSION_PIZ || compression == COMPRESSION_PXR24)
		return WAY_ROWS;
	if (compression != COMPRESSION_B44 && compression != COMPRESSION_B44A)
		return WAY_LIBRARY;
	return exr_b44_undoes(job->part, &job->image->parts[job->chunk.part]) ? WAY_B44 : WAY_LIBRARY;
}

/* How the rows of a chunk are kept before they are taken apart. */
enum rows_kind {
	ROWS_SAMPLES,
	ROWS_HALVES, /* as exr_zip_expand leaves them */
	ROWS_PXR24,
};

/* One row of one plane, at bytes into the rows. Returns how many it took. */
static size_t unpack_row(const struct job *job, enum rows_kind kind, const uint8_t *rows, size_t at, uint32_t plane, uint8_t *dst)
{
	size_t row_bytes = job->planes[plane].row_bytes;
	if (kind == ROWS_PXR24)
		return exr_pxr24_row(dst, rows + at, (enum sample_type)job->part->planes[plane].type, row_bytes);
	if (kind == ROWS_HALVES)
		exr_zip_interleave(dst, rows + at / 2, rows + job->chunk.unpacked_bytes / 2 + at / 2, row_bytes);
	else
		memcpy(dst, rows + at, row_bytes);
	return row_bytes;
}

static void unpack(const struct job *job, enum rows_kind kind, const uint8_t *rows)
{
	const struct codec_part *part = job->part;
	size_t at = 0;
	for (uint32_t row = 0; row < job->chunk.layout.height; row++) {
		uint32_t y = job->chunk.layout.y + row;
		for (uint32_t i = 0; i < part->nplanes; i++) {
			const struct codec_plane_layout *plane = &job->planes[i];
			uint32_t sampling = part->planes[i].ysampling;
			if (y % sampling)
				continue;
			uint32_t first = (job->chunk.layout.y + sampling - 1) / sampling;
			uint8_t *dst = job->dst + plane->offset + (size_t)(y / sampling - first) * plane->row_bytes;
			at += unpack_row(job, kind, rows, at, i, dst);
		}
	}
}

static int decode_imf(const struct job *job)
{
	static const int types[] = {[SAMPLE_U32] = 0, [SAMPLE_F16] = 1, [SAMPLE_F32] = 2};
	const struct codec_part *part = job->part;
	if (compression_of(job) >= COMPRESSION_DWAA) {
		int rc = exr_dwa_check(part, job->planes, job->file + job->wrap_bytes, job->chunk.packed_bytes, job->err);
		if (rc)
			return rc;
	}
	uint32_t first = exr_wrap_is_whole(job->image, &job->chunk) ? job->chunk.layout.y : 0;
	struct exr_imf_slice *slices = malloc(part->nplanes * sizeof *slices);
	if (!slices)
		return err_set(job->err, -ENOMEM, "no memory for a chunk");
	for (uint32_t i = 0; i < part->nplanes; i++) {
		const struct codec_plane_layout *plane = &job->planes[i];
		int xsampling = (int)part->planes[i].xsampling, ysampling = (int)part->planes[i].ysampling;
		uint32_t skipped = (first + (uint32_t)ysampling - 1) / (uint32_t)ysampling;
		uintptr_t base = (uintptr_t)job->dst + plane->offset - skipped * plane->row_bytes; /* may lie outside of dst */
		slices[i] = (struct exr_imf_slice){part->channels[i].name,
						   types[part->planes[i].type],
						   (char *)base,
						   plane->step_bytes,
						   plane->row_bytes,
						   xsampling,
						   ysampling};
	}
	bool tiled = job->image->parts[job->chunk.part].storage == STORAGE_TILED;
	int rc = exr_imf_decode(job->file, job->wrap_bytes + job->chunk.packed_bytes, tiled, (int)first,
				(int)(first + job->chunk.layout.height - 1), slices, part->nplanes, job->err);
	free(slices);
	return rc;
}

static int expand_rows(const struct job *job, uint8_t *rows, size_t rows_bytes)
{
	const uint8_t *packed = job->file + job->wrap_bytes;
	size_t packed_bytes = job->chunk.packed_bytes;
	switch (compression_of(job)) {
	case COMPRESSION_PXR24:
		return exr_inflate(packed, packed_bytes, rows, rows_bytes, job->err);
	case COMPRESSION_RLE:
		return exr_rle_expand(packed, packed_bytes, rows, rows_bytes, job->err);
	default:
		return exr_zip_expand(packed, packed_bytes, rows, rows_bytes, job->err);
	}
}

static int expand_and_unpack(const struct job *job)
{
	bool pxr24 = compression_of(job) == COMPRESSION_PXR24;
	size_t rows_bytes = pxr24 ? exr_pxr24_bytes(job->part, job->planes) : job->chunk.unpacked_bytes;
	uint8_t *rows = malloc(rows_bytes);
	if (!rows)
		return err_set(job->err, -ENOMEM, "no memory for a chunk of %zu bytes", rows_bytes);
	int rc = expand_rows(job, rows, rows_bytes);
	if (!rc)
		unpack(job, pxr24 ? ROWS_PXR24 : ROWS_HALVES, rows);
	free(rows);
	return rc;
}

static int expand(const struct job *job)
{
	switch (job->way) {
	case WAY_LIBRARY:
		return decode_imf(job);
	case WAY_B44:
		return exr_b44_expand(job->part, job->planes, job->file, job->chunk.packed_bytes, job->dst, job->err);
	case WAY_ROWS:
		return expand_and_unpack(job);
	default:
		unpack(job, ROWS_SAMPLES, job->file);
		return 0;
	}
}

static int read_packed(struct job *job)
{
	job->wrap_bytes = job->way == WAY_LIBRARY ? exr_wrap_bytes(job->image, &job->chunk) : 0;
	/* to dst where the rows get a place of their own: packed data are no longer than those, exr_chunk_find() saw to that */
	bool fits_dst = job->way == WAY_ROWS && job->chunk.packed_bytes <= job->chunk.layout.len_bytes;
	job->file = fits_dst ? job->dst : malloc(job->wrap_bytes + job->chunk.packed_bytes + 1);
	if (!job->file)
		return err_set(job->err, -ENOMEM, "no memory for a chunk of %" PRIu32 " bytes", job->chunk.packed_bytes);
	if (job->wrap_bytes)
		exr_wrap(job->image, &job->chunk, job->file);
	return bytes_read_exact(job->image->image.bytes, job->file + job->wrap_bytes, job->chunk.packed_bytes,
				job->chunk.data_offset, job->err);
}

/* Nothing of dst is left as it was: the gaps behind the planes are zero. */
static void clear_gaps(const struct job *job)
{
	for (uint32_t i = 0; i < job->part->nplanes; i++) {
		const struct codec_plane_layout *plane = &job->planes[i];
		size_t end = plane->offset + plane->row_bytes * plane->height;
		size_t next = i + 1 < job->part->nplanes ? plane[1].offset : (size_t)job->chunk.layout.len_bytes;
		memset(job->dst + end, 0, next - end);
	}
}

static int run_job(struct job *job)
{
	if (job->part->nplanes == 1 && job->way == WAY_STORED)
		return bytes_read_exact(job->image->image.bytes, job->dst, job->chunk.packed_bytes, job->chunk.data_offset,
					job->err);
	int rc = read_packed(job);
	if (!rc)
		rc = expand(job);
	if (job->file != job->dst)
		free(job->file);
	return rc;
}

int exr_decode(struct codec_image *image, struct codec_cursor **cursor, uint32_t part, uint32_t level, uint32_t cx, uint32_t cy,
	       void *dst, struct err *err)
{
	(void)cursor;
	struct err cause = ERR_NONE;
	struct job job = {.image = (struct exr_image *)image, .part = &image->header.parts[part], .dst = dst, .err = &cause};
	if (job.part->unsupported)
		return err_set(err, -EOPNOTSUPP, "%s", job.part->unsupported);
	int rc = exr_chunk_find(job.image, part, level, cx, cy, &job.chunk, err);
	if (rc)
		return rc;
	struct codec_plane_layout few[PLANES_ON_STACK], *planes = few;
	if (job.part->nplanes > PLANES_ON_STACK && !(planes = malloc(job.part->nplanes * sizeof *planes)))
		return err_set(err, -ENOMEM, "no memory for a chunk");
	codec_chunk_layout(job.part, level, cx, cy, &job.chunk.layout, planes);
	job.planes = planes;
	job.way = way_of(&job);
	rc = run_job(&job);
	if (!rc)
		clear_gaps(&job);
	if (planes != few)
		free(planes);
	if (!rc)
		return 0;
	if (err_is_passing(&cause))
		return err_copy(err, &cause);
	char words[EXR_WORDS_BYTES];
	return err_set(err, rc, "%s (%s): %s", exr_chunk_words(job.image, &job.chunk, words), job.part->compression, cause.text);
}
