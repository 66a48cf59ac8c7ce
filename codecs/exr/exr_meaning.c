/* exr_meaning.c - what a part's channels mean: colour, alpha or data; and the channels that luminance and chroma make.
 *
 * By OpenEXR's "Technical Introduction": channels whose last component is R, G, B or Y are colour, A is alpha, and colour beside
 * an alpha is premultiplied; RY and BY beside a Y are its chroma. All other names are measures. So is Y beside an X or a Z, which
 * is a coordinate, and all of a Cryptomatte layer, whose colours are numbers in disguise. It reads nothing from the file. */
#include "exr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codecs/facts/channel.h"
#include "codecs/facts/color.h"

enum { MAX_CRYPTOMATTES = 64 };

struct meaning {
	struct arena *arena;
	struct codec_part *part;
	uint32_t nstored; /* the channels of the file, by name; behind them come those that are made */
	const char *cryptomattes[MAX_CRYPTOMATTES];
	size_t lens[MAX_CRYPTOMATTES], ncryptomattes;
};

/* ---- names ---- */

static int compare_name(const void *key, const void *channel)
{
	return strcmp(key, ((const struct codec_channel *)channel)->name);
}

/* The channel of the layer of `name` with that component, -1: none. */
static int64_t find_beside(const struct meaning *meaning, const char *name, const char *component)
{
	char wanted[512]; /* names have at most 255 bytes */
	int layer = (int)(channel_component(name) - name);
	snprintf(wanted, sizeof wanted, "%.*s%s", layer, name, component);
	const struct codec_channel *channels = meaning->part->channels;
	const struct codec_channel *found = bsearch(wanted, channels, meaning->nstored, sizeof *channels, compare_name);
	return found ? found - channels : -1;
}

static bool has_any_beside(const struct meaning *meaning, const char *name, const char *const *components)
{
	for (; *components; components++)
		if (find_beside(meaning, name, *components) >= 0)
			return true;
	return false;
}

/* ---- data ---- */

/* The values of the attributes cryptomatte/<key>/name (Cryptomatte specification 1.2, "Metadata"). */
static void find_cryptomattes(struct meaning *meaning, const struct header_builder *builder)
{
	static const char prefix[] = "cryptomatte/", suffix[] = "/name";
	for (size_t i = 0; i < builder->nattributes && meaning->ncryptomattes < MAX_CRYPTOMATTES; i++) {
		const struct codec_attribute *attribute = &builder->attributes[i];
		size_t len = strlen(attribute->name);
		if (attribute->type != ATTRIBUTE_TEXT || !attribute->count || len < sizeof prefix + sizeof suffix - 1 ||
		    strncmp(attribute->name, prefix, sizeof prefix - 1) != 0 ||
		    strcmp(attribute->name + len - (sizeof suffix - 1), suffix) != 0)
			continue;
		meaning->cryptomattes[meaning->ncryptomattes] = attribute->text;
		meaning->lens[meaning->ncryptomattes++] = attribute->count;
	}
}

static bool are_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* Whether the layer is one of those that a Cryptomatte of the header names ("<name>00", "<name>01", ... and the preview "<name>"),
 * or called Crypto...NN. */
static bool is_cryptomatte(const struct meaning *meaning, const char *layer, size_t len)
{
	for (size_t i = 0; i < meaning->ncryptomattes; i++)
		if (len >= meaning->lens[i] && memcmp(layer, meaning->cryptomattes[i], meaning->lens[i]) == 0 &&
		    are_digits(layer + meaning->lens[i], len - meaning->lens[i]))
			return true;
	const char *dot = memrchr(layer, '.', len);
	size_t last = dot ? len - (size_t)(dot + 1 - layer) : len;
	return last > 8 - 1 && strncasecmp(layer + (len - last), "crypto", 6) == 0 && are_digits(layer + len - 2, 2);
}

static bool is_data(const struct meaning *meaning, const char *name)
{
	static const char *const coordinates[] = {"X", "Z", "x", "z", NULL};
	char letter = channel_letter(name);
	if (!letter || !strchr("RGBAY", letter))
		return true;
	size_t len = channel_layer_bytes(name);
	const char *layer = len ? name : meaning->part->name;
	if (is_cryptomatte(meaning, layer, len ? len : strlen(layer)))
		return true;
	return letter == 'Y' && has_any_beside(meaning, name, coordinates);
}

/* ---- luminance and chroma ---- */

/* Whether channel Y has the chroma that makes it a colour, and no such colour is stored. */
static bool makes_colour(const struct meaning *meaning, const struct codec_channel *y, uint16_t ret_chroma[2])
{
	static const char *const colours[] = {"R", "G", "B", NULL};
	int64_t ry = y->data || channel_letter(y->name) != 'Y' ? -1 : find_beside(meaning, y->name, "RY");
	int64_t by = ry < 0 ? -1 : find_beside(meaning, y->name, "BY");
	if (by < 0 || has_any_beside(meaning, y->name, colours))
		return false;
	ret_chroma[0] = (uint16_t)ry;
	ret_chroma[1] = (uint16_t)by;
	return true;
}

