/* view_roles.c - what channels mean within a choice of them: which is red, which is alpha and of whom, which are data.
 *
 * A channel that isn't data is first open: ROLE_COLOUR or ROLE_COVER, by its name. Then the channels of one layer get the
 * roles that operations look for: of the root where it has colours, else of the only layer that has. Colours of other layers stay
 * ROLE_COLOUR: curves and alpha reach them too, but nothing takes them for red. */
#include "view_plan.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/facts/channel.h"
#include "codecs/facts/color.h"

bool role_is_colour(const struct view_channel *channel)
{
	uint8_t role = channel->role;
	return !channel->data && (role == ROLE_R || role == ROLE_G || role == ROLE_B || role == ROLE_GRAY || role == ROLE_COLOUR);
}

void role_open(struct view_channel *channel)
{
	char letter = channel->data ? 0 : channel_letter(channel->name);
	channel->role = letter == 'A' ? ROLE_COVER : letter ? ROLE_COLOUR : ROLE_DATA;
}

/* A name of the layer whose channels have the role; NULL: none or several. */
static const char *layer_of(const struct view_channel *channels, uint32_t n, enum view_role role)
{
	const char *layer = NULL;
	bool several = false;
	for (uint32_t i = 0; i < n; i++) {
		const char *name = channels[i].name;
		if (channels[i].role != role)
			continue;
		if (!channel_layer_bytes(name))
			return name;
		several |= layer && !channel_same_layer(layer, name);
		layer = name;
	}
	return several ? NULL : layer;
}

static uint32_t count_role(const struct view_channel *channels, uint32_t n, enum view_role role)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < n; i++)
		count += channels[i].role == role;
	return count;
}

static void settle_colours(struct view_channel *channels, uint32_t n, const char *layer)
{
	static const char letters[] = "RGBCMYK";
	static const enum view_role roles[] = {ROLE_R, ROLE_G, ROLE_B, ROLE_C, ROLE_M, ROLE_Y, ROLE_K};
	uint32_t at[ROLE_K + 1] = {0}; /* 1 + index */
	for (uint32_t i = 0; layer && i < n; i++) {
		if (channels[i].role != ROLE_COLOUR || !channel_same_layer(layer, channels[i].name))
			continue;
		enum view_role role = roles[strchr(letters, channel_letter(channels[i].name)) - letters];
		if (!at[role]) {
			at[role] = i + 1;
			channels[i].role = (uint8_t)role;
		}
	}
	if (at[ROLE_C] && at[ROLE_M] && at[ROLE_Y] && at[ROLE_K])
		return;
	for (uint32_t i = 0; i < n; i++) /* inks are inks together only */
		if (channels[i].role == ROLE_C || channels[i].role == ROLE_M || channels[i].role == ROLE_K ||
		    (channels[i].role == ROLE_COLOUR && strchr("CMK", channel_letter(channels[i].name))))
			channels[i].role = ROLE_DATA;
	/* Y alone is luminance; beside R, G, B it is one more plane */
	if (at[ROLE_Y])
		channels[at[ROLE_Y] - 1].role = at[ROLE_R] || at[ROLE_G] || at[ROLE_B] ? ROLE_DATA : ROLE_GRAY;
}

void roles_settle(struct view_channel *channels, uint32_t n)
{
	const char *layer = layer_of(channels, n, ROLE_COLOUR);
	bool colours = count_role(channels, n, ROLE_COLOUR) > 0;
	settle_colours(channels, n, layer);
	if (!colours)
		layer = layer_of(channels, n, ROLE_COVER);
	for (uint32_t i = 0; layer && i < n; i++)
		if (channels[i].role == ROLE_COVER && channel_same_layer(layer, channels[i].name)) {
			channels[i].role = ROLE_A;
			return;
		}
}

static bool has_settled(const struct view_channel *channels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (channels[i].role != ROLE_DATA && channels[i].role != ROLE_A && channels[i].role != ROLE_COLOUR &&
		    channels[i].role != ROLE_COVER)
			return true;
	return false;
}

void roles_promote(struct view_channel *channels, uint32_t n)
{
	if (!has_settled(channels, n))
		roles_settle(channels, n);
	if (count_role(channels, n, ROLE_A) || count_role(channels, n, ROLE_COVER) != 1)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (channels[i].role == ROLE_COVER)
			channels[i].role = ROLE_A;
}

static bool is_only_data(const struct view_channel *channels, uint32_t n)
{
	uint32_t data = 0;
	for (uint32_t i = 0; i < n; i++) {
		data += channels[i].data;
		if (!channels[i].data && channels[i].role != ROLE_A && channels[i].role != ROLE_COVER)
			return false;
	}
	return data > 0;
}

