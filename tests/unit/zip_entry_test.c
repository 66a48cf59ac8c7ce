/* zip_entry_test.c - the bytes of a zip archive's entries: what opens, what doesn't and why, and what checking finds. */
#include <pthread.h>

#include "zip_case.h"

static struct maker m;

/* ten digits 3000 times, packed by Python's bz2 */
static const uint8_t bzip2_digits[] = {0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x68, 0x6b, 0x59, 0xd7,
				       0x00, 0x05, 0xdb, 0x88, 0x00, 0x7f, 0xe0, 0x20, 0x00, 0x70, 0x40, 0x0c, 0x04, 0xd5,
				       0x50, 0xc2, 0x67, 0x2a, 0x10, 0xbc, 0xa8, 0x42, 0xf6, 0xa1, 0x0b, 0xea, 0x84, 0x2c,
				       0x54, 0x21, 0x66, 0xa1, 0x0b, 0x55, 0x08, 0x5b, 0xa8, 0x42, 0xfe, 0xa1, 0x0b, 0x95,
				       0x08, 0x5d, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0x68, 0x6b, 0x59, 0xd7};
enum { DIGITS = 30000 };

static const char *digits(void)
{
	static char text[DIGITS + 1];
	for (int i = 0; !text[DIGITS - 1] && i < DIGITS; i++)
		text[i] = (char)('0' + i % 10);
	return text;
}

static int check(struct archive *a, const char *path)
{
	uint32_t entry = at_path(a, path);
	last_err = ERR_NONE;
	return entry == ARCHIVE_NONE ? -ENOENT : archive_entry_check(a, entry, &last_err);
}

static int open_code(struct archive *a, const char *path)
{
	struct bytes *bytes = NULL;
	uint32_t entry = at_path(a, path);
	last_err = ERR_NONE;
	int rc = entry == ARCHIVE_NONE ? -ENOENT : archive_entry_bytes(a, entry, &bytes, &last_err);
	bytes_unref(bytes);
	return rc;
}

/* ---- what opens ---- */

static void stored_deflated_bzip2(void)
{
	add(&m, (struct spec){.name = "s", .data = digits()});
	add(&m, (struct spec){.name = "d", .data = digits(), .method = 8});
	add(&m, (struct spec){
			.name = "b", .data = digits(), .method = 12, .packed = bzip2_digits, .packed_bytes = sizeof bzip2_digits});
	struct archive *a = finish_and_open(&m);
	static const char *const names[] = {"s", "d", "b"};
	for (int i = 0; i < 3; i++) {
		struct bytes *bytes = NULL;
		char got[1000] = "";
		CHECK(check(a, names[i]) == 0);
		CHECK(archive_entry_bytes(a, at_path(a, names[i]), &bytes, NULL) == 0 && bytes->size_bytes == DIGITS);
		for (uint64_t at = 29500; bytes && at > 1000; at -= 997) { /* backwards */
			ssize_t n = bytes_read(bytes, got, 1000, at, NULL);
			CHECK(n == (at == 29500 ? 500 : 1000) && !memcmp(got, digits() + at, (size_t)n));
		}
		CHECK(bytes && bytes_read(bytes, got, 1000, DIGITS, NULL) == 0);
		bytes_unref(bytes);
	}
	archive_unref(a);
}

static void empty_entries(void)
{
	add(&m, (struct spec){.name = "s"});
	add(&m, (struct spec){.name = "d", .data = "", .method = 8});
	struct archive *a = finish_and_open(&m);
	CHECK(check(a, "s") == 0 && check(a, "d") == 0 && is(content(a, "s"), "") && is(content(a, "d"), "") && last_code == 0);
	archive_unref(a);
}

static void large_deflated_entry(void)
{
	const size_t size = 6000000;
	char *data = malloc(size);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * i >> 7);
	add(&m, (struct spec){.name = "d", .data = data, .data_bytes = size, .method = 8});
	struct archive *a = finish_and_open(&m);
	struct bytes *bytes = NULL;
	char got[1000];
	CHECK(check(a, "d") == 0 && archive_entry_bytes(a, at_path(a, "d"), &bytes, NULL) == 0);
	archive_unref(a); /* the bytes hold it */
	CHECK(bytes && bytes_read(bytes, got, 1000, 5000000, NULL) == 1000 && !memcmp(got, data + 5000000, 1000));
	CHECK(bytes && bytes_read(bytes, got, 1000, 1000000, NULL) == 1000 && !memcmp(got, data + 1000000, 1000));
	bytes_unref(bytes);
	free(data);
}

