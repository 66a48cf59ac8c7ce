/* zip_entry.c - the bytes of an archive's entry: stored ones in place, others through a decoder.
 *
 * The central directory counts: of the local header only its signature and its own lengths are used, as its other fields
 * are often left empty or wrong. CRCs are checked by archive_entry_check() alone.
 */
#include "zip_index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "decoder.h"
#include "unpack.h"

/* RFC 1951: no two bits of input make more than 258 bytes */
enum {
	CHECK_BYTES = 1 << 20,
	MAX_DEFLATE_RATIO = 1032,
	NAMES_BYTES = 256, /* of a local header's name and extra fields, read ahead with a small entry's data */
};

/* ---- a window of the archive ---- */

struct window {
	struct bytes bytes;
	struct archive *archive;
	uint64_t start;
};

static ssize_t window_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct window *window = (struct window *)bytes;
	if (offset >= bytes->size_bytes || len_bytes == 0)
		return 0;
	if (len_bytes > bytes->size_bytes - offset)
		len_bytes = (size_t)(bytes->size_bytes - offset);
	int rc = bytes_read_exact(window->archive->bytes, dst, len_bytes, window->start + offset, err);
	return rc < 0 ? rc : (ssize_t)len_bytes;
}

/* Of one that ends within a piece, as each read does. */
static int window_read_pieces(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err)
{
	struct window *window = (struct window *)bytes;
	struct bytes_piece *moved = malloc((n + 1) * sizeof *moved);
	if (!moved)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		uint64_t left_bytes = pieces[i].offset < bytes->size_bytes ? bytes->size_bytes - pieces[i].offset : 0;
		moved[i] = pieces[i];
		moved[i].offset = left_bytes ? window->start + pieces[i].offset : 0;
		moved[i].len_bytes = pieces[i].len_bytes < left_bytes ? pieces[i].len_bytes : (size_t)left_bytes;
	}
	int rc = bytes_read_pieces(window->archive->bytes, moved, n, err);
	for (size_t i = 0; i < n; i++)
		pieces[i].got_bytes = rc < 0 ? 0 : moved[i].got_bytes;
	free(moved);
	return rc;
}

static void window_free(struct bytes *bytes)
{
	struct window *window = (struct window *)bytes;
	archive_unref(window->archive);
	free(window);
}

static const struct bytes_class window_class = {.read = window_read, .free = window_free, .read_pieces = window_read_pieces};

static int window_open(struct archive *archive, uint64_t start, uint64_t size_bytes, struct bytes **ret_bytes, struct err *err)
{
	struct window *window = malloc(sizeof *window);
	if (!window)
		return err_set(err, -ENOMEM, "out of memory");
	bytes_init(&window->bytes, &window_class, size_bytes);
	window->archive = archive_ref(archive);
	window->bytes.below = archive->bytes;
	window->start = start;
	*ret_bytes = &window->bytes;
	return 0;
}

/* ---- what can be opened ---- */

/* What the index alone says against opening an entry. */
static int check_node(const struct archive *archive, const struct zip_node *node, struct err *err)
{
	if (!zip_node_has_data(node))
		return err_set(err, -EISDIR, "a directory has no bytes");
	if (node->bits & ZIP_NODE_ENCRYPTED)
		return err_set(err, -EACCES, "encrypted: pixfs has no password");
	if (node->bits & ZIP_NODE_DAMAGED)
		return err_set(err, -EIO, "the entry's zip64 extra field is too short");
	if (node->offset == UINT64_MAX)
		return err_set(err, -EIO, "the entry's local header lies outside the archive");
	if (node->bits & ZIP_NODE_OVERLAPS)
		return err_set(err, -EIO, "the entry shares bytes with another entry or the central directory");
	if (node->bits & ZIP_NODE_PATCHED)
		return err_set(err, -EOPNOTSUPP, "compressed patched data can't be decoded");
	if (node->method != ZIP_STORED && !decoder_of_method(node->method))
		return err_set(err, -EOPNOTSUPP, "compression method %u (%s) can't be decoded", node->method,
			       decoder_method_name(node->method));
	if (node->size_bytes > archive->max_entry_bytes)
		return err_set(err, -EFBIG, "the entry declares %" PRIu64 " bytes, more than the limit of %" PRIu64,
			       node->size_bytes, archive->max_entry_bytes);
	if (node->method == ZIP_DEFLATED && node->size_bytes / MAX_DEFLATE_RATIO > node->packed_bytes)
		return err_set(err, -EIO, "%" PRIu64 " deflated bytes can't hold the %" PRIu64 " that the entry declares",
			       node->packed_bytes, node->size_bytes);
	if (node->method == ZIP_STORED && node->packed_bytes != node->size_bytes)
		return err_set(err, -EIO, "a stored entry of %" PRIu64 " bytes declares %" PRIu64, node->packed_bytes,
			       node->size_bytes);
	return 0;
}

