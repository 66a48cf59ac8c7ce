/* decoder.c - the methods' numbers and names (APPNOTE 4.4.5), also of those that nothing here decodes. */
#include "decoder.h"

static const struct method {
	uint16_t number;
	const char *name;
	const struct decoder_class *class;
} methods[] = {
	{0, "stored", NULL},
	{1, "shrunk", NULL},
	{2, "reduced", NULL},
	{3, "reduced", NULL},
	{4, "reduced", NULL},
	{5, "reduced", NULL},
	{6, "imploded", NULL},
	{8, "deflate", &decoder_deflate},
	{9, "Deflate64", &decoder_deflate64},
	{10, "PKWARE DCL imploded", NULL},
	{12, "bzip2", &decoder_bzip2},
	{14, "LZMA", &decoder_lzma},
	{16, "IBM z/OS CMPSC", NULL},
	{18, "IBM TERSE", NULL},
	{19, "IBM LZ77", NULL},
	{20, "Zstandard", &decoder_zstd}, /* deprecated for 93 */
	{93, "Zstandard", &decoder_zstd},
	{94, "MP3", NULL},
	{95, "xz", &decoder_xz},
	{96, "JPEG variant", NULL},
	{97, "WavPack", NULL},
	{98, "PPMd", NULL},
	{99, "AE-x encryption", NULL},
};

static const struct method *find(uint16_t number)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (methods[i].number == number)
			return &methods[i];
	return NULL;
}

const struct decoder_class *decoder_of_method(uint16_t method)
{
	const struct method *found = find(method);
	return found ? found->class : NULL;
}

const char *decoder_method_name(uint16_t method)
{
	const struct method *found = find(method);
	return found ? found->name : "unknown";
}
