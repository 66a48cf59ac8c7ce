/* exr_dwa.c - what a DWAA or DWAB chunk says about its size, against its channels.
 *
 * The library sizes its buffers by the channels but fills them by the numbers in the chunk: where these are smaller than
 * they should be, what it reads as samples is memory that was never written. So the numbers are compared before it is
 * called. Which channels are coded how follows from rules in the chunk itself ("Classifier" in ImfDwaCompressor.cpp, the
 * only description of the format): a rule names the part of a channel's name behind the last dot and a pixel type; the
 * last rule that fits counts, without one the samples are deflated. */
#include "exr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libdeflate.h>

#include "exr_imf.h"

/* The chunk starts with these eleven numbers of 64 bits. */
enum {
	DWA_VERSION,
	UNKNOWN_BYTES,
	UNKNOWN_PACKED,
	AC_PACKED,
	DC_PACKED,
	RLE_PACKED,
	RLE_BYTES,
	RLE_RAW,
	AC_COUNT,
	DC_COUNT,
	AC_CODING,
	NUMBERS
};

enum scheme { SCHEME_DEFLATE, SCHEME_DCT, SCHEME_RLE, NSCHEMES };

/* How a channel is coded. */
struct fit {
	enum scheme scheme;
	int color;         /* 0 1 2: as red, green, blue of a set that is coded together; -1 */
	unsigned nmatches; /* rules that fit */
};

struct rules {
	const uint8_t *data; /* suffix and NUL, scheme byte, type byte, for each rule */
	size_t len_bytes;
};

/* Chunks of versions 0 and 1 have no rules of their own; these apply, in any case of letters. Written as a chunk would: the
 * first byte is (color + 1) << 4 | scheme << 2 | 1 (ignore case), the second the type: 0 UINT, 1 HALF, 2 FLOAT. */
#define RED(suffix) suffix "\0\x15\x01" suffix "\0\x15\x02"
#define GREEN(suffix) suffix "\0\x25\x01" suffix "\0\x25\x02"
#define BLUE(suffix) suffix "\0\x35\x01" suffix "\0\x35\x02"
#define LUMA(suffix) suffix "\0\x05\x01" suffix "\0\x05\x02"
#define RUNS(suffix) suffix "\0\x09\0" suffix "\0\x09\x01" suffix "\0\x09\x02"
static const char legacy_rules[] = RED("r") RED("red") GREEN("g") GREEN("grn") GREEN("green") BLUE("b") BLUE("blu") BLUE("blue")
	LUMA("y") LUMA("by") LUMA("ry") RUNS("a");

static const char *suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

/* False where the rules are damaged. */
static bool fit_channel(const struct rules *rules, const char *name, uint8_t type, struct fit *fit)
{
	static const uint8_t types[] = {[SAMPLE_U32] = 0, [SAMPLE_F16] = 1, [SAMPLE_F32] = 2};
	const char *suffix = suffix_of(name);
	*fit = (struct fit){SCHEME_DEFLATE, -1, 0};
	for (size_t at = 0; at < rules->len_bytes;) {
		const char *rule = (const char *)rules->data + at;
		size_t len = strnlen(rule, rules->len_bytes - at);
		if (rules->len_bytes - at < len + 3)
			return false;
		uint8_t how = rules->data[at + len + 1];
		if ((how >> 2 & 3) >= NSCHEMES)
			return false;
		bool same = how & 1 ? strcasecmp(rule, suffix) == 0 : strcmp(rule, suffix) == 0;
		if (same && rules->data[at + len + 2] == types[type])
			*fit = (struct fit){how >> 2 & 3, (how >> 4) - 1, fit->nmatches + 1};
		at += len + 3;
	}
	return true;
}

/* What the channels need of a chunk. */
struct need {
	uint64_t deflate_bytes, rle_bytes, nblocks; /* of 8 x 8 samples, each with one DC value */
	unsigned nchannels, colors;                 /* with blocks; a bit for each color of them, 8 where they are no set */
	const char *set;                            /* the name of the first one */
};

static void need_blocks(struct need *need, const char *name, const struct fit *fit, const struct codec_plane_layout *plane)
{
	size_t prefix = (size_t)(suffix_of(name) - name);
	need->nblocks += (uint64_t)(plane->width + 7) / 8 * ((plane->height + 7) / 8);
	need->set = need->set ? need->set : name;
	bool same_set = (size_t)(suffix_of(need->set) - need->set) == prefix && memcmp(need->set, name, prefix) == 0;
	need->colors |= fit->nmatches == 1 && fit->color >= 0 && fit->color < 3 && same_set ? 1u << fit->color : 8;
	need->nchannels++;
}

static bool count_need(const struct codec_part *part, const struct codec_plane_layout *planes, const struct rules *rules,
		       struct need *need)
{
	*need = (struct need){0};
	for (uint32_t i = 0; i < part->nplanes; i++) {
		struct fit fit;
		if (!fit_channel(rules, part->channels[i].name, part->planes[i].type, &fit))
			return false;
		uint64_t bytes = (uint64_t)planes[i].row_bytes * planes[i].height;
		if (fit.scheme == SCHEME_DCT)
			need_blocks(need, part->channels[i].name, &fit, &planes[i]);
		else if (fit.scheme == SCHEME_RLE)
			need->rle_bytes += bytes;
		else
			need->deflate_bytes += bytes;
	}
	return true;
}

