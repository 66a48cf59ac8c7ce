/* view_list.c - which plain views a picture's views/ lists. All others resolve too, when named. */
#include "view_plan.h"

#include <stdlib.h>

/* What a listed view needs of the picture. */
enum need { NEED_NOTHING, NEED_RGB, NEED_ALPHA, NEED_COLOUR, NEED_CURVE, NEED_STRAIGHT, NEED_PREMULTIPLIED, NEED_TURNED };

static const struct {
	const char *name;
	enum need need;
} listed[] = {
	{"r.f32", NEED_RGB},
	{"g.f32", NEED_RGB},
	{"b.f32", NEED_RGB},
	{"a.f32", NEED_ALPHA},
	{"gray.f32", NEED_COLOUR},
	{"rgb.f32", NEED_COLOUR},
	{"rgba.f32", NEED_COLOUR},
	{"chw.f32", NEED_NOTHING},
	{"linear.f32", NEED_CURVE},
	{"premul.f32", NEED_STRAIGHT},
	{"straight.f32", NEED_PREMULTIPLIED},
	{"upright.f32", NEED_TURNED},
	{"blender.f32", NEED_COLOUR},
};

static bool plan_has_rgb(const struct view_plan *plan)
{
	return (plan_find_role(plan, ROLE_R) >= 0 && plan_find_role(plan, ROLE_G) >= 0 && plan_find_role(plan, ROLE_B) >= 0) ||
	       plan_find_role(plan, ROLE_C) >= 0;
}

static bool plan_meets(struct view_plan *plan, enum need need)
{
	bool rgb = plan_has_rgb(plan), colour = (rgb || plan_find_role(plan, ROLE_GRAY) >= 0) && !plan_shows_data(plan);
	uint8_t orientation = plan->picture->header->orientation;
	switch (need) {
	case NEED_NOTHING:
		return true;
	case NEED_RGB:
		return rgb;
	case NEED_ALPHA:
		return plan_find_role(plan, ROLE_A) >= 0;
	case NEED_COLOUR:
		return colour;
	case NEED_CURVE:
		return colour && plan_knows_curve(plan);
	case NEED_STRAIGHT:
		return colour && (plan->alpha == ALPHA_STRAIGHT || plan->alpha == ALPHA_UNKNOWN);
	case NEED_PREMULTIPLIED:
		return colour && (plan->alpha == ALPHA_PREMULTIPLIED || plan->alpha == ALPHA_UNKNOWN);
	case NEED_TURNED:
		return orientation >= 2 && orientation <= 8;
	}
	return false;
}

void view_list(const struct picture *picture, const char **ret_names, size_t max)
{
	struct view_plan plan;
	size_t n = 0;
	if (!max)
		return;
	if (!picture->part->unsupported && plan_open(&plan, picture, NULL) == 0) {
		bool ready = plan_start(&plan, "") == 0;
		for (size_t i = 0; ready && i < sizeof listed / sizeof *listed; i++)
			if (n + 1 < max && plan_meets(&plan, listed[i].need))
				ret_names[n++] = listed[i].name;
		view_free(plan.view);
	}
	ret_names[n] = NULL;
}
