/* decoder_lzma.c - LZMA and xz, by liblzma.
 *
 * LZMA data in a zip has a head of its own (APPNOTE 5.8.8): two bytes of version, two of the properties' length, which is 5, and
 * the properties: lc, lp and pb in a byte, and the dictionary's size. Then the data as in a .lzma file, with a mark at its end or
 * without. liblzma reads .lzma files, so it is given the head of one: properties and size. What it has of a dictionary it touches
 * only as far as data was made, so one that is larger than all of the data costs no more than that.
 */
#include "decoder.h"

#include <errno.h>
#include <inttypes.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEAD_BYTES = 9,          /* in a zip */
	ALONE_BYTES = 13,        /* of a .lzma file: properties, dictionary, size */
	LEAST_DICTIONARY = 4096, /* liblzma takes no smaller one */
	FIXED_BYTES = 256 << 10, /* liblzma's decoder but for the dictionary */
};

struct lzma {
	struct decoder decoder;
	struct decoder_spec spec;
	lzma_stream stream;
	uint8_t head[HEAD_BYTES];
	unsigned head_bytes; /* there are of head; HEAD_BYTES where stream is set up, as always for xz */
};

static int words_of(lzma_ret result, struct err *err)
{
	switch (result) {
	case LZMA_OK:
	case LZMA_BUF_ERROR: /* it wants more input or room */
		return 0;
	case LZMA_STREAM_END:
		return 1;
	case LZMA_MEM_ERROR:
		return err_set(err, -ENOMEM, "out of memory for LZMA data");
	case LZMA_MEMLIMIT_ERROR:
		return err_set(err, -EFBIG, "the dictionary of the xz data is larger than the cache's budget allows");
	case LZMA_FORMAT_ERROR:
		return err_set(err, -EIO, "it doesn't start as such data does");
	case LZMA_OPTIONS_ERROR:
		return err_set(err, -EOPNOTSUPP, "the xz data has options that liblzma can't decode");
	default:
		return err_set(err, -EIO, "it doesn't decode");
	}
}

/* Gives liblzma the head of a .lzma file. */
static int start_alone(struct lzma *lzma, struct err *err)
{
	uint8_t alone[ALONE_BYTES], nothing[1];
	uint64_t size_bytes = lzma->spec.has_mark ? UINT64_MAX : lzma->spec.size_bytes;
	uint64_t dictionary_bytes = 0, needed_bytes = lzma->spec.size_bytes;
	for (unsigned i = 0; i < 4; i++)
		dictionary_bytes |= (uint64_t)lzma->head[5 + i] << 8 * i;
	if (lzma->head[2] != 5 || lzma->head[3] != 0)
		return err_set(err, -EIO, "its properties are %u bytes long where 5 are known", lzma->head[2] | lzma->head[3] << 8);
	if (needed_bytes < LEAST_DICTIONARY)
		needed_bytes = LEAST_DICTIONARY;
	if (dictionary_bytes > needed_bytes)
		dictionary_bytes = needed_bytes;
	if (dictionary_bytes + FIXED_BYTES > lzma->spec.limit_bytes)
		return err_set(err, -EFBIG,
			       "the LZMA data wants a dictionary of %" PRIu64 " bytes, more than the cache's budget allows",
			       dictionary_bytes);
	alone[0] = lzma->head[4];
	for (unsigned i = 0; i < 4; i++)
		alone[1 + i] = (uint8_t)(dictionary_bytes >> 8 * i);
	for (unsigned i = 0; i < 8; i++)
		alone[5 + i] = (uint8_t)(size_bytes >> 8 * i);
	if (lzma_alone_decoder(&lzma->stream, UINT64_MAX) != LZMA_OK)
		return err_set(err, -ENOMEM, "out of memory for LZMA data");
	lzma->decoder.memory_bytes = dictionary_bytes + FIXED_BYTES;
	lzma->stream.next_in = alone;
	lzma->stream.avail_in = sizeof alone;
	lzma->stream.next_out = nothing; /* there must be room, but a head alone makes nothing */
	lzma->stream.avail_out = sizeof nothing;
	return words_of(lzma_code(&lzma->stream, LZMA_RUN), err);
}

static int take_head(struct lzma *lzma, struct decoder_io *io, struct err *err)
{
	for (; lzma->head_bytes < HEAD_BYTES && io->in_bytes; io->in_bytes--)
		lzma->head[lzma->head_bytes++] = *io->in++;
	return lzma->head_bytes == HEAD_BYTES ? start_alone(lzma, err) : 0;
}

static int lzma_step(struct decoder *decoder, struct decoder_io *io, struct err *err)
{
	struct lzma *lzma = (struct lzma *)decoder;
	lzma_stream *stream = &lzma->stream;
	if (lzma->head_bytes < HEAD_BYTES) {
		int rc = take_head(lzma, io, err);
		if (rc || lzma->head_bytes < HEAD_BYTES)
			return rc;
	}
	stream->next_in = io->in;
	stream->avail_in = io->in_bytes;
	stream->next_out = io->out;
	stream->avail_out = io->out_bytes;
	lzma_ret result = lzma_code(stream, LZMA_RUN);
	io->in = stream->next_in;
	io->in_bytes = stream->avail_in;
	io->out = stream->next_out;
	io->out_bytes = stream->avail_out;
	uint64_t used_bytes = lzma_memusage(stream), most_bytes = lzma->spec.size_bytes + FIXED_BYTES;
	decoder->memory_bytes = used_bytes < most_bytes ? used_bytes : most_bytes;
	return words_of(result, err);
}

static struct lzma *lzma_new(const struct decoder_class *class, const struct decoder_spec *spec)
{
	struct lzma *lzma = calloc(1, sizeof *lzma);
	if (!lzma)
		return NULL;
	lzma->decoder = (struct decoder){class, sizeof *lzma};
	lzma->spec = *spec;
	lzma->stream = (lzma_stream)LZMA_STREAM_INIT;
	return lzma;
}

static int lzma_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	struct lzma *lzma = lzma_new(&decoder_lzma, spec);
	if (!lzma)
		return err_set(err, -ENOMEM, "out of memory for LZMA data");
	*ret_decoder = &lzma->decoder;
	return 0;
}

static int xz_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	struct lzma *lzma = lzma_new(&decoder_xz, spec);
	bool fits = spec->size_bytes + FIXED_BYTES <= spec->limit_bytes;
	if (!lzma || lzma_stream_decoder(&lzma->stream, fits ? UINT64_MAX : spec->limit_bytes, 0) != LZMA_OK) {
		free(lzma);
		return err_set(err, -ENOMEM, "out of memory for xz data");
	}
	lzma->head_bytes = HEAD_BYTES;
	*ret_decoder = &lzma->decoder;
	return 0;
}

static void lzma_close(struct decoder *decoder)
{
	struct lzma *lzma = (struct lzma *)decoder;
	lzma_end(&lzma->stream);
	free(lzma);
}

const struct decoder_class decoder_lzma = {.name = "LZMA", .open = lzma_open, .step = lzma_step, .close = lzma_close};
const struct decoder_class decoder_xz = {.name = "xz", .open = xz_open, .step = lzma_step, .close = lzma_close};
