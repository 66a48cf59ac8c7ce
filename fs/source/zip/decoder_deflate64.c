/* decoder_deflate64.c - Deflate64, "Enhanced Deflating" (APPNOTE 4.4.5, method 9), as Windows packs large files.
 *
 * It is deflate (RFC 1951, whose sections are named below) but for three things: the window is 64 KiB; length code 285 is 3 and 16
 * further bits; distance codes 30 and 31 have 14 further bits. So a match is up to 65538 bytes long and lies up to 65536 back.
 *
 * All state is in one struct without pointers, so that it can be copied. Each state of the machine waits until all bits are there
 * that it takes, at most 16, and takes them at once; so it can stop between any two bytes.
 */
#include "decoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW_BYTES = 65536,
	NLITERALS = 286, /* codes 286 and 287 stand in the fixed table, but not for anything */
	MAX_LITERALS = 288,
	NDISTANCES = 32,
	NPRECODES = 19,
	MAX_CODE_BITS = 15,
	FAST_BITS = 10,
	END_OF_BLOCK = 256,
};

enum state {
	BLOCK,
	STORED_LENGTH,
	STORED_CHECK,
	STORED,
	COUNTS,
	PRECODES,
	LENGTHS,
	RUN_BITS,
	SYMBOL,
	LENGTH_BITS,
	DISTANCE,
	DISTANCE_BITS,
	MATCH,
	ENDED
};

/* A Huffman code, 3.2.2. */
struct code {
	uint16_t count[MAX_CODE_BITS + 1]; /* of the codes of each length */
	uint16_t symbol[MAX_LITERALS];     /* in the order of their codes */
	uint16_t fast[1 << FAST_BITS];     /* by the next bits: symbol << 4 | length; 0: longer than FAST_BITS, or none */
};

struct deflate64 {
	struct decoder decoder;
	uint64_t bits; /* not used yet, the next one lowest; those above nbits are 0 */
	unsigned nbits;
	uint8_t state;                                 /* enum state */
	bool last;                                     /* block */
	unsigned nliterals, ndistances, nprecodes, at; /* at: how many lengths are read */
	uint8_t lengths[MAX_LITERALS + NDISTANCES];    /* of codes */
	unsigned symbol;                               /* a length's or distance's, whose further bits follow */
	uint32_t left_bytes, distance;                 /* of a match or a stored block */
	uint64_t made_bytes;
	struct code literals, distances; /* distances: while lengths are read, their precode */
	uint8_t window[WINDOW_BYTES];    /* the byte that was made as number n lies at n modulo its size */
};

/* 3.2.5, with what is different here. */
static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
					 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 3};
static const uint8_t length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16};
static const uint16_t distance_base[NDISTANCES] = {1,    2,    3,    4,    5,    7,     9,     13,    17,    25,   33,
						   49,   65,   97,   129,  193,  257,   385,   513,   769,   1025, 1537,
						   2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577, 32769, 49153};
static const uint8_t distance_bits[NDISTANCES] = {0, 0, 0, 0, 1, 1, 2,  2,  3,  3,  4,  4,  5,  5,  6,  6,
						  7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14};

/* ---- bits ---- */

/* Whether there are so many bits, n <= 16, if need be from the input. */
static bool has_bits(struct deflate64 *d, struct decoder_io *io, unsigned n)
{
	while (d->nbits < n && io->in_bytes) {
		d->bits |= (uint64_t)*io->in++ << d->nbits;
		d->nbits += 8;
		io->in_bytes--;
	}
	return d->nbits >= n;
}

static unsigned take_bits(struct deflate64 *d, unsigned n)
{
	unsigned value = (unsigned)(d->bits & ((UINT64_C(1) << n) - 1));
	d->bits >>= n;
	d->nbits -= n;
	return value;
}

/* ---- codes ---- */

/* The fast table's slots of one symbol: its code, first bit lowest, followed by anything. */
static void fill_fast(struct code *code, unsigned bits, unsigned len, unsigned symbol)
{
	unsigned reversed = 0;
	for (unsigned i = 0; i < len; i++)
		reversed |= (bits >> i & 1) << (len - 1 - i);
	for (unsigned slot = reversed; slot < 1u << FAST_BITS; slot += 1u << len)
		code->fast[slot] = (uint16_t)(symbol << 4 | len);
}

