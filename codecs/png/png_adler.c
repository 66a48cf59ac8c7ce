/* png_adler.c - zlib's Adler-32 by libdeflate, which takes a tenth of the time. libpng inflates what png_stream.c hands it with
 * zlib, and zlib runs the sum over all rows; not every libpng can be told not to. zlib calls its own functions by their public
 * names, so the program's stand in their place: with zlib's prototypes and zlib's results, for all who load zlib into this process.
 */
#include <libdeflate.h>
#include <zlib.h>

uLong adler32(uLong adler, const Bytef *data, uInt len_bytes)
{
	return libdeflate_adler32((uint32_t)adler, data, len_bytes);
}

uLong adler32_z(uLong adler, const Bytef *data, z_size_t len_bytes)
{
	return libdeflate_adler32((uint32_t)adler, data, len_bytes);
}
