/* main.c - the command line: which command, its options, the settings. */
#include <errno.h>
#include <fuse_opt.h>
#include <iconv.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fs/base/config.h"
#include "mount.h"
#include "fs/source/walk.h"

static const char usage[] = "usage: pixfs SOURCE MOUNTPOINT [-f] [-d] [-o OPTION[,OPTION...]]\n"
			    "       pixfs check [--json] [-o OPTION[,OPTION...]] SOURCE...\n"
			    "       pixfs cat SOURCE PATH\n"
			    "       pixfs formats | --help | --version\n";

static const char help[] =
	"\n"
	"Shows a directory of images, an archive or one image as a read-only tree of raw arrays.\n"
	"  -f                 stay in the foreground, log to stderr\n"
	"  -d                 the same, and show every FUSE request\n"
	"  -o cache_size=N    bytes of decoded samples kept (K, M, G; default: an eighth of the memory)\n"
	"  -o threads=N       decode threads (default: one for each processor)\n"
	"  -o verify=W        what opening an array checks: off, open (checksums, the default), full (decodes everything)\n"
	"  -o immutable       the source never changes: names live for ever in the kernel, no checks for new versions\n"
	"  -o max_pixels=N    largest image (default 2^30)\n"
	"  -o max_entry=N     most bytes out of one archive entry (default 8G)\n"
	"  -o follow_symlinks follow symlinks that lead out of SOURCE too\n"
	"  -o nopassthrough   never let the kernel read whole arrays by itself (it does for root, from Linux 6.9)\n"
	"  -o encoding=NAME   of archive entry names that are not UTF-8 (default CP437)\n"
	"  -o readahead=KB    the kernel's read-ahead on this mount (needs root)\n"
	"  -o log=FILE        write the log there\n"
	"and libfuse's own (allow_other, fsname=NAME, max_read=N ...).\n"
	"Exit codes: 0 done, 1 damaged or failed, 2 usage, 3 no source, 4 source is neither directory nor archive nor image,\n"
	"5 no mountpoint, 6 mountpoint busy, 7 no FUSE.\n";

struct options {
	struct mount_options mount;
	char *cache_size, *threads, *verify, *max_pixels, *max_entry, *encoding, *readahead, *log, *fsname;
	int immutable, follow_symlinks, nopassthrough, shared;
	const char *operands[3];
	int noperands;
};

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
enum { KEY_FOREGROUND, KEY_DEBUG, KEY_SHARED, KEY_DROP };
static const struct fuse_opt option_table[] = {
	TEXT(cache_size),
	TEXT(threads),
	TEXT(verify),
	TEXT(max_pixels),
	TEXT(max_entry),
	TEXT(encoding),
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
	KEY("rw", KEY_DROP),
	KEY("default_permissions", KEY_DROP),
	KEY("subtype=", KEY_DROP),
	KEY("auto", KEY_DROP),
	KEY("noauto", KEY_DROP),
	KEY("nofail", KEY_DROP),
	KEY("_netdev", KEY_DROP),
	KEY("user", KEY_DROP),
	KEY("x-", KEY_DROP),
	FUSE_OPT_END,
};

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
	case KEY_DROP:
		return 0;
	case FUSE_OPT_KEY_NONOPT:
		if (options->noperands == 3)
			return -1;
		options->operands[options->noperands++] = arg;
		return 0;
	default:
		return 1;
	}
}

static void options_free(struct options *options)
{
	char *const texts[] = {options->cache_size, options->threads,   options->verify, options->max_pixels, options->max_entry,
			       options->encoding,   options->readahead, options->log,    options->fsname};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
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
	fprintf(stderr, "pixfs: %s=%s: not a number\n", name, text);
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
	iconv_t known = name ? iconv_open("UTF-8", name) : (iconv_t)0;
	config.encoding = name;
	if (known == (iconv_t)-1)
		fprintf(stderr, "pixfs: encoding=%s: no such encoding\n", name);
	else if (name)
		iconv_close(known);
	return known != (iconv_t)-1;
}

static bool take_config(const struct options *options)
{
	uint64_t threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), readahead = 0;
	config.cache_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) / 8 * (uint64_t)sysconf(_SC_PAGESIZE);
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
	    !take_encoding(options->encoding))
		return false;
	if (threads < 1 || threads > 256 || readahead > 1 << 20) {
		fprintf(stderr, "pixfs: threads= takes 1 to 256, readahead= up to 1048576\n");
		return false;
	}
	config.threads = (unsigned)threads;
	config.readahead_kib = (unsigned)readahead;
	return true;
}

