/* decode.c - what decoding costs: the first part and level of each file through the codec interface, on one thread.
 *
 *	build/release/tests/bench/decode [-n TIMES] [-c N] FILE...
 *
 * One line a file: CPU milliseconds (of this thread, the median and the least of TIMES runs) of open, check and decode, each into
 *the same memory, and the bytes decoded in a second of the median decode. -c N: only the first N chunk rows (0: none), for the cost
 *of the first look at a file. Files are read with pread, so the page cache's copy is part of it. Under `valgrind --tool=callgrind`
 *with -n 1 the instruction counts repeat whatever else the machine does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codecs/core/codec.h"

enum { MAX_TIMES = 1000 };

struct fd_bytes {
	struct bytes bytes;
	int fd;
};

struct figures {
	double open_ms[MAX_TIMES], check_ms[MAX_TIMES], decode_ms[MAX_TIMES];
	double megabytes;
};

static ssize_t fd_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	ssize_t got = pread(((struct fd_bytes *)bytes)->fd, dst, len_bytes, (off_t)offset);
	return got < 0 ? err_set(err, -errno, "read: %s", strerror(errno)) : got;
}

static void fd_free(struct bytes *bytes)
{
	close(((struct fd_bytes *)bytes)->fd);
	free(bytes);
}

static struct bytes *fd_open(const char *path)
{
	static const struct bytes_class class = {.read = fd_read, .free = fd_free};
	struct fd_bytes *self = calloc(1, sizeof *self);
	int fd = open(path, O_RDONLY);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (!self || size < 0) {
		perror(path);
		exit(1);
	}
	self->fd = fd;
	bytes_init(&self->bytes, &class, (uint64_t)size);
	return &self->bytes;
}

static double cpu_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int decode_rows(struct codec_image *image, uint32_t nrows, uint8_t *dst, double *ret_megabytes, struct err *err)
{
	const struct codec_part *part = image->header.parts;
	const struct codec_level *level = part->levels;
	struct codec_cursor *cursor = NULL, **use = part->access == CODEC_ACCESS_FORWARD ? &cursor : NULL;
	struct codec_chunk_layout layout;
	uint64_t bytes = 0;
	int rc = 0;
	for (uint32_t cy = 0; !rc && cy < level->nchunks_y && cy < nrows; cy++) {
		for (uint32_t cx = 0; !rc && cx < level->nchunks_x; cx++) {
			rc = image->codec->decode(image, use, 0, 0, cx, cy, dst, err);
			codec_chunk_layout(part, 0, cx, cy, &layout, NULL);
			bytes += layout.len_bytes;
		}
	}
	if (image->codec->cursor_free)
		image->codec->cursor_free(cursor);
	*ret_megabytes = (double)bytes / 1e6;
	return rc;
}

/* dst: NULL or room for a chunk; kept from one run to the next, so that fresh pages are not counted again and again. */
static int run_once(const char *path, uint32_t nrows, uint8_t **dst, struct figures *figures, int i, struct err *err)
{
	struct bytes *bytes = fd_open(path);
	struct codec_image *image = NULL;
	double start = cpu_ms();
	int rc = codec_open(bytes, path, &codec_default_limits, &image, err);
	bytes_unref(bytes);
	if (rc)
		return rc;
	double opened = cpu_ms();
	rc = codec_check(image, err);
	double checked = cpu_ms();
	if (!rc && !*dst) {
		struct codec_chunk_layout layout;
		codec_chunk_layout(image->header.parts, 0, 0, 0, &layout, NULL);
		*dst = calloc(1, layout.len_bytes);
		rc = *dst ? 0 : err_set(err, -ENOMEM, "no memory");
	}
	double ready = cpu_ms();
	if (!rc)
		rc = decode_rows(image, nrows, *dst, &figures->megabytes, err);
	double decoded = cpu_ms();
	codec_close(image);
	figures->open_ms[i] = opened - start;
	figures->check_ms[i] = checked - opened;
	figures->decode_ms[i] = decoded - ready;
	return rc;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, compare);
	return values[count / 2];
}

static int run(const char *path, int times, uint32_t nrows)
{
	static struct figures figures;
	struct err err = ERR_NONE;
	uint8_t *dst = NULL;
	for (int i = 0; i < times; i++) {
		if (run_once(path, nrows, &dst, &figures, i, &err)) {
			printf("%s: %s\n", path, err.text);
			free(dst);
			return 1;
		}
	}
	free(dst);
	double open_ms = median(figures.open_ms, times), check_ms = median(figures.check_ms, times);
	double decode_ms = median(figures.decode_ms, times);
	printf("%9.3f %8.3f %8.3f %9.3f %9.3f %8.0f  %s\n", open_ms, check_ms, decode_ms, figures.decode_ms[0],
	       open_ms + check_ms + decode_ms, figures.megabytes / decode_ms * 1e3, path);
	return 0;
}

int main(int argc, char **argv)
{
	int times = 5, option, bad = 0;
	uint32_t nrows = UINT32_MAX;
	while ((option = getopt(argc, argv, "n:c:")) != -1) {
		if (option == 'n')
			times = atoi(optarg);
		else if (option == 'c')
			nrows = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc || times < 1 || times > MAX_TIMES) {
		fprintf(stderr, "usage: decode [-n TIMES] [-c CHUNK-ROWS] FILE...\n");
		return 2;
	}
	printf("%9s %8s %8s %9s %9s %8s  (CPU ms; decoded MB/s)\n", "open", "check", "decode", "least", "together", "MB/s");
	for (int i = optind; i < argc; i++)
		bad |= run(argv[i], times, nrows);
	return bad;
}
