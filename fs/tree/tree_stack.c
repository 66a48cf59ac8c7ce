/* tree_stack.c - what lies below .pixfs/stack/, and what stacks and views have in common: Zarr arrays as directories.
 *
 * A node there (NODE_STACK, or NODE_ZARR) carries the serial number of its stack as index. Where the stack of that number is
 * no longer the current one the node is stale: the kernel looks the name up again, and that makes the next one. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/config.h"
#include "fs/base/pool.h"
#include "rows.h"
#include "fs/stack/stack.h"

const struct node *tree_stack_node(const struct node *node)
{
	if (node->kind == NODE_CHUNK)
		node = node->parent;
	return node->row == ROW_STACK ? node : NULL;
}

static int find_stack(const struct node *node, struct stack **ret_stack, struct err *err)
{
	*ret_stack = stack_find(tree_stack_node(node)->index);
	return *ret_stack ? 0 : err_set(err, -ESTALE, "the directory changed");
}

int tree_stack_lookup(struct node *dir, const char *name, const struct patience *patience, struct node_spec *ret_spec,
		      struct err *err)
{
	struct stack *stack;
	enum stack_form form;
	int rc = stack_get(dir, name, patience, &stack, &form, err);
	if (rc) {
		row_report_view(dir, ROW_STACK, name, err);
		return rc;
	}
	/* what its texts say, and so their sizes, follows from all headers; a worker waits for no other worker */
	if ((form == STACK_JSON || form == STACK_JSONL) && !pool_is_worker())
		rc = stack_look(stack, patience, err);
	if (rc) {
		stack_unref(stack);
		return rc;
	}
	*ret_spec = (struct node_spec){.kind = form == STACK_ZARR ? NODE_ZARR : NODE_STACK, .index = stack_serial(stack)};
	stack_unref(stack);
	return 0;
}

static int zarr_text(const struct stack *stack, char **ret_text, size_t *ret_len_bytes)
{
	struct zarr zarr;
	stack_describe(stack, &zarr);
	return zarr_json(&zarr, ret_text, ret_len_bytes);
}

/* The text of json or zarr.json. */
static int make_text(struct place place, const struct stack *stack, char **ret_text, size_t *ret_len_bytes, struct err *err)
{
	int rc = place.row ? zarr_text(stack, ret_text, ret_len_bytes) : stack_json(stack, ret_text, ret_len_bytes);
	return rc ? err_set(err, rc, "no memory") : 0;
}

static bool is_text(struct place place)
{
	return place.row == ROW_ZARR_JSON || (place.node->kind == NODE_STACK && stack_form_of(place.node->name) == STACK_JSON);
}

static bool is_index(struct place place)
{
	return place.node->kind == NODE_STACK && stack_form_of(place.node->name) == STACK_JSONL;
}

static uint64_t array_size(struct place place, const struct stack *stack)
{
	if (place.node->kind == NODE_CHUNK)
		return stack_row_bytes(stack);
	return stack_bytes(stack) + (stack_form_of(place.node->name) == STACK_NPY ? NPY_HEADER_BYTES : 0);
}

int tree_stack_size(struct place place, uint64_t *ret_size, struct err *err)
{
	struct stack *stack;
	char *text;
	size_t len;
	int rc = find_stack(place.node, &stack, err);
	if (rc)
		return rc;
	if (is_text(place)) {
		rc = make_text(place, stack, &text, &len, err);
		if (rc == 0)
			free(text);
		*ret_size = len;
	} else if (is_index(place)) {
		rc = stack_index_bytes(stack, ret_size) ? err_set(err, -ENOMEM, "no memory") : 0;
	} else {
		*ret_size = array_size(place, stack);
	}
	stack_unref(stack);
	return rc;
}

static int open_index(struct stack *stack, const struct patience *patience, struct handle **ret_handle, struct err *err)
{
	char *text;
	size_t len;
	int rc = stack_look(stack, patience, err);
	if (rc == 0 && config.verify == VERIFY_FULL)
		rc = stack_check(stack, patience, err);
	if (rc == 0 && stack_index(stack, &text, &len))
		rc = err_set(err, -ENOMEM, "no memory");
	return rc ? rc : handle_open_text(text, len, true, ret_handle, err);
}

