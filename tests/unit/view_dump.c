/* view_dump.c - views over made-up pictures, for tests/property/test_views.py.
 *
 * Reads commands from standard input, one a line, words separated by blanks:
 *   picture W H CHUNK_W CHUNK_H INTERLEAVED ALPHA ORIENTATION TRANSFER GAMMA INTEROP ADOBE   starts a picture
 *   window  DX0 DY0 DX1 DY1 X0 Y0 X1 Y1       data and display window
 *   plane   TYPE DIVISOR XS YS NBYTES         then NBYTES of samples follow the line, row by row
 *   channel NAME ORIGIN PLANE COMPONENT SHOWN DATA RY BY
 *   luma    R G B                             the weights of luminance
 *   palette N                                 then 4 * N bytes follow
 *   key     A B C
 *   view    SEED SPEC                         answers with a line of JSON, then with the bytes of the view
 *   channelview SEED NUMBER NPY               the same for view_compile_channel
 *   list                                      answers with the names of view_list, separated by blanks
 * A view is read at once and again in random pieces at unaligned addresses, which must give the same bytes; every chunk is
 * handed out as a copy of its own, so that a sanitizer sees each byte read beside it; pins are counted.
 * Ends with status 2 where a command makes no sense, 3 where the engine breaks a rule. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view/view.h"

enum { MAX_PLANES = 64, MAX_WORD = 300 };

struct made {
	struct codec_header header;
	struct codec_part part;
	struct codec_plane planes[MAX_PLANES];
	struct codec_channel channels[MAX_PLANES];
	struct codec_level level;
	struct codec_attribute attribute;
	int64_t adobe;
	unsigned char *samples[MAX_PLANES];
	char words[2 * MAX_PLANES + 8][MAX_WORD];
	uint8_t palette[256][4];
	uint16_t shown[MAX_PLANES];
	struct picture picture;
	/* the source's own checks */
	uint32_t want[4];
	int wanted, pinned;
	unsigned char *copy;
};

static _Noreturn void die(int status, const char *words)
{
	fprintf(stderr, "view_dump: %s\n", words);
	exit(status);
}

/* ---- chunks ---- */

static void made_want(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	struct made *made = context;
	if (cx0 > cx1 || cy0 > cy1 || cx1 >= made->level.nchunks_x || cy1 >= made->level.nchunks_y)
		die(3, "want: chunks out of range");
	const uint32_t want[4] = {cx0, cy0, cx1, cy1};
	memcpy(made->want, want, sizeof want);
	made->wanted = 1;
}

static int made_pin(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct made *made = context;
	struct codec_chunk_layout layout;
	struct codec_plane_layout planes[MAX_PLANES];
	(void)err;
	if (made->pinned++ || !made->wanted || cx < made->want[0] || cx > made->want[2] || cy < made->want[1] || cy > made->want[3])
		die(3, "pin: not wanted before, or two at once");
	codec_chunk_layout(&made->part, 0, cx, cy, &layout, planes);
	made->copy = malloc(layout.len_bytes ? layout.len_bytes : 1);
	for (uint32_t p = 0; p < made->part.nplanes; p++) {
		const struct codec_plane *plane = &made->planes[p];
		size_t size = sample_size_bytes((enum sample_type)plane->type);
		size_t width = (made->level.width + plane->xsampling - 1) / plane->xsampling;
		size_t x0 = (layout.x + plane->xsampling - 1) / plane->xsampling,
		       y0 = (layout.y + plane->ysampling - 1) / plane->ysampling;
		for (size_t j = 0; j < planes[p].height; j++)
			for (size_t i = 0; i < planes[p].width; i++)
				memcpy(made->copy + planes[p].offset + j * planes[p].row_bytes + i * planes[p].step_bytes,
				       made->samples[p] + ((y0 + j) * width + x0 + i) * size, size);
	}
	*ret_samples = made->copy;
	return 0;
}

static void made_unpin(void *context, uint32_t cx, uint32_t cy)
{
	struct made *made = context;
	(void)cx, (void)cy;
	if (!made->pinned--)
		die(3, "unpin without a pin");
	free(made->copy);
	made->copy = NULL;
}

/* ---- views ---- */

