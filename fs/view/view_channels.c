/* view_channels.c - the operations that choose channels, and native. */
#include "view_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/facts/channel.h"

/* ---- names ---- */

static size_t name_len(const char *name)
{
	return strcspn(name, "+,");
}

const char *channel_name_next(const char *name)
{
	name += name_len(name);
	return *name == '+' ? name + 1 : NULL;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool channel_name_is(const char *name, const char *channel)
{
	size_t len = name_len(name), at = 0;
	if (strlen(channel) == len && memcmp(name, channel, len) == 0)
		return true;
	for (size_t i = 0; i < len; i++, at++) {
		char c = name[i];
		if (c == '%' && i + 2 < len && hex_digit(name[i + 1]) >= 0 && hex_digit(name[i + 2]) >= 0) {
			c = (char)(hex_digit(name[i + 1]) * 16 + hex_digit(name[i + 2]));
			i += 2;
		}
		if (!channel[at] || channel[at] != c)
			return false;
	}
	return !channel[at];
}

int64_t channel_name_find(const struct codec_part *part, const char *name)
{
	for (uint32_t i = 0; i < part->nchannels; i++)
		if (channel_name_is(name, part->channels[i].name))
			return i;
	return -1;
}

/* ---- choosing by role ---- */

/* The channel that stands for gray: the one of that role, or the only one besides alpha; -1: none. */
static int64_t gray_channel(const struct view_plan *plan)
{
	int64_t gray = plan_find_role(plan, ROLE_GRAY), only = -1;
	if (gray >= 0)
		return gray;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (plan->channels[i].role != ROLE_A) {
			if (only >= 0)
				return -1;
			only = i;
		}
	return only;
}

static const char *role_name(enum view_role role)
{
	return role == ROLE_R ? "R" : role == ROLE_G ? "G" : role == ROLE_B ? "B" : role == ROLE_A ? "A" : "Y";
}

/* Fills *ret_channel with red, green, blue or alpha: the channel itself, gray repeated, alpha 1 where there is none. */
static int channel_of_role(struct view_plan *plan, enum view_role role, struct view_channel *ret_channel)
{
	struct view_channel channel = {role_name(role), 0, (uint8_t)role, false};
	int64_t found = plan_find_role(plan, role);
	if (found < 0)
		found = role == ROLE_A ? plan_find_role(plan, ROLE_PACKED) : gray_channel(plan);
	if (found < 0 && role == ROLE_A) {
		if (plan->native || plan->values)
			return err_set(plan->err, -EINVAL, "the file stores no alpha, and %s shows what it stores",
				       plan->native ? "native" : "values");
		int rc = plan_constant_one(plan, &channel.source);
		if (rc)
			return rc;
	} else if (found < 0) {
		return err_set(plan->err, -EINVAL, "the picture has no channel %s and isn't gray", role_name(role));
	} else {
		channel.source = plan->channels[found].source;
		channel.role = plan->channels[found].role == ROLE_PACKED ? ROLE_PACKED : (uint8_t)role;
		channel.data = plan->channels[found].data;
	}
	*ret_channel = channel;
	return 0;
}

bool plan_inverts_inks(const struct view_plan *plan)
{
	const struct codec_part *part = plan->picture->part;
	for (size_t i = 0; i < part->nattributes; i++) {
		const struct codec_attribute *attribute = &part->attributes[i];
		if (strcmp(attribute->group, "jpeg") == 0 && strcmp(attribute->name, "adobe_inverted") == 0)
			return (attribute->type == ATTRIBUTE_BOOL || attribute->type == ATTRIBUTE_INTS) && attribute->count &&
			       attribute->ints[0];
	}
	return false;
}

/* C, M, Y, K -> R, G, B by the plain formula: R = (1 - C)(1 - K). Adobe stores 1 - C, so that R is the product of what is
 * stored. No ink profile is applied. */
static int convert_inks(struct view_plan *plan)
{
	int64_t inks[4] = {plan_find_role(plan, ROLE_C), plan_find_role(plan, ROLE_M), plan_find_role(plan, ROLE_Y),
			   plan_find_role(plan, ROLE_K)};
	if (inks[3] < 0 || inks[0] < 0 || inks[1] < 0 || inks[2] < 0)
		return 0;
	if (plan->native || plan->values || plan->typed)
		return err_set(plan->err, -EINVAL, "CMYK has no red, green and blue %s",
			       plan->typed ? "after a sample type: choose rgb before it" : "in its stored samples");
	enum pixel_op op = plan_inverts_inks(plan) ? PIXEL_MUL : PIXEL_MUL_NOT;
	struct view_channel channels[4];
	struct pixel_expr exprs[4];
	uint16_t k = plan->channels[inks[3]].source;
	uint32_t n = 3;
	for (unsigned i = 0; i < 3; i++) {
		enum view_role role = i == 0 ? ROLE_R : i == 1 ? ROLE_G : ROLE_B;
		channels[i] = (struct view_channel){role_name(role), 0, (uint8_t)role, false};
		exprs[i] = pixel_expr_of(op, plan->channels[inks[i]].source, k, VIEW_NO_CHANNEL);
	}
	int64_t alpha = plan_find_role(plan, ROLE_A);
	if (alpha >= 0) {
		channels[3] = plan->channels[alpha];
		exprs[3] = pixel_copy(channels[3].source);
		n = 4;
	}
	int rc = plan_show(plan, channels, n);
	if (plan->transfer.kind == TRANSFER_ICC) /* the profile speaks of inks, not of these */
		plan->transfer = (struct transfer){TRANSFER_UNKNOWN, 0.0, "unknown"};
	return rc ? rc : plan_pixels(plan, exprs);
}

int op_select(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)argument;
	struct view_channel chosen[4];
	uint32_t n = 0;
	int rc = strcmp(op->name, "a") == 0 ? 0 : convert_inks(plan);
	for (const char *letter = op->name; !rc && *letter; letter++, n++) {
		enum view_role role = *letter == 'r' ? ROLE_R : *letter == 'g' ? ROLE_G : *letter == 'b' ? ROLE_B : ROLE_A;
		rc = channel_of_role(plan, role, &chosen[n]);
	}
	return rc ? rc : plan_show(plan, chosen, n);
}

