/* exr_header.c - walks the header of an OpenEXR file: magic number, version and flags, then for each part its attributes.
 *
 * Attributes that pixels depend on are kept as stored for exr_part.c; all go to the builder. What is read is bounded:
 * names by 255 bytes, the header without skipped values by max_metadata_bytes, parts by CODEC_MAX_PARTS; a single value
 * that is larger than what is left of that budget is skipped with a warning. It knows no geometry and reads no pixels. */
#include "exr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The layout document, "Version Field": bits 0-7 the version number, then flags. */
enum {
	MAGIC = 20000630,
	VERSION = 2,
	FLAG_TILED = 0x200,
	FLAG_LONG_NAMES = 0x400,
	FLAG_DEEP = 0x800,
	FLAG_MULTIPART = 0x1000,
	FLAGS_KNOWN = FLAG_TILED | FLAG_LONG_NAMES | FLAG_DEEP | FLAG_MULTIPART,
};

enum {
	NAME_BYTES = 256,
	WINDOW_BYTES = 4096,
	MAX_ATTRIBUTES = 1 << 17,   /* of the file; more is EFBIG */
	MAX_PART_ATTRIBUTES = 1024, /* told of one part; more are dropped with a warning */
};

struct walk {
	struct bytes *bytes;
	struct arena *arena;
	struct err *err;
	uint64_t offset; /* of the next byte */
	size_t budget;   /* bytes of header that may still be read */
	uint32_t nattributes;
	size_t max_metadata_bytes;
	uint64_t window_offset; /* what window holds */
	size_t window_bytes;
	uint8_t window[WINDOW_BYTES];
	uint8_t *value; /* the attribute under way, of value_room bytes */
	size_t value_room;
};

int exr_header_too_large(const struct arena *arena, struct err *err)
{
	if (arena->out_of_memory)
		return err_set(err, -ENOMEM, "no memory for the header");
	return err_set(err, -EFBIG, "the header needs more than the limit of %zu bytes", arena->limit_bytes);
}

static int too_long(struct walk *walk)
{
	return err_set(walk->err, -EFBIG, "the header is longer than the limit of %zu bytes", walk->max_metadata_bytes);
}

/* The next len_bytes bytes. */
static int take(struct walk *walk, void *dst, size_t len_bytes)
{
	if (len_bytes > walk->budget)
		return too_long(walk);
	walk->budget -= len_bytes;
	if (len_bytes > WINDOW_BYTES) {
		int rc = bytes_read_exact(walk->bytes, dst, len_bytes, walk->offset, walk->err);
		walk->offset += rc ? 0 : len_bytes;
		return rc;
	}
	if (walk->offset < walk->window_offset || walk->offset + len_bytes > walk->window_offset + walk->window_bytes) {
		ssize_t got = bytes_read(walk->bytes, walk->window, WINDOW_BYTES, walk->offset, walk->err);
		if (got < 0)
			return (int)got;
		walk->window_offset = walk->offset;
		walk->window_bytes = (size_t)got;
		if ((size_t)got < len_bytes)
			return err_set(walk->err, -EIO, "the header is cut short: the file ends at byte %" PRIu64,
				       walk->bytes->size_bytes);
	}
	memcpy(dst, walk->window + (walk->offset - walk->window_offset), len_bytes);
	walk->offset += len_bytes;
	return 0;
}

/* A name: up to 255 bytes and a NUL ("Header Attributes"; 31 without the long names flag, which no reader insists on). */
static int take_name(struct walk *walk, const char *what, char name[NAME_BYTES])
{
	for (size_t n = 0; n < NAME_BYTES; n++) {
		int rc = take(walk, &name[n], 1);
		if (rc || !name[n])
			return rc;
	}
	name[NAME_BYTES - 1] = 0;
	return err_set(walk->err, -EIO, "the header has %s of more than 255 bytes: \"%.60s...\"", what, name);
}

