/* ahead.h - images of a directory that are read one after the other: noticed, and the next ones decoded on idle processors.
 *
 * Orders that are noticed: by name (bytewise), and as the directory lists them; several readers at once. Three images in order make
 * a run; with each further one twice as many are decoded ahead, up to a part of the budget. Where a run stops nothing more is
 * started. Random access costs a search for the name. */
#ifndef PIXFS_AHEAD_H
#define PIXFS_AHEAD_H

#include <stdint.h>

#include "fs/source/node.h"

/* make_whole(path, now): see tree_make_whole. Before any other call. */
void ahead_start(void (*make_whole)(const char *path, bool now));

/* Most of an array of that image, a NODE_IMAGE, was read by somebody; the next will take so many bytes. below: it was made whole at
 * open, and so should the next ones be, of this path below their images; else NULL. */
void ahead_note(struct node *image, uint64_t next_bytes, const char *below);

/* The array of that path is read again: it is made whole when nobody waits for anything else. */
void ahead_again(const char *path);

void ahead_end(void);  /* nobody reads any more: what waits in the pool does nothing */
void ahead_stop(void); /* forgets all; no task may be under way */

#endif
