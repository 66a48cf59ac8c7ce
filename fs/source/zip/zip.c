/* zip.c - the index of a zip archive: made once (zip_build.c), and what is asked of it.
 *
 * The central directory counts; local headers are looked at when an entry is opened (zip_entry.c). After archive_open()
 * nothing of an index changes, so nothing here takes a lock.
 */
#include "zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "zip_build.h"

static const uint64_t default_max_entry_bytes = UINT64_C(8) << 30;

int archive_open(struct bytes *bytes, const struct archive_options *options, struct archive **ret_archive, struct err *err)
{
	static const struct archive_options default_options = {0};
	struct archive *archive = calloc(1, sizeof *archive);
	struct zip_build *build = calloc(1, sizeof *build);
	int rc = -ENOMEM;
	if (!archive || !build) {
		err_set(err, rc, "out of memory for the archive's index");
		free(archive);
		free(build);
		return rc;
	}
	build->archive = archive;
	build->options = options ? options : &default_options;
	atomic_init(&archive->refs, 1);
	archive->bytes = bytes_ref(bytes);
	archive->max_entry_bytes = build->options->max_entry_bytes ? build->options->max_entry_bytes : default_max_entry_bytes;
	rc = zip_names_init(&build->names, build->options->encoding, err);
	if (rc == 0)
		rc = zip_build_index(build, err);
	if (rc == 0 && build->names.is_used)
		memcpy(archive->encoding, build->names.encoding, sizeof archive->encoding);
	zip_names_free(&build->names);
	free(build->losers.nodes);
	free(build->volumes.starts);
	free(build);
	if (rc == 0)
		*ret_archive = archive;
	else
		archive_unref(archive);
	return rc;
}

struct archive *archive_ref(struct archive *archive)
{
	atomic_fetch_add_explicit(&archive->refs, 1, memory_order_relaxed);
	return archive;
}

struct bytes *archive_bytes(const struct archive *archive)
{
	return archive->bytes;
}

bool archive_is_shared(const struct archive *archive)
{
	return atomic_load(&archive->refs) > 1;
}

void archive_unref(struct archive *archive)
{
	if (!archive || atomic_fetch_sub_explicit(&archive->refs, 1, memory_order_acq_rel) != 1)
		return;
	bytes_unref(archive->bytes);
	free(archive->nodes);
	free(archive->names);
	free(archive->table);
	free(archive->order);
	free(archive);
}

/* ---- asking ---- */

const char *archive_encoding(const struct archive *archive)
{
	return archive->encoding;
}

uint32_t archive_count(const struct archive *archive)
{
	return archive->nnodes;
}

void archive_get(const struct archive *archive, uint32_t entry, struct archive_entry *ret_entry)
{
	const struct zip_node *node = &archive->nodes[entry];
	*ret_entry = (struct archive_entry){.name = archive->names + node->name,
					    .parent = node->parent,
					    .kind = (uint8_t)zip_node_kind(node),
					    .mode = node->mode,
					    .size_bytes = node->size_bytes,
					    .mtime_s = node->mtime_s,
					    .crc32 = zip_node_has_data(node) ? node->crc32 : 0};
}

uint32_t archive_first(const struct archive *archive, uint32_t dir)
{
	const struct zip_node *node = &archive->nodes[dir];
	return zip_node_has_data(node) ? ARCHIVE_NONE : node->first;
}

uint64_t archive_child_count(const struct archive *archive, uint32_t dir)
{
	const struct zip_node *node = &archive->nodes[dir];
	return zip_node_has_data(node) ? 0 : node->nchildren;
}

uint32_t archive_next(const struct archive *archive, uint32_t entry)
{
	return archive->nodes[entry].next;
}
