/* view_parse.c - the grammar: a spec without its extension -> operations, applied left to right. */
#include "view_plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct view_op op_table[] = {
	/* name, argument, group, effect, notes itself, function, detail */
	{"pixels", NULL, OPS_VALUES, KEEPS_VALUES, true, op_pixels, 0},
	{"native", NULL, OPS_VALUES, KEEPS_VALUES, false, op_pixels, 0}, /* done before all others */
	{"values", NULL, OPS_VALUES, KEEPS_VALUES, false, op_pixels, 0},
	{"range", "LO:HI", OPS_VALUES, CHANGES_VALUES, false, op_range, 0},
	{"r", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"g", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"b", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"a", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"rgb", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"rgba", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"bgr", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"bgra", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_select, 0},
	{"ch", "R+G+Z", OPS_CHANNELS, KEEPS_VALUES, false, op_channels, 0},
	{"gray", NULL, OPS_CHANNELS, KEEPS_VALUES, false, op_gray, 0},
	{"linear", NULL, OPS_COLOUR, CHANGES_VALUES, false, op_linear, 0},
	{"srgb", NULL, OPS_COLOUR, CHANGES_VALUES, false, op_srgb, 0},
	{"assume", "srgb_rec709_scene", OPS_COLOUR, CHANGES_VALUES, false, op_assume, 0},
	{"premul", NULL, OPS_ALPHA, CHANGES_VALUES, false, op_alpha, ALPHA_PREMULTIPLIED},
	{"straight", NULL, OPS_ALPHA, CHANGES_VALUES, false, op_alpha, ALPHA_STRAIGHT},
	{"opaque", NULL, OPS_ALPHA, KEEPS_VALUES, false, op_opaque, 0},
	{"packed", NULL, OPS_ALPHA, KEEPS_VALUES, false, op_packed, 0},
	{"over", "1:1:1", OPS_ALPHA, CHANGES_VALUES, false, op_over, 0},
	{"chw", NULL, OPS_LAYOUT, KEEPS_VALUES, true, op_layout, 0},
	{"squeeze", NULL, OPS_LAYOUT, KEEPS_VALUES, true, op_layout, 0},
	{"upright", NULL, OPS_LAYOUT, KEEPS_VALUES, false, op_upright, 0},
	{"bottomup", NULL, OPS_LAYOUT, KEEPS_VALUES, false, op_flip, 0},
	{"mirror", NULL, OPS_LAYOUT, KEEPS_VALUES, false, op_flip, 0},
	{"rot", "90", OPS_LAYOUT, KEEPS_VALUES, false, op_rot, 0},
	{"blender", NULL, OPS_LAYOUT, KEEPS_VALUES, false, op_blender, 0},
	{"crop", "x:y:w:h", OPS_REGION, KEEPS_VALUES, true, op_crop, 0},
	{"display", NULL, OPS_REGION, KEEPS_VALUES, false, op_display, 0},
	{"square", NULL, OPS_REGION, KEEPS_VALUES, false, op_square, 0},
	{"size", "WxH", OPS_RESIZE, CHANGES_UNLESS_NEAREST, true, op_size, 0},
	{"fit", "WxH", OPS_RESIZE, CHANGES_UNLESS_NEAREST, true, op_size, 0},
	{"long", "N", OPS_RESIZE, CHANGES_UNLESS_NEAREST, true, op_size, 0},
	{"short", "N", OPS_RESIZE, CHANGES_UNLESS_NEAREST, true, op_size, 0},
	{"filter", "nearest|box|linear|cubic|lanczos3", OPS_RESIZE, KEEPS_VALUES, true, op_filter, 0},
	{"f32", NULL, OPS_TYPE, KEEPS_VALUES, true, op_type, SAMPLE_F32},
	{"f16", NULL, OPS_TYPE, KEEPS_VALUES, true, op_type, SAMPLE_F16},
	{"u8", NULL, OPS_TYPE, KEEPS_VALUES, true, op_type, SAMPLE_U8},
	{"u16", NULL, OPS_TYPE, KEEPS_VALUES, true, op_type, SAMPLE_U16},
	{"norm", "imagenet", OPS_TYPE, CHANGES_VALUES, false, op_norm, 0},
};
enum { OPS = sizeof op_table / sizeof *op_table };

void view_help(FILE *out)
{
	static const char *const groups[OPS_GROUPS] = {
		[OPS_CHANNELS] = "channels", [OPS_VALUES] = "values", [OPS_COLOUR] = "colour", [OPS_ALPHA] = "alpha",
		[OPS_LAYOUT] = "layout",     [OPS_REGION] = "region", [OPS_RESIZE] = "resize", [OPS_TYPE] = "type"};
	for (unsigned group = 0; group < OPS_GROUPS; group++) {
		fprintf(out, "%-9s", groups[group]);
		for (size_t i = 0; i < OPS; i++)
			if (op_table[i].group == group)
				fprintf(out, " %s%s%s", op_table[i].name, op_table[i].argument ? "=" : "",
					op_table[i].argument ? op_table[i].argument : "");
		fputc('\n', out);
	}
}

