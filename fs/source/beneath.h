/* beneath.h - opens what lies below a directory and nothing else, whoever swaps which name for a symlink and when.
 *
 * A path is walked from a descriptor downwards. A symlink on it is followed where it leads back below that directory, which is
 * known by its identity (device, inode) and not by its path: so an absolute link into it is followed wherever it lies now, and one
 * into another directory that took its place is not. At most 40 links. With follow_symlinks all are followed, as by open().
 */
#ifndef PIXFS_BENEATH_H
#define PIXFS_BENEATH_H

#include <stdbool.h>
#include <sys/stat.h>

/* Whether links are followed at all (a SOURCE that is one file has none). Before any thread starts. */
void beneath_follow(bool follow);

/* Opens path below root_fd; flags as of open(), O_PATH and O_NOFOLLOW among them; O_CLOEXEC is added. A descriptor, or a negative
 * errno: -EXDEV where it leads out, -ELOOP for more than 40 links. */
int beneath_open(int root_fd, const char *path, int flags);

/* Attributes of what path leads to; its last name is followed too. 0 or a negative errno as of beneath_open. */
int beneath_stat(int root_fd, const char *path, struct stat *ret_stat);

/* The same of a link; but the mode is cut down to what those have who may also enter every directory on the link's way. */
int beneath_stat_link(int root_fd, const char *path, struct stat *ret_stat);

#endif
