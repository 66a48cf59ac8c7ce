/* tree_list.c - listings: a container's own names are streamed, an image's few are gathered when the listing opens. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "fs/source/walk.h"
#include "fs/store/cache.h"

enum {
	MAX_LISTED_VIEWS = 32,
	WALK_BYTES = 33 << 10, /* the buffer of an open directory, as glibc makes it */
	NAME_BYTES = 24,       /* what malloc adds to a name, rounded up */
};

struct name {
	char *text;
	uint64_t ino;
	bool is_folder;
};

struct listing {
	struct walk *walk;  /* a container's own directory, else the names below */
	struct place place; /* with a reference on its node */
	struct name *names;
	size_t count, room;
	size_t held_bytes; /* charged */
	struct zarr zarr;  /* behind the names: its chunks; ndim 0: none */
	char chunk_name[ZARR_NAME_BYTES];
};

static int listing_add(struct listing *listing, const char *text, bool is_folder, uint64_t ino)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 16;
		struct name *names = realloc(listing->names, room * sizeof *names);
		if (!names)
			return -ENOMEM;
		listing->names = names;
		listing->room = room;
	}
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	listing->names[listing->count++] = (struct name){copy, ino, is_folder};
	listing->held_bytes += strlen(text) + NAME_BYTES;
	return 0;
}

static int list_rows(struct listing *listing, const struct folder *folder)
{
	char buffer[300];
	int rc = 0;
	for (size_t i = 0; i < row_count && rc == 0; i++) {
		const struct row *row = &row_table[i];
		struct place place = {listing->place.node, row->row};
		if (row->parent == listing->place.row && row->is_listed(folder))
			rc = listing_add(listing, row_name(row, row->row, folder, buffer), row->type == ROW_FOLDER,
					 node_ino(place));
	}
	return rc;
}

static int list_blobs(struct listing *listing, const struct codec_header *header)
{
	int rc = 0;
	for (size_t i = 0; i < header->nblobs && i <= ROW_BLOB_LAST - ROW_BLOB_FIRST && rc == 0; i++) {
		struct place place = {listing->place.node, ROW_BLOB_FIRST + (unsigned)i};
		rc = listing_add(listing, header->blobs[i].name, false, node_ino(place));
	}
	return rc;
}

static int add_named(struct listing *listing, const char *name, bool is_folder)
{
	return listing_add(listing, name, is_folder, node_child_ino(listing->place, name, 0));
}

static int list_named(struct listing *listing, const struct target *target)
{
	const struct pictures *pictures = image_pictures(target->image);
	const char *views[MAX_LISTED_VIEWS];
	char name[300];
	int rc = 0;
	switch (listing->place.row) {
	case ROW_CHANNELS:
		for (uint32_t i = 0; i < target_nchannels(target) * 2 && rc == 0; i++) {
			target_channel_name(target, i, name);
			rc = add_named(listing, name, false);
		}
		break;
	case ROW_LAYERS:
		for (uint32_t i = 0; i < pictures->nlayers && rc == 0; i++)
			rc = add_named(listing, pictures->layers[i].name, true);
		break;
	case ROW_MIPS:
		for (uint32_t i = 0; i < target->picture.part->nlevels && rc == 0; i++) {
			picture_level_name(target->picture.part, i, name);
			rc = add_named(listing, name, true);
		}
		break;
	case ROW_VIEWS:
		view_list(&target->picture, views, MAX_LISTED_VIEWS);
		for (size_t i = 0; views[i] && rc == 0; i++)
			rc = add_named(listing, views[i], false);
		break;
	case ROW_ATTRIBUTES:
		rc = list_blobs(listing, target->picture.header);
		break;
	default:
		break;
	}
	return rc;
}

int tree_list(struct place place, struct listing **ret_listing, struct err *err)
{
	if (!tree_is_folder(place))
		return -ENOTDIR;
	int rc = walk_enter(&place, err);
	if (rc)
		return rc;
	struct listing *listing = calloc(1, sizeof *listing);
	if (!listing) {
		node_unref(place.node, 1);
		return err_set(err, -ENOMEM, "no memory");
	}
	listing->place = place;
	struct folder folder;
	folder_open(place.node, &folder);
	if (!place.row && tree_is_container(place.node) && !folder.broken) {
		rc = walk_open(place.node, &listing->walk, err);
	} else {
		rc = list_rows(listing, &folder);
		if (rc == 0 && place.node->kind == NODE_ZARR)
			rc = tree_zarr(place.node, &listing->zarr, err);
		if (rc == 0 && place.row && folder.is_image && !folder.broken)
			rc = list_named(listing, &folder.target);
		if (rc)
			err_set(err, rc, "no memory");
	}
	folder_close(&folder);
	listing->held_bytes += sizeof *listing + listing->room * sizeof *listing->names + (listing->walk ? WALK_BYTES : 0);
	cache_reserve((int64_t)listing->held_bytes);
	if (rc)
		tree_list_close(listing);
	else
		*ret_listing = listing;
	return rc;
}

static int next_chunk(struct listing *listing, uint64_t index, struct listing_entry *ret_entry)
{
	if (!listing->zarr.ndim || index >= zarr_nchunks(&listing->zarr))
		return 0;
	zarr_chunk_name(&listing->zarr, index, listing->chunk_name);
	uint64_t ino = node_child_ino(listing->place, listing->chunk_name, 0);
	*ret_entry = (struct listing_entry){listing->chunk_name, S_IFREG, ino, listing->count + index + 1};
	return 1;
}

int tree_list_next(struct listing *listing, uint64_t offset, struct listing_entry *ret_entry)
{
	if (listing->walk) {
		struct walk_entry entry;
		int rc = walk_next(listing->walk, offset, &entry);
		if (rc == 1) {
			mode_t type = entry.kind == NODE_FILE ? S_IFREG : entry.kind == NODE_LINK ? S_IFLNK : S_IFDIR;
			*ret_entry = (struct listing_entry){entry.name, type, entry.ino, entry.next};
		}
		return rc;
	}
	if (offset >= listing->count)
		return next_chunk(listing, offset - listing->count, ret_entry);
	const struct name *name = &listing->names[offset];
	*ret_entry = (struct listing_entry){name->text, name->is_folder ? S_IFDIR : S_IFREG, name->ino, offset + 1};
	return 1;
}

bool tree_list_at(struct listing *listing, struct walk_at *ret_at)
{
	struct err ignored = ERR_NONE;
	return listing->walk && walk_next_at(listing->walk, ret_at, &ignored) == 0;
}

void tree_list_close(struct listing *listing)
{
	if (!listing)
		return;
	walk_close(listing->walk);
	for (size_t i = 0; i < listing->count; i++)
		free(listing->names[i].text);
	free(listing->names);
	node_unref(listing->place.node, 1);
	cache_reserve(-(int64_t)listing->held_bytes);
	free(listing);
}
