/* codec_fuzz.h - the body of the codecs' fuzz targets. A target is three lines:
 *
 *	#include "codecs/core/registry.h"
 *	#define FUZZ_CODEC codec_png
 *	#include "codec_fuzz.h"
 *
 * and, where checksums would stop every mutation, FUZZ_PREPARE: the name of a function (uint8_t *data, size_t len_bytes)
 * that sets them right in a copy of the input.
 *
 * Any bytes are opened with small limits, checked, and decoded: every chunk of every part and level within a budget. What
 * must hold beyond "no sanitizer complains" aborts: a failure has words, a header keeps the promises of codec.h, a chunk
 * that decodes is written in full and decodes twice to the same samples, an index has its palette entry.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined. With -DFUZZ_REPLAY a main() runs the files named instead.
 */
#ifndef PIXFS_CODEC_FUZZ_H
#define PIXFS_CODEC_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/codec.h"

static const struct codec_limits fuzz_limits = {.max_pixels = 1 << 18, .max_chunk_bytes = 4 << 20, .max_metadata_bytes = 1 << 20};

enum { FUZZ_BYTES = 8 << 20, FUZZ_CHUNKS = 512 }; /* decoded for one input, over all its parts and levels */

struct fuzz_budget {
	uint64_t bytes;
	uint32_t chunks;
};

#define FUZZ_MUST(condition)                                                                                                       \
	do {                                                                                                                       \
		if (!(condition)) {                                                                                                \
			fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);                            \
			abort();                                                                                                   \
		}                                                                                                                  \
	} while (0)

static volatile uint64_t fuzz_sink;

static void fuzz_touch(const void *data, size_t len_bytes)
{
	const unsigned char *p = data;
	uint64_t sum = 0;
	for (size_t i = 0; i < len_bytes; i++)
		sum += p[i];
	fuzz_sink += sum;
}

static void fuzz_text(const char *text)
{
	FUZZ_MUST(text);
	fuzz_touch(text, strlen(text) + 1);
}

static void fuzz_attribute(const struct codec_attribute *attribute)
{
	static const size_t sizes[] = {[ATTRIBUTE_TEXT] = 1,
				       [ATTRIBUTE_TEXTS] = sizeof(char *),
				       [ATTRIBUTE_INTS] = sizeof(int64_t),
				       [ATTRIBUTE_FLOATS] = sizeof(float),
				       [ATTRIBUTE_DOUBLES] = sizeof(double),
				       [ATTRIBUTE_BYTES] = 1,
				       [ATTRIBUTE_BOOL] = sizeof(int64_t)};
	fuzz_text(attribute->group);
	fuzz_text(attribute->name);
	FUZZ_MUST(attribute->type <= ATTRIBUTE_BOOL && attribute->bytes);
	fuzz_touch(attribute->bytes, attribute->count * sizes[attribute->type]);
	if (attribute->type == ATTRIBUTE_TEXT)
		FUZZ_MUST(attribute->text[attribute->count] == 0);
	for (size_t i = 0; attribute->type == ATTRIBUTE_TEXTS && i < attribute->count; i++)
		fuzz_text(attribute->texts[i]);
}

static void fuzz_channels(const struct codec_part *part)
{
	for (uint32_t i = 0; i < part->nchannels; i++) {
		const struct codec_channel *channel = &part->channels[i];
		fuzz_text(channel->name);
		FUZZ_MUST(channel->plane < part->nplanes && channel->component < 4);
		FUZZ_MUST(channel->origin != ORIGIN_PALETTE || (part->palette && part->npalette >= 1 && part->npalette <= 256));
		FUZZ_MUST(channel->origin != ORIGIN_KEY || part->nplanes <= 3);
	}
	for (uint32_t i = 0; i < part->nplanes; i++)
		FUZZ_MUST(part->planes[i].type <= SAMPLE_F32 && part->planes[i].xsampling && part->planes[i].ysampling);
	if (part->palette)
		fuzz_touch(part->palette, part->npalette * sizeof *part->palette);
}

static void fuzz_part_header(const struct codec_part *part)
{
	fuzz_text(part->name);
	fuzz_text(part->view);
	fuzz_text(part->compression);
	fuzz_text(part->row_order);
	fuzz_text(part->color.interop_id);
	fuzz_text(part->color.transfer);
	fuzz_text(part->color.source);
	FUZZ_MUST(part->nplanes && part->nchannels && part->nlevels);
	fuzz_channels(part);
	for (size_t i = 0; i < part->nattributes; i++)
		fuzz_attribute(&part->attributes[i]);
	for (uint32_t i = 0; i < part->nlevels; i++) {
		const struct codec_level *level = &part->levels[i];
		FUZZ_MUST((uint64_t)level->width * level->height <= fuzz_limits.max_pixels && level->width && level->height);
		FUZZ_MUST(part->access != CODEC_ACCESS_FORWARD || level->nchunks_x == 1);
	}
}

static void fuzz_header(const struct codec_header *header)
{
	fuzz_text(header->random_access);
	FUZZ_MUST(header->nparts && header->nframes && header->orientation <= 8);
	for (size_t i = 0; i < header->nblobs; i++) {
		fuzz_text(header->blobs[i].name);
		fuzz_touch(header->blobs[i].data, header->blobs[i].len_bytes);
	}
	for (size_t i = 0; i < header->nwarnings; i++)
		fuzz_text(header->warnings[i]);
	for (uint32_t i = 0; i < header->nparts; i++)
		fuzz_part_header(&header->parts[i]);
}

