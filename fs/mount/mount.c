/* mount.c - see mount.h. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "fs/source/node.h"
#include "ops.h"
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
#include "fs/source/walk.h"

enum { MAX_FUSE_THREADS = 512, IDLE_FUSE_THREADS = 16 };

static struct {
	char mountpoint[4096];
	int ready_fd; /* the daemon's end of the pipe to its parent, -1 in the foreground */
	bool daemon;
	FILE *log_file;
} mounted = {.ready_fd = -1};

/* ---- the log ---- */

static void write_log(int code, const char *line)
{
	if (mounted.daemon && !mounted.log_file) {
		syslog(code ? LOG_ERR : LOG_INFO, "%s", line);
		return;
	}
	char when[32];
	time_t now = time(NULL);
	struct tm utc;
	gmtime_r(&now, &utc);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
	fprintf(mounted.log_file ? mounted.log_file : stderr, "%s pixfs: %s%s%s\n", when, line, code ? ": " : "",
		code ? strerrorname_np(-code) : "");
	fflush(mounted.log_file ? mounted.log_file : stderr);
}

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
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &limit);
		file_set_limit(limit.rlim_cur > 4096 ? 1024 : (unsigned)limit.rlim_cur / 4);
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

/* ---- the mountpoint ---- */

/* Looks path up in the table of mounts; false where nothing is mounted there. */
static bool find_mount(const char *path, char type[64], char device[32])
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char line[8192], where[4096];
	bool found = false;
	while (table && fgets(line, sizeof line, table)) {
		char *rest = strstr(line, " - ");
		char dev[32];
		if (!rest || sscanf(line, "%*d %*d %31s %*s %4095s", dev, where) != 2 || strcmp(where, path) != 0)
			continue;
		found = sscanf(rest, " - %63s", type) == 1;
		memcpy(device, dev, sizeof dev);
	}
	if (table)
		fclose(table);
	return found;
}

static void unmount_lazily(const char *path)
{
	if (umount2(path, MNT_DETACH) == 0 || errno != EPERM)
		return;
	pid_t child = fork();
	if (child == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", path, (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* The absolute path of the mountpoint, of which the last name may be a dead mount and so can't be looked at. */
static int resolve_mountpoint(const char *path, char ret[4096])
{
	char copy[4096], parent[4096];
	if (realpath(path, parent)) {
		snprintf(ret, 4096, "%s", parent);
		return 0;
	}
	if (errno != ENOTCONN)
		return -errno;
	snprintf(copy, sizeof copy, "%s", path);
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = 0;
	char *slash = strrchr(copy, '/');
	if (!realpath(slash == copy ? "/" : slash ? (*slash = 0, copy) : ".", parent))
		return -errno;
	return snprintf(ret, 4096, "%s/%s", strcmp(parent, "/") ? parent : "", slash ? slash + 1 : copy) < 4096 ? 0 : -ENAMETOOLONG;
}

static enum exit_code prepare_mountpoint(const char *path)
{
	char type[64] = "", device[32];
	struct stat st;
	int rc = resolve_mountpoint(path, mounted.mountpoint);
	/* statfs always asks the daemon; stat may be answered from what the kernel remembers of a dead one */
	if (rc == 0 && statfs(mounted.mountpoint, &(struct statfs){0}) != 0 && errno == ENOTCONN &&
	    find_mount(mounted.mountpoint, type, device) && strcmp(type, "fuse.pixfs") == 0) {
		fprintf(stderr, "pixfs: %s: cleaning up a dead pixfs mount\n", path);
		unmount_lazily(mounted.mountpoint);
	}
	if (rc == 0 && stat(mounted.mountpoint, &st) != 0)
		rc = -errno;
	if (rc) {
		fprintf(stderr, "pixfs: mountpoint %s: %s\n", path, strerror(-rc));
		return EXIT_NO_MOUNTPOINT;
	}
	if (!S_ISDIR(st.st_mode)) {
		fprintf(stderr, "pixfs: mountpoint %s: not a directory\n", path);
		return EXIT_NO_MOUNTPOINT;
	}
	if (find_mount(mounted.mountpoint, type, device) && strcmp(type, "fuse.pixfs") == 0) {
		fprintf(stderr, "pixfs: mountpoint %s: busy, a pixfs is mounted there\n", path);
		return EXIT_BUSY_MOUNTPOINT;
	}
	return EXIT_OK;
}

/* ---- telling that the mount answers ---- */

static void notify_systemd(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static const char message[] = "READY=1\n";
	if (fd >= 0) {
		sendto(fd, message, sizeof message - 1, MSG_NOSIGNAL, (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
		close(fd);
	}
}

static void set_readahead(void)
{
	char type[64], device[32], path[128];
	if (!config.readahead_kib || !find_mount(mounted.mountpoint, type, device))
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", device);
	FILE *file = fopen(path, "we");
	if (!file || fprintf(file, "%u\n", config.readahead_kib) < 0)
		write_log(0, "readahead= needs root: the kernel's default stays");
	if (file)
		fclose(file);
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
	}
	notify_systemd();
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
		if (read(ends[0], &byte, 1) == 1)
			_exit(EXIT_OK);
		waitpid(child, &ended, 0);
		_exit(WIFEXITED(ended) && WEXITSTATUS(ended) ? WEXITSTATUS(ended) : EXIT_NO_FUSE);
	}
	close(ends[0]);
	mounted.ready_fd = ends[1];
	mounted.daemon = true;
	setsid();
	return chdir("/") == 0;
}

/* ---- the session ---- */

/* SIGINT and SIGTERM unmount lazily: who has files open finishes; the session ends with the last of them. A second signal
 * doesn't wait. */
static void *signal_main(void *session)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	for (bool asked = false;; asked = true) {
		sigwait(&set, &number);
		if (number == SIGUSR1)
			return NULL; /* the session is over */
		if (asked)
			fuse_session_exit(session);
		unmount_lazily(mounted.mountpoint);
	}
}

static void block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int serve(struct fuse_session *session)
{
	pthread_t signals;
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	fuse_loop_cfg_set_max_threads(loop, MAX_FUSE_THREADS);
	fuse_loop_cfg_set_idle_threads(loop, IDLE_FUSE_THREADS);
	int rc = pthread_create(&signals, NULL, signal_main, session);
	if (rc == 0) {
		rc = fuse_session_loop_mt(session, loop);
		if (rc == -ECONNABORTED)
			rc = 0; /* the mount ended while one of its last requests was being read: as ENODEV, which libfuse knows */
		pthread_kill(signals, SIGUSR1);
		pthread_join(signals, NULL);
	}
	fuse_loop_cfg_destroy(loop);
	return rc;
}

static struct fuse_session *make_session(const struct mount_options *options)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char *text = NULL;
	int len = asprintf(&text, "-o%s%sdefault_permissions,subtype=pixfs", options->fuse_options,
			   *options->fuse_options ? "," : "");
	struct fuse_session *session = NULL;
	if (len >= 0 && fuse_opt_add_arg(&args, "pixfs") == 0 && fuse_opt_add_arg(&args, text) == 0 &&
	    (!options->debug || fuse_opt_add_arg(&args, "-d") == 0))
		session = fuse_session_new(&args, &ops_table, sizeof ops_table, NULL);
	fuse_opt_free_args(&args);
	free(text);
	return session;
}

