/* gate.c - see gate.h. */
#include "gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fs/base/pool.h"

static const uint64_t SWEEP_NS = 50 * 1000 * 1000;

struct aside {
	struct aside *next;
	struct gate_request request;
};

struct gate {
	unsigned count, most; /* requests inside, and how many there may be */
	struct aside *first, **last;
};

static struct {
	pthread_mutex_t lock;
	struct gate gates[GATE_KINDS];
	atomic_uint naside;
	uint64_t swept_ns;
} all = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.gates = {[GATE_ARRAYS] = {.most = GATE_MOST_ARRAYS, .last = &all.gates[GATE_ARRAYS].first},
		  [GATE_BYTES] = {.most = GATE_MOST_BYTES, .last = &all.gates[GATE_BYTES].first}},
};

static bool enter(struct gate *gate)
{
	pthread_mutex_lock(&all.lock);
	bool room = gate->count < gate->most;
	gate->count += room;
	pthread_mutex_unlock(&all.lock);
	return room;
}

/* Puts it aside; false: there is room after all, and the caller is inside. */
static bool put_aside(struct gate *gate, struct aside *aside)
{
	aside->next = NULL;
	pthread_mutex_lock(&all.lock);
	bool full = gate->count >= gate->most;
	if (full) {
		*gate->last = aside;
		gate->last = &aside->next;
		atomic_fetch_add(&all.naside, 1);
	} else {
		gate->count++;
	}
	pthread_mutex_unlock(&all.lock);
	return full;
}

/* The next that was put aside takes the place of who leaves; NULL: there is none, and the place is free. */
static struct aside *leave(struct gate *gate)
{
	pthread_mutex_lock(&all.lock);
	struct aside *next = gate->first;
	if (next) {
		gate->first = next->next;
		if (!gate->first)
			gate->last = &gate->first;
		atomic_fetch_sub(&all.naside, 1);
	} else {
		gate->count--;
	}
	pthread_mutex_unlock(&all.lock);
	return next;
}

void gate_run(enum gate_kind kind, const struct gate_request *request)
{
	struct gate *gate = &all.gates[kind];
	if (!enter(gate)) {
		struct aside *aside = malloc(sizeof *aside);
		if (!aside) {
			fuse_reply_err(request->req, ENOMEM);
			return;
		}
		aside->request = *request;
		if (put_aside(gate, aside))
			return;
		free(aside);
	}
	request->run(request);
	for (struct aside *next; (next = leave(gate)); free(next))
		next->request.run(&next->request);
}

/* Takes out those whose callers gave up. Lock held. */
static void take_given_up(struct gate *gate, struct aside **given_up)
{
	struct aside **link = &gate->first;
	for (struct aside *aside; (aside = *link);) {
		if (!fuse_req_interrupted(aside->request.req)) {
			link = &aside->next;
			continue;
		}
		*link = aside->next;
		aside->next = *given_up;
		*given_up = aside;
		atomic_fetch_sub(&all.naside, 1);
	}
	gate->last = link;
}

void gate_sweep(void)
{
	struct aside *given_up = NULL;
	if (!atomic_load_explicit(&all.naside, memory_order_relaxed))
		return;
	uint64_t now_ns = pool_now_ns();
	pthread_mutex_lock(&all.lock);
	if (now_ns - all.swept_ns > SWEEP_NS) {
		all.swept_ns = now_ns;
		for (unsigned kind = 0; kind < GATE_KINDS; kind++)
			take_given_up(&all.gates[kind], &given_up);
	}
	pthread_mutex_unlock(&all.lock);
	for (struct aside *next; given_up; given_up = next) {
		next = given_up->next;
		fuse_reply_err(given_up->request.req, EINTR);
		free(given_up);
	}
}
