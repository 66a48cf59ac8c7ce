/* file.c - see file.h. One lock guards all descriptors: which are open, which are in use, which was unused longest. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "beneath.h"
#include "fs/base/config.h"
#include "fs/base/status.h"

/* How long one write() may take: disks' caches are copied to at several GB/s, and clocks of kernels tick every 10 ms. */
enum { SETTLE_MS = 20, SETTLE_BYTES_PER_MS = 512 << 10, SETTLE_MOST_MS = 1000, NS_PER_MS = 1000000 };

struct file {
	struct bytes bytes;
	int root_fd;
	struct file_id id;
	int fd;                     /* -1: not open */
	unsigned readers;           /* reads under way on fd, and one for being held */
	unsigned holds;             /* who wants it held */
	bool held;                  /* fd is open for them */
	struct file *newer, *older; /* the list of open descriptors without readers */
	char *path;                 /* where it was found last */
};

static const struct bytes_class file_class;

static struct {
	pthread_mutex_t lock;
	struct file *newest, *oldest;
	unsigned nopen, max_open, nheld, max_held;
} files = {.lock = PTHREAD_MUTEX_INITIALIZER, .max_open = 256, .max_held = 256};

void file_set_limit(unsigned max_open, unsigned max_held)
{
	files.max_open = max_open;
	files.max_held = max_held;
}

struct file_id file_id_of(const struct stat *st)
{
	return (struct file_id){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size_bytes = (uint64_t)st->st_size,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
	};
}

bool file_id_same_bytes(const struct file_id *a, const struct file_id *b)
{
	return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns;
}

bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return file_id_same_bytes(a, b) && a->ctime_ns == b->ctime_ns;
}

int64_t file_settles_in_ns(const struct file_id *id)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - id->ctime_ns;
	uint64_t copy_ms = id->size_bytes / SETTLE_BYTES_PER_MS;
	int64_t wait_ns = (SETTLE_MS + (copy_ms < SETTLE_MOST_MS ? (int64_t)copy_ms : SETTLE_MOST_MS)) * NS_PER_MS;
	if (age_ns >= wait_ns || age_ns < -1000 * (int64_t)NS_PER_MS) /* the latter by the clock of another machine */
		return 0;
	return age_ns < 0 ? wait_ns : wait_ns - age_ns;
}

static void wait_until_settled(const struct file_id *id)
{
	int64_t wait_ns = file_settles_in_ns(id);
	struct timespec wait = {wait_ns / 1000000000, (long)(wait_ns % 1000000000)};
	while (wait_ns > 0 && nanosleep(&wait, &wait) != 0 && errno == EINTR)
		;
}

static int check_version(int fd, const struct file_id *id, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_set_source(err, -errno, "reading its attributes failed: %s", strerror(errno));
	struct file_id now = file_id_of(&st);
	if (!file_id_same_bytes(&now, id))
		return err_set(err, -ESTALE, "the file changed since it was opened");
	return 0;
}

