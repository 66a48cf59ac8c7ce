/* zip_build.c - the records of the central directory -> entries of the tree.
 *
 * What is odd about an entry is reported and never a reason to refuse the others. No data is read here but that of
 * symbolic links (zip_link.c).
 */
#include "zip_build.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MAX_REPORTS = 100,
	MAX_DEPTH = 256, /* components of a path: what lies deeper could hardly be named, as PATH_MAX is 4096 */
	PATH_ROOM_BYTES = 1024,
	GUESS_BYTES = 256 << 10, /* of names that an encoding is told by */
};

/* ---- reports ---- */

void zip_report(struct zip_build *build, int code, const char *name, const char *format, ...)
{
	const struct archive_options *options = build->options;
	if (!options->report || build->nreports++ >= MAX_REPORTS)
		return;
	char words[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	options->report(options->context, code, name, words);
}

static void report_rest(struct zip_build *build)
{
	char words[64];
	if (!build->options->report || build->nreports <= MAX_REPORTS)
		return;
	snprintf(words, sizeof words, "%" PRIu64 " more like these", build->nreports - MAX_REPORTS);
	build->options->report(build->options->context, 0, "", words);
}

/* A report on a record, by its name in the archive. */
static void report_record(struct zip_build *build, int code, const char *text, size_t len_bytes, const char *words)
{
	char name[PATH_ROOM_BYTES];
	zip_names_printable(text, len_bytes, name, sizeof name);
	zip_report(build, code, name, "%s", words);
}

void zip_report_node(struct zip_build *build, int code, uint32_t node, const char *words)
{
	char path[PATH_ROOM_BYTES];
	if (build->nreports < MAX_REPORTS)
		zip_tree_path(build->archive, node, NULL, path, sizeof path);
	zip_report(build, code, path, "%s", words);
}

/* ---- records ---- */

/* 4.4.15: systems like Unix keep the file's mode in the upper half of the external attributes. PKZIP on Unix does so too
 * but calls itself FAT: there the mode counts where it doesn't contradict the DOS attributes. 0: no mode. */
static unsigned record_mode(const struct zip_record *record)
{
	unsigned mode = record->external >> 16;
	if (record->host == ZIP_HOST_UNIX || record->host == ZIP_HOST_DARWIN)
		return mode;
	bool is_read_only = record->external & 1, is_dir = record->external & 0x10;
	if (record->host == ZIP_HOST_FAT && (mode & 0600) == (is_read_only ? 0400 : 0600) && S_ISDIR(mode) == is_dir)
		return mode;
	return 0;
}

static struct zip_node record_node(const struct zip_record *record, unsigned mode)
{
	struct zip_node node = {.offset = record->offset,
				.packed_bytes = record->packed_bytes,
				.size_bytes = record->size_bytes,
				.mtime_s = record->mtime_s,
				.crc32 = record->crc32,
				.method = record->method,
				.mode = mode & 0777,
				.bits = ARCHIVE_FILE};
	if ((record->flags & (ZIP_FLAG_ENCRYPTED | ZIP_FLAG_STRONG)) || record->method == ZIP_AES)
		node.bits |= ZIP_NODE_ENCRYPTED;
	if (record->damaged)
		node.bits |= ZIP_NODE_DAMAGED;
	if (record->flags & ZIP_FLAG_PATCHED)
		node.bits |= ZIP_NODE_PATCHED;
	if (record->flags & 2)
		node.bits |= ZIP_NODE_LZMA_MARK;
	if (S_ISLNK(mode))
		node.bits |= ZIP_NODE_SYMLINK;
	return node;
}

/* Walks to the directory that text (all of a name but its last component) names. *ret_used_bytes is less than len_bytes
 * where the path is deeper than it may be. */
static int walk_directories(struct zip_build *build, const char *text, size_t len_bytes, uint32_t *ret_dir, size_t *ret_used_bytes,
			    struct err *err)
{
	uint32_t dir = 0;
	size_t at = 0;
	for (unsigned depth = 1; at < len_bytes && depth < MAX_DEPTH;) {
		const char *slash = memchr(text + at, '/', len_bytes - at), *component;
		size_t raw_bytes = slash ? (size_t)(slash - text) - at : len_bytes - at;
		size_t component_bytes = zip_names_component(&build->names, text + at, raw_bytes, &component);
		at += raw_bytes + (slash != NULL);
		if (component_bytes == 0)
			continue;
		depth++;
		int rc = zip_tree_directory(build->archive, dir, component, component_bytes, &build->losers, &dir, err);
		if (rc < 0)
			return rc;
	}
	*ret_dir = dir;
	*ret_used_bytes = at;
	return 0;
}

/* As walk_directories, but remembers the last path: the entries of a directory stand together in most archives. */
static int find_directory(struct zip_build *build, const char *text, size_t len_bytes, uint32_t *ret_dir, size_t *ret_used_bytes,
			  struct err *err)
{
	if (build->has_last && build->last_bytes == len_bytes && !memcmp(build->last, text, len_bytes)) {
		*ret_dir = build->last_dir;
		*ret_used_bytes = len_bytes;
		build->names.changes |= build->last_changes;
		return 0;
	}
	unsigned before = build->names.changes;
	build->names.changes = 0;
	int rc = walk_directories(build, text, len_bytes, ret_dir, ret_used_bytes, err);
	build->last_changes = build->names.changes;
	build->names.changes |= before;
	build->has_last = rc == 0 && *ret_used_bytes == len_bytes && len_bytes <= sizeof build->last;
	if (build->has_last) {
		memcpy(build->last, text, len_bytes);
		build->last_bytes = len_bytes;
		build->last_dir = *ret_dir;
	}
	return rc;
}

static int add_directory(struct zip_build *build, const struct zip_record *record, unsigned mode, const char *text,
			 size_t len_bytes, struct err *err)
{
	uint32_t dir;
	size_t used_bytes;
	int rc = find_directory(build, text, len_bytes, &dir, &used_bytes, err);
	if (rc < 0)
		return rc;
	if (used_bytes < len_bytes) {
		report_record(build, 0, text, len_bytes, "a directory too deep to be shown: left out");
		return 0;
	}
	if (record->size_bytes)
		report_record(build, 0, text, len_bytes, "a directory with data: the data is left out");
	if (build->names.changes)
		report_record(build, 0, text, len_bytes, zip_name_change_words(build->names.changes));
	if (dir != 0) {
		build->archive->nodes[dir].mode = mode & 0777;
		build->archive->nodes[dir].mtime_s = record->mtime_s;
	}
	return 0;
}

/* Adds a file whose name's last component starts at text + dir_bytes. */
static int add_file(struct zip_build *build, const struct zip_node *node, const char *text, size_t len_bytes, size_t dir_bytes,
		    struct err *err)
{
	uint32_t dir;
	size_t used_bytes;
	const char *name;
	int rc = find_directory(build, text, dir_bytes, &dir, &used_bytes, err);
	if (rc < 0)
		return rc;
	if (used_bytes < dir_bytes)
		build->names.changes |= ZIP_NAME_DEEP;
	size_t name_bytes = zip_names_component(&build->names, text + used_bytes, len_bytes - used_bytes, &name);
	if (name_bytes == 0) {
		build->names.changes |= ZIP_NAME_EMPTY;
		name = "unnamed";
		name_bytes = strlen(name);
	}
	if (build->names.changes) {
		char shown[ZIP_NAME_MAX + 1], words[400];
		zip_names_printable(name, name_bytes, shown, sizeof shown);
		snprintf(words, sizeof words, "%s: its last part is shown as \"%s\"", zip_name_change_words(build->names.changes),
			 shown);
		report_record(build, 0, text, len_bytes, words);
	}
	return zip_tree_file(build->archive, dir, name, name_bytes, node, &build->losers, err);
}

/* A directory's name ends with '/' (4.4.17.1); some writers only set the mode. */
static bool is_directory(const struct zip_record *record, unsigned mode, const char *text, size_t len_bytes)
{
	return (len_bytes && text[len_bytes - 1] == '/') || (S_ISDIR(mode) && record->size_bytes == 0);
}

static int add_record(struct zip_build *build, const struct zip_place *place, const struct zip_record *record, struct err *err)
{
	const char *text;
	build->names.changes = 0;
	size_t len_bytes = zip_names_decode(&build->names, record, &text);
	unsigned mode = record_mode(record);
	if (len_bytes && text[0] == '/')
		build->names.changes |= ZIP_NAME_ABSOLUTE;
	if (is_directory(record, mode, text, len_bytes))
		return add_directory(build, record, mode, text, len_bytes, err);
	/* what has data is a file, whatever writers make of the mode: `zip -` says fifo where it read from one */
	bool is_special = S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
	if (is_special && record->size_bytes == 0) {
		report_record(build, 0, text, len_bytes, "a device, fifo or socket: left out");
		return 0;
	}
	if (record->damaged)
		report_record(build, -EIO, text, len_bytes, "its zip64 extra field is too short: it can't be opened");
	if (record->hard_link && record->size_bytes == 0 && S_ISREG(mode))
		report_record(build, 0, text, len_bytes, "a hard link by PKWARE's Unix extra field: shown as an empty file");
	struct zip_node node = record_node(record, mode);
	build->has_odd_offsets |= zip_offset_is_odd(place, node.offset);
	const char *slash = memrchr(text, '/', len_bytes);
	return add_file(build, &node, text, len_bytes, slash ? (size_t)(slash - text) + 1 : 0, err);
}

/* ---- encoding ---- */

/* Names in one buffer, each with a newline; as many as fit. */
static size_t gather_names(struct zip_directory *directory, char *text, int *ret_rc, struct err *err)
{
	struct zip_record record;
	size_t len_bytes = 0;
	while ((*ret_rc = zip_directory_next(directory, &record, err)) > 0) {
		if (!zip_names_is_undeclared(&record) || record.name_bytes >= GUESS_BYTES - len_bytes)
			continue;
		memcpy(text + len_bytes, record.name, record.name_bytes);
		len_bytes += record.name_bytes;
		text[len_bytes++] = '\n';
	}
	return len_bytes;
}

/* At the first name that tells no encoding: one encoding for all of them. */
static int choose_encoding(struct zip_build *build, const struct zip_directory *directory, struct err *err)
{
	char *text = malloc(GUESS_BYTES), encoding[ZIP_ENCODING_BYTES];
	struct zip_directory again;
	size_t len_bytes = 0;
	int rc = text ? zip_directory_reopen(directory, &again, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0) {
		len_bytes = gather_names(&again, text, &rc, err);
		zip_directory_close(&again);
	}
	if (rc == 0 && zip_charset_guess(text, len_bytes, encoding)) {
		rc = zip_names_choose(&build->names, encoding, err);
		zip_report(build, 0, "", "names that don't tell their encoding seem to be in %s and are read so (encoding=)",
			   encoding);
	} else if (rc == 0) {
		rc = zip_names_choose(&build->names, NULL, err);
		zip_report(build, 0, "",
			   "names that don't tell their encoding are read as CP437: what they are in can't be told (encoding=)");
	}
	free(text);
	return rc;
}

/* ---- building ---- */

static int add_records(struct zip_build *build, struct zip_directory *directory, struct err *err)
{
	struct zip_record record;
	int rc;
	while ((rc = zip_directory_next(directory, &record, err)) > 0) {
		if (build->names.is_open && zip_names_is_undeclared(&record))
			rc = choose_encoding(build, directory, err);
		if (rc >= 0)
			rc = add_record(build, &directory->place, &record, err);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return rc;
	uint64_t count = directory->place.count_is_u16 ? directory->nrecords & UINT16_MAX : directory->nrecords;
	if (count != directory->place.count)
		zip_report(build, 0, "", "the archive declares %" PRIu64 " entries and has %" PRIu64, directory->place.count,
			   directory->nrecords);
	if (directory->place.nvolumes > 1 && !directory->volumes)
		zip_report(build, 0, "", "the archive says that it consists of %" PRIu32 " volumes", directory->place.nvolumes);
	if (directory->comment_cut)
		zip_report(build, 0, "", "the last entry's comment is cut short");
	return 0;
}

static int rename_losers(struct zip_build *build, struct err *err)
{
	int rc = zip_tree_rename(build->archive, &build->losers, err);
	for (uint32_t i = 0; rc == 0 && i < build->losers.count; i++)
		zip_report_node(build, 0, build->losers.nodes[i], "renamed: a later entry, or a directory, has its name");
	return rc;
}

/* ---- volumes ---- */

/* The last of several volumes is asked for the others, where it isn't a whole archive by itself: volumes may have been joined. */
static int open_directory(struct zip_build *build, struct zip_directory *directory, struct err *err)
{
	struct archive *archive = build->archive;
	const struct archive_options *options = build->options;
	struct err alone = ERR_NONE;
	int rc = zip_directory_open(archive->bytes, NULL, directory, &alone);
	bool is_whole = rc < 0 ? rc != -EIO || alone.is_source : directory->has_first;
	if (is_whole || directory->place.nvolumes < 2 || !options->volumes)
		return rc < 0 ? err_copy(err, &alone) : 0;
	if (rc == 0)
		zip_directory_close(directory);
	rc = options->volumes(options->context, directory->place.nvolumes, &build->volumes, err);
	if (rc < 0)
		return rc;
	bytes_unref(archive->bytes);
	archive->bytes = build->volumes.bytes;
	return zip_directory_open(archive->bytes, &build->volumes, directory, err);
}

int zip_build_index(struct zip_build *build, struct err *err)
{
	struct archive *archive = build->archive;
	struct zip_directory directory;
	int rc = open_directory(build, &directory, err);
	if (rc < 0)
		return rc;
	archive->directory_start = directory.place.start;
	rc = zip_tree_init(archive, directory.place.count, directory.place.end - directory.place.start, err);
	if (rc == 0)
		rc = add_records(build, &directory, err);
	zip_directory_close(&directory);
	if (rc == 0)
		rc = rename_losers(build, err);
	if (rc < 0)
		return rc;
	zip_tree_finish(archive);
	rc = zip_arrange(build, &directory, err);
	if (rc == 0)
		rc = zip_link_resolve(build, err);
	report_rest(build);
	return rc;
}
