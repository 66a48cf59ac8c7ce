/* passthrough.h - the kernel's side of backing files: FUSE passthrough (Linux 6.9), as far as libfuse 3.14 doesn't know of it.
 *
 * Source of the protocol: the kernel's include/uapi/linux/fuse.h, version 7.40: INIT's flag FUSE_PASSTHROUGH (bit 37, in flags2)
 * and max_stack_depth, the ioctls FUSE_DEV_IOC_BACKING_OPEN and _CLOSE, OPEN's flag FOPEN_PASSTHROUGH and backing_id; and
 * FUSE_DIRECT_IO_ALLOW_MMAP (bit 36, Linux 6.6): what is open with FOPEN_DIRECT_IO can be mapped all the same.
 * An inode is open either through requests or through one backing file, not both at once: then the kernel fails the open. Who
 * decides that is opened.c.
 */
#ifndef PIXFS_PASSTHROUGH_H
#define PIXFS_PASSTHROUGH_H

#include <fuse_lowlevel.h>
#include <stdint.h>

#include "fs/store/backing.h"

/* After the mount, before the session's loop: starts backing files of so many bytes, and offers passthrough when the kernel does.
 * Where it can't be had (no CAP_SYS_ADMIN, an older kernel) all goes on without it: 0, or a negative errno that says why. */
int passthrough_start(struct fuse_session *session, uint64_t budget_bytes);
/* The session's connection is about to be closed, and with it all that the kernel knew: it isn't asked any more. */
void passthrough_stop(void);

/* The reply to an open: what it reads lies in this backing file. As fuse_reply_open. */
int passthrough_reply_open(fuse_req_t req, uint64_t fh, const struct backing *backing);

#endif
