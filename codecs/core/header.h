/* header.h - growing a codec's header: attributes, blobs and warnings appended one by one into the image's arena.
 *
 * Nothing that is appended can fail the open by itself: what doesn't fit below the arena's limit is dropped, and told once
 * as a warning. Only what the pixels need (parts, planes, channels) is the codec's to allocate and to fail for. Names,
 * texts and values are copied; a group is kept as a pointer.
 *
 * A builder is plain data on the stack of open(), for one thread:
 *
 *	struct header_builder builder;
 *	header_init(&builder, &image->arena);
 *	header_add_int(&builder, "png", "sRGB", 0);
 *	header_finish(&builder, &image->header, &part);
 *
 * Files with several parts use one builder for the file (blobs, warnings) and take the attributes of each part away with
 * header_take_attributes.
 */
#ifndef PIXFS_HEADER_H
#define PIXFS_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

enum {
	HEADER_MAX_ATTRIBUTES = 16384, /* of one part; more are dropped with a warning */
	HEADER_MAX_BLOBS = 64,
	HEADER_MAX_WARNINGS = 64, /* after these one more says how many were left out */
};

struct header_builder {
	struct arena *arena;
	struct codec_attribute *attributes;
	size_t nattributes, room_attributes;
	struct codec_blob *blobs;
	size_t nblobs, room_blobs;
	const char **warnings;
	size_t nwarnings, room_warnings;
	size_t ndropped_warnings; /* over HEADER_MAX_WARNINGS or without memory */
	size_t ndropped_metadata; /* attributes and blobs that did not fit */
};

void header_init(struct header_builder *builder, struct arena *arena);

/* Appends one attribute. group must be a string literal or live as long as the arena; name and the value are copied.
 * A count of 1 is shown as a scalar unless it is a list (header_set_list). 0, or -ENOMEM where it was dropped. */
int header_add_text(struct header_builder *builder, const char *group, const char *name, const char *text); /* NUL-terminated */
int header_add_text_n(struct header_builder *builder, const char *group, const char *name, const char *text, size_t len_bytes);
int header_add_texts(struct header_builder *builder, const char *group, const char *name, const char *const *texts, size_t count);
int header_add_int(struct header_builder *builder, const char *group, const char *name, int64_t value);
int header_add_ints(struct header_builder *builder, const char *group, const char *name, const int64_t *values, size_t count);
int header_add_float(struct header_builder *builder, const char *group, const char *name, float value);
int header_add_floats(struct header_builder *builder, const char *group, const char *name, const float *values, size_t count);
int header_add_double(struct header_builder *builder, const char *group, const char *name, double value);
int header_add_doubles(struct header_builder *builder, const char *group, const char *name, const double *values, size_t count);
int header_add_bytes(struct header_builder *builder, const char *group, const char *name, const void *data, size_t len_bytes);
int header_add_bool(struct header_builder *builder, const char *group, const char *name, bool value);

/* One more text of that name: the first is a text, more make a list of texts in their order (PNG's keywords, JPEG's
 * comments). Where another kind of attribute has the name, the text is dropped with a warning. 0 or -ENOMEM. */
int header_append_text(struct header_builder *builder, const char *group, const char *name, const char *text);

/* The attribute appended last is a list even if its count is 1. */
void header_set_list(struct header_builder *builder);

/* Whether an attribute of this group and name was appended (since the last header_take_attributes). */
bool header_has(const struct header_builder *builder, const char *group, const char *name);

/* Appends attributes/<name>; name is a string literal, the data is copied. 0, or -ENOMEM where it was dropped. */
int header_add_blob(struct header_builder *builder, const char *name, const void *data, size_t len_bytes);

/* Appends a warning in words, printf rules, cut to 240 bytes, control characters replaced by '?'. Never fails: after
 * HEADER_MAX_WARNINGS it only counts. */
void header_warn(struct header_builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something is left out because memory was short for a moment: codec_open will fail with -ENOMEM. */
void header_no_memory(struct header_builder *builder);

/* Moves the attributes collected so far to part; the builder starts again with none. */
void header_take_attributes(struct header_builder *builder, struct codec_part *part);

/* The end: attributes to part (NULL where they were taken already), blobs and warnings to header, and the summary
 * warnings about what was dropped. The builder may not be used afterwards. */
void header_finish(struct header_builder *builder, struct codec_header *header, struct codec_part *part);

#endif
