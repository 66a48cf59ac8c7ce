/* fill.c - see fill.h. */
#include "fill.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "codecs/core/helpers.h"
#include "flight.h"
#include "fs/base/patience.h"
#include "fs/base/status.h"

enum {
	MAX_BATCH = 16,
	BATCH_BYTES = 128 << 10,
	EARLY_BYTES = 4 << 20, /* about what is decoded while 50 MB are checked */
};

/* ---- helpers ---- */

struct help_task {
	struct pool_task task;
	void (*run)(void *context);
	void *context;
};

static void help_run(struct pool_task *task)
{
	struct help_task *help = (struct help_task *)task;
	help->run(help->context);
	free(help);
}

static bool start_helper(void (*run)(void *context), void *context)
{
	struct help_task *help = malloc(sizeof *help);
	if (!help)
		return false;
	*help = (struct help_task){{.run = help_run}, run, context};
	if (pool_submit_if_idle(&help->task))
		return true;
	free(help);
	return false;
}

static bool helpers_wanted(void)
{
	return pool_is_contended();
}

static bool free_oldest_parked(void);

void fill_lend_helpers(void)
{
	static const struct codec_helpers helpers = {start_helper, helpers_wanted};
	codec_lend_helpers(&helpers);
	flight_set_reclaim(free_oldest_parked);
}

/* ---- chunks ---- */

static const struct codec_part *part_of(const struct image *image, uint32_t part)
{
	return &image->codec_image->header.parts[part];
}

static uint64_t chunk_len_bytes(const struct image *image, struct chunk_key key)
{
	return codec_kept_bytes(part_of(image, key.part), key.level, key.cx, key.cy);
}

/* Decodes one chunk into a new buffer; NULL with words. */
static void *decode_chunk(struct image *image, struct codec_cursor **cursor, struct chunk_key key, size_t len_bytes,
			  struct err *err)
{
	void *data = cache_alloc(len_bytes);
	if (!data) {
		err_set(err, -ENOMEM, "no memory for %zu bytes of decoded samples", len_bytes);
		return NULL;
	}
	uint64_t start_ns = pool_now_ns();
	status_add(&status.decoding, 1);
	const struct patience *before = patience_set_of_thread(NULL); /* others may wait for it by now */
	int rc = codec_decode_kept(image->codec_image, cursor, key.part, key.level, key.cx, key.cy, data, err);
	patience_set_of_thread(before);
	status_sub(&status.decoding, 1);
	status_add(&status.decode_ns, pool_now_ns() - start_ns);
	if (rc == 0) {
		status_add(&status.decodes, 1);
		return data;
	}
	err_set(err, rc, "decoding failed");
	cache_release(data, len_bytes);
	return NULL;
}

/* What the check finds is told first, and by its words. */
static void wait_for_check(struct image *image)
{
	pthread_mutex_lock(&image->lock);
	while (image->early)
		pthread_cond_wait(&image->checked, &image->lock);
	pthread_mutex_unlock(&image->lock);
}

static void chunk_settle(struct image *image, struct chunk *chunk, void *data, size_t len_bytes, const struct err *err)
{
	if (data) {
		cache_finish(chunk, data, len_bytes);
	} else {
		wait_for_check(image);
		if (image_chunk_is_missing(image, cache_key(chunk)))
			image_lacks_chunk(image, err, "decode");
		else
			image_damaged(image, err, "decode");
		cache_fail(chunk, err);
	}
	cache_unpin(chunk);
}

/* ---- any chunk alone ---- */

/* Chunks of one image that a task decodes one after the other: a task costs more than a small chunk. */
struct fill_batch {
	struct pool_task task;
	struct image *image;
	uint64_t len_bytes; /* of all chunks, decoded */
	unsigned n, at;
	bool here;                       /* it is run by who made it */
	struct chunk *chunks[MAX_BATCH]; /* pinned */
};

