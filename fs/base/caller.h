/* caller.h - who asks for something, where the kernel can't judge what he may see: a list over many files. */
#ifndef PIXFS_CALLER_H
#define PIXFS_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

/* NULL in place of a caller: he may read all (this process itself, its user, root). One thread. */
struct caller {
	uint32_t uid, gid;
	/* Writes up to `room` of the supplementary groups; how many there are, or a negative number: nobody knows, none counts. */
	int (*get_groups)(void *context, int room, gid_t *ret_groups);
	void *context;
	gid_t *groups; /* asked for when they are first needed */
	int ngroups;
	bool knows_groups;
};

static inline void caller_end(struct caller *caller)
{
	free(caller->groups);
	caller->groups = NULL;
}

static inline void caller_learn_groups(struct caller *caller)
{
	int n = caller->get_groups(caller->context, 0, NULL);
	caller->knows_groups = true;
	caller->groups = n > 0 ? malloc((size_t)n * sizeof *caller->groups) : NULL;
	int got = caller->groups ? caller->get_groups(caller->context, n, caller->groups) : 0;
	caller->ngroups = got < n ? got : n;
}

static inline bool caller_is_in(struct caller *caller, gid_t gid)
{
	if (caller->gid == gid)
		return true;
	if (!caller->knows_groups)
		caller_learn_groups(caller);
	for (int i = 0; i < caller->ngroups; i++)
		if (caller->groups[i] == gid)
			return true;
	return false;
}

/* Whether the mode bits let him: wanted is made of 4 (read) and 1 (enter). Of an access control list only its mask is seen, which
 * stands in the group's bits. */
static inline bool caller_may(struct caller *caller, const struct stat *st, unsigned wanted)
{
	unsigned mode = st->st_mode & 0777;
	if (!caller)
		return true;
	if (caller->uid == st->st_uid)
		return (mode >> 6 & wanted) == wanted;
	/* the groups are asked for only where they decide */
	bool as_group = (mode >> 3 & wanted) == wanted, as_other = (mode & wanted) == wanted;
	return as_group == as_other ? as_group : caller_is_in(caller, st->st_gid) ? as_group : as_other;
}

#endif
