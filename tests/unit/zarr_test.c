/* zarr_test.c - the names of a Zarr array's chunks (Zarr core specification 3.0, "default" chunk key encoding). */
#include "fs/view/zarr.h"

#include <stdlib.h>
#include <string.h>

#include "case.h"

static const struct zarr image = {.ndim = 3, .shape = {700, 301, 3}, .chunk = {64, 100, 3}, .dtype = SAMPLE_F32, .spec = "pixels"};

static void the_grid_covers_the_shape(void)
{
	CHECK(zarr_nchunks(&image) == 11 * 4 * 1);
	CHECK(zarr_chunk_bytes(&image) == 64 * 100 * 3 * 4);
	const struct zarr even = {.ndim = 1, .shape = {200}, .chunk = {100}, .dtype = SAMPLE_U8};
	CHECK(zarr_nchunks(&even) == 2);
}

static void every_name_leads_back_to_its_chunk(void)
{
	char name[ZARR_NAME_BYTES];
	for (uint64_t i = 0; i < zarr_nchunks(&image); i++) {
		uint64_t found = UINT64_MAX;
		zarr_chunk_name(&image, i, name);
		CHECK(zarr_chunk_find(&image, name, &found) && found == i);
	}
	zarr_chunk_name(&image, 4 * 10 + 3, name);
	CHECK(strcmp(name, "c.10.3.0") == 0);
}

static void other_names_are_no_chunks(void)
{
	static const char *const names[] = {"",          "c",        "c.",        "c.0.0",     "c.0.0.0.0",
					    "c.11.0.0",  "c.0.4.0",  "c.0.0.1",   "c.00.0.0",  "c.+1.0.0",
					    "c. 1.0.0",  "c.-1.0.0", "C.0.0.0",   "c/0/0/0",   "c.0.0.0 ",
					    "c.0.0.0\n", "0.0.0",    "c.0x1.0.0", "zarr.json", "c.18446744073709551616.0.0"};
	uint64_t found;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK(!zarr_chunk_find(&image, names[i], &found));
}

static void the_largest_numbers_fit_in_a_name(void)
{
	const struct zarr huge = {.ndim = 4, .shape = {UINT64_MAX, 1, 1, 1}, .chunk = {1, 1, 1, 1}, .dtype = SAMPLE_U8};
	char name[ZARR_NAME_BYTES];
	uint64_t found;
	zarr_chunk_name(&huge, UINT64_MAX - 1, name);
	CHECK(strcmp(name, "c.18446744073709551614.0.0.0") == 0);
	CHECK(zarr_chunk_find(&huge, name, &found) && found == UINT64_MAX - 1);
}

static void only_another_order_needs_a_transpose(void)
{
	struct zarr plain = image, planar = image;
	char *text;
	size_t len;
	for (uint8_t i = 0; i < 3; i++)
		plain.dimension_names[i] = planar.dimension_names[i] = "y", plain.stored_order[i] = i;
	planar.stored_order[0] = 1, planar.stored_order[1] = 2, planar.stored_order[2] = 0;
	CHECK(zarr_json(&plain, &text, &len) == 0 && !strstr(text, "transpose") && strlen(text) == len);
	free(text);
	CHECK(zarr_json(&planar, &text, &len) == 0 && strstr(text, "transpose"));
	free(text);
}

int main(void)
{
	const struct test_case cases[] = {CASE(the_grid_covers_the_shape), CASE(every_name_leads_back_to_its_chunk),
					  CASE(other_names_are_no_chunks), CASE(the_largest_numbers_fit_in_a_name),
					  CASE(only_another_order_needs_a_transpose)};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
