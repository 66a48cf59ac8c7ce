/* helpers.c - see helpers.h. */
#include "helpers.h"

#include <stddef.h>

static const struct codec_helpers *lent;

void codec_lend_helpers(const struct codec_helpers *helpers)
{
	lent = helpers;
}

bool helpers_start(void (*run)(void *context), void *context)
{
	return lent && lent->start(run, context);
}

bool helpers_are_wanted(void)
{
	return lent && lent->are_wanted();
}
