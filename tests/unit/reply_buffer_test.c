/* reply_buffer_test.c - buffers for answers: one for each thread, a few long ones for all, and nobody waits for ever. */
#include "fs/mount/reply_buffer.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "case.h"

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *take(size_t size)
{
	char *buffer = reply_buffer_take(size);
	if (buffer)
		memset(buffer, 1, size);
	return buffer;
}

static void *take_own(void *ret_buffer)
{
	*(char **)ret_buffer = take(1000);
	return NULL;
}

static void each_thread_keeps_its_own(void)
{
	char *own = take(REPLY_OWN_BYTES), *other = NULL;
	pthread_t thread;
	reply_buffer_give(own, REPLY_OWN_BYTES);
	CHECK(take(1) == own && take(0) == own);
	pthread_create(&thread, NULL, take_own, &other);
	pthread_join(thread, NULL);
	CHECK(other && other != own);
	CHECK(!reply_buffer_take(REPLY_MOST_BYTES + 1));
}

enum { AT_ONCE = 16 };

static void *give_back_soon(void *buffer)
{
	nanosleep(&(struct timespec){0, 20000000}, NULL);
	reply_buffer_give(buffer, REPLY_MOST_BYTES);
	return NULL;
}

static void long_ones_are_shared_and_waited_for(void)
{
	char *all[AT_ONCE + 1];
	char *first = take(REPLY_OWN_BYTES + 1), *second = take(REPLY_MOST_BYTES);
	CHECK(first && second && first != second);
	reply_buffer_give(first, REPLY_OWN_BYTES + 1);
	reply_buffer_give(second, REPLY_MOST_BYTES);
	CHECK((all[0] = take(REPLY_MOST_BYTES)) == second);
	bool had = true;
	for (int i = 1; i < AT_ONCE; i++)
		had = (all[i] = take(REPLY_MOST_BYTES)) && had;
	CHECK(had);
	double start_s = now_s();
	pthread_t thread;
	pthread_create(&thread, NULL, give_back_soon, all[0]);
	all[0] = take(REPLY_MOST_BYTES);
	pthread_join(thread, NULL);
	CHECK(all[0] && now_s() - start_s >= 0.019);
	start_s = now_s();
	all[AT_ONCE] = take(REPLY_MOST_BYTES);
	CHECK(all[AT_ONCE] && now_s() - start_s >= 0.09);
	for (int i = 0; i <= AT_ONCE; i++)
		reply_buffer_give(all[i], REPLY_MOST_BYTES);
	start_s = now_s();
	all[0] = take(REPLY_MOST_BYTES);
	CHECK(all[0] && now_s() - start_s < 0.09);
	reply_buffer_give(all[0], REPLY_MOST_BYTES);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(each_thread_keeps_its_own),
		CASE(long_ones_are_shared_and_waited_for),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
