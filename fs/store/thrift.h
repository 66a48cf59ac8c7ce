/* thrift.h - whether memory that was freed just now costs less than more of it.
 *
 * Where a host gives memory to its virtual machines as they touch it, what was not in use before costs several times as much as
 * what was. That is found out by doing it: what files of fresh pages cost to write, and those of pages that others gave back just
 * before. Pure arithmetic; not thread-safe.
 */
#ifndef PIXFS_THRIFT_H
#define PIXFS_THRIFT_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing is known. */
struct thrift {
	uint64_t fresh_ns, reused_ns; /* a MiB, on average of the last few; 0: never seen */
	unsigned asked;
};

/* Asked before each file is written. Now and then the other way is tried, to see what it costs by now. */
bool thrift_wants_reuse(struct thrift *thrift);

void thrift_note(struct thrift *thrift, bool reused, uint64_t len_bytes, uint64_t took_ns);

#endif
