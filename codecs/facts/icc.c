/* icc.c - reads profiles, see icc.h; the one file that knows Little CMS.
 *
 * Each profile has a context of its own: its errors come here, not to stderr, and its memory is counted. What a thread is opening
 * is thread-local, because Little CMS gives its callbacks no way to it before the context is complete.
 * Curves are copied out and everything else is freed; a conversion keeps its context for as long as it lives. Without a
 * cache (cmsFLAGS_NOCACHE) cmsDoTransform has no state, so that it may run in several threads at once.
 */
#include "icc_read.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lcms2.h>
#include <lcms2_plugin.h>

/* All that is asked for while a profile is opened, freed or not: a profile's tables are a few MiB, and stated sizes lie. */
static const size_t max_memory_bytes = (size_t)128 << 20;

struct icc_private {
	struct icc icc;
	cmsContext context; /* NULL where there are curves */
	cmsHTRANSFORM transform;
	float *entries[3];
};

/* ---- the callbacks of Little CMS ---- */

static _Thread_local struct {
	size_t room_bytes;
	char words[160]; /* of its first error */
} opening;

static bool take_room(size_t len_bytes)
{
	bool fits = len_bytes && len_bytes <= opening.room_bytes;
	opening.room_bytes -= fits ? len_bytes : 0;
	return fits;
}

static void *context_malloc(cmsContext context, cmsUInt32Number len_bytes)
{
	(void)context;
	return take_room(len_bytes) ? malloc(len_bytes) : NULL;
}

static void *context_calloc(cmsContext context, cmsUInt32Number len_bytes)
{
	(void)context;
	return take_room(len_bytes) ? calloc(1, len_bytes) : NULL;
}

static void *context_realloc(cmsContext context, void *memory, cmsUInt32Number len_bytes)
{
	(void)context;
	return take_room(len_bytes) ? realloc(memory, len_bytes) : NULL;
}

static void context_free(cmsContext context, void *memory)
{
	(void)context;
	free(memory);
}

