/* volumes.c - see volumes.h. Volumes are found by name in the directory of the archive, on the host by the rules of all files there
 * (symlinks that lead out of the source aren't followed), in an archive among its entries. */
#include "volumes.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "beneath.h"
#include "walk.h"

enum { MAX_VOLUMES = 4096 };

/* ---- names ---- */

bool volumes_is_first(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && strcmp(name + len - 4, ".001") == 0;
}

/* The name of volume `number`, from 1 on; false where the archive's name has none, or it would be too long. */
static bool volume_name(const char *name, uint32_t number, char ret_name[NAME_MAX + 1])
{
	const char *dot = strrchr(name, '.');
	int len;
	if (volumes_is_first(name))
		len = snprintf(ret_name, NAME_MAX + 1, "%.*s%03" PRIu32, (int)(dot + 1 - name), name, number);
	else if (dot && (strcasecmp(dot, ".zip") == 0 || strcasecmp(dot, ".zipx") == 0))
		len = snprintf(ret_name, NAME_MAX + 1, "%.*s%s%02" PRIu32, (int)(dot + 2 - name), name, dot + 4, number);
	else
		return false;
	return len <= NAME_MAX;
}

/* ---- on the host ---- */

/* False where no such file is, or its path is too long. */
static bool stat_volume(const struct node *dir, const char *name, uint32_t number, char ret_path[PATH_MAX], struct stat *ret_stat)
{
	char volume[NAME_MAX + 1];
	if (!volume_name(name, number, volume) || node_host_path(dir, ret_path, PATH_MAX) != 0)
		return false;
	size_t len = strlen(ret_path);
	if (snprintf(ret_path + len, PATH_MAX - len, "/%s", volume) >= (int)(PATH_MAX - len))
		return false;
	return beneath_stat(walk_root_fd, ret_path, ret_stat) == 0 && S_ISREG(ret_stat->st_mode);
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word ^ h >> 32) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* The permissions of an archive whose file has another owner's volume: those that everybody has. */
static uint32_t readable(const struct stat *st, const struct node_spec *spec)
{
	return st->st_uid == spec->uid && st->st_gid == spec->gid ? st->st_mode & 0777 : (st->st_mode & 7) * 0111;
}

void volumes_describe(const struct node *dir, const char *name, struct node_spec *spec)
{
	char path[PATH_MAX];
	struct stat st;
	spec->volumes = 0;
	for (uint32_t number = volumes_is_first(name) ? 2 : 1; number <= MAX_VOLUMES; number++) {
		if (!stat_volume(dir, name, number, path, &st))
			break;
		struct file_id id = file_id_of(&st);
		const uint64_t words[] = {id.device, id.inode, id.size_bytes, (uint64_t)id.mtime_ns, (uint64_t)id.ctime_ns};
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			spec->volumes = mix(spec->volumes, words[i]);
		spec->volumes |= 1;
		spec->mode &= ~0777u | readable(&st, spec);
	}
}

/* -ENOENT without words where there is no such volume. */
static int open_on_host(const struct node *node, uint32_t number, struct bytes **ret_bytes, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	if (!stat_volume(node->parent, node->name, number, path, &st))
		return -ENOENT;
	struct file_id id = file_id_of(&st);
	*ret_bytes = file_bytes(walk_root_fd, path, &id);
	return *ret_bytes ? 0 : err_set(err, -ENOMEM, "no memory");
}

static int open_in_archive(const struct node *node, uint32_t number, struct bytes **ret_bytes, struct err *err)
{
	const struct node *dir = node->parent;
	char volume[NAME_MAX + 1];
	struct archive *archive;
	struct archive_entry entry;
	if (!volume_name(node->name, number, volume))
		return -ENOENT;
	int rc = walk_archive(node_archive(node), &archive, err);
	if (rc)
		return rc;
	uint32_t found = archive_find(archive, dir->kind == NODE_ARCHIVE ? 0 : dir->index, volume);
	if (found == ARCHIVE_NONE)
		return -ENOENT;
	archive_get(archive, found, &entry);
	return entry.kind == ARCHIVE_FILE ? archive_entry_bytes(archive, found, ret_bytes, err) : -ENOENT;
}

static int open_volume(const struct node *node, uint32_t number, struct bytes **ret_bytes, struct err *err)
{
	return node->in_archive ? open_in_archive(node, number, ret_bytes, err) : open_on_host(node, number, ret_bytes, err);
}

/* ---- their bytes ---- */

struct volumes {
	struct bytes bytes;
	uint32_t count, room;
	struct bytes **parts;
	uint64_t *starts; /* of each part */
	bool from_first;  /* the first, not the last, has the name */
	char name[];      /* the archive's */
};

