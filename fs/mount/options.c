/* options.c - see options.h. */
#include "options.h"

#include <errno.h>
#include <fuse_log.h>
#include <iconv.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "codecs/facts/color.h"
#include "fs/base/config.h"
#include "fs/base/limits.h"
#include "words.h"

#define TEXT(name)                                                                                                                 \
	{                                                                                                                          \
#name "=%s", offsetof(struct options, name), 0                                                                     \
	}
/* FUSE_OPT_KEY narrows a constant, which clang warns of */
#define KEY(text, key)                                                                                                             \
	{                                                                                                                          \
		text, UINT_MAX, key                                                                                                \
	}
#define FLAG(name)                                                                                                                 \
	{                                                                                                                          \
#name, offsetof(struct options, name), 1                                                                           \
	}
/* libfuse gets it as it stands */
#define PASS(text) KEY(text, FUSE_OPT_KEY_KEEP)
/* what an fstab line may say, and what means nothing here */
#define DROP(text) KEY(text, FUSE_OPT_KEY_DISCARD)
enum { MAX_THREADS = 256 };
enum { KEY_FOREGROUND, KEY_DEBUG, KEY_SHARED, KEY_AUTO_UNMOUNT, KEY_REMOUNT, KEY_JSON, KEY_HELP, KEY_VERSION };
static const struct fuse_opt option_table[] = {
	TEXT(cache_size),
	TEXT(threads),
	TEXT(verify),
	TEXT(max_pixels),
	TEXT(max_entry),
	TEXT(encoding),
	TEXT(assume),
	TEXT(readahead),
	TEXT(log),
	TEXT(fsname),
	FLAG(immutable),
	FLAG(follow_symlinks),
	FLAG(nopassthrough),
	KEY("-f", KEY_FOREGROUND),
	KEY("-d", KEY_DEBUG),
	KEY("debug", KEY_DEBUG),
	KEY("allow_other", KEY_SHARED),
	KEY("allow_root", KEY_SHARED),
	KEY("auto_unmount", KEY_AUTO_UNMOUNT),
	KEY("remount", KEY_REMOUNT),
	KEY("--json", KEY_JSON),
	KEY("--help", KEY_HELP),
	KEY("-h", KEY_HELP),
	KEY("--version", KEY_VERSION),
	KEY("-V", KEY_VERSION),
	PASS("max_read="),
	PASS("max_background="),
	PASS("congestion_threshold="),
	PASS("ro"),
	PASS("rw"),
	PASS("suid"),
	PASS("nosuid"),
	PASS("dev"),
	PASS("nodev"),
	PASS("exec"),
	PASS("noexec"),
	PASS("async"),
	PASS("sync"),
	PASS("dirsync"),
	PASS("atime"),
	PASS("noatime"),
	PASS("context="),
	PASS("fscontext="),
	PASS("defcontext="),
	PASS("rootcontext="),
	DROP("default_permissions"),
	DROP("subtype="),
	DROP("defaults"),
	DROP("auto"),
	DROP("noauto"),
	DROP("nofail"),
	DROP("_netdev"),
	DROP("user"),
	DROP("user="),
	DROP("users"),
	DROP("nouser"),
	DROP("owner"),
	DROP("group"),
	DROP("comment="),
	DROP("uid="),
	DROP("gid="),
	DROP("umask="),
	DROP("diratime"),
	DROP("nodiratime"),
	DROP("relatime"),
	DROP("norelatime"),
	DROP("strictatime"),
	DROP("nostrictatime"),
	DROP("lazytime"),
	DROP("nolazytime"),
	DROP("iversion"),
	DROP("noiversion"),
	DROP("mand"),
	DROP("nomand"),
	DROP("silent"),
	DROP("loud"),
	FUSE_OPT_END,
};
enum { NOPTIONS = sizeof option_table / sizeof *option_table - 1 };

static int refuse_option(const char *arg)
{
	const char *names[NOPTIONS + 1] = {NULL};
	for (unsigned i = 0; i < NOPTIONS; i++)
		names[i] = option_table[i].templ;
	const char *meant = words_nearest(arg, names);
	int len = meant ? (int)strcspn(meant, "%") : 0;
	if (!meant)
		fprintf(stderr, "pixfs: unknown option %s (pixfs --help lists them)\n", arg);
	else if (meant[strlen(arg)] == '=' && strncmp(arg, meant, strlen(arg)) == 0)
		fprintf(stderr, "pixfs: option %s wants a value: %.*s... (pixfs --help lists them)\n", arg, len, meant);
	else
		fprintf(stderr, "pixfs: unknown option %s: did you mean %.*s? (pixfs --help lists them)\n", arg, len, meant);
	return -1;
}

/* fuse_opt's answers: 0 taken, 1 kept for libfuse, -1 wrong. */
static int take_option(void *data, const char *arg, int key, struct fuse_args *args)
{
	(void)args;
	struct options *options = data;
	switch (key) {
	case KEY_FOREGROUND:
		options->mount.foreground = true;
		return 0;
	case KEY_DEBUG:
		options->mount.foreground = options->mount.debug = true;
		return 0;
	case KEY_SHARED:
		options->shared = 1;
		return 1;
	case KEY_AUTO_UNMOUNT:
		options->mount.auto_unmount = true;
		return 0;
	case KEY_REMOUNT:
		options->remount = true;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_HELP:
		options->help = true;
		return 0;
	case KEY_VERSION:
		options->version = true;
		return 0;
	case FUSE_OPT_KEY_NONOPT:
		options->operands[options->noperands++] = arg;
		return 0;
	default:
		/* x-systemd.automount, X-mount.mkdir ...: for those who read fstab */
		return strncasecmp(arg, "x-", 2) == 0 ? 0 : refuse_option(arg);
	}
}

