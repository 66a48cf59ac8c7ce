/* backing_test.c - backing files: one maker, found afterwards, within the budget, gone with their group. Needs CAP_SYS_ADMIN. */
#include "fs/store/backing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/store/cache.h"
#include "fs/base/status.h"

static int passed, failed;

static void expect(const char *name, bool right)
{
	printf("%s %s\n", right ? "ok" : "FAIL", name);
	passed += right;
	failed += !right;
}

/* A kernel that numbers what it is given, and takes nothing where it should refuse. */
static int known, last_id, refuse;

static int add(int fd)
{
	char byte;
	if (refuse || pread(fd, &byte, 1, 0) != 1)
		return refuse ? refuse : -EIO;
	known++;
	return ++last_id;
}

static void remove_id(int id)
{
	known -= id > 0;
}

/* A clock for which memory beyond what was held at any time before is dear, where it is told so. */
static bool dear;
static uint64_t now_ns, most_bytes;

static uint64_t look_at_clock(void)
{
	bool fresh = atomic_load(&status.backing_bytes) > most_bytes;
	return now_ns += dear ? (fresh ? 100000000 : 5000000) : 0;
}

static struct backing *begin(struct backing_group *group, uint64_t key, uint64_t len_bytes)
{
	return backing_begin(group, &(struct backing_wish){.key = key, .len_bytes = len_bytes});
}

/* Makes one; NULL where there is no room. */
static struct backing *make(struct backing_group *group, uint64_t key, uint64_t len_bytes)
{
	struct backing *backing = begin(group, key, len_bytes);
	if (backing && (backing_write(backing, len_bytes - 1, "x", 1) != 0 || backing_finish(backing) != 0))
		return NULL;
	return backing;
}

static bool finds(struct backing_group *group, uint64_t key)
{
	struct backing *backing = backing_find(group, key, NULL);
	backing_unref(backing);
	return backing != NULL;
}

static void test_life(void)
{
	struct backing_group group = {0}, other = {0};
	expect("nothing is found in an empty group", !finds(&group, 7));
	struct backing *one = make(&group, 7, 1000);
	expect("one is made and the kernel knows it", one && known == 1 && backing_id(one) == last_id);
	expect("it is found under its key in its group only", finds(&group, 7) && !finds(&group, 8) && !finds(&other, 7));
	expect("no second one of that key is begun", !begin(&group, 7, 1000));
	expect("its bytes are counted", atomic_load(&status.backing_bytes) == 1000);
	backing_unref(one);
	expect("it stays when nobody refers to it", finds(&group, 7));
	struct backing *given_up = begin(&group, 9, 500);
	backing_unref(given_up);
	expect("one that is given up is gone", !finds(&group, 9) && atomic_load(&status.backing_bytes) == 1000);
	refuse = -ENFILE;
	struct backing *refused = begin(&group, 9, 500);
	expect("one that the kernel refuses is gone too", backing_finish(refused) == -ENFILE && !finds(&group, 9));
	refuse = 0;
	backing_group_drop(&group);
	expect("with its group it goes", !finds(&group, 7) && known == 0 && atomic_load(&status.backing_bytes) == 0);
}

static void test_budget(void)
{
	struct backing_group group = {0};
	struct backing *open = make(&group, 1, 40000);
	backing_unref(make(&group, 2, 40000));
	expect("what is larger than the budget is not begun", !begin(&group, 3, 100001));
	struct backing *third = make(&group, 3, 50000);
	expect("room is made by what nobody has open", third && !finds(&group, 2) && finds(&group, 1));
	expect("what is open stays, and then there is no room", !begin(&group, 4, 20000) && finds(&group, 1));
	backing_unref(open);
	backing_unref(third);
	backing_group_drop(&group);
}

static void test_what_was_read(void)
{
	struct backing_group group = {0};
	bool direct = true;
	expect("nothing was read", backing_times_read(&group, 5, &direct) == 0);
	backing_note_read(&group, 5, true);
	expect("what was read is known, and how",
	       backing_times_read(&group, 5, &direct) == 1 && direct && backing_times_read(&group, 6, &direct) == 0);
	backing_note_read(&group, 5, true);
	expect("and how often", backing_times_read(&group, 5, &direct) == 2);
	backing_note_read(&group, 6, false);
	expect("the last that was read",
	       backing_times_read(&group, 6, &direct) == 1 && !direct && backing_times_read(&group, 5, &direct) == 0);
	expect("one may be begun within the budget", backing_may_begin(&group, 6, 100000) && !backing_may_begin(&group, 6, 100001));
	struct backing *one = begin(&group, 6, 100);
	expect("there is room for the rest", backing_has_room(99900) && !backing_has_room(99901));
	expect("none is begun beside one under way", !backing_may_begin(&group, 6, 100) && backing_may_begin(&group, 5, 100));
	backing_unref(one);
	expect("when it is given up one may be", backing_may_begin(&group, 6, 100));
	backing_group_drop(&group);
}

