/* prefetch.c - see prefetch.h. Tasks take one item after the other from the queue; none runs while there is no room ahead. */
#include "prefetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/store/cache.h"
#include "fs/store/pace.h"
#include "fs/base/pool.h"
#include "fs/tree/rows.h"
#include "fs/tree/tree.h"

/* A line; the rows that were not taken yet begin at `rest`. */
struct item {
	struct item *next;
	char *rest; /* NULL: an image */
	size_t len_bytes;
	char path[];
};

enum { MAX_RUNNERS = 64, MALLOC_BYTES = 32 };

static struct {
	pthread_mutex_t lock;
	struct item *head, **tail;
	size_t queued_bytes;
	unsigned running;
	struct pool_task runners[MAX_RUNNERS];
	bool busy[MAX_RUNNERS];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .tail = &queue.head};

static uint64_t limit_bytes(void)
{
	return config.cache_bytes / 4; /* as much again is taken by what was read meanwhile, and by what it was made from */
}

/* ---- one item ---- */

static void prefetch_image(struct node *node)
{
	struct target target;
	struct err ignored = ERR_NONE;
	if (target_open(node, &target, &ignored))
		return;
	const struct picture *picture = &target.picture;
	image_set_prefetched(target.image, pace_issue(image_level_cost_bytes(target.image, picture->part_index, picture->level)));
	struct image_area area = image_area_of_level(target.image, picture->part_index, picture->level);
	if (image_use(target.image, &area, NULL, NULL, NULL, &ignored) == 0) {
		image_decode_level(target.image, picture->part_index, picture->level, &ignored);
		image_unuse(target.image);
	}
	target_close(&target);
}

static void prefetch_place(struct place place, const char *row)
{
	struct err ignored = ERR_NONE;
	const struct node *stack_node = tree_stack_node(place.node);
	if (stack_node && row) {
		struct stack *stack = stack_find(stack_node->index);
		if (stack)
			stack_prefetch(stack, strtoull(row, NULL, 10), &ignored);
		stack_unref(stack);
	} else if (!stack_node && !tree_is_container(place.node) && place.node->kind != NODE_FILE &&
		   place.node->kind != NODE_LINK) {
		prefetch_image(place.node);
	}
}

/* ---- the queue ---- */

/* Half of the cache may hold a list of what is to be decoded into it. */
static uint64_t most_queued_bytes(void)
{
	uint64_t most_bytes = config.cache_bytes / 2 + (1 << 20);
	return most_bytes < PREFETCH_MAX_QUEUED_BYTES ? most_bytes : PREFETCH_MAX_QUEUED_BYTES;
}

static void item_free(struct item *item)
{
	cache_reserve(-(int64_t)item->len_bytes);
	free(item);
}

/* The next path, and row (or NULL), copied; false where there is none. */
static bool take(char **ret_path, char **ret_row)
{
	pthread_mutex_lock(&queue.lock);
	struct item *item = queue.head;
	char *row = item && item->rest ? strsep(&item->rest, "\t") : NULL;
	*ret_path = item ? strdup(item->path) : NULL;
	*ret_row = row ? strdup(row) : NULL;
	if (item && !item->rest) {
		queue.head = item->next;
		if (!queue.head)
			queue.tail = &queue.head;
		queue.queued_bytes -= item->len_bytes;
		item_free(item);
	}
	pthread_mutex_unlock(&queue.lock);
	return *ret_path != NULL;
}

static void start_runners(void);

static void runner_run(struct pool_task *task)
{
	char *path, *row;
	while (pace_has_room(limit_bytes()) && take(&path, &row)) {
		struct place place;
		struct err ignored = ERR_NONE;
		if (tree_resolve(path, &place, &ignored) == 0) {
			prefetch_place(place, row);
			node_unref(place.node, 1);
		}
		free(path);
		free(row);
		if (pool_is_contended()) {
			pool_submit(task, POOL_AHEAD);
			return;
		}
	}
	pthread_mutex_lock(&queue.lock);
	queue.busy[task - queue.runners] = false;
	bool more = queue.head != NULL;
	pthread_mutex_unlock(&queue.lock);
	/* room that was made before this runner counted as idle was told of in vain: ask once more */
	if (more && pace_has_room(limit_bytes()))
		start_runners();
}

static void start_runners(void)
{
	unsigned n = config.threads < MAX_RUNNERS ? config.threads : MAX_RUNNERS;
	pthread_mutex_lock(&queue.lock);
	for (unsigned i = 0; i < n && queue.head; i++)
		if (!queue.busy[i]) {
			queue.busy[i] = true;
			queue.runners[i].run = runner_run;
			pool_submit(&queue.runners[i], POOL_AHEAD);
		}
	pthread_mutex_unlock(&queue.lock);
}

static int add_line(const char *line, size_t len, struct err *err)
{
	if (len && line[len - 1] == '\r')
		len--;
	if (!len)
		return 0;
	struct item *item = malloc(sizeof *item + len + 1);
	if (!item)
		return err_set(err, -ENOMEM, "no memory for the list");
	memcpy(item->path, line, len);
	item->path[len] = 0;
	item->next = NULL;
	item->len_bytes = sizeof *item + len + MALLOC_BYTES;
	item->rest = strchr(item->path, '\t');
	if (item->rest)
		*item->rest++ = 0;
	size_t charged_bytes = item->len_bytes;
	pthread_mutex_lock(&queue.lock);
	bool full = queue.queued_bytes > most_queued_bytes();
	if (!full) {
		*queue.tail = item;
		queue.tail = &item->next;
		queue.queued_bytes += item->len_bytes;
	}
	pthread_mutex_unlock(&queue.lock);
	if (full)
		free(item);
	else
		cache_reserve((int64_t)charged_bytes);
	return full ? err_set(err, -EFBIG, "the list is too long") : 0;
}

int prefetch_write(struct prefetch_writer *writer, const char *text, size_t len_bytes, struct err *err)
{
	size_t needed = writer->len_bytes + len_bytes;
	if (needed > most_queued_bytes())
		return err_set(err, -EFBIG, "the line is too long");
	if (needed > writer->room_bytes) {
		char *line = realloc(writer->line, needed * 2);
		if (!line)
			return err_set(err, -ENOMEM, "no memory for the list");
		cache_reserve((int64_t)(needed * 2 - writer->room_bytes));
		writer->line = line;
		writer->room_bytes = needed * 2;
	}
	memcpy(writer->line + writer->len_bytes, text, len_bytes);
	writer->len_bytes = needed;
	char *at = writer->line, *end;
	int rc = 0;
	for (; rc == 0 && (end = memchr(at, '\n', (size_t)(writer->line + needed - at))); at = end + 1)
		rc = add_line(at, (size_t)(end - at), err);
	writer->len_bytes = (size_t)(writer->line + needed - at);
	memmove(writer->line, at, writer->len_bytes);
	start_runners();
	return rc;
}

void prefetch_close(struct prefetch_writer *writer)
{
	struct err ignored = ERR_NONE;
	if (writer->len_bytes)
		add_line(writer->line, writer->len_bytes, &ignored);
	cache_reserve(-(int64_t)writer->room_bytes);
	free(writer->line);
	start_runners();
}

void prefetch_clear(void)
{
	pthread_mutex_lock(&queue.lock);
	for (struct item *item = queue.head, *next; item; item = next) {
		next = item->next;
		item_free(item);
	}
	queue.head = NULL;
	queue.tail = &queue.head;
	queue.queued_bytes = 0;
	pthread_mutex_unlock(&queue.lock);
}

void prefetch_start(void)
{
	pace_on_room(start_runners);
}