static void fill_batch_run(struct pool_task *task)
{
	struct fill_batch *batch = (struct fill_batch *)task;
	for (; batch->at < batch->n; batch->at++) {
		struct err err = ERR_NONE;
		struct chunk *chunk = batch->chunks[batch->at];
		struct chunk_key key = cache_key(chunk);
		size_t len_bytes = (size_t)chunk_len_bytes(batch->image, key);
		if (!flight_enter(len_bytes, batch->here ? NULL : task))
			return;
		void *data = decode_chunk(batch->image, NULL, key, len_bytes, &err);
		flight_leave(len_bytes);
		chunk_settle(batch->image, chunk, data, len_bytes, &err);
	}
	image_unref(batch->image);
	free(batch);
}

static void no_memory(struct chunk *chunk)
{
	struct err err = ERR_NONE;
	err_set(&err, -ENOMEM, "no memory to decode");
	cache_fail(chunk, &err);
	cache_unpin(chunk);
}

/* A worker of the pool decodes here and now: it would only wait for another one. */
void fill_start_end(struct fill_batch **batch)
{
	struct fill_batch *full = *batch;
	*batch = NULL;
	if (full)
		full->here = pool_is_worker();
	if (full && full->here)
		fill_batch_run(&full->task);
	else if (full)
		pool_submit(&full->task, POOL_DECODE);
}

static void submit_alone(struct image *image, struct chunk *chunk, struct fill_batch **batch)
{
	if (!*batch) {
		*batch = calloc(1, sizeof **batch);
		if (!*batch) {
			no_memory(chunk);
			return;
		}
		(*batch)->task.run = fill_batch_run;
		(*batch)->image = image_ref(image);
	}
	(*batch)->len_bytes += chunk_len_bytes(image, cache_key(chunk));
	(*batch)->chunks[(*batch)->n++] = chunk;
	if ((*batch)->n == MAX_BATCH || (*batch)->len_bytes >= BATCH_BYTES)
		fill_start_end(batch);
}

/* ---- forward only ---- */

/* A parked cursor may be freed by whoever parks another; one that is not parked belongs to its image's task. */
enum { MAX_PARKED = 16 };

static struct {
	pthread_mutex_t lock;
	struct image *newest, *oldest;
	unsigned count;
} parked = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void parked_remove(struct image *image)
{
	*(image->parked_newer ? &image->parked_newer->parked_older : &parked.newest) = image->parked_older;
	*(image->parked_older ? &image->parked_older->parked_newer : &parked.oldest) = image->parked_newer;
	image->parked = false;
	parked.count--;
}

static void unpark(struct image *image)
{
	pthread_mutex_lock(&parked.lock);
	if (image->parked)
		parked_remove(image);
	pthread_mutex_unlock(&parked.lock);
}

static uint64_t cursor_bytes(const struct image *image)
{
	const struct codec *codec = image->codec_image->codec;
	return codec->cursor_bytes ? codec->cursor_bytes(image->codec_image) : 0;
}

/* Also where its making failed. */
static void cursor_free(struct image *image)
{
	if (image->cursor)
		image->codec_image->codec->cursor_free(image->cursor);
	image->cursor = NULL;
	if (!image->flight_bytes)
		return;
	flight_leave(image->flight_bytes);
	image->flight_bytes = 0;
}

static bool free_oldest_parked(void)
{
	pthread_mutex_lock(&parked.lock);
	struct image *oldest = parked.oldest;
	while (oldest && !oldest->flight_bytes)
		oldest = oldest->parked_newer;
	if (oldest) {
		parked_remove(oldest);
		cursor_free(oldest);
	}
	pthread_mutex_unlock(&parked.lock);
	return oldest != NULL;
}

void fill_free_cursor(struct image *image)
{
	unpark(image);
	cursor_free(image);
}

static void park(struct image *image)
{
	pthread_mutex_lock(&parked.lock);
	image->parked_older = parked.newest;
	image->parked_newer = NULL;
	*(parked.newest ? &parked.newest->parked_newer : &parked.oldest) = image;
	parked.newest = image;
	image->parked = true;
	if (++parked.count > MAX_PARKED) {
		struct image *oldest = parked.oldest;
		parked_remove(oldest);
		cursor_free(oldest);
	}
	pthread_mutex_unlock(&parked.lock);
	if (flight_is_wanted())
		free_oldest_parked();
}

void fill_park_cursor(struct image *image)
{
	unpark(image); /* from here on it is ours alone */
	/* a format without a check is decoded whole at open; what its cursor may hold (all coefficients) is too much to keep */
	if (!image->cursor || !image->codec_image->codec->check)
		cursor_free(image);
	else
		park(image);
}

