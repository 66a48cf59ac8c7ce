/* view_ops.c - the operations on values: alpha, sample type, normalisation; and the layout. */
#include "view_plan.h"

#include <errno.h>
#include <string.h>

/* ---- alpha ---- */

int op_opaque(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	if (plan_find_role(plan, ROLE_A) < 0 && plan_find_role(plan, ROLE_PACKED) < 0)
		return 0;
	struct view_channel *rest = plan_alloc(plan, plan->nchannels, sizeof *rest);
	if (!rest)
		return -ENOMEM;
	uint32_t n = 0;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (plan->channels[i].role != ROLE_A && plan->channels[i].role != ROLE_PACKED)
			rest[n++] = plan->channels[i];
	return n ? plan_show(plan, rest, n) : err_set(plan->err, -EINVAL, "%s: only alpha is there", op->name);
}

static bool is_ink(uint8_t role)
{
	return role == ROLE_C || role == ROLE_M || role == ROLE_Y || role == ROLE_K;
}

int plan_weigh(struct view_plan *plan, enum pixel_op op)
{
	uint32_t n = plan->nchannels + plan->nextra;
	struct pixel_expr *exprs = plan_alloc(plan, n, sizeof *exprs);
	if (!exprs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int64_t alpha = is_ink(plan->channels[i].role) ? plan_find_role(plan, ROLE_A) : plan_alpha_of(plan, i);
		exprs[i] = pixel_copy(plan->channels[i].source);
		if (alpha < 0)
			continue;
		exprs[i].op = (uint8_t)op;
		exprs[i].b = plan->channels[alpha].source;
	}
	return plan_pixels(plan, exprs);
}

/* packed: those whose fourth channel is no alpha say so. */
int op_packed(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op, (void)argument;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (plan->channels[i].role == ROLE_A)
			plan->channels[i].role = ROLE_PACKED;
	plan->alpha = plan->association = ALPHA_NONE;
	return 0;
}

/* premul (detail ALPHA_PREMULTIPLIED) and straight (ALPHA_STRAIGHT): nothing to do where the colours are that already;
 * where the file doesn't say what they are, the arithmetic is done. */
int op_alpha(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	bool shown = plan_find_role(plan, ROLE_A) >= 0;
	if ((!shown && plan->association == ALPHA_NONE) || plan->association == op->detail)
		return 0;
	plan->association = (uint8_t)op->detail;
	plan->alpha = shown ? plan->association : ALPHA_NONE;
	return plan_weigh(plan, op->detail == ALPHA_PREMULTIPLIED ? PIXEL_MUL : PIXEL_UNPREMUL);
}

static int over_exprs(struct view_plan *plan, uint16_t alpha, const float background[3], struct pixel_expr *exprs)
{
	uint8_t over = plan->alpha == ALPHA_PREMULTIPLIED ? PIXEL_OVER_PREMUL : PIXEL_OVER;
	for (uint32_t i = 0; i < plan->nchannels; i++) {
		const struct view_channel *channel = &plan->channels[i];
		exprs[i] = pixel_copy(channel->source);
		if (!role_is_colour(channel) || channel->role == ROLE_COLOUR)
			continue;
		exprs[i].op = over;
		exprs[i].b = alpha;
		exprs[i].k0 = background[channel->role == ROLE_G ? 1 : channel->role == ROLE_B ? 2 : 0];
	}
	return plan_pixels(plan, exprs);
}

