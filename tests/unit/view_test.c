/* view_test.c - views of small pictures against results written out by hand. Random views against a model of numpy and
 * Pillow are tests/property/test_views.py's. */
#include <pthread.h>

#include "view_case.h"

static const uint8_t counting[6] = {0, 1, 2, 3, 4, 5};

/* 3 x 2 pixels 0 1 2 / 3 4 5, gray, the numbers themselves. */
static void start_counting(struct case_picture *made)
{
	case_start(made, 3, 2, 1);
	case_plane(made, "Y", SAMPLE_U8, 0, counting, false);
}

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
	struct view_info info;
	case_start(&made, 3, 1, 1);
	case_plane(&made, "R", SAMPLE_U8, 255, index, false);
	made.part.palette = palette;
	made.part.npalette = 2;
	for (uint8_t c = 0; c < 4; c++)
		made.channels[c] = (struct codec_channel){(const char *[]){"R", "G", "B", "A"}[c], ORIGIN_PALETTE, c, 0};
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
	made.channels[2] = (struct codec_channel){"A", ORIGIN_KEY, 0, 0};
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
	CHECK(case_compile(&made, "ch=Z.f32", &view) == -EINVAL);
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
	struct view_info info;
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

/* ---- geometry ---- */

static void flips_and_turns(void)
{
	struct case_picture made;
	start_counting(&made);
	CHECK(case_is(&made, "mirror.f32", FLOATS(2, 1, 0, 5, 4, 3)));
	CHECK(case_is(&made, "bottomup.f32", FLOATS(3, 4, 5, 0, 1, 2)));
	CHECK(case_is(&made, "rot=90.f32", FLOATS(2, 5, 1, 4, 0, 3))); /* numpy.rot90 */
	CHECK(case_is(&made, "rot=180.f32", FLOATS(5, 4, 3, 2, 1, 0)));
	CHECK(case_is(&made, "rot=270.f32", FLOATS(3, 0, 4, 1, 5, 2)));
	CHECK(case_is(&made, "rot=90,mirror,rot=270,bottomup.f32", FLOATS(0, 1, 2, 3, 4, 5)));
	CHECK(case_is(&made, "rot=90,crop=1:0:1:2.f32", FLOATS(5, 4)));
}

/* EXIF 2.32, Orientation: the value says which sides of the scene row 0 and column 0 are. */
static void upright_of_all_orientations(void)
{
	static const float want[9][6] = {
		{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, /* 2: row 0 top, column 0 right */
		{5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},                     /* 3: bottom, right; 4: bottom, left */
		{0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},                     /* 5: left, top; 6: right, top */
		{5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3},                     /* 7: right, bottom; 8: left, bottom */
	};
	struct case_picture made;
	start_counting(&made);
	for (uint8_t orientation = 0; orientation < 9; orientation++) {
		made.header.orientation = orientation;
		CHECK(case_is(&made, "upright.f32", want[orientation], 6));
		CHECK(case_is(&made, "upright,upright.f32", want[orientation], 6));
	}
}

static void regions(void)
{
	struct case_picture made;
	struct view *view = NULL;
	start_counting(&made);
	CHECK(case_is(&made, "crop=1:1:9:9.f32", FLOATS(4, 5)));
	CHECK(case_is(&made, "crop=-1:-1:2:2.f32", FLOATS(0)));
	CHECK(case_is(&made, "square.f32", FLOATS(0, 1, 3, 4)));
	CHECK(case_compile(&made, "crop=3:0:1:1.f32", &view) == -EINVAL);
	CHECK(case_compile(&made, "crop=0:0:0:1.f32", &view) == -EINVAL);
	CHECK(case_compile(&made, "crop=-5:0:5:1.f32", &view) == -EINVAL);
}

static void display_window_pads_with_zeros(void)
{
	struct case_picture made;
	struct view *view = NULL;
	start_counting(&made);
	made.part.data_window = (struct codec_box){10, 20, 12, 21};
	made.part.display_window = (struct codec_box){11, 19, 13, 20};
	CHECK(case_is(&made, "display.f32", FLOATS(0, 0, 0, 1, 2, 0)));
	CHECK(case_is(&made, "display,rot=180.f32", FLOATS(0, 2, 1, 0, 0, 0)));
	CHECK(case_is(&made, "display,rgba,crop=2:1:1:1.f32", FLOATS(0, 0, 0, 1)));
	CHECK(case_is(&made, "rgba,display,crop=2:1:1:1.f32", FLOATS(0, 0, 0, 0)));
	made.npins = 0;
	CHECK(case_is(&made, "display,crop=0:0:3:1.f32", FLOATS(0, 0, 0)));
	CHECK(made.npins == 0);
	CHECK(case_compile(&made, "mirror,display.f32", &view) == -EINVAL);
	made.part.display_window = (struct codec_box){INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX};
	CHECK(case_compile(&made, "display.f32", &view) == -EFBIG);
	made.part.display_window = (struct codec_box){5, 5, 4, 9};
	CHECK(case_compile(&made, "display.f32", &view) == -EINVAL);
}

static void blender_is_flat(void)
{
	struct case_picture made;
	struct view_info info;
	start_counting(&made);
	CHECK(case_is(&made, "crop=0:0:1:2,blender.f32", FLOATS(3, 3, 3, 1, 0, 0, 0, 1)));
	free(case_read(&made, "blender.npy", &info));
	CHECK(info.ndim == 1 && info.shape[0] == 24);
}

static void shapes(void)
{
	static const struct {
		const char *spec;
		uint32_t ndim;
		uint64_t shape[3];
	} wants[] = {
		{"pixels.npy", 3, {2, 3, 1}},          {"chw.npy", 3, {1, 2, 3}},      {"squeeze.npy", 2, {2, 3}},
		{"rgb,chw.npy", 3, {3, 2, 3}},         {"rot=90.npy", 3, {3, 2, 1}},   {"crop=0:0:1:1,squeeze.npy", 1, {1}},
		{"size=7x5.npy", 3, {5, 7, 1}},        {"long=9.npy", 3, {6, 9, 1}},   {"short=1.npy", 3, {1, 2, 1}},
		{"fit=10x10.npy", 3, {7, 10, 1}},      {"fit=99x4.npy", 3, {4, 6, 1}}, {"rot=90,long=1.npy", 3, {1, 1, 1}},
		{"rgb,size=2x2,chw.u8", 3, {3, 2, 2}},
	};
	struct case_picture made;
	struct view *view = NULL;
	start_counting(&made);
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		CHECK(case_compile(&made, wants[i].spec, &view) == 0);
		const struct view_info *info = view_info(view);
		CHECK(info->ndim == wants[i].ndim && memcmp(info->shape, wants[i].shape, wants[i].ndim * sizeof(uint64_t)) == 0);
		view_free(view);
	}
}

