/* fault_run.c - "fault_run FILE...": images and archives read through a source that fails, and with memory that runs out.
 *
 * Each file is worked through whole (header, check, every chunk, views; every entry of an archive) without faults, then
 * again with the nth read failing, for every n, and with the nth allocation failing, for every n. A run must end with the
 * errno of its fault, or as the run without faults did: never with another error, other samples, a crash or a leak
 * (the sanitizers look). After a failed read the same opened image must give all its samples: nothing of it is kept.
 *
 * Where no sanitizer has malloc, that of this program stands for all libraries too; else only this project's own calls fail
 * (the linker's --wrap). Prints a line for each file; exits with 1 where something was wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/codec.h"
#include "fs/view/view.h"
#include "fs/source/zip/zip.h"

enum { MAX_CHUNKS = 24, MAX_ENTRY = 1 << 20 };

static long max_runs = 400; /* of one file and kind of fault; FAULT_RUNS */

/* ---- memory that runs out ---- */

static _Thread_local long allocations_left = -1; /* -1: all succeed */
static _Thread_local bool refused;

static bool refuse(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	allocations_left = -1; /* one fault a run: what cleans up must not need luck */
	refused = true;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool all_libraries = false;
void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
	return refuse() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *data, size_t size)
{
	return refuse() ? NULL : __real_realloc(data, size);
}
#else
static const bool all_libraries = true;
void *__wrap_malloc(size_t size)
{
	return __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
	return __real_calloc(count, size);
}
void *__wrap_realloc(void *data, size_t size)
{
	return __real_realloc(data, size);
}
/* glibc's own, under the names that stay when malloc is another's */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *data, size_t size);
void *malloc(size_t size)
{
	return refuse() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
	return refuse() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *data, size_t size)
{
	return refuse() ? NULL : __libc_realloc(data, size);
}
#endif

/* ---- a source that fails ---- */

struct faulty {
	struct bytes bytes;
	const uint8_t *data;
	long reads, fail_at; /* fail_at: the read of that number; -1: none */
	int code;            /* 0: it gives a byte too few */
	bool failed;
};

static ssize_t faulty_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct faulty *faulty = (struct faulty *)bytes;
	if (offset >= bytes->size_bytes)
		return 0;
	size_t left = (size_t)(bytes->size_bytes - offset), n = left < len_bytes ? left : len_bytes;
	bool fails = faulty->reads++ == faulty->fail_at;
	faulty->failed |= fails;
	if (fails && faulty->code)
		return err_set_source(err, faulty->code, "the disk failed");
	memcpy(dst, faulty->data + offset, n);
	return (ssize_t)(fails && n ? n - 1 : n);
}

static void faulty_free(struct bytes *bytes)
{
	(void)bytes; /* static */
}

static const struct bytes_class faulty_class = {.read = faulty_read, .free = faulty_free};

/* ---- the work ---- */

struct result {
	int code;
	bool is_source;
	uint64_t hash; /* of all samples and bytes */
};

static uint64_t add_hash(uint64_t hash, const void *data, size_t len_bytes)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len_bytes; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
}

static int decode_level(struct codec_image *image, uint32_t p, uint32_t l, uint64_t *hash, struct err *err)
{
	const struct codec_part *part = &image->header.parts[p];
	const struct codec_level *level = &part->levels[l];
	struct codec_cursor *cursor = NULL;
	struct codec_chunk_layout layout;
	int rc = 0;
	for (uint64_t i = 0; rc == 0 && i < (uint64_t)level->nchunks_x * level->nchunks_y && i < MAX_CHUNKS; i++) {
		uint32_t cx = (uint32_t)(i % level->nchunks_x), cy = (uint32_t)(i / level->nchunks_x);
		codec_chunk_layout(part, l, cx, cy, &layout, NULL);
		uint8_t *dst = malloc(layout.len_bytes + 1);
		if (!dst)
			rc = err_set(err, -ENOMEM, "no memory");
		else
			rc = image->codec->decode(image, part->access == CODEC_ACCESS_FORWARD ? &cursor : NULL, p, l, cx, cy, dst,
						  err);
		if (rc == 0)
			*hash = add_hash(*hash, dst, layout.len_bytes);
		free(dst);
	}
	if (part->access == CODEC_ACCESS_FORWARD)
		image->codec->cursor_free(cursor);
	return rc;
}

