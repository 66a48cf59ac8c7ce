/* view_fuzz.c - any picture and any view spec: what view_info promises of the compiled view, and that a range of its bytes is
 * the same however it is read.
 *
 * An input is PICTURE_BYTES bytes that choose the picture, then the spec. There a byte from 0x80 on stands for a word of the
 * grammar while there are words, so that mutations make operations and not only letters; all other bytes are themselves.
 * '/' in front is a channel's own view (no spec starts so: it is one component of a path), nothing at all is the list of
 * plain views. Values are not judged here: that is what the unit tests do. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view/view.h"
#include "../unit/icc_build.h"

enum {
	PICTURE_BYTES = 8,
	MAX_SPEC_BYTES = 320, /* beyond the 255 of a path component: too long a spec must be refused, not believed */
	MAX_PLANES = 4,
	MAX_SIDE = 24,
	NPALETTE = 3,
	MAX_PNG_BYTES = 1 << 18, /* its last bytes need all of the picture */
	LISTED_MAX = 64,
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ---- the picture ---- */

struct chunk {
	void *samples;
	unsigned npins;
};

struct fuzz_picture {
	struct codec_header header;
	struct codec_part part;
	struct codec_plane planes[MAX_PLANES];
	struct codec_channel channels[MAX_PLANES];
	char names[MAX_PLANES][2];
	uint8_t palette[NPALETTE][4];
	struct codec_level level;
	struct icc_build profile;
	struct codec_blob blob;
	uint16_t shown[MAX_PLANES];
	struct picture picture;
	struct chunk chunks[MAX_SIDE * MAX_SIDE];
	unsigned npinned;
	int pins_left; /* the pin after so many fails; below 0: none does */
};

/* What the first bytes of an input choose. */
struct choice {
	const char *names; /* one letter for each channel */
	enum sample_type type;
	bool subsampled, mixed, interleaved, palette, key; /* mixed: each plane of another type */
};

static struct choice choose(const uint8_t *seed)
{
	static const char *const sets[] = {"Y", "YA", "RGB", "RGBA", "CMYK", "ZXW", "R", "YUV"};
	struct choice choice = {.names = sets[seed[0] % 8], .type = seed[3] % 5u};
	bool rgba = seed[0] % 8 == 3;
	choice.subsampled = seed[0] & 32;
	choice.mixed = seed[0] & 64;
	choice.interleaved = seed[0] & 128 && !choice.subsampled && !choice.mixed;
	bool plain = !choice.subsampled && !choice.mixed;
	choice.palette = plain && rgba && choice.type == SAMPLE_U8;
	choice.key = plain && !choice.palette && (rgba || seed[0] % 8 == 1) && choice.type <= SAMPLE_U16 && seed[4] & 32;
	return choice;
}

static void make_channel(struct fuzz_picture *made, const struct choice *choice, uint32_t i)
{
	static const uint32_t divisors[] = {255, 65535, 0, 0, 0};
	enum sample_type type = choice->mixed ? (choice->type + i) % 5u : choice->type;
	uint32_t sampling = choice->subsampled && i ? 2 : 1;
	uint8_t bits = (uint8_t)(8 * sample_size_bytes(type));
	made->planes[i] = (struct codec_plane){(uint8_t)type, bits, bits, divisors[type], sampling, sampling};
	made->names[i][0] = choice->names[i];
	made->channels[i] = (struct codec_channel){.name = made->names[i], .origin = ORIGIN_PLANE, .plane = (uint16_t)i};
	if (choice->palette)
		made->channels[i] =
			(struct codec_channel){.name = made->names[i], .origin = ORIGIN_PALETTE, .component = (uint8_t)i};
	else if (choice->key && choice->names[i] == 'A')
		made->channels[i] = (struct codec_channel){.name = made->names[i], .origin = ORIGIN_KEY};
	made->shown[i] = (uint16_t)i;
}

