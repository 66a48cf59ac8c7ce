/* view_curve.c - transfer curves over the colour channels of a plan: R, G, B and gray, and those carried along for a later ch=.
 *
 * A curve is meant for colour that isn't multiplied by alpha: where it is, it is divided by its alpha before and multiplied again
 * behind (view_color.h).
 *
 * Where the stored samples have 8 bits and nothing but moves was done to them, the curve is folded into the base stage as
 * tables of all 256 values; else it is a PIXEL stage. */
#include "view_plan.h"

#include <errno.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "codecs/facts/channel.h"

/* One curve, or R's, G's and B's. */
struct curves {
	const struct curve *curves;
	uint32_t n;
};

/* The curve of channel i; NULL: no colour, or a curve that changes nothing. */
static const struct curve *curve_of(const struct view_plan *plan, const struct curves *curves, uint32_t i)
{
	if (!role_is_colour(&plan->channels[i]))
		return NULL;
	char letter = channel_letter(plan->channels[i].name);
	const struct curve *curve = &curves->curves[curves->n == 1 ? 0 : letter == 'G' ? 1 : letter == 'B' ? 2 : 0];
	return curve_acts(curve) ? curve : NULL;
}

/* The alpha that colour i is multiplied by, -1: none. */
static int64_t cover_of(const struct view_plan *plan, uint32_t i)
{
	return plan->association == ALPHA_PREMULTIPLIED ? plan_alpha_of(plan, i) : -1;
}

/* The base, where nothing but moves without padding stands between it and the end, and no alpha is heeded; else NULL. */
static struct view_stage *foldable_base(struct view_plan *plan)
{
	const struct codec_part *part = plan->picture->part;
	struct view_stage *base = &plan->view->stages[0];
	if (plan->view->nstages > 2 || (plan->view->nstages == 2 && plan_top(plan)->kind != STAGE_MOVE))
		return NULL;
	for (uint32_t i = 0; i < plan->nchannels + plan->nextra; i++) {
		const struct base_channel *channel = &base->base.channels[plan->channels[i].source];
		if (!role_is_colour(&plan->channels[i]))
			continue;
		if (cover_of(plan, i) >= 0 || (channel->kind != BASE_TABLE &&
					       (channel->kind != BASE_PLANE || part->planes[channel->plane].type != SAMPLE_U8)))
			return NULL;
	}
	return base;
}

/* channel's values of all 256 samples, through the curve. */
static int curve_table(struct view_plan *plan, const struct base_channel *channel, const struct curve *curve,
		       const float **ret_table)
{
	float *table = plan_alloc(plan, 256, sizeof *table);
	uint8_t samples[256];
	if (!table)
		return -ENOMEM;
	for (unsigned i = 0; i < 256; i++)
		samples[i] = (uint8_t)i;
	if (channel->kind == BASE_TABLE)
		memcpy(table, channel->table, 256 * sizeof *table);
	else
		sample_to_f32(table, samples, SAMPLE_U8, channel->divisor, 256);
	curve_apply(curve, table, table, 256);
	*ret_table = table;
	return 0;
}

/* The curve's table made last: plain planes of one divisor share it, so that a row of them is one run. */
struct shared_table {
	const float *table; /* NULL: none yet */
	const struct curve *curve;
	uint32_t divisor;
};

static int fold_channel(struct view_plan *plan, const struct curve *curve, struct base_channel *channel,
			struct shared_table *shared)
{
	uint32_t divisor = channel->divisor;
	bool plain = channel->kind == BASE_PLANE;
	if (plain && shared->table && shared->curve == curve && shared->divisor == divisor) {
		channel->table = shared->table;
	} else {
		int rc = curve_table(plan, channel, curve, &channel->table);
		if (rc)
			return rc;
	}
	if (plain)
		*shared = (struct shared_table){channel->table, curve, divisor};
	channel->kind = BASE_TABLE;
	return 0;
}

/* A new base with a channel for each one shown (equal ones once), the colours through tables. */
static int fold_curves(struct view_plan *plan, struct view_stage *base, const struct curves *curves)
{
	uint32_t n = plan->nchannels + plan->nextra, count = 0;
	struct base_channel *channels = plan_alloc(plan, n, sizeof *channels);
	uint16_t *sources = plan_alloc(plan, n, sizeof *sources);
	struct shared_table shared = {NULL, NULL, 0};
	if (!channels || !sources)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct view_channel *shown = &plan->channels[i];
		const struct curve *curve = curve_of(plan, curves, i);
		uint32_t known = 0;
		sources[i] = shown->source;
		while (known < i && !(sources[known] == sources[i] && curve_of(plan, curves, known) == curve))
			known++;
		if (known < i) {
			shown->source = plan->channels[known].source;
			continue;
		}
		channels[count] = base->base.channels[shown->source];
		shown->source = (uint16_t)count;
		int rc = curve ? fold_channel(plan, curve, &channels[count], &shared) : 0;
		if (rc)
			return rc;
		count++;
	}
	base->base.channels = channels;
	base->nchannels = plan_top(plan)->nchannels = count;
	return 0;
}

int plan_curves(struct view_plan *plan, const struct curve *curves, uint32_t ncurves)
{
	struct view_stage *base = foldable_base(plan);
	bool acts = false;
	for (uint32_t i = 0; i < ncurves; i++)
		acts |= curve_acts(&curves[i]);
	if (!acts)
		return 0;
	struct curve *own = plan_alloc(plan, ncurves, sizeof *own);
	if (!own)
		return -ENOMEM;
	memcpy(own, curves, ncurves * sizeof *own);
	const struct curves all = {own, ncurves};
	if (base)
		return fold_curves(plan, base, &all);
	uint32_t n = plan->nchannels + plan->nextra;
	struct pixel_expr *exprs = plan_alloc(plan, n, sizeof *exprs);
	if (!exprs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct curve *curve = curve_of(plan, &all, i);
		int64_t cover = curve ? cover_of(plan, i) : -1;
		exprs[i] = pixel_copy(plan->channels[i].source);
		exprs[i].op = curve ? PIXEL_CURVE : PIXEL_COPY;
		exprs[i].curve = curve;
		if (cover >= 0)
			exprs[i].b = plan->channels[cover].source;
	}
	return plan_pixels(plan, exprs);
}