/* The value of an attribute into walk->value; *ret_skipped where it is too large to be kept. */
static int take_value(struct walk *walk, const char *name, uint32_t len_bytes, struct header_builder *builder, bool *ret_skipped)
{
	uint64_t left = walk->bytes->size_bytes - walk->offset;
	if (len_bytes > left)
		return err_set(walk->err, -EIO,
			       "the header's attribute \"%.100s\" has %" PRIu32 " bytes, %" PRIu64 " are left of the file", name,
			       len_bytes, left);
	*ret_skipped = len_bytes > walk->budget;
	if (*ret_skipped) {
		header_warn(builder, "the attribute \"%.100s\" of %" PRIu32 " bytes is over the metadata limit: dropped", name,
			    len_bytes);
		walk->offset += len_bytes;
		return 0;
	}
	if (len_bytes >= walk->value_room) {
		uint8_t *larger = realloc(walk->value, (size_t)len_bytes + 1);
		if (!larger)
			return err_set(walk->err, -ENOMEM, "no memory for an attribute of %" PRIu32 " bytes", len_bytes);
		walk->value = larger;
		walk->value_room = (size_t)len_bytes + 1;
	}
	return take(walk, walk->value, len_bytes);
}

/* How the attributes that exr_part.c needs are kept. */
struct kept {
	const char *name, *type;
	size_t offset, present; /* in struct exr_attributes: where the value goes; the flag that it is there (0: none) */
	size_t len_bytes;       /* that it must have; 0: text or, for the chlist, any */
};

#define AT(member) offsetof(struct exr_attributes, member)
static const struct kept kept_attributes[] = {
	{"channels", "chlist", AT(channels), AT(has_channels), 0},
	{"compression", "compression", AT(compression), AT(has_compression), 1},
	{"dataWindow", "box2i", AT(data_window), AT(has_data_window), 16},
	{"displayWindow", "box2i", AT(display_window), AT(has_display_window), 16},
	{"lineOrder", "lineOrder", AT(line_order), AT(has_line_order), 1},
	{"pixelAspectRatio", "float", AT(pixel_aspect), AT(has_pixel_aspect), 4},
	{"tiles", "tiledesc", AT(tile_width), AT(has_tiles), 9},
	{"chromaticities", "chromaticities", AT(chromaticities), AT(has_chromaticities), 32},
	{"chunkCount", "int", AT(chunk_count), AT(has_chunk_count), 4},
	{"xDensity", "float", AT(x_density), 0, 4},
	{"type", "string", AT(type), 0, 0},
	{"name", "string", AT(name), 0, 0},
	{"view", "string", AT(view), 0, 0},
	{"colorInteropID", "string", AT(interop_id), 0, 0},
};

static bool is_present(const struct exr_attributes *attributes, const struct kept *kept)
{
	const unsigned char *base = (const unsigned char *)attributes;
	if (kept->present)
		return base[kept->present];
	return kept->len_bytes == 0 && *(const char *const *)(const void *)(base + kept->offset);
}

/* A copy of the value, from the part of the arena that attributes are kept out of (limit_attributes). */
static void *keep_copy(struct walk *walk, uint32_t len_bytes)
{
	struct arena *arena = walk->arena;
	size_t limit = arena->limit_bytes;
	arena->limit_bytes = walk->max_metadata_bytes;
	void *copy = arena_copy(arena, walk->value, len_bytes);
	arena->limit_bytes = limit > arena->used_bytes ? limit : arena->used_bytes;
	return copy;
}

/* Stores the value of one that is in the table; what is there already or has another type or size is damage, because
 * readers differ in what they make of it. */
static int keep(struct walk *walk, const struct kept *kept, const char *type, uint32_t len_bytes, struct exr_attributes *attributes)
{
	if (is_present(attributes, kept))
		return err_set(walk->err, -EIO, "the header has the attribute \"%s\" twice", kept->name);
	if (strcmp(type, kept->type) != 0 || (kept->len_bytes && len_bytes != kept->len_bytes))
		return err_set(walk->err, -EIO, "the header's attribute \"%s\" is of type \"%.60s\" with %" PRIu32 " bytes",
			       kept->name, type, len_bytes);
	unsigned char *base = (unsigned char *)attributes;
	if (kept->present)
		base[kept->present] = 1;
	if (kept->len_bytes == 9) { /* tiledesc: width, height, mode */
		memcpy(&attributes->tile_width, walk->value, 4);
		memcpy(&attributes->tile_height, walk->value + 4, 4);
		attributes->tile_mode = walk->value[8];
	} else if (kept->len_bytes) {
		memcpy(base + kept->offset, walk->value, kept->len_bytes);
	} else {
		void *copy = keep_copy(walk, len_bytes);
		if (!copy)
			return too_long(walk);
		*(void **)(void *)(base + kept->offset) = copy;
		if (kept->present)
			attributes->channels_bytes = len_bytes;
	}
	return 0;
}

