/* view_transfer.c - the operations on transfer curves: linear, srgb, assume; and the file's ICC profile behind them. */
#include "view_plan.h"

#include <errno.h>
#include <string.h>

#include "codecs/facts/color.h"
#include "fs/base/config.h"

/* ---- the profile ---- */

static const struct codec_blob *find_profile(const struct codec_header *header)
{
	for (size_t i = 0; i < header->nblobs; i++)
		if (strcmp(header->blobs[i].name, "icc.icc") == 0)
			return &header->blobs[i];
	return NULL;
}

int plan_profile(struct view_plan *plan)
{
	const struct codec_blob *blob = find_profile(plan->picture->header);
	if (plan->view->icc)
		return 0;
	if (!blob)
		return err_set(plan->err, -EINVAL, "the file's ICC profile was not kept");
	return icc_open(blob->data, blob->len_bytes, plan->stored, &plan->view->icc, plan->err);
}

static bool has_roles(const struct view_plan *plan, const enum view_role *roles, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (plan_find_role(plan, roles[i]) < 0)
			return false;
	return true;
}

static bool shows_inks(const struct view_plan *plan)
{
	static const enum view_role cmyk[] = {ROLE_C, ROLE_M, ROLE_Y, ROLE_K};
	return has_roles(plan, cmyk, 4);
}

/* 0 where what the profile has, curves or tables, can be had of the channels shown now. */
static int check_shown(struct view_plan *plan)
{
	static const enum view_role rgb[] = {ROLE_R, ROLE_G, ROLE_B};
	const struct icc *icc = plan->view->icc;
	if (icc->ncurves == 3 && plan_find_role(plan, ROLE_GRAY) >= 0)
		return err_set(plan->err, -EINVAL, "the ICC profile has a curve for each of red, green and blue: not after gray");
	if (!icc->ncurves && !(icc->space == ICC_CMYK ? shows_inks(plan) : has_roles(plan, rgb, 3)))
		return err_set(plan->err, -EINVAL, "the ICC profile's tables take all channels together: not after choosing some");
	return 0;
}

bool plan_knows_curve(struct view_plan *plan)
{
	struct err quiet = ERR_NONE, *err = plan->err;
	if (plan->transfer.kind != TRANSFER_ICC)
		return plan->transfer.kind >= TRANSFER_LINEAR && !shows_inks(plan);
	plan->err = &quiet;
	bool knows = plan_profile(plan) == 0 && check_shown(plan) == 0;
	plan->err = err;
	return knows;
}

/* Through the profile's tables, which take colour that isn't multiplied by alpha, to linear light. */
static int convert_profile(struct view_plan *plan, bool encode_srgb)
{
	const struct curve encode = {.encode_srgb = true};
	bool associated = plan->association == ALPHA_PREMULTIPLIED;
	int rc = associated ? plan_weigh(plan, PIXEL_UNPREMUL) : 0;
	plan->association = associated ? ALPHA_STRAIGHT : plan->association;
	if (!rc)
		rc = plan_convert(plan);
	if (!rc && encode_srgb)
		rc = plan_curves(plan, &encode, 1);
	plan->association = associated ? ALPHA_PREMULTIPLIED : plan->association;
	return rc || !associated ? rc : plan_weigh(plan, PIXEL_REPREMUL);
}

/* The profile's curves, or its tables. */
static int decode_profile(struct view_plan *plan, bool encode_srgb)
{
	struct curve curves[3];
	int rc = plan_profile(plan);
	if (!rc)
		rc = check_shown(plan);
	if (rc)
		return rc;
	const struct icc *icc = plan->view->icc;
	for (uint32_t i = 0; i < icc->ncurves; i++) {
		curves[i] = curve_of_profile(&icc->curves[i]);
		bool is_srgb = curves[i].decode == DECODE_SRGB;
		curves[i].encode_srgb = encode_srgb && !is_srgb;
		if (encode_srgb && is_srgb)
			curves[i].decode = DECODE_NOTHING;
	}
	if (icc->ncurves)
		return plan_curves(plan, curves, icc->ncurves);
	return convert_profile(plan, encode_srgb);
}

/* ---- what the mount assumes ---- */

bool view_assumes(const struct codec_color *color)
{
	return config.assume && transfer_of_color(color).kind == TRANSFER_UNKNOWN;
}

struct transfer transfer_of_picture(const struct codec_color *color)
{
	struct codec_color assumed;
	if (view_assumes(color) && color_interop_id(&assumed, config.assume, "assume"))
		return transfer_of_color(&assumed);
	return transfer_of_color(color);
}

/* ---- operations ---- */

static int curves_apply_here(struct view_plan *plan, const char *name)
{
	static const char *const why[] = {[TRANSFER_UNKNOWN] = "the file doesn't say which transfer curve its values have",
					  [TRANSFER_OTHER] = "not a transfer curve that views decode"};
	if (plan->transfer.kind != TRANSFER_ICC && shows_inks(plan))
		return err_set(plan->err, -EINVAL, "%s: CMYK has no transfer curve: choose rgb first", name);
	if (plan->transfer.kind == TRANSFER_OTHER)
		return err_set(plan->err, -EINVAL, "%s: \"%s\" is %s (assume=<interop id> decides)", name, plan->transfer.name,
			       why[TRANSFER_OTHER]);
	if (plan->transfer.kind == TRANSFER_UNKNOWN)
		return err_set(plan->err, -EINVAL, "%s: %s (assume=<interop id> decides)", name, why[TRANSFER_UNKNOWN]);
	return 0;
}

/* From the curve that the values have to `target`: linear, or sRGB. */
static int change_transfer(struct view_plan *plan, const char *name, struct transfer target)
{
	const struct transfer from = plan->transfer;
	bool encode_srgb = target.kind == TRANSFER_SRGB;
	if (!plan_has_colours(plan))
		return 0;
	int rc = curves_apply_here(plan, name);
	if (rc || from.kind == target.kind)
		return rc;
	plan->transfer = target;
	if (from.kind == TRANSFER_ICC)
		return decode_profile(plan, encode_srgb);
	struct curve curve = curve_of_transfer(&from);
	curve.encode_srgb = encode_srgb;
	return plan_curves(plan, &curve, 1);
}

int op_linear(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	return change_transfer(plan, op->name, (struct transfer){TRANSFER_LINEAR, 0.0, "linear"});
}

int op_srgb(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	return change_transfer(plan, op->name, (struct transfer){TRANSFER_SRGB, 0.0, "srgb"});
}

int op_assume(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	struct codec_color color;
	color_unknown(&color, "none");
	if (strcmp(argument, "unknown") != 0 && !color_interop_id(&color, argument, "assume"))
		return err_set(plan->err, -EINVAL, "assume=%s: not a color interop ID", argument);
	if (plan->values)
		return 0; /* integers have no curve */
	plan->transfer = transfer_of_color(&color);
	return 0;
}
