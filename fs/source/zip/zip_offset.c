/* zip_offset.c - where the entries of an archive really start, where its directory doesn't say it rightly.
 *
 * Offsets are short of what lies in front of the archive, all of them or, where a tool mended or appended some, some; those of
 * joined volumes count from the start of a volume; macOS writes archives of more than 4 GiB with all numbers modulo 2^32. A local
 * header tells the truth, so they are looked at where there is evidence that something is wrong, and only then: an honest archive
 * costs one look. All passes but the last go forwards through the archive, as it may lie packed in another one.
 */
#include "zip_index.h"

#include <errno.h>
#include <string.h>

enum {
	SCAN_BYTES = 16 << 20,       /* how far the first entry is searched for */
	SCAN_PIECE_BYTES = 16 << 10, /* ... at a time */
	DESCRIPTOR_BYTES = 24,       /* the longest data descriptor, 4.3.9 with zip64 */
	SMALL_BYTES = 1 << 20,       /* of these packing may make more */
	SPARE_MISSES = 8,            /* headers of an archive modulo 2^32 that may be looked for in vain */
};

static const uint64_t modulus = UINT64_C(1) << 32;

/* Runs over the entries with data, in order of their offsets or of the directory. */
static uint32_t places(const struct archive *archive, bool by_offset)
{
	return by_offset && archive->order ? archive->nfiles : archive->nnodes;
}

/* The entry at that place, NULL where that has no data of its own. */
static struct zip_node *node_at(const struct archive *archive, bool by_offset, uint32_t place)
{
	struct zip_node *node = &archive->nodes[by_offset && archive->order ? archive->order[place] : place];
	return zip_node_has_data(node) && node->offset != UINT64_MAX ? node : NULL;
}

/* 1 and a local header's fixed part, 0 where there is none before the directory, or a read's error. */
static int header_at(const struct archive *archive, uint64_t offset, uint8_t header[ZIP_LOCAL_BYTES], struct err *err)
{
	uint64_t end;
	if (__builtin_add_overflow(offset, ZIP_LOCAL_BYTES, &end) || end > archive->directory_start)
		return 0;
	int rc = bytes_read_exact(archive->bytes, header, ZIP_LOCAL_BYTES, offset, err);
	return rc < 0 ? rc : zip_u32(header) == ZIP_LOCAL_SIGNATURE;
}

/* Whether a local header can be that of this entry: its CRC-32 may stand behind the data (4.4.4, bit 3). */
static bool header_fits(const struct zip_node *node, const uint8_t header[ZIP_LOCAL_BYTES])
{
	return zip_u16(header + 8) == node->method && ((header[6] & 8) || zip_u32(header + 14) == node->crc32);
}

/* As header_at, of this entry. */
static int entry_at(const struct archive *archive, const struct zip_node *node, uint64_t offset, uint8_t header[ZIP_LOCAL_BYTES],
		    struct err *err)
{
	int rc = header_at(archive, offset, header, err);
	return rc == 1 ? header_fits(node, header) : rc;
}

static void move(struct zip_node *node, uint64_t offset, uint32_t *moved)
{
	node->offset = offset;
	node->bits &= (uint16_t)~ZIP_NODE_LOST;
	++*moved;
}

bool zip_offset_is_odd(const struct zip_place *place, uint64_t offset)
{
	return offset >= place->start || (place->shift == 0 && place->prefix > 0 && offset < (uint64_t)place->prefix);
}

/* Marks those that have no local header where they should. Forwards. */
static int mark_lost(struct archive *archive, uint32_t *ret_lost, struct err *err)
{
	uint8_t header[ZIP_LOCAL_BYTES];
	int rc = 0;
	*ret_lost = 0;
	for (uint32_t i = 0; rc >= 0 && i < places(archive, true); i++) {
		struct zip_node *node = node_at(archive, true, i);
		rc = node ? header_at(archive, node->offset, header, err) : 1;
		if (rc == 0) {
			node->bits |= ZIP_NODE_LOST;
			++*ret_lost;
		}
	}
	return rc < 0 ? rc : 0;
}

