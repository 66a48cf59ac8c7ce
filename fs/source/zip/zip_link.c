/* zip_link.c - which of an archive's symbolic links are shown as links.
 *
 * A link's target is its data, so kinds that never change need the targets now: they are read in the order of the
 * archive, a bounded number of them. A link that can't be proven to stay within the archive is an ordinary file that
 * holds the target's text. Links of links are no way out: each one stays within for itself, and a target that goes
 * through another link and upwards from there is not proven.
 */
#include "zip_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

enum {
	MAX_TARGET_BYTES = 4095, /* PATH_MAX without its NUL */
	MAX_LINKS = 65536,
};

/* A place on the way of a target through the tree. */
struct walker {
	uint32_t node;   /* the last place that exists */
	uint32_t beyond; /* steps from there into what doesn't exist */
	bool passed_link;
};

/* One step; false where it leads, or might lead, out of the archive. */
static bool step(const struct archive *archive, struct walker *walker, const char *name)
{
	if (*name == 0 || !strcmp(name, "."))
		return true;
	if (!strcmp(name, "..")) {
		if (walker->passed_link || (walker->beyond == 0 && walker->node == 0))
			return false;
		if (walker->beyond)
			walker->beyond--;
		else
			walker->node = archive->nodes[walker->node].parent;
		return true;
	}
	uint32_t child = walker->beyond ? ARCHIVE_NONE : archive_find(archive, walker->node, name);
	if (child == ARCHIVE_NONE) {
		walker->beyond++;
		return true;
	}
	walker->node = child;
	walker->passed_link = walker->passed_link || (archive->nodes[child].bits & ZIP_NODE_SYMLINK);
	return true;
}

static bool stays_inside(const struct archive *archive, uint32_t link, char *target)
{
	struct walker walker = {.node = archive->nodes[link].parent};
	if (*target == '/')
		return false;
	for (char *name = target, *slash; name; name = slash ? slash + 1 : NULL) {
		slash = strchr(name, '/');
		if (slash)
			*slash = 0;
		if (!step(archive, &walker, name))
			return false;
	}
	return true;
}

/* Reads the target; *ret_trouble says why it is none. A failure that may pass (memory, a changed source, the disk) is an error:
 * it must not decide what kind of thing the link is. */
static int read_target(struct archive *archive, uint32_t link, char target[MAX_TARGET_BYTES + 1], const char **ret_trouble,
		       struct err *err)
{
	const struct zip_node *node = &archive->nodes[link];
	struct err why = ERR_NONE;
	struct bytes *bytes;
	size_t len_bytes = (size_t)node->size_bytes;
	if (node->size_bytes == 0 || node->size_bytes > MAX_TARGET_BYTES) {
		*ret_trouble = "a symbolic link whose target is empty or too long: shown as a file";
		return 0;
	}
	int rc = archive_entry_bytes(archive, link, &bytes, &why);
	if (rc == 0) {
		rc = bytes_read_exact(bytes, target, len_bytes, 0, &why);
		bytes_unref(bytes);
	}
	if (rc && err_is_passing(&why))
		return err_copy(err, &why);
	target[len_bytes] = 0;
	if (rc < 0 || libdeflate_crc32(0, target, len_bytes) != node->crc32)
		*ret_trouble = "a symbolic link whose target can't be read: shown as a file";
	else if (memchr(target, 0, len_bytes))
		*ret_trouble = "a symbolic link whose target holds NUL: shown as a file";
	return 0;
}

static int judge(struct archive *archive, uint32_t link, const char **ret_trouble, struct err *err)
{
	char target[MAX_TARGET_BYTES + 1];
	int rc = read_target(archive, link, target, ret_trouble, err);
	if (rc == 0 && !*ret_trouble && !stays_inside(archive, link, target))
		*ret_trouble = "a symbolic link that leads, or might lead, out of the archive: shown as a file";
	return rc;
}

int zip_link_resolve(struct zip_build *build, struct err *err)
{
	struct archive *archive = build->archive;
	uint32_t n = archive->order ? archive->nfiles : archive->nnodes, nlinks = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t link = archive->order ? archive->order[i] : i;
		struct zip_node *node = &archive->nodes[link];
		if (!(node->bits & ZIP_NODE_SYMLINK))
			continue;
		const char *trouble = nlinks++ < MAX_LINKS ? NULL : "one of too many symbolic links: shown as a file";
		int rc = trouble ? 0 : judge(archive, link, &trouble, err);
		if (rc < 0)
			return rc;
		if (trouble)
			zip_report_node(build, 0, link, trouble);
		else
			node->bits = (uint16_t)((node->bits & ~ZIP_NODE_KIND) | ARCHIVE_LINK);
	}
	return 0;
}
