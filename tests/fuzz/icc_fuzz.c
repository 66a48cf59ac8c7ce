/* icc_fuzz.c - any bytes as an ICC profile, as they are and with the fields of the header that are checked first set right: what
 * is opened has curves or a conversion, whose results are the same however the samples are cut.
 * The first byte chooses the kind of samples, and whether the header is set right. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/facts/icc.h"
#include "fs/view/view_color.h"

enum { HEADER_BYTES = 128, NPIXELS = 150, MAX_BYTES = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ICC.1:2022 7.2: the size, the version, the class, both colour spaces and the signature. */
static void set_header(uint8_t *profile, size_t len_bytes, enum icc_space space, bool lab)
{
	const uint8_t size[4] = {(uint8_t)(len_bytes >> 24), (uint8_t)(len_bytes >> 16), (uint8_t)(len_bytes >> 8),
				 (uint8_t)len_bytes};
	memcpy(profile, size, 4);
	memcpy(profile + 8, profile[8] & 1 ? "\2\x40\0" : "\4\x30\0", 4);
	memcpy(profile + 12, space == ICC_CMYK ? "prtr" : "mntr", 4);
	memcpy(profile + 16, space == ICC_CMYK ? "CMYK" : space == ICC_RGB ? "RGB " : "GRAY", 4);
	memcpy(profile + 20, lab ? "Lab " : "XYZ ", 4);
	memcpy(profile + 36, "acsp", 4);
}

/* Values of every kind: in 0..1, beyond, none. */
static void make_samples(float *samples, size_t n)
{
	static const float odd[] = {0.0f, -0.0f, 1.0f, -0.25f, 1.5f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN, 1e-40f, 0.999999f};
	for (size_t i = 0; i < n; i++)
		samples[i] = i % 5 == 4 ? odd[i / 5 % (sizeof odd / sizeof *odd)] : (float)(i * 2654435761u % 65536) / 65535.0f;
}

static void check_curve(const struct icc_curve *profile, bool encode_srgb, size_t cut)
{
	float samples[NPIXELS], whole[NPIXELS], parts[NPIXELS];
	struct curve curve = curve_of_profile(profile);
	curve.encode_srgb = encode_srgb;
	make_samples(samples, NPIXELS);
	curve_apply(&curve, whole, samples, NPIXELS);
	curve_apply(&curve, parts, samples, cut);
	curve_apply(&curve, parts + cut, samples + cut, NPIXELS - cut);
	for (size_t i = 0; i < NPIXELS; i++) {
		require(isnan(samples[i]) ? isnan(whole[i]) : memcmp(&whole[i], &parts[i], sizeof(float)) == 0);
		if (profile->nentries && samples[i] >= 0.0f)
			require(whole[i] >= 0.0f && (whole[i] <= 1.0f || curve.decode == DECODE_NOTHING));
	}
}

static void check_conversion(const struct icc *icc, size_t cut)
{
	float samples[NPIXELS * 4], whole[NPIXELS * 3], parts[NPIXELS * 3];
	size_t n = (size_t)icc->space;
	make_samples(samples, NPIXELS * n);
	icc_convert(icc, samples, whole, NPIXELS);
	icc_convert(icc, samples, parts, cut);
	icc_convert(icc, samples + cut * n, parts + cut * 3, NPIXELS - cut);
	require(memcmp(whole, parts, sizeof whole) == 0);
}

static void check_profile(const uint8_t *profile, size_t len_bytes, enum icc_space space, uint8_t choice)
{
	struct err err = ERR_NONE;
	struct icc *icc = NULL;
	int rc = icc_open(profile, len_bytes, space, &icc, &err);
	require(rc == err.code && (rc == 0 ? icc != NULL : rc == -EINVAL && err.text[0]));
	if (rc)
		return;
	require(icc->space == space && (icc->ncurves == 1 || (space != ICC_GRAY && (icc->ncurves == 0 || icc->ncurves == 3))));
	for (uint32_t i = 0; i < icc->ncurves; i++)
		check_curve(&icc->curves[i], choice & 16, choice % NPIXELS);
	if (!icc->ncurves)
		check_conversion(icc, choice % NPIXELS);
	icc_close(icc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static const enum icc_space spaces[4] = {ICC_GRAY, ICC_RGB, ICC_CMYK, ICC_RGB};
	if (len_bytes < 2 || len_bytes > MAX_BYTES)
		return 0;
	enum icc_space space = spaces[data[0] & 3];
	uint8_t *profile = malloc(len_bytes - 1);
	require(profile != NULL);
	memcpy(profile, data + 1, len_bytes - 1);
	if (data[0] & 4 && len_bytes > HEADER_BYTES)
		set_header(profile, len_bytes - 1, space, data[0] & 8);
	check_profile(profile, len_bytes - 1, space, data[0]);
	free(profile);
	return 0;
}
