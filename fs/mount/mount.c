/* mount.c - see mount.h. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "fs/source/node.h"
#include "gate.h"
#include "log.h"
#include "loop.h"
#include "mountpoint.h"
#include "notify.h"
#include "ops.h"
#include "words.h"
#include "fs/open/ahead.h"
#include "fs/source/archives.h"
#include "fs/store/backing.h"
#include "opened.h"
#include "passthrough.h"
#include "fs/base/pool.h"
#include "fs/open/prefetch.h"
#include "fs/stack/stack.h"
#include "fs/store/texts.h"
#include "fs/base/status.h"
#include "fs/tree/tree.h"
#include "fs/source/own.h"
#include "fs/source/walk.h"

enum { MAX_FUSE_THREADS = GATE_THREADS, IDLE_FUSE_THREADS = 16, MAX_DESCRIPTORS = 1 << 20 };

/* Without a name the mount is known only to copies of it in other namespaces: it ends when nothing was open for so long. */
enum { TICK_MS = 50, QUIET_MS = 1000 };

static struct {
	struct mountpoint point;
	int ready_fd; /* the daemon's end of the pipe to its parent, -1 in the foreground */
	pthread_t loop;
	struct fuse_session *session;
	char failure[512]; /* libfuse's first words about why it can't */
} mounted = {.ready_fd = -1};

/* ---- the engine ---- */

/* Decoders ask for and free the same few hundred KiB, the OpenEXR library 2 MiB, for each chunk. By itself malloc gives that back
 * to the system at each free, and then a third of a decode's time is page faults; or it raises its threshold up to 32 MiB with the
 * first large buffers that are freed, and keeps what is freed below it. */
static void bound_free_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
	mallopt(M_ARENA_MAX, 4);
}

int mount_start_engine(void)
{
	struct rlimit limit;
	bound_free_memory();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max < MAX_DESCRIPTORS ? limit.rlim_max : MAX_DESCRIPTORS;
		setrlimit(RLIMIT_NOFILE, &limit);
		file_set_limit(limit.rlim_cur > 4096 ? 1024 : (unsigned)limit.rlim_cur / 4, (unsigned)limit.rlim_cur / 2);
	}
	int rc = cache_start(config.cache_bytes);
	rc = rc ? rc : image_start();
	rc = rc ? rc : node_start();
	prefetch_start();
	ahead_start(tree_make_whole);
	return rc ? rc : pool_start(config.threads);
}

void mount_stop_engine(void)
{
	ahead_end();
	prefetch_clear(); /* what is queued has no readers any more */
	pool_stop();
	ahead_stop();
	stack_stop();
	texts_stop();
	node_stop();
	image_stop();
	archives_stop();
	backing_stop();
	cache_stop();
	walk_stop();
}

/* ---- telling that the mount answers ---- */

static void set_readahead(void)
{
	char path[128];
	uint64_t device = mounted.point.device;
	if (!config.readahead_kib)
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(device), minor(device));
	FILE *file = device ? fopen(path, "we") : NULL;
	if (!file || fprintf(file, "%u\n", config.readahead_kib) < 0)
		log_write(0, "readahead= needs root: the kernel's default stays");
	if (file)
		fclose(file);
}

static void tell_success(void)
{
	char quoted[8192];
	if (isatty(STDOUT_FILENO) && !mounted.point.is_descriptor)
		printf("mounted on %s; to unmount: fusermount3 -u %s\n", mounted.point.path,
		       words_quote(mounted.point.path, quoted, sizeof quoted));
	fflush(stdout);
}

static void answer(void)
{
	set_readahead();
	if (mounted.ready_fd >= 0) {
		ssize_t ignored = write(mounted.ready_fd, "", 1);
		(void)ignored;
		close(mounted.ready_fd);
		mounted.ready_fd = -1;
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd <= 2 && null >= 0; fd++)
			dup2(null, fd);
		if (null > 2)
			close(null);
	} else {
		tell_success();
	}
	notify_ready();
}

