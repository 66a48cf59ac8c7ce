/* zip_directory.h - the central directory of a zip archive as a sequence of records. Internal to fs/zip*.c.
 *
 * Rules are cited by the sections of PKWARE's APPNOTE.TXT 6.3.10. */
#ifndef PIXFS_ZIP_DIRECTORY_H
#define PIXFS_ZIP_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "codecs/core/bytes.h"
#include "zip.h"

/* Signatures as little-endian numbers. */
enum {
	ZIP_LOCAL_SIGNATURE = 0x04034b50,   /* 4.3.7 */
	ZIP_CENTRAL_SIGNATURE = 0x02014b50, /* 4.3.12 */
	ZIP_END64_SIGNATURE = 0x06064b50,   /* 4.3.14 */
	ZIP_LOCATOR_SIGNATURE = 0x07064b50, /* 4.3.15 */
	ZIP_END_SIGNATURE = 0x06054b50,     /* 4.3.16 */
};

/* Sizes of the fixed parts of these records. */
enum { ZIP_LOCAL_BYTES = 30, ZIP_CENTRAL_BYTES = 46, ZIP_END64_BYTES = 56, ZIP_LOCATOR_BYTES = 20, ZIP_END_BYTES = 22 };

/* General purpose bits, 4.4.4. */
enum { ZIP_FLAG_ENCRYPTED = 1, ZIP_FLAG_PATCHED = 1 << 5, ZIP_FLAG_STRONG = 1 << 6, ZIP_FLAG_UTF8 = 1 << 11 };

/* Compression methods, 4.4.5. */
enum { ZIP_STORED = 0, ZIP_DEFLATED = 8, ZIP_AES = 99 };

/* Systems that made the entry, 4.4.2.2. */
enum { ZIP_HOST_FAT = 0, ZIP_HOST_UNIX = 3, ZIP_HOST_HPFS = 6, ZIP_HOST_NTFS = 10, ZIP_HOST_VFAT = 14, ZIP_HOST_DARWIN = 19 };

static inline uint16_t zip_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t zip_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t zip_u64(const uint8_t *p)
{
	return zip_u32(p) | (uint64_t)zip_u32(p + 4) << 32;
}

/* Where the records lie, and what the end records say of them. */
struct zip_place {
	uint64_t start, end;     /* the records' bytes; end is that of the first end record */
	uint64_t declared_bytes; /* size of the directory as declared */
	uint64_t count;          /* of records as declared */
	bool count_is_u16;       /* the count is only known modulo 65536 */
	bool has_end64;          /* there is a zip64 end record */
	uint32_t nvolumes;       /* that the archive consists of, as its last one tells; 1: none but itself */
	int64_t prefix;          /* start minus its declared offset: what lies in front that offsets may not count */
	int64_t shift;           /* prefix, or 0 where the first record's offset counts it already */
};

/* Finds the central directory from the archive's end; volumes as in struct zip_directory. 0, -EIO (there is none; words;
 * ret_place->nvolumes is right), -ENOMEM, or a read's error. */
int zip_place_find(struct bytes *bytes, const struct archive_volumes *volumes, struct zip_place *ret_place, struct err *err);

/* 1 where the archive holds this signature at offset, 0 where not, or a read's error. */
int zip_signature_at(struct bytes *bytes, uint64_t offset, uint32_t signature, struct err *err);

/* One record, 4.3.12, its extra fields understood. The pointers are valid until the next record is read. */
struct zip_record {
	const uint8_t *name, *unicode_name; /* unicode_name: of the Unicode path extra field, where it belongs to name */
	uint16_t name_bytes, unicode_name_bytes;
	uint8_t host;
	uint16_t flags, method;
	uint32_t crc32, external;
	uint64_t packed_bytes, size_bytes;
	uint64_t offset; /* of the local header, from the first byte of the archive or of its first volume; anything */
	uint32_t volume; /* where the local header is, from 0 on */
	int64_t mtime_s; /* 0: none */
	bool damaged;    /* the zip64 extra field lacks a value that the record refers to */
	bool hard_link;  /* PKWARE's Unix extra field names another entry that has the data */
};

struct zip_directory {
	struct bytes *bytes;                   /* borrowed */
	const struct archive_volumes *volumes; /* borrowed; NULL: bytes are one file */
	struct zip_place place;
	uint64_t position; /* of the next record in the archive */
	uint64_t nrecords; /* read so far */
	bool has_first;    /* the first record's local header is there, or there is no record */
	bool comment_cut;  /* the last record's comment is longer than the directory */
	uint8_t *buffer;
	uint64_t buffer_position; /* of buffer[0] in the archive */
	size_t buffer_used_bytes, buffer_room_bytes;
};

/* Finds the directory and gets ready to read it; bytes and volumes are borrowed. As zip_place_find, or as zip_directory_next. */
int zip_directory_open(struct bytes *bytes, const struct archive_volumes *volumes, struct zip_directory *ret_directory,
		       struct err *err);
/* Another reader of the same directory, at its first record. 0 or -ENOMEM. */
int zip_directory_reopen(const struct zip_directory *directory, struct zip_directory *ret_directory, struct err *err);
/* 1 and the next record, 0 at the end, -EIO where the directory is damaged, or a read's error. */
int zip_directory_next(struct zip_directory *directory, struct zip_record *ret_record, struct err *err);
void zip_directory_close(struct zip_directory *directory);

#endif
