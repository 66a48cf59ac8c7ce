/* npy.c - see npy.h. The text is what numpy.lib.format writes for the same array, padded to a fixed length. */
#include "npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *npy_descr(enum sample_type dtype)
{
	static const char *const descr[] = {
		[SAMPLE_U8] = "|u1", [SAMPLE_U16] = "<u2", [SAMPLE_U32] = "<u4", [SAMPLE_F16] = "<f2", [SAMPLE_F32] = "<f4"};
	return descr[dtype];
}

void npy_header(enum sample_type dtype, uint32_t ndim, const uint64_t *shape, unsigned char header[NPY_HEADER_BYTES])
{
	static const unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, NPY_HEADER_BYTES - 10, 0};
	char text[160]; /* the longest: 51 + 4 x 20 digits + separators */
	size_t len = (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_descr(dtype));
	for (uint32_t i = 0; i < ndim; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%" PRIu64, i ? ", " : "", shape[i]);
	/* a tuple of one is "(5,)" */
	len += (size_t)snprintf(text + len, sizeof text - len, "%s), }", ndim == 1 ? "," : "");
	memset(header, ' ', NPY_HEADER_BYTES);
	memcpy(header, start, sizeof start);
	/* what has fewer than 2^64 elements is far shorter than the header; anything else must not write behind it */
	memcpy(header + sizeof start, text, len < NPY_HEADER_BYTES - 11 ? len : NPY_HEADER_BYTES - 11);
	header[NPY_HEADER_BYTES - 1] = '\n';
}
