/* pace_test.c - how far ahead a prefetch may be. The module's state is the process's: cases build on each other's numbers. */
#include "fs/store/pace.h"

#include "case.h"

static unsigned told;

static void count_room(void)
{
	told++;
}

static void what_was_issued_takes_room_until_it_is_read(void)
{
	CHECK(pace_has_room(100));
	uint32_t first = pace_issue(60);
	CHECK(first != 0 && pace_has_room(100));
	uint32_t second = pace_issue(60);
	CHECK(!pace_has_room(100));
	pace_read(first);
	CHECK(pace_has_room(100));
	pace_read(second);
	CHECK(pace_has_room(100));
}

static void a_later_item_frees_those_before_it(void)
{
	uint32_t numbers[4];
	for (unsigned i = 0; i < 4; i++)
		numbers[i] = pace_issue(50);
	CHECK(!pace_has_room(150));
	pace_read(numbers[2]);
	CHECK(pace_has_room(150));
	pace_read(numbers[0]); /* late: takes nothing back */
	CHECK(pace_has_room(51) && !pace_has_room(50));
	pace_read(numbers[3]);
}

static void room_is_told_of_once_after_it_was_missed(void)
{
	pace_on_room(count_room);
	uint32_t a = pace_issue(10), b = pace_issue(10);
	pace_read(a);
	CHECK(told == 0); /* nobody had asked */
	CHECK(!pace_has_room(5));
	pace_read(b);
	CHECK(told == 1);
	pace_read(b);
	pace_read(0);
	CHECK(told == 1);
	pace_on_room(NULL);
}

static void a_single_item_may_be_larger_than_the_limit(void)
{
	uint32_t number = pace_issue(1000);
	CHECK(!pace_has_room(10));
	pace_read(number);
	CHECK(pace_has_room(10));
}

static void the_number_of_items_is_bounded(void)
{
	uint32_t last = 0;
	unsigned n = 0;
	for (; pace_has_room(UINT64_MAX) && n <= PACE_MAX_ITEMS; n++)
		last = pace_issue(1);
	CHECK(n == PACE_MAX_ITEMS);
	pace_read(last);
	CHECK(pace_has_room(1));
}

static void a_number_that_was_never_issued_changes_nothing(void)
{
	uint32_t number = pace_issue(20);
	pace_read(number + 5);
	CHECK(!pace_has_room(10));
	pace_read(number);
}

int main(void)
{
	const struct test_case cases[] = {CASE(what_was_issued_takes_room_until_it_is_read),
					  CASE(a_later_item_frees_those_before_it),
					  CASE(room_is_told_of_once_after_it_was_missed),
					  CASE(a_single_item_may_be_larger_than_the_limit),
					  CASE(the_number_of_items_is_bounded),
					  CASE(a_number_that_was_never_issued_changes_nothing)};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
