/* meta.h - meta.json: described by scripts/meta.schema.json, from the header alone; the same bytes at every mount. */
#ifndef PIXFS_META_H
#define PIXFS_META_H

#include <stddef.h>
#include <stdint.h>

#include "fs/view/picture.h"

/* What is known of the file from outside of it. */
struct meta_source {
	const char *path;    /* relative to the root of the mount, the file's whole name included ("data.zip/a/b.png") */
	const char *archive; /* path of the innermost archive the file lies in, NULL on disk */
	uint64_t size_bytes;
	int64_t mtime_ns;
	int64_t crc32; /* the archive's CRC-32 of the entry, -1 on disk */
};

/* One entry of "files": a file of the image's directory and its size, or a folder (nbytes -1). */
struct meta_file {
	const char *name;
	int64_t nbytes;
};

/* meta.json of a picture. is_root: the directory of the file itself (it tells layers and frames), not of a layer or level.
 * 0 and the text (free with free()), or -ENOMEM. */
int meta_make(const struct picture *picture, const struct codec *codec, const struct pictures *pictures, int is_root,
	      const struct meta_source *source, const struct meta_file *files, size_t nfiles, char **ret_text,
	      size_t *ret_len_bytes);

/* meta.json of an image whose header can't be read: pixfs, source, error {errno, message}, files. */
int meta_make_error(const struct err *error, const struct meta_source *source, const struct meta_file *files, size_t nfiles,
		    char **ret_text, size_t *ret_len_bytes);

#endif
