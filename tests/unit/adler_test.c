/* adler_test.c - the Adler-32 that zlib is given in this program: the judge is RFC 1950, section 9. */
#include <stdint.h>
#include <zlib.h>

#include "case.h"

static uint8_t data[20000];

static uint32_t by_the_rule(uint32_t start, const uint8_t *bytes, size_t len_bytes)
{
	uint32_t a = start & 0xffff, b = start >> 16;
	for (size_t i = 0; i < len_bytes; i++) {
		a = (a + bytes[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void every_length(void)
{
	uint32_t sum = 1;
	for (unsigned len = 0; len < 400; len++) {
		CHECK(adler32(1, data + len, len) == by_the_rule(1, data + len, len));
		sum = (uint32_t)adler32_z(sum, data + 3, len);
	}
	uint32_t ruled = 1;
	for (unsigned len = 0; len < 400; len++)
		ruled = by_the_rule(ruled, data + 3, len);
	CHECK(sum == ruled);
	CHECK(adler32(sum, data, sizeof data) == by_the_rule(sum, data, sizeof data));
}

static void its_start(void)
{
	CHECK(adler32(0, NULL, 0) == 1 && adler32_z(77, NULL, 0) == 1);
}

/* What zlib itself writes and checks. */
static void zlib_agrees(void)
{
	static uint8_t packed[30000], again[sizeof data];
	uLongf packed_bytes = sizeof packed, again_bytes = sizeof again;
	CHECK(compress(packed, &packed_bytes, data, sizeof data) == Z_OK);
	uint32_t sum = by_the_rule(1, data, sizeof data);
	const uint8_t *end = packed + packed_bytes - 4;
	CHECK(((uint32_t)end[0] << 24 | (uint32_t)end[1] << 16 | (uint32_t)end[2] << 8 | end[3]) == sum);
	CHECK(uncompress(again, &again_bytes, packed, packed_bytes) == Z_OK && again_bytes == sizeof data);
	packed[packed_bytes - 1] ^= 1;
	CHECK(uncompress(again, &again_bytes, packed, packed_bytes) == Z_DATA_ERROR);
}

int main(void)
{
	uint32_t state = 1;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
	static const struct test_case cases[] = {CASE(every_length), CASE(its_start), CASE(zlib_agrees)};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
