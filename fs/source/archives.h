/* archives.h - the indexes of archives that are open: one for each version of an archive, shared by its nodes and by the images
 * known of it, also after the kernel forgot the one and looked the other up anew. */
#ifndef PIXFS_ARCHIVES_H
#define PIXFS_ARCHIVES_H

#include <stdint.h>

#include "fs/source/zip/zip.h"

/* Which version of which archive: the host file's identity, or the number of the archive that it lies in and its entry there. */
struct archive_key {
	uint64_t words[5];
};

/* The open archive of that key, one reference, and its number, unique in this process; NULL where there is none. */
struct archive *archives_find(const struct archive_key *key, uint64_t *ret_serial);
/* Shares an archive that was just opened; where another thread was faster, *archive becomes that one's. Its number, 0: no memory.
 */
uint64_t archives_share(const struct archive_key *key, struct archive **archive);
/* Closes those that nobody uses any more, but for the last used ones, which may be asked for again: as far as a small share of the
 * cache's budget goes. All archives are counted against that budget. */
void archives_sweep(void);
/* Closes all that nobody uses. */
void archives_stop(void);

#endif
