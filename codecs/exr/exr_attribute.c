/* exr_attribute.c - the value of one header attribute as a struct codec_attribute ("Predefined Attribute Types" of the
 * layout document). Values are told as stored; enumerations by their names. A type that is not known, or a value that its
 * type doesn't allow, is told as bytes. Nothing here can fail an image. */
#include "exr.h"

#include <stdio.h>
#include <string.h>

static const char group[] = "openexr";

enum kind { KIND_INT, KIND_UINT, KIND_FLOAT, KIND_DOUBLE };

/* The types that are an array of numbers. */
static const struct numbers {
	const char *type;
	uint8_t kind, count; /* count 0: as many as there are, a list */
} number_types[] = {
	{"box2i", KIND_INT, 4},     {"box2f", KIND_FLOAT, 4}, {"chromaticities", KIND_FLOAT, 8},
	{"double", KIND_DOUBLE, 1}, {"float", KIND_FLOAT, 1}, {"floatvector", KIND_FLOAT, 0},
	{"int", KIND_INT, 1},       {"keycode", KIND_INT, 7}, {"m33f", KIND_FLOAT, 9},
	{"m33d", KIND_DOUBLE, 9},   {"m44f", KIND_FLOAT, 16}, {"m44d", KIND_DOUBLE, 16},
	{"timecode", KIND_UINT, 2}, {"v2i", KIND_INT, 2},     {"v2f", KIND_FLOAT, 2},
	{"v2d", KIND_DOUBLE, 2},    {"v3i", KIND_INT, 3},     {"v3f", KIND_FLOAT, 3},
	{"v3d", KIND_DOUBLE, 3},
};

/* The types that are one byte with named values. */
static const struct names {
	const char *type;
	const char *values[12];
} name_types[] = {
	{"compression", {"none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab"}},
	{"envmap", {"latlong", "cube"}},
	{"lineOrder", {"increasing", "decreasing", "random"}},
	{"deepImageState", {"messy", "sorted", "non-overlapping", "tidy"}},
};

static int32_t int_at(const uint8_t *value)
{
	int32_t number;
	memcpy(&number, value, sizeof number);
	return number;
}

static uint32_t uint_at(const uint8_t *value)
{
	return (uint32_t)int_at(value);
}

/* Few enough to be copied through the stack, which also aligns them; a floatvector goes straight from value. */
static bool add_numbers(struct header_builder *builder, const char *name, const struct numbers *numbers, const uint8_t *value,
			size_t len_bytes)
{
	size_t size = numbers->kind == KIND_DOUBLE ? 8 : 4;
	if (numbers->count ? len_bytes != numbers->count * size : len_bytes % size != 0)
		return false;
	if (!numbers->count) {
		header_add_floats(builder, group, name, (const float *)(const void *)value, len_bytes / size);
		header_set_list(builder);
		return true;
	}
	int64_t ints[16];
	float floats[16];
	double doubles[16];
	for (unsigned i = 0; i < numbers->count && size == 4; i++)
		ints[i] = numbers->kind == KIND_UINT ? (int64_t)uint_at(value + 4 * i) : int_at(value + 4 * i);
	if (numbers->kind == KIND_DOUBLE) {
		memcpy(doubles, value, len_bytes);
		header_add_doubles(builder, group, name, doubles, numbers->count);
	} else if (numbers->kind == KIND_FLOAT) {
		memcpy(floats, value, len_bytes);
		header_add_floats(builder, group, name, floats, numbers->count);
	} else {
		header_add_ints(builder, group, name, ints, numbers->count);
	}
	return true;
}

static bool add_name(struct header_builder *builder, const char *name, const struct names *names, const uint8_t *value,
		     size_t len_bytes)
{
	if (len_bytes != 1)
		return false;
	if (value[0] < 12 && names->values[value[0]])
		header_add_text(builder, group, name, names->values[value[0]]);
	else
		header_add_int(builder, group, name, value[0]);
	return true;
}

/* rational: an int and an unsigned int. */
static bool add_rational(struct header_builder *builder, const char *name, const uint8_t *value, size_t len_bytes)
{
	if (len_bytes != 8)
		return false;
	int64_t ints[2] = {int_at(value), uint_at(value + 4)};
	header_add_ints(builder, group, name, ints, 2);
	return true;
}

/* tiledesc: width, height, level mode in the low and rounding mode in the high four bits of a byte. */
static bool add_tiledesc(struct header_builder *builder, const char *name, const uint8_t *value, size_t len_bytes)
{
	static const char *const modes[] = {"one level", "mipmap", "ripmap"};
	if (len_bytes != 9 || (value[8] & 15) > 2 || value[8] >> 4 > 1)
		return false;
	char text[80];
	snprintf(text, sizeof text, "%u x %u, %s, round %s", uint_at(value), uint_at(value + 4), modes[value[8] & 15],
		 value[8] >> 4 ? "up" : "down");
	header_add_text(builder, group, name, text);
	return true;
}

