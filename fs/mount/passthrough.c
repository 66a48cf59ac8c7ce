/* passthrough.c - see passthrough.h. */
#include "passthrough.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "reply_buffer.h"

/* Debian 12's headers are of version 7.36. */
enum {
	INIT_PASSTHROUGH = 1 << (37 - 32), /* in flags2 */
	INIT_DIRECT_MMAP = 1 << (36 - 32),
	OPEN_NOFLUSH = 1 << 5,
	OPEN_PASSTHROUGH = 1 << 7,
	STACK_DEPTH = 1, /* backing files lie on no stacked file system */
};

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct init_in { /* fuse_in_header and what follows it, up to flags2 */
	struct fuse_in_header header;
	uint32_t major, minor, max_readahead, flags, flags2;
};

static struct {
	atomic_int device_fd;
	_Atomic uint64_t init_unique; /* of the INIT request that offers it, until it is answered; 0: none */
	atomic_bool answered;
} session_state = {.device_fd = -1};

static int add(int fd)
{
	struct backing_map map = {.fd = fd};
	int id = ioctl(session_state.device_fd, BACKING_OPEN, &map);
	return id < 0 ? -errno : id;
}

static void remove_id(int id)
{
	uint32_t number = (uint32_t)id;
	if (session_state.device_fd >= 0)
		ioctl(session_state.device_fd, BACKING_CLOSE, &number);
}

/* When others have the processor doesn't count, what the host does with our memory does. */
static uint64_t cpu_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- INIT: libfuse's reply gets what it doesn't know ---- */

static ssize_t read_request(int fd, void *buffer, size_t size, void *context)
{
	(void)context;
	ssize_t n = read(fd, buffer, size);
	const struct init_in *in = buffer;
	if (n >= (ssize_t)sizeof *in && !atomic_load_explicit(&session_state.answered, memory_order_relaxed) &&
	    in->header.opcode == FUSE_INIT && in->flags & FUSE_INIT_EXT && in->flags2 & INIT_PASSTHROUGH &&
	    in->flags2 & INIT_DIRECT_MMAP)
		atomic_store(&session_state.init_unique, in->header.unique);
	return n;
}

/* True where passthrough is agreed on from now on. */
static bool agree(const struct iovec *iov, int count)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	uint64_t wanted = atomic_load(&session_state.init_unique);
	if (!wanted || iov[0].iov_len < sizeof *header || header->unique != wanted || header->error || count != 2 ||
	    iov[1].iov_len < sizeof(struct fuse_init_out))
		return false;
	struct fuse_init_out *out = iov[1].iov_base;
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= INIT_PASSTHROUGH | INIT_DIRECT_MMAP;
	/* Of reads past the kernel's pages one request asks for so much: each costs a switch to this process and back. */
	const uint16_t most_pages = (uint16_t)(REPLY_MOST_BYTES / getpagesize());
	if (out->flags & FUSE_MAX_PAGES && out->max_pages < most_pages)
		out->max_pages = most_pages;
	const uint32_t depth = STACK_DEPTH; /* max_stack_depth: the field behind flags2 */
	memcpy((char *)out + offsetof(struct fuse_init_out, flags2) + sizeof out->flags2, &depth, sizeof depth);
	return true;
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *context)
{
	(void)context;
	const struct fuse_out_header *header = iov[0].iov_base;
	/* notifications have unique 0; the first reply is INIT's */
	if (!atomic_load_explicit(&session_state.answered, memory_order_relaxed) && header->unique) {
		if (!agree(iov, count))
			backing_disable();
		atomic_store(&session_state.answered, true);
	}
	return writev(fd, iov, count);
}

int passthrough_start(struct fuse_session *session, uint64_t budget_bytes)
{
	static const struct backing_kernel kernel = {add, remove_id, cpu_now_ns};
	const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
	session_state.device_fd = fuse_session_fd(session);
	int rc = backing_start(budget_bytes, &kernel);
	if (rc == 0 && fuse_session_custom_io(session, &io, session_state.device_fd) != 0) {
		backing_disable();
		rc = -ENOSYS;
	}
	return rc;
}

int passthrough_reply_open(fuse_req_t req, uint64_t fh, const struct backing *backing)
{
	const struct open_out out = {fh, OPEN_PASSTHROUGH | OPEN_NOFLUSH, backing_id(backing)};
	return fuse_reply_buf(req, (const char *)&out, sizeof out);
}

void passthrough_stop(void)
{
	session_state.device_fd = -1;
}
