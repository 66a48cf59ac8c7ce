/* config.h - the settings of this process: set by main.c before any thread starts, read-only from then on. */
#ifndef PIXFS_CONFIG_H
#define PIXFS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum verify { VERIFY_OFF, VERIFY_OPEN, VERIFY_FULL };

struct config {
	const char *source;   /* absolute path */
	uint64_t cache_bytes; /* budget of decoded samples */
	uint64_t max_pixels, max_entry_bytes;
	uint64_t memory_bytes; /* that there is for this process: the machine's, or its cgroup's limit */
	unsigned processors;   /* likewise */
	unsigned threads;      /* decode threads */
	enum verify verify;
	bool immutable, follow_symlinks;
	bool passthrough;       /* the kernel may read whole arrays by itself */
	bool shared;            /* allow_other or allow_root: sources' own read permissions are kept */
	const char *encoding;   /* iconv name, NULL: auto */
	const char *assume;     /* color interop ID, NULL: none */
	unsigned readahead_kib; /* 0: the kernel's default */
	double timeout_s;       /* of names and attributes that may change */
};
extern struct config config;

#endif