/* over=R:G:B: composited over that colour, given as values at this point; alpha goes. Gray over a colour becomes RGB. */
int op_over(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	const char *at = argument;
	float background[3];
	if (!parse_decimal(&at, &background[0]) || !parse_char(&at, ':') || !parse_decimal(&at, &background[1]) ||
	    !parse_char(&at, ':') || !parse_decimal(&at, &background[2]) || *at)
		return err_set(plan->err, -EINVAL, "over=%s: want three numbers R:G:B", argument);
	int64_t alpha = plan_find_role(plan, ROLE_A);
	if (alpha < 0)
		return 0;
	uint16_t source = plan->channels[alpha].source;
	uint8_t mode = plan->alpha;
	int64_t gray = plan_find_role(plan, ROLE_GRAY);
	int rc;
	if (gray >= 0 && (background[0] != background[1] || background[1] != background[2])) {
		uint16_t y = plan->channels[gray].source;
		bool data = plan->channels[gray].data;
		struct view_channel rgb[3] = {{"R", y, ROLE_R, data}, {"G", y, ROLE_G, data}, {"B", y, ROLE_B, data}};
		rc = plan_show(plan, rgb, 3);
	} else {
		rc = op_opaque(plan, op, argument);
	}
	struct pixel_expr *exprs = rc ? NULL : plan_alloc(plan, plan->nchannels, sizeof *exprs);
	if (!exprs)
		return rc ? rc : -ENOMEM;
	plan->alpha = mode;
	rc = over_exprs(plan, source, background, exprs);
	plan->alpha = plan->association = ALPHA_NONE;
	return rc;
}

/* ---- layout and sample type ---- */

int op_layout(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	if (strcmp(op->name, "squeeze") == 0)
		plan->squeeze = true;
	else
		plan->chw = true;
	return 0;
}

int op_type(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	if (plan->native)
		return err_set(plan->err, -EINVAL, "%s: native keeps the stored sample type", op->name);
	if (plan->typed && plan->type != op->detail)
		return err_set(plan->err, -EINVAL, "%s: the sample type was chosen already", op->name);
	plan->typed = true;
	plan->type = (uint8_t)op->detail;
	return 0;
}

/* range=LO:HI: (x - LO) / (HI - LO) of all channels but alpha; HI may be the lower one. */
int op_range(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	const char *at = argument;
	float lo, hi;
	if (!parse_decimal(&at, &lo) || !parse_char(&at, ':') || !parse_decimal(&at, &hi) || *at)
		return err_set(plan->err, -EINVAL, "range=%s: want two numbers LO:HI", argument);
	if (lo == hi)
		return err_set(plan->err, -EINVAL, "range=%s: no range between equal numbers", argument);
	uint32_t n = plan->nchannels + plan->nextra;
	struct pixel_expr *exprs = plan_alloc(plan, n, sizeof *exprs);
	if (!exprs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		exprs[i] = pixel_copy(plan->channels[i].source);
		if (plan->channels[i].role == ROLE_A || plan->channels[i].role == ROLE_COVER)
			continue;
		exprs[i].op = PIXEL_NORM;
		exprs[i].k0 = lo;
		exprs[i].k1 = hi - lo;
	}
	plan->view->unscaled = false;
	return plan_pixels(plan, exprs);
}

/* norm=imagenet: the means and deviations of torchvision's models, for red, green and blue as values from 0 to 1. */
int op_norm(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
	struct pixel_expr exprs[3];
	if (strcmp(argument, "imagenet") != 0)
		return err_set(plan->err, -EINVAL, "norm=%s: only norm=imagenet is known", argument);
	unsigned seen = 0;
	for (uint32_t i = 0; plan->nchannels == 3 && i < 3; i++) {
		unsigned c = plan->channels[i].role == ROLE_R ? 0 : plan->channels[i].role == ROLE_G ? 1 : 2;
		seen |= plan->channels[i].role == ROLE_R || plan->channels[i].role == ROLE_G || plan->channels[i].role == ROLE_B
				? 1u << c
				: 0;
		exprs[i] = pixel_copy(plan->channels[i].source);
		exprs[i].op = PIXEL_NORM;
		exprs[i].k0 = mean[c];
		exprs[i].k1 = std[c];
	}
	if (seen != 7)
		return err_set(plan->err, -EINVAL, "norm=imagenet wants red, green and blue: choose rgb first");
	plan->nextra = 0;
	return plan_pixels(plan, exprs);
}
