/* fill.h - decoding chunks into the cache. Inner side of image.c: nothing else includes it.
 *
 * ACCESS_CHUNK: small chunks that are asked for together share a task, all others have their own. ACCESS_FORWARD: chunks asked for
 * wait in image->pending; one task at a time walks the cursor forward to the last of them, keeps all it passes in the cache, and
 * starts again from the top where a chunk behind the cursor is asked for. A failure is remembered: what lies behind it fails at
 * once.
 */
#ifndef PIXFS_FILL_H
#define PIXFS_FILL_H

#include <pthread.h>

#include "image.h"
#include "fs/base/pool.h"

struct image_key {
	uint64_t words[5];
};

enum { IMAGE_TOLD_MAX = 8 };

enum check_state { CHECK_NEEDED, CHECK_RUNNING, CHECK_DONE };

struct pending {
	struct pending *next;
	struct chunk *chunk; /* pinned by this list */
};

struct image {
	/* set at opening, then constant */
	struct image_key key;
	char *path;
	struct archive *archive;
	uint32_t entry;
	struct codec_image *codec_image;
	struct pictures pictures;
	struct err header_err;
	uint64_t header_bytes;
	/* the table's, under its lock */
	struct image *bucket_next, *newer, *older;
	unsigned refs;
	bool opening;
	/* under image->lock */
	pthread_mutex_t lock;
	pthread_cond_t checked;
	enum check_state check_state;
	bool early; /* the check runs, and some chunks are decoded beside it: their damage is told after what the check finds */
	struct err damage;             /* fails every open */
	struct err chunk_damage;       /* the last chunk found missing: fails who needs it */
	struct image_area decoded;     /* of a small image, the last that was decoded at open: not again */
	uint32_t told[IMAGE_TOLD_MAX]; /* hashes of what was reported of chunks */
	unsigned ntold;
	bool told_source; /* that the source can't be read was reported since the image was last opened */
	unsigned nusers;
	uint32_t prefetched; /* its number in pace.h, until somebody reads it; 0: none */
	/* forward decoding, under image->lock; the cursor belongs to the task while fill_running */
	bool fill_running;
	struct pool_task fill_task;
	struct pending *pending;
	struct codec_cursor *cursor;
	uint32_t cursor_part, cursor_level, cursor_row;
	uint64_t flight_bytes;                     /* what the cursor, or its making, has of flight.h */
	struct image *parked_newer, *parked_older; /* fill.c's list of cursors kept between opens, under its lock */
	bool parked;                               /* the cursor may be freed by others: under fill.c's lock */
	struct err fill_err;                       /* the decoder fails at row fill_err_row of the cursor's part and level */
	uint32_t fill_err_part, fill_err_level, fill_err_row;
	struct cache_group chunks;
	struct backing_group backings;
};

/* Who opens the image, and as the first has it alone. */
struct opening {
	const struct image_area *area;
	const struct patience *patience;
	void (*meanwhile)(void *context); /* may be NULL, as in image_use */
	void *context;
};

struct fill_batch;

struct image *image_ref(struct image *image);
void image_damaged(struct image *image, const struct err *err, const char *stage);
/* Whether it decodes to so little that open does. */
bool image_is_small(const struct image *image);

/* image_area.c */

/* As image_damaged, where a chunk is missing: told once for each that is, and who doesn't need the chunk isn't concerned. */
void image_lacks_chunk(struct image *image, const struct err *err, const char *stage);
/* Whether the codec's own check refuses the chunk: then that it can't be decoded is no damage of the others. */
bool image_chunk_is_missing(struct image *image, struct chunk_key key);
int image_decode_area(struct image *image, const struct image_area *area, const struct patience *patience,
		      struct err *err); /* in image.c */
/* The part of image_use that depends on area. */
int image_check_area(struct image *image, const struct opening *opening, struct err *err);

/* Threads of the pool without work help decoders; before the first decode. */
void fill_lend_helpers(void);

/* Starts decoding the first rows of an area, of a forward format that is being checked. */
void fill_start_early(struct image *image, const struct image_area *area);

/* The chunk, pinned, ready or being decoded: wait for it with cache_wait. An error of an earlier decode otherwise. */
int fill_begin(struct image *image, struct chunk_key key, struct chunk **ret_chunk, struct err *err);
/* Starts decoding the chunk if nobody did; nobody waits. *batch is NULL at first; chunks may be held back in it until
 * fill_start_end(), which must come before any wait. */
void fill_start(struct image *image, struct chunk_key key, struct fill_batch **batch);
void fill_start_end(struct fill_batch **batch);
/* Nobody has the image open: a few forward decoders are kept for who opens it again, the longest unused leave first. With
 * image->lock held and no task running. */
void fill_park_cursor(struct image *image);
/* Drops the forward decoder's state: no task runs, and nobody starts one. */
void fill_free_cursor(struct image *image);

#endif