static void print_failure(int rc, const struct err *err)
{
	printf("{\"rc\": %d, \"words\": \"", rc);
	for (const char *c = err->text; *c; c++)
		putchar(*c == '"' || *c == '\\' ? '\'' : *c);
	printf("\"}\n");
}

static void read_again(const struct view *view, const unsigned char *all, const struct view_source *source, unsigned seed)
{
	uint64_t nbytes = view_info(view)->nbytes;
	for (int i = 0; i < 6; i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % nbytes;
		uint64_t left = nbytes - offset, most = i < 3 ? 40 : left;
		size_t len = 1 + (size_t)((uint64_t)rand_r(&seed) % (most < left ? most : left));
		unsigned shift = (unsigned)rand_r(&seed) % 8;
		unsigned char *piece = malloc(len + shift);
		struct err err = ERR_NONE;
		if (view_read(view, offset, len, piece + shift, source, &err))
			die(3, err.text);
		if (memcmp(piece + shift, all + offset, len) != 0)
			die(3, "a piece differs from the whole");
		free(piece);
	}
}

static void answer(struct made *made, struct view *view, unsigned seed)
{
	const struct view_info *info = view_info(view);
	const struct view_source source = {made, made_want, made_pin, made_unpin};
	static const char *const types[] = {"u1", "u2", "u4", "f2", "f4"};
	unsigned char *all = malloc(info->nbytes);
	struct err err = ERR_NONE;
	if (view_read(view, 0, info->nbytes, all, &source, &err))
		die(3, err.text);
	read_again(view, all, &source, seed);
	printf("{\"rc\": 0, \"dtype\": \"%s\", \"header\": %zu, \"nbytes\": %" PRIu64 ", \"shape\": [", types[info->dtype],
	       info->header_bytes, info->nbytes);
	for (uint32_t i = 0; i < info->ndim; i++)
		printf("%s%" PRIu64, i ? ", " : "", info->shape[i]);
	printf("]}\n");
	fwrite(all, 1, info->nbytes, stdout);
	free(all);
	view_free(view);
}

static void made_view(struct made *made, const char *line)
{
	unsigned seed;
	int at = 0;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	if (sscanf(line, "view %u%n", &seed, &at) != 1 || line[at] != ' ')
		die(2, line);
	int rc = view_compile(&made->picture, line + at + 1, &view, &err);
	if (rc)
		print_failure(rc, &err);
	else
		answer(made, view, seed);
	fflush(stdout);
}

static void made_channel_view(struct made *made, const char *line)
{
	unsigned seed, number;
	int npy;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	if (sscanf(line, "channelview %u %u %d", &seed, &number, &npy) != 3)
		die(2, line);
	int rc = view_compile_channel(&made->picture, number, npy, &view, &err);
	if (rc)
		print_failure(rc, &err);
	else
		answer(made, view, seed);
	fflush(stdout);
}

static void made_list(struct made *made)
{
	const char *names[32];
	view_list(&made->picture, names, 32);
	for (size_t i = 0; names[i]; i++)
		printf("%s%s", i ? " " : "", names[i]);
	printf("\n");
	fflush(stdout);
}

/* ---- pictures ---- */

static void made_clear(struct made *made)
{
	for (uint32_t p = 0; p < made->part.nplanes; p++)
		free(made->samples[p]);
	memset(made, 0, sizeof *made);
}

static void made_picture(struct made *made, const char *line)
{
	unsigned w, h, cw, ch, interleaved, alpha, orientation;
	int adobe;
	double gamma;
	made_clear(made);
	if (sscanf(line, "picture %u %u %u %u %u %u %u %299s %lf %299s %d", &w, &h, &cw, &ch, &interleaved, &alpha, &orientation,
		   made->words[0], &gamma, made->words[1], &adobe) != 11)
		die(2, line);
	struct codec_part *part = &made->part;
	codec_level_set(&made->level, w, h, cw, ch);
	*part = (struct codec_part){
		.name = "", .view = "", .compression = "none", .row_order = "increasing", .nlevels = 1, .nlevels_x = 1};
	part->planes = made->planes;
	part->channels = made->channels;
	part->levels = &made->level;
	part->interleaved = interleaved;
	part->alpha = (uint8_t)alpha;
	part->data_window = part->display_window = (struct codec_box){0, 0, (int32_t)w - 1, (int32_t)h - 1};
	part->color =
		(struct codec_color){.interop_id = made->words[1], .transfer = made->words[0], .gamma = gamma, .source = "test"};
	made->adobe = adobe > 0;
	made->attribute = (struct codec_attribute){.group = "jpeg", .name = "adobe_inverted", .type = ATTRIBUTE_BOOL, .count = 1};
	made->attribute.ints = &made->adobe;
	part->attributes = &made->attribute;
	part->nattributes = adobe >= 0;
	made->header = (struct codec_header){.nparts = 1, .nframes = 1, .parts = part, .orientation = (uint8_t)orientation};
	made->picture = (struct picture){&made->header, part, 0, 0, 0, made->shown};
}