static void archive_in_an_archive(void)
{
	struct maker inner = {0};
	add(&inner, (struct spec){.name = "x.png", .data = digits(), .method = 8});
	finish(&inner);
	add(&m, (struct spec){.name = "inner.zip", .data = (char *)inner.file.data, .data_bytes = inner.file.len, .method = 8});
	struct archive *outer = finish_and_open(&m), *nested = NULL;
	struct bytes *bytes = NULL;
	maker_free(&inner);
	CHECK(archive_entry_bytes(outer, at_path(outer, "inner.zip"), &bytes, NULL) == 0);
	archive_unref(outer);
	CHECK(bytes && archive_open(bytes, NULL, &nested, NULL) == 0);
	bytes_unref(bytes);
	CHECK(nested && check(nested, "x.png") == 0);
	archive_unref(nested);
}

/* Of the local header only its signature and its lengths count. */
static void central_directory_counts(void)
{
	add(&m, (struct spec){.name = "a", .data = "AAAA", .local_name = "other name", .local_extra_bytes = 17});
	put_bytes(&m.file, "junk between", 12);
	size_t second = m.file.len;
	add(&m, (struct spec){.name = "b", .data = "BBBB"});
	memset(m.file.data + second + 8, 0x5a, 18); /* method, time, CRC-32 and both sizes */
	struct archive *a = finish_and_open(&m);
	CHECK(check(a, "a") == 0 && check(a, "b") == 0 && is(content(a, "a"), "AAAA") && is(content(a, "b"), "BBBB"));
	archive_unref(a);
}

/* ---- what doesn't open ---- */

static void refusals(void)
{
	add(&m, (struct spec){.name = "dir/", .host = 3});
	add(&m, (struct spec){.name = "encrypted", .data = "E", .flags = 1});
	add(&m, (struct spec){.name = "aes", .data = "E", .method = 99, .packed = "E", .packed_bytes = 1});
	add(&m, (struct spec){.name = "imploded", .data = "I", .method = 6, .packed = "I", .packed_bytes = 1});
	add(&m, (struct spec){.name = "patched", .data = "P", .flags = 1 << 5});
	add(&m, (struct spec){.name = "mismatch", .data = "MM", .has_size = true, .size = 3});
	add(&m, (struct spec){.name = "too much", .data = "TT", .method = 8, .has_size = true, .size = 1 << 20});
	struct archive *a = finish_and_open(&m);
	CHECK(open_code(a, "dir") == -EISDIR);
	CHECK(open_code(a, "encrypted") == -EACCES && is(last_err.text, "encrypted: pixfs has no password"));
	CHECK(open_code(a, "aes") == -EACCES && check(a, "aes") == -EACCES);
	CHECK(open_code(a, "imploded") == -EOPNOTSUPP && strstr(last_err.text, "method 6 (imploded)"));
	CHECK(open_code(a, "patched") == -EOPNOTSUPP);
	CHECK(open_code(a, "mismatch") == -EIO && strstr(last_err.text, "declares 3"));
	CHECK(open_code(a, "too much") == -EIO && strstr(last_err.text, "can't hold the 1048576"));
	archive_unref(a);
}

static void bad_places(void)
{
	add(&m, (struct spec){.name = "outside", .data = "O", .has_offset = true, .offset = 0x7fffffff});
	add(&m, (struct spec){.name = "no header", .data = "N", .has_offset = true, .offset = 3});
	add(&m, (struct spec){.name = "far", .data = "F", .zip64 = true, .has_offset = true, .offset = UINT64_MAX - 20});
	add(&m, (struct spec){.name = "fine", .data = "fine"});
	struct archive *a = finish_and_open(&m);
	CHECK(open_code(a, "outside") == -EIO && strstr(last_err.text, "outside the archive"));
	CHECK(open_code(a, "no header") == -EIO && strstr(last_err.text, "no local header at byte 3"));
	CHECK(open_code(a, "far") == -EIO && is(content(a, "fine"), "fine"));
	archive_unref(a);
}

