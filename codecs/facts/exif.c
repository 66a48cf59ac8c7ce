/* exif.c - see exif.h. A bounded reader of the TIFF structure; libexif gives the names of the tags.
 *
 * libexif's own loader isn't used: it decodes MakerNotes whatever its options say, cuts a block at 64 KiB (PNG allows more),
 * and drops entries that lie out of bounds without telling.
 *
 * Sources: TIFF 6.0 section 2 (header, IFD, types); Exif 2.32 sections 4.5 and 4.6 (tags), DCF 2.0 (Adobe RGB).
 * Invariant: at most one IFD of each kind is read, MAX_ENTRIES entries in all, and no offset is used before span() took it.
 */
#include "exif.h"

#include <errno.h>
#include <inttypes.h>
#include <libexif/exif-tag.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ENTRIES = 2048, MAX_NUMBERS = 1024, MAX_BYTE_NUMBERS = 16, ENTRY_BYTES = 12 };

enum tiff_type {
	TYPE_BYTE = 1,
	TYPE_ASCII,
	TYPE_SHORT,
	TYPE_LONG,
	TYPE_RATIONAL,
	TYPE_SBYTE,
	TYPE_UNDEFINED,
	TYPE_SSHORT,
	TYPE_SLONG,
	TYPE_SRATIONAL,
	TYPE_FLOAT,
	TYPE_DOUBLE,
	TYPE_IFD,
};

/* The IFDs of a block, in the order they are read and told. */
enum kind { KIND_MAIN, KIND_EXIF, KIND_GPS, KIND_INTEROPERABILITY, KIND_THUMBNAIL, NKINDS };

enum tag {
	TAG_INTEROPERABILITY_INDEX = 0x0001,
	TAG_INTEROPERABILITY_VERSION = 0x0002,
	TAG_ORIENTATION = 0x0112,
	TAG_X_RESOLUTION = 0x011a,
	TAG_Y_RESOLUTION = 0x011b,
	TAG_RESOLUTION_UNIT = 0x0128,
	TAG_EXIF_IFD = 0x8769,
	TAG_GPS_IFD = 0x8825,
	TAG_EXIF_VERSION = 0x9000,
	TAG_USER_COMMENT = 0x9286,
	TAG_FLASHPIX_VERSION = 0xa000,
	TAG_COLOR_SPACE = 0xa001,
	TAG_INTEROPERABILITY_IFD = 0xa005,
	TAG_GAMMA = 0xa500,
};

struct reader {
	const uint8_t *data;
	size_t len_bytes;
	bool big_endian;
	uint32_t offsets[NKINDS]; /* 0: no such IFD */
	unsigned nentries;
	unsigned nbad; /* entries of unknown type or out of bounds */
	bool damaged;
	bool adobe_rgb; /* InteroperabilityIndex "R03" */
	double x, y;    /* XResolution, YResolution as told */
	int64_t unit;   /* ResolutionUnit; 2 (inch) is its default */
	struct header_builder *builder;
	struct exif *exif;
};

struct entry {
	enum kind kind;
	uint16_t tag, type;
	uint32_t count;
	const uint8_t *value; /* count values of the type, in bounds */
	size_t len_bytes;
};

static bool span(const struct reader *reader, uint64_t offset, uint64_t len_bytes)
{
	return offset <= reader->len_bytes && len_bytes <= reader->len_bytes - offset;
}

