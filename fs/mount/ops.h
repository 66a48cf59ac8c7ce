/* ops.h - FUSE's requests. Besides it only mount.c and passthrough.c know FUSE. */
#ifndef PIXFS_OPS_H
#define PIXFS_OPS_H

#include <fuse_lowlevel.h>

extern const struct fuse_lowlevel_ops ops_table;

/* Called once the kernel has been answered for the first time. Set before the session runs. */
void ops_set_ready(void (*ready)(void));

/* Whose requests they are. Set before the session runs. */
void ops_set_session(struct fuse_session *session);

#endif