static void limits(void)
{
	add(&m, (struct spec){.name = "ten", .data = "0123456789"});
	add(&m, (struct spec){.name = "eleven", .data = "0123456789A", .method = 8});
	add(&m, (struct spec){.name = "liar", .data = "0123456789A", .method = 8, .has_size = true, .size = 10});
	finish(&m);
	struct archive *a = open_with(&m, NULL, 10);
	CHECK(open_code(a, "ten") == 0 && open_code(a, "eleven") == -EFBIG && strstr(last_err.text, "limit of 10"));
	CHECK(open_code(a, "liar") == 0 && is(content(a, "liar"), "<error>") && last_code == -EIO);
	archive_unref(a);
}

/* ---- overlaps ---- */

static void overlapping_entries_refuse(void)
{
	add(&m, (struct spec){.name = "apart", .data = "fine"});
	size_t kernel = m.file.len;
	add(&m, (struct spec){.name = "kernel", .data = digits(), .method = 8});
	add(&m, (struct spec){.name = "same", .data = digits(), .method = 8, .has_offset = true, .offset = kernel});
	add(&m, (struct spec){.name = "apart too", .data = "fine"});
	struct archive *a = finish_and_open(&m);
	CHECK(open_code(a, "kernel") == -EIO && strstr(last_err.text, "shares bytes") && open_code(a, "same") == -EIO);
	CHECK(open_code(a, "apart") == 0 && open_code(a, "apart too") == 0);
	CHECK(reports.count == 2 && reported("kernel", "shares bytes") && reported("same", "shares bytes"));
	CHECK(reports.last_code == -EIO);
	archive_unref(a);
}

/* A stored entry that holds the next one's header and data, in an archive that isn't in the order of its entries. */
static void quoted_entries_refuse(void)
{
	add(&m, (struct spec){.name = "last", .data = "fine"});
	struct text first = m.central;
	m.central = (struct text){0};
	m.count = 0;
	struct maker inner = {0};
	add(&inner, (struct spec){.name = "inner", .data = "I"});
	uint64_t offset = m.file.len + 30 + 5;
	add(&m, (struct spec){.name = "outer", .data = (char *)inner.file.data, .data_bytes = inner.file.len});
	struct spec inside = {.name = "inner", .data = "I"};
	put_central(&m, &inside, 5, 1, 1, (uint32_t)crc32(0, (const Bytef *)"I", 1), offset);
	put_bytes(&m.central, first.data, first.len);
	m.count++;
	free(first.data);
	maker_free(&inner);
	struct archive *a = finish_and_open(&m);
	CHECK(is(list(a, ""), "outer|inner|last"));
	CHECK(open_code(a, "outer") == -EIO && open_code(a, "inner") == -EIO && is(content(a, "last"), "fine"));
	archive_unref(a);
}

/* What the local header adds is only known at open: its extra field moves the data into the next entry. */
static void overlap_by_the_local_header(void)
{
	size_t at = m.file.len;
	add(&m, (struct spec){.name = "a", .data = "AAAA"});
	add(&m, (struct spec){.name = "b", .data = "BBBB"});
	m.file.data[at + 28] = 40; /* extra field length */
	struct archive *a = finish_and_open(&m);
	CHECK(reports.count == 0 && open_code(a, "a") == -EIO && strstr(last_err.text, "reaches into"));
	CHECK(is(content(a, "b"), "BBBB"));
	archive_unref(a);
}

/* The same in an archive whose entries stand in the directory backwards: each must find the one that follows it in the file. */
static void overlap_by_the_local_header_unsorted(void)
{
	enum { COUNT = 9 };
	char name[2] = "a";
	for (int culprit = 0; culprit < COUNT; culprit++) {
		struct text records = {0};
		for (int i = 0; i < COUNT; i++) {
			size_t at = m.file.len;
			name[0] = (char)('a' + i);
			add(&m, (struct spec){.name = name, .data = "DDDD"});
			if (i == culprit)
				m.file.data[at + 28] = 2; /* extra field length */
			put_bytes(&m.central, records.data, records.len);
			free(records.data);
			records = m.central;
			m.central = (struct text){0};
		}
		m.central = records;
		struct archive *a = finish_and_open(&m);
		for (int i = 0; i < COUNT; i++) {
			name[0] = (char)('a' + i);
			CHECK(open_code(a, name) == (i == culprit ? -EIO : 0));
		}
		archive_unref(a);
	}
}

