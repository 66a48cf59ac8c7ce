/* zip_charset.c - which encoding an archive's names are in where they tell none: what uchardet makes of all of them together, where
 * that stands to reason.
 *
 * A detector made for texts errs on short lists of names, and tells no doubt. So what it says counts only where nearly all that
 * comes out are letters, and of what DOS wrote in the west, where the letters of code page 437 are something else in all other
 * encodings, only with more evidence. Everything else is code page 437, as APPNOTE's appendix D says.
 */
#include "zip_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uchardet/uchardet.h>

enum {
	WIDE_LETTERS = 4,   /* so many tell characters of two bytes, where single bytes also make sense */
	BYTE_LETTERS = 8,   /* so many tell an alphabet of single bytes */
	LETTERS_IN_TEN = 9, /* so many of ten characters beyond ASCII have to be letters */
	MAX_CHARACTER_BYTES = 4,
};

struct range {
	uint32_t first, last;
};

/* Letters, marks and syllables of scripts that names are written in. */
static const struct range letters[] = {
	{0xaa, 0xaa},     {0xba, 0xba},     {0xc0, 0xd6},     {0xd8, 0xf6},       {0xf8, 0x24f},    {0x370, 0x373},
	{0x376, 0x377},   {0x386, 0x386},   {0x388, 0x52f},   {0x531, 0x556},     {0x561, 0x587},   {0x591, 0x5f2},
	{0x610, 0x6ff},   {0x900, 0xdff},   {0xe01, 0xe3a},   {0xe40, 0xe5b},     {0x10a0, 0x11ff}, {0x1e00, 0x1fff},
	{0x2460, 0x24ff}, {0x2e80, 0x2fdf}, {0x3001, 0x318f}, {0x31f0, 0x31ff},   {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
	{0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xff01, 0xffef}, {0x20000, 0x2ffff},
};

static bool is_letter(uint32_t c)
{
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
		if (c <= letters[i].last)
			return c >= letters[i].first;
	return false;
}

/* What no name holds: controls, and what an encoding has no character for. */
static bool is_wrong(uint32_t c)
{
	return c < 0xa0 || (c >= 0xe000 && c <= 0xf8ff) || c >= 0xf0000 || c == 0xfffd;
}

/* The letters of western languages in code page 437: the bytes of most names that DOS and Windows wrote there. */
static bool is_dos_letter(uint8_t byte)
{
	return (byte >= 0x80 && byte <= 0x9a) || (byte >= 0xa0 && byte <= 0xa5) || byte == 0xe1;
}

/* The alphabets of 256 letters that western languages are written in, as uchardet names them. */
static bool is_latin(const char *encoding)
{
	static const char *const names[] = {"ISO-8859-1",   "ISO-8859-2",   "ISO-8859-3",   "ISO-8859-4",   "ISO-8859-9",
					    "ISO-8859-10",  "ISO-8859-13",  "ISO-8859-14",  "ISO-8859-15",  "ISO-8859-16",
					    "WINDOWS-1250", "WINDOWS-1252", "WINDOWS-1254", "WINDOWS-1257", "WINDOWS-1258",
					    "IBM850",       "IBM852",       "IBM865"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(encoding, names[i]) == 0)
			return true;
	return false;
}

/* Windows' extensions of the standards' sets, which names from there are in. */
static const char *windows_set(const char *encoding)
{
	static const char *const pairs[][2] = {
		{"ISO-8859-1", "WINDOWS-1252"}, {"ISO-8859-9", "WINDOWS-1254"}, {"ISO-8859-11", "TIS-620"}, {"EUC-KR", "UHC"}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (strcmp(encoding, pairs[i][0]) == 0)
			return pairs[i][1];
	return encoding;
}

struct evidence {
	size_t characters, letters; /* beyond ASCII, once converted */
	size_t bytes, dos_letters;  /* over 127, as they are stored */
	bool is_wrong;
};

static void weigh_bytes(const char *text, size_t len_bytes, struct evidence *evidence)
{
	for (size_t i = 0; i < len_bytes; i++) {
		evidence->bytes += (uint8_t)text[i] >= 0x80;
		evidence->dos_letters += is_dos_letter((uint8_t)text[i]);
	}
}

/* False where the text isn't in that encoding at all. */
static bool weigh_characters(const char *text, size_t len_bytes, const char *encoding, struct evidence *evidence)
{
	iconv_t converter = iconv_open("UTF-32LE", encoding);
	if (converter == (iconv_t)-1)
		return false;
	char *in = (char *)(uintptr_t)text;
	bool good = true;
	while (good && len_bytes && !evidence->is_wrong) {
		uint32_t piece[256];
		char *out = (char *)piece;
		size_t room_bytes = sizeof piece;
		good = iconv(converter, &in, &len_bytes, &out, &room_bytes) != (size_t)-1 || errno == E2BIG;
		for (size_t i = 0; i < sizeof piece / MAX_CHARACTER_BYTES - room_bytes / MAX_CHARACTER_BYTES; i++) {
			evidence->characters += piece[i] >= 0x80;
			evidence->letters += piece[i] >= 0x80 && is_letter(piece[i]);
			evidence->is_wrong |= piece[i] >= 0x80 && is_wrong(piece[i]);
		}
	}
	iconv_close(converter);
	return good;
}

static bool is_likely(const char *text, size_t len_bytes, const char *encoding)
{
	struct evidence evidence = {0};
	weigh_bytes(text, len_bytes, &evidence);
	if (!weigh_characters(text, len_bytes, encoding, &evidence) || evidence.is_wrong)
		return false;
	if (evidence.letters * 10 < evidence.characters * LETTERS_IN_TEN)
		return false;
	bool is_dos = evidence.dos_letters == evidence.bytes;
	if (is_latin(encoding))
		return evidence.dos_letters * 2 < evidence.bytes;
	if (evidence.characters == evidence.bytes)
		return evidence.characters >= BYTE_LETTERS;
	return evidence.characters >= WIDE_LETTERS || !is_dos;
}

/* What uchardet says; false where it says nothing of use. */
static bool detect(const char *text, size_t len_bytes, char ret_encoding[ZIP_ENCODING_BYTES])
{
	uchardet_t detector = uchardet_new();
	if (!detector)
		return false;
	bool said = uchardet_handle_data(detector, text, len_bytes) == 0;
	uchardet_data_end(detector);
	const char *encoding = windows_set(uchardet_get_charset(detector));
	/* names can't be in what is ASCII or UTF-8, and nobody wrote archives in the sets of the old Macintosh */
	said = said && *encoding && strlen(encoding) < ZIP_ENCODING_BYTES && strncmp(encoding, "MAC", 3) != 0 &&
	       strncmp(encoding, "UTF", 3) != 0 && strcmp(encoding, "ASCII") != 0;
	if (said)
		strcpy(ret_encoding, encoding);
	uchardet_delete(detector);
	return said;
}

bool zip_charset_guess(const char *text, size_t len_bytes, char ret_encoding[ZIP_ENCODING_BYTES])
{
	return detect(text, len_bytes, ret_encoding) && is_likely(text, len_bytes, zip_names_iconv_name(ret_encoding));
}
