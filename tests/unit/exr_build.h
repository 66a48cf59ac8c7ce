/* exr_build.h - OpenEXR files built field by field, for the codec's unit tests. The writer here follows "OpenEXR File Layout"
 * and the technical introduction's description of RLE and ZIP, so it can judge the codec. A sample is a hash of where it
 * is: any bits, so NaNs with payloads, -0.0 and denormals too. */
#ifndef PIXFS_EXR_BUILD_H
#define PIXFS_EXR_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- what to build ---- */

enum { UINT, HALF, FLOAT };
enum { NONE, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB };

struct channel {
	const char *name;
	uint32_t type, xsampling, ysampling;
};

struct spec {         /* one part */
	int32_t x, y; /* of the data window's first pixel */
	uint32_t width, height;
	uint8_t compression, line_order, tile_mode;
	uint32_t tile_width, tile_height; /* 0: scanlines */
	const char *type;                 /* NULL: not told */
	struct channel channels[8];       /* by name, as the file has them; ends with a NULL name */
};

static const struct spec plain = {.width = 37, .height = 21, .channels = {{"R", HALF, 1, 1}}};

static struct {
	uint8_t *data;
	size_t len, room;
	const struct spec *specs;
	uint32_t nparts, nchunks;
	size_t table;       /* where the offset tables start */
	bool backwards;     /* chunks are written last to first */
	bool tame;          /* samples that B44 and PXR24 keep: finite halves alike in 4 x 4 blocks, floats of 24 bits */
	void (*more)(void); /* puts more attributes in each header */
} build;

static inline void put(const void *data, size_t len)
{
	if (build.len + len > build.room) {
		build.room = 2 * (build.len + len);
		build.data = realloc(build.data, build.room);
		if (!build.data)
			abort();
	}
	if (len)
		memcpy(build.data + build.len, data, len);
	build.len += len;
}

static inline void put32(uint32_t value)
{
	put(&value, 4);
}

static inline void put_attribute(const char *name, const char *type, const void *value, uint32_t len)
{
	put(name, strlen(name) + 1);
	put(type, strlen(type) + 1);
	put32(len);
	put(value, len);
}

static inline void put_text(const char *name, const char *text)
{
	put_attribute(name, "string", text, (uint32_t)strlen(text));
}

static inline void put_channels(const struct spec *spec)
{
	uint32_t len = 1;
	for (const struct channel *c = spec->channels; c->name; c++)
		len += (uint32_t)strlen(c->name) + 17;
	put_attribute("channels", "chlist", "", 0);
	build.len -= 4;
	put32(len);
	for (const struct channel *c = spec->channels; c->name; c++) {
		put(c->name, strlen(c->name) + 1);
		put32(c->type);
		put32(0);
		put32(c->xsampling);
		put32(c->ysampling);
	}
	put("", 1);
}

static inline void put_header(const struct spec *spec, uint32_t part)
{
	const int32_t window[4] = {spec->x, spec->y, (int32_t)((uint32_t)spec->x + spec->width - 1),
				   (int32_t)((uint32_t)spec->y + spec->height - 1)};
	const float one = 1, center[2] = {0, 0};
	uint8_t tiles[9];
	put_channels(spec);
	put_attribute("compression", "compression", &spec->compression, 1);
	put_attribute("dataWindow", "box2i", window, 16);
	put_attribute("displayWindow", "box2i", (const int32_t[4]){0, 0, 99, 49}, 16);
	put_attribute("lineOrder", "lineOrder", &spec->line_order, 1);
	put_attribute("pixelAspectRatio", "float", &one, 4);
	put_attribute("screenWindowCenter", "v2f", center, 8);
	put_attribute("screenWindowWidth", "float", &one, 4);
	memcpy(tiles, &spec->tile_width, 4);
	memcpy(tiles + 4, &spec->tile_height, 4);
	tiles[8] = spec->tile_mode;
	if (spec->tile_width)
		put_attribute("tiles", "tiledesc", tiles, 9);
	if (spec->type)
		put_text("type", spec->type);
	if (build.nparts > 1) {
		char name[16];
		snprintf(name, sizeof name, "part %u", part);
		put_text("name", name);
	}
	if (build.more)
		build.more();
	put("", 1);
}

/* ---- geometry, by the layout document ---- */

