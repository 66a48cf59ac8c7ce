/* view_out.c - what stands around a view's elements: the containers that an extension chooses. */
#include "view_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/base/json.h"
#include "npy.h"
#include "tiff.h"

const struct view_extension *view_extension_find(const char *name)
{
	static const struct view_extension table[] = {
		{"f32", VIEW_RAW, true, SAMPLE_F32},    {"f16", VIEW_RAW, true, SAMPLE_F16},
		{"u8", VIEW_RAW, true, SAMPLE_U8},      {"u16", VIEW_RAW, true, SAMPLE_U16},
		{"npy", VIEW_NPY, false, SAMPLE_F32},   {"tif", VIEW_TIF, false, SAMPLE_F32},
		{"json", VIEW_JSON, false, SAMPLE_F32}, {"png", VIEW_PNG, true, SAMPLE_U8},
		{"zarr", VIEW_ZARR, false, SAMPLE_F32},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(name, table[i].name) == 0)
			return &table[i];
	return NULL;
}

/* ---- PNG ---- */

static bool has_role(const struct view_plan *plan, uint32_t i, enum view_role role)
{
	return i < plan->nchannels && plan->channels[i].role == role;
}

/* One or three channels of any kind, or these and alpha. */
static bool png_can_hold(const struct view_plan *plan)
{
	uint32_t n = plan->nchannels;
	return n == 1 || (n == 3 && !has_role(plan, 2, ROLE_A)) || ((n == 2 || n == 4) && has_role(plan, n - 1, ROLE_A));
}

static int apply_op(struct view_plan *plan, const char *name)
{
	const struct view_op *op = view_op_find(name, strlen(name));
	return op->apply(plan, op, "");
}

/* PQ and HLG stay as they are: without a tone mapping, which nobody asked for, the picture would be dark. */
static bool wants_srgb(struct view_plan *plan)
{
	return !plan_shows_data(plan) && plan->transfer.kind != TRANSFER_PQ && plan->transfer.kind != TRANSFER_HLG &&
	       plan_knows_curve(plan);
}

/* Channels that a PNG can hold, values as PNG means them: straight alpha, and sRGB where the curve is known. What is
 * already u8 or native stays as it is. */
static int suit_png(struct view_plan *plan)
{
	bool alpha = plan_find_role(plan, ROLE_A) >= 0, gray = plan_find_role(plan, ROLE_GRAY) >= 0;
	int rc = 0;
	if (plan->chw)
		return err_set(plan->err, -EINVAL, "a PNG has no planar layout: not with chw");
	if (!png_can_hold(plan) && gray && alpha) {
		const struct view_channel both[2] = {plan->channels[plan_find_role(plan, ROLE_GRAY)],
						     plan->channels[plan_find_role(plan, ROLE_A)]};
		rc = plan_show(plan, both, 2);
	} else if (!png_can_hold(plan)) {
		rc = apply_op(plan, gray ? "gray" : alpha ? "rgba" : "rgb");
	}
	if (rc || plan->typed || plan->native)
		return rc;
	rc = apply_op(plan, "straight");
	return rc || !wants_srgb(plan) ? rc : apply_op(plan, "srgb");
}

int plan_suit_container(struct view_plan *plan, const struct view_extension *extension)
{
	return extension->container == VIEW_PNG ? suit_png(plan) : 0;
}

static int make_png(struct view_plan *plan)
{
	struct view *view = plan->view;
	if (view->width > INT32_MAX || view->height > INT32_MAX)
		return err_set(plan->err, -EFBIG, "%" PRIu32 " x %" PRIu32 " pixels are more than a PNG may have", view->width,
			       view->height);
	bool colour = plan_find_role(plan, ROLE_GRAY) >= 0 || plan_find_role(plan, ROLE_G) >= 0;
	view->png = (struct png_out){.width = view->width, .height = view->height, .channels = plan->nchannels};
	view->png.srgb = colour && !plan_shows_data(plan) && plan->transfer.kind == TRANSFER_SRGB;
	view->png.sums = plan_alloc(plan, (size_t)png_out_blocks(&view->png), sizeof *view->png.sums);
	view->info.nbytes = png_out_bytes(&view->png);
	return view->png.sums ? 0 : -ENOMEM;
}

/* ---- TIFF ---- */

static int make_tiff(struct view_plan *plan)
{
	struct view *view = plan->view;
	struct tiff tiff = {view->width, view->height, plan->nchannels, view->info.dtype, TIFF_GRAY, view->chw, 0, false};
	if (has_role(plan, 0, ROLE_R) && has_role(plan, 1, ROLE_G) && has_role(plan, 2, ROLE_B))
		tiff.photometric = TIFF_RGB;
	int64_t alpha = plan_find_role(plan, ROLE_A);
	tiff.alpha = alpha > 0 ? (uint32_t)alpha : 0;
	tiff.premultiplied = plan->alpha == ALPHA_PREMULTIPLIED;
	view->info.header_bytes = tiff_header_bytes(&tiff);
	view->prefix = plan_alloc(plan, 1, view->info.header_bytes);
	if (!view->prefix)
		return -ENOMEM;
	tiff_header(&tiff, view->prefix);
	return 0;
}

