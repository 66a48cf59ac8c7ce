/* json_fuzz.c - any sequence of calls to the JSON writer: the text is valid JSON, says what the calls said, and is the same in
 * one line and indented. An input is a list of calls, each a byte that chooses it and what it takes as operands. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/json.h"
#include "../unit/json_read.h"

enum { MAX_STRING_BYTES = 31, MAX_TOKEN_BYTES = 64, DEEPEST = 63, MAX_SCOPES = 80 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ---- the input ---- */

struct input {
	const uint8_t *at, *end;
};

static uint8_t next_byte(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static uint64_t next_bits(struct input *input, size_t len_bytes)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < len_bytes; i++)
		bits = bits << 8 | next_byte(input);
	return bits;
}

/* Any bytes with a NUL behind; returns how many. */
static size_t next_string(struct input *input, char text[MAX_STRING_BYTES + 1])
{
	size_t len = next_byte(input) % (MAX_STRING_BYTES + 1u);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)next_byte(input);
	text[len] = 0;
	return len;
}

/* ---- what was written last ---- */

/* The text that a scalar's call put at the end, without the key: scalars other than strings hold no blank or bracket. */
static void last_token(const struct json *json, char token[MAX_TOKEN_BYTES])
{
	size_t n = 0;
	while (n < json->len_bytes && !strchr(" \n[{", json->text[json->len_bytes - 1 - n]))
		n++;
	require(n > 0 && n < MAX_TOKEN_BYTES);
	memcpy(token, json->text + json->len_bytes - n, n);
	token[n] = 0;
}

static void require_token(const struct json *json, const char *expected)
{
	char token[MAX_TOKEN_BYTES];
	last_token(json, token);
	require(strcmp(token, expected) == 0);
}

static const char *special_name(double value)
{
	return isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

/* Takes one code point off a JSON string's inside and puts its UTF-8 to dst; returns how many bytes that are. The writer
 * escapes control characters, U+2028 and U+2029 alone. */
static size_t unescape(const char **at, char *dst)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t n = utf8_length(*at);
	if ((*at)[0] != '\\') {
		memcpy(dst, *at, n);
	} else if ((*at)[1] == 'u') {
		char digits[5] = {0};
		memcpy(digits, *at + 2, 4);
		unsigned long code = strtoul(digits, NULL, 16);
		*at += 6;
		if (code < 0x80) {
			dst[0] = (char)code;
			return 1;
		}
		require(code < 0xa0 || code == 0x2028 || code == 0x2029);
		memcpy(dst, code < 0xa0 ? "\xc2" : "\xe2\x80", code < 0xa0 ? 1 : 2);
		dst[code < 0xa0 ? 1 : 2] = (char)(0x80 | (code & 0x3f));
		return code < 0xa0 ? 2 : 3;
	} else {
		dst[0] = to[strchr(from, (*at)[1]) - from];
		*at += 1;
	}
	*at += n;
	return n;
}

/* quoted, up to the end of the text so far, is one JSON string that shows text: each byte of ill-formed UTF-8 as U+FFFD. */
static void require_shows(const char *quoted, size_t quoted_len, const char *text, size_t len)
{
	char *copy = malloc(quoted_len + 1);
	require(copy != NULL);
	memcpy(copy, quoted, quoted_len);
	copy[quoted_len] = 0;
	require(skip_string(copy) == copy + quoted_len);
	const char *at = copy + 1;
	for (size_t i = 0; i < len;) {
		char got[4];
		size_t well_formed = utf8_length(text + i), n = unescape(&at, got);
		const char *expected = well_formed ? text + i : "\xef\xbf\xbd";
		require(n == (well_formed ? well_formed : 3) && memcmp(got, expected, n) == 0);
		i += well_formed ? well_formed : 1;
	}
	require(at == copy + quoted_len - 1);
	free(copy);
}

/* ---- calls ---- */

struct run {
	struct json json;
	struct input input;
	bool is_object[MAX_SCOPES]; /* of the scopes that are open */
	unsigned depth;
	bool too_deep;
};

static void call_string(struct run *run, const char *key)
{
	char text[MAX_STRING_BYTES + 1];
	size_t len = next_string(&run->input, text);
	bool counted = next_byte(&run->input) & 1;
	if (counted)
		json_string_n(&run->json, key, text, len);
	else
		json_string(&run->json, key, text);
	len = counted ? len : strlen(text);
	/* where it starts is told by the same string in an empty text: */
	struct json alone;
	json_init(&alone, true);
	json_string_n(&alone, NULL, text, len);
	require(alone.len_bytes <= run->json.len_bytes);
	const char *quoted = run->json.text + run->json.len_bytes - alone.len_bytes;
	require(quoted == run->json.text || strchr(" [", quoted[-1]));
	require_shows(quoted, alone.len_bytes, text, len);
	json_discard(&alone);
}

