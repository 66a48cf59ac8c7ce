/* image.h - an opened image: bytes + codec + frozen header + what is decoded of it.
 *
 * Images are shared: whoever asks for the same version of the same file gets the same struct image. Its header is parsed
 * once; its chunks are decoded once while they are cached. Unused images stay known, the longest unused leave first.
 * Policy (what to decode, keep, restart, when to check) lives here and nowhere else.
 */
#ifndef PIXFS_IMAGE_H
#define PIXFS_IMAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/store/backing.h"
#include "fs/store/cache.h"
#include "fs/source/file.h"
#include "fs/view/picture.h"
#include "fs/view/view.h"
#include "fs/source/zip/zip.h"

/* Where an image's bytes are: an archive's entry, or a host file where archive is NULL. All pointers are borrowed. */
struct image_spec {
	const char *path; /* relative to the mount's root: for messages; its extension breaks ties between codecs */
	struct archive *archive;
	uint64_t archive_serial; /* unique for each opened archive */
	uint32_t entry;
	int root_fd;
	const char *host_path;
	struct file_id id;
};

struct image;

/* A number of this version of the file, practically another one for each. */
uint64_t image_version(const struct image *image);

int image_start(void); /* 0 or -ENOMEM; after cache_start and pool_start */
void image_stop(void); /* forgets all images; none may be in use */

/* The image, its header parsed; one reference. Fails with the header's error (remembered: the file isn't parsed again). */
int image_get(const struct image_spec *spec, struct image **ret_image, struct err *err);
void image_unref(struct image *image); /* NULL is fine */

const struct codec *image_codec(const struct image *image);
const struct codec_header *image_header(const struct image *image);
const struct pictures *image_pictures(const struct image *image);

/* The bytes of the file itself, one reference; works for damaged images too. */
int image_spec_bytes(const struct image_spec *spec, struct bytes **ret_bytes, struct err *err);

/* The chunks of a (part, level) that a user of the image can ask for. */
struct image_area {
	uint32_t part, level;
	bool any;      /* false: none at all */
	bool expected; /* all of it will be read, as far as one can tell */
	struct view_chunks chunks;
};
struct image_area image_area_of_view(const struct picture *picture, const struct view *view);
struct image_area image_area_of_level(const struct image *image, uint32_t part, uint32_t level);

/* For as long as an array of the image is open. Opening makes the checks that verify= asks for and fails with what they, or an
 * earlier decode, found:
 * - once for each image, what concerns all of it; verify=full, and formats without checksums, decode it. This damage, and what
 *   decoding finds later, fails every open.
 * - where the codec can check chunks alone, each time those of area (NULL: none): a missing chunk fails only who needs it, and
 *   nothing of it is remembered but the words. A small image is not decoded whole then, but its area.
 * Where all of area is expected to be read, its decode begins beside the check of all of the image.
 * Where the first to open decodes the image or area here, meanwhile(context) (may be NULL) is called on this thread when all
 * else was right: it can be read already, each read waits for the decode, and everyone else waits for the end of the checks.
 * -EINTR where patience (NULL: endless) ends before a decode, or somebody else's check, does. */
int image_use(struct image *image, const struct image_area *area, const struct patience *patience, void (*meanwhile)(void *context),
	      void *context, struct err *err);
void image_unuse(struct image *image);
/* As long as it is held it is read from the descriptor that its file was opened with, whatever becomes of the file's name. */
void image_hold(struct image *image);
void image_unhold(struct image *image);
/* Somebody who uses it keeps len_bytes of values that were made from this level. Where that is all there is of the image, in the
 * same number of bytes (image_may_be_kept_as), and nobody else uses it, its samples are dropped: who asks for another form of it
 * decodes it again. */
bool image_may_be_kept_as(const struct image *image, uint32_t part, uint32_t level, uint64_t len_bytes);
void image_kept_as(struct image *image, uint32_t part, uint32_t level, uint64_t len_bytes);

/* Whether the first image_use decodes all of it. */
bool image_opens_whole(const struct image *image);

/* Whether its samples cost no more to make than fresh memory for them does: what is read out of an archive is inflated first. */
bool image_is_quick(const struct image *image, uint32_t part);

/* Whether all of area (of few enough chunks to look) is decoded and cached. */
bool image_is_decoded(struct image *image, const struct image_area *area);

/* Arrays of it that were made whole; they end with the image. */
struct backing_group *image_backings(struct image *image);

/* It is decoded because .pixfs/prefetch was told so; the first image_use by a reader is told to pace.h. */
void image_set_prefetched(struct image *image, uint32_t number);

/* The first damage that checking or decoding found, else the last that was found of a chunk alone: its code with words, or 0. */
int image_error(struct image *image, struct err *err);

/* What is known of an image's soundness without looking at it: SOUND after a whole check of the open, or a decode of all;
 * DAMAGED where the header, a check or a decode found damage. Waits for nothing. */
enum image_verdict { IMAGE_UNKNOWN, IMAGE_SOUND, IMAGE_DAMAGED };
enum image_verdict image_peek(const struct image_spec *spec);
/* Whether any image was looked at in this mount: else image_peek knows nothing. */
bool image_any_used(void);

/* Decodes every chunk of every part and level: 0 or the first error. */
int image_decode_all(struct image *image, struct err *err);

/* The same of one level of one part. */
int image_decode_level(struct image *image, uint32_t part, uint32_t level, struct err *err);
/* The bytes that one level of one part decodes to. */
uint64_t image_level_bytes(const struct image *image, uint32_t part, uint32_t level);
/* What it costs the cache when all of it is decoded: small chunks cost more than their bytes. */
uint64_t image_level_cost_bytes(const struct image *image, uint32_t part, uint32_t level);

/* How one open array was read so far; embedded in its handle, shared by its concurrent reads. Set the lock up, the rest is 0. */
struct image_pattern {
	pthread_mutex_t lock;
	uint64_t next_offset; /* of a read that goes on where the last one ended */
	unsigned streak;      /* reads in a row that did, more or less: several may be under way at once */
	uint32_t first_cy, last_cy;
	int run;        /* reads in a row that went on to chunk rows further down (positive) or up (negative) */
	uint32_t ahead; /* chunk rows, counted in the direction of the reads, that were started: those below this number */
};
/* A read of the array begins; before its reader is made. */
void image_pattern_note(struct image_pattern *pattern, uint64_t offset, size_t len_bytes);
/* The array is going to be read on and on. */
void image_pattern_expect(struct image_pattern *pattern);

/* A view_source over a (part, level) for one read. The image must be in use. */
struct image_reader {
	struct view_source source; /* give this to view_read */
	struct image *image;
	uint32_t part, level;
	struct image_pattern *pattern;   /* NULL: never decodes ahead */
	uint32_t first_row, end_row;     /* chunk rows that may be decoded ahead: all, unless narrowed */
	bool cold;                       /* what it read is hardly needed again */
	bool passing;                    /* of reads that go down the picture: the chunks above the last row read aren't kept */
	const struct patience *patience; /* NULL: waits for ever */
	struct chunk **pinned;
	size_t npinned, pinned_room;
	uint32_t want[4]; /* cx0, cy0, cx1, cy1 */
	uint64_t started; /* how many chunks of the wanted range were started */
};
void image_reader_init(struct image_reader *reader, struct image *image, uint32_t part, uint32_t level);
void image_reader_end(struct image_reader *reader); /* unpins what is left, frees */

#endif