static void made_window(struct made *made, const char *line)
{
	struct codec_box *d = &made->part.data_window, *s = &made->part.display_window;
	if (sscanf(line, "window %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd32,
		   &d->min_x, &d->min_y, &d->max_x, &d->max_y, &s->min_x, &s->min_y, &s->max_x, &s->max_y) != 8)
		die(2, line);
}

static void made_plane(struct made *made, const char *line)
{
	unsigned type, divisor, xs, ys;
	size_t nbytes;
	uint32_t p = made->part.nplanes;
	if (sscanf(line, "plane %u %u %u %u %zu", &type, &divisor, &xs, &ys, &nbytes) != 5 || p == MAX_PLANES)
		die(2, line);
	made->planes[p] = (struct codec_plane){(uint8_t)type, 0, 0, divisor, xs, ys};
	made->samples[p] = malloc(nbytes ? nbytes : 1);
	if (fread(made->samples[p], 1, nbytes, stdin) != nbytes)
		die(2, "samples are missing");
	made->part.nplanes++;
}

static void made_channel(struct made *made, const char *line)
{
	unsigned origin, plane, component, data, chroma[2];
	int shown;
	uint32_t c = made->part.nchannels;
	if (c == MAX_PLANES || sscanf(line, "channel %299s %u %u %u %d %u %u %u", made->words[2 + c], &origin, &plane, &component,
				      &shown, &data, &chroma[0], &chroma[1]) != 8)
		die(2, line);
	made->channels[c] = (struct codec_channel){.name = made->words[2 + c],
						   .origin = (uint8_t)origin,
						   .component = (uint8_t)component,
						   .plane = (uint16_t)plane,
						   .data = data,
						   .chroma = {(uint16_t)chroma[0], (uint16_t)chroma[1]}};
	made->part.nchannels++;
	if (shown >= 0) { /* its place in the picture */
		made->shown[shown] = (uint16_t)c;
		made->picture.nchannels++;
		made->picture.channels = made->shown;
	}
}

static void made_luma(struct made *made, const char *line)
{
	float *luma = made->part.luma;
	if (sscanf(line, "luma %f %f %f", &luma[0], &luma[1], &luma[2]) != 3)
		die(2, line);
}

static void made_palette(struct made *made, const char *line)
{
	unsigned n;
	if (sscanf(line, "palette %u", &n) != 1 || n > 256 || fread(made->palette, 4, n, stdin) != n)
		die(2, line);
	made->part.palette = made->palette;
	made->part.npalette = n;
}

int main(void)
{
	static struct made made;
	static char line[4096];
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "picture ", 8) == 0)
			made_picture(&made, line);
		else if (strncmp(line, "window ", 7) == 0)
			made_window(&made, line);
		else if (strncmp(line, "plane ", 6) == 0)
			made_plane(&made, line);
		else if (strncmp(line, "channel ", 8) == 0)
			made_channel(&made, line);
		else if (strncmp(line, "luma ", 5) == 0)
			made_luma(&made, line);
		else if (strncmp(line, "palette ", 8) == 0)
			made_palette(&made, line);
		else if (strncmp(line, "key ", 4) == 0)
			sscanf(line, "key %" SCNu32 " %" SCNu32 " %" SCNu32, &made.part.key[0], &made.part.key[1],
			       &made.part.key[2]);
		else if (strncmp(line, "view ", 5) == 0)
			made_view(&made, line);
		else if (strncmp(line, "channelview ", 12) == 0)
			made_channel_view(&made, line);
		else if (strcmp(line, "list") == 0)
			made_list(&made);
		else
			die(2, line);
	}
	made_clear(&made);
	return 0;
}
