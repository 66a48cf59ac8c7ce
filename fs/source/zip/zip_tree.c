/* zip_tree.c - the entries of an archive as a tree with unique names.
 *
 * Building is one pass that appends, then the renaming of those that lost their name, then chaining. The rules: a
 * directory keeps its name, as paths lead through it; of files the last one does; the others become "name (1)", "name
 * (2)" in the archive's order. All that is allocated grows with what was read, and is capped.
 */
#include "zip_index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BASE_BYTES = 64 << 20,  /* what any index may occupy ... */
	BYTES_PER_BYTE = 8,     /* ... and what more for each byte of the central directory: real archives need 1 to 4 */
	MAX_EXPECTED = 1 << 20, /* entries that are believed before they are read */
	MIN_SLOTS = 64,
	SEQUENTIAL_ATTEMPTS = 16,
};

/* ... and at most this: fifty million entries. Directories too may be bombs, when they lie in a packed entry. */
static const uint64_t max_index_bytes = UINT64_C(4) << 30;

/* ---- the table ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_name(const struct archive *archive, uint32_t parent, const char *name, size_t len_bytes)
{
	uint64_t hash = mix(archive->seed ^ parent, 0x9e3779b97f4a7c15 ^ len_bytes), word;
	for (; len_bytes >= 8; name += 8, len_bytes -= 8) {
		memcpy(&word, name, 8);
		hash = mix(hash ^ word, archive->seed | 1);
	}
	word = 0;
	memcpy(&word, name, len_bytes);
	return mix(hash ^ word, archive->seed | 1);
}

/* The slot that holds (parent, name), or the free one where it belongs. */
static uint32_t *find_slot(const struct archive *archive, uint32_t parent, const char *name, size_t len_bytes)
{
	size_t mask = archive->table_slots - 1, slot = hash_name(archive, parent, name, len_bytes) & mask;
	for (; archive->table[slot] != ARCHIVE_NONE; slot = (slot + 1) & mask) {
		const struct zip_node *node = &archive->nodes[archive->table[slot]];
		if (node->parent == parent && !strncmp(archive->names + node->name, name, len_bytes) &&
		    archive->names[node->name + len_bytes] == 0)
			break;
	}
	return &archive->table[slot];
}

uint32_t archive_find(const struct archive *archive, uint32_t dir, const char *name)
{
	size_t len_bytes = strlen(name);
	return len_bytes > ZIP_NAME_MAX ? ARCHIVE_NONE : *find_slot(archive, dir, name, len_bytes);
}

uint64_t archive_memory_bytes(const struct archive *archive)
{
	return sizeof *archive + archive->nodes_room * sizeof *archive->nodes + archive->names_room_bytes +
	       archive->table_slots * sizeof *archive->table + (archive->order ? archive->nfiles * sizeof *archive->order : 0);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory for the archive's index");
}

/* Whether the index may grow by so much. */
static int check_room(const struct archive *archive, uint64_t more_bytes, struct err *err)
{
	if (more_bytes <= archive->max_bytes && archive_memory_bytes(archive) <= archive->max_bytes - more_bytes)
		return 0;
	return err_set(err, -EFBIG, "the archive's index would be too large: %" PRIu32 " entries and directories so far",
		       archive->nnodes);
}

static int table_set_size(struct archive *archive, size_t slots, struct err *err)
{
	uint32_t *table = malloc(slots * sizeof *table);
	if (!table)
		return no_memory(err);
	memset(table, 0xff, slots * sizeof *table);
	free(archive->table);
	archive->table = table;
	archive->table_slots = slots;
	for (uint32_t i = 1; i < archive->nnodes; i++) {
		const char *name = archive->names + archive->nodes[i].name;
		/* A loser has the name of another; the last one, or the directory, has the slot. */
		uint32_t *slot = find_slot(archive, archive->nodes[i].parent, name, strlen(name));
		if (*slot == ARCHIVE_NONE || zip_node_has_data(&archive->nodes[*slot]))
			*slot = i;
	}
	return 0;
}

static size_t slots_for(uint64_t count)
{
	size_t slots = MIN_SLOTS;
	while (slots / 4 * 3 <= count)
		slots *= 2;
	return slots;
}

/* ---- growing ---- */