/* A pass over more than fits, again and again: the longest unused would be the one that is needed next. */
static void test_passes(void)
{
	struct backing_group group = {0};
	int found[2] = {0, 0};
	for (int pass = 0; pass < 2; pass++)
		for (uint64_t key = 1; key <= 30; key++) {
			struct backing *backing = backing_find(&group, key, NULL);
			found[pass] += backing != NULL;
			backing_unref(backing ? backing : make(&group, key, 10000));
		}
	expect("the first pass finds nothing", found[0] == 0);
	expect("the second finds most of what can be kept", found[1] >= 6);
	for (int i = 0; i < 40; i++)
		backing_unref(finds(&group, 100) ? NULL : make(&group, 100, 10000));
	expect("what is used again and again is kept", finds(&group, 100));
	backing_group_drop(&group);
}

/* Makes one that is no copy, or is one, and uses it once. */
static void use_once(struct backing_group *group, uint64_t key, uint64_t len_bytes, bool copy)
{
	struct backing *backing = backing_begin(group, &(struct backing_wish){.key = key, .len_bytes = len_bytes, .copy = copy});
	if (backing && backing_write(backing, 0, "x", 1) == 0 && backing_finish(backing) == 0)
		backing_unref(backing);
	uint64_t held_bytes = atomic_load(&status.backing_bytes);
	most_bytes = held_bytes > most_bytes ? held_bytes : most_bytes;
}

/* With room for all of them. */
static void test_dear_memory(void)
{
	const uint64_t len_bytes = 40 << 20;
	struct backing_group group = {0};
	for (uint64_t key = 1; key <= 4; key++)
		use_once(&group, key, len_bytes, key != 1);
	expect("where memory is cheap all are kept", atomic_load(&status.backing_bytes) == 4 * len_bytes);
	dear = true;
	for (uint64_t key = 5; key <= 68; key++)
		use_once(&group, key, len_bytes, true);
	expect("where it is dear copies make room for others", atomic_load(&status.backing_bytes) < 28 * len_bytes);
	expect("the last of them stays", finds(&group, 68));
	expect("what is no copy stays", finds(&group, 1));
	backing_group_drop(&group);
	dear = false;
}

static struct backing_group shared;
static atomic_int made, wrong;

static void *reader(void *unused)
{
	(void)unused;
	struct backing *backing = backing_find(&shared, 5, NULL);
	if (!backing && (backing = begin(&shared, 5, 3000))) {
		atomic_fetch_add(&made, 1);
		usleep(20000);
		backing_write(backing, 0, "abc", 3);
		backing_finish(backing);
	} else if (!backing) {
		backing = backing_find(&shared, 5, NULL);
	}
	atomic_fetch_add(&wrong, backing ? backing_id(backing) <= 0 : 1);
	backing_unref(backing);
	return NULL;
}

static bool gives_up(void *context)
{
	return ++*(int *)context > 2;
}

static void test_threads(void)
{
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, reader, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	expect("of many at once one makes it and the others get it", atomic_load(&made) == 1 && atomic_load(&wrong) == 0);
	int asked = 0;
	struct patience patience = {gives_up, &asked};
	struct backing *begun = begin(&shared, 6, 10);
	expect("who waits may give up", !backing_find(&shared, 6, &patience) && asked == 3);
	backing_unref(begun);
	backing_group_drop(&shared);
}

static void test_refusal(void)
{
	struct backing_group group = {0};
	struct backing *kept = make(&group, 1, 10);
	refuse = -EPERM;
	expect("a kernel that says never isn't asked again", !make(&group, 2, 10) && !backing_is_on() && !begin(&group, 2, 10));
	expect("what it took before is found all the same", finds(&group, 1));
	backing_unref(kept);
	backing_group_drop(&group);
}

int main(void)
{
	static const struct backing_kernel kernel = {add, remove_id, look_at_clock};
	cache_start(1 << 20);
	int rc = backing_start(100000, &kernel);
	if (rc == -EPERM || rc == -ENOSYS) {
		printf("no CAP_SYS_ADMIN, or no fsmount: not tested\n0 passed, 0 failed\n");
		return 0;
	}
	expect("it starts", rc == 0);
	test_life();
	test_budget();
	test_what_was_read();
	test_passes();
	test_threads();
	backing_stop();
	expect("it starts again", backing_start((uint64_t)4 << 30, &kernel) == 0);
	test_dear_memory();
	test_refusal();
	backing_stop();
	cache_stop();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