static void data_in_the_directory_refuses(void)
{
	add(&m, (struct spec){.name = "a",
			      .data = "AAAA",
			      .has_size = true,
			      .size = 40,
			      .has_packed_bytes = true,
			      .declared_packed_bytes = 40});
	struct archive *a = finish_and_open(&m);
	CHECK(open_code(a, "a") == -EIO);
	archive_unref(a);
}

/* ---- damage ---- */

static void checks_find_damage(void)
{
	size_t at = m.file.len;
	add(&m, (struct spec){.name = "stored", .data = "0123456789"});
	m.file.data[at + 30 + 6] ^= 1;
	at = m.file.len;
	add(&m, (struct spec){.name = "deflated", .data = digits(), .method = 8});
	m.file.data[at + 30 + 8] |= 6; /* block type 3 is reserved, RFC 1951 3.2.3 */
	add(&m, (struct spec){.name = "crc", .data = digits(), .method = 8, .has_crc = true, .crc = 0x12345678});
	uint8_t broken[sizeof bzip2_digits];
	memcpy(broken, bzip2_digits, sizeof broken);
	broken[40] ^= 1;
	add(&m, (struct spec){.name = "bzip2", .data = digits(), .method = 12, .packed = broken, .packed_bytes = sizeof broken});
	add(&m, (struct spec){.name = "bzip2 short",
			      .data = digits(),
			      .method = 12,
			      .packed = bzip2_digits,
			      .packed_bytes = sizeof bzip2_digits,
			      .has_size = true,
			      .size = DIGITS + 1});
	add(&m, (struct spec){.name = "bzip2 long",
			      .data = digits(),
			      .method = 12,
			      .packed = bzip2_digits,
			      .packed_bytes = sizeof bzip2_digits,
			      .has_size = true,
			      .size = DIGITS - 1,
			      .has_crc = true,
			      .crc = (uint32_t)crc32(0, (const Bytef *)digits(), DIGITS - 1)});
	struct archive *a = finish_and_open(&m);
	CHECK(open_code(a, "stored") == 0 && check(a, "stored") == -EIO && strstr(last_err.text, "CRC-32"));
	CHECK(open_code(a, "deflated") == 0 && is(content(a, "deflated"), "<error>") && last_code == -EIO);
	CHECK(check(a, "deflated") == -EIO && strstr(last_err.text, "damaged"));
	CHECK(check(a, "crc") == -EIO && strstr(last_err.text, "the archive says 12345678"));
	CHECK(check(a, "bzip2") == -EIO && check(a, "bzip2 short") == -EIO && check(a, "bzip2 long") == -EIO);
	archive_unref(a);
}

/* A source that ends before the archive does, as when a file is cut while it is open. */
struct cut_source {
	struct bytes bytes;
	struct bytes *whole;
	atomic_ullong end;
};

static ssize_t cut_read(struct bytes *bytes, void *dst, size_t len, uint64_t offset, struct err *err)
{
	struct cut_source *cut = (struct cut_source *)bytes;
	uint64_t end = atomic_load(&cut->end);
	if (offset >= end)
		return 0;
	return bytes_read(cut->whole, dst, len < end - offset ? len : (size_t)(end - offset), offset, err);
}

static void cut_free(struct bytes *bytes)
{
	bytes_unref(((struct cut_source *)bytes)->whole);
	free(bytes);
}

static void source_cut_while_open(void)
{
	static const struct bytes_class class = {.read = cut_read, .free = cut_free};
	add(&m, (struct spec){.name = "s", .data = digits()});
	add(&m, (struct spec){.name = "d", .data = digits(), .method = 8});
	finish(&m);
	struct cut_source *cut = calloc(1, sizeof *cut);
	bytes_init(&cut->bytes, &class, m.file.len);
	cut->whole = bytes_from_memory(m.file.data, m.file.len, 1);
	atomic_init(&cut->end, m.file.len);
	m.file = (struct text){0};
	struct archive *a = NULL;
	struct bytes *s = NULL, *d = NULL;
	char got[1000];
	CHECK(archive_open(&cut->bytes, NULL, &a, NULL) == 0);
	CHECK(archive_entry_bytes(a, at_path(a, "s"), &s, NULL) == 0 && archive_entry_bytes(a, at_path(a, "d"), &d, NULL) == 0);
	atomic_store(&cut->end, 20000);
	struct err err = ERR_NONE;
	CHECK(s && bytes_read(s, got, 1000, 0, NULL) == 1000 && bytes_read(s, got, 1000, 25000, NULL) == -EIO);
	CHECK(s && bytes_read(s, got, 1000, 19500, &err) == -EIO && err.code == -EIO); /* never a short read */
	CHECK(d && bytes_read(d, got, 1000, 0, NULL) == -EIO);
	bytes_unref(s);
	bytes_unref(d);
	archive_unref(a);
	bytes_unref(&cut->bytes);
	maker_free(&m);
}

