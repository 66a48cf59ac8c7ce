/* unpack_stream.h - packed data unpacked forwards from one place. For one thread at a time. */
#ifndef PIXFS_UNPACK_STREAM_H
#define PIXFS_UNPACK_STREAM_H

#include "codecs/core/bytes.h"
#include "decoder.h"

enum { STREAM_INPUT_BYTES = 32 << 10 };

/* What all streams of the same data have in common. */
struct stream_source {
	const struct decoder_class *class;
	struct bytes *packed;
	struct decoder_spec spec;
	uint64_t made_bytes; /* by all streams, ever */
};

/* Zeroed: not live. */
struct stream {
	struct decoder *decoder; /* NULL: not live */
	bool ended;              /* the data's end was reached */
	uint64_t out, in;        /* bytes made; position in the packed data of the byte behind input */
	uint64_t used;           /* when: its owner's */
	uint8_t *input;          /* STREAM_INPUT_BYTES, the last input_bytes of which aren't used yet */
	const uint8_t *next;
	size_t input_bytes;
};

uint64_t stream_memory_bytes(const struct stream *stream);

/* Makes the stream start at the first byte. 0, -ENOMEM, -EFBIG. */
int stream_restart(const struct stream_source *source, struct stream *stream, struct err *err);
/* Makes it go on from a copy of a decoder whose next input byte is at `in` and that has made `out` bytes. */
int stream_resume(struct stream *stream, const struct decoder *from, uint64_t in, uint64_t out, struct err *err);
/* Where in the packed data the decoder's next byte is. */
uint64_t stream_in(const struct stream *stream);

/* Makes exactly len_bytes. On failure stream->out tells how many of them came. -EIO with words, -EINTR where the thread's patience
 * is over, ... */
int stream_produce(struct stream_source *source, struct stream *stream, uint8_t *dst, size_t len_bytes, struct err *err);
/* All declared bytes are made: the data must end without another one. */
int stream_finish(struct stream_source *source, struct stream *stream, struct err *err);

/* Frees what it holds; it isn't live any more. */
void stream_drop(struct stream *stream);

#endif
