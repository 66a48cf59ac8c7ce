/* zip_offset_test.c - entries that aren't where the directory says: behind a prefix that some offsets count, in joined volumes, in
 * archives of more than 4 GiB whose numbers are modulo 2^32. What is right follows from where the test put the local headers. */
#include "zip_case.h"

static struct maker m;

/* An entry whose offset in the directory is less by so much than its place. */
static void add_short(const char *name, const char *data, uint64_t less, unsigned method)
{
	add(&m, (struct spec){
			.name = name, .data = data, .host = 3, .method = method, .has_offset = true, .offset = m.file.len - less});
}

static struct archive *end_and_open(uint64_t less)
{
	uint64_t directory = put_directory(&m);
	put_end(&m.file, m.count, m.central.len, directory - less, "");
	return open_made(&m);
}

static bool has_four(struct archive *a)
{
	return is(list(a, ""), "a|b|c|d") && is(content(a, "a"), "AAAA") && is(content(a, "b"), "BBBBBBBBBBBBBBBBBBBBBBBB") &&
	       is(content(a, "c"), "CC") && is(content(a, "d"), "D");
}

enum { PREFIX_BYTES = 200 };

/* Bit i: the offset of entry i counts the prefix; bit 4: that of the directory does. */
static void each_entry_for_itself(void)
{
	static const char prefix[PREFIX_BYTES] = "#!/bin/sh and a program";
	for (unsigned counts = 0; counts < 32; counts++) {
		uint64_t less[5];
		for (unsigned i = 0; i < 5; i++)
			less[i] = counts >> i & 1 ? 0 : PREFIX_BYTES;
		put_bytes(&m.file, prefix, sizeof prefix);
		add_short("a", "AAAA", less[0], 0);
		add_short("b", "BBBBBBBBBBBBBBBBBBBBBBBB", less[1], 8);
		add_short("c", "CC", less[2], 0);
		add_short("d", "D", less[3], 0);
		struct archive *a = end_and_open(less[4]);
		CHECK(has_four(a));
		archive_unref(a);
	}
}

/* What lies in front has a header where the first offset leads if it isn't shifted. */
static void an_archive_behind_another(void)
{
	add_short("other", "OTHER", 0, 0);
	uint64_t prefix = m.file.len;
	m.central.len = 0;
	m.count = 0;
	add_short("a", "AAAA", prefix, 0);
	add_short("b", "BBBBBBBBBBBBBBBBBBBBBBBB", prefix, 8);
	add_short("c", "CC", prefix, 0);
	add_short("d", "D", prefix, 0);
	struct archive *a = end_and_open(prefix);
	CHECK(has_four(a) && reports.count == 0);
	archive_unref(a);
}

static void lost_entries_are_errors_of_their_own(void)
{
	add_short("a", "AAAA", 0, 0);
	uint64_t b = m.file.len;
	add_short("b", "BBBBBBBBBBBBBBBBBBBBBBBB", 0, 8);
	add_short("c", "CC", 0, 0);
	m.file.data[b] = 'X';
	m.file.data[0] = 'X';
	struct archive *a = end_and_open(0);
	CHECK(is(content(a, "a"), "<error>") && strstr(last_err.text, "no local header"));
	CHECK(is(content(a, "b"), "<error>") && strstr(last_err.text, "no local header"));
	CHECK(is(content(a, "c"), "CC"));
	archive_unref(a);
}

/* 4.3.9: a descriptor lies between the data and the next header. Offsets count from the start of each of four volumes. */
static void joined_volumes(void)
{
	uint64_t starts[4] = {0};
	put(&m.file, 4, 0x08074b50); /* 8.5.3: the mark of a first volume */
	add_short("a", "AAAA", 0, 0);
	starts[1] = m.file.len - 2; /* within the data of a */
	add_short("b", "BBBBBBBBBBBBBBBBBBBBBBBB", starts[1], 8);
	put(&m.file, 4, 0x08074b50);
	put(&m.file, 4 + 4, 0);
	put(&m.file, 4, 0);
	starts[2] = m.file.len;
	add_short("c", "CC", starts[2], 0);
	starts[3] = m.file.len - 1;
	add_short("d", "D", starts[3], 0);
	uint64_t directory = put_directory(&m);
	put_end(&m.file, m.count, m.central.len, directory - starts[3], "");
	m.file.data[m.file.len - 18] = m.file.data[m.file.len - 16] = 3;
	struct archive *a = open_made(&m);
	CHECK(has_four(a) && reported("", "4 volumes"));
	archive_unref(a);
}

