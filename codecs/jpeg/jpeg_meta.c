/* jpeg_meta.c - see jpeg_meta.h. Pieces are collected in a scratch arena and joined when the last segment was seen, because
 * ICC profiles and extended XMP come in numbered parts in any order.
 *
 * Sources: Exif 2.32 section 4.5.4 ("Exif\0\0"); XMP part 3 section 1.1.3 (standard and extended packets); ICC.1:2022 annex
 * B.4 ("ICC_PROFILE\0", number, count); Photoshop file formats "Image resource blocks" (8BIM; 0x0404 is IPTC-NAA). */
#include "jpeg_meta.h"

#include <inttypes.h>
#include <string.h>

enum {
	COM = 0xfe,
	APP0 = 0xe0,
	MAX_APPLICATIONS = 256, /* names listed in app_segments */
	NAME_BYTES = 32,        /* of these, how long a name may be */
	GUID_BYTES = 32,
	MAX_GUIDS = 16, /* pieces of other packets in front of the one that is named */
	PHOTOSHOP_IPTC = 0x0404,
};

static const char exif_mark[] = "Exif\0";                      /* with its NUL: 6 bytes */
static const char xmp_mark[] = "http://ns.adobe.com/xap/1.0/"; /* these too with the NUL */
static const char xmp_extended_mark[] = "http://ns.adobe.com/xmp/extension/";
static const char icc_mark[] = "ICC_PROFILE";
static const char photoshop_mark[] = "Photoshop 3.0";

static uint32_t read_u32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

void jpeg_meta_init(struct jpeg_meta *meta, struct header_builder *builder, size_t limit_bytes)
{
	*meta = (struct jpeg_meta){.builder = builder};
	arena_init(&meta->scratch, limit_bytes);
	struct jpeg_pieces *lists[] = {&meta->exif,      &meta->xmp,      &meta->xmp_extended, &meta->icc,
				       &meta->photoshop, &meta->comments, &meta->applications};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		lists[i]->tail = &lists[i]->first;
}

void jpeg_meta_free(struct jpeg_meta *meta)
{
	arena_free(&meta->scratch);
}

static void keep_piece(struct jpeg_meta *meta, struct jpeg_pieces *pieces, uint32_t place, uint32_t total, const uint8_t *data,
		       size_t len_bytes)
{
	struct jpeg_piece *piece = arena_alloc(&meta->scratch, 1, sizeof *piece);
	uint8_t *copy = piece ? arena_copy(&meta->scratch, data, len_bytes) : NULL;
	if (!copy) {
		meta->ndropped++;
		return;
	}
	*piece = (struct jpeg_piece){NULL, place, total, len_bytes, copy};
	*pieces->tail = piece;
	pieces->tail = &piece->next;
	pieces->count++;
	pieces->len_bytes += len_bytes;
}

/* Lists "APP12 Ducky": the marker and the text that the segment starts with, as far as it is printable. */
static void keep_application(struct jpeg_meta *meta, int marker, const uint8_t *data, size_t len_bytes)
{
	if (meta->applications.count >= MAX_APPLICATIONS)
		return;
	char name[NAME_BYTES + 8] = "APP0 ";
	size_t n = 4;
	if (marker - APP0 >= 10)
		name[3] = '1';
	else
		n = 3;
	name[n++] = (char)('0' + (marker - APP0) % 10);
	name[n++] = ' ';
	size_t start = n;
	for (size_t i = 0; i < len_bytes && i < NAME_BYTES && data[i] > ' ' && data[i] < 0x7f; i++)
		name[n++] = (char)data[i];
	if (n == start)
		n--; /* no name, no blank */
	keep_piece(meta, &meta->applications, 0, 0, (const uint8_t *)name, n);
}

/* Whether the payload starts with mark (its NUL included); moves data behind it. */
static bool starts_with(const uint8_t **data, size_t *len_bytes, const char *mark, size_t mark_bytes)
{
	if (*len_bytes < mark_bytes || memcmp(*data, mark, mark_bytes) != 0)
		return false;
	*data += mark_bytes;
	*len_bytes -= mark_bytes;
	return true;
}

static void keep_xmp_extended(struct jpeg_meta *meta, const uint8_t *data, size_t len_bytes)
{
	/* GUID, full length, offset of this piece: the GUID stays in front of the piece's data */
	if (len_bytes < GUID_BYTES + 8) {
		header_warn(meta->builder, "an extended XMP segment of %zu bytes is too short: ignored", len_bytes);
		return;
	}
	uint32_t total = read_u32(data + GUID_BYTES), offset = read_u32(data + GUID_BYTES + 4);
	uint8_t *own = arena_copy(&meta->scratch, data, len_bytes);
	if (!own) {
		meta->ndropped++;
		return;
	}
	memmove(own + GUID_BYTES, own + GUID_BYTES + 8, len_bytes - GUID_BYTES - 8);
	keep_piece(meta, &meta->xmp_extended, offset, total, own, len_bytes - 8);
}

