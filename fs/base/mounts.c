/* mounts.c - see mounts.h. */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* "\040" is a space; the table escapes what would end a field. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from;) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
}

/* proc(5): id parent major:minor root where flags tags... - type source options */
static bool parse_line(const char *line, struct mount_entry *ret)
{
	unsigned major, minor;
	unsigned long id;
	const char *rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%lu %*d %u:%u %*s %4095s %255s", &id, &major, &minor, ret->where, ret->flags) != 5)
		return false;
	*ret->source = 0;
	if (sscanf(rest, " - %63s %4095s", ret->type, ret->source) < 1)
		return false;
	ret->id = id;
	ret->device = makedev(major, minor);
	unescape(ret->where);
	unescape(ret->source);
	return true;
}

/* The last line that `wanted` says yes to. */
static bool find(bool (*wanted)(const struct mount_entry *entry, const void *context), const void *context, struct mount_entry *ret)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	struct mount_entry *entry = malloc(sizeof *entry);
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	while (table && entry && getline(&line, &room, table) > 0)
		if (parse_line(line, entry) && wanted(entry, context)) {
			found = true;
			*ret = *entry;
		}
	free(line);
	free(entry);
	if (table)
		fclose(table);
	return found;
}

static bool is_at(const struct mount_entry *entry, const void *path)
{
	return strcmp(entry->where, path) == 0;
}

bool mounts_find(const char *path, struct mount_entry *ret)
{
	return find(is_at, path, ret);
}

static bool has_id(const struct mount_entry *entry, const void *id)
{
	return entry->id == *(const uint64_t *)id;
}

/* An entry is large for a stack. */
static bool any(bool (*wanted)(const struct mount_entry *entry, const void *context), const void *context)
{
	struct mount_entry *entry = malloc(sizeof *entry);
	bool found = entry && find(wanted, context, entry);
	free(entry);
	return found;
}

bool mounts_has(uint64_t id)
{
	return any(has_id, &id);
}

struct below {
	uint64_t device;
	const char *directory;
};

static bool is_below(const struct mount_entry *entry, const void *context)
{
	const struct below *below = context;
	size_t len = strcmp(below->directory, "/") == 0 ? 0 : strlen(below->directory);
	return entry->device == below->device && strncmp(entry->where, below->directory, len) == 0 &&
	       (entry->where[len] == '/' || !entry->where[len]);
}

bool mounts_is_below(uint64_t device, const char *directory)
{
	return any(is_below, &(struct below){device, directory});
}

static bool is_pixfs_device(const struct mount_entry *entry, const void *device)
{
	return entry->device == *(const uint64_t *)device && strcmp(entry->type, "fuse.pixfs") == 0;
}

bool mounts_is_pixfs(uint64_t device)
{
	return any(is_pixfs_device, &device);
}
