/* thrift_test.c - when memory that was freed is used again, and how that is found out. */
#include "fs/store/thrift.h"

#include <stdio.h>

static int passed, failed;

static void expect(const char *name, bool right)
{
	printf("%s %s\n", right ? "ok" : "FAIL", name);
	passed += right;
	failed += !right;
}

enum { FILE_BYTES = 4 << 20, FILES = 640 };

/* How many of many files reuse memory where a MiB of it costs so much, and of fresh memory so much. */
static unsigned count_reuses(struct thrift *thrift, uint64_t fresh_ns, uint64_t reused_ns)
{
	unsigned reuses = 0;
	for (int i = 0; i < FILES; i++) {
		bool reuse = thrift_wants_reuse(thrift);
		reuses += reuse;
		thrift_note(thrift, reuse, FILE_BYTES, (reuse ? reused_ns : fresh_ns) * (FILE_BYTES >> 20));
	}
	return reuses;
}

int main(void)
{
	struct thrift thrift = {0};
	expect("the first is fresh", !thrift_wants_reuse(&thrift));
	expect("cheap memory is never saved", count_reuses(&thrift, 150000, 100000) == 0);
	unsigned reuses = count_reuses(&thrift, 2000000, 120000);
	expect("dear memory is, but it is tried again", reuses > FILES * 9 / 10 && reuses < FILES);
	expect("both costs are known", thrift.fresh_ns > 1900000 && thrift.reused_ns < 130000);
	expect("when it is cheap again that is found out", count_reuses(&thrift, 100000, 100000) < FILES / 2);
	expect("and stays so", count_reuses(&thrift, 100000, 100000) == 0);
	reuses = count_reuses(&(struct thrift){0}, 400000, 390000);
	expect("where both cost the same, fresh memory is taken", reuses < FILES / 10);
	thrift = (struct thrift){0};
	thrift_note(&thrift, false, 1000, 1000000000);
	expect("little files tell nothing", !thrift_wants_reuse(&thrift));
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