static bool known_to_fail(const struct image *image, struct chunk_key key)
{
	return image->fill_err.code && key.part == image->fill_err_part && key.level == image->fill_err_level &&
	       key.cy >= image->fill_err_row;
}

/* The pending chunk to go for: in the cursor's part and level, the topmost. Lock held, list not empty. */
static struct chunk_key next_target(const struct image *image)
{
	struct chunk_key best = cache_key(image->pending->chunk);
	for (struct pending *p = image->pending->next; p; p = p->next) {
		struct chunk_key key = cache_key(p->chunk);
		if (key.part == best.part && key.level == best.level && key.cy < best.cy)
			best = key;
	}
	return best;
}

/* Settles the pending chunks that this result decides: the row itself, and on failure all behind it. True where the row
 * was among them, and so has the data. */
static bool settle_pending(struct image *image, struct chunk_key key, void *data, size_t len_bytes, const struct err *err)
{
	struct pending *settled = NULL;
	pthread_mutex_lock(&image->lock);
	if (!data && !err_is_passing(err)) {
		image->fill_err = *err;
		image->fill_err_part = key.part;
		image->fill_err_level = key.level;
		image->fill_err_row = key.cy;
	}
	for (struct pending **link = &image->pending, *p; (p = *link);) {
		struct chunk_key at = cache_key(p->chunk);
		if (at.part == key.part && at.level == key.level && (at.cy == key.cy || (!data && at.cy > key.cy))) {
			*link = p->next;
			p->next = settled;
			settled = p;
		} else {
			link = &p->next;
		}
	}
	pthread_mutex_unlock(&image->lock);
	bool given = settled != NULL;
	for (struct pending *p = settled, *next; p; p = next) {
		next = p->next;
		chunk_settle(image, p->chunk, data, len_bytes, err);
		free(p);
	}
	return given;
}

/* The cursor becomes the running task's, and one that can go on to the target; false where it has to wait for memory, and then the
 * task asks again. */
static bool cursor_take(struct image *image, struct chunk_key target, struct pool_task *task)
{
	unpark(image);
	bool behind = target.part != image->cursor_part || target.level != image->cursor_level || target.cy < image->cursor_row;
	if (!image->cursor || behind) {
		fill_free_cursor(image);
		image->cursor_part = target.part;
		image->cursor_level = target.level;
		image->cursor_row = 0;
	}
	if (image->flight_bytes)
		return true;
	uint64_t len_bytes = chunk_len_bytes(image, target);
	len_bytes = cursor_bytes(image) + (len_bytes < FLIGHT_LEAST_BYTES ? 0 : len_bytes);
	if (!flight_enter(len_bytes, task))
		return false;
	/* beside the cache's budget: charged there, one such decoder would push out the rows that its reader is about to ask for */
	if (len_bytes >= FLIGHT_LEAST_BYTES)
		image->flight_bytes = len_bytes;
	return true;
}

/* Moves the cursor by one row. A row that nobody asked for is kept all the same, unless it is there already. */
static void forward_step(struct image *image)
{
	struct err err = ERR_NONE, ignored = ERR_NONE;
	struct chunk_key key = {image->cursor_part, image->cursor_level, 0, image->cursor_row};
	struct chunk *passing = NULL;
	bool unasked = cache_begin(&image->chunks, key, &passing, &ignored) == CACHE_BEGUN;
	size_t len_bytes = (size_t)chunk_len_bytes(image, key);
	void *data = decode_chunk(image, &image->cursor, key, len_bytes, &err);
	image->cursor_row++;
	if (!data || image->cursor_row == part_of(image, key.part)->levels[key.level].nchunks_y)
		fill_free_cursor(image);
	bool given = settle_pending(image, key, data, len_bytes, &err);
	if (unasked)
		chunk_settle(image, passing, data, len_bytes, &err);
	else if (passing)
		cache_unpin(passing);
	if (data && !given && !unasked)
		cache_release(data, len_bytes);
}

/* Decodes until nothing is pending, and then true. With a task false: others should have their turn first, and *ret_again whether
 * the task is to be submitted for that. */
