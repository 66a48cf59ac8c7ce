/* view_start.c - how a plan begins: the first stage, the channels that the picture shows, and what they mean.
 *
 * What is red, what is alpha, what is gray: view_roles.c. A picture with exactly one channel besides alpha is gray, whatever its
 * name. Where R, G and B are made of luminance and chroma, the second stage makes them; a native view shows the stored ones
 * instead. Channels that a ch= names and that the picture doesn't show are carried along unseen from the start, so that they go
 * through the same crops and sizes; with each colour goes the alpha of its layer. */
#include "view_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "codecs/facts/channel.h"

/* ---- the base ---- */

static int base_table_of_palette(struct view_plan *plan, unsigned component, const float **ret_table)
{
	const struct codec_part *part = plan->picture->part;
	if (part->planes[0].type != SAMPLE_U8 || component > 3)
		return err_set(plan->err, -EINVAL, "the palette of this picture has indices of more than 8 bits");
	float *table = plan_alloc(plan, 256, sizeof *table);
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i < part->npalette && i < 256; i++)
		sample_to_f32(&table[i], &part->palette[i][component], SAMPLE_U8, 255, 1);
	*ret_table = table;
	return 0;
}

static int base_channel_set(struct view_plan *plan, const struct codec_channel *from, struct base_channel *base)
{
	*base = (struct base_channel){.kind = BASE_PLANE, .plane = from->plane};
	base->divisor = plan->picture->part->planes[from->plane].divisor;
	if (from->origin == ORIGIN_KEY)
		base->kind = BASE_KEY;
	if (from->origin != ORIGIN_PALETTE)
		return 0;
	base->kind = BASE_TABLE;
	return base_table_of_palette(plan, from->component, &base->table);
}

/* What the channels of a picture are collected into. */
struct start {
	struct view_plan *plan;
	bool stored;              /* the spec has native or values: stored samples only */
	uint32_t room;            /* channels that may be shown or carried along */
	struct pixel_expr *exprs; /* NULL, or one for each: some may be made of luminance and chroma */
	bool makes;               /* some are */
};

static bool has_made(const struct codec_part *part)
{
	return part->channels[part->nchannels - 1].origin == ORIGIN_LUMA;
}

static int start_base(struct start *start)
{
	struct view_plan *plan = start->plan;
	const struct codec_level *level = picture_level(plan->picture);
	const struct codec_part *part = plan->picture->part;
	bool made = has_made(part);
	plan->view->stages = plan_alloc(plan, VIEW_MAX_STAGES, sizeof *plan->view->stages);
	plan->channels = plan_alloc(plan, start->room, sizeof *plan->channels);
	struct base_channel *base = plan_alloc(plan, (made ? 3 : 1) * (size_t)start->room, sizeof *base);
	start->exprs = made ? plan_alloc(plan, start->room, sizeof *start->exprs) : NULL;
	if (!plan->view->stages || !plan->channels || !base || (made && !start->exprs))
		return -ENOMEM;
	plan->view->nstages = 1;
	struct view_stage *stage = plan_top(plan);
	stage->kind = STAGE_BASE;
	stage->width = level->width;
	stage->height = level->height;
	stage->base = (struct base_stage){part, plan->picture->level, false, 1, 1, base};
	return 0;
}

/* ---- luminance and chroma ---- */

/* The base's channel that is this plane, appended where it isn't there. */
static uint16_t base_plane(struct view_stage *stage, uint16_t plane)
{
	for (uint32_t i = 0; i < stage->nchannels; i++)
		if (stage->base.channels[i].kind == BASE_PLANE && stage->base.channels[i].plane == plane)
			return (uint16_t)i;
	const uint32_t divisor = stage->base.part->planes[plane].divisor;
	stage->base.channels[stage->nchannels] = (struct base_channel){.kind = BASE_PLANE, .plane = plane, .divisor = divisor};
	return (uint16_t)stage->nchannels++;
}

static struct pixel_expr make_colour(struct view_stage *stage, const struct codec_channel *colour, const float *weights)
{
	uint16_t y = base_plane(stage, colour->plane);
	uint16_t chroma[2] = {base_plane(stage, colour->chroma[0]), base_plane(stage, colour->chroma[1])};
	if (colour->component != 1)
		return pixel_expr_of(PIXEL_CHROMA, y, chroma[colour->component / 2], VIEW_NO_CHANNEL);
	struct pixel_expr green = pixel_expr_of(PIXEL_GREEN, y, chroma[0], chroma[1]);
	green.weights = weights;
	return green;
}

/* Of a colour that is made the stored channel that native and values have in its place: Y for R, RY for G, BY for B. */
static uint32_t stored_in_place(const struct codec_channel *colour)
{
	return colour->component == 0 ? colour->plane : colour->chroma[colour->component - 1];
}

/* ---- channels ---- */

/* Adds channel `channel` of the part behind the plan's channels, of which there are `at`. */
static int add_channel(struct start *start, uint32_t at, uint32_t channel)
{
	struct view_plan *plan = start->plan;
	struct view_stage *stage = plan_top(plan);
	const struct codec_part *part = plan->picture->part;
	bool replaced = start->stored && part->channels[channel].origin == ORIGIN_LUMA;
	const struct codec_channel *from = &part->channels[replaced ? stored_in_place(&part->channels[channel]) : channel];
	struct view_channel *shown = &plan->channels[at];
	*shown = (struct view_channel){from->name, (uint16_t)stage->nchannels, 0, replaced || from->data};
	role_open(shown);
	if (from->origin == ORIGIN_LUMA) {
		start->exprs[at] = make_colour(stage, from, part->luma);
		start->makes = true;
		return 0;
	}
	if (start->exprs)
		start->exprs[at] = pixel_copy(shown->source);
	return base_channel_set(plan, from, &stage->base.channels[stage->nchannels++]);
}