int file_open(int root_fd, const char *path, const struct file_id *id, struct err *err)
{
	int fd = beneath_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return err_set(err, -ESTALE, "the file is gone");
	if (fd < 0)
		return err_set_source(err, fd, "can't be opened: %s", strerror(-fd));
	int rc = check_version(fd, id, err);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* ---- the list of idle descriptors ---- */

static void list_remove(struct file *file)
{
	*(file->newer ? &file->newer->older : &files.newest) = file->older;
	*(file->older ? &file->older->newer : &files.oldest) = file->newer;
}

static void list_add(struct file *file)
{
	file->older = files.newest;
	file->newer = NULL;
	*(files.newest ? &files.newest->newer : &files.oldest) = file;
	files.newest = file;
}

static void close_idle(unsigned max_open)
{
	while (files.nopen > max_open + files.nheld && files.oldest) {
		struct file *file = files.oldest;
		list_remove(file);
		close(file->fd);
		file->fd = -1;
		files.nopen--;
	}
}

/* A descriptor to read from, counted as in use; a negative errno with words. */
static int file_use(struct file *file, struct err *err)
{
	pthread_mutex_lock(&files.lock);
	if (file->fd >= 0) {
		if (file->readers++ == 0)
			list_remove(file);
		pthread_mutex_unlock(&files.lock);
		return file->fd;
	}
	close_idle(files.max_open ? files.max_open - 1 : 0);
	char *path = strdup(file->path);
	pthread_mutex_unlock(&files.lock);

	int fd = path ? file_open(file->root_fd, path, &file->id, err) : err_set(err, -ENOMEM, "no memory to open it");
	free(path);
	if (fd < 0)
		return fd;
	if (!config.immutable)
		wait_until_settled(&file->id);
	pthread_mutex_lock(&files.lock);
	if (file->fd >= 0) { /* another reader was faster */
		close(fd);
		if (file->readers++ == 0)
			list_remove(file);
	} else {
		file->fd = fd;
		file->readers = 1;
		files.nopen++;
	}
	fd = file->fd;
	pthread_mutex_unlock(&files.lock);
	return fd;
}

static void file_unuse(struct file *file)
{
	pthread_mutex_lock(&files.lock);
	if (--file->readers == 0) {
		list_add(file);
		close_idle(files.max_open);
	}
	pthread_mutex_unlock(&files.lock);
}

/* ---- holding ---- */

static void hold(struct file *file)
{
	struct err ignored = ERR_NONE;
	pthread_mutex_lock(&files.lock);
	file->holds++;
	bool wanted = !file->held && files.nheld < files.max_held;
	if (wanted) {
		file->held = true;
		files.nheld++;
	}
	pthread_mutex_unlock(&files.lock);
	if (!wanted || file_use(file, &ignored) >= 0)
		return;
	pthread_mutex_lock(&files.lock); /* it has gone already: nothing is held */
	file->held = false;
	files.nheld--;
	pthread_mutex_unlock(&files.lock);
}

static void unhold(struct file *file)
{
	pthread_mutex_lock(&files.lock);
	bool last = --file->holds == 0 && file->held;
	if (last) {
		file->held = false;
		files.nheld--;
	}
	pthread_mutex_unlock(&files.lock);
	if (last)
		file_unuse(file);
}

/* Of those that the bytes are read out of: one, or the volumes of an archive. Archives are nested to a bounded depth. */
static void each_file(struct bytes *bytes, void (*action)(struct file *file))
{
	struct bytes *part;
	while (bytes->below)
		bytes = bytes->below;
	if (bytes->class == &file_class)
		action((struct file *)bytes);
	for (uint32_t i = 0; bytes->class->part && (part = bytes->class->part(bytes, i)); i++)
		each_file(part, action);
}

void file_hold(struct bytes *bytes)
{
	each_file(bytes, hold);
}

void file_unhold(struct bytes *bytes)
{
	each_file(bytes, unhold);
}

static ssize_t read_all(int fd, char *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	size_t done = 0;
	while (done < len_bytes) {
		ssize_t got = pread(fd, dst + done, len_bytes - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_source(err, -errno, "reading it failed: %s", strerror(errno));
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Reads what lies within the size that the file has. The sum of what came, -ESTALE where something is missing. */
static ssize_t read_within(int fd, uint64_t size_bytes, struct bytes_piece *pieces, size_t n, struct err *err)
{
	ssize_t sum = 0;
	bool shorter = false;
	for (size_t i = 0; i < n; i++) {
		struct bytes_piece *piece = &pieces[i];
		uint64_t left = piece->offset < size_bytes ? size_bytes - piece->offset : 0;
		size_t want = piece->len_bytes < left ? piece->len_bytes : (size_t)left;
		ssize_t got = read_all(fd, piece->dst, want, piece->offset, err);
		if (got < 0)
			return got;
		piece->got_bytes = (size_t)got;
		shorter |= piece->got_bytes != want;
		sum += got;
	}
	return shorter ? err_set(err, -ESTALE, "the file became shorter") : sum;
}

/* One look at the version behind all pieces says that they are all of it. */
static int file_read_pieces(struct bytes *bytes, struct bytes_piece *pieces, size_t n, struct err *err)
{
	struct file *file = (struct file *)bytes;
	struct err failed = ERR_NONE;
	int fd = file_use(file, err);
	if (fd < 0)
		return fd;
	ssize_t got = read_within(fd, bytes->size_bytes, pieces, n, &failed);
	int rc = config.immutable ? 0 : check_version(fd, &file->id, err);
	file_unuse(file);
	if (rc)
		return rc;
	if (got < 0)
		return err_copy(err, &failed);
	status_count_read((uint64_t)got);
	return 0;
}

static ssize_t file_read(struct bytes *bytes, void *dst, size_t len_bytes, uint64_t offset, struct err *err)
{
	struct bytes_piece piece = {offset, dst, len_bytes, 0};
	if (offset >= bytes->size_bytes || len_bytes == 0)
		return 0;
	int rc = file_read_pieces(bytes, &piece, 1, err);
	return rc ? rc : (ssize_t)piece.got_bytes;
}

static void file_free(struct bytes *bytes)
{
	struct file *file = (struct file *)bytes;
	pthread_mutex_lock(&files.lock);
	if (file->fd >= 0) {
		list_remove(file);
		close(file->fd);
		files.nopen--;
	}
	pthread_mutex_unlock(&files.lock);
	free(file->path);
	free(file);
}

static const struct bytes_class file_class = {.read = file_read, .free = file_free, .read_pieces = file_read_pieces};

struct bytes *file_bytes(int root_fd, const char *path, const struct file_id *id)
{
	struct file *file = calloc(1, sizeof *file);
	char *copy = strdup(path);
	if (!file || !copy) {
		free(file);
		free(copy);
		return NULL;
	}
	bytes_init(&file->bytes, &file_class, id->size_bytes);
	file->root_fd = root_fd;
	file->id = *id;
	file->fd = -1;
	file->path = copy;
	return &file->bytes;
}

void file_found_at(struct bytes *bytes, const char *path)
{
	if (bytes->class != &file_class)
		return;
	struct file *file = (struct file *)bytes;
	pthread_mutex_lock(&files.lock);
	char *copy = strcmp(file->path, path) == 0 ? NULL : strdup(path);
	if (copy) {
		free(file->path);
		file->path = copy;
	}
	pthread_mutex_unlock(&files.lock);
}
