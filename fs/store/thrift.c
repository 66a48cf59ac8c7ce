/* thrift.c - see thrift.h. */
#include "thrift.h"

enum {
	CHEAP_NS = 250000, /* a MiB: what memory of one's own costs, in large pages 100 to 150 thousand */
	TRY_FRESH_EVERY = 16,
	TRY_REUSE_EVERY = 64,
	LEAST_BYTES = 64 << 10, /* less tells nothing */
};

bool thrift_wants_reuse(struct thrift *thrift)
{
	thrift->asked++;
	if (thrift->fresh_ns <= CHEAP_NS)
		return false;
	if (thrift->reused_ns + thrift->reused_ns / 2 > thrift->fresh_ns)
		return thrift->asked % TRY_REUSE_EVERY == 0;
	return thrift->asked % TRY_FRESH_EVERY != 0;
}

void thrift_note(struct thrift *thrift, bool reused, uint64_t len_bytes, uint64_t took_ns)
{
	if (len_bytes < LEAST_BYTES)
		return;
	uint64_t cost_ns = (took_ns << 10) / (len_bytes >> 10);
	uint64_t *known_ns = reused ? &thrift->reused_ns : &thrift->fresh_ns;
	*known_ns = *known_ns ? (3 * *known_ns + cost_ns) / 4 : cost_ns;
}
