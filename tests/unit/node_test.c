/* node_test.c - identity: who is the same node, what st_ino follows from, when a node goes. */
#include "fs/source/node.h"

#include <stdio.h>
#include <string.h>

#include "fs/base/status.h"
#include "fs/store/cache.h"

static int passed, failed;

static void expect(const char *name, bool right)
{
	printf("%s %s\n", right ? "ok" : "FAIL", name);
	passed += right;
	failed += !right;
}

static struct node *root;

static struct node_spec image_spec(int64_t mtime_ns)
{
	return (struct node_spec){
		.kind = NODE_IMAGE, .id = {.device = 1, .inode = 7, .size_bytes = 100, .mtime_ns = mtime_ns}, .ino_salt = 7};
}

static void test_look_ups(void)
{
	struct node_spec spec = image_spec(1), newer = image_spec(2);
	struct place top = {root, ROW_SELF};
	struct node *first = node_child(top, "a.png", &spec), *again = node_child(top, "a.png", &spec);
	expect("the same version is the same node", first == again);
	struct node *next = node_child(top, "a.png", &newer);
	expect("another version is another node", next != first);
	expect("the new one has the name", node_child(top, "a.png", &newer) == next);
	expect("st_ino stays that of the path", first->ino == next->ino);
	expect("the old one keeps its version", first->id.mtime_ns == 1);
	uint64_t before = atomic_load(&status.nodes);
	node_unref(first, 2);
	expect("the last reference frees a node", atomic_load(&status.nodes) == before - 1);
	node_unref(next, 2);
}

static void test_children_hold_their_parent(void)
{
	struct node_spec folder = {.kind = NODE_DIR, .id = {.inode = 3}}, spec = image_spec(1),
			 layer = {.kind = NODE_PICTURE, .index = 2};
	struct node *dir = node_child((struct place){root, ROW_SELF}, "dir", &folder);
	struct node *image = node_child((struct place){dir, ROW_SELF}, "b.exr", &spec);
	struct node *picture = node_child((struct place){image, ROW_LAYERS}, "diffuse", &layer);
	char path[100];
	node_unref(dir, 1);
	node_unref(image, 1);
	node_path(picture, path, sizeof path);
	expect("a path names the folders between", strcmp(path, "dir/b.exr/layers/diffuse") == 0);
	expect("the way up stays while the child does", node_on_host(picture) == image && picture->parent->parent == dir);
	uint64_t before = atomic_load(&status.nodes);
	node_unref(picture, 1);
	expect("with the child its unused parents go", atomic_load(&status.nodes) == before - 3);
}

static void test_numbers(void)
{
	struct node_spec spec = image_spec(1);
	struct node *node = node_child((struct place){root, ROW_SELF}, "c.png", &spec);
	bool back = true;
	for (unsigned row = 0; row < 256; row++) {
		struct place place = node_from_id(node_to_id((struct place){node, row}), root);
		back &= place.node == node && place.row == row;
	}
	expect("a number gives back node and row", back);
	expect("1 is the root", node_to_id((struct place){root, 0}) == 1 && node_from_id(1, root).node == root);
	expect("rows have numbers of their own", node_ino((struct place){node, 1}) != node_ino((struct place){node, 2}));
	expect("another file of that name is another st_ino",
	       node_child_ino((struct place){root, 0}, "c.png", 7) != node_child_ino((struct place){root, 0}, "c.png", 8));
	expect("a listing knows st_ino before the look-up", node_child_ino((struct place){root, 0}, "c.png", 7) == node->ino);
	node_unref(node, 1);
}

static void test_paths_that_are_too_long(void)
{
	struct node_spec folder = {.kind = NODE_DIR};
	struct node *nodes[40], *node = root;
	char name[201], path[4096];
	memset(name, 'x', 200);
	name[200] = 0;
	for (int i = 0; i < 40; i++)
		node = nodes[i] = node_child((struct place){node, ROW_SELF}, name, &folder);
	expect("a path over the limit is refused, not cut", node_host_path(node, path, sizeof path) < 0);
	expect("one below it fits", node_host_path(nodes[10], path, sizeof path) == 0 && strlen(path) == 11 * 201 - 1);
	for (int i = 40; i-- > 0;)
		node_unref(nodes[i], 1);
}

/* In steps of 64 KiB. */
static void test_nodes_are_charged(void)
{
	enum { COUNT = 10000, STEP_BYTES = 64 << 10 };
	static struct node *nodes[COUNT];
	struct node_spec spec = {.kind = NODE_ARRAY};
	char name[32];
	uint64_t before = cache_room_bytes();
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "crop=%d:0:1:1.f32", i);
		nodes[i] = node_child((struct place){root, ROW_VIEWS}, name, &spec);
	}
	expect("nodes take room from the cache", before - cache_room_bytes() >= COUNT * sizeof *nodes[0] - STEP_BYTES);
	for (int i = 0; i < COUNT; i++)
		node_unref(nodes[i], 1);
	expect("and give it back", before - cache_room_bytes() + STEP_BYTES <= 2 * STEP_BYTES);
}

int main(void)
{
	struct node_spec spec = {.kind = NODE_DIR};
	if (cache_start(64 << 20) != 0 || node_start() != 0 || !(root = node_root_new(&spec, "")))
		return 1;
	test_look_ups();
	test_children_hold_their_parent();
	test_numbers();
	test_paths_that_are_too_long();
	test_nodes_are_charged();
	expect("nothing is left but the root", atomic_load(&status.nodes) == 1);
	node_stop();
	node_root_free(root);
	cache_stop();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
