/* view_plan.c - the state that operations work on while a spec is compiled: which channels are shown, what they mean, and
 * the stages so far. */
#include "view_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_LIST = 64 };

void *plan_alloc(struct view_plan *plan, size_t count, size_t size)
{
	void *memory = arena_alloc(&plan->view->arena, count, size);
	if (!memory)
		err_set(plan->err, -ENOMEM, "no memory to compile the view");
	return memory;
}

struct view_stage *plan_top(struct view_plan *plan)
{
	return &plan->view->stages[plan->view->nstages - 1];
}

struct view_stage *plan_push(struct view_plan *plan, enum stage_kind kind)
{
	if (plan->view->nstages == VIEW_MAX_STAGES) {
		err_set(plan->err, -EINVAL, "too many operations: a view has at most %d steps", VIEW_MAX_STAGES);
		return NULL;
	}
	const struct view_stage *before = plan_top(plan);
	struct view_stage *stage = &plan->view->stages[plan->view->nstages++];
	stage->kind = (uint8_t)kind;
	stage->width = before->width;
	stage->height = before->height;
	stage->nchannels = before->nchannels;
	return stage;
}

/* ---- changing what is shown ---- */

int plan_show(struct view_plan *plan, const struct view_channel *channels, uint32_t n)
{
	struct view_channel *copy = plan_alloc(plan, n, sizeof *copy);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, channels, n * sizeof *copy);
	plan->channels = copy;
	plan->nchannels = n;
	plan->nextra = 0;
	plan->alpha = plan_find_role(plan, ROLE_A) < 0 ? ALPHA_NONE : plan->association;
	if (plan->native)
		plan_settle_native(plan);
	return 0;
}

static bool same_expr(const struct pixel_expr *a, const struct pixel_expr *b)
{
	return a->op == b->op && a->a == b->a && a->b == b->b && a->c == b->c && a->curve == b->curve && a->weights == b->weights &&
	       memcmp(&a->k0, &b->k0, sizeof a->k0) == 0 && memcmp(&a->k1, &b->k1, sizeof a->k1) == 0;
}

/* The index of expr among the first n of exprs, appended where it isn't there yet. */
static uint32_t expr_place(struct pixel_expr *exprs, uint32_t *n, const struct pixel_expr *expr)
{
	for (uint32_t i = 0; i < *n && i < SMALL_LIST; i++)
		if (same_expr(&exprs[i], expr))
			return i;
	exprs[*n] = *expr;
	return (*n)++;
}

int plan_pixels(struct view_plan *plan, const struct pixel_expr *exprs)
{
	uint32_t n = plan->nchannels + plan->nextra, count = 0;
	struct pixel_expr *own = plan_alloc(plan, n, sizeof *own);
	struct view_stage *stage = own ? plan_push(plan, STAGE_PIXEL) : NULL;
	if (!stage)
		return own ? -EINVAL : -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		plan->channels[i].source = (uint16_t)expr_place(own, &count, &exprs[i]);
	stage->exprs = own;
	stage->nchannels = count;
	return 0;
}

int plan_constant_one(struct view_plan *plan, uint16_t *ret_source)
{
	struct view_stage *top = plan_top(plan);
	uint32_t n = top->nchannels;
	if (top->kind == STAGE_BASE) {
		struct base_channel *channels = plan_alloc(plan, n + 1, sizeof *channels);
		if (!channels)
			return -ENOMEM;
		memcpy(channels, top->base.channels, n * sizeof *channels);
		channels[n] = (struct base_channel){.kind = BASE_CONST, .value = 1.0f};
		top->base.channels = channels;
		top->nchannels++;
		*ret_source = (uint16_t)n;
		return 0;
	}
	struct pixel_expr *exprs = plan_alloc(plan, n + 1, sizeof *exprs);
	struct view_stage *stage = exprs ? plan_push(plan, STAGE_PIXEL) : NULL;
	if (!stage)
		return exprs ? -EINVAL : -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		exprs[i] = pixel_copy((uint16_t)i);
	exprs[n] = (struct pixel_expr){
		.op = PIXEL_CONST, .a = VIEW_NO_CHANNEL, .b = VIEW_NO_CHANNEL, .c = VIEW_NO_CHANNEL, .k0 = 1.0f};
	stage->exprs = exprs;
	stage->nchannels = n + 1;
	*ret_source = (uint16_t)n;
	return 0;
}

/* ---- native ---- */

static const struct codec_plane *native_plane(const struct view_plan *plan, uint32_t i)
{
	const struct base_stage *base = &plan->view->stages[0].base;
	return &base->part->planes[base->channels[plan->channels[i].source].plane];
}

static bool native_is_even(const struct view_plan *plan)
{
	for (uint32_t i = 1; i < plan->nchannels; i++)
		if (native_plane(plan, i)->xsampling != native_plane(plan, 0)->xsampling ||
		    native_plane(plan, i)->ysampling != native_plane(plan, 0)->ysampling)
			return false;
	return true;
}

void plan_settle_native(struct view_plan *plan)
{
	if (plan->moved)
		return;
	const struct codec_level *level = picture_level(plan->picture);
	struct view_stage *stage = &plan->view->stages[0];
	bool even = native_is_even(plan);
	uint32_t ux = even ? native_plane(plan, 0)->xsampling : 1, uy = even ? native_plane(plan, 0)->ysampling : 1;
	stage->base.unit_x = ux;
	stage->base.unit_y = uy;
	stage->width = level->width / ux + (level->width % ux != 0);
	stage->height = level->height / uy + (level->height % uy != 0);
}

int plan_check_grid(struct view_plan *plan)
{
	const struct base_stage *base = &plan->view->stages[0].base;
	for (uint32_t i = 0; plan->native && i < plan->nchannels; i++)
		if (native_plane(plan, i)->xsampling != base->unit_x || native_plane(plan, i)->ysampling != base->unit_y)
			return err_set(plan->err, -EINVAL, "native: the channels are subsampled differently: choose some with ch=");
	return 0;
}