static inline uint32_t lines_of(const struct spec *spec)
{
	static const uint32_t lines[] = {1, 1, 1, 16, 32, 16, 32, 32, 32, 256};
	return spec->tile_width ? spec->tile_height : lines[spec->compression];
}

static inline uint32_t columns_of(const struct spec *spec)
{
	return spec->tile_width ? spec->tile_width : spec->width;
}

static inline uint32_t shrink(uint32_t size, uint32_t level, bool up)
{
	for (; level; level--)
		size = size > 1 ? (size + up) / 2 : 1;
	return size;
}

static inline uint32_t levels_of(uint32_t size, bool up)
{
	uint32_t n = 1;
	while (size > 1) {
		size = (size + up) / 2;
		n++;
	}
	return n;
}

static inline void level_counts(const struct spec *spec, uint32_t counts[2])
{
	bool up = spec->tile_mode >> 4;
	uint32_t mode = spec->tile_width ? spec->tile_mode & 15 : 0, w = spec->width, h = spec->height;
	counts[0] = mode == 0 ? 1 : levels_of(mode == 1 && h > w ? h : w, up);
	counts[1] = mode == 2 ? levels_of(h, up) : 1;
}

static inline void level_dims(const struct spec *spec, uint32_t level, uint32_t dims[2])
{
	uint32_t counts[2], lx, ly;
	level_counts(spec, counts);
	lx = level % counts[0];
	ly = (spec->tile_mode & 15) == 2 ? level / counts[0] : lx;
	dims[0] = shrink(spec->width, lx, spec->tile_mode >> 4);
	dims[1] = shrink(spec->height, ly, spec->tile_mode >> 4);
}

/* ---- samples ---- */

static inline uint32_t sample_at(uint32_t part, uint32_t level, uint32_t channel, uint32_t type, uint32_t x, uint32_t y)
{
	if (build.tame && type == HALF)
		x /= 4, y /= 4;
	uint32_t value = (x * 2654435761u) ^ (y * 40503u * 65537u) ^ ((channel + 31 * level + 977 * part) * 97u * 16777619u);
	value ^= value >> 15;
	value *= 2246822519u;
	value ^= value >> 13;
	if (build.specs[part].compression >= RLE && (y & 3) == 2 && !build.tame)
		value = 0x3c003c00u; /* something to compress */
	if (build.tame)
		value &= type == HALF ? 0xbbff : type == FLOAT ? 0xffffff00 : 0xffffffff;
	return type == HALF ? value & 0xffff : value;
}

/* The samples of a chunk as stored: row by row, in each row channel by channel. */
static inline size_t raw_chunk(uint32_t part, uint32_t level, const uint32_t box[4], uint8_t *to)
{
	const struct spec *spec = &build.specs[part];
	uint8_t *at = to;
	for (uint32_t y = box[1]; y < box[1] + box[3]; y++)
		for (uint32_t c = 0; spec->channels[c].name; c++)
			for (uint32_t x = box[0]; x < box[0] + box[2]; x++) {
				const struct channel *channel = &spec->channels[c];
				if (y % channel->ysampling || x % channel->xsampling)
					continue;
				uint32_t bits =
					sample_at(part, level, c, channel->type, x / channel->xsampling, y / channel->ysampling);
				memcpy(at, &bits, channel->type == HALF ? 2 : 4);
				at += channel->type == HALF ? 2 : 4;
			}
	return (size_t)(at - to);
}

/* ---- RLE and ZIP ---- */

static inline void split_and_predict(const uint8_t *raw, size_t len, uint8_t *to)
{
	for (size_t i = 0; i < len; i++)
		to[i % 2 ? (len + 1) / 2 + i / 2 : i / 2] = raw[i];
	for (size_t i = len; i-- > 1;)
		to[i] = (uint8_t)(to[i] - to[i - 1] + 128);
}

static inline size_t run_lengths(const uint8_t *from, size_t len, uint8_t *to)
{
	size_t out = 0;
	for (size_t at = 0; at < len;) {
		size_t run = 1;
		while (at + run < len && from[at + run] == from[at] && run < 128)
			run++;
		if (run > 1) {
			to[out++] = (uint8_t)(run - 1);
			to[out++] = from[at];
		} else {
			to[out++] = (uint8_t)-1;
			to[out++] = from[at];
		}
		at += run;
	}
	return out;
}

