/* meta_attributes.c - the header's attributes as JSON: group by group, sorted by name. */
#include "meta_attributes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEX_BYTES = 64, MOST_BYTES = 4 << 20, MOST_SIZES_BYTES = 1 << 20, SHORT_COUNT = 4096 };

static void put_bytes(struct json *json, const char *key, const struct codec_attribute *attribute)
{
	const unsigned char *bytes = attribute->bytes;
	char hex[2 * MAX_HEX_BYTES + 1] = "";
	json_object(json, key);
	json_uint(json, "nbytes", attribute->count);
	for (size_t i = 0; attribute->count <= MAX_HEX_BYTES && i < attribute->count; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	if (attribute->count <= MAX_HEX_BYTES)
		json_string(json, "hex", hex);
	json_end_object(json);
}

static void put_element(struct json *json, const char *key, const struct codec_attribute *attribute, size_t i)
{
	switch ((enum codec_attribute_type)attribute->type) {
	case ATTRIBUTE_TEXTS:
		json_string(json, key, attribute->texts[i]);
		break;
	case ATTRIBUTE_INTS:
		json_int(json, key, attribute->ints[i]);
		break;
	case ATTRIBUTE_BOOL:
		json_bool(json, key, attribute->ints[0] != 0);
		break;
	case ATTRIBUTE_FLOATS:
		json_float(json, key, attribute->floats[i]);
		break;
	case ATTRIBUTE_DOUBLES:
		json_double(json, key, attribute->doubles[i]);
		break;
	case ATTRIBUTE_TEXT:
		json_string_n(json, key, attribute->text, attribute->count);
		break;
	case ATTRIBUTE_BYTES:
		put_bytes(json, key, attribute);
		break;
	}
}

static void put_attribute(struct json *json, const char *key, const struct codec_attribute *attribute)
{
	bool whole = attribute->type == ATTRIBUTE_TEXT || attribute->type == ATTRIBUTE_BYTES || attribute->type == ATTRIBUTE_BOOL;
	bool scalar = attribute->count == 1 && !attribute->list && attribute->type != ATTRIBUTE_TEXTS;
	if (whole || scalar) {
		put_element(json, key, attribute, 0);
		return;
	}
	json_array(json, key);
	for (size_t i = 0; i < attribute->count && !json->over; i++)
		put_element(json, NULL, attribute, i);
	json_end_array(json);
}

/* What may still be written: of attributes, of sizes instead of them, and in vain of what turned out to be too long. */
struct room {
	size_t left_bytes, left_sizes_bytes, left_vain_bytes;
	size_t ncut;
};

/* An attribute that is too long for what is left is told by its size alone, or not at all. */
static void put_bounded(struct json *json, const char *key, const struct codec_attribute *attribute, struct room *room)
{
	struct json_mark mark;
	size_t before = json->len_bytes;
	bool is_short = attribute->count <= SHORT_COUNT && attribute->type != ATTRIBUTE_TEXTS;
	size_t most_bytes = is_short || room->left_bytes < room->left_vain_bytes ? room->left_bytes : room->left_vain_bytes;
	json_limit(json, most_bytes, &mark);
	put_attribute(json, key, attribute);
	if (json_end_limit(json, &mark)) {
		room->left_bytes -= json->len_bytes - before;
		return;
	}
	room->ncut++;
	if (!is_short)
		room->left_vain_bytes -= most_bytes;
	json_limit(json, room->left_sizes_bytes, &mark);
	json_object(json, key);
	json_uint(json, attribute->type == ATTRIBUTE_TEXT || attribute->type == ATTRIBUTE_BYTES ? "nbytes" : "count",
		  attribute->count);
	json_end_object(json);
	if (json_end_limit(json, &mark))
		room->left_sizes_bytes -= json->len_bytes - before;
}

struct named {
	const struct codec_attribute *attribute;
	char *key; /* the name as JSON shows it: two that differ in invalid UTF-8 only are the same */
};

static int compare_keys(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = strcmp(a->attribute->group, b->attribute->group);
	return order ? order : strcmp(a->key, b->key);
}

/* By group, then key, then the file's order: attributes of one name stand behind each other. */
static int compare_attributes(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = compare_keys(a, b);
	return order ? order : (a->attribute > b->attribute) - (a->attribute < b->attribute);
}

/* A key that no attribute of the group has: "name (2)", or the next number that is free. NULL: no memory. */
static char *free_key(const struct named *sorted, size_t count, const struct named *of, unsigned *number)
{
	struct named candidate = *of;
	while (asprintf(&candidate.key, "%s (%u)", of->key, (*number)++) >= 0) {
		if (!bsearch(&candidate, sorted, count, sizeof *sorted, compare_keys))
			return candidate.key;
		free(candidate.key);
	}
	return NULL;
}

static size_t put_sorted(struct json *json, const struct named *sorted, size_t count)
{
	struct room room = {MOST_BYTES, MOST_SIZES_BYTES, MOST_BYTES, 0};
	unsigned number = 2;
	for (size_t i = 0; i < count; i++) {
		bool new_group = i == 0 || strcmp(sorted[i].attribute->group, sorted[i - 1].attribute->group) != 0;
		if (new_group && i > 0)
			json_end_object(json);
		if (new_group)
			json_object(json, sorted[i].attribute->group);
		if (i == 0 || compare_keys(&sorted[i], &sorted[i - 1]) != 0) {
			put_bounded(json, sorted[i].key, sorted[i].attribute, &room);
			number = 2;
			continue;
		}
		char *key = free_key(sorted, count, &sorted[i], &number);
		json->failed |= !key;
		if (key)
			put_bounded(json, key, sorted[i].attribute, &room);
		free(key);
	}
	if (count)
		json_end_object(json);
	return room.ncut;
}

size_t meta_put_attributes(struct json *json, const struct codec_part *part)
{
	size_t count = part->nattributes, n = 0, ncut = 0;
	struct named *named = calloc(count + 1, sizeof *named);
	json_object(json, "attributes");
	for (; named && n < count; n++) {
		named[n].attribute = &part->attributes[n];
		named[n].key = json_visible(part->attributes[n].name);
		if (!named[n].key)
			break;
	}
	if (n == count) {
		qsort(named, count, sizeof *named, compare_attributes);
		ncut = put_sorted(json, named, count);
	}
	json->failed |= !named || n < count;
	json_end_object(json);
	for (size_t i = 0; i < n; i++)
		free(named[i].key);
	free(named);
	return ncut;
}
