/* image.c - the table of images, and their checks. How chunks are decoded: fill.c; how views get at them: reader.c; what
 * is checked of the chunks that one user needs: image_area.c.
 *
 * Locks, in this order: table.lock (which images are known, references, the idle list), then image->lock (its checks and
 * its decoder, see fill.h). The cache's own lock comes last.
 */
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fill.h"
#include "fs/store/memory.h"
#include "fs/store/pace.h"
#include "fs/base/status.h"

enum { NBUCKETS = 1 << 14, MAX_LOOKED_AT = 4096, FEW_CHUNKS = 8, SMALL_BYTES = 256 << 10, TABLE_ENTRY_BYTES = 9 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	struct image **buckets;
	struct image *newest, *oldest; /* known, but without references */
	uint64_t idle_bytes;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static atomic_bool any_used;

/* ---- the table ---- */

int image_start(void)
{
	fill_lend_helpers();
	table.buckets = calloc(NBUCKETS, sizeof *table.buckets);
	return table.buckets ? 0 : -ENOMEM;
}

static struct image_key key_of(const struct image_spec *spec)
{
	if (spec->archive)
		return (struct image_key){{spec->archive_serial, spec->entry, 0, 0, 0}};
	const struct file_id *id = &spec->id;
	return (struct image_key){{id->device, id->inode, id->size_bytes, (uint64_t)id->mtime_ns, (uint64_t)id->ctime_ns + 1}};
}

static uint64_t hash_of(const struct image_key *key)
{
	uint64_t h = 0;
	for (unsigned i = 0; i < 5; i++) {
		h = (h ^ key->words[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 31;
	}
	return h;
}

static struct image **bucket_of(const struct image_key *key)
{
	return &table.buckets[hash_of(key) & (NBUCKETS - 1)];
}

static void idle_remove(struct image *image)
{
	*(image->newer ? &image->newer->older : &table.newest) = image->older;
	*(image->older ? &image->older->newer : &table.oldest) = image->newer;
	table.idle_bytes -= image->header_bytes;
}

static void idle_add(struct image *image)
{
	image->older = table.newest;
	image->newer = NULL;
	*(table.newest ? &table.newest->newer : &table.oldest) = image;
	table.newest = image;
	table.idle_bytes += image->header_bytes;
}

static void image_free(struct image *image)
{
	cache_group_drop(&image->chunks);
	backing_group_drop(&image->backings);
	fill_free_cursor(image);
	pictures_free(&image->pictures);
	codec_close(image->codec_image);
	archive_unref(image->archive);
	pthread_mutex_destroy(&image->lock);
	pthread_cond_destroy(&image->checked);
	free(image->path);
	cache_reserve(-(int64_t)image->header_bytes);
	memory_note_freed(image->header_bytes);
	free(image);
	status_sub(&status.images_known, 1);
}

/* Takes an unreferenced image out of the table; the caller frees it, without the lock. */
static void table_remove(struct image *image)
{
	struct image **link = bucket_of(&image->key);
	while (*link != image)
		link = &(*link)->bucket_next;
	*link = image->bucket_next;
	idle_remove(image);
}

static uint64_t idle_limit_bytes(void)
{
	return config.cache_bytes / 4 + (8 << 20);
}

/* Called with the lock held; gives it back. */
static void table_shrink_unlock(void)
{
	while (table.idle_bytes > idle_limit_bytes() && table.oldest) {
		struct image *image = table.oldest;
		table_remove(image);
		pthread_mutex_unlock(&table.lock);
		image_free(image);
		pthread_mutex_lock(&table.lock);
	}
	pthread_mutex_unlock(&table.lock);
}

void image_stop(void)
{
	while (table.oldest) {
		struct image *image = table.oldest;
		table_remove(image);
		image_free(image);
	}
	free(table.buckets);
	table.buckets = NULL;
}

/* ---- opening ---- */

int image_spec_bytes(const struct image_spec *spec, struct bytes **ret_bytes, struct err *err)
{
	if (spec->archive)
		return archive_entry_bytes(spec->archive, spec->entry, ret_bytes, err);
	struct bytes *bytes = file_bytes(spec->root_fd, spec->host_path, &spec->id);
	if (!bytes)
		return err_set(err, -ENOMEM, "no memory");
	*ret_bytes = bytes;
	return 0;
}

static int open_header(struct image *image, const struct image_spec *spec, struct err *err)
{
	struct bytes *bytes;
	int rc = image_spec_bytes(spec, &bytes, err);
	if (rc)
		return rc;
	struct codec_limits limits = codec_default_limits;
	limits.max_pixels = config.max_pixels;
	const char *slash = strrchr(spec->path, '/');
	rc = codec_open(bytes, slash ? slash + 1 : spec->path, &limits, &image->codec_image, err);
	bytes_unref(bytes);
	if (rc)
		return rc;
	rc = pictures_make(&image->codec_image->header, &image->pictures);
	if (rc)
		return err_set(err, rc, "no memory for the header");
	status_add(&status.opens, 1);
	return 0;
}

static void init_monotonic(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct image *image_new(const struct image_spec *spec)
{
	struct image *image = calloc(1, sizeof *image);
	if (!image)
		return NULL;
	image->path = strdup(spec->path);
	if (!image->path) {
		free(image);
		return NULL;
	}
	image->key = key_of(spec);
	image->refs = 1;
	image->archive = spec->archive ? archive_ref(spec->archive) : NULL;
	image->entry = spec->entry;
	image->opening = true;
	pthread_mutex_init(&image->lock, NULL);
	init_monotonic(&image->checked);
	cache_group_init(&image->chunks);
	status_add(&status.images_known, 1);
	return image;
}

/* Of formats whose chunks are decoded alone: the codec's table of them. */
static uint64_t table_bytes(const struct codec_header *header)
{
	uint64_t nchunks = 0;
	for (uint32_t p = 0; p < header->nparts; p++)
		for (uint32_t i = 0; i < header->parts[p].nlevels && header->parts[p].access == CODEC_ACCESS_CHUNK; i++)
			nchunks += (uint64_t)header->parts[p].levels[i].nchunks_x * header->parts[p].levels[i].nchunks_y;
	return nchunks * TABLE_ENTRY_BYTES;
}

static uint64_t header_bytes(const struct image *image)
{
	uint64_t n = sizeof *image + strlen(image->path);
	if (!image->codec_image)
		return n;
	n += image->codec_image->arena.used_bytes + 2048 + table_bytes(&image->codec_image->header);
	return n + (image->archive ? archive_copied_bytes(image->archive, image->entry) : 0);
}

static void image_open(struct image *image, const struct image_spec *spec)
{
	struct err err = ERR_NONE;
	if (open_header(image, spec, &err) && err.code != -EINTR)
		status_report(image->path, err.code, "header", err.text);
	pthread_mutex_lock(&table.lock);
	image->header_err = err;
	image->header_bytes = header_bytes(image);
	image->opening = false;
	pthread_cond_broadcast(&table.opened);
	pthread_mutex_unlock(&table.lock);
	cache_reserve((int64_t)image->header_bytes);
}

static struct image *table_find(const struct image_key *key)
{
	struct image *image = *bucket_of(key);
	while (image && memcmp(&image->key, key, sizeof *key) != 0)
		image = image->bucket_next;
	return image;
}

/* Somebody found it once more, maybe by another path. */
static void found_at(struct image *image, const struct image_spec *spec)
{
	if (image->codec_image && !spec->archive)
		file_found_at(image->codec_image->bytes, spec->host_path);
}

static int get_once(const struct image_spec *spec, struct image **ret_image, struct err *err)
{
	struct image_key key = key_of(spec);
	pthread_mutex_lock(&table.lock);
	struct image *image = table_find(&key);
	if (image) {
		if (image->refs++ == 0)
			idle_remove(image);
		while (image->opening)
			pthread_cond_wait(&table.opened, &table.lock);
		pthread_mutex_unlock(&table.lock);
		found_at(image, spec);
	} else {
		image = image_new(spec);
		if (!image) {
			pthread_mutex_unlock(&table.lock);
			return err_set(err, -ENOMEM, "no memory for the header");
		}
		struct image **bucket = bucket_of(&key);
		image->bucket_next = *bucket;
		*bucket = image;
		pthread_mutex_unlock(&table.lock);
		image_open(image, spec);
	}
	if (image->header_err.code) {
		int code = err_copy(err, &image->header_err);
		image_unref(image);
		return code;
	}
	*ret_image = image;
	return 0;
}

/* Who waited for one that gave up tries again. */
int image_get(const struct image_spec *spec, struct image **ret_image, struct err *err)
{
	struct err why = ERR_NONE;
	int rc = get_once(spec, ret_image, &why);
	while (rc == -EINTR && !patience_is_over(patience_of_thread())) {
		why = ERR_NONE;
		rc = get_once(spec, ret_image, &why);
	}
	return rc ? err_copy(err, &why) : 0;
}

struct image *image_ref(struct image *image)
{
	pthread_mutex_lock(&table.lock);
	image->refs++;
	pthread_mutex_unlock(&table.lock);
	return image;
}

void image_unref(struct image *image)
{
	if (!image)
		return;
	pthread_mutex_lock(&table.lock);
	if (--image->refs > 0) {
		pthread_mutex_unlock(&table.lock);
		return;
	}
	idle_add(image);
	if (!err_is_passing(&image->header_err)) {
		table_shrink_unlock();
		return;
	}
	table_remove(image);
	pthread_mutex_unlock(&table.lock);
	image_free(image);
}

uint64_t image_version(const struct image *image)
{
	return hash_of(&image->key);
}

const struct codec *image_codec(const struct image *image)
{
	return image->codec_image->codec;
}

const struct codec_header *image_header(const struct image *image)
{
	return &image->codec_image->header;
}

const struct pictures *image_pictures(const struct image *image)
{
	return &image->pictures;
}

/* ---- checks ---- */

static int damage_of_all(struct image *image, struct err *err)
{
	pthread_mutex_lock(&image->lock);
	int code = image->damage.code ? err_copy(err, &image->damage) : 0;
	pthread_mutex_unlock(&image->lock);
	return code;
}

int image_error(struct image *image, struct err *err)
{
	int code = damage_of_all(image, err);
	pthread_mutex_lock(&image->lock);
	if (!code && image->chunk_damage.code)
		code = err_copy(err, &image->chunk_damage);
	pthread_mutex_unlock(&image->lock);
	return code;
}

/* A check of all says nothing of chunks that are checked alone. */
static enum image_verdict verdict_of(struct image *image)
{
	if (image->header_err.code)
		return err_is_passing(&image->header_err) ? IMAGE_UNKNOWN : IMAGE_DAMAGED;
	bool whole = image_opens_whole(image) || !image_codec(image)->check_chunks;
	pthread_mutex_lock(&image->lock);
	bool damaged = image->damage.code || image->chunk_damage.code, checked = image->check_state == CHECK_DONE;
	pthread_mutex_unlock(&image->lock);
	return damaged ? IMAGE_DAMAGED : checked && whole ? IMAGE_SOUND : IMAGE_UNKNOWN;
}

enum image_verdict image_peek(const struct image_spec *spec)
{
	struct image_key key = key_of(spec);
	pthread_mutex_lock(&table.lock);
	struct image *image = table_find(&key);
	if (image && image->opening)
		image = NULL;
	if (image && image->refs++ == 0)
		idle_remove(image);
	pthread_mutex_unlock(&table.lock);
	enum image_verdict verdict = image ? verdict_of(image) : IMAGE_UNKNOWN;
	image_unref(image);
	return verdict;
}

bool image_any_used(void)
{
	return atomic_load_explicit(&any_used, memory_order_relaxed);
}

void image_damaged(struct image *image, const struct err *err, const char *stage)
{
	if (err_is_passing(err) && !err->is_source)
		return;
	pthread_mutex_lock(&image->lock);
	bool first = err->is_source ? !image->told_source : !image->damage.code;
	if (err->is_source)
		image->told_source = true;
	else
		err_copy(&image->damage, err);
	pthread_mutex_unlock(&image->lock);
	if (first)
		status_report(image->path, err->code, stage, err->text);
}

static uint64_t count_chunks(const struct view_chunks *chunks)
{
	return (uint64_t)(chunks->cx1 - chunks->cx0 + 1) * (chunks->cy1 - chunks->cy0 + 1);
}

static int decode_chunk_of(struct image_reader *reader, uint32_t cx, uint32_t cy, struct err *err)
{
	const void *samples;
	int rc = reader->source.pin(reader, cx, cy, &samples, err);
	if (rc == 0)
		reader->source.unpin(reader, cx, cy);
	return rc;
}

int image_decode_area(struct image *image, const struct image_area *area, const struct patience *patience, struct err *err)
{
	const struct view_chunks *chunks = &area->chunks;
	struct image_reader reader;
	image_reader_init(&reader, image, area->part, area->level);
	reader.patience = patience;
	reader.source.want(&reader, chunks->cx0, chunks->cy0, chunks->cx1, chunks->cy1);
	/* of a few chunks the last is waited for first: the others are decoded by then, and each wait is a wake-up */
	int rc = count_chunks(chunks) <= FEW_CHUNKS ? decode_chunk_of(&reader, chunks->cx1, chunks->cy1, err) : 0;
	for (uint32_t cy = chunks->cy0; cy <= chunks->cy1 && rc == 0; cy++)
		for (uint32_t cx = chunks->cx0; cx <= chunks->cx1 && rc == 0; cx++)
			rc = decode_chunk_of(&reader, cx, cy, err);
	image_reader_end(&reader);
	return rc;
}

static int decode_level(struct image *image, uint32_t part, uint32_t level, const struct patience *patience, struct err *err)
{
	struct image_area area = image_area_of_level(image, part, level);
	return image_decode_area(image, &area, patience, err);
}

int image_decode_level(struct image *image, uint32_t part, uint32_t level, struct err *err)
{
	return decode_level(image, part, level, NULL, err);
}

uint64_t image_level_cost_bytes(const struct image *image, uint32_t part, uint32_t level)
{
	const struct codec_part *p = &image_header(image)->parts[part];
	const struct codec_level *l = &p->levels[level];
	uint64_t nchunks = (uint64_t)l->nchunks_x * l->nchunks_y;
	return image_level_bytes(image, part, level) + nchunks * (cache_cost_bytes(1) - 1);
}

uint64_t image_level_bytes(const struct image *image, uint32_t part, uint32_t level)
{
	const struct codec_part *p = &image_header(image)->parts[part];
	uint64_t sample_bytes = 0;
	for (uint32_t i = 0; i < p->nplanes; i++)
		sample_bytes += sample_size_bytes((enum sample_type)p->planes[i].type);
	return sample_bytes * p->levels[level].width * p->levels[level].height;
}

static int decode_all(struct image *image, const struct patience *patience, struct err *err)
{
	const struct codec_header *header = image_header(image);
	int rc = 0;
	for (uint32_t part = 0; part < header->nparts && rc == 0; part++)
		for (uint32_t level = 0; level < header->parts[part].nlevels && rc == 0; level++)
			if (!header->parts[part].unsupported)
				rc = decode_level(image, part, level, patience, err);
	return rc;
}

int image_decode_all(struct image *image, struct err *err)
{
	return decode_all(image, NULL, err);
}

/* Whether the first read decodes about all of it anyway (a band of a forward decoder has as many bytes): then open does, so
 * that also the damage that only decoding finds is told by open. */
bool image_is_small(const struct image *image)
{
	const struct codec_header *header = image_header(image);
	uint64_t left_bytes = SMALL_BYTES;
	for (uint32_t p = 0; p < header->nparts; p++) {
		const struct codec_part *part = &header->parts[p];
		uint64_t pixel_bytes = 0;
		for (uint32_t i = 0; i < part->nplanes; i++)
			pixel_bytes += sample_size_bytes((enum sample_type)part->planes[i].type);
		for (uint32_t i = 0; i < part->nlevels; i++) {
			uint64_t npixels = (uint64_t)part->levels[i].width * part->levels[i].height;
			if (npixels > left_bytes || npixels * pixel_bytes > left_bytes)
				return false;
			left_bytes -= npixels * pixel_bytes;
		}
	}
	return true;
}

bool image_opens_whole(const struct image *image)
{
	const struct codec *codec = image_codec(image);
	return config.verify == VERIFY_FULL ||
	       (config.verify == VERIFY_OPEN && (!codec->check || (!codec->check_chunks && image_is_small(image))));
}

bool image_is_quick(const struct image *image, uint32_t part)
{
	return image_header(image)->parts[part].quick && !image->archive;
}

bool image_is_decoded(struct image *image, const struct image_area *area)
{
	const struct view_chunks *chunks = &area->chunks;
	struct chunk_key first = {area->part, area->level, chunks->cx0, chunks->cy0};
	return area->any && count_chunks(chunks) <= MAX_LOOKED_AT && cache_has_all(&image->chunks, first, chunks->cx1, chunks->cy1);
}

struct backing_group *image_backings(struct image *image)
{
	return &image->backings;
}

/* Not of what is read out of an archive, which is inflated forwards for the check too; and not by a worker, which would decode
 * itself first, and where that fails wait for its own check. */
static bool starts_early(const struct image *image, const struct image_area *area)
{
	return area && area->any && area->expected && !pool_is_worker() && config.verify == VERIFY_OPEN && !image->archive &&
	       !image_opens_whole(image) && image_codec(image)->check &&
	       image_header(image)->parts[area->part].access == CODEC_ACCESS_FORWARD;
}

static int run_checks(struct image *image, const struct opening *opening, struct err *err)
{
	const struct codec *codec = image_codec(image);
	int before = status_set_checking(1);
	int rc = image->archive ? archive_bytes_check(image->archive, image->entry, image->codec_image->bytes, err) : 0;
	if (rc == 0 && config.verify == VERIFY_FULL)
		rc = codec_check(image->codec_image, err);
	else if (rc == 0 && codec->check)
		rc = codec->check(image->codec_image, err);
	status_set_checking(before);
	bool all = image_opens_whole(image);
	if (rc == 0 && opening->meanwhile && all)
		opening->meanwhile(opening->context);
	if (rc == 0 && all)
		return decode_all(image, opening->patience, err);
	struct err again = ERR_NONE; /* no damage of all: it is found again by image_use */
	if (rc == 0 && opening->meanwhile && codec->check_chunks && image_is_small(image))
		image_check_area(image, opening, &again);
	return rc;
}

static bool check_is_over(void *context)
{
	struct image *image = context;
	pthread_mutex_lock(&image->lock);
	bool over = image->check_state != CHECK_RUNNING;
	pthread_mutex_unlock(&image->lock);
	return over;
}

/* Waits while somebody else checks; with the lock held. */
static int wait_for_others(struct image *image, const struct patience *patience, struct err *err)
{
	while (image->check_state == CHECK_RUNNING) {
		if (pool_is_worker()) {
			pthread_mutex_unlock(&image->lock);
			pool_work_until(check_is_over, image);
			pthread_mutex_lock(&image->lock);
		} else if (!pool_help(&image->lock)) {
			patience_nap(&image->checked, &image->lock);
			if (image->check_state == CHECK_RUNNING && patience_is_over(patience))
				return err_set(err, -EINTR, "the reader gave up");
		}
	}
	return 0;
}

/* Runs the checks once; everyone else waits for their end. */
static int image_check(struct image *image, const struct opening *opening, struct err *err)
{
	pthread_mutex_lock(&image->lock);
	int waited = wait_for_others(image, opening->patience, err);
	if (waited) {
		pthread_mutex_unlock(&image->lock);
		return waited;
	}
	bool mine = image->check_state == CHECK_NEEDED, mine_early = mine && starts_early(image, opening->area);
	if (mine)
		image->check_state = CHECK_RUNNING;
	image->early |= mine_early;
	pthread_mutex_unlock(&image->lock);
	if (!mine)
		return 0;
	struct err found = ERR_NONE;
	if (mine_early)
		fill_start_early(image, opening->area);
	int rc = run_checks(image, opening, &found);
	if (rc) {
		err_set(&found, rc, "the check failed");
		image_damaged(image, &found, "check");
	}
	pthread_mutex_lock(&image->lock);
	image->check_state = err_is_passing(&found) ? CHECK_NEEDED : CHECK_DONE;
	image->early = false;
	pthread_cond_broadcast(&image->checked);
	pthread_mutex_unlock(&image->lock);
	pool_tell();
	return rc ? err_copy(err, &found) : 0;
}

void image_set_prefetched(struct image *image, uint32_t number)
{
	pthread_mutex_lock(&image->lock);
	image->prefetched = number;
	pthread_mutex_unlock(&image->lock);
}

int image_use(struct image *image, const struct image_area *area, const struct patience *patience, void (*meanwhile)(void *context),
	      void *context, struct err *err)
{
	atomic_store_explicit(&any_used, true, memory_order_relaxed);
	pthread_mutex_lock(&image->lock);
	image->nusers++;
	image->told_source = false;
	uint32_t prefetched = pool_is_worker() ? 0 : image->prefetched;
	if (prefetched)
		image->prefetched = 0;
	pthread_mutex_unlock(&image->lock);
	pace_read(prefetched);
	const struct opening opening = {area, patience, meanwhile, context}, later = {area, patience, NULL, NULL};
	int rc = config.verify == VERIFY_OFF ? 0 : image_check(image, &opening, err);
	if (rc == 0 && config.verify != VERIFY_OFF)
		rc = damage_of_all(image, err);
	if (rc == 0 && config.verify == VERIFY_OPEN && image_codec(image)->check_chunks)
		rc = image_check_area(image, &later, err);
	if (rc)
		image_unuse(image);
	return rc;
}

void image_unuse(struct image *image)
{
	pthread_mutex_lock(&image->lock);
	bool last = --image->nusers == 0 && !image->fill_running;
	if (last)
		fill_park_cursor(image);
	pthread_mutex_unlock(&image->lock);
}

void image_hold(struct image *image)
{
	file_hold(image->codec_image->bytes);
}

void image_unhold(struct image *image)
{
	file_unhold(image->codec_image->bytes);
}

bool image_may_be_kept_as(const struct image *image, uint32_t part, uint32_t level, uint64_t len_bytes)
{
	const struct codec_header *header = image_header(image);
	return header->nparts == 1 && header->parts[0].nlevels == 1 && len_bytes == image_level_bytes(image, part, level);
}

void image_kept_as(struct image *image, uint32_t part, uint32_t level, uint64_t len_bytes)
{
	if (!image_may_be_kept_as(image, part, level, len_bytes))
		return;
	pthread_mutex_lock(&image->lock);
	if (image->nusers == 1)
		cache_group_shrink(&image->chunks);
	pthread_mutex_unlock(&image->lock);
}
