/* opened.h - what the kernel has open, by its number.
 *
 * The kernel may end a session without the releases it owes (a lazy unmount does): so what is open is kept here. And it takes an
 * inode's opens in one way at a time (passthrough.h): as long as one reads through requests all others do, and the other way
 * round. Thread-safe.
 */
#ifndef PIXFS_OPENED_H
#define PIXFS_OPENED_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/open/handle.h"
#include "fs/tree/tree.h"

enum opened_way { OPENED_BY_REQUESTS, OPENED_BACKED };

struct opened {
	struct opened *next, **link;
	uint64_t id;
	enum opened_way way;     /* of a file */
	struct handle *handle;   /* a file, or */
	struct listing *listing; /* a directory */
};

/* False while somebody has it open through requests: making a backing file would be in vain. */
bool opened_may_be_backed(uint64_t id);

/* What is known of a file that is open, where its place can't be asked any more: of a plain file as fstat says, of others the size.
 * False: nobody has it open. */
bool opened_stat(uint64_t id, struct stat *ret_stat);

/* Takes the handle over, also on failure; decides how it is read. -ENOMEM, or -ESTALE: it is open with another backing file. */
int opened_add_file(uint64_t id, struct handle *handle, struct opened **ret_opened);
int opened_add_listing(uint64_t id, struct listing *listing, struct opened **ret_opened);

void opened_close(struct opened *opened); /* and what it holds */
void opened_close_all(void);

/* Whether anything is open now. *ret_total: how many opens there have been. */
bool opened_any(uint64_t *ret_total);

#endif
