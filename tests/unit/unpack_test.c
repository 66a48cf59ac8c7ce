/* unpack_test.c - random access to deflated data: the judge is the data that zlib's deflate was given. The other methods are
 * in unpack_methods_test.c. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "fs/source/zip/unpack.h"
#include "case.h"

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* Data that deflates to about half. */
static uint8_t *make_data(size_t len)
{
	uint8_t *data = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i % 3 ? next_random() & 15 : i >> 12);
	return data;
}

/* Raw deflate, RFC 1951; strategy Z_FIXED and a level of 0 make other kinds of blocks. */
static uint8_t *pack(const uint8_t *data, size_t len, int level, int strategy, size_t *ret_len)
{
	size_t room = len + len / 1000 + 1000;
	uint8_t *packed = malloc(room);
	z_stream z = {0};
	deflateInit2(&z, level, Z_DEFLATED, -15, 9, strategy);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = packed;
	z.avail_out = (uInt)room;
	deflate(&z, Z_FINISH);
	*ret_len = room - z.avail_out;
	deflateEnd(&z);
	return packed;
}

/* Takes packed. */
static struct bytes *open_packed(uint8_t *packed, size_t packed_len, uint64_t size)
{
	struct bytes *source = bytes_from_memory(packed, packed_len, 1), *bytes = NULL;
	CHECK(unpack_open(&decoder_deflate, source, size, false, &bytes, NULL) == 0 && bytes->size_bytes == size);
	bytes_unref(source);
	return bytes;
}

static bool reads_equal(struct bytes *bytes, const uint8_t *data, uint64_t offset, size_t len)
{
	uint8_t *got = malloc(len + 1);
	ssize_t n = bytes_read(bytes, got, len, offset, NULL);
	bool equal = n == (ssize_t)len && !memcmp(got, data + offset, len);
	free(got);
	return equal;
}

static void read_at_random(struct bytes *bytes, const uint8_t *data, size_t size, unsigned count, size_t max_len)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t offset = next_random() % size;
		size_t len = next_random() % max_len + 1;
		if (len > size - offset)
			len = (size_t)(size - offset);
		CHECK(reads_equal(bytes, data, offset, len));
	}
}

/* ---- valid data ---- */

static void forwards_in_odd_pieces(void)
{
	const size_t sizes[] = {1, 100000, UNPACK_WHOLE_BYTES, UNPACK_WHOLE_BYTES + 1, 9000000};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		size_t size = sizes[s], packed_len;
		uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len);
		struct bytes *bytes = open_packed(packed, packed_len, size);
		for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 + 1) {
			piece = piece > size - at ? size - at : piece;
			CHECK(reads_equal(bytes, data, at, piece));
		}
		bytes_unref(bytes);
		free(data);
	}
}

static void ends_like_a_file(void)
{
	for (size_t size = 1000; size <= 6000000; size += 5999000) {
		size_t packed_len;
		uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len), got[100];
		struct bytes *bytes = open_packed(packed, packed_len, size);
		CHECK(bytes_read(bytes, got, 100, size - 30, NULL) == 30 && !memcmp(got, data + size - 30, 30));
		CHECK(bytes_read(bytes, got, 100, size, NULL) == 0 && bytes_read(bytes, got, 100, UINT64_MAX, NULL) == 0);
		CHECK(bytes_read(bytes, got, 0, 0, NULL) == 0);
		bytes_unref(bytes);
		free(data);
	}
}

static void random_access_in_all_kinds_of_blocks(void)
{
	static const struct {
		int level, strategy;
	} kinds[] = {{6, Z_DEFAULT_STRATEGY}, {0, Z_DEFAULT_STRATEGY}, {6, Z_FIXED}, {6, Z_HUFFMAN_ONLY}, {9, Z_RLE}};
	const size_t size = 12345678;
	uint8_t *data = make_data(size);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		size_t packed_len;
		uint8_t *packed = pack(data, size, kinds[k].level, kinds[k].strategy, &packed_len);
		struct bytes *bytes = open_packed(packed, packed_len, size);
		CHECK(reads_equal(bytes, data, size - 1, 1));
		read_at_random(bytes, data, size, 60, 200000);
		bytes_unref(bytes);
	}
	free(data);
}

/* Backwards through the whole: every read starts behind all streams. */
static void backwards(void)
{
	const size_t size = 8000000;
	size_t packed_len;
	uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len);
	struct bytes *bytes = open_packed(packed, packed_len, size);
	for (size_t at = size; at > 0;) {
		size_t n = at < 131072 ? at : 131072;
		at -= n;
		CHECK(reads_equal(bytes, data, at, n));
	}
	bytes_unref(bytes);
	free(data);
}

