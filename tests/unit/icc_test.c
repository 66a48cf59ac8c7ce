/* icc_test.c - profiles made field by field: which curves they have, and what is refused. And the curves of ITU-T H.273, against
 * numbers computed from its formulas in higher precision. */
#include "codecs/facts/icc.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view/view_color.h"
#include "case.h"
#include "icc_build.h"

/* ---- opening ---- */

static int made_open(const struct icc_build *made, enum icc_space space, struct icc **ret_icc, struct err *err)
{
	uint8_t *exact = malloc(made->len_bytes); /* so that a sanitizer sees what is read behind it */
	memcpy(exact, made->bytes, made->len_bytes);
	*err = ERR_NONE;
	int rc = icc_open(exact, made->len_bytes, space, ret_icc, err);
	free(exact);
	CHECK(rc == err->code && (rc == 0 || err->text[0]));
	return rc;
}

static bool refuses(const struct icc_build *made, enum icc_space space, const char *words)
{
	struct icc *icc = NULL;
	struct err err;
	int rc = made_open(made, space, &icc, &err);
	icc_close(icc);
	return rc == -EINVAL && strstr(err.text, words);
}

/* ---- curves ---- */

static void gray_formula(void)
{
	static const double p[7] = {2.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625};
	static const unsigned count[5] = {1, 3, 4, 5, 7};
	struct icc_build made;
	struct icc *icc = NULL;
	struct err err;
	for (unsigned type = 0; type < 5; type++) {
		icc_build_start(&made, "mntr", "GRAY", "XYZ ");
		icc_build_para(&made, "kTRC", type, p, count[type]);
		CHECK(made_open(&made, ICC_GRAY, &icc, &err) == 0);
		const struct icc_curve *curve = &icc->curves[0];
		CHECK(icc->ncurves == 1 && curve->nentries == 0 && curve->g == 2.5);
		CHECK(curve->a == (type ? 0.5 : 1.0) && curve->b == (type ? 0.25 : 0.0));
		CHECK(curve->c == (type >= 3 ? 0.125 : 0.0) && curve->d == (type >= 3 ? 0.0625 : type ? -0.5 : 0.0));
		CHECK(curve->e == (type == 4 ? 0.03125 : type == 2 ? 0.125 : 0.0));
		CHECK(curve->f == (type == 4 ? 0.015625 : type == 2 ? 0.125 : 0.0));
		CHECK(icc_curve_form(curve) == (type ? ICC_FORM_PARAMETRIC : ICC_FORM_POWER));
		icc_close(icc);
	}
}

static enum icc_form form_of(const uint16_t *entries, uint32_t n)
{
	struct icc_build made;
	struct icc *icc = NULL;
	struct err err;
	icc_build_start(&made, "scnr", "GRAY", "XYZ ");
	icc_build_curv(&made, "kTRC", entries, n);
	CHECK(made_open(&made, ICC_GRAY, &icc, &err) == 0);
	enum icc_form form = icc_curve_form(&icc->curves[0]);
	CHECK(n < 2 || (icc->curves[0].nentries == n && icc->curves[0].entries[n - 1] == entries[n - 1]));
	CHECK(n != 1 || icc->curves[0].g == entries[0] / 256.0);
	icc_close(icc);
	return form;
}

static void gray_tables(void)
{
	static const uint16_t gamma[1] = {563}, one[1] = {256}, entries[3] = {0, 1000, 65535};
	CHECK(form_of(gamma, 0) == ICC_FORM_LINEAR);
	CHECK(form_of(one, 1) == ICC_FORM_LINEAR);
	CHECK(form_of(gamma, 1) == ICC_FORM_POWER);
	CHECK(form_of(entries, 3) == ICC_FORM_TABLE);
}

static void three_curves_or_one(void)
{
	static const double srgb[5] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045}, other[1] = {1.75};
	struct icc_build made;
	struct icc *icc = NULL;
	struct err err;
	for (int same = 0; same < 2; same++) {
		icc_build_start(&made, "mntr", "RGB ", "XYZ ");
		icc_build_para(&made, "rTRC", 3, srgb, 5);
		icc_build_para(&made, "gTRC", 3, srgb, 5);
		icc_build_para(&made, "bTRC", same ? 3 : 0, same ? srgb : other, same ? 5 : 1);
		CHECK(made_open(&made, ICC_RGB, &icc, &err) == 0 && icc->ncurves == (same ? 1 : 3));
		CHECK(icc_curve_form(&icc->curves[0]) == ICC_FORM_SRGB && (same || icc->curves[2].g == 1.75));
		icc_close(icc);
	}
}

/* ---- tables ---- */

