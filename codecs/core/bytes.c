/* bytes.c - reference counting of byte sources, exact reads, and the memory source. */
#include "bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void bytes_init(struct bytes *bytes, const struct bytes_class *class, uint64_t size_bytes)
{
	bytes->class = class;
	atomic_init(&bytes->refs, 1);
	bytes->size_bytes = size_bytes;
	bytes->below = NULL;
}

struct bytes *bytes_ref(struct bytes *bytes)
{
	atomic_fetch_add_explicit(&bytes->refs, 1, memory_order_relaxed);
	return bytes;
}

void bytes_unref(struct bytes *bytes)
{
	if (bytes && atomic_fetch_sub_explicit(&bytes->refs, 1, memory_order_acq_rel) == 1)
		bytes->class->free(bytes);
}

ssize_t bytes_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	return bytes->class->read(bytes, dst, len_bytes, offset, err);
}

int bytes_read_pieces(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err)
{
	if (bytes->class->read_pieces)
		return bytes->class->read_pieces(bytes, pieces, n, err);
	for (size_t i = 0; i < n; i++) {
		ssize_t got = bytes_read(bytes, pieces[i].dst, pieces[i].len_bytes, pieces[i].offset, err);
		if (got < 0)
			return (int)got;
		pieces[i].got_bytes = (size_t)got;
	}
	return 0;
}

int bytes_read_exact(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	ssize_t got = bytes_read(bytes, dst, len_bytes, offset, err);
	if (got < 0)
		return (int)got;
	if ((size_t)got != len_bytes)
		return err_set(err, -EIO, "the file ends at byte %" PRIu64 ", %zu bytes wanted at byte %" PRIu64, bytes->size_bytes,
			       len_bytes, offset);
	return 0;
}

struct memory {
	struct bytes bytes;
	const unsigned char *data;
	void *owned;
};

static ssize_t memory_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	(void)err;
	const struct memory *memory = (const struct memory *)bytes;
	if (offset >= bytes->size_bytes)
		return 0;
	uint64_t left = bytes->size_bytes - offset;
	size_t n = left < len_bytes ? (size_t)left : len_bytes;
	memcpy(dst, memory->data + offset, n);
	return (ssize_t)n;
}

static void memory_free(struct bytes *bytes)
{
	struct memory *memory = (struct memory *)bytes;
	free(memory->owned);
	free(memory);
}

static const struct bytes_class memory_class = {.read = memory_read, .free = memory_free};

struct bytes *bytes_from_memory(const void *data, size_t len_bytes, int owned)
{
	struct memory *memory = malloc(sizeof *memory);
	if (!memory)
		return NULL;
	bytes_init(&memory->bytes, &memory_class, len_bytes);
	memory->data = data;
	memory->owned = owned ? (void *)(uintptr_t)data : NULL;
	return &memory->bytes;
}
