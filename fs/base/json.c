/* json.c - see json.h. RFC 8259. */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/utf8.h"

enum { MAX_DEPTH = 63, FIRST_ROOM = 1024 };

void json_init(struct json *json, bool compact)
{
	*json = (struct json){.compact = compact, .first = 1};
}

void json_discard(struct json *json)
{
	free(json->text);
	json->text = NULL;
}

static void put(struct json *json, const char *text, size_t len)
{
	if (json->limit_bytes && json->limit_bytes - json->len_bytes < len)
		json->over = true;
	if (json->failed || json->over)
		return;
	if (json->room_bytes - json->len_bytes < len) {
		size_t room = json->room_bytes ? json->room_bytes : FIRST_ROOM;
		while (room - json->len_bytes < len && room < SIZE_MAX / 2)
			room *= 2;
		char *grown = room - json->len_bytes < len ? NULL : realloc(json->text, room);
		if (!grown) {
			json->failed = true;
			return;
		}
		json->text = grown;
		json->room_bytes = room;
	}
	memcpy(json->text + json->len_bytes, text, len);
	json->len_bytes += len;
}

static void put_text(struct json *json, const char *text)
{
	put(json, text, strlen(text));
}

static void put_newline(struct json *json)
{
	put(json, "\n", 1);
	for (unsigned i = 0; i < json->depth; i++)
		put(json, "  ", 2);
}

/* ---- limits ---- */

void json_limit(struct json *json, size_t more_bytes, struct json_mark *ret_mark)
{
	*ret_mark = (struct json_mark){json->len_bytes, json->first, json->broken, json->depth};
	json->limit_bytes = json->len_bytes + more_bytes;
	json->over = more_bytes == 0;
}

bool json_end_limit(struct json *json, const struct json_mark *mark)
{
	bool fits = !json->over;
	json->limit_bytes = 0;
	json->over = false;
	if (fits)
		return true;
	json->len_bytes = mark->len_bytes;
	json->first = mark->first;
	json->broken = mark->broken;
	json->depth = mark->depth;
	return false;
}

/* ---- strings ---- */

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

char *json_visible(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = strlen(text), n = 0;
	char *visible = len < SIZE_MAX / 3 ? malloc(3 * len + 1) : NULL;
	for (size_t i = 0, step; visible && i < len; i += step) {
		size_t good = utf8_length(s + i, len - i);
		step = good ? good : 1;
		memcpy(visible + n, good ? text + i : replacement, good ? good : sizeof replacement - 1);
		n += good ? good : sizeof replacement - 1;
	}
	if (visible)
		visible[n] = 0;
	return visible;
}

/* A control character, or one that some readers take for the end of a line (U+0085, U+2028, U+2029); else -1. */
static int control_code(const unsigned char *s, size_t n)
{
	if (n == 1)
		return s[0] < 0x20 || s[0] == 0x7f ? s[0] : -1;
	if (n == 2)
		return s[0] == 0xc2 && s[1] < 0xa0 ? s[1] : -1;
	return n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8 ? 0x2000 | (s[2] & 0x3f) : -1;
}

static void put_quoted(struct json *json, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	char escape[8];
	int code;
	put(json, "\"", 1);
	for (size_t i = 0; i < len && !json->over;) {
		size_t n = utf8_length(s + i, len - i);
		if (!n)
			put_text(json, replacement);
		else if (s[i] == '"' || s[i] == '\\')
			put(json, (const char[]){'\\', (char)s[i]}, 2);
		else if (s[i] == '\n')
			put(json, "\\n", 2);
		else if (s[i] == '\t')
			put(json, "\\t", 2);
		else if ((code = control_code(s + i, n)) >= 0)
			put(json, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code));
		else
			put(json, text + i, n);
		i += n ? n : 1;
	}
	put(json, "\"", 1);
}

/* ---- structure ---- */

