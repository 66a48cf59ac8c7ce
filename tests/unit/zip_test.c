/* zip_test.c - a zip archive's index: finding the directory, its records, the tree, kinds, times, links. */
#include "zip_case.h"

static struct maker m;

static void add_text(const char *name, const char *data)
{
	add(&m, (struct spec){.name = name, .data = data, .host = 3});
}

/* ---- the directory's place ---- */

static void entries_and_made_directories(void)
{
	add_text("top.png", "T");
	add_text("a/b/one.png", "1");
	add_text("a/two.png", "22");
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 6);
	CHECK(is(list(a, ""), "top.png|a") && is(list(a, "a"), "b|two.png") && is(list(a, "a/b"), "one.png"));
	CHECK(entry_at(a, "a/b").kind == ARCHIVE_DIR && entry_at(a, "a/b").mtime_s == 0);
	CHECK(entry_at(a, "a/two.png").kind == ARCHIVE_FILE && entry_at(a, "a/two.png").size_bytes == 2);
	CHECK(entry_at(a, "a/two.png").parent == at_path(a, "a"));
	CHECK(is(content(a, "a/b/one.png"), "1") && is(content(a, "a/two.png"), "22"));
	CHECK(archive_child_count(a, 0) == 2 && archive_child_count(a, at_path(a, "a/b")) == 1 &&
	      archive_child_count(a, at_path(a, "top.png")) == 0);
	CHECK(archive_find(a, 0, "two.png") == ARCHIVE_NONE && archive_find(a, 0, "") == ARCHIVE_NONE);
	CHECK(archive_first(a, at_path(a, "top.png")) == ARCHIVE_NONE && reports.count == 0);
	archive_unref(a);
}

static void empty_archive(void)
{
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 1 && archive_first(a, 0) == ARCHIVE_NONE);
	archive_unref(a);
}

static void no_archive_is_an_error(void)
{
	put_bytes(&m.file, "not a zip archive, but long enough to be one", 44);
	CHECK(!open_made(&m) && last_code == -EIO && strstr(last_err.text, "no end of central directory"));
	put(&m.file, 4, 0);
	CHECK(!open_made(&m) && last_code == -EIO && strstr(last_err.text, "too few"));
}

/* Every archive cut short is an error: the end record is at its end. */
static void every_cut_is_an_error(void)
{
	add_text("a.png", "AAAA");
	finish(&m);
	struct text whole = m.file;
	for (size_t len = 0; len < whole.len; len++) {
		struct maker cut = {0};
		put_bytes(&cut.file, whole.data, len);
		struct archive *a = open_made(&cut);
		CHECK(!a && last_code == -EIO && last_err.text[0]);
		archive_unref(a);
	}
	maker_free(&m);
}

static void comment_and_trailing_junk(void)
{
	add_text("a", "A");
	uint64_t directory = put_directory(&m);
	put_end(&m.file, 1, m.central.len, directory, "a comment with PK\5\6 in it, and more than 22 bytes");
	put_bytes(&m.file, "trailing junk", 13);
	struct archive *a = open_made(&m);
	CHECK(is(content(a, "a"), "A"));
	archive_unref(a);
}

/* The declared comment reaches behind the end of the file. */
static void comment_cut_short(void)
{
	add_text("a", "A");
	uint64_t directory = put_directory(&m);
	put_end(&m.file, 1, m.central.len, directory, "longer than what is left");
	m.file.len -= 10;
	struct archive *a = open_made(&m);
	CHECK(is(content(a, "a"), "A"));
	archive_unref(a);
}

/* A self-extractor: offsets count from the archive's own start. */
static void prefix_is_skipped(void)
{
	add_text("a", "A");
	add(&m, (struct spec){.name = "b", .data = "BBBBBBBBBBBBBBBB", .method = 8});
	finish(&m);
	struct maker prefixed = {0};
	put_bytes(&prefixed.file, "#!/bin/sh and a program", 23);
	put_bytes(&prefixed.file, m.file.data, m.file.len);
	struct archive *a = open_made(&prefixed);
	CHECK(is(content(a, "a"), "A") && is(content(a, "b"), "BBBBBBBBBBBBBBBB"));
	archive_unref(a);
	maker_free(&m);
}