/* Its words quote the profile: only printable ones are kept. */
static void context_error(cmsContext context, cmsUInt32Number code, const char *text)
{
	(void)context, (void)code;
	if (opening.words[0])
		return;
	snprintf(opening.words, sizeof opening.words, "%s", text);
	for (char *c = opening.words; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static cmsContext context_new(void)
{
	static cmsPluginMemHandler memory = {
		.base = {.Magic = cmsPluginMagicNumber, .ExpectedVersion = 2060, .Type = cmsPluginMemHandlerSig},
		.MallocPtr = context_malloc,
		.FreePtr = context_free,
		.ReallocPtr = context_realloc,
		.MallocZeroPtr = context_calloc,
	};
	opening.room_bytes = max_memory_bytes;
	opening.words[0] = 0;
	cmsContext context = cmsCreateContext(&memory, NULL);
	if (context)
		cmsSetLogErrorHandlerTHR(context, context_error);
	return context;
}

/* -EINVAL, with what Little CMS said where it said something. */
static int refuse(struct err *err, const char *what)
{
	if (opening.words[0])
		return err_set(err, -EINVAL, "the ICC profile %s (%s)", what, opening.words);
	return err_set(err, -EINVAL, "the ICC profile %s", what);
}

/* ---- what kind of profile ---- */

struct signature {
	char text[5];
};

/* Four letters, made printable. */
static struct signature signature_of(uint32_t code)
{
	struct signature signature = {{0}};
	for (unsigned i = 0; i < 4; i++) {
		char c = (char)(code >> (24 - 8 * i));
		signature.text[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	return signature;
}

static int check_kind(cmsHPROFILE profile, enum icc_space space, struct err *err)
{
	cmsProfileClassSignature class = cmsGetDeviceClass(profile);
	cmsColorSpaceSignature stored = cmsGetColorSpace(profile), pcs = cmsGetPCS(profile);
	cmsColorSpaceSignature wanted = space == ICC_GRAY ? cmsSigGrayData : space == ICC_RGB ? cmsSigRgbData : cmsSigCmykData;
	if (class != cmsSigInputClass && class != cmsSigDisplayClass && class != cmsSigOutputClass &&
	    class != cmsSigColorSpaceClass)
		return err_set(err, -EINVAL, "the ICC profile is of the class \"%s\", which describes no picture's colours",
			       signature_of(class).text);
	if (stored != wanted)
		return err_set(err, -EINVAL, "the ICC profile is for \"%s\" samples, the picture's are \"%s\"",
			       signature_of(stored).text, signature_of(wanted).text);
	if (pcs != cmsSigXYZData && pcs != cmsSigLabData)
		return err_set(err, -EINVAL, "the ICC profile has the connection space \"%s\"", signature_of(pcs).text);
	return 0;
}

/* ---- curves ---- */

static int copy_table(const cmsToneCurve *tone, struct icc_curve *curve, float **ret_entries, struct err *err)
{
	uint32_t n = cmsGetToneCurveEstimatedTableEntries(tone);
	const cmsUInt16Number *table = cmsGetToneCurveEstimatedTable(tone);
	if (n < 2 || n > 1 << 20 || !table)
		return refuse(err, "has a tone curve of no length");
	float *entries = malloc(n * sizeof *entries);
	if (!entries)
		return err_set(err, -ENOMEM, "no memory for a tone curve");
	for (uint32_t i = 0; i < n; i++)
		entries[i] = table[i];
	*ret_entries = entries;
	*curve = (struct icc_curve){.nentries = n, .entries = entries};
	return 0;
}

/* ICC.1:2022 10.18, table 70: parameters in the order g a b c d e f; type 2's third constant is what 4 calls e, and f. */
static int copy_formula(unsigned type, const double *p, struct icc_curve *curve, struct err *err)
{
	static const unsigned count[5] = {1, 3, 4, 5, 7};
	struct icc_curve made = {.g = p[0], .a = 1};
	for (unsigned i = 0; i < count[type]; i++)
		if (!isfinite(p[i]))
			return refuse(err, "has a tone curve of numbers that are none");
	if (type >= 1) {
		made.a = p[1];
		made.b = p[2];
	}
	if (!(made.g > 0.0 && made.a > 0.0))
		return refuse(err, "has a tone curve that doesn't rise");
	if (type == 1 || type == 2)
		made.d = -made.b / made.a;
	if (type == 2)
		made.e = made.f = p[3];
	if (type >= 3) {
		made.c = p[3];
		made.d = p[4];
	}
	if (type == 4) {
		made.e = p[5];
		made.f = p[6];
	}
	*curve = made;
	return 0;
}

/* Tables are what Little CMS keeps where it has no formula; its types 1 to 5 are the standard's 0 to 4. */
static int copy_curve(cmsHPROFILE profile, cmsTagSignature tag, struct icc_curve *curve, float **ret_entries, struct err *err)
{
	const cmsToneCurve *tone = cmsReadTag(profile, tag);
	if (!tone)
		return refuse(err, "has a tone curve that can't be read");
	int type = cmsGetToneCurveParametricType(tone);
	if (type == 0)
		return copy_table(tone, curve, ret_entries, err);
	if (type < 1 || type > 5 || cmsIsToneCurveMultisegment(tone))
		return refuse(err, "has a tone curve of an unknown kind");
	return copy_formula((unsigned)type - 1, cmsGetToneCurveParams(tone), curve, err);
}

static bool same_curve(const struct icc_curve *a, const struct icc_curve *b)
{
	if (a->nentries != b->nentries)
		return false;
	if (a->nentries)
		return memcmp(a->entries, b->entries, a->nentries * sizeof *a->entries) == 0;
	return a->g == b->g && a->a == b->a && a->b == b->b && a->c == b->c && a->d == b->d && a->e == b->e && a->f == b->f;
}

static int read_curves(struct icc_private *own, cmsHPROFILE profile, struct err *err)
{
	static const cmsTagSignature rgb[3] = {cmsSigRedTRCTag, cmsSigGreenTRCTag, cmsSigBlueTRCTag};
	struct icc *icc = &own->icc;
	uint32_t n = icc->space == ICC_GRAY ? 1 : 3;
	for (uint32_t i = 0; i < n; i++) {
		cmsTagSignature tag = n == 1 ? cmsSigGrayTRCTag : rgb[i];
		int rc = copy_curve(profile, tag, &icc->curves[i], &own->entries[i], err);
		if (rc)
			return rc;
	}
	bool one = n == 1 || (same_curve(&icc->curves[0], &icc->curves[1]) && same_curve(&icc->curves[0], &icc->curves[2]));
	icc->ncurves = one ? 1 : 3;
	return 0;
}

static bool is_near(double value, double wanted)
{
	return fabs(value - wanted) <= 0x1p-16;
}

enum icc_form icc_curve_form(const struct icc_curve *curve)
{
	bool power = curve->a == 1.0 && curve->b == 0.0 && curve->e == 0.0 && curve->d <= 0.0;
	if (curve->nentries)
		return ICC_FORM_TABLE;
	if (power)
		return curve->g == 1.0 ? ICC_FORM_LINEAR : ICC_FORM_POWER;
	bool srgb = is_near(curve->g, 2.4) && is_near(curve->a, 1.0 / 1.055) && is_near(curve->b, 0.055 / 1.055) &&
		    is_near(curve->c, 1.0 / 12.92) && is_near(curve->d, 0.04045) && is_near(curve->e, 0.0) &&
		    is_near(curve->f, 0.0);
	return srgb ? ICC_FORM_SRGB : ICC_FORM_PARAMETRIC;
}

/* ---- conversion ---- */

/* ITU-R BT.709-6 item 1.3 and 1.4, with curves that change nothing. */
static cmsHPROFILE linear_rec709(cmsContext context)
{
	static const cmsCIExyY white = {0.3127, 0.3290, 1.0};
	static const cmsCIExyYTRIPLE primaries = {{0.64, 0.33, 1.0}, {0.30, 0.60, 1.0}, {0.15, 0.06, 1.0}};
	cmsToneCurve *tone = cmsBuildGamma(context, 1.0);
	cmsToneCurve *curves[3] = {tone, tone, tone};
	cmsHPROFILE made = tone ? cmsCreateRGBProfileTHR(context, &white, &primaries, curves) : NULL;
	cmsFreeToneCurve(tone);
	return made;
}

static int make_transform(struct icc_private *own, cmsContext context, cmsHPROFILE profile, struct err *err)
{
	cmsHPROFILE linear = linear_rec709(context);
	if (!linear)
		return refuse(err, "can't be converted from");
	own->transform = cmsCreateTransformTHR(context, profile, own->icc.space == ICC_RGB ? TYPE_RGB_FLT : TYPE_CMYK_FLT, linear,
					       TYPE_RGB_FLT, INTENT_RELATIVE_COLORIMETRIC, cmsFLAGS_NOCACHE | cmsFLAGS_NOOPTIMIZE);
	cmsCloseProfile(linear);
	if (!own->transform)
		return refuse(err, "has tables that can't be used");
	own->context = context;
	return 0;
}

/* In 0..1; NaN is 0. Little CMS counts inks to 100. */
static float device_value(float v, float full)
{
	return v > 0.0f ? (v < 1.0f ? v : 1.0f) * full : 0.0f;
}

void icc_convert(const struct icc *icc, const float *src, float *dst, size_t n)
{
	enum { BATCH = 64 };
	const struct icc_private *own = (const struct icc_private *)(const void *)icc;
	size_t samples = (size_t)icc->space;
	float full = icc->space == ICC_CMYK ? 100.0f : 1.0f, device[BATCH * 4];
	for (size_t done = 0; done < n; done += BATCH) {
		size_t count = n - done < BATCH ? n - done : BATCH;
		for (size_t i = 0; i < count * samples; i++)
			device[i] = device_value(src[done * samples + i], full);
		cmsDoTransform(own->transform, device, dst + done * 3, (cmsUInt32Number)count);
	}
}

/* ---- opening ---- */

static bool has_curves(cmsHPROFILE profile, enum icc_space space)
{
	if (space == ICC_GRAY)
		return cmsIsTag(profile, cmsSigGrayTRCTag);
	return cmsIsTag(profile, cmsSigRedTRCTag) || cmsIsTag(profile, cmsSigGreenTRCTag) || cmsIsTag(profile, cmsSigBlueTRCTag);
}

static bool has_tables(cmsHPROFILE profile)
{
	static const cmsTagSignature tags[] = {cmsSigAToB0Tag, cmsSigAToB1Tag, cmsSigDToB0Tag, cmsSigDToB1Tag};
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (cmsIsTag(profile, tags[i]))
			return true;
	return false;
}

static int read_profile(struct icc_private *own, cmsContext context, const void *data, size_t len_bytes, struct err *err)
{
	enum icc_space space = own->icc.space;
	cmsHPROFILE profile = cmsOpenProfileFromMemTHR(context, data, (cmsUInt32Number)len_bytes);
	if (!profile)
		return refuse(err, "can't be read");
	int rc = check_kind(profile, space, err);
	/* a curve leads to linear light where the connection space is linear: to CIE L* in Lab */
	bool curves = space != ICC_CMYK && has_curves(profile, space) && cmsGetPCS(profile) == cmsSigXYZData;
	if (!rc && curves)
		rc = read_curves(own, profile, err);
	else if (!rc && (space == ICC_GRAY || !has_tables(profile)))
		rc = refuse(err, space == ICC_GRAY ? "has no tone curve to linear light" : "has neither tone curves nor tables");
	else if (!rc)
		rc = make_transform(own, context, profile, err);
	cmsCloseProfile(profile);
	return rc;
}

/* ICC.1:2022 7.2.2. */
static uint64_t stated_size(const unsigned char *header)
{
	return (uint64_t)header[0] << 24 | (uint64_t)header[1] << 16 | (uint64_t)header[2] << 8 | header[3];
}

int icc_read(const void *data, size_t len_bytes, enum icc_space space, struct icc **ret_icc, size_t *ret_memory_bytes,
	     struct err *err)
{
	if (len_bytes < 132 || len_bytes > max_memory_bytes / 4)
		return err_set(err, -EINVAL, "the ICC profile has %zu bytes", len_bytes);
	uint64_t stated = stated_size(data);
	if (stated > len_bytes)
		return err_set(err, -EINVAL, "the ICC profile is cut short: it says %" PRIu64 " bytes and has %zu", stated,
			       len_bytes);
	struct icc_private *own = calloc(1, sizeof *own);
	cmsContext context = own ? context_new() : NULL;
	if (!context) {
		free(own);
		return err_set(err, -ENOMEM, "no memory for the ICC profile");
	}
	own->icc.space = space;
	int rc = read_profile(own, context, data, len_bytes, err);
	if (!own->context)
		cmsDeleteContext(context);
	if (rc) {
		icc_free(&own->icc);
		return rc;
	}
	*ret_icc = &own->icc;
	*ret_memory_bytes = own->context ? max_memory_bytes - opening.room_bytes : 0;
	for (unsigned i = 0; i < 3; i++)
		*ret_memory_bytes += own->icc.curves[i].nentries * sizeof(float);
	return 0;
}

void icc_free(struct icc *icc)
{
	struct icc_private *own = (struct icc_private *)(void *)icc;
	if (!own)
		return;
	if (own->transform)
		cmsDeleteTransform(own->transform);
	if (own->context)
		cmsDeleteContext(own->context);
	for (unsigned i = 0; i < 3; i++)
		free(own->entries[i]);
	free(own);
}
