/* png_text.c - text chunks (PNG 11.3.3) and the other chunks that begin with a keyword or hold compressed data.
 * What is inflated is bounded twice: MAX_INFLATED_BYTES for one chunk, the budget of struct png_meta for the file. */
#include "png_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_INFLATED_BYTES = 8 << 20, MAX_KEYWORD_BYTES = 79, MAX_TEXTS = 1024 };

/* Bytes of the keyword in front of its zero byte; 0: none of 1 to 79 bytes (PNG 11.3.3.1). */
static size_t keyword_bytes(const uint8_t *data, size_t len_bytes)
{
	size_t most = len_bytes < MAX_KEYWORD_BYTES + 1 ? len_bytes : MAX_KEYWORD_BYTES + 1;
	const uint8_t *zero = memchr(data, 0, most);
	return zero ? (size_t)(zero - data) : 0;
}

/* Latin-1 as NUL-terminated UTF-8; dst has 2 * len_bytes + 1. Ends at a zero byte, which text may not have. */
static void latin1_to_utf8(char *dst, const uint8_t *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes && text[i]; i++) {
		if (text[i] >= 0x80)
			*dst++ = (char)(0xc0 | text[i] >> 6);
		*dst++ = (char)(text[i] < 0x80 ? text[i] : 0x80 | (text[i] & 0x3f));
	}
	*dst = 0;
}

static void add_text(struct png_meta *meta, const char *keyword, const char *text)
{
	if (meta->ntexts++ < MAX_TEXTS)
		header_append_text(meta->builder, "png", keyword, text);
	else if (meta->ntexts == MAX_TEXTS + 1)
		header_warn(meta->builder, "more than %d texts: the others are ignored", MAX_TEXTS);
}

static void add_latin1(struct png_meta *meta, const uint8_t *keyword, size_t key_bytes, const uint8_t *text, size_t len_bytes)
{
	char name[2 * MAX_KEYWORD_BYTES + 1];
	char *utf8 = malloc(2 * len_bytes + 1);
	if (!utf8) {
		header_no_memory(meta->builder);
		return;
	}
	latin1_to_utf8(name, keyword, key_bytes);
	latin1_to_utf8(utf8, text, len_bytes);
	if (!png_profile(meta, name, utf8))
		add_text(meta, name, utf8);
	free(utf8);
}

/* ---- zlib ---- */

/* Inflates to a buffer that grows up to most_bytes; one byte more lies behind it. Z_STREAM_END, or a zlib error, Z_BUF_ERROR
 * where the data is cut or more than most_bytes would come. */
static int inflate_growing(z_stream *z, size_t most_bytes, uint8_t **buffer, size_t *ret_len_bytes)
{
	size_t room = 4096, len = 0;
	int rc = Z_OK;
	while (rc == Z_OK) {
		if (room > most_bytes)
			room = most_bytes;
		uint8_t *bigger = realloc(*buffer, room + 1);
		if (!bigger)
			return Z_MEM_ERROR;
		*buffer = bigger;
		z->next_out = bigger + len;
		z->avail_out = (uInt)(room - len);
		rc = inflate(z, Z_NO_FLUSH);
		len = room - z->avail_out;
		if (rc == Z_OK && (z->avail_out || room == most_bytes))
			rc = Z_BUF_ERROR; /* wants more input, or more room than there may be */
		room *= 2;
	}
	*ret_len_bytes = len;
	return rc;
}

/* The data of a zlib datastream, NUL behind it, to be freed; NULL (with a warning that names what) where it is damaged or
 * larger than allowed. */
static uint8_t *inflate_data(struct png_meta *meta, const char *what, const uint8_t *data, size_t len_bytes, size_t *ret_len_bytes)
{
	size_t most_bytes = meta->budget_bytes < MAX_INFLATED_BYTES ? (size_t)meta->budget_bytes : MAX_INFLATED_BYTES;
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)data, .avail_in = (uInt)len_bytes};
	uint8_t *buffer = NULL;
	size_t got = 0;
	int rc = inflateInit(&z);
	if (rc == Z_OK) {
		rc = inflate_growing(&z, most_bytes, &buffer, &got);
		inflateEnd(&z);
	}
	meta->budget_bytes -= got;
	if (rc == Z_MEM_ERROR)
		header_no_memory(meta->builder);
	if (rc != Z_STREAM_END) {
		header_warn(meta->builder, "compressed data in the %s chunk is damaged or inflates to more than %zu bytes: dropped",
			    what, most_bytes);
		free(buffer);
		return NULL;
	}
	buffer[got] = 0;
	*ret_len_bytes = got;
	return buffer;
}

/* ---- chunks ---- */

bool png_text_latin1(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t key_bytes = keyword_bytes(data, len_bytes);
	if (!key_bytes)
		return false;
	add_latin1(meta, data, key_bytes, data + key_bytes + 1, len_bytes - key_bytes - 1);
	return true;
}

