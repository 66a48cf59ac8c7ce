/* inflate.c - see inflate.h.
 *
 * A checkpoint is a copy of a whole decoder (inflateCopy: its state, the 32 KiB window, and where its input goes on), so
 * it can stand anywhere in the data, within a block too, and data made of one huge block is no special case.
 *
 * Invariants, under the lock: checkpoint i stands at output byte (i + 1) * spacing; a stream that isn't live has no
 * decoder; a stream's `in` is the position in the packed data of the byte that follows its input buffer.
 */
#include "inflate.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>
#include <zlib.h>

#include "fs/store/kept.h"

enum {
	NSTREAMS = 3,
	MAX_CHECKPOINTS = 96, /* of about 40 KiB: 4 MiB in all */
	CHECKPOINT_BYTES = 40 << 10,
	MIN_SPACING_BYTES = 1 << 20,
	INPUT_BYTES = 32 << 10,
	SCRATCH_BYTES = 32 << 10,
	NEAR_BYTES = 32 << 10, /* a step ahead that isn't worth a copy of the decoder */
};

struct stream {
	bool live, ended; /* ended: the data's end was reached */
	z_stream z;
	uint64_t out, in; /* bytes made; position of the next input byte to fetch */
	uint64_t used;    /* when, on inflated's clock */
	uint8_t *input;   /* INPUT_BYTES */
};

struct checkpoint {
	z_stream z;
	uint64_t in;
};

struct inflated {
	struct bytes bytes;
	struct bytes *packed;
	struct kept kept;
	pthread_mutex_t lock; /* for all below */
	uint8_t *whole;       /* small data: all of it, or NULL */
	uint64_t spacing, clock;
	uint32_t ncheckpoints;
	struct checkpoint *checkpoints[MAX_CHECKPOINTS];
	struct stream streams[NSTREAMS];
	uint8_t *scratch; /* SCRATCH_BYTES, for what is skipped */
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory for inflating");
}

/* Lock held. */
static uint64_t memory_bytes(const struct inflated *inflated)
{
	uint64_t n = sizeof *inflated + (inflated->scratch ? SCRATCH_BYTES : 0);
	n += inflated->whole ? inflated->bytes.size_bytes : 0;
	n += (uint64_t)inflated->ncheckpoints * CHECKPOINT_BYTES;
	for (unsigned i = 0; i < NSTREAMS; i++) {
		n += inflated->streams[i].input ? INPUT_BYTES : 0u;
		n += inflated->streams[i].live ? CHECKPOINT_BYTES : 0u;
	}
	return n;
}

/* ---- small data ---- */

/* Data that is packed this badly isn't held in memory twice. */
static bool is_small(const struct inflated *inflated)
{
	return inflated->bytes.size_bytes <= INFLATE_WHOLE_BYTES &&
	       inflated->packed->size_bytes <= INFLATE_WHOLE_BYTES + (64 << 10);
}

