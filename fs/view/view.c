/* view.c - compiling a spec: from its text to a view's stages, shape and size. What reads them is in view_read.c. */
#include "view_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"

/* The memory of one view's plan: 4096 channels through VIEW_MAX_STAGES stages fit. */
static const size_t view_arena_bytes = (size_t)32 << 20;

/* ---- compiling ---- */

int plan_open(struct view_plan *plan, const struct picture *picture, struct err *err)
{
	struct view *view = calloc(1, sizeof *view);
	if (!view)
		return err_set(err, -ENOMEM, "no memory to compile the view");
	arena_init(&view->arena, view_arena_bytes);
	*plan = (struct view_plan){.picture = picture, .view = view, .err = err};
	return 0;
}

/* The type of the elements: of the stored planes where native, else what an operation or the extension says. */
static int settle_type(struct view_plan *plan, const struct view_extension *extension)
{
	struct view *view = plan->view;
	enum sample_type type = plan->typed ? (enum sample_type)plan->type : extension->typed ? extension->type : SAMPLE_F32;
	int rc = plan_check_grid(plan);
	if (rc)
		return rc;
	const struct base_stage *base = &view->stages[0].base;
	for (uint32_t i = 0; plan->native && i < plan->nchannels; i++) {
		enum sample_type stored = (enum sample_type)base->part->planes[base->channels[plan->channels[i].source].plane].type;
		if (i && stored != type)
			return err_set(plan->err, -EINVAL,
				       "native: the channels are stored in different sample types: choose some with ch=");
		type = stored;
	}
	if (extension->typed && type != extension->type)
		return err_set(plan->err, -EINVAL, "the extension %s contradicts the sample type of the operations",
			       extension->name);
	view->info.dtype = type;
	view->element_bytes = sample_size_bytes(type);
	return 0;
}

static void settle_shape(struct view_plan *plan)
{
	struct view *view = plan->view;
	uint64_t c = plan->nchannels, h = view->height, w = view->width;
	uint64_t shape[3] = {view->chw ? c : h, view->chw ? h : w, view->chw ? w : c};
	const char *axes = view->chw ? "cyx" : "yxc";
	uint32_t n = 0;
	for (unsigned i = 0; i < (plan->plane ? 2 : 3) && !plan->flat; i++)
		if (!plan->squeeze || shape[i] != 1) {
			view->info.shape[n] = shape[i];
			plan->axes[n++] = axes[i];
		}
	if (!n) { /* flat, or all axes squeezed */
		view->info.shape[n++] = c * h * w;
		strcpy(plan->axes, "flat");
	}
	view->info.ndim = n;
}

static void settle_filter(struct view_plan *plan)
{
	for (uint32_t i = 0; i < plan->view->nstages; i++) {
		struct view_stage *stage = &plan->view->stages[i];
		if (stage->kind != STAGE_RESIZE)
			continue;
		struct resize_axis *axes[2] = {&stage->resize.resize.x, &stage->resize.resize.y};
		for (unsigned a = 0; a < 2; a++)
			axes[a]->filter = plan->has_filter ? plan->filter : axes[a]->out < axes[a]->in ? FILTER_BOX : FILTER_LINEAR;
	}
}

static int settle_resize(struct view_plan *plan)
{
	const uint64_t most_taps = (uint64_t)1 << 20;
	if (plan->has_filter && !plan->resized)
		return err_set(plan->err, -EINVAL, "filter= without a size to filter for");
	settle_filter(plan);
	for (uint32_t i = 0; i < plan->view->nstages; i++) {
		const struct view_stage *stage = &plan->view->stages[i];
		const struct resize *resize = &stage->resize.resize;
		if (stage->kind == STAGE_RESIZE && (resize_taps(&resize->x) > most_taps || resize_taps(&resize->y) > most_taps))
			return err_set(plan->err, -EFBIG, "the resize would take more than 2^20 samples for one");
	}
	return 0;
}

/* Whether the samples that are shown are stored as the view wants them: n bits by 2^n - 1 and back are the same n bits, and so are
 * integers that nothing was done to. */
static bool keeps_samples(const struct view *view)
{
	const struct base_stage *base = &view->stages[0].base;
	bool integers = view->info.dtype == SAMPLE_U8 || view->info.dtype == SAMPLE_U16;
	uint32_t divisor = view->unscaled ? 0 : view->info.dtype == SAMPLE_U8 ? 255 : 65535;
	for (uint32_t i = 0; integers && i < view->nout; i++) {
		const struct base_channel *channel = &base->channels[view->out[i]];
		const struct codec_plane *plane = &base->part->planes[channel->plane];
		if (channel->kind != BASE_PLANE || plane->type != view->info.dtype || channel->divisor != divisor ||
		    plane->xsampling != 1 || plane->ysampling != 1)
			return false;
	}
	return integers;
}

