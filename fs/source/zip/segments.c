/* segments.c - see segments.h. */
#include "segments.h"

#include <stdlib.h>

static uint64_t table_slots(uint64_t size_bytes)
{
	return (size_bytes + SEGMENT_BYTES - 1) / SEGMENT_BYTES;
}

uint64_t segments_memory_bytes(const struct segments *segments)
{
	return segments->table ? table_slots(segments->size_bytes) * sizeof *segments->table +
					 segments->count * (uint64_t)sizeof(struct segment)
			       : 0;
}

static void list_remove(struct segments *segments, struct segment *segment)
{
	*(segment->newer ? &segment->newer->older : &segments->newest) = segment->older;
	*(segment->older ? &segment->older->newer : &segments->oldest) = segment->newer;
}

static void list_add(struct segments *segments, struct segment *segment)
{
	segment->older = segments->newest;
	segment->newer = NULL;
	*(segments->newest ? &segments->newest->newer : &segments->oldest) = segment;
	segments->newest = segment;
}

struct segment *segments_find(struct segments *segments, uint64_t number)
{
	struct segment *segment = segments->table ? segments->table[number] : NULL;
	if (segment && segment != segments->newest) {
		list_remove(segments, segment);
		list_add(segments, segment);
	}
	return segment;
}

static struct segment *take_oldest(struct segments *segments)
{
	struct segment *segment = segments->oldest;
	list_remove(segments, segment);
	segments->table[segment->number] = NULL;
	segments->count--;
	return segment;
}

struct segment *segments_add(struct segments *segments, uint64_t size_bytes, uint64_t number, uint64_t limit_bytes)
{
	segments->size_bytes = size_bytes;
	if (!segments->table)
		segments->table = calloc(table_slots(size_bytes), sizeof *segments->table);
	if (!segments->table)
		return NULL;
	struct segment *segment = segments->table[number];
	if (segment)
		list_remove(segments, segment);
	else if (segments->oldest && segments_memory_bytes(segments) + sizeof *segment > limit_bytes)
		segment = take_oldest(segments);
	else
		segment = malloc(sizeof *segment);
	if (!segment && segments->oldest)
		segment = take_oldest(segments);
	if (!segment)
		return NULL;
	segments->count += segments->table[number] != segment;
	segments->table[number] = segment;
	segment->number = number;
	segment->have_bytes = 0;
	list_add(segments, segment);
	return segment;
}

void segments_free(struct segments *segments)
{
	for (struct segment *segment = segments->oldest, *next; segment; segment = next) {
		next = segment->newer;
		free(segment);
	}
	free(segments->table);
	*segments = (struct segments){0};
}
