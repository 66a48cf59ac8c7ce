/* view_plan.h - the inside of a view, shared by the view_*.c files only: the stages that a spec is compiled into.
 *
 * A view is a short chain of stages. Stage 0, the base, turns rectangles of decoded chunks into samples; each later stage
 * makes its samples from those of the stage before. Work is pulled: stage_fetch() asks the last stage for a rectangle and
 * a list of its channels, and it asks the one before for what it needs of it. Between stages samples are float32, planar
 * (channel, y, x); only a native view moves samples of the stored type, through BASE, MOVE and RESIZE stages alone.
 *
 *   BASE    stored samples of the chunks -> float32 (or untouched where native)
 *   PIXEL   each channel an expression of channels at the same place
 *   MOVE    an integer affine map of coordinates: crops, flips, turns, padding with zeros
 *   RESIZE  separable resampling; of stored samples only nearest, which moves them in slots of four bytes
 *   PROFILE samples that an ICC profile's tables turn into linear R, G, B; others copied
 *
 * Everything here is immutable once compiled, except struct view_reader, the scratch memory of one view_read().
 */
#ifndef PIXFS_VIEW_PLAN_H
#define PIXFS_VIEW_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/core/arena.h"
#include "png_out.h"
#include "resize.h"
#include "view.h"
#include "view_color.h"

enum {
	VIEW_MAX_STAGES = 48,
	VIEW_MAX_SPEC_BYTES = 255,
	VIEW_NO_CHANNEL = UINT16_MAX,
	SCRATCH_ALIGN = 128, /* of reader_buffer()'s memory, bytes */
};
#define VIEW_MAX_PIXELS ((uint64_t)1 << 31)

/* A rectangle of a stage's own pixels; never empty, always inside. */
struct view_rect {
	uint32_t x, y, width, height;
};

/* Where a stage writes: sample (x, y) of the rectangle, channel i of the list, goes to
 * at + x * x_step + y * row_step + i * channel_step; steps in bytes, of any sign. */
struct view_sink {
	unsigned char *at;
	ptrdiff_t x_step, row_step, channel_step;
};

/* ---- stages ---- */

enum base_kind {
	BASE_PLANE, /* the sample of a plane, by the divisor */
	BASE_TABLE, /* table[sample of an 8-bit plane] */
	BASE_KEY,   /* 0 where all planes equal the key, else 1 */
	BASE_CONST, /* value */
};

struct base_channel {
	uint8_t kind; /* enum base_kind */
	uint16_t plane;
	uint32_t divisor;   /* 0: none */
	const float *table; /* 256 entries */
	float value;
};

struct base_stage {
	const struct codec_part *part;
	uint32_t level;
	bool native;             /* samples stay as stored */
	uint32_t unit_x, unit_y; /* pixels per sample of this stage: 1, or the sampling of all its planes */
	struct base_channel *channels;
};

enum pixel_op {
	PIXEL_COPY,        /* a */
	PIXEL_CONST,       /* k0 */
	PIXEL_MUL,         /* a * b */
	PIXEL_MUL_NOT,     /* (1 - a) * (1 - b) */
	PIXEL_UNPREMUL,    /* b == 0 ? a : a / b */
	PIXEL_REPREMUL,    /* b == 0 ? a : a * b */
	PIXEL_CHROMA,      /* (b + 1) * a: R or B of luminance a and chroma b */
	PIXEL_GREEN,       /* of luminance a, RY b and BY c, by weights; a where both are 0 */
	PIXEL_LUMA,        /* 0.2126 a + 0.7152 b + 0.0722 c */
	PIXEL_OVER,        /* a * b + k0 * (1 - b): straight a over k0 */
	PIXEL_OVER_PREMUL, /* a + k0 * (1 - b) */
	PIXEL_NORM,        /* (a - k0) / k1: norm, range */
	PIXEL_CURVE,       /* curve(a); of colour a premultiplied by b: curve(a / b) * b */
};

