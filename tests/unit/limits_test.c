/* limits_test.c - the limits of cgroups, from trees of files as systemd, Docker and Kubernetes lay them out. */
#include "fs/base/limits.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "case.h"

static const uint64_t MIB = 1 << 20;
static char root[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void begin(void)
{
	strcpy(root, "/tmp/limits-test.XXXXXX");
	CHECK(mkdtemp(root) != NULL);
}

static void end(void)
{
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below root, its directories too. */
static void put(const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	if (file) {
		fputs(text, file);
		fclose(file);
	}
}

static void nothing_is_limited_without_cgroups(void)
{
	begin();
	CHECK(limits_memory_bytes(root) == UINT64_MAX);
	CHECK(limits_processors(root) == UINT32_MAX);
	end();
}

/* Version 2, as systemd: the tightest of the groups above counts. */
static void the_least_of_a_group_and_those_above(void)
{
	begin();
	put("/proc/self/cgroup", "0::/user.slice/user-1000.slice/run-1.scope\n");
	put("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
	put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
	put("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/user.slice/user-1000.slice/memory.max", "419430400\n");
	put("/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max", "150000 100000\n");
	put("/sys/fs/cgroup/user.slice/user-1000.slice/run-1.scope/memory.max", "1073741824\n");
	put("/sys/fs/cgroup/user.slice/user-1000.slice/run-1.scope/cpu.max", "max 100000\n");
	CHECK(limits_memory_bytes(root) == 400 * MIB);
	CHECK(limits_processors(root) == 2);
	end();
}

/* A container with a cgroup namespace: its own group is the top. */
static void a_container_sees_its_own_group_as_the_top(void)
{
	begin();
	put("/proc/self/cgroup", "0::/\n");
	put("/sys/fs/cgroup/memory.max", "268435456\n");
	put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
	CHECK(limits_memory_bytes(root) == 256 * MIB);
	CHECK(limits_processors(root) == 1);
	end();
}

/* The path is the host's, but only the own part of the tree is mounted; or it leads out of the namespace. */
static void a_path_that_is_not_there(void)
{
	begin();
	put("/proc/self/cgroup", "0::/kubepods.slice/pod1/abc\n");
	put("/sys/fs/cgroup/memory.max", "268435456\n");
	CHECK(limits_memory_bytes(root) == 256 * MIB);
	put("/proc/self/cgroup", "0::/../other\n");
	CHECK(limits_memory_bytes(root) == 256 * MIB);
	end();
}

/* Version 1, as Docker: a hierarchy for each controller, and "no limit" is a number. */
static void version_1_has_a_hierarchy_for_each_controller(void)
{
	begin();
	put("/proc/self/cgroup",
	    "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/\n1:name=systemd:/docker/abc\n0::/\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "536870912\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
	CHECK(limits_memory_bytes(root) == 512 * MIB);
	CHECK(limits_processors(root) == 3);
	put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
	CHECK(limits_memory_bytes(root) == UINT64_MAX);
	CHECK(limits_processors(root) == UINT32_MAX);
	end();
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(nothing_is_limited_without_cgroups),
		CASE(the_least_of_a_group_and_those_above),
		CASE(a_container_sees_its_own_group_as_the_top),
		CASE(a_path_that_is_not_there),
		CASE(version_1_has_a_hierarchy_for_each_controller),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
