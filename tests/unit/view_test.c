/* view_test.c - views of small pictures against results written out by hand: values, channels, refusals. Random views
 * against a model of numpy and Pillow are tests/property/test_views.py's. */
#include "view_case.h"

/* ---- values ---- */

static void integers_are_divided(void)
{
	static const uint8_t r[2] = {255, 51}, g[2] = {0, 1}, b[2] = {254, 128};
	struct case_picture made;
	case_start(&made, 2, 1, 1);
	case_plane(&made, "R", SAMPLE_U8, 255, r, false);
	case_plane(&made, "G", SAMPLE_U8, 255, g, false);
	case_plane(&made, "B", SAMPLE_U8, 255, b, false);
	CHECK(case_is(&made, "pixels.f32", FLOATS(1, 0, 254.0f / 255.0f, 51.0f / 255.0f, 1.0f / 255.0f, 128.0f / 255.0f)));
	CHECK(case_is(&made, "bgr,chw.f32", FLOATS(254.0f / 255.0f, 128.0f / 255.0f, 0, 1.0f / 255.0f, 1, 51.0f / 255.0f)));
	CHECK(case_is(&made, "a.f32", FLOATS(1, 1)));
	CHECK(case_is(&made, "crop=0:0:1:1,ch=G+A+R.f32", FLOATS(0, 1, 1)));
	CHECK(case_is(&made, "crop=0:0:1:1,gray.f32", FLOATS((0.2126f * 1.0f + 0.7152f * 0.0f) + 0.0722f * (254.0f / 255.0f))));
}

static void palette_is_expanded(void)
{
	static const uint8_t index[3] = {1, 0, 1};
	static uint8_t palette[2][4] = {{255, 0, 51, 255}, {0, 255, 102, 0}};
	struct case_picture made;
	struct view_info info = {0};
	case_start(&made, 3, 1, 1);
	case_plane(&made, "R", SAMPLE_U8, 255, index, false);
	made.part.palette = palette;
	made.part.npalette = 2;
	for (uint8_t c = 0; c < 4; c++)
		made.channels[c] = (struct codec_channel){
			.name = (const char *[]){"R", "G", "B", "A"}[c], .origin = ORIGIN_PALETTE, .component = c};
	made.part.nchannels = made.picture.nchannels = 4;
	for (uint16_t c = 0; c < 4; c++)
		made.shown[c] = c;
	CHECK(case_is(&made, "crop=0:0:2:1.f32", FLOATS(0, 1, 102.0f / 255.0f, 0, 1, 0, 51.0f / 255.0f, 1)));
	unsigned char *bytes = case_read(&made, "native.npy", &info);
	CHECK(bytes && info.dtype == SAMPLE_U8 && info.nbytes == 131 && memcmp(bytes + 128, index, 3) == 0);
	CHECK(info.ndim == 3 && info.shape[0] == 1 && info.shape[1] == 3 && info.shape[2] == 1);
	free(bytes);
}

/* A pixel is transparent where all its samples are the key, compared before they are divided. */
static void key_makes_alpha(void)
{
	static const uint16_t r[3] = {7, 7, 65535}, g[3] = {9, 8, 9};
	struct case_picture made;
	struct view *view = NULL;
	case_start(&made, 3, 1, 1);
	case_plane(&made, "R", SAMPLE_U16, 65535, r, false);
	case_plane(&made, "G", SAMPLE_U16, 65535, g, false);
	made.part.key[0] = 7;
	made.part.key[1] = 9;
	made.channels[2] = (struct codec_channel){.name = "A", .origin = ORIGIN_KEY};
	made.part.nchannels = 3;
	made.shown[made.picture.nchannels++] = 2;
	CHECK(case_is(&made, "a.f32", FLOATS(0, 1, 1)));
	CHECK(case_is(&made, "a,mirror.f32", FLOATS(1, 1, 0)));
	CHECK(case_compile(&made, "native,a.npy", &view) == -EINVAL);
}

