/* zip_foreign.c - entries packed by methods that only libzip decodes (bzip2, and what else it was built with).
 *
 * libzip never sees the archive: each entry is shown to it as an archive of its own, made of a local header, the entry's
 * packed data and a central directory with one record, all with zip64 fields. So its handles, which are not
 * thread-safe, are not shared, and what it thinks of the rest of the archive doesn't matter.
 */
#include "zip_index.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h> /* libzip's, not ours */

enum {
	NAME_BYTES = 1,
	EXTRA_BYTES = 20, /* 4.5.3 with both sizes */
	HEAD_BYTES = ZIP_LOCAL_BYTES + NAME_BYTES + EXTRA_BYTES,
	RECORD_BYTES = ZIP_CENTRAL_BYTES + NAME_BYTES + EXTRA_BYTES,
	TAIL_BYTES = RECORD_BYTES + ZIP_END64_BYTES + ZIP_LOCATOR_BYTES + ZIP_END_BYTES,
	SKIP_BYTES = 16 << 10,
};

struct foreign {
	struct bytes bytes;
	struct bytes *packed;
	uint8_t head[HEAD_BYTES], tail[TAIL_BYTES]; /* of the archive of one entry */
	pthread_mutex_t lock;                       /* for all below */
	zip_t *zip;
	zip_file_t *file;    /* NULL: to be opened at its start */
	uint64_t position;   /* of file */
	uint64_t cursor;     /* of libzip in the archive of one entry */
	zip_error_t error;   /* of the source, for libzip */
	struct err read_err; /* what a read of packed gave */
};

bool zip_foreign_knows(uint16_t method)
{
	return zip_compression_method_supported(method, 0);
}

/* ---- the archive of one entry ---- */

static uint8_t *put(uint8_t *p, unsigned nbytes, uint64_t value)
{
	for (unsigned i = 0; i < nbytes; i++)
		p[i] = (uint8_t)(value >> 8 * i);
	return p + nbytes;
}

/* From "version needed" to the extra field's length: the fields that 4.3.7 and 4.3.12 have in common. */
static uint8_t *put_common(uint8_t *p, const struct zip_node *node)
{
	p = put(p, 2, 45); /* 4.4.3.2: zip64 */
	p = put(p, 2, node->bits & ZIP_NODE_LZMA_MARK ? 2 : 0);
	p = put(p, 2, node->method);
	p = put(p, 4, 0x00210000); /* 1980-01-01 */
	p = put(p, 4, node->crc32);
	p = put(p, 4, UINT32_MAX);
	p = put(p, 4, UINT32_MAX);
	p = put(p, 2, NAME_BYTES);
	return put(p, 2, EXTRA_BYTES);
}

static uint8_t *put_name_and_sizes(uint8_t *p, const struct zip_node *node)
{
	p = put(p, NAME_BYTES, 'x');
	p = put(p, 2, 1);
	p = put(p, 2, 16);
	p = put(p, 8, node->size_bytes);
	return put(p, 8, node->packed_bytes);
}

static void make_archive(struct foreign *foreign, const struct zip_node *node)
{
	uint64_t directory = HEAD_BYTES + node->packed_bytes;
	put_name_and_sizes(put_common(put(foreign->head, 4, ZIP_LOCAL_SIGNATURE), node), node);
	uint8_t *p = put(foreign->tail, 4, ZIP_CENTRAL_SIGNATURE);
	p = put_common(put(p, 2, 45), node);
	p = put(p, 2 + 2 + 2, 0); /* comment, disk, internal attributes */
	p = put(p, 4 + 4, 0);     /* external attributes, offset */
	p = put_name_and_sizes(p, node);
	p = put(p, 4, ZIP_END64_SIGNATURE);
	p = put(p, 8, ZIP_END64_BYTES - 12);
	p = put(put(p, 2, 45), 2, 45);
	p = put(p, 4 + 4, 0); /* disks */
	p = put(put(p, 8, 1), 8, 1);
	p = put(put(p, 8, RECORD_BYTES), 8, directory);
	p = put(p, 4, ZIP_LOCATOR_SIGNATURE);
	p = put(put(p, 4, 0), 8, directory + RECORD_BYTES);
	p = put(put(p, 4, 1), 4, ZIP_END_SIGNATURE);
	p = put(p, 2 + 2, 0); /* disks */
	p = put(put(p, 2, 1), 2, 1);
	p = put(put(p, 4, RECORD_BYTES), 4, UINT32_MAX);
	put(p, 2, 0);
}

