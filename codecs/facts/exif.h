/* exif.h - an EXIF block (a TIFF structure) as attributes of the group "exif", shared by PNG's eXIf, JPEG's APP1 and others.
 *
 * Values are told as they are stored (rationals as their quotient), names are the specification's (Exif 2.32:
 * "DateTimeOriginal", "FNumber"); a tag without a name there is "0x9c9b". All directories go in one object; tags of the
 * thumbnail's have the prefix "Thumbnail.". MakerNote is bytes, it is not decoded; nothing is corrected, defaulted or
 * left out because it looks wrong. Bounded: entries, directories and values are capped, every offset is checked.
 */
#ifndef PIXFS_EXIF_H
#define PIXFS_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "codecs/core/header.h"

struct exif {
	uint8_t orientation;               /* 1..8; 0 where not told or out of range */
	uint8_t color_space;               /* enum exif_color_space */
	double resolution_x, resolution_y; /* pixels per metre; 0 where not told or ResolutionUnit is 1 (none) */
	double gamma;                      /* the Gamma tag (0xa500), 0 where not told */
};

enum exif_color_space {
	EXIF_COLOR_NONE,         /* not told */
	EXIF_COLOR_SRGB,         /* ColorSpace 1 */
	EXIF_COLOR_ADOBE_RGB,    /* ColorSpace 0xffff with InteroperabilityIndex "R03" (DCF optional colour space) */
	EXIF_COLOR_UNCALIBRATED, /* ColorSpace 0xffff alone, or a value that the specification doesn't have */
};

/* Parses data, with or without "Exif\0\0" in front, appends its tags to builder and fills *ret_exif (always, with zeros
 * where nothing is told). 0, or -EIO where it is no TIFF structure at all or damaged, after what could be read was
 * appended and a warning was added to builder: metadata never fails an image, so callers may ignore the result. */
int exif_parse(const void *data, size_t len_bytes, struct header_builder *builder, struct exif *ret_exif);

#endif