void jpeg_meta_segment(struct jpeg_meta *meta, int marker, const uint8_t *data, size_t len_bytes)
{
	if (marker == COM) {
		keep_piece(meta, &meta->comments, 0, 0, data, len_bytes);
		return;
	}
	keep_application(meta, marker, data, len_bytes);
	if (marker == APP0 + 1 && starts_with(&data, &len_bytes, exif_mark, sizeof exif_mark))
		keep_piece(meta, &meta->exif, 0, 0, data, len_bytes);
	else if (marker == APP0 + 1 && starts_with(&data, &len_bytes, xmp_mark, sizeof xmp_mark))
		keep_piece(meta, &meta->xmp, 0, 0, data, len_bytes);
	else if (marker == APP0 + 1 && starts_with(&data, &len_bytes, xmp_extended_mark, sizeof xmp_extended_mark))
		keep_xmp_extended(meta, data, len_bytes);
	else if (marker == APP0 + 2 && len_bytes >= sizeof icc_mark + 2 &&
		 starts_with(&data, &len_bytes, icc_mark, sizeof icc_mark))
		keep_piece(meta, &meta->icc, data[0], data[1], data + 2, len_bytes - 2);
	else if (marker == APP0 + 13 && starts_with(&data, &len_bytes, photoshop_mark, sizeof photoshop_mark))
		keep_piece(meta, &meta->photoshop, 0, 0, data, len_bytes);
}

/* The pieces behind each other in file order; NULL where there are none or no memory. */
static uint8_t *join(struct jpeg_meta *meta, const struct jpeg_pieces *pieces)
{
	uint8_t *whole = pieces->count ? arena_alloc(&meta->scratch, pieces->len_bytes, 1) : NULL;
	size_t at = 0;
	if (!whole && pieces->count)
		meta->ndropped++;
	for (const struct jpeg_piece *piece = pieces->first; whole && piece; piece = piece->next) {
		memcpy(whole + at, piece->data, piece->len_bytes);
		at += piece->len_bytes;
	}
	return whole;
}

static void finish_exif(struct jpeg_meta *meta, struct jpeg_facts *facts)
{
	const struct jpeg_piece *piece = meta->exif.first;
	if (!piece)
		return;
	if (meta->exif.count > 1)
		header_warn(meta->builder, "%zu EXIF segments: only the first is used", meta->exif.count);
	header_add_blob(meta->builder, "exif.bin", piece->data, piece->len_bytes);
	exif_parse(piece->data, piece->len_bytes, meta->builder, &facts->exif);
}

/* Whether the packet names this GUID, which is how the extended packet belongs to it (xmpNote:HasExtendedXMP). */
static bool names_guid(const struct jpeg_piece *xmp, const uint8_t *guid)
{
	return xmp && memmem(xmp->data, xmp->len_bytes, guid, GUID_BYTES) != NULL;
}

static void finish_xmp_extended(struct jpeg_meta *meta)
{
	const struct jpeg_piece *first = meta->xmp_extended.first;
	for (int tries = 0; first && !names_guid(meta->xmp.first, first->data); tries++)
		first = tries < MAX_GUIDS ? first->next : NULL;
	if (!first) {
		header_warn(meta->builder, "extended XMP that the XMP packet doesn't name: ignored");
		return;
	}
	/* bounded by what was kept, whatever the segments declare */
	uint8_t *whole = first->total <= meta->xmp_extended.len_bytes ? arena_alloc(&meta->scratch, first->total, 1) : NULL;
	uint64_t filled = 0;
	for (const struct jpeg_piece *piece = first; whole && piece; piece = piece->next) { /* in order, as all writers have it */
		size_t len_bytes = piece->len_bytes - GUID_BYTES;
		if (memcmp(piece->data, first->data, GUID_BYTES) != 0 || piece->place != filled ||
		    len_bytes > first->total - filled)
			continue;
		memcpy(whole + piece->place, piece->data + GUID_BYTES, len_bytes);
		filled += len_bytes;
	}
	if (!whole || filled != first->total)
		header_warn(meta->builder, "extended XMP with missing pieces: the first %" PRIu64 " of %" PRIu32 " bytes: ignored",
			    filled, first->total);
	else
		header_add_blob(meta->builder, "xmp_extended.xml", whole, first->total);
}

