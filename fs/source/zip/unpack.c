/* unpack.c - see unpack.h.
 *
 * A checkpoint is a copy of a whole decoder (its state, its window, and where its input goes on), so it can stand anywhere in the
 * data, within a block too, and data made of one huge block is no special case.
 *
 * One reader at a time is at work (busy); others wait for it as long as their patience lasts. Who is busy may touch all but what is
 * marked as the lock's. Invariants: checkpoint i stands at output byte (i + 1) * spacing, and spacing is a multiple of
 * SEGMENT_BYTES; a segment's bytes follow each other from its start.
 */
#include "unpack.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/base/patience.h"
#include "fs/store/kept.h"
#include "segments.h"
#include "unpack_stream.h"

enum {
	NSTREAMS = 8,
	NCOPIED_STREAMS = 3, /* where there are checkpoints */
	MAX_CHECKPOINTS = 96,
	CHECKPOINTS_BYTES = 4 << 20,
	MIN_SPACING_BYTES = 1 << 20,
	SCRATCH_BYTES = 32 << 10,
	NEAR_BYTES = 32 << 10,  /* a step ahead that isn't worth a copy of the decoder */
	WASTE_BYTES = 4 << 20,  /* made and thrown away; from then on all is kept */
	LARGE_BYTES = 16 << 20, /* of a decoder: others make room for it at once */
};

struct checkpoint {
	struct decoder *decoder;
	uint64_t in;
};

struct unpacked {
	struct bytes bytes;
	struct kept kept;
	pthread_mutex_t lock;
	pthread_cond_t left;
	bool busy; /* the lock's */
	struct stream_source source;
	uint8_t *whole; /* small data: all of it, or NULL */
	uint64_t spacing, clock, waste_bytes;
	uint32_t ncheckpoints;
	struct checkpoint checkpoints[MAX_CHECKPOINTS];
	struct stream streams[NSTREAMS];
	struct segments segments;
	uint8_t *scratch;    /* SCRATCH_BYTES, for what is skipped */
	uint64_t damaged_at; /* the first byte that can't be had, by `damage`; UINT64_MAX: none is known */
	struct err damage;
};

static struct unpacked *of_bytes(struct bytes *bytes)
{
	return (struct unpacked *)bytes;
}

static uint64_t memory_bytes(const struct unpacked *unpacked)
{
	uint64_t n = sizeof *unpacked + (unpacked->scratch ? SCRATCH_BYTES : 0);
	n += unpacked->whole ? unpacked->bytes.size_bytes : 0;
	for (uint32_t i = 0; i < unpacked->ncheckpoints; i++)
		n += unpacked->checkpoints[i].decoder->memory_bytes;
	for (unsigned i = 0; i < NSTREAMS; i++)
		n += stream_memory_bytes(&unpacked->streams[i]);
	return n + segments_memory_bytes(&unpacked->segments);
}

/* ---- one reader at a time ---- */

static int enter(struct unpacked *unpacked, struct err *err)
{
	const struct patience *patience = patience_of_thread();
	int rc = 0;
	pthread_mutex_lock(&unpacked->lock);
	while (unpacked->busy && rc == 0) {
		patience_nap(&unpacked->left, &unpacked->lock);
		if (unpacked->busy && patience_is_over(patience))
			rc = err_set(err, -EINTR, "the reader gave up");
	}
	if (rc == 0)
		unpacked->busy = true;
	pthread_mutex_unlock(&unpacked->lock);
	return rc;
}

static void leave(struct unpacked *unpacked)
{
	uint64_t held_bytes = memory_bytes(unpacked);
	pthread_mutex_lock(&unpacked->lock);
	unpacked->busy = false;
	pthread_cond_signal(&unpacked->left);
	pthread_mutex_unlock(&unpacked->lock);
	kept_note(&unpacked->kept, held_bytes);
}

/* ---- small data ---- */

/* Data that is packed this badly isn't held in memory twice. */
static bool is_small(const struct unpacked *unpacked)
{
	return unpacked->bytes.size_bytes <= UNPACK_WHOLE_BYTES &&
	       unpacked->source.packed->size_bytes <= UNPACK_WHOLE_BYTES + (64 << 10);
}

