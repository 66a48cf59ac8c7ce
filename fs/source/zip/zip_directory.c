/* zip_directory.c - reads the records of the central directory one after the other, in pieces.
 *
 * At most one buffer of the directory is in memory whatever its size. A record that doesn't fit the directory is damage;
 * the one exception is the last record's comment, which nobody needs. Names and offsets are not judged here.
 */
#include "zip_directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

enum {
	BUFFER_BYTES = 1 << 20, /* more than the longest record: 46 + 3 * 65535 */
};

/* ---- times ---- */

/* Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that start in March. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
	int64_t march_year = month <= 2 ? year - 1 : year, march_month = month <= 2 ? month + 9 : month - 3;
	int64_t leap_days = march_year / 4 - march_year / 100 + march_year / 400;
	return march_year * 365 + leap_days + (march_month * 153 + 2) / 5 + day - 1 - 719468;
}

/* 4.4.6: MS-DOS date and time. They name no zone; taken as UTC they are the same everywhere. */
static int64_t dos_time(uint32_t stamp)
{
	uint32_t day = stamp >> 16 & 31, month = stamp >> 21 & 15, year = 1980 + (stamp >> 25);
	uint32_t second = (stamp & 31) * 2, minute = stamp >> 5 & 63, hour = stamp >> 11 & 31;
	if (day < 1 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
		return 0;
	return days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

/* 4.5.5: 100 ns since 1601-01-01, in attribute 1 of the NTFS extra field. 0 where it isn't there. */
static int64_t ntfs_time(const uint8_t *data, size_t len_bytes)
{
	const int64_t seconds_1601_to_1970 = 11644473600;
	for (size_t at = 4; len_bytes - at >= 4;) {
		size_t attribute_bytes = zip_u16(data + at + 2);
		if (attribute_bytes > len_bytes - at - 4)
			break;
		if (zip_u16(data + at) == 1 && attribute_bytes >= 8 && zip_u64(data + at + 4))
			return (int64_t)(zip_u64(data + at + 4) / 10000000) - seconds_1601_to_1970;
		at += 4 + attribute_bytes;
	}
	return 0;
}

/* ---- extra fields, 4.5 ---- */

enum {
	EXTRA_ZIP64 = 0x0001,
	EXTRA_NTFS = 0x000a,
	EXTRA_PKWARE_UNIX = 0x000d,
	EXTRA_TIMESTAMP = 0x5455,
	EXTRA_OLD_UNIX = 0x5855,
	EXTRA_UNICODE_PATH = 0x7075
};

/* How far a source of the modification time is to be trusted: an extra field beats the DOS time, and the most used wins. */
enum { TIME_DOS, TIME_OLD_UNIX, TIME_NTFS, TIME_EXTENDED };

struct extras {
	const uint8_t *zip64;
	size_t zip64_bytes;
	int time_source;
};

static void take_time(struct extras *extras, struct zip_record *record, int source, int64_t mtime_s)
{
	if (source < extras->time_source)
		return;
	extras->time_source = source;
	record->mtime_s = mtime_s;
}

/* 4.6.9: version 1, the CRC-32 of the name that it replaces, the name in UTF-8. */
static void take_unicode_name(struct zip_record *record, const uint8_t *data, uint16_t len_bytes)
{
	if (len_bytes <= 5 || data[0] != 1 || zip_u32(data + 1) != libdeflate_crc32(0, record->name, record->name_bytes))
		return;
	record->unicode_name = data + 5;
	record->unicode_name_bytes = (uint16_t)(len_bytes - 5);
}

static void take_extra(struct extras *extras, struct zip_record *record, unsigned id, const uint8_t *data, uint16_t len_bytes)
{
	if (id == EXTRA_ZIP64 && !extras->zip64) {
		extras->zip64 = data;
		extras->zip64_bytes = len_bytes;
	} else if (id == EXTRA_TIMESTAMP && len_bytes >= 5 && (data[0] & 1)) {
		take_time(extras, record, TIME_EXTENDED, (int32_t)zip_u32(data + 1));
	} else if (id == EXTRA_NTFS && len_bytes >= 4 && ntfs_time(data, len_bytes)) {
		take_time(extras, record, TIME_NTFS, ntfs_time(data, len_bytes));
	} else if ((id == EXTRA_OLD_UNIX || id == EXTRA_PKWARE_UNIX) && len_bytes >= 8) {
		take_time(extras, record, TIME_OLD_UNIX, (int32_t)zip_u32(data + 4)); /* access time, then modification */
		record->hard_link = id == EXTRA_PKWARE_UNIX && len_bytes > 12;        /* 4.5.7: the linked name from byte 12 on */
	} else if (id == EXTRA_UNICODE_PATH) {
		take_unicode_name(record, data, len_bytes);
	}
}

/* 4.5.3: the zip64 field holds, in this order, just the values whose place in the record is all ones. Without the field
 * all ones is the value. */
static void take_zip64(const struct extras *extras, struct zip_record *record)
{
	uint64_t *const values[] = {&record->size_bytes, &record->packed_bytes, &record->offset};
	size_t at = 0;
	for (size_t i = 0; i < 3 && extras->zip64; i++) {
		if (*values[i] != UINT32_MAX)
			continue;
		if (extras->zip64_bytes - at < 8) {
			record->damaged = true;
			return;
		}
		*values[i] = zip_u64(extras->zip64 + at);
		at += 8;
	}
	if (record->volume == UINT16_MAX && extras->zip64 && extras->zip64_bytes - at >= 4)
		record->volume = zip_u32(extras->zip64 + at);
}

/* A field that overruns the others ends the search: writers pad with rubbish. */
static void read_extras(struct zip_record *record, const uint8_t *extra, size_t len_bytes)
{
	struct extras extras = {.time_source = TIME_DOS};
	for (size_t at = 0; len_bytes - at >= 4;) {
		uint16_t field_bytes = zip_u16(extra + at + 2);
		if (field_bytes > len_bytes - at - 4)
			break;
		take_extra(&extras, record, zip_u16(extra + at), extra + at + 4, field_bytes);
		at += 4u + field_bytes;
	}
	take_zip64(&extras, record);
}

/* ---- records ---- */

int zip_directory_reopen(const struct zip_directory *directory, struct zip_directory *ret_directory, struct err *err)
{
	uint64_t len_bytes = directory->place.end - directory->place.start;
	*ret_directory = (struct zip_directory){.bytes = directory->bytes,
						.volumes = directory->volumes,
						.place = directory->place,
						.position = directory->place.start,
						.has_first = directory->has_first,
						.buffer_position = directory->place.start};
	ret_directory->buffer_room_bytes = len_bytes < BUFFER_BYTES ? (size_t)len_bytes + 1 : BUFFER_BYTES;
	ret_directory->buffer = malloc(ret_directory->buffer_room_bytes);
	return ret_directory->buffer ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void zip_directory_close(struct zip_directory *directory)
{
	free(directory->buffer);
	directory->buffer = NULL;
}

/* Makes want_bytes, or all that is left, available at the current position: *ret_data and *ret_len_bytes. */
static int fill(struct zip_directory *directory, size_t want_bytes, const uint8_t **ret_data, size_t *ret_len_bytes,
		struct err *err)
{
	size_t done_bytes = (size_t)(directory->position - directory->buffer_position);
	size_t have_bytes = directory->buffer_used_bytes - done_bytes;
	uint64_t left_bytes = directory->place.end - directory->position;
	if (have_bytes < want_bytes && have_bytes < left_bytes) {
		memmove(directory->buffer, directory->buffer + done_bytes, have_bytes);
		directory->buffer_position = directory->position;
		directory->buffer_used_bytes = have_bytes;
		done_bytes = 0;
		size_t more_bytes = directory->buffer_room_bytes - have_bytes;
		if (more_bytes > left_bytes - have_bytes)
			more_bytes = (size_t)(left_bytes - have_bytes);
		int rc = bytes_read_exact(directory->bytes, directory->buffer + have_bytes, more_bytes,
					  directory->position + have_bytes, err);
		if (rc < 0)
			return rc;
		have_bytes += more_bytes;
		directory->buffer_used_bytes = have_bytes;
	}
	*ret_data = directory->buffer + done_bytes;
	*ret_len_bytes = have_bytes;
	return 0;
}

/* The fixed part of a record, 4.3.12. */
static void read_fixed(const uint8_t *data, struct zip_record *record)
{
	*record = (struct zip_record){.name = data + ZIP_CENTRAL_BYTES,
				      .name_bytes = zip_u16(data + 28),
				      .host = data[5],
				      .flags = zip_u16(data + 8),
				      .method = zip_u16(data + 10),
				      .mtime_s = dos_time(zip_u32(data + 12)),
				      .crc32 = zip_u32(data + 16),
				      .packed_bytes = zip_u32(data + 20),
				      .size_bytes = zip_u32(data + 24),
				      .volume = zip_u16(data + 34),
				      .external = zip_u32(data + 38),
				      .offset = zip_u32(data + 42)};
}

/* What follows the records, if anything, is no record: fine where what was declared is there. */
static int check_end(const struct zip_directory *directory, struct err *err)
{
	const struct zip_place *place = &directory->place;
	uint64_t count = place->count_is_u16 ? directory->nrecords & UINT16_MAX : directory->nrecords;
	if (count == place->count || directory->position - place->start >= place->declared_bytes || directory->comment_cut)
		return 0;
	return err_set(err, -EIO, "the central directory is damaged at byte %" PRIu64 ": no record %" PRIu64, directory->position,
		       directory->nrecords + 1);
}

int zip_directory_next(struct zip_directory *directory, struct zip_record *ret_record, struct err *err)
{
	const uint8_t *data;
	size_t len_bytes;
	int rc = fill(directory, ZIP_CENTRAL_BYTES, &data, &len_bytes, err);
	if (rc < 0)
		return rc;
	if (len_bytes < ZIP_CENTRAL_BYTES || zip_u32(data) != ZIP_CENTRAL_SIGNATURE)
		return check_end(directory, err);
	size_t name_bytes = zip_u16(data + 28), extra_bytes = zip_u16(data + 30), comment_bytes = zip_u16(data + 32);
	size_t record_bytes = ZIP_CENTRAL_BYTES + name_bytes + extra_bytes;
	rc = fill(directory, record_bytes + comment_bytes, &data, &len_bytes, err);
	if (rc < 0)
		return rc;
	if (len_bytes < record_bytes)
		return err_set(err, -EIO,
			       "the central directory is damaged: record %" PRIu64 " at byte %" PRIu64 " is longer than it",
			       directory->nrecords + 1, directory->position);
	struct zip_record record;
	read_fixed(data, &record);
	read_extras(&record, data + ZIP_CENTRAL_BYTES + name_bytes, extra_bytes);
	if (directory->volumes &&
	    (record.volume >= directory->volumes->count ||
	     __builtin_add_overflow(record.offset, directory->volumes->starts[record.volume], &record.offset)))
		record.offset = UINT64_MAX - (uint64_t)directory->place.shift;
	record.offset += (uint64_t)directory->place.shift;
	directory->comment_cut = len_bytes < record_bytes + comment_bytes;
	directory->position += directory->comment_cut ? len_bytes : record_bytes + comment_bytes;
	directory->nrecords++;
	*ret_record = record;
	return 1;
}

/* ---- opening ---- */

/* Offsets count from the archive's start, which a prefix moved; some writers count the prefix already. The local header of
 * the first record decides. */
static int choose_shift(struct zip_directory *directory, uint64_t offset, struct err *err)
{
	struct zip_place *place = &directory->place;
	int rc = zip_signature_at(directory->bytes, offset, ZIP_LOCAL_SIGNATURE, err);
	if (rc == 0 && place->prefix) {
		rc = zip_signature_at(directory->bytes, offset - (uint64_t)place->prefix, ZIP_LOCAL_SIGNATURE, err);
		if (rc > 0)
			place->shift = 0;
	}
	directory->has_first = rc > 0;
	return rc < 0 ? rc : 0;
}

int zip_directory_open(struct bytes *bytes, const struct archive_volumes *volumes, struct zip_directory *ret_directory,
		       struct err *err)
{
	struct zip_directory found = {.bytes = bytes, .volumes = volumes, .has_first = true};
	struct zip_record record;
	int rc = zip_place_find(bytes, volumes, &found.place, err);
	if (rc == 0)
		rc = zip_directory_reopen(&found, ret_directory, err);
	if (rc < 0) {
		ret_directory->place = found.place;
		return rc;
	}
	rc = zip_directory_next(ret_directory, &record, err);
	if (rc > 0)
		rc = choose_shift(ret_directory, record.offset, err);
	if (rc < 0)
		zip_directory_close(ret_directory);
	ret_directory->position = found.place.start;
	ret_directory->nrecords = 0;
	ret_directory->comment_cut = false;
	return rc;
}
