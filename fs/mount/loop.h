/* loop.h - the threads that take requests from the kernel: libfuse's loop of many threads, but that want of memory ends nothing.
 *
 * libfuse's own ends the mount where a thread gets no memory for its buffer, and writes a line for each thread that can't be
 * started.
 */
#ifndef PIXFS_LOOP_H
#define PIXFS_LOOP_H

#include <fuse_lowlevel.h>

/* Answers requests until the session ends: 0 or a negative errno. Up to `most` threads, of which `idle` stay when there is nothing
 * to do. A thread that can't be started is tried again with the next request. */
int loop_run(struct fuse_session *session, unsigned most, unsigned idle);

#endif
