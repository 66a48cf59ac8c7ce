/* color.h - from what a file says about its colour to struct codec_color. Pure functions; nothing is guessed.
 *
 * interop_id is an ID of the ASWF Color Interop Forum (github.com/AcademySoftwareFoundation/ColorInterop) or "unknown"; none
 * is invented. What a file says is a transfer curve, primaries and a white point; where exactly that set has an ID it is
 * given, else "unknown", with transfer, gamma and chromaticities still telling what is known. A file that doesn't tell
 * the image state gets the scene-referred ID where both states have one. Chromaticities compare equal within 0.001.
 *
 * Every function fills all of *color. `source` is kept as a pointer: pass a string literal ("sRGB", "cICP", "gAMA",
 * "EXIF", "OpenEXR default", ...). Chromaticities are CIE xy of red, green, blue, white, in this order, and are copied.
 */
#ifndef PIXFS_COLOR_H
#define PIXFS_COLOR_H

#include <stdbool.h>
#include <stdint.h>

#include "codecs/core/codec.h"

/* White: D65, but the ACES white point for AP0 and AP1. */
extern const double color_rec709[8], color_rec2020[8], color_p3d65[8], color_adobergb[8], color_ap0[8], color_ap1[8];

/* Nothing is told: interop_id and transfer "unknown", source as given ("none" where no field says anything). */
void color_unknown(struct codec_color *color, const char *source);

/* Samples that are no colour at all (EXR depth, ids, normals): interop_id "data", transfer "linear". */
void color_data(struct codec_color *color, const char *source);

/* sRGB: curve of IEC 61966-2-1, Rec.709 primaries, D65: "srgb_rec709_scene". */
void color_srgb(struct codec_color *color, const char *source);

/* Linear light. chromaticities NULL: not told; interop_id is then "unknown", transfer "linear". */
void color_linear(struct codec_color *color, const double *chromaticities, const char *source);

/* A pure power: decoded = encoded ^ gamma. Within 0.01 of 1 it is linear; 1.8, 2.2, 2.4, 2.6 (and Adobe RGB's 2.19921875)
 * have IDs together with the right chromaticities. gamma <= 0 or not finite: not told, transfer "unknown".
 * chromaticities NULL: not told. Neither told: as color_unknown. */
void color_gamma(struct codec_color *color, double gamma, const double *chromaticities, const char *source);

/* Code points of ITU-T H.273 (PNG's cICP). IDs as the Forum assigns them to pairs of primaries and transfer; 1/1 is
 * "g24_rec709_display" with transfer "bt709". Samples that are not RGB (matrix other than 0) or not full range are
 * not what the curve takes: interop_id and transfer "unknown". */
void color_cicp(struct codec_color *color, unsigned primaries, unsigned transfer, unsigned matrix, bool full_range,
		const char *source);

/* An ICC profile: transfer "icc", interop_id "unknown": it is not evaluated here (icc.h), the profile itself is in attributes/. */
void color_icc(struct codec_color *color, const char *source);

/* An ID that the file itself carries (EXR's colorInteropID): taken where it is one of the Forum's, and then transfer and
 * chromaticities follow from it, or well-formed with a namespace ("studio:space"). id must live as long as color.
 * False, and *color untouched, where it is neither. */
bool color_interop_id(struct codec_color *color, const char *id, const char *source);

/* True where all eight agree within the tolerance above. */
bool color_same_chromaticities(const double *a, const double *b);

#endif
