/* unpack_stream.c - see unpack_stream.h. */
#include "unpack_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fs/base/patience.h"

/* Of output at once, so that patience is asked for often enough. */
enum { STEP_BYTES = 256 << 10 };

uint64_t stream_memory_bytes(const struct stream *stream)
{
	return (stream->input ? STREAM_INPUT_BYTES : 0) + (stream->decoder ? stream->decoder->memory_bytes : 0);
}

void stream_drop(struct stream *stream)
{
	if (stream->decoder)
		stream->decoder->class->close(stream->decoder);
	free(stream->input);
	*stream = (struct stream){0};
}

static int begin(struct stream *stream, struct decoder *decoder, uint64_t in, uint64_t out, struct err *err)
{
	uint8_t *input = stream->input ? stream->input : malloc(STREAM_INPUT_BYTES);
	if (!input) {
		decoder->class->close(decoder);
		return err_set(err, -ENOMEM, "out of memory for unpacking");
	}
	if (stream->decoder)
		stream->decoder->class->close(stream->decoder);
	*stream = (struct stream){.decoder = decoder, .in = in, .out = out, .input = input};
	return 0;
}

int stream_restart(const struct stream_source *source, struct stream *stream, struct err *err)
{
	struct decoder *decoder;
	int rc = source->class->open(&source->spec, &decoder, err);
	return rc < 0 ? rc : begin(stream, decoder, 0, 0, err);
}

int stream_resume(struct stream *stream, const struct decoder *from, uint64_t in, uint64_t out, struct err *err)
{
	struct decoder *decoder = from->class->copy(from);
	return decoder ? begin(stream, decoder, in, out, err) : err_set(err, -ENOMEM, "out of memory for unpacking");
}

uint64_t stream_in(const struct stream *stream)
{
	return stream->in - stream->input_bytes;
}

static int refill(const struct stream_source *source, struct stream *stream, struct err *err)
{
	uint64_t left_bytes = source->packed->size_bytes - stream->in;
	size_t n = left_bytes < STREAM_INPUT_BYTES ? (size_t)left_bytes : STREAM_INPUT_BYTES;
	int rc = n ? bytes_read_exact(source->packed, stream->input, n, stream->in, err) : 0;
	if (rc < 0)
		return rc;
	stream->in += n;
	stream->next = stream->input;
	stream->input_bytes = n;
	return 0;
}

static int fail(const struct stream_source *source, const struct stream *stream, const struct err *why, struct err *err)
{
	if (why->code != -EIO)
		return err_copy(err, why);
	return err_set(err, -EIO, "the %s data is damaged after byte %" PRIu64 ": %s", source->class->name, stream->out, why->text);
}

static bool has_input(const struct stream_source *source, const struct stream *stream)
{
	return stream->input_bytes || stream->in < source->packed->size_bytes;
}

/* One step of the decoder: at most len_bytes to dst. Makes progress, ends, or fails. Without input left the decoder may still hold
 * output. */
static int step(struct stream_source *source, struct stream *stream, uint8_t *dst, size_t len_bytes, struct err *err)
{
	if (patience_is_over(patience_of_thread()))
		return err_set(err, -EINTR, "the reader gave up");
	int rc = stream->input_bytes ? 0 : refill(source, stream, err);
	if (rc < 0)
		return rc;
	size_t room_bytes = len_bytes < STEP_BYTES ? len_bytes : STEP_BYTES;
	struct decoder_io io = {stream->next, stream->input_bytes, dst, room_bytes};
	struct err why = ERR_NONE;
	rc = stream->decoder->class->step(stream->decoder, &io, &why);
	size_t made_bytes = room_bytes - io.out_bytes;
	bool moved = made_bytes || io.in_bytes < stream->input_bytes;
	stream->next = io.in;
	stream->input_bytes = io.in_bytes;
	stream->out += made_bytes;
	source->made_bytes += made_bytes;
	stream->ended = rc == 1;
	if (rc < 0)
		return fail(source, stream, &why, err);
	if (!moved && !stream->ended && !has_input(source, stream))
		return err_set(err, -EIO, "the %s data ends within its byte %" PRIu64 " of %" PRIu64, source->class->name,
			       stream->out, source->spec.size_bytes);
	if (!moved && !stream->ended)
		return err_set(err, -EIO, "the %s data is damaged after byte %" PRIu64, source->class->name, stream->out);
	return 0;
}

int stream_produce(struct stream_source *source, struct stream *stream, uint8_t *dst, size_t len_bytes, struct err *err)
{
	const uint64_t end = stream->out + len_bytes;
	while (stream->out < end) {
		if (stream->ended && !(source->class->concatenates && has_input(source, stream)))
			return err_set(err, -EIO, "the %s data yields %" PRIu64 " bytes where %" PRIu64 " are declared",
				       source->class->name, stream->out, source->spec.size_bytes);
		uint64_t left_bytes = end - stream->out;
		int rc = step(source, stream, dst + (len_bytes - left_bytes), (size_t)left_bytes, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int stream_finish(struct stream_source *source, struct stream *stream, struct err *err)
{
	while (!stream->ended) {
		uint8_t more;
		int rc = step(source, stream, &more, 1, err);
		if (rc < 0)
			return rc;
		if (stream->out > source->spec.size_bytes)
			return err_set(err, -EIO, "the %s data yields more than the %" PRIu64 " bytes declared",
				       source->class->name, source->spec.size_bytes);
	}
	return 0;
}
