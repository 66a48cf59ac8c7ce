/* libzip_test.c - archives that libzip writes, read by fs/source/zip: names, sizes and bytes are those that libzip was given, and
 * those that it reads itself. A peer that shares no code with ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>

#include "fs/source/zip/zip.h"
#include "case.h"

enum { NMETHODS = 6, SIZE_BYTES = 300000, ZSTD = 93 }; /* ZIP_CM_ZSTD of libzip 1.8 */

static const int methods[NMETHODS] = {ZIP_CM_STORE, ZIP_CM_DEFLATE, ZIP_CM_BZIP2, ZIP_CM_LZMA, ZIP_CM_XZ, ZSTD};
static const char *const names[NMETHODS] = {"stored", "a/deflate", "a/b/bzip2", "lzma", "xz", "z\xc3\xbcrich/zstd"};

static uint8_t data[SIZE_BYTES];

static void make_data(void)
{
	uint32_t state = 7;
	for (size_t i = 0; i < SIZE_BYTES; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(i % 5 ? state >> 29 : i >> 10);
	}
}

/* Adds an entry for each method that this libzip can write; how many. */
static int write_archive(const char *path)
{
	int n = 0, why = 0;
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &why);
	CHECK(zip);
	for (int i = 0; zip && i < NMETHODS; i++) {
		if (!zip_compression_method_supported(methods[i], 1))
			continue;
		zip_source_t *source = zip_source_buffer(zip, data, SIZE_BYTES - (zip_uint64_t)i, 0);
		zip_int64_t index = zip_file_add(zip, names[i], source, ZIP_FL_ENC_UTF_8);
		CHECK(index >= 0 && !zip_set_file_compression(zip, (zip_uint64_t)index, methods[i], 0));
		n++;
	}
	CHECK(zip && !zip_close(zip));
	return n;
}

static uint32_t find_path(const struct archive *archive, const char *path)
{
	char copy[64], *rest = copy;
	snprintf(copy, sizeof(copy), "%s", path);
	uint32_t entry = 0;
	for (char *name; entry != ARCHIVE_NONE && (name = strsep(&rest, "/"));)
		entry = archive_find(archive, entry, name);
	return entry;
}

static void compare(struct archive *archive, zip_t *zip, zip_uint64_t index)
{
	static uint8_t ours[SIZE_BYTES], theirs[SIZE_BYTES];
	zip_stat_t stat;
	struct archive_entry entry;
	struct bytes *bytes = NULL;
	struct err err = {0};
	CHECK(!zip_stat_index(zip, index, 0, &stat));
	uint32_t number = find_path(archive, stat.name);
	CHECK(number != ARCHIVE_NONE);
	if (number == ARCHIVE_NONE)
		return;
	archive_get(archive, number, &entry);
	CHECK(entry.size_bytes == stat.size && entry.crc32 == stat.crc);
	CHECK(!archive_entry_check(archive, number, &err));
	CHECK(!archive_entry_bytes(archive, number, &bytes, &err));
	CHECK(!bytes_read_exact(bytes, ours, stat.size, 0, &err));
	zip_file_t *file = zip_fopen_index(zip, index, 0);
	CHECK(file && zip_fread(file, theirs, stat.size) == (zip_int64_t)stat.size);
	CHECK(!memcmp(ours, theirs, stat.size) && !memcmp(ours, data, stat.size));
	zip_fclose(file);
	bytes_unref(bytes);
}

static struct bytes *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t all[NMETHODS * SIZE_BYTES + 65536];
	size_t len = fread(all, 1, sizeof(all), file);
	fclose(file);
	return bytes_from_memory(all, len, 0);
}

static void what_libzip_writes(void)
{
	char path[] = "/tmp/libzip-test.XXXXXX";
	int why = 0;
	struct archive *archive = NULL;
	struct err err = {0};
	close(mkstemp(path));
	make_data();
	int n = write_archive(path);
	CHECK(n >= 3); /* stored, deflate and bzip2 are there in each of Debian's */
	struct bytes *bytes = read_file(path);
	CHECK(!archive_open(bytes, NULL, &archive, &err));
	zip_t *zip = zip_open(path, ZIP_RDONLY, &why);
	CHECK(zip && zip_get_num_entries(zip, 0) == n);
	for (int i = 0; archive && zip && i < n; i++)
		compare(archive, zip, (zip_uint64_t)i);
	zip_discard(zip);
	archive_unref(archive);
	bytes_unref(bytes);
	unlink(path);
}

static const struct test_case cases[] = {CASE(what_libzip_writes)};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