static int make_at_once(struct stream_source *source, uint8_t *dst, size_t len_bytes, struct err *err)
{
	size_t packed_bytes = (size_t)source->packed->size_bytes;
	uint8_t *packed = malloc(packed_bytes + 1);
	int rc = packed ? 0 : err_set(err, -ENOMEM, "out of memory for unpacking");
	if (rc == 0)
		rc = bytes_read_exact(source->packed, packed, packed_bytes, 0, err);
	if (rc == 0)
		rc = source->class->whole(packed, packed_bytes, dst, len_bytes, err);
	free(packed);
	return rc;
}

static int make_in_steps(struct stream_source *source, uint8_t *dst, size_t len_bytes, struct err *err)
{
	struct stream stream = {0};
	int rc = stream_restart(source, &stream, err);
	if (rc == 0)
		rc = stream_produce(source, &stream, dst, len_bytes, err);
	if (rc == 0)
		rc = stream_finish(source, &stream, err);
	stream_drop(&stream);
	return rc;
}

static int read_whole(struct unpacked *unpacked, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	size_t size_bytes = (size_t)unpacked->bytes.size_bytes;
	int rc = 0;
	if (!unpacked->whole) {
		uint8_t *whole = malloc(size_bytes + 1);
		if (!whole)
			return err_set(err, -ENOMEM, "out of memory for unpacking");
		rc = unpacked->source.class->whole ? make_at_once(&unpacked->source, whole, size_bytes, err)
						   : make_in_steps(&unpacked->source, whole, size_bytes, err);
		if (rc == 0)
			unpacked->whole = whole;
		else
			free(whole);
	}
	if (rc == 0)
		memcpy(dst, unpacked->whole + offset, len_bytes);
	return rc;
}

/* ---- checkpoints ---- */

static bool is_copied(const struct unpacked *unpacked)
{
	return unpacked->source.class->copy != NULL;
}

static uint32_t most_checkpoints(const struct decoder_class *class)
{
	uint64_t n = class->copy ? CHECKPOINTS_BYTES / class->copy_bytes : 0;
	return n < MAX_CHECKPOINTS ? (uint32_t)n : MAX_CHECKPOINTS;
}

static uint64_t checkpoint_out(const struct unpacked *unpacked, uint32_t i)
{
	return (i + UINT64_C(1)) * unpacked->spacing;
}

/* Keeps a checkpoint where the next one belongs. Without memory for it reads are slower, not wrong. */
static void keep_checkpoint(struct unpacked *unpacked, const struct stream *stream)
{
	uint32_t n = unpacked->ncheckpoints;
	if (n == most_checkpoints(unpacked->source.class) || stream->out != checkpoint_out(unpacked, n) ||
	    stream->out == unpacked->bytes.size_bytes)
		return;
	struct decoder *decoder = stream->decoder->class->copy(stream->decoder);
	if (decoder)
		unpacked->checkpoints[unpacked->ncheckpoints++] = (struct checkpoint){decoder, stream_in(stream)};
}

/* The last one at or before offset; its number and one, 0: none. */
static uint32_t nearest_checkpoint(const struct unpacked *unpacked, uint64_t offset)
{
	uint64_t n = offset / unpacked->spacing;
	return n < unpacked->ncheckpoints ? (uint32_t)n : unpacked->ncheckpoints;
}

/* ---- making bytes ---- */

/* What is wrong with the data stays known: nobody unpacks it again to find that out. */
static int note_damage(struct unpacked *unpacked, uint64_t at, const struct err *why, struct err *err)
{
	if (!err_is_passing(why) && at < unpacked->damaged_at) {
		unpacked->damaged_at = at;
		unpacked->damage = *why;
	}
	return err_copy(err, why);
}

/* Makes len_bytes to dst and at the end of the data sees that it ends. A stream that failed or came to its end is dropped. */
static int make(struct unpacked *unpacked, struct stream *stream, uint8_t *dst, size_t len_bytes, struct err *err)
{
	struct err why = ERR_NONE;
	uint64_t size_bytes = unpacked->bytes.size_bytes, memory_before = stream->decoder->memory_bytes;
	int rc = stream_produce(&unpacked->source, stream, dst, len_bytes, &why);
	uint64_t damaged_at = stream->out;
	if (rc == 0 && stream->out == size_bytes) {
		rc = stream_finish(&unpacked->source, stream, &why);
		damaged_at = size_bytes - 1;
	}
	if (rc == 0)
		keep_checkpoint(unpacked, stream);
	if (stream->decoder->memory_bytes > memory_before + LARGE_BYTES)
		kept_note(&unpacked->kept, memory_bytes(unpacked));
	if (rc < 0 || stream->out >= size_bytes)
		stream_drop(stream);
	return rc < 0 ? note_damage(unpacked, damaged_at, &why, err) : 0;
}