/* From the lengths of n symbols. False where there are more codes than fit, or, unless there is but one, fewer. */
static bool make_code(struct code *code, const uint8_t *lengths, unsigned n)
{
	uint16_t place[MAX_CODE_BITS + 2] = {0}; /* where the codes of a length start in symbol */
	unsigned next[MAX_CODE_BITS + 2] = {0}, longest = 0;
	int left = 1;
	memset(code->count, 0, sizeof code->count);
	memset(code->fast, 0, sizeof code->fast);
	for (unsigned i = 0; i < n; i++)
		code->count[lengths[i]]++;
	code->count[0] = 0;
	for (unsigned len = 1; len <= MAX_CODE_BITS; len++) {
		left = 2 * left - code->count[len];
		if (left < 0)
			return false;
		if (code->count[len])
			longest = len;
		next[len + 1] = (next[len] + code->count[len]) << 1;
		place[len + 1] = (uint16_t)(place[len] + code->count[len]);
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned len = lengths[i];
		if (len && len <= FAST_BITS)
			fill_fast(code, next[len], len, i);
		if (len) {
			code->symbol[place[len]++] = (uint16_t)i;
			next[len]++;
		}
	}
	return left == 0 || longest <= 1;
}

enum { WANTS_MORE = -1, NO_SYMBOL = -2 };

/* The code bit by bit: canonical codes of one length are consecutive numbers. */
static int take_long_symbol(struct deflate64 *d, const struct code *code)
{
	unsigned bits = 0, first = 0, place = 0;
	for (unsigned len = 1; len <= MAX_CODE_BITS; len++) {
		if (len > d->nbits)
			return WANTS_MORE;
		bits |= (unsigned)(d->bits >> (len - 1)) & 1;
		unsigned count = code->count[len];
		if (bits - first < count) {
			take_bits(d, len);
			return code->symbol[place + bits - first];
		}
		place += count;
		first = (first + count) << 1;
		bits <<= 1;
	}
	return NO_SYMBOL;
}

/* The next symbol, or WANTS_MORE input, or NO_SYMBOL. */
static int take_symbol(struct deflate64 *d, struct decoder_io *io, const struct code *code)
{
	has_bits(d, io, MAX_CODE_BITS);
	unsigned entry = code->fast[d->bits & ((1u << FAST_BITS) - 1)];
	if (!entry)
		return take_long_symbol(d, code);
	if ((entry & 15) > d->nbits)
		return WANTS_MORE;
	take_bits(d, entry & 15);
	return (int)(entry >> 4);
}

/* ---- blocks ---- */

static int damaged(struct err *err, const char *words)
{
	return err_set(err, -EIO, "%s", words);
}

/* 3.2.6 */
static void make_fixed_codes(struct deflate64 *d)
{
	uint8_t lengths[MAX_LITERALS];
	for (unsigned i = 0; i < MAX_LITERALS; i++)
		lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	make_code(&d->literals, lengths, MAX_LITERALS);
	memset(lengths, 5, NDISTANCES);
	make_code(&d->distances, lengths, NDISTANCES);
}

/* A step of a state: GO_ON to whatever state is set now, WAIT for input or room, or a negative errno. */
enum { WAIT, GO_ON };

static int begin_block(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	if (d->last) {
		d->state = ENDED;
		return GO_ON;
	}
	if (!has_bits(d, io, 3))
		return WAIT;
	d->last = take_bits(d, 1);
	switch (take_bits(d, 2)) {
	case 0:
		take_bits(d, d->nbits & 7);
		d->state = STORED_LENGTH;
		return GO_ON;
	case 1:
		make_fixed_codes(d);
		d->state = SYMBOL;
		return GO_ON;
	case 2:
		d->state = COUNTS;
		return GO_ON;
	default:
		return damaged(err, "invalid block type");
	}
}