/* Scalars in an array stay on its line: "shape": [32, 32, 3]. */
static void begin_value(struct json *json, const char *key, bool is_scope)
{
	uint64_t bit = (uint64_t)1 << json->depth;
	bool breaks = !json->compact && json->depth > 0 && (key || is_scope);
	if (json->depth > 0 && !(json->first & bit))
		put(json, ", ", breaks ? 1 : 2);
	if (breaks) {
		put_newline(json);
		json->broken |= bit;
	}
	json->first &= ~bit;
	if (key) {
		put_quoted(json, key, strlen(key));
		put(json, ": ", 2);
	}
}

static void open_scope(struct json *json, const char *key, const char *bracket)
{
	begin_value(json, key, true);
	put_text(json, bracket);
	json->failed |= json->depth == MAX_DEPTH;
	if (json->failed)
		return;
	json->depth++;
	json->first |= (uint64_t)1 << json->depth;
	json->broken &= ~((uint64_t)1 << json->depth);
}

static void close_scope(struct json *json, const char *bracket)
{
	if (json->failed || json->depth == 0) /* failed: depth no longer counts */
		return;
	bool broken = json->broken & (uint64_t)1 << json->depth;
	json->depth--;
	if (broken)
		put_newline(json);
	put_text(json, bracket);
}

void json_object(struct json *json, const char *key)
{
	open_scope(json, key, "{");
}

void json_end_object(struct json *json)
{
	close_scope(json, "}");
}

void json_array(struct json *json, const char *key)
{
	open_scope(json, key, "[");
}

void json_end_array(struct json *json)
{
	close_scope(json, "]");
}

/* ---- values ---- */

void json_string_n(struct json *json, const char *key, const char *text, size_t len_bytes)
{
	begin_value(json, key, false);
	put_quoted(json, text, len_bytes);
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (text)
		json_string_n(json, key, text, strlen(text));
	else
		json_null(json, key);
}

void json_int(struct json *json, const char *key, int64_t value)
{
	char text[24];
	begin_value(json, key, false);
	put(json, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	char text[24];
	begin_value(json, key, false);
	put(json, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)value));
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key, false);
	put_text(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	json_literal(json, key, "null");
}

void json_literal(struct json *json, const char *key, const char *text)
{
	begin_value(json, key, false);
	put_text(json, text);
}

static bool put_special(struct json *json, double value)
{
	if (isfinite(value))
		return false;
	put_text(json, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	return true;
}

/* text is what "%.*g" gave. Whole numbers get a ".0" and no exponent below 1e15, so that they are told from integers: readers
 * such as Python's would lose the sign of -0. printf follows the locale's decimal point; pixfs never calls setlocale, so it
 * is a dot. */
static void put_number(struct json *json, const char *text, double value)
{
	char whole[32];
	if (fabs(value) < 1e15 && value == trunc(value)) {
		snprintf(whole, sizeof whole, "%.1f", value);
		text = whole;
	}
	put_text(json, text);
	if (!strpbrk(text, ".e")) /* more digits than an exponent would save: 7306357456645120 */
		put_text(json, ".0");
}

void json_float(struct json *json, const char *key, float value)
{
	char text[40];
	begin_value(json, key, false);
	if (put_special(json, (double)value))
		return;
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	put_number(json, text, (double)value);
}

void json_double(struct json *json, const char *key, double value)
{
	char text[40];
	begin_value(json, key, false);
	if (put_special(json, value))
		return;
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	put_number(json, text, value);
}

int json_finish(struct json *json, char **ret_text, size_t *ret_len_bytes)
{
	put(json, "\n", 2); /* with its NUL */
	if (json->failed) {
		json_discard(json);
		return -ENOMEM;
	}
	char *shorter = json->room_bytes / 2 > json->len_bytes ? realloc(json->text, json->len_bytes) : NULL;
	*ret_text = shorter ? shorter : json->text;
	*ret_len_bytes = json->len_bytes - 1;
	return 0;
}
