/* helpers.h - threads that have nothing else to do, lent to codecs. A decoder that can do some of its work beside the rest asks for
 * one, and does that work itself where there is none: what it decodes is the same.
 *
 * A helper may wait for who called it, but only as long as that one surely goes on; it ends soon where others want its thread.
 */
#ifndef PIXFS_HELPERS_H
#define PIXFS_HELPERS_H

#include <stdbool.h>

struct codec_helpers {
	/* Has run(context) called soon on such a thread. False: there is none now, and run is not called. */
	bool (*start)(void (*run)(void *context), void *context);
	/* Whether somebody waits for a thread. */
	bool (*are_wanted)(void);
};

/* Before the first decode; the struct stays the caller's. Without this, or with NULL, there are none. */
void codec_lend_helpers(const struct codec_helpers *helpers);

/* For codecs: as codec_helpers. */
bool helpers_start(void (*run)(void *context), void *context);
bool helpers_are_wanted(void);

#endif