/* The chunk's data at raw become what the file holds: never more than raw. */
static inline size_t compress_chunk(uint8_t compression, uint8_t *raw, size_t len)
{
	if (compression == NONE || len == 0)
		return len;
	uint8_t *split = malloc(len), *out = malloc(2 * len + 64);
	uLongf packed = 2 * len + 64;
	split_and_predict(raw, len, split);
	if (compression == RLE)
		packed = run_lengths(split, len, out);
	else if (compress2(out, &packed, split, len, 6) != Z_OK)
		abort();
	if (packed < len)
		memcpy(raw, out, packed);
	free(split);
	free(out);
	return packed < len ? packed : len;
}

/* ---- files ---- */

static inline uint64_t get_offset(uint32_t index)
{
	uint64_t offset;
	memcpy(&offset, build.data + build.table + 8 * (size_t)index, 8);
	return offset;
}

static inline void set_offset(uint32_t index, uint64_t offset)
{
	memcpy(build.data + build.table + 8 * (size_t)index, &offset, 8);
}

static inline void put_chunk(uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, uint32_t index)
{
	const struct spec *spec = &build.specs[part];
	uint32_t dims[2], counts[2], box[4] = {cx * columns_of(spec), cy * lines_of(spec), columns_of(spec), lines_of(spec)};
	level_dims(spec, level, dims);
	level_counts(spec, counts);
	box[2] = dims[0] - box[0] < box[2] ? dims[0] - box[0] : box[2];
	box[3] = dims[1] - box[1] < box[3] ? dims[1] - box[1] : box[3];
	uint8_t *raw = malloc((size_t)box[2] * box[3] * 32 + 1);
	size_t len = compress_chunk(spec->compression, raw, raw_chunk(part, level, box, raw));
	set_offset(index, build.len);
	if (build.nparts > 1)
		put32(part);
	if (spec->tile_width) {
		put32(cx);
		put32(cy);
		put32(level % counts[0]);
		put32((spec->tile_mode & 15) == 2 ? level / counts[0] : level);
	} else {
		put32((uint32_t)spec->y + box[1]);
	}
	put32((uint32_t)len);
	put(raw, len);
	free(raw);
}

/* Calls visit for each chunk in the order of the offset tables; returns how many there are. */
static inline uint32_t each_chunk(void (*visit)(uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, uint32_t index))
{
	uint32_t index = 0;
	for (uint32_t part = 0; part < build.nparts; part++) {
		const struct spec *spec = &build.specs[part];
		uint32_t counts[2], dims[2];
		level_counts(spec, counts);
		for (uint32_t level = 0; level < counts[0] * counts[1]; level++) {
			level_dims(spec, level, dims);
			for (uint32_t cy = 0; cy * lines_of(spec) < dims[1]; cy++)
				for (uint32_t cx = 0; cx * columns_of(spec) < dims[0]; cx++, index++)
					if (visit)
						visit(part, level, cx, cy, index);
		}
	}
	return index;
}

static uint32_t wanted_chunk;

static inline void put_if_wanted(uint32_t part, uint32_t level, uint32_t cx, uint32_t cy, uint32_t index)
{
	if (index == wanted_chunk)
		put_chunk(part, level, cx, cy, index);
}

static inline void start_file(const struct spec *specs, uint32_t nparts)
{
	build.len = 0;
	build.specs = specs;
	build.nparts = nparts;
	put32(20000630);
	put32(2 | 0x400 | (nparts > 1 ? 0x1000 : specs->tile_width ? 0x200 : 0));
	for (uint32_t part = 0; part < nparts; part++)
		put_header(&specs[part], part);
	if (nparts > 1)
		put("", 1);
	build.table = build.len;
	build.nchunks = each_chunk(NULL);
	for (uint32_t i = 0; i < build.nchunks; i++)
		put(&(uint64_t){0}, 8);
}

static inline void build_file(const struct spec *specs, uint32_t nparts)
{
	start_file(specs, nparts);
	for (uint32_t i = 0; i < build.nchunks; i++) {
		wanted_chunk = build.backwards ? build.nchunks - 1 - i : i;
		each_chunk(put_if_wanted);
	}
}

#endif