/* Looks for the lost ones so much further on. Forwards. */
static int try_distance(struct archive *archive, uint64_t distance, uint32_t *moved, struct err *err)
{
	uint8_t header[ZIP_LOCAL_BYTES];
	int rc = 0;
	for (uint32_t i = 0; distance && rc >= 0 && i < places(archive, true); i++) {
		struct zip_node *node = node_at(archive, true, i);
		if (!node || !(node->bits & ZIP_NODE_LOST))
			continue;
		rc = entry_at(archive, node, node->offset + distance, header, err);
		if (rc == 1)
			move(node, node->offset + distance, moved);
	}
	return rc < 0 ? rc : 0;
}

/* ---- one after the other ---- */

/* A pass in the order of the directory. */
struct chain {
	struct archive *archive;
	uint64_t end;      /* of the entry before, its descriptor aside; 0: there is none, UINT64_MAX: it isn't known */
	uint64_t distance; /* by which the one found last lies further on than it should */
	uint64_t read;     /* how far was read */
};

/* 1 and the place of the entry's header in [start, start + len_bytes). */
static int search(const struct archive *archive, const struct zip_node *node, uint64_t start, size_t len_bytes,
		  uint64_t *ret_offset, struct err *err)
{
	uint8_t piece[SCAN_PIECE_BYTES + ZIP_LOCAL_BYTES - 1];
	for (size_t done = 0, n; start < archive->directory_start && done < len_bytes; done += n) {
		uint64_t at = start + done, left_bytes = at < archive->directory_start ? archive->directory_start - at : 0;
		n = len_bytes - done < SCAN_PIECE_BYTES ? len_bytes - done : SCAN_PIECE_BYTES;
		size_t want_bytes = n + ZIP_LOCAL_BYTES - 1 < left_bytes ? n + ZIP_LOCAL_BYTES - 1 : (size_t)left_bytes;
		int rc = bytes_read_exact(archive->bytes, piece, want_bytes, at, err);
		if (rc < 0 || want_bytes < ZIP_LOCAL_BYTES)
			return rc < 0 ? rc : 0;
		const uint8_t *end = piece + want_bytes - ZIP_LOCAL_BYTES + 1;
		for (const uint8_t *p = piece; (p = memchr(p, 'P', (size_t)(end - p))) != NULL; p++) {
			if (zip_u32(p) != ZIP_LOCAL_SIGNATURE || !header_fits(node, p))
				continue;
			*ret_offset = at + (size_t)(p - piece);
			return 1;
		}
	}
	return 0;
}

/* Where the one before had to be moved, this one lies as far on; else it follows the one before; the first one may lie anywhere. */
static int find_next(struct chain *chain, const struct zip_node *node, uint64_t *ret_offset, struct err *err)
{
	uint8_t header[ZIP_LOCAL_BYTES];
	uint64_t expected = node->offset + chain->distance;
	if (chain->distance && expected >= chain->read) {
		*ret_offset = expected;
		int rc = entry_at(chain->archive, node, expected, header, err);
		if (rc != 0)
			return rc;
	}
	bool is_first = chain->end == 0;
	uint64_t start = is_first ? node->offset : chain->end;
	return search(chain->archive, node, start, is_first ? SCAN_BYTES : DESCRIPTOR_BYTES + 1, ret_offset, err);
}

static int follow(struct chain *chain, struct zip_node *node, uint32_t *moved, struct err *err)
{
	uint8_t header[ZIP_LOCAL_BYTES];
	uint64_t offset = node->offset;
	int rc = 0;
	if (node->bits & ZIP_NODE_LOST) {
		rc = find_next(chain, node, &offset, err);
		if (rc <= 0) {
			chain->end = chain->end ? chain->end : UINT64_MAX; /* no second search as long as the first */
			return rc;
		}
		chain->distance = offset - node->offset;
		move(node, offset, moved);
	}
	chain->end = UINT64_MAX;
	rc = offset >= chain->read ? header_at(chain->archive, offset, header, err) : 0;
	if (rc <= 0)
		return rc;
	chain->end = offset + ZIP_LOCAL_BYTES + zip_u16(header + 26) + zip_u16(header + 28);
	chain->read = chain->end;
	if (__builtin_add_overflow(chain->end, node->packed_bytes, &chain->end))
		chain->end = UINT64_MAX;
	return 0;
}

