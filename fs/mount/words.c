/* words.c - see words.h. */
#include "words.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/codec.h"
#include "fs/source/walk.h"

static const char help_pixfs[] =
	"usage: pixfs SOURCE MOUNTPOINT [-f] [-d] [-o OPTION[,OPTION...]]\n"
	"       pixfs check [--json] [-o OPTION[,OPTION...]] SOURCE...\n"
	"       pixfs cat SOURCE PATH\n"
	"       pixfs formats | help [COMMAND] | --help | --version\n"
	"\n"
	"Shows a directory of images, an archive or one image as a read-only tree of raw arrays.\n"
	"To unmount: fusermount3 -u MOUNTPOINT\n"
	"  -f                 stay in the foreground, log to stderr\n"
	"  -d                 the same, and show every FUSE request\n"
	"  -o cache_size=N    bytes of decoded samples kept (K, M, G; default: an eighth of the memory, or of the cgroup's limit)\n"
	"  -o threads=N       decode threads (default: one for each processor that the affinity and the cgroup leave)\n"
	"  -o verify=W        what opening an array checks: off, open (checksums, the default), full (decodes everything)\n"
	"  -o immutable       the source never changes: names live for ever in the kernel, no checks for new versions\n"
	"  -o max_pixels=N    largest image (default 2^30)\n"
	"  -o max_entry=N     most bytes out of one archive entry (default 8G)\n"
	"  -o follow_symlinks follow symlinks that lead out of SOURCE too\n"
	"  -o nopassthrough   never let the kernel read whole arrays by itself (it does for root, from Linux 6.9)\n"
	"  -o encoding=NAME   of archive entry names that are not UTF-8: one that iconv knows (cp437, shift_jis, gbk, euc-kr,\n"
	"                     cp866 ...), or auto (default): what all of an archive's together seem to be in, else cp437\n"
	"  -o assume=ID       color interop ID of images that don't say which transfer curve they have (srgb_rec709_scene ...)\n"
	"  -o readahead=KB    the kernel's read-ahead on this mount (needs root)\n"
	"  -o log=FILE        write the log there (SIGHUP opens it anew)\n"
	"and libfuse's own (ro, allow_other, auto_unmount, fsname=NAME, max_read=N ...); what else a line of fstab says is taken.\n"
	"Exit codes: 0 done (also: the same source is mounted there already), 1 damaged or failed, 2 usage, 3 no source,\n"
	"4 source is neither directory nor archive nor image, 5 no mountpoint, 6 mountpoint busy, 7 no FUSE.\n";

static const char help_check[] =
	"usage: pixfs check [--json] [-o OPTION[,OPTION...]] SOURCE...\n"
	"\n"
	"Decodes every image and every archived file below each SOURCE (a directory, an archive or one image), needs no mount, "
	"and\n"
	"names what is damaged, a line each; on a terminal with a progress bar.\n"
	"  --json             an object a line: source, path, errno, message\n"
	"  -o OPTION          those of a mount: threads=N, cache_size=N, max_pixels=N, max_entry=N, encoding=NAME, "
	"follow_symlinks\n"
	"Exit codes: 0 all is well, 1 something is damaged, 2 usage, 3 no source, 4 source is neither directory nor archive nor\n"
	"image.\n";

static const char help_cat[] =
	"usage: pixfs cat SOURCE PATH [-o OPTION[,OPTION...]]\n"
	"\n"
	"Writes what MOUNTPOINT/PATH of a mount of SOURCE would hold to stdout, without a mount:\n"
	"  pixfs cat photos beach.png/views/gray.npy > gray.npy\n"
	"Exit codes: 0 done, 1 it can't be read, 2 usage, 3 no source, 4 source is neither directory nor archive\n"
	"nor image.\n";

static const char help_formats[] = "usage: pixfs formats\n"
				   "\n"
				   "Lists what this build reads, a line each: name, MIME type, extensions, decoder.\n";

static const char help_help[] = "usage: pixfs help [COMMAND]\n"
				"\n"
				"The help of pixfs, or of one of its commands: check, cat, formats.\n";

static const char *const commands[] = {"check", "cat", "formats", "help", NULL};

const char *words_help(const char *command)
{
	static const char *const texts[] = {help_check, help_cat, help_formats, help_help};
	for (unsigned i = 0; command && commands[i]; i++)
		if (strcmp(command, commands[i]) == 0)
			return texts[i];
	return command ? NULL : help_pixfs;
}

/* How many letters have to be added, dropped, changed or swapped with their neighbour to make one of the other. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	enum { MOST = 40 };
	unsigned rows[3][MOST + 1];
	if (na > MOST || nb > MOST)
		return UINT32_MAX;
	for (unsigned j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[na % 3][nb];
}

const char *words_nearest(const char *word, const char *const *list)
{
	const char *nearest = NULL;
	size_t len = strcspn(word, "=");
	unsigned least = len < 3 ? 1 : len < 5 ? 2 : 3; /* no letter of a very short word, one of a short one, two of a long one */
	for (; *list; list++) {
		unsigned n = distance(word, len, *list, strcspn(*list, "="));
		if (n < least && n < strcspn(*list, "=")) {
			least = n;
			nearest = *list;
		}
	}
	return nearest;
}

const char *words_nearest_command(const char *word)
{
	return words_nearest(word, commands);
}

const char *words_quote(const char *path, char *ret, size_t room)
{
	size_t plain = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=");
	size_t at = 0;
	if (!path[plain] && *path && *path != '-') {
		snprintf(ret, room, "%s", path);
		return ret;
	}
	ret[at++] = '\'';
	for (; *path && at + 6 < room; path++)
		at += (size_t)snprintf(ret + at, room - at, *path == '\'' ? "'\\''" : "%c", *path);
	ret[at++] = '\'';
	ret[at] = 0;
	return ret;
}

const char *words_extensions(char *ret, size_t room)
{
	size_t len = 0;
	*ret = 0;
	for (const struct codec *const *codec = codec_table; *codec && len < room; codec++)
		len += (size_t)snprintf(ret + len, room - len, "%s ", (*codec)->extensions);
	for (const char *const *name = walk_archive_extensions; *name && len < room; name++)
		len += (size_t)snprintf(ret + len, room - len, "%s%s", *name, name[1] ? " " : "");
	return ret;
}
