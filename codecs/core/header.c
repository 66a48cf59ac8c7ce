/* header.c - see header.h. Arrays grow by doubling in the arena; what an array leaves behind stays there until the header goes. */
#include "header.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SPARE_WARNINGS = 2, WARNING_BYTES = 240 }; /* room is kept for the two summary warnings of header_finish */

void header_init(struct header_builder *builder, struct arena *arena)
{
	*builder = (struct header_builder){.arena = arena};
	builder->warnings = arena_alloc(arena, SPARE_WARNINGS, sizeof *builder->warnings);
	builder->room_warnings = builder->warnings ? SPARE_WARNINGS : 0;
}

/* Makes room for one more than count elements (and spare ones), up to max. The new array, or NULL where there is none. */
static void *grow(struct arena *arena, void *old, size_t count, size_t *room, size_t spare, size_t max, size_t size)
{
	if (count >= max)
		return NULL;
	if (count + spare < *room)
		return old;
	size_t want = *room ? *room * 2 : 8;
	void *bigger = arena_alloc(arena, want, size);
	if (!bigger)
		return NULL;
	if (count)
		memcpy(bigger, old, count * size);
	*room = want;
	return bigger;
}

/* The slot for one more attribute, name copied; NULL (and counted) where it doesn't fit. It counts once committed. */
static struct codec_attribute *attribute_slot(struct header_builder *builder, const char *group, const char *name)
{
	struct codec_attribute *attributes = grow(builder->arena, builder->attributes, builder->nattributes,
						  &builder->room_attributes, 0, HEADER_MAX_ATTRIBUTES, sizeof *attributes);
	char *copy = attributes ? arena_strdup(builder->arena, name) : NULL;
	if (attributes)
		builder->attributes = attributes;
	if (!copy) {
		builder->ndropped_metadata++;
		return NULL;
	}
	struct codec_attribute *slot = &attributes[builder->nattributes];
	*slot = (struct codec_attribute){.group = group, .name = copy};
	return slot;
}

static int add_copy(struct header_builder *builder, const char *group, const char *name, enum codec_attribute_type type,
		    const void *data, size_t count, size_t size)
{
	struct codec_attribute *slot = attribute_slot(builder, group, name);
	if (!slot)
		return -ENOMEM;
	size_t len_bytes;
	void *copy = __builtin_mul_overflow(count, size, &len_bytes) ? NULL : arena_copy(builder->arena, data, len_bytes);
	if (!copy) {
		builder->ndropped_metadata++;
		return -ENOMEM;
	}
	slot->type = (uint8_t)type;
	slot->count = count;
	slot->bytes = copy;
	builder->nattributes++;
	return 0;
}

int header_add_text_n(struct header_builder *builder, const char *group, const char *name, const char *text, size_t len_bytes)
{
	return add_copy(builder, group, name, ATTRIBUTE_TEXT, text, len_bytes, 1);
}

int header_add_text(struct header_builder *builder, const char *group, const char *name, const char *text)
{
	return header_add_text_n(builder, group, name, text, strlen(text));
}

int header_add_texts(struct header_builder *builder, const char *group, const char *name, const char *const *texts, size_t count)
{
	size_t room = 1; /* as extend_texts expects it: the next power of two */
	while (room < count && room <= SIZE_MAX / 4)
		room *= 2;
	const char **copies = arena_alloc(builder->arena, room, sizeof *copies);
	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = arena_strdup(builder->arena, texts[i]);
		if (!copies[i])
			copies = NULL;
	}
	struct codec_attribute *slot = copies ? attribute_slot(builder, group, name) : NULL;
	if (!copies)
		builder->ndropped_metadata++;
	if (!slot)
		return -ENOMEM;
	slot->type = ATTRIBUTE_TEXTS;
	slot->count = count;
	slot->texts = copies;
	builder->nattributes++;
	return 0;
}

int header_add_int(struct header_builder *builder, const char *group, const char *name, int64_t value)
{
	return header_add_ints(builder, group, name, &value, 1);
}

int header_add_ints(struct header_builder *builder, const char *group, const char *name, const int64_t *values, size_t count)
{
	return add_copy(builder, group, name, ATTRIBUTE_INTS, values, count, sizeof *values);
}

int header_add_float(struct header_builder *builder, const char *group, const char *name, float value)
{
	return header_add_floats(builder, group, name, &value, 1);
}

int header_add_floats(struct header_builder *builder, const char *group, const char *name, const float *values, size_t count)
{
	return add_copy(builder, group, name, ATTRIBUTE_FLOATS, values, count, sizeof *values);
}

int header_add_double(struct header_builder *builder, const char *group, const char *name, double value)
{
	return header_add_doubles(builder, group, name, &value, 1);
}

int header_add_doubles(struct header_builder *builder, const char *group, const char *name, const double *values, size_t count)
{
	return add_copy(builder, group, name, ATTRIBUTE_DOUBLES, values, count, sizeof *values);
}

