/* mount.h - the life of a mount: mounting, becoming a daemon, answering, signals, the end. */
#ifndef PIXFS_MOUNT_H
#define PIXFS_MOUNT_H

#include <stdbool.h>

/* Exit codes of pixfs, one for each reason. */
enum exit_code {
	EXIT_OK,
	EXIT_DAMAGED, /* check: something is damaged; other commands: an unexpected failure */
	EXIT_USAGE,
	EXIT_NO_SOURCE,
	EXIT_BAD_SOURCE, /* not a directory, archive or image */
	EXIT_NO_MOUNTPOINT,
	EXIT_BUSY_MOUNTPOINT,
	EXIT_NO_FUSE,
};

struct mount_options {
	const char *mountpoint;
	const char *fsname; /* what the table of mounts calls it */
	bool foreground;
	bool auto_unmount;        /* also where this process is killed */
	const char *fuse_options; /* for libfuse, separated by commas, "" for none */
	bool debug;
	const char *log_path; /* NULL: stderr in the foreground, syslog as a daemon */
};

/* Mounts the tree that walk_start opened and serves it until it is unmounted. Where a mount of the same name lives there already
 * nothing is done, which is a success. Messages go to stderr. */
enum exit_code mount_run(const struct mount_options *options);

/* Starts and ends what serves a tree: cache, images, nodes, decode threads. 0 or a negative errno. */
int mount_start_engine(void);
void mount_stop_engine(void);

#endif
