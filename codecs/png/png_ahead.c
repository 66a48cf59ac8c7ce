/* png_ahead.c - the image data inflated ahead of libpng, by a helper: inflating takes half to two thirds of a decode, and what
 * libpng does with the rows can be done meanwhile on another processor.
 *
 * Blocks lie in a ring. The inflate state belongs to the helper while it works, else to who reads, who then inflates to where the
 * bytes are wanted, with the lock held. A helper that finds the ring full waits a little for the reader, who may be between two
 * bands, and then goes: nobody may ever read on. Both are woken for half a ring, as each wake-up costs some microseconds.
 */
#include "png_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codecs/core/helpers.h"

enum {
	NBLOCKS = 8,
	BLOCK_BYTES = 64 << 10,
	LEAST_BYTES = 1 << 20, /* for less no helper is asked: it has just begun when all is done */
	FULL_WAIT_NS = 2 * 1000 * 1000,
};

struct png_ahead {
	struct png_inflate *inflate;
	uint64_t left_bytes; /* that nobody has inflated */
	bool may_be_helped;
	pthread_mutex_t lock; /* of all below, and of left_bytes */
	pthread_cond_t for_reader, for_helper;
	bool helped, working; /* a helper was asked and hasn't ended; it has begun */
	bool ending, failed;
	uint8_t *ring;                   /* NBLOCKS blocks; NULL: there was no helper yet */
	unsigned first, count;           /* of the full ones */
	uint32_t len_bytes[NBLOCKS], at; /* of each; where the next byte of the first lies */
};

struct png_ahead *png_ahead_open(const struct png_file *file, struct png_idat *idat, bool helped)
{
	struct png_ahead *ahead = calloc(1, sizeof *ahead);
	struct png_inflate *inflate = ahead ? png_inflate_open(file, idat) : NULL;
	if (!inflate) {
		free(ahead);
		return NULL;
	}
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&ahead->for_helper, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_cond_init(&ahead->for_reader, NULL);
	pthread_mutex_init(&ahead->lock, NULL);
	ahead->inflate = inflate;
	ahead->left_bytes = png_inflate_bytes(file);
	ahead->may_be_helped = helped;
	return ahead;
}

static void wait_for_helper(struct png_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->ending = true;
	pthread_cond_signal(&ahead->for_helper);
	while (ahead->helped)
		pthread_cond_wait(&ahead->for_reader, &ahead->lock);
	pthread_mutex_unlock(&ahead->lock);
}

void png_ahead_free(struct png_ahead *ahead)
{
	if (!ahead)
		return;
	wait_for_helper(ahead);
	pthread_mutex_destroy(&ahead->lock);
	pthread_cond_destroy(&ahead->for_reader);
	pthread_cond_destroy(&ahead->for_helper);
	png_inflate_free(ahead->inflate);
	free(ahead->ring);
	free(ahead);
}

/* ---- the helper ---- */

/* Lock held. Whether there is room, at once or soon. */
static bool has_room_soon(struct png_ahead *ahead)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += FULL_WAIT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	int rc = 0;
	while (rc == 0 && ahead->count == NBLOCKS && !ahead->ending)
		rc = pthread_cond_timedwait(&ahead->for_helper, &ahead->lock, &until);
	return ahead->count < NBLOCKS;
}

/* Lock held, given back meanwhile. */
static void fill_block(struct png_ahead *ahead)
{
	unsigned block = (ahead->first + ahead->count) % NBLOCKS;
	uint32_t n = ahead->left_bytes < BLOCK_BYTES ? (uint32_t)ahead->left_bytes : BLOCK_BYTES;
	pthread_mutex_unlock(&ahead->lock);
	bool good = png_inflate_read(ahead->inflate, ahead->ring + (size_t)block * BLOCK_BYTES, n);
	pthread_mutex_lock(&ahead->lock);
	if (!good) {
		ahead->failed = true;
		return;
	}
	ahead->len_bytes[block] = n;
	ahead->left_bytes -= n;
	if (++ahead->count == NBLOCKS / 2)
		pthread_cond_signal(&ahead->for_reader);
}

static void help(void *context)
{
	struct png_ahead *ahead = context;
	pthread_mutex_lock(&ahead->lock);
	ahead->working = true;
	while (ahead->left_bytes && !ahead->failed && !ahead->ending && !helpers_are_wanted() && has_room_soon(ahead))
		fill_block(ahead);
	ahead->helped = ahead->working = false;
	pthread_cond_signal(&ahead->for_reader);
	pthread_mutex_unlock(&ahead->lock);
}

/* Lock held. */
static void ask_for_help(struct png_ahead *ahead)
{
	if (!ahead->may_be_helped || ahead->helped || ahead->failed || ahead->left_bytes < LEAST_BYTES)
		return;
	if (!ahead->ring)
		ahead->ring = malloc((size_t)NBLOCKS * BLOCK_BYTES);
	ahead->helped = ahead->ring != NULL;
	if (ahead->helped && !helpers_start(help, ahead))
		ahead->helped = false;
}

/* ---- the reader ---- */

/* Lock held, given back meanwhile: the full blocks aren't touched by the helper. How many bytes were there. */
static uint32_t copy_of_first(struct png_ahead *ahead, uint8_t *dst, uint32_t len_bytes)
{
	uint32_t left = ahead->len_bytes[ahead->first] - ahead->at, n = len_bytes < left ? len_bytes : left;
	const uint8_t *from = ahead->ring + (size_t)ahead->first * BLOCK_BYTES + ahead->at;
	pthread_mutex_unlock(&ahead->lock);
	memcpy(dst, from, n);
	pthread_mutex_lock(&ahead->lock);
	ahead->at += n;
	if (n == left) {
		ahead->at = 0;
		ahead->first = (ahead->first + 1) % NBLOCKS;
		if (--ahead->count == NBLOCKS / 2)
			pthread_cond_signal(&ahead->for_helper);
	}
	return n;
}

/* Lock held. Waits for half a ring, or for the helper's end. */
static void wait_for_blocks(struct png_ahead *ahead)
{
	while (ahead->working && ahead->count < NBLOCKS / 2)
		pthread_cond_wait(&ahead->for_reader, &ahead->lock);
}

/* Lock held. */
static bool read_locked(struct png_ahead *ahead, uint8_t *dst, uint32_t len_bytes)
{
	while (len_bytes) {
		if (!ahead->count && ahead->working)
			wait_for_blocks(ahead);
		uint32_t n = len_bytes;
		if (ahead->count)
			n = copy_of_first(ahead, dst, len_bytes);
		else if (ahead->failed || n > ahead->left_bytes || !png_inflate_read(ahead->inflate, dst, n))
			return false;
		else
			ahead->left_bytes -= n;
		dst += n;
		len_bytes -= n;
	}
	return true;
}

bool png_ahead_read(struct png_ahead *ahead, uint8_t *dst, uint32_t len_bytes)
{
	pthread_mutex_lock(&ahead->lock);
	ask_for_help(ahead);
	bool good = read_locked(ahead, dst, len_bytes);
	ahead->failed |= !good;
	pthread_mutex_unlock(&ahead->lock);
	return good;
}

bool png_ahead_finish(struct png_ahead *ahead, uint32_t *ret_adler)
{
	wait_for_helper(ahead);
	return !ahead->failed && png_inflate_finish(ahead->inflate, ret_adler);
}