/* ---- threads ---- */

struct reader {
	struct archive *archive;
	unsigned number;
	bool fine;
};

/* Each thread goes through all entries, with objects of its own and with one that all share. */
static void *read_all(void *context)
{
	static const char *const names[] = {"s", "d", "b", "big"};
	struct reader *r = context;
	r->fine = true;
	for (unsigned i = 0; i < 8; i++) {
		uint32_t entry = at_path(r->archive, names[(i + r->number) % 4]);
		r->fine = r->fine && archive_entry_check(r->archive, entry, NULL) == 0;
	}
	return NULL;
}

static void many_readers_at_once(void)
{
	char *big = malloc(5000000);
	memset(big, 'b', 5000000);
	add(&m, (struct spec){.name = "s", .data = digits()});
	add(&m, (struct spec){.name = "d", .data = digits(), .method = 8});
	add(&m, (struct spec){
			.name = "b", .data = digits(), .method = 12, .packed = bzip2_digits, .packed_bytes = sizeof bzip2_digits});
	add(&m, (struct spec){.name = "big", .data = big, .data_bytes = 5000000, .method = 8});
	struct archive *a = finish_and_open(&m);
	struct reader readers[8];
	pthread_t threads[8];
	for (unsigned i = 0; i < 8; i++) {
		readers[i] = (struct reader){archive_ref(a), i, false};
		pthread_create(&threads[i], NULL, read_all, &readers[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		CHECK(readers[i].fine);
		archive_unref(readers[i].archive);
	}
	archive_unref(a);
	free(big);
}

struct shared_reader {
	struct bytes *bytes;
	unsigned number;
	bool fine;
};

static void *read_shared(void *context)
{
	struct shared_reader *r = context;
	char got[500];
	r->fine = true;
	for (unsigned i = 0; i < 50; i++) {
		uint64_t at = (i * 7919 + r->number * 1000) % (DIGITS - 500);
		r->fine = r->fine && bytes_read(r->bytes, got, 500, at, NULL) == 500 && !memcmp(got, digits() + at % 10, 500);
	}
	return NULL;
}

static void one_object_for_many_readers(void)
{
	add(&m, (struct spec){
			.name = "b", .data = digits(), .method = 12, .packed = bzip2_digits, .packed_bytes = sizeof bzip2_digits});
	struct archive *a = finish_and_open(&m);
	struct bytes *bytes = NULL;
	CHECK(archive_entry_bytes(a, at_path(a, "b"), &bytes, NULL) == 0);
	struct shared_reader readers[4];
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct shared_reader){bytes, i, false};
		pthread_create(&threads[i], NULL, read_shared, &readers[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		CHECK(readers[i].fine);
	}
	bytes_unref(bytes);
	archive_unref(a);
}

static const struct test_case cases[] = {
	CASE(stored_deflated_bzip2),
	CASE(empty_entries),
	CASE(large_deflated_entry),
	CASE(archive_in_an_archive),
	CASE(central_directory_counts),
	CASE(refusals),
	CASE(bad_places),
	CASE(limits),
	CASE(overlapping_entries_refuse),
	CASE(quoted_entries_refuse),
	CASE(overlap_by_the_local_header),
	CASE(overlap_by_the_local_header_unsorted),
	CASE(data_in_the_directory_refuses),
	CASE(checks_find_damage),
	CASE(source_cut_while_open),
	CASE(many_readers_at_once),
	CASE(one_object_for_many_readers),
};

int main(void)
{
	digits();
	return run_cases(cases, sizeof cases / sizeof *cases);
}
