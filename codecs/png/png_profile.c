/* png_profile.c - texts that hold a profile: "Raw profile type exif", as ImageMagick and those that follow it wrote EXIF and XMP
 * before PNG had eXIf and iTXt, and as many files have them. The format is theirs (ImageMagick, coders/png.c): a newline, the
 * profile's name, a newline, its length in decimal, a newline, and two hexadecimal digits for each byte, in lines. */
#include "png_file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* -1: no hexadecimal digit. */
static int digit_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind the name's line; NULL where there is none. */
static const char *skip_name(const char *text)
{
	while (*text == '\n')
		text++;
	const char *end = strchr(text, '\n');
	return end ? end + 1 : NULL;
}

/* The bytes, to be freed; NULL where the text isn't as it should be, or there is no memory. */
static uint8_t *decode(const char *text, size_t *ret_len_bytes)
{
	char *end = NULL;
	text = skip_name(text);
	unsigned long long len_bytes = text ? strtoull(text, &end, 10) : 0;
	if (!len_bytes || len_bytes > strlen(end) / 2)
		return NULL;
	uint8_t *data = malloc((size_t)len_bytes);
	size_t n = 0;
	unsigned pending = 1; /* a 1 in front of the digits of a byte so far */
	for (text = end; data && *text && n < len_bytes; text++) {
		int value = digit_value(*text);
		if (value < 0 && !is_space(*text))
			break;
		if (value < 0)
			continue;
		pending = pending << 4 | (unsigned)value;
		if (pending < 0x100)
			continue;
		data[n++] = (uint8_t)pending;
		pending = 1;
	}
	if (data && n == len_bytes) {
		*ret_len_bytes = n;
		return data;
	}
	free(data);
	return NULL;
}

static bool starts_with(const uint8_t *data, size_t len_bytes, const void *start, size_t start_bytes)
{
	return len_bytes > start_bytes && memcmp(data, start, start_bytes) == 0;
}

/* Exif 2.32, 4.7.2: a JPEG's APP1 has "Exif", two zeros and a TIFF structure; here the front part may be missing. */
static bool is_exif(const uint8_t *data, size_t len_bytes)
{
	return starts_with(data, len_bytes, "Exif\0\0", 6) || starts_with(data, len_bytes, "II*\0", 4) ||
	       starts_with(data, len_bytes, "MM\0*", 4);
}

/* XMP part 3, 1.1.3: what an APP1 has in front of XMP. */
static bool take_xmp(struct png_meta *meta, const uint8_t *data, size_t len_bytes)
{
	static const char name[] = "http://ns.adobe.com/xap/1.0/";
	if (starts_with(data, len_bytes, name, sizeof name)) {
		data += sizeof name;
		len_bytes -= sizeof name;
	}
	if (meta->have_xmp || *data != '<')
		return false;
	meta->have_xmp = true;
	header_add_blob(meta->builder, "xmp.xml", data, len_bytes);
	return true;
}

bool png_profile(struct png_meta *meta, const char *keyword, const char *text)
{
	static const char start[] = "Raw profile type ";
	const char *type = keyword + sizeof start - 1;
	size_t len_bytes;
	if (strncmp(keyword, start, sizeof start - 1) != 0 ||
	    (strcasecmp(type, "exif") != 0 && strcasecmp(type, "APP1") != 0 && strcasecmp(type, "xmp") != 0))
		return false;
	uint8_t *data = decode(text, &len_bytes);
	if (!data) {
		header_warn(meta->builder, "the text \"%s\" is no profile: kept as text", keyword);
		return false;
	}
	if (is_exif(data, len_bytes) && !meta->raw_exif) {
		meta->raw_exif = data;
		meta->raw_exif_bytes = len_bytes;
		return true;
	}
	bool taken = take_xmp(meta, data, len_bytes);
	free(data);
	return taken;
}
