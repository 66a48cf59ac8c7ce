/* decoder_deflate64_test.c - the Deflate64 decoder on streams that are written bit by bit: the judge is what was written. */
#include <errno.h>
#include <stdio.h>

#include "fs/source/zip/decoder.h"
#include "case.h"
#include "deflate64_build.h"

static struct err last_err;

/* Decodes all in pieces of the given lengths. 1 at the end of the data, 0 where it goes on without more input, or an errno;
 * *ret_made: how many bytes came. */
static int decode(const uint8_t *packed, size_t packed_len, uint8_t *dst, size_t room, size_t in_piece, size_t out_piece,
		  size_t *ret_made)
{
	static const struct decoder_spec spec = {0};
	struct decoder *decoder;
	struct decoder_io io = {packed, 0, dst, 0};
	size_t left_in = packed_len, left_out = room;
	last_err = ERR_NONE;
	int rc = decoder_deflate64.open(&spec, &decoder, NULL);
	bool moved = rc == 0;
	while (rc == 0 && moved) {
		if (!io.in_bytes)
			io.in_bytes = left_in < in_piece ? left_in : in_piece, left_in -= io.in_bytes;
		if (!io.out_bytes)
			io.out_bytes = left_out < out_piece ? left_out : out_piece, left_out -= io.out_bytes;
		size_t before = io.in_bytes + io.out_bytes;
		rc = decoder_deflate64.step(decoder, &io, &last_err);
		moved = io.in_bytes + io.out_bytes < before || (!io.in_bytes && left_in);
	}
	decoder_deflate64.close(decoder);
	*ret_made = (size_t)(io.out - dst);
	return rc;
}

/* Whether it decodes to data, with pieces of several lengths. */
static bool yields(struct build64 *b, const uint8_t *data, size_t len)
{
	static const size_t pieces[][2] = {{1 << 20, 1 << 20}, {1, 1}, {1, 1000}, {7, 1}, {1000, 3}};
	bool equal = true;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		uint8_t *got = malloc(len + 10);
		size_t made = 0;
		int rc = decode(b->data, b->len, got, len + 10, pieces[i][0], pieces[i][1], &made);
		equal = equal && rc == 1 && made == len && !memcmp(got, data, len);
		free(got);
	}
	free(b->data);
	*b = (struct build64){0};
	return equal;
}

/* The errno and words of a stream that can't be decoded. */
static bool fails(struct build64 *b, const char *words)
{
	uint8_t got[100];
	size_t made;
	int rc = decode(b->data, b->len, got, sizeof got, 1000, sizeof got, &made);
	free(b->data);
	*b = (struct build64){0};
	return rc == -EIO && last_err.code == -EIO && !strcmp(last_err.text, words);
}

static uint8_t *numbers(size_t len)
{
	uint8_t *data = malloc(len + 1);
	uint32_t state = 1;
	for (size_t i = 0; i < len; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(state >> 24);
	}
	return data;
}

static void all_kinds_of_blocks(void)
{
	struct build64 b = {0};
	uint8_t *data = numbers(3000);
	put64_stored(&b, data, 1000, false);
	put64_stored(&b, data, 0, false);
	begin64_fixed(&b, false);
	put64_data(&b, data, 1000, 2000);
	end64(&b);
	begin64_fixed(&b, false);
	end64(&b);
	begin64_dynamic(&b, true);
	put64_data(&b, data, 2000, 3000);
	end64(&b);
	CHECK(yields(&b, data, 3000));
	put64_stored(&b, data, 0, true);
	CHECK(yields(&b, data, 0));
	free(data);
}

