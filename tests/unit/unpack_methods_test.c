/* unpack_methods_test.c - data packed by each method, read in any order: the judge is the data that the packer was given. What an
 * order costs is counted in bytes made. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "fs/base/config.h"
#include "fs/base/patience.h"
#include "fs/source/zip/unpack.h"
#include "case.h"
#include "deflate64_build.h"

enum { CACHE_BYTES = 64 << 20 };

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static uint8_t *make_data(size_t len)
{
	uint8_t *data = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i % 3 ? next_random() & 15 : i >> 12);
	return data;
}

/* ---- packers ---- */

static uint8_t *pack_deflate(const uint8_t *data, size_t len, size_t *ret_len)
{
	uint8_t *packed = malloc(len + len / 1000 + 1000);
	z_stream z = {.next_in = (Bytef *)(uintptr_t)data,
		      .avail_in = (uInt)len,
		      .next_out = packed,
		      .avail_out = (uInt)(len + len / 1000 + 1000)};
	deflateInit2(&z, 1, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	*ret_len = z.total_out;
	deflateEnd(&z);
	return packed;
}

static uint8_t *pack_bzip2(const uint8_t *data, size_t len, size_t *ret_len)
{
	unsigned room = (unsigned)(len + len / 50 + 1000);
	uint8_t *packed = malloc(room);
	BZ2_bzBuffToBuffCompress((char *)packed, &room, (char *)(uintptr_t)data, (unsigned)len, 1, 0, 0);
	*ret_len = room;
	return packed;
}

/* liblzma writes a .lzma file: 13 bytes of head, and the mark; in a zip the head is another one. */
static uint8_t *pack_lzma(const uint8_t *data, size_t len, size_t *ret_len)
{
	lzma_options_lzma options;
	lzma_stream stream = LZMA_STREAM_INIT;
	size_t room = len + len / 10 + 1000;
	uint8_t *packed = malloc(room), head[9] = {9, 20, 5, 0};
	lzma_lzma_preset(&options, 0);
	CHECK(lzma_alone_encoder(&stream, &options) == LZMA_OK);
	stream.next_in = data;
	stream.avail_in = len;
	stream.next_out = packed;
	stream.avail_out = room;
	CHECK(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
	*ret_len = stream.total_out - 13 + sizeof head;
	lzma_end(&stream);
	memcpy(head + 4, packed, 5);
	memmove(packed + sizeof head, packed + 13, *ret_len - sizeof head);
	memcpy(packed, head, sizeof head);
	return packed;
}

static uint8_t *pack_xz(const uint8_t *data, size_t len, size_t *ret_len)
{
	size_t room = len + len / 10 + 1000;
	uint8_t *packed = malloc(room);
	*ret_len = 0;
	lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, len, packed, ret_len, room);
	return packed;
}

static uint8_t *pack_zstd(const uint8_t *data, size_t len, size_t *ret_len)
{
	size_t room = ZSTD_compressBound(len);
	uint8_t *packed = malloc(room);
	*ret_len = ZSTD_compress(packed, room, data, len, 1);
	return packed;
}

static const struct packer {
	const struct decoder_class *class;
	uint8_t *(*pack)(const uint8_t *data, size_t len, size_t *ret_len);
	const char *words; /* of damage */
} packers[] = {
	{&decoder_deflate, pack_deflate, "the deflated data"},
	{&decoder_deflate64, pack64, "the Deflate64 data"},
	{&decoder_bzip2, pack_bzip2, "the bzip2 data"},
	{&decoder_lzma, pack_lzma, "the LZMA data"},
	{&decoder_xz, pack_xz, "the xz data"},
	{&decoder_zstd, pack_zstd, "the Zstandard data"},
};
enum { NPACKERS = sizeof packers / sizeof *packers };

/* A copy of packed, opened. */
static struct bytes *open_packed(const struct packer *packer, const uint8_t *packed, size_t packed_len, uint64_t size)
{
	uint8_t *copy = malloc(packed_len + 1);
	struct bytes *bytes = NULL;
	memcpy(copy, packed, packed_len);
	struct bytes *source = bytes_from_memory(copy, packed_len, 1);
	CHECK(unpack_open(packer->class, source, size, packer->class == &decoder_lzma, &bytes, NULL) == 0);
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

/* For each method: run gets the data, and it packed. */
static void for_each(size_t size, void (*run)(const struct packer *, const uint8_t *, size_t, const uint8_t *, size_t))
{
	uint8_t *data = make_data(size);
	for (size_t i = 0; i < NPACKERS; i++) {
		size_t packed_len;
		uint8_t *packed = packers[i].pack(data, size, &packed_len);
		run(&packers[i], data, size, packed, packed_len);
		free(packed);
	}
	free(data);
}

/* ---- any order ---- */

static void read_forwards_and_at_random(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed,
					size_t packed_len)
{
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 + 1) {
		piece = piece > size - at ? size - at : piece;
		CHECK(reads_equal(bytes, data, at, piece));
	}
	for (unsigned i = 0; i < 12; i++) {
		uint64_t offset = next_random() % size;
		size_t len = next_random() % 200000 + 1;
		CHECK(reads_equal(bytes, data, offset, len < size - offset ? len : (size_t)(size - offset)));
	}
	uint8_t got[100];
	CHECK(bytes_read(bytes, got, 100, size - 1, NULL) == 1 && bytes_read(bytes, got, 100, size, NULL) == 0);
	bytes_unref(bytes);
}

static void random_offsets_and_lengths(void)
{
	const size_t sizes[] = {1, 1000, UNPACK_WHOLE_BYTES + 1};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for_each(sizes[i], read_forwards_and_at_random);
}

static void read_backwards(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	for (size_t at = size; at > 0;) {
		size_t n = at < 1000 ? at : 1000;
		at -= n;
		CHECK(reads_equal(bytes, data, at, n));
	}
	CHECK(unpack_made_bytes(bytes) < 2 * size + (5 << 20));
	bytes_unref(bytes);
}

/* 5 MB in steps of 1000 bytes: started anew for each they were 13 GB. */
static void backwards_costs_little_more_than_forwards(void)
{
	for_each(5 << 20, read_backwards);
}

static void read_a_table(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	enum { N = 5000 };
	static struct bytes_piece pieces[N];
	static uint8_t got[N][10];
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	for (unsigned i = 0; i < N; i++)
		pieces[i] = (struct bytes_piece){i ? next_random() % size : size - 3, got[i], 10, 99};
	CHECK(bytes_read_pieces(bytes, pieces, N, NULL) == 0);
	for (unsigned i = 0; i < N; i++) {
		size_t n = size - pieces[i].offset < 10 ? (size_t)(size - pieces[i].offset) : 10;
		CHECK(pieces[i].got_bytes == n && !memcmp(got[i], data + pieces[i].offset, n));
	}
	CHECK(unpack_made_bytes(bytes) <= size + (3 << 20));
	bytes_unref(bytes);
}

/* With no memory to keep anything in worth speaking of. */
static void pieces_are_read_in_their_order(void)
{
	config.cache_bytes = 0;
	for_each(5 << 20, read_a_table);
	config.cache_bytes = CACHE_BYTES;
}

static void count_memory(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	for (size_t at = 0; at < size - 100000; at += 3000000)
		CHECK(reads_equal(bytes, data, at, 100000) && reads_equal(bytes, data, size - 100000 - at, 100000));
	uint64_t n = unpack_memory_bytes(bytes);
	CHECK(n > 100000 && n < 21 << 20); /* 4 of segments, 16 of decoders */
	bytes_unref(bytes);
}

static void memory_is_bounded(void)
{
	config.cache_bytes = 0;
	for_each(7 << 20, count_memory);
	config.cache_bytes = CACHE_BYTES;
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

static void cut(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	(void)data;
	for (size_t n = 1; n < packed_len; n = n * 200 + 1) {
		struct bytes *bytes = open_packed(packer, packed, packed_len - n, size);
		CHECK(strstr(error_of(bytes, size), packer->words));
		bytes_unref(bytes);
	}
}

static void wrong_size(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	(void)data;
	for (int delta = -1; delta <= 1; delta += 2) {
		struct bytes *bytes = open_packed(packer, packed, packed_len, size + (size_t)delta);
		CHECK(strstr(error_of(bytes, size + (size_t)delta), packer->words));
		bytes_unref(bytes);
	}
}

static void cut_data_and_wrong_sizes_are_errors(void)
{
	for (size_t size = 20000; size <= 5000000; size += 4980000) {
		for_each(size, cut);
		for_each(size, wrong_size);
	}
}

/* The second half of what is packed is gone: what lies before can be read, however often the rest was asked for. */
static void lose_half(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	struct bytes *bytes = open_packed(packer, packed, packed_len / 2, size);
	uint64_t made = 0;
	for (unsigned i = 0; i < 10; i++) {
		CHECK(strstr(error_of(bytes, size), packer->words));
		CHECK(reads_equal(bytes, data, size / 2 - 1500000, 300000));
		CHECK(reads_equal(bytes, data, 5, 1000));
		made = i == 0 ? unpack_made_bytes(bytes) : made;
	}
	CHECK(unpack_made_bytes(bytes) < made + 2 * size); /* known damage isn't looked for again */
	bytes_unref(bytes);
}

static void damage_stays_where_it_is(void)
{
	for_each(5 << 20, lose_half);
}

/* ---- what single methods may do ---- */

static void streams_behind_each_other(void)
{
	for (size_t i = 0; i < NPACKERS; i++) {
		if (!packers[i].class->concatenates)
			continue;
		for (size_t size = 3000; size < 7000000; size *= 1500) {
			size_t first, second;
			uint8_t *data = make_data(size), *packed = packers[i].pack(data, size / 3, &first);
			uint8_t *rest = packers[i].pack(data + size / 3, size - size / 3, &second);
			packed = realloc(packed, first + second);
			memcpy(packed + first, rest, second);
			struct bytes *bytes = open_packed(&packers[i], packed, first + second, size);
			CHECK(reads_equal(bytes, data, 0, size) && reads_equal(bytes, data, size / 3 - 10, 20));
			bytes_unref(bytes);
			free(rest);
			free(packed);
			free(data);
		}
	}
}

/* Without the mark at its end LZMA data ends where its size says. */
static void lzma_without_a_mark(void)
{
	const size_t size = 100000;
	size_t packed_len;
	uint8_t *data = make_data(size), *packed = pack_lzma(data, size, &packed_len);
	struct bytes *source = bytes_from_memory(packed, packed_len, 1), *bytes = NULL;
	CHECK(unpack_open(&decoder_lzma, source, size, false, &bytes, NULL) == 0 && reads_equal(bytes, data, 0, size));
	bytes_unref(bytes);
	bytes_unref(source);
	free(data);
}

/* A dictionary of 4 GiB costs what the data is long, and is refused where that is more than there may be. */
static void large_dictionaries(void)
{
	const size_t size = 5000000;
	size_t packed_len;
	uint8_t *data = make_data(size), *packed = pack_lzma(data, size, &packed_len), got[1];
	memset(packed + 5, 0xff, 4);
	struct bytes *bytes = open_packed(&packers[3], packed, packed_len, size);
	CHECK(reads_equal(bytes, data, 1000, 4000000) && unpack_memory_bytes(bytes) < 20 << 20);
	bytes_unref(bytes);
	struct err err = ERR_NONE;
	bytes = open_packed(&packers[3], packed, packed_len, UINT64_C(1) << 40);
	CHECK(bytes_read(bytes, got, 1, 0, &err) == -EFBIG && strstr(err.text, "a dictionary of 4294967295 bytes"));
	bytes_unref(bytes);
	free(packed);
	free(data);
}

static void large_windows(void)
{
	const size_t size = 17 << 20;
	uint8_t *data = make_data(size), *packed = malloc(ZSTD_compressBound(size)), got[1];
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
	ZSTD_inBuffer in = {data, size, 0};
	ZSTD_outBuffer out = {packed, ZSTD_compressBound(size), 0};
	while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0)
		;
	ZSTD_freeCCtx(context);
	struct err err = ERR_NONE;
	config.cache_bytes = 0;
	struct bytes *bytes = open_packed(&packers[5], packed, out.pos, size); /* 16 MiB are allowed */
	CHECK(bytes_read(bytes, got, 1, 0, &err) == -EFBIG && strstr(err.text, "the window of the Zstandard data"));
	bytes_unref(bytes);
	config.cache_bytes = CACHE_BYTES;
	bytes = open_packed(&packers[5], packed, out.pos, size);
	CHECK(reads_equal(bytes, data, size - 1000, 1000));
	bytes_unref(bytes);
	free(packed);
	free(data);
}

/* ---- threads ---- */

struct reader {
	struct bytes *bytes;
	const uint8_t *data;
	size_t size, start;
	bool equal;
};

static void *read_on(void *context)
{
	struct reader *r = context;
	r->equal = true;
	for (unsigned i = 0; i < 15; i++) {
		uint64_t offset = (r->start + i * 150000) % (r->size - 150000);
		r->equal = r->equal && reads_equal(r->bytes, r->data, offset, 150000);
	}
	return NULL;
}

static void several_readers(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	struct reader readers[4];
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){bytes, data, size, i * 2000003, false};
		pthread_create(&threads[i], NULL, read_on, &readers[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		CHECK(readers[i].equal);
	}
	/* each goes on where it was, and none starts anew for each read */
	CHECK(unpack_made_bytes(bytes) < 12 * size);
	bytes_unref(bytes);
}

static void readers_at_different_places(void)
{
	for_each(5 << 20, several_readers);
}

/* ---- patience ---- */

static atomic_int asked;

static bool gives_up_at_fifth(void *context)
{
	(void)context;
	return ++asked > 5;
}

static void give_up(const struct packer *packer, const uint8_t *data, size_t size, const uint8_t *packed, size_t packed_len)
{
	static const struct patience patience = {gives_up_at_fifth, NULL};
	struct bytes *bytes = open_packed(packer, packed, packed_len, size);
	struct err err = ERR_NONE;
	uint8_t got[10];
	asked = 0;
	CHECK(patience_set_of_thread(&patience) == NULL);
	CHECK(bytes_read(bytes, got, 10, size - 10, &err) == -EINTR && err_is_passing(&err));
	CHECK(patience_set_of_thread(NULL) == &patience);
	CHECK(unpack_made_bytes(bytes) < 3 << 20);
	CHECK(reads_equal(bytes, data, size - 1000, 1000)); /* the next one goes on */
	bytes_unref(bytes);
}

static void a_reader_that_gives_up(void)
{
	for_each(5 << 20, give_up);
}

static const struct test_case cases[] = {
	CASE(random_offsets_and_lengths),
	CASE(backwards_costs_little_more_than_forwards),
	CASE(pieces_are_read_in_their_order),
	CASE(memory_is_bounded),
	CASE(cut_data_and_wrong_sizes_are_errors),
	CASE(damage_stays_where_it_is),
	CASE(streams_behind_each_other),
	CASE(lzma_without_a_mark),
	CASE(large_dictionaries),
	CASE(large_windows),
	CASE(readers_at_different_places),
	CASE(a_reader_that_gives_up),
};

int main(void)
{
	config.cache_bytes = CACHE_BYTES;
	return run_cases(cases, sizeof cases / sizeof *cases);
}