struct pixel_expr {
	uint8_t op;       /* enum pixel_op */
	uint16_t a, b, c; /* channels of the stage before; VIEW_NO_CHANNEL where unused */
	float k0, k1;
	const struct curve *curve;
	const float *weights; /* three */
};

/* Without constants; VIEW_NO_CHANNEL where a channel is unused. */
static inline struct pixel_expr pixel_expr_of(enum pixel_op op, uint16_t a, uint16_t b, uint16_t c)
{
	return (struct pixel_expr){.op = (uint8_t)op, .a = a, .b = b, .c = c};
}

static inline struct pixel_expr pixel_copy(uint16_t source)
{
	return pixel_expr_of(PIXEL_COPY, source, VIEW_NO_CHANNEL, VIEW_NO_CHANNEL);
}

/* Source x = a * x + b * y + x0, source y = c * x + d * y + y0: (a b; c d) is one of the eight flips and turns. Outside of
 * the source there are zeros. */
struct view_move {
	int8_t a, b, c, d;
	int64_t x0, y0;
};

/* A RESIZE stage. The weights of a whole axis are kept from the first read on, where they are not many: they cost more
 * than the sums. Whoever needs them first makes them; of two at once one keeps its own. */
struct resize_stage {
	struct resize resize;
	struct resize_memory *memory;
};

/* All weights of one axis, as resize_weights() gives them. */
struct resize_table {
	double *weights;
	uint32_t *starts, *counts;
};

struct resize_memory {
	_Atomic(struct resize_table *) x, y; /* NULL until they are made */
};

/* Its first three channels are R, G and B, made from channels of the stage before; the others are copies. */
struct profile_stage {
	const struct icc *icc;
	bool inverted;      /* ink is 1 - sample */
	uint16_t inputs[4]; /* icc->space of them */
	uint16_t *copies;   /* of channel 3 and those behind it */
};

enum stage_kind { STAGE_BASE, STAGE_PIXEL, STAGE_MOVE, STAGE_RESIZE, STAGE_PROFILE };

struct view_stage {
	uint8_t kind; /* enum stage_kind */
	uint32_t width, height, nchannels;
	union {
		struct base_stage base;
		struct pixel_expr *exprs; /* one for each channel */
		struct view_move move;
		struct resize_stage resize;
		struct profile_stage profile;
	};
};

struct view {
	struct view_info info;
	struct arena arena;
	struct view_stage *stages; /* room for VIEW_MAX_STAGES */
	uint32_t nstages;
	uint32_t width, height; /* of the last stage */
	uint32_t nout;
	uint16_t *out;          /* the view's channels in order: channels of the last stage */
	bool chw;               /* (c, y, x), else (y, x, c) */
	bool swaps;             /* some stage exchanges x and y */
	bool resizes;           /* some stage resamples */
	bool unscaled;          /* values are integers as they are stored: u8 and u16 hold them as they are */
	unsigned element_bytes; /* of info.dtype */
	unsigned char *prefix;  /* info.header_bytes before the elements; VIEW_NPY: made when it is read */
	struct png_out png;     /* VIEW_PNG */
	struct icc *icc;        /* the file's profile, where an operation needed it */
};

/* ---- reading: view.c, view_stages.c, view_base.c, resize.c ---- */

/* One view_read() under way: belongs to one thread. */
struct view_reader {
	const struct view *view;
	const struct view_source *source;
	struct err *err;
	struct codec_plane_layout *layouts; /* room for the part's planes */
	struct reader_buffer {
		void *data;
		size_t len_bytes;
	} buffers[VIEW_MAX_STAGES + 2];
};

/* At least len_bytes of scratch memory of that slot (one for each stage, then two of the end); its content is lost when it
 * grows. NULL: -ENOMEM was recorded. */
void *reader_buffer(struct view_reader *reader, uint32_t slot, size_t len_bytes);