/* Makes len_bytes to dst, or NULL to skip them, and stops for checkpoints on the way. */
static int advance(struct unpacked *unpacked, struct stream *stream, uint8_t *dst, uint64_t len_bytes, struct err *err)
{
	while (len_bytes) {
		uint64_t stop_bytes = unpacked->spacing - stream->out % unpacked->spacing;
		uint64_t step_bytes = len_bytes < stop_bytes ? len_bytes : stop_bytes;
		if (!dst && step_bytes > SCRATCH_BYTES)
			step_bytes = SCRATCH_BYTES;
		int rc = make(unpacked, stream, dst ? dst : unpacked->scratch, (size_t)step_bytes, err);
		if (rc < 0)
			return rc;
		unpacked->waste_bytes += dst ? 0 : step_bytes;
		dst = dst ? dst + step_bytes : NULL;
		len_bytes -= step_bytes;
	}
	return 0;
}

/* ---- choosing where to go on ---- */

/* The furthest live stream at or before offset. */
static struct stream *nearest_stream(struct unpacked *unpacked, uint64_t offset)
{
	struct stream *nearest = NULL;
	for (unsigned i = 0; i < NSTREAMS; i++) {
		struct stream *stream = &unpacked->streams[i];
		if (stream->decoder && stream->out <= offset && (!nearest || stream->out > nearest->out))
			nearest = stream;
	}
	return nearest;
}

static uint64_t decoder_limit_bytes(void)
{
	return config.cache_bytes / 2 + (16 << 20);
}

/* A stream that isn't live, unless that were more, or more memory, than allowed: then the one that wasn't used for longest. */
static struct stream *oldest_stream(struct unpacked *unpacked)
{
	struct stream *oldest = NULL, *idle = NULL;
	unsigned nlive = 0;
	uint64_t live_bytes = 0, largest_bytes = 0;
	for (unsigned i = 0; i < NSTREAMS; i++) {
		struct stream *stream = &unpacked->streams[i];
		if (!stream->decoder) {
			idle = stream;
			continue;
		}
		uint64_t n = stream_memory_bytes(stream);
		nlive++;
		live_bytes += n;
		largest_bytes = n > largest_bytes ? n : largest_bytes;
		if (!oldest || stream->used < oldest->used)
			oldest = stream;
	}
	bool more = idle && live_bytes + largest_bytes <= decoder_limit_bytes() &&
		    nlive < (is_copied(unpacked) ? NCOPIED_STREAMS : NSTREAMS);
	return more || !oldest ? idle : oldest;
}

/* A stream at or before offset that can be moved on to it: one that is just there, or the oldest one set to the nearest
 * place known, so that a stream stays behind for the reader that skipped ahead or whose reads come out of order. */
static int choose_stream(struct unpacked *unpacked, uint64_t offset, struct stream **ret_stream, struct err *err)
{
	struct stream *nearest = nearest_stream(unpacked, offset), *target = nearest;
	uint64_t from = nearest ? nearest->out : 0;
	uint32_t n = nearest_checkpoint(unpacked, offset);
	bool is_nearer = n && (!nearest || checkpoint_out(unpacked, n - 1) > from);
	int rc = 0;
	if (is_nearer || !nearest || (is_copied(unpacked) && offset - from > NEAR_BYTES)) {
		target = oldest_stream(unpacked);
		if (is_nearer)
			rc = stream_resume(target, unpacked->checkpoints[n - 1].decoder, unpacked->checkpoints[n - 1].in,
					   checkpoint_out(unpacked, n - 1), err);
		else if (!nearest)
			rc = stream_restart(&unpacked->source, target, err);
		else if (target != nearest)
			rc = stream_resume(target, nearest->decoder, stream_in(nearest), from, err);
	}
	if (rc == 0) {
		target->used = ++unpacked->clock;
		*ret_stream = target;
	}
	return rc;
}

/* ---- reading ---- */

static int skip_to(struct unpacked *unpacked, struct stream *stream, uint64_t offset, struct err *err)
{
	if (offset == stream->out)
		return 0;
	if (!unpacked->scratch)
		unpacked->scratch = malloc(SCRATCH_BYTES);
	if (!unpacked->scratch)
		return err_set(err, -ENOMEM, "out of memory for unpacking");
	return advance(unpacked, stream, NULL, offset - stream->out, err);
}