static void make_part(struct fuzz_picture *made, const struct choice *choice, const uint8_t *seed)
{
	static const char *const transfers[] = {"srgb", "linear", "gamma", "icc"};
	uint32_t nchannels = (uint32_t)strlen(choice->names);
	for (uint32_t i = 0; i < nchannels; i++)
		make_channel(made, choice, i);
	made->part = (struct codec_part){.name = "", .view = "", .compression = "none", .row_order = "increasing"};
	made->part.nplanes = choice->palette ? 1 : nchannels - choice->key;
	made->part.nchannels = nchannels;
	made->part.planes = made->planes;
	made->part.channels = made->channels;
	made->part.interleaved = choice->interleaved;
	made->part.alpha = seed[4] % 4;
	made->part.color.interop_id = seed[4] & 16 ? "data" : "unknown";
	made->part.color.transfer = transfers[seed[4] >> 6];
	made->part.color.gamma = 2.2;
	made->part.color.source = "none";
	if (choice->palette) {
		made->part.npalette = NPALETTE;
		made->part.palette = made->palette;
	}
}

/* The display window lies inside of the data, around it, or beside it. */
static void make_geometry(struct fuzz_picture *made, bool subsampled, const uint8_t *seed)
{
	uint32_t width = 1 + seed[1] % (unsigned)MAX_SIDE, height = 1 + seed[2] % (unsigned)MAX_SIDE;
	if (subsampled) {
		width += width & 1;
		height += height & 1;
	}
	codec_level_set(&made->level, width, height, 1 + seed[5] % 30u, 1 + seed[6] % 30u);
	made->part.levels = &made->level;
	made->part.nlevels = made->part.nlevels_x = made->part.nlevels_y = 1;
	made->part.data_window = (struct codec_box){0, 0, (int32_t)width - 1, (int32_t)height - 1};
	int32_t min_x = (int8_t)seed[5] / 4;
	made->part.display_window = (struct codec_box){min_x, -3, min_x + seed[6] / 2, seed[5] % 24};
}

/* For the transfer "icc": the profile that the channels suit, with curves or with tables. */
static void make_profile(struct fuzz_picture *made, const struct choice *choice, bool tables)
{
	const char *space = choice->names[0] == 'Y' ? "GRAY" : choice->names[0] == 'C' ? "CMYK" : "RGB ";
	icc_build_whole(&made->profile, space, tables);
	made->blob = (struct codec_blob){"icc.icc", made->profile.bytes, made->profile.len_bytes};
	made->header.blobs = &made->blob;
	made->header.nblobs = 1;
}

static void make_picture(struct fuzz_picture *made, const uint8_t *seed)
{
	memset(made, 0, sizeof *made);
	struct choice choice = choose(seed);
	make_part(made, &choice, seed);
	make_geometry(made, choice.subsampled, seed);
	made->header = (struct codec_header){.random_access = "tile", .nparts = 1, .nframes = 1, .parts = &made->part};
	made->header.orientation = seed[7] % 9;
	if (seed[4] >> 6 == 3)
		make_profile(made, &choice, seed[6] & 1);
	require(codec_header_check(&made->header, &codec_default_limits, NULL) == 0);
	bool hides_last = seed[7] & 64 && made->part.nchannels > 1;
	made->picture = (struct picture){&made->header, &made->part, 0, 0, made->part.nchannels - hides_last, made->shown};
	made->pins_left = -1;
}

/* ---- its samples ---- */

/* The same for the same sample of the picture, whichever chunk it lies in. Floats: some out of [0, 1], infinity and NaN. */
static uint32_t sample_value(const struct fuzz_picture *made, uint32_t p, uint32_t x, uint32_t y)
{
	static const uint16_t halves[] = {0x0000, 0x3800, 0x3c00, 0xb400, 0x2e66, 0x7c00, 0x7e00, 0x0001};
	static const float floats[] = {0.0f, 0.5f, 1.0f, -0.25f, 0.1f, (float)(1e300 * 1e300), -3e38f, 1e-40f};
	uint32_t hash = (x * 2654435761u ^ y * 2246822519u ^ p * 3266489917u) >> 7, bits;
	if (made->part.npalette)
		return hash % NPALETTE;
	if (made->planes[p].type == SAMPLE_F16)
		return halves[hash % 8];
	memcpy(&bits, &floats[hash % 8], sizeof bits);
	return made->planes[p].type == SAMPLE_F32 ? bits : hash;
}

static void fill_plane(const struct fuzz_picture *made, uint32_t p, const struct codec_chunk_layout *layout,
		       const struct codec_plane_layout *plane, unsigned char *samples)
{
	uint32_t xsampling = made->planes[p].xsampling, ysampling = made->planes[p].ysampling;
	uint32_t x0 = (layout->x + xsampling - 1) / xsampling, y0 = (layout->y + ysampling - 1) / ysampling;
	unsigned size = sample_size_bytes((enum sample_type)made->planes[p].type);
	for (uint32_t y = 0; y < plane->height; y++)
		for (uint32_t x = 0; x < plane->width; x++) {
			uint32_t value = sample_value(made, p, x0 + x, y0 + y);
			memcpy(samples + plane->offset + y * plane->row_bytes + x * plane->step_bytes, &value, size);
		}
}

