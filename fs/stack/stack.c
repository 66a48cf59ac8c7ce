/* stack.c - the table of stacks: names, life, versions. What the headers say: stack_look.c; a row: stack_row.c; reading:
 * stack_read.c; texts: stack_text.c. */
#include "stack_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/base/pool.h"

enum { MAX_IDLE = 64 };

static struct {
	pthread_mutex_t lock;
	struct stack *newest, *oldest;
	unsigned count;
	uint32_t next_serial;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_serial = 1};

/* ---- life ---- */

static void stack_free(struct stack *stack)
{
	cache_group_drop(&stack->pieces);
	cache_reserve(-(int64_t)stack->memory_bytes);
	members_unref(stack->members);
	free(stack->canonical);
	free(stack->path);
	free((void *)stack->states);
	free(stack->shapes);
	free((void *)stack->versions);
	free((void *)stack->prefetched);
	free(stack->distinct);
	free(stack->distinct_table);
	pthread_mutex_destroy(&stack->lock);
	pthread_cond_destroy(&stack->looked);
	free(stack);
}

static struct stack *stack_new(struct members *members, const struct stack_name *name)
{
	struct stack *stack = calloc(1, sizeof *stack);
	if (!stack)
		return NULL;
	size_t n = members->count + 1;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&stack->lock, NULL);
	pthread_cond_init(&stack->looked, &attributes);
	pthread_condattr_destroy(&attributes);
	cache_group_init(&stack->pieces);
	stack->refs = 1;
	stack->name = *name;
	stack->states = calloc(n, sizeof *stack->states);
	stack->shapes = calloc(n, sizeof *stack->shapes);
	stack->versions = calloc(n, sizeof *stack->versions);
	if (!stack->states || !stack->shapes || !stack->versions) {
		stack_free(stack);
		return NULL;
	}
	char path[4096];
	node_path(members->dirs[0].node, path, sizeof path);
	stack->path = strdup(path);
	if (!stack->path) {
		stack_free(stack);
		return NULL;
	}
	stack->members = members;
	stack->memory_bytes = sizeof *stack + n * (sizeof *stack->states + sizeof *stack->shapes + sizeof *stack->versions);
	cache_reserve((int64_t)stack->memory_bytes);
	return stack;
}

/* With the lock held. */
static void table_remove(struct stack *stack)
{
	*(stack->newer ? &stack->newer->older : &table.newest) = stack->older;
	*(stack->older ? &stack->older->newer : &table.oldest) = stack->newer;
	stack->current = false;
	table.count--;
}

static void table_add(struct stack *stack)
{
	stack->older = table.newest;
	stack->newer = NULL;
	*(table.newest ? &table.newest->newer : &table.oldest) = stack;
	table.newest = stack;
	stack->current = true;
	table.count++;
}

/* One more reference on a current one; it becomes the one used last. */
static void use(struct stack *stack)
{
	stack->refs++;
	table_remove(stack);
	table_add(stack);
}

struct stack *stack_ref(struct stack *stack)
{
	pthread_mutex_lock(&table.lock);
	stack->refs++;
	pthread_mutex_unlock(&table.lock);
	return stack;
}

/* Of one that nobody has: with its part of a list that others may share. */
static uint64_t idle_bytes(const struct stack *stack)
{
	return stack->refs ? 0 : stack->memory_bytes + stack->members->memory_bytes / atomic_load(&stack->members->refs);
}

/* A current one stays without references, up to so many, and so many bytes of all. The last used stays in any case: who asks for a
 * size opens it next. */
static struct stack *surplus(void)
{
	uint64_t all_bytes = 0;
	for (const struct stack *stack = table.newest; stack; stack = stack->older)
		all_bytes += idle_bytes(stack);
	bool too_many = table.count > MAX_IDLE || all_bytes > config.cache_bytes / 8;
	struct stack *stack = too_many ? table.oldest : NULL;
	while (stack && stack->refs)
		stack = stack->newer;
	if (!stack || stack == table.newest)
		return NULL;
	table_remove(stack);
	return stack;
}