/* ---- over 4 GiB ---- */

/* The maker's file with holes in it. */
struct holes {
	struct bytes bytes;
	struct text file;
	struct {
		uint64_t at, len_bytes; /* in front of that byte of file */
	} list[8];
	size_t count;
};

static uint64_t with_holes(const struct holes *holes, uint64_t at)
{
	uint64_t sum = at;
	for (size_t i = 0; i < holes->count; i++)
		sum += holes->list[i].at <= at ? holes->list[i].len_bytes : 0;
	return sum;
}

static ssize_t holes_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	const struct holes *holes = (const struct holes *)bytes;
	(void)err;
	if (offset >= bytes->size_bytes)
		return 0;
	if (len_bytes > bytes->size_bytes - offset)
		len_bytes = (size_t)(bytes->size_bytes - offset);
	memset(dst, 0, len_bytes);
	for (uint64_t at = 0, start = 0; at < holes->file.len; at = start) { /* runs of bytes between two holes */
		for (start = at + 1; start < holes->file.len && with_holes(holes, start) == with_holes(holes, start - 1) + 1;)
			start++;
		uint64_t place = with_holes(holes, at), from = place > offset ? place : offset;
		uint64_t end = place + (start - at) < offset + len_bytes ? place + (start - at) : offset + len_bytes;
		if (from < end)
			memcpy((char *)dst + (from - offset), holes->file.data + at + (from - place), (size_t)(end - from));
	}
	return (ssize_t)len_bytes;
}

static void holes_free(struct bytes *bytes)
{
	struct holes *holes = (struct holes *)bytes;
	free(holes->file.data);
	free(holes);
}

static const struct bytes_class holes_class = {.read = holes_read, .free = holes_free};

static struct holes *holes_new(void)
{
	struct holes *holes = calloc(1, sizeof *holes);
	bytes_init(&holes->bytes, &holes_class, 0);
	return holes;
}

/* An entry of len_bytes of zeros, so many packed, all numbers modulo 2^32. */
static void add_hole(struct holes *holes, const char *name, unsigned method, uint64_t packed_bytes, uint64_t len_bytes)
{
	add(&m, (struct spec){.name = name,
			      .host = 3,
			      .method = method,
			      .packed = "",
			      .packed_bytes = 0,
			      .has_size = true,
			      .size = (uint32_t)len_bytes,
			      .has_packed_bytes = true,
			      .declared_packed_bytes = (uint32_t)packed_bytes,
			      .has_offset = true,
			      .offset = (uint32_t)with_holes(holes, m.file.len)});
	holes->list[holes->count].at = m.file.len;
	holes->list[holes->count++].len_bytes = packed_bytes;
}

static void add_between(struct holes *holes, const char *name, const char *data)
{
	add(&m,
	    (struct spec){
		    .name = name, .data = data, .host = 3, .has_offset = true, .offset = (uint32_t)with_holes(holes, m.file.len)});
}

static struct archive *open_holes(struct holes *holes)
{
	struct archive_options options = {.max_entry_bytes = UINT64_C(1) << 40, .report = collect, .context = &reports};
	struct archive *archive = NULL;
	uint64_t directory = put_directory(&m);
	put_end(&m.file, m.count & UINT16_MAX, m.central.len, (uint32_t)with_holes(holes, directory), "");
	holes->file = m.file;
	holes->bytes.size_bytes = with_holes(holes, m.file.len - 1) + 1;
	m.file = (struct text){0};
	maker_free(&m);
	reports = (struct reports){0};
	last_err = ERR_NONE;
	last_code = archive_open(&holes->bytes, &options, &archive, &last_err);
	bytes_unref(&holes->bytes);
	return archive;
}

