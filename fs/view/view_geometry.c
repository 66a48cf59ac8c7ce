/* view_geometry.c - the operations on coordinates: regions, flips, turns, sizes.
 *
 * All but the sizes are integer affine maps from an output pixel to the pixel of the stage before it; neighbours are
 * composed into one stage. */
#include "view_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int check_size(struct view_plan *plan, uint64_t width, uint64_t height)
{
	if (width > VIEW_MAX_PIXELS || height > VIEW_MAX_PIXELS || width * height > VIEW_MAX_PIXELS)
		return err_set(plan->err, -EFBIG, "%" PRIu64 " x %" PRIu64 " pixels are more than a view may have (2^31)", width,
			       height);
	return 0;
}

/* first, then second: second's points are first's outputs. */
static struct view_move compose(const struct view_move *first, const struct view_move *second)
{
	return (struct view_move){
		.a = (int8_t)(first->a * second->a + first->b * second->c),
		.b = (int8_t)(first->a * second->b + first->b * second->d),
		.c = (int8_t)(first->c * second->a + first->d * second->c),
		.d = (int8_t)(first->c * second->b + first->d * second->d),
		.x0 = first->a * second->x0 + first->b * second->y0 + first->x0,
		.y0 = first->c * second->x0 + first->d * second->y0 + first->y0,
	};
}

int plan_move(struct view_plan *plan, struct view_move move, uint64_t width, uint64_t height)
{
	struct view_stage *top = plan_top(plan);
	int rc = plan_check_grid(plan);
	if (!rc)
		rc = check_size(plan, width, height);
	if (rc)
		return rc;
	plan->moved = true;
	bool same = move.a == 1 && move.d == 1 && !move.x0 && !move.y0;
	if (same && width == top->width && height == top->height)
		return 0;
	if (top->kind == STAGE_MOVE) {
		top->move = compose(&top->move, &move);
	} else {
		top = plan_push(plan, STAGE_MOVE);
		if (!top)
			return -EINVAL;
		top->move = move;
	}
	top->width = (uint32_t)width;
	top->height = (uint32_t)height;
	plan->view->swaps |= move.b != 0;
	return 0;
}

/* ---- flips and turns ---- */

/* The output shows the source through (a b; c d); the origin follows from the size. */
static int plan_turn(struct view_plan *plan, int8_t a, int8_t b, int8_t c, int8_t d)
{
	const struct view_stage *top = plan_top(plan);
	bool swap = b != 0;
	struct view_move move = {a, b, c, d, 0, 0};
	move.x0 = a + b < 0 ? (int64_t)top->width - 1 : 0;
	move.y0 = c + d < 0 ? (int64_t)top->height - 1 : 0;
	return plan_move(plan, move, swap ? top->height : top->width, swap ? top->width : top->height);
}

int op_flip(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	return strcmp(op->name, "mirror") == 0 ? plan_turn(plan, -1, 0, 0, 1) : plan_turn(plan, 1, 0, 0, -1);
}

/* EXIF 2.32, tag 0x0112: where row 0 and column 0 of the stored picture are seen. */
int op_upright(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op, (void)argument;
	static const int8_t turns[9][4] = {
		{1, 0, 0, 1},   /* 0: not told */
		{1, 0, 0, 1},   /* 1: top, left */
		{-1, 0, 0, 1},  /* 2: top, right: mirrored */
		{-1, 0, 0, -1}, /* 3: bottom, right: turned by 180 degrees */
		{1, 0, 0, -1},  /* 4: bottom, left: upside down */
		{0, 1, 1, 0},   /* 5: left, top: transposed */
		{0, 1, -1, 0},  /* 6: right, top: wants a clockwise quarter turn */
		{0, -1, -1, 0}, /* 7: right, bottom: transposed along the other diagonal */
		{0, -1, 1, 0},  /* 8: left, bottom: wants a counter-clockwise quarter turn */
	};
	uint8_t orientation = plan->picture->header->orientation;
	if (plan->upright || orientation > 8)
		return 0;
	plan->upright = true;
	const int8_t *turn = turns[orientation];
	return plan_turn(plan, turn[0], turn[1], turn[2], turn[3]);
}