bool png_text_compressed(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t key_bytes = keyword_bytes(data, len_bytes), got;
	if (!key_bytes || len_bytes < key_bytes + 2 || data[key_bytes + 1] != 0) /* compression method 0 is the only one */
		return false;
	uint8_t *text = inflate_data(meta, "zTXt", data + key_bytes + 2, len_bytes - key_bytes - 2, &got);
	if (text)
		add_latin1(meta, data, key_bytes, text, got);
	free(text);
	return true;
}

static void add_utf8(struct png_meta *meta, const char *keyword, const char *text, size_t len_bytes)
{
	if (strcmp(keyword, "XML:com.adobe.xmp") == 0 && !meta->have_xmp) {
		meta->have_xmp = true;
		header_add_blob(meta->builder, "xmp.xml", text, len_bytes);
	} else if (!png_profile(meta, keyword, text)) {
		add_text(meta, keyword, text);
	}
}

/* "Title.language": the tag of a text that tells one. */
static void add_suffixed(struct png_meta *meta, const char *keyword, const char *suffix, const uint8_t *text)
{
	char name[2 * MAX_KEYWORD_BYTES + 1 + 16] = "";
	if (!*text)
		return;
	strcat(strcat(name, keyword), suffix);
	add_text(meta, name, (const char *)text);
}

/* keyword 0 flag method language 0 translated keyword 0 text */
bool png_text_utf8(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t key_bytes = keyword_bytes(data, len_bytes), at = key_bytes + 3, got;
	if (!key_bytes || at >= len_bytes || data[key_bytes + 1] > 1)
		return false;
	bool compressed = data[key_bytes + 1] == 1;
	const uint8_t *zero = memchr(data + at, 0, len_bytes - at);
	const uint8_t *zero2 = zero ? memchr(zero + 1, 0, len_bytes - (size_t)(zero + 1 - data)) : NULL;
	if (!zero2 || (compressed && data[key_bytes + 2] != 0))
		return false;
	char keyword[2 * MAX_KEYWORD_BYTES + 1];
	latin1_to_utf8(keyword, data, key_bytes);
	const uint8_t *text = zero2 + 1;
	size_t text_bytes = len_bytes - (size_t)(text - data);
	uint8_t *owned;
	if (compressed) {
		owned = inflate_data(meta, "iTXt", text, text_bytes, &got);
	} else {
		got = text_bytes;
		owned = malloc(text_bytes + 1);
		if (owned) {
			memcpy(owned, text, text_bytes);
			owned[text_bytes] = 0;
		}
	}
	if (owned) {
		add_utf8(meta, keyword, (const char *)owned, got);
		add_suffixed(meta, keyword, ".language", data + at);
		add_suffixed(meta, keyword, ".translated", zero + 1);
	} else if (!compressed) {
		header_no_memory(meta->builder);
	}
	free(owned);
	return true;
}

/* ICC.1:2022 7.2: the profile's size, its data colour space at 16, "acsp" at 36. PNG 11.3.2.3: the space is that of the image. */
static bool icc_fits(const struct png_meta *meta, const uint8_t *profile, size_t len_bytes)
{
	bool gray = meta->file->color_type == PNG_GRAY || meta->file->color_type == PNG_GRAY_ALPHA;
	return len_bytes >= 132 && png_get32(profile) <= len_bytes && memcmp(profile + 36, "acsp", 4) == 0 &&
	       memcmp(profile + 16, gray ? "GRAY" : "RGB ", 4) == 0;
}

bool png_icc(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t key_bytes = keyword_bytes(data, len_bytes), got;
	if (!key_bytes || len_bytes < key_bytes + 2 || data[key_bytes + 1] != 0)
		return false;
	uint8_t *profile = inflate_data(meta, "iCCP", data + key_bytes + 2, len_bytes - key_bytes - 2, &got);
	bool fits = !profile || icc_fits(meta, profile, got);
	if (profile && fits) {
		char name[2 * MAX_KEYWORD_BYTES + 1];
		latin1_to_utf8(name, data, key_bytes);
		header_add_text(meta->builder, "png", "iCCP", name);
		header_add_blob(meta->builder, "icc.icc", profile, got);
		meta->have_icc = true;
	}
	free(profile);
	return fits;
}

bool png_suggested_palette(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	size_t key_bytes = keyword_bytes(data, len_bytes);
	if (!key_bytes || len_bytes < key_bytes + 2)
		return false;
	uint8_t depth = data[key_bytes + 1];
	size_t entry_bytes = depth == 8 ? 6 : 10;
	if ((depth != 8 && depth != 16) || (len_bytes - key_bytes - 2) % entry_bytes)
		return false;
	char name[2 * MAX_KEYWORD_BYTES + 1];
	latin1_to_utf8(name, data, key_bytes);
	add_text(meta, "sPLT", name);
	return true;
}