/* Both offsets and sizes; entries larger than 4 GiB, one after the other; names that lead to no wrong header. */
static void numbers_modulo_4_gib(void)
{
	const uint64_t gib = UINT64_C(1) << 30;
	struct holes *holes = holes_new();
	add_between(holes, "a", "AAAA");
	add_hole(holes, "h1", 0, 3 * gib, 3 * gib);
	add_between(holes, "b", "BB");
	add_hole(holes, "h2", 0, 9 * gib + 5, 9 * gib + 5);
	add_hole(holes, "h3", 0, 4 * gib, 4 * gib);
	add_between(holes, "c", "CCC");
	add_hole(holes, "h4", 8, 5 * gib, 5 * gib + 100);
	add_hole(holes, "h5", 8, gib, gib + 7);
	add_between(holes, "d", "D");
	struct archive *a = open_holes(holes);
	CHECK(a && is(list(a, ""), "a|h1|b|h2|h3|c|h4|h5|d") && reports.count == 1 && reported("", "4 GiB"));
	CHECK(is(content(a, "a"), "AAAA") && is(content(a, "b"), "BB") && is(content(a, "c"), "CCC") && is(content(a, "d"), "D"));
	CHECK(entry_at(a, "h1").size_bytes == 3 * gib && entry_at(a, "h2").size_bytes == 9 * gib + 5);
	CHECK(entry_at(a, "h3").size_bytes == 4 * gib && entry_at(a, "h4").size_bytes == 5 * gib + 100);
	CHECK(entry_at(a, "h5").size_bytes == gib + 7);
	struct bytes *bytes = NULL;
	uint8_t last[8] = "xxxxxxx";
	CHECK(a && archive_entry_bytes(a, at_path(a, "h2"), &bytes, NULL) == 0);
	CHECK(bytes && bytes_read(bytes, last, 8, 9 * gib, NULL) == 5 && !memcmp(last, "\0\0\0\0\0xx", 8));
	bytes_unref(bytes);
	archive_unref(a);
}

/* A header that can't be found costs itself alone. */
static void a_lost_entry_over_4_gib(void)
{
	const uint64_t gib = UINT64_C(1) << 30;
	struct holes *holes = holes_new();
	add_between(holes, "a", "AAAA");
	add_hole(holes, "h1", 0, 5 * gib, 5 * gib);
	size_t lost = m.file.len;
	add_between(holes, "b", "BB");
	add_hole(holes, "h2", 0, 6 * gib, 6 * gib);
	add_between(holes, "c", "CCC");
	m.file.data[lost] = 'X';
	struct archive *a = open_holes(holes);
	CHECK(is(content(a, "a"), "AAAA") && is(content(a, "c"), "CCC"));
	CHECK(is(content(a, "b"), "<error>") && strstr(last_err.text, "no local header"));
	archive_unref(a);
}

/* 4.4.22: the count has 16 bits. */
static void more_entries_than_can_be_counted(void)
{
	char name[16];
	for (unsigned i = 0; i < 65536 + 3; i++) {
		snprintf(name, sizeof name, "%05u", i);
		add(&m, (struct spec){.name = name, .data = name, .host = 3});
	}
	uint64_t directory = put_directory(&m);
	put_end(&m.file, m.count & UINT16_MAX, m.central.len, directory, "");
	struct archive *a = open_made(&m);
	CHECK(a && archive_count(a) == 65536 + 4 && reports.count == 0 && is(content(a, "65538"), "65538"));
	archive_unref(a);
}

static const struct test_case cases[] = {
	CASE(each_entry_for_itself),
	CASE(an_archive_behind_another),
	CASE(lost_entries_are_errors_of_their_own),
	CASE(joined_volumes),
	CASE(numbers_modulo_4_gib),
	CASE(a_lost_entry_over_4_gib),
	CASE(more_entries_than_can_be_counted),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
