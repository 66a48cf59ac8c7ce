/* check.c - pixfs check: gathers every image and archived file below the source, decodes them all, names what is damaged, and apart
 * from that what isn't decoded here (another format under an image's name); counts what was passed by.
 * Workers wait for decodes, the pool decodes; what is wrong is told at once, in the order in which it is found. */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "fs/base/json.h"
#include "fs/base/pool.h"
#include "fs/tree/rows.h"
#include "fs/tree/tree.h"
#include "fs/source/walk.h"

struct check {
	pthread_mutex_t lock;
	struct node **nodes; /* what is to be checked, each with a reference */
	size_t count, room, next, done;
	size_t damaged, unsupported;  /* told */
	size_t plain, apple, outside; /* passed by: no images by their names, AppleDouble, links that lead out and the like */
	uint64_t done_bytes, total_bytes;
	const char *source;
	bool json, show_progress;
	uint64_t start_ns;
};

static uint64_t size_of(struct node *node)
{
	struct stat st;
	struct err err = ERR_NONE;
	struct place place = {node, node->kind == NODE_IMAGE ? ROW_SOURCE : ROW_SELF};
	if (!node->in_archive)
		return node->id.size_bytes;
	return tree_stat(place, &st, &err) == 0 ? (uint64_t)st.st_size : 0;
}

static int add(struct check *check, struct node *node)
{
	if (check->count == check->room) {
		size_t room = check->room ? check->room * 2 : 256;
		struct node **nodes = realloc(check->nodes, room * sizeof(struct node *));
		if (!nodes)
			return -ENOMEM;
		check->nodes = nodes;
		check->room = room;
	}
	node_ref(node);
	check->nodes[check->count++] = node;
	check->total_bytes += size_of(node);
	return 0;
}

/* One line of JSON, whatever the texts hold. */
static void print_json(struct json *json)
{
	char *text;
	size_t len;
	json_end_object(json);
	if (json_finish(json, &text, &len))
		return;
	fwrite(text, 1, len, stdout);
	fflush(stdout);
	free(text);
}

static void tell(struct check *check, const char *path, const struct err *err)
{
	bool unsupported = err->code == -EOPNOTSUPP;
	*(unsupported ? &check->unsupported : &check->damaged) += 1;
	if (check->show_progress)
		fputs("\r\033[K", stderr);
	if (!check->json) {
		printf("%s%s%s: %s\n", check->source, *path ? "/" : "", path, err->text);
		fflush(stdout);
		return;
	}
	struct json json;
	json_init(&json, true);
	json_object(&json, NULL);
	json_string(&json, "source", check->source);
	json_string(&json, "path", path);
	json_string(&json, "verdict", unsupported ? "unsupported" : "damaged");
	json_string(&json, "errno", strerrorname_np(-err->code));
	json_string(&json, "message", err->text);
	print_json(&json);
}

/* What came of all; to stdout as the last object, where every line is one. */
static void tell_sum(const struct check *check)
{
	if (!check->json) {
		fprintf(stderr,
			"%s: %zu files checked: %zu damaged, %zu of formats that aren't decoded here; skipped: %zu no images, %zu "
			"AppleDouble, "
			"%zu others\n",
			check->source, check->count, check->damaged, check->unsupported, check->plain, check->apple,
			check->outside);
		return;
	}
	struct json json;
	json_init(&json, true);
	json_object(&json, NULL);
	json_string(&json, "source", check->source);
	json_uint(&json, "checked", check->count);
	json_uint(&json, "damaged", check->damaged);
	json_uint(&json, "unsupported", check->unsupported);
	json_object(&json, "skipped");
	json_uint(&json, "no_images", check->plain);
	json_uint(&json, "apple_double", check->apple);
	json_uint(&json, "others", check->outside);
	json_end_object(&json);
	print_json(&json);
}

static void tell_node(struct check *check, const struct node *node, const struct err *err)
{
	char path[4096];
	node_path(node, path, sizeof path);
	pthread_mutex_lock(&check->lock);
	tell(check, path, err);
	pthread_mutex_unlock(&check->lock);
}

/* A directory of the host holds these too; in archives every file is read, for its checksum. */
static void pass_by(struct check *check, const struct node *node)
{
	if (node->kind != NODE_FILE)
		check->outside++;
	else if (strncmp(node->name, "._", 2) == 0)
		check->apple++;
	else
		check->plain++;
}