/* Reads from the head, the packed data or the tail, whichever `at` is in; 0 at the end. */
static ssize_t read_archive(struct foreign *foreign, uint8_t *dst, uint64_t len_bytes, uint64_t at)
{
	uint64_t packed_bytes = foreign->packed->size_bytes;
	const uint8_t *part = foreign->head;
	uint64_t part_bytes = HEAD_BYTES;
	if (at >= HEAD_BYTES && at - HEAD_BYTES < packed_bytes)
		return bytes_read(foreign->packed, dst, (size_t)len_bytes, at - HEAD_BYTES, &foreign->read_err);
	if (at >= HEAD_BYTES) {
		at -= HEAD_BYTES + packed_bytes;
		part = foreign->tail;
		part_bytes = TAIL_BYTES;
	}
	if (at >= part_bytes)
		return 0;
	if (len_bytes > part_bytes - at)
		len_bytes = part_bytes - at;
	memcpy(dst, part + at, (size_t)len_bytes);
	return (ssize_t)len_bytes;
}

/* ---- libzip's view of it ---- */

static zip_int64_t source_read(struct foreign *foreign, uint8_t *dst, zip_uint64_t len_bytes)
{
	zip_uint64_t done_bytes = 0;
	while (done_bytes < len_bytes) {
		ssize_t n = read_archive(foreign, dst + done_bytes, len_bytes - done_bytes, foreign->cursor);
		if (n < 0) {
			zip_error_set(&foreign->error, ZIP_ER_READ, (int)-n);
			return -1;
		}
		if (n == 0)
			break;
		foreign->cursor += (uint64_t)n;
		done_bytes += (uint64_t)n;
	}
	return (zip_int64_t)done_bytes;
}

static zip_int64_t source_call(void *context, void *data, zip_uint64_t len_bytes, zip_source_cmd_t command)
{
	struct foreign *foreign = context;
	const uint64_t size_bytes = HEAD_BYTES + foreign->packed->size_bytes + TAIL_BYTES;
	zip_int64_t offset;
	switch (command) {
	case ZIP_SOURCE_OPEN:
		foreign->cursor = 0;
		return 0;
	case ZIP_SOURCE_READ:
		return source_read(foreign, data, len_bytes);
	case ZIP_SOURCE_SEEK:
		offset = zip_source_seek_compute_offset(foreign->cursor, size_bytes, data, len_bytes, &foreign->error);
		if (offset >= 0)
			foreign->cursor = (uint64_t)offset;
		return offset >= 0 ? 0 : -1;
	case ZIP_SOURCE_TELL:
		return (zip_int64_t)foreign->cursor;
	case ZIP_SOURCE_STAT:
		zip_stat_init(data);
		((zip_stat_t *)data)->size = size_bytes;
		((zip_stat_t *)data)->valid = ZIP_STAT_SIZE;
		return sizeof(zip_stat_t);
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&foreign->error, data, len_bytes);
	case ZIP_SOURCE_SUPPORTS:
		return ZIP_SOURCE_SUPPORTS_SEEKABLE;
	case ZIP_SOURCE_CLOSE:
	case ZIP_SOURCE_FREE:
		return 0;
	default:
		zip_error_set(&foreign->error, ZIP_ER_OPNOTSUPP, 0);
		return -1;
	}
}

/* ---- reading ---- */

/* libzip's words, or those of the read that it failed on. */
static int fail(struct foreign *foreign, zip_error_t *error, struct err *err)
{
	if (foreign->read_err.code)
		return err_copy(err, &foreign->read_err);
	int code = zip_error_code_zip(error) == ZIP_ER_MEMORY ? -ENOMEM : -EIO;
	return err_set(err, code, "the entry's data is damaged after byte %" PRIu64 ": %s", foreign->position,
		       zip_error_strerror(error));
}

static int open_archive(struct foreign *foreign, struct err *err)
{
	zip_error_t error;
	zip_error_init(&error);
	zip_source_t *source = zip_source_function_create(source_call, foreign, &error);
	if (source)
		foreign->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
	int rc = 0;
	if (!foreign->zip && foreign->read_err.code)
		rc = err_copy(err, &foreign->read_err);
	else if (!foreign->zip) /* the archive around the entry is ours, so nothing but memory can be wrong */
		rc = err_set(err, -ENOMEM, "no memory for the entry's decoder: %s", zip_error_strerror(&error));
	if (source && !foreign->zip)
		zip_source_free(source);
	zip_error_fini(&error);
	return rc;
}

