/* npy_test.c - the .npy header against numpy/lib/format.py, version 1.0. */
#include "fs/view/npy.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum sample_type dtype;
	uint32_t ndim;
	uint64_t shape[4];
	const char *text; /* what numpy.lib.format.write_array_header_1_0 writes, without the padding */
} cases[] = {
	{"u8_1d", SAMPLE_U8, 1, {5}, "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }"},
	{"u16_2d", SAMPLE_U16, 2, {7, 9}, "{'descr': '<u2', 'fortran_order': False, 'shape': (7, 9), }"},
	{"f32_3d", SAMPLE_F32, 3, {720, 1280, 4}, "{'descr': '<f4', 'fortran_order': False, 'shape': (720, 1280, 4), }"},
	{"f16_3d", SAMPLE_F16, 3, {1, 1, 1}, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1, 1), }"},
	{"u32_4d", SAMPLE_U32, 4, {2, 3, 4, 5}, "{'descr': '<u4', 'fortran_order': False, 'shape': (2, 3, 4, 5), }"},
	{"largest",
	 SAMPLE_F32,
	 4,
	 {4294967295, 4294967295, 65535, 4096},
	 "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967295, 4294967295, 65535, 4096), }"},
};

static const char *check(size_t i)
{
	unsigned char room[NPY_HEADER_BYTES + 2];
	memset(room, 0xa5, sizeof room);
	npy_header(cases[i].dtype, cases[i].ndim, cases[i].shape, room + 1);
	const unsigned char *header = room + 1;
	size_t len = strlen(cases[i].text);
	if (room[0] != 0xa5 || room[NPY_HEADER_BYTES + 1] != 0xa5)
		return "writes outside";
	if (memcmp(header, "\x93NUMPY\x01\x00", 8) != 0)
		return "magic or version";
	if (header[8] + 256 * header[9] != NPY_HEADER_BYTES - 10 || NPY_HEADER_BYTES % 64 != 0)
		return "length";
	if (memcmp(header + 10, cases[i].text, len) != 0)
		return "text";
	for (size_t at = 10 + len; at < NPY_HEADER_BYTES; at++)
		if (header[at] != (at == NPY_HEADER_BYTES - 1 ? '\n' : ' '))
			return "padding";
	return NULL;
}

static const char *check_overlong(void)
{
	unsigned char room[NPY_HEADER_BYTES + 1];
	room[NPY_HEADER_BYTES] = 0xa5;
	npy_header(SAMPLE_F32, 4, (const uint64_t[]){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, room);
	return room[NPY_HEADER_BYTES] == 0xa5 && room[NPY_HEADER_BYTES - 1] == '\n' ? NULL : "writes behind the header";
}

int main(void)
{
	int nfailed = 0, count = (int)(sizeof cases / sizeof *cases) + 1;
	for (int i = 0; i < count; i++) {
		const char *name = i + 1 < count ? cases[i].name : "impossible_shape";
		const char *failure = i + 1 < count ? check((size_t)i) : check_overlong();
		if (failure)
			printf("FAIL %s: %s\n", name, failure);
		else
			printf("ok %s\n", name);
		nfailed += failure != NULL;
	}
	printf("%d passed, %d failed\n", count - nfailed, nfailed);
	return nfailed != 0;
}
