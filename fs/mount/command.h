/* command.h - what pixfs does without a mount. The source is open (walk_start); messages go to stderr. */
#ifndef PIXFS_COMMAND_H
#define PIXFS_COMMAND_H

#include <stdbool.h>

#include "mount.h"

/* Writes what MOUNTPOINT/path would hold to stdout. */
enum exit_code command_cat(const char *path);

/* Decodes everything below the open source on all processors and names what is damaged, as it goes: a line each, or with
 * json an object a line; on a terminal a progress bar on stderr. EXIT_DAMAGED if anything is. */
enum exit_code command_check(const char *source, bool json);

enum exit_code command_formats(void);

#endif