const struct view_op *view_op_find(const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < OPS; i++)
		if (strlen(op_table[i].name) == len_bytes && memcmp(op_table[i].name, name, len_bytes) == 0)
			return &op_table[i];
	return NULL;
}

static int check_effect(struct view_plan *plan, const struct view_op *op)
{
	bool may_be_nearest = op->effect == CHANGES_UNLESS_NEAREST;
	if (op->effect == KEEPS_VALUES || !(plan->native || plan->typed) || (may_be_nearest && plan_takes_nearest(plan)))
		return 0;
	return err_set(plan->err, -EINVAL, "%s changes values%s: not %s", op->name,
		       may_be_nearest ? ", but with filter=nearest" : "", plan->native ? "with native" : "after a sample type");
}

static int apply_one(struct view_plan *plan, const char *text)
{
	size_t len = strcspn(text, "=");
	const char *argument = text[len] ? text + len + 1 : NULL;
	if (!*text)
		return err_set(plan->err, -EINVAL, "an empty operation");
	const struct view_op *op = view_op_find(text, len);
	if (!op)
		return err_set(plan->err, -ENOENT, "no operation is called %.*s", (int)len, text);
	if (op->argument && (!argument || !*argument))
		return err_set(plan->err, -EINVAL, "%s wants a value: %s=...", op->name, op->name);
	if (!op->argument && argument)
		return err_set(plan->err, -EINVAL, "%s takes no value", op->name);
	int rc = check_effect(plan, op);
	if (!rc)
		rc = op->apply(plan, op, argument ? argument : "");
	if (!rc && !op->notes)
		plan_note(plan, "%s", text);
	return rc;
}

void plan_note(struct view_plan *plan, const char *format, ...)
{
	char *at = plan->canonical + plan->len_canonical;
	size_t room = sizeof plan->canonical - plan->len_canonical;
	if (plan->len_canonical && room > 1) {
		*at++ = ',';
		room--;
	}
	va_list arguments;
	va_start(arguments, format);
	int len = vsnprintf(at, room, format, arguments);
	va_end(arguments);
	plan->len_canonical = strlen(plan->canonical);
	(void)len; /* longer specs than the 255 bytes that are parsed don't get here */
}

bool plan_takes_nearest(const struct view_plan *plan)
{
	return plan->has_filter && plan->filter == FILTER_NEAREST;
}

/* What holds for the whole spec wherever it stands: how sizes are made, and which samples all begins with. */
static int apply_first(struct view_plan *plan, const char *spec)
{
	int rc = 0;
	for (const char *text = spec; text && !rc; text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL) {
		size_t len = strcspn(text, ",");
		int filter = strncmp(text, "filter=", 7) == 0 ? resize_filter_find(text + 7, len - 7) : -1;
		if (filter >= 0) {
			plan->has_filter = true;
			plan->filter = (uint8_t)filter;
		}
		if (len == 6 && memcmp(text, "native", len) == 0)
			rc = plan_native(plan);
		else if (len == 6 && memcmp(text, "values", len) == 0)
			rc = plan_values(plan);
	}
	return rc;
}

int plan_apply_spec(struct view_plan *plan, char *spec)
{
	int first = apply_first(plan, spec);
	if (first)
		return first;
	for (char *text = spec, *next; text; text = next) {
		next = strchr(text, ',');
		if (next)
			*next++ = 0;
		int rc = apply_one(plan, text);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- numbers ---- */

bool parse_char(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

bool parse_uint(const char **at, uint64_t *ret_value)
{
	const uint64_t most = (uint64_t)1 << 40;
	uint64_t value = 0;
	const char *c = *at;
	for (; *c >= '0' && *c <= '9'; c++)
		value = value > most ? most : value * 10 + (uint64_t)(*c - '0');
	if (c == *at)
		return false;
	*at = c;
	*ret_value = value > most ? most : value;
	return true;
}

bool parse_int(const char **at, int64_t *ret_value)
{
	bool negative = parse_char(at, '-');
	uint64_t value;
	if (!parse_uint(at, &value))
		return false;
	*ret_value = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* digits / 10^places: both exact in a double, so that the quotient is the nearest double to what is written, and its
 * float32 is what numpy makes of the same text. */
bool parse_decimal(const char **at, float *ret_value)
{
	const char *c = *at;
	bool negative = parse_char(&c, '-'), point = false;
	uint64_t digits = 0;
	double scale = 1.0;
	unsigned count = 0;
	for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
		if (*c == '.') {
			point = true;
			continue;
		}
		if (++count > 15)
			return false;
		digits = digits * 10 + (uint64_t)(*c - '0');
		scale *= point ? 10.0 : 1.0;
	}
	if (!count)
		return false;
	double value = (double)digits / scale;
	*at = c;
	*ret_value = (float)(negative ? -value : value);
	return true;
}