/* One channel, or one set of red, green and blue alike: then the library knows where their AC values end. */
static bool is_one_set(const struct codec_part *part, const struct need *need)
{
	bool alike = true;
	for (uint32_t i = 1; i < part->nplanes; i++)
		alike = alike && part->planes[i].xsampling == part->planes[0].xsampling &&
			part->planes[i].ysampling == part->planes[0].ysampling;
	return need->nchannels <= 1 || (need->nchannels == 3 && need->colors == 7 && alike);
}

static bool inflate_exactly(const uint8_t *packed, size_t packed_bytes, void *dst, size_t len_bytes)
{
	struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
	bool good =
		inflater && libdeflate_zlib_decompress(inflater, packed, packed_bytes, dst, len_bytes, NULL) == LIBDEFLATE_SUCCESS;
	libdeflate_free_decompressor(inflater);
	return good;
}

/* The library takes deflated data that are too short for whole. */
static bool inflates_to(const uint8_t *packed, size_t packed_bytes, size_t len_bytes)
{
	uint8_t *out = malloc(len_bytes + 1);
	bool good = out && inflate_exactly(packed, packed_bytes, out, len_bytes);
	free(out);
	return good;
}

/* The AC values are a run of blocks of 8 x 8 samples; a block's 63 values end early at 0xff00, and 0xffNN stands for NN
 * zeros ("unRleAc"). The library knows where they end for the first channels only; the later ones may run past it. */
static bool has_blocks(const uint16_t *values, size_t count, uint64_t nblocks)
{
	size_t at = 0;
	for (uint64_t block = 0; block < nblocks; block++) {
		for (unsigned place = 1; place < 64;) {
			if (at == count)
				return false;
			uint16_t value = values[at++];
			place = value == 0xff00 ? 64 : value >> 8 == 0xff ? place + (value & 0xff) : place + 1;
		}
	}
	return true;
}

static int check_ac(const uint64_t *numbers, const uint8_t *packed, uint64_t nblocks, bool one_set, struct err *err)
{
	enum { HUFFMAN, DEFLATE };
	if (numbers[AC_COUNT] > nblocks * 63 || (!numbers[AC_PACKED] && nblocks) || numbers[AC_CODING] > DEFLATE)
		return err_set(err, -EIO, "the sizes in the compressed data are not those of the channels");
	if (!nblocks || one_set)
		return 0;
	size_t count = (size_t)numbers[AC_COUNT], packed_bytes = (size_t)numbers[AC_PACKED];
	uint16_t *values = malloc(count * sizeof *values + 1);
	if (!values)
		return err_set(err, -ENOMEM, "no memory for a chunk");
	int rc = 0;
	if (numbers[AC_CODING] == HUFFMAN)
		rc = exr_imf_unhuffman(packed, packed_bytes, values, count, err);
	else if (!inflate_exactly(packed, packed_bytes, values, count * sizeof *values))
		rc = err_set(err, -EIO, "deflated data are damaged");
	if (!rc && !has_blocks(values, count, nblocks))
		rc = err_set(err, -EIO, "the compressed data have fewer blocks than the channels");
	free(values);
	return rc;
}

int exr_dwa_check(const struct codec_part *part, const struct codec_plane_layout *planes, const uint8_t *packed,
		  size_t packed_bytes, struct err *err)
{
	uint64_t numbers[NUMBERS];
	struct need need;
	struct rules rules = {(const uint8_t *)legacy_rules, sizeof legacy_rules - 1};
	size_t at = sizeof numbers;
	if (packed_bytes < sizeof numbers + 2)
		return err_set(err, -EIO, "the compressed data are too short");
	memcpy(numbers, packed, sizeof numbers);
	if (numbers[DWA_VERSION] >= 2) {
		uint16_t rules_bytes; /* itself included */
		memcpy(&rules_bytes, packed + at, 2);
		if (rules_bytes < 2 || rules_bytes > packed_bytes - at)
			return err_set(err, -EIO, "the rules for channels are damaged");
		rules = (struct rules){packed + at + 2, rules_bytes - 2u};
		at += rules_bytes;
	}
	if (!count_need(part, planes, &rules, &need))
		return err_set(err, -EIO, "the rules for channels are damaged");
	if (numbers[UNKNOWN_BYTES] != need.deflate_bytes || numbers[RLE_RAW] != need.rle_bytes ||
	    numbers[DC_COUNT] != need.nblocks || numbers[UNKNOWN_PACKED] > packed_bytes - at ||
	    numbers[AC_PACKED] > packed_bytes - at - numbers[UNKNOWN_PACKED])
		return err_set(err, -EIO, "the sizes in the compressed data are not those of the channels");
	if (need.deflate_bytes && !inflates_to(packed + at, (size_t)numbers[UNKNOWN_PACKED], (size_t)need.deflate_bytes))
		return err_set(err, -EIO, "deflated data are damaged");
	return check_ac(numbers, packed + at + numbers[UNKNOWN_PACKED], need.nblocks, is_one_set(part, &need), err);
}
