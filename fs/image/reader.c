/* reader.c - the view_source over an image's chunks: which are started ahead, which are pinned. One reader serves one read;
 * what is known across reads of one open array is its struct image_pattern. */
#include "image.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/base/config.h"
#include "fill.h"

enum {
	PIN_ROOM = 32,
	NEAR_BYTES = 256 << 10, /* the kernel's reads of one reader overtake each other by less */
	STREAM_STREAK = 2,      /* so many reads that followed another: whoever wanted just a little has stopped */
};

/* What a chunk costs the cache. */
static uint64_t chunk_bytes(const struct image_reader *reader)
{
	return cache_cost_bytes(codec_kept_bytes(&image_header(reader->image)->parts[reader->part], reader->level, 0, 0));
}

/* No more than a part of the budget, so that what is started is still there when it is read. */
static uint64_t most_chunks(const struct image_reader *reader)
{
	uint64_t most = cache_room_bytes() / 4 / chunk_bytes(reader);
	return most ? most : 1;
}

/* How many chunks may be under way at once for one reader: enough for all processors. */
static uint64_t window_chunks(const struct image_reader *reader)
{
	uint64_t window = (4u << 20) / chunk_bytes(reader), least = 2 * (uint64_t)config.threads, most = most_chunks(reader);
	window = window < least ? least : window;
	return window > most ? most : window;
}

static void start_until(struct image_reader *reader, uint64_t end)
{
	const uint32_t *want = reader->want;
	struct fill_batch *batch = NULL;
	uint64_t columns = (uint64_t)want[2] - want[0] + 1, rows = (uint64_t)want[3] - want[1] + 1;
	end = end > columns * rows ? columns * rows : end;
	for (; reader->started < end; reader->started++) {
		struct chunk_key key = {reader->part, reader->level, want[0] + (uint32_t)(reader->started % columns),
					want[1] + (uint32_t)(reader->started / columns)};
		fill_start(reader->image, key, &batch);
	}
	fill_start_end(&batch);
}

/* ---- decoding ahead ---- */

void image_pattern_note(struct image_pattern *pattern, uint64_t offset, size_t len_bytes)
{
	pthread_mutex_lock(&pattern->lock);
	bool near = offset + NEAR_BYTES >= pattern->next_offset && offset <= pattern->next_offset + NEAR_BYTES;
	pattern->streak = near ? pattern->streak + 1 : 0;
	pattern->next_offset = offset + len_bytes;
	pthread_mutex_unlock(&pattern->lock);
}

void image_pattern_expect(struct image_pattern *pattern)
{
	pthread_mutex_lock(&pattern->lock);
	pattern->streak = STREAM_STREAK;
	pthread_mutex_unlock(&pattern->lock);
}

/* Reads that move on from chunk row to chunk row are noticed: 1 where they go down, -1 up, 0 neither (yet). *ret_sure: they
 * did so twice, else it is only that the file is read on and on, from its first or last chunk row. */
static int direction_of(struct image_pattern *pattern, const uint32_t *want, uint32_t nchunks_y, bool *ret_sure)
{
	bool down = want[3] > pattern->last_cy && want[1] <= pattern->last_cy + 1;
	bool up = want[1] < pattern->first_cy && want[3] + 1 >= pattern->first_cy;
	int before = pattern->run;
	if (down)
		pattern->run = before < 0 ? 1 : before + 1;
	else if (up)
		pattern->run = before > 0 ? -1 : before - 1;
	else if (want[1] < pattern->first_cy || want[3] > pattern->last_cy)
		pattern->run = 0;
	if (pattern->run == 0 || (pattern->run ^ before) < 0)
		pattern->ahead = 0;
	pattern->first_cy = want[1];
	pattern->last_cy = want[3];
	*ret_sure = pattern->run >= 2 || pattern->run <= -2;
	if (*ret_sure || (pattern->run && pattern->streak >= STREAM_STREAK))
		return pattern->run > 0 ? 1 : -1;
	if (pattern->streak < STREAM_STREAK)
		return 0;
	return want[1] == 0 ? 1 : want[3] == nchunks_y - 1 ? -1 : 0;
}