/* ---- JSON, Zarr ---- */

/* The operations written in one way: regions and sizes as they came out, then filter, layout and sample type. */
static int finish_canonical(struct view_plan *plan)
{
	static const char *const filters[] = {"nearest", "box", "linear", "cubic", "lanczos3"};
	static const char *const types[] = {"u8", "u16", "u32", "f16", "f32"};
	if (plan->has_filter)
		plan_note(plan, "filter=%s", filters[plan->filter]);
	if (plan->chw)
		plan_note(plan, "chw");
	if (plan->squeeze)
		plan_note(plan, "squeeze");
	if (plan->typed && plan->type != SAMPLE_F32)
		plan_note(plan, "%s", types[plan->type]);
	if (!plan->len_canonical)
		plan_note(plan, "pixels");
	struct view_info *info = &plan->view->info;
	info->spec = arena_copy(&plan->view->arena, plan->canonical, strlen(plan->canonical) + 1);
	info->axes = arena_copy(&plan->view->arena, plan->axes, sizeof plan->axes);
	return info->spec && info->axes ? 0 : err_set(plan->err, -ENOMEM, "no memory to describe the view");
}

/* The whole file is this text, which is freed. */
static int keep_text(struct view_plan *plan, char *text, size_t len)
{
	struct view *view = plan->view;
	view->prefix = arena_copy(&view->arena, text, len);
	free(text);
	view->info.header_bytes = view->info.nbytes = len;
	return view->prefix ? 0 : err_set(plan->err, -ENOMEM, "no memory to describe the view");
}

static int make_json(struct view_plan *plan, uint64_t data_bytes)
{
	struct view *view = plan->view;
	struct json json;
	char *text;
	size_t len;
	json_init(&json, false);
	json_object(&json, NULL);
	json_string(&json, "spec", view->info.spec);
	json_array(&json, "shape");
	for (uint32_t i = 0; i < view->info.ndim; i++)
		json_uint(&json, NULL, view->info.shape[i]);
	json_end_array(&json);
	json_string(&json, "axes", plan->axes);
	json_string(&json, "dtype", npy_descr(view->info.dtype));
	json_string(&json, "order", "C");
	json_uint(&json, "npy_offset", NPY_HEADER_BYTES);
	json_uint(&json, "nbytes", data_bytes);
	json_array(&json, "channel_names");
	for (uint32_t i = 0; i < plan->nchannels; i++)
		json_string(&json, NULL, plan->channels[i].name);
	json_end_array(&json);
	json_string(&json, "transfer", plan_shows_data(plan) ? "data" : plan->transfer.name);
	json_string(&json, "assumed", plan_has_colours(plan) && view_assumes(&plan->picture->part->color) ? config.assume : NULL);
	json_end_object(&json);
	if (json_finish(&json, &text, &len))
		return err_set(plan->err, -ENOMEM, "no memory to describe the view");
	return keep_text(plan, text, len);
}

int plan_make_error(struct view_plan *plan, const char *spec, const struct err *why)
{
	struct view_info *info = &plan->view->info;
	struct json json;
	char *text;
	size_t len;
	json_init(&json, false);
	json_object(&json, NULL);
	json_string_n(&json, "spec", spec, (size_t)(strrchr(spec, '.') - spec));
	json_object(&json, "error");
	json_string(&json, "errno", strerrorname_np(-why->code));
	json_string(&json, "message", why->text);
	json_end_object(&json);
	json_end_object(&json);
	if (json_finish(&json, &text, &len))
		return err_set(plan->err, -ENOMEM, "no memory to describe the view");
	info->spec = info->axes = "";
	info->container = VIEW_JSON;
	return keep_text(plan, text, len);
}

static int make_zarr(struct view_plan *plan)
{
	struct view *view = plan->view;
	char *text;
	size_t len;
	plan_make_grid(plan);
	view->info.zarr.spec = view->info.spec;
	if (zarr_json(&view->info.zarr, &text, &len))
		return err_set(plan->err, -ENOMEM, "no memory to describe the view");
	return keep_text(plan, text, len);
}

int plan_make_container(struct view_plan *plan, const struct view_extension *extension)
{
	struct view *view = plan->view;
	uint64_t data_bytes = (uint64_t)view->width * view->height * view->nout * view->element_bytes;
	int rc = finish_canonical(plan);
	if (rc)
		return rc;
	view->info.container = extension->container;
	switch (extension->container) {
	case VIEW_PNG:
		return make_png(plan);
	case VIEW_JSON:
		return make_json(plan, data_bytes);
	case VIEW_ZARR:
		return make_zarr(plan);
	case VIEW_NPY:
		view->info.header_bytes = NPY_HEADER_BYTES; /* made by who reads it */
		break;
	case VIEW_TIF:
		rc = make_tiff(plan);
		break;
	case VIEW_RAW:
		break;
	}
	view->info.nbytes = view->info.header_bytes + data_bytes;
	return rc;
}
