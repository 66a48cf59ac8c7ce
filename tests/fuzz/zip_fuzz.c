/* zip_fuzz.c - any bytes as a zip archive: the index, what its header promises of it, and the bytes of all entries. By the first
 * byte also as the last of two volumes, or with 4 GiB of zeros in the middle. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/source/zip/zip.h"

enum { ENTRY_BYTES = 16 << 20, BUDGET_BYTES = 32 << 20, PIECE_BYTES = 64 << 10, MAX_REPORTS = 101, MAX_NESTING = 2 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct run {
	uint64_t budget_bytes;
	unsigned nreports, depth;
};

static void count_report(void *context, int code, const char *name, const char *words)
{
	struct run *run = context;
	require(++run->nreports <= MAX_REPORTS && code <= 0 && strlen(name) < 1024 && strlen(words) < 1024);
}

static bool is_valid_name(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > 255 || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

/* The input in two parts with zeros between, or its front as a volume of its own. */
struct parts {
	struct bytes bytes;
	const uint8_t *data;
	size_t front_bytes, len_bytes;
	uint64_t zeros;
};

static ssize_t parts_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	const struct parts *parts = (const struct parts *)bytes;
	(void)err;
	if (offset >= bytes->size_bytes)
		return 0;
	if (len_bytes > bytes->size_bytes - offset)
		len_bytes = (size_t)(bytes->size_bytes - offset);
	memset(dst, 0, len_bytes);
	uint64_t starts[] = {0, parts->front_bytes + parts->zeros};
	for (size_t i = 0; i < 2; i++) {
		size_t at = i ? parts->front_bytes : 0, n = i ? parts->len_bytes - at : parts->front_bytes;
		uint64_t from = starts[i] > offset ? starts[i] : offset;
		uint64_t end = starts[i] + n < offset + len_bytes ? starts[i] + n : offset + len_bytes;
		if (from < end)
			memcpy((uint8_t *)dst + (from - offset), parts->data + at + (from - starts[i]), (size_t)(end - from));
	}
	return (ssize_t)len_bytes;
}

static void parts_free(struct bytes *bytes)
{
	free(bytes);
}

static struct bytes *parts_new(const uint8_t *data, size_t front_bytes, size_t len_bytes, uint64_t zeros)
{
	static const struct bytes_class parts_class = {.read = parts_read, .free = parts_free};
	struct parts *parts = calloc(1, sizeof *parts);
	require(parts != NULL);
	bytes_init(&parts->bytes, &parts_class, len_bytes + zeros);
	parts->data = data;
	parts->front_bytes = front_bytes;
	parts->len_bytes = len_bytes;
	parts->zeros = zeros;
	return &parts->bytes;
}

/* The input; how much of it is the first volume. */
static const uint8_t *whole;
static size_t whole_bytes, first_bytes;

static int open_volumes(void *context, uint32_t count, struct archive_volumes *ret_volumes, struct err *err)
{
	(void)context;
	require(count > 1);
	if (first_bytes == 0)
		return err_set(err, -EIO, "a volume is missing");
	uint64_t *starts = calloc(2, sizeof *starts);
	require(starts != NULL);
	starts[1] = first_bytes;
	*ret_volumes = (struct archive_volumes){parts_new(whole, whole_bytes, whole_bytes, 0), starts, 2};
	return 0;
}

static void run_archive(struct bytes *bytes, struct run *run);

