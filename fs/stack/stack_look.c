/* stack_look.c - what the headers of a stack's members say: read once, in parallel, remembered in a few bytes each. */
#include "stack_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/base/config.h"
#include "fs/base/pool.h"
#include "fs/base/status.h"

enum { LOOK_BLOCK = 16, ASK_EVERY = 256, MAX_TASKS = 64 };

/* ---- shapes ---- */

bool stack_same_shape(const struct stack_shape *a, const struct stack_shape *b)
{
	bool same = a->ndim == b->ndim && a->dtype == b->dtype;
	for (uint32_t i = 0; same && i < a->ndim; i++)
		same = a->shape[i] == b->shape[i];
	return same;
}

static size_t shape_slot(const struct stack *stack, const struct stack_shape *shape, size_t room)
{
	uint64_t h = shape->ndim;
	for (uint32_t i = 0; i < shape->ndim; i++)
		h = (h ^ shape->shape[i]) * 0x9e3779b97f4a7c15u;
	size_t slot = (size_t)(h >> 32) & (room - 1);
	while (stack->distinct_table[slot] && !stack_same_shape(&stack->distinct[stack->distinct_table[slot] - 1], shape))
		slot = (slot + 1) & (room - 1);
	return slot;
}

static bool grow_shapes(struct stack *stack)
{
	uint32_t room = stack->distinct_room ? stack->distinct_room * 2 : 16;
	struct stack_shape *distinct = realloc(stack->distinct, room * sizeof *distinct);
	if (!distinct)
		return false;
	stack->distinct = distinct;
	uint32_t *slots = calloc((size_t)room * 2, sizeof *slots);
	if (!slots)
		return false;
	free(stack->distinct_table);
	stack->distinct_table = slots;
	stack->distinct_room = room;
	for (uint32_t i = 0; i < stack->ndistinct; i++)
		slots[shape_slot(stack, &distinct[i], (size_t)room * 2)] = i + 1;
	return true;
}

/* The number of that shape; UINT32_MAX: no memory. With stack->lock held. */
static uint32_t intern_shape(struct stack *stack, const struct stack_shape *shape)
{
	if (stack->ndistinct == stack->distinct_room && !grow_shapes(stack))
		return UINT32_MAX;
	size_t slot = shape_slot(stack, shape, (size_t)stack->distinct_room * 2);
	if (!stack->distinct_table[slot]) {
		stack->distinct[stack->ndistinct++] = *shape;
		stack->distinct_table[slot] = stack->ndistinct;
	}
	return stack->distinct_table[slot] - 1;
}

/* ---- one member ---- */

struct stack_shape stack_shape_of(const struct view_info *info)
{
	struct stack_shape shape = {.ndim = info->ndim, .dtype = info->dtype};
	for (uint32_t i = 0; i < info->ndim; i++)
		shape.shape[i] = info->shape[i];
	return shape;
}

bool stack_cant_be_decoded(const struct err *err)
{
	int code = err->code;
	return code == -EACCES || code == -EPERM ||
	       (!err_is_passing(err) && (code == -EIO || code == -EFBIG || code == -EOPNOTSUPP));
}

int stack_compile(const struct stack *stack, struct image *image, struct picture *ret_picture, struct view **ret_view,
		  struct err *err)
{
	*ret_picture = picture_default(image_pictures(image), image_header(image), 0);
	return view_compile(ret_picture, stack->name.spec, ret_view, err);
}

/* Looks at a header: its state, its view's shape. The view, if the caller wants it, is the caller's. 0, or an error that the next
 * look may not meet; then it stays unseen. */
static int examine(struct stack *stack, size_t i, struct view **ret_view, struct err *err)
{
	struct image *image;
	struct picture picture;
	struct view *view = NULL;
	struct err header_err = ERR_NONE, view_err = ERR_NONE;
	uint64_t version = 0;
	int rc = members_open(stack->members, i, &version, &image, &header_err);
	if (rc && !stack_cant_be_decoded(&header_err))
		return err_copy(err, &header_err);
	bool broken = rc || picture_default(image_pictures(image), image_header(image), 0).part->unsupported;
	int impossible = rc ? 0 : stack_compile(stack, image, &picture, &view, &view_err);
	if (impossible == -ENOMEM)
		rc = err_copy(err, &view_err);
	uint32_t shape = 0;
	pthread_mutex_lock(&stack->lock);
	if (view) {
		struct stack_shape own = stack_shape_of(view_info(view));
		shape = intern_shape(stack, &own);
	}
	if (impossible != -ENOMEM && shape != UINT32_MAX) {
		stack->versions[i] = version;
		stack->shapes[i] = view ? shape : UINT32_MAX;
		stack->states[i] = broken ? MEMBER_BROKEN : impossible ? MEMBER_IMPOSSIBLE : MEMBER_GOOD;
		rc = 0;
	}
	pthread_mutex_unlock(&stack->lock);
	if (shape == UINT32_MAX)
		rc = err_set(err, -ENOMEM, "no memory for the shapes");
	if (header_err.code == 0)
		image_unref(image);
	if (rc == 0 && impossible && ret_view)
		err_copy(err, &view_err); /* why there is none */
	if (ret_view && rc == 0)
		*ret_view = view;
	else
		view_free(view);
	return rc;
}

