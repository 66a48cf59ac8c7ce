/* deflate64_build.h - Deflate64 written bit by bit, by the rules of RFC 1951 and what APPNOTE's method 9 changes of them: length
 * code 285 has 16 further bits, distance codes 30 and 31 have 14. Knows nothing of the decoder. For one source file each. */
#ifndef PIXFS_DEFLATE64_BUILD_H
#define PIXFS_DEFLATE64_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct build64 {
	uint8_t *data;
	size_t len, room;
	unsigned nbits; /* of the last byte that are used; 0: all */
	uint8_t literal_lengths[288], distance_lengths[32];
	uint16_t literal_codes[288], distance_codes[32];
};

static inline void put64(struct build64 *b, uint32_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (b->nbits == 0) {
			if (b->len == b->room)
				b->data = realloc(b->data, b->room = b->room * 2 + 1000);
			b->data[b->len++] = 0;
		}
		b->data[b->len - 1] |= (uint8_t)((value >> i & 1) << b->nbits);
		b->nbits = (b->nbits + 1) % 8;
	}
}

/* A Huffman code goes highest bit first. */
static inline void put64_code(struct build64 *b, unsigned code, unsigned n)
{
	while (n--)
		put64(b, code >> n & 1, 1);
}

/* 3.2.2 */
static inline void codes64(const uint8_t *lengths, unsigned n, uint16_t *ret_codes)
{
	unsigned code = 0;
	for (unsigned len = 1; len <= 15; len++, code <<= 1)
		for (unsigned i = 0; i < n; i++)
			if (lengths[i] == len)
				ret_codes[i] = (uint16_t)code++;
}

/* 3.2.6 */
static inline void begin64_fixed(struct build64 *b, bool last)
{
	for (unsigned i = 0; i < 288; i++)
		b->literal_lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	memset(b->distance_lengths, 5, 32);
	codes64(b->literal_lengths, 288, b->literal_codes);
	codes64(b->distance_lengths, 32, b->distance_codes);
	put64(b, last, 1);
	put64(b, 1, 2);
}

/* 3.2.7, with 226 codes of 8 and 60 of 9 bits for literals, and all 32 distances of 5: both complete. The lengths are written with
 * precodes of 2 bits for 5, 8, 9 and repeats of the last (16). */
static inline void begin64_dynamic(struct build64 *b, bool last)
{
	static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	uint8_t precode[19] = {[5] = 2, [8] = 2, [9] = 2, [16] = 2}, all[286 + 32];
	uint16_t codes[19];
	codes64(precode, 19, codes);
	for (unsigned i = 0; i < sizeof all; i++)
		all[i] = i < 226 ? 8 : i < 286 ? 9 : 5;
	memset(b->literal_lengths, 0, 288);
	memcpy(b->literal_lengths, all, 286);
	memset(b->distance_lengths, 5, 32);
	codes64(b->literal_lengths, 288, b->literal_codes);
	codes64(b->distance_lengths, 32, b->distance_codes);
	put64(b, last, 1);
	put64(b, 2, 2);
	put64(b, 286 - 257, 5);
	put64(b, 32 - 1, 5);
	put64(b, 19 - 4, 4);
	for (unsigned i = 0; i < 19; i++)
		put64(b, precode[order[i]], 3);
	for (unsigned i = 0; i < sizeof all;) {
		unsigned run = 1;
		while (run < 7 && i + run < sizeof all && all[i + run] == all[i])
			run++;
		put64_code(b, codes[all[i]], 2);
		if (run > 3) {
			put64_code(b, codes[16], 2);
			put64(b, run - 1 - 3, 2);
		}
		i += run > 3 ? run : 1;
	}
}

static inline void put64_literal(struct build64 *b, unsigned symbol)
{
	put64_code(b, b->literal_codes[symbol], b->literal_lengths[symbol]);
}

static inline void end64(struct build64 *b)
{
	put64_literal(b, 256);
}

static inline void put64_match(struct build64 *b, unsigned len, unsigned distance)
{
	unsigned symbol = 257, bits = 0, base = 3;
	/* eight codes for 3 to 10, then four for each number of further bits; from 258 on code 285 */
	while (symbol < 285 && len >= base + (1u << bits)) {
		base += 1u << bits;
		symbol++;
		if (symbol >= 265 && (symbol - 265) % 4 == 0)
			bits++;
	}
	if (len > 257)
		symbol = 285, bits = 16, base = 3;
	put64_literal(b, symbol);
	put64(b, len - base, bits);
	symbol = bits = 0;
	base = 1;
	while (distance >= base + (1u << bits)) {
		base += 1u << bits;
		symbol++;
		if (symbol >= 4 && symbol % 2 == 0)
			bits++;
	}
	put64_code(b, b->distance_codes[symbol], b->distance_lengths[symbol]);
	put64(b, distance - base, bits);
}

/* 3.2.4 */
static inline void put64_stored(struct build64 *b, const uint8_t *data, unsigned len, bool last)
{
	put64(b, last, 1);
	put64(b, 0, 2);
	while (b->nbits)
		put64(b, 0, 1);
	put64(b, len, 16);
	put64(b, len ^ 0xffff, 16);
	for (unsigned i = 0; i < len; i++)
		put64(b, data[i], 8);
}

/* Literals and matches of data, which are looked for by the last place of the same three bytes. */
static inline void put64_data(struct build64 *b, const uint8_t *data, size_t from, size_t to)
{
	static size_t places[1 << 16];
	memset(places, 0, sizeof places);
	for (size_t i = from; i < to;) {
		uint32_t hash = i + 3 <= to ? (data[i] * 31u + data[i + 1] * 1031u + data[i + 2] * 32771u) & 0xffff : 0;
		size_t place = i + 3 <= to ? places[hash] : 0, len = 0;
		if (place && i - (place - 1) <= 65536)
			while (i + len < to && len < 65538 && data[place - 1 + len] == data[i + len])
				len++;
		if (i + 3 <= to)
			places[hash] = i + 1;
		if (len >= 3)
			put64_match(b, (unsigned)len, (unsigned)(i - (place - 1)));
		else
			put64_literal(b, data[i]);
		i += len >= 3 ? len : 1;
	}
}

/* All of it, in blocks of all three kinds. To be freed. */
static inline uint8_t *pack64(const uint8_t *data, size_t len, size_t *ret_len)
{
	struct build64 b = {0};
	for (size_t at = 0, kind = 0; at < len; kind++) {
		size_t n = len - at < 300000 ? len - at : 300000;
		if (kind % 3 == 2 && n > 65535)
			n = 65535;
		bool last = at + n == len;
		if (kind % 3 == 2) {
			put64_stored(&b, data + at, (unsigned)n, last);
		} else {
			(kind % 3 ? begin64_fixed : begin64_dynamic)(&b, last);
			put64_data(&b, data, at, at + n);
			end64(&b);
		}
		at += n;
	}
	*ret_len = b.len;
	return b.data;
}

#endif