/* Each chunk lies in a block of memory of its own length, there only while pinned: a sanitizer sees what goes beyond. */
static void *make_chunk(const struct fuzz_picture *made, uint32_t cx, uint32_t cy)
{
	struct codec_chunk_layout layout;
	struct codec_plane_layout planes[MAX_PLANES];
	codec_chunk_layout(&made->part, 0, cx, cy, &layout, planes);
	unsigned char *samples = calloc(1, layout.len_bytes ? layout.len_bytes : 1);
	require(samples != NULL);
	for (uint32_t p = 0; p < made->part.nplanes; p++)
		fill_plane(made, p, &layout, &planes[p], samples);
	return samples;
}

static struct chunk *chunk_at(struct fuzz_picture *made, uint32_t cx, uint32_t cy)
{
	require(cx < made->level.nchunks_x && cy < made->level.nchunks_y);
	return &made->chunks[cy * made->level.nchunks_x + cx];
}

static void want_chunks(void *context, uint32_t cx0, uint32_t cy0, uint32_t cx1, uint32_t cy1)
{
	require(cx0 <= cx1 && cy0 <= cy1);
	chunk_at(context, cx1, cy1);
}

static int pin_chunk(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	struct fuzz_picture *made = context;
	struct chunk *chunk = chunk_at(made, cx, cy);
	if (made->pins_left == 0)
		return err_set(err, -EIO, "the chunk is damaged");
	made->pins_left -= made->pins_left > 0;
	require(++made->npinned <= made->level.nchunks_x);
	if (chunk->npins++ == 0)
		chunk->samples = make_chunk(made, cx, cy);
	*ret_samples = chunk->samples;
	return 0;
}

static void unpin_chunk(void *context, uint32_t cx, uint32_t cy)
{
	struct fuzz_picture *made = context;
	struct chunk *chunk = chunk_at(made, cx, cy);
	require(chunk->npins > 0);
	made->npinned--;
	if (--chunk->npins == 0)
		free(chunk->samples);
}

/* ---- the view ---- */

static const char *const words[] = {"pixels",
				    "native",
				    "linear",
				    "srgb",
				    "assume=",
				    "premul",
				    "straight",
				    "opaque",
				    "over=",
				    "rgba",
				    "rgb",
				    "bgr",
				    "ch=",
				    "gray",
				    "chw",
				    "squeeze",
				    "upright",
				    "bottomup",
				    "rot=90",
				    "rot=270",
				    "blender",
				    "crop=",
				    "display",
				    "square",
				    "size=",
				    "fit=",
				    "long=",
				    "short=",
				    "filter=",
				    "lanczos3",
				    "nearest",
				    "u8",
				    "u16",
				    "f16",
				    "norm=",
				    "imagenet",
				    "srgb_rec709_scene",
				    "mirror",
				    "box",
				    "cubic",
				    ".npy",
				    ".f32",
				    ".u8",
				    ".f16",
				    ".png",
				    ".tif",
				    ".json",
				    ".u16",
				    "hlg_rec2020_display",
				    "pq_rec2020_display",
				    "values",
				    "packed",
				    "range="};

/* The spec as a string, without NULs within; cut off where there is no more room. */
static void make_spec(const uint8_t *data, size_t len_bytes, char spec[MAX_SPEC_BYTES])
{
	size_t used = 0;
	for (size_t i = 0; i < len_bytes; i++) {
		char letter[2] = {(char)data[i], 0};
		bool is_word = data[i] >= 0x80 && data[i] - 0x80u < sizeof words / sizeof *words;
		const char *text = is_word ? words[data[i] - 0x80] : letter;
		size_t n = strlen(text);
		if (n >= MAX_SPEC_BYTES - used)
			break;
		memcpy(spec + used, text, n);
		used += n;
	}
	spec[used] = 0;
}

