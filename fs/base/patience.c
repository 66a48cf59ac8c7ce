/* patience.c - see patience.h. */
#include "patience.h"

static _Thread_local const struct patience *of_thread;

const struct patience *patience_set_of_thread(const struct patience *patience)
{
	const struct patience *before = of_thread;
	of_thread = patience;
	return before;
}

const struct patience *patience_of_thread(void)
{
	return of_thread;
}
