/* view_zarr.c - a view as a Zarr array: its chunk grid, and the view of one chunk. Names and zarr.json are zarr.c's. */
#include "view_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "codecs/core/sample.h"

/* The pixels of a chunk of the last stage: the codec's own chunk where sample types, channels or values are all that the
 * view changes; of a view that moves or resizes pixels, as many. Where the codec has one column of chunks, so has the view. */
static void chunk_pixels(const struct view_plan *plan, uint64_t *ret_width, uint64_t *ret_height)
{
	const struct view *view = plan->view;
	const struct base_stage *base = &view->stages[0].base;
	const struct codec_level *level = &base->part->levels[base->level];
	const struct view_stage *top = plan_top((struct view_plan *)plan);
	uint64_t width = level->nchunks_x == 1 ? UINT32_MAX : level->chunk_width / base->unit_x;
	uint64_t height = level->nchunks_y == 1 ? UINT32_MAX : level->chunk_height / base->unit_y;
	if (view->swaps) {
		uint64_t swapped = width;
		width = height;
		height = swapped;
	}
	width = plan->flat || width > top->width ? top->width : width;
	height = height > top->height ? top->height : height;
	*ret_width = width ? width : 1;
	*ret_height = height ? height : 1;
}

static uint8_t find_axis(const char *axes, char axis)
{
	const char *at = strchr(axes, axis);
	return at ? (uint8_t)(at - axes) : UINT8_MAX;
}

/* The bytes of a chunk are (y, x, c), whatever the order of the array's dimensions. */
static void store_as_yxc(const char *axes, struct zarr *zarr)
{
	uint32_t n = 0;
	for (const char *axis = "yxc"; *axis; axis++)
		if (find_axis(axes, *axis) != UINT8_MAX)
			zarr->stored_order[n++] = find_axis(axes, *axis);
}

void plan_make_grid(struct view_plan *plan)
{
	struct view *view = plan->view;
	struct zarr *zarr = &view->info.zarr;
	uint64_t width, height;
	chunk_pixels(plan, &width, &height);
	*zarr = (struct zarr){.ndim = view->info.ndim, .dtype = view->info.dtype};
	for (uint32_t i = 0; i < zarr->ndim; i++) {
		char axis = plan->axes[i];
		zarr->shape[i] = view->info.shape[i];
		zarr->chunk[i] = axis == 'y' ? height : axis == 'x' ? width : plan->nchannels;
		zarr->dimension_names[i] = axis == 'y' ? "y" : axis == 'x' ? "x" : "c";
	}
	if (strcmp(plan->axes, "flat") == 0) {
		zarr->chunk[0] = height * view->width * plan->nchannels;
		zarr->dimension_names[0] = "i";
	} else {
		store_as_yxc(plan->axes, zarr);
	}
}

int plan_move_to_chunk(struct view_plan *plan, uint64_t index)
{
	const struct view_stage *top = plan_top(plan);
	uint64_t width, height;
	chunk_pixels(plan, &width, &height);
	uint64_t columns = (top->width - 1) / width + 1, rows = (top->height - 1) / height + 1;
	if (index >= columns * rows)
		return err_set(plan->err, -ENOENT, "the array has no chunk %" PRIu64, index);
	struct view_move move = {1, 0, 0, 1, (int64_t)(index % columns * width), (int64_t)(index / columns * height)};
	plan->chw = plan->flat = false;
	return plan_move(plan, move, width, height);
}