/* 3.2.4 */
static int read_stored_length(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	if (!has_bits(d, io, 16))
		return WAIT;
	uint32_t value = take_bits(d, 16);
	if (d->state == STORED_CHECK && value != (d->left_bytes ^ 0xffff))
		return damaged(err, "a stored block's length is wrong");
	if (d->state == STORED_LENGTH)
		d->left_bytes = value;
	d->state = d->state == STORED_LENGTH ? STORED_CHECK : STORED;
	return GO_ON;
}

static void put_byte(struct deflate64 *d, struct decoder_io *io, uint8_t value)
{
	d->window[d->made_bytes++ % WINDOW_BYTES] = value;
	*io->out++ = value;
	io->out_bytes--;
}

static int copy_stored(struct deflate64 *d, struct decoder_io *io)
{
	while (d->left_bytes && io->out_bytes && has_bits(d, io, 8)) {
		put_byte(d, io, (uint8_t)take_bits(d, 8));
		d->left_bytes--;
	}
	if (d->left_bytes)
		return WAIT;
	d->state = BLOCK;
	return GO_ON;
}

/* 3.2.7 */
static int read_counts(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	if (!has_bits(d, io, 14))
		return WAIT;
	d->nliterals = 257 + take_bits(d, 5);
	d->ndistances = 1 + take_bits(d, 5);
	d->nprecodes = 4 + take_bits(d, 4);
	d->at = 0;
	memset(d->lengths, 0, sizeof d->lengths);
	d->state = PRECODES;
	return d->nliterals > NLITERALS ? damaged(err, "too many length symbols") : GO_ON;
}