/* One attribute after its name. */
static int read_attribute(struct walk *walk, const char *name, uint32_t part, struct header_builder *builder,
			  struct exr_attributes *attributes)
{
	char type[NAME_BYTES];
	int32_t len_bytes;
	bool skipped = false;
	int rc = take_name(walk, "an attribute type", type);
	if (!rc)
		rc = take(walk, &len_bytes, sizeof len_bytes);
	if (!rc && len_bytes < 0)
		rc = err_set(walk->err, -EIO, "the header's attribute \"%.100s\" has a size of %" PRId32, name, len_bytes);
	if (!rc)
		rc = take_value(walk, name, (uint32_t)len_bytes, builder, &skipped);
	if (rc || skipped)
		return rc;
	for (size_t i = 0; i < sizeof kept_attributes / sizeof *kept_attributes; i++)
		if (strcmp(name, kept_attributes[i].name) == 0)
			rc = keep(walk, &kept_attributes[i], type, (uint32_t)len_bytes, attributes);
	if (rc || builder->nattributes > MAX_PART_ATTRIBUTES)
		return rc;
	if (builder->nattributes == MAX_PART_ATTRIBUTES || header_has(builder, "openexr", name))
		header_warn(builder, "the attribute \"%.100s\" is %s: ignored", name,
			    builder->nattributes == MAX_PART_ATTRIBUTES ? "one too many" : "there twice");
	else
		exr_attribute_add(builder, name, type, walk->value, (uint32_t)len_bytes, part);
	return 0;
}

/* The attributes of one part up to the empty name that ends them. *ret_count 0: an empty header, the end of all parts. */
static int read_attributes(struct walk *walk, uint32_t part, struct header_builder *builder, struct exr_attributes *ret_attributes,
			   size_t *ret_count)
{
	*ret_attributes = (struct exr_attributes){0};
	for (*ret_count = 0;; ++*ret_count) {
		char name[NAME_BYTES];
		int rc = take_name(walk, "an attribute name", name);
		if (rc || !name[0])
			return rc;
		if (walk->nattributes++ == MAX_ATTRIBUTES)
			return err_set(walk->err, -EFBIG, "the header has more than %d attributes", MAX_ATTRIBUTES);
		rc = read_attribute(walk, name, part, builder, ret_attributes);
		if (rc)
			return rc;
	}
}

/* "Part type": required in multi-part and deep files; in others the version's flag counts, as for OpenEXR's own reader. */
static int choose_storage(struct walk *walk, uint32_t flags, const struct exr_attributes *attributes, enum exr_storage *ret_storage)
{
	static const char *const types[] = {"scanlineimage", "tiledimage", "deepscanline", "deeptile"};
	*ret_storage = flags & FLAG_TILED ? STORAGE_TILED : STORAGE_SCANLINE;
	if (!(flags & (FLAG_MULTIPART | FLAG_DEEP)))
		return 0;
	if (!attributes->type)
		return err_set(walk->err, -EIO, "a part of this multi-part or deep file has no attribute \"type\"");
	*ret_storage = STORAGE_OTHER;
	for (unsigned i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(attributes->type, types[i]) == 0)
			*ret_storage = (enum exr_storage)i;
	return 0;
}

/* Room for one more part; the arrays double in the arena. */
static int grow_parts(struct exr_image *image, uint32_t nparts, struct err *err)
{
	if (nparts == CODEC_MAX_PARTS)
		return err_set(err, -EFBIG, "the file has more than %d parts", CODEC_MAX_PARTS);
	if (nparts & (nparts - 1))
		return 0; /* room is a power of two, and full only where the count is one */
	uint32_t room = nparts ? nparts * 2 : 1;
	struct codec_part *parts = arena_alloc(&image->image.arena, room, sizeof *parts);
	struct exr_part *exr = arena_alloc(&image->image.arena, room, sizeof *exr);
	if (!parts || !exr)
		return exr_header_too_large(&image->image.arena, err);
	if (nparts) {
		memcpy(parts, image->image.header.parts, nparts * sizeof *parts);
		memcpy(exr, image->parts, nparts * sizeof *exr);
	}
	image->image.header.parts = parts;
	image->parts = exr;
	return 0;
}

