/* err_test.c - the error record: words from files made harmless, and which failures pass. */
#include <errno.h>
#include <string.h>

#include "codecs/core/bytes.h"
#include "codecs/core/utf8.h"
#include "case.h"

static const char *worded(const char *from)
{
	static struct err err;
	err = ERR_NONE;
	err_set(&err, -EIO, "the attribute \"%s\" is odd", from);
	return err.text;
}

static void control_characters_are_replaced(void)
{
	CHECK(!strcmp(worded("a\nb\x1b[31m\x7f"), "the attribute \"a?b?[31m?\" is odd"));
	CHECK(!strcmp(worded("\xc2\x9b"
			     "31m \xc2\x85 \xc2\xa0"),
		      "the attribute \"??31m ?? \xc2\xa0\" is odd"));
}

static void what_is_no_utf8_is_replaced(void)
{
	CHECK(!strcmp(worded("Gr\xc3\xbc\xc3\x9f \xff \xc3"), "the attribute \"Gr\xc3\xbc\xc3\x9f ? ?\" is odd"));
	CHECK(!strcmp(worded("\xed\xa0\x80"), "the attribute \"???\" is odd"));
}

/* Every length, so that the end falls within a character too. */
static void cut_words_stay_utf8(void)
{
	char text[400];
	for (size_t len = 200; len < 260; len++) {
		memset(text, 'x', len);
		memcpy(text + len, "\xf0\x9f\x98\x80\xe6\xbc\xa2", 8);
		const unsigned char *words = (const unsigned char *)worded(text);
		size_t left = strlen((const char *)words), step;
		CHECK(left <= sizeof(struct err));
		for (; left; words += step, left -= step) {
			step = utf8_length(words, left);
			CHECK(step);
			if (!step)
				return;
		}
	}
}

static void the_first_error_wins(void)
{
	struct err err = ERR_NONE, copy = ERR_NONE;
	CHECK(err_set(&err, -EIO, "first") == -EIO && err_set_source(&err, -ENOMEM, "second") == -ENOMEM);
	CHECK(err.code == -EIO && !strcmp(err.text, "first") && !err.is_source);
	CHECK(err_set(NULL, -EIO, "nowhere") == -EIO && err_set_source(NULL, -EIO, "nowhere") == -EIO);
	CHECK(err_copy(&copy, &err) == -EIO && copy.code == -EIO);
}

static bool passes(int code)
{
	struct err err = ERR_NONE;
	err_set(&err, code, "words");
	return err_is_passing(&err);
}

static void damage_stays_and_want_passes(void)
{
	CHECK(!passes(-EIO) && !passes(-EFBIG) && !passes(-EOPNOTSUPP) && !passes(-EACCES) && !passes(-EINVAL) && !passes(0));
	CHECK(passes(-ENOMEM) && passes(-EMFILE) && passes(-ENFILE) && passes(-EINTR) && passes(-ESTALE));
}

static void what_the_source_could_not_read_passes(void)
{
	struct err err = ERR_NONE, copy = ERR_NONE;
	err_set_source(&err, -EIO, "the disk");
	err_copy(&copy, &err);
	CHECK(err_is_passing(&err) && err_is_passing(&copy) && copy.is_source && copy.code == -EIO);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(control_characters_are_replaced),
		CASE(what_is_no_utf8_is_replaced),
		CASE(cut_words_stay_utf8),
		CASE(the_first_error_wins),
		CASE(damage_stays_and_want_passes),
		CASE(what_the_source_could_not_read_passes),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
