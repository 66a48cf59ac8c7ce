/* zip_case.h - for the zip tests: archives built field by field after PKWARE's APPNOTE, and the checks. */
#ifndef PIXFS_ZIP_CASE_H
#define PIXFS_ZIP_CASE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zlib.h> /* crc32 and deflate: not what the code under test uses for it */

#include "fs/source/zip/zip.h"
#include "case.h"

/* ---- building ---- */

struct text {
	uint8_t *data;
	size_t len, room;
};

static inline void put_bytes(struct text *text, const void *data, size_t len)
{
	if (text->len + len > text->room) {
		text->room = (text->len + len) * 2;
		text->data = realloc(text->data, text->room);
	}
	if (len)
		memcpy(text->data + text->len, data, len);
	text->len += len;
}

static inline void put(struct text *text, unsigned nbytes, uint64_t value)
{
	uint8_t field[8];
	for (unsigned i = 0; i < nbytes; i++)
		field[i] = (uint8_t)(value >> 8 * i);
	put_bytes(text, field, nbytes);
}

/* An entry to be added. Fields that are 0 follow from the data; what a test wants wrong it sets. */
struct spec {
	const char *name;
	size_t name_bytes;            /* 0: strlen(name) */
	const char *data;             /* NULL: empty */
	size_t data_bytes;            /* 0: strlen(data) */
	unsigned method, flags, host; /* host: 3 is Unix, 0 FAT */
	uint32_t external, dos;       /* dos: date << 16 | time */
	const void *extra, *packed;   /* packed: data as packed by method, where it isn't 0 or 8 */
	size_t extra_bytes, packed_bytes;
	bool has_size, has_packed_bytes, has_offset, has_crc; /* the following are declared instead of the true ones */
	uint64_t size, declared_packed_bytes, offset;
	uint32_t crc;
	bool zip64;               /* sizes and offset in the central zip64 field */
	const char *local_name;   /* instead of name */
	size_t local_extra_bytes; /* zeros behind the local name */
};

struct maker {
	struct text file, central;
	uint64_t count;
};

/* Raw deflate, RFC 1951. The result is static. */
static inline const uint8_t *deflate_data(const void *data, size_t len, size_t *ret_len)
{
	static uint8_t *packed;
	size_t room = len + len / 100 + 1000;
	free(packed);
	packed = malloc(room);
	z_stream z = {0};
	deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = packed;
	z.avail_out = (uInt)room;
	deflate(&z, Z_FINISH);
	*ret_len = room - z.avail_out;
	deflateEnd(&z);
	return packed;
}

/* APPNOTE 4.3.12, a central record. */
static inline void put_central(struct maker *m, const struct spec *s, size_t name_len, uint64_t size, uint64_t packed, uint32_t crc,
			       uint64_t offset)
{
	struct text *c = &m->central;
	put(c, 4, 0x02014b50);
	put(c, 1, 20); /* made by version */
	put(c, 1, s->host);
	put(c, 2, 20); /* needed version */
	put(c, 2, s->flags);
	put(c, 2, s->method);
	put(c, 4, s->dos);
	put(c, 4, crc);
	put(c, 4, s->zip64 ? UINT32_MAX : packed);
	put(c, 4, s->zip64 ? UINT32_MAX : size);
	put(c, 2, name_len);
	put(c, 2, s->extra_bytes + (s->zip64 ? 28 : 0));
	put(c, 2, 0); /* comment length */
	put(c, 2, 0); /* disk */
	put(c, 2, 0); /* internal attributes */
	put(c, 4, s->external);
	put(c, 4, s->zip64 ? UINT32_MAX : offset);
	put_bytes(c, s->name, name_len);
	put_bytes(c, s->extra, s->extra_bytes);
	if (s->zip64) { /* 4.5.3 */
		put(c, 2, 1);
		put(c, 2, 24);
		put(c, 8, size);
		put(c, 8, packed);
		put(c, 8, offset);
	}
	m->count++;
}

/* APPNOTE 4.3.7, a local header, and the data. */
static inline void add(struct maker *m, struct spec s)
{
	struct text *f = &m->file;
	size_t name_len = s.name_bytes ? s.name_bytes : strlen(s.name);
	size_t data_len = s.data_bytes ? s.data_bytes : s.data ? strlen(s.data) : 0, packed_len = data_len;
	const void *packed = s.data;
	uint64_t offset = f->len;
	if (s.method == 8)
		packed = deflate_data(s.data, data_len, &packed_len);
	if (s.packed) {
		packed = s.packed;
		packed_len = s.packed_bytes;
	}
	uint32_t crc = s.has_crc ? s.crc : (uint32_t)crc32(0, (const Bytef *)(s.data ? s.data : ""), (uInt)data_len);
	uint64_t size = s.has_size ? s.size : data_len, declared = s.has_packed_bytes ? s.declared_packed_bytes : packed_len;
	const char *local_name = s.local_name ? s.local_name : s.name;
	size_t local_len = s.local_name ? strlen(s.local_name) : name_len;
	put(f, 4, 0x04034b50);
	put(f, 2, 20);
	put(f, 2, s.flags);
	put(f, 2, s.method);
	put(f, 4, s.dos);
	put(f, 4, crc);
	put(f, 4, packed_len);
	put(f, 4, data_len);
	put(f, 2, local_len);
	put(f, 2, s.local_extra_bytes);
	put_bytes(f, local_name, local_len);
	for (size_t i = 0; i < s.local_extra_bytes; i++)
		put(f, 1, 0);
	put_bytes(f, packed, packed_len);
	put_central(m, &s, name_len, size, declared, crc, s.has_offset ? s.offset : offset);
}

