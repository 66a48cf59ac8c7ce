/* ahead.c - see ahead.h. One lock for all; never held while a directory is listed or an image decoded. */
#include "ahead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/image/image.h"
#include "fs/stack/members.h"
#include "fs/base/pool.h"

enum {
	NDIRS = 16,
	NRUNS = 8,
	NORDERS = 2,
	AHEAD_BYTES = 32 << 20,
	SHORT_BYTES = 4 << 20,
	LENGTH_OF_A_RUN = 3,
	FORGOTTEN_AFTER = 4 * NRUNS
};

/* Somebody who goes through a directory in one of its orders. */
struct run {
	uint32_t place;   /* of the image read last, in that order */
	uint32_t started; /* what lies before is decoded, or going to be */
	unsigned length;  /* images read in order; 0: unused */
	uint64_t id;      /* another one whenever somebody else's */
	uint64_t used;
};

enum dir_state { DIR_UNUSED, DIR_SEEN, DIR_LISTING, DIR_LISTED };

struct dir {
	enum dir_state state;
	struct node *node; /* one reference */
	struct members *members;
	uint32_t *by_listing, *listed_at; /* in the listing's order: members; and back */
	uint64_t listed_ns;
	uint64_t last_seen; /* st_ino of the image read last */
	struct run runs[NORDERS][NRUNS];
	uint64_t used;
};

