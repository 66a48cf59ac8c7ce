/* zip_names.c - charset, separators, neutralising, encoding and shortening of names. Pure functions of the record.
 *
 * A result never is "." or "..", never holds '/', NUL or a control character, is valid UTF-8 and has 1 to 255 bytes. That
 * names are unique is the tree's business.
 */
#include "zip_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libdeflate.h>

enum {
	TEXT_BYTES = 3 * UINT16_MAX,          /* a CP437 character is at most 3 bytes of UTF-8 */
	COMPONENT_BYTES = 3 * TEXT_BYTES + 1, /* a byte encoded is 3 bytes; snprintf's NUL */
	EXTENSION_BYTES = 32,                 /* longer ones are part of the name */
};

/* Appendix D: IBM code page 437, the characters 128 to 255. */
static const uint16_t cp437[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4,
	0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5,
	0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc,
	0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
	0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569,
	0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518,
	0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6,
	0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
	0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

const char *zip_name_change_words(unsigned changes)
{
	static const char *const words[] = {"too many directories in its name",
					    "an absolute name",
					    "\"..\" in its name",
					    "control characters in its name",
					    "a name of more than 255 bytes",
					    "a file without a name",
					    "backslashes as separators",
					    "a name that isn't in the encoding it should be in",
					    "the name .pixfs, which every directory of a mount has"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (changes & 1u << i)
			return words[i];
	return "";
}

/* What archives call Shift-JIS is Microsoft's code page 932, as the WHATWG Encoding Standard has it; iconv's own Shift-JIS
 * turns '\\' and '~' into a yen sign and an overline. The others are read by supersets, as there. */
const char *zip_names_iconv_name(const char *encoding)
{
	static const char *const pairs[][2] = {{"SHIFT_JIS", "CP932"}, {"SHIFT-JIS", "CP932"}, {"SJIS", "CP932"},
					       {"EUC-KR", "UHC"},      {"EUCKR", "UHC"},       {"GB2312", "GB18030"},
					       {"GBK", "GB18030"},     {"CP936", "GB18030"}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (!strcasecmp(encoding, pairs[i][0]))
			return pairs[i][1];
	return encoding;
}

int zip_names_choose(struct zip_names *names, const char *encoding, struct err *err)
{
	names->is_open = false;
	snprintf(names->encoding, sizeof names->encoding, "%s", encoding ? encoding : "CP437");
	if (!encoding)
		return 0;
	names->converter = iconv_open("UTF-8", zip_names_iconv_name(encoding));
	names->has_converter = names->converter != (iconv_t)-1;
	return names->has_converter ? 0 : err_set(err, -EINVAL, "unknown encoding \"%s\"", encoding);
}

int zip_names_init(struct zip_names *names, const char *encoding, struct err *err)
{
	*names = (struct zip_names){.text = malloc(TEXT_BYTES), .component = malloc(COMPONENT_BYTES), .is_open = !encoding};
	if (!names->text || !names->component)
		return err_set(err, -ENOMEM, "out of memory");
	return encoding ? zip_names_choose(names, encoding, err) : 0;
}

void zip_names_free(struct zip_names *names)
{
	if (names->has_converter)
		iconv_close(names->converter);
	free(names->text);
	free(names->component);
	*names = (struct zip_names){0};
}

/* ---- charset ---- */

static bool is_plain(const char *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++)
		if ((uint8_t)text[i] < 0x20 || (uint8_t)text[i] >= 0x7f)
			return false;
	return true;
}

/* The bytes of the character that starts here, 0 where it isn't valid UTF-8 (RFC 3629: no surrogates, nothing overlong,
 * nothing over U+10FFFF). */
static size_t utf8_character(const char *text, size_t len_bytes)
{
	const uint8_t *p = (const uint8_t *)text;
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len_bytes < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool is_utf8(const char *text, size_t len_bytes)
{
	for (size_t at = 0; at < len_bytes;) {
		size_t n = utf8_character(text + at, len_bytes - at);
		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

/* False where the name doesn't fit the encoding. */
static bool convert(struct zip_names *names, const char *raw, size_t len_bytes, size_t *ret_bytes)
{
	char *in = (char *)(uintptr_t)raw, *out = names->text;
	size_t in_bytes = len_bytes, room_bytes = TEXT_BYTES;
	iconv(names->converter, NULL, NULL, NULL, NULL);
	if (iconv(names->converter, &in, &in_bytes, &out, &room_bytes) == (size_t)-1 ||
	    iconv(names->converter, NULL, NULL, &out, &room_bytes) == (size_t)-1)
		return false;
	*ret_bytes = TEXT_BYTES - room_bytes;
	return is_utf8(names->text, *ret_bytes);
}

static size_t convert_cp437(char *out, const char *raw, size_t len_bytes)
{
	size_t n = 0;
	for (size_t i = 0; i < len_bytes; i++) {
		uint8_t byte = (uint8_t)raw[i];
		unsigned c = byte < 0x80 ? byte : cp437[byte - 0x80];
		if (c < 0x80) {
			out[n++] = (char)c;
		} else if (c < 0x800) {
			out[n++] = (char)(0xc0 | c >> 6);
			out[n++] = (char)(0x80 | (c & 0x3f));
		} else {
			out[n++] = (char)(0xe0 | c >> 12);
			out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
			out[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	return n;
}

static bool has_unicode_name(const struct zip_record *record)
{
	return record->unicode_name && is_utf8((const char *)record->unicode_name, record->unicode_name_bytes);
}

bool zip_names_is_undeclared(const struct zip_record *record)
{
	const char *raw = (const char *)record->name;
	return !is_plain(raw, record->name_bytes) && !has_unicode_name(record) && !is_utf8(raw, record->name_bytes);
}

/* Bit 11 (4.4.4), the Unicode path field (4.6.9), UTF-8 if it is valid, the encoding given or chosen, CP437 (appendix D.1). */
static size_t decode_charset(struct zip_names *names, const struct zip_record *record, const char **ret_text)
{
	const char *raw = (const char *)record->name;
	size_t len_bytes = record->name_bytes;
	*ret_text = raw;
	if (is_plain(raw, len_bytes) && !record->unicode_name)
		return len_bytes;
	bool valid = is_utf8(raw, len_bytes), flagged = record->flags & ZIP_FLAG_UTF8;
	if (valid && flagged)
		return len_bytes;
	if (has_unicode_name(record)) {
		*ret_text = (const char *)record->unicode_name;
		return record->unicode_name_bytes;
	}
	if (valid)
		return len_bytes;
	*ret_text = names->text;
	names->is_used = true;
	if (flagged)
		names->changes |= ZIP_NAME_NOT_UTF8;
	size_t text_bytes;
	if (names->has_converter && convert(names, raw, len_bytes, &text_bytes))
		return text_bytes;
	if (names->has_converter)
		names->changes |= ZIP_NAME_NOT_UTF8;
	return convert_cp437(names->text, raw, len_bytes);
}

/* ---- separators ---- */

/* 4.4.17.1 wants '/'. Broken writers on DOS and Windows used '\': a name from there that has '\' and no '/' is taken as
 * Info-ZIP takes it. On other systems '\' is a character like any other. */
static bool has_backslash_separators(const struct zip_record *record, const char *text, size_t len_bytes)
{
	bool is_dos = record->host == ZIP_HOST_FAT || record->host == ZIP_HOST_HPFS || record->host == ZIP_HOST_NTFS ||
		      record->host == ZIP_HOST_NTFS + 1 || record->host == ZIP_HOST_VFAT;
	return is_dos && memchr(text, '\\', len_bytes) && !memchr(text, '/', len_bytes);
}

size_t zip_names_decode(struct zip_names *names, const struct zip_record *record, const char **ret_text)
{
	size_t len_bytes = decode_charset(names, record, ret_text);
	if (!has_backslash_separators(record, *ret_text, len_bytes))
		return len_bytes;
	names->changes |= ZIP_NAME_BACKSLASH;
	memmove(names->text, *ret_text, len_bytes);
	for (size_t i = 0; i < len_bytes; i++)
		if (names->text[i] == '\\')
			names->text[i] = '/';
	*ret_text = names->text;
	return len_bytes;
}

/* ---- components ---- */

/* Where the extension starts, its dot included; len_bytes where there is none: "a.", ".a", "..a" and "a.b c" have none. */
static size_t extension_start(const char *name, size_t len_bytes)
{
	const char *dot = memrchr(name, '.', len_bytes);
	size_t stem_bytes = dot ? (size_t)(dot - name) : len_bytes, extension_bytes = len_bytes - stem_bytes;
	if (extension_bytes < 2 || extension_bytes > EXTENSION_BYTES || memchr(dot, ' ', extension_bytes))
		return len_bytes;
	for (size_t i = 0; i < stem_bytes; i++)
		if (name[i] != '.')
			return stem_bytes;
	return len_bytes;
}

/* At most max_bytes of text, cut between characters. */
static size_t cut_utf8(const char *text, size_t len_bytes, size_t max_bytes)
{
	if (len_bytes <= max_bytes)
		return len_bytes;
	while (max_bytes > 0 && ((uint8_t)text[max_bytes] & 0xc0) == 0x80)
		max_bytes--;
	return max_bytes;
}

/* Control characters (C0, DEL, and C1: U+0080 to U+009F) and '/' as %XX. */
static size_t encode(const char *text, size_t len_bytes, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len_bytes; i++) {
		uint8_t byte = (uint8_t)text[i], next = i + 1 < len_bytes ? (uint8_t)text[i + 1] : 0;
		bool is_c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;
		if (byte >= 0x20 && byte != 0x7f && byte != '/' && !is_c1) {
			out[n++] = (char)byte;
			continue;
		}
		for (unsigned k = 0; k < (is_c1 ? 2u : 1u); k++, n += 3)
			snprintf(out + n, 4, "%%%02X", (uint8_t)text[i + k]);
		i += is_c1;
	}
	return n;
}

/* Cuts the stem and marks the name with the CRC-32 of the whole, so that different names stay different whatever order
 * they come in, and a directory's name is the same in every entry below it. */
static size_t shorten(char *name, size_t len_bytes)
{
	size_t dot = extension_start(name, len_bytes), extension_bytes = len_bytes - dot;
	char mark[10];
	snprintf(mark, sizeof mark, "~%08x", libdeflate_crc32(0, name, len_bytes));
	size_t stem_bytes = cut_utf8(name, dot, ZIP_NAME_MAX - 9 - extension_bytes);
	memmove(name + stem_bytes + 9, name + dot, extension_bytes);
	memcpy(name + stem_bytes, mark, 9);
	return stem_bytes + 9 + extension_bytes;
}

size_t zip_names_component(struct zip_names *names, const char *text, size_t len_bytes, const char **ret_component)
{
	*ret_component = text;
	if (len_bytes == 0 || (len_bytes == 1 && text[0] == '.'))
		return 0;
	if (len_bytes == 2 && text[0] == '.' && text[1] == '.') {
		names->changes |= ZIP_NAME_UPWARDS;
		return 0;
	}
	if (len_bytes == 6 && memcmp(text, ".pixfs", 6) == 0) {
		names->changes |= ZIP_NAME_RESERVED;
		*ret_component = "%2Epixfs";
		return 8;
	}
	if (len_bytes <= ZIP_NAME_MAX && is_plain(text, len_bytes) && !memchr(text, '/', len_bytes))
		return len_bytes;
	size_t n = encode(text, len_bytes, names->component);
	if (n != len_bytes)
		names->changes |= ZIP_NAME_CONTROL;
	if (n > ZIP_NAME_MAX) {
		names->changes |= ZIP_NAME_SHORTENED;
		n = shorten(names->component, n);
	}
	*ret_component = names->component;
	return n;
}

size_t zip_names_number(const char *name, uint64_t number, char ret_name[ZIP_NAME_MAX + 1])
{
	size_t len_bytes = strlen(name), dot = extension_start(name, len_bytes), extension_bytes = len_bytes - dot;
	char mark[32];
	size_t mark_bytes = (size_t)snprintf(mark, sizeof mark, " (%llu)", (unsigned long long)number);
	size_t stem_bytes = cut_utf8(name, dot, ZIP_NAME_MAX - mark_bytes - extension_bytes);
	memcpy(ret_name, name, stem_bytes);
	memcpy(ret_name + stem_bytes, mark, mark_bytes);
	memcpy(ret_name + stem_bytes + mark_bytes, name + dot, extension_bytes);
	size_t n = stem_bytes + mark_bytes + extension_bytes;
	ret_name[n] = 0;
	return n;
}

void zip_names_printable(const char *bytes, size_t len_bytes, char *ret_text, size_t room_bytes)
{
	size_t n = 0;
	for (size_t at = 0, step; at < len_bytes && room_bytes - n > 7; at += step) {
		step = utf8_character(bytes + at, len_bytes - at);
		if (step == 0) {
			ret_text[n++] = '?';
			step = 1;
		} else if (bytes[at] == '/') {
			ret_text[n++] = '/';
		} else {
			n += encode(bytes + at, step, ret_text + n);
		}
	}
	ret_text[n] = 0;
}