static int reserve_node(struct archive *archive, struct err *err)
{
	if (archive->nnodes == archive->nodes_room) {
		uint64_t room = archive->nodes_room + archive->nodes_room / 2 + 16;
		int rc = check_room(archive, (room - archive->nodes_room) * sizeof *archive->nodes, err);
		if (rc < 0)
			return rc;
		if (room >= ARCHIVE_NONE)
			return err_set(err, -EFBIG, "the archive has more than %" PRIu32 " entries", archive->nnodes);
		struct zip_node *nodes = realloc(archive->nodes, room * sizeof *nodes);
		if (!nodes)
			return no_memory(err);
		archive->nodes = nodes;
		archive->nodes_room = (uint32_t)room;
	}
	if (archive->nnodes < archive->table_slots / 4 * 3)
		return 0;
	int rc = check_room(archive, archive->table_slots * 2 * sizeof *archive->table, err);
	return rc < 0 ? rc : table_set_size(archive, archive->table_slots * 2, err);
}

static int reserve_name(struct archive *archive, size_t len_bytes, struct err *err)
{
	if (len_bytes < archive->names_room_bytes - archive->names_bytes)
		return 0;
	size_t room_bytes = archive->names_room_bytes + archive->names_room_bytes / 2 + 4096;
	int rc = check_room(archive, room_bytes - archive->names_room_bytes, err);
	if (rc < 0)
		return rc;
	if (room_bytes > UINT32_MAX)
		return err_set(err, -EFBIG, "the archive's names have more than 4 GiB");
	char *names = realloc(archive->names, room_bytes);
	if (!names)
		return no_memory(err);
	archive->names = names;
	archive->names_room_bytes = room_bytes;
	return 0;
}

/* Keeps a name; there is room. */
static uint32_t keep_name(struct archive *archive, const char *name, size_t len_bytes)
{
	uint32_t at = (uint32_t)archive->names_bytes;
	memcpy(archive->names + at, name, len_bytes);
	archive->names[at + len_bytes] = 0;
	archive->names_bytes += len_bytes + 1;
	return at;
}

static int lose(struct zip_losers *losers, uint32_t node, struct err *err)
{
	if (losers->count == losers->room) {
		uint32_t room = losers->room + losers->room / 2 + 16;
		uint32_t *nodes = realloc(losers->nodes, room * sizeof *nodes);
		if (!nodes)
			return no_memory(err);
		losers->nodes = nodes;
		losers->room = room;
	}
	losers->nodes[losers->count++] = node;
	return 0;
}

int zip_tree_init(struct archive *archive, uint64_t expected, uint64_t directory_bytes, struct err *err)
{
	archive->max_bytes = max_index_bytes;
	if (directory_bytes < (max_index_bytes - BASE_BYTES) / BYTES_PER_BYTE)
		archive->max_bytes = BASE_BYTES + directory_bytes * BYTES_PER_BYTE;
	if (expected > directory_bytes / ZIP_CENTRAL_BYTES)
		expected = directory_bytes / ZIP_CENTRAL_BYTES;
	if (expected > MAX_EXPECTED)
		expected = MAX_EXPECTED;
	if (getrandom(&archive->seed, sizeof archive->seed, GRND_NONBLOCK) < 0)
		archive->seed = (uintptr_t)archive;
	archive->nodes_room = (uint32_t)expected + 16;
	archive->nodes = malloc(archive->nodes_room * sizeof *archive->nodes);
	archive->names = calloc(1, 1);
	if (!archive->nodes || !archive->names)
		return no_memory(err);
	archive->names_bytes = archive->names_room_bytes = 1;
	archive->nodes[0] = (struct zip_node){.next = ARCHIVE_NONE, .first = ARCHIVE_NONE, .bits = ARCHIVE_DIR};
	archive->nnodes = 1;
	return table_set_size(archive, slots_for(expected + 1), err);
}

/* ---- adding ---- */

int zip_tree_directory(struct archive *archive, uint32_t parent, const char *name, size_t len_bytes, struct zip_losers *losers,
		       uint32_t *ret_node, struct err *err)
{
	int rc = reserve_node(archive, err);
	if (rc == 0)
		rc = reserve_name(archive, len_bytes, err);
	if (rc < 0)
		return rc;
	uint32_t *slot = find_slot(archive, parent, name, len_bytes);
	if (*slot != ARCHIVE_NONE && !zip_node_has_data(&archive->nodes[*slot])) {
		*ret_node = *slot;
		return 0;
	}
	struct zip_node node = {.parent = parent, .first = ARCHIVE_NONE, .bits = ARCHIVE_DIR, .offset = UINT64_MAX};
	if (*slot != ARCHIVE_NONE) {
		rc = lose(losers, *slot, err);
		if (rc < 0)
			return rc;
		node.name = archive->nodes[*slot].name;
	} else {
		node.name = keep_name(archive, name, len_bytes);
	}
	*ret_node = *slot = archive->nnodes;
	archive->nodes[archive->nnodes++] = node;
	return 0;
}