/* The plan is complete: fixes what follows from it. */
static int plan_finish(struct view_plan *plan, const struct view_extension *extension)
{
	struct view *view = plan->view;
	const struct view_stage *top;
	if (plan->flat && plan->chw)
		return err_set(plan->err, -EINVAL, "blender is one flat buffer: not with chw");
	int rc = plan_suit_container(plan, extension);
	if (!rc)
		rc = settle_resize(plan);
	if (!rc)
		rc = settle_type(plan, extension);
	if (rc)
		return rc;
	top = plan_top(plan);
	view->width = top->width;
	view->height = top->height;
	view->chw = plan->chw;
	view->nout = plan->nchannels;
	view->out = plan_alloc(plan, plan->nchannels, sizeof *view->out);
	if (!view->out)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->nchannels; i++)
		view->out[i] = plan->channels[i].source;
	bool moves = view->nstages == 1 || (view->nstages == 2 && top->kind == STAGE_MOVE);
	if (moves && !plan->native && keeps_samples(view))
		plan->native = view->stages[0].base.native = true;
	view->info.only_moves = moves && (plan->native || view->info.dtype == SAMPLE_F32);
	view->info.in_order = view->nstages == 1 && !view->chw;
	bool plain = extension->container == VIEW_RAW || extension->container == VIEW_NPY || extension->container == VIEW_TIF;
	view->info.in_place = view->info.in_order && plain && base_is_in_place(&view->stages[0].base, view->out, view->nout);
	uint64_t pixels = (uint64_t)view->width * view->height;
	if (pixels > VIEW_MAX_PIXELS)
		return err_set(plan->err, -EFBIG, "%" PRIu64 " pixels are more than a view may have (2^31)", pixels);
	settle_shape(plan);
	return plan_make_container(plan, extension);
}

enum { NO_CHUNK = -1 };

static int plan_compile(struct view_plan *plan, char *spec, const struct view_extension *extension, int64_t chunk)
{
	int rc = plan_start(plan, spec);
	if (!rc)
		rc = plan_apply_spec(plan, spec);
	if (!rc && chunk != NO_CHUNK)
		rc = plan_move_to_chunk(plan, (uint64_t)chunk);
	return rc ? rc : plan_finish(plan, extension);
}

/* A chunk is the elements alone, of the type that the whole has. */
static const struct view_extension chunk_extension = {"zarr", VIEW_RAW, false, SAMPLE_F32};

/* What the failed plan tells, as a view of its own: spec's .json, which a reader finds where there is no array. */
static int compile_error(struct view_plan *failed, const char *spec, struct view **ret_view)
{
	struct view_plan plan;
	const struct err why = *failed->err;
	*failed->err = (struct err)ERR_NONE;
	view_free(failed->view);
	int rc = plan_open(&plan, failed->picture, failed->err);
	if (rc)
		return rc;
	rc = plan_make_error(&plan, spec, &why);
	if (rc)
		view_free(plan.view);
	else
		*ret_view = plan.view;
	return rc;
}

static int compile(const struct picture *picture, const char *spec, int64_t chunk, struct view **ret_view, struct err *err)
{
	char text[VIEW_MAX_SPEC_BYTES + 1];
	size_t len = strlen(spec);
	if (len > VIEW_MAX_SPEC_BYTES)
		return err_set(err, -EINVAL, "a view's name has at most %d bytes", VIEW_MAX_SPEC_BYTES);
	memcpy(text, spec, len + 1);
	char *dot = strrchr(text, '.');
	const struct view_extension *extension = dot ? view_extension_find(dot + 1) : NULL;
	if (!extension || (chunk != NO_CHUNK && extension->container != VIEW_ZARR))
		return err_set(err, -ENOENT, "no view has the extension \"%s\"", dot ? dot + 1 : "");
	*dot = 0;
	struct view_plan plan;
	struct err own = ERR_NONE;
	int rc = plan_open(&plan, picture, err ? err : &own);
	if (rc)
		return rc;
	rc = plan_compile(&plan, text, chunk == NO_CHUNK ? extension : &chunk_extension, chunk);
	if (rc && extension->container == VIEW_JSON && (rc == -EINVAL || rc == -EFBIG))
		return compile_error(&plan, spec, ret_view);
	if (rc)
		view_free(plan.view);
	else
		*ret_view = plan.view;
	return rc;
}

int view_compile(const struct picture *picture, const char *spec, struct view **ret_view, struct err *err)
{
	return compile(picture, spec, NO_CHUNK, ret_view, err);
}

int view_compile_chunk(const struct picture *picture, const char *spec, uint64_t index, struct view **ret_view, struct err *err)
{
	return compile(picture, spec, index > INT64_MAX ? INT64_MAX : (int64_t)index, ret_view, err);
}

int view_compile_channel(const struct picture *picture, uint32_t channel, int npy, struct view **ret_view, struct err *err)
{
	struct view_plan plan;
	if (channel >= picture->part->nchannels)
		return err_set(err, -ENOENT, "no channel has the number %" PRIu32, channel);
	int rc = plan_open(&plan, picture, err);
	if (rc)
		return rc;
	plan.plane = true;
	rc = plan_start_channel(&plan, channel);
	if (!rc)
		rc = plan_finish(&plan, view_extension_find(npy ? "npy" : "f32"));
	if (rc)
		view_free(plan.view);
	else
		*ret_view = plan.view;
	return rc;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	for (uint32_t i = 0; i < view->nstages; i++)
		if (view->stages[i].kind == STAGE_RESIZE)
			resize_memory_free(view->stages[i].resize.memory);
	icc_close(view->icc);
	arena_free(&view->arena);
	free(view);
}

const struct view_info *view_info(const struct view *view)
{
	return &view->info;
}
