/* reader.c - the view_source over an image's chunks: which are started ahead, which are pinned. One reader serves one read;
 * what is known across reads of one open array is its struct image_pattern. */
#include "image.h"

#include <errno.h>
#include <stdlib.h>

#include "config.h"
#include "fill.h"

enum { PIN_ROOM = 16 };

static uint64_t chunk_bytes(const struct image_reader *reader)
{
	struct codec_chunk_layout layout;
	codec_chunk_layout(&image_header(reader->image)->parts[reader->part], reader->level, 0, 0, &layout, NULL);
	return layout.len_bytes ? layout.len_bytes : 1;
}

/* How many chunks may be under way at once for one reader: enough for all processors, within a part of the budget. */
static uint64_t window_chunks(const struct image_reader *reader)
{
	uint64_t window = (4u << 20) / chunk_bytes(reader), least = 2 * (uint64_t)config.threads;
	uint64_t most = config.cache_bytes / 4 / chunk_bytes(reader);
	window = window < least ? least : window;
	return window > most ? (most ? most : 1) : window;
}

static void start_until(struct image_reader *reader, uint64_t end)
{
	const uint32_t *want = reader->want;
	uint64_t columns = (uint64_t)want[2] - want[0] + 1, rows = (uint64_t)want[3] - want[1] + 1;
	end = end > columns * rows ? columns * rows : end;
	for (; reader->started < end; reader->started++) {
		struct chunk_key key = {reader->part, reader->level, want[0] + (uint32_t)(reader->started % columns),
					want[1] + (uint32_t)(reader->started / columns)};
		fill_start(reader->image, key);
	}
}

/* Reads that move on from chunk row to chunk row are noticed; from the second step on, the next rows are started too. */
static void extend_want(struct image_reader *reader)
{
	struct image_pattern *pattern = reader->pattern;
	uint32_t *want = reader->want, nchunks_y = image_header(reader->image)->parts[reader->part].levels[reader->level].nchunks_y;
	pthread_mutex_lock(&pattern->lock);
	bool down = want[3] > pattern->last_cy && want[1] <= pattern->last_cy + 1;
	bool up = want[1] < pattern->first_cy && want[3] + 1 >= pattern->first_cy;
	if (down)
		pattern->run = pattern->run < 0 ? 1 : pattern->run + 1;
	else if (up)
		pattern->run = pattern->run > 0 ? -1 : pattern->run - 1;
	else if (want[1] < pattern->first_cy || want[3] > pattern->last_cy)
		pattern->run = 0;
	int run = pattern->run;
	pattern->first_cy = want[1];
	pattern->last_cy = want[3];
	pthread_mutex_unlock(&pattern->lock);
	uint64_t columns = (uint64_t)want[2] - want[0] + 1, rows = window_chunks(reader) / columns;
	if (run >= 2)
		want[3] = nchunks_y - 1 - want[3] > rows ? want[3] + (uint32_t)rows : nchunks_y - 1;
	else if (run <= -2)
		want[1] = want[1] > rows ? want[1] - (uint32_t)rows : 0;
}

static void reader_want(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	struct image_reader *reader = context;
	reader->want[0] = cx0;
	reader->want[1] = cy0;
	reader->want[2] = cx1;
	reader->want[3] = cy1;
	reader->started = 0;
	uint64_t now = (uint64_t)(cx1 - cx0 + 1) * (cy1 - cy0 + 1);
	if (reader->pattern)
		extend_want(reader);
	uint64_t window = window_chunks(reader);
	start_until(reader, now > window ? window : now + window);
}

static int remember_pin(struct image_reader *reader, struct chunk *chunk)
{
	if (reader->npinned == reader->pinned_room) {
		size_t room = reader->pinned_room ? reader->pinned_room * 2 : PIN_ROOM;
		struct chunk **grown = realloc(reader->pinned, room * sizeof(struct chunk *));
		if (!grown)
			return -ENOMEM;
		reader->pinned = grown;
		reader->pinned_room = room;
	}
	reader->pinned[reader->npinned++] = chunk;
	return 0;
}

static int reader_pin(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct image_reader *reader = context;
	const uint32_t *want = reader->want;
	if (cx >= want[0] && cx <= want[2] && cy >= want[1] && cy <= want[3])
		start_until(reader, (uint64_t)(cy - want[1]) * (want[2] - want[0] + 1) + (cx - want[0]) + window_chunks(reader));
	struct chunk *chunk;
	struct chunk_key key = {reader->part, reader->level, cx, cy};
	int rc = fill_begin(reader->image, key, &chunk, err);
	if (rc)
		return rc;
	rc = cache_wait(chunk, reader->give_up, reader->give_up_context, err);
	if (rc == 0 && remember_pin(reader, chunk))
		rc = err_set(err, -ENOMEM, "no memory");
	if (rc) {
		cache_unpin(chunk);
		return rc;
	}
	*ret_samples = cache_data(chunk);
	return 0;
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
	for (size_t i = reader->npinned; i-- > 0;) {
		struct chunk_key key = cache_key(reader->pinned[i]);
		if (key.cx != cx || key.cy != cy)
			continue;
		give_back(reader, reader->pinned[i]);
		reader->pinned[i] = reader->pinned[--reader->npinned];
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
	};
}

void image_reader_end(struct image_reader *reader)
{
	for (size_t i = 0; i < reader->npinned; i++)
		give_back(reader, reader->pinned[i]);
	free(reader->pinned);
}