int op_gray(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op, (void)argument;
	int rc = convert_inks(plan);
	int64_t gray = rc ? -1 : gray_channel(plan);
	if (rc)
		return rc;
	struct view_channel channel = {"Y", 0, ROLE_GRAY, false};
	if (gray >= 0) {
		channel.data = plan->channels[gray].data;
		channel.source = plan->channels[gray].source;
		return plan_show(plan, &channel, 1);
	}
	struct view_channel rgb[3];
	for (unsigned i = 0; i < 3; i++)
		if ((rc = channel_of_role(plan, i == 0 ? ROLE_R : i == 1 ? ROLE_G : ROLE_B, &rgb[i])))
			return rc;
	if (plan->native || plan->typed)
		return err_set(plan->err, -EINVAL, "gray would have to be computed: not after %s",
			       plan->native ? "native" : "a sample type");
	struct pixel_expr luma = pixel_expr_of(PIXEL_LUMA, rgb[0].source, rgb[1].source, rgb[2].source);
	rc = plan_show(plan, &channel, 1);
	return rc ? rc : plan_pixels(plan, &luma);
}

/* ---- choosing by name ---- */

/* Whether the name is the component of several channels: they are told. */
static bool tell_several(struct view_plan *plan, const char *name, const char *const *found, uint32_t n, bool more)
{
	char text[256] = "";
	size_t len = 0;
	for (uint32_t i = 0; i < n && len < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.60s", i ? ", " : "", found[i]);
	err_set(plan->err, -EINVAL, "ch=: several channels are called %.*s: %s%s", (int)name_len(name), name, text,
		more ? ", ..." : "");
	return true;
}

/* Tells the channels with this component: of those shown, else of the part's. False: there are not several. */
static bool is_of_several(struct view_plan *plan, const char *name, bool shown)
{
	enum { MOST = 3 };
	const struct codec_part *part = plan->picture->part;
	const char *found[MOST];
	uint32_t n = 0, count = shown ? plan->nchannels : part->nchannels;
	for (uint32_t i = 0; i < count && n <= MOST; i++) {
		const char *full = shown ? plan->channels[i].name : part->channels[i].name;
		if (!channel_name_is(name, channel_component(full)))
			continue;
		if (n < MOST)
			found[n] = full;
		n++;
	}
	return n > 1 && tell_several(plan, name, found, n < MOST ? n : MOST, n > MOST);
}

/* The whole name first; then the name within its layer, of those that are shown and, if there is none, of the others. */
static int64_t find_named(const struct view_plan *plan, const char *name)
{
	int64_t found = -1;
	uint32_t n = plan->nchannels + plan->nextra;
	for (uint32_t i = 0; i < n; i++)
		if (channel_name_is(name, plan->channels[i].name))
			return i;
	for (uint32_t i = 0; i < n; i++) {
		if (i == plan->nchannels && found >= 0)
			return found;
		if (channel_name_is(name, channel_component(plan->channels[i].name))) {
			if (found >= 0)
				return -1;
			found = i;
		}
	}
	return found;
}

static int channel_of_name(struct view_plan *plan, const char *name, struct view_channel *ret_channel)
{
	int64_t found = find_named(plan, name);
	if (found >= 0) {
		*ret_channel = plan->channels[found];
		return 0;
	}
	if (is_of_several(plan, name, true))
		return -EINVAL;
	static const enum view_role roles[] = {ROLE_R, ROLE_G, ROLE_B, ROLE_A};
	for (unsigned i = 0; i < 4; i++)
		if (name_len(name) == 1 && *name == *role_name(roles[i]) &&
		    (roles[i] == ROLE_A || plan_find_role(plan, roles[i]) >= 0 || gray_channel(plan) >= 0))
			return channel_of_role(plan, roles[i], ret_channel);
	if (is_of_several(plan, name, false))
		return -EINVAL;
	return err_set(plan->err, -EINVAL, "ch=: no channel named %.*s here", (int)name_len(name), name);
}

int op_channels(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)op;
	struct view_channel chosen[VIEW_MAX_SPEC_BYTES];
	uint32_t n = 0;
	for (const char *name = argument; name; name = channel_name_next(name), n++) {
		if (!name_len(name))
			return err_set(plan->err, -EINVAL, "ch=: an empty channel name");
		int rc = channel_of_name(plan, name, &chosen[n]);
		if (rc)
			return rc;
	}
	roles_promote(chosen, n);
	return plan_show(plan, chosen, n);
}