/* Where the data starts by the local header, 4.3.7: behind its name and extra fields. */
static int find_data(const struct archive *archive, uint32_t entry, const uint8_t header[ZIP_LOCAL_BYTES], uint64_t *ret_start,
		     struct err *err)
{
	const struct zip_node *node = &archive->nodes[entry];
	if (zip_u32(header) != ZIP_LOCAL_SIGNATURE)
		return err_set(err, -EIO, "no local header at byte %" PRIu64, node->offset);
	if (zip_u16(header + 6) & ZIP_FLAG_ENCRYPTED)
		return err_set(err, -EACCES, "encrypted: pixfs has no password");
	uint64_t start = node->offset + ZIP_LOCAL_BYTES + zip_u16(header + 26) + zip_u16(header + 28);
	uint64_t limit = zip_overlap_limit(archive, entry);
	if (start > limit || node->packed_bytes > limit - start)
		return err_set(err, -EIO,
			       "the entry's data, %" PRIu64 " bytes at byte %" PRIu64 ", reaches into what starts at byte %" PRIu64,
			       node->packed_bytes, start, limit);
	*ret_start = start;
	return 0;
}

/* Read in one go with its local header, and kept: each further read would cost as much as its decoding. */
static bool is_copied(const struct zip_node *node)
{
	return node->method == ZIP_STORED && node->packed_bytes <= ARCHIVE_SMALL_BYTES;
}

uint64_t archive_copied_bytes(const struct archive *archive, uint32_t entry)
{
	const struct zip_node *node = &archive->nodes[entry];
	return is_copied(node) ? node->packed_bytes : 0;
}

static int copy_small(const uint8_t *data, size_t len_bytes, struct bytes **ret_bytes, struct err *err)
{
	void *copy = malloc(len_bytes + 1);
	struct bytes *bytes = copy ? bytes_from_memory(copy, len_bytes, 1) : NULL;
	if (!bytes) {
		free(copy);
		return err_set(err, -ENOMEM, "out of memory");
	}
	memcpy(copy, data, len_bytes);
	*ret_bytes = bytes;
	return 0;
}

/* The entry as it is packed. */
static int open_packed(struct archive *archive, uint32_t entry, struct bytes **ret_bytes, struct err *err)
{
	const struct zip_node *node = &archive->nodes[entry];
	uint8_t head[ZIP_LOCAL_BYTES + NAMES_BYTES + ARCHIVE_SMALL_BYTES];
	bool small = is_copied(node);
	size_t want = small ? ZIP_LOCAL_BYTES + NAMES_BYTES + (size_t)node->packed_bytes : ZIP_LOCAL_BYTES;
	uint64_t left_bytes = archive->bytes->size_bytes - node->offset, start = 0;
	if (small && left_bytes < want)
		want = left_bytes < ZIP_LOCAL_BYTES ? ZIP_LOCAL_BYTES : (size_t)left_bytes;
	int rc = bytes_read_exact(archive->bytes, head, want, node->offset, err);
	if (rc == 0)
		rc = find_data(archive, entry, head, &start, err);
	if (rc < 0)
		return rc;
	if (small && start - node->offset + node->packed_bytes <= want)
		return copy_small(head + (start - node->offset), (size_t)node->packed_bytes, ret_bytes, err);
	return window_open(archive, start, node->packed_bytes, ret_bytes, err);
}

int archive_entry_bytes(struct archive *archive, uint32_t entry, struct bytes **ret_bytes, struct err *err)
{
	const struct zip_node *node = &archive->nodes[entry];
	struct bytes *packed = NULL;
	int rc = check_node(archive, node, err);
	if (rc == 0)
		rc = open_packed(archive, entry, &packed, err);
	if (rc < 0)
		return rc;
	if (node->method == ZIP_STORED) {
		*ret_bytes = packed;
		return 0;
	}
	rc = unpack_open(decoder_of_method(node->method), packed, node->size_bytes, node->bits & ZIP_NODE_LZMA_MARK, ret_bytes,
			 err);
	bytes_unref(packed);
	return rc;
}

/* ---- checking ---- */

static int check_bytes(struct bytes *bytes, uint32_t expected, struct err *err)
{
	uint64_t left_bytes = bytes->size_bytes;
	size_t room_bytes = left_bytes < CHECK_BYTES ? (size_t)left_bytes + 1 : CHECK_BYTES;
	uint8_t *buffer = malloc(room_bytes);
	uint32_t crc = 0;
	int rc = buffer ? 0 : err_set(err, -ENOMEM, "out of memory");
	while (rc == 0 && left_bytes) {
		size_t n = left_bytes < room_bytes ? (size_t)left_bytes : room_bytes;
		rc = bytes_read_exact(bytes, buffer, n, bytes->size_bytes - left_bytes, err);
		if (rc == 0)
			crc = libdeflate_crc32(crc, buffer, n);
		left_bytes -= n;
	}
	free(buffer);
	if (rc == 0 && crc != expected)
		return err_set(err, -EIO, "the entry's CRC-32 is %08" PRIx32 ", the archive says %08" PRIx32, crc, expected);
	return rc;
}

int archive_bytes_check(const struct archive *archive, uint32_t entry, struct bytes *bytes, struct err *err)
{
	return check_bytes(bytes, archive->nodes[entry].crc32, err);
}

int archive_entry_check(struct archive *archive, uint32_t entry, struct err *err)
{
	struct bytes *bytes;
	int rc = archive_entry_bytes(archive, entry, &bytes, err);
	if (rc < 0)
		return rc;
	rc = archive_bytes_check(archive, entry, bytes, err);
	bytes_unref(bytes);
	return rc;
}