/* A prefix, and offsets that already count it. */
static void prefix_counted_in_offsets(void)
{
	put_bytes(&m.file, "#!/bin/sh and a program", 23);
	add_text("a", "A");
	uint64_t directory = put_directory(&m);
	put_end(&m.file, 1, m.central.len, directory - 23, ""); /* the directory's own offset doesn't */
	struct archive *a = open_made(&m);
	CHECK(is(content(a, "a"), "A"));
	archive_unref(a);
}

static void zip64_directory(void)
{
	add(&m, (struct spec){.name = "a", .data = "A", .zip64 = true});
	add(&m, (struct spec){.name = "b", .data = "BB", .zip64 = true});
	uint64_t directory = put_directory(&m);
	put_end64(&m.file, 2, m.central.len, directory);
	put_end(&m.file, UINT16_MAX, UINT32_MAX, UINT32_MAX, "");
	struct maker prefixed = {0};
	put_bytes(&prefixed.file, "prefix", 6);
	put_bytes(&prefixed.file, m.file.data, m.file.len);
	struct archive *a = open_made(&m);
	CHECK(is(list(a, ""), "a|b") && is(content(a, "b"), "BB") && entry_at(a, "b").size_bytes == 2);
	archive_unref(a);
	a = open_made(&prefixed); /* the locator's offset is wrong now */
	CHECK(is(list(a, ""), "a|b") && is(content(a, "b"), "BB"));
	archive_unref(a);
}

/* 4.4.1.4: a value counts unless it is all ones. */
static void zip64_record_only_fills_in(void)
{
	add_text("a", "A");
	uint64_t directory = put_directory(&m);
	put_end64(&m.file, 77, 1, 2);
	put_end(&m.file, 1, m.central.len, directory, "");
	struct archive *a = open_made(&m);
	CHECK(is(list(a, ""), "a") && reports.count == 0);
	archive_unref(a);
}

static void zip64_field_too_short(void)
{
	static const uint8_t extra[] = {1, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0};
	add(&m, (struct spec){.name = "a",
			      .data = "A",
			      .extra = extra,
			      .extra_bytes = sizeof extra,
			      .has_size = true,
			      .size = UINT32_MAX,
			      .has_packed_bytes = true,
			      .declared_packed_bytes = UINT32_MAX});
	add_text("b", "B");
	struct archive *a = finish_and_open(&m);
	CHECK(is(content(a, "a"), "<error>") && last_code == -EIO && reported("a", "zip64"));
	CHECK(is(content(a, "b"), "B"));
	archive_unref(a);
}

static void wrong_count_is_reported(void)
{
	add_text("a", "A");
	add_text("b", "B");
	uint64_t directory = put_directory(&m);
	put_end(&m.file, 7, m.central.len, directory, "");
	struct archive *a = open_made(&m);
	CHECK(is(list(a, ""), "a|b") && reported("", "declares 7 entries and has 2"));
	archive_unref(a);
}

static void damaged_record_is_an_error(void)
{
	add_text("a", "A");
	size_t second = m.central.len;
	add_text("b", "B");
	add_text("c", "C");
	m.central.data[second] = 'Q';
	CHECK(!finish_and_open(&m) && last_code == -EIO && strstr(last_err.text, "damaged"));
	add_text("a", "A");
	add_text("b", "B");
	m.central.data[second + 28] = 0xff; /* a name that is longer than the directory */
	CHECK(!finish_and_open(&m) && last_code == -EIO && strstr(last_err.text, "longer"));
}

/* More than one buffer of directory, and the most that a record can have. */
static void large_records(void)
{
	char *name = malloc(60000);
	uint8_t *extra = calloc(1, 65000);
	char path[32];
	for (int i = 0; i < 40; i++) {
		memset(name, 'x', 60000);
		snprintf(name, 60000, "%02d.png", i);
		name[6] = 'x';
		add(&m, (struct spec){.name = name, .name_bytes = 6, .data = "D", .extra = extra, .extra_bytes = 65000});
	}
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 41);
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "%02d.png", i);
		CHECK(is(content(a, path), "D"));
	}
	archive_unref(a);
	free(name);
	free(extra);
}

/* ---- kinds, modes and times ---- */

