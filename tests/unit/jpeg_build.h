/* jpeg_build.h - writes JPEG files marker by marker and bit by bit (ITU-T T.81 annex B), for jpeg_test.c.
 *
 * Blocks hold a DC coefficient only, with quantiser 8: by T.81 A.3.3 such a block is flat, 128 + DC everywhere, so what a
 * decoder must give is known without a decoder. */
#ifndef PIXFS_JPEG_BUILD_H
#define PIXFS_JPEG_BUILD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct jpeg_build {
	uint8_t data[1 << 18];
	size_t len;
	unsigned bits, nbits; /* the byte under construction */
	int previous[4];      /* DC predictors */
	int standard;         /* blocks in the codes of annex K.3 instead of our own */
};

static inline void put_byte(struct jpeg_build *b, int value)
{
	if (b->len == sizeof b->data)
		abort();
	b->data[b->len++] = (uint8_t)value;
}

static inline void put_bytes(struct jpeg_build *b, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_byte(b, ((const uint8_t *)data)[i]);
}

static inline void put_u16(struct jpeg_build *b, unsigned value)
{
	put_byte(b, (int)(value >> 8 & 255));
	put_byte(b, (int)(value & 255));
}

static inline void put_u32(struct jpeg_build *b, uint32_t value)
{
	put_u16(b, value >> 16);
	put_u16(b, value & 65535);
}

static inline void put_marker(struct jpeg_build *b, int marker)
{
	put_byte(b, 0xff);
	put_byte(b, marker);
}

/* A segment: marker, length (counting itself), payload. */
static inline void put_segment(struct jpeg_build *b, int marker, const void *data, size_t len)
{
	put_marker(b, marker);
	put_u16(b, (unsigned)len + 2);
	put_bytes(b, data, len);
}

static inline void put_soi(struct jpeg_build *b)
{
	memset(b, 0, sizeof *b);
	put_marker(b, 0xd8);
}

/* B.2.4.1: table 0, 8 bit, all 8 */
static inline void put_dqt(struct jpeg_build *b)
{
	uint8_t table[65];
	memset(table, 8, sizeof table);
	table[0] = 0;
	put_segment(b, 0xdb, table, sizeof table);
}

/* B.2.4.2: DC table 0: categories 0 to 11 are the codes 0000 to 1011. AC table 0: EOB is the code 0, nothing else. */
static inline void put_dht(struct jpeg_build *b)
{
	static const uint8_t dc[29] = {0x00, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	static const uint8_t ac[18] = {0x10, 1};
	put_segment(b, 0xc4, dc, sizeof dc);
	put_segment(b, 0xc4, ac, sizeof ac);
}

/* B.2.2: components as "id:HV" in bytes: {1, 0x22, 2, 0x11, ...} */
static inline void put_sof(struct jpeg_build *b, int marker, int precision, unsigned height, unsigned width, int count,
			   const uint8_t *components)
{
	put_marker(b, marker);
	put_u16(b, (unsigned)(8 + 3 * count));
	put_byte(b, precision);
	put_u16(b, height);
	put_u16(b, width);
	put_byte(b, count);
	for (int i = 0; i < count; i++) {
		put_byte(b, components[2 * i]);
		put_byte(b, components[2 * i + 1]);
		put_byte(b, 0);
	}
}

/* B.2.3: all tables are number 0 */
static inline void put_sos(struct jpeg_build *b, int count, const uint8_t *ids, int ss, int se, int ah_al)
{
	put_marker(b, 0xda);
	put_u16(b, (unsigned)(6 + 2 * count));
	put_byte(b, count);
	for (int i = 0; i < count; i++) {
		put_byte(b, ids[i]);
		put_byte(b, 0);
	}
	put_byte(b, ss);
	put_byte(b, se);
	put_byte(b, ah_al);
	memset(b->previous, 0, sizeof b->previous);
}

static inline void put_bits(struct jpeg_build *b, unsigned value, unsigned count)
{
	while (count--) {
		b->bits = b->bits << 1 | (value >> count & 1);
		if (++b->nbits == 8) {
			put_byte(b, (int)b->bits);
			if (b->bits == 0xff)
				put_byte(b, 0); /* F.1.2.3: a stuffed zero */
			b->bits = b->nbits = 0;
		}
	}
}

/* F.1.2.3: the last byte is filled with ones */
static inline void put_padding(struct jpeg_build *b)
{
	while (b->nbits)
		put_bits(b, 1, 1);
	memset(b->previous, 0, sizeof b->previous);
}

/* F.1.2.1.1: the difference to the component's last block as category and bits. Its samples become 128 + dc. */
static inline void put_dc(struct jpeg_build *b, int component, int dc)
{
	/* table K.3: category 0 is 00, 1 to 5 are 010 to 110, then 1110, 11110, ... */
	static const struct {
		unsigned code, count;
	} standard[9] = {{0, 2}, {2, 3}, {3, 3}, {4, 3}, {5, 3}, {6, 3}, {14, 4}, {30, 5}, {62, 6}};
	int difference = dc - b->previous[component];
	unsigned magnitude = (unsigned)abs(difference), category = 0;
	while (magnitude >> category)
		category++;
	if (b->standard)
		put_bits(b, standard[category].code, standard[category].count);
	else
		put_bits(b, category, 4);
	if (category)
		put_bits(b, difference < 0 ? (unsigned)(difference - 1) & ((1u << category) - 1) : magnitude, category);
	b->previous[component] = dc;
}

static inline void put_eob(struct jpeg_build *b)
{
	if (b->standard)
		put_bits(b, 10, 4); /* table K.5 */
	else
		put_bits(b, 0, 1);
}

static inline void put_block(struct jpeg_build *b, int component, int dc)
{
	put_dc(b, component, dc);
	put_eob(b);
}

static inline void put_eoi(struct jpeg_build *b)
{
	put_padding(b);
	put_marker(b, 0xd9);
}

#endif
