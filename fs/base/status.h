/* status.h - what the mount counts and what went wrong: the numbers and lines behind MNT/.pixfs/.
 *
 * Counters are atomics that anyone adds to. Errors go in a bounded ring (the oldest are dropped, the count goes on) and
 * to the log. All functions may be called from any thread, under any lock of pixfs (they take only their own).
 */
#ifndef PIXFS_STATUS_H
#define PIXFS_STATUS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/err.h"

struct status {
	atomic_ullong opens;       /* image headers parsed */
	atomic_ullong array_opens; /* opens of array files */
	atomic_ullong decodes;     /* chunks decoded */
	atomic_ullong decode_ns;
	atomic_ullong cache_hits, cache_misses;
	atomic_ullong cache_bytes;   /* decoded samples held now */
	atomic_ullong backing_bytes; /* arrays held whole for the kernel now */
	atomic_ullong backed_opens;  /* opens of arrays that the kernel reads by itself */
	atomic_ullong direct_opens;  /* opens of arrays that are read past the kernel's pages */
	atomic_ullong bytes_read;    /* of sources, for headers and decoding */
	atomic_ullong bytes_checked; /* of sources, for checksums */
	atomic_ullong bytes_served;  /* to readers of arrays */
	atomic_ullong errors;
	atomic_ullong images_known, nodes;
	atomic_ullong open_files, decoding; /* now */
};
extern struct status status;

static inline void status_add(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
static inline void status_sub(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

/* While a thread reads for checksums, what it reads counts as bytes_checked. Returns the setting before. */
int status_set_checking(int checking);
void status_count_read(uint64_t len_bytes);

/* Where the log goes; NULL (the start value): nowhere. Set once, before any thread starts. */
void status_set_log(void (*log)(int code, const char *line));

/* One error: path relative to the mount's root, code a negative errno, stage "header" "check" "decode" "archive" "read" ... */
void status_report(const char *path, int code, const char *stage, const char *words);

/* The same, but where the ring has just that error already nothing happens: of what anyone may ask for again and again. */
void status_report_once(const char *path, int code, const char *stage, const char *words);

/* The texts of the status files; free with free(). 0 or -ENOMEM. */
int status_stats_json(char **ret_text, size_t *ret_len_bytes);
int status_metrics(char **ret_text, size_t *ret_len_bytes);
int status_errors_jsonl(char **ret_text, size_t *ret_len_bytes);
int status_formats_json(char **ret_text, size_t *ret_len_bytes);
int status_config_json(char **ret_text, size_t *ret_len_bytes);
int status_readme(char **ret_text, size_t *ret_len_bytes);

#endif