/* A quarter of the arena is kept from the attributes, so that they can't take the room that the parts need. */
static void limit_attributes(struct arena *arena, size_t limit_bytes)
{
	size_t limit = limit_bytes - limit_bytes / 4;
	arena->limit_bytes = limit > arena->used_bytes ? limit : arena->used_bytes;
}

static int read_part(struct walk *walk, struct exr_image *image, uint32_t flags, size_t limit_bytes, struct header_builder *builder,
		     bool *ret_end)
{
	uint32_t index = image->image.header.nparts;
	struct exr_attributes attributes;
	enum exr_storage storage;
	size_t count;
	limit_attributes(walk->arena, limit_bytes);
	int rc = read_attributes(walk, index, builder, &attributes, &count);
	walk->arena->limit_bytes = limit_bytes;
	*ret_end = flags & FLAG_MULTIPART && count == 0;
	if (rc || *ret_end)
		return rc;
	rc = grow_parts(image, index, walk->err);
	if (!rc)
		rc = choose_storage(walk, flags, &attributes, &storage);
	if (rc)
		return rc;
	struct codec_part *part = &image->image.header.parts[index];
	rc = exr_part_make(image, &attributes, storage, builder, part, &image->parts[index], walk->err);
	if (rc)
		return rc;
	header_take_attributes(builder, part);
	if (index == 0 && attributes.x_density > 0 && attributes.x_density < 1e9f) { /* "xDensity": pixels per inch */
		image->image.header.resolution_x = (double)attributes.x_density / 0.0254;
		image->image.header.resolution_y = (double)attributes.x_density * part->pixel_aspect / 0.0254;
	}
	image->image.header.nparts++;
	*ret_end = !(flags & FLAG_MULTIPART);
	return 0;
}

static int read_version(struct walk *walk, uint32_t *ret_flags)
{
	uint32_t words[2];
	int rc = take(walk, words, sizeof words);
	if (rc)
		return rc;
	if (words[0] != MAGIC)
		return err_set(walk->err, -EIO, "not an OpenEXR file");
	if ((words[1] & 0xff) != VERSION || words[1] & ~(uint32_t)(FLAGS_KNOWN | 0xff))
		return err_set(walk->err, -EOPNOTSUPP, "OpenEXR version and flags %#" PRIx32 " are not known to this build",
			       words[1]);
	*ret_flags = words[1] & FLAGS_KNOWN;
	return 0;
}

static int read_parts(struct walk *walk, struct exr_image *image, struct header_builder *builder, size_t limit_bytes)
{
	uint32_t flags = 0;
	bool end = false;
	int rc = read_version(walk, &flags);
	if (!rc && flags & FLAG_MULTIPART && flags & FLAG_TILED)
		rc = err_set(walk->err, -EIO, "the header's flags say both multi-part and single-part tiled");
	image->multipart = !rc && flags & FLAG_MULTIPART;
	while (!rc && !end)
		rc = read_part(walk, image, flags, limit_bytes, builder, &end);
	if (!rc && !image->image.header.nparts)
		rc = err_set(walk->err, -EIO, "the file has no parts");
	image->table_offset = walk->offset;
	image->chunks_offset = walk->offset + (uint64_t)image->nchunks * 8;
	return rc;
}

int exr_header_read(struct exr_image *image, const struct codec_limits *limits, struct err *err)
{
	struct codec_header *header = &image->image.header;
	struct header_builder builder;
	struct walk walk = {.bytes = image->image.bytes,
			    .arena = &image->image.arena,
			    .err = err,
			    .budget = limits->max_metadata_bytes,
			    .max_metadata_bytes = limits->max_metadata_bytes};
	header_init(&builder, walk.arena);
	int rc = read_parts(&walk, image, &builder, limits->max_metadata_bytes);
	free(walk.value);
	if (rc)
		return rc;
	header_finish(&builder, header, NULL);
	header->nframes = 1;
	bool tiled = image->parts[0].storage == STORAGE_TILED || image->parts[0].storage == STORAGE_DEEP_TILED;
	header->random_access = tiled ? "tile" : "scanline";
	return codec_header_check(header, limits, err);
}
