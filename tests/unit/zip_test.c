/* zip_test.c - a zip archive's index: finding the directory, its records, names, the tree, links. */
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

/* ---- names ---- */

static void names_are_neutralised(void)
{
	static const struct {
		const char *name, *path, *words;
	} cases[] = {
		{"/etc/absolute.png", "etc/absolute.png", "an absolute name"},
		{"../../up.png", "up.png", "\"..\""},
		{"a/../b.png", "a/b.png", "\"..\""},
		{"./x//y/./z.png", "x/y/z.png", NULL},
		{"tab\there.png", "tab%09here.png", "control"},
		{"\x1b[31m.png", "%1B[31m.png", "control"},
		{"c1\xc2\x9b.png", "c1%C2%9B.png", "control"},
		{"del\x7f.png", "del%7F.png", "control"},
		{"per%09cent.png", "per%09cent.png", NULL},
		{"back\\slash.png", "back\\slash.png", NULL}, /* made on Unix */
		{"..", "unnamed", "\"..\""},
		{"d/", "d", "the data is left out"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		add_text(cases[i].name, "D");
		struct archive *a = finish_and_open(&m);
		CHECK(at_path(a, cases[i].path) != ARCHIVE_NONE);
		CHECK(reports.count == (cases[i].words != NULL));
		CHECK(!cases[i].words || strstr(reports.words[0], cases[i].words));
		archive_unref(a);
	}
}

static void empty_and_nul_names(void)
{
	struct archive *a;
	add(&m, (struct spec){.name = "", .data = "1"});
	add(&m, (struct spec){.name = "nul\0byte", .name_bytes = 8, .data = "2"});
	a = finish_and_open(&m);
	CHECK(is(list(a, ""), "unnamed|nul%00byte") && is(content(a, "unnamed"), "1") && reported("", "without a name"));
	archive_unref(a);
}

/* Made on DOS or Windows, and no '/': backslashes separate. */
static void backslashes_of_windows(void)
{
	add(&m, (struct spec){.name = "dir\\..\\sub\\a.png", .data = "A", .host = 0});
	add(&m, (struct spec){.name = "dir/b\\c.png", .data = "B", .host = 0});
	add(&m, (struct spec){.name = "nt\\c.png", .data = "C", .host = 10});
	struct archive *a = finish_and_open(&m);
	CHECK(is(content(a, "dir/sub/a.png"), "A") && is(content(a, "dir/b\\c.png"), "B") && is(content(a, "nt/c.png"), "C"));
	archive_unref(a);
}

/* The Unicode path extra field, 4.6.9, for the record's name. */
static size_t unicode_path(uint8_t *extra, const char *name, const char *unicode)
{
	struct text t = {0};
	put(&t, 2, 0x7075);
	put(&t, 2, 5 + strlen(unicode));
	put(&t, 1, 1);
	put(&t, 4, crc32(0, (const Bytef *)name, (uInt)strlen(name)));
	put_bytes(&t, unicode, strlen(unicode));
	memcpy(extra, t.data, t.len);
	free(t.data);
	return t.len;
}

static void charsets(void)
{
	uint8_t extra[64], stale[64];
	size_t extra_bytes = unicode_path(extra, "\x81.png", "\xe2\x82\xac.png");
	unicode_path(stale, "other", "\xe2\x82\xac.png");                                      /* the CRC-32 of another name */
	add(&m, (struct spec){.name = "gr\x81n.png", .data = "1"});                            /* CP437: u umlaut */
	add(&m, (struct spec){.name = "gr\xc3\xb6n.png", .data = "2"});                        /* UTF-8, not flagged */
	add(&m, (struct spec){.name = "\xf0\x9f\x98\xba.png", .data = "3", .flags = 1 << 11}); /* flagged */
	add(&m, (struct spec){.name = "\x81.png", .data = "4", .extra = extra, .extra_bytes = extra_bytes});
	add(&m, (struct spec){.name = "\x82.png", .data = "5", .extra = stale, .extra_bytes = extra_bytes});
	add(&m, (struct spec){.name = "\xff.png", .data = "6", .flags = 1 << 11}); /* flagged, and not UTF-8 */
	add(&m, (struct spec){.name = "\xed\xa0\x80.png", .data = "7"});           /* a surrogate is not UTF-8 */
	add(&m, (struct spec){.name = "\xc0\xaf.png", .data = "8"});               /* nor is an overlong '/' */
	struct archive *a = finish_and_open(&m);
	CHECK(is(content(a, "gr\xc3\xbcn.png"), "1") && is(content(a, "gr\xc3\xb6n.png"), "2"));
	CHECK(is(content(a, "\xf0\x9f\x98\xba.png"), "3") && is(content(a, "\xe2\x82\xac.png"), "4"));
	CHECK(is(content(a, "\xc3\xa9.png"), "5") && is(content(a, "\xc2\xa0.png"), "6"));
	CHECK(is(content(a, "\xcf\x86\xc3\xa1\xc3\x87.png"), "7") && is(content(a, "\xe2\x94\x94\xc2\xbb.png"), "8"));
	CHECK(reports.count == 1 && strstr(reports.words[0], "encoding"));
	archive_unref(a);
}

static void given_encoding(void)
{
	add(&m, (struct spec){.name = "\x90\x56.png", .data = "1"});    /* Shift-JIS: U+65B0 */
	add(&m, (struct spec){.name = "gr\xc3\xb6n.png", .data = "2"}); /* valid UTF-8 stays */
	add(&m, (struct spec){.name = "\x95\x5c\\b.png", .data = "3"}); /* U+8868 ends in 0x5c, which is no separator */
	add(&m, (struct spec){.name = "\xfd.png", .data = "4"});        /* not Shift-JIS: CP437 */
	finish(&m);
	struct archive *a = open_with(&m, "SHIFT_JIS", 0);
	CHECK(is(content(a, "\xe6\x96\xb0.png"), "1") && is(content(a, "gr\xc3\xb6n.png"), "2"));
	CHECK(is(content(a, "\xe8\xa1\xa8/b.png"), "3") && is(content(a, "\xc2\xb2.png"), "4"));
	archive_unref(a);
	add_text("a", "A");
	finish(&m);
	CHECK(!open_with(&m, "no such encoding", 0) && last_code == -EINVAL);
}

/* Cut before the extension, at a character's end, and still different from each other. */
static void long_names(void)
{
	char one[400], two[400];
	memset(one, 'x', 300);
	strcpy(one + 300, "1.png");
	memcpy(two, one, sizeof two);
	two[300] = '2';
	char wide[700] = "";
	for (int i = 0; i < 100; i++)
		strcat(wide, "\xe2\x82\xac");
	strcat(wide, ".tiff");
	add_text(one, "1");
	add_text(two, "2");
	add_text(wide, "3");
	struct archive *a = finish_and_open(&m);
	struct archive_entry e;
	CHECK(a && archive_count(a) == 4 && reports.count == 3);
	for (uint32_t i = 1; a && i < 4; i++) {
		archive_get(a, i, &e);
		size_t n = strlen(e.name);
		CHECK(n > 240 && n <= 255 && is(strrchr(e.name, '.'), i == 3 ? ".tiff" : ".png"));
		CHECK(archive_find(a, 0, e.name) == i && is(content(a, e.name), i == 1 ? "1" : i == 2 ? "2" : "3"));
		const char *tilde = strchr(e.name, '~');
		CHECK(tilde && (i < 3 || (tilde - e.name) % 3 == 0));
	}
	archive_unref(a);
}

/* A long directory has one name in all entries below it. */
static void long_directory_names(void)
{
	char one[400], two[400];
	memset(one, 'd', 300);
	strcpy(one + 300, "/1");
	memcpy(two, one, sizeof two);
	two[301] = '2';
	add_text(one, "1");
	add_text(two, "2");
	struct archive *a = finish_and_open(&m);
	struct archive_entry e = {.name = ""};
	CHECK(a && archive_count(a) == 4);
	if (a)
		archive_get(a, 1, &e);
	CHECK(e.kind == ARCHIVE_DIR && strlen(e.name) == 255 && is(list(a, e.name), "1|2"));
	archive_unref(a);
}

static void deep_names(void)
{
	char *name = malloc(60001);
	for (int i = 0; i < 60000; i += 2)
		memcpy(name + i, "d/", 2);
	strcpy(name + 59998, "x");
	add_text(name, "deep");
	struct archive *a = finish_and_open(&m);
	uint32_t entry = 0, depth = 0;
	while (a && archive_first(a, entry) != ARCHIVE_NONE) {
		entry = archive_first(a, entry);
		depth++;
	}
	struct archive_entry e = {.name = ""};
	if (a)
		archive_get(a, entry, &e);
	CHECK(depth == 256 && e.kind == ARCHIVE_FILE && e.size_bytes == 4 && reports.count == 1);
	archive_unref(a);
	free(name);
}

/* ---- one name, several entries ---- */

static void last_duplicate_has_the_name(void)
{
	add_text("a.png", "first");
	add_text("a (2).png", "own name");
	add_text("a.png", "second");
	add_text("a.png", "third");
	add_text("a.png", "last");
	struct archive *a = finish_and_open(&m);
	CHECK(is(content(a, "a.png"), "last") && is(content(a, "a (1).png"), "first"));
	CHECK(is(content(a, "a (2).png"), "own name") && is(content(a, "a (3).png"), "second"));
	CHECK(is(content(a, "a (4).png"), "third") && archive_count(a) == 6);
	CHECK(is(list(a, ""), "a (1).png|a (2).png|a (3).png|a (4).png|a.png"));
	CHECK(reports.count == 3 && reported("a (3).png", "renamed"));
	archive_unref(a);
}

static void numbers_stand_before_the_extension(void)
{
	static const char *const cases[][2] = {{"a.tar.gz", "a.tar (1).gz"}, {".hidden", ".hidden (1)"},
					       {"plain", "plain (1)"},       {"end.", "end. (1)"},
					       {"...x", "...x (1)"},         {"v1. two", "v1. two (1)"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		add_text(cases[i][0], "1");
		add_text(cases[i][0], "2");
		struct archive *a = finish_and_open(&m);
		CHECK(is(content(a, cases[i][0]), "2") && is(content(a, cases[i][1]), "1"));
		archive_unref(a);
	}
}

static void file_and_directory_of_one_name(void)
{
	add_text("x", "file before");
	add_text("x/a", "A");
	add_text("x", "file after");
	add_text("x/", "");
	struct archive *a = finish_and_open(&m);
	CHECK(entry_at(a, "x").kind == ARCHIVE_DIR && is(content(a, "x/a"), "A"));
	CHECK(is(content(a, "x (1)"), "file before") && is(content(a, "x (2)"), "file after") && archive_count(a) == 5);
	CHECK(reports.count == 2);
	archive_unref(a);
}

static void duplicates_of_a_full_length_name(void)
{
	char name[256], other[256];
	memset(name, 'n', 251);
	strcpy(name + 251, ".png");
	for (int i = 0; i < 12; i++)
		add_text(name, "D");
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 13);
	for (int i = 1; i < 12; i++) {
		int stem = i < 10 ? 247 : 246;
		snprintf(other, sizeof other, "%.*s (%d).png", stem, name, i);
		CHECK(strlen(other) == 255 && at_path(a, other) != ARCHIVE_NONE);
	}
	archive_unref(a);
}

/* The seconds it takes to open 2 * 20000 entries: each name twice, or each with a name of its own. */
static double time_of_names(bool twice)
{
	char name[256];
	memset(name, 'n', 255);
	name[255] = 0;
	for (int i = 0; i < 40000; i++) {
		char digits[16];
		snprintf(digits, sizeof digits, "%05d", twice ? i / 2 : i);
		memcpy(name + 250, digits, 5);
		add_text(name, "");
	}
	clock_t start = clock();
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 40001 && reports.count == (twice ? 101 : 0));
	archive_unref(a);
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* Names cut to the same stem must not make each other's duplicates try all numbers: 200 million attempts. */
static void many_duplicates_take_little_time(void)
{
	double distinct_s = time_of_names(false), twice_s = time_of_names(true);
	CHECK(twice_s < 30 * distinct_s);
}

/* Names that make far more directories than they have bytes: an error, not all memory. */
static void too_many_directories(void)
{
	char *name = malloc(60001);
	for (int k = 0; k < 6000; k++) {
		int n = snprintf(name, 100, "%d/", k);
		while (n < 500) {
			memcpy(name + n, "d/", 2);
			n += 2;
		}
		memcpy(name + n, "x", 2);
		add_text(name, "");
	}
	struct archive *a = finish_and_open(&m);
	CHECK(!a && last_code == -EFBIG && strstr(last_err.text, "too large"));
	archive_unref(a);
	free(name);
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
	add(&m, (struct spec){.name = "fifo", .host = 3, .external = 010666u << 16, .data = "x"});
	add(&m, (struct spec){.name = "sock", .host = 3, .external = 0140666u << 16});
	struct archive *a = finish_and_open(&m);
	CHECK(is(list(a, ""), "f|d|e|fat|pk") && reports.count == 4 && reported("char", "left out"));
	CHECK(entry_at(a, "f").mode == 0640 && entry_at(a, "d").mode == 0750 && entry_at(a, "d").kind == ARCHIVE_DIR);
	CHECK(entry_at(a, "e").kind == ARCHIVE_DIR && entry_at(a, "fat").mode == 0 && entry_at(a, "pk").mode == 0604);
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

int main(void)
{
	RUN(entries_and_made_directories);
	RUN(empty_archive);
	RUN(no_archive_is_an_error);
	RUN(every_cut_is_an_error);
	RUN(comment_and_trailing_junk);
	RUN(comment_cut_short);
	RUN(prefix_is_skipped);
	RUN(prefix_counted_in_offsets);
	RUN(zip64_directory);
	RUN(zip64_record_only_fills_in);
	RUN(zip64_field_too_short);
	RUN(wrong_count_is_reported);
	RUN(damaged_record_is_an_error);
	RUN(large_records);
	RUN(names_are_neutralised);
	RUN(empty_and_nul_names);
	RUN(backslashes_of_windows);
	RUN(charsets);
	RUN(given_encoding);
	RUN(long_names);
	RUN(long_directory_names);
	RUN(deep_names);
	RUN(last_duplicate_has_the_name);
	RUN(numbers_stand_before_the_extension);
	RUN(file_and_directory_of_one_name);
	RUN(duplicates_of_a_full_length_name);
	RUN(many_duplicates_take_little_time);
	RUN(too_many_directories);
	RUN(kinds_and_modes);
	RUN(times);
	RUN(links_that_stay_inside);
	RUN(links_that_lead_out_are_files);
	RUN(too_long_link_is_a_file);
	RUN(many_entries_in_little_memory);
	return end_cases();
}