/* libfuse's own words about wrong options, as one of ours */
static void log_libfuse(enum fuse_log_level level, const char *format, va_list values)
{
	(void)level;
	fputs("pixfs: ", stderr);
	vfprintf(stderr, strncmp(format, "fuse: ", 6) == 0 ? format + 6 : format, values);
}

bool options_parse(struct fuse_args *args, struct options *options)
{
	options->operands = calloc((size_t)args->argc + 1, sizeof *options->operands);
	if (!options->operands)
		fprintf(stderr, "pixfs: no memory\n");
	fuse_set_log_func(log_libfuse);
	bool good = options->operands && fuse_opt_parse(args, options, option_table, take_option) == 0;
	fuse_set_log_func(NULL);
	return good;
}

void options_free(struct options *options)
{
	char *const texts[] = {options->cache_size, options->threads, options->verify,    options->max_pixels, options->max_entry,
			       options->encoding,   options->assume,  options->readahead, options->log,        options->fsname};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	free(options->operands);
}

/* "512M" -> bytes; false where it is no number. */
static bool parse_size(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	static const char units[] = "KMGT";
	const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (errno || end == text || *text == '-' || (*end && (!unit || end[1])))
		return false;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (shift && value > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)value << shift;
	return true;
}

static bool take_size(const char *name, const char *text, uint64_t *ret)
{
	if (!text || parse_size(text, ret))
		return true;
	fprintf(stderr, "pixfs: %s=%s: not a number, as 512M or 2G are\n", name, text);
	return false;
}

static bool take_verify(const char *text)
{
	static const char *const words[] = {[VERIFY_OFF] = "off", [VERIFY_OPEN] = "open", [VERIFY_FULL] = "full"};
	config.verify = VERIFY_OPEN;
	for (unsigned i = 0; text && i < 3; i++)
		if (strcmp(text, words[i]) == 0) {
			config.verify = (enum verify)i;
			return true;
		}
	if (text)
		fprintf(stderr, "pixfs: verify=%s: off, open or full\n", text);
	return !text;
}

static bool take_encoding(const char *name)
{
	if (!name || strcasecmp(name, "auto") == 0)
		return true;
	iconv_t known = iconv_open("UTF-8", name);
	config.encoding = name;
	if (known == (iconv_t)-1)
		fprintf(stderr, "pixfs: encoding=%s: neither auto nor an encoding that iconv knows (iconv -l lists them)\n", name);
	else
		iconv_close(known);
	return known != (iconv_t)-1;
}

static bool take_assume(const char *id)
{
	struct codec_color color;
	config.assume = id;
	if (!id || (color_interop_id(&color, id, "assume") && strcmp(color.transfer, "unknown") != 0))
		return true;
	fprintf(stderr,
		"pixfs: assume=%s: not a color interop ID with a transfer curve (srgb_rec709_scene, lin_rec709_scene, ...)\n", id);
	return false;
}

/* Of the machine, or what cgroups and the limit of address space leave of it. */
static uint64_t memory_bytes(void)
{
	uint64_t all_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t limit_bytes = limits_memory_bytes("");
	struct rlimit space;
	if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < limit_bytes) /* RLIM_INFINITY is the largest number */
		limit_bytes = space.rlim_cur;
	return limit_bytes < all_bytes ? limit_bytes : all_bytes;
}

/* Those that this process may run on, and no more than its cgroups' quotas are worth. */
static unsigned processors(void)
{
	cpu_set_t allowed;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = online < 1 ? 1 : (unsigned)online, limit = limits_processors("");
	if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
		n = (unsigned)CPU_COUNT(&allowed);
	n = limit < n ? limit : n;
	return n < MAX_THREADS ? n : MAX_THREADS;
}

bool options_apply(const struct options *options)
{
	uint64_t threads = processors(), readahead = 0;
	config.memory_bytes = memory_bytes();
	config.processors = (unsigned)threads;
	config.cache_bytes = config.memory_bytes / 8;
	config.max_pixels = (uint64_t)1 << 30;
	config.max_entry_bytes = (uint64_t)8 << 30;
	config.timeout_s = 1;
	config.immutable = options->immutable;
	config.follow_symlinks = options->follow_symlinks;
	config.passthrough = !options->nopassthrough;
	config.shared = options->shared;
	if (!take_size("cache_size", options->cache_size, &config.cache_bytes) ||
	    !take_size("threads", options->threads, &threads) ||
	    !take_size("max_pixels", options->max_pixels, &config.max_pixels) ||
	    !take_size("max_entry", options->max_entry, &config.max_entry_bytes) ||
	    !take_size("readahead", options->readahead, &readahead) || !take_verify(options->verify) ||
	    !take_encoding(options->encoding) || !take_assume(options->assume))
		return false;
	if (threads < 1 || threads > MAX_THREADS || readahead > 1 << 20) {
		fprintf(stderr, "pixfs: threads= takes 1 to 256, readahead= up to 1048576\n");
		return false;
	}
	config.threads = (unsigned)threads;
	config.readahead_kib = (unsigned)readahead;
	return true;
}

/* What fuse_opt left over ("pixfs", "-o", "a,b"). */
bool options_gather_fuse(const struct fuse_args *args, char *ret, size_t room)
{
	*ret = 0;
	for (int i = 1; i < args->argc; i++) {
		const char *arg = args->argv[i];
		if (strncmp(arg, "-o", 2) != 0)
			continue;
		arg += 2;
		if (!*arg && i + 1 < args->argc)
			arg = args->argv[++i];
		size_t len = strlen(ret);
		snprintf(ret + len, room - len, "%s%s", len ? "," : "", arg);
	}
	return strlen(ret) + 1 < room;
}