/* rot=90 turns counter-clockwise, as numpy's rot90 and Pillow's rotate. */
int op_rot(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	const char *at = argument;
	uint64_t degrees;
	if (!parse_uint(&at, &degrees) || *at || (degrees != 0 && degrees != 90 && degrees != 180 && degrees != 270))
		return err_set(plan->err, -EINVAL, "rot=%s: want 0, 90, 180 or 270", argument);
	switch (degrees) {
	case 90:
		return plan_turn(plan, 0, -1, 1, 0);
	case 180:
		return plan_turn(plan, -1, 0, 0, -1);
	case 270:
		return plan_turn(plan, 0, 1, -1, 0);
	}
	return 0;
}

int op_blender(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	static const struct view_op rgba = {.name = "rgba"};
	int rc = op_select(plan, &rgba, argument);
	plan->flat = true;
	return rc ? rc : plan_turn(plan, 1, 0, 0, -1);
}

/* ---- regions ---- */

static int plan_region(struct view_plan *plan, int64_t x, int64_t y, uint64_t width, uint64_t height)
{
	return plan_move(plan, (struct view_move){1, 0, 0, 1, x, y}, width, height);
}

int op_crop(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	const char *at = argument;
	int64_t x, y;
	uint64_t w, h;
	if (!parse_int(&at, &x) || !parse_char(&at, ':') || !parse_int(&at, &y) || !parse_char(&at, ':') || !parse_uint(&at, &w) ||
	    !parse_char(&at, ':') || !parse_uint(&at, &h) || *at)
		return err_set(plan->err, -EINVAL, "crop=%s: want x:y:width:height", argument);
	int rc = plan_check_grid(plan);
	if (rc)
		return rc;
	const struct view_stage *top = plan_top(plan);
	int64_t right = x + (int64_t)w, bottom = y + (int64_t)h;
	x = x > 0 ? x : 0;
	y = y > 0 ? y : 0;
	right = right < top->width ? right : top->width;
	bottom = bottom < top->height ? bottom : top->height;
	if (x >= right || y >= bottom)
		return err_set(plan->err, -EINVAL, "crop=%s: nothing of the %" PRIu32 " x %" PRIu32 " pixels lies in it", argument,
			       top->width, top->height);
	plan_note(plan, "crop=%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRId64, x, y, right - x, bottom - y);
	return plan_region(plan, x, y, (uint64_t)(right - x), (uint64_t)(bottom - y));
}

/* The display window of an EXR: as large as it is, zeros where there is no data. */
int op_display(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op, (void)argument;
	const struct codec_box *data = &plan->picture->part->data_window, *display = &plan->picture->part->display_window;
	if (plan->moved)
		return err_set(plan->err, -EINVAL, "display must come before other operations on coordinates");
	int rc = plan_check_grid(plan);
	if (rc)
		return rc;
	if (memcmp(data, display, sizeof *data) == 0) {
		plan->moved = true;
		return 0;
	}
	const struct view_stage *base = &plan->view->stages[0];
	if (plan->picture->level != 0 || base->base.unit_x != 1 || base->base.unit_y != 1)
		return err_set(plan->err, -EINVAL, "display: this %s doesn't lie on the grid of the display window",
			       plan->picture->level ? "level" : "channel");
	int64_t width = (int64_t)display->max_x - display->min_x + 1, height = (int64_t)display->max_y - display->min_y + 1;
	if (width < 1 || height < 1)
		return err_set(plan->err, -EINVAL, "display: the display window is empty");
	return plan_region(plan, (int64_t)display->min_x - data->min_x, (int64_t)display->min_y - data->min_y, (uint64_t)width,
			   (uint64_t)height);
}

int op_square(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op, (void)argument;
	int rc = plan_check_grid(plan);
	if (rc)
		return rc;
	const struct view_stage *top = plan_top(plan);
	uint32_t side = top->width < top->height ? top->width : top->height;
	return plan_region(plan, (top->width - side) / 2, (top->height - side) / 2, side, side);
}

/* ---- sizes ---- */

int op_filter(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	if (resize_filter_find(argument, strlen(argument)) < 0)
		return err_set(plan->err, -EINVAL, "filter=%s: want nearest, box, linear, cubic or lanczos3", argument);
	if (plan->filter_seen)
		return err_set(plan->err, -EINVAL, "filter= stands twice");
	plan->filter_seen = true; /* it was read before all operations */
	return 0;
}

/* A RESIZE stage from what the last stage has. */
static int push_resize(struct view_plan *plan, uint32_t width, uint32_t height)
{
	const struct view_stage *before = plan_top(plan);
	struct resize_memory *memory = plan_alloc(plan, 1, sizeof *memory);
	struct view_stage *stage = memory ? plan_push(plan, STAGE_RESIZE) : NULL;
	if (!stage)
		return memory ? -EINVAL : -ENOMEM;
	plan->view->resizes = true;
	stage->resize.memory = memory;
	stage->resize.resize.x = (struct resize_axis){before->width, width, 0};
	stage->resize.resize.y = (struct resize_axis){before->height, height, 0};
	stage->width = width;
	stage->height = height;
	return 0;
}

/* Straight alpha weighs the colour: what can't be seen doesn't bleed into what can. */
static int push_weighed_resize(struct view_plan *plan, uint32_t width, uint32_t height)
{
	bool weighs = plan->alpha == ALPHA_STRAIGHT && !plan_takes_nearest(plan);
	int rc = weighs ? plan_weigh(plan, PIXEL_MUL) : 0;
	if (!rc)
		rc = push_resize(plan, width, height);
	return rc || !weighs ? rc : plan_weigh(plan, PIXEL_UNPREMUL);
}

static int plan_resize(struct view_plan *plan, uint64_t width, uint64_t height)
{
	if (!width || !height)
		return err_set(plan->err, -EINVAL, "a size of 0");
	if (plan->resized)
		return err_set(plan->err, -EINVAL, "a view has one size operation at most");
	int rc = check_size(plan, width, height);
	if (!rc)
		rc = plan_check_grid(plan);
	if (rc)
		return rc;
	plan->resized = plan->moved = true;
	plan_note(plan, "size=%" PRIu64 "x%" PRIu64, width, height);
	const struct view_stage *before = plan_top(plan);
	if (before->width == width && before->height == height)
		return 0;
	return push_weighed_resize(plan, (uint32_t)width, (uint32_t)height);
}

/* value * num / den to the nearest integer, halves up, at least 1. All below 2^41 x 2^31: num is a size of the picture. */
static uint64_t scale(uint64_t value, uint64_t num, uint64_t den)
{
	unsigned __int128 twice = (unsigned __int128)value * num * 2 + den;
	uint64_t scaled = (uint64_t)(twice / (2 * (unsigned __int128)den));
	return scaled ? scaled : 1;
}

/* size=WxH exactly; fit=WxH the largest that fits, long=N and short=N the longer or shorter side, all keeping the ratio. */
int op_size(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	const struct view_stage *top = plan_top(plan);
	uint64_t w = top->width, h = top->height, a, b;
	const char *at = argument;
	bool one = strcmp(op->name, "long") == 0 || strcmp(op->name, "short") == 0;
	if (!parse_uint(&at, &a) || (!one && (!parse_char(&at, 'x') || !parse_uint(&at, &b))) || *at)
		return err_set(plan->err, -EINVAL, "%s=%s: want %s", op->name, argument, one ? "a number" : "WIDTHxHEIGHT");
	if (!a || (!one && !b))
		return err_set(plan->err, -EINVAL, "%s=%s: a size of 0", op->name, argument);
	if (strcmp(op->name, "size") == 0)
		return plan_resize(plan, a, b);
	if (one) /* the other side follows from the one that is given */
		return (w >= h) == (strcmp(op->name, "long") == 0) ? plan_resize(plan, a, scale(a, h, w))
								   : plan_resize(plan, scale(a, w, h), a);
	return (unsigned __int128)a * h <= (unsigned __int128)b * w ? plan_resize(plan, a, scale(a, h, w))
								    : plan_resize(plan, scale(b, w, h), b);
}
