/* limits.c - see limits.h. Files as in the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. Where a
 * container sees only its own part of the tree, the path that /proc tells may not be there: then the limits are those at the top.
 */
#include "limits.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 8192 };
static const uint64_t NO_LIMIT = (uint64_t)1 << 60; /* version 1 says "none" by a number of about 2^63 */

/* The first line of a file; false where it can't be read. */
static bool read_line(const char *path, char ret[256])
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(ret, 256, file);
	if (file)
		fclose(file);
	return got;
}

static bool read_number(const char *directory, const char *name, int64_t *ret)
{
	char path[PATH_BYTES + 64], line[256], *end;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (!read_line(path, line))
		return false;
	*ret = strtoll(line, &end, 10);
	return end != line;
}

/* ---- one group ---- */

static uint64_t memory_of(const char *directory)
{
	int64_t bytes;
	if (!read_number(directory, "memory.max", &bytes) && !read_number(directory, "memory.limit_in_bytes", &bytes))
		return UINT64_MAX;
	return bytes > 0 && (uint64_t)bytes < NO_LIMIT ? (uint64_t)bytes : UINT64_MAX;
}

static uint64_t processors_of(const char *directory)
{
	char path[PATH_BYTES + 64], line[256];
	int64_t quota_us = -1, period_us = 0;
	snprintf(path, sizeof path, "%s/cpu.max", directory);
	if (read_line(path, line)) {
		if (sscanf(line, "%" SCNd64 " %" SCNd64, &quota_us, &period_us) != 2) /* "max 100000" */
			return UINT64_MAX;
	} else if (!read_number(directory, "cpu.cfs_quota_us", &quota_us) ||
		   !read_number(directory, "cpu.cfs_period_us", &period_us)) {
		return UINT64_MAX;
	}
	if (quota_us <= 0 || period_us <= 0)
		return UINT64_MAX;
	return ((uint64_t)quota_us - 1) / (uint64_t)period_us + 1;
}

/* ---- all of them ---- */

/* The least of what `of` tells of a group and of all above it, up to top. */
static uint64_t least_above(const char *top, const char *group, uint64_t (*of)(const char *directory))
{
	char path[PATH_BYTES];
	uint64_t least = UINT64_MAX;
	snprintf(path, sizeof path, "%s%s", top, strcmp(group, "/") == 0 ? "" : group);
	size_t top_len = strlen(top);
	if (strstr(group, "/..") || access(path, F_OK) != 0)
		path[top_len] = 0;
	for (;;) {
		uint64_t own = of(path);
		least = own < least ? own : least;
		char *slash = strrchr(path, '/');
		if (strlen(path) <= top_len || !slash)
			return least;
		*slash = 0;
	}
}

/* Whether a controller is one of a list with commas between. */
static bool has_controller(const char *list, const char *controller)
{
	size_t len = strlen(controller);
	for (const char *at = list; (at = strstr(at, controller)); at += len)
		if ((at == list || at[-1] == ',') && (at[len] == 0 || at[len] == ','))
			return true;
	return false;
}

/* The least of all hierarchies that tell of the controller. */
static uint64_t least_of_all(const char *root, const char *controller, uint64_t (*of)(const char *directory))
{
	static const char *const unified[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char path[PATH_BYTES], line[4400];
	uint64_t least = UINT64_MAX;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		char *rest = line;
		strsep(&rest, ":");
		const char *list = rest ? strsep(&rest, ":") : NULL; /* version 2: empty */
		const char *tops[2] = {unified[0], unified[1]};
		char named[64], whole[300];
		if (!rest || (*list && !has_controller(list, controller)))
			continue;
		if (*list) {
			snprintf(named, sizeof named, "/sys/fs/cgroup/%s", controller);
			snprintf(whole, sizeof whole, "/sys/fs/cgroup/%s", list);
			tops[0] = named;
			tops[1] = whole;
		}
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof path, "%s%s", root, tops[i]);
			uint64_t own = least_above(path, rest, of);
			least = own < least ? own : least;
		}
	}
	if (file)
		fclose(file);
	return least;
}

uint64_t limits_memory_bytes(const char *root)
{
	return least_of_all(root, "memory", memory_of);
}

unsigned limits_processors(const char *root)
{
	uint64_t n = least_of_all(root, "cpu", processors_of);
	return n < UINT32_MAX ? (unsigned)n : UINT32_MAX;
}