static void kinds_and_modes(void)
{
	add(&m, (struct spec){.name = "f", .host = 3, .external = 0100640u << 16});
	add(&m, (struct spec){.name = "d/", .host = 3, .external = 040750u << 16});
	add(&m, (struct spec){.name = "e", .host = 3, .external = 040700u << 16}); /* a directory by its mode alone */
	add(&m, (struct spec){.name = "fat", .host = 0, .external = 0x20});
	add(&m, (struct spec){.name = "pk", .host = 0, .external = 0100604u << 16}); /* PKZip for Unix */
	add(&m, (struct spec){.name = "char", .host = 3, .external = 020666u << 16});
	add(&m, (struct spec){.name = "block", .host = 3, .external = 060666u << 16});
	add(&m, (struct spec){.name = "fifo", .host = 3, .external = 010666u << 16});
	add(&m, (struct spec){.name = "sock", .host = 3, .external = 0140666u << 16});
	struct archive *a = finish_and_open(&m);
	CHECK(is(list(a, ""), "f|d|e|fat|pk") && reports.count == 4 && reported("char", "left out") &&
	      reported("fifo", "left out"));
	CHECK(entry_at(a, "f").mode == 0640 && entry_at(a, "d").mode == 0750 && entry_at(a, "d").kind == ARCHIVE_DIR);
	CHECK(entry_at(a, "e").kind == ARCHIVE_DIR && entry_at(a, "fat").mode == 0 && entry_at(a, "pk").mode == 0604);
	archive_unref(a);
}

/* Writers get the type wrong (`zip -` writes that of the pipe it read from); data under a file's name is a file. */
static void data_makes_a_file(void)
{
	static const uint32_t types[] = {010000, 020000, 040000, 060000, 0140000, 0};
	char name[8] = "t0.txt", other[8] = "0/";
	for (size_t i = 0; i < sizeof types / sizeof *types; i++, name[1]++, other[0]++) {
		add(&m,
		    (struct spec){.name = name, .host = 3, .external = (types[i] | 0640) << 16, .data = name, .method = i % 2 * 8});
		add(&m, (struct spec){.name = other, .host = 3, .external = (types[i] | 0750) << 16, .data = "x"});
	}
	struct archive *a = finish_and_open(&m);
	name[1] = '0';
	for (size_t i = 0; i < sizeof types / sizeof *types; i++, name[1]++) {
		CHECK(entry_at(a, name).kind == ARCHIVE_FILE && entry_at(a, name).mode == 0640 && is(content(a, name), name));
		CHECK(!reported(name, ""));
	}
	CHECK(entry_at(a, "0").kind == ARCHIVE_DIR && reported("0/", "the data is left out"));
	archive_unref(a);
}

static void times(void)
{
	static const uint8_t extended[] = {0x55, 0x54, 5, 0, 1, 0x00, 0xca, 0x9a, 0x3b};    /* 1000000000 */
	static const uint8_t before_1970[] = {0x55, 0x54, 5, 0, 1, 0xff, 0xff, 0xff, 0xff}; /* -1 */
	static const uint8_t access_only[] = {0x55, 0x54, 5, 0, 2, 0x00, 0xca, 0x9a, 0x3b};
	/* NTFS, attribute 1 of 24 bytes: 1509509517 s after 1970, in 100 ns after 1601 */
	static const uint8_t ntfs[] = {10,   0, 32, 0, 0, 0, 0, 0, 1, 0, 24, 0, 0x80, 0xe4, 0xb3, 0x8e, 0xc7, 0x52,
				       0xd3, 1, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0,    0,    0,    0,    0,    0};
	uint32_t dos = (2010u - 1980) << 25 | 9 << 21 | 5 << 16 | 12 << 11 | 12 << 5 | 1; /* 2010-09-05 12:12:02 */
	add(&m, (struct spec){.name = "dos", .dos = dos});
	add(&m, (struct spec){.name = "none"});
	add(&m, (struct spec){.name = "leap", .dos = (2000u - 1980) << 25 | 2 << 21 | 29 << 16});
	add(&m, (struct spec){.name = "extended", .dos = dos, .extra = extended, .extra_bytes = sizeof extended});
	add(&m, (struct spec){.name = "before", .dos = dos, .extra = before_1970, .extra_bytes = sizeof before_1970});
	add(&m, (struct spec){.name = "access", .dos = dos, .extra = access_only, .extra_bytes = sizeof access_only});
	add(&m, (struct spec){.name = "ntfs", .dos = dos, .extra = ntfs, .extra_bytes = sizeof ntfs});
	struct archive *a = finish_and_open(&m);
	CHECK(entry_at(a, "dos").mtime_s == 1283688722 && entry_at(a, "none").mtime_s == 0);
	CHECK(entry_at(a, "leap").mtime_s == 951782400);
	CHECK(entry_at(a, "extended").mtime_s == 1000000000 && entry_at(a, "before").mtime_s == -1);
	CHECK(entry_at(a, "access").mtime_s == 1283688722 && entry_at(a, "ntfs").mtime_s == 1509509517);
	archive_unref(a);
}

