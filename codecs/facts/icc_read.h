/* icc_read.h - between the two files of icc.h: reading a profile (icc.c) and keeping those read last (icc_open.c). */
#ifndef PIXFS_ICC_READ_H
#define PIXFS_ICC_READ_H

#include "icc.h"

/* As icc_open(), each time anew; *ret_memory_bytes: at least what the object occupies. */
int icc_read(const void *data, size_t len_bytes, enum icc_space space, struct icc **ret_icc, size_t *ret_memory_bytes,
	     struct err *err);
void icc_free(struct icc *icc); /* NULL is fine */

#endif