static int rewind_file(struct foreign *foreign, struct err *err)
{
	if (foreign->file)
		zip_fclose(foreign->file);
	foreign->position = 0;
	foreign->file = zip_fopen_index(foreign->zip, 0, 0);
	return foreign->file ? 0 : fail(foreign, zip_get_error(foreign->zip), err);
}

/* Reads exactly len_bytes, and at the end of the data makes libzip compare its size and CRC-32. */
static int read_file(struct foreign *foreign, uint8_t *dst, uint64_t len_bytes, struct err *err)
{
	while (len_bytes) {
		zip_int64_t n = zip_fread(foreign->file, dst, len_bytes);
		if (n < 0)
			return fail(foreign, zip_file_get_error(foreign->file), err);
		if (n == 0)
			return err_set(err, -EIO, "the entry's data yields %" PRIu64 " bytes where %" PRIu64 " are declared",
				       foreign->position, foreign->bytes.size_bytes);
		foreign->position += (uint64_t)n;
		dst += n;
		len_bytes -= (uint64_t)n;
	}
	if (foreign->position < foreign->bytes.size_bytes)
		return 0;
	uint8_t more;
	zip_int64_t n = zip_fread(foreign->file, &more, 1);
	if (n > 0)
		return err_set(err, -EIO, "the entry's data yields more than the %" PRIu64 " bytes declared",
			       foreign->bytes.size_bytes);
	return n < 0 ? fail(foreign, zip_file_get_error(foreign->file), err) : 0;
}

static int read_at(struct foreign *foreign, uint8_t *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	uint8_t skipped[SKIP_BYTES];
	int rc = 0;
	foreign->read_err = ERR_NONE;
	if (!foreign->file || offset < foreign->position)
		rc = rewind_file(foreign, err);
	while (rc == 0 && foreign->position < offset) {
		uint64_t left_bytes = offset - foreign->position;
		rc = read_file(foreign, skipped, left_bytes < SKIP_BYTES ? left_bytes : SKIP_BYTES, err);
	}
	if (rc == 0)
		rc = read_file(foreign, dst, len_bytes, err);
	if (rc < 0 && foreign->file) {
		zip_fclose(foreign->file);
		foreign->file = NULL;
	}
	return rc;
}

static ssize_t foreign_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct foreign *foreign = (struct foreign *)bytes;
	if (offset >= bytes->size_bytes || len_bytes == 0)
		return 0;
	if (len_bytes > bytes->size_bytes - offset)
		len_bytes = (size_t)(bytes->size_bytes - offset);
	pthread_mutex_lock(&foreign->lock);
	int rc = read_at(foreign, dst, len_bytes, offset, err);
	pthread_mutex_unlock(&foreign->lock);
	return rc < 0 ? rc : (ssize_t)len_bytes;
}

static void foreign_free(struct bytes *bytes)
{
	struct foreign *foreign = (struct foreign *)bytes;
	if (foreign->file)
		zip_fclose(foreign->file);
	if (foreign->zip)
		zip_discard(foreign->zip);
	zip_error_fini(&foreign->error);
	bytes_unref(foreign->packed);
	pthread_mutex_destroy(&foreign->lock);
	free(foreign);
}

static const struct bytes_class foreign_class = {.read = foreign_read, .free = foreign_free};

int zip_foreign_open(struct bytes *packed, const struct zip_node *node, struct bytes **ret_bytes, struct err *err)
{
	struct foreign *foreign = calloc(1, sizeof *foreign);
	if (!foreign)
		return err_set(err, -ENOMEM, "out of memory");
	bytes_init(&foreign->bytes, &foreign_class, node->size_bytes);
	foreign->packed = bytes_ref(packed);
	pthread_mutex_init(&foreign->lock, NULL);
	zip_error_init(&foreign->error);
	make_archive(foreign, node);
	int rc = open_archive(foreign, err);
	if (rc < 0)
		bytes_unref(&foreign->bytes);
	else
		*ret_bytes = &foreign->bytes;
	return rc;
}