/* ---- making one ---- */

int stack_examine(struct stack *stack, size_t i, struct err *err)
{
	return stack->states[i] == MEMBER_UNSEEN ? examine(stack, i, NULL, err) : 0;
}

/* From the view of the first good member. */
static int set_row(struct stack *stack, const struct view_info *info, struct err *err)
{
	stack->row = stack_shape_of(info);
	stack->row_header_bytes = info->header_bytes;
	stack->row_bytes = info->nbytes - info->header_bytes;
	snprintf(stack->axes, sizeof stack->axes, "%s", info->axes);
	const char *fill = stack->name.fill;
	if (asprintf(&stack->canonical, "%s%s%s", info->spec, *fill ? ",fill=" : "", fill) < 0) {
		stack->canonical = NULL;
		return err_set(err, -ENOMEM, "no memory for the stack");
	}
	int rc = stack_set_filler(stack, err);
	if (rc)
		stack->row_bytes = 0;
	if (rc)
		return rc;
	if (stack->row_bytes > INT64_MAX / 2 / (stack->members->count + 1))
		return err_set(err, -EFBIG, "the stack would have more than 2^62 bytes");
	uint64_t shape[4] = {stack->members->count};
	memcpy(shape + 1, stack->row.shape, stack->row.ndim * sizeof *shape);
	npy_header(stack->row.dtype, stack->row.ndim + 1, shape, stack->npy);
	return 0;
}

/* The shape that all must have. */
int stack_find_row(struct stack *stack, const struct patience *patience, struct err *err)
{
	struct err first = ERR_NONE;
	for (size_t i = 0; i < stack->members->count; i++) {
		struct view *view = NULL;
		struct err own = ERR_NONE;
		int rc = examine(stack, i, &view, &own);
		if (rc)
			return err_copy(err, &own);
		if (view) {
			rc = set_row(stack, view_info(view), err);
			view_free(view);
			return rc;
		}
		if (stack->states[i] == MEMBER_IMPOSSIBLE)
			return err_set(err, own.code, "%s: %s", member_path(stack->members, i), own.text);
		err_copy(&first, &own);
		if (i % ASK_EVERY == 0 && patience_is_over(patience))
			return err_set(err, -EINTR, "the reader gave up");
	}
	return err_set(err, stack->members->count ? -EIO : -ENOENT,
		       stack->members->count ? "no image here can be read" : "there is no image here");
}

/* ---- the look ---- */

/* One look at all members under way: shared by its tasks, on the stack of who waits for it. */
struct look {
	struct stack *stack;
	int (*each)(struct stack *stack, size_t i, struct err *err);
	atomic_size_t next;
	atomic_bool ended;
	unsigned running; /* under stack->lock */
	struct err err;   /* the first, under stack->lock */
};

struct look_task {
	struct pool_task task;
	struct look *look;
};

static void look_run(struct pool_task *task)
{
	struct look *look = ((struct look_task *)task)->look;
	struct stack *stack = look->stack;
	struct err err = ERR_NONE;
	while (!err.code && !atomic_load(&look->ended)) {
		size_t from = atomic_fetch_add(&look->next, LOOK_BLOCK);
		if (from >= stack->members->count)
			break;
		for (size_t i = from; i < from + LOOK_BLOCK && i < stack->members->count && !err.code; i++)
			look->each(stack, i, &err);
		if (pool_is_contended() && !err.code) {
			pool_submit(task, POOL_MEMBER);
			return;
		}
	}
	pthread_mutex_lock(&stack->lock);
	if (err.code) {
		err_copy(&look->err, &err);
		atomic_store(&look->ended, true);
	}
	look->running--;
	pthread_cond_broadcast(&stack->looked);
	pthread_mutex_unlock(&stack->lock);
}