/* What is told of it: nothing may be missing because memory was short for a moment. */
static uint64_t hash_metadata(const struct codec_header *header, uint64_t hash)
{
	hash = add_hash(hash, &header->orientation, 1);
	for (uint32_t p = 0; p < header->nparts; p++)
		for (size_t i = 0; i < header->parts[p].nattributes; i++)
			hash = add_hash(hash, header->parts[p].attributes[i].name, strlen(header->parts[p].attributes[i].name) + 1);
	for (size_t i = 0; i < header->nblobs; i++)
		hash = add_hash(hash, header->blobs[i].data, header->blobs[i].len_bytes);
	for (size_t i = 0; i < header->nwarnings; i++)
		hash = add_hash(hash, header->warnings[i], strlen(header->warnings[i]) + 1);
	return hash;
}

static int decode_image(struct codec_image *image, uint64_t *hash, struct err *err)
{
	int rc = codec_check(image, err);
	*hash = hash_metadata(&image->header, *hash);
	for (uint32_t p = 0; rc == 0 && p < image->header.nparts; p++)
		for (uint32_t l = 0; rc == 0 && l < image->header.parts[p].nlevels && !image->header.parts[p].unsupported; l++)
			rc = decode_level(image, p, l, hash, err);
	return rc;
}

/* ---- views, over the same decoder ---- */

struct view_context {
	struct codec_image *image;
	struct codec_cursor *cursor;
	const struct picture *picture;
	uint32_t next;
	void *held[64];
	uint32_t held_at[64];
};

static int context_pin(void *user, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct view_context *context = user;
	const struct picture *picture = context->picture;
	bool forward = picture->part->access == CODEC_ACCESS_FORWARD;
	int rc = 0;
	if (forward && cy < context->next) {
		context->image->codec->cursor_free(context->cursor);
		context->cursor = NULL;
		context->next = 0;
	}
	for (uint32_t at = forward ? context->next : cy; rc == 0 && at <= cy; at++) {
		void *samples = malloc(codec_kept_bytes(picture->part, picture->level, cx, at) + 1);
		if (!samples)
			return err_set(err, -ENOMEM, "no memory");
		rc = codec_decode_kept(context->image, forward ? &context->cursor : NULL, picture->part_index, picture->level, cx,
				       at, samples, err);
		context->next = at + 1;
		uint32_t slot = 0;
		while (slot < 64 && context->held[slot])
			slot++;
		if (rc || at < cy || slot == 64) {
			free(samples);
			rc = rc ? rc : slot == 64 ? err_set(err, -EMFILE, "too many pins") : 0;
			continue;
		}
		context->held[slot] = samples;
		context->held_at[slot] = cy << 16 | cx;
		*ret_samples = samples;
	}
	return rc;
}

static void context_unpin(void *user, uint32_t cx, uint32_t cy)
{
	struct view_context *context = user;
	for (uint32_t slot = 0; slot < 64; slot++)
		if (context->held[slot] && context->held_at[slot] == (cy << 16 | cx)) {
			free(context->held[slot]);
			context->held[slot] = NULL;
			return;
		}
}

static int read_view(struct codec_image *image, const struct picture *picture, const char *spec, uint64_t *hash, struct err *err)
{
	struct view *view;
	struct err refusal = ERR_NONE;
	int rc = view_compile(picture, spec, &view, &refusal);
	if (rc == -EINVAL || rc == -ENOENT || rc == -EFBIG)
		return 0; /* not every view is for every picture */
	if (rc)
		return err_copy(err, &refusal);
	struct view_context context = {.image = image, .picture = picture};
	struct view_source source = {&context, NULL, context_pin, context_unpin};
	uint64_t nbytes = view_info(view)->nbytes;
	size_t len = nbytes < MAX_ENTRY ? (size_t)nbytes : MAX_ENTRY;
	void *dst = malloc(len + 1);
	rc = dst ? view_read(view, 0, len, dst, &source, err) : err_set(err, -ENOMEM, "no memory");
	if (rc == 0)
		*hash = add_hash(*hash, dst, len);
	for (uint32_t slot = 0; slot < 64; slot++)
		free(context.held[slot]);
	image->codec->cursor_free ? image->codec->cursor_free(context.cursor) : (void)0;
	free(dst);
	view_free(view);
	return rc;
}