/* How many chunk rows to be ahead: at first one chunk for each processor, then all of the window. */
static uint32_t rows_ahead(const struct image_reader *reader, bool sure)
{
	uint64_t columns = (uint64_t)reader->want[2] - reader->want[0] + 1, window = window_chunks(reader);
	uint64_t rows = (!sure && config.threads < window ? config.threads : window) / columns;
	return rows ? (uint32_t)rows : columns <= most_chunks(reader);
}

/* Starts the rows behind those that are wanted, the nearest first, but for what an earlier read started. Rows are counted
 * in the direction of the reads. Few rows more aren't worth the look until there are several. True where all that is wanted was
 * started before. */
static bool start_ahead(struct image_reader *reader)
{
	struct image_pattern *pattern = reader->pattern;
	const uint32_t *want = reader->want, n = image_header(reader->image)->parts[reader->part].levels[reader->level].nchunks_y;
	bool sure;
	pthread_mutex_lock(&pattern->lock);
	int direction = direction_of(pattern, want, n, &sure);
	uint32_t at = direction < 0 ? n - 1 - want[1] : want[3], rows = direction ? rows_ahead(reader, sure) : 0;
	bool known = direction && at < pattern->ahead;
	uint32_t most = direction < 0 ? n - reader->first_row : reader->end_row;
	uint32_t first = known ? pattern->ahead : at + 1, end = rows < n - 1 - at ? at + 1 + rows : n;
	end = end < most ? end : most;
	if (!direction || end <= first || (end - first < rows / 8 && end < most))
		end = first;
	else
		pattern->ahead = end;
	pthread_mutex_unlock(&pattern->lock);
	if (!known)
		start_until(reader, window_chunks(reader));
	struct fill_batch *batch = NULL;
	for (uint32_t row = first; row < end; row++)
		for (uint32_t cx = want[0]; cx <= want[2]; cx++)
			fill_start(reader->image,
				   (struct chunk_key){reader->part, reader->level, cx, direction > 0 ? row : n - 1 - row}, &batch);
	fill_start_end(&batch);
	return known;
}

static void reader_want(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	struct image_reader *reader = context;
	reader->want[0] = cx0;
	reader->want[1] = cy0;
	reader->want[2] = cx1;
	reader->want[3] = cy1;
	reader->started = 0;
	if (!reader->pattern)
		start_until(reader, window_chunks(reader));
	else if (start_ahead(reader))
		reader->started = UINT64_MAX;
}

/* Keeps the window full for a read of many chunks; not at every one of them. */
static void go_on(struct image_reader *reader, uint32_t cx, uint32_t cy)
{
	const uint32_t *want = reader->want;
	if (cx < want[0] || cx > want[2] || cy < want[1] || cy > want[3])
		return;
	uint64_t at = (uint64_t)(cy - want[1]) * (want[2] - want[0] + 1) + (cx - want[0]), window = window_chunks(reader);
	if (reader->started <= at + window / 2)
		start_until(reader, at + window);
}

/* ---- what is pinned: a table with open addressing, as there may be thousands of tiny chunks ---- */

static size_t home_of(const struct image_reader *reader, struct chunk_key key)
{
	uint64_t h = ((uint64_t)key.cy << 32 | key.cx) * 0x9e3779b97f4a7c15u;
	return (size_t)(h >> 32) & (reader->pinned_room - 1);
}

static void insert_pin(struct image_reader *reader, struct chunk *chunk)
{
	size_t slot = home_of(reader, cache_key(chunk));
	while (reader->pinned[slot])
		slot = (slot + 1) & (reader->pinned_room - 1);
	reader->pinned[slot] = chunk;
}

