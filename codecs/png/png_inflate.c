/* png_inflate.c - the image data inflated by ISA-L, which takes a third to a half of zlib's time. It inflates forwards and in
 * pieces, as zlib does: the first rows need the first bytes only, and memory is bounded (about 90 KiB).
 *
 * ISA-L's word counts only where all is well: a zlib stream with exactly the bytes that the rows need and the right Adler-32.
 * In all other cases, and whatever else goes wrong, the answer is false without words: the caller decodes again with zlib, whose
 * verdict and words hold. (It takes codes that leave a part of the code space unused, which zlib doesn't; where the Adler-32
 * is right nothing is lost by that.) */
#include "png_file.h"

#include <stdlib.h>

#include <isa-l/igzip_lib.h>

struct png_inflate {
	struct inflate_state state;
	struct png_idat *idat;
	uint64_t packed_left; /* image data not yet read */
};

/* Filtered bytes of the rows of one pass: a filter type and the pixels, for each (PNG 9.2). */
static uint64_t pass_bytes(const struct png_file *file, uint64_t width, uint64_t height)
{
	return width ? height * (1 + (width * png_pixel_bits(file) + 7) / 8) : 0;
}

uint64_t png_inflate_bytes(const struct png_file *file)
{
	/* PNG 8.1, Adam7: each pass's first column and row, and the steps to the next */
	static const uint8_t x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
	static const uint8_t dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
	uint64_t bytes = 0;
	if (!file->interlaced)
		return pass_bytes(file, file->width, file->height);
	for (int i = 0; i < 7; i++)
		bytes += pass_bytes(file, ((uint64_t)file->width + dx[i] - 1 - x0[i]) / dx[i],
				    ((uint64_t)file->height + dy[i] - 1 - y0[i]) / dy[i]);
	return bytes;
}

struct png_inflate *png_inflate_open(const struct png_file *file, struct png_idat *idat)
{
	struct png_inflate *inflate = malloc(sizeof *inflate);
	if (!inflate)
		return NULL;
	isal_inflate_init(&inflate->state);
	inflate->state.crc_flag = ISAL_ZLIB;
	inflate->idat = idat;
	inflate->packed_left = file->idat_bytes;
	return inflate;
}

void png_inflate_free(struct png_inflate *inflate)
{
	free(inflate);
}

static bool refill(struct png_inflate *inflate)
{
	struct inflate_state *state = &inflate->state;
	struct err ignored = ERR_NONE;
	const uint8_t *data;
	size_t len_bytes;
	bool first = !state->next_in;
	if (png_idat_piece(inflate->idat, PNG_PIECE_BYTES, &data, &len_bytes, &ignored))
		return false;
	inflate->packed_left -= len_bytes;
	state->next_in = (uint8_t *)(uintptr_t)data; /* it is only read */
	state->avail_in = (uint32_t)len_bytes;
	return !first || data[0] >> 4 <= 7; /* RFC 1950: windows of up to 32 KiB; ISA-L doesn't look */
}

/* One call of ISA-L. False where it finds something wrong or comes no further. */
static bool step(struct png_inflate *inflate)
{
	struct inflate_state *state = &inflate->state;
	if (!state->avail_in && inflate->packed_left && !refill(inflate))
		return false;
	uint32_t in = state->avail_in, out = state->avail_out;
	if (isal_inflate(state) != ISAL_DECOMP_OK)
		return false;
	return state->avail_in != in || state->avail_out != out || state->block_state == ISAL_BLOCK_FINISH;
}

bool png_inflate_read(struct png_inflate *inflate, uint8_t *dst, uint32_t len_bytes)
{
	struct inflate_state *state = &inflate->state;
	state->next_out = dst;
	state->avail_out = len_bytes;
	while (state->avail_out)
		if (state->block_state == ISAL_BLOCK_FINISH || !step(inflate))
			return false;
	return true;
}

bool png_inflate_finish(struct png_inflate *inflate)
{
	uint8_t more;
	struct inflate_state *state = &inflate->state;
	state->next_out = &more;
	state->avail_out = 1;
	while (state->block_state != ISAL_BLOCK_FINISH)
		if (!step(inflate))
			return false;
	return state->avail_out == 1;
}
