/* stack_use.c - what is asked before a stack is opened: whether it is still right, and whether the caller may read all of it. The
 * same loop serves both, as both look at every member. */
#include "stack_inner.h"

#include <errno.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/source/walk.h"

enum { ASK_EVERY = 256 };

/* ---- rights ---- */

/* A directory must let the caller enter, and read as the list tells its names; a file that is an archive, read. */
static int check_dir(const struct node *dir, struct caller *caller, unsigned wanted, struct err *err)
{
	const struct node *host = node_on_host(dir);
	struct stat st;
	int rc = walk_stat(host, &st, err);
	if (rc)
		return rc;
	return caller_may(caller, &st, S_ISDIR(st.st_mode) ? wanted : 4) ? 0 : err_set(err, -EACCES, "not all of it may be read");
}

/* And all above it. */
static int check_way(const struct node *dir, struct caller *caller, struct err *err)
{
	int rc = check_dir(dir, caller, 4 | 1, err);
	for (const struct node *up = node_on_host(dir)->parent; up && !up->shows_file && rc == 0; up = up->parent)
		rc = check_dir(up, caller, 1, err);
	return rc;
}

/* Directories below the first are ones of the list, or archives that were found there. */
static int check_dirs(const struct members *members, struct caller *caller, struct err *err)
{
	int rc = caller && members->ndirs ? check_way(members->dirs[0].node, caller, err) : 0;
	for (size_t i = 1; caller && i < members->ndirs && rc == 0; i++)
		rc = check_dir(members->dirs[i].node, caller, 4 | 1, err);
	return rc;
}

/* ---- versions and rights of members ---- */

/* What changed under its name on the host is another version, which a look may have found already. */
static int check_member(struct stack *stack, size_t i, struct members_cursor *cursor, struct caller *caller, struct err *err)
{
	const struct members *members = stack->members;
	uint64_t known = config.immutable ? 0 : stack->versions[i];
	struct stat st;
	uint64_t now;
	if (!members->dirs[members->all[i].dir].on_host || (!known && !caller))
		return 0;
	int rc = members_version(cursor, i, &now, &st, err);
	if (rc || (known && now != known))
		return err_set(err, -ESTALE, "%s changed", member_path(members, i));
	return caller_may(caller, &st, 4) ? 0 : err_set(err, -EACCES, "%s may not be read", member_path(members, i));
}

static int check_members(struct stack *stack, struct caller *caller, const struct patience *patience, struct err *err)
{
	struct members_cursor cursor = members_cursor(stack->members);
	int rc = 0;
	for (size_t i = 0; i < stack->members->count && rc == 0; i++) {
		rc = check_member(stack, i, &cursor, caller, err);
		if (i % ASK_EVERY == 0 && patience_is_over(patience))
			rc = err_set(err, -EINTR, "the reader gave up");
	}
	members_cursor_end(&cursor);
	return rc;
}

int stack_may_read(struct stack *stack, struct caller *caller, const struct patience *patience, struct err *err)
{
	int rc = check_dirs(stack->members, caller, err);
	return rc || !caller ? rc : check_members(stack, caller, patience, err);
}

/* ---- opening ---- */

/* The look, and what it found. */
static int judge(struct stack *stack, int rc, const struct patience *patience, struct err *err)
{
	if (rc == 0)
		rc = stack_look(stack, patience, err);
	if (rc == -ESTALE)
		stack_retire(stack);
	if (rc == 0 && stack->look_err.code)
		rc = err_copy(err, &stack->look_err);
	return rc;
}

int stack_use(struct stack *stack, struct caller *caller, const struct patience *patience, struct err *err)
{
	int rc = config.immutable ? 0 : members_check_names(stack->members, err);
	rc = rc ? rc : check_dirs(stack->members, caller, err);
	if (rc == 0 && (caller || !config.immutable))
		rc = check_members(stack, caller, patience, err);
	return judge(stack, rc, patience, err);
}

int stack_use_row(struct stack *stack, uint64_t row, struct caller *caller, const struct patience *patience, struct err *err)
{
	const struct members *members = stack->members;
	uint32_t dir = members->all[row].dir;
	struct members_cursor cursor = members_cursor(members);
	int rc = config.immutable ? 0 : members_check_dir(members, dir, err);
	if (rc == 0 && caller)
		rc = check_way(members->dirs[dir].node, caller, err);
	rc = rc ? rc : check_member(stack, row, &cursor, caller, err);
	members_cursor_end(&cursor);
	return judge(stack, rc, patience, err);
}
