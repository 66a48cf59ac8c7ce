/* png_chunk.c - the chunk structure: headers, data, CRCs. It knows what a chunk looks like and nothing of what it means. */
#include "png_file.h"

#include <errno.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

uint32_t png_crc(uint32_t crc, const void *data, size_t len_bytes)
{
	return libdeflate_crc32(crc, data, len_bytes);
}

void png_window_init(struct png_window *window, struct bytes *bytes, uint8_t *data, size_t room_bytes, uint64_t offset)
{
	*window = (struct png_window){.bytes = bytes, .data = data, .room_bytes = room_bytes, .start = offset, .offset = offset};
}

int png_window_need(struct png_window *window, size_t want, const uint8_t **ret_data, size_t *ret_len_bytes, struct err *err)
{
	bool inside = window->offset >= window->start && window->offset - window->start <= window->len_bytes;
	size_t at = inside ? (size_t)(window->offset - window->start) : 0;
	if (!inside || window->len_bytes - at < want) {
		ssize_t got = bytes_read(window->bytes, window->data, window->room_bytes, window->offset, err);
		if (got < 0)
			return (int)got;
		window->start = window->offset;
		window->len_bytes = (size_t)got;
		at = 0;
	}
	*ret_data = window->data + at;
	*ret_len_bytes = window->len_bytes - at;
	return 0;
}

static bool is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int png_chunk_read(struct png_window *window, enum png_step *ret_step, struct png_chunk *ret_chunk, struct err *err)
{
	const uint8_t *p = NULL;
	size_t len_bytes = 0;
	int rc = png_window_need(window, 8, &p, &len_bytes, err);
	if (rc)
		return rc;
	*ret_chunk = (struct png_chunk){.offset = window->offset};
	if (len_bytes < 8) {
		*ret_step = len_bytes ? PNG_STEP_CUT : PNG_STEP_END;
		return 0;
	}
	ret_chunk->len_bytes = png_get32(p);
	if (ret_chunk->len_bytes > INT32_MAX || !is_letter(p[4]) || !is_letter(p[5]) || !is_letter(p[6]) || !is_letter(p[7])) {
		*ret_step = PNG_STEP_BAD;
		return 0;
	}
	memcpy(ret_chunk->type, p + 4, 4);
	*ret_step = png_chunk_end(ret_chunk) > window->bytes->size_bytes ? PNG_STEP_CUT : PNG_STEP_CHUNK;
	return 0;
}

int png_chunk_verify(struct png_window *window, const struct png_chunk *chunk, bool *ret_good, struct err *err)
{
	uint64_t left = (uint64_t)chunk->len_bytes + 4; /* the type is part of what the CRC covers */
	uint32_t crc = 0;
	const uint8_t *p = NULL;
	size_t len_bytes = 0;
	window->offset = chunk->offset + 4;
	while (left) {
		int rc = png_window_need(window, 1, &p, &len_bytes, err);
		if (rc)
			return rc;
		if (!len_bytes)
			break;
		size_t n = left < len_bytes ? (size_t)left : len_bytes;
		crc = png_crc(crc, p, n);
		window->offset += n;
		left -= n;
	}
	int rc = png_window_need(window, 4, &p, &len_bytes, err);
	if (rc)
		return rc;
	if (left || len_bytes < 4)
		return err_set(err, -EIO, "the file ends at byte %" PRIu64 ", within the %s chunk at byte %" PRIu64, window->offset,
			       chunk->type, chunk->offset);
	*ret_good = crc == png_get32(p);
	window->offset += 4;
	return 0;
}

int png_chunk_body(const struct png_window *window, const struct png_chunk *chunk, uint8_t *dst, bool *ret_good, struct err *err)
{
	uint64_t offset = chunk->offset + 8;
	size_t want = (size_t)chunk->len_bytes + 4, have = 0;
	if (offset >= window->start && offset - window->start < window->len_bytes) {
		have = window->len_bytes - (size_t)(offset - window->start);
		if (have > want)
			have = want;
		memcpy(dst, window->data + (offset - window->start), have);
	}
	int rc = have < want ? bytes_read_exact(window->bytes, dst + have, want - have, offset + have, err) : 0;
	if (rc)
		return rc;
	uint32_t crc = png_crc(png_crc(0, chunk->type, 4), dst, chunk->len_bytes);
	*ret_good = crc == png_get32(dst + chunk->len_bytes);
	return 0;
}