static int read_views(struct codec_image *image, uint64_t *hash, struct err *err)
{
	static const char *const specs[] = {"pixels.npy", "rgb,long=9,u8.png", "gray,size=7x5,filter=cubic.f32", "chw,rgba,f16.tif",
					    "rot=90,native.npy"};
	struct pictures pictures;
	int rc = pictures_make(&image->header, &pictures);
	if (rc)
		return err_set(err, rc, "no memory");
	struct picture picture = picture_default(&pictures, &image->header, 0);
	for (size_t i = 0; rc == 0 && i < sizeof specs / sizeof *specs && !picture.part->unsupported; i++)
		rc = read_view(image, &picture, specs[i], hash, err);
	pictures_free(&pictures);
	return rc;
}

static int read_entry(struct archive *archive, uint32_t entry, uint64_t *hash, struct err *err)
{
	struct archive_entry told;
	struct bytes *bytes;
	archive_get(archive, entry, &told);
	if (told.kind != ARCHIVE_FILE || told.size_bytes > MAX_ENTRY)
		return 0;
	int rc = archive_entry_check(archive, entry, err);
	if (rc == 0)
		rc = archive_entry_bytes(archive, entry, &bytes, err);
	if (rc)
		return rc;
	void *dst = malloc(told.size_bytes + 1);
	rc = dst ? bytes_read_exact(bytes, dst, told.size_bytes, 0, err) : err_set(err, -ENOMEM, "no memory");
	if (rc == 0)
		*hash = add_hash(*hash, dst, told.size_bytes);
	free(dst);
	bytes_unref(bytes);
	return rc;
}

static bool has_links; /* the archive that was read last */

static int read_archive(struct archive *archive, uint64_t *hash, struct err *err)
{
	struct archive_entry told;
	int rc = 0;
	has_links = false;
	for (uint32_t i = 0; rc == 0 && i < archive_count(archive); i++) {
		archive_get(archive, i, &told);
		has_links |= told.kind == ARCHIVE_LINK;
		rc = read_entry(archive, i, hash, err);
	}
	return rc;
}

/* ---- runs ---- */

static bool is_archive;
static unsigned wrong;

static void complain(const char *name, const char *fault, long n, const char *words, const struct result *result,
		     const struct err *err)
{
	if (wrong++ < 20)
		printf("FAIL %s: %s %ld: %s (%s: %s)\n", name, fault, n, words,
		       result->code ? strerrorname_np(-result->code) : "no error", err->text);
}

/* One run. With again, what failed in passing is tried once more on the same object, without faults: *ret_again. */
static struct result run(const char *name, struct faulty *faulty, bool again, struct result *ret_again, struct err *err)
{
	struct codec_image *image = NULL;
	struct archive *archive = NULL;
	struct result result = {.hash = 0xcbf29ce484222325u};
	*err = ERR_NONE;
	faulty->reads = 0;
	faulty->failed = false;
	if (is_archive)
		result.code = archive_open(&faulty->bytes, NULL, &archive, err);
	else
		result.code = codec_open(&faulty->bytes, name, &codec_default_limits, &image, err);
	bool opened = result.code == 0;
	for (int attempt = 0; opened && attempt < 2; attempt++) {
		struct result *r = attempt ? ret_again : &result;
		struct err second = ERR_NONE, *words = attempt ? &second : err;
		r->hash = 0xcbf29ce484222325u;
		r->code = is_archive ? read_archive(archive, &r->hash, words) : decode_image(image, &r->hash, words);
		if (r->code == 0 && !is_archive)
			r->code = read_views(image, &r->hash, words);
		if (!again || !result.code)
			break;
		faulty->fail_at = -1;
		allocations_left = -1;
	}
	result.is_source = err->is_source;
	if (again && !opened)
		*ret_again = (struct result){.code = INT32_MAX}; /* it will be opened anew */
	codec_close(image);
	archive_unref(archive);
	return result;
}

