/* json_read.h - a strict reader of RFC 8259 for tests: is the text valid, and what is at a path. Knows nothing of json.c. */
#ifndef PIXFS_JSON_READ_H
#define PIXFS_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Each skip_* returns what follows the value, NULL where the text is not valid there. */
static const char *skip_value(const char *at);

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* RFC 3629: well-formed UTF-8; the length of the sequence, 0 where there is none. */
static size_t utf8_length(const char *at)
{
	const unsigned char *s = (const unsigned char *)at;
	if (s[0] < 0x80)
		return 1;
	size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	unsigned code = n ? s[0] & (0xffu >> (n + 1)) : 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	return !n || code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

static const char *skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (*at != '"') {
		size_t n = utf8_length(at);
		if ((unsigned char)*at < 0x20 || !n)
			return NULL;
		if (*at != '\\') {
			at += n;
		} else if (at[1] == 'u') {
			if (strspn(at + 2, "0123456789abcdefABCDEF") < 4)
				return NULL;
			at += 6;
		} else if (at[1] && strchr("\"\\/bfnrt", at[1])) {
			at += 2;
		} else {
			return NULL;
		}
	}
	return at + 1;
}

static const char *skip_number(const char *at)
{
	at += *at == '-';
	size_t whole = strspn(at, "0123456789");
	if (!whole || (*at == '0' && whole > 1))
		return NULL;
	at += whole;
	if (*at == '.') {
		size_t fraction = strspn(++at, "0123456789");
		at = fraction ? at + fraction : NULL;
	}
	if (at && (*at == 'e' || *at == 'E')) {
		at++;
		at += *at == '+' || *at == '-';
		size_t exponent = strspn(at, "0123456789");
		at = exponent ? at + exponent : NULL;
	}
	return at;
}

static const char *skip_members(const char *at, char end, bool keyed)
{
	at = skip_blank(at + 1);
	if (*at == end)
		return at + 1;
	for (;;) {
		if (keyed) {
			at = skip_string(at);
			at = at ? skip_blank(at) : NULL;
			if (!at || *at++ != ':')
				return NULL;
			at = skip_blank(at);
		}
		at = skip_value(at);
		at = at ? skip_blank(at) : NULL;
		if (!at || (*at != ',' && *at != end))
			return NULL;
		if (*at++ == end)
			return at;
		at = skip_blank(at);
	}
}

static const char *skip_value(const char *at)
{
	static const char *const words[] = {"true", "false", "null"};
	for (size_t i = 0; i < 3; i++)
		if (strncmp(at, words[i], strlen(words[i])) == 0)
			return at + strlen(words[i]);
	if (*at == '{' || *at == '[')
		return skip_members(at, *at == '{' ? '}' : ']', *at == '{');
	return *at == '"' ? skip_string(at) : skip_number(at);
}

/* One value and a newline behind it, nothing else. */
static inline bool json_is_valid(const char *text, size_t len)
{
	const char *end = strlen(text) == len ? skip_value(text) : NULL;
	return end && strcmp(end, "\n") == 0;
}

/* The value of an object's key, NULL where there is none. */
static inline const char *json_member(const char *object, const char *key)
{
	const char *at = object ? skip_blank(object + 1) : NULL;
	if (!object || *object != '{' || *at == '}')
		return NULL;
	for (;;) {
		const char *end = skip_string(at), *value = skip_blank(skip_blank(end) + 1);
		if ((size_t)(end - at) == strlen(key) + 2 && strncmp(at + 1, key, strlen(key)) == 0)
			return value;
		at = skip_blank(skip_value(value));
		if (*at != ',')
			return NULL;
		at = skip_blank(at + 1);
	}
}

/* Whether the value at path ("color.gamma") is written like this. */
static inline bool json_says(const char *text, const char *path, const char *expected)
{
	char key[256];
	while (text && *path) {
		size_t n = strcspn(path, ".");
		memcpy(key, path, n);
		key[n] = 0;
		text = json_member(text, key);
		path += n + (path[n] == '.');
	}
	const char *end = text ? skip_value(text) : NULL;
	return end && (size_t)(end - text) == strlen(expected) && strncmp(text, expected, strlen(expected)) == 0;
}

/* How often the object has the key. */
static inline unsigned json_count(const char *object, const char *key)
{
	unsigned count = 0;
	const char *at = object && *object == '{' ? skip_blank(object + 1) : NULL;
	while (at && *at == '"') {
		const char *end = skip_string(at);
		count += (size_t)(end - at) == strlen(key) + 2 && strncmp(at + 1, key, strlen(key)) == 0;
		at = skip_blank(skip_value(skip_blank(skip_blank(end) + 1)));
		at = *at == ',' ? skip_blank(at + 1) : NULL;
	}
	return count;
}

#endif
