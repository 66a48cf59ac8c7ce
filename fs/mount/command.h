/* command.h - what pixfs does without a mount. The source is open (walk_start); messages go to stderr. */
#ifndef PIXFS_COMMAND_H
#define PIXFS_COMMAND_H

#include <stdbool.h>

#include "mount.h"

/* Writes what MOUNTPOINT/path would hold to stdout. */
enum exit_code command_cat(const char *path);

/* Decodes everything below the open source on all processors and names what is damaged, and what isn't decoded here, as it goes:
 * a line each, or with json an object a line; then the counts, on stderr or as the last object. On a terminal a progress bar on
 * stderr. EXIT_DAMAGED if anything is damaged; another format alone is EXIT_OK. */
enum exit_code command_check(const char *source, bool json);

enum exit_code command_formats(void);

#endif
