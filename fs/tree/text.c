/* text.c - the made texts of an image's directory: meta.json, error.txt, views/README.txt, and its palette. */
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view/npy.h"
#include "meta.h"
#include "fs/source/walk.h"

enum { MAX_FILES = 16 };

static int64_t file_size(const struct folder *folder, const struct row *row, uint64_t source_bytes)
{
	struct view *view;
	struct err err = ERR_NONE;
	if (row->type == ROW_FOLDER)
		return -1;
	if (row->row == ROW_SOURCE)
		return (int64_t)source_bytes;
	if (row->row == ROW_ERROR)
		return (int64_t)strlen(folder->err.text) + 1;
	if (view_compile(&folder->target.picture, row->name, &view, &err))
		return 0;
	int64_t size = (int64_t)view_info(view)->nbytes;
	view_free(view);
	return size;
}

/* What the directory lists, but for meta.json, whose size depends on this very list. */
static size_t gather_files(const struct folder *folder, uint64_t source_bytes, struct meta_file files[MAX_FILES],
			   char source_name[300])
{
	size_t n = 0;
	for (size_t i = 0; i < row_count && n < MAX_FILES; i++) {
		const struct row *row = &row_table[i];
		if (row->parent != ROW_SELF || row->row == ROW_META || !row->is_listed(folder))
			continue;
		files[n].name = row_name(row, row->row, folder, source_name);
		files[n++].nbytes = file_size(folder, row, source_bytes);
	}
	return n;
}

struct source_facts {
	struct walk_spec spec;
	char archive_path[4096];
	struct meta_source source;
};

static void gather_source(struct node *file, struct source_facts *facts)
{
	struct err err = ERR_NONE;
	const struct node *host = node_on_host(file);
	struct meta_source *source = &facts->source;
	source->archive = NULL;
	source->crc32 = -1;
	source->size_bytes = file->id.size_bytes;
	source->mtime_ns = host->id.mtime_ns;
	if (walk_image_spec(file, &facts->spec, &err) == 0 && file->in_archive) {
		struct archive_entry entry;
		archive_get(facts->spec.image.archive, file->index, &entry);
		node_path(node_archive(file), facts->archive_path, sizeof facts->archive_path);
		source->archive = *facts->archive_path ? facts->archive_path : node_archive(file)->name;
		source->size_bytes = entry.size_bytes;
		source->crc32 = entry.crc32;
		source->mtime_ns = entry.mtime_s ? entry.mtime_s * 1000000000 : source->mtime_ns;
	}
	source->path = facts->spec.image.path;
}

int text_meta(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	struct source_facts *facts = calloc(1, sizeof *facts);
	if (!facts)
		return -ENOMEM;
	gather_source(target_file(folder->node), facts);
	struct meta_file files[MAX_FILES];
	char source_name[300];
	size_t nfiles = gather_files(folder, facts->source.size_bytes, files, source_name);
	int rc;
	if (folder->broken)
		rc = meta_make_error(&folder->err, &facts->source, files, nfiles, ret_text, ret_len_bytes);
	else
		rc = meta_make(&folder->target.picture, image_codec(folder->target.image), image_pictures(folder->target.image),
			       folder->target.is_file, &facts->source, files, nfiles, ret_text, ret_len_bytes);
	free(facts);
	return rc;
}

struct text *text_meta_kept(const struct folder *folder)
{
	struct text_key key = {{folder->node->ino, image_version(folder->target.image)}};
	struct text *text = texts_find(&key);
	char *bytes;
	size_t len_bytes;
	if (text)
		return text;
	texts_begin();
	if (text_meta(folder, &bytes, &len_bytes) == 0)
		text = texts_keep(&key, bytes, len_bytes);
	texts_end();
	return text;
}

int text_error(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	int len = asprintf(ret_text, "%s\n", folder->err.text);
	if (len < 0)
		return -ENOMEM;
	*ret_len_bytes = (size_t)len;
	return 0;
}

int text_views_readme(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	const struct codec_level *level = picture_level(&folder->target.picture);
	const char *names[32];
	FILE *out = open_memstream(ret_text, ret_len_bytes);
	if (!out)
		return -ENOMEM;
	view_list(&folder->target.picture, names, sizeof names / sizeof *names);
	fprintf(out,
		"Views: arrays made from this image when they are read, %u x %u pixels.\n"
		"\n"
		"  <op>[,<op>...].<ext>    operations work left to right; any such name here resolves, listed or not\n"
		"\n",
		level->width, level->height);
	view_help(out);
	fprintf(out,
		"as        .f32 .f16 .u8 .u16 (raw, little-endian) .npy (numpy) .tif .png (a picture to look at)\n"
		"          .json (the view's shape and dtype) .zarr (a directory: a Zarr v3 array, a chunk for each decode unit)\n"
		"\n"
		"native: the file's own sample type, of a palette the indices; values: the integers as float32. linear: light by "
		"the\n"
		"file's own curve, an ICC profile's too; primaries stay. Straight alpha weighs the colour in sizes; packed: it is "
		"no alpha.\n"
		"\n"
		"np.fromfile('views/gray.f32', '<f4')      np.load('views/native.npy', mmap_mode='r')\n"
		"np.load('views/crop=0:0:%u:%u,chw.npy')   np.load('views/rgb,short=256,u8.npy')\n"
		"\n"
		"Listed for this image:\n",
		level->width < 64 ? level->width : 64, level->height < 64 ? level->height : 64);
	for (size_t i = 0; names[i]; i++)
		fprintf(out, "  %s\n", names[i]);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

int text_palette(const struct folder *folder, char **ret_text, size_t *ret_len_bytes)
{
	const struct codec_part *part = folder->target.picture.part;
	const uint64_t shape[2] = {part->npalette, sizeof *part->palette};
	size_t len_bytes = part->npalette * sizeof *part->palette;
	char *text = malloc(NPY_HEADER_BYTES + len_bytes);
	if (!text)
		return -ENOMEM;
	npy_header(SAMPLE_U8, 2, shape, (unsigned char *)text);
	memcpy(text + NPY_HEADER_BYTES, part->palette, len_bytes);
	*ret_text = text;
	*ret_len_bytes = NPY_HEADER_BYTES + len_bytes;
	return 0;
}