/* Makes bytes where they are wanted, and keeps none. */
static int make_direct(struct unpacked *unpacked, uint8_t *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct stream *stream;
	int rc = choose_stream(unpacked, offset, &stream, err);
	if (rc == 0)
		rc = skip_to(unpacked, stream, offset, err);
	return rc ? rc : advance(unpacked, stream, dst, len_bytes, err);
}

/* Makes the segment of that number, and keeps it and all that are made on the way there. */
static int make_segment(struct unpacked *unpacked, uint64_t number, struct err *err)
{
	struct stream *stream;
	uint64_t size_bytes = unpacked->bytes.size_bytes, done = 0;
	int rc = choose_stream(unpacked, number * SEGMENT_BYTES, &stream, err);
	if (rc == 0 && stream->out % SEGMENT_BYTES)
		rc = skip_to(unpacked, stream, stream->out + (SEGMENT_BYTES - stream->out % SEGMENT_BYTES), err);
	while (rc == 0 && done <= number) {
		uint64_t start = stream->out, left_bytes = size_bytes - start;
		size_t len_bytes = left_bytes < SEGMENT_BYTES ? (size_t)left_bytes : SEGMENT_BYTES;
		struct segment *segment =
			segments_add(&unpacked->segments, size_bytes, start / SEGMENT_BYTES, kept_limit_bytes() / 2);
		if (!segment)
			return err_set(err, -ENOMEM, "out of memory for unpacking");
		rc = make(unpacked, stream, segment->data, len_bytes, err);
		done = start / SEGMENT_BYTES + 1;
		segment->have_bytes = rc == 0                                    ? len_bytes
				      : unpacked->damaged_at - start < len_bytes ? (size_t)(unpacked->damaged_at - start)
										 : 0;
	}
	return rc;
}

static bool is_kept(const struct unpacked *unpacked)
{
	return !is_copied(unpacked) || unpacked->waste_bytes > WASTE_BYTES;
}

/* Copies from a segment that is held: how many bytes, 0 where it isn't. */
static size_t copy_held(struct unpacked *unpacked, uint8_t *dst, size_t len_bytes, uint64_t offset)
{
	struct segment *segment = segments_find(&unpacked->segments, offset / SEGMENT_BYTES);
	size_t start = (size_t)(offset % SEGMENT_BYTES);
	if (!segment || segment->have_bytes <= start)
		return 0;
	size_t n = segment->have_bytes - start < len_bytes ? segment->have_bytes - start : len_bytes;
	memcpy(dst, segment->data + start, n);
	return n;
}

static int read_large(struct unpacked *unpacked, uint8_t *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	if (offset + len_bytes > unpacked->damaged_at)
		return err_copy(err, &unpacked->damage);
	while (len_bytes) {
		size_t n = copy_held(unpacked, dst, len_bytes, offset);
		int rc = 0;
		if (!n && !is_kept(unpacked)) {
			rc = make_direct(unpacked, dst, len_bytes, offset, err);
			n = len_bytes;
		} else if (!n) {
			struct err why = ERR_NONE;
			rc = make_segment(unpacked, offset / SEGMENT_BYTES, &why);
			n = copy_held(unpacked, dst, len_bytes, offset);
			if (rc < 0 && n && offset + len_bytes <= unpacked->damaged_at)
				rc = 0; /* it is what follows that is damaged */
			else if (rc < 0)
				err_copy(err, &why);
		}
		if (rc < 0)
			return rc;
		dst += n;
		len_bytes -= n;
		offset += n;
	}
	return 0;
}

static ssize_t read_busy(struct unpacked *unpacked, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	uint64_t size_bytes = unpacked->bytes.size_bytes;
	if (offset >= size_bytes || len_bytes == 0)
		return 0;
	if (len_bytes > size_bytes - offset)
		len_bytes = (size_t)(size_bytes - offset);
	int rc = is_small(unpacked) ? read_whole(unpacked, dst, len_bytes, offset, err)
				    : read_large(unpacked, dst, len_bytes, offset, err);
	return rc < 0 ? rc : (ssize_t)len_bytes;
}

static ssize_t unpacked_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct unpacked *unpacked = of_bytes(bytes);
	int rc = enter(unpacked, err);
	if (rc < 0)
		return rc;
	ssize_t n = read_busy(unpacked, dst, len_bytes, offset, err);
	leave(unpacked);
	return n;
}

