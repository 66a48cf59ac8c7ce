/* json_test.c - the JSON writer: valid by RFC 8259 whatever goes in, numbers that read back the same. */
#include "fs/base/json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "case.h"

/* Finishes; the text is freed at the next call. */
static const char *finish(struct json *json)
{
	static char *text;
	size_t len = 0;
	free(text);
	text = NULL;
	if (json_finish(json, &text, &len))
		return "";
	CHECK(json_is_valid(text, len));
	return text;
}

static void structure_compact(void)
{
	struct json json;
	json_init(&json, true);
	json_object(&json, NULL);
	json_array(&json, "empty");
	json_end_array(&json);
	json_array(&json, "numbers");
	json_int(&json, NULL, -5);
	json_uint(&json, NULL, 18446744073709551615u);
	json_end_array(&json);
	json_object(&json, "object");
	json_bool(&json, "yes", true);
	json_null(&json, "nothing");
	json_end_object(&json);
	json_string(&json, "no text", NULL);
	json_end_object(&json);
	CHECK(!strcmp(finish(&json),
		      "{\"empty\": [], \"numbers\": [-5, 18446744073709551615], \"object\": {\"yes\": true, \"nothing\": null}, "
		      "\"no text\": null}\n"));
}

static void structure_indented(void)
{
	struct json json;
	json_init(&json, false);
	json_object(&json, NULL);
	json_array(&json, "shape");
	json_int(&json, NULL, 1);
	json_int(&json, NULL, 2);
	json_end_array(&json);
	json_object(&json, "empty");
	json_end_object(&json);
	json_array(&json, "list");
	json_object(&json, NULL);
	json_int(&json, "a", 1);
	json_end_object(&json);
	json_end_array(&json);
	json_end_object(&json);
	CHECK(!strcmp(finish(&json),
		      "{\n  \"shape\": [1, 2],\n  \"empty\": {},\n  \"list\": [\n    {\n      \"a\": 1\n    }\n  ]\n}\n"));
}

/* The text of a string; n: its length. */
static const char *quoted(const char *text, size_t n)
{
	struct json json;
	json_init(&json, true);
	json_string_n(&json, NULL, text, n);
	return finish(&json);
}

