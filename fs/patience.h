/* patience.h - how long somebody waits: for ever, or until a question is answered with true. */
#ifndef PIXFS_PATIENCE_H
#define PIXFS_PATIENCE_H

#include <stdbool.h>
#include <stddef.h>

/* NULL, or give_up NULL: for ever. give_up is asked now and then; true ends the wait with -EINTR. */
struct patience {
	bool (*give_up)(void *context);
	void *context;
};

static inline bool patience_is_over(const struct patience *patience)
{
	return patience && patience->give_up && patience->give_up(patience->context);
}

#endif
