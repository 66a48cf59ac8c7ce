/* icc_build.h - ICC profiles made field by field in memory. Sections are those of ICC.1:2022. */
#ifndef PIXFS_ICC_BUILD_H
#define PIXFS_ICC_BUILD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ICC_BUILD_BYTES = 1 << 14, ICC_BUILD_TAGS = 8 };

struct icc_build {
	uint8_t bytes[ICC_BUILD_BYTES];
	size_t len_bytes;
	unsigned ntags;
};

static inline void icc_build_put(uint8_t *at, uint64_t value, unsigned len_bytes)
{
	for (unsigned i = 0; i < len_bytes; i++)
		at[i] = (uint8_t)(value >> (8 * (len_bytes - 1 - i)));
}

/* ICC.1:2022 7.2: an empty profile with room for ICC_BUILD_TAGS entries of the tag table. */
static inline void icc_build_start(struct icc_build *made, const char *class, const char *space, const char *pcs)
{
	memset(made, 0, sizeof *made);
	icc_build_put(made->bytes + 8, 0x04300000, 4);
	memcpy(made->bytes + 12, class, 4);
	memcpy(made->bytes + 16, space, 4);
	memcpy(made->bytes + 20, pcs, 4);
	memcpy(made->bytes + 36, "acsp", 4);
	icc_build_put(made->bytes + 68, 0xf6d6, 4);
	icc_build_put(made->bytes + 72, 0x10000, 4);
	icc_build_put(made->bytes + 76, 0xd32d, 4);
	made->len_bytes = 132 + 12 * ICC_BUILD_TAGS;
}

static inline void icc_build_tag(struct icc_build *made, const char *name, const void *data, size_t len_bytes)
{
	uint8_t *entry = made->bytes + 132 + 12 * made->ntags++;
	memcpy(entry, name, 4);
	icc_build_put(entry + 4, made->len_bytes, 4);
	icc_build_put(entry + 8, len_bytes, 4);
	memcpy(made->bytes + made->len_bytes, data, len_bytes);
	made->len_bytes += (len_bytes + 3) / 4 * 4;
	icc_build_put(made->bytes, made->len_bytes, 4);
	icc_build_put(made->bytes + 128, made->ntags, 4);
}

/* 10.18: s15Fixed16 parameters. */
static inline void icc_build_para(struct icc_build *made, const char *name, unsigned type, const double *parameters, unsigned n)
{
	uint8_t data[12 + 7 * 4] = "para";
	icc_build_put(data + 8, type, 2);
	for (unsigned i = 0; i < n; i++)
		icc_build_put(data + 12 + 4 * i, (uint64_t)(int64_t)lround(parameters[i] * 65536.0), 4);
	icc_build_tag(made, name, data, 12 + 4 * n);
}

/* 10.6. */
static inline void icc_build_curv(struct icc_build *made, const char *name, const uint16_t *entries, uint32_t n)
{
	uint8_t data[12 + 64] = "curv";
	icc_build_put(data + 8, n, 4);
	for (uint32_t i = 0; i < n; i++)
		icc_build_put(data + 12 + 2 * i, entries[i], 2);
	icc_build_tag(made, name, data, 12 + 2 * n);
}

/* 10.10: inks or R, G, B through a grid of two points, white where all are 0; grid is what the tag says it has. */
static inline void icc_build_lut(struct icc_build *made, unsigned channels, unsigned grid)
{
	static const uint16_t white[3] = {31595, 32768, 27030};
	uint8_t data[52 + 7 * 4 + 16 * 6] = "mft2";
	uint8_t *at = data + 52;
	data[8] = (uint8_t)channels;
	data[9] = 3;
	data[10] = (uint8_t)grid;
	for (unsigned i = 0; i < 9; i += 4)
		icc_build_put(data + 12 + 4 * i, 0x10000, 4);
	icc_build_put(data + 48, 0x00020002, 4);
	for (unsigned i = 0; i < channels; i++, at += 4)
		icc_build_put(at, 0x0000ffff, 4);
	for (unsigned node = 0; node < 1u << channels; node++)
		for (unsigned c = 0; c < 3; c++, at += 2)
			icc_build_put(at, node ? 0 : white[c], 2);
	for (unsigned i = 0; i < 3; i++, at += 4)
		icc_build_put(at, 0x0000ffff, 4);
	icc_build_tag(made, "A2B0", data, (size_t)(at - data));
}

/* A whole profile for "GRAY", "RGB " (with three curves, or with tables) or "CMYK" samples (always tables). */
static inline void icc_build_whole(struct icc_build *made, const char *space, int tables)
{
	static const double curve[5] = {2.2, 0.9, 0.1, 0.2, 0.1};
	static const uint16_t entries[3] = {100, 20000, 65535}, gamma[1] = {461};
	icc_build_start(made, "scnr", space, "XYZ ");
	if (space[0] == 'G') {
		icc_build_curv(made, "kTRC", entries, 3);
	} else if (space[0] == 'C' || tables) {
		icc_build_lut(made, space[0] == 'C' ? 4 : 3, 2);
	} else {
		icc_build_curv(made, "rTRC", entries, 3);
		icc_build_curv(made, "gTRC", gamma, 1);
		icc_build_para(made, "bTRC", 3, curve, 5);
	}
}

#endif
