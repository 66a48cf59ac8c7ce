/* decoder_zstd.c - Zstandard (RFC 8878), by libzstd. Frames may lie behind each other. */
#include "decoder.h"

#include <errno.h>
#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

/* libzstd's decoder but for its window. */
enum { FIXED_BYTES = 512 << 10, LARGEST_WINDOW_LOG = 31, SMALLEST_WINDOW_LOG = 10 };

struct zstd {
	struct decoder decoder;
	ZSTD_DCtx *context;
	uint64_t most_bytes; /* a window is touched only as far as data was made */
};

/* The binary logarithm of the largest window that is allowed. */
static int window_log(const struct decoder_spec *spec)
{
	if (spec->size_bytes + FIXED_BYTES <= spec->limit_bytes)
		return LARGEST_WINDOW_LOG;
	int log = SMALLEST_WINDOW_LOG;
	while (log < LARGEST_WINDOW_LOG && (UINT64_C(2) << log) + FIXED_BYTES <= spec->limit_bytes)
		log++;
	return log;
}

static int zstd_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	struct zstd *zstd = calloc(1, sizeof *zstd);
	ZSTD_DCtx *context = zstd ? ZSTD_createDCtx() : NULL;
	if (!context) {
		free(zstd);
		return err_set(err, -ENOMEM, "out of memory for Zstandard data");
	}
	ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log(spec));
	*zstd = (struct zstd){{&decoder_zstd, ZSTD_sizeof_DCtx(context)}, context, spec->size_bytes + FIXED_BYTES};
	*ret_decoder = &zstd->decoder;
	return 0;
}

static int zstd_step(struct decoder *decoder, struct decoder_io *io, struct err *err)
{
	struct zstd *zstd = (struct zstd *)decoder;
	ZSTD_inBuffer in = {io->in, io->in_bytes, 0};
	ZSTD_outBuffer out = {io->out, io->out_bytes, 0};
	size_t result = ZSTD_decompressStream(zstd->context, &out, &in);
	io->in += in.pos;
	io->in_bytes -= in.pos;
	io->out += out.pos;
	io->out_bytes -= out.pos;
	uint64_t used_bytes = ZSTD_sizeof_DCtx(zstd->context);
	decoder->memory_bytes = used_bytes < zstd->most_bytes ? used_bytes : zstd->most_bytes;
	if (!ZSTD_isError(result))
		return result == 0;
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return err_set(err, -ENOMEM, "out of memory for Zstandard data");
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(err, -EFBIG, "the window of the Zstandard data is larger than the cache's budget allows");
	default:
		return err_set(err, -EIO, "%s", ZSTD_getErrorName(result));
	}
}

static void zstd_close(struct decoder *decoder)
{
	struct zstd *zstd = (struct zstd *)decoder;
	ZSTD_freeDCtx(zstd->context);
	free(zstd);
}

const struct decoder_class decoder_zstd = {
	.name = "Zstandard",
	.concatenates = true,
	.open = zstd_open,
	.step = zstd_step,
	.close = zstd_close,
};