static int make_name(const struct meaning *meaning, const char *y, char colour, const char **ret_name)
{
	size_t len = (size_t)(channel_component(y) - y);
	char *name = arena_alloc(meaning->arena, len + 2, 1);
	if (!name)
		return -ENOMEM;
	memcpy(name, y, len);
	name[len] = colour;
	*ret_name = name;
	return 0;
}

/* R, G and B behind the stored channels, for each Y that makes them. */
static int make_colours(const struct meaning *meaning)
{
	struct codec_part *part = meaning->part;
	uint16_t chroma[2];
	for (uint32_t i = 0; i < meaning->nstored; i++) {
		if (!makes_colour(meaning, &part->channels[i], chroma) || part->nchannels + 3 > CODEC_MAX_CHANNELS)
			continue;
		for (uint8_t c = 0; c < 3; c++) {
			struct codec_channel *made = &part->channels[part->nchannels++];
			*made = (struct codec_channel){.origin = ORIGIN_LUMA, .component = c, .plane = (uint16_t)i};
			memcpy(made->chroma, chroma, sizeof chroma);
			int rc = make_name(meaning, part->channels[i].name, "RGB"[c], &made -> name);
			if (rc)
				return rc;
		}
		part->channels[i].folded = part->channels[chroma[0]].folded = part->channels[chroma[1]].folded = true;
	}
	return 0;
}

static int add_colours(const struct meaning *meaning)
{
	struct codec_part *part = meaning->part;
	uint32_t count = 0;
	uint16_t chroma[2];
	for (uint32_t i = 0; i < meaning->nstored; i++)
		count += makes_colour(meaning, &part->channels[i], chroma);
	if (!count)
		return 0;
	struct codec_channel *grown = arena_alloc(meaning->arena, meaning->nstored + 3 * (size_t)count, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	memcpy(grown, part->channels, meaning->nstored * sizeof *grown);
	part->channels = grown;
	return make_colours(meaning);
}

/* The share of each primary in the luminance of white: S_i y_i, where the S_i scale the primaries' XYZ to add up to white with Y
 * = 1. False: these chromaticities have none. */
static bool luma_of(const double xy[8], float ret_luma[3])
{
	const double x[3] = {xy[0], xy[2], xy[4]}, y[3] = {xy[1], xy[3], xy[5]};
	const double white[3] = {xy[6] / xy[7], 1.0, (1.0 - xy[6] - xy[7]) / xy[7]};
	double det[4]; /* Cramer's rule over the columns (x, y, 1 - x - y): all, then each replaced by white */
	for (unsigned k = 0; k < 4; k++) {
		double m[3][3];
		for (unsigned c = 0; c < 3; c++) {
			const double xyz[3] = {x[c], y[c], 1.0 - x[c] - y[c]};
			for (unsigned r = 0; r < 3; r++)
				m[r][c] = k == c + 1 ? white[r] : xyz[r];
		}
		det[k] = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
			 m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
	}
	for (unsigned i = 0; i < 3; i++)
		ret_luma[i] = (float)(det[i + 1] / det[0] * y[i]);
	return isfinite(ret_luma[0]) && isfinite(ret_luma[1]) && isfinite(ret_luma[2]) && fabsf(ret_luma[1]) > 1e-6f;
}

static void set_luma(struct codec_part *part, const struct exr_attributes *attributes, struct header_builder *builder)
{
	double told[8];
	for (unsigned i = 0; i < 8; i++)
		told[i] = (double)attributes->chromaticities[i];
	if (attributes->has_chromaticities && luma_of(told, part->luma))
		return;
	luma_of(color_rec709, part->luma);
	if (attributes->has_chromaticities && part->nchannels > part->nplanes)
		header_warn(builder, "the chromaticities give no luminance weights: Rec. 709's are taken for Y, RY and BY");
}

/* ---- colour ---- */

/* Values are linear. Which primaries they have is told or unknown: a file that says nothing is of any renderer's space. */
static void set_color(struct codec_part *part, const struct exr_attributes *attributes)
{
	double chromaticities[8];
	bool finite = attributes->has_chromaticities;
	for (unsigned i = 0; i < 8; i++) {
		chromaticities[i] = (double)attributes->chromaticities[i];
		finite = finite && isfinite(chromaticities[i]);
	}
	if (attributes->interop_id && color_interop_id(&part->color, attributes->interop_id, "colorInteropID"))
		return;
	color_linear(&part->color, finite ? chromaticities : NULL,
		     attributes->has_chromaticities ? "chromaticities" : "OpenEXR default");
}

int exr_part_mean(struct arena *arena, const struct exr_attributes *attributes, struct header_builder *builder,
		  struct codec_part *part, struct err *err)
{
	struct meaning meaning = {.arena = arena, .part = part, .nstored = part->nchannels};
	find_cryptomattes(&meaning, builder);
	part->alpha = ALPHA_NONE;
	for (uint32_t i = 0; i < part->nchannels; i++) {
		struct codec_channel *channel = &part->channels[i];
		channel->data = is_data(&meaning, channel->name);
		if (!channel->data && channel_letter(channel->name) == 'A')
			part->alpha = ALPHA_PREMULTIPLIED; /* "Alpha" in the introduction: associated */
	}
	int rc = add_colours(&meaning);
	if (rc)
		return exr_header_too_large(arena, err);
	set_luma(part, attributes, builder);
	set_color(part, attributes);
	return 0;
}