/* ---- native, values ---- */

static int show_index(struct view_plan *plan)
{
	static const struct view_channel index = {"index", 0, ROLE_DATA, false};
	struct base_channel *channel = plan_alloc(plan, 1, sizeof *channel);
	if (!channel)
		return -ENOMEM;
	channel->kind = BASE_PLANE;
	struct view_stage *base = &plan->view->stages[0];
	base->base.channels = channel;
	base->nchannels = 1;
	return plan_show(plan, &index, 1);
}

/* Without the alpha that is made from the tRNS key: it is no sample of the file. */
static int show_planes(struct view_plan *plan)
{
	const struct base_stage *base = &plan->view->stages[0].base;
	uint32_t kept = 0, kept_extra = 0, n = plan->nchannels + plan->nextra;
	for (uint32_t i = 0; i < n; i++)
		if (base->channels[plan->channels[i].source].kind == BASE_PLANE) {
			plan->channels[kept + kept_extra] = plan->channels[i];
			*(i < plan->nchannels ? &kept : &kept_extra) += 1;
		}
	plan->nchannels = kept;
	plan->nextra = kept_extra;
	if (!kept)
		return err_set(plan->err, -EINVAL, "none of these channels is stored in the file");
	if (plan_find_role(plan, ROLE_A) < 0)
		plan->alpha = ALPHA_NONE;
	return 0;
}

/* The stored samples alone: of a palette its indices. */
static int show_stored(struct view_plan *plan)
{
	const struct base_stage *base = &plan->view->stages[0].base;
	bool palette = false;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		palette |= base->channels[plan->channels[i].source].kind == BASE_TABLE;
	return palette ? show_index(plan) : show_planes(plan);
}

int plan_native(struct view_plan *plan)
{
	if (plan->values)
		return err_set(plan->err, -EINVAL, "native keeps the stored sample type, values are float32: one of them");
	plan->native = plan->view->stages[0].base.native = true;
	int rc = show_stored(plan);
	if (!rc)
		plan_settle_native(plan);
	return rc;
}

int plan_values(struct view_plan *plan)
{
	if (plan->native)
		return err_set(plan->err, -EINVAL, "native keeps the stored sample type, values are float32: one of them");
	int rc = show_stored(plan);
	if (rc)
		return rc;
	plan->values = plan->view->unscaled = true;
	plan->transfer = (struct transfer){TRANSFER_DATA, 0.0, "data"};
	struct view_stage *base = &plan->view->stages[0];
	for (uint32_t i = 0; i < base->nchannels; i++)
		base->base.channels[i].divisor = 0;
	return op_packed(plan, NULL, NULL);
}

int op_pixels(struct view_plan *plan, const struct view_op *op, const char *argument)
{
	(void)plan, (void)op, (void)argument;
	return 0;
}
