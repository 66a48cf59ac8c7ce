/* command.c - see command.h. */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/status.h"
#include "fs/source/walk.h"
#include "fs/tree/tree.h"

enum { PIECE_BYTES = 1 << 20 };

static int copy_out(struct handle *handle, struct err *err)
{
	char *piece = malloc(PIECE_BYTES);
	ssize_t got = piece ? 1 : err_set(err, -ENOMEM, "no memory");
	for (uint64_t offset = 0; got > 0; offset += (uint64_t)got) {
		got = handle_read(handle, piece, PIECE_BYTES, offset, NULL, err);
		if (got > 0 && fwrite(piece, 1, (size_t)got, stdout) != (size_t)got)
			got = err_set(err, -errno, "writing failed: %s", strerror(errno));
	}
	free(piece);
	if (got == 0 && fflush(stdout) != 0)
		got = err_set(err, -errno, "writing failed: %s", strerror(errno));
	return (int)got;
}

enum exit_code command_cat(const char *path)
{
	struct place place;
	struct handle *handle = NULL;
	struct err err = ERR_NONE;
	int rc = mount_start_engine();
	if (rc) {
		fprintf(stderr, "pixfs: %s\n", strerror(-rc));
		return EXIT_DAMAGED;
	}
	rc = tree_resolve(path, &place, &err);
	bool found = rc == 0;
	if (rc == 0)
		rc = tree_open(place, NULL, NULL, NULL, &handle, &err);
	if (rc == 0)
		rc = copy_out(handle, &err);
	if (rc)
		fprintf(stderr, "pixfs: %s: %s\n", path, err.code ? err.text : strerror(-rc));
	handle_close(handle);
	if (found)
		node_unref(place.node, 1);
	mount_stop_engine();
	return rc ? EXIT_DAMAGED : EXIT_OK;
}

enum exit_code command_formats(void)
{
	for (const struct codec *const *codec = codec_table; *codec; codec++)
		printf("%-6s %-15s %-28s %s\n", (*codec)->name, (*codec)->mime_type, (*codec)->extensions, (*codec)->decoder);
	printf("%-6s %-15s ", "zip", "application/zip");
	for (const char *const *name = walk_archive_extensions; *name; name++)
		printf("%s ", *name);
	printf("\n");
	return EXIT_OK;
}