/* stringvector: for each string an int, its length, and its bytes. */
static bool add_strings(struct header_builder *builder, const char *name, const uint8_t *value, size_t len_bytes)
{
	enum { MAX_STRINGS = 4096 };
	const char *texts[64], **all = texts;
	size_t count = 0;
	for (size_t at = 0; at < len_bytes; count++) {
		if (len_bytes - at < 4 || uint_at(value + at) > len_bytes - at - 4 || count == MAX_STRINGS)
			return false;
		at += 4 + uint_at(value + at);
	}
	if (count > 64)
		all = arena_alloc(builder->arena, count, sizeof *all);
	size_t n = 0;
	for (size_t at = 0; all && n < count; n++) {
		uint32_t len = uint_at(value + at);
		char *copy = arena_copy(builder->arena, value + at + 4, len);
		if (!copy)
			return false;
		all[n] = copy;
		at += 4 + len;
	}
	if (!all)
		return false;
	header_add_texts(builder, group, name, all, count);
	return true;
}

/* preview: width, height, then 8-bit R, G, B, A. The pixels become attributes/preview.rgba. */
static bool add_preview(struct header_builder *builder, const char *name, const uint8_t *value, size_t len_bytes, uint32_t part)
{
	if (len_bytes < 8 || (uint64_t)uint_at(value) * uint_at(value + 4) != (len_bytes - 8) / 4 || len_bytes % 4)
		return false;
	int64_t size[2] = {uint_at(value), uint_at(value + 4)};
	header_add_ints(builder, group, name, size, 2);
	char blob[32] = "preview.rgba";
	if (part)
		snprintf(blob, sizeof blob, "preview.%u.rgba", part);
	char *kept = arena_strdup(builder->arena, blob);
	if (kept)
		header_add_blob(builder, kept, value + 8, len_bytes - 8);
	return true;
}

/* idmanifest: compressed names of object ids; told as bytes, and whole as attributes/idmanifest.bin. */
static bool add_idmanifest(struct header_builder *builder, const uint8_t *value, size_t len_bytes, uint32_t part)
{
	char blob[32] = "idmanifest.bin";
	if (part)
		snprintf(blob, sizeof blob, "idmanifest.%u.bin", part);
	char *kept = arena_strdup(builder->arena, blob);
	if (kept)
		header_add_blob(builder, kept, value, len_bytes);
	return false;
}

/* chlist: name and NUL, then int pixel type, byte pLinear, three unused, int x and y sampling; an empty name ends it.
 * Told as "R half", "RY half 2x2", "Z float linear". */
static bool add_channels(struct header_builder *builder, const char *name, const uint8_t *value, size_t len_bytes)
{
	static const char *const types[] = {"uint", "half", "float"};
	const char *texts[CODEC_MAX_CHANNELS];
	size_t count = 0;
	for (size_t at = 0; at < len_bytes && value[at];) {
		size_t len = strnlen((const char *)value + at, len_bytes - at);
		const uint8_t *fields = value + at + len + 1;
		if (len_bytes - at < len + 17 || uint_at(fields) > 2 || count == CODEC_MAX_CHANNELS)
			return false;
		int32_t x = int_at(fields + 8), y = int_at(fields + 12);
		char sampling[32] = "", text[360];
		if (x != 1 || y != 1)
			snprintf(sampling, sizeof sampling, " %dx%d", x, y);
		snprintf(text, sizeof text, "%.*s %s%s%s", len > 255 ? 255 : (int)len, (const char *)value + at,
			 types[uint_at(fields)], sampling, fields[4] ? " linear" : "");
		texts[count] = arena_strdup(builder->arena, text);
		if (!texts[count++])
			return false;
		at += len + 17;
	}
	header_add_texts(builder, group, name, texts, count);
	return true;
}

static bool add_value(struct header_builder *builder, const char *name, const char *type, const uint8_t *value, size_t len_bytes,
		      uint32_t part)
{
	for (size_t i = 0; i < sizeof number_types / sizeof *number_types; i++)
		if (strcmp(type, number_types[i].type) == 0)
			return add_numbers(builder, name, &number_types[i], value, len_bytes);
	for (size_t i = 0; i < sizeof name_types / sizeof *name_types; i++)
		if (strcmp(type, name_types[i].type) == 0)
			return add_name(builder, name, &name_types[i], value, len_bytes);
	if (strcmp(type, "string") == 0) {
		header_add_text_n(builder, group, name, (const char *)value, len_bytes);
		return true;
	}
	if (strcmp(type, "stringvector") == 0)
		return add_strings(builder, name, value, len_bytes);
	if (strcmp(type, "rational") == 0)
		return add_rational(builder, name, value, len_bytes);
	if (strcmp(type, "tiledesc") == 0)
		return add_tiledesc(builder, name, value, len_bytes);
	if (strcmp(type, "chlist") == 0)
		return add_channels(builder, name, value, len_bytes);
	if (strcmp(type, "preview") == 0)
		return add_preview(builder, name, value, len_bytes, part);
	return strcmp(type, "idmanifest") == 0 && add_idmanifest(builder, value, len_bytes, part);
}

void exr_attribute_add(struct header_builder *builder, const char *name, const char *type, const uint8_t *value, size_t len_bytes,
		       uint32_t part)
{
	if (!add_value(builder, name, type, value, len_bytes, part))
		header_add_bytes(builder, group, name, value, len_bytes);
}