/* APPNOTE 4.3.16, an end record. */
static inline void put_end(struct text *f, uint64_t count, uint64_t directory_bytes, uint64_t directory, const char *comment)
{
	put(f, 4, 0x06054b50);
	put(f, 2 + 2, 0); /* disks */
	put(f, 2, count);
	put(f, 2, count);
	put(f, 4, directory_bytes);
	put(f, 4, directory);
	put(f, 2, strlen(comment));
	put_bytes(f, comment, strlen(comment));
}

/* APPNOTE 4.3.14 and 4.3.15, a zip64 end record and its locator. */
static inline void put_end64(struct text *f, uint64_t count, uint64_t directory_bytes, uint64_t directory)
{
	uint64_t position = f->len;
	put(f, 4, 0x06064b50);
	put(f, 8, 44);
	put(f, 2, 45);
	put(f, 2, 45);
	put(f, 4, 0);
	put(f, 4, 0);
	put(f, 8, count);
	put(f, 8, count);
	put(f, 8, directory_bytes);
	put(f, 8, directory);
	put(f, 4, 0x07064b50);
	put(f, 4, 0);
	put(f, 8, position);
	put(f, 4, 1);
}

/* Appends the central directory; gives its position. */
static inline uint64_t put_directory(struct maker *m)
{
	uint64_t directory = m->file.len;
	put_bytes(&m->file, m->central.data, m->central.len);
	return directory;
}

static inline void finish(struct maker *m)
{
	uint64_t directory = put_directory(m);
	put_end(&m->file, m->count, m->central.len, directory, "");
}

static inline void maker_free(struct maker *m)
{
	free(m->file.data);
	free(m->central.data);
	*m = (struct maker){0};
}

/* ---- opening ---- */

static struct reports {
	int count, last_code;
	char names[16][256], words[16][256];
} reports;

static inline void collect(void *context, int code, const char *name, const char *words)
{
	struct reports *r = context;
	if (r->count < 16) {
		snprintf(r->names[r->count], sizeof r->names[0], "%s", name);
		snprintf(r->words[r->count], sizeof r->words[0], "%s", words);
	}
	r->last_code = code;
	r->count++;
}

static inline bool reported(const char *name, const char *words)
{
	for (int i = 0; i < reports.count && i < 16; i++)
		if (!strcmp(reports.names[i], name) && strstr(reports.words[i], words))
			return true;
	return false;
}

static struct err last_err;
static int last_code;

/* Opens the file so far; frees the maker. NULL, last_code and last_err where it fails. */
static inline struct archive *open_with(struct maker *m, const char *encoding, uint64_t max_entry_bytes)
{
	struct archive_options options = {
		.max_entry_bytes = max_entry_bytes, .encoding = encoding, .report = collect, .context = &reports};
	struct archive *archive = NULL;
	uint8_t *copy = malloc(m->file.len ? m->file.len : 1); /* exactly as long, so that a sanitizer sees a read behind it */
	if (m->file.len)
		memcpy(copy, m->file.data, m->file.len);
	struct bytes *bytes = bytes_from_memory(copy, m->file.len, 1);
	reports = (struct reports){0};
	last_err = ERR_NONE;
	last_code = archive_open(bytes, &options, &archive, &last_err);
	bytes_unref(bytes);
	maker_free(m);
	return archive;
}

static inline struct archive *open_made(struct maker *m)
{
	return open_with(m, NULL, 0);
}

static inline struct archive *finish_and_open(struct maker *m)
{
	finish(m);
	return open_made(m);
}

/* ---- asking ---- */

/* The entry at a path, ARCHIVE_NONE where there is none. */
static inline uint32_t at_path(const struct archive *archive, const char *path)
{
	char name[600];
	uint32_t entry = 0;
	while (archive && *path && entry != ARCHIVE_NONE) {
		size_t n = strcspn(path, "/");
		snprintf(name, sizeof name, "%.*s", (int)n, path);
		entry = archive_find(archive, entry, name);
		path += n + (path[n] == '/');
	}
	return archive ? entry : ARCHIVE_NONE;
}

static inline struct archive_entry entry_at(const struct archive *archive, const char *path)
{
	struct archive_entry entry = {.name = "", .kind = 99};
	uint32_t i = at_path(archive, path);
	if (i != ARCHIVE_NONE)
		archive_get(archive, i, &entry);
	return entry;
}

/* The content of a small entry as a static string; "<none>" or "<error>" where there is none; last_code and last_err. */
static inline const char *content(struct archive *archive, const char *path)
{
	static char text[4096];
	struct bytes *bytes;
	uint32_t entry = at_path(archive, path);
	if (entry == ARCHIVE_NONE)
		return "<none>";
	last_err = ERR_NONE;
	last_code = archive_entry_bytes(archive, entry, &bytes, &last_err);
	if (last_code < 0)
		return "<error>";
	ssize_t n = bytes_read(bytes, text, sizeof text - 1, 0, &last_err);
	bytes_unref(bytes);
	last_code = n < 0 ? (int)n : 0;
	text[n < 0 ? 0 : n] = 0;
	return n < 0 ? "<error>" : text;
}

/* The names of a directory in the order of the archive, separated by '|'. Static. */
static inline const char *list(const struct archive *archive, const char *path)
{
	static char text[4096];
	size_t n = 0;
	struct archive_entry entry;
	text[0] = 0;
	uint32_t dir = at_path(archive, path);
	for (uint32_t i = dir == ARCHIVE_NONE ? ARCHIVE_NONE : archive_first(archive, dir); i != ARCHIVE_NONE;
	     i = archive_next(archive, i)) {
		archive_get(archive, i, &entry);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "|" : "", entry.name);
	}
	return text;
}

static inline bool is(const char *a, const char *b)
{
	return !strcmp(a, b);
}

#endif
