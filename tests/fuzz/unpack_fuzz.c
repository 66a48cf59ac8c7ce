/* unpack_fuzz.c - any bytes as data packed by any method: it is read whole, in pieces from its end, and again, and what two reads
 * give is the same. Byte 0: the method; byte 1: whether LZMA has a mark; bytes 2 to 4: the size that is declared, in units of 16.
 */
#include <stdlib.h>
#include <string.h>

#include "fs/source/zip/unpack.h"

enum { HEAD_BYTES = 5, PIECE_BYTES = 50000, MAX_PIECES = 200 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* From the end to the start; each piece must be as in whole, where that could be read. */
static void read_backwards(struct bytes *bytes, const uint8_t *whole)
{
	static uint8_t piece[PIECE_BYTES];
	uint64_t at = bytes->size_bytes;
	for (unsigned i = 0; i < MAX_PIECES && at; i++) {
		struct err err = ERR_NONE;
		size_t n = at < PIECE_BYTES ? (size_t)at : PIECE_BYTES;
		at -= n;
		ssize_t got = bytes_read(bytes, piece, n, at, &err);
		require(got == (ssize_t)n || (got < 0 && err.code == got));
		require(!whole || (got == (ssize_t)n && !memcmp(piece, whole + at, n)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static const struct decoder_class *const classes[] = {&decoder_deflate, &decoder_deflate64, &decoder_bzip2,
							      &decoder_lzma,    &decoder_zstd,      &decoder_xz};
	if (len_bytes < HEAD_BYTES)
		return 0;
	const struct decoder_class *class = classes[data[0] % (sizeof classes / sizeof *classes)];
	size_t size = ((size_t)data[2] | (size_t)data[3] << 8 | (size_t)data[4] << 16) % (3 << 17) * 16 + 1;
	struct bytes *packed = bytes_from_memory(data + HEAD_BYTES, len_bytes - HEAD_BYTES, 0), *bytes = NULL;
	uint8_t *whole = malloc(size);
	struct err err = ERR_NONE;
	require(packed && whole && unpack_open(class, packed, size, data[1] & 1, &bytes, &err) == 0);
	bytes_unref(packed);
	ssize_t got = bytes_read(bytes, whole, size, 0, &err);
	require(got == (ssize_t)size || (got < 0 && err.code == got));
	read_backwards(bytes, got < 0 ? NULL : whole);
	bytes_unref(bytes);
	free(whole);
	return 0;
}
