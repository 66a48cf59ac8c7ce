/* handle_whole.c - see handle_whole.h. */
#include "handle_whole.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/base/config.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"

enum {
	PAGE_BYTES = 4096,
	PIECE_BYTES = 512 << 10,
	HEAD_BYTES = 64 << 10,
	LEAST_BYTES = 128 << 10,       /* less is one read, which costs less than a backing file and is needed anyway without one */
	BACKED_MOST_BYTES = 320 << 20, /* opening one that then isn't read whole shouldn't take longer than a look at it may */
	DIRECT_READ_BYTES = 64 << 10,  /* smaller reads are cheaper out of the kernel's pages, which it reads ahead */
	HABIT = 4,                     /* arrays made whole for each one that was seen to be read whole */
	CHEAP_LEAST_BYTES = 1 << 20,   /* of less the requests cost as much as a backing file */
	WATCH_EVERY = 8,
};

/* How many more arrays are taken to be read whole. */
static atomic_int habit;

static bool take_habit(void)
{
	int left = atomic_load(&habit);
	while (left > 0 && !atomic_compare_exchange_weak(&habit, &left, left - 1))
		;
	return left > 0;
}

void whole_note(const struct handle *handle)
{
	uint64_t served_bytes = atomic_load(&handle->served_bytes);
	/* nothing served: it was not read, or it was read from what the kernel has */
	if (handle->kind != HANDLE_ARRAY || handle->size_bytes <= LEAST_BYTES || handle->backing || served_bytes == 0)
		return;
	bool whole = served_bytes >= handle->size_bytes;
	bool in_bits = handle->direct && served_bytes / DIRECT_READ_BYTES < atomic_load(&handle->nreads);
	atomic_store(&habit, whole && !in_bits ? HABIT : 0);
	if (whole && handle->backing_key)
		backing_note_read(image_backings(handle->target.image), handle->backing_key, handle->direct);
}

/* Whether its size is one to make whole, to so many bytes, and what it is made from fits the cache. */
static bool fits(const struct handle *handle, uint64_t most_bytes)
{
	const struct picture *picture = &handle->target.picture;
	return handle->size_bytes > LEAST_BYTES && handle->size_bytes <= most_bytes &&
	       image_level_bytes(handle->target.image, picture->part_index, picture->level) <= config.cache_bytes / 4;
}

static bool may_be_backed(const struct handle *handle)
{
	return fits(handle, BACKED_MOST_BYTES) &&
	       backing_may_begin(image_backings(handle->target.image), handle->backing_key, handle->size_bytes);
}

/* Without a file's header. */
static uint64_t array_bytes(const struct handle *handle)
{
	return handle->size_bytes - view_info(handle->view)->header_bytes;
}

/* Its samples stay in the cache beside a backing file of it. */
static bool is_copy(const struct handle *handle)
{
	const struct picture *picture = &handle->target.picture;
	return !image_may_be_kept_as(handle->target.image, picture->part_index, picture->level, array_bytes(handle));
}

/* A read makes it of the samples for little more than the copy. */
static bool is_cheap(const struct handle *handle)
{
	return handle->size_bytes >= CHEAP_LEAST_BYTES && handle->size_bytes <= WHOLE_LARGE_BYTES &&
	       view_info(handle->view)->only_moves && is_copy(handle);
}

/* Of backing files isn't seen how they are read: so of those that would all get one the second, and later now and then one, is left
 * without. */
static bool is_watched(const struct handle *handle)
{
	static atomic_uint asked;
	return is_cheap(handle) && image_opens_whole(handle->target.image) && !pool_is_worker() &&
	       atomic_fetch_add(&asked, 1) % WATCH_EVERY == 1;
}

/* A forward format that is decoded as it is read is not: while one processor decodes, another gives the reader what is done. */
static bool is_worth_a_backing(const struct whole *whole)
{
	const struct handle *handle = whole->handle;
	if (!fits(handle, BACKED_MOST_BYTES) || is_watched(handle))
		return false;
	if (whole->pages->now || (image_opens_whole(handle->target.image) && handle->size_bytes <= WHOLE_LARGE_BYTES))
		return true;
	return (handle->target.picture.part->access == CODEC_ACCESS_CHUNK || pool_is_worker() ||
		image_is_decoded(handle->target.image, &handle->area)) &&
	       take_habit();
}

/* Backing files and the kernel's pages are memory that is written once and read once. Fresh memory can cost as much as the decode,
 * and what was just freed more than the copy: a read that goes straight to the reader's memory needs none. So where arrays are read
 * whole all do that of which a read costs little more than a copy, and the large ones, of which it is little beside the decode. Who
 * reads one over and over gets a backing file after all. */
static bool is_better_direct(const struct whole *whole)
{
	const struct handle *handle = whole->handle;
	return !pool_is_worker() && atomic_load(&habit) > 0 && may_be_backed(handle) &&
	       (handle->size_bytes > WHOLE_LARGE_BYTES || is_cheap(handle));
}

static bool never_waits(void *context)
{
	(void)context;
	return true;
}

static const struct patience none = {never_waits, NULL};

static struct backing *find_backing(const struct whole *whole, const struct patience *patience)
{
	return backing_find(image_backings(whole->handle->target.image), whole->handle->backing_key, patience);
}

static struct backing *begin_one(struct handle *handle)
{
	const struct backing_wish wish = {
		.key = handle->backing_key,
		.len_bytes = handle->size_bytes,
		.ahead = pool_is_worker(),
		.copy = is_copy(handle),
	};
	return backing_begin(image_backings(handle->target.image), &wish);
}

/* Whether what was read so many times is worth a backing file: of what costs little more than a copy where there is room, and not
 * before the third time. */
