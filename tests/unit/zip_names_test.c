/* zip_names_test.c - the names of a zip archive: charsets, neutralising, shortening, duplicates. */
#include "zip_case.h"

#include <iconv.h>

static struct maker m;

static void add_text(const char *name, const char *data)
{
	add(&m, (struct spec){.name = name, .data = data, .host = 3});
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

/* A UTF-8 text in another encoding, by iconv. */
static size_t converted(const char *text, const char *encoding, char *ret, size_t room)
{
	iconv_t converter = iconv_open(encoding, "UTF-8");
	char *in = (char *)(uintptr_t)text, *out = ret;
	size_t in_bytes = strlen(text), left = room;
	if (iconv(converter, &in, &in_bytes, &out, &left) == (size_t)-1)
		abort();
	iconv_close(converter);
	return room - left;
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
	CHECK(reports.count == 2 && reported("", "are read as CP437") && strstr(reports.words[1], "encoding it should be in"));
	CHECK(a && is(archive_encoding(a), "CP437"));
	archive_unref(a);
}

/* What a tool of another country wrote: names of the same words, in the encodings that their systems use. */
static void encodings_by_all_names_together(void)
{
	static const struct {
		const char *encoding, *told, *names[4];
	} cases[] = {
		{"CP932",
		 "SHIFT_JIS",
		 {"\u5199\u771f/\u4eac\u90fd\u65c5\u884c.jpg", "\u5199\u771f/\u6771\u4eac\u30bf\u30ef\u30fc.jpg",
		  "\u8868\u793a\u30e1\u30e2.txt"}},
		{"EUC-JP",
		 "EUC-JP",
		 {"\u5199\u771f/\u4eac\u90fd\u65c5\u884c.jpg", "\u5199\u771f/\u6771\u4eac\u30bf\u30ef\u30fc.jpg"}},
		{"GBK",
		 "GB18030",
		 {"\u65b0\u5efa\u6587\u4ef6\u5939/\u7167\u7247.jpg", "\u5317\u4eac/\u957f\u57ce.png", "\u8bf4\u660e.txt"}},
		{"BIG5",
		 "BIG5",
		 {"\u65b0\u589e\u8cc7\u6599\u593e/\u7167\u7247.jpg", "\u81fa\u5317/\u98a8\u666f.png", "\u8aaa\u660e.txt"}},
		{"UHC", "UHC", {"\uc0c8 \ud3f4\ub354/\uc0ac\uc9c4.jpg", "\uc11c\uc6b8/\ud48d\uacbd.png", "\uc124\uba85.txt"}},
		{"CP866",
		 "IBM866",
		 {"\u041d\u043e\u0432\u0430\u044f \u043f\u0430\u043f\u043a\u0430/\u0444\u043e\u0442\u043e.jpg",
		  "\u041c\u043e\u0441\u043a\u0432\u0430.png"}},
		{"CP1251",
		 "WINDOWS-1251",
		 {"\u041d\u043e\u0432\u0430\u044f \u043f\u0430\u043f\u043a\u0430/\u0444\u043e\u0442\u043e.jpg",
		  "\u041c\u043e\u0441\u043a\u0432\u0430.png"}},
		{"ISO-8859-1", "WINDOWS-1252", {"\u00e9t\u00e9/for\u00eat.jpg", "\u00e9cole.png", "No\u00ebl \u00e0 la plage.txt"}},
		{"CP437", "CP437", {"\u00e9t\u00e9/for\u00eat.jpg", "\u00e9cole.png", "No\u00ebl \u00e0 la plage.txt"}},
		{"CP437", "CP437", {"\u00dcbung/Gr\u00fc\u00dfe.jpg", "Stra\u00dfe.png", "M\u00fcller Gr\u00f6\u00dfe.txt"}},
		{"CP437", "CP437", {"ni\u00f1o/Espa\u00f1a.jpg", "ma\u00f1ana.png", "canci\u00f3n.txt"}},
		/* too little to tell anything by */
		{"CP437", "CP437", {"M\u00fcller.jpg"}},
		{"CP437", "CP437", {"Per\u00fa.jpg"}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t k = 0; cases[i].names[k]; k++) {
			char raw[100];
			size_t raw_bytes = converted(cases[i].names[k], cases[i].encoding, raw, sizeof raw);
			add(&m, (struct spec){.name = raw, .name_bytes = raw_bytes, .data = "x"});
		}
		add_text("\xc3\xbcml\xc3\xa4ut.txt", "UTF-8 all the same");
		struct archive *a = finish_and_open(&m);
		for (size_t k = 0; cases[i].names[k]; k++)
			CHECK(is(content(a, cases[i].names[k]), "x"));
		CHECK(is(content(a, "\xc3\xbcml\xc3\xa4ut.txt"), "UTF-8 all the same"));
		CHECK(a && is(archive_encoding(a), cases[i].told) && reports.count == 1 && reported("", cases[i].told));
		archive_unref(a);
	}
}

/* Words of random bytes over 127 are no names of any language. */
static void what_is_no_language_is_cp437(void)
{
	unsigned seed = 1;
	for (int i = 0; i < 30; i++) {
		char raw[16];
		for (size_t k = 0; k < sizeof raw; k++)
			raw[k] = (char)(0x80 | (seed = seed * 1103515245 + 12345) >> 16);
		raw[0] = (char)0xff;
		add(&m, (struct spec){.name = raw, .name_bytes = sizeof raw, .data = "x"});
	}
	struct archive *a = finish_and_open(&m);
	CHECK(a && archive_count(a) == 31 && is(archive_encoding(a), "CP437"));
	archive_unref(a);
	add_text("\xf0\xf2\xe9\xf7\xe5\xf4", "six letters: Russian in KOI8-R, and as well Hebrew in another one");
	a = finish_and_open(&m);
	CHECK(a && is(archive_encoding(a), "CP437"));
	archive_unref(a);
	add_text("plain.txt", "x");
	a = finish_and_open(&m);
	CHECK(a && is(archive_encoding(a), "") && reports.count == 0);
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

static const struct test_case cases[] = {
	CASE(names_are_neutralised),
	CASE(empty_and_nul_names),
	CASE(backslashes_of_windows),
	CASE(charsets),
	CASE(encodings_by_all_names_together),
	CASE(what_is_no_language_is_cp437),
	CASE(given_encoding),
	CASE(long_names),
	CASE(long_directory_names),
	CASE(deep_names),
	CASE(last_duplicate_has_the_name),
	CASE(numbers_stand_before_the_extension),
	CASE(file_and_directory_of_one_name),
	CASE(duplicates_of_a_full_length_name),
	CASE(many_duplicates_take_little_time),
	CASE(too_many_directories),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