static void floats_keep_bits(void)
{
	static const uint32_t z[4] = {0x7f800001, 0xffc12345, 0x80000000, 0x00000001};
	struct case_picture made;
	float want[4];
	case_start(&made, 4, 1, 1);
	case_plane(&made, "Z", SAMPLE_F32, 0, z, false);
	memcpy(want, z, sizeof want);
	CHECK(case_is(&made, "pixels.f32", want, 4));
	CHECK(case_is(&made, "rot=180,mirror,chw.f32", want, 4));
	CHECK(case_is(&made, "native.f32", want, 4));
}

static void alpha_operations(void)
{
	static const float c[2] = {0.5f, 0.75f}, a[2] = {0.25f, 0.0f};
	struct case_picture made;
	case_start(&made, 2, 1, 1);
	case_plane(&made, "Y", SAMPLE_F32, 0, c, false);
	case_plane(&made, "A", SAMPLE_F32, 0, a, false);
	CHECK(case_is(&made, "premul.f32", FLOATS(0.125f, 0.25f, 0, 0)));
	CHECK(case_is(&made, "straight.f32", FLOATS(0.5f, 0.25f, 0.75f, 0)));
	CHECK(case_is(&made, "opaque.f32", FLOATS(0.5f, 0.75f)));
	CHECK(case_is(&made, "over=1:1:1.f32", FLOATS(0.5f * 0.25f + 0.75f, 1)));
	CHECK(case_is(&made, "over=1:0:.5,crop=0:0:1:1.f32", FLOATS(0.875f, 0.125f, 0.5f * 0.25f + 0.5f * 0.75f)));
	CHECK(case_is(&made, "premul,premul,straight.f32", FLOATS(0.5f, 0.25f, 0, 0)));
	made.part.alpha = ALPHA_PREMULTIPLIED;
	CHECK(case_is(&made, "premul.f32", FLOATS(0.5f, 0.25f, 0.75f, 0)));
	CHECK(case_is(&made, "straight.f32", FLOATS(2, 0.25f, 0.75f, 0)));
	CHECK(case_is(&made, "over=1:1:1.f32", FLOATS(1.25f, 1.75f)));
}

/* IEC 61966-2-1: 0.5 decodes to 0.214041140482..., 0.02 to 0.02 / 12.92. */
static void transfer_curves(void)
{
	static const float v[4] = {0.5f, -0.5f, 0.02f, 1.0f}, a[4] = {0.5f, 0.5f, 0.5f, 0.5f};
	const float linear[4] = {0.21404114048223255f, -0.21404114048223255f, (float)((double)0.02f / 12.92), 1.0f};
	struct case_picture made;
	struct view *view = NULL;
	case_start(&made, 4, 1, 1);
	case_plane(&made, "Y", SAMPLE_F32, 0, v, false);
	CHECK(case_is(&made, "linear.f32", linear, 4));
	CHECK(case_is(&made, "srgb.f32", v, 4));
	CHECK(case_is(&made, "assume=lin_rec709_scene,linear.f32", v, 4));
	CHECK(case_is(&made, "assume=g22_rec709_scene,linear,crop=0:0:1:1.f32", FLOATS(0.21763764082403103f)));
	CHECK(case_is(&made, "assume=lin_rec709_scene,srgb,crop=0:0:1:1.f32", FLOATS(0.7353569830524495f)));
	case_plane(&made, "A", SAMPLE_F32, 0, a, false);
	CHECK(case_is(&made, "linear,a.f32", a, 4));
	made.part.color.transfer = made.part.color.interop_id = "unknown";
	CHECK(case_compile(&made, "linear.f32", &view) == -EINVAL);
	made.part.color.transfer = "icc";
	CHECK(case_compile(&made, "srgb.f32", &view) == -EINVAL);
}