static void *convert_white(void *icc)
{
	static const float device[2][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}};
	float light[6];
	for (int i = 0; i < 2000; i++) {
		icc_convert(icc, device[0], light, 2);
		for (int c = 0; c < 3; c++)
			if (!(fabsf(light[c] - 1.0f) < 1e-4f && fabsf(light[3 + c]) < 1e-4f))
				return icc;
	}
	return NULL;
}

static void tables_convert_in_many_threads(void)
{
	struct icc_build made;
	struct icc *icc = NULL;
	struct err err;
	pthread_t threads[8];
	icc_build_start(&made, "prtr", "CMYK", "XYZ ");
	icc_build_lut(&made, 4, 2);
	CHECK(made_open(&made, ICC_CMYK, &icc, &err) == 0 && icc->ncurves == 0);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, convert_white, icc);
	for (int i = 0; i < 8; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		CHECK(!wrong);
	}
	const float odd[12] = {NAN, 0, 0, 0, -5, -INFINITY, 0, 0, 0, 0, 0, INFINITY};
	float light[9];
	icc_convert(icc, odd, light, 3);
	CHECK(fabsf(light[0] - 1.0f) < 1e-4f && fabsf(light[3] - 1.0f) < 1e-4f && fabsf(light[6]) < 1e-4f);
	icc_close(icc);
}

/* ---- what is kept ---- */

static int open_gamma(double gamma, struct icc **ret_icc)
{
	struct icc_build made;
	struct err err;
	icc_build_start(&made, "mntr", "GRAY", "XYZ ");
	icc_build_para(&made, "kTRC", 0, &gamma, 1);
	return made_open(&made, ICC_GRAY, ret_icc, &err);
}

static void a_profile_is_read_once_while_it_is_kept(void)
{
	struct icc *first = NULL, *same = NULL, *others[6];
	CHECK(open_gamma(1.5, &first) == 0 && open_gamma(1.5, &same) == 0 && first == same);
	icc_close(same);
	for (int i = 0; i < 6; i++)
		CHECK(open_gamma(2.0 + i, &others[i]) == 0 && others[i] != first && others[i]->curves[0].g == 2.0 + i);
	CHECK(open_gamma(1.5, &same) == 0 && same != first); /* the others took its place */
	CHECK(first->curves[0].g == 1.5 && same->curves[0].g == 1.5);
	icc_close(first);
	icc_close(same);
	for (int i = 0; i < 6; i++)
		icc_close(others[i]);
}

static void *open_many(void *seed)
{
	for (unsigned i = 0; i < 500; i++) {
		double gamma = 1.0 + (i * *(unsigned *)seed) % 7;
		struct icc *icc = NULL;
		if (open_gamma(gamma, &icc) || icc->curves[0].g != gamma)
			return seed;
		icc_close(icc);
	}
	return NULL;
}

static void many_threads_open_the_same(void)
{
	pthread_t threads[8];
	unsigned seeds[8];
	for (unsigned i = 0; i < 8; i++) {
		seeds[i] = i + 1;
		pthread_create(&threads[i], NULL, open_many, &seeds[i]);
	}
	for (int i = 0; i < 8; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		CHECK(!wrong);
	}
}

/* ---- refusals ---- */

static void other_kinds_are_refused(void)
{
	static const double gamma[1] = {2.0};
	static const char *const classes[] = {"link", "abst", "nmcl", "\1\2\3\4"};
	struct icc_build made;
	for (int i = 0; i < 4; i++) {
		icc_build_start(&made, classes[i], "GRAY", "XYZ ");
		icc_build_para(&made, "kTRC", 0, gamma, 1);
		CHECK(refuses(&made, ICC_GRAY, i == 3 ? "device class" : classes[i]));
	}
	icc_build_start(&made, "mntr", "GRAY", "XYZ ");
	icc_build_para(&made, "kTRC", 0, gamma, 1);
	CHECK(refuses(&made, ICC_RGB, "for \"GRAY\" samples, the picture's are \"RGB \""));
	icc_build_start(&made, "mntr", "GRAY", "Lab ");
	icc_build_para(&made, "kTRC", 0, gamma, 1);
	CHECK(refuses(&made, ICC_GRAY, "no tone curve to linear light"));
	icc_build_start(&made, "mntr", "RGB ", "XYZ ");
	icc_build_para(&made, "rTRC", 0, gamma, 1);
	CHECK(refuses(&made, ICC_RGB, "a tone curve that can't be read"));
	icc_build_start(&made, "mntr", "RGB ", "XYZ ");
	icc_build_para(&made, "wtpt", 0, gamma, 1);
	CHECK(refuses(&made, ICC_RGB, "neither tone curves nor tables"));
}

