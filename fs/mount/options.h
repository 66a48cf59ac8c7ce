/* options.h - the words of the command line and of -o: what is taken, what is passed on to libfuse, what they set. Messages go
 * to stderr, one line each. */
#ifndef PIXFS_OPTIONS_H
#define PIXFS_OPTIONS_H

#include <fuse_opt.h>
#include <stdbool.h>
#include <stddef.h>

#include "mount.h"

struct options {
	struct mount_options mount;
	char *cache_size, *threads, *verify, *max_pixels, *max_entry, *encoding, *assume, *readahead, *log, *fsname;
	int immutable, follow_symlinks, nopassthrough, shared;
	bool remount, json, help, version;
	const char **operands; /* what is no option, in order */
	int noperands;
};

/* Takes what is pixfs's out of args and leaves what is libfuse's. False, with a message, on a wrong word. */
bool options_parse(struct fuse_args *args, struct options *options);
void options_free(struct options *options);

/* Sets config. False, with a message, on a value that is none. */
bool options_apply(const struct options *options);

/* What options_parse left, as one list for libfuse, without a name for the mount. False where it doesn't fit. */
bool options_gather_fuse(const struct fuse_args *args, char *ret, size_t room);

#endif
