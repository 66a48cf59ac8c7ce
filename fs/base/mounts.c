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
	const char *rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%*d %*d %u:%u %*s %4095s %255s", &major, &minor, ret->where, ret->flags) != 4)
		return false;
	*ret->source = 0;
	if (sscanf(rest, " - %63s %4095s", ret->type, ret->source) < 1)
		return false;
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

static bool is_pixfs_device(const struct mount_entry *entry, const void *device)
{
	return entry->device == *(const uint64_t *)device && strcmp(entry->type, "fuse.pixfs") == 0;
}

bool mounts_is_pixfs(uint64_t device)
{
	struct mount_entry *entry = malloc(sizeof *entry);
	bool found = entry && find(is_pixfs_device, &device, entry);
	free(entry);
	return found;
}
