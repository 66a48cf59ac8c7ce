/* own.h - where this mount itself lies. Inside SOURCE it is shown as an empty directory, as is any other pixfs: who looked into
 * itself would wait for itself, and two could for each other. Set before the threads start, constant from then on. */
#ifndef PIXFS_OWN_H
#define PIXFS_OWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Before mounting: the directory that will be covered. */
void own_set_place(const char *path);
/* After it: the file system that covers it. */
void own_set_device(uint64_t device);

/* Whether this mount covers that name of that directory, and if so what it covers: nobody is asked. */
bool own_is_at(uint64_t parent_device, uint64_t parent_inode, const char *name, struct stat *ret_covered);
/* Whether what is open there (O_PATH does) lies in this mount: nobody is asked. */
bool own_is_open(int fd);
/* Whether the attributes are of this mount's root, of what it covers, or of another pixfs's root; outer: the file system of the
 * directory above. */
bool own_is(const struct stat *st, uint64_t outer_device);
/* Whether that absolute path leads to this mount or through it. */
bool own_covers(const char *path);
/* Whether this mount can be reached through SOURCE. */
bool own_is_inside(void);

#endif