static int open_array(struct place place, struct stack *stack, struct caller *caller, const struct patience *patience,
		      struct handle **ret_handle, struct err *err)
{
	int rc = place.node->kind == NODE_CHUNK ? stack_use_row(stack, place.node->index, caller, patience, err)
						: stack_use(stack, caller, patience, err);
	if (rc)
		return rc;
	struct stack_range range = {.len_bytes = stack_bytes(stack)};
	if (place.node->kind == NODE_CHUNK) {
		range.start = (uint64_t)place.node->index * stack_row_bytes(stack);
		range.len_bytes = stack_row_bytes(stack);
	} else if (stack_form_of(place.node->name) == STACK_NPY) {
		range.prefix = stack_npy_header(stack);
		range.prefix_bytes = NPY_HEADER_BYTES;
	}
	return handle_open_stack(stack, &range, ret_handle, err);
}

int tree_stack_open(struct place place, struct caller *caller, const struct patience *patience, struct handle **ret_handle,
		    struct err *err)
{
	struct stack *stack;
	char *text;
	size_t len;
	int rc = find_stack(place.node, &stack, err);
	if (rc)
		return rc;
	if (is_text(place) || is_index(place))
		rc = stack_may_read(stack, caller, patience, err);
	if (rc == 0 && is_text(place)) {
		rc = make_text(place, stack, &text, &len, err);
		rc = rc ? rc : handle_open_text(text, len, false, ret_handle, err);
	} else if (rc == 0 && is_index(place)) {
		rc = open_index(stack, patience, ret_handle, err);
	} else if (rc == 0) {
		rc = open_array(place, stack, caller, patience, ret_handle, err);
	}
	stack_unref(stack);
	return rc;
}

int tree_stack_array(const struct node *node, struct zarr *ret_zarr, struct err *err)
{
	struct stack *stack;
	int rc = find_stack(node, &stack, err);
	if (rc)
		return rc;
	stack_describe(stack, ret_zarr);
	ret_zarr->spec = NULL; /* the stack's */
	stack_unref(stack);
	return 0;
}

int tree_zarr(struct node *node, struct zarr *ret_zarr, struct err *err)
{
	struct target target;
	struct view *view;
	if (tree_stack_node(node))
		return tree_stack_array(node, ret_zarr, err);
	int rc = row_open_view((struct place){node, ROW_ZARR_JSON}, &target, &view, err);
	if (rc)
		return rc;
	*ret_zarr = view_info(view)->zarr;
	ret_zarr->spec = NULL; /* the view's */
	view_free(view);
	target_close(&target);
	return 0;
}

int text_stack_readme(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	static const char text[] =
		"Stacks: all images of this directory (or archive) as one array, each decoded when its bytes are touched.\n"
		"\n"
		"  [recursive,]<op>[,<op>...][,fill=V].<ext>    any such name here resolves\n"
		"\n"
		"recursive   the images below, too, archives included; else those that lie directly here\n"
		"op          as in views/README.txt of any image; `pixels` changes nothing. All must come out in one shape\n"
		"as          .npy (n, y, x, c) .f32 .f16 .u8 .u16 (raw) .zarr (a directory: Zarr v3, a chunk for each image)\n"
		"            .json (shape and dtype) .jsonl (the index: i, file_name, label, shape, ok of each image)\n"
		"\n"
		"np.load('.pixfs/stack/rgb,size=224x224,u8.npy', mmap_mode='r')     order: by path, bytewise\n"
		"\n"
		"What can't be decoded is V with fill=V, else NaN in a float stack, an input/output error in an integer one, and "
		"\"ok\": false\n"
		"in the index: true where it was checked or decoded, null where nobody looked yet. The first open reads the "
		"headers of all\n"
		"images.\n";
	(void)folder;
	*ret_text = strdup(text);
	*ret_len_bytes = sizeof text - 1;
	return *ret_text ? 0 : -ENOMEM;
}