static struct {
	pthread_mutex_t lock;
	struct dir dirs[NDIRS];
	uint64_t clock;
	bool ended;
	void (*make_whole)(const char *path, bool now);
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- directories ---- */

static void dir_forget(struct dir *dir)
{
	if (dir->node)
		node_unref(dir->node, 1);
	members_unref(dir->members);
	free(dir->by_listing);
	free(dir->listed_at);
	memset(dir, 0, sizeof *dir);
}

void ahead_start(void (*make_whole)(const char *path, bool now))
{
	all.make_whole = make_whole;
}

void ahead_end(void)
{
	pthread_mutex_lock(&all.lock);
	all.ended = true;
	pthread_mutex_unlock(&all.lock);
}

void ahead_stop(void)
{
	for (size_t i = 0; i < NDIRS; i++)
		dir_forget(&all.dirs[i]);
}

static struct dir *find_dir(struct node *node)
{
	struct dir *oldest = NULL;
	for (struct dir *dir = all.dirs; dir < all.dirs + NDIRS; dir++) {
		if (dir->node == node)
			return dir;
		if (dir->state != DIR_LISTING && (!oldest || dir->used < oldest->used))
			oldest = dir;
	}
	if (oldest) {
		dir_forget(oldest);
		node_ref(node);
		oldest->node = node;
		oldest->state = DIR_SEEN;
	}
	return oldest;
}

/* ---- listing ---- */

struct list_task {
	struct pool_task task;
	struct dir *dir;
	struct node *node; /* the directory's: it can't become another one's while it is listed */
};

static int compare_listing(const void *a, const void *b, void *members)
{
	const struct member *x = &((const struct members *)members)->all[*(const uint32_t *)a];
	const struct member *y = &((const struct members *)members)->all[*(const uint32_t *)b];
	return x->path < y->path ? -1 : x->path > y->path;
}

/* Paths are written down as they are listed: their places tell that order. */
static bool find_listing_order(struct members *members, uint32_t **ret_by_listing, uint32_t **ret_listed_at)
{
	uint32_t *by_listing = malloc((members->count + 1) * sizeof *by_listing);
	uint32_t *listed_at = malloc((members->count + 1) * sizeof *listed_at);
	if (!by_listing || !listed_at) {
		free(by_listing);
		free(listed_at);
		return false;
	}
	for (uint32_t i = 0; i < members->count; i++)
		by_listing[i] = i;
	qsort_r(by_listing, members->count, sizeof *by_listing, compare_listing, members);
	for (uint32_t i = 0; i < members->count; i++)
		listed_at[by_listing[i]] = i;
	*ret_by_listing = by_listing;
	*ret_listed_at = listed_at;
	return true;
}

static void list_run(struct pool_task *task)
{
	struct list_task *list = (struct list_task *)task;
	struct members *members = NULL;
	uint32_t *by_listing = NULL, *listed_at = NULL;
	struct err ignored = ERR_NONE;
	bool listed = members_list(list->node, false, NULL, &members, &ignored) == 0 &&
		      find_listing_order(members, &by_listing, &listed_at);
	pthread_mutex_lock(&all.lock);
	struct dir *dir = list->dir;
	dir->state = listed ? DIR_LISTED : DIR_SEEN;
	dir->listed_ns = pool_now_ns();
	if (listed) {
		dir->members = members;
		dir->by_listing = by_listing;
		dir->listed_at = listed_at;
	} else {
		members_unref(members);
	}
	pthread_mutex_unlock(&all.lock);
	free(list);
}

static void start_listing(struct dir *dir)
{
	struct list_task *list = malloc(sizeof *list);
	if (!list)
		return;
	*list = (struct list_task){{.run = list_run}, dir, dir->node};
	dir->state = DIR_LISTING;
	pool_submit(&list->task, POOL_AHEAD);
}

/* ---- decoding ---- */

/* What is wanted of the next images of a run. */
struct next {
	uint64_t bytes;
	const char *below;
};

struct decode_task {
	struct pool_task task;
	struct members *members;
	size_t member;
	const struct run *run;
	uint64_t id;
	char below[]; /* "": all samples of the image */
};

static void decode_member(const struct decode_task *decode)
{
	struct err ignored = ERR_NONE;
	struct image *image;
	uint64_t version = 0;
	if (members_open(decode->members, decode->member, &version, &image, &ignored) != 0)
		return;
	struct picture picture = picture_default(image_pictures(image), image_header(image), 0);
	struct image_area area = image_area_of_level(image, picture.part_index, picture.level);
	if (image_use(image, &area, NULL, NULL, NULL, &ignored) == 0) {
		image_decode_level(image, picture.part_index, picture.level, &ignored);
		image_unuse(image);
	}
	image_unref(image);
}

static void make_whole(const struct decode_task *decode)
{
	char path[4096];
	node_path(decode->members->dirs[0].node, path, sizeof path);
	size_t len = strlen(path);
	int n = snprintf(path + len, sizeof path - len, "%s%s/%s", len ? "/" : "", member_path(decode->members, decode->member),
			 decode->below);
	if (len + (size_t)n < sizeof path)
		all.make_whole(path, false);
}

static void decode_run(struct pool_task *task)
{
	struct decode_task *decode = (struct decode_task *)task;
	pthread_mutex_lock(&all.lock);
	bool wanted = decode->run->id == decode->id && !all.ended;
	pthread_mutex_unlock(&all.lock);
	if (wanted && *decode->below)
		make_whole(decode);
	else if (wanted)
		decode_member(decode);
	members_unref(decode->members);
	free(decode);
}

static void start_decoding(struct members *members, size_t member, const struct run *run, const struct next *next)
{
	size_t below_bytes = next->below ? strlen(next->below) + 1 : 1;
	struct decode_task *decode = malloc(sizeof *decode + below_bytes);
	if (!decode)
		return;
	const struct pool_task task = {.run = decode_run, .is_short = next->bytes <= SHORT_BYTES};
	*decode = (struct decode_task){task, members_ref(members), member, run, run->id};
	memcpy(decode->below, next->below ? next->below : "", below_bytes);
	pool_submit(&decode->task, POOL_NEXT);
}

struct again_task {
	struct pool_task task;
	char path[];
};

static void again_run(struct pool_task *task)
{
	struct again_task *again = (struct again_task *)task;
	pthread_mutex_lock(&all.lock);
	bool wanted = !all.ended;
	pthread_mutex_unlock(&all.lock);
	if (wanted)
		all.make_whole(again->path, true);
	free(again);
}

void ahead_again(const char *path)
{
	size_t path_bytes = strlen(path) + 1;
	struct again_task *again = malloc(sizeof *again + path_bytes);
	if (!again)
		return;
	again->task = (struct pool_task){.run = again_run};
	memcpy(again->path, path, path_bytes);
	pool_submit(&again->task, POOL_AHEAD);
}

/* ---- runs ---- */

static uint64_t most_ahead(uint64_t next_bytes)
{
	uint64_t most = AHEAD_BYTES / next_bytes, least = 2 * (uint64_t)config.threads;
	uint64_t budget = config.cache_bytes / 4 / next_bytes;
	most = most < least ? least : most;
	return most < budget ? most : budget;
}

/* The run that goes on at that place, or a new one in the slot of the longest unused. */
static struct run *find_run(struct run runs[NRUNS], uint32_t place)
{
	struct run *oldest = runs;
	for (struct run *run = runs; run < runs + NRUNS; run++) {
		if (run->length && all.clock - run->used < FORGOTTEN_AFTER && (run->place == place || run->place + 1 == place)) {
			run->length += run->place != place;
			run->place = place;
			return run;
		}
		if (run->used < oldest->used)
			oldest = run;
	}
	*oldest = (struct run){.place = place, .length = 1, .id = ++all.clock};
	return oldest;
}

/* Goes on with, or begins, a run in one of the orders; to_member NULL: places are members. Whether it is a run. */
static bool run_on(struct dir *dir, unsigned order, uint32_t place, const uint32_t *to_member, const struct next *next)
{
	struct run *run = find_run(dir->runs[order], place);
	run->used = ++all.clock;
	if (run->length < LENGTH_OF_A_RUN)
		return false;
	uint64_t most = most_ahead(next->bytes),
		 wanted = (uint64_t)config.threads << (run->length < 20 ? run->length - LENGTH_OF_A_RUN : 20);
	uint64_t end = place + 1 + (wanted < most ? wanted : most);
	end = end < dir->members->count ? end : dir->members->count;
	/* of small images many at once, and then none for a while: to wake a thread for each costs as much as what it does */
	if (wanted >= most && next->bytes <= SHORT_BYTES && run->started > place + 1 + most / 2)
		return true;
	for (run->started = run->started > place + 1 ? run->started : place + 1; run->started < end; run->started++)
		start_decoding(dir->members, to_member ? to_member[run->started] : run->started, run, next);
	return true;
}

static bool find_member(const struct members *members, const char *name, uint32_t *ret_member)
{
	size_t low = 0, high = members->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(member_path(members, middle), name);
		if (order == 0) {
			*ret_member = (uint32_t)middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* It has names that are not in the listing: another one, but not each time. */
static void drop_listing(struct dir *dir)
{
	struct node *node = dir->node;
	if (pool_now_ns() - dir->listed_ns < 1000000000)
		return;
	node_ref(node);
	dir_forget(dir);
	dir->node = node;
	dir->state = DIR_SEEN;
}

static void note_listed(struct dir *dir, const char *name, const struct next *next)
{
	uint32_t member;
	if (!find_member(dir->members, name, &member)) {
		drop_listing(dir);
		return;
	}
	if (!run_on(dir, 0, member, NULL, next))
		run_on(dir, 1, dir->listed_at[member], dir->by_listing, next);
}

void ahead_note(struct node *image, uint64_t next_bytes, const char *below)
{
	const struct next next = {next_bytes, below};
	if (!image->parent || next_bytes == 0 || next_bytes > config.cache_bytes / 4)
		return;
	pthread_mutex_lock(&all.lock);
	struct dir *dir = find_dir(image->parent);
	if (dir) {
		dir->used = ++all.clock;
		if (dir->state == DIR_LISTED) {
			note_listed(dir, image->name, &next);
		} else if (dir->state == DIR_SEEN) {
			if (dir->last_seen && dir->last_seen != image->ino)
				start_listing(dir);
			dir->last_seen = image->ino;
		}
	}
	pthread_mutex_unlock(&all.lock);
}
