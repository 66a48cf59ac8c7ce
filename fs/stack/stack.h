/* stack.h - the images of a directory or archive as one array (n, ...), each decoded when its bytes are touched.
 *
 * Below .pixfs/stack/ of any directory: "[recursive,]<op>[,<op>...].<ext>" with the operations of view.h, fill=V and the extensions
 *   npy           behind a header, (n, shape of the view)
 *   f32 f16 u8 u16  raw
 *   zarr          a directory: a Zarr v3 array with one chunk for each image
 *   json          shape, dtype and canonical spec;  jsonl  the index, one line for each image
 * Images stand in the order of their paths, bytewise.
 *
 * A stack is one version of that array. Its first look-up lists the directory and reads headers up to the first good one, whose
 * view has the shape that all must have; its first open reads all headers, in parallel (the look). What they say is
 * remembered: 13 bytes an image, besides its path. A directory or image that changed is another stack: opening the old one, or
 * reading what changed, is -ESTALE.
 *
 * What can't be decoded (damage, a feature that isn't supported, over a limit, no permission) reads as V where fill=V is given,
 * else as NaN in float stacks and is -EIO in integer ones, with words in errors.jsonl; errors that may pass (memory, ESTALE) are
 * errors in all. The index never guesses: "ok" is null until somebody checked or decoded the member.
 *
 * Rows are made on the pool's threads and kept in the cache, in pieces of at most 2 MiB.
 */
#ifndef PIXFS_STACK_H
#define PIXFS_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/caller.h"
#include "fs/source/node.h"
#include "fs/view/npy.h"
#include "fs/base/patience.h"
#include "fs/view/zarr.h"

enum stack_form { STACK_RAW, STACK_NPY, STACK_ZARR, STACK_JSON, STACK_JSONL };

struct stack;

/* The stack of that name below .pixfs/stack/ of dir, made now unless it is known and its names are still right. One reference.
 * -ENOENT: no such operation or extension, or no image; -EINVAL; -EINTR; or why dir can't be listed. A jsonl has no shape: it may
 * have no images, and views may be impossible. A json is there for what is EINVAL or EFBIG too, and says why. */
int stack_get(struct node *dir, const char *name, const struct patience *patience, struct stack **ret_stack,
	      enum stack_form *ret_form, struct err *err);
/* The stack of that number, one reference; NULL where it is not, or no longer, the current one. */
struct stack *stack_find(uint32_t serial);
void stack_unref(struct stack *stack); /* NULL is fine */
void stack_stop(void);                 /* forgets all; none may be in use */
enum stack_form stack_form_of(const char *name);

/* Whether it is still right, the caller may read every member, and all members fit: to be called by open. 0, -ESTALE, -EACCES,
 * -EINVAL naming the first that doesn't fit, -EINTR. */
int stack_use(struct stack *stack, struct caller *caller, const struct patience *patience, struct err *err);
/* The same of one row: the others' rights and versions don't count. */
int stack_use_row(struct stack *stack, uint64_t row, struct caller *caller, const struct patience *patience, struct err *err);
/* Whether he may read every member: their files, the directories that are listed, and the way there from the root. 0, -EACCES, or
 * -ESTALE. For whatever tells of all members. */
int stack_may_read(struct stack *stack, struct caller *caller, const struct patience *patience, struct err *err);
/* Reads all headers, once; others wait. 0 or -EINTR or -ENOMEM, ...: then the next one goes on where it stopped. */
int stack_look(struct stack *stack, const struct patience *patience, struct err *err);

uint32_t stack_serial(const struct stack *stack);
uint64_t stack_bytes(const struct stack *stack);                  /* of all elements */
uint64_t stack_row_bytes(const struct stack *stack);              /* of one image's */
const unsigned char *stack_npy_header(const struct stack *stack); /* NPY_HEADER_BYTES of them */
void stack_describe(const struct stack *stack, struct zarr *ret_zarr);
/* JSON, after the look; free with free(). 0 or -ENOMEM. Of a stack that can't be opened it says why. */
int stack_json(const struct stack *stack, char **ret_text, size_t *ret_len_bytes);
/* JSONL, after the look. It tells what is known of each member's soundness: stack_check makes that all there is to know. Its length
 * is the same whatever is known. */
int stack_index(struct stack *stack, char **ret_text, size_t *ret_len_bytes);
int stack_index_bytes(struct stack *stack, uint64_t *ret_bytes);
/* Checks all members at which nobody looked yet, as opening their arrays does. 0, -EINTR, -ENOMEM. */
int stack_check(struct stack *stack, const struct patience *patience, struct err *err);

/* ---- reading: stack_read.c ---- */

struct stack_reader; /* what is known of one open file's pattern */
int stack_reader_open(struct stack *stack, struct stack_reader **ret_reader, struct err *err); /* takes a reference of its own */
void stack_reader_close(struct stack_reader *reader);                                          /* NULL is fine */

/* Elements [offset, offset + len_bytes) of the array to dst. Any number of threads. */
int stack_read(struct stack_reader *reader, uint64_t offset, size_t len_bytes, void *dst, const struct patience *patience,
	       struct err *err);

/* Makes row i because .pixfs/prefetch was told so; for a worker of the pool. */
void stack_prefetch(struct stack *stack, uint64_t i, struct err *err);

#endif