static int read_precodes(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	static const uint8_t order[NPRECODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	for (; d->at < d->nprecodes; d->at++) {
		if (!has_bits(d, io, 3))
			return WAIT;
		d->lengths[order[d->at]] = (uint8_t)take_bits(d, 3);
	}
	if (!make_code(&d->distances, d->lengths, NPRECODES))
		return damaged(err, "invalid code lengths set");
	d->at = 0;
	d->state = LENGTHS;
	return GO_ON;
}

static int end_lengths(struct deflate64 *d, struct err *err)
{
	if (!d->lengths[END_OF_BLOCK])
		return damaged(err, "a block has no code for its end");
	if (!make_code(&d->literals, d->lengths, d->nliterals))
		return damaged(err, "invalid literal/lengths set");
	if (!make_code(&d->distances, d->lengths + d->nliterals, d->ndistances))
		return damaged(err, "invalid distances set");
	d->state = SYMBOL;
	return GO_ON;
}

/* A precode stands for a length, or for a run of one, whose further bits follow. */
static int read_lengths(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	while (d->at < d->nliterals + d->ndistances) {
		int symbol = take_symbol(d, io, &d->distances);
		if (symbol == WANTS_MORE)
			return WAIT;
		if (symbol == NO_SYMBOL)
			return damaged(err, "invalid code lengths set");
		if (symbol >= 16) {
			d->symbol = (unsigned)symbol;
			d->state = RUN_BITS;
			return GO_ON;
		}
		d->lengths[d->at++] = (uint8_t)symbol;
	}
	return end_lengths(d, err);
}

static int read_run(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	unsigned nbits = d->symbol == 16 ? 2 : d->symbol == 17 ? 3 : 7;
	if (!has_bits(d, io, nbits))
		return WAIT;
	unsigned n = (d->symbol == 18 ? 11 : 3) + take_bits(d, nbits);
	if ((d->symbol == 16 && d->at == 0) || n > d->nliterals + d->ndistances - d->at)
		return damaged(err, "invalid bit length repeat");
	memset(d->lengths + d->at, d->symbol == 16 ? d->lengths[d->at - 1] : 0, n);
	d->at += n;
	d->state = LENGTHS;
	return GO_ON;
}

/* ---- data ---- */

/* Literals one after the other, to the first symbol that is none. */
static int read_symbols(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	while (io->out_bytes) {
		int symbol = take_symbol(d, io, &d->literals);
		if (symbol == WANTS_MORE)
			return WAIT;
		if (symbol == NO_SYMBOL || symbol >= NLITERALS)
			return damaged(err, "invalid literal/length code");
		if (symbol == END_OF_BLOCK) {
			d->state = BLOCK;
			return GO_ON;
		}
		if (symbol > END_OF_BLOCK) {
			d->symbol = (unsigned)symbol - END_OF_BLOCK - 1;
			d->state = LENGTH_BITS;
			return GO_ON;
		}
		put_byte(d, io, (uint8_t)symbol);
	}
	return WAIT;
}

static int read_length(struct deflate64 *d, struct decoder_io *io)
{
	if (!has_bits(d, io, length_bits[d->symbol]))
		return WAIT;
	d->left_bytes = length_base[d->symbol] + take_bits(d, length_bits[d->symbol]);
	d->state = DISTANCE;
	return GO_ON;
}

static int read_distance_symbol(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	int symbol = take_symbol(d, io, &d->distances);
	if (symbol == WANTS_MORE)
		return WAIT;
	if (symbol == NO_SYMBOL)
		return damaged(err, "invalid distance code");
	d->symbol = (unsigned)symbol;
	d->state = DISTANCE_BITS;
	return GO_ON;
}

static int read_distance(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	if (!has_bits(d, io, distance_bits[d->symbol]))
		return WAIT;
	d->distance = distance_base[d->symbol] + take_bits(d, distance_bits[d->symbol]);
	d->state = MATCH;
	return d->distance > d->made_bytes ? damaged(err, "invalid distance too far back") : GO_ON;
}

static int copy_match(struct deflate64 *d, struct decoder_io *io)
{
	for (; d->left_bytes && io->out_bytes; d->left_bytes--)
		put_byte(d, io, d->window[(d->made_bytes - d->distance) % WINDOW_BYTES]);
	if (d->left_bytes)
		return WAIT;
	d->state = SYMBOL;
	return GO_ON;
}

static int go_on(struct deflate64 *d, struct decoder_io *io, struct err *err)
{
	switch ((enum state)d->state) {
	case BLOCK:
		return begin_block(d, io, err);
	case STORED_LENGTH:
	case STORED_CHECK:
		return read_stored_length(d, io, err);
	case STORED:
		return copy_stored(d, io);
	case COUNTS:
		return read_counts(d, io, err);
	case PRECODES:
		return read_precodes(d, io, err);
	case LENGTHS:
		return read_lengths(d, io, err);
	case RUN_BITS:
		return read_run(d, io, err);
	case SYMBOL:
		return read_symbols(d, io, err);
	case LENGTH_BITS:
		return read_length(d, io);
	case DISTANCE:
		return read_distance_symbol(d, io, err);
	case DISTANCE_BITS:
		return read_distance(d, io, err);
	case MATCH:
		return copy_match(d, io);
	case ENDED:
		return WAIT;
	}
	return WAIT;
}

/* ---- the decoder ---- */

static int deflate64_open(const struct decoder_spec *spec, struct decoder **ret_decoder, struct err *err)
{
	(void)spec;
	struct deflate64 *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(err, -ENOMEM, "out of memory for Deflate64 data");
	d->decoder = (struct decoder){&decoder_deflate64, sizeof *d};
	*ret_decoder = &d->decoder;
	return 0;
}

static int deflate64_step(struct decoder *decoder, struct decoder_io *io, struct err *err)
{
	struct deflate64 *d = (struct deflate64 *)decoder;
	int rc = GO_ON;
	while (rc == GO_ON)
		rc = go_on(d, io, err);
	return rc < 0 ? rc : d->state == ENDED;
}

static struct decoder *deflate64_copy(const struct decoder *decoder)
{
	struct deflate64 *copy = malloc(sizeof *copy);
	if (!copy)
		return NULL;
	memcpy(copy, decoder, sizeof *copy);
	return &copy->decoder;
}

static void deflate64_close(struct decoder *decoder)
{
	free(decoder);
}

const struct decoder_class decoder_deflate64 = {
	.name = "Deflate64",
	.open = deflate64_open,
	.step = deflate64_step,
	.copy = deflate64_copy,
	.copy_bytes = sizeof(struct deflate64),
	.close = deflate64_close,
};
