/* zip_locate.c - finds the central directory of a zip archive from its end records.
 *
 * Writers disagree about what may lie before an archive (self-extractors), behind it and between its parts, so the end
 * record is a hint: a place counts when a central record's signature stands there. The last end record with such a place
 * wins, as in Info-ZIP and Python's zipfile. No record is parsed here.
 */
#include "zip_directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
	TAIL_BYTES = ZIP_END_BYTES + UINT16_MAX, /* the end record and the longest comment, 4.3.16 */
	MAX_CANDIDATES = 64,                     /* end signatures looked at: a comment may hold any bytes */
};

/* What an end record, and a zip64 end record where there is one, declare. */
struct ends {
	uint64_t position;   /* of the end record */
	uint64_t position64; /* of the zip64 end record, 0: none */
	uint64_t count, size_bytes, offset;
	uint64_t count64, size64_bytes, offset64;
	bool count_is_u16;
	uint32_t volume, directory_volume; /* where this record is, and where the directory starts, from 0 on */
};

int zip_signature_at(struct bytes *bytes, uint64_t offset, uint32_t signature, struct err *err)
{
	uint8_t field[4];
	if (bytes->size_bytes < sizeof field || offset > bytes->size_bytes - sizeof field)
		return 0;
	int rc = bytes_read_exact(bytes, field, sizeof field, offset, err);
	return rc < 0 ? rc : zip_u32(field) == signature;
}

/* Where a volume starts; 0 where that isn't known. */
static uint64_t volume_start(const struct archive_volumes *volumes, uint32_t volume)
{
	return volumes && volume < volumes->count ? volumes->starts[volume] : 0;
}

/* The position of the zip64 end record: where its locator says, or, when a prefix moved it, directly before the locator.
 * 0 where there is none. */