/* Forks: the child goes on with true; the parent exits when the child's mount answers, or with its failure. */
static bool become_daemon(void)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid_t child = fork();
	if (child < 0)
		return false;
	if (child > 0) {
		char byte;
		int ended = 0;
		close(ends[1]);
		if (read(ends[0], &byte, 1) == 1) {
			tell_success();
			_exit(EXIT_OK);
		}
		waitpid(child, &ended, 0);
		_exit(WIFEXITED(ended) && WEXITSTATUS(ended) ? WEXITSTATUS(ended) : EXIT_NO_FUSE);
	}
	close(ends[0]);
	mounted.ready_fd = ends[1];
	log_become_daemon();
	setsid();
	return chdir("/") == 0;
}

/* ---- the session ---- */

static void fill_signals(sigset_t *set)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
	sigemptyset(set);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(set, numbers[i]);
}

/* The loop waits for the kernel's word that all copies of the mount are gone; a signal makes it look whether it shall end. */
static void end_loop(void)
{
	fuse_session_exit(mounted.session);
	pthread_kill(mounted.loop, SIGUSR2);
}

/* Once the mount has no name here, TICK_MS after the last call: whether nothing was open and nothing was opened for QUIET_MS. */
static bool is_quiet(void)
{
	static uint64_t last_total;
	static unsigned ticks;
	uint64_t total;
	bool busy = opened_any(&total) || total != last_total;
	last_total = total;
	ticks = busy ? 0 : ticks + 1;
	return ticks > QUIET_MS / TICK_MS;
}

/* SIGINT and SIGTERM unmount lazily: who has files open finishes; the session ends with the last of them. A second signal
 * doesn't wait: what is open fails. SIGHUP opens the log anew. SIGUSR1: the process has come to its end. */
static void *signal_main(void *context)
{
	sigset_t set;
	struct timespec tick = {0, TICK_MS * 1000000};
	fill_signals(&set);
	for (bool asked = false;;) {
		int number = asked ? sigtimedwait(&set, NULL, &tick) : sigwaitinfo(&set, NULL);
		if (number == SIGUSR1)
			return context;
		if (number == SIGHUP) {
			log_reopen();
		} else if (number > 0 && asked) {
			log_write(0, "ended by a second signal");
			_exit(EXIT_OK);
		} else if (number > 0) {
			asked = true;
			notify_stopping();
			mountpoint_unmount_lazily(&mounted.point);
		} else if (asked && is_quiet()) {
			end_loop();
		}
	}
}

static void do_nothing(int number)
{
	(void)number;
}

static int start_signals(pthread_t *ret_thread)
{
	sigset_t set;
	struct sigaction wake = {.sa_handler = do_nothing}; /* without SA_RESTART: what waits looks up */
	fill_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR2, &wake, NULL);
	signal(SIGPIPE, SIG_IGN);
	mounted.loop = pthread_self();
	return -pthread_create(ret_thread, NULL, signal_main, NULL);
}

static void stop_signals(pthread_t thread)
{
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

static int serve(struct fuse_session *session)
{
	int rc = loop_run(session, MAX_FUSE_THREADS, IDLE_FUSE_THREADS);
	/* ECONNABORTED: the mount ended while one of its last requests was being read: as ENODEV, which libfuse knows */
	return rc == -ECONNABORTED || rc == -EINTR ? 0 : rc;
}

/* "," and "\\" in a value have to be escaped for libfuse. */
static void escape(const char *value, char *ret, size_t room)
{
	size_t len = 0;
	for (; *value && len + 2 < room; value++) {
		if (*value == ',' || *value == '\\')
			ret[len++] = '\\';
		ret[len++] = *value;
	}
	ret[len] = 0;
}

/* What libfuse says while mounting is kept for our own line; later it goes to the log. */
static void log_libfuse(enum fuse_log_level level, const char *format, va_list values)
{
	char line[512];
	if (level == FUSE_LOG_DEBUG) {
		vfprintf(stderr, format, values);
		return;
	}
	vsnprintf(line, sizeof line, format, values);
	line[strcspn(line, "\n")] = 0;
	const char *words = strncmp(line, "fuse: ", 6) == 0 ? line + 6 : line;
	if (mounted.session)
		log_write(0, words);
	else if (!*mounted.failure)
		snprintf(mounted.failure, sizeof mounted.failure, "%s", words);
}

static struct fuse_session *make_session(const struct mount_options *options)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char *text = NULL, fsname[8192];
	escape(options->fsname, fsname, sizeof fsname);
	int len = asprintf(&text, "-o%s%sdefault_permissions,subtype=pixfs,fsname=%s", options->fuse_options,
			   *options->fuse_options ? "," : "", fsname);
	struct fuse_session *session = NULL;
	if (len >= 0 && fuse_opt_add_arg(&args, "pixfs") == 0 && fuse_opt_add_arg(&args, text) == 0 &&
	    (!options->debug || fuse_opt_add_arg(&args, "-d") == 0))
		session = fuse_session_new(&args, &ops_table, sizeof ops_table, NULL);
	if (!session)
		fprintf(stderr, "pixfs: %s (see pixfs --help)\n", *mounted.failure ? mounted.failure : "no memory");
	fuse_opt_free_args(&args);
	free(text);
	return session;
}

