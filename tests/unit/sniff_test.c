/* sniff_test.c - what is found under the names of images is named: starts of files after their formats' specifications. */
#include <stdbool.h>
#include <string.h>

#include "codecs/core/sniff.h"
#include "case.h"

/* Whether the file that starts so, and has zeros behind to len_bytes, is said to be what these words name (NULL: nothing). */
static bool is(const void *start, size_t start_bytes, size_t len_bytes, const char *wanted)
{
	uint8_t head[SNIFF_BYTES] = {0};
	memcpy(head, start, start_bytes);
	const char *words = sniff_words(head, len_bytes < start_bytes ? start_bytes : len_bytes);
	return wanted ? words && strstr(words, wanted) : !words;
}
#define IS(start, len, wanted) CHECK(is(start, sizeof(start) - 1, len, wanted))

static void other_images(void)
{
	IS("RIFF\x24\0\0\0WEBPVP8L", 44, "WebP");
	IS("GIF89a\1\0\1\0\x80\0\0", 400, "GIF");
	IS("II*\0\x08\0\0\0", 16, "TIFF");
	IS("MM\0*\0\0\0\x08", 16, "TIFF");
	IS("MM\0+\0\x08\0\0", 16, "BigTIFF");
	IS("BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 58, "BMP");
	IS("8BPS\0\1", 512, "PSD");
	IS("\0\0\0\x0cJXL \r\n\x87\n", 64, "JPEG XL");
	IS("\xff\x0a\xfa\x7f", 64, "JPEG XL");
	IS("\0\0\0\x0cjP  \r\n\x87\n", 64, "JPEG 2000");
	IS("\0\0\1\0\1\0\x10\x10", 64, "ICO");
	IS("P6\n2 2\n255\n", 23, "PNM");
	IS("PF\n2 2\n-1.0\n", 60, "PFM");
	IS("DDS |\0\0\0", 128, "DDS");
	IS("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", 64, "HDR");
}

static void brands(void)
{
	IS("\0\0\0\x18"
	   "ftypheic\0\0\0\0mif1heic",
	   64, "HEIC");
	IS("\0\0\0\x18"
	   "ftypmif1\0\0\0\0mif1heic",
	   64, "HEIC");
	IS("\0\0\0\x1c"
	   "ftypavif\0\0\0\0avifmif1miaf",
	   64, "AVIF");
	IS("\0\0\0\x1c"
	   "ftypmif1\0\0\0\0mif1avifmiaf",
	   64, "AVIF");
	IS("\0\0\0\x14"
	   "ftypmif1\0\0\0\0mif1avif",
	   64, "HEIF"); /* what stands behind the box counts for nothing */
	IS("\0\0\0\x20"
	   "ftypisom\0\0\2\0isomiso2avc1mp41",
	   64, "MP4");
	IS("\0\0\0\x14"
	   "ftypqt  \0\0\0\0qt  ",
	   64, "QuickTime");
	IS("\xff\xff\xff\xff"
	   "ftyp",
	   8, NULL); /* cut */
}

static void archives_and_documents(void)
{
	IS("PK\3\4\x14\0", 64, "zip");
	IS("\x1f\x8b\x08\0", 24, "gzip");
	IS("\xfd"
	   "7zXZ\0\0\4",
	   64, "xz");
	IS("7z\xbc\xaf\x27\x1c\0\4", 64, "7-Zip");
	IS("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 64, "PDF");
	IS("\x93NUMPY\1\0", 128, "numpy");
	IS("\0\5\x16\7\0\2\0\0", 82, "AppleDouble");
	uint8_t tar[512] = "a.png";
	memcpy(tar + 257, "ustar", 6);
	CHECK(is(tar, sizeof tar, sizeof tar, "tar"));
}

static void texts(void)
{
	IS("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", 0, "Git LFS");
	IS("<!DOCTYPE html><html><body>404</body></html>", 0, "HTML");
	IS("\xef\xbb\xbf\r\n <!doctype HTML PUBLIC \"x\">", 0, "HTML");
	IS("<HTML><title>caf\xe9</title>", 0, "HTML"); /* ISO 8859-1 */
	IS("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", 0, "SVG");
	IS("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code></Error>", 0, "XML");
	IS("<svg width=\"1\"/>", 0, "SVG");
	IS("{\"message\": \"Not Found\"}", 0, "JSON");
	IS(" [1, 2]\n", 0, "JSON");
	IS("404: Not Found", 0, "text");
	IS("\xff\xfe"
	   "4\0",
	   0, "UTF-16");
	IS("Gr\xc3\xbc\xc3\x9f", 0, "text");
	IS("Gr\xfc\xdf", 0, NULL);
	IS("BM I am a text", 0, "text");
	IS("Please log in", 64, NULL); /* zeros behind */
}

/* A character of several bytes may be cut by the window, but not by the file's end. */
static void a_cut_character(void)
{
	uint8_t text[SNIFF_BYTES];
	memset(text, 'x', sizeof text);
	text[SNIFF_BYTES - 1] = 0xc3;
	CHECK(sniff_words(text, SNIFF_BYTES) && strstr(sniff_words(text, SNIFF_BYTES), "text"));
	text[100] = 0xc3;
	CHECK(!sniff_words(text, 101));
}

/* What tells nothing, and every start cut anywhere: nothing is read beyond it (under ASan). */
static void nothing_is_made_up(void)
{
	IS("", 512, NULL);
	IS("\x01\x02\x03\x04", 64, NULL);
	IS("RIFF", 4, "text"); /* four letters */
	static const char whole[] = "\0\0\0\x1c"
				    "ftypavif\0\0\0\0avifmif1miaf";
	for (size_t len = 0; len < sizeof whole; len++) {
		uint8_t exact[sizeof whole];
		memcpy(exact, whole, len);
		const char *words = sniff_words(exact, len);
		CHECK(len >= 12 ? words && strstr(words, "AVIF") : !words || strstr(words, "text"));
	}
}

int main(void)
{
	static const struct test_case cases[] = {CASE(other_images), CASE(brands),          CASE(archives_and_documents),
						 CASE(texts),        CASE(a_cut_character), CASE(nothing_is_made_up)};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
