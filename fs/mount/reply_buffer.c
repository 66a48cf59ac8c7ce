/* reply_buffer.c - see reply_buffer.h. Not of malloc: hundreds of them would lie on pages that decoders filled before, and keep all
 * of those resident, where most reads need 128 KiB. */
#include "reply_buffer.h"

#include <pthread.h>
#include <sys/mman.h>

#include "fs/base/patience.h"
#include "fs/base/pool.h"

enum { NKEPT = 4, AT_ONCE = 16, WAIT_NS = 100 * 1000 * 1000 };

static struct {
	pthread_once_t once;
	pthread_key_t own;
	pthread_mutex_t lock;
	pthread_cond_t given;
	char *kept[NKEPT]; /* the one used last at the end */
	unsigned nkept, nused;
} buffers = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static char *map(size_t len_bytes)
{
	void *buffer = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		return NULL;
	madvise(buffer, len_bytes, MADV_NOHUGEPAGE);
	return buffer;
}

static void free_own(void *buffer)
{
	munmap(buffer, REPLY_OWN_BYTES);
}

static void set_up(void)
{
	pthread_condattr_t attributes;
	pthread_key_create(&buffers.own, free_own);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&buffers.given, &attributes);
	pthread_condattr_destroy(&attributes);
}

static char *own(void)
{
	char *buffer = pthread_getspecific(buffers.own);
	if (!buffer) {
		buffer = map(REPLY_OWN_BYTES);
		if (buffer && pthread_setspecific(buffers.own, buffer)) {
			free_own(buffer);
			buffer = NULL;
		}
	}
	return buffer;
}

/* Lock held. */
static void wait_for_one(void)
{
	uint64_t until_ns = pool_now_ns() + WAIT_NS;
	while (buffers.nused >= AT_ONCE && pool_now_ns() < until_ns)
		patience_nap(&buffers.given, &buffers.lock);
}

/* Puts one back, or NULL: none could be had. */
static void give_shared(char *buffer)
{
	pthread_mutex_lock(&buffers.lock);
	buffers.nused--;
	if (buffer && buffers.nkept < NKEPT) {
		buffers.kept[buffers.nkept++] = buffer;
		buffer = NULL;
	}
	pthread_cond_signal(&buffers.given);
	pthread_mutex_unlock(&buffers.lock);
	if (buffer)
		munmap(buffer, REPLY_MOST_BYTES);
}

static char *take_shared(void)
{
	pthread_mutex_lock(&buffers.lock);
	if (buffers.nused >= AT_ONCE)
		wait_for_one();
	buffers.nused++;
	char *buffer = buffers.nkept ? buffers.kept[--buffers.nkept] : NULL;
	pthread_mutex_unlock(&buffers.lock);
	if (!buffer)
		buffer = map(REPLY_MOST_BYTES);
	if (!buffer)
		give_shared(NULL);
	return buffer;
}

char *reply_buffer_take(size_t size)
{
	if (size > REPLY_MOST_BYTES)
		return NULL;
	pthread_once(&buffers.once, set_up);
	return size <= REPLY_OWN_BYTES ? own() : take_shared();
}

void reply_buffer_give(char *buffer, size_t size)
{
	if (size > REPLY_OWN_BYTES)
		give_shared(buffer);
}