static enum exit_code serve_engine(struct fuse_session *session)
{
	int rc = mount_start_engine();
	if (rc) {
		fprintf(stderr, "pixfs: %s\n", strerror(-rc));
		return EXIT_DAMAGED;
	}
	status_set_log(log_write);
	ops_set_ready(answer);
	ops_set_session(session);
	if (config.passthrough && passthrough_start(session, config.cache_bytes / 2))
		log_write(0, "the kernel can't read arrays by itself (passthrough): it asks for every piece");
	rc = serve(session);
	notify_stopping();
	return rc < 0 ? EXIT_DAMAGED : EXIT_OK;
}

static void end_session(struct fuse_session *session)
{
	fuse_session_unmount(session);
	passthrough_stop();
	fuse_session_destroy(session);
	opened_close_all();
	mount_stop_engine();
}

static enum exit_code run_session(struct fuse_session *session, const struct mount_options *options)
{
	pthread_t signals;
	bool goes_on = options->foreground || become_daemon();
	mounted.session = session;
	if (goes_on && options->auto_unmount && mountpoint_watch(&mounted.point))
		fprintf(stderr, "pixfs: auto_unmount can't be had here\n");
	int rc = goes_on ? start_signals(&signals) : -errno;
	if (rc)
		fprintf(stderr, "pixfs: can't go on: %s\n", strerror(-rc));
	enum exit_code code = rc ? EXIT_DAMAGED : serve_engine(session);
	end_session(session);
	if (rc == 0)
		stop_signals(signals);
	return code;
}

/* The session of a mounted tree; NULL: *ret_code says why there is none. */
static struct fuse_session *mount_session(const struct mount_options *options, enum exit_code *ret_code)
{
	fuse_set_log_func(log_libfuse);
	struct fuse_session *session = make_session(options);
	if (!session) {
		*ret_code = EXIT_USAGE;
		return NULL;
	}
	if (!mounted.point.is_descriptor)
		own_set_place(mounted.point.path);
	if (fuse_session_mount(session, mounted.point.path) != 0) {
		fuse_session_destroy(session);
		*ret_code = mountpoint_failed(&mounted.point, mounted.failure);
		return NULL;
	}
	mountpoint_take(&mounted.point);
	own_set_device(mounted.point.device);
	return session;
}

enum exit_code mount_run(const struct mount_options *options)
{
	enum exit_code code = mountpoint_prepare(options->mountpoint, options->fsname, &mounted.point);
	if (code == EXIT_OK && mounted.point.is_same_already) {
		fprintf(stderr, "pixfs: %s: the same source is mounted there already\n", options->mountpoint);
		return EXIT_OK;
	}
	code = code == EXIT_OK ? mountpoint_check_fuse(&mounted.point) : code;
	if (code != EXIT_OK)
		return code;
	int rc = log_open(options->log_path);
	if (rc) {
		fprintf(stderr, "pixfs: log %s: %s\n", options->log_path, strerror(-rc));
		return EXIT_USAGE;
	}
	struct fuse_session *session = mount_session(options, &code);
	if (session)
		code = run_session(session, options);
	log_close();
	return code;
}
