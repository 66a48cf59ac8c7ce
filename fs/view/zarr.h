/* zarr.h - a Zarr v3 array as a directory: its zarr.json and the names of its chunks.
 * Format: Zarr core specification 3.0: regular chunk grid, "default" chunk key encoding with the separator ".", so that a
 * directory of chunks is flat: c.0.0.0, c.0.1.0 ... Chunks are the bytes codec's, little-endian and never compressed; all have
 * the full chunk shape: what lies beyond the array's edge means nothing (here zeros). */
#ifndef PIXFS_ZARR_H
#define PIXFS_ZARR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/codec.h"

enum { ZARR_MAX_DIMENSIONS = 4, ZARR_NAME_BYTES = 96 };

struct zarr {
	uint32_t ndim;
	uint64_t shape[ZARR_MAX_DIMENSIONS], chunk[ZARR_MAX_DIMENSIONS]; /* all at least 1 */
	const char *dimension_names[ZARR_MAX_DIMENSIONS];
	uint8_t stored_order[ZARR_MAX_DIMENSIONS]; /* dimension i of the stored bytes is dimension stored_order[i] of the array */
	enum sample_type dtype;
	const char *spec; /* for the attributes */
};

/* The text of zarr.json; free with free(). 0 or -ENOMEM. */
int zarr_json(const struct zarr *zarr, char **ret_text, size_t *ret_len_bytes);

/* Chunks are numbered in C order of their grid. */
uint64_t zarr_nchunks(const struct zarr *zarr);
uint64_t zarr_chunk_bytes(const struct zarr *zarr);
void zarr_chunk_name(const struct zarr *zarr, uint64_t index, char ret_name[ZARR_NAME_BYTES]);
/* Whether a chunk has that name, and its number. */
bool zarr_chunk_find(const struct zarr *zarr, const char *name, uint64_t *ret_index);

#endif
