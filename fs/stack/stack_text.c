/* stack_text.c - what is told of a stack: its json, its index, its Zarr metadata. */
#include "stack_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/json.h"

static void write_shape(struct json *json, const char *key, const uint64_t *first, const uint64_t *rest, uint32_t n)
{
	json_array(json, key);
	if (first)
		json_uint(json, NULL, *first);
	for (uint32_t i = 0; i < n; i++)
		json_uint(json, NULL, rest[i]);
	json_end_array(json);
}

static void write_why(struct json *json, const struct err *err)
{
	json_object(json, "error");
	json_string(json, "errno", strerrorname_np(-err->code));
	json_string(json, "message", err->text);
	json_end_object(json);
}

/* Of an array that can't be: what was asked for, and why not. */
static int json_of_error(const struct stack *stack, const struct err *err, char **ret_text, size_t *ret_len_bytes)
{
	const struct stack_name *name = &stack->name;
	struct json json;
	char spec[2 * STACK_MAX_NAME_BYTES];
	int len = (int)(strrchr(name->spec, '.') - name->spec);
	snprintf(spec, sizeof spec, "%.*s%s%s", len, name->spec, *name->fill ? ",fill=" : "", name->fill);
	json_init(&json, false);
	json_object(&json, NULL);
	json_string(&json, "spec", spec);
	json_bool(&json, "recursive", name->recursive);
	write_why(&json, err);
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

int stack_json(const struct stack *stack, char **ret_text, size_t *ret_len_bytes)
{
	uint64_t n = stack->members->count;
	char axes[16];
	struct json json;
	if (!stack->row_bytes || stack->look_err.code)
		return json_of_error(stack, stack->row_bytes ? &stack->look_err : &stack->row_err, ret_text, ret_len_bytes);
	json_init(&json, false);
	json_object(&json, NULL);
	json_string(&json, "spec", stack->canonical);
	json_bool(&json, "recursive", stack->members->recursive);
	write_shape(&json, "shape", &n, stack->row.shape, stack->row.ndim);
	snprintf(axes, sizeof axes, "n%s", strcmp(stack->axes, "flat") == 0 ? "i" : stack->axes);
	json_string(&json, "axes", axes);
	json_string(&json, "dtype", npy_descr(stack->row.dtype));
	json_string(&json, "order", "C");
	json_uint(&json, "npy_offset", NPY_HEADER_BYTES);
	json_uint(&json, "nbytes", stack_bytes(stack));
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

void stack_describe(const struct stack *stack, struct zarr *ret_zarr)
{
	*ret_zarr = (struct zarr){.ndim = stack->row.ndim + 1, .dtype = stack->row.dtype, .spec = stack->canonical};
	for (uint32_t i = 0; i < ret_zarr->ndim; i++) {
		char axis = i ? stack->axes[i - 1] : 'n';
		ret_zarr->shape[i] = i ? stack->row.shape[i - 1] : stack->members->count;
		ret_zarr->chunk[i] = i ? stack->row.shape[i - 1] : 1;
		ret_zarr->dimension_names[i] = axis == 'n' ? "n" : axis == 'y' ? "y" : axis == 'x' ? "x" : axis == 'c' ? "c" : "i";
		ret_zarr->stored_order[i] = (uint8_t)i;
	}
}

/* ---- the index ---- */

/* The directory's path below the stack's; of what lies in that itself, its own name. */
static void write_label(struct json *json, const struct stack *stack, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash)
		json_string_n(json, "label", path, (size_t)(slash - path));
	else
		json_string(json, "label", stack->members->dirs[0].node->name);
}

int stack_member_error(struct stack *stack, size_t i, struct err *err)
{
	struct image *image;
	uint64_t version = stack->versions[i];
	int rc = members_open(stack->members, i, &version, &image, err);
	if (rc)
		return rc;
	struct picture picture = picture_default(image_pictures(image), image_header(image), 0);
	struct view *view;
	if (picture.part->unsupported)
		rc = err_set(err, -EOPNOTSUPP, "%s", picture.part->unsupported);
	else if ((rc = stack_compile(stack, image, &picture, &view, err)) == 0)
		view_free(view);
	image_unref(image);
	return rc;
}

/* true, false or null, all of one length: what is found later must not change the size of the text. */
static const char *ok_of(struct stack *stack, size_t i)
{
	uint8_t state = stack->states[i];
	if (state != MEMBER_GOOD && state != MEMBER_SOUND)
		return "false";
	enum image_verdict verdict = members_peek(stack->members, i, stack->versions[i]);
	if (verdict == IMAGE_DAMAGED)
		stack_found(stack, i, MEMBER_DAMAGED);
	return verdict == IMAGE_DAMAGED ? "false" : verdict == IMAGE_SOUND || state == MEMBER_SOUND ? "true " : "null ";
}

static int write_line(FILE *out, struct stack *stack, size_t i, bool measures)
{
	struct json json;
	struct err err = ERR_NONE;
	char *text;
	size_t len;
	const char *path = member_path(stack->members, i);
	json_init(&json, true);
	json_object(&json, NULL);
	json_uint(&json, "i", i);
	json_string(&json, "file_name", path);
	write_label(&json, stack, path);
	if (stack->shapes[i] != UINT32_MAX) {
		const struct stack_shape *shape = &stack->distinct[stack->shapes[i]];
		write_shape(&json, "shape", NULL, shape->shape, shape->ndim);
	} else {
		json_null(&json, "shape");
	}
	json_literal(&json, "ok", measures ? "null " : ok_of(stack, i));
	if (stack->states[i] == MEMBER_BROKEN || stack->states[i] == MEMBER_IMPOSSIBLE)
		json_string(&json, "error", stack_member_error(stack, i, &err) ? err.text : "can't be decoded");
	json_end_object(&json);
	int rc = json_finish(&json, &text, &len);
	if (rc)
		return rc;
	rc = fwrite(text, 1, len, out) == len ? 0 : -ENOMEM;
	free(text);
	return rc;
}

static int make_index(struct stack *stack, bool measures, char **ret_text, size_t *ret_len_bytes)
{
	FILE *out = open_memstream(ret_text, ret_len_bytes);
	int rc = out ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < stack->members->count; i++)
		rc = write_line(out, stack, i, measures);
	if (out && fclose(out) != 0)
		rc = -ENOMEM;
	if (rc && out)
		free(*ret_text);
	return rc;
}

int stack_index(struct stack *stack, char **ret_text, size_t *ret_len_bytes)
{
	return make_index(stack, false, ret_text, ret_len_bytes);
}

int stack_index_bytes(struct stack *stack, uint64_t *ret_bytes)
{
	char *text;
	size_t len = 0;
	*ret_bytes = atomic_load(&stack->index_bytes);
	if (*ret_bytes)
		return 0;
	int rc = make_index(stack, true, &text, &len);
	if (rc)
		return rc;
	free(text);
	atomic_store(&stack->index_bytes, len);
	*ret_bytes = len;
	return 0;
}
