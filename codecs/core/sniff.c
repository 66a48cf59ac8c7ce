/* sniff.c - the table of what is found under the names of images; see sniff.h. The magic numbers are those of the formats' own
 * specifications (ISO/IEC 14496-12, 4.3 for `ftyp`; RIFF: Microsoft's Multimedia Programming Interface 1.0; JPEG XL: ISO/IEC
 * 18181-2; TIFF 6.0 and its 64-bit form). Longer and more certain ones stand before shorter ones. */
#include "sniff.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

struct magic {
	const char *words;
	uint16_t offset;
	uint8_t len;
	const char *bytes;
};

/* The length is that of the literal, which may hold zeros. */
#define MAGIC(offset, bytes, words)                                                                                                \
	{                                                                                                                          \
		words, offset, sizeof bytes - 1, bytes                                                                             \
	}

static const struct magic magics[] = {
	/* images */
	MAGIC(0, "GIF87a", "a GIF image"),
	MAGIC(0, "GIF89a", "a GIF image"),
	MAGIC(0, "II*\0", "a TIFF image, or a camera's raw image in it"),
	MAGIC(0, "MM\0*", "a TIFF image, or a camera's raw image in it"),
	MAGIC(0, "II+\0", "a TIFF image (BigTIFF)"),
	MAGIC(0, "MM\0+", "a TIFF image (BigTIFF)"),
	MAGIC(0, "8BPS", "a Photoshop document (PSD)"),
	MAGIC(0, "\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image (JXL)"),
	MAGIC(0, "\xff\x0a", "a JPEG XL image (JXL)"),
	MAGIC(0, "\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
	MAGIC(0, "\xff\x4f\xff\x51", "a JPEG 2000 image"),
	MAGIC(0, "II\xbc\x01", "a JPEG XR image"),
	MAGIC(0, "\x8aMNG\r\n\x1a\n", "an MNG animation"),
	MAGIC(0, "\x8bJNG\r\n\x1a\n", "a JNG image"),
	MAGIC(0, "#?RADIANCE", "a Radiance HDR image"),
	MAGIC(0, "#?RGBE", "a Radiance HDR image"),
	MAGIC(0, "DDS ", "a DirectDraw surface (DDS)"),
	MAGIC(0, "\xabKTX ", "a KTX texture"),
	MAGIC(0, "SDPX", "a DPX image"),
	MAGIC(0, "XPDS", "a DPX image"),
	MAGIC(0, "\x80\x2a\x5f\xd7", "a Cineon image"),
	MAGIC(0, "SIMPLE  =", "a FITS image"),
	MAGIC(128, "DICM", "a DICOM image"),
	MAGIC(344, "n+1\0", "a NIfTI image"),
	MAGIC(0, "qoif", "a QOI image"),
	MAGIC(0, "farbfeld", "a farbfeld image"),
	MAGIC(0, "gimp xcf", "a GIMP image (XCF)"),
	MAGIC(0, "icns", "an Apple icon (ICNS)"),
	MAGIC(0, "\0\0\1\0", "a Windows icon (ICO)"),
	MAGIC(0, "\0\0\2\0", "a Windows cursor (CUR)"),
	MAGIC(0, "\x01\xda\0\1", "an SGI image"),
	MAGIC(0, "\x01\xda\1\1", "an SGI image"),
	MAGIC(0, "FUJIFILMCCD-RAW", "a camera's raw image (RAF)"),
	MAGIC(0, "IIRO", "a camera's raw image (ORF)"),
	MAGIC(0, "IIU\0", "a camera's raw image (RW2)"),
	MAGIC(0, "BPG\xfb", "a BPG image"),
	MAGIC(0, "FLIF", "a FLIF image"),
	/* video and sound */
	MAGIC(0, "\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
	MAGIC(0, "\0\0\1\xba", "an MPEG video"),
	MAGIC(0, "YUV4MPEG2", "a YUV4MPEG video"),
	MAGIC(0, "FLV\1", "a Flash video"),
	MAGIC(0, "OggS", "an Ogg file"),
	MAGIC(0, "ID3", "an MP3 file"),
	/* archives and what is packed */
	MAGIC(0, "PK\3\4", "a zip archive"),
	MAGIC(0, "PK\5\6", "a zip archive"),
	MAGIC(0, "\x1f\x8b", "gzip data"),
	MAGIC(0, "BZh", "bzip2 data"),
	MAGIC(0,
	      "\xfd"
	      "7zXZ\0",
	      "xz data"),
	MAGIC(0, "\x28\xb5\x2f\xfd", "Zstandard data"),
	MAGIC(0, "\x04\x22\x4d\x18", "LZ4 data"),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
	MAGIC(0, "Rar!\x1a\x07", "a RAR archive"),
	MAGIC(257, "ustar", "a tar archive"),
	/* documents and data */
	MAGIC(0, "%PDF-", "a PDF document"),
	MAGIC(0, "%!PS", "a PostScript document"),
	MAGIC(0, "{\\rtf", "an RTF document"),
	MAGIC(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Microsoft Office document"),
	MAGIC(0, "BLENDER", "a Blender file"),
	MAGIC(0, "\x89HDF\r\n\x1a\n", "an HDF5 file"),
	MAGIC(0, "\x93NUMPY", "a numpy array (.npy)"),
	MAGIC(0, "SQLite format 3\0", "an SQLite database"),
	MAGIC(0,
	      "\x7f"
	      "ELF",
	      "a program (ELF)"),
	MAGIC(0, "\0\5\x16\7", "an AppleDouble file (what a Mac keeps beside another file)"),
	MAGIC(0, "\0\5\x16\0", "an AppleSingle file"),
	MAGIC(0, "book\0\0\0\0mark", "a macOS alias"),
	MAGIC(0, "L\0\0\0\1\x14\2\0", "a Windows shortcut"),
	/* stand-ins of what was never fetched */
	MAGIC(0, "version https://git-lfs.github.com/spec/", "a Git LFS pointer, whose file was never fetched (git lfs pull)"),
	MAGIC(0, "version https://hawser.github.com/spec/", "a Git LFS pointer, whose file was never fetched (git lfs pull)"),
	MAGIC(0, "/annex/objects/", "a git-annex pointer, whose file was never fetched (git annex get)"),
};

static bool has(const uint8_t *head, size_t len_bytes, size_t offset, const char *bytes, size_t n)
{
	return offset <= len_bytes && n <= len_bytes - offset && memcmp(head + offset, bytes, n) == 0;
}

/* ---- containers that say within what they hold ---- */

struct brand {
	const char *brand, *words;
};

static const char *riff_words(const uint8_t *head, size_t len_bytes)
{
	static const struct brand forms[] = {{"WEBP", "a WebP image"}, {"AVI ", "an AVI video"}, {"WAVE", "a WAVE sound"}};
	if (!has(head, len_bytes, 0, "RIFF", 4) || len_bytes < 12)
		return NULL;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (memcmp(head + 8, forms[i].brand, 4) == 0)
			return forms[i].words;
	return "a RIFF file";
}

/* A brand of a file's own comes before the general ones, which several formats name. */
static const char *brand_words(const uint8_t *brands, size_t count)
{
	static const struct brand known[] = {
		{"avif", "an AVIF image"},
		{"avis", "an AVIF image"},
		{"heic", "a HEIC image (HEIF)"},
		{"heix", "a HEIC image (HEIF)"},
		{"heim", "a HEIC image (HEIF)"},
		{"heis", "a HEIC image (HEIF)"},
		{"hevc", "a HEIC image (HEIF)"},
		{"hevx", "a HEIC image (HEIF)"},
		{"jxl ", "a JPEG XL image (JXL)"},
		{"jp2 ", "a JPEG 2000 image"},
		{"crx ", "a camera's raw image (CR3)"},
		{"mif1", "a HEIF image"},
		{"msf1", "a HEIF image"},
		{"qt  ", "a QuickTime video"},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		for (size_t b = 0; b < count; b++)
			if (memcmp(brands + 4 * b, known[i].brand, 4) == 0)
				return known[i].words;
	return "an MP4 video";
}

/* ISO/IEC 14496-12, 4.3: size, "ftyp", major brand, minor version, compatible brands. The version stands among the brands as four
 * bytes that are none. */
static const char *ftyp_words(const uint8_t *head, size_t len_bytes)
{
	if (!has(head, len_bytes, 4, "ftyp", 4) || len_bytes < 12)
		return NULL;
	size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	size_t end = size < len_bytes ? size : len_bytes;
	return brand_words(head + 8, end > 12 ? (end - 8) / 4 : 1);
}

/* "BM" are two letters that a text may start with: the sizes that a second header can have say more. */
static const char *bmp_words(const uint8_t *head, size_t len_bytes)
{
	static const uint8_t sizes[] = {12, 16, 40, 52, 56, 64, 108, 124};
	if (!has(head, len_bytes, 0, "BM", 2) || len_bytes < 18 || head[15] || head[16] || head[17])
		return NULL;
	return memchr(sizes, head[14], sizeof sizes) ? "a BMP image" : NULL;
}

/* "P1" to "P7", "PF", "Pf", and blank space or a comment. */
static const char *pnm_words(const uint8_t *head, size_t len_bytes)
{
	if (len_bytes < 3 || head[0] != 'P' || !strchr("1234567Ff", head[1]) || !head[1] || !strchr(" \t\r\n#", head[2]) ||
	    !head[2])
		return NULL;
	return head[1] <= '7' ? "a PNM image" : "a PFM image";
}

/* ---- text ---- */

/* Where some of these words stands in any case, in the first bytes. */
static bool mentions(const uint8_t *text, size_t len_bytes, const char *word)
{
	size_t n = strlen(word);
	for (size_t at = 0; at + n <= len_bytes; at++)
		if (strncasecmp((const char *)text + at, word, n) == 0)
			return true;
	return false;
}

static const char *markup_words(const uint8_t *text, size_t len_bytes)
{
	bool xml = has(text, len_bytes, 0, "<?xml", 5);
	if (mentions(text, len_bytes, "<svg"))
		return "an SVG image";
	if (mentions(text, len_bytes, "<html") || mentions(text, len_bytes, "<!doctype html"))
		return "an HTML page";
	if (!xml &&
	    (mentions(text, len_bytes, "<head") || mentions(text, len_bytes, "<body") || mentions(text, len_bytes, "<script")))
		return "an HTML page";
	return "an XML document";
}

static bool has_controls(const uint8_t *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++)
		if ((text[i] < 0x20 && !(text[i] >= '\t' && text[i] <= '\r') && text[i] != 0x1b) || text[i] == 0x7f)
			return true;
	return false;
}

/* But for a character that the window cuts. */
static bool is_utf8(const uint8_t *text, size_t len_bytes)
{
	for (size_t at = 0, step; at < len_bytes; at += step) {
		step = utf8_length(text + at, len_bytes - at);
		if (!step)
			return len_bytes == SNIFF_BYTES && len_bytes - at < 4;
	}
	return true;
}

static bool is_markup(const uint8_t *text, size_t len_bytes)
{
	return len_bytes > 1 && text[0] == '<' && strchr("!?/abcdefghijklmnopqrstuvwxyz", text[1] | (text[1] >= 'A' ? 0x20 : 0));
}

/* Markup says its own encoding; other text is UTF-8. */
static const char *text_words(const uint8_t *head, size_t len_bytes)
{
	size_t at = has(head, len_bytes, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
	if (has(head, len_bytes, 0, "\xff\xfe", 2) || has(head, len_bytes, 0, "\xfe\xff", 2))
		return "a text file (UTF-16)";
	if (!len_bytes || has_controls(head, len_bytes))
		return NULL;
	while (at < len_bytes && strchr(" \t\r\n\v\f", head[at]))
		at++;
	if (is_markup(head + at, len_bytes - at))
		return markup_words(head + at, len_bytes - at);
	if (!is_utf8(head, len_bytes))
		return NULL;
	return at < len_bytes && (head[at] == '{' || head[at] == '[') ? "a JSON text" : "a text file";
}

const char *sniff_words(const uint8_t *head, size_t len_bytes)
{
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (has(head, len_bytes, magics[i].offset, magics[i].bytes, magics[i].len))
			return magics[i].words;
	const char *(*const looks[])(const uint8_t *, size_t) = {riff_words, ftyp_words, bmp_words, pnm_words, text_words};
	const char *words = NULL;
	for (size_t i = 0; !words && i < sizeof looks / sizeof *looks; i++)
		words = looks[i](head, len_bytes);
	return words;
}
