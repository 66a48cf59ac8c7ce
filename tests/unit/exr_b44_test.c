/* exr_b44_test.c - B44 data of any blocks, against the OpenEXR C++ library. */
#include "exr_case.h"

#include "codecs/exr/exr_imf.h"

static uint32_t state = 1;

static uint32_t any(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)state * n >> 32);
}

/* Where a file of one chunk has its data. */
static struct {
	size_t start, len, unpacked;
} chunk;

static void put_block(void)
{
	uint8_t block[14];
	for (unsigned i = 0; i < sizeof block; i++)
		block[i] = (uint8_t)any(256);
	bool flat = any(4) == 0;
	block[2] = (uint8_t)((flat ? 13 + any(51) : any(13)) << 2 | any(4));
	put(block, flat ? 3 : 14);
}

/* One chunk of blocks that no encoder might make. */
static void build_any(const struct spec *spec)
{
	start_file(spec, 1);
	set_offset(0, build.len);
	put32((uint32_t)spec->y);
	put32(0);
	chunk.start = build.len;
	chunk.unpacked = 0;
	for (const struct channel *c = spec->channels; c->name; c++) {
		uint32_t columns = spec->width / c->xsampling, rows = spec->height / c->ysampling;
		size_t bytes = (size_t)columns * rows * (c->type == HALF ? 2 : 4);
		chunk.unpacked += bytes;
		for (size_t i = 0; c->type != HALF && i < bytes; i++)
			put(&(uint8_t){(uint8_t)any(256)}, 1);
		for (uint32_t i = 0; c->type == HALF && i < (columns + 3) / 4 * ((rows + 3) / 4); i++)
			put_block();
	}
}

static void end_chunk(void)
{
	chunk.len = build.len - chunk.start;
	uint32_t len = (uint32_t)chunk.len;
	memcpy(build.data + chunk.start - 4, &len, 4);
}

/* By the library: into planes behind each other, as the codec's are but for gaps. */
static int decode_by_library(const struct codec_part *part, const struct codec_plane_layout *planes, uint8_t *dst, struct err *err)
{
	static const int types[] = {[SAMPLE_U32] = 0, [SAMPLE_F16] = 1, [SAMPLE_F32] = 2};
	const struct spec *spec = build.specs;
	struct exr_imf_slice slices[8];
	for (uint32_t i = 0; i < part->nplanes; i++) {
		const struct channel *c = &spec->channels[i];
		size_t size = planes[i].step_bytes, row_bytes = planes[i].row_bytes;
		uintptr_t base = (uintptr_t)dst + planes[i].offset - (size_t)(spec->y / (int32_t)c->ysampling) * row_bytes -
				 (size_t)(spec->x / (int32_t)c->xsampling) * size;
		slices[i] = (struct exr_imf_slice){c->name,   types[part->planes[i].type], (char *)base,     size,
						   row_bytes, (int)c->xsampling,           (int)c->ysampling};
	}
	return exr_imf_decode(build.data, build.len, 0, spec->y, spec->y + (int32_t)spec->height - 1, slices, part->nplanes, err);
}

/* 1 where both give the same samples, 0 where both refuse. */
static int agree(void)
{
	struct result r = open_built();
	struct codec_plane_layout planes[8];
	struct codec_chunk_layout layout;
	struct err err = ERR_NONE, theirs = ERR_NONE;
	CHECK(r.open_code == 0);
	if (r.open_code)
		return -1;
	codec_chunk_layout(r.part, 0, 0, 0, &layout, planes);
	uint8_t *dst = calloc(1, (size_t)layout.len_bytes), *judge = calloc(1, (size_t)layout.len_bytes);
	int rc = codec_exr.decode(r.image, NULL, 0, 0, 0, 0, dst, &err),
	    library = decode_by_library(r.part, planes, judge, &theirs);
	CHECK((rc == 0) == (library == 0));
	CHECK(rc == 0 || (rc == -EIO && err.text[0]));
	CHECK(rc || memcmp(dst, judge, (size_t)layout.len_bytes) == 0);
	free(dst);
	free(judge);
	result_free(&r);
	return rc == 0;
}

static struct spec any_spec(uint8_t compression)
{
	struct spec spec = {.x = 2 * (int32_t)any(9) - 8, .y = 2 * (int32_t)any(9) - 8, .compression = compression};
	uint32_t kind = any(4);
	spec.width = 2 + 2 * any(40) + (kind < 2 ? any(2) : 0);
	spec.height = 2 + 2 * any(15) + (kind < 2 ? any(2) : 0);
	spec.channels[0] = (struct channel){"A", HALF, 1, 1};
	spec.channels[1] = kind < 2 ? (struct channel){"B", kind ? FLOAT : HALF, 1, 1} : (struct channel){"B", HALF, 2, 2};
	spec.channels[2] = kind == 3 ? (struct channel){"C", UINT, 1, 1} : (struct channel){"C", HALF, 1, 1};
	return spec;
}

static void any_blocks(void)
{
	unsigned ncompared = 0;
	for (unsigned i = 0; i < 400; i++) {
		struct spec spec = any_spec(i % 2 ? B44 : B44A);
		build_any(&spec);
		end_chunk();
		if (chunk.len < chunk.unpacked)
			ncompared += agree() == 1;
	}
	CHECK(ncompared > 300);
}

/* The library's table of logarithms. */
static void plinear_is_heeded(void)
{
	struct spec spec = {.width = 64, .height = 32, .compression = B44, .channels = {{"Y", HALF, 1, 1}}};
	static const uint8_t channel[] = {'Y', 0, HALF, 0, 0, 0, 0};
	build_any(&spec);
	end_chunk();
	uint8_t *at = memmem(build.data, build.len, channel, sizeof channel);
	CHECK(at && agree() == 1);
	if (at)
		at[6] = 1;
	CHECK(agree() == 1);
}

static void wrong_lengths_are_found(void)
{
	struct spec spec = {.width = 20, .height = 12, .compression = B44, .channels = {{"Y", HALF, 1, 1}}};
	for (unsigned cut = 1; cut < 30; cut++) {
		build_any(&spec);
		build.len -= cut;
		end_chunk();
		CHECK(agree() == 0);
	}
	for (unsigned more = 1; more < 28; more++) {
		build_any(&spec);
		put("0123456789012345678901234567", more);
		end_chunk();
		CHECK(agree() == 0);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		{"any_blocks", any_blocks},
		{"plinear_is_heeded", plinear_is_heeded},
		{"wrong_lengths_are_found", wrong_lengths_are_found},
	};
	int rc = run_cases(cases, sizeof cases / sizeof *cases);
	free(build.data);
	return rc;
}