static void check_info(const struct view_info *info)
{
	uint64_t elements = 1;
	bool is_error = info->container == VIEW_JSON && info->ndim == 0;
	require((info->ndim >= 1 || is_error) && info->ndim <= 3 && info->nbytes > 0 && info->dtype <= SAMPLE_F32);
	for (uint32_t i = 0; i < info->ndim; i++) {
		require(info->shape[i] > 0);
		elements *= info->shape[i];
	}
	if (info->container == VIEW_JSON)
		require(info->nbytes == info->header_bytes);
	else if (info->container == VIEW_PNG)
		require(info->dtype == SAMPLE_U8 && info->header_bytes == 0 && info->nbytes > elements);
	else
		require(info->nbytes == info->header_bytes + elements * sample_size_bytes(info->dtype));
}

/* The range in memory of just its length, NULL where it can't be read. */
static unsigned char *read_range(struct fuzz_picture *made, const struct view *view, uint64_t offset, size_t len_bytes)
{
	struct view_source source = {made, want_chunks, pin_chunk, unpin_chunk};
	struct err err = ERR_NONE;
	unsigned char *bytes = malloc(len_bytes);
	require(bytes != NULL);
	int rc = view_read(view, offset, len_bytes, bytes, &source, &err);
	require(made->npinned == 0 && rc == err.code && rc <= 0);
	if (rc == 0)
		return bytes;
	require(rc == -EIO && made->pins_left == 0);
	free(bytes);
	return NULL;
}

static void check_split(struct fuzz_picture *made, const struct view *view, uint64_t offset, size_t len_bytes, size_t cut)
{
	unsigned char *whole = read_range(made, view, offset, len_bytes);
	unsigned char *front = read_range(made, view, offset, cut);
	unsigned char *back = read_range(made, view, offset + cut, len_bytes - cut);
	require(whole && front && back);
	require(memcmp(whole, front, cut) == 0 && memcmp(whole + cut, back, len_bytes - cut) == 0);
	free(whole);
	free(front);
	free(back);
}

/* A range somewhere in the view, whole and in two pieces; or while a chunk is damaged. */
static void check_bytes(struct fuzz_picture *made, const struct view *view, const uint8_t *seed)
{
	const struct view_info *info = view_info(view);
	uint64_t offset = seed[1] * UINT64_C(2654435761) % info->nbytes;
	size_t len_bytes = 1 + seed[2] * 16u;
	if (len_bytes > info->nbytes - offset)
		len_bytes = (size_t)(info->nbytes - offset);
	if (seed[7] >= 224) {
		made->pins_left = seed[7] % 3;
		free(read_range(made, view, offset, len_bytes));
	} else if (len_bytes > 1) {
		check_split(made, view, offset, len_bytes, 1 + (seed[3] * 5u + seed[7] * 7u) % (len_bytes - 1));
	}
}

static void check_view(struct fuzz_picture *made, const char *spec, const uint8_t *seed)
{
	struct err err = ERR_NONE;
	struct view *view = NULL;
	int rc = spec[0] == '/' ? view_compile_channel(&made->picture, (uint8_t)spec[1] % 8u, spec[1] & 8, &view, &err)
				: view_compile(&made->picture, spec, &view, &err);
	require(rc == err.code && (rc == 0 ? view != NULL : rc < 0 && err.text[0]));
	if (rc) {
		require(rc == -ENOENT || rc == -EINVAL || rc == -EFBIG);
		return;
	}
	const struct view_info *info = view_info(view);
	check_info(info);
	if (info->container != VIEW_PNG || info->nbytes < MAX_PNG_BYTES)
		check_bytes(made, view, seed);
	view_free(view);
}

/* What is listed can be had. */
static void check_list(struct fuzz_picture *made, const uint8_t *seed)
{
	const char *names[LISTED_MAX];
	view_list(&made->picture, names, LISTED_MAX);
	for (size_t i = 0; names[i]; i++) {
		struct view *view = NULL;
		require(view_compile(&made->picture, names[i], &view, NULL) == 0);
		view_free(view);
		made->pins_left = -1;
		check_view(made, names[i], seed);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static struct fuzz_picture made;
	char spec[MAX_SPEC_BYTES];
	if (len_bytes < PICTURE_BYTES)
		return 0;
	make_picture(&made, data);
	make_spec(data + PICTURE_BYTES, len_bytes - PICTURE_BYTES, spec);
	if (spec[0])
		check_view(&made, spec, data);
	else
		check_list(&made, data);
	return 0;
}
