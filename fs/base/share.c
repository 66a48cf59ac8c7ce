/* share.c - see share.h. Helpers hold a reference: one that comes when all is done finds no block left and touches nothing of
 * the caller's. */
#include "share.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "config.h"
#include "pool.h"

static const uint64_t ALONE_NS = 100 * 1000; /* a thread that sleeps costs about as much to wake */

struct helper {
	struct pool_task task;
	struct share *share;
};

struct share {
	share_run *run;
	void *context; /* valid while a block runs or the caller waits */
	pthread_mutex_t lock;
	pthread_cond_t done;
	uint32_t next, nblocks; /* next: the first that nobody took */
	unsigned running, refs;
	uint32_t failed; /* the first block that did, where failure.code is set */
	struct err failure;
	struct helper helpers[];
};

/* Lock held. No block is taken once one failed: those before it were all taken earlier. */
static bool may_take(const struct share *share)
{
	return share->next < share->nblocks && !share->failure.code;
}

static void run_blocks(struct share *share)
{
	pthread_mutex_lock(&share->lock);
	while (may_take(share)) {
		uint32_t block = share->next++;
		share->running++;
		pthread_mutex_unlock(&share->lock);
		struct err err = ERR_NONE;
		int rc = share->run(share->context, block, &err);
		pthread_mutex_lock(&share->lock);
		share->running--;
		if (rc && (!share->failure.code || block < share->failed)) {
			err_set(&err, rc, "it failed");
			share->failure = err;
			share->failed = block;
		}
	}
	if (share->running == 0)
		pthread_cond_signal(&share->done);
	pthread_mutex_unlock(&share->lock);
}

static void share_unref(struct share *share)
{
	pthread_mutex_lock(&share->lock);
	bool last = --share->refs == 0;
	pthread_mutex_unlock(&share->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&share->lock);
	pthread_cond_destroy(&share->done);
	free(share);
}

static void helper_run(struct pool_task *task)
{
	struct share *share = ((struct helper *)task)->share;
	run_blocks(share);
	share_unref(share);
}

/* The blocks from `first` on, with the pool's help. False where there is no memory for it. */
static bool share_rest(uint32_t first, uint32_t nblocks, share_run *run, void *context, struct err *ret_failure)
{
	unsigned others = config.threads > 1 ? config.threads - 1 : 0,
		 nhelpers = others < nblocks - first ? others : nblocks - first;
	struct share *share = calloc(1, sizeof *share + nhelpers * sizeof *share->helpers);
	if (!share)
		return false;
	share->run = run;
	share->context = context;
	share->next = first;
	share->nblocks = nblocks;
	share->refs = nhelpers + 1;
	pthread_mutex_init(&share->lock, NULL);
	pthread_cond_init(&share->done, NULL);
	for (unsigned i = 0; i < nhelpers; i++) {
		share->helpers[i] = (struct helper){{.run = helper_run}, share};
		pool_submit(&share->helpers[i].task, POOL_DECODE);
	}
	run_blocks(share);
	pthread_mutex_lock(&share->lock);
	while (share->running)
		pthread_cond_wait(&share->done, &share->lock);
	*ret_failure = share->failure;
	pthread_mutex_unlock(&share->lock);
	share_unref(share);
	return true;
}

int share_blocks(uint32_t nblocks, share_run *run, void *context, struct err *err)
{
	struct err failure = ERR_NONE;
	uint64_t start_ns = pool_now_ns();
	for (uint32_t block = 0; block < nblocks; block++) {
		int rc = run(context, block, err);
		if (rc)
			return rc;
		if (nblocks - block > 2 && pool_now_ns() - start_ns > ALONE_NS &&
		    share_rest(block + 1, nblocks, run, context, &failure))
			return failure.code ? err_copy(err, &failure) : 0;
	}
	return 0;
}
