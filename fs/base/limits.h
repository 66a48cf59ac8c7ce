/* limits.h - what this process may use of the machine: the memory and the processors that its cgroup leaves it.
 *
 * A container sees all of the machine's memory and processors, and is killed where it takes more than its share. Both versions of
 * cgroups are read: of version 2 the limits of the own group and of all above it, of version 1 likewise in the hierarchy of each
 * controller. Pure functions of the files below root ("" for the real ones).
 */
#ifndef PIXFS_LIMITS_H
#define PIXFS_LIMITS_H

#include <stdint.h>

/* The least of the cgroups' memory limits; UINT64_MAX where there is none. */
uint64_t limits_memory_bytes(const char *root);

/* How many processors the cgroups' quotas are worth, rounded up, at least 1; UINT32_MAX where there is none. */
unsigned limits_processors(const char *root);

#endif