static void inks(void)
{
	static const uint8_t c[1] = {255}, m[1] = {0}, y[1] = {51}, k[1] = {102};
	static const int64_t yes = 1;
	struct codec_attribute inverted = {
		.group = "jpeg", .name = "adobe_inverted", .type = ATTRIBUTE_BOOL, .count = 1, .ints = &yes};
	struct case_picture made;
	struct view *view = NULL;
	case_start(&made, 1, 1, 1);
	case_plane(&made, "C", SAMPLE_U8, 255, c, false);
	case_plane(&made, "M", SAMPLE_U8, 255, m, false);
	case_plane(&made, "Y", SAMPLE_U8, 255, y, false);
	case_plane(&made, "K", SAMPLE_U8, 255, k, false);
	float fy = 51.0f / 255.0f, fk = 102.0f / 255.0f;
	CHECK(case_is(&made, "pixels.f32", FLOATS(1, 0, fy, fk)));
	CHECK(case_is(&made, "rgb.f32", FLOATS(0, 1.0f - fk, (1.0f - fy) * (1.0f - fk))));
	made.part.attributes = &inverted;
	made.part.nattributes = 1;
	CHECK(case_is(&made, "rgb.f32", FLOATS(fk, 0, fy * fk)));
	CHECK(case_compile(&made, "linear.f32", &view) == -EINVAL);
	CHECK(case_compile(&made, "native,rgb.npy", &view) == -EINVAL);
}

/* ---- channels ---- */

static void roles_lie_in_one_layer(void)
{
	static const float v[4] = {1, 2, 3, 4};
	struct case_picture made;
	struct view *view = NULL;
	case_start(&made, 1, 1, 1);
	case_plane(&made, "b.B", SAMPLE_F32, 0, &v[0], false);
	case_plane(&made, "b.G", SAMPLE_F32, 0, &v[1], false);
	case_plane(&made, "b.R", SAMPLE_F32, 0, &v[2], false);
	case_plane(&made, "depth.Z", SAMPLE_F32, 0, &v[3], true);
	CHECK(case_is(&made, "rgba.f32", FLOATS(3, 2, 1, 1)));
	CHECK(case_is(&made, "ch=depth.Z+R+b.B.f32", FLOATS(4, 3, 1)));
	CHECK(case_is(&made, "ch=depth%2eZ.f32", FLOATS(4)));
	CHECK(case_is(&made, "ch=Z.f32", FLOATS(4)));
	CHECK(case_compile(&made, "rgb,ch=depth.Z.f32", &view) == -EINVAL);
	made.channels[0].name = "c.B";
	CHECK(case_compile(&made, "rgb.f32", &view) == -EINVAL);
}

static void subsampled_planes(void)
{
	static const float y[8] = {1, 2, 3, 4, 5, 6, 7, 8}, by[2] = {10, 20};
	struct case_picture made;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	float got[2];
	case_start(&made, 4, 2, 1); /* the second row's chunk holds no sample of BY */
	case_plane(&made, "BY", SAMPLE_F32, 0, by, false);
	case_plane(&made, "Y", SAMPLE_F32, 0, y, false);
	made.planes[0].xsampling = made.planes[0].ysampling = 2;
	CHECK(case_is(&made, "ch=BY.f32", FLOATS(10, 10, 20, 20, 10, 10, 20, 20)));
	CHECK(case_is(&made, "ch=BY,rot=90.f32", FLOATS(20, 20, 20, 20, 10, 10, 10, 10)));
	CHECK(case_is(&made, "native,ch=BY.f32", FLOATS(10, 20)));
	CHECK(case_compile(&made, "native.npy", &view) == -EINVAL);
	CHECK(view_compile_channel(&made.picture, 0, 0, &view, &err) == 0);
	CHECK(view_info(view)->ndim == 2 && view_info(view)->shape[0] == 1 && view_info(view)->shape[1] == 2);
	CHECK(view_read(view, 0, 8, got, &made.source, &err) == 0 && got[0] == 10 && got[1] == 20);
	view_free(view);
	CHECK(view_compile_channel(&made.picture, 2, 0, &view, NULL) == -ENOENT);
}

static void native_is_of_one_type(void)
{
	static const float r[1] = {1};
	static const uint16_t g[1] = {0x3c01};
	struct case_picture made;
	struct view *view = NULL;
	struct view_info info = {0};
	case_start(&made, 1, 1, 1);
	case_plane(&made, "R", SAMPLE_F32, 0, r, false);
	case_plane(&made, "G", SAMPLE_F16, 0, g, false);
	CHECK(case_compile(&made, "native.npy", &view) == -EINVAL);
	unsigned char *bytes = case_read(&made, "native,ch=G.f16", &info);
	CHECK(bytes && info.nbytes == 2 && bytes[0] == 0x01 && bytes[1] == 0x3c);
	free(bytes);
	CHECK(case_compile(&made, "native,ch=G.f32", &view) == -EINVAL);
	CHECK(case_compile(&made, "native,linear.npy", &view) == -EINVAL);
	CHECK(case_compile(&made, "rgb,native.npy", &view) == -EINVAL);
}

