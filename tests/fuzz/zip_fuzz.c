/* zip_fuzz.c - any bytes as a zip archive: the index, what its header promises of it, and the bytes of all entries. */
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
	struct archive_options options = {ENTRY_BYTES, bytes->size_bytes & 1 ? "SHIFT_JIS" : NULL, count_report, &nested};
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
	struct run run = {BUDGET_BYTES, 0, 0};
	struct bytes *bytes = bytes_from_memory(data, len_bytes, 0);
	require(bytes != NULL);
	run_archive(bytes, &run);
	bytes_unref(bytes);
	return 0;
}