static int by_offset(const void *a, const void *b)
{
	const struct bytes_piece *x = *(struct bytes_piece *const *)a, *y = *(struct bytes_piece *const *)b;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* In the order in which they lie: a table may name them in any. */
static int unpacked_read_pieces(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err)
{
	struct unpacked *unpacked = of_bytes(bytes);
	struct bytes_piece **order = malloc((n + 1) * sizeof *order);
	if (!order)
		return err_set(err, -ENOMEM, "out of memory for unpacking");
	for (size_t i = 0; i < n; i++)
		order[i] = &pieces[i];
	qsort(order, n, sizeof *order, by_offset);
	int rc = enter(unpacked, err);
	if (rc == 0) {
		for (size_t i = 0; i < n && rc == 0; i++) {
			ssize_t got = read_busy(unpacked, order[i]->dst, order[i]->len_bytes, order[i]->offset, err);
			order[i]->got_bytes = got < 0 ? 0 : (size_t)got;
			rc = got < 0 ? (int)got : 0;
		}
		leave(unpacked);
	}
	free(order);
	return rc;
}

/* ---- the object ---- */

/* Nobody is busy. */
static void free_all(struct unpacked *unpacked)
{
	for (unsigned i = 0; i < NSTREAMS; i++)
		stream_drop(&unpacked->streams[i]);
	for (uint32_t i = 0; i < unpacked->ncheckpoints; i++)
		unpacked->checkpoints[i].decoder->class->close(unpacked->checkpoints[i].decoder);
	unpacked->ncheckpoints = 0;
	segments_free(&unpacked->segments);
	free(unpacked->scratch);
	free(unpacked->whole);
	unpacked->scratch = unpacked->whole = NULL;
}

static bool kept_drop(struct kept *kept)
{
	struct unpacked *unpacked = (struct unpacked *)((char *)kept - offsetof(struct unpacked, kept));
	if (pthread_mutex_trylock(&unpacked->lock) != 0)
		return false;
	bool idle = !unpacked->busy;
	if (idle)
		free_all(unpacked);
	pthread_mutex_unlock(&unpacked->lock);
	return idle;
}

static void unpacked_free(struct bytes *bytes)
{
	struct unpacked *unpacked = of_bytes(bytes);
	kept_forget(&unpacked->kept);
	free_all(unpacked);
	bytes_unref(unpacked->source.packed);
	pthread_cond_destroy(&unpacked->left);
	pthread_mutex_destroy(&unpacked->lock);
	free(unpacked);
}

static const struct bytes_class unpacked_class = {
	.read = unpacked_read, .free = unpacked_free, .read_pieces = unpacked_read_pieces};

int unpack_open(const struct decoder_class *class, struct bytes *packed, uint64_t size_bytes, bool has_mark,
		struct bytes **ret_bytes, struct err *err)
{
	struct unpacked *unpacked = calloc(1, sizeof *unpacked);
	if (!unpacked)
		return err_set(err, -ENOMEM, "out of memory for unpacking");
	bytes_init(&unpacked->bytes, &unpacked_class, size_bytes);
	unpacked->kept.drop = kept_drop;
	unpacked->source = (struct stream_source){class, bytes_ref(packed), {size_bytes, decoder_limit_bytes(), has_mark}, 0};
	unpacked->bytes.below = packed;
	unpacked->damaged_at = UINT64_MAX;
	pthread_mutex_init(&unpacked->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&unpacked->left, &attributes);
	pthread_condattr_destroy(&attributes);
	uint64_t spacing = size_bytes / (most_checkpoints(class) + UINT64_C(1)) + 1;
	spacing = spacing < MIN_SPACING_BYTES ? MIN_SPACING_BYTES : spacing;
	unpacked->spacing = (spacing + SEGMENT_BYTES - 1) / SEGMENT_BYTES * SEGMENT_BYTES;
	*ret_bytes = &unpacked->bytes;
	return 0;
}

uint64_t unpack_memory_bytes(struct bytes *bytes)
{
	struct unpacked *unpacked = of_bytes(bytes);
	if (enter(unpacked, NULL) < 0)
		return 0;
	uint64_t n = memory_bytes(unpacked);
	leave(unpacked);
	return n;
}

uint64_t unpack_made_bytes(struct bytes *bytes)
{
	struct unpacked *unpacked = of_bytes(bytes);
	if (enter(unpacked, NULL) < 0)
		return 0;
	uint64_t n = unpacked->source.made_bytes;
	leave(unpacked);
	return n;
}