void stack_unref(struct stack *stack)
{
	if (!stack)
		return;
	pthread_mutex_lock(&table.lock);
	struct stack *dead = --stack->refs == 0 && !stack->current ? stack : NULL;
	bool idle = stack->refs == 0 && !dead;
	pthread_mutex_unlock(&table.lock);
	while (dead || idle) {
		if (dead)
			stack_free(dead);
		pthread_mutex_lock(&table.lock);
		dead = idle ? surplus() : NULL;
		pthread_mutex_unlock(&table.lock);
		idle = dead != NULL;
	}
}

void stack_stop(void)
{
	while (table.oldest) {
		struct stack *stack = table.oldest;
		table_remove(stack);
		stack_free(stack);
	}
}

void stack_retire(struct stack *stack)
{
	pthread_mutex_lock(&table.lock);
	if (stack->current)
		table_remove(stack);
	pthread_mutex_unlock(&table.lock);
}

struct stack *stack_find(uint32_t serial)
{
	pthread_mutex_lock(&table.lock);
	struct stack *stack = table.newest;
	while (stack && stack->serial != serial)
		stack = stack->older;
	if (stack)
		use(stack);
	pthread_mutex_unlock(&table.lock);
	return stack;
}

/* ---- names ---- */

static const struct {
	const char *extension;
	enum stack_form form;
	const char *member_extension;
} forms[] = {
	{"npy", STACK_NPY, "npy"}, {"f32", STACK_RAW, "f32"},   {"f16", STACK_RAW, "f16"},   {"u8", STACK_RAW, "u8"},
	{"u16", STACK_RAW, "u16"}, {"zarr", STACK_ZARR, "npy"}, {"json", STACK_JSON, "npy"}, {"jsonl", STACK_JSONL, "npy"},
};

static int find_form(const char *name)
{
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < sizeof forms / sizeof *forms; i++)
		if (strcmp(dot + 1, forms[i].extension) == 0)
			return (int)i;
	return -1;
}

enum stack_form stack_form_of(const char *name)
{
	int form = find_form(name);
	return form < 0 ? STACK_RAW : forms[form].form;
}

/* Takes the operation fill= out of a spec. */
static void take_fill(char *spec, char ret_fill[STACK_MAX_NAME_BYTES + 1])
{
	char *at = strncmp(spec, "fill=", 5) == 0 ? spec : strstr(spec, ",fill=");
	if (!at)
		return;
	char *value = strchr(at, '=') + 1, *end = value + strcspn(value, ",");
	snprintf(ret_fill, STACK_MAX_NAME_BYTES + 1, "%.*s", (int)(end - value), value);
	if (at == spec && *end)
		end++;
	memmove(at, end, strlen(end) + 1);
}

static int parse_name(const char *text, struct stack_name *ret_name, enum stack_form *ret_form)
{
	static const char word[] = "recursive,";
	char spec[STACK_MAX_NAME_BYTES + 1];
	int form = find_form(text);
	if (form < 0 || strlen(text) > STACK_MAX_NAME_BYTES)
		return -ENOENT;
	*ret_name = (struct stack_name){.recursive = strncmp(text, word, sizeof word - 1) == 0};
	if (ret_name->recursive)
		text += sizeof word - 1;
	snprintf(spec, sizeof spec, "%.*s", (int)(strrchr(text, '.') - text), text);
	bool fills = strstr(spec, "fill=") != NULL;
	take_fill(spec, ret_name->fill);
	snprintf(ret_name->spec, sizeof ret_name->spec, "%s.%s", fills && !*spec ? "pixels" : spec, forms[form].member_extension);
	*ret_form = forms[form].form;
	return 0;
}

/* ---- making and finding ---- */

static uint64_t timeout_ns(void)
{
	return (uint64_t)(config.timeout_s * 1e9);
}

/* A known stack of that directory, kind and spec. One reference. */
static struct stack *table_find(const struct node *dir, const struct stack_name *name)
{
	pthread_mutex_lock(&table.lock);
	struct stack *stack = table.newest;
	while (stack && (stack->members->dirs[0].node != dir || stack->name.recursive != name->recursive ||
			 strcmp(stack->name.spec, name->spec) != 0 || strcmp(stack->name.fill, name->fill) != 0))
		stack = stack->older;
	if (stack)
		use(stack);
	pthread_mutex_unlock(&table.lock);
	return stack;
}