static void strings_are_escaped(void)
{
	CHECK(!strcmp(quoted("a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"\n"));
	CHECK(!strcmp(quoted("\n\t\x01\x1f", 4), "\"\\n\\t\\u0001\\u001f\"\n"));
	CHECK(!strcmp(quoted("a\0b", 3), "\"a\\u0000b\"\n"));
	CHECK(!strcmp(quoted("Gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2 \xf0\x9f\x98\x80", 15),
		      "\"Gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2 \xf0\x9f\x98\x80\"\n"));
	/* what a terminal obeys, and what some readers take for the end of a line of JSON */
	CHECK(!strcmp(quoted("\xc2\x85\xc2\x9b\xc2\xa0", 6), "\"\\u0085\\u009b\xc2\xa0\"\n"));
	CHECK(!strcmp(quoted("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 12),
		      "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"\n"));
	for (int byte = 0; byte < 256; byte++)
		quoted((const char[]){(char)byte}, 1); /* finish checks */
}

/* Unicode 15, table 3-7: what is no well-formed sequence. Each wrong byte is one U+FFFD. */
static void invalid_utf8_is_replaced(void)
{
	static const char fffd[] = "\xef\xbf\xbd";
	static const struct {
		const char *text;
		int count;
	} cases[] = {{"\x80", 1},
		     {"\xff", 1},
		     {"\xc3", 1},
		     {"\xc0\xaf", 2},
		     {"\xe0\x80\xaf", 3},
		     {"\xed\xa0\x80", 3},
		     {"\xf4\x90\x80\x80", 4},
		     {"\xf5\x80\x80\x80", 4},
		     {"\xe6\xbc", 2},
		     {"\xf0\x8f\xbf\xbf", 4}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char expected[40] = "\"<";
		for (int n = 0; n < cases[i].count; n++)
			strcat(expected, fffd);
		strcat(expected, ">\"\n");
		char text[16];
		snprintf(text, sizeof text, "<%s>", cases[i].text);
		CHECK(!strcmp(quoted(text, strlen(text)), expected));
		char *visible = json_visible(text);
		CHECK(visible && strncmp(visible, expected + 1, strlen(visible)) == 0 && strlen(visible) == strlen(expected) - 3);
		free(visible);
	}
	CHECK(!strcmp(quoted("\xc3\xbc", 1), "\"\xef\xbf\xbd\"\n")); /* cut within a sequence */
}

static const char *number(float single, double wide, bool is_single)
{
	struct json json;
	json_init(&json, true);
	if (is_single)
		json_float(&json, NULL, single);
	else
		json_double(&json, NULL, wide);
	return finish(&json);
}

static void numbers_are_short(void)
{
	static const struct {
		double value;
		const char *as_float, *as_double;
	} cases[] = {{0.1, "0.1\n", "0.1\n"},
		     {1, "1.0\n", "1.0\n"},
		     {-0.0, "-0.0\n", "-0.0\n"},
		     {10000, "10000.0\n", "10000.0\n"},
		     {16777216, "16777216.0\n", "16777216.0\n"},
		     {1e20, "1e+20\n", "1e+20\n"},
		     {0.45455, "0.45455\n", "0.45455\n"},
		     {1.0 / 3, "0.33333334\n", "0.3333333333333333\n"},
		     {2.2, "2.2\n", "2.2\n"},
		     {7306357456645121, "7.3063573e+15\n", "7306357456645121.0\n"},
		     {1e-7, "1e-07\n", "1e-07\n"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK(!strcmp(number((float)cases[i].value, 0, true), cases[i].as_float));
		CHECK(!strcmp(number(0, cases[i].value, false), cases[i].as_double));
	}
	CHECK(!strcmp(number(FLT_MAX, 0, true), "3.4028235e+38\n") && !strcmp(number(0x1p-149f, 0, true), "1e-45\n"));
	CHECK(!strcmp(number(0, 0x1p-1074, false), "5e-324\n"));
}

static void numbers_that_json_has_not(void)
{
	CHECK(!strcmp(number(NAN, 0, true), "\"NaN\"\n") && !strcmp(number(0, -NAN, false), "\"NaN\"\n"));
	CHECK(!strcmp(number(INFINITY, 0, true), "\"Infinity\"\n") && !strcmp(number(0, -INFINITY, false), "\"-Infinity\"\n"));
}

static void numbers_read_back_the_same(void)
{
	uint64_t state = 88172645463325252u; /* xorshift: any bit patterns */
	for (int i = 0; i < 20000; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		uint32_t bits = (uint32_t)state;
		float single;
		double wide;
		memcpy(&single, &bits, sizeof single);
		memcpy(&wide, &state, sizeof wide);
		if (isfinite(single))
			CHECK(strtof(number(single, 0, true), NULL) == single);
		if (isfinite(wide))
			CHECK(strtod(number(0, wide, false), NULL) == wide);
	}
}

static void too_deep_is_an_error_not_a_crash(void)
{
	struct json json;
	char *text = NULL;
	size_t len;
	json_init(&json, false);
	for (int i = 0; i < 100; i++)
		json_array(&json, NULL);
	for (int i = 0; i < 200; i++)
		json_end_array(&json);
	CHECK(json_finish(&json, &text, &len) < 0 && !text);
}

static void large_texts_grow(void)
{
	struct json json;
	json_init(&json, false);
	json_array(&json, NULL);
	for (int i = 0; i < 100000; i++)
		json_string(&json, NULL, "0123456789");
	json_end_array(&json);
	CHECK(strlen(finish(&json)) == 100000 * 14 + 1);
}

static const struct test_case cases[] = {
	CASE(structure_compact),          CASE(structure_indented),
	CASE(strings_are_escaped),        CASE(invalid_utf8_is_replaced),
	CASE(numbers_are_short),          CASE(numbers_that_json_has_not),
	CASE(numbers_read_back_the_same), CASE(too_deep_is_an_error_not_a_crash),
	CASE(large_texts_grow),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
