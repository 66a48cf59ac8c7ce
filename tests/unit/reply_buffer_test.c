/* reply_buffer_test.c - buffers for answers: one for each thread, a few long ones for all, and nobody waits for ever. */
#include "../../fs/reply_buffer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int passed, failed;

static void expect(const char *name, bool right)
{
	printf("%s %s\n", right ? "ok" : "FAIL", name);
	passed += right;
	failed += !right;
}

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

static void test_sizes(void)
{
	char *own = take(REPLY_OWN_BYTES), *other = NULL;
	pthread_t thread;
	reply_buffer_give(own, REPLY_OWN_BYTES);
	expect("a thread keeps its own", take(1) == own && take(0) == own);
	pthread_create(&thread, NULL, take_own, &other);
	pthread_join(thread, NULL);
	expect("another has another", other && other != own);
	expect("no answer is longer than the longest", !reply_buffer_take(REPLY_MOST_BYTES + 1));
}

enum { AT_ONCE = 16 };

static void *give_back_soon(void *buffer)
{
	nanosleep(&(struct timespec){0, 20000000}, NULL);
	reply_buffer_give(buffer, REPLY_MOST_BYTES);
	return NULL;
}

static void test_shared(void)
{
	char *all[AT_ONCE + 1];
	char *first = take(REPLY_OWN_BYTES + 1), *second = take(REPLY_MOST_BYTES);
	expect("two are two", first && second && first != second);
	reply_buffer_give(first, REPLY_OWN_BYTES + 1);
	reply_buffer_give(second, REPLY_MOST_BYTES);
	expect("the one used last is used first", (all[0] = take(REPLY_MOST_BYTES)) == second);
	bool had = true;
	for (int i = 1; i < AT_ONCE; i++)
		had = (all[i] = take(REPLY_MOST_BYTES)) && had;
	expect("many can be had at once", had);
	double start_s = now_s();
	pthread_t thread;
	pthread_create(&thread, NULL, give_back_soon, all[0]);
	all[0] = take(REPLY_MOST_BYTES);
	pthread_join(thread, NULL);
	expect("one more is waited for", all[0] && now_s() - start_s >= 0.019);
	start_s = now_s();
	all[AT_ONCE] = take(REPLY_MOST_BYTES);
	expect("but not for ever", all[AT_ONCE] && now_s() - start_s >= 0.09);
	for (int i = 0; i <= AT_ONCE; i++)
		reply_buffer_give(all[i], REPLY_MOST_BYTES);
	start_s = now_s();
	all[0] = take(REPLY_MOST_BYTES);
	expect("nor when all were given back", all[0] && now_s() - start_s < 0.09);
	reply_buffer_give(all[0], REPLY_MOST_BYTES);
}

int main(void)
{
	test_sizes();
	test_shared();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