/* ---- refusals and lists ---- */

/* Interleaved samples, three rows a chunk. */
static const uint8_t pixels_in_place[7][5][3] = {
	{{1, 2, 3}, {4, 5, 6}}, {{7}}, {{8}}, {{9, 10}}, {{11}}, {{12}}, {{0}, {0}, {0}, {0}, {13, 14, 15}}};

static int pin_in_place(void *context, uint32_t cx, uint32_t cy, const void **ret_samples, struct err *err)
{
	(void)cx, (void)err;
	((struct case_picture *)context)->pinned++;
	*ret_samples = pixels_in_place[3 * cy];
	return 0;
}

static void unpin_in_place(void *context, uint32_t cx, uint32_t cy)
{
	(void)cx, (void)cy;
	((struct case_picture *)context)->pinned--;
}

/* What view_find finds from each place on is what view_read writes there. */
static void judge_found(struct case_picture *made, const char *spec)
{
	struct view *view;
	struct err err = ERR_NONE;
	unsigned char read[512];
	CHECK(case_compile(made, spec, &view) == 0);
	const struct view_info *info = view_info(view);
	CHECK(info->in_place && info->nbytes <= sizeof read && view_read(view, 0, info->nbytes, read, &made->source, &err) == 0);
	for (uint64_t offset = 0; offset < info->nbytes; offset++)
		for (size_t len = 1; len <= info->nbytes - offset; len += 13) {
			const void *at = NULL;
			uint32_t cy = 99;
			ssize_t n = view_find(view, offset, len, &made->source, &at, &cy, &err);
			CHECK(offset < info->header_bytes ? n == 0 : n > 0 && (size_t)n <= len);
			CHECK(n <= 0 || memcmp(at, read + offset, (size_t)n) == 0);
			CHECK(made->pinned == (n > 0));
			if (n > 0)
				unpin_in_place(made, 0, cy);
		}
	view_free(view);
}

static void samples_are_found_in_place(void)
{
	static const char *const others[] = {"pixels.f32",   "native,rot=180.npy",      "native,chw.npy", "native,bgr.npy",
					     "native,r.npy", "native,crop=0:0:5:6.npy", "native.json"};
	struct case_picture made;
	case_start(&made, 5, 7, 3);
	for (unsigned p = 0; p < 3; p++)
		case_plane(&made, (const char *[]){"R", "G", "B"}[p], SAMPLE_U8, 255, NULL, false);
	made.part.interleaved = true;
	made.source.pin = pin_in_place;
	made.source.unpin = unpin_in_place;
	judge_found(&made, "native.npy");
	judge_found(&made, "u8.npy");
	judge_found(&made, "native.tif");
	for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
		struct view *view = NULL;
		CHECK(case_compile(&made, others[i], &view) == 0 && !view_info(view)->in_place);
		view_free(view);
	}
}

