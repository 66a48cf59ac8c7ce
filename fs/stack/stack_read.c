/* stack_read.c - rows of a stack, made on the pool's threads, kept in the cache.
 *
 * The bytes of a row are cached in pieces of at most STACK_PIECE_BYTES, all of the pool's own making: a task opens the image,
 * decodes, makes the view's bytes. Who reads begins the pieces it needs, a few tasks for all of them, and waits in order.
 *
 * Reads that go on upwards are noticed: from the second on, tasks that nobody waits for make the pieces to come, each time
 * twice as many up to a bound. They take nothing in the cache before they run, so a reader never waits for one that has not
 * started, and they do nothing once the reader went elsewhere or closed.
 */
#include "stack_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/store/pace.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"

enum { MAX_AT_ONCE = 256, AHEAD_BYTES = 8 << 20, TASK_BYTES = 64 << 10, MAX_PER_TASK = 64 };

/* ---- pieces ---- */

static uint64_t pieces_of_row(const struct stack *stack)
{
	return (stack->row_bytes - 1) / STACK_PIECE_BYTES + 1;
}

/* Where piece number n begins, in all elements. */
static uint64_t piece_start(const struct stack *stack, uint64_t n)
{
	uint64_t each = pieces_of_row(stack);
	return n / each * stack->row_bytes + n % each * STACK_PIECE_BYTES;
}

static uint64_t piece_at(const struct stack *stack, uint64_t offset)
{
	return offset / stack->row_bytes * pieces_of_row(stack) + offset % stack->row_bytes / STACK_PIECE_BYTES;
}

static size_t piece_bytes(const struct stack *stack, uint64_t n)
{
	uint64_t left = stack->row_bytes - n % pieces_of_row(stack) * STACK_PIECE_BYTES;
	return left < STACK_PIECE_BYTES ? (size_t)left : STACK_PIECE_BYTES;
}

static struct chunk_key piece_key(const struct stack *stack, uint64_t n)
{
	uint64_t each = pieces_of_row(stack);
	return (struct chunk_key){0, 0, (uint32_t)(n % each), (uint32_t)(n / each)};
}

/* For the filler of a piece: makes it, settles it, gives back its pin. */
static void fill_piece(struct stack *stack, struct chunk *chunk)
{
	struct chunk_key key = cache_key(chunk);
	uint64_t n = key.cy * pieces_of_row(stack) + key.cx;
	size_t len = piece_bytes(stack, n);
	struct err err = ERR_NONE;
	void *data = cache_alloc(len);
	int rc = data ? stack_make_row(stack, key.cy, (uint64_t)key.cx * STACK_PIECE_BYTES, len, data, &err)
		      : err_set(&err, -ENOMEM, "no memory for a row");
	if (rc == 0) {
		cache_finish(chunk, data, len);
	} else {
		if (data)
			cache_release(data, len);
		err_set(&err, rc, "decoding failed");
		cache_fail(chunk, &err);
	}
	cache_unpin(chunk);
}

/* ---- tasks that somebody waits for ---- */

struct fill_task {
	struct pool_task task;
	struct stack *stack;
	size_t count;
	struct chunk *chunks[];
};

static void fill_run(struct pool_task *task)
{
	struct fill_task *fill = (struct fill_task *)task;
	for (size_t i = 0; i < fill->count; i++)
		fill_piece(fill->stack, fill->chunks[i]);
	stack_unref(fill->stack);
	free(fill);
}

static void fill_fail(struct chunk **chunks, size_t count)
{
	struct err err = ERR_NONE;
	err_set(&err, -ENOMEM, "no memory for a row");
	for (size_t i = 0; i < count; i++) {
		cache_fail(chunks[i], &err);
		cache_unpin(chunks[i]);
	}
}

/* A few tasks for all these pieces, which the caller has begun. */
static void submit(struct stack *stack, struct chunk **chunks, size_t count)
{
	size_t each = (count + 2 * config.threads - 1) / (2 * config.threads);
	for (size_t at = 0, n; at < count; at += n) {
		n = count - at < each ? count - at : each;
		struct fill_task *fill = malloc(sizeof *fill + n * sizeof(struct chunk *));
		if (!fill) {
			fill_fail(chunks + at, n);
			continue;
		}
		fill->task.run = fill_run;
		fill->stack = stack_ref(stack);
		fill->count = n;
		memcpy(fill->chunks, chunks + at, n * sizeof(struct chunk *));
		pool_submit(&fill->task, POOL_MEMBER);
	}
}