/* Reads forwards, then a piece in front, and what it holds as an archive again. */
static void read_entry(struct archive *archive, uint32_t entry, struct run *run)
{
	static uint8_t piece[PIECE_BYTES];
	struct err err = ERR_NONE;
	struct bytes *bytes;
	int rc = archive_entry_bytes(archive, entry, &bytes, &err);
	require(rc == err.code && rc <= 0);
	if (rc < 0)
		return;
	uint64_t at = 0;
	ssize_t n = 1;
	while (n > 0 && run->budget_bytes) {
		n = bytes_read(bytes, piece, sizeof piece, at, &err);
		require(n >= 0 || n == err.code);
		require(n < 0 || (uint64_t)n == (bytes->size_bytes - at < sizeof piece ? bytes->size_bytes - at : sizeof piece));
		at += n > 0 ? (uint64_t)n : 0;
		run->budget_bytes -= run->budget_bytes < PIECE_BYTES ? run->budget_bytes : PIECE_BYTES;
	}
	bytes_read(bytes, piece, 100, at / 2, NULL);
	if (n == 0 && run->depth < MAX_NESTING)
		run_archive(bytes, run);
	bytes_unref(bytes);
}

static void check_entry(struct archive *archive, uint32_t i, struct run *run)
{
	struct archive_entry entry, parent;
	archive_get(archive, i, &entry);
	require(i == 0 ? entry.parent == 0 && entry.kind == ARCHIVE_DIR : is_valid_name(entry.name));
	require(entry.parent < archive_count(archive) && entry.kind <= ARCHIVE_LINK && entry.mode <= 0777);
	archive_get(archive, entry.parent, &parent);
	require(parent.kind == ARCHIVE_DIR && (i == 0 || archive_find(archive, entry.parent, entry.name) == i));
	if (entry.kind == ARCHIVE_DIR)
		require(archive_entry_bytes(archive, i, NULL, NULL) < 0);
	else if (run->budget_bytes)
		read_entry(archive, i, run);
	if (entry.kind == ARCHIVE_LINK)
		require(entry.size_bytes > 0 && entry.size_bytes < 4096);
}

/* How many entries the tree has below a directory; no recursion, as a name may be deep. */
static uint32_t count_tree(const struct archive *archive)
{
	uint32_t count = 1, at = 0;
	for (;;) {
		struct archive_entry entry;
		uint32_t next = archive_first(archive, at);
		while (next == ARCHIVE_NONE && at != 0) {
			next = archive_next(archive, at);
			archive_get(archive, at, &entry);
			at = next == ARCHIVE_NONE ? entry.parent : at;
		}
		if (next == ARCHIVE_NONE)
			return count;
		require(++count <= archive_count(archive));
		at = next;
	}
}

static void run_archive(struct bytes *bytes, struct run *run)
{
	struct run nested = {run->budget_bytes, 0, run->depth + 1};
	struct archive_options options = {.max_entry_bytes = ENTRY_BYTES,
					  .encoding = bytes->size_bytes & 1 ? "SHIFT_JIS" : NULL,
					  .report = count_report,
					  .context = &nested,
					  .volumes = run->depth ? NULL : open_volumes};
	struct archive *archive = NULL;
	struct err err = ERR_NONE;
	int rc = archive_open(bytes, &options, &archive, &err);
	require(rc == err.code && rc <= 0 && (rc == 0) == (archive != NULL));
	if (rc < 0)
		return;
	require(count_tree(archive) == archive_count(archive));
	for (uint32_t i = 0; i < archive_count(archive); i++)
		check_entry(archive, i, &nested);
	run->budget_bytes = nested.budget_bytes;
	archive_unref(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	/* archives begin with 'P', so seeds are read as they are; half of what isn't is a volume, the other half has a hole */
	size_t half = len_bytes / 2;
	bool odd = len_bytes > 2 && data[0] != 'P', hole = odd && data[0] & 1;
	struct bytes *bytes = hole  ? parts_new(data, half, len_bytes, UINT64_C(1) << 32)
			      : odd ? bytes_from_memory(data + half, len_bytes - half, 0)
				    : bytes_from_memory(data, len_bytes, 0);
	struct run run = {BUDGET_BYTES, 0, 0};
	require(bytes != NULL);
	whole = data;
	whole_bytes = len_bytes;
	first_bytes = odd && !hole ? half : 0;
	run_archive(bytes, &run);
	bytes_unref(bytes);
	return 0;
}