/* Writes rect of the listed channels of a stage to sink. 0, -ENOMEM, or the error of a pin. */
int stage_fetch(struct view_reader *reader, uint32_t stage, struct view_rect rect, const uint16_t *list, uint32_t n,
		struct view_sink sink);

/* Tells source->want about the chunks that rect of the last stage needs. */
void stage_want(struct view_reader *reader, struct view_rect rect);

/* The part of the source that rect of a MOVE stage shows; false: nothing of it. */
bool move_source_rect(const struct view_stage *stage, const struct view_stage *before, struct view_rect rect,
		      struct view_rect *ret_rect);

/* The part of the source that rect of a RESIZE stage is made from. */
struct view_rect resize_source_rect(const struct resize *resize, struct view_rect rect);
void resize_memory_free(struct resize_memory *memory);
int resize_fetch(struct view_reader *reader, uint32_t stage, struct view_rect rect, const uint16_t *list, uint32_t n,
		 struct view_sink sink);

int profile_fetch(struct view_reader *reader, uint32_t stage, struct view_rect rect, const uint16_t *list, uint32_t n,
		  struct view_sink sink);

int base_fetch(struct view_reader *reader, struct view_rect rect, const uint16_t *list, uint32_t n, struct view_sink sink);
void base_want(struct view_reader *reader, struct view_rect rect);
/* Whether the elements (y, x, c) of the listed channels are what lies in the chunks of whole rows. */
bool base_is_in_place(const struct base_stage *base, const uint16_t *list, uint32_t n);
/* view_find() of these, from the first pixel's on. */
ssize_t base_find(const struct view *view, uint64_t offset, size_t len_bytes, const struct view_source *source, const void **ret_at,
		  uint32_t *ret_cy, struct err *err);

/* A planar float32 tile of rect's size at `at`: what PIXEL and RESIZE write directly. */
struct view_sink sink_of_tile(float *at, struct view_rect rect, uint32_t first_channel);
bool sink_is_tile(const struct view_sink *sink, struct view_rect rect);
/* Copies the first size_bytes of each element of a tile to where sink says. */
void sink_store(const float *tile, struct view_rect rect, uint32_t n, struct view_sink sink, unsigned size_bytes);
/* Of the samples that stages hand on: of a native view those of the stored type. */
static inline unsigned view_stage_bytes(const struct view *view)
{
	return view->stages[0].base.native ? view->element_bytes : (unsigned)sizeof(float);
}

/* ---- compiling: view_start.c, view_parse.c, view_ops.c, view_transfer.c, view_geometry.c, view_plan.c ---- */

/* PACKED: what alpha is after packed: data, but still what a, rgba and opaque mean. */
enum view_role {
	ROLE_DATA,
	ROLE_R,
	ROLE_G,
	ROLE_B,
	ROLE_A,
	ROLE_GRAY,
	ROLE_C,
	ROLE_M,
	ROLE_Y,
	ROLE_K,
	ROLE_PACKED,
	ROLE_COLOUR, /* a colour of a layer that doesn't have the roles */
	ROLE_COVER,  /* the alpha of such a layer */
};

struct view_channel {
	const char *name;
	uint16_t source; /* channel of the last stage */
	uint8_t role;    /* enum view_role */
	bool data;       /* no curve and no alpha touches it, whatever its role */
};

/* What is known while the operations are applied one after the other. */
struct view_plan {
	const struct picture *picture;
	struct view *view;
	struct err *err;
	uint32_t nchannels, nextra;    /* shown now; then channels of the part that a later ch= names */
	struct view_channel *channels; /* nchannels + nextra */
	struct transfer transfer;      /* of the colour channels at this point */
	enum icc_space stored;         /* the kind of samples that the picture has */
	uint8_t alpha;                 /* enum codec_alpha at this point; NONE where no alpha is shown */
	uint8_t association;           /* the same of all colours that have an alpha, shown or not */
	bool native, values, typed, moved, upright, resized;
	bool has_filter, filter_seen; /* the spec has one; its place was passed */
	bool chw, squeeze, flat;
	bool plane;     /* (H, W): one channel alone, without its axis */
	uint8_t type;   /* enum sample_type, where typed */
	uint8_t filter; /* enum resize_filter, where has_filter */
	char axes[8];   /* of the shape: "yxc" */
	size_t len_canonical;
	char canonical[3 * VIEW_MAX_SPEC_BYTES]; /* the operations, written in one way */
};