/* Each length that a code starts or ends with, and those of code 285: 3, and up to 65538. */
static void lengths_of_matches(void)
{
	static const unsigned lengths[] = {3,   4,   10,  11,  12,  13,  18,  19,  34,  35,  66,    67,
					   130, 131, 162, 163, 226, 227, 257, 258, 259, 300, 65537, 65538};
	struct build64 b = {0};
	uint8_t *data = malloc(1 << 20), letter = 'a';
	size_t n = 0;
	for (int dynamic = 0; dynamic < 2; dynamic++) {
		(dynamic ? begin64_dynamic : begin64_fixed)(&b, dynamic);
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++, letter++) {
			put64_literal(&b, data[n++] = letter);
			put64_match(&b, lengths[i], 1);
			memset(data + n, letter, lengths[i]);
			n += lengths[i];
		}
		put64_literal(&b, 285); /* code 285 for a length that 257 stands for, too */
		put64(&b, 0, 16);
		put64_code(&b, b.distance_codes[0], 5);
		memset(data + n, data[n - 1], 3);
		n += 3;
		end64(&b);
	}
	CHECK(yields(&b, data, n));
	free(data);
}

/* Each distance that a code starts or ends with, to 65536; a match may reach into itself. */
static void distances_of_matches(void)
{
	struct build64 b = {0};
	uint8_t *data = numbers(1 << 20);
	size_t n = 65536;
	put64_stored(&b, data, 65535, false);
	begin64_dynamic(&b, true);
	put64_literal(&b, data[65535]);
	for (unsigned power = 1; power <= 65536; power *= 2)
		for (unsigned i = 0; i < 6; i++) {
			unsigned distance = i < 3 ? power + i - 1 : power + power / 2 + i - 4;
			if (distance < 1 || distance > 65536)
				continue;
			put64_match(&b, 20 + i, distance);
			for (unsigned k = 0; k < 20 + i; k++, n++)
				data[n] = data[n - distance];
		}
	put64_match(&b, 65538, 65536);
	for (unsigned k = 0; k < 65538; k++, n++)
		data[n] = data[n - 65536];
	end64(&b);
	CHECK(yields(&b, data, n));
	free(data);
}

static void large_data(void)
{
	const size_t len = 2000000;
	uint8_t *data = numbers(len);
	for (size_t i = 100000; i + 60 < len; i += 3 + data[i] % 64u) /* copies from all over the window, and runs */
		memmove(data + i, data + i - 1 - data[i - 1] * 256u, data[i] < 200 ? data[i] % 50u + 3 : 0);
	memset(data + 700000, 'r', 300000);
	struct build64 b = {0};
	b.data = pack64(data, len, &b.len);
	CHECK(b.len < len * 3 / 4 && yields(&b, data, len));
	free(data);
}

/* Cut anywhere, it neither ends nor fails, and what came is right. */
static void cut_streams(void)
{
	uint8_t *data = numbers(3000), *got = malloc(3000);
	memset(data + 1000, 'x', 1500);
	size_t packed_len, made = 0;
	struct build64 b = {0};
	begin64_dynamic(&b, false);
	put64_data(&b, data, 0, 2000);
	end64(&b);
	put64_stored(&b, data + 2000, 1000, true);
	packed_len = b.len;
	for (size_t cut = 0; cut < packed_len; cut++) {
		CHECK(decode(b.data, cut, got, 3000, 1000, 3000, &made) == 0 && made < 3000);
		CHECK(!memcmp(got, data, made));
	}
	free(b.data);
	free(got);
	free(data);
}

static void begin_counts(struct build64 *b, unsigned nliterals, unsigned ndistances)
{
	put64(b, 1 | 2 << 1, 3);
	put64(b, nliterals - 257, 5);
	put64(b, ndistances - 1, 5);
	put64(b, 15, 4);
}

/* Precodes for 0, 1, 16 and 18, of two bits each: 00 01 10 11 */
static void put_precodes(struct build64 *b)
{
	static const uint8_t has[19] = {1, 0, 1, 1, [17] = 1}; /* in the order 16 17 18 0 ... 1 15 */
	for (unsigned i = 0; i < 19; i++)
		put64(b, has[i] ? 2 : 0, 3);
}

