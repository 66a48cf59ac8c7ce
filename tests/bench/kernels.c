/* kernels.c - what the views' kernels do in a second, on one thread, from decoded samples in memory, for scripts/bench.
 *
 * Reads lines "TYPE INTERLEAVED SPEC" from standard input: the stored type of an RGB picture of 2048x1152 (u8, u16, f16,
 * f32), 1 where its samples lie as in a PNG, 0 planes as in an EXR, and a view's name. Reads that view once, whole, into
 * memory that was written before, and answers "NBYTES SECONDS". Chunks are bands of 64 rows, handed out without a copy.
 * A first reading of each view, not timed, fills the caches. Ends with status 1 where a view doesn't compile or read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/view/view.h"

enum { WIDTH = 2048, HEIGHT = 1152, BAND_ROWS = 64, NBANDS = HEIGHT / BAND_ROWS, NPLANES = 3 };

struct made {
	struct codec_header header;
	struct codec_part part;
	struct codec_plane planes[NPLANES];
	struct codec_channel channels[NPLANES];
	struct codec_level level;
	uint16_t shown[NPLANES];
	struct picture picture;
	void *bands[NBANDS];
};

static _Noreturn void die(const char *words)
{
	fprintf(stderr, "kernels: %s\n", words);
	exit(1);
}

/* ---- pictures ---- */

static int made_pin(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	(void)cx, (void)err;
	*ret_samples = ((struct made *)context)->bands[cy];
	return 0;
}

static void made_unpin(void *context, uint32_t cx, uint32_t cy)
{
	(void)context, (void)cx, (void)cy;
}

/* Any integers; floats from 0 to 1. */
static void fill(void *band, size_t len_bytes, enum sample_type type)
{
	static uint32_t state = 1;
	for (size_t at = 0; at + 4 <= len_bytes; at += 4) {
		state = state * 1664525u + 1013904223u;
		uint32_t word = state;
		float value = (float)(state >> 8) / (float)(1 << 24);
		if (type == SAMPLE_F16)
			word = (state >> 16) % 0x3C00 | (state & 0xFFFF) % 0x3C00 << 16;
		if (type == SAMPLE_F32)
			memcpy(&word, &value, 4);
		memcpy((char *)band + at, &word, 4);
	}
}

static struct made *made_new(enum sample_type type, bool interleaved)
{
	static const char *const names[] = {"R", "G", "B"};
	struct made *made = calloc(1, sizeof *made);
	if (!made)
		die("no memory");
	codec_level_set(&made->level, WIDTH, HEIGHT, WIDTH, BAND_ROWS);
	made->part = (struct codec_part){.name = "", .view = "", .compression = "none", .nlevels = 1, .nlevels_x = 1};
	made->part.levels = &made->level;
	made->part.planes = made->planes;
	made->part.channels = made->channels;
	made->part.nplanes = made->part.nchannels = NPLANES;
	made->part.interleaved = interleaved;
	made->part.color = (struct codec_color){.interop_id = "srgb_rec709_scene", .transfer = "srgb", .source = "made"};
	made->part.data_window = made->part.display_window = (struct codec_box){0, 0, WIDTH - 1, HEIGHT - 1};
	uint32_t divisor = type == SAMPLE_U8 ? 255 : type == SAMPLE_U16 ? 65535 : 0;
	for (uint16_t p = 0; p < NPLANES; p++) {
		made->planes[p] = (struct codec_plane){(uint8_t)type, 0, 0, divisor, 1, 1};
		made->channels[p] = (struct codec_channel){.name = names[p], .origin = ORIGIN_PLANE, .plane = p};
		made->shown[p] = p;
	}
	made->header = (struct codec_header){.nparts = 1, .nframes = 1, .parts = &made->part};
	made->picture = (struct picture){&made->header, &made->part, 0, 0, NPLANES, made->shown};
	for (uint32_t b = 0; b < NBANDS; b++) {
		struct codec_chunk_layout layout;
		codec_chunk_layout(&made->part, 0, 0, b, &layout, NULL);
		made->bands[b] = aligned_alloc(64, (layout.len_bytes + 63) / 64 * 64);
		if (!made->bands[b])
			die("no memory");
		fill(made->bands[b], layout.len_bytes, type);
	}
	return made;
}

static struct made *made_get(const char *type, int interleaved)
{
	static const char *const names[] = {[SAMPLE_U8] = "u8", [SAMPLE_U16] = "u16", [SAMPLE_F16] = "f16", [SAMPLE_F32] = "f32"};
	static struct made *all[sizeof names / sizeof *names][2];
	for (size_t t = 0; t < sizeof names / sizeof *names; t++)
		if (names[t] && strcmp(names[t], type) == 0) {
			struct made **made = &all[t][interleaved != 0];
			return *made ? *made : (*made = made_new((enum sample_type)t, interleaved));
		}
	die("unknown type");
}

/* ---- times ---- */

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void answer(struct made *made, const char *spec)
{
	const struct view_source source = {.context = made, .pin = made_pin, .unpin = made_unpin};
	struct view *view;
	struct err err = ERR_NONE;
	if (view_compile(&made->picture, spec, &view, &err))
		die(err.text);
	size_t nbytes = view_info(view)->nbytes;
	void *out = malloc(nbytes);
	double start = 0;
	for (int round = 0; round < 2; round++) {
		start = now();
		if (!out || view_read(view, 0, nbytes, out, &source, &err))
			die(err.text);
	}
	printf("%zu %.9f\n", nbytes, now() - start);
	fflush(stdout);
	free(out);
	view_free(view);
}

int main(void)
{
	char line[400], type[8], spec[256];
	int interleaved;
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%7s %d %255s", type, &interleaved, spec) != 3)
			die(line);
		answer(made_get(type, interleaved), spec);
	}
	return 0;
}