/* An empty plan with an empty view, which view_free() frees. 0 or -ENOMEM. */
int plan_open(struct view_plan *plan, const struct picture *picture, struct err *err);
/* The first stage and the channels shown; spec is looked through for channels that ch= names. */
int plan_start(struct view_plan *plan, const char *spec);
/* As plan_start for one channel of the part alone, at its own resolution. */
int plan_start_channel(struct view_plan *plan, uint32_t channel);
struct view_stage *plan_top(struct view_plan *plan);
/* Appends a stage; its size and channel count are those of the stage before. NULL: recorded. */
struct view_stage *plan_push(struct view_plan *plan, enum stage_kind kind);
/* Memory of the view; NULL: recorded. */
void *plan_alloc(struct view_plan *plan, size_t count, size_t size);

/* ---- view_roles.c ---- */

/* The open role by name and data; then the roles of one layer among them; then what a choice of channels by name lets its open
 * channels become. */
void role_open(struct view_channel *channel);
void roles_settle(struct view_channel *channels, uint32_t n);
void roles_promote(struct view_channel *channels, uint32_t n);
bool role_is_colour(const struct view_channel *channel);
/* Index of the shown channel of that role, -1: none. */
int64_t plan_find_role(const struct view_plan *plan, enum view_role role);
/* Index of the alpha that belongs to colour i (of the shown ones and extras), -1: none. */
int64_t plan_alpha_of(const struct view_plan *plan, uint32_t i);
/* Nothing but data is shown, and perhaps alpha. */
bool plan_shows_data(const struct view_plan *plan);
/* Something that a curve could touch is shown or carried along. */
bool plan_has_colours(const struct view_plan *plan);

/* ---- view_plan.c ---- */

/* Replaces the shown channels by n others (the extras go). */
int plan_show(struct view_plan *plan, const struct view_channel *channels, uint32_t n);
/* A PIXEL stage with one expression for each shown channel and extra: exprs has nchannels + nextra. Channels with the same
 * expression share one. */
int plan_pixels(struct view_plan *plan, const struct pixel_expr *exprs);
/* A PIXEL stage of op (PIXEL_MUL, PIXEL_UNPREMUL, PIXEL_REPREMUL) between each channel of colour, inks included, and its alpha. */
int plan_weigh(struct view_plan *plan, enum pixel_op op);
/* Curves over the colour channels: one for all, or one each for R, G and B (then there is no gray). Folded into tables where the
 * stored samples have 8 bits. */
int plan_curves(struct view_plan *plan, const struct curve *curves, uint32_t ncurves);
/* 0 where the profile of the picture's file can tell what its values mean; view->icc is then there. */
int plan_profile(struct view_plan *plan);
/* The file's transfer curve, or where it says none that of the mount's assume=. */
struct transfer transfer_of_picture(const struct codec_color *color);
/* Whether linear and srgb can do their work here. */
bool plan_knows_curve(struct view_plan *plan);
/* A PROFILE stage: R, G, B, or C, M, Y, K, through the tables of view->icc; inks become R, G and B. */
int plan_convert(struct view_plan *plan);
/* The file stores 1 - ink. */
bool plan_inverts_inks(const struct view_plan *plan);
/* A channel of the last stage that is 1 everywhere. */
int plan_constant_one(struct view_plan *plan, uint16_t *ret_source);
/* After native and after a change of the shown channels: the stage's size at their own resolution. */
void plan_settle_native(struct view_plan *plan);
/* 0 where all shown channels of a native plan lie on one grid, else -EINVAL. */
int plan_check_grid(struct view_plan *plan);

