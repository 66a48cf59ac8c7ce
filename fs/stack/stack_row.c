/* stack_row.c - one row of a stack: the bytes of one image's view, decoded and made by the thread that asks. */
#include "stack_inner.h"

#include <errno.h>
#include <string.h>

static void fill_nan(enum sample_type dtype, size_t len_bytes, void *dst)
{
	uint16_t half = 0x7e00;
	uint32_t single = 0x7fc00000;
	for (size_t at = 0; at < len_bytes; at += dtype == SAMPLE_F16 ? sizeof half : sizeof single)
		memcpy((char *)dst + at, dtype == SAMPLE_F16 ? (void *)&half : (void *)&single,
		       dtype == SAMPLE_F16 ? sizeof half : sizeof single);
}

static int read_member(struct stack *stack, struct image *image, uint64_t offset, size_t len_bytes, void *dst, struct err *err)
{
	struct picture picture;
	struct view *view;
	int rc = stack_compile(stack, image, &picture, &view, err);
	if (rc)
		return rc;
	struct image_area area = image_area_of_view(&picture, view);
	rc = image_use(image, &area, NULL, NULL, NULL, err);
	if (rc == 0) {
		struct image_reader reader;
		struct stack_shape shape = stack_shape_of(view_info(view));
		image_reader_init(&reader, image, picture.part_index, picture.level);
		reader.cold = len_bytes == stack->row_bytes; /* the row itself is kept */
		rc = stack_same_shape(&shape, &stack->row) ? 0 : err_set(err, -ESTALE, "the file changed");
		if (rc == 0)
			rc = view_read(view, stack->row_header_bytes + offset, len_bytes, dst, &reader.source, err);
		image_reader_end(&reader);
		if (reader.cold)
			image_kept_as(image, picture.part_index, picture.level, stack->row_bytes);
		image_unuse(image);
	}
	view_free(view);
	return rc;
}

int stack_make_row(struct stack *stack, size_t i, uint64_t offset, size_t len_bytes, void *dst, struct err *err)
{
	struct image *image;
	struct err own = ERR_NONE;
	uint64_t version = stack->versions[i];
	int rc = members_open(stack->members, i, &version, &image, &own);
	if (rc == 0) {
		rc = read_member(stack, image, offset, len_bytes, dst, &own);
		image_unref(image);
	}
	if (rc == 0)
		return 0;
	if (rc == -ESTALE)
		stack_retire(stack);
	if (stack_cant_be_decoded(&own)) {
		stack->states[i] = MEMBER_BROKEN;
		if (stack->row.dtype == SAMPLE_F32 || stack->row.dtype == SAMPLE_F16) {
			fill_nan(stack->row.dtype, len_bytes, dst);
			return 0;
		}
		rc = -EIO;
	}
	return err_set(err, rc, "%s: %s", member_path(stack->members, i), own.text);
}