int header_add_bytes(struct header_builder *builder, const char *group, const char *name, const void *data, size_t len_bytes)
{
	return add_copy(builder, group, name, ATTRIBUTE_BYTES, data, len_bytes, 1);
}

int header_add_bool(struct header_builder *builder, const char *group, const char *name, bool value)
{
	int64_t stored = value;
	return add_copy(builder, group, name, ATTRIBUTE_BOOL, &stored, 1, sizeof stored);
}

void header_set_list(struct header_builder *builder)
{
	if (builder->nattributes)
		builder->attributes[builder->nattributes - 1].list = true;
}

static struct codec_attribute *find(const struct header_builder *builder, const char *group, const char *name)
{
	for (size_t i = 0; i < builder->nattributes; i++)
		if (strcmp(builder->attributes[i].name, name) == 0 && strcmp(builder->attributes[i].group, group) == 0)
			return &builder->attributes[i];
	return NULL;
}

bool header_has(const struct header_builder *builder, const char *group, const char *name)
{
	return find(builder, group, name) != NULL;
}

/* texts of `known` (one TEXT or many TEXTS) and one more behind them */
static int extend_texts(struct header_builder *builder, struct codec_attribute *known, const char *text)
{
	size_t old = known->type == ATTRIBUTE_TEXTS ? known->count : 1;
	/* the array has room for the next power of two, so a long run of texts costs linear memory */
	bool full = known->type == ATTRIBUTE_TEXT || (old && (old & (old - 1)) == 0);
	const char **texts = full ? arena_alloc(builder->arena, old * 2, sizeof *texts) : (const char **)(uintptr_t)known->texts;
	char *copy = texts ? arena_strdup(builder->arena, text) : NULL;
	if (!copy) {
		builder->ndropped_metadata++;
		return -ENOMEM;
	}
	if (known->type == ATTRIBUTE_TEXT)
		texts[0] = known->text;
	else if (full)
		memcpy(texts, known->texts, old * sizeof *texts);
	texts[old] = copy;
	known->type = ATTRIBUTE_TEXTS;
	known->texts = texts;
	known->count = old + 1;
	return 0;
}

int header_append_text(struct header_builder *builder, const char *group, const char *name, const char *text)
{
	struct codec_attribute *known = find(builder, group, name);
	if (!known)
		return header_add_text(builder, group, name, text);
	if (known->type == ATTRIBUTE_TEXT || known->type == ATTRIBUTE_TEXTS)
		return extend_texts(builder, known, text);
	header_warn(builder, "the text \"%.80s\" has the name of another attribute: dropped", name);
	return 0;
}

int header_add_blob(struct header_builder *builder, const char *name, const void *data, size_t len_bytes)
{
	struct codec_blob *blobs =
		grow(builder->arena, builder->blobs, builder->nblobs, &builder->room_blobs, 0, HEADER_MAX_BLOBS, sizeof *blobs);
	void *copy = blobs ? arena_copy(builder->arena, data, len_bytes) : NULL;
	if (blobs)
		builder->blobs = blobs;
	if (!copy) {
		builder->ndropped_metadata++;
		return -ENOMEM;
	}
	blobs[builder->nblobs++] = (struct codec_blob){name, copy, len_bytes};
	return 0;
}

static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void header_warn(struct header_builder *builder, const char *format, ...)
{
	char words[WARNING_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	clean(words);
	const char **warnings = grow(builder->arena, builder->warnings, builder->nwarnings, &builder->room_warnings, SPARE_WARNINGS,
				     HEADER_MAX_WARNINGS, sizeof *warnings);
	char *copy = warnings ? arena_strdup(builder->arena, words) : NULL;
	if (warnings)
		builder->warnings = warnings;
	if (copy)
		warnings[builder->nwarnings++] = copy;
	else
		builder->ndropped_warnings++;
}

void header_no_memory(struct header_builder *builder)
{
	builder->arena->out_of_memory = true;
}

void header_take_attributes(struct header_builder *builder, struct codec_part *part)
{
	part->attributes = builder->attributes;
	part->nattributes = builder->nattributes;
	builder->attributes = NULL;
	builder->nattributes = builder->room_attributes = 0;
}

void header_finish(struct header_builder *builder, struct codec_header *header, struct codec_part *part)
{
	if (part)
		header_take_attributes(builder, part);
	if (builder->ndropped_metadata && builder->room_warnings - builder->nwarnings > 0)
		builder->warnings[builder->nwarnings++] = "metadata over the limit: some of it was dropped";
	if (builder->ndropped_warnings && builder->room_warnings - builder->nwarnings > 0)
		builder->warnings[builder->nwarnings++] = "more warnings than are kept: some of them were dropped";
	header->blobs = builder->blobs;
	header->nblobs = builder->nblobs;
	header->warnings = builder->warnings;
	header->nwarnings = builder->nwarnings;
}