static void memory_is_bounded(void)
{
	const size_t size = 300u << 20;
	size_t packed_len;
	uint8_t *data = calloc(1, size), *packed = pack(data, size, 1, Z_DEFAULT_STRATEGY, &packed_len);
	data[size - 1] = 0;
	struct bytes *bytes = open_packed(packed, packed_len, size);
	CHECK(unpack_memory_bytes(bytes) < 4096);
	CHECK(reads_equal(bytes, data, size - 100, 100));
	read_at_random(bytes, data, size, 30, 100000);
	CHECK(unpack_memory_bytes(bytes) > 1 << 20 && unpack_memory_bytes(bytes) < (8 << 20) + (512 << 10));
	bytes_unref(bytes);
	free(data);
}

/* ---- damage ---- */

static const char *error_of(struct bytes *bytes, size_t size)
{
	static struct err err;
	uint8_t *got = malloc(size + 1);
	err = ERR_NONE;
	ssize_t n = bytes_read(bytes, got, size, 0, &err);
	free(got);
	return n == -EIO && err.code == -EIO ? err.text : "no error";
}

static void wrong_sizes_are_errors(void)
{
	for (size_t size = 1000; size <= 6000000; size += 5999000) {
		size_t packed_len;
		uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len), *copy;
		for (int delta = -1; delta <= 1; delta++) {
			copy = malloc(packed_len);
			memcpy(copy, packed, packed_len);
			size_t declared = size + (size_t)delta;
			struct bytes *bytes = open_packed(copy, packed_len, declared);
			const char *words = error_of(bytes, declared);
			CHECK(strstr(words, delta < 0 ? "more than the" : delta > 0 ? "are declared" : "no error"));
			/* what lies before the damage can be read, except of small data, which is inflated whole */
			CHECK(size < UNPACK_WHOLE_BYTES || reads_equal(bytes, data, 1000, 1000));
			bytes_unref(bytes);
		}
		free(packed);
		free(data);
	}
}

static void cut_data_is_an_error(void)
{
	for (size_t size = 20000; size <= 6000000; size += 5980000) {
		size_t packed_len;
		uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len), *copy;
		for (size_t cut = 1; cut < packed_len; cut = cut * 5 + 1) {
			copy = malloc(packed_len - cut);
			memcpy(copy, packed, packed_len - cut);
			struct bytes *bytes = open_packed(copy, packed_len - cut, size);
			CHECK(strstr(error_of(bytes, size), "the deflated data"));
			bytes_unref(bytes);
		}
		free(packed);
		free(data);
	}
}

/* A block of the reserved type 3, RFC 1951 3.2.3, behind three quarters of the data. */
static void damage_stays_where_it_is(void)
{
	const size_t size = 8000000, good = 6000000;
	size_t packed_len;
	uint8_t *data = make_data(size), *packed = pack(data, size, 0, Z_DEFAULT_STRATEGY, &packed_len);
	size_t at = 0;
	while (at < good) /* stored blocks: 5 bytes of header, LEN bytes of data */
		at += 5 + (size_t)(packed[at + 1] | packed[at + 2] << 8);
	packed[at] |= 6;
	struct bytes *bytes = open_packed(packed, packed_len, size);
	CHECK(strstr(error_of(bytes, size), "invalid block type"));
	CHECK(reads_equal(bytes, data, good - 200000, 100000) && reads_equal(bytes, data, 0, 100000));
	CHECK(strstr(error_of(bytes, size), "invalid block type"));
	bytes_unref(bytes);
	free(data);
}

/* ---- threads ---- */

struct reader {
	struct bytes *bytes;
	const uint8_t *data;
	size_t size, start;
	bool equal;
};

static void *read_pieces(void *context)
{
	struct reader *r = context;
	r->equal = true;
	for (unsigned i = 0; i < 40; i++) {
		uint64_t offset = (r->start + i * 150000) % (r->size - 150000);
		r->equal = r->equal && reads_equal(r->bytes, r->data, offset, 150000);
	}
	return NULL;
}

static void many_readers_at_once(void)
{
	for (size_t size = 3000000; size <= 9000000; size += 6000000) {
		size_t packed_len;
		uint8_t *data = make_data(size), *packed = pack(data, size, 6, Z_DEFAULT_STRATEGY, &packed_len);
		struct bytes *bytes = open_packed(packed, packed_len, size);
		struct reader readers[8];
		pthread_t threads[8];
		for (unsigned i = 0; i < 8; i++) {
			readers[i] = (struct reader){bytes, data, size, i * 1000003, false};
			pthread_create(&threads[i], NULL, read_pieces, &readers[i]);
		}
		for (unsigned i = 0; i < 8; i++) {
			pthread_join(threads[i], NULL);
			CHECK(readers[i].equal);
		}
		bytes_unref(bytes);
		free(data);
	}
}

static const struct test_case cases[] = {
	CASE(forwards_in_odd_pieces),
	CASE(ends_like_a_file),
	CASE(random_access_in_all_kinds_of_blocks),
	CASE(backwards),
	CASE(memory_is_bounded),
	CASE(wrong_sizes_are_errors),
	CASE(cut_data_is_an_error),
	CASE(damage_stays_where_it_is),
	CASE(many_readers_at_once),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