static void refusals(void)
{
	static const struct {
		int code;
		const char *spec;
	} wants[] = {
		{-ENOENT, "pixels"},
		{-ENOENT, ""},
		{-ENOENT, "pixels.jpg"},
		{-ENOENT, "zoom.f32"},
		{-ENOENT, "Pixels.f32"},
		{-ENOENT, "README.txt"},
		{-ENOENT, ".DS_Store"},
		{-EINVAL, ".f32"},
		{-EINVAL, "rgb,.f32"},
		{-EINVAL, ",rgb.f32"},
		{-EINVAL, "rgb=1.f32"},
		{-EINVAL, "crop.f32"},
		{-EINVAL, "crop=.f32"},
		{-EINVAL, "crop=1:2:3.f32"},
		{-EINVAL, "crop=1:2:3:4:5.f32"},
		{-EINVAL, "crop=1:2:3:x.f32"},
		{-EINVAL, "rot=45.f32"},
		{-EINVAL, "size=3.f32"},
		{-EINVAL, "size=0x3.f32"},
		{-EFBIG, "size=65536x65536.f32"},
		{-EFBIG, "size=99999999999999999999x1.f32"},
		{-EFBIG, "long=4294967295.f32"},
		{-EINVAL, "size=3x3,size=4x4.f32"},
		{-EINVAL, "filter=box.f32"},
		{-EINVAL, "size=3x3,filter=sinc.f32"},
		{-EINVAL, "u8.f32"},
		{-EINVAL, "u8,f16.npy"},
		{-EINVAL, "u8,srgb.npy"},
		{-EINVAL, "native,u8.npy"},
		{-EINVAL, "native.f16"},
		{-EINVAL, "blender,chw.f32"},
		{-EINVAL, "norm=imagenet.f32"},
		{-EINVAL, "rgb,norm=none.f32"},
		{-EINVAL, "assume=nothing.f32"},
		{-EINVAL, "over=1:1.f32"},
		{-EINVAL, "over=1:1:nan.f32"},
		{-EINVAL, "ch=Q.f32"},
		{-EINVAL, "ch=+.f32"},
		{-EINVAL, "chw.png"},
		{-EINVAL, "f32.png"},
	};
	struct case_picture made;
	struct view *view = NULL;
	start_counting(&made);
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++)
		CHECK(case_compile(&made, wants[i].spec, &view) == wants[i].code);
}

static void long_specs(void)
{
	char spec[300];
	struct case_picture made;
	struct view *view = NULL;
	start_counting(&made);
	for (size_t i = 0; i < 251; i += 2)
		memcpy(spec + i, "r,", 2);
	strcpy(spec + 251, ".f32"); /* 255 bytes */
	CHECK(strlen(spec) == 255);
	CHECK(case_compile(&made, spec, &view) == 0);
	view_free(view);
	strcpy(spec + 250, "rr.f32");
	memcpy(spec + 249, ",", 1);
	CHECK(strlen(spec) == 256 && case_compile(&made, spec, &view) == -EINVAL);
	size_t at = 0;
	while (at < 240) /* each pair of operations is two stages */
		at += (size_t)sprintf(spec + at, "a,rot=90,");
	strcpy(spec + at, "r.f32");
	int rc = case_compile(&made, spec, &view);
	CHECK(rc == 0 || rc == -EINVAL);
	if (rc == 0)
		view_free(view);
}

static void lists(void)
{
	static const uint8_t one[1] = {1};
	const char *names[32];
	struct case_picture made;
	start_counting(&made);
	view_list(&made.picture, names, 32);
	static const char *const gray[] = {"gray.f32", "rgb.f32", "rgba.f32", "chw.f32", "linear.f32", "blender.f32"};
	for (size_t i = 0; i < 6; i++)
		CHECK(names[i] && strcmp(names[i], gray[i]) == 0);
	CHECK(names[6] == NULL);
	case_start(&made, 1, 1, 1);
	for (int i = 0; i < 4; i++)
		case_plane(&made, (const char *[]){"R", "G", "B", "A"}[i], SAMPLE_U8, 255, one, false);
	made.part.alpha = ALPHA_UNKNOWN;
	made.header.orientation = 6;
	view_list(&made.picture, names, 32);
	size_t n = 0;
	for (struct view *view; names[n]; n++) {
		CHECK(case_compile(&made, names[n], &view) == 0);
		view_free(view);
	}
	CHECK(n == 13);
	view_list(&made.picture, names, 3);
	CHECK(names[1] && !names[2]);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"integers_are_divided", integers_are_divided},
		{"palette_is_expanded", palette_is_expanded},
		{"key_makes_alpha", key_makes_alpha},
		{"floats_keep_bits", floats_keep_bits},
		{"alpha_operations", alpha_operations},
		{"transfer_curves", transfer_curves},
		{"inks", inks},
		{"roles_lie_in_one_layer", roles_lie_in_one_layer},
		{"subsampled_planes", subsampled_planes},
		{"native_is_of_one_type", native_is_of_one_type},
		{"samples_are_found_in_place", samples_are_found_in_place},
		{"refusals", refusals},
		{"long_specs", long_specs},
		{"lists", lists},
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