static int find_end64(struct bytes *bytes, const struct archive_volumes *volumes, uint64_t end_position, uint64_t *ret_position,
		      struct err *err)
{
	uint8_t locator[ZIP_LOCATOR_BYTES];
	*ret_position = 0;
	if (end_position < ZIP_LOCATOR_BYTES + ZIP_END64_BYTES)
		return 0;
	uint64_t locator_position = end_position - ZIP_LOCATOR_BYTES;
	int rc = bytes_read_exact(bytes, locator, sizeof locator, locator_position, err);
	if (rc < 0)
		return rc;
	if (zip_u32(locator) != ZIP_LOCATOR_SIGNATURE)
		return 0;
	const uint64_t places[] = {zip_u64(locator + 8) + volume_start(volumes, zip_u32(locator + 4)),
				   locator_position - ZIP_END64_BYTES};
	for (size_t i = 0; i < 2; i++) {
		if (places[i] > locator_position - ZIP_END64_BYTES)
			continue;
		rc = zip_signature_at(bytes, places[i], ZIP_END64_SIGNATURE, err);
		if (rc > 0)
			*ret_position = places[i];
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return 0;
}

/* Takes the fields of the end record, 4.3.16, and for those that it says are elsewhere (all ones, 4.4.1.4) those of the
 * zip64 end record, 4.3.14. */
static int read_ends(struct bytes *bytes, const struct archive_volumes *volumes, const uint8_t *end, uint64_t position,
		     struct ends *ends, struct err *err)
{
	*ends = (struct ends){.position = position,
			      .count = zip_u16(end + 10),
			      .size_bytes = zip_u32(end + 12),
			      .offset = zip_u32(end + 16),
			      .count_is_u16 = true,
			      .volume = zip_u16(end + 4),
			      .directory_volume = zip_u16(end + 6)};
	int rc = find_end64(bytes, volumes, position, &ends->position64, err);
	if (rc < 0)
		return rc;
	if (!ends->position64) {
		ends->volume = ends->volume == UINT16_MAX ? 0 : ends->volume;
		ends->offset += volume_start(volumes, ends->directory_volume);
		return 0;
	}
	uint8_t end64[ZIP_END64_BYTES];
	rc = bytes_read_exact(bytes, end64, sizeof end64, ends->position64, err);
	if (rc < 0)
		return rc;
	ends->count64 = zip_u64(end64 + 32);
	ends->size64_bytes = zip_u64(end64 + 40);
	if (ends->volume == UINT16_MAX)
		ends->volume = zip_u32(end64 + 16) == UINT32_MAX ? 0 : zip_u32(end64 + 16);
	if (ends->directory_volume == UINT16_MAX)
		ends->directory_volume = zip_u32(end64 + 20);
	uint64_t volume = volume_start(volumes, ends->directory_volume);
	ends->offset64 = zip_u64(end64 + 48) + volume;
	if (ends->count == UINT16_MAX) {
		ends->count = ends->count64;
		ends->count_is_u16 = false;
	}
	if (ends->size_bytes == UINT32_MAX)
		ends->size_bytes = ends->size64_bytes;
	ends->offset = ends->offset == UINT32_MAX ? ends->offset64 : ends->offset + volume;
	return 0;
}

/* 1 and the place where a record starts at `start` and before `end`, else 0. */
static int try_start(struct bytes *bytes, uint64_t start, uint64_t end, const struct ends *ends, struct zip_place *place,
		     struct err *err)
{
	if (start >= end || end - start < ZIP_CENTRAL_BYTES)
		return 0;
	int rc = zip_signature_at(bytes, start, ZIP_CENTRAL_SIGNATURE, err);
	if (rc <= 0)
		return rc;
	*place = (struct zip_place){.start = start,
				    .end = end,
				    .declared_bytes = ends->size_bytes,
				    .count = ends->count,
				    .count_is_u16 = ends->count_is_u16,
				    .has_end64 = ends->position64 != 0,
				    .nvolumes = ends->volume + 1,
				    .prefix = (int64_t)(start - ends->offset),
				    .shift = (int64_t)(start - ends->offset)};
	return 1;
}

/* The directory ends where the end records start (4.3.6), so its size tells its place even behind a prefix; where that
 * leads nowhere, its declared offset does. An empty archive has no record to find. */
static int try_ends(struct bytes *bytes, const struct ends *ends, struct zip_place *place, struct err *err)
{
	uint64_t end = ends->position64 ? ends->position64 : ends->position;
	if (ends->count == 0 && ends->size_bytes == 0 && !ends->position64) {
		*place = (struct zip_place){.start = end, .end = end, .nvolumes = ends->volume + 1};
		return 1;
	}
	int rc = 0;
	if (ends->size_bytes <= end)
		rc = try_start(bytes, end - ends->size_bytes, end, ends, place, err);
	if (rc == 0 && ends->position64 && ends->size_bytes <= ends->position)
		rc = try_start(bytes, ends->position - ends->size_bytes, ends->position, ends, place, err);
	if (rc == 0)
		rc = try_start(bytes, ends->offset, end, ends, place, err);
	return rc;
}

static int try_candidate(struct bytes *bytes, const struct archive_volumes *volumes, const uint8_t *end, uint64_t position,
			 struct zip_place *place, struct err *err)
{
	struct ends ends;
	int rc = read_ends(bytes, volumes, end, position, &ends, err);
	if (rc < 0)
		return rc;
	place->nvolumes = place->nvolumes ? place->nvolumes : ends.volume + 1;
	rc = try_ends(bytes, &ends, place, err);
	if (rc != 0 || !ends.position64)
		return rc;
	/* An end record that contradicts its zip64 record and leads nowhere: the zip64 record alone. */
	ends.count = ends.count64;
	ends.size_bytes = ends.size64_bytes;
	ends.offset = ends.offset64;
	ends.count_is_u16 = false;
	if (ends.count64 == 0 && ends.size64_bytes == 0)
		ends = (struct ends){.position = ends.position64, .volume = ends.volume};
	return try_ends(bytes, &ends, place, err);
}

/* Goes through the end signatures of the tail, the last one first. */
static int search_tail(struct bytes *bytes, const struct archive_volumes *volumes, const uint8_t *tail, size_t len_bytes,
		       struct zip_place *place, struct err *err)
{
	uint64_t tail_position = bytes->size_bytes - len_bytes, last = 0;
	unsigned ncandidates = 0;
	for (size_t at = len_bytes - ZIP_END_BYTES + 1; at-- > 0 && ncandidates < MAX_CANDIDATES;) {
		if (tail[at] != 'P' || zip_u32(tail + at) != ZIP_END_SIGNATURE)
			continue;
		if (ncandidates++ == 0)
			last = tail_position + at;
		int rc = try_candidate(bytes, volumes, tail + at, tail_position + at, place, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	if (ncandidates == 0)
		return err_set(err, -EIO,
			       "no end of central directory record in the last %zu bytes: not a zip archive, or cut short",
			       len_bytes);
	return err_set(err, -EIO, "the end of central directory record at byte %" PRIu64 " leads to no central directory", last);
}

int zip_place_find(struct bytes *bytes, const struct archive_volumes *volumes, struct zip_place *ret_place, struct err *err)
{
	*ret_place = (struct zip_place){0};
	if (bytes->size_bytes < ZIP_END_BYTES)
		return err_set(err, -EIO, "%" PRIu64 " bytes are too few for a zip archive", bytes->size_bytes);
	if (bytes->size_bytes > INT64_MAX)
		return err_set(err, -EFBIG, "the archive has more than 2^63 bytes");
	size_t len_bytes = bytes->size_bytes < TAIL_BYTES ? (size_t)bytes->size_bytes : TAIL_BYTES;
	uint8_t *tail = malloc(len_bytes);
	if (!tail)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = bytes_read_exact(bytes, tail, len_bytes, bytes->size_bytes - len_bytes, err);
	if (rc == 0)
		rc = search_tail(bytes, volumes, tail, len_bytes, ret_place, err);
	free(tail);
	return rc;
}