static bool forward_until_done(struct image *image, struct pool_task *task, bool *ret_again)
{
	for (;;) {
		pthread_mutex_lock(&image->lock);
		if (!image->pending) {
			image->fill_running = false;
			if (image->nusers == 0)
				fill_park_cursor(image);
			else if (image->flight_bytes)
				park(image);
			pthread_mutex_unlock(&image->lock);
			image_unref(image);
			return true;
		}
		struct chunk_key target = next_target(image);
		pthread_mutex_unlock(&image->lock);
		*ret_again = cursor_take(image, target, task);
		if (!*ret_again)
			return false;
		forward_step(image);
		if (task && pool_is_contended())
			return false;
	}
}

/* Round robin: other images get their turn after each band. */
static void forward_run(struct pool_task *task)
{
	struct image *image = (struct image *)((char *)task - offsetof(struct image, fill_task));
	bool again;
	if (!forward_until_done(image, task, &again) && again)
		pool_submit(task, POOL_DECODE);
}

static void submit_forward(struct image *image, struct chunk *chunk)
{
	struct pending *pending = malloc(sizeof *pending);
	if (!pending) {
		no_memory(chunk);
		return;
	}
	pending->chunk = chunk;
	image_ref(image);
	pthread_mutex_lock(&image->lock);
	bool failed = known_to_fail(image, cache_key(chunk)), start = !failed && !image->fill_running;
	if (!failed) {
		pending->next = image->pending;
		image->pending = pending;
		image->fill_running = true;
	}
	struct err err = image->fill_err;
	pthread_mutex_unlock(&image->lock);
	if (start) {
		image->fill_task.run = forward_run;
		if (pool_is_worker())
			forward_until_done(image, NULL, &(bool){false});
		else
			pool_submit(&image->fill_task, POOL_DECODE);
		return;
	}
	image_unref(image);
	if (failed) {
		cache_fail(chunk, &err);
		cache_unpin(chunk);
		free(pending);
	}
}

/* ---- both ---- */

/* With CACHE_BEGUN the filler's pin is the one that cache_begin gave. */
static void submit(struct image *image, struct chunk *chunk, struct fill_batch **batch)
{
	if (part_of(image, cache_key(chunk).part)->access == CODEC_ACCESS_FORWARD)
		submit_forward(image, chunk);
	else
		submit_alone(image, chunk, batch);
}

int fill_begin(struct image *image, struct chunk_key key, struct chunk **ret_chunk, struct err *err)
{
	const char *unsupported = part_of(image, key.part)->unsupported;
	if (unsupported)
		return err_set(err, -EOPNOTSUPP, "%s", unsupported);
	struct chunk *chunk;
	enum cache_state state = cache_begin(&image->chunks, key, &chunk, err);
	if (state == CACHE_BEGUN) {
		struct chunk *filler = chunk;
		struct fill_batch *batch = NULL;
		cache_begin(&image->chunks, key, &chunk, err); /* the caller's own pin comes from asking again */
		submit(image, filler, &batch);
		fill_start_end(&batch);
	}
	status_add(state == CACHE_READY ? &status.cache_hits : &status.cache_misses, 1);
	if (state == CACHE_FAILED)
		return err ? err->code : -EIO;
	*ret_chunk = chunk;
	return 0;
}

void fill_start(struct image *image, struct chunk_key key, struct fill_batch **batch)
{
	struct chunk *chunk;
	struct err err = ERR_NONE;
	if (part_of(image, key.part)->unsupported)
		return;
	enum cache_state state = cache_begin(&image->chunks, key, &chunk, &err);
	if (state == CACHE_BEGUN)
		submit(image, chunk, batch);
	else if (state != CACHE_FAILED)
		cache_unpin(chunk);
}

void fill_start_early(struct image *image, const struct image_area *area)
{
	struct chunk_key key = {area->part, area->level, area->chunks.cx0, area->chunks.cy0};
	struct fill_batch *batch = NULL;
	for (uint64_t len_bytes = 0; key.cy <= area->chunks.cy1 && len_bytes < EARLY_BYTES; key.cy++) {
		len_bytes += chunk_len_bytes(image, key);
		fill_start(image, key, &batch);
	}
	fill_start_end(&batch);
}
