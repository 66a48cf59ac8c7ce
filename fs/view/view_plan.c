/* view_plan.c - the state that operations work on while a spec is compiled: which channels are shown, what they mean, and
 * the stages so far.
 *
 * Roles (what is red, what is alpha, what is gray) come from the last component of the channels' names, within one layer:
 * the root channels where one of them has such a name, else the only layer that has. All other channels are data. A picture
 * with exactly one channel besides alpha is gray, whatever its name.
 * Channels that a ch= names and that the picture doesn't show are carried along unseen from the start, so that they go
 * through the same crops and sizes. */
#include "view_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"

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

/* ---- roles ---- */

static const char *last_component(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

static enum view_role role_of_letter(const char *name)
{
	static const char letters[] = "RGBACMYK";
	static const enum view_role roles[] = {ROLE_R, ROLE_G, ROLE_B, ROLE_A, ROLE_C, ROLE_M, ROLE_Y, ROLE_K};
	const char *found = name[0] && !name[1] ? strchr(letters, name[0]) : NULL;
	return found ? roles[found - letters] : ROLE_DATA;
}

static bool same_layer(const char *a, const char *b)
{
	size_t n = (size_t)(last_component(a) - a);
	return n == (size_t)(last_component(b) - b) && memcmp(a, b, n) == 0;
}

/* A name of the layer whose channels have roles; NULL: none or several. */
static const char *role_layer(const struct view_channel *channels, uint32_t n)
{
	const char *layer = NULL;
	bool several = false;
	for (uint32_t i = 0; i < n; i++) {
		const char *name = channels[i].name;
		if (role_of_letter(last_component(name)) == ROLE_DATA)
			continue;
		if (last_component(name) == name)
			return name;
		several |= layer && !same_layer(layer, name);
		layer = name;
	}
	return several ? NULL : layer;
}

static void assign_roles(struct view_channel *channels, uint32_t n)
{
	const char *layer = role_layer(channels, n);
	uint32_t at[ROLE_K + 1] = {0}; /* 1 + index */
	for (uint32_t i = 0; layer && i < n; i++) {
		enum view_role role = role_of_letter(last_component(channels[i].name));
		if (role != ROLE_DATA && same_layer(layer, channels[i].name) && !at[role]) {
			at[role] = i + 1;
			channels[i].role = (uint8_t)role;
		}
	}
	if (at[ROLE_C] && at[ROLE_M] && at[ROLE_Y] && at[ROLE_K])
		return;
	static const enum view_role inks[] = {ROLE_C, ROLE_M, ROLE_K};
	for (unsigned i = 0; i < 3; i++)
		if (at[inks[i]])
			channels[at[inks[i]] - 1].role = ROLE_DATA;
	/* Y alone is luminance; beside R, G, B it is one more plane */
	if (at[ROLE_Y])
		channels[at[ROLE_Y] - 1].role = at[ROLE_R] || at[ROLE_G] || at[ROLE_B] ? ROLE_DATA : ROLE_GRAY;
}

int64_t plan_find_role(const struct view_plan *plan, enum view_role role)
{
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (plan->channels[i].role == role)
			return i;
	return -1;
}

/* ---- the first stage ---- */

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

static int base_channel_set(struct view_plan *plan, uint32_t channel, struct base_channel *base)
{
	const struct codec_channel *from = &plan->picture->part->channels[channel];
	*base = (struct base_channel){.kind = BASE_PLANE, .plane = from->plane};
	base->divisor = plan->picture->part->planes[from->plane].divisor;
	if (from->origin == ORIGIN_KEY)
		base->kind = BASE_KEY;
	if (from->origin != ORIGIN_PALETTE)
		return 0;
	base->kind = BASE_TABLE;
	return base_table_of_palette(plan, from->component, &base->table);
}

static int plan_base(struct view_plan *plan, uint32_t room)
{
	const struct codec_level *level = picture_level(plan->picture);
	plan->view->stages = plan_alloc(plan, VIEW_MAX_STAGES, sizeof *plan->view->stages);
	plan->channels = plan_alloc(plan, room, sizeof *plan->channels);
	struct base_channel *base = plan_alloc(plan, room, sizeof *base);
	if (!plan->view->stages || !plan->channels || !base)
		return -ENOMEM;
	plan->view->nstages = 1;
	struct view_stage *stage = plan_top(plan);
	stage->kind = STAGE_BASE;
	stage->width = level->width;
	stage->height = level->height;
	stage->base = (struct base_stage){plan->picture->part, plan->picture->level, false, 1, 1, base};
	return 0;
}

/* Adds channel `channel` of the part to the base and behind the plan's channels. */
static int plan_add_base(struct view_plan *plan, uint32_t channel)
{
	struct view_stage *stage = plan_top(plan);
	struct view_channel *shown = &plan->channels[stage->nchannels];
	shown->name = plan->picture->part->channels[channel].name;
	shown->source = (uint16_t)stage->nchannels;
	return base_channel_set(plan, channel, &stage->base.channels[stage->nchannels++]);
}

static bool picture_shows(const struct picture *picture, uint32_t channel)
{
	for (uint32_t i = 0; i < picture->nchannels; i++)
		if (picture->channels[i] == channel)
			return true;
	return false;
}

/* The channels of the part that ch= operations of spec name verbatim and that the picture doesn't show. */
static int plan_add_extras(struct view_plan *plan, const char *spec, uint32_t room)
{
	const struct codec_part *part = plan->picture->part;
	for (const char *op = spec; op; op = strchr(op, ',') ? strchr(op, ',') + 1 : NULL) {
		if (strncmp(op, "ch=", 3) != 0)
			continue;
		for (const char *name = op + 3; name; name = channel_name_next(name)) {
			int64_t found = channel_name_find(part, name);
			if (found < 0 || picture_shows(plan->picture, (uint32_t)found) || plan->nchannels + plan->nextra == room)
				continue;
			int rc = plan_add_base(plan, (uint32_t)found);
			if (rc)
				return rc;
			plan->nextra++;
		}
	}
	return 0;
}

int plan_start(struct view_plan *plan, const char *spec)
{
	const struct codec_part *part = plan->picture->part;
	if (!plan->picture->nchannels)
		return err_set(plan->err, -EINVAL, "the picture has no channels");
	uint32_t room = plan->picture->nchannels + (strstr(spec, "ch=") ? VIEW_MAX_SPEC_BYTES / 2 : 0);
	int rc = plan_base(plan, room);
	for (uint32_t i = 0; !rc && i < plan->picture->nchannels; i++, plan->nchannels++)
		rc = plan_add_base(plan, plan->picture->channels[i]);
	if (rc)
		return rc;
	assign_roles(plan->channels, plan->nchannels);
	plan->transfer = transfer_of_color(&part->color);
	plan->stored = plan_find_role(plan, ROLE_K) >= 0 ? ICC_CMYK : plan_find_role(plan, ROLE_GRAY) >= 0 ? ICC_GRAY : ICC_RGB;
	bool has_alpha = plan_find_role(plan, ROLE_A) >= 0;
	plan->alpha = !has_alpha ? ALPHA_NONE : part->alpha == ALPHA_NONE ? ALPHA_UNKNOWN : part->alpha;
	return plan_add_extras(plan, spec, room);
}

int plan_start_channel(struct view_plan *plan, uint32_t channel)
{
	int rc = plan_base(plan, 1);
	if (!rc)
		rc = plan_add_base(plan, channel);
	if (rc)
		return rc;
	plan->nchannels = 1;
	struct view_stage *stage = plan_top(plan);
	const struct codec_plane *plane = &plan->picture->part->planes[stage->base.channels[0].plane];
	stage->base.unit_x = plane->xsampling;
	stage->base.unit_y = plane->ysampling;
	stage->width = stage->width / plane->xsampling + (stage->width % plane->xsampling != 0);
	stage->height = stage->height / plane->ysampling + (stage->height % plane->ysampling != 0);
	return 0;
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
	if (plan_find_role(plan, ROLE_A) < 0)
		plan->alpha = ALPHA_NONE;
	if (plan->native)
		plan_settle_native(plan);
	return 0;
}

static bool same_expr(const struct pixel_expr *a, const struct pixel_expr *b)
{
	return a->op == b->op && a->a == b->a && a->b == b->b && a->c == b->c && a->curve == b->curve &&
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
		exprs[i] = (struct pixel_expr){PIXEL_COPY, (uint16_t)i, VIEW_NO_CHANNEL, VIEW_NO_CHANNEL, 0, 0, NULL};
	exprs[n] = (struct pixel_expr){PIXEL_CONST, VIEW_NO_CHANNEL, VIEW_NO_CHANNEL, VIEW_NO_CHANNEL, 1.0f, 0, NULL};
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