/* Whether channel of the part is shown or carried along already. */
static bool has_channel(const struct view_plan *plan, uint32_t channel)
{
	const char *name = plan->picture->part->channels[channel].name; /* a name is there once */
	for (uint32_t i = 0; i < plan->nchannels + plan->nextra; i++)
		if (plan->channels[i].name == name)
			return true;
	return false;
}

static int add_extra(struct start *start, uint32_t channel)
{
	struct view_plan *plan = start->plan;
	uint32_t at = plan->nchannels + plan->nextra;
	if (has_channel(plan, channel) || at == start->room)
		return 0;
	plan->nextra++;
	return add_channel(start, at, channel);
}

/* The channel of the part that ch=name means where the picture shows none of that name, -1: none, or it does. */
static int64_t find_extra(const struct view_plan *plan, const char *name)
{
	const struct codec_part *part = plan->picture->part;
	int64_t exact = channel_name_find(part, name), found = -1;
	if (exact >= 0)
		return exact;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (channel_name_is(name, channel_component(plan->channels[i].name)))
			return -1;
	for (uint32_t i = 0; i < part->nchannels; i++)
		if (channel_name_is(name, channel_component(part->channels[i].name))) {
			if (found >= 0)
				return -1;
			found = i;
		}
	return found;
}

/* The alpha of the layer of a colour that is carried along. */
static int add_cover(struct start *start, uint32_t colour)
{
	const struct codec_part *part = start->plan->picture->part;
	const char *name = part->channels[colour].name;
	if (part->channels[colour].data || start->stored)
		return 0;
	for (uint32_t i = 0; i < part->nchannels; i++)
		if (!part->channels[i].data && channel_letter(part->channels[i].name) == 'A' &&
		    channel_same_layer(part->channels[i].name, name))
			return add_extra(start, i);
	return 0;
}

/* The channels of the part that ch= operations of spec name and that the picture doesn't show. */
static int add_extras(struct start *start, const char *spec)
{
	for (const char *op = spec; op; op = strchr(op, ',') ? strchr(op, ',') + 1 : NULL) {
		if (strncmp(op, "ch=", 3) != 0)
			continue;
		for (const char *name = op + 3; name; name = channel_name_next(name)) {
			int64_t found = find_extra(start->plan, name);
			if (found < 0 || has_channel(start->plan, (uint32_t)found))
				continue;
			int rc = add_extra(start, (uint32_t)found);
			if (!rc)
				rc = add_cover(start, (uint32_t)found);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* ---- the start ---- */

static bool spec_wants_stored(const char *spec)
{
	static const char *const names[] = {"native", "values"};
	for (const char *op = spec; op; op = strchr(op, ',') ? strchr(op, ',') + 1 : NULL)
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strcspn(op, ",") == strlen(names[i]) && strncmp(op, names[i], strlen(names[i])) == 0)
				return true;
	return false;
}

static void start_meaning(struct view_plan *plan)
{
	const struct codec_part *part = plan->picture->part;
	bool covered = false;
	roles_settle(plan->channels, plan->nchannels);
	for (uint32_t i = 0; i < plan->nchannels + plan->nextra; i++)
		covered |= plan->channels[i].role == ROLE_A || plan->channels[i].role == ROLE_COVER;
	plan->transfer = transfer_of_picture(&part->color);
	plan->stored = plan_find_role(plan, ROLE_K) >= 0 ? ICC_CMYK : plan_find_role(plan, ROLE_GRAY) >= 0 ? ICC_GRAY : ICC_RGB;
	plan->association = !covered ? ALPHA_NONE : part->alpha == ALPHA_NONE ? ALPHA_UNKNOWN : part->alpha;
	plan->alpha = plan_find_role(plan, ROLE_A) < 0 ? ALPHA_NONE : plan->association;
}

int plan_start(struct view_plan *plan, const char *spec)
{
	const struct picture *picture = plan->picture;
	struct start start = {.plan = plan, .stored = spec_wants_stored(spec), .room = picture->nchannels};
	if (!picture->nchannels)
		return err_set(plan->err, -EINVAL, "the picture has no channels");
	if (strstr(spec, "ch="))
		start.room += VIEW_MAX_SPEC_BYTES;
	int rc = start_base(&start);
	for (uint32_t i = 0; !rc && i < picture->nchannels; i++, plan->nchannels++)
		rc = add_channel(&start, i, picture->channels[i]);
	if (!rc)
		rc = add_extras(&start, spec);
	if (rc)
		return rc;
	start_meaning(plan);
	return start.makes ? plan_pixels(plan, start.exprs) : 0;
}

int plan_start_channel(struct view_plan *plan, uint32_t channel)
{
	struct start start = {.plan = plan, .room = 1};
	int rc = start_base(&start);
	if (!rc)
		rc = add_channel(&start, 0, channel);
	if (rc)
		return rc;
	plan->nchannels = 1;
	if (start.makes)
		return plan_pixels(plan, start.exprs);
	struct view_stage *stage = plan_top(plan);
	const struct codec_plane *plane = &plan->picture->part->planes[stage->base.channels[0].plane];
	stage->base.unit_x = plane->xsampling;
	stage->base.unit_y = plane->ysampling;
	stage->width = stage->width / plane->xsampling + (stage->width % plane->xsampling != 0);
	stage->height = stage->height / plane->ysampling + (stage->height % plane->ysampling != 0);
	return 0;
}