/* ---- links ---- */

static void add_link(const char *name, const char *target)
{
	add(&m,
	    (struct spec){
		    .name = name, .data = target, .host = 3, .external = 0120777u << 16, .method = strlen(target) > 40 ? 8 : 0});
}

static void links_that_stay_inside(void)
{
	add_text("d/e/f.png", "F");
	add_link("d/e/same", "f.png");
	add_link("d/up", "../d/e/f.png");
	add_link("top", "./d//e/");
	add_link("d/e/root", "../..");
	add_link("dangling", "nowhere/../nothing");
	add_link("packed", "d/././././././././././././././././././././e/f.png");
	struct archive *a = finish_and_open(&m);
	static const char *const names[] = {"d/e/same", "d/up", "top", "d/e/root", "dangling", "packed"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK(entry_at(a, names[i]).kind == ARCHIVE_LINK);
	CHECK(is(content(a, "d/up"), "../d/e/f.png") && reports.count == 0);
	archive_unref(a);
}

static void links_that_lead_out_are_files(void)
{
	char nul[] = "a\0b";
	add_text("d/e/f.png", "F");
	add_link("absolute", "/etc/passwd");
	add_link("d/up", "../../outside");
	add_link("d/e/root", "../..");          /* fine by itself ... */
	add_link("via", "d/e/root/../outside"); /* ... but a way out with another one */
	add_link("nowhere", "x/../../outside");
	add_link("empty", "");
	add(&m, (struct spec){.name = "nul", .data = nul, .data_bytes = 3, .host = 3, .external = 0120777u << 16});
	add(&m, (struct spec){.name = "damaged", .data = "d", .host = 3, .external = 0120777u << 16, .has_crc = true, .crc = 1});
	struct archive *a = finish_and_open(&m);
	static const char *const names[] = {"absolute", "d/up", "via", "nowhere", "empty", "nul", "damaged"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK(entry_at(a, names[i]).kind == ARCHIVE_FILE && reported(names[i], "shown as a file"));
	CHECK(entry_at(a, "d/e/root").kind == ARCHIVE_LINK && is(content(a, "absolute"), "/etc/passwd"));
	archive_unref(a);
}

static void too_long_link_is_a_file(void)
{
	char target[5001];
	memset(target, 'x', 5000);
	target[5000] = 0;
	add_link("long", target);
	target[4095] = 0;
	add_link("longest", target);
	struct archive *a = finish_and_open(&m);
	CHECK(entry_at(a, "long").kind == ARCHIVE_FILE && entry_at(a, "longest").kind == ARCHIVE_LINK);
	archive_unref(a);
}

/* ---- size ---- */

/* Half with directories that come after their files, so that numbers and offsets differ; all are found. */
static void many_entries_in_little_memory(void)
{
	char name[64];
	const unsigned n = 60000;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof name, "train/class_%03u/image_%06u.png", i % 300, i);
		add_text(name, "");
	}
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == n + 302 && archive_memory_bytes(a) < 110 * (uint64_t)n);
	for (unsigned i = 0; i < n; i += 7) {
		snprintf(name, sizeof name, "train/class_%03u/image_%06u.png", i % 300, i);
		CHECK(at_path(a, name) != ARCHIVE_NONE);
	}
	archive_unref(a);
}

static const struct test_case cases[] = {
	CASE(entries_and_made_directories),
	CASE(empty_archive),
	CASE(no_archive_is_an_error),
	CASE(every_cut_is_an_error),
	CASE(comment_and_trailing_junk),
	CASE(comment_cut_short),
	CASE(prefix_is_skipped),
	CASE(prefix_counted_in_offsets),
	CASE(zip64_directory),
	CASE(zip64_record_only_fills_in),
	CASE(zip64_field_too_short),
	CASE(wrong_count_is_reported),
	CASE(damaged_record_is_an_error),
	CASE(large_records),
	CASE(kinds_and_modes),
	CASE(data_makes_a_file),
	CASE(times),
	CASE(links_that_stay_inside),
	CASE(links_that_lead_out_are_files),
	CASE(too_long_link_is_a_file),
	CASE(many_entries_in_little_memory),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
