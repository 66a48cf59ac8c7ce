/* zip_arrange.c - the entries of a complete tree in the archive: their places, those that overlap, and whether that is to be
 * believed. */
#include "zip_build.h"

#include <errno.h>
#include <inttypes.h>

static void report_overlaps(struct zip_build *build, uint32_t count)
{
	for (uint32_t i = 0; count > 0 && i < build->archive->nnodes; i++) {
		const struct zip_node *node = &build->archive->nodes[i];
		if (!zip_node_has_data(node) || !(node->bits & ZIP_NODE_OVERLAPS))
			continue;
		zip_report_node(build, -EIO, i, "shares bytes with another entry or the central directory: it can't be opened");
		count--;
	}
}

/* Entries that overlap one another, or lie outside, may be where their offsets only seem to say. */
static int find_entries(struct zip_build *build, const struct zip_directory *directory, uint32_t *noverlaps, struct err *err)
{
	struct archive *archive = build->archive;
	uint32_t nmoved = 0;
	int rc = zip_offset_find(archive, &directory->place, &nmoved, err);
	if (rc < 0 || nmoved == 0)
		return rc;
	zip_report(build, 0, "", "%" PRIu32 " entries lie further on than the archive says: it was put together from parts",
		   nmoved);
	rc = zip_overlap_sort(archive, err);
	if (rc == 0)
		zip_overlap_mark(archive, noverlaps);
	return rc;
}

/* Whether entries may lie elsewhere than it seems. All that isn't told by the first record, by overlaps and by places where nothing
 * can be is told by the entry that seems to lie in front of all others. */
static int is_doubtful(const struct zip_build *build, const struct zip_directory *directory, uint32_t noverlaps, bool *ret_doubtful,
		       struct err *err)
{
	const struct archive *archive = build->archive;
	int rc = 1;
	*ret_doubtful = build->has_odd_offsets || noverlaps || !directory->has_first;
	if (!*ret_doubtful && archive->order && archive->nfiles)
		rc = zip_signature_at(archive->bytes, archive->nodes[archive->order[0]].offset, ZIP_LOCAL_SIGNATURE, err);
	*ret_doubtful |= rc == 0;
	return rc < 0 ? rc : 0;
}

static int complete_entries(struct zip_build *build, struct err *err)
{
	struct archive *archive = build->archive;
	zip_report(build, 0, "", "an archive of more than 4 GiB without zip64: its numbers are completed");
	int rc = zip_offset_complete(archive, err);
	if (rc == 0)
		rc = zip_overlap_sort(archive, err);
	if (rc == 0)
		zip_offset_complete_sizes(archive);
	return rc;
}

int zip_arrange(struct zip_build *build, const struct zip_directory *directory, struct err *err)
{
	struct archive *archive = build->archive;
	bool is_modulo = zip_offset_is_modulo(&directory->place), doubtful = false;
	uint32_t noverlaps = 0;
	int rc = is_modulo ? complete_entries(build, err) : zip_overlap_sort(archive, err);
	if (rc < 0)
		return rc;
	zip_overlap_mark(archive, &noverlaps);
	if (!is_modulo)
		rc = is_doubtful(build, directory, noverlaps, &doubtful, err);
	if (rc == 0 && doubtful)
		rc = find_entries(build, directory, &noverlaps, err);
	report_overlaps(build, noverlaps);
	for (uint32_t i = 0; build->has_odd_offsets && i < archive->nnodes; i++)
		if (archive->nodes[i].offset >= archive->bytes->size_bytes)
			archive->nodes[i].offset = UINT64_MAX;
	return rc;
}