static void finish_xmp(struct jpeg_meta *meta)
{
	const struct jpeg_piece *piece = meta->xmp.first;
	if (piece)
		header_add_blob(meta->builder, "xmp.xml", piece->data, piece->len_bytes);
	if (meta->xmp.count > 1)
		header_warn(meta->builder, "%zu XMP segments: only the first is used", meta->xmp.count);
	if (meta->xmp_extended.count)
		finish_xmp_extended(meta);
}

/* Why the pieces are no profile, or NULL; sorted gets them by number. */
static const char *sort_icc(const struct jpeg_pieces *pieces, const struct jpeg_piece *sorted[256])
{
	uint32_t total = pieces->first->total;
	for (const struct jpeg_piece *piece = pieces->first; piece; piece = piece->next) {
		if (piece->total != total)
			return "the ICC profile's pieces disagree about their number: ignored";
		if (piece->place == 0 || piece->place > total)
			return "a piece of the ICC profile has a number out of range: ignored";
		if (sorted[piece->place])
			return "two pieces of the ICC profile have the same number: ignored";
		sorted[piece->place] = piece;
	}
	return pieces->count != total ? "the ICC profile has missing pieces: ignored" : NULL;
}

static void finish_icc(struct jpeg_meta *meta, struct jpeg_facts *facts)
{
	const struct jpeg_piece *sorted[256] = {NULL};
	struct jpeg_pieces ordered = {NULL, &ordered.first, 0, 0};
	if (!meta->icc.count)
		return;
	const char *words = sort_icc(&meta->icc, sorted);
	for (size_t i = 1; !words && i < 256 && sorted[i]; i++)
		keep_piece(meta, &ordered, 0, 0, sorted[i]->data, sorted[i]->len_bytes);
	uint8_t *profile = words ? NULL : join(meta, &ordered);
	if (words)
		header_warn(meta->builder, "%s", words);
	/* ICC.1 section 7.2: the profile's own size, and its signature */
	else if (profile &&
		 (ordered.len_bytes < 128 || read_u32(profile) != ordered.len_bytes || memcmp(profile + 36, "acsp", 4) != 0))
		header_warn(meta->builder, "the ICC profile's own header is wrong");
	if (profile)
		header_add_blob(meta->builder, "icc.icc", profile, ordered.len_bytes);
	facts->has_icc = profile != NULL;
	facts->has_bad_icc = !profile;
}

/* Image resource blocks: "8BIM", id, a Pascal name padded to even, length, data padded to even. */
static void find_iptc(struct jpeg_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t at = 0;
	while (len_bytes - at >= 12 && memcmp(data + at, "8BIM", 4) == 0) {
		uint32_t id = (uint32_t)data[at + 4] << 8 | data[at + 5];
		size_t name = ((size_t)data[at + 6] + 2) / 2 * 2;
		if (len_bytes - at - 6 < name + 4)
			return;
		at += 6 + name + 4;
		size_t size = read_u32(data + at - 4);
		if (size > len_bytes - at)
			return;
		if (id == PHOTOSHOP_IPTC) {
			header_add_bytes(meta->builder, "jpeg", "iptc", data + at, size);
			return;
		}
		at += size;
		at += size % 2 && at < len_bytes;
	}
}

static void finish_photoshop(struct jpeg_meta *meta)
{
	const uint8_t *data = join(meta, &meta->photoshop);
	if (!data)
		return;
	header_add_bytes(meta->builder, "jpeg", "photoshop", data, meta->photoshop.len_bytes);
	find_iptc(meta, data, meta->photoshop.len_bytes);
}

/* Pieces as a list of texts; each ends at its first NUL, as comments are often written with one behind. */
static void finish_texts(struct jpeg_meta *meta, const struct jpeg_pieces *pieces, const char *name)
{
	const char **texts = pieces->count ? arena_alloc(&meta->scratch, pieces->count, sizeof *texts) : NULL;
	size_t n = 0;
	if (!texts) {
		meta->ndropped += pieces->count;
		return;
	}
	for (const struct jpeg_piece *piece = pieces->first; piece; piece = piece->next)
		texts[n++] = (const char *)piece->data; /* arena_copy put a NUL behind */
	header_add_texts(meta->builder, "jpeg", name, texts, n);
}

void jpeg_meta_finish(struct jpeg_meta *meta, struct jpeg_facts *ret_facts)
{
	*ret_facts = (struct jpeg_facts){.has_icc = false};
	finish_exif(meta, ret_facts);
	finish_xmp(meta);
	finish_icc(meta, ret_facts);
	finish_photoshop(meta);
	finish_texts(meta, &meta->comments, "comments");
	finish_texts(meta, &meta->applications, "app_segments");
	if (meta->ndropped)
		header_warn(meta->builder, "%zu pieces of metadata are over the limit of %zu bytes: dropped", meta->ndropped,
			    meta->scratch.limit_bytes);
}
