/* main.c - the command line: which command, on what. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fs/base/config.h"
#include "fs/source/walk.h"
#include "mount.h"
#include "mountpoint.h"
#include "options.h"
#include "words.h"

static enum exit_code usage_error(const char *words)
{
	fprintf(stderr, "pixfs: %s (see pixfs --help)\n", words);
	return EXIT_USAGE;
}

static enum exit_code no_source(const char *source, const char *words)
{
	const char *meant = words_nearest_command(source);
	if (meant && !strchr(source, '/'))
		fprintf(stderr, "pixfs: source %s: %s; did you mean: pixfs %s?\n", source, words, meant);
	else
		fprintf(stderr, "pixfs: source %s: %s\n", source, words);
	return EXIT_NO_SOURCE;
}

static enum exit_code open_source(const char *source)
{
	static char real[PATH_MAX];
	char extensions[1024];
	struct err err = ERR_NONE;
	if (!realpath(source, real))
		return no_source(source, strerror(errno));
	config.source = real;
	if (walk_start(real, &err) == 0)
		return EXIT_OK;
	if (err.code != -EINVAL)
		return no_source(source, err.text);
	fprintf(stderr, "pixfs: source %s: %s; what is read: %s (pixfs formats)\n", source, err.text,
		words_extensions(extensions, sizeof extensions));
	return EXIT_BAD_SOURCE;
}

static enum exit_code run_mount(const struct fuse_args *args, struct options *options)
{
	char fuse_options[8192], fsname[PATH_MAX + 8];
	const char *const *operands = options->operands;
	const char *meant = options->noperands == 1 ? words_nearest_command(*operands) : NULL;
	if (meant && access(*operands, F_OK) != 0) {
		fprintf(stderr, "pixfs: unknown command %s: did you mean: pixfs %s? (see pixfs --help)\n", *operands, meant);
		return EXIT_USAGE;
	}
	if (options->noperands != 2)
		return usage_error(options->noperands == 1 ? "a MOUNTPOINT is wanted too: pixfs SOURCE MOUNTPOINT"
							   : "one SOURCE and one MOUNTPOINT are wanted: pixfs SOURCE MOUNTPOINT");
	if (!options_gather_fuse(args, fuse_options, sizeof fuse_options))
		return usage_error("the options are too long");
	if (options->remount)
		return mountpoint_remount(operands[1], fuse_options);
	enum exit_code code = open_source(operands[0]);
	if (code != EXIT_OK)
		return code;
	snprintf(fsname, sizeof fsname, "%s%s", options->fsname ? "" : "pixfs:", options->fsname ? options->fsname : config.source);
	options->mount.fsname = fsname;
	options->mount.fuse_options = fuse_options;
	options->mount.mountpoint = operands[1];
	options->mount.log_path = options->log;
	return mount_run(&options->mount);
}

static enum exit_code run_cat(const struct options *options)
{
	if (options->noperands != 3)
		return usage_error("cat wants a SOURCE and a PATH: pixfs cat SOURCE PATH");
	enum exit_code code = open_source(options->operands[1]);
	return code == EXIT_OK ? command_cat(options->operands[2]) : code;
}

static enum exit_code run_check(const struct options *options)
{
	enum exit_code code = EXIT_OK;
	if (options->noperands < 2)
		return usage_error("check wants one SOURCE or more: pixfs check SOURCE...");
	for (int i = 1; i < options->noperands; i++) {
		enum exit_code one = open_source(options->operands[i]);
		one = one == EXIT_OK ? command_check(options->operands[i], options->json) : one;
		code = one > code ? one : code;
	}
	return code;
}

/* The command's help, or that of the command in `pixfs help COMMAND`. */
static enum exit_code run_help(const char *command)
{
	const char *text = words_help(command), *meant;
	if (text)
		return fputs(text, stdout) < 0 ? EXIT_DAMAGED : EXIT_OK;
	meant = words_nearest_command(command);
	fprintf(stderr, "pixfs: unknown command %s%s%s (see pixfs --help)\n", command, meant ? ": did you mean " : "",
		meant ? meant : "");
	return EXIT_USAGE;
}

static enum exit_code run_command(const struct fuse_args *args, struct options *options)
{
	const char *command = options->noperands ? options->operands[0] : "";
	if (options->help)
		return run_help(words_help(command) ? command : NULL);
	if (options->version)
		return printf("pixfs %s\n", PIXFS_VERSION) < 0 ? EXIT_DAMAGED : EXIT_OK;
	if (strcmp(command, "help") == 0 && options->noperands <= 2)
		return run_help(options->noperands == 2 ? options->operands[1] : NULL);
	if (strcmp(command, "formats") == 0 && options->noperands == 1)
		return command_formats();
	if (options->json && strcmp(command, "check") != 0)
		return usage_error("--json is an option of check");
	if (!options_apply(options))
		return EXIT_USAGE;
	if (strcmp(command, "check") == 0)
		return run_check(options);
	return strcmp(command, "cat") == 0 ? run_cat(options) : run_mount(args, options);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	enum exit_code code = options_parse(&args, &options) ? run_command(&args, &options) : EXIT_USAGE;
	options_free(&options);
	fuse_opt_free_args(&args);
	return (int)code;
}
