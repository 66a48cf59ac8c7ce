/* view_profile.c - the PROFILE stage: samples of all colour channels at a place, through the tables of an ICC profile, to linear
 * R, G and B with the primaries of BT.709. Each pixel is converted alone, so that any range of them gives the same bits. */
#include "view_plan.h"

#include <errno.h>
#include <string.h>

enum { BATCH = 256, NCOLOURS = 3 };

/* ---- compiling ---- */

/* What is shown behind it: R, G, B in place of the channels with these roles, or of the inks; the others copied. */
static int show_colours(struct view_plan *plan, struct view_stage *stage)
{
	static const enum view_role roles[NCOLOURS] = {ROLE_R, ROLE_G, ROLE_B};
	bool inks = stage->profile.icc->space == ICC_CMYK;
	for (uint32_t i = 0; i < plan->nchannels + plan->nextra; i++) {
		struct view_channel *shown = &plan->channels[i];
		uint32_t colour = 0;
		while (colour < NCOLOURS && (i >= plan->nchannels || shown->role != roles[colour]))
			colour++;
		if (!inks && colour < NCOLOURS) {
			shown->source = (uint16_t)colour;
			continue;
		}
		stage->profile.copies[stage->nchannels - NCOLOURS] = shown->source;
		shown->source = (uint16_t)stage->nchannels++;
	}
	if (!inks)
		return 0;
	int64_t alpha = plan_find_role(plan, ROLE_A);
	struct view_channel rgba[4] = {{"R", 0, ROLE_R, false}, {"G", 1, ROLE_G, false}, {"B", 2, ROLE_B, false}};
	if (alpha >= 0)
		rgba[NCOLOURS] = plan->channels[alpha];
	return plan_show(plan, rgba, alpha >= 0 ? NCOLOURS + 1 : NCOLOURS);
}

int plan_convert(struct view_plan *plan)
{
	static const enum view_role rgb[] = {ROLE_R, ROLE_G, ROLE_B}, cmyk[] = {ROLE_C, ROLE_M, ROLE_Y, ROLE_K};
	const struct icc *icc = plan->view->icc;
	uint16_t *copies = plan_alloc(plan, plan->nchannels + plan->nextra, sizeof *copies);
	struct view_stage *stage = copies ? plan_push(plan, STAGE_PROFILE) : NULL;
	if (!stage)
		return copies ? -EINVAL : -ENOMEM;
	stage->profile = (struct profile_stage){.icc = icc, .copies = copies};
	stage->profile.inverted = icc->space == ICC_CMYK && plan_inverts_inks(plan);
	for (unsigned i = 0; i < icc->space; i++) {
		int64_t found = plan_find_role(plan, icc->space == ICC_CMYK ? cmyk[i] : rgb[i]);
		stage->profile.inputs[i] = plan->channels[found].source;
	}
	stage->nchannels = NCOLOURS;
	return show_colours(plan, stage);
}

/* ---- reading ---- */

/* inputs: icc->space planes of n samples each; outputs: three. */
static void convert_planes(const struct profile_stage *profile, const float *inputs, float *outputs, size_t n)
{
	size_t samples = (size_t)profile->icc->space;
	float device[BATCH * 4], colours[BATCH * NCOLOURS];
	for (size_t done = 0; done < n; done += BATCH) {
		size_t count = n - done < BATCH ? n - done : BATCH;
		for (size_t c = 0; c < samples; c++)
			for (size_t i = 0; i < count; i++) {
				float v = inputs[c * n + done + i];
				device[i * samples + c] = profile->inverted ? 1.0f - v : v;
			}
		icc_convert(profile->icc, device, colours, count);
		for (size_t c = 0; c < NCOLOURS; c++)
			for (size_t i = 0; i < count; i++)
				outputs[c * n + done + i] = colours[i * NCOLOURS + c];
	}
}

/* Channels of the list come from the converted colours, or straight from the stage before, one by one. */
int profile_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n,
		  struct view_sink sink)
{
	const struct profile_stage *profile = &reader->view->stages[index].profile;
	size_t plane = (size_t)rect.width * rect.height;
	uint32_t samples = (uint32_t)profile->icc->space;
	float *inputs = reader_buffer(reader, index, (samples + NCOLOURS) * plane * sizeof *inputs);
	bool converted = false;
	if (!inputs)
		return -ENOMEM;
	float *colours = inputs + samples * plane;
	for (uint32_t i = 0; i < n; i++) {
		struct view_sink at = sink;
		at.at += (ptrdiff_t)i * sink.channel_step;
		int rc = 0;
		if (list[i] >= NCOLOURS) {
			rc = stage_fetch(reader, index - 1, rect, &profile->copies[list[i] - NCOLOURS], 1, at);
		} else {
			if (!converted)
				rc = stage_fetch(reader, index - 1, rect, profile->inputs, samples, sink_of_tile(inputs, rect, 0));
			if (!rc && !converted)
				convert_planes(profile, inputs, colours, plane);
			converted = true;
			if (!rc)
				sink_store(colours + list[i] * plane, rect, 1, at, sizeof(float));
		}
		if (rc)
			return rc;
	}
	return 0;
}
