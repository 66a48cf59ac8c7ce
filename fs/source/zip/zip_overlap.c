/* zip_overlap.c - entries that share bytes of the archive with one another.
 *
 * No honest archive has them; with them a small file can hold petabytes. What an entry occupies for certain is known from
 * the central directory alone: 30 bytes of local header (4.3.7) and its packed data. Its local name and extra fields are
 * only known once it is opened; zip_overlap_limit() is for that moment.
 */
#include "zip_index.h"

#include <errno.h>
#include <stdlib.h>

/* The first byte behind what a file certainly occupies, UINT64_MAX where that can't be. Of a damaged record the size isn't
 * known. */
static uint64_t certain_end(const struct zip_node *node)
{
	uint64_t end, packed_bytes = node->bits & ZIP_NODE_DAMAGED ? 0 : node->packed_bytes;
	if (__builtin_add_overflow(node->offset, packed_bytes, &end) || __builtin_add_overflow(end, ZIP_LOCAL_BYTES, &end))
		return UINT64_MAX;
	return end;
}

static int compare_offsets(const void *a, const void *b, void *context)
{
	const struct zip_node *nodes = context;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (nodes[x].offset != nodes[y].offset)
		return nodes[x].offset < nodes[y].offset ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Fills order and nfiles; order stays NULL where the nodes are in order, as they nearly always are. */
int zip_overlap_sort(struct archive *archive, struct err *err)
{
	const struct zip_node *nodes = archive->nodes;
	uint64_t last = 0;
	bool sorted = true;
	free(archive->order);
	archive->order = NULL;
	archive->nfiles = 0;
	for (uint32_t i = 0; i < archive->nnodes; i++) {
		if (!zip_node_has_data(&nodes[i]))
			continue;
		sorted = sorted && nodes[i].offset >= last;
		last = nodes[i].offset;
		archive->nfiles++;
	}
	if (sorted)
		return 0;
	archive->order = malloc(archive->nfiles * sizeof *archive->order);
	if (!archive->order)
		return err_set(err, -ENOMEM, "out of memory for the archive's index");
	uint32_t n = 0;
	for (uint32_t i = 0; i < archive->nnodes; i++)
		if (zip_node_has_data(&nodes[i]))
			archive->order[n++] = i;
	qsort_r(archive->order, n, sizeof *archive->order, compare_offsets, archive->nodes);
	return 0;
}

static void mark(struct zip_node *node, uint32_t *count)
{
	if (node->bits & ZIP_NODE_OVERLAPS)
		return;
	node->bits |= ZIP_NODE_OVERLAPS;
	++*count;
}

/* In order of offset, a file that starts before the furthest end so far overlaps the one that reaches it. Each file that
 * overlaps any is marked: the one it overlaps reaches the furthest end, or overlaps the one that does. */
void zip_overlap_mark(struct archive *archive, uint32_t *ret_count)
{
	struct zip_node *furthest = NULL;
	uint32_t count = 0, n = archive->order ? archive->nfiles : archive->nnodes;
	for (uint32_t i = 0; i < n; i++) {
		struct zip_node *node = &archive->nodes[archive->order ? archive->order[i] : i];
		if (!zip_node_has_data(node))
			continue;
		node->bits &= (uint16_t)~ZIP_NODE_OVERLAPS;
		if (node->offset >= archive->bytes->size_bytes)
			continue;
		if (furthest && node->offset < certain_end(furthest)) {
			mark(furthest, &count);
			mark(node, &count);
		}
		if (certain_end(node) > archive->directory_start)
			mark(node, &count);
		if (!furthest || certain_end(node) > certain_end(furthest))
			furthest = node;
	}
	*ret_count = count;
}

/* The first place in order whose offset is larger. */
static uint32_t upper_bound(const struct archive *archive, uint64_t offset)
{
	uint32_t low = 0, high = archive->nfiles;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (archive->nodes[archive->order[middle]].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t zip_overlap_limit(const struct archive *archive, uint32_t node)
{
	uint64_t limit = archive->directory_start, next = UINT64_MAX;
	if (archive->order) {
		uint32_t place = upper_bound(archive, archive->nodes[node].offset);
		if (place < archive->nfiles)
			next = archive->nodes[archive->order[place]].offset;
	} else {
		for (uint32_t i = node + 1; i < archive->nnodes && next == UINT64_MAX; i++)
			if (zip_node_has_data(&archive->nodes[i]))
				next = archive->nodes[i].offset;
	}
	return next < limit ? next : limit;
}
