/* image_area.c - what is checked at each open: the chunks that its user can ask for, of formats whose chunks can be checked
 * alone. Their damage concerns nobody else. Not here: what is checked once for all of an image (image.c). */
#include "image.h"

#include <string.h>

#include "fs/base/config.h"
#include "fill.h"
#include "fs/base/share.h"
#include "fs/base/status.h"

enum { CHECKED_CHUNKS = 64 };

struct image_area image_area_of_view(const struct picture *picture, const struct view *view)
{
	struct image_area area = {.part = picture->part_index, .level = picture->level};
	area.any = view_chunks(view, &area.chunks);
	return area;
}

struct image_area image_area_of_level(const struct image *image, uint32_t part, uint32_t level)
{
	const struct codec_level *l = &image_header(image)->parts[part].levels[level];
	return (struct image_area){.part = part, .level = level, .any = true, .chunks = {0, 0, l->nchunks_x - 1, l->nchunks_y - 1}};
}

/* ---- what is wrong ---- */

/* Called with the lock held. */
static bool is_news(struct image *image, const struct err *err)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (const char *c = err->text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	for (unsigned i = 0; i < IMAGE_TOLD_MAX && i < image->ntold; i++)
		if (image->told[i] == hash)
			return false;
	image->told[image->ntold++ % IMAGE_TOLD_MAX] = hash;
	return true;
}

void image_lacks_chunk(struct image *image, const struct err *err, const char *stage)
{
	if (err_is_passing(err)) {
		image_damaged(image, err, stage);
		return;
	}
	pthread_mutex_lock(&image->lock);
	bool news = is_news(image, err);
	image->chunk_damage = *err; /* the last, for who asks why an open failed */
	pthread_mutex_unlock(&image->lock);
	if (news)
		status_report(image->path, err->code, stage, err->text);
}

bool image_chunk_is_missing(struct image *image, struct chunk_key key)
{
	const struct codec *codec = image_codec(image);
	struct err err = ERR_NONE;
	return codec->check_chunks &&
	       codec->check_chunks(image->codec_image, key.part, key.level, key.cx, key.cy, key.cx, key.cy, &err) &&
	       !err_is_passing(&err);
}

/* ---- at open ---- */

struct check {
	struct image *image;
	const struct image_area *area;
	uint32_t block_rows;
};

/* Some rows of the area's chunks. */
static int check_block(void *context, uint32_t block, struct err *err)
{
	const struct check *check = context;
	const struct view_chunks *chunks = &check->area->chunks;
	uint32_t first = chunks->cy0 + block * check->block_rows, left = chunks->cy1 - first;
	int before = status_set_checking(1);
	int rc = image_codec(check->image)
			 ->check_chunks(check->image->codec_image, check->area->part, check->area->level, chunks->cx0, first,
					chunks->cx1, left < check->block_rows ? chunks->cy1 : first + check->block_rows - 1, err);
	status_set_checking(before);
	return rc;
}

/* By several threads, but for what is read out of an archive: that is inflated forwards. */
static int check_chunks(struct image *image, const struct image_area *area, struct err *err)
{
	const struct view_chunks *chunks = &area->chunks;
	uint32_t rows = chunks->cy1 - chunks->cy0 + 1, columns = chunks->cx1 - chunks->cx0 + 1;
	uint32_t block_rows = image->archive ? rows : columns < CHECKED_CHUNKS ? CHECKED_CHUNKS / columns : 1;
	struct check check = {image, area, block_rows};
	return share_blocks((rows - 1) / block_rows + 1, check_block, &check, err);
}

/* Whether area was decoded by the last open that decoded one. */
static bool was_decoded(struct image *image, const struct image_area *area)
{
	pthread_mutex_lock(&image->lock);
	const struct image_area *last = &image->decoded;
	const struct view_chunks *a = &area->chunks, *b = &last->chunks;
	bool within = last->any && last->part == area->part && last->level == area->level && a->cx0 >= b->cx0 && a->cy0 >= b->cy0 &&
		      a->cx1 <= b->cx1 && a->cy1 <= b->cy1;
	pthread_mutex_unlock(&image->lock);
	return within;
}

static void set_decoded(struct image *image, const struct image_area *area)
{
	pthread_mutex_lock(&image->lock);
	image->decoded = *area;
	pthread_mutex_unlock(&image->lock);
}

int image_check_area(struct image *image, const struct opening *opening, struct err *err)
{
	const struct image_area *area = opening->area;
	struct err found = ERR_NONE;
	if (!area || !area->any)
		return 0;
	int rc = check_chunks(image, area, &found);
	if (rc) {
		image_lacks_chunk(image, &found, "check");
		return err_copy(err, &found);
	}
	if (!image_is_small(image) || was_decoded(image, area))
		return 0;
	if (opening->meanwhile)
		opening->meanwhile(opening->context);
	rc = image_decode_area(image, area, opening->patience, err);
	if (rc == 0)
		set_decoded(image, area);
	return rc;
}
