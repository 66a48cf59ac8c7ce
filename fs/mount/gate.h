/* gate.h - requests that may wait for a decode hold no more than a part of the threads that answer the kernel, so that `ls` and the
 * status files always find one.
 *
 * Where that part is in use a request is put aside, and the thread goes back to answering others; the first that comes out of the
 * gate runs what was put aside, in its order. One whose caller gave up meanwhile is answered with EINTR. Thread-safe.
 */
#ifndef PIXFS_GATE_H
#define PIXFS_GATE_H

#include <fuse_lowlevel.h>
#include <stddef.h>

/* Of arrays and stacks; of the bytes of archive entries, which are inflated for it. */
enum gate_kind { GATE_ARRAYS, GATE_BYTES, GATE_KINDS };

enum { GATE_THREADS = 512, GATE_MOST_ARRAYS = 384, GATE_MOST_BYTES = 64 };

/* What a request needs; run answers it exactly once. */
struct gate_request {
	void (*run)(const struct gate_request *request);
	fuse_req_t req;
	fuse_ino_t id;
	size_t size;
	off_t offset;
	struct fuse_file_info info;
};

/* Runs it, here and now or later on another thread. */
void gate_run(enum gate_kind kind, const struct gate_request *request);

/* Asked now and then by those who wait inside: answers what was put aside and is no longer wanted. */
void gate_sweep(void);

#endif
