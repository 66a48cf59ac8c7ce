/* file_test.c - when a version of a file may be read. That reads wait for it: tests/mount/test_freshness.py. */
#include <time.h>

#include "fs/source/file.h"
#include "case.h"

enum { MS = 1000000 };

static int64_t settles_in_ms(int64_t age_ms, uint64_t size_bytes)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct file_id id = {.size_bytes = size_bytes, .ctime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - age_ms * MS};
	return (file_settles_in_ns(&id) + MS - 1) / MS;
}

static void who_reads_too_early_waits_for_the_rest_of_the_time(void)
{
	CHECK(settles_in_ms(0, 1000) > 15 && settles_in_ms(0, 1000) <= 20);
	CHECK(settles_in_ms(0, 64 << 20) > 128 && settles_in_ms(0, 64 << 20) <= 148);
	CHECK(settles_in_ms(100, 64 << 20) > 20 && settles_in_ms(100, 64 << 20) <= 48);
}

static void what_is_older_may_be_read_at_once(void)
{
	CHECK(settles_in_ms(20, 1000) == 0);
	CHECK(settles_in_ms(1100, UINT64_MAX) == 0);
	CHECK(settles_in_ms(INT64_C(50) * 365 * 24 * 3600 * 1000, 1000) == 0);
}

static void nobody_waits_for_ever_for_another_machines_clock(void)
{
	CHECK(settles_in_ms(-500, 1000) == 20);
	CHECK(settles_in_ms(-5000, UINT64_MAX) == 0);
	CHECK(settles_in_ms(0, UINT64_MAX) <= 1020);
}

int main(void)
{
	const struct test_case cases[] = {CASE(who_reads_too_early_waits_for_the_rest_of_the_time),
					  CASE(what_is_older_may_be_read_at_once),
					  CASE(nobody_waits_for_ever_for_another_machines_clock)};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