static bool same(const struct result *a, const struct result *b)
{
	return a->code == b->code && (a->code || a->hash == b->hash);
}

static long fail_reads(const char *name, struct faulty *faulty, const struct result *good, long nreads)
{
	static const int codes[] = {-EIO, -ESTALE, -ENOMEM, -EACCES, 0};
	long runs = 0, step = nreads / (max_runs / 5 + 1) + 1;
	bool links = has_links;
	for (size_t c = 0; c < sizeof codes / sizeof *codes; c++)
		for (long n = 0; n < nreads; n += step, runs++) {
			struct result again = {.code = INT32_MAX};
			struct err err;
			faulty->fail_at = n;
			faulty->code = codes[c];
			struct result result = run(name, faulty, true, &again, &err);
			const char *fault = codes[c] ? strerrorname_np(-codes[c]) : "short read";
			/* a link whose target is cut short is damage that is reported: it is shown as a file */
			bool told = result.code == -EIO || (links && result.code == 0);
			if (codes[c] == 0 && !same(&result, good) && !told)
				complain(name, fault, n, "neither EIO nor as without it", &result, &err);
			if (codes[c] && !same(&result, good) && (result.code != codes[c] || !result.is_source))
				complain(name, fault, n, "another error than that of the source", &result, &err);
			if (codes[c] && result.code && again.code != INT32_MAX && !same(&again, good))
				complain(name, fault, n, "tried again, it doesn't give what it should", &again, &err);
		}
	faulty->fail_at = -1;
	return runs;
}

/* OpenEXR 3.1's DWA says the same where zlib has no memory as where the data is damaged. */
static bool is_untold(const struct err *err)
{
	return all_libraries && err->code == -EIO && strstr(err->text, "(dwa") &&
	       (strstr(err->text, "(zlib) failed") || strstr(err->text, "uncompressing RLE"));
}

static long fail_allocations(const char *name, struct faulty *faulty, const struct result *good)
{
	long runs = 0;
	for (long n = 0; runs < max_runs * 4; n += n < max_runs ? 1 : n / 20 + 1, runs++) {
		struct result again = {.code = INT32_MAX};
		struct err err;
		refused = false;
		allocations_left = n;
		struct result result = run(name, faulty, true, &again, &err);
		allocations_left = -1;
		if (!same(&result, good) && result.code != -ENOMEM && !is_untold(&err))
			complain(name, "allocation", n, "neither ENOMEM nor as without it", &result, &err);
		if (result.code == -ENOMEM && again.code != INT32_MAX && !same(&again, good))
			complain(name, "allocation", n, "tried again, it doesn't give what it should", &again, &err);
		if (!refused)
			break;
	}
	return runs;
}

static void work_through(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(MAX_ENTRY);
	size_t len = file && data ? fread(data, 1, MAX_ENTRY, file) : 0;
	if (file)
		fclose(file);
	struct faulty faulty = {.data = data, .fail_at = -1};
	bytes_init(&faulty.bytes, &faulty_class, len);
	is_archive = len >= 4 && (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0);
	struct err err;
	struct result ignored, warm = run(name, &faulty, false, &ignored, &err); /* libraries make their tables */
	struct result good = run(name, &faulty, false, &ignored, &err);
	unsigned before = wrong;
	if (!same(&warm, &good))
		complain(name, "no fault", 0, "two runs differ", &good, &err);
	long nreads = faulty.reads, reads = fail_reads(name, &faulty, &good, nreads),
	     allocations = fail_allocations(name, &faulty, &good);
	if (wrong == before)
		printf("ok %s: %ld reads failed, %ld allocations%s\n", name, reads, allocations,
		       all_libraries ? ", those of the libraries too" : "");
	free(data);
}

int main(int argc, char **argv)
{
	if (getenv("FAULT_RUNS"))
		max_runs = atol(getenv("FAULT_RUNS"));
	for (int i = 1; i < argc; i++)
		work_through(argv[i]);
	printf("%u wrong\n", wrong);
	return wrong != 0;
}