static void print_shape(const struct stack_shape *shape, char ret[80])
{
	size_t len = 0;
	for (uint32_t i = 0; i < shape->ndim; i++)
		len += (size_t)snprintf(ret + len, 80 - len, "%s%" PRIu64, i ? ", " : "", shape->shape[i]);
}

/* The first member that doesn't fit; with the lock held. */
static void find_misfit(struct stack *stack)
{
	const struct members *members = stack->members;
	char own[80], all[80];
	for (size_t i = 0; i < members->count; i++) {
		const struct stack_shape *shape = stack->shapes[i] == UINT32_MAX ? NULL : &stack->distinct[stack->shapes[i]];
		if (stack->states[i] == MEMBER_IMPOSSIBLE) {
			struct err why = ERR_NONE;
			stack_member_error(stack, i, &why);
			err_set(&stack->look_err, -EINVAL, "%s: %s", member_path(members, i), why.text);
			return;
		}
		if (!shape || stack_same_shape(shape, &stack->row))
			continue;
		print_shape(shape, own);
		print_shape(&stack->row, all);
		err_set(&stack->look_err, -EINVAL, "%s has shape (%s), the first (%s)%s: a stack needs one shape, give a size",
			member_path(members, i), own, all, shape->dtype == stack->row.dtype ? "" : " and another sample type");
		return;
	}
}

/* With the lock held. */
static void judge(struct stack *stack)
{
	char path[4096 + STACK_MAX_NAME_BYTES + 32];
	find_misfit(stack);
	if (!stack->look_err.code || !stack->row_bytes)
		return;
	snprintf(path, sizeof path, "%s%s.pixfs/stack/%s", stack->path, *stack->path ? "/" : "", stack->name.spec);
	status_report(path, stack->look_err.code, "stack", stack->look_err.text);
}

/* Starts the tasks and waits for all of them; with the lock held. */
static int run_look(struct stack *stack, int (*each)(struct stack *stack, size_t i, struct err *err),
		    const struct patience *patience, struct err *err)
{
	struct look look = {.stack = stack, .each = each};
	struct look_task tasks[MAX_TASKS];
	unsigned n = config.threads < MAX_TASKS ? config.threads : MAX_TASKS;
	look.running = n;
	pthread_mutex_unlock(&stack->lock);
	for (unsigned i = 0; i < n; i++) {
		tasks[i] = (struct look_task){{.run = look_run}, &look};
		pool_submit(&tasks[i].task, POOL_MEMBER);
	}
	pthread_mutex_lock(&stack->lock);
	while (look.running) {
		patience_nap(&stack->looked, &stack->lock);
		pthread_mutex_unlock(&stack->lock);
		bool over = patience_is_over(patience);
		pthread_mutex_lock(&stack->lock);
		if (over) {
			err_set(&look.err, -EINTR, "the reader gave up");
			atomic_store(&look.ended, true);
		}
	}
	return look.err.code ? err_copy(err, &look.err) : 0;
}

/* Waits until no look is under way; with the lock held. */
static int wait_for_look(struct stack *stack, const struct patience *patience, struct err *err)
{
	int rc = 0;
	while (stack->looking && rc == 0) {
		patience_nap(&stack->looked, &stack->lock);
		pthread_mutex_unlock(&stack->lock);
		if (patience_is_over(patience))
			rc = err_set(err, -EINTR, "the reader gave up");
		pthread_mutex_lock(&stack->lock);
	}
	return rc;
}

int stack_look(struct stack *stack, const struct patience *patience, struct err *err)
{
	pthread_mutex_lock(&stack->lock);
	int rc = wait_for_look(stack, patience, err);
	if (rc == 0 && !stack->look_is_done) {
		stack->looking = true;
		rc = run_look(stack, stack_examine, patience, err);
		stack->looking = false;
		stack->look_is_done = rc == 0;
		if (rc == 0)
			judge(stack);
		pthread_cond_broadcast(&stack->looked);
	}
	pthread_mutex_unlock(&stack->lock);
	return rc;
}

int stack_check(struct stack *stack, const struct patience *patience, struct err *err)
{
	pthread_mutex_lock(&stack->lock);
	int rc = wait_for_look(stack, patience, err);
	if (rc == 0) {
		stack->looking = true;
		rc = run_look(stack, stack_check_member, patience, err);
		stack->looking = false;
		pthread_cond_broadcast(&stack->looked);
	}
	pthread_mutex_unlock(&stack->lock);
	return rc;
}
