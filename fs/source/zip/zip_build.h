/* zip_build.h - what is only needed while an archive's index is built. Internal to fs/zip*.c. */
#ifndef PIXFS_ZIP_BUILD_H
#define PIXFS_ZIP_BUILD_H

#include "zip_index.h"

struct zip_build {
	struct archive *archive;
	const struct archive_options *options;
	struct zip_names names;
	struct zip_losers losers;
	uint64_t nreports; /* those beyond the cap are only counted */
	struct archive_volumes volumes;
	bool has_odd_offsets; /* see zip_offset_is_odd */
	/* the directory of the last entry, as it was written, and what was changed in it */
	bool has_last;
	char last[4096];
	size_t last_bytes;
	uint32_t last_dir;
	unsigned last_changes;
};

/* Reads the directory of build->archive, whose bytes are set, and makes the tree. As archive_open(). */
int zip_build_index(struct zip_build *build, struct err *err);

/* Tells of something worth telling; code is 0, or the negative errno that opening the entry will give. */
void zip_report(struct zip_build *build, int code, const char *name, const char *format, ...) __attribute__((format(printf, 4, 5)));
void zip_report_node(struct zip_build *build, int code, uint32_t node, const char *words);

/* zip_arrange.c: finds the places of all entries, where offsets are wrong, and marks those that overlap. The tree is complete. 0,
 * -ENOMEM or a read's error. */
int zip_arrange(struct zip_build *build, const struct zip_directory *directory, struct err *err);

/* zip_link.c: decides of each symbolic link whether it is shown as one. The tree is complete. 0 or -ENOMEM. */
int zip_link_resolve(struct zip_build *build, struct err *err);

#endif
