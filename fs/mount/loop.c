/* loop.c - see loop.h. Each thread takes a request and answers it; where no other is left to take the next, it starts one first.
 * The threads may be cancelled only while they wait for a request. */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/store/cache.h"

struct worker {
	struct worker *next, **link;
	struct loop *loop;
	pthread_t thread;
	struct fuse_buf buffer;
};

struct loop {
	struct fuse_session *session;
	unsigned most, idle;
	pthread_mutex_t lock;
	struct worker *workers;
	unsigned count, nfree; /* threads; those that wait for a request, or answer one that takes no time */
	bool ended;
	int rc;
	sem_t over;
};

static void *worker_main(void *context);

static void worker_free(struct worker *worker)
{
	free(worker->buffer.mem);
	free(worker);
}

/* Lock held. */
static int start_worker(struct loop *loop)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
	if (rc) {
		free(worker);
		return -rc;
	}
	worker->next = loop->workers;
	worker->link = &loop->workers;
	if (loop->workers)
		loop->workers->link = &worker->next;
	loop->workers = worker;
	loop->count++;
	loop->nfree++;
	return 0;
}

/* Forgetting takes no time: no other thread is needed meanwhile. The request begins with the kernel's struct fuse_in_header: its
 * length, then its opcode; 2 is FORGET, 42 BATCH_FORGET. */
static bool takes_no_time(const struct fuse_buf *buffer)
{
	uint32_t head[2] = {0};
	if (buffer->size >= sizeof head)
		memcpy(head, buffer->mem, sizeof head);
	return head[1] == 2 || head[1] == 42;
}

/* Waits for a request: its length, 0 or an error that ends the session. */
static int take_request(struct worker *worker)
{
	static const struct timespec while_memory_is_out = {.tv_nsec = 10 * 1000 * 1000};
	for (;;) {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		int rc = fuse_session_receive_buf(worker->loop->session, &worker->buffer);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (rc != -EINTR && rc != -ENOMEM)
			return rc;
		if (rc == -ENOMEM) {
			cache_relieve();
			nanosleep(&while_memory_is_out, NULL);
		}
		if (fuse_session_exited(worker->loop->session))
			return 0;
	}
}

/* Answers one; with the lock held, and released meanwhile. */
static void answer(struct worker *worker)
{
	struct loop *loop = worker->loop;
	bool busy = !takes_no_time(&worker->buffer);
	loop->nfree -= busy;
	if (loop->nfree == 0 && loop->count < loop->most)
		start_worker(loop);
	pthread_mutex_unlock(&loop->lock);
	fuse_session_process_buf(loop->session, &worker->buffer);
	pthread_mutex_lock(&loop->lock);
	loop->nfree += busy;
}

/* One that is not needed any more ends by itself; with the lock held. */
static bool leave(struct worker *worker)
{
	struct loop *loop = worker->loop;
	if (loop->ended || loop->nfree <= loop->idle || loop->count == 1)
		return false;
	*worker->link = worker->next;
	if (worker->next)
		worker->next->link = worker->link;
	loop->count--;
	loop->nfree--;
	pthread_detach(worker->thread);
	return true;
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	struct loop *loop = worker->loop;
	int rc = 0;
	while (!fuse_session_exited(loop->session) && (rc = take_request(worker)) > 0) {
		pthread_mutex_lock(&loop->lock);
		if (!loop->ended)
			answer(worker);
		bool left = leave(worker);
		pthread_mutex_unlock(&loop->lock);
		if (left) {
			worker_free(worker);
			return NULL;
		}
	}
	if (rc < 0) {
		pthread_mutex_lock(&loop->lock);
		loop->rc = loop->rc ? loop->rc : rc;
		pthread_mutex_unlock(&loop->lock);
	}
	fuse_session_exit(loop->session);
	sem_post(&loop->over);
	return NULL;
}

/* A thread that isn't one of these may end the session too: it is looked at now and then. */
static void wait_for_the_end(struct loop *loop)
{
	while (!fuse_session_exited(loop->session)) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		sem_timedwait(&loop->over, &until);
	}
}

int loop_run(struct fuse_session *session, unsigned most, unsigned idle)
{
	struct loop loop = {.session = session, .most = most, .idle = idle, .lock = PTHREAD_MUTEX_INITIALIZER};
	sem_init(&loop.over, 0, 0);
	pthread_mutex_lock(&loop.lock);
	int rc = start_worker(&loop);
	pthread_mutex_unlock(&loop.lock);
	if (rc == 0)
		wait_for_the_end(&loop);
	pthread_mutex_lock(&loop.lock);
	loop.ended = true;
	for (struct worker *worker = loop.workers; worker; worker = worker->next)
		pthread_cancel(worker->thread);
	pthread_mutex_unlock(&loop.lock);
	while (loop.workers) {
		struct worker *worker = loop.workers;
		loop.workers = worker->next;
		pthread_join(worker->thread, NULL);
		worker_free(worker);
	}
	sem_destroy(&loop.over);
	fuse_session_reset(session);
	return rc ? rc : loop.rc;
}
