/* view_parse.c - the grammar: a spec without its extension -> operations, applied left to right. */
#include "view_plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct view_op op_table[] = {
	/* name, takes an argument, changes values, notes itself, function, detail */
	{"pixels", false, false, true, op_pixels, 0},
	{"native", false, false, false, op_native, 0},
	{"linear", false, true, false, op_linear, 0},
	{"srgb", false, true, false, op_srgb, 0},
	{"assume", true, true, false, op_assume, 0},
	{"premul", false, true, false, op_alpha, ALPHA_PREMULTIPLIED},
	{"straight", false, true, false, op_alpha, ALPHA_STRAIGHT},
	{"opaque", false, false, false, op_opaque, 0},
	{"over", true, true, false, op_over, 0},
	{"rgb", false, false, false, op_select, 0},
	{"rgba", false, false, false, op_select, 0},
	{"bgr", false, false, false, op_select, 0},
	{"bgra", false, false, false, op_select, 0},
	{"r", false, false, false, op_select, 0},
	{"g", false, false, false, op_select, 0},
	{"b", false, false, false, op_select, 0},
	{"a", false, false, false, op_select, 0},
	{"ch", true, false, false, op_channels, 0},
	{"gray", false, false, false, op_gray, 0},
	{"chw", false, false, true, op_layout, 0},
	{"squeeze", false, false, true, op_layout, 0},
	{"upright", false, false, false, op_upright, 0},
	{"bottomup", false, false, false, op_flip, 0},
	{"mirror", false, false, false, op_flip, 0},
	{"rot", true, false, false, op_rot, 0},
	{"blender", false, false, false, op_blender, 0},
	{"crop", true, false, true, op_crop, 0},
	{"display", false, false, false, op_display, 0},
	{"square", false, false, false, op_square, 0},
	{"size", true, true, true, op_size, 0},
	{"fit", true, true, true, op_size, 0},
	{"long", true, true, true, op_size, 0},
	{"short", true, true, true, op_size, 0},
	{"filter", true, false, true, op_filter, 0},
	{"f32", false, false, true, op_type, SAMPLE_F32},
	{"f16", false, false, true, op_type, SAMPLE_F16},
	{"u8", false, false, true, op_type, SAMPLE_U8},
	{"u16", false, false, true, op_type, SAMPLE_U16},
	{"norm", true, true, false, op_norm, 0},
};

const struct view_op *view_op_find(const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < sizeof op_table / sizeof *op_table; i++)
		if (strlen(op_table[i].name) == len_bytes && memcmp(op_table[i].name, name, len_bytes) == 0)
			return &op_table[i];
	return NULL;
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
	if (op->takes_argument && (!argument || !*argument))
		return err_set(plan->err, -EINVAL, "%s wants a value: %s=...", op->name, op->name);
	if (!op->takes_argument && argument)
		return err_set(plan->err, -EINVAL, "%s takes no value", op->name);
	if (op->changes_values && (plan->native || plan->typed))
		return err_set(plan->err, -EINVAL, "%s changes values: not after %s", op->name,
			       plan->native ? "native" : "a sample type");
	int rc = op->apply(plan, op, argument ? argument : "");
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

int plan_apply_spec(struct view_plan *plan, char *spec)
{
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