/* Pins pieces [first, first + count), each made or being made. 0, or the first one's error, and then nothing is pinned. */
static int begin_pieces(struct stack *stack, uint64_t first, size_t count, struct chunk **pinned, struct err *err)
{
	struct chunk *begun[MAX_AT_ONCE];
	size_t nbegun = 0, npinned = 0;
	int rc = 0;
	for (; npinned < count && rc == 0; npinned++) {
		struct chunk_key key = piece_key(stack, first + npinned);
		enum cache_state state = cache_begin(&stack->pieces, key, &pinned[npinned], err);
		if (state == CACHE_FAILED) {
			rc = err ? err->code : -EIO;
			break;
		}
		if (state == CACHE_BEGUN) { /* that pin is the filler's: another one for us */
			begun[nbegun++] = pinned[npinned];
			cache_begin(&stack->pieces, key, &pinned[npinned], err);
		}
		status_add(state == CACHE_READY ? &status.cache_hits : &status.cache_misses, 1);
	}
	submit(stack, begun, nbegun);
	for (size_t i = 0; rc && i < npinned; i++)
		cache_unpin(pinned[i]);
	return rc;
}

/* ---- making what comes next ---- */

/* Shared by a reader and the tasks it started. */
struct ahead {
	atomic_uint refs, generation; /* another generation: the reader went elsewhere */
};

struct stack_reader {
	struct stack *stack;
	struct ahead *ahead;
	pthread_mutex_t lock;
	uint64_t end;     /* the furthest piece read since the last jump, + 1 */
	uint64_t started; /* pieces below are made or being made */
	unsigned run;     /* reads in a row that went on from there */
};

struct ahead_task {
	struct pool_task task;
	struct stack *stack;
	struct ahead *ahead;
	unsigned generation;
	uint64_t first, end;
};

static void ahead_unref(struct ahead *ahead)
{
	if (atomic_fetch_sub(&ahead->refs, 1) == 1)
		free(ahead);
}

static void ahead_run(struct pool_task *task)
{
	struct ahead_task *this = (struct ahead_task *)task;
	while (this->first < this->end && atomic_load(&this->ahead->generation) == this->generation) {
		struct chunk *chunk;
		struct err ignored = ERR_NONE;
		enum cache_state state = cache_begin(&this->stack->pieces, piece_key(this->stack, this->first++), &chunk, &ignored);
		if (state == CACHE_BEGUN)
			fill_piece(this->stack, chunk);
		else if (state != CACHE_FAILED)
			cache_unpin(chunk);
		if (pool_is_contended() && this->first < this->end) {
			pool_submit(task, POOL_AHEAD);
			return;
		}
	}
	ahead_unref(this->ahead);
	stack_unref(this->stack);
	free(this);
}

static void submit_ahead(struct stack_reader *reader, uint64_t first, uint64_t end)
{
	struct ahead_task *task = malloc(sizeof *task);
	if (!task)
		return;
	atomic_fetch_add(&reader->ahead->refs, 1);
	*task = (struct ahead_task){
		{.run = ahead_run}, stack_ref(reader->stack), reader->ahead, atomic_load(&reader->ahead->generation), first, end};
	pool_submit(&task->task, POOL_AHEAD);
}

/* How many pieces may be made ahead: a bound of bytes within a part of the budget, but work for all processors. */
static uint64_t most_ahead(const struct stack *stack)
{
	uint64_t each = stack->row_bytes < STACK_PIECE_BYTES ? stack->row_bytes : STACK_PIECE_BYTES;
	uint64_t most = AHEAD_BYTES / each, least = 4 * (uint64_t)config.threads;
	uint64_t budget = cache_room_bytes() / 4 / cache_cost_bytes(each);
	most = most < least ? least : most;
	return most < budget ? most : budget;
}

static uint64_t pieces_per_task(const struct stack *stack)
{
	uint64_t n = TASK_BYTES / stack->row_bytes;
	return n < 1 ? 1 : n > MAX_PER_TASK ? MAX_PER_TASK : n;
}

/* Notices what is read, and starts what will be. */
static void look_ahead(struct stack_reader *reader, uint64_t first, uint64_t end)
{
	struct stack *stack = reader->stack;
	uint64_t all = stack->members->count * pieces_of_row(stack),
		 slack = end - first; /* of reads under way at once the later may come first */
	uint64_t per_task = pieces_per_task(stack), from = 0, until = 0;
	pthread_mutex_lock(&reader->lock);
	if (first > reader->end + slack || end + slack < reader->end) {
		reader->run = 0;
		reader->end = end;
		reader->started = end;
		atomic_fetch_add(&reader->ahead->generation, 1);
	} else if (end > reader->end) {
		reader->end = end;
		reader->run++;
	}
	if (reader->run >= 2) {
		uint64_t most = most_ahead(stack), wanted = (uint64_t)config.threads << (reader->run < 32 ? reader->run : 32);
		until = end + (wanted < most ? wanted : most);
		until = until < all ? until : all;
		from = reader->started > end ? reader->started : end;
		/* whole tasks, unless it is the end */
		if (until != all && until > from)
			until -= (until - from) % per_task;
		reader->started = until > from ? until : from;
	}
	pthread_mutex_unlock(&reader->lock);
	for (; from < until; from += per_task)
		submit_ahead(reader, from, until - from < per_task ? until : from + per_task);
}