int zip_tree_file(struct archive *archive, uint32_t parent, const char *name, size_t len_bytes, const struct zip_node *node,
		  struct zip_losers *losers, struct err *err)
{
	int rc = reserve_node(archive, err);
	if (rc == 0)
		rc = reserve_name(archive, len_bytes, err);
	if (rc < 0)
		return rc;
	uint32_t added = archive->nnodes, *slot = find_slot(archive, parent, name, len_bytes);
	archive->nodes[added] = *node;
	archive->nodes[added].parent = parent;
	if (*slot == ARCHIVE_NONE) {
		archive->nodes[added].name = keep_name(archive, name, len_bytes);
		*slot = added;
	} else {
		bool is_file = zip_node_has_data(&archive->nodes[*slot]);
		archive->nodes[added].name = archive->nodes[*slot].name;
		rc = lose(losers, is_file ? *slot : added, err);
		if (rc < 0)
			return rc;
		if (is_file)
			*slot = added;
	}
	archive->nnodes++;
	return 0;
}

/* ---- renaming ---- */

static int compare_losers(const void *a, const void *b, void *context)
{
	const struct zip_node *nodes = ((const struct archive *)context)->nodes;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (nodes[x].name != nodes[y].name)
		return nodes[x].name < nodes[y].name ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Finds a free number from *number on, and leaves the next one there. Many names that were cut alike could make every
 * loser try all numbers, so after some attempts it goes on from its own node number in steps of 2^32: no other loser tries these,
 * so each name that is taken holds up one attempt at most, and a free one is found at last. */
static int rename_loser(struct archive *archive, uint32_t loser, uint64_t *number, struct err *err)
{
	char name[ZIP_NAME_MAX + 1];
	struct zip_node *node = &archive->nodes[loser];
	for (uint64_t attempt = 0;; attempt++) {
		uint64_t k = attempt < SEQUENTIAL_ATTEMPTS ? (*number)++ : loser + 1 + ((attempt - SEQUENTIAL_ATTEMPTS) << 32);
		size_t len_bytes = zip_names_number(archive->names + node->name, k, name);
		uint32_t *slot = find_slot(archive, node->parent, name, len_bytes);
		if (*slot != ARCHIVE_NONE)
			continue;
		int rc = reserve_name(archive, len_bytes, err);
		if (rc < 0)
			return rc;
		node->name = keep_name(archive, name, len_bytes);
		*slot = loser;
		return 0;
	}
}

int zip_tree_rename(struct archive *archive, struct zip_losers *losers, struct err *err)
{
	if (losers->count)
		qsort_r(losers->nodes, losers->count, sizeof *losers->nodes, compare_losers, archive);
	uint64_t number = 1;
	uint32_t name = 0;
	for (uint32_t i = 0; i < losers->count; i++) {
		if (archive->nodes[losers->nodes[i]].name != name) {
			name = archive->nodes[losers->nodes[i]].name;
			number = 1;
		}
		int rc = rename_loser(archive, losers->nodes[i], &number, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void zip_tree_finish(struct archive *archive)
{
	struct zip_node *nodes = archive->nodes;
	for (uint32_t i = archive->nnodes - 1; i > 0; i--) {
		struct zip_node *parent = &nodes[nodes[i].parent];
		nodes[i].next = parent->first;
		parent->first = i;
		parent->nchildren++;
	}
	nodes = realloc(archive->nodes, archive->nnodes * sizeof *nodes);
	if (nodes) {
		archive->nodes = nodes;
		archive->nodes_room = archive->nnodes;
	}
	char *names = realloc(archive->names, archive->names_bytes);
	if (names) {
		archive->names = names;
		archive->names_room_bytes = archive->names_bytes;
	}
}

/* ---- paths ---- */

/* Puts text before *start; false where it doesn't fit. */
static bool prepend(char *path, size_t *start, const char *text)
{
	size_t len_bytes = strlen(text);
	if (len_bytes > *start)
		return false;
	*start -= len_bytes;
	memcpy(path + *start, text, len_bytes);
	return true;
}

void zip_tree_path(const struct archive *archive, uint32_t node, const char *name, char *ret_path, size_t room_bytes)
{
	size_t start = room_bytes - 1;
	ret_path[start] = 0;
	bool fits = prepend(ret_path, &start, name ? name : archive->names + archive->nodes[node].name);
	for (uint32_t i = archive->nodes[node].parent; fits && i != 0; i = archive->nodes[i].parent)
		fits = prepend(ret_path, &start, "/") && prepend(ret_path, &start, archive->names + archive->nodes[i].name);
	memmove(ret_path, ret_path + start, room_bytes - start);
}
