/* png_fuzz.c - any bytes through the PNG codec, as they are and with the CRCs of their chunks set right. */
#include <libdeflate.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/registry.h"

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void set_crcs(uint8_t *data, size_t len_bytes)
{
	size_t at = 8;
	while (len_bytes >= 12 && at <= len_bytes - 12 && get32(data + at) <= len_bytes - 12 - at) {
		size_t chunk_bytes = get32(data + at);
		uint32_t crc = libdeflate_crc32(0, data + at + 4, chunk_bytes + 4);
		for (int i = 0; i < 4; i++)
			data[at + 8 + chunk_bytes + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
		at += 12 + chunk_bytes;
	}
}

#define FUZZ_CODEC codec_png
#define FUZZ_PREPARE set_crcs
#include "codec_fuzz.h"
