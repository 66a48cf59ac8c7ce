/* decoder_bzip2.c - bzip2, by libbz2. Several streams may lie behind each other, as parallel packers write them. */
#include "decoder.h"

#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* bzip2's manual, "Memory management": decompressing blocks of 900 kB */
enum { BZIP2_BYTES = 3700 << 10 };

struct bzip2 {
	struct decoder decoder;
	bz_stream bz;
	bool is_live; /* bz is */
};

static int start(struct bzip2 *bzip2, struct err *err)
{
	bzip2->bz = (bz_stream){0};
	bzip2->is_live = BZ2_bzDecompressInit(&bzip2->bz, 0, 0) == BZ_OK;
	return bzip2->is_live ? 0 : err_set(err, -ENOMEM, "out of memory for bzip2 data");
}

static void stop(struct bzip2 *bzip2)
{
	if (bzip2->is_live)
		BZ2_bzDecompressEnd(&bzip2->bz);
	bzip2->is_live = false;
}

static void bzip2_close(struct decoder *decoder)
{
	struct bzip2 *bzip2 = (struct bzip2 *)decoder;
	stop(bzip2);
	free(bzip2);
}

static int bzip2_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	(void)spec;
	struct bzip2 *bzip2 = calloc(1, sizeof *bzip2);
	if (!bzip2)
		return err_set(err, -ENOMEM, "out of memory for bzip2 data");
	bzip2->decoder = (struct decoder){&decoder_bzip2, BZIP2_BYTES};
	int rc = start(bzip2, err);
	if (rc < 0)
		free(bzip2);
	else
		*ret_decoder = &bzip2->decoder;
	return rc;
}

static const char *words_of(int result)
{
	switch (result) {
	case BZ_DATA_ERROR:
		return "a block's CRC or structure is wrong";
	case BZ_DATA_ERROR_MAGIC:
		return "it doesn't start as such data does";
	default:
		return "it is damaged";
	}
}

static int bzip2_step(struct decoder *decoder, struct decoder_io *io, struct err *err)
{
	struct bzip2 *bzip2 = (struct bzip2 *)decoder;
	bz_stream *bz = &bzip2->bz;
	unsigned in_bytes = io->in_bytes < INT_MAX ? (unsigned)io->in_bytes : INT_MAX;
	unsigned out_bytes = io->out_bytes < INT_MAX ? (unsigned)io->out_bytes : INT_MAX;
	if (!bzip2->is_live) { /* behind the end of a stream */
		int rc = start(bzip2, err);
		if (rc < 0)
			return rc;
	}
	bz->next_in = (char *)(uintptr_t)io->in;
	bz->avail_in = in_bytes;
	bz->next_out = (char *)io->out;
	bz->avail_out = out_bytes;
	int result = BZ2_bzDecompress(bz);
	io->in += in_bytes - bz->avail_in;
	io->in_bytes -= in_bytes - bz->avail_in;
	io->out += out_bytes - bz->avail_out;
	io->out_bytes -= out_bytes - bz->avail_out;
	if (result == BZ_STREAM_END)
		stop(bzip2);
	if (result == BZ_OK || result == BZ_STREAM_END)
		return result == BZ_STREAM_END;
	if (result == BZ_MEM_ERROR)
		return err_set(err, -ENOMEM, "out of memory for bzip2 data");
	return err_set(err, -EIO, "%s", words_of(result));
}

const struct decoder_class decoder_bzip2 = {
	.name = "bzip2",
	.concatenates = true,
	.open = bzip2_open,
	.step = bzip2_step,
	.close = bzip2_close,
};
