/* node.c - see node.h for the states. One lock for the table and all reference counts. */
#include "node.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/status.h"
#include "fs/store/cache.h"

enum { FIRST_BUCKETS = 4096, TRIM_EVERY = 100000, ROW_BITS = 8, POINTER_ALIGN_BITS = 4, CHARGE_BYTES = 64 << 10 };

static struct {
	pthread_mutex_t lock;
	struct node **buckets;
	size_t nbuckets, nnodes;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

atomic_uint node_deep_archives;

int node_start(void)
{
	table.nbuckets = FIRST_BUCKETS;
	table.buckets = calloc(table.nbuckets, sizeof *table.buckets);
	return table.buckets ? 0 : -ENOMEM;
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static uint64_t hash_name(uint64_t seed, const char *name)
{
	uint64_t h = seed ^ 0xcbf29ce484222325u;
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return mix(h);
}

uint64_t node_ino(struct place place)
{
	return place.row ? mix(place.node->ino + place.row) : place.node->ino;
}

uint64_t node_child_ino(struct place parent, const char *name, uint64_t salt)
{
	uint64_t ino = hash_name(node_ino(parent) + mix(salt), name);
	return ino > 1 ? ino : 2;
}

/* ---- what nodes cost, as malloc counts it and with a pointer to each in the table ---- */

static int64_t cost_bytes(struct node *node)
{
	size_t slot_bytes = node->slot ? malloc_usable_size(node->slot) + 2 * sizeof(size_t) : 0;
	return (int64_t)(malloc_usable_size(node) + 2 * sizeof(size_t) + slot_bytes);
}

/* Counted against the cache's budget in steps: without the table's lock. */
static void charge(int64_t change_bytes)
{
	static atomic_llong held_bytes;
	int64_t before = atomic_fetch_add_explicit(&held_bytes, change_bytes, memory_order_relaxed), after = before + change_bytes;
	int64_t steps = after / CHARGE_BYTES - before / CHARGE_BYTES;
	if (steps)
		cache_reserve(steps * CHARGE_BYTES);
}

static struct node *node_new(struct node *parent, unsigned row, const char *name, const struct node_spec *spec)
{
	size_t len = strlen(name);
	struct node *node = calloc(1, sizeof *node + len + 1);
	if (!node)
		return NULL;
	if (spec->kind == NODE_ARCHIVE) {
		node->slot = calloc(1, sizeof *node->slot);
		if (!node->slot) {
			free(node);
			return NULL;
		}
		pthread_mutex_init(&node->slot->lock, NULL);
	}
	node->parent = parent;
	node->row = (uint8_t)row;
	node->refs = 1;
	node->kind = (uint8_t)spec->kind;
	node->in_archive = spec->in_archive;
	node->followed = spec->followed;
	node->is_hidden = spec->is_hidden;
	node->index = spec->index;
	node->id = spec->id;
	node->uid = spec->uid;
	node->gid = spec->gid;
	node->mode = (uint16_t)spec->mode;
	node->volumes = spec->volumes;
	memcpy(node->name, name, len + 1);
	node->ino = parent ? node_child_ino((struct place){parent, row}, name, spec->ino_salt) : 1;
	status_add(&status.nodes, 1);
	return node;
}

/* How many bytes are to be charged no more. */
static int64_t node_free(struct node *node)
{
	int64_t freed_bytes = cost_bytes(node);
	if (node->slot) {
		archive_unref(node->slot->archive);
		if (node->slot->is_deep)
			atomic_fetch_sub(&node_deep_archives, 1);
		pthread_mutex_destroy(&node->slot->lock);
		free(node->slot);
	}
	free(node);
	status_sub(&status.nodes, 1);
	return freed_bytes;
}

void node_stop(void)
{
	int64_t freed_bytes = 0;
	/* what the kernel didn't forget before the unmount */
	for (size_t i = 0; table.buckets && i < table.nbuckets; i++)
		while (table.buckets[i]) {
			struct node *node = table.buckets[i];
			table.buckets[i] = node->bucket_next;
			freed_bytes += node_free(node);
		}
	free(table.buckets);
	table.buckets = NULL;
	charge(-freed_bytes);
}

struct node *node_root_new(const struct node_spec *spec, const char *name)
{
	struct node *root = node_new(NULL, 0, name, spec);
	if (root)
		charge(cost_bytes(root));
	return root;
}

void node_root_free(struct node *root)
{
	charge(-node_free(root));
}

/* ---- the table ---- */

static size_t bucket_of(const struct node *parent, unsigned row, const char *name, size_t nbuckets)
{
	return (size_t)hash_name(mix((uint64_t)(uintptr_t)parent + row), name) & (nbuckets - 1);
}

static void table_resize(size_t nbuckets)
{
	struct node **buckets = calloc(nbuckets, sizeof *buckets);
	if (!buckets)
		return;
	for (size_t i = 0; i < table.nbuckets; i++)
		for (struct node *node = table.buckets[i], *next; node; node = next) {
			next = node->bucket_next;
			struct node **bucket = &buckets[bucket_of(node->parent, node->row, node->name, nbuckets)];
			node->bucket_next = *bucket;
			*bucket = node;
		}
	free(table.buckets);
	table.buckets = buckets;
	table.nbuckets = nbuckets;
}

static void table_remove(struct node *node)
{
	struct node **link = &table.buckets[bucket_of(node->parent, node->row, node->name, table.nbuckets)];
	while (*link != node)
		link = &(*link)->bucket_next;
	*link = node->bucket_next;
	table.nnodes--;
	if (table.nbuckets > FIRST_BUCKETS && table.nnodes < table.nbuckets / 8)
		table_resize(table.nbuckets / 2);
}

static void table_add(struct node *node)
{
	if (table.nnodes >= table.nbuckets)
		table_resize(table.nbuckets * 2);
	struct node **bucket = &table.buckets[bucket_of(node->parent, node->row, node->name, table.nbuckets)];
	node->bucket_next = *bucket;
	*bucket = node;
	node->current = true;
	table.nnodes++;
}

/* Directories and plain files on the host stay the same node while their content changes; what is derived doesn't. */
static bool is_same(const struct node *node, const struct node_spec *spec)
{
	if (node->kind != spec->kind || node->in_archive != spec->in_archive || node->is_hidden != spec->is_hidden ||
	    node->index != spec->index)
		return false;
	if (node->kind == NODE_IMAGE || node->kind == NODE_ARCHIVE)
		return file_id_equal(&node->id, &spec->id) && node->volumes == spec->volumes && node->mode == spec->mode &&
		       node->uid == spec->uid && node->gid == spec->gid;
	return node->id.device == spec->id.device && node->id.inode == spec->id.inode;
}

struct node *node_child(struct place parent, const char *name, const struct node_spec *spec)
{
	pthread_mutex_lock(&table.lock);
	struct node *node = table.buckets[bucket_of(parent.node, parent.row, name, table.nbuckets)];
	while (node && (!node->current || node->parent != parent.node || node->row != parent.row || strcmp(node->name, name) != 0))
		node = node->bucket_next;
	int64_t made_bytes = 0;
	if (node && is_same(node, spec)) {
		node->refs++;
	} else {
		if (node)
			node->current = false;
		node = node_new(parent.node, parent.row, name, spec);
		if (node) {
			parent.node->refs++;
			table_add(node);
			made_bytes = cost_bytes(node);
		}
	}
	pthread_mutex_unlock(&table.lock);
	if (made_bytes)
		charge(made_bytes);
	return node;
}

void node_ref(struct node *node)
{
	pthread_mutex_lock(&table.lock);
	node->refs++;
	pthread_mutex_unlock(&table.lock);
}

/* Many small blocks were freed: malloc keeps their pages unless it is told. */
static void give_back(unsigned nfreed)
{
	static atomic_uint freed;
	unsigned before = atomic_fetch_add_explicit(&freed, nfreed, memory_order_relaxed);
	if (before / TRIM_EVERY != (before + nfreed) / TRIM_EVERY)
		malloc_trim(0);
}

void node_unref(struct node *node, uint64_t count)
{
	struct node *dead = NULL;
	pthread_mutex_lock(&table.lock);
	while (node && node->parent) {
		node->refs -= (uint32_t)count;
		if (node->refs > 0)
			break;
		table_remove(node);
		struct node *parent = node->parent;
		node->bucket_next = dead;
		dead = node;
		node = parent;
		count = 1;
	}
	pthread_mutex_unlock(&table.lock);
	unsigned ndead = 0;
	int64_t freed_bytes = 0;
	for (struct node *next; dead; dead = next, ndead++) { /* an archive's index may take long to free: without the lock */
		next = dead->bucket_next;
		freed_bytes += node_free(dead);
	}
	if (ndead)
		charge(-freed_bytes);
	give_back(ndead);
}

bool node_exchange_id(struct node *node, const struct file_id *now)
{
	pthread_mutex_lock(&table.lock);
	bool same = file_id_equal(&node->id, now);
	node->id = *now;
	pthread_mutex_unlock(&table.lock);
	return same;
}

/* ---- numbers for the kernel ---- */

uint64_t node_to_id(struct place place)
{
	if (!place.node->parent && !place.row)
		return 1;
	return ((uint64_t)(uintptr_t)place.node >> POINTER_ALIGN_BITS) << ROW_BITS | place.row;
}

struct place node_from_id(uint64_t id, struct node *root)
{
	if (id == 1)
		return (struct place){root, 0};
	return (struct place){(struct node *)(uintptr_t)(id >> ROW_BITS << POINTER_ALIGN_BITS),
			      (unsigned)(id & ((1u << ROW_BITS) - 1))};
}

/* ---- paths ---- */

static const char *const row_folder[ROW_FOLDERS_END] = {
	[ROW_SELF] = "",      [ROW_CHANNELS] = "channels/", [ROW_LAYERS] = "layers/",
	[ROW_MIPS] = "mips/", [ROW_VIEWS] = "views/",       [ROW_STACK] = ".pixfs/stack/"};

static size_t prepend(char *buffer, size_t start, const char *text)
{
	size_t len = strlen(text);
	if (len > start)
		len = start;
	memcpy(buffer + start - len, text, len);
	return start - len;
}

void node_path(const struct node *node, char *ret, size_t len_bytes)
{
	size_t start = len_bytes - 1;
	ret[start] = 0;
	for (; node->parent; node = node->parent) {
		if (node->parent->shows_file)
			break;
		if (ret[start])
			start = prepend(ret, start, "/");
		start = prepend(ret, start, node->name);
		if (node->row)
			start = prepend(ret, start, row_folder[node->row]);
	}
	memmove(ret, ret + start, len_bytes - start);
}

int node_host_path(const struct node *node, char *ret, size_t len_bytes)
{
	size_t start = len_bytes - 1;
	ret[start] = 0;
	for (; node; node = node->parent) {
		if (!*node->name)
			continue;
		if (strlen(node->name) + 2 > start)
			return -ENAMETOOLONG;
		if (ret[start])
			start = prepend(ret, start, "/");
		start = prepend(ret, start, node->name);
	}
	if (!ret[start])
		start = prepend(ret, start, ".");
	memmove(ret, ret + start, len_bytes - start);
	return 0;
}

const struct node *node_on_host(const struct node *node)
{
	while (node->in_archive || node->kind == NODE_PICTURE || node_is_view(node))
		node = node->parent;
	return node;
}

struct node *node_archive(const struct node *node)
{
	struct node *up = node->parent;
	while (up && up->kind != NODE_ARCHIVE)
		up = up->parent;
	return up;
}