static int inflate_buffer(const uint8_t *packed, size_t packed_bytes, uint8_t *dst, size_t len_bytes, struct err *err)
{
	size_t made_bytes = 0;
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	if (!decompressor)
		return no_memory(err);
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

static int make_whole(struct inflated *inflated, struct err *err)
{
	size_t packed_bytes = (size_t)inflated->packed->size_bytes, len_bytes = (size_t)inflated->bytes.size_bytes;
	uint8_t *packed = malloc(packed_bytes + 1), *whole = malloc(len_bytes + 1);
	int rc = packed && whole ? 0 : no_memory(err);
	if (rc == 0)
		rc = bytes_read_exact(inflated->packed, packed, packed_bytes, 0, err);
	if (rc == 0)
		rc = inflate_buffer(packed, packed_bytes, whole, len_bytes, err);
	free(packed);
	if (rc == 0)
		inflated->whole = whole;
	else
		free(whole);
	return rc;
}

static int read_whole(struct inflated *inflated, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	pthread_mutex_lock(&inflated->lock);
	int rc = inflated->whole ? 0 : make_whole(inflated, err);
	if (rc == 0)
		memcpy(dst, inflated->whole + offset, len_bytes);
	uint64_t held_bytes = memory_bytes(inflated);
	pthread_mutex_unlock(&inflated->lock);
	kept_note(&inflated->kept, held_bytes);
	return rc;
}

/* ---- streams ---- */

static void drop(struct stream *stream)
{
	if (stream->live)
		inflateEnd(&stream->z);
	stream->live = false;
}

/* Makes a stream start at the first byte. */
static int restart(struct stream *stream, struct err *err)
{
	drop(stream);
	stream->z = (z_stream){0};
	stream->out = stream->in = 0;
	stream->ended = false;
	if (inflateInit2(&stream->z, -15) != Z_OK) /* raw deflate, the largest window */
		return no_memory(err);
	stream->live = true;
	return 0;
}

/* Makes a stream go on from a decoder whose next input byte is at `in` and that has made `out` bytes. */
static int resume(struct stream *stream, z_stream *from, uint64_t in, uint64_t out, struct err *err)
{
	drop(stream);
	if (inflateCopy(&stream->z, from) != Z_OK)
		return no_memory(err);
	stream->z.avail_in = 0;
	stream->ended = false;
	stream->in = in;
	stream->out = out;
	stream->live = true;
	return 0;
}

static int refill(struct inflated *inflated, struct stream *stream, struct err *err)
{
	uint64_t left_bytes = inflated->packed->size_bytes - stream->in;
	size_t n = left_bytes < INPUT_BYTES ? (size_t)left_bytes : INPUT_BYTES;
	int rc = bytes_read_exact(inflated->packed, stream->input, n, stream->in, err);
	if (rc < 0)
		return rc;
	stream->in += n;
	stream->z.next_in = stream->input;
	stream->z.avail_in = (uInt)n;
	return 0;
}

/* One step of the decoder: at most len_bytes to dst, *ret_made how many. Makes progress or fails. Without input left the
 * decoder may still hold output. */
static int decode(struct inflated *inflated, struct stream *stream, uint8_t *dst, size_t len_bytes, size_t *ret_made,
		  struct err *err)
{
	if (stream->z.avail_in == 0 && stream->in < inflated->packed->size_bytes) {
		int rc = refill(inflated, stream, err);
		if (rc < 0)
			return rc;
	}
	uInt room_bytes = len_bytes < INT_MAX ? (uInt)len_bytes : INT_MAX;
	stream->z.next_out = dst;
	stream->z.avail_out = room_bytes;
	int result = inflate(&stream->z, Z_NO_FLUSH);
	*ret_made = room_bytes - stream->z.avail_out;
	stream->ended = result == Z_STREAM_END;
	if (result == Z_OK || result == Z_STREAM_END)
		return 0;
	if (result == Z_MEM_ERROR)
		return no_memory(err);
	if (result == Z_BUF_ERROR)
		return err_set(err, -EIO, "the deflated data ends within its byte %" PRIu64 " of %" PRIu64, stream->out,
			       inflated->bytes.size_bytes);
	return err_set(err, -EIO, "the deflated data is damaged after byte %" PRIu64 ": %s", stream->out + *ret_made,
		       stream->z.msg ? stream->z.msg : "no reason given");
}

/* Makes exactly len_bytes. */
static int produce(struct inflated *inflated, struct stream *stream, uint8_t *dst, size_t len_bytes, struct err *err)
{
	while (len_bytes) {
		if (stream->ended)
			return err_set(err, -EIO, "the deflated data yields %" PRIu64 " bytes where %" PRIu64 " are declared",
				       stream->out, inflated->bytes.size_bytes);
		size_t made_bytes;
		int rc = decode(inflated, stream, dst, len_bytes, &made_bytes, err);
		if (rc < 0)
			return rc;
		stream->out += made_bytes;
		dst += made_bytes;
		len_bytes -= made_bytes;
	}
	return 0;
}

/* All declared bytes are made: the data must end without another one. */
static int finish(struct inflated *inflated, struct stream *stream, struct err *err)
{
	while (!stream->ended) {
		uint8_t more;
		size_t made_bytes;
		int rc = decode(inflated, stream, &more, 1, &made_bytes, err);
		if (rc < 0)
			return rc;
		if (made_bytes)
			return err_set(err, -EIO, "the deflated data yields more than the %" PRIu64 " bytes declared",
				       inflated->bytes.size_bytes);
	}
	return 0;
}

/* ---- checkpoints ---- */

static uint64_t checkpoint_out(const struct inflated *inflated, uint32_t i)
{
	return (i + UINT64_C(1)) * inflated->spacing;
}

/* Keeps a checkpoint where the next one belongs. Without memory for it reads are slower, not wrong. */
static void keep_checkpoint(struct inflated *inflated, struct stream *stream)
{
	uint32_t n = inflated->ncheckpoints;
	if (n == MAX_CHECKPOINTS || stream->out != checkpoint_out(inflated, n) || stream->out == inflated->bytes.size_bytes)
		return;
	struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
	if (!checkpoint)
		return;
	if (inflateCopy(&checkpoint->z, &stream->z) != Z_OK) {
		free(checkpoint);
		return;
	}
	checkpoint->in = stream->in - stream->z.avail_in;
	inflated->checkpoints[inflated->ncheckpoints++] = checkpoint;
}

/* Makes len_bytes to dst, or NULL to skip them, and keeps checkpoints on the way. */
static int advance(struct inflated *inflated, struct stream *stream, uint8_t *dst, uint64_t len_bytes, struct err *err)
{
	while (len_bytes) {
		uint64_t stop_bytes = inflated->spacing - stream->out % inflated->spacing;
		uint64_t step_bytes = len_bytes < stop_bytes ? len_bytes : stop_bytes;
		if (!dst && step_bytes > SCRATCH_BYTES)
			step_bytes = SCRATCH_BYTES;
		int rc = produce(inflated, stream, dst ? dst : inflated->scratch, (size_t)step_bytes, err);
		if (rc < 0)
			return rc;
		keep_checkpoint(inflated, stream);
		dst = dst ? dst + step_bytes : NULL;
		len_bytes -= step_bytes;
	}
	return 0;
}

/* ---- choosing where to go on ---- */

/* The furthest live stream at or before offset. */
static struct stream *nearest_stream(struct inflated *inflated, uint64_t offset)
{
	struct stream *nearest = NULL;
	for (unsigned i = 0; i < NSTREAMS; i++) {
		struct stream *stream = &inflated->streams[i];
		if (stream->live && stream->out <= offset && (!nearest || stream->out > nearest->out))
			nearest = stream;
	}
	return nearest;
}

/* A stream that isn't live, else the one that wasn't used for longest. */
static struct stream *oldest_stream(struct inflated *inflated)
{
	struct stream *oldest = &inflated->streams[0];
	for (unsigned i = 1; i < NSTREAMS && oldest->live; i++) {
		struct stream *stream = &inflated->streams[i];
		if (!stream->live || stream->used < oldest->used)
			oldest = stream;
	}
	return oldest;
}

static int make_buffers(struct inflated *inflated, struct stream *stream, struct err *err)
{
	if (!stream->input)
		stream->input = malloc(INPUT_BYTES);
	if (!inflated->scratch)
		inflated->scratch = malloc(SCRATCH_BYTES);
	return stream->input && inflated->scratch ? 0 : no_memory(err);
}

/* A stream at or before offset that can be moved on to it: one that is just there, or the oldest one set to the nearest
 * place known, so that a stream stays behind for the reader that skipped ahead or whose reads come out of order. */
static int choose_stream(struct inflated *inflated, uint64_t offset, struct stream **ret_stream, struct err *err)
{
	struct stream *nearest = nearest_stream(inflated, offset), *target = nearest;
	uint64_t from = nearest ? nearest->out : 0, n = offset / inflated->spacing;
	if (n > inflated->ncheckpoints)
		n = inflated->ncheckpoints;
	struct checkpoint *checkpoint =
		n && (!nearest || checkpoint_out(inflated, (uint32_t)n - 1) > from) ? inflated->checkpoints[n - 1] : NULL;
	int rc = 0;
	if (checkpoint || !nearest || offset - from > NEAR_BYTES) {
		target = oldest_stream(inflated);
		rc = make_buffers(inflated, target, err);
		if (rc == 0 && checkpoint)
			rc = resume(target, &checkpoint->z, checkpoint->in, checkpoint_out(inflated, (uint32_t)n - 1), err);
		else if (rc == 0 && !nearest)
			rc = restart(target, err);
		else if (rc == 0 && target != nearest)
			rc = resume(target, &nearest->z, nearest->in - nearest->z.avail_in, from, err);
	}
	if (rc == 0) {
		target->used = ++inflated->clock;
		*ret_stream = target;
	}
	return rc;
}

static int read_stream(struct inflated *inflated, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct stream *stream;
	pthread_mutex_lock(&inflated->lock);
	int rc = choose_stream(inflated, offset, &stream, err);
	if (rc == 0) {
		rc = advance(inflated, stream, NULL, offset - stream->out, err);
		if (rc == 0)
			rc = advance(inflated, stream, dst, len_bytes, err);
		bool at_end = stream->out == inflated->bytes.size_bytes;
		if (rc == 0 && at_end)
			rc = finish(inflated, stream, err);
		if (rc < 0 || at_end)
			drop(stream);
	}
	uint64_t held_bytes = memory_bytes(inflated);
	pthread_mutex_unlock(&inflated->lock);
	kept_note(&inflated->kept, held_bytes);
	return rc;
}

/* ---- the object ---- */

static ssize_t inflated_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct inflated *inflated = (struct inflated *)bytes;
	if (offset >= bytes->size_bytes || len_bytes == 0)
		return 0;
	if (len_bytes > bytes->size_bytes - offset)
		len_bytes = (size_t)(bytes->size_bytes - offset);
	int rc = is_small(inflated) ? read_whole(inflated, dst, len_bytes, offset, err)
				    : read_stream(inflated, dst, len_bytes, offset, err);
	return rc < 0 ? rc : (ssize_t)len_bytes;
}