static void damage_is_refused(void)
{
	static const double still[1] = {0.0}, falls[3] = {2.0, -1.0, 1.0};
	struct icc_build made;
	icc_build_start(&made, "mntr", "GRAY", "XYZ ");
	icc_build_para(&made, "kTRC", 0, still, 1);
	CHECK(refuses(&made, ICC_GRAY, "doesn't rise"));
	icc_build_start(&made, "mntr", "GRAY", "XYZ ");
	icc_build_para(&made, "kTRC", 1, falls, 3);
	CHECK(refuses(&made, ICC_GRAY, "doesn't rise"));
	icc_build_start(&made, "mntr", "GRAY", "XYZ ");
	icc_build_para(&made, "kTRC", 0, falls, 1);
	icc_build_put(made.bytes + made.len_bytes - 8, 9, 2);
	CHECK(refuses(&made, ICC_GRAY, "can't be read"));
	made.len_bytes--;
	CHECK(refuses(&made, ICC_GRAY, "cut short"));
	made.len_bytes = 100;
	CHECK(refuses(&made, ICC_GRAY, "100 bytes"));
	memset(made.bytes, 0, sizeof made.bytes);
	made.len_bytes = 1000;
	CHECK(refuses(&made, ICC_GRAY, "can't be read"));
}

/* 255^4 points would be 25 GB. */
static void a_table_that_lies_takes_no_memory(void)
{
	struct icc_build made;
	for (unsigned grid = 3; grid < 256; grid += 84) {
		icc_build_start(&made, "prtr", "CMYK", "XYZ ");
		icc_build_lut(&made, 4, grid);
		CHECK(refuses(&made, ICC_CMYK, "tables that can't be used"));
	}
}

/* ---- curves of H.273 ---- */

static bool decodes(enum transfer_kind kind, float v, double exact)
{
	const struct transfer transfer = {(uint8_t)kind, 0.0, ""};
	struct curve curve = curve_of_transfer(&transfer);
	float out, negative, minus = -v;
	curve_apply(&curve, &out, &v, 1);
	curve_apply(&curve, &negative, &minus, 1);
	float step = fabsf(nextafterf((float)exact, INFINITY) - (float)exact);
	return fabs((double)out - exact) <= (double)step && negative == -out;
}

static void curves_of_h273(void)
{
	CHECK(decodes(TRANSFER_BT709, 0.5f, 0.25971943710117845) && decodes(TRANSFER_BT709, 0.0625f, 0.0625 / 4.5));
	CHECK(decodes(TRANSFER_BT709, 1.0f, 1.0) && decodes(TRANSFER_BT709, 0.0f, 0.0));
	CHECK(decodes(TRANSFER_PQ, 0.5f, 0.009224570899406526) && decodes(TRANSFER_PQ, 1.0f, 1.0) &&
	      decodes(TRANSFER_PQ, 0.0f, 0.0));
	CHECK(decodes(TRANSFER_HLG, 0.5f, 1.0 / 12.0) && decodes(TRANSFER_HLG, 0.75f, 0.26496255978640015));
	const struct curve pq = {.decode = DECODE_PQ};
	const float far[3] = {2.0f, INFINITY, NAN};
	float light[3];
	curve_apply(&pq, light, far, 3);
	CHECK(isinf(light[0]) && isinf(light[1]) && isnan(light[2]));
}

/* Below 0 by symmetry about f(0), above 1 the last entry. */
static void tables_beyond_their_ends(void)
{
	static const float entries[2] = {6553.5f, 65535.0f};
	const struct icc_curve profile = {.nentries = 2, .entries = entries};
	const struct curve curve = curve_of_profile(&profile);
	const float v[6] = {0.5f, 1.0f, 7.0f, -0.5f, 0.0f, INFINITY}, exact[6] = {0.55f, 1.0f, 1.0f, -0.35f, 0.1f, 1.0f};
	float light[6];
	curve_apply(&curve, light, v, 6);
	for (int i = 0; i < 6; i++)
		CHECK(fabsf(light[i] - exact[i]) < 1e-6f);
}

static void none_stays_none(void)
{
	static const float entries[2] = {0.0f, 65535.0f};
	const struct icc_curve formula = {.g = 2.0, .a = 0.5, .b = 0.5}, table = {.nentries = 2, .entries = entries};
	const float v[2] = {NAN, -NAN};
	for (unsigned i = 0; i < 4; i++) {
		struct curve curve = curve_of_profile(i & 1 ? &formula : &table);
		float light[2];
		curve.encode_srgb = i & 2;
		curve_apply(&curve, light, v, 2);
		CHECK(isnan(light[0]) && isnan(light[1]));
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(gray_formula),
		CASE(gray_tables),
		CASE(three_curves_or_one),
		CASE(tables_convert_in_many_threads),
		CASE(a_profile_is_read_once_while_it_is_kept),
		CASE(many_threads_open_the_same),
		CASE(other_kinds_are_refused),
		CASE(damage_is_refused),
		CASE(a_table_that_lies_takes_no_memory),
		CASE(curves_of_h273),
		CASE(tables_beyond_their_ends),
		CASE(none_stays_none),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
