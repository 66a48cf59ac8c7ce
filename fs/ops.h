/* ops.h - FUSE's requests. The only file besides mount.c that knows FUSE. */
#ifndef PIXFS_OPS_H
#define PIXFS_OPS_H

#include <fuse_lowlevel.h>

extern const struct fuse_lowlevel_ops ops_table;

/* Called once the kernel has been answered for the first time. Set before the session runs. */
void ops_set_ready(void (*ready)(void));

/* Whose requests they are. Set before the session runs. */
void ops_set_session(struct fuse_session *session);

/* Closes what the kernel left open; after the session, before what serves it ends. */
void ops_close_all(void);

#endif