static uint32_t volume_at(const struct volumes *volumes, uint64_t offset)
{
	uint32_t low = 0, high = volumes->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (volumes->starts[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* As bytes_read of one part; the words begin with its name. */
static ssize_t read_part(struct volumes *volumes, uint32_t part, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct err why = ERR_NONE;
	char volume[NAME_MAX + 1];
	uint32_t own = volumes->from_first ? 0 : volumes->count - 1;
	ssize_t got = bytes_read(volumes->parts[part], dst, len_bytes, offset, &why);
	if (got >= 0)
		return got;
	if (part == own || !volume_name(volumes->name, part + 1, volume))
		return err_copy(err, &why);
	return why.is_source ? err_set_source(err, why.code, "%.100s: %s", volume, why.text)
			     : err_set(err, why.code, "%.100s: %s", volume, why.text);
}

static ssize_t volumes_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct volumes *volumes = (struct volumes *)bytes;
	size_t done_bytes = 0;
	if (offset >= bytes->size_bytes)
		return 0;
	for (uint32_t part = volume_at(volumes, offset); part < volumes->count && done_bytes < len_bytes; part++) {
		uint64_t at = offset + done_bytes - volumes->starts[part];
		ssize_t got = read_part(volumes, part, (uint8_t *)dst + done_bytes, len_bytes - done_bytes, at, err);
		if (got < 0)
			return got;
		done_bytes += (size_t)got;
	}
	return (ssize_t)done_bytes;
}

static void volumes_free(struct bytes *bytes)
{
	struct volumes *volumes = (struct volumes *)bytes;
	for (uint32_t i = 0; i < volumes->count; i++)
		bytes_unref(volumes->parts[i]);
	free(volumes->parts);
	free(volumes->starts);
	free(volumes);
}

static struct bytes *volumes_part(struct bytes *bytes, uint32_t i)
{
	const struct volumes *volumes = (const struct volumes *)bytes;
	return i < volumes->count ? volumes->parts[i] : NULL;
}

static const struct bytes_class volumes_class = {.read = volumes_read, .free = volumes_free, .part = volumes_part};

static struct volumes *volumes_new(const char *name)
{
	size_t len = strlen(name);
	struct volumes *volumes = calloc(1, sizeof *volumes + len + 1);
	if (!volumes)
		return NULL;
	bytes_init(&volumes->bytes, &volumes_class, 0);
	volumes->from_first = volumes_is_first(name);
	memcpy(volumes->name, name, len + 1);
	return volumes;
}

/* Adds a part, of which the reference is taken. */
static int add_part(struct volumes *volumes, struct bytes *part, struct err *err)
{
	if (volumes->count == volumes->room) {
		uint32_t room = volumes->room * 2 + 8;
		struct bytes **parts = realloc(volumes->parts, room * sizeof(struct bytes *));
		volumes->parts = parts ? parts : volumes->parts;
		uint64_t *starts = realloc(volumes->starts, room * sizeof *starts);
		volumes->starts = starts ? starts : volumes->starts;
		if (!parts || !starts) {
			bytes_unref(part);
			return err_set(err, -ENOMEM, "no memory");
		}
		volumes->room = room;
	}
	volumes->starts[volumes->count] = volumes->bytes.size_bytes;
	volumes->parts[volumes->count++] = part;
	if (__builtin_add_overflow(volumes->bytes.size_bytes, part->size_bytes, &volumes->bytes.size_bytes) ||
	    volumes->bytes.size_bytes > INT64_MAX)
		return err_set(err, -EFBIG, "the volumes have more than 2^63 bytes");
	return 0;
}

static int missing(const struct node *node, uint32_t number, uint32_t count, struct err *err)
{
	char volume[NAME_MAX + 1];
	if (!volume_name(node->name, number, volume))
		return err_set(err, -EIO, "volume %" PRIu32 " of %" PRIu32 " is missing", number, count);
	if (count)
		return err_set(err, -EIO, "%.100s is missing: it is volume %" PRIu32 " of %" PRIu32, volume, number, count);
	return err_set(err, -EIO, "%.100s is missing: later ones are there", volume);
}

/* The volumes 1 to count - 1, the last is own. */
static int add_before(struct volumes *volumes, const struct node *node, struct bytes *own, uint32_t count, struct err *err)
{
	if (count > MAX_VOLUMES)
		return err_set(err, -EFBIG, "an archive of %" PRIu32 " volumes, more than %d", count, MAX_VOLUMES);
	for (uint32_t number = 1; number < count; number++) {
		struct bytes *part;
		int rc = open_volume(node, number, &part, err);
		if (rc == 0)
			rc = add_part(volumes, part, err);
		if (rc)
			return rc == -ENOENT ? missing(node, number, count, err) : rc;
	}
	return add_part(volumes, bytes_ref(own), err);
}

/* Own is the first; as many as there are follow. */
static int add_behind(struct volumes *volumes, const struct node *node, struct bytes *own, struct err *err)
{
	struct bytes *part;
	int rc = add_part(volumes, bytes_ref(own), err);
	uint32_t number = 2;
	for (; rc == 0 && number <= MAX_VOLUMES; number++) {
		rc = open_volume(node, number, &part, err);
		if (rc == 0)
			rc = add_part(volumes, part, err);
	}
	if (rc != -ENOENT)
		return rc ? rc : err_set(err, -EFBIG, "an archive of more than %d volumes", MAX_VOLUMES);
	if (open_volume(node, number, &part, NULL) != 0)
		return 0;
	bytes_unref(part);
	return missing(node, number - 1, 0, err);
}

int volumes_open(const struct node *node, struct bytes *own, uint32_t count, struct archive_volumes *ret_volumes, struct err *err)
{
	struct volumes *volumes = volumes_new(node->name);
	if (!volumes)
		return err_set(err, -ENOMEM, "no memory");
	int rc = count ? add_before(volumes, node, own, count, err) : add_behind(volumes, node, own, err);
	uint64_t *starts = rc ? NULL : malloc(volumes->count * sizeof *starts);
	if (rc == 0 && !starts)
		rc = err_set(err, -ENOMEM, "no memory");
	if (rc) {
		bytes_unref(&volumes->bytes);
		return rc;
	}
	memcpy(starts, volumes->starts, volumes->count * sizeof *starts);
	*ret_volumes = (struct archive_volumes){&volumes->bytes, starts, volumes->count};
	return 0;
}

void volumes_explain(const struct node *node, uint32_t count, const struct err *failed, struct err *err)
{
	char volume[NAME_MAX + 1];
	if (failed->code == -EIO && !failed->is_source && volume_name(node->name, count + 1, volume))
		err_set(err, failed->code, "%.100s is missing, or what is there is damaged: %s", volume, failed->text);
	else
		err_copy(err, failed);
}