/* Composes a move of coordinates; width and height of its result. */
int plan_move(struct view_plan *plan, struct view_move move, uint64_t width, uint64_t height);

/* Adds an operation to the canonical spec, printf rules. */
void plan_note(struct view_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- view_out.c: what stands around the elements ---- */

struct view_extension {
	const char *name;
	enum view_container container;
	bool typed;
	enum sample_type type;
};

const struct view_extension *view_extension_find(const char *name); /* NULL: unknown */
/* What a container wants of the operations before the plan is finished: a PNG chooses channels and encodes. */
int plan_suit_container(struct view_plan *plan, const struct view_extension *extension);
/* The view is a JSON that tells of an error. */
int plan_make_error(struct view_plan *plan, const char *spec, const struct err *why);
/* The bytes before the elements, info.spec, header_bytes and nbytes. The rest of info is known. */
int plan_make_container(struct view_plan *plan, const struct view_extension *extension);

/* ---- view_zarr.c ---- */

/* info.zarr but for its spec; the rest of info is known. */
void plan_make_grid(struct view_plan *plan);
/* From the whole picture, all operations applied, to one chunk of it, (y, x, c). -ENOENT: it has no such chunk. */
int plan_move_to_chunk(struct view_plan *plan, uint64_t index);

enum op_group { OPS_CHANNELS, OPS_VALUES, OPS_COLOUR, OPS_ALPHA, OPS_LAYOUT, OPS_REGION, OPS_RESIZE, OPS_TYPE, OPS_GROUPS };

/* Operations that change values can't be used with native, nor after a sample type. */
enum op_effect { KEEPS_VALUES, CHANGES_VALUES, CHANGES_UNLESS_NEAREST };

/* One operation of the grammar. */
struct view_op {
	const char *name;
	const char *argument; /* how one is written, NULL: it takes none */
	enum op_group group;
	enum op_effect effect;
	bool notes; /* writes its own part of the canonical spec */
	int (*apply)(struct view_plan *plan, const struct view_op *op, const char *argument);
	int detail;
};

const struct view_op *view_op_find(const char *name, size_t len_bytes); /* NULL: unknown */
int plan_apply_spec(struct view_plan *plan, char *spec);                /* spec without its extension; is cut into pieces */

/* native and values, before all operations: the base shows the samples as they are stored, or the integers as float32. */
int plan_native(struct view_plan *plan);
int plan_values(struct view_plan *plan);
bool plan_takes_nearest(const struct view_plan *plan); /* sizes only move samples */

/* Operations, one for each row of the table in view_parse.c. */
int op_pixels(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_range(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_packed(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_select(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_channels(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_gray(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_opaque(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_alpha(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_over(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_linear(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_srgb(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_assume(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_layout(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_blender(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_upright(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_flip(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_rot(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_crop(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_display(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_square(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_size(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_filter(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_type(struct view_plan *plan, const struct view_op *op, const char *argument);
int op_norm(struct view_plan *plan, const struct view_op *op, const char *argument);

/* Names of ch=: '+' between them, ',' or the end behind. A name matches verbatim or with its %XX decoded. */
const char *channel_name_next(const char *name); /* NULL: that was the last */
bool channel_name_is(const char *name, const char *channel);
int64_t channel_name_find(const struct codec_part *part, const char *name); /* -1: the part has none of that name */

/* Number readers: step over what they read; false where nothing fits. Integers saturate at 2^40. */
bool parse_uint(const char **at, uint64_t *ret_value);
bool parse_int(const char **at, int64_t *ret_value);
bool parse_decimal(const char **at, float *ret_value); /* [-]digits[.digits], at most 15 digits */
bool parse_char(const char **at, char c);

#endif
