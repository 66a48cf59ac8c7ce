/* zarr.c - see zarr.h. */
#include "zarr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/sample.h"
#include "fs/base/json.h"

/* ---- chunks ---- */

static uint64_t grid_size(const struct zarr *zarr, uint32_t dimension)
{
	return (zarr->shape[dimension] - 1) / zarr->chunk[dimension] + 1;
}

uint64_t zarr_nchunks(const struct zarr *zarr)
{
	uint64_t n = 1;
	for (uint32_t i = 0; i < zarr->ndim; i++)
		n *= grid_size(zarr, i);
	return n;
}

uint64_t zarr_chunk_bytes(const struct zarr *zarr)
{
	uint64_t n = sample_size_bytes(zarr->dtype);
	for (uint32_t i = 0; i < zarr->ndim; i++)
		n *= zarr->chunk[i];
	return n;
}

void zarr_chunk_name(const struct zarr *zarr, uint64_t index, char ret_name[ZARR_NAME_BYTES])
{
	uint64_t at[ZARR_MAX_DIMENSIONS];
	for (uint32_t i = zarr->ndim; i-- > 0; index /= grid_size(zarr, i))
		at[i] = index % grid_size(zarr, i);
	size_t len = (size_t)snprintf(ret_name, ZARR_NAME_BYTES, "c");
	for (uint32_t i = 0; i < zarr->ndim; i++)
		len += (size_t)snprintf(ret_name + len, ZARR_NAME_BYTES - len, ".%" PRIu64, at[i]);
}

bool zarr_chunk_find(const struct zarr *zarr, const char *name, uint64_t *ret_index)
{
	char canonical[ZARR_NAME_BYTES];
	const char *at = name + (*name == 'c');
	uint64_t index = 0;
	if (at == name)
		return false;
	for (uint32_t i = 0; i < zarr->ndim; i++) {
		char *end;
		if (at[0] != '.' || at[1] < '0' || at[1] > '9')
			return false;
		uint64_t n = strtoull(at + 1, &end, 10);
		if (n >= grid_size(zarr, i))
			return false;
		index = index * grid_size(zarr, i) + n;
		at = end;
	}
	zarr_chunk_name(zarr, index, canonical); /* "c.00" is none of ours */
	*ret_index = index;
	return strcmp(name, canonical) == 0;
}

/* ---- zarr.json ---- */

static void write_sizes(struct json *json, const char *key, const uint64_t *sizes, uint32_t n)
{
	json_array(json, key);
	for (uint32_t i = 0; i < n; i++)
		json_uint(json, NULL, sizes[i]);
	json_end_array(json);
}

/* {"name": name, "configuration": {... */
static void open_extension(struct json *json, const char *key, const char *name)
{
	json_object(json, key);
	json_string(json, "name", name);
	json_object(json, "configuration");
}

static void close_extension(struct json *json)
{
	json_end_object(json);
	json_end_object(json);
}

static void write_codecs(struct json *json, const struct zarr *zarr)
{
	bool same = true;
	for (uint32_t i = 0; i < zarr->ndim; i++)
		same &= zarr->stored_order[i] == i;
	json_array(json, "codecs");
	if (!same) {
		open_extension(json, NULL, "transpose");
		json_array(json, "order");
		for (uint32_t i = 0; i < zarr->ndim; i++)
			json_uint(json, NULL, zarr->stored_order[i]);
		json_end_array(json);
		close_extension(json);
	}
	open_extension(json, NULL, "bytes");
	json_string(json, "endian", "little");
	close_extension(json);
	json_end_array(json);
}

int zarr_json(const struct zarr *zarr, char **ret_text, size_t *ret_len_bytes)
{
	static const char *const types[] = {[SAMPLE_U8] = "uint8",
					    [SAMPLE_U16] = "uint16",
					    [SAMPLE_U32] = "uint32",
					    [SAMPLE_F16] = "float16",
					    [SAMPLE_F32] = "float32"};
	struct json json;
	json_init(&json, false);
	json_object(&json, NULL);
	json_uint(&json, "zarr_format", 3);
	json_string(&json, "node_type", "array");
	write_sizes(&json, "shape", zarr->shape, zarr->ndim);
	json_string(&json, "data_type", types[zarr->dtype]);
	open_extension(&json, "chunk_grid", "regular");
	write_sizes(&json, "chunk_shape", zarr->chunk, zarr->ndim);
	close_extension(&json);
	open_extension(&json, "chunk_key_encoding", "default");
	json_string(&json, "separator", ".");
	close_extension(&json);
	/* every chunk is there: no reader ever needs it */
	if (zarr->dtype == SAMPLE_F16 || zarr->dtype == SAMPLE_F32)
		json_double(&json, "fill_value", 0);
	else
		json_uint(&json, "fill_value", 0);
	write_codecs(&json, zarr);
	json_array(&json, "dimension_names");
	for (uint32_t i = 0; i < zarr->ndim; i++)
		json_string(&json, NULL, zarr->dimension_names[i]);
	json_end_array(&json);
	json_object(&json, "attributes");
	json_object(&json, "pixfs");
	json_string(&json, "spec", zarr->spec);
	json_end_object(&json);
	json_end_object(&json);
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}