/* "\\" and "," in a value have to be escaped for libfuse. */
static void append_escaped(char *to, size_t room, const char *value)
{
	size_t len = strlen(to);
	for (; *value && len + 2 < room; value++) {
		if (*value == ',' || *value == '\\')
			to[len++] = '\\';
		to[len++] = *value;
	}
	to[len] = 0;
}

/* What fuse_opt left over ("pixfs", "-o", "a,b", "-x") as one list of options; false on anything that is no -o. */
static bool gather_fuse_options(const struct fuse_args *args, const struct options *options, char *ret, size_t room)
{
	snprintf(ret, room, "fsname=");
	if (options->fsname)
		append_escaped(ret, room, options->fsname);
	else {
		append_escaped(ret, room, "pixfs:");
		append_escaped(ret, room, config.source);
	}
	for (int i = 1; i < args->argc; i++) {
		const char *arg = args->argv[i];
		if (strncmp(arg, "-o", 2) != 0)
			return false;
		arg += 2;
		if (!*arg && i + 1 < args->argc)
			arg = args->argv[++i];
		size_t len = strlen(ret);
		snprintf(ret + len, room - len, ",%s", arg);
	}
	return true;
}

static enum exit_code open_source(const char *source)
{
	static char real[PATH_MAX];
	struct err err = ERR_NONE;
	if (!realpath(source, real)) {
		fprintf(stderr, "pixfs: source %s: %s\n", source, strerror(errno));
		return EXIT_NO_SOURCE;
	}
	config.source = real;
	if (walk_start(real, &err) == 0)
		return EXIT_OK;
	fprintf(stderr, "pixfs: source %s: %s\n", source, err.text);
	return err.code == -EINVAL ? EXIT_BAD_SOURCE : EXIT_NO_SOURCE;
}

static enum exit_code usage_error(const char *words)
{
	fprintf(stderr, "pixfs: %s (see pixfs --help)\n", words);
	return EXIT_USAGE;
}

static enum exit_code run_mount(const struct fuse_args *args, struct options *options)
{
	char fuse_options[8192];
	if (options->noperands != 2)
		return usage_error("a SOURCE and a MOUNTPOINT are wanted");
	enum exit_code code = open_source(options->operands[0]);
	if (code != EXIT_OK)
		return code;
	if (!gather_fuse_options(args, options, fuse_options, sizeof fuse_options))
		return usage_error("unknown option");
	options->mount.fuse_options = fuse_options;
	options->mount.mountpoint = options->operands[1];
	options->mount.log_path = options->log;
	return mount_run(&options->mount);
}

static enum exit_code run_cat(const struct options *options)
{
	if (options->noperands != 3)
		return usage_error("cat wants a SOURCE and a PATH");
	enum exit_code code = open_source(options->operands[1]);
	return code == EXIT_OK ? command_cat(options->operands[2]) : code;
}

/* check takes any number of sources and --json: its words are taken before fuse_opt sees the rest. */
static enum exit_code run_check(int argc, char **argv)
{
	struct options options = {0};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	bool json = false;
	fuse_opt_add_arg(&args, "pixfs");
	char **sources = calloc((size_t)argc, sizeof *sources);
	int nsources = 0;
	for (int i = 2; sources && i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
			(void)(fuse_opt_add_arg(&args, "-o"), fuse_opt_add_arg(&args, argv[++i]));
		else if (*argv[i] == '-')
			nsources = argc;
		else
			sources[nsources++] = argv[i];
		if (nsources >= argc)
			break;
	}
	enum exit_code code = EXIT_USAGE;
	if (!sources || nsources == 0 || nsources >= argc || fuse_opt_parse(&args, &options, option_table, take_option) != 0 ||
	    args.argc > 1 || !take_config(&options)) {
		code = usage_error("check wants one SOURCE or more");
	} else {
		code = EXIT_OK;
		for (int i = 0; i < nsources; i++) {
			enum exit_code one = open_source(sources[i]);
			one = one == EXIT_OK ? command_check(sources[i], json) : one;
			code = one > code ? one : code;
		}
	}
	free(sources);
	options_free(&options);
	fuse_opt_free_args(&args);
	return code;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return printf("%s%s", usage, help) < 0;
	if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
		return printf("pixfs %s\n", PIXFS_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "formats") == 0)
		return (int)command_formats();
	if (argc >= 2 && strcmp(argv[1], "check") == 0)
		return (int)run_check(argc, argv);
	struct options options = {0};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	enum exit_code code;
	if (fuse_opt_parse(&args, &options, option_table, take_option) != 0)
		code = usage_error("wrong options");
	else if (!take_config(&options))
		code = EXIT_USAGE;
	else if (options.noperands > 0 && strcmp(options.operands[0], "cat") == 0)
		code = run_cat(&options);
	else
		code = run_mount(&args, &options);
	options_free(&options);
	fuse_opt_free_args(&args);
	return (int)code;
}
