/* exr_zip.c - ZIP, ZIPS and RLE, the compressions that are a general one over two simple steps ("Data Compression" of
 * OpenEXR's technical introduction): the bytes of the chunk are split into those at even and those at odd places, each byte
 * is replaced by its difference to the one before (plus 128), and the result is deflated or run-length coded.
 *
 * Here: the general one is undone into dst, then the differences in place. The halves are put together later, straight
 * into the planes (exr_zip_interleave), so that the samples are touched once less. */
#include "exr.h"

#include <errno.h>
#include <string.h>

#include <libdeflate.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* data[i] += data[i - 1] - 128 from i = 1 on: a running sum, sixteen at a time. */
static void undo_differences(uint8_t *data, size_t len_bytes)
{
	size_t i = 1;
#ifdef __SSE2__
	const __m128i bias = _mm_set1_epi8(-128);
	__m128i before = _mm_setzero_si128();
	if (len_bytes >= 16)
		data[0] = (uint8_t)(data[0] ^ 0x80); /* the first has no bias; the loop takes 128 off it too */
	for (i = 0; len_bytes - i >= 16; i += 16) {
		__m128i sum = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)(data + i)), bias);
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 1));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 2));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 4));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 8));
		/* the last byte of the sum alone is what the next sixteen wait for: it is spread before `before` is added */
		__m128i last = _mm_unpackhi_epi8(sum, sum);
		last = _mm_shufflehi_epi16(last, 0xff);
		last = _mm_unpackhi_epi64(last, last);
		_mm_storeu_si128((__m128i *)(void *)(data + i), _mm_add_epi8(sum, before));
		before = _mm_add_epi8(before, last);
	}
	if (i == 0)
		i = 1;
#endif
	for (; i < len_bytes; i++)
		data[i] = (uint8_t)(data[i] + data[i - 1] - 128);
}

void exr_zip_interleave(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t len_bytes)
{
	size_t i = 0, half = len_bytes / 2;
#ifdef __SSE2__
	for (; half - i >= 16; i += 16) {
		__m128i a = _mm_loadu_si128((const __m128i *)(const void *)(even + i));
		__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(odd + i));
		_mm_storeu_si128((__m128i *)(void *)(dst + 2 * i), _mm_unpacklo_epi8(a, b));
		_mm_storeu_si128((__m128i *)(void *)(dst + 2 * i + 16), _mm_unpackhi_epi8(a, b));
	}
#endif
	for (; i < half; i++) {
		dst[2 * i] = even[i];
		dst[2 * i + 1] = odd[i];
	}
}

int exr_inflate(const void *packed, size_t packed_bytes, uint8_t *dst, size_t dst_bytes, struct err *err)
{
	struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
	if (!inflater)
		return err_set(err, -ENOMEM, "no memory to inflate");
	size_t got = 0;
	enum libdeflate_result result = libdeflate_zlib_decompress(inflater, packed, packed_bytes, dst, dst_bytes, &got);
	libdeflate_free_decompressor(inflater);
	if (result != LIBDEFLATE_SUCCESS || got != dst_bytes)
		return err_set(err, -EIO,
			       result == LIBDEFLATE_SUCCESS ? "deflated data are %zu bytes too short" : "deflated data are damaged",
			       dst_bytes - got);
	return 0;
}

int exr_zip_expand(const void *packed, size_t packed_bytes, uint8_t *dst, size_t unpacked_bytes, struct err *err)
{
	int rc = exr_inflate(packed, packed_bytes, dst, unpacked_bytes, err);
	if (!rc)
		undo_differences(dst, unpacked_bytes);
	return rc;
}

/* A count of -1 to -128 stands before that many bytes as they are, one of 0 to 127 before a byte to repeat count + 1 times. */
int exr_rle_expand(const void *packed, size_t packed_bytes, uint8_t *dst, size_t unpacked_bytes, struct err *err)
{
	const uint8_t *in = packed, *end = in + packed_bytes;
	size_t out = 0;
	while (end - in >= 2) {
		int8_t count = (int8_t)*in++;
		size_t n = count < 0 ? (size_t)-count : (size_t)count + 1;
		if (n > unpacked_bytes - out || (count < 0 && n > (size_t)(end - in)))
			break;
		if (count < 0)
			memcpy(dst + out, in, n);
		else
			memset(dst + out, *in, n);
		in += count < 0 ? n : 1;
		out += n;
	}
	if (in != end || out != unpacked_bytes)
		return err_set(err, -EIO, "run-length coded data are damaged at byte %zu", (size_t)(in - (const uint8_t *)packed));
	undo_differences(dst, unpacked_bytes);
	return 0;
}
