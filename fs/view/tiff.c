/* tiff.c - see tiff.h. Sections are those of the TIFF 6.0 specification; BigTIFF is the Aware Systems / libtiff design. */
#include "tiff.h"

#include <string.h>

enum { SAMPLES_ALIGN = 16, MAX_ENTRIES = 16 };

/* Field types, section 2. */
enum { TYPE_SHORT = 3, TYPE_LONG = 4, TYPE_RATIONAL = 5, TYPE_LONG8 = 16 };

/* A header being written; at NULL it is only measured. */
struct writer {
	unsigned char *at;
	bool big;
	size_t directory; /* where the next entry goes */
	size_t heap;      /* where the next value that doesn't fit its entry goes */
};

static uint64_t samples_bytes(const struct tiff *tiff)
{
	return (uint64_t)tiff->width * tiff->height * tiff->channels * sample_size_bytes(tiff->type);
}

static void put(const struct writer *writer, size_t offset, uint64_t value, unsigned size)
{
	for (unsigned i = 0; writer->at && i < size; i++)
		writer->at[offset + i] = (unsigned char)(value >> (8 * i));
}

static unsigned type_bytes(unsigned type)
{
	return type == TYPE_SHORT ? 2 : type == TYPE_LONG ? 4 : 8;
}

/* One entry of the directory; its count values start at the offset that is returned, in the entry itself where they fit. */
static size_t add_entry(struct writer *writer, unsigned tag, unsigned type, uint64_t count)
{
	size_t inline_bytes = writer->big ? 8 : 4, bytes = (size_t)count * type_bytes(type);
	size_t entry = writer->directory, value = entry + (writer->big ? 12 : 8);
	put(writer, entry, tag, 2);
	put(writer, entry + 2, type, 2);
	put(writer, entry + 4, count, writer->big ? 8 : 4);
	writer->directory += writer->big ? 20 : 12;
	if (bytes <= inline_bytes)
		return value;
	size_t heap = (writer->heap + 7) / 8 * 8;
	put(writer, value, heap, (unsigned)inline_bytes);
	writer->heap = heap + bytes;
	return heap;
}

static void add_one(struct writer *writer, unsigned tag, unsigned type, uint64_t value)
{
	put(writer, add_entry(writer, tag, type, 1), value, type_bytes(type));
}

static void add_shorts(struct writer *writer, unsigned tag, uint64_t count, unsigned value)
{
	size_t at = add_entry(writer, tag, TYPE_SHORT, count);
	for (uint64_t i = 0; i < count; i++)
		put(writer, at + (size_t)i * 2, value, 2);
}

static void add_ratio(struct writer *writer, unsigned tag, uint32_t numerator)
{
	size_t at = add_entry(writer, tag, TYPE_RATIONAL, 1);
	put(writer, at, numerator, 4);
	put(writer, at + 4, 1, 4);
}

/* Section 18, tag 338: 1 is associated alpha, 2 unassociated, 0 unspecified data. */
static void add_extra_samples(struct writer *writer, const struct tiff *tiff)
{
	uint32_t plain = tiff->photometric == TIFF_GRAY ? 1 : tiff->photometric == TIFF_RGB ? 3 : 4;
	if (tiff->channels <= plain)
		return;
	size_t at = add_entry(writer, 338, TYPE_SHORT, tiff->channels - plain);
	for (uint32_t i = plain; i < tiff->channels; i++)
		put(writer, at + (size_t)(i - plain) * 2, i != tiff->alpha ? 0 : tiff->premultiplied ? 1 : 2, 2);
}

/* Writes or measures the header whose samples start at `start`; returns its length. Entries stand in the order of their tags. */
static size_t write_header(const struct tiff *tiff, bool big, uint64_t start, unsigned char *at)
{
	struct writer writer = {at, big, big ? 24 : 10, 0};
	uint64_t strips = tiff->planar ? tiff->channels : 1, strip_bytes = samples_bytes(tiff) / strips;
	unsigned entries = tiff->channels > (tiff->photometric == TIFF_GRAY  ? 1u
					     : tiff->photometric == TIFF_RGB ? 3u
									     : 4u)
				   ? 15
				   : 14;
	unsigned offset_type = big ? TYPE_LONG8 : TYPE_LONG;
	writer.heap = writer.directory + entries * (big ? 20u : 12u) + (big ? 8 : 4);
	put(&writer, 0, 0x4949, 2); /* "II": little-endian */
	put(&writer, 2, big ? 43 : 42, 2);
	put(&writer, 4, 8, big ? 2 : 4); /* BigTIFF: an offset has 8 bytes; else the directory lies at 8 */
	put(&writer, 8, big ? 16 : entries, big ? 8 : 2);
	if (big)
		put(&writer, 16, entries, 8);
	add_one(&writer, 256, TYPE_LONG, tiff->width);
	add_one(&writer, 257, TYPE_LONG, tiff->height);
	add_shorts(&writer, 258, tiff->channels, 8 * sample_size_bytes(tiff->type));
	add_one(&writer, 259, TYPE_SHORT, 1); /* no compression */
	add_one(&writer, 262, TYPE_SHORT, tiff->photometric);
	size_t offsets = add_entry(&writer, 273, offset_type, strips);
	add_one(&writer, 277, TYPE_SHORT, tiff->channels);
	add_one(&writer, 278, TYPE_LONG, tiff->height); /* rows of a strip */
	size_t counts = add_entry(&writer, 279, offset_type, strips);
	add_ratio(&writer, 282, 1);
	add_ratio(&writer, 283, 1);
	add_one(&writer, 284, TYPE_SHORT, tiff->planar ? 2 : 1);
	add_one(&writer, 296, TYPE_SHORT, 1); /* the resolution has no unit: the pixels are square */
	add_extra_samples(&writer, tiff);
	add_shorts(&writer, 339, tiff->channels, tiff->type == SAMPLE_F16 || tiff->type == SAMPLE_F32 ? 3 : 1);
	put(&writer, writer.directory, 0, big ? 8 : 4); /* no further directory */
	for (uint64_t i = 0; i < strips; i++) {
		put(&writer, offsets + (size_t)i * type_bytes(offset_type), start + i * strip_bytes, type_bytes(offset_type));
		put(&writer, counts + (size_t)i * type_bytes(offset_type), strip_bytes, type_bytes(offset_type));
	}
	return (writer.heap + SAMPLES_ALIGN - 1) / SAMPLES_ALIGN * SAMPLES_ALIGN;
}

static bool is_big(const struct tiff *tiff)
{
	return samples_bytes(tiff) + write_header(tiff, false, 0, NULL) > UINT32_MAX;
}

size_t tiff_header_bytes(const struct tiff *tiff)
{
	return write_header(tiff, is_big(tiff), 0, NULL);
}

void tiff_header(const struct tiff *tiff, unsigned char *header)
{
	size_t len = tiff_header_bytes(tiff);
	memset(header, 0, len);
	write_header(tiff, is_big(tiff), len, header);
}