static void damage(void)
{
	struct build64 b = {0};
	put64(&b, 1 | 3 << 1, 3);
	CHECK(fails(&b, "invalid block type"));
	put64(&b, 1, 8);
	put64(&b, 5, 16);
	put64(&b, 5, 16);
	CHECK(fails(&b, "a stored block's length is wrong"));
	begin64_fixed(&b, true);
	put64_literal(&b, 'a');
	put64_match(&b, 3, 2);
	CHECK(fails(&b, "invalid distance too far back"));
	begin64_fixed(&b, true);
	put64_literal(&b, 286);
	put64(&b, 0, 16);
	CHECK(fails(&b, "invalid literal/length code"));
	begin_counts(&b, 287, 1);
	CHECK(fails(&b, "too many length symbols"));
	begin_counts(&b, 257, 1);
	for (unsigned i = 0; i < 19; i++)
		put64(&b, 1, 3); /* 19 codes of one bit */
	CHECK(fails(&b, "invalid code lengths set"));
	begin_counts(&b, 257, 1);
	put_precodes(&b);
	put64_code(&b, 2, 2); /* repeats what isn't there */
	put64(&b, 0, 2);
	CHECK(fails(&b, "invalid bit length repeat"));
	begin_counts(&b, 257, 1);
	put_precodes(&b);
	for (int i = 0; i < 2; i++) {
		put64_code(&b, 3, 2); /* 138 zeros, and again: more than there are */
		put64(&b, 127, 7);
	}
	CHECK(fails(&b, "invalid bit length repeat"));
}

/* 257 literals of which some have one bit, and one distance. */
static void wrong_sets_of_codes(void)
{
	struct build64 b = {0};
	begin_counts(&b, 257, 1);
	put_precodes(&b);
	put64_code(&b, 1, 2);
	put64_code(&b, 1, 2);
	for (int i = 0; i < 256; i++)
		put64_code(&b, 0, 2);
	CHECK(fails(&b, "a block has no code for its end"));
	for (unsigned nones = 1; nones <= 3; nones += 2) { /* of which the end of the block is one */
		begin_counts(&b, 257, 1);
		put_precodes(&b);
		for (unsigned i = 0; i < 257; i++)
			put64_code(&b, i == 256 || i < nones - 1, 2);
		put64_code(&b, 1, 2);
		if (nones == 1) { /* a single code needs no second one */
			put64(&b, 0, 8);
			CHECK(yields(&b, (const uint8_t *)"", 0));
		} else {
			CHECK(fails(&b, "invalid literal/lengths set"));
		}
	}
}

/* A copy goes on by itself. */
static void copies(void)
{
	static const struct decoder_spec spec = {0};
	const size_t len = 500000;
	uint8_t *data = numbers(len), *got = malloc(len);
	size_t packed_len;
	memset(data + 90000, 'y', 100000);
	uint8_t *packed = pack64(data, len, &packed_len);
	struct decoder *first, *second;
	CHECK(decoder_deflate64.open(&spec, &first, NULL) == 0);
	struct decoder_io io = {packed, packed_len, got, 123456};
	CHECK(decoder_deflate64.step(first, &io, NULL) == 0 && io.out_bytes == 0);
	second = decoder_deflate64.copy(first);
	struct decoder_io rest = {io.in, io.in_bytes, got + 123456, len - 123456};
	CHECK(decoder_deflate64.step(first, &rest, NULL) >= 0 && !memcmp(got, data, len));
	decoder_deflate64.close(first);
	memset(got, 0, len);
	rest = (struct decoder_io){io.in, io.in_bytes, got + 123456, len - 123456};
	CHECK(decoder_deflate64.step(second, &rest, NULL) >= 0 && !memcmp(got + 123456, data + 123456, len - 123456));
	decoder_deflate64.close(second);
	free(packed);
	free(got);
	free(data);
}

static const struct test_case cases[] = {
	CASE(all_kinds_of_blocks),  CASE(lengths_of_matches),
	CASE(distances_of_matches), CASE(large_data),
	CASE(cut_streams),          CASE(damage),
	CASE(wrong_sets_of_codes),  CASE(copies),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