static enum exit_code run_session(struct fuse_session *session, const struct mount_options *options)
{
	if (!options->foreground && !become_daemon()) {
		fprintf(stderr, "pixfs: can't become a daemon: %s\n", strerror(errno));
		return EXIT_DAMAGED;
	}
	block_signals();
	int rc = mount_start_engine();
	if (rc) {
		fprintf(stderr, "pixfs: %s\n", strerror(-rc));
		return EXIT_DAMAGED;
	}
	status_set_log(write_log);
	ops_set_ready(answer);
	ops_set_session(session);
	if (config.passthrough && (rc = passthrough_start(session, config.cache_bytes / 2)))
		write_log(0, "the kernel can't read arrays by itself (passthrough): it asks for every piece");
	rc = serve(session);
	return rc < 0 ? EXIT_DAMAGED : EXIT_OK;
}

enum exit_code mount_run(const struct mount_options *options)
{
	enum exit_code code = prepare_mountpoint(options->mountpoint);
	if (code != EXIT_OK)
		return code;
	if (options->log_path && !(mounted.log_file = fopen(options->log_path, "ae"))) {
		fprintf(stderr, "pixfs: log %s: %s\n", options->log_path, strerror(errno));
		return EXIT_USAGE;
	}
	openlog("pixfs", LOG_PID, LOG_DAEMON);
	struct fuse_session *session = make_session(options);
	if (!session)
		return EXIT_USAGE;
	if (fuse_session_mount(session, mounted.mountpoint) != 0) {
		fuse_session_destroy(session);
		fprintf(stderr, "pixfs: mounting on %s failed%s\n", options->mountpoint,
			access("/dev/fuse", R_OK | W_OK) ? ": /dev/fuse can't be opened" : "");
		return EXIT_NO_FUSE;
	}
	code = run_session(session, options);
	fuse_session_unmount(session);
	passthrough_stop();
	fuse_session_destroy(session);
	opened_close_all();
	mount_stop_engine();
	if (mounted.log_file)
		fclose(mounted.log_file);
	return code;
}