int zip_offset_find(struct archive *archive, const struct zip_place *place, uint32_t *ret_moved, struct err *err)
{
	struct chain chain = {.archive = archive};
	uint32_t nlost = 0;
	*ret_moved = 0;
	int rc = mark_lost(archive, &nlost, err);
	if (rc == 0 && nlost)
		rc = try_distance(archive, (uint64_t)(place->prefix - 2 * place->shift), ret_moved, err);
	for (uint32_t i = 0; rc == 0 && nlost > *ret_moved && i < archive->nnodes; i++) {
		struct zip_node *node = node_at(archive, false, i);
		if (node)
			rc = follow(&chain, node, ret_moved, err);
	}
	for (uint32_t i = 0; i < archive->nnodes; i++)
		if (zip_node_has_data(&archive->nodes[i]))
			archive->nodes[i].bits &= (uint16_t)~ZIP_NODE_LOST;
	return rc;
}

/* ---- modulo 2^32 ---- */

/* The first place that offset can be, not before `least`. */
static uint64_t first_place(uint64_t offset, uint64_t least)
{
	return offset >= least ? offset : offset + (least - offset + modulus - 1) / modulus * modulus;
}

/* Entries lie in the order of the directory, so each is at the first place behind the one before where its header is. */
static int find_modulo(struct archive *archive, struct zip_node *node, uint64_t *least, uint64_t *misses, struct err *err)
{
	uint8_t header[ZIP_LOCAL_BYTES];
	uint64_t at = first_place(node->offset, *least);
	for (uint64_t first = at; at < archive->directory_start; at += modulus) {
		int rc = entry_at(archive, node, at, header, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && *misses) {
			--*misses;
			continue;
		}
		node->offset = rc ? at : first;
		*least = rc ? at + ZIP_LOCAL_BYTES : *least;
		return 0;
	}
	return 0;
}

int zip_offset_complete(struct archive *archive, struct err *err)
{
	uint64_t least = 0, misses = SPARE_MISSES + archive->directory_start / modulus * 4;
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < archive->nnodes; i++) {
		struct zip_node *node = node_at(archive, false, i);
		if (node)
			rc = find_modulo(archive, node, &least, &misses, err);
	}
	return rc;
}

/* The packed size is what reaches up to the next header, less than 4 GiB short of it. Of the size itself nobody tells how often it
 * is over 4 GiB, so the least is taken that can pack into so much: Deflate, as all, makes hardly anything larger than it is. */
static void complete_sizes(struct zip_node *node, uint64_t next)
{
	uint64_t room_bytes = next - node->offset - ZIP_LOCAL_BYTES;
	if (next < node->offset + ZIP_LOCAL_BYTES || room_bytes < node->packed_bytes)
		return;
	uint64_t more_bytes = (room_bytes - node->packed_bytes) / modulus * modulus;
	node->packed_bytes += more_bytes;
	if (node->method == ZIP_STORED)
		node->size_bytes += more_bytes;
	else if (node->packed_bytes > SMALL_BYTES)
		node->size_bytes = first_place(node->size_bytes, node->packed_bytes - node->packed_bytes / 1024);
}

void zip_offset_complete_sizes(struct archive *archive)
{
	struct zip_node *before = NULL;
	for (uint32_t i = 0; i < places(archive, true); i++) {
		struct zip_node *node = node_at(archive, true, i);
		if (node && before)
			complete_sizes(before, node->offset);
		before = node ? node : before;
	}
	if (before)
		complete_sizes(before, archive->directory_start);
}

bool zip_offset_is_modulo(const struct zip_place *place)
{
	return !place->has_end64 && place->shift == 0 && place->start >= modulus;
}
