/* stack_inner.h - the inside of a stack, for stack*.c only.
 *
 * Locks: the table's (references, which stack is current, its list), stack->lock (what the look found). Never both. */
#ifndef PIXFS_STACK_INNER_H
#define PIXFS_STACK_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/store/cache.h"
#include "members.h"
#include "stack.h"
#include "fs/view/view.h"

enum { STACK_PIECE_BYTES = 2 << 20, STACK_MAX_NAME_BYTES = 255 };

enum member_state {
	MEMBER_UNSEEN,
	MEMBER_GOOD,       /* its header is; nobody looked at the rest yet */
	MEMBER_SOUND,      /* checked as opening its array does, or decoded */
	MEMBER_BROKEN,     /* the header can't be read, or says that nothing here decodes it */
	MEMBER_DAMAGED,    /* found by a check or a decode */
	MEMBER_IMPOSSIBLE, /* the view can't be made of it */
};

struct stack_shape {
	uint32_t ndim;
	uint64_t shape[3];
	enum sample_type dtype;
};

/* A stack's name without its extension. */
struct stack_name {
	bool recursive;
	char spec[STACK_MAX_NAME_BYTES + 8]; /* what each member's view is compiled from */
	char fill[STACK_MAX_NAME_BYTES + 1]; /* the value of fill=, or "" */
};

struct stack {
	/* constant */
	uint32_t serial;
	struct members *members;
	struct stack_name name;
	struct stack_shape row;  /* of each member */
	uint64_t row_bytes;      /* 0: there is no array, only texts */
	struct err row_err;      /* why not */
	bool fills;              /* something stands in place of a member that can't be decoded: */
	unsigned char filler[4]; /* an element */
	size_t row_header_bytes; /* before the elements of a member's view */
	char *path;              /* of the directory, for messages */
	char *canonical;         /* the operations, written in one way */
	char axes[8];            /* of a row */
	unsigned char npy[NPY_HEADER_BYTES];
	struct cache_group pieces;
	uint64_t memory_bytes;
	/* the table's, under its lock */
	unsigned refs;
	struct stack *newer, *older;
	bool current; /* in the table */
	uint64_t checked_ns;
	/* under stack->lock */
	pthread_mutex_t lock;
	pthread_cond_t looked;
	bool looking, look_is_done;
	struct err look_err; /* why it can't be opened */
	_Atomic uint8_t *states;
	uint32_t *shapes; /* of members: an index of distinct */
	_Atomic uint64_t
		*versions;         /* of members, see members.h; 0 until somebody looked. An open may ask while another one looks */
	atomic_ullong index_bytes; /* of its index, 0: not known yet */
	_Atomic(atomic_uint *) prefetched; /* of rows: their numbers in pace.h until somebody reads them; NULL: of none */
	struct stack_shape *distinct;
	uint32_t *distinct_table; /* open addressing; index + 1 */
	uint32_t ndistinct, distinct_room;
};

struct stack *stack_ref(struct stack *stack);
void stack_retire(struct stack *stack); /* no look-up finds it any more */

/* ---- stack_look.c ---- */

/* The shape that all must have, from the first good member. -EIO: none can be read; -ENOENT: there is none. */
int stack_find_row(struct stack *stack, const struct patience *patience, struct err *err);
/* What the header of member i says, unless that is known. 0, or an error that the next try may not meet. */
int stack_examine(struct stack *stack, size_t i, struct err *err);
struct stack_shape stack_shape_of(const struct view_info *info);
bool stack_same_shape(const struct stack_shape *a, const struct stack_shape *b);
/* The view of an opened member. */
int stack_compile(const struct stack *stack, struct image *image, struct picture *ret_picture, struct view **ret_view,
		  struct err *err);
/* Why member i can't be made a row of: its header, or the view. The code, 0: nothing is known against it. */
int stack_member_error(struct stack *stack, size_t i, struct err *err);
/* What was found of member i: SOUND, unless damage was found before; DAMAGED. */
void stack_found(struct stack *stack, size_t i, enum member_state state);
/* Whether that is a fault of the file, which reads as NaN, and not of the moment. */
bool stack_cant_be_decoded(const struct err *err);

/* ---- stack_row.c ---- */

/* Makes bytes [offset, offset + len_bytes) of row i; for a worker of the pool. What can't be decoded is the filler, or -EIO where
 * there is none. */
int stack_make_row(struct stack *stack, size_t i, uint64_t offset, size_t len_bytes, void *dst, struct err *err);
/* Checks member i as opening its array does, where nobody looked at it yet. */
int stack_check_member(struct stack *stack, size_t i, struct err *err);
/* filler from name.fill for the type of a row: NaN in floats where nothing is said. -EINVAL. */
int stack_set_filler(struct stack *stack, struct err *err);

#endif