static void call_integer(struct run *run, const char *key, bool is_signed)
{
	uint64_t bits = next_bits(&run->input, 8);
	char expected[MAX_TOKEN_BYTES];
	if (is_signed) {
		json_int(&run->json, key, (int64_t)bits);
		snprintf(expected, sizeof expected, "%lld", (long long)bits);
	} else {
		json_uint(&run->json, key, bits);
		snprintf(expected, sizeof expected, "%llu", (unsigned long long)bits);
	}
	require_token(&run->json, expected);
}

static void call_float(struct run *run, const char *key)
{
	uint32_t bits = (uint32_t)next_bits(&run->input, sizeof bits);
	char token[MAX_TOKEN_BYTES];
	float value, back;
	memcpy(&value, &bits, sizeof value);
	json_float(&run->json, key, value);
	last_token(&run->json, token);
	back = strtof(token, NULL);
	if (isfinite(value))
		require(memcmp(&back, &value, sizeof value) == 0 && strpbrk(token, ".e"));
	else
		require(strcmp(token, special_name((double)value)) == 0);
}

static void call_double(struct run *run, const char *key)
{
	uint64_t bits = next_bits(&run->input, sizeof bits);
	char token[MAX_TOKEN_BYTES];
	double value, back;
	memcpy(&value, &bits, sizeof value);
	json_double(&run->json, key, value);
	last_token(&run->json, token);
	back = strtod(token, NULL);
	if (isfinite(value))
		require(memcmp(&back, &value, sizeof value) == 0 && strpbrk(token, ".e"));
	else
		require(strcmp(token, special_name(value)) == 0);
}

static void call_word(struct run *run, const char *key)
{
	switch (next_byte(&run->input) % 4) {
	case 0:
		json_bool(&run->json, key, true);
		return require_token(&run->json, "true");
	case 1:
		json_bool(&run->json, key, false);
		return require_token(&run->json, "false");
	case 2:
		json_null(&run->json, key);
		return require_token(&run->json, "null");
	default:
		json_string(&run->json, key, NULL);
		return require_token(&run->json, "null");
	}
}

static void call_open(struct run *run, const char *key, bool is_object)
{
	if (is_object)
		json_object(&run->json, key);
	else
		json_array(&run->json, key);
	run->too_deep |= run->depth == DEEPEST;
	require(run->json.failed == run->too_deep);
	run->is_object[run->depth++] = is_object;
}

static void call_close(struct run *run)
{
	if (run->is_object[--run->depth])
		json_end_object(&run->json);
	else
		json_end_array(&run->json);
}

/* A value of any kind; with a key where it stands in an object. */
static void call_value(struct run *run, unsigned kind)
{
	char text[MAX_STRING_BYTES + 1], *key = NULL;
	if (run->depth > 0 && run->is_object[run->depth - 1]) {
		next_string(&run->input, text);
		key = text;
	}
	switch (kind) {
	case 0:
	case 1:
		return call_open(run, key, kind == 0);
	case 2:
		return call_string(run, key);
	case 3:
	case 4:
		return call_integer(run, key, kind == 3);
	case 5:
		return call_float(run, key);
	case 6:
		return call_double(run, key);
	default:
		return call_word(run, key);
	}
}

/* ---- whole texts ---- */

/* One value with all that is in it: the input's calls, then the ends that are missing. NULL where it went too deep. */
static char *write_text(const uint8_t *data, size_t len_bytes, bool compact, size_t *ret_len_bytes)
{
	struct run run = {.input = {data, data + len_bytes}};
	char *text = NULL;
	json_init(&run.json, compact);
	do {
		unsigned call = next_byte(&run.input) % 10u;
		if (call < 8)
			call_value(&run, call);
		else if (run.depth > 0)
			call_close(&run);
		else
			json_null(&run.json, NULL);
	} while (run.depth > 0 && !run.too_deep && run.input.at < run.input.end);
	while (run.depth > 0)
		call_close(&run);
	json_end_array(&run.json); /* one too many is ignored */
	int rc = json_finish(&run.json, &text, ret_len_bytes);
	require(rc == (run.too_deep ? -ENOMEM : 0) && (rc == 0) == (text != NULL));
	return text;
}

/* Takes blanks and line ends out, but not those within strings. */
static void strip_blanks(char *text)
{
	char *to = text;
	bool quoted = false;
	for (const char *at = text; *at; at++) {
		quoted ^= *at == '"';
		if (quoted || !strchr(" \n", *at))
			*to++ = *at;
		if (quoted && *at == '\\')
			*to++ = *++at;
	}
	*to = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	size_t line_len = 0, lines_len = 0;
	char *line = write_text(data, len_bytes, true, &line_len), *lines = write_text(data, len_bytes, false, &lines_len);
	require((line == NULL) == (lines == NULL));
	if (line && lines) {
		require(json_is_valid(line, line_len) && json_is_valid(lines, lines_len));
		require(strchr(line, '\n') == line + line_len - 1);
		strip_blanks(line);
		strip_blanks(lines);
		require(strcmp(line, lines) == 0);
	}
	free(line);
	free(lines);
	return 0;
}
