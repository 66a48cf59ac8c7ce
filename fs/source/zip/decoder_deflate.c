/* decoder_deflate.c - deflate (RFC 1951): zlib by steps, libdeflate for what is inflated at once. */
#include "decoder.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <libdeflate.h>
#include <zlib.h>

/* The state of zlib's inflate: its tables, and the 32 KiB window. */
enum { INFLATE_BYTES = 40 << 10 };

struct deflate {
	struct decoder decoder;
	z_stream z;
};

static int deflate_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	(void)spec;
	struct deflate *deflate = calloc(1, sizeof *deflate);
	if (!deflate || inflateInit2(&deflate->z, -15) != Z_OK) { /* raw deflate, the largest window */
		free(deflate);
		return err_set(err, -ENOMEM, "out of memory for inflating");
	}
	deflate->decoder = (struct decoder){&decoder_deflate, INFLATE_BYTES};
	*ret_decoder = &deflate->decoder;
	return 0;
}

static int deflate_step(struct decoder *decoder, struct decoder_io *io, struct err *err)
{
	struct deflate *deflate = (struct deflate *)decoder;
	z_stream *z = &deflate->z;
	uInt in_bytes = io->in_bytes < INT_MAX ? (uInt)io->in_bytes : INT_MAX;
	uInt out_bytes = io->out_bytes < INT_MAX ? (uInt)io->out_bytes : INT_MAX;
	z->next_in = (Bytef *)(uintptr_t)io->in;
	z->avail_in = in_bytes;
	z->next_out = io->out;
	z->avail_out = out_bytes;
	int result = inflate(z, Z_NO_FLUSH);
	io->in += in_bytes - z->avail_in;
	io->in_bytes -= in_bytes - z->avail_in;
	io->out += out_bytes - z->avail_out;
	io->out_bytes -= out_bytes - z->avail_out;
	if (result == Z_OK || result == Z_BUF_ERROR) /* the latter: it wants more of either */
		return 0;
	if (result == Z_STREAM_END)
		return 1;
	if (result == Z_MEM_ERROR)
		return err_set(err, -ENOMEM, "out of memory for inflating");
	return err_set(err, -EIO, "%s", z->msg ? z->msg : "no reason given");
}

static struct decoder *deflate_copy(const struct decoder *decoder)
{
	const struct deflate *deflate = (const struct deflate *)decoder;
	struct deflate *copy = calloc(1, sizeof *copy);
	if (!copy)
		return NULL;
	if (inflateCopy(&copy->z, (z_stream *)(uintptr_t)&deflate->z) != Z_OK) {
		free(copy);
		return NULL;
	}
	copy->decoder = deflate->decoder;
	return &copy->decoder;
}

static void deflate_close(struct decoder *decoder)
{
	struct deflate *deflate = (struct deflate *)decoder;
	inflateEnd(&deflate->z);
	free(deflate);
}

static int deflate_whole(const uint8_t *packed, size_t packed_bytes, uint8_t *dst, size_t len_bytes, struct err *err)
{
	size_t made_bytes = 0;
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	if (!decompressor)
		return err_set(err, -ENOMEM, "out of memory for inflating");
	enum libdeflate_result result =
		libdeflate_deflate_decompress(decompressor, packed, packed_bytes, dst, len_bytes, &made_bytes);
	libdeflate_free_decompressor(decompressor);
	if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
		return err_set(err, -EIO, "the deflated data yields more than the %zu bytes declared", len_bytes);
	if (result != LIBDEFLATE_SUCCESS)
		return err_set(err, -EIO, "the deflated data is damaged");
	if (made_bytes != len_bytes)
		return err_set(err, -EIO, "the deflated data yields %zu bytes where %zu are declared", made_bytes, len_bytes);
	return 0;
}

const struct decoder_class decoder_deflate = {
	.name = "deflated",
	.open = deflate_open,
	.step = deflate_step,
	.copy = deflate_copy,
	.copy_bytes = INFLATE_BYTES,
	.close = deflate_close,
	.whole = deflate_whole,
};