/* ---- sizes ---- */

static void resizing_by_hand(void)
{
	struct case_picture made;
	start_counting(&made);
	CHECK(case_is(&made, "size=1x2.f32", FLOATS(1, 4))); /* box: the means of the rows */
	CHECK(case_is(&made, "size=3x1.f32", FLOATS(1.5f, 2.5f, 3.5f)));
	CHECK(case_is(&made, "size=3x4.f32", FLOATS(0, 1, 2, 0.75f, 1.75f, 2.75f, 2.25f, 3.25f, 4.25f, 3, 4, 5))); /* linear */
	CHECK(case_is(&made, "size=6x1,filter=nearest.f32", FLOATS(3, 3, 4, 4, 5, 5)));
	CHECK(case_is(&made, "filter=nearest,size=1x1.f32", FLOATS(4)));
	CHECK(case_is(&made, "size=3x2,filter=lanczos3.f32", FLOATS(0, 1, 2, 3, 4, 5)));
}

struct thread_job {
	const struct view *view;
	struct case_picture made; /* each thread its own source */
	float got[40 * 30];
	int rc;
};

static void *thread_read(void *argument)
{
	struct thread_job *job = argument;
	struct err err = ERR_NONE;
	job->rc = view_read(job->view, 0, sizeof job->got, job->got, &job->made.source, &err);
	return NULL;
}

static void one_view_in_many_threads(void)
{
	enum { N = 4 };
	static struct thread_job jobs[N];
	pthread_t threads[N];
	struct view *view = NULL;
	struct case_picture made;
	start_counting(&made);
	CHECK(case_compile(&made, "size=40x30,filter=lanczos3.f32", &view) == 0);
	for (int i = 0; i < N; i++) {
		start_counting(&jobs[i].made);
		jobs[i].view = view;
		CHECK(pthread_create(&threads[i], NULL, thread_read, &jobs[i]) == 0);
	}
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		CHECK(jobs[i].rc == 0 && memcmp(jobs[i].got, jobs[0].got, sizeof jobs[0].got) == 0);
	}
	view_free(view);
}

/* ---- chunks ---- */

static void only_needed_chunks_are_pinned(void)
{
	static uint8_t plane[10 * 4];
	struct case_picture made;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	unsigned char got[160];
	case_start(&made, 4, 10, 2);
	case_plane(&made, "Y", SAMPLE_U8, 255, plane, false);
	CHECK(case_compile(&made, "pixels.f32", &view) == 0);
	CHECK(view_read(view, 5 * 16 + 1, 2, got, &made.source, &err) == 0); /* inside one sample of row 5 */
	CHECK(made.npins == 1 && made.want[1] == 2 && made.want[3] == 2);
	made.npins = 0;
	CHECK(view_read(view, 3 * 16, 64, got, &made.source, &err) == 0); /* rows 3 to 6 */
	CHECK(made.npins == 3 && made.want[1] == 1 && made.want[3] == 3);
	view_free(view);
	CHECK(case_compile(&made, "bottomup.f32", &view) == 0);
	made.npins = 0;
	CHECK(view_read(view, 0, 16, got, &made.source, &err) == 0);
	CHECK(made.npins == 1 && made.want[1] == 4 && made.want[3] == 4);
	view_free(view);
	CHECK(case_compile(&made, "size=4x5.f32", &view) == 0);
	made.npins = 0;
	CHECK(view_read(view, 0, 16, got, &made.source, &err) == 0);
	CHECK(made.npins == 1 && made.want[1] == 0 && made.want[3] == 0);
	view_free(view);
}