int stack_reader_open(struct stack *stack, struct stack_reader **ret_reader, struct err *err)
{
	struct stack_reader *reader = calloc(1, sizeof *reader);
	struct ahead *ahead = calloc(1, sizeof *ahead);
	if (!reader || !ahead) {
		free(reader);
		free(ahead);
		return err_set(err, -ENOMEM, "no memory to read a stack");
	}
	atomic_store(&ahead->refs, 1);
	reader->ahead = ahead;
	reader->stack = stack_ref(stack);
	members_hold(stack->members);
	pthread_mutex_init(&reader->lock, NULL);
	*ret_reader = reader;
	return 0;
}

void stack_reader_close(struct stack_reader *reader)
{
	if (!reader)
		return;
	atomic_fetch_add(&reader->ahead->generation, 1);
	ahead_unref(reader->ahead);
	members_unhold(reader->stack->members);
	stack_unref(reader->stack);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

/* ---- reads ---- */

/* The last one first: when it is there most of the others are, and a wait for each would be a switch of threads for each. */
static int wait_for_pieces(struct chunk **pinned, size_t count, const struct patience *patience, struct err *err)
{
	int rc = 0;
	for (size_t i = count; i-- > 0 && rc == 0;)
		rc = cache_wait(pinned[i], patience, err);
	return rc;
}

/* Waits for the pieces and copies what the range has of each; unpins all. */
static int copy_pieces(struct stack *stack, uint64_t first, size_t count, struct chunk **pinned, uint64_t offset, uint64_t end,
		       unsigned char *dst, const struct patience *patience, struct err *err)
{
	int rc = wait_for_pieces(pinned, count, patience, err);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = piece_start(stack, first + i), stop = start + piece_bytes(stack, first + i);
		uint64_t from = start > offset ? start : offset, to = stop < end ? stop : end;
		if (rc == 0)
			memcpy(dst + (from - offset), (const char *)cache_data(pinned[i]) + (from - start), (size_t)(to - from));
		cache_unpin(pinned[i]);
	}
	return rc;
}

/* ---- what was told ---- */

static atomic_uint *prefetched_rows(struct stack *stack)
{
	atomic_uint *rows = atomic_load(&stack->prefetched), *none = NULL;
	if (rows)
		return rows;
	rows = calloc(stack->members->count, sizeof *rows);
	if (rows && !atomic_compare_exchange_strong(&stack->prefetched, &none, rows)) {
		free((void *)rows);
		rows = none;
	}
	return rows;
}

void stack_prefetch(struct stack *stack, uint64_t i, struct err *err)
{
	/* no look at all the others: a worker waits for no other worker */
	if (!stack->row_bytes || i >= stack->members->count || stack_examine(stack, i, err) ||
	    (stack->states[i] != MEMBER_GOOD && stack->states[i] != MEMBER_SOUND))
		return;
	atomic_uint *rows = prefetched_rows(stack);
	if (!rows)
		return;
	atomic_store(&rows[i], pace_issue(stack->row_bytes));
	for (uint64_t n = i * pieces_of_row(stack), end = n + pieces_of_row(stack); n < end; n++) {
		struct chunk *chunk;
		enum cache_state state = cache_begin(&stack->pieces, piece_key(stack, n), &chunk, err);
		if (state == CACHE_BEGUN)
			fill_piece(stack, chunk);
		else if (state != CACHE_FAILED)
			cache_unpin(chunk);
	}
}

static void tell_pace(struct stack *stack, uint64_t first_row, uint64_t last_row)
{
	atomic_uint *rows = atomic_load(&stack->prefetched);
	for (uint64_t i = first_row; rows && i <= last_row; i++)
		if (atomic_load_explicit(&rows[i], memory_order_relaxed))
			pace_read(atomic_exchange(&rows[i], 0));
}

/* ---- the read ---- */

int stack_read(struct stack_reader *reader, uint64_t offset, size_t len_bytes, void *dst, const struct patience *patience,
	       struct err *err)
{
	struct stack *stack = reader->stack;
	struct chunk *pinned[MAX_AT_ONCE];
	uint64_t end = offset + len_bytes, first = piece_at(stack, offset), stop = piece_at(stack, end - 1) + 1;
	int rc = 0;
	tell_pace(stack, offset / stack->row_bytes, (end - 1) / stack->row_bytes);
	for (uint64_t at = first; at < stop && rc == 0; at += MAX_AT_ONCE) {
		size_t count = stop - at < MAX_AT_ONCE ? (size_t)(stop - at) : MAX_AT_ONCE;
		uint64_t from = piece_start(stack, at),
			 to = piece_start(stack, at + count - 1) + piece_bytes(stack, at + count - 1);
		from = from > offset ? from : offset;
		to = to < end ? to : end;
		rc = begin_pieces(stack, at, count, pinned, err);
		if (rc == 0 && at == first)
			look_ahead(reader, first, stop);
		if (rc == 0)
			rc = copy_pieces(stack, at, count, pinned, from, to, (unsigned char *)dst + (from - offset), patience, err);
	}
	return rc;
}