/* Depth first; the depth of a path is bounded by the length that the host allows. */
static int gather(struct check *check, struct node *dir)
{
	struct listing *listing;
	struct listing_entry entry;
	struct err err = ERR_NONE;
	struct archive *archive;
	if (dir->kind == NODE_ARCHIVE && walk_archive(dir, &archive, &err)) {
		tell_node(check, dir, &err);
		return 0;
	}
	int rc = tree_list((struct place){dir, ROW_SELF}, &listing, &err);
	if (rc) {
		tell_node(check, dir, &err);
		return 0;
	}
	for (uint64_t at = 0; rc == 0 && tree_list_next(listing, at, &entry) == 1; at = entry.next) {
		struct place child;
		if (tree_lookup((struct place){dir, ROW_SELF}, entry.name, NULL, &child, &err))
			continue;
		struct node *node = child.node;
		if (node->kind == NODE_DIR || node->kind == NODE_ARCHIVE)
			rc = gather(check, node);
		else if (node->kind == NODE_IMAGE || (node->kind == NODE_FILE && node->in_archive))
			rc = add(check, node);
		else
			pass_by(check, node);
		node_unref(node, 1);
	}
	tree_list_close(listing);
	return rc;
}

static int check_image(struct node *node, struct err *err)
{
	struct target target;
	int rc = target_open(node, &target, err);
	if (rc)
		return rc;
	const char *unsupported = target.picture.part->unsupported;
	rc = image_use(target.image, NULL, NULL, NULL, NULL, err);
	if (rc == 0)
		image_unuse(target.image);
	if (rc == 0 && unsupported)
		rc = err_set(err, -EOPNOTSUPP, "%s", unsupported);
	target_close(&target);
	return rc;
}

static int check_node(struct node *node, struct err *err)
{
	struct handle *handle;
	if (node->kind == NODE_IMAGE)
		return check_image(node, err);
	int rc = tree_open((struct place){node, ROW_SELF}, NULL, NULL, NULL, &handle, err);
	if (rc == 0)
		handle_close(handle);
	return rc;
}

static void *worker(void *context)
{
	struct check *check = context;
	pthread_mutex_lock(&check->lock);
	while (check->next < check->count) {
		struct node *node = check->nodes[check->next++];
		pthread_mutex_unlock(&check->lock);
		struct err err = ERR_NONE;
		uint64_t size = size_of(node);
		if (check_node(node, &err))
			tell_node(check, node, &err);
		node_unref(node, 1);
		pthread_mutex_lock(&check->lock);
		check->done++;
		check->done_bytes += size;
	}
	pthread_mutex_unlock(&check->lock);
	return NULL;
}

static void draw_progress(struct check *check)
{
	const int width = 30;
	double seconds = (double)(pool_now_ns() - check->start_ns) / 1e9;
	double part = check->total_bytes ? (double)check->done_bytes / (double)check->total_bytes : 1;
	int filled = (int)(part * width);
	fprintf(stderr, "\r[%.*s%.*s] %zu/%zu files  %.1f MB/s  %.0f s left  %zu damaged \033[K", filled,
		"##############################", width - filled, "..............................", check->done, check->count,
		seconds > 0 ? (double)check->done_bytes / 1e6 / seconds : 0, part > 0 ? seconds / part * (1 - part) : 0,
		check->damaged);
	fflush(stderr);
}

static void run_workers(struct check *check)
{
	pthread_t threads[64];
	unsigned nthreads = config.threads * 2 < 64 ? config.threads * 2 : 64, started = 0;
	while (started < nthreads && pthread_create(&threads[started], NULL, worker, check) == 0)
		started++;
	if (!started)
		worker(check);
	for (bool busy = check->show_progress; busy;) {
		pthread_mutex_lock(&check->lock);
		draw_progress(check);
		busy = check->done < check->count;
		pthread_mutex_unlock(&check->lock);
		if (busy)
			nanosleep(&(struct timespec){0, 200 * 1000 * 1000}, NULL);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

enum exit_code command_check(const char *source, bool json)
{
	struct check check = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .source = source, .json = json, .show_progress = isatty(STDERR_FILENO) && !json};
	config.verify = VERIFY_FULL;
	check.start_ns = pool_now_ns();
	int rc = mount_start_engine();
	struct place top = {walk_root, ROW_SELF};
	struct err err = ERR_NONE;
	rc = rc ? rc : walk_enter(&top, &err);
	if (rc == 0) {
		rc = top.node->kind == NODE_IMAGE ? add(&check, top.node) : gather(&check, top.node);
		node_unref(top.node, 1);
	}
	if (rc)
		fprintf(stderr, "pixfs: %s\n", strerror(-rc));
	else
		run_workers(&check);
	if (check.show_progress)
		fputs("\r\033[K", stderr);
	if (rc == 0)
		tell_sum(&check);
	free(check.nodes);
	mount_stop_engine();
	return rc || check.damaged ? EXIT_DAMAGED : EXIT_OK;
}