static bool is_worth_one_now(const struct handle *handle, unsigned times_read)
{
	return may_be_backed(handle) && (!is_cheap(handle) || (times_read > 1 && backing_has_room(handle->size_bytes)));
}

/* What was read whole through requests is in the kernel's pages, or was read past them: then a backing file is made by somebody who
 * has nothing else to do, and nobody waits for it. */
static void begin_backing(struct whole *whole)
{
	struct handle *handle = whole->handle;
	struct backing_group *group = image_backings(handle->target.image);
	bool was_direct = false;
	unsigned times_read = pool_is_worker() ? 0 : backing_times_read(group, handle->backing_key, &was_direct);
	handle->backing = find_backing(whole, times_read || pool_is_worker() ? &none : whole->pages->patience);
	if (handle->backing)
		return;
	if (times_read) {
		handle->again = is_worth_one_now(handle, times_read);
		handle->direct = was_direct;
		return;
	}
	handle->direct = is_better_direct(whole);
	if (handle->direct)
		image_pattern_expect(&handle->pattern);
	else if (is_worth_a_backing(whole))
		whole->writing = begin_one(handle);
}

void whole_begin(struct whole *whole, struct handle *handle, const struct handle_pages *pages)
{
	*whole = (struct whole){.handle = handle, .pages = pages};
	if (!pages)
		return;
	handle->backing_key = pages->backing_key;
	if (pages->backing_key)
		begin_backing(whole);
	handle->area.expected = fits(handle, BACKED_MOST_BYTES) && atomic_load(&habit) > 0;
	whole->wanted = whole->writing || (!handle->backing && !handle->direct && pages->store && fits(handle, WHOLE_LARGE_BYTES));
}

static int put(const struct whole *whole, const void *piece, size_t len_bytes)
{
	if (whole->writing)
		return backing_write(whole->writing, whole->done_bytes, piece, len_bytes);
	return whole->pages->store(whole->pages->context, whole->done_bytes, piece, len_bytes);
}

/* Where to stop. Of pages that are stored the last isn't, so that who reads on to the end is noticed. */
static uint64_t end_of(const struct whole *whole)
{
	uint64_t size_bytes = whole->handle->size_bytes;
	return whole->writing ? size_bytes : (size_bytes - 1) / PAGE_BYTES * PAGE_BYTES;
}

static void put_given(void *context, const void *at, size_t len_bytes)
{
	struct whole *whole = context;
	if (put(whole, at, len_bytes))
		whole->refused = true;
	else
		whole->done_bytes += len_bytes;
}

/* Through a buffer, which is made when it is needed first. */
static int put_made(struct whole *whole, char **piece, size_t len_bytes, const struct patience *patience, struct err *err)
{
	if (!*piece && !(*piece = malloc(PIECE_BYTES)))
		return 1;
	ssize_t n = handle_read(whole->handle, *piece, len_bytes, whole->done_bytes, patience, err);
	if (n < 0)
		return (int)n;
	put_given(whole, *piece, len_bytes);
	return 0;
}

/* The next piece ends where a large page does. Of what lies in memory as it is only the header is made, and what fills a page. */
static int put_next(struct whole *whole, char **piece, uint64_t end, const struct patience *patience, struct err *err)
{
	bool gives = whole->writing && view_info(whole->handle->view)->in_place;
	uint64_t left_bytes = end - whole->done_bytes;
	size_t len_bytes = PIECE_BYTES - whole->done_bytes % PIECE_BYTES;
	len_bytes = len_bytes < left_bytes ? len_bytes : (size_t)left_bytes;
	ssize_t n = gives ? handle_give(whole->handle, len_bytes, whole->done_bytes, patience, put_given, whole, err) : 0;
	if (n)
		return n < 0 ? (int)n : 0;
	return put_made(whole, piece, gives && len_bytes > HEAD_BYTES ? HEAD_BYTES : len_bytes, patience, err);
}

/* Reads the array, piece by piece as it is decoded, to where it belongs. 0, an error of the array (with words), or a positive
 * number: it can't be put there. */
static int fill(struct whole *whole, const struct patience *patience, struct err *err)
{
	char *piece = NULL;
	uint64_t end = end_of(whole);
	int rc = 0;
	while (rc == 0 && !whole->refused && whole->done_bytes < end)
		rc = put_next(whole, &piece, end, patience, err);
	free(piece);
	return rc == 0 && whole->refused ? 1 : rc;
}

/* What fails here fails again in who waits for it. With others waiting for the processors there is nothing to gain from going on
 * with the decode, row by row: then a backing file is filled afterwards. */
void whole_meanwhile(void *context)
{
	struct whole *whole = context;
	struct err ignored = ERR_NONE;
	if (whole->writing && pool_is_contended())
		return;
	fill(whole, NULL, &ignored);
	whole->handle->stored_early = !whole->writing && whole->done_bytes == end_of(whole);
}

static void backing_made(struct handle *handle, struct backing *backing)
{
	const struct picture *picture = &handle->target.picture;
	handle->backing = backing;
	image_kept_as(handle->target.image, picture->part_index, picture->level, array_bytes(handle));
}

int whole_end(struct whole *whole, int rc, struct err *err)
{
	struct handle *handle = whole->handle;
	if (whole->writing) {
		int filled = rc ? rc : fill(whole, whole->pages->patience, err);
		if (filled)
			backing_unref(whole->writing);
		else if (backing_finish(whole->writing) == 0)
			backing_made(handle, whole->writing);
		rc = filled < 0 && filled != -ENOMEM ? filled : rc;
	} else if (rc == 0 && !handle->backing && handle->backing_key) {
		/* one that was made since whole_begin, by somebody who dropped the samples as nobody used them yet */
		handle->backing = find_backing(whole, &none);
	}
	atomic_store(&handle->served_bytes, 0);
	return rc;
}