/* Whether the names are still right, asked no more often than attributes are. */
static bool names_are_right(struct stack *stack)
{
	struct err ignored = ERR_NONE;
	uint64_t now = pool_now_ns();
	pthread_mutex_lock(&table.lock);
	bool fresh = stack->checked_ns && now - stack->checked_ns < timeout_ns();
	pthread_mutex_unlock(&table.lock);
	if (fresh || config.immutable)
		return true;
	if (members_check_names(stack->members, &ignored))
		return false;
	pthread_mutex_lock(&table.lock);
	stack->checked_ns = now;
	pthread_mutex_unlock(&table.lock);
	return true;
}

/* The list of another stack of that directory and kind, whose names are still right; NULL: there is none. */
static struct members *shared_members(const struct node *dir, bool recursive)
{
	struct members *members = NULL;
	struct err ignored = ERR_NONE;
	pthread_mutex_lock(&table.lock);
	for (struct stack *stack = table.newest; stack && !members; stack = stack->older)
		if (stack->members->dirs[0].node == dir && stack->members->recursive == recursive)
			members = members_ref(stack->members);
	pthread_mutex_unlock(&table.lock);
	if (members && !config.immutable && members_check_names(members, &ignored)) {
		members_unref(members);
		members = NULL;
	}
	return members;
}

/* Whether a stack that has no rows, for row_err, may have texts of that form: an index, or a JSON that says why. */
static bool has_text(const struct stack *stack, enum stack_form form)
{
	int code = stack->row_err.code;
	bool cant_be = code == -EINVAL || code == -EFBIG;
	return form == STACK_JSON    ? cant_be
	       : form == STACK_JSONL ? code != -EINTR && code != -ENOMEM && (code != -ENOENT || !stack->members->count)
				     : false;
}

static int make(struct node *dir, const struct stack_name *name, enum stack_form form, const struct patience *patience,
		struct stack **ret_stack, struct err *err)
{
	uint64_t now = pool_now_ns();
	struct members *members = shared_members(dir, name->recursive);
	int rc = members ? 0 : members_list(dir, name->recursive, patience, &members, err);
	if (rc)
		return rc;
	struct stack *stack = stack_new(members, name);
	if (!stack) {
		members_unref(members);
		return err_set(err, -ENOMEM, "no memory for the stack");
	}
	stack->checked_ns = now;
	rc = stack_find_row(stack, patience, &stack->row_err);
	if (rc && !has_text(stack, form)) {
		err_copy(err, &stack->row_err);
		stack_free(stack);
		return rc;
	}
	pthread_mutex_lock(&table.lock);
	stack->serial = table.next_serial++;
	table_add(stack);
	pthread_mutex_unlock(&table.lock);
	*ret_stack = stack;
	return 0;
}

int stack_get(struct node *dir, const char *name, const struct patience *patience, struct stack **ret_stack,
	      enum stack_form *ret_form, struct err *err)
{
	struct stack_name parsed;
	int rc = parse_name(name, &parsed, ret_form);
	if (rc)
		return err_set(err, rc, "no stack has such an extension");
	struct stack *known = table_find(dir, &parsed);
	if (known && names_are_right(known) && (known->row_bytes || has_text(known, *ret_form))) {
		*ret_stack = known;
		return 0;
	}
	if (known) {
		stack_retire(known);
		stack_unref(known);
	}
	return make(dir, &parsed, *ret_form, patience, ret_stack, err);
}

uint32_t stack_serial(const struct stack *stack)
{
	return stack->serial;
}

uint64_t stack_bytes(const struct stack *stack)
{
	return stack->row_bytes * stack->members->count;
}

uint64_t stack_row_bytes(const struct stack *stack)
{
	return stack->row_bytes;
}

const unsigned char *stack_npy_header(const struct stack *stack)
{
	return stack->npy;
}