static void errors_of_chunks_are_returned(void)
{
	static const char *const specs[] = {"pixels.f32", "gray,u8.npy", "rgb,size=9x9.f32",
					    "rot=90.f32", "pixels.png",  "chw,rgb.tif"};
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
		for (int fail = 0; fail < 2; fail++) {
			struct case_picture made;
			struct view *view = NULL;
			struct err err = ERR_NONE;
			start_counting(&made);
			made.fail_after = fail;
			CHECK(case_compile(&made, specs[i], &view) == 0);
			unsigned char *bytes = malloc(view_info(view)->nbytes);
			CHECK(view_read(view, 0, view_info(view)->nbytes, bytes, &made.source, &err) == -EIO);
			CHECK(strcmp(err.text, "the chunk is damaged") == 0 && made.pinned == 0);
			free(bytes);
			view_free(view);
		}
}

/* ---- containers ---- */

static uint64_t little(const unsigned char *at, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

/* BigTIFF: version 43, 8-byte offsets, one strip of width x height x 12 bytes right behind the header. */
static void tiff_over_4_gib(void)
{
	struct case_picture made;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	unsigned char header[1024];
	start_counting(&made);
	CHECK(case_compile(&made, "rgb,size=40000x40000.tif", &view) == 0);
	size_t len = view_info(view)->header_bytes;
	CHECK(len < sizeof header && view_info(view)->nbytes == len + 19200000000u);
	CHECK(view_read(view, 0, len, header, &made.source, &err) == 0);
	CHECK(memcmp(header, "II\x2b\0\x08\0\0\0", 8) == 0 && little(header + 8, 8) == 16);
	uint64_t entries = little(header + 16, 8), seen = 0;
	for (uint64_t i = 0; i < entries && i < 20; i++) {
		const unsigned char *entry = header + 24 + 20 * i;
		uint64_t tag = little(entry, 2), value = little(entry + 12, 8);
		bool right = (tag == 256 && value == 40000) || (tag == 273 && value == len) || (tag == 279 && value == 19200000000u);
		seen += right;
	}
	CHECK(seen == 3);
	view_free(view);
	CHECK(case_compile(&made, "rgb,size=10000x10000.tif", &view) == 0);
	CHECK(view_read(view, 0, 8, header, &made.source, &err) == 0 && memcmp(header, "II\x2a\0\x08\0\0\0", 8) == 0);
	view_free(view);
}

/* The end of the stream, with the sum over all, is read before anything else. */
static void png_from_its_end(void)
{
	struct case_picture made;
	struct view_info info;
	struct view *view = NULL;
	struct err err = ERR_NONE;
	start_counting(&made);
	unsigned char *whole = case_read(&made, "size=300x900,filter=nearest.png", &info);
	unsigned char *pieces = malloc(info.nbytes);
	CHECK(case_compile(&made, "size=300x900,filter=nearest.png", &view) == 0);
	for (uint64_t end = info.nbytes; end > 0;) {
		uint64_t start = end > 7001 ? end - 7001 : 0;
		CHECK(view_read(view, start, (size_t)(end - start), pieces + start, &made.source, &err) == 0);
		end = start;
	}
	CHECK(whole && memcmp(whole, pieces, info.nbytes) == 0);
	free(pieces);
	free(whole);
	view_free(view);
}

static void json_tells_the_view(void)
{
	struct case_picture made;
	struct view_info info;
	start_counting(&made);
	unsigned char *text = case_read(&made, "chw,rgb,u8.json", &info);
	CHECK(text && info.header_bytes == info.nbytes);
	if (text)
		text[info.nbytes] = 0;
	CHECK(text && strstr((char *)text, "\"rgb,chw,u8\"") && strstr((char *)text, "\"cyx\"") && strstr((char *)text, "\"|u1\""));
	free(text);
}

/* ---- refusals and lists ---- */

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
		{"flips_and_turns", flips_and_turns},
		{"upright_of_all_orientations", upright_of_all_orientations},
		{"regions", regions},
		{"display_window_pads_with_zeros", display_window_pads_with_zeros},
		{"blender_is_flat", blender_is_flat},
		{"shapes", shapes},
		{"resizing_by_hand", resizing_by_hand},
		{"one_view_in_many_threads", one_view_in_many_threads},
		{"only_needed_chunks_are_pinned", only_needed_chunks_are_pinned},
		{"errors_of_chunks_are_returned", errors_of_chunks_are_returned},
		{"tiff_over_4_gib", tiff_over_4_gib},
		{"png_from_its_end", png_from_its_end},
		{"json_tells_the_view", json_tells_the_view},
		{"refusals", refusals},
		{"long_specs", long_specs},
		{"lists", lists},
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
