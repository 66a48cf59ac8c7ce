/* view_geometry_test.c - views of small pictures against results written out by hand: regions, turns, sizes, which chunks
 * they need, and the containers. */
#include <pthread.h>

#include "view_case.h"

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
	struct view_info info = {0};
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
		bool right =
			(tag == 256 && value == 40000) || (tag == 273 && value == len) || (tag == 279 && value == 19200000000u);
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
	struct view_info info = {0};
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
	struct view_info info = {0};
	start_counting(&made);
	unsigned char *text = case_read(&made, "chw,rgb,u8.json", &info);
	CHECK(text && info.header_bytes == info.nbytes);
	if (text)
		text[info.nbytes] = 0;
	CHECK(text && strstr((char *)text, "\"rgb,chw,u8\"") && strstr((char *)text, "\"cyx\"") && strstr((char *)text, "\"|u1\""));
	free(text);
}

int main(void)
{
	static const struct test_case cases[] = {
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
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