static uint16_t get16(const struct reader *reader, const uint8_t *p)
{
	return (uint16_t)(reader->big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t get32(const struct reader *reader, const uint8_t *p)
{
	uint32_t a = get16(reader, p), b = get16(reader, p + 2);
	return reader->big_endian ? a << 16 | b : b << 16 | a;
}

static uint64_t get64(const struct reader *reader, const uint8_t *p)
{
	uint64_t a = get32(reader, p), b = get32(reader, p + 4);
	return reader->big_endian ? a << 32 | b : b << 32 | a;
}

static size_t type_bytes(unsigned type)
{
	static const uint8_t bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
	return type < sizeof bytes ? bytes[type] : 0;
}

static bool is_integer(unsigned type)
{
	return type == TYPE_BYTE || type == TYPE_SHORT || type == TYPE_LONG || type == TYPE_SBYTE || type == TYPE_SSHORT ||
	       type == TYPE_SLONG || type == TYPE_IFD || type == TYPE_UNDEFINED;
}

/* ---- values ---- */

static int64_t integer(const struct reader *reader, const struct entry *entry, size_t i)
{
	const uint8_t *p = entry->value + i * type_bytes(entry->type);
	switch (entry->type) {
	case TYPE_SHORT:
		return get16(reader, p);
	case TYPE_SSHORT:
		return (int16_t)get16(reader, p);
	case TYPE_LONG:
	case TYPE_IFD:
		return get32(reader, p);
	case TYPE_SLONG:
		return (int32_t)get32(reader, p);
	case TYPE_SBYTE:
		return (int8_t)*p;
	default:
		return *p;
	}
}

/* A rational with denominator 0 is an infinity or NaN, as the division gives it. */
static double real(const struct reader *reader, const struct entry *entry, size_t i)
{
	const uint8_t *p = entry->value + i * type_bytes(entry->type);
	uint32_t a = get32(reader, p);
	float single;
	double result;
	switch (entry->type) {
	case TYPE_RATIONAL:
		return (double)a / (double)get32(reader, p + 4);
	case TYPE_SRATIONAL:
		return (double)(int32_t)a / (double)(int32_t)get32(reader, p + 4);
	case TYPE_FLOAT:
		memcpy(&single, &a, sizeof single);
		return (double)single;
	default: {
		uint64_t bits = get64(reader, p);
		memcpy(&result, &bits, sizeof result);
		return result;
	}
	}
}

/* Numbers are read as their type has them, whatever the specification expects; 0 where there is none. */
static double number(const struct reader *reader, const struct entry *entry)
{
	if (!entry->count || entry->type == TYPE_ASCII)
		return 0;
	return is_integer(entry->type) ? (double)integer(reader, entry, 0) : real(reader, entry, 0);
}

/* ---- telling ---- */

static void entry_name(const struct entry *entry, char ret_name[64])
{
	static const ExifIfd ifds[NKINDS] = {EXIF_IFD_0, EXIF_IFD_EXIF, EXIF_IFD_GPS, EXIF_IFD_INTEROPERABILITY, EXIF_IFD_1};
	const char *prefix = entry->kind == KIND_THUMBNAIL ? "Thumbnail." : "";
	const char *name = exif_tag_get_name_in_ifd((ExifTag)entry->tag, ifds[entry->kind]);
	if (!name && entry->kind != KIND_GPS && entry->kind != KIND_INTEROPERABILITY) /* a tag of the one IFD in the other */
		name = exif_tag_get_name_in_ifd((ExifTag)entry->tag, entry->kind == KIND_EXIF ? EXIF_IFD_0 : EXIF_IFD_EXIF);
	if (name)
		snprintf(ret_name, 64, "%s%s", prefix, name);
	else
		snprintf(ret_name, 64, "%s0x%04x", prefix, entry->tag);
}

static void add_text(struct reader *reader, const char *name, const uint8_t *text, size_t len_bytes)
{
	while (len_bytes && text[len_bytes - 1] == 0)
		len_bytes--;
	header_add_text_n(reader->builder, "exif", name, (const char *)text, len_bytes);
}

/* Exif 2.32, 4.6.5: the versions are four ASCII digits in UNDEFINED; UserComment begins with the name of its character code. */
static void add_undefined(struct reader *reader, const char *name, const struct entry *entry)
{
	static const char ascii[8] = "ASCII\0\0";
	bool version = (entry->kind == KIND_EXIF && (entry->tag == TAG_EXIF_VERSION || entry->tag == TAG_FLASHPIX_VERSION)) ||
		       (entry->kind == KIND_INTEROPERABILITY && entry->tag == TAG_INTEROPERABILITY_VERSION);
	if (version)
		add_text(reader, name, entry->value, entry->len_bytes);
	else if (entry->tag == TAG_USER_COMMENT && entry->len_bytes >= 8 && memcmp(entry->value, ascii, 8) == 0)
		add_text(reader, name, entry->value + 8, entry->len_bytes - 8);
	else if (entry->count == 1)
		header_add_int(reader->builder, "exif", name, *entry->value);
	else
		header_add_bytes(reader->builder, "exif", name, entry->value, entry->len_bytes);
}

static void add_numbers(struct reader *reader, const char *name, const struct entry *entry)
{
	union {
		int64_t ints[MAX_NUMBERS];
		double doubles[MAX_NUMBERS];
	} values;
	if (entry->count > MAX_NUMBERS || (type_bytes(entry->type) == 1 && entry->count > MAX_BYTE_NUMBERS)) {
		header_add_bytes(reader->builder, "exif", name, entry->value, entry->len_bytes);
	} else if (is_integer(entry->type)) {
		for (size_t i = 0; i < entry->count; i++)
			values.ints[i] = integer(reader, entry, i);
		header_add_ints(reader->builder, "exif", name, values.ints, entry->count);
	} else {
		for (size_t i = 0; i < entry->count; i++)
			values.doubles[i] = real(reader, entry, i);
		header_add_doubles(reader->builder, "exif", name, values.doubles, entry->count);
	}
}

static void tell_entry(struct reader *reader, const struct entry *entry)
{
	char name[64];
	entry_name(entry, name);
	if (header_has(reader->builder, "exif", name)) /* the first one of a tag counts, as readers agree */
		return;
	if (entry->type == TYPE_ASCII)
		add_text(reader, name, entry->value, entry->len_bytes);
	else if (entry->type == TYPE_UNDEFINED)
		add_undefined(reader, name, entry);
	else
		add_numbers(reader, name, entry);
}

/* ---- the facts that struct exif has ---- */

static void note_pointer(struct reader *reader, const struct entry *entry, enum kind to)
{
	if (!reader->offsets[to] && entry->count && (entry->type == TYPE_LONG || entry->type == TYPE_IFD))
		reader->offsets[to] = (uint32_t)integer(reader, entry, 0);
}

static void note_main(struct reader *reader, const struct entry *entry)
{
	double value = number(reader, entry);
	switch (entry->tag) {
	case TAG_ORIENTATION:
		if (!reader->exif->orientation && value >= 1 && value <= 8 && is_integer(entry->type))
			reader->exif->orientation = (uint8_t)value;
		break;
	case TAG_X_RESOLUTION:
		reader->x = value;
		break;
	case TAG_Y_RESOLUTION:
		reader->y = value;
		break;
	case TAG_RESOLUTION_UNIT:
		reader->unit = value == 2 ? 2 : value == 3 ? 3 : 1;
		break;
	case TAG_EXIF_IFD:
		note_pointer(reader, entry, KIND_EXIF);
		break;
	case TAG_GPS_IFD:
		note_pointer(reader, entry, KIND_GPS);
		break;
	default:
		break;
	}
}

static void note_exif(struct reader *reader, const struct entry *entry)
{
	double value = number(reader, entry);
	if (entry->tag == TAG_COLOR_SPACE && !reader->exif->color_space)
		reader->exif->color_space = value == 1 ? EXIF_COLOR_SRGB : EXIF_COLOR_UNCALIBRATED;
	else if (entry->tag == TAG_GAMMA && value > 0 && value < 100)
		reader->exif->gamma = value;
	else if (entry->tag == TAG_INTEROPERABILITY_IFD)
		note_pointer(reader, entry, KIND_INTEROPERABILITY);
}

static bool is_pointer(const struct entry *entry)
{
	return entry->kind != KIND_GPS && entry->kind != KIND_INTEROPERABILITY &&
	       (entry->tag == TAG_EXIF_IFD || entry->tag == TAG_GPS_IFD || entry->tag == TAG_INTEROPERABILITY_IFD);
}

/* ---- structure ---- */

/* TIFF 6.0: tag, type, count, and the value itself where it fits in 4 bytes, else its offset. */
static bool read_entry(const struct reader *reader, enum kind kind, const uint8_t *at, struct entry *ret_entry)
{
	struct entry entry = {kind, get16(reader, at), get16(reader, at + 2), get32(reader, at + 4), at + 8, 0};
	uint64_t len_bytes = (uint64_t)entry.count * type_bytes(entry.type);
	if (!type_bytes(entry.type))
		return false;
	if (len_bytes > 4) {
		uint32_t offset = get32(reader, at + 8);
		if (!span(reader, offset, len_bytes))
			return false;
		entry.value = reader->data + offset;
	}
	entry.len_bytes = (size_t)len_bytes;
	*ret_entry = entry;
	return true;
}

static void read_ifd(struct reader *reader, enum kind kind)
{
	uint32_t offset = reader->offsets[kind];
	if (!span(reader, offset, 2)) {
		reader->damaged = true;
		return;
	}
	unsigned count = get16(reader, reader->data + offset);
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = (uint64_t)offset + 2 + (uint64_t)i * ENTRY_BYTES;
		struct entry entry;
		if (!span(reader, at, ENTRY_BYTES) || reader->nentries++ >= MAX_ENTRIES) {
			reader->damaged = true;
			return;
		}
		if (!read_entry(reader, kind, reader->data + at, &entry)) {
			reader->nbad++;
			continue;
		}
		if (kind == KIND_MAIN)
			note_main(reader, &entry);
		else if (kind == KIND_EXIF)
			note_exif(reader, &entry);
		else if (kind == KIND_INTEROPERABILITY && entry.tag == TAG_INTEROPERABILITY_INDEX)
			reader->adobe_rgb = entry.len_bytes >= 3 && memcmp(entry.value, "R03", 3) == 0;
		if (!is_pointer(&entry) && entry.count)
			tell_entry(reader, &entry);
	}
	uint64_t next = (uint64_t)offset + 2 + (uint64_t)count * ENTRY_BYTES;
	if (kind == KIND_MAIN && span(reader, next, 4))
		reader->offsets[KIND_THUMBNAIL] = get32(reader, reader->data + next);
}

/* "II" or "MM", 42, the offset of the first IFD. */
static bool read_start(struct reader *reader)
{
	static const char prefix[6] = "Exif\0";
	if (reader->len_bytes >= 6 && memcmp(reader->data, prefix, 6) == 0) {
		reader->data += 6;
		reader->len_bytes -= 6;
	}
	if (reader->len_bytes < 8 || (memcmp(reader->data, "II", 2) != 0 && memcmp(reader->data, "MM", 2) != 0))
		return false;
	reader->big_endian = reader->data[0] == 'M';
	reader->offsets[KIND_MAIN] = get32(reader, reader->data + 4);
	return get16(reader, reader->data + 2) == 42 && reader->offsets[KIND_MAIN] >= 8;
}

static void finish(const struct reader *reader)
{
	struct exif *exif = reader->exif;
	double per_metre = reader->unit == 2 ? 1 / 0.0254 : reader->unit == 3 ? 100 : 0;
	if (reader->x > 0 && reader->x < 1e9 && reader->y > 0 && reader->y < 1e9) {
		exif->resolution_x = reader->x * per_metre;
		exif->resolution_y = reader->y * per_metre;
	}
	/* DCF 2.0: the optional colour space is ColorSpace 0xffff with InteroperabilityIndex "R03" */
	if (exif->color_space == EXIF_COLOR_UNCALIBRATED && reader->adobe_rgb)
		exif->color_space = EXIF_COLOR_ADOBE_RGB;
	if (reader->damaged)
		header_warn(reader->builder, "EXIF: a directory is cut short or has too many entries: the rest was ignored");
	if (reader->nbad)
		header_warn(reader->builder, "EXIF: %u entries are damaged (type or offset): ignored", reader->nbad);
}

int exif_parse(const void *data, size_t len_bytes, struct header_builder *builder, struct exif *ret_exif)
{
	*ret_exif = (struct exif){0};
	struct reader reader = {.data = data, .len_bytes = len_bytes, .unit = 2, .builder = builder, .exif = ret_exif};
	if (!data || !read_start(&reader)) {
		header_warn(builder, "EXIF: no TIFF header: ignored");
		return -EIO;
	}
	for (enum kind kind = KIND_MAIN; kind < NKINDS; kind++)
		if (reader.offsets[kind])
			read_ifd(&reader, kind);
	finish(&reader);
	return reader.damaged || reader.nbad ? -EIO : 0;
}
