/* png_ahead_test.c - helpers that inflate ahead change nothing but the time: samples, damage, ends. */
#include "png_case.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "codecs/core/helpers.h"

enum { WIDTH = 900, HEIGHT = 1200, ROW_BYTES = 3 * WIDTH };

/* ---- helpers: a thread for each; every `refuse`th start is refused, every `want`th block their thread is wanted ---- */

static atomic_uint nstarts, nasked, nrunning, ndone, refuse, want;

struct job {
	void (*run)(void *context);
	void *context;
};

static void *job_main(void *job)
{
	struct job own = *(struct job *)job;
	free(job);
	own.run(own.context);
	atomic_fetch_add(&ndone, 1);
	atomic_fetch_sub(&nrunning, 1);
	return NULL;
}

static bool start_thread(void (*run)(void *context), void *context)
{
	unsigned number = atomic_fetch_add(&nstarts, 1);
	if (refuse && number % refuse == 0)
		return false;
	struct job *job = malloc(sizeof *job);
	pthread_t thread;
	if (!job)
		abort();
	*job = (struct job){run, context};
	atomic_fetch_add(&nrunning, 1);
	if (pthread_create(&thread, NULL, job_main, job))
		abort();
	pthread_detach(thread);
	return true;
}

static bool are_wanted(void)
{
	return want && atomic_fetch_add(&nasked, 1) % want == want - 1;
}

static const struct codec_helpers threads = {start_thread, are_wanted};

static void lend(unsigned refuse_one_in, unsigned want_one_in)
{
	nstarts = nasked = ndone = 0;
	refuse = refuse_one_in;
	want = want_one_in;
	codec_lend_helpers(&threads);
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Threads leave after their context was let go: they have to be gone before the counters are looked at. */
static void wait_for_all(void)
{
	for (int i = 0; i < 2000 && nrunning; i++)
		nap(1);
	CHECK(nrunning == 0);
}

static void build_large(void)
{
	start(WIDTH, HEIGHT, 8, 2, 0);
	put_idats(8192);
	put_iend();
}

/* ---- tests ---- */

/* How many bands are right, one after the other; their code, 0 where all are. */
static int read_bands(struct result *r, long nap_ms, uint32_t *ret_good, struct err *err)
{
	const struct codec_level *level = r->part->levels;
	uint8_t *band = malloc((size_t)ROW_BYTES * level->chunk_height);
	struct codec_cursor *cursor = NULL;
	int rc = 0;
	*ret_good = 0;
	for (uint32_t cy = 0; cy < level->nchunks_y && rc == 0; cy++) {
		uint32_t y0 = cy * level->chunk_height, left = HEIGHT - y0;
		uint32_t n = (left < level->chunk_height ? left : level->chunk_height) * WIDTH * 3, same = 0;
		rc = codec_png.decode(r->image, &cursor, 0, 0, 0, cy, band, err);
		for (uint32_t i = 0; rc == 0 && i < n; i++)
			same += band[i] == sample_at(i / 3 % WIDTH, y0 + i / ROW_BYTES, i % 3);
		*ret_good += rc == 0 && same == n;
		if (nap_ms)
			nap(nap_ms);
	}
	codec_png.cursor_free(cursor);
	free(band);
	return rc;
}

static void samples_are_the_same(void)
{
	static const unsigned chances[][2] = {{0, 0}, {2, 0}, {0, 3}, {3, 2}, {0, 1}};
	build_large();
	for (size_t i = 0; i < sizeof chances / sizeof *chances; i++) {
		uint32_t good;
		lend(chances[i][0], chances[i][1]);
		struct result r = open_built();
		CHECK(read_bands(&r, 0, &good, NULL) == 0 && good == r.part->levels->nchunks_y);
		result_free(&r);
		wait_for_all();
		CHECK(ndone > 0);
	}
	codec_lend_helpers(NULL);
}

/* One that finds the ring full goes home; the next one goes on. */
static void nobody_waits_for_a_slow_reader(void)
{
	uint32_t good;
	build_large();
	lend(0, 0);
	struct result r = open_built();
	CHECK(read_bands(&r, 20, &good, NULL) == 0 && good == r.part->levels->nchunks_y);
	wait_for_all();
	CHECK(ndone > 1);
	result_free(&r);
	codec_lend_helpers(NULL);
}

static void damage_is_told_as_without_helpers(void)
{
	for (int cut = 1; cut < 8; cut++) {
		uint32_t good[2];
		struct err err[2] = {ERR_NONE, ERR_NONE};
		build_large();
		build.data[build.len * (size_t)cut / 8] ^= 0x10;
		for (int helped = 0; helped < 2; helped++) {
			lend(0, 0);
			if (!helped)
				codec_lend_helpers(NULL);
			struct result r = open_built();
			CHECK(r.open_code == 0 && read_bands(&r, 0, &good[helped], &err[helped]) == -EIO);
			result_free(&r);
		}
		CHECK(good[0] == good[1] && strcmp(err[0].text, err[1].text) == 0);
		wait_for_all();
	}
	codec_lend_helpers(NULL);
}

static void a_cursor_ends_while_it_is_helped(void)
{
	build_large();
	for (int i = 0; i < 20; i++) {
		struct codec_cursor *cursor = NULL;
		lend(0, 0);
		struct result r = open_built();
		uint8_t *band = malloc((size_t)ROW_BYTES * r.part->levels->chunk_height);
		CHECK(codec_png.decode(r.image, &cursor, 0, 0, 0, 0, band, NULL) == 0);
		if (i % 4 == 0)
			nap(5);
		codec_png.cursor_free(cursor);
		free(band);
		result_free(&r);
	}
	wait_for_all();
	codec_lend_helpers(NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		{"samples are the same", samples_are_the_same},
		{"nobody waits for a slow reader", nobody_waits_for_a_slow_reader},
		{"damage is told as without helpers", damage_is_told_as_without_helpers},
		{"a cursor ends while it is helped", a_cursor_ends_while_it_is_helped},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