/* Lock held, or nobody else has it. */
static void free_all(struct inflated *inflated)
{
	for (unsigned i = 0; i < NSTREAMS; i++) {
		drop(&inflated->streams[i]);
		free(inflated->streams[i].input);
		inflated->streams[i].input = NULL;
	}
	for (uint32_t i = 0; i < inflated->ncheckpoints; i++) {
		inflateEnd(&inflated->checkpoints[i]->z);
		free(inflated->checkpoints[i]);
	}
	inflated->ncheckpoints = 0;
	free(inflated->scratch);
	free(inflated->whole);
	inflated->scratch = inflated->whole = NULL;
}

static bool kept_drop(struct kept *kept)
{
	struct inflated *inflated = (struct inflated *)((char *)kept - offsetof(struct inflated, kept));
	if (pthread_mutex_trylock(&inflated->lock) != 0)
		return false;
	free_all(inflated);
	pthread_mutex_unlock(&inflated->lock);
	return true;
}

static void inflated_free(struct bytes *bytes)
{
	struct inflated *inflated = (struct inflated *)bytes;
	kept_forget(&inflated->kept);
	free_all(inflated);
	bytes_unref(inflated->packed);
	pthread_mutex_destroy(&inflated->lock);
	free(inflated);
}

static const struct bytes_class inflated_class = {.read = inflated_read, .free = inflated_free};

int inflate_open(struct bytes *packed, uint64_t size_bytes, struct bytes **ret_bytes, struct err *err)
{
	struct inflated *inflated = calloc(1, sizeof *inflated);
	if (!inflated)
		return no_memory(err);
	bytes_init(&inflated->bytes, &inflated_class, size_bytes);
	inflated->kept.drop = kept_drop;
	inflated->packed = bytes_ref(packed);
	pthread_mutex_init(&inflated->lock, NULL);
	uint64_t spacing = size_bytes / (MAX_CHECKPOINTS + 1) + 1;
	inflated->spacing = spacing < MIN_SPACING_BYTES ? MIN_SPACING_BYTES : spacing;
	*ret_bytes = &inflated->bytes;
	return 0;
}

uint64_t inflate_memory_bytes(struct bytes *bytes)
{
	struct inflated *inflated = (struct inflated *)bytes;
	pthread_mutex_lock(&inflated->lock);
	uint64_t n = memory_bytes(inflated);
	pthread_mutex_unlock(&inflated->lock);
	return n;
}
