/* volumes.h - archives in several files that lie beside each other: which names belong together, their bytes and their version.
 *
 *	data.z01 data.z02 ... data.zip        as PKWARE splits archives: the last one has the directory and says how many there are
 *	data.zip.001 data.zip.002 ...         one archive cut into pieces, as 7-Zip does it
 *
 * The archive is that of the .zip, or of the .zip.001; to all else the others are plain files.
 */
#ifndef PIXFS_VOLUMES_H
#define PIXFS_VOLUMES_H

#include "node.h"

/* Whether the name is that of the first of several pieces: it ends in ".001". */
bool volumes_is_first(const char *name);

/* What the other files of an archive on the host, which lie in dir, are now: sets spec->volumes, and cuts the mode down to what
 * those have who may read them all. */
void volumes_describe(const struct node *dir, const char *name, struct node_spec *spec);

/* Opens the volumes of an archive one of which is own, that of the node; a count of 0: as many as there are from the first on.
 * Reads of the result tell which volume they fail at. 0; -EIO naming a volume that is missing; or why one can't be opened. */
int volumes_open(const struct node *node, struct bytes *own, uint32_t count, struct archive_volumes *ret_volumes, struct err *err);

/* Adds to the words of an archive that can't be read, one of so many pieces, that more may be missing. */
void volumes_explain(const struct node *node, uint32_t count, const struct err *failed, struct err *err);

#endif
