/* texts.h - made texts (meta.json) that are kept, so that asking for a size and opening make them once.
 *
 * All of them together are bounded, and counted against the cache's budget; the longest unused leave first, those in use with their
 * last reference. Thread-safe.
 */
#ifndef PIXFS_TEXTS_H
#define PIXFS_TEXTS_H

#include <stddef.h>
#include <stdint.h>

/* What a text is made from: another version has another key. */
struct text_key {
	uint64_t words[3];
};

struct text;

/* With one reference; NULL: it isn't known. */
struct text *texts_find(const struct text_key *key);
/* Takes over what malloc gave, also where there is no memory for it: then NULL. One reference; keeps it under the key. */
struct text *texts_keep(const struct text_key *key, char *bytes, size_t len_bytes);
void text_unref(struct text *text); /* NULL is fine */
const char *text_bytes(const struct text *text);
size_t text_len_bytes(const struct text *text);

void texts_stop(void); /* forgets all that nobody has a reference on */

/* Around the making of one: of large ones only a few are made at once. */
void texts_begin(void);
void texts_end(void);

#endif
