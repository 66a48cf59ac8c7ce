/* walk_archive.c - archives are indexed when they are first entered, once for each version of what they are made of. */
#include "walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archives.h"
#include "fs/base/config.h"
#include "fs/base/status.h"
#include "volumes.h"

/* Sixteen archives in each of sixteen, eight deep, are billions of directories out of 40 KB: depth alone is no bound. */
enum { MAX_NESTING = 8, MAX_DEEP_ARCHIVES = 4096 };

/* What the calls that an archive makes while it is opened are about. */
struct entering {
	struct node *node;
	struct bytes *bytes;
};

static void report(const struct node *node, int code, const char *name, const char *words)
{
	char path[4096];
	node_path(node, path, sizeof path);
	size_t len = strlen(path);
	snprintf(path + len, sizeof path - len, "%s%s", len && name && *name ? "/" : "", name ? name : "");
	status_report(path, code, "archive", words);
}

static void report_entry(void *context, int code, const char *name, const char *words)
{
	report(((struct entering *)context)->node, code, name, words);
}

static int open_volumes(void *context, uint32_t count, struct archive_volumes *ret_volumes, struct err *err)
{
	const struct entering *entering = context;
	return volumes_open(entering->node, entering->bytes, count, ret_volumes, err);
}

/* The archive that it lies in is open: its entry was found there. */
static struct archive_key key_of_archive(const struct node *node)
{
	const struct file_id *id = &node->id;
	if (node->in_archive)
		return (struct archive_key){{node_archive(node)->slot->serial, node->index, 0, 0, 0}};
	return (struct archive_key){
		{id->device, id->inode, id->size_bytes, (uint64_t)id->mtime_ns ^ node->volumes, (uint64_t)id->ctime_ns + 1}};
}

static int open_index(struct node *node, struct bytes *bytes, struct archive **ret_archive, struct err *err)
{
	struct entering entering = {node, bytes};
	struct archive_options options = {.max_entry_bytes = config.max_entry_bytes,
					  .encoding = config.encoding,
					  .report = report_entry,
					  .context = &entering,
					  .volumes = open_volumes};
	struct archive_volumes volumes = {0};
	struct err failed = ERR_NONE;
	if (!volumes_is_first(node->name))
		return archive_open(bytes, &options, ret_archive, err);
	int rc = volumes_open(node, bytes, 0, &volumes, err);
	if (rc)
		return rc;
	rc = archive_open(volumes.bytes, &options, ret_archive, &failed);
	if (rc)
		volumes_explain(node, volumes.count, &failed, err);
	bytes_unref(volumes.bytes);
	free(volumes.starts);
	return rc;
}

/* Opens the archive and shares it, where that wasn't done. */
static int open_shared(struct node *node, struct bytes *bytes, struct archive **ret_archive, struct err *err)
{
	struct archive_key key = key_of_archive(node);
	*ret_archive = archives_find(&key, &node->slot->serial);
	if (*ret_archive)
		return 0;
	int rc = open_index(node, bytes, ret_archive, err);
	node->slot->serial = rc ? 0 : archives_share(&key, ret_archive);
	if (rc == 0 && !node->slot->serial) {
		archive_unref(*ret_archive);
		*ret_archive = NULL;
		rc = err_set(err, -ENOMEM, "no memory");
	}
	return rc;
}

static int open_archive(struct node *node, struct archive **ret_archive, struct err *err)
{
	unsigned depth = 0;
	for (const struct node *up = node; up; up = node_archive(up))
		depth++;
	if (depth > MAX_NESTING)
		return err_set(err, -EFBIG, "archives are nested more than %d deep", MAX_NESTING);
	if (depth > 2 && atomic_load(&node_deep_archives) >= MAX_DEEP_ARCHIVES)
		return err_set(err, -EFBIG, "more than %d archives within archives within archives are open", MAX_DEEP_ARCHIVES);
	struct walk_spec *spec = malloc(sizeof *spec);
	if (!spec)
		return err_set(err, -ENOMEM, "no memory");
	struct bytes *bytes = NULL;
	int rc = walk_image_spec(node, spec, err);
	if (rc == 0)
		rc = image_spec_bytes(&spec->image, &bytes, err);
	if (rc == 0)
		rc = open_shared(node, bytes, ret_archive, err);
	if (rc == 0 && !node->in_archive)
		file_found_at(archive_bytes(*ret_archive), spec->image.host_path);
	free(spec);
	bytes_unref(bytes);
	if (rc == 0 && depth > 2) {
		node->slot->is_deep = true;
		atomic_fetch_add(&node_deep_archives, 1);
	}
	return rc;
}

int walk_archive(struct node *node, struct archive **ret_archive, struct err *err)
{
	struct archive_slot *slot = node->slot;
	pthread_mutex_lock(&slot->lock);
	if (!slot->archive && !slot->err.code) {
		open_archive(node, &slot->archive, &slot->err);
		if (slot->err.code)
			report(node, slot->err.code, NULL, slot->err.text);
	}
	struct err failed = slot->err;
	*ret_archive = slot->archive;
	if (err_is_passing(&failed))
		slot->err = ERR_NONE;
	pthread_mutex_unlock(&slot->lock);
	return failed.code ? err_copy(err, &failed) : 0;
}