/* Two decodes into memory filled differently: equal where there are samples. */
static void fuzz_compare(const struct codec_part *part, const struct codec_plane_layout *planes, const unsigned char *a,
			 const unsigned char *b)
{
	for (uint32_t p = 0; p < part->nplanes; p++) {
		size_t size = sample_size_bytes((enum sample_type)part->planes[p].type);
		for (uint32_t y = 0; y < planes[p].height; y++)
			for (uint32_t x = 0; x < planes[p].width; x++) {
				size_t at = planes[p].offset + y * planes[p].row_bytes + x * planes[p].step_bytes;
				FUZZ_MUST(memcmp(a + at, b + at, size) == 0);
				FUZZ_MUST(!part->npalette || p || a[at] < part->npalette);
			}
	}
}

static int fuzz_decode(const struct codec *codec, struct codec_image *image, struct codec_cursor **cursor, const uint32_t at[4],
		       void *dst)
{
	struct err err = ERR_NONE;
	const struct codec_part *part = &image->header.parts[at[0]];
	struct codec_cursor **use = part->access == CODEC_ACCESS_FORWARD ? cursor : NULL;
	int rc = codec->decode(image, use, at[0], at[1], at[2], at[3], dst, &err);
	FUZZ_MUST(rc == 0 || (rc < 0 && err.code == rc && err.text[0]));
	return rc;
}

/* False where the level has no more to give. */
static int fuzz_chunk(const struct codec *codec, struct codec_image *image, struct codec_cursor *cursors[2], const uint32_t at[4],
		      struct fuzz_budget *budget)
{
	const struct codec_part *part = &image->header.parts[at[0]];
	struct codec_chunk_layout layout;
	struct codec_plane_layout *planes = calloc(part->nplanes, sizeof *planes);
	FUZZ_MUST(planes);
	codec_chunk_layout(part, at[1], at[2], at[3], &layout, planes);
	int rc = -1;
	if (layout.len_bytes <= budget->bytes && budget->chunks) {
		budget->bytes -= layout.len_bytes;
		budget->chunks--;
		unsigned char *a = malloc(layout.len_bytes), *b = malloc(layout.len_bytes);
		FUZZ_MUST(a && b);
		memset(a, 0x55, layout.len_bytes);
		memset(b, 0xaa, layout.len_bytes);
		rc = fuzz_decode(codec, image, &cursors[0], at, a);
		FUZZ_MUST(rc == fuzz_decode(codec, image, &cursors[1], at, b));
		if (rc == 0)
			fuzz_compare(part, planes, a, b);
		free(a);
		free(b);
	}
	free(planes);
	return rc == 0 || (part->access == CODEC_ACCESS_CHUNK && budget->chunks && layout.len_bytes <= budget->bytes);
}

static void fuzz_level(const struct codec *codec, struct codec_image *image, uint32_t part, uint32_t level,
		       struct fuzz_budget *budget)
{
	const struct codec_level *l = &image->header.parts[part].levels[level];
	struct codec_cursor *cursors[2] = {NULL, NULL};
	int go_on = 1;
	for (uint32_t cy = 0; go_on && cy < l->nchunks_y; cy++)
		for (uint32_t cx = 0; go_on && cx < l->nchunks_x; cx++)
			go_on = fuzz_chunk(codec, image, cursors, (const uint32_t[4]){part, level, cx, cy}, budget);
	for (int i = 0; i < 2; i++)
		if (codec->cursor_free)
			codec->cursor_free(cursors[i]);
}

static void fuzz_one(const struct codec *codec, const uint8_t *data, size_t len_bytes)
{
	struct bytes *bytes = bytes_from_memory(data, len_bytes, 0);
	struct codec_image *image = NULL;
	struct err err = ERR_NONE;
	FUZZ_MUST(bytes);
	codec->bid(data, len_bytes < 64 ? len_bytes : 64);
	int rc = codec->open(bytes, &fuzz_limits, &image, &err);
	bytes_unref(bytes);
	FUZZ_MUST(rc == 0 ? image != NULL : rc < 0 && !image && err.code == rc && err.text[0]);
	if (rc)
		return;
	fuzz_header(&image->header);
	struct err check_err = ERR_NONE;
	rc = codec_check(image, &check_err);
	FUZZ_MUST(rc == 0 || (rc < 0 && check_err.code == rc && check_err.text[0]));
	struct fuzz_budget budget = {FUZZ_BYTES, FUZZ_CHUNKS};
	for (uint32_t part = 0; part < image->header.nparts; part++)
		for (uint32_t level = 0; level < image->header.parts[part].nlevels && budget.chunks; level++)
			fuzz_level(codec, image, part, level, &budget);
	codec->close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	fuzz_one(&FUZZ_CODEC, data, len_bytes);
#ifdef FUZZ_PREPARE
	uint8_t *copy = malloc(len_bytes ? len_bytes : 1);
	FUZZ_MUST(copy);
	if (len_bytes)
		memcpy(copy, data, len_bytes);
	FUZZ_PREPARE(copy, len_bytes);
	fuzz_one(&FUZZ_CODEC, copy, len_bytes);
	free(copy);
#endif
	return 0;
}

#ifdef FUZZ_REPLAY
static void fuzz_replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) != 0) {
		perror(path);
		exit(1);
	}
	size_t len_bytes = (size_t)ftell(file);
	uint8_t *data = malloc(len_bytes + 1); /* exactly as long as the file where it is not empty: sanitizers see the end */
	FUZZ_MUST(data);
	rewind(file);
	len_bytes = fread(data, 1, len_bytes, file);
	fclose(file);
	uint8_t *exact = len_bytes ? realloc(data, len_bytes) : data;
	FUZZ_MUST(exact);
	LLVMFuzzerTestOneInput(exact, len_bytes);
	free(exact);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		fuzz_replay(argv[i]);
	printf("%d files\n", argc - 1);
	return 0;
}
#endif

#endif