/* ---- of a plan ---- */

int64_t plan_find_role(const struct view_plan *plan, enum view_role role)
{
	for (uint32_t i = 0; i < plan->nchannels; i++)
		if (plan->channels[i].role == role)
			return i;
	return -1;
}

bool plan_shows_data(const struct view_plan *plan)
{
	return plan->transfer.kind == TRANSFER_DATA || is_only_data(plan->channels, plan->nchannels);
}

bool plan_has_colours(const struct view_plan *plan)
{
	bool colours = plan->transfer.kind != TRANSFER_DATA && !is_only_data(plan->channels, plan->nchannels);
	for (uint32_t i = plan->nchannels; i < plan->nchannels + plan->nextra; i++)
		colours |= plan->transfer.kind != TRANSFER_DATA && role_is_colour(&plan->channels[i]);
	return colours;
}

/* The alpha of channel i's layer among channels [start, end), -1: none. */
static int64_t cover_beside(const struct view_plan *plan, uint32_t i, uint32_t start, uint32_t end)
{
	for (uint32_t c = start; c < end; c++)
		if ((plan->channels[c].role == ROLE_A || plan->channels[c].role == ROLE_COVER) &&
		    channel_same_layer(plan->channels[c].name, plan->channels[i].name))
			return c;
	return -1;
}

int64_t plan_alpha_of(const struct view_plan *plan, uint32_t i)
{
	if (!role_is_colour(&plan->channels[i]))
		return -1;
	if (i < plan->nchannels && plan->channels[i].role != ROLE_COLOUR)
		return plan_find_role(plan, ROLE_A);
	/* a picture has the channels of a layer behind each other */
	uint32_t start = 0, end = plan->nchannels;
	if (i < plan->nchannels && plan->nchannels > VIEW_MAX_SPEC_BYTES) {
		for (start = i; start > 0 && channel_same_layer(plan->channels[start - 1].name, plan->channels[i].name);)
			start--;
		for (end = i + 1; end < plan->nchannels && channel_same_layer(plan->channels[end].name, plan->channels[i].name);)
			end++;
	}
	int64_t found = cover_beside(plan, i, start, end);
	return found >= 0 ? found : cover_beside(plan, i, plan->nchannels, plan->nchannels + plan->nextra);
}

/* ---- of a picture ---- */

static const char *color_model(const struct view_channel *channels, uint32_t n)
{
	static const char letters[] = {
		[ROLE_R] = 'R', [ROLE_G] = 'G', [ROLE_B] = 'B', [ROLE_A] = 'A',    [ROLE_GRAY] = 'L', [ROLE_C] = 'C',
		[ROLE_M] = 'M', [ROLE_Y] = 'Y', [ROLE_K] = 'K', [ROLE_PACKED] = 0, [ROLE_COVER] = 0};
	static const char *const models[] = {"L", "LA", "RGB", "RGBA", "CMYK"};
	char text[8] = "";
	for (uint32_t i = 0; i < n && i < 5; i++)
		text[i] = letters[channels[i].role] ? letters[channels[i].role] : '?';
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (strcmp(text, models[i]) == 0)
			return models[i];
	return "other";
}

int picture_meaning(const struct picture *picture, struct picture_meaning *ret_meaning)
{
	const struct codec_part *part = picture->part;
	struct view_channel *channels = calloc(picture->nchannels, sizeof *channels);
	if (!channels)
		return -1;
	for (uint32_t i = 0; i < picture->nchannels; i++) {
		const struct codec_channel *channel = &part->channels[picture->channels[i]];
		channels[i] = (struct view_channel){channel->name, (uint16_t)i, 0, channel->data};
		role_open(&channels[i]);
	}
	roles_settle(channels, picture->nchannels);
	struct picture_meaning meaning = {.alpha = ALPHA_NONE, .alpha_index = -1, .color = part->color};
	for (uint32_t i = picture->nchannels; i-- > 0;)
		if (channels[i].role == ROLE_A || (channels[i].role == ROLE_COVER && meaning.alpha_index < 0))
			meaning.alpha_index = i;
	if (meaning.alpha_index >= 0)
		meaning.alpha = part->alpha == ALPHA_NONE ? ALPHA_UNKNOWN : part->alpha;
	if (is_only_data(channels, picture->nchannels))
		color_data(&meaning.color, "OpenEXR channel names");
	meaning.color_model = color_model(channels, picture->nchannels);
	free(channels);
	*ret_meaning = meaning;
	return 0;
}
