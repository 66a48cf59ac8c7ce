/* stack_row.c - one row of a stack: the bytes of one image's view, decoded and made by the thread that asks. */
#include "stack_inner.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "fs/base/config.h"

/* ---- what stands in place of a member ---- */

static int filler_of(const struct stack *stack, double value, unsigned char ret_filler[4])
{
	static const double most[] = {[SAMPLE_U8] = UINT8_MAX, [SAMPLE_U16] = UINT16_MAX, [SAMPLE_U32] = UINT32_MAX};
	enum sample_type type = stack->row.dtype;
	float single = (float)value;
	if (type == SAMPLE_F16 || type == SAMPLE_F32) {
		sample_from_f32(ret_filler, &single, type, 1);
		return 0;
	}
	if (!(value >= 0 && value <= most[type]) || value != floor(value))
		return -EINVAL;
	uint32_t whole = (uint32_t)value;
	for (unsigned i = 0; i < 4; i++)
		ret_filler[i] = (unsigned char)(whole >> 8 * i);
	return 0;
}

int stack_set_filler(struct stack *stack, struct err *err)
{
	const char *text = stack->name.fill;
	bool floats = stack->row.dtype == SAMPLE_F16 || stack->row.dtype == SAMPLE_F32;
	char *end;
	stack->fills = *text || floats;
	if (!stack->fills)
		return 0;
	bool number = !*text || strcmp(text, "nan") == 0 || strspn(text, "-.0123456789") == strlen(text);
	double value = *text ? strtod(text, &end) : (double)NAN;
	if (!number || (*text && *end) || filler_of(stack, value, stack->filler))
		return err_set(err, -EINVAL, "fill=%s: no number that %s holds", text, npy_descr(stack->row.dtype) + 1);
	return 0;
}

static void fill(const struct stack *stack, size_t len_bytes, unsigned char *dst)
{
	size_t size = sample_size_bytes(stack->row.dtype);
	for (size_t at = 0; at < len_bytes; at += size)
		memcpy(dst + at, stack->filler, size);
}

/* ---- what is found ---- */

void stack_found(struct stack *stack, size_t i, enum member_state state)
{
	uint8_t before = MEMBER_GOOD;
	if (!atomic_compare_exchange_strong(&stack->states[i], &before, (uint8_t)state) && state == MEMBER_DAMAGED &&
	    before == MEMBER_SOUND)
		atomic_store(&stack->states[i], (uint8_t)MEMBER_DAMAGED);
}

static int open_member(struct stack *stack, size_t i, struct image **ret_image, struct picture *ret_picture, struct view **ret_view,
		       struct err *err)
{
	uint64_t version = stack->versions[i];
	int rc = members_open(stack->members, i, &version, ret_image, err);
	if (rc)
		return rc;
	rc = stack_compile(stack, *ret_image, ret_picture, ret_view, err);
	if (rc)
		image_unref(*ret_image);
	return rc;
}

int stack_check_member(struct stack *stack, size_t i, struct err *err)
{
	struct image *image;
	struct picture picture;
	struct view *view;
	struct err own = ERR_NONE;
	if (stack->states[i] != MEMBER_GOOD)
		return 0;
	int rc = open_member(stack, i, &image, &picture, &view, &own);
	if (rc == 0) {
		struct image_area area = image_area_of_view(&picture, view);
		rc = image_use(image, &area, NULL, NULL, NULL, &own);
		if (rc == 0)
			image_unuse(image);
		view_free(view);
		image_unref(image);
	}
	if (rc == 0 || stack_cant_be_decoded(&own))
		stack_found(stack, i, rc ? MEMBER_DAMAGED : MEMBER_SOUND);
	return rc == -ENOMEM ? err_copy(err, &own) : 0;
}

/* ---- a row ---- */

/* Of an image in use. */
static int read_view(struct stack *stack, struct image *image, const struct picture *picture, const struct view *view,
		     uint64_t offset, size_t len_bytes, void *dst, struct err *err)
{
	struct image_reader reader;
	struct stack_shape shape = stack_shape_of(view_info(view));
	image_reader_init(&reader, image, picture->part_index, picture->level);
	reader.cold = len_bytes == stack->row_bytes; /* the row itself is kept */
	int rc = stack_same_shape(&shape, &stack->row) ? 0 : err_set(err, -ESTALE, "the file changed");
	if (rc == 0)
		rc = view_read(view, stack->row_header_bytes + offset, len_bytes, dst, &reader.source, err);
	image_reader_end(&reader);
	if (reader.cold)
		image_kept_as(image, picture->part_index, picture->level, stack->row_bytes);
	return rc;
}

static int read_member(struct stack *stack, size_t i, uint64_t offset, size_t len_bytes, void *dst, struct err *err)
{
	struct image *image;
	struct picture picture;
	struct view *view;
	int rc = open_member(stack, i, &image, &picture, &view, err);
	if (rc)
		return rc;
	struct image_area area = image_area_of_view(&picture, view);
	rc = image_use(image, &area, NULL, NULL, NULL, err);
	if (rc == 0) {
		rc = read_view(stack, image, &picture, view, offset, len_bytes, dst, err);
		image_unuse(image);
	}
	/* opening it was the check, unless verify=off; else all of it was decoded */
	if (rc == 0 && (config.verify != VERIFY_OFF || len_bytes == stack->row_bytes))
		stack_found(stack, i, MEMBER_SOUND);
	view_free(view);
	image_unref(image);
	return rc;
}

int stack_make_row(struct stack *stack, size_t i, uint64_t offset, size_t len_bytes, void *dst, struct err *err)
{
	struct err own = ERR_NONE;
	int rc = read_member(stack, i, offset, len_bytes, dst, &own);
	if (rc == 0)
		return 0;
	if (rc == -ESTALE)
		stack_retire(stack);
	if (stack_cant_be_decoded(&own)) {
		stack_found(stack, i, MEMBER_DAMAGED);
		if (stack->fills) {
			fill(stack, len_bytes, dst);
			return 0;
		}
		rc = -EIO;
	}
	return err_set(err, rc, "%s: %s", member_path(stack->members, i), own.text);
}
