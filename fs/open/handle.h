/* handle.h - an open file of the mount: an array, a made text, the bytes of a source, or a file of the host. */
#ifndef PIXFS_HANDLE_H
#define PIXFS_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/image/image.h"
#include "fs/base/patience.h"
#include "fs/stack/stack.h"
#include "fs/image/target.h"
#include "fs/store/texts.h"
#include "window.h"

/* Takes what is written; text NULL: the file is closed. 0 or a negative errno. */
typedef int handle_sink(void *context, const char *text, size_t len_bytes, struct err *err);

enum handle_kind { HANDLE_ARRAY, HANDLE_STACK, HANDLE_TEXT, HANDLE_BYTES, HANDLE_HOST, HANDLE_SINK };

/* The part of a stack that a file shows: len_bytes of its elements from `start`, behind a prefix that the stack keeps. */
struct stack_range {
	uint64_t start, len_bytes;
	const unsigned char *prefix;
	size_t prefix_bytes;
};

struct handle {
	enum handle_kind kind;
	uint64_t size_bytes;
	bool changing;                /* the text is another one at each open: the kernel must not keep its pages */
	bool keep_cache;              /* pages that the kernel has are still right */
	struct target target;         /* ARRAY: what it shows, in use */
	struct view *view;            /* ARRAY */
	struct image_area area;       /* ARRAY: what reads of it can need */
	struct image_pattern pattern; /* ARRAY */
	struct window *window;        /* ARRAY: where a read needed one; under the pattern's lock until then */
	struct node *node;          /* ARRAY that shows samples of a file's main image: its NODE_IMAGE, one reference; else NULL */
	char *below;                /* ARRAY with a backing file and a node: its path below that, or NULL */
	atomic_ullong served_bytes; /* ARRAY */
	struct backing *backing;    /* ARRAY: all of it, where it was made at once; one reference; else NULL */
	uint64_t backing_key;       /* ARRAY: of handle_pages */
	bool direct;                /* ARRAY: reads are to go to the reader's memory, past the kernel's pages */
	bool held;                  /* ARRAY: the image's file, as not all of it is in a backing file */
	bool again;                 /* ARRAY: it was read whole before: a backing file is worth making when there is time */
	atomic_uint nreads;         /* ARRAY */
	bool stored_early;          /* ARRAY: all but its last page was given to handle_pages, and only who reads that is seen */
	struct stack_reader *stack; /* STACK */
	struct stack_range range;   /* STACK */
	char *text;                 /* TEXT; NULL: it is that of kept */
	struct text *kept;          /* TEXT: one reference, or NULL */
	struct bytes *bytes;        /* BYTES */
	int fd;                     /* HOST */
	handle_sink *sink;          /* SINK */
	void *sink_context;         /* SINK */
};

/* Where an array's bytes can be put ahead of any read: into a backing file, to be found under backing_key (0: none is wanted), else
 * into the kernel's pages: store (may be NULL) gives 0, or a negative errno: no more of them are wanted. patience: of who waits for
 * the open. now: nobody waits, a backing file is all that is wanted. */
struct handle_pages {
	int (*store)(void *context, uint64_t offset, const void *data, size_t len_bytes);
	void *context;
	uint64_t backing_key;
	const struct patience *patience;
	bool now;
};

/* Each makes an open handle or fails with words; what is given is taken over in both cases,
 * but for node: what the array is made from, it gets a reference of its own.
 * pages (may be NULL): where it pays (handle_whole.h) all of the array is made and put there. */
int handle_open_array(struct target *target, struct view *view, struct node *node, const struct handle_pages *pages,
		      struct handle **ret_handle, struct err *err);
int handle_open_stack(struct stack *stack, const struct stack_range *range, struct handle **ret_handle,
		      struct err *err); /* stack: takes a reference of its own */
int handle_open_text(char *text, size_t len_bytes, bool changing, struct handle **ret_handle, struct err *err);
int handle_open_kept(struct text *text, bool changing, struct handle **ret_handle, struct err *err);
int handle_open_bytes(struct bytes *bytes, struct handle **ret_handle, struct err *err);
int handle_open_host(int fd, bool keep_cache, struct handle **ret_handle, struct err *err);
int handle_open_sink(handle_sink *sink, void *context, struct handle **ret_handle, struct err *err);
void handle_close(struct handle *handle); /* NULL is fine */

/* Of a SINK, in the order of the calls; one at a time. */
int handle_write(struct handle *handle, const char *text, size_t len_bytes, struct err *err);

/* Like pread: the bytes there are from offset, fewer than len_bytes only at the end of the file; a negative errno with words
 * otherwise. Any number of threads at once. Waits for decodes as long as patience tells (NULL: for ever), else -EINTR. */
ssize_t handle_read(struct handle *handle, void *dst, size_t len_bytes, uint64_t offset, const struct patience *patience,
		    struct err *err);

/* The same of an ARRAY without a copy: where the bytes from offset on lie in memory as they are, take is called with some of them,
 * and their number returned. 0: they don't, and take was not called. */
ssize_t handle_give(struct handle *handle, size_t len_bytes, uint64_t offset, const struct patience *patience,
		    void (*take)(void *context, const void *at, size_t len_bytes), void *context, struct err *err);

#endif
