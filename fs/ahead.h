/* ahead.h - images of a directory that are read one after the other: noticed, and the next ones decoded on idle processors.
 *
 * Orders that are noticed: by name (bytewise), and as the directory lists them; several readers at once. Three images in order make
 * a run; with each further one twice as many are decoded ahead, up to a part of the budget. Where a run stops nothing more is
 * started. Random access costs a search for the name. */
#ifndef PIXFS_AHEAD_H
#define PIXFS_AHEAD_H

#include <stdint.h>

#include "node.h"

/* Most of an array of that image, a NODE_IMAGE that decodes to so many bytes, was read by somebody. */
void ahead_note(struct node *image, uint64_t decoded_bytes);

void ahead_stop(void); /* forgets all; no task may be under way */

#endif