static int remember_pin(struct image_reader *reader, struct chunk *chunk)
{
	if (2 * reader->npinned >= reader->pinned_room) {
		struct chunk **before = reader->pinned;
		size_t nbefore = reader->pinned_room, room = nbefore ? nbefore * 2 : PIN_ROOM;
		struct chunk **table = calloc(room, sizeof(struct chunk *));
		if (!table)
			return -ENOMEM;
		reader->pinned = table;
		reader->pinned_room = room;
		for (size_t i = 0; i < nbefore; i++)
			if (before[i])
				insert_pin(reader, before[i]);
		free(before);
	}
	insert_pin(reader, chunk);
	reader->npinned++;
	return 0;
}

/* Takes it out and closes the gap. */
static struct chunk *forget_pin(struct image_reader *reader, size_t slot)
{
	struct chunk **table = reader->pinned, *chunk = table[slot];
	size_t mask = reader->pinned_room - 1;
	for (size_t next = (slot + 1) & mask; table[next]; next = (next + 1) & mask) {
		size_t home = home_of(reader, cache_key(table[next]));
		if (((next - home) & mask) < ((next - slot) & mask))
			continue; /* it stands between its home and the gap's other side */
		table[slot] = table[next];
		slot = next;
	}
	table[slot] = NULL;
	reader->npinned--;
	return chunk;
}

static int pin_once(struct image_reader *reader, struct chunk_key key, const void **ret_samples, struct err *err)
{
	struct chunk *chunk;
	int rc = fill_begin(reader->image, key, &chunk, err);
	if (rc)
		return rc;
	rc = cache_wait(chunk, reader->patience, err);
	if (rc == 0 && remember_pin(reader, chunk))
		rc = err_set(err, -ENOMEM, "no memory");
	if (rc) {
		cache_unpin(chunk);
		return rc;
	}
	*ret_samples = cache_data(chunk);
	return 0;
}

static int reader_pin(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct image_reader *reader = context;
	struct chunk_key key = {reader->part, reader->level, cx, cy};
	struct err first = ERR_NONE;
	go_on(reader, cx, cy);
	int rc = pin_once(reader, key, ret_samples, &first);
	if (rc == -ENOMEM)
		cache_relieve();
	/* the decode may have begun for somebody else, when the disk was still failing; or there is memory now */
	if (rc && (first.is_source || rc == -ENOMEM))
		return pin_once(reader, key, ret_samples, err);
	return rc ? err_copy(err, &first) : 0;
}

static void give_back(const struct image_reader *reader, struct chunk *chunk)
{
	if (reader->cold)
		cache_unpin_cold(chunk);
	else
		cache_unpin(chunk);
}

static void reader_unpin(void *context, uint32_t cx, uint32_t cy)
{
	struct image_reader *reader = context;
	if (!reader->npinned)
		return;
	size_t slot = home_of(reader, (struct chunk_key){.cx = cx, .cy = cy});
	for (; reader->pinned[slot]; slot = (slot + 1) & (reader->pinned_room - 1)) {
		struct chunk_key key = cache_key(reader->pinned[slot]);
		if (key.cx != cx || key.cy != cy)
			continue;
		give_back(reader, forget_pin(reader, slot));
		return;
	}
}

void image_reader_init(struct image_reader *reader, struct image *image, uint32_t part, uint32_t level)
{
	*reader = (struct image_reader){
		.source = {reader, reader_want, reader_pin, reader_unpin},
		.image = image,
		.part = part,
		.level = level,
		.want = {1, 1, 0, 0},
		.end_row = image_header(image)->parts[part].levels[level].nchunks_y,
	};
}

/* The next read begins in the last chunk row, or behind it. */
static void drop_passed(struct image_reader *reader)
{
	const uint32_t *want = reader->want;
	if (want[1] < want[3])
		cache_drop(&reader->image->chunks, (struct chunk_key){reader->part, reader->level, want[0], want[1]}, want[2],
			   want[3] - 1);
}

void image_reader_end(struct image_reader *reader)
{
	for (size_t i = 0; i < reader->pinned_room && reader->npinned; i++)
		if (reader->pinned[i]) {
			give_back(reader, reader->pinned[i]);
			reader->npinned--;
		}
	free(reader->pinned);
	if (reader->passing)
		drop_passed(reader);
}
