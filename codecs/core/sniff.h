/* sniff.h - what a file is that no codec reads, for the words of its error: a name says .jpg, the bytes say WebP, an HTML page
 * or a Git LFS pointer. It chooses no codec (codec_for_content() does) and reads nothing itself. */
#ifndef PIXFS_SNIFF_H
#define PIXFS_SNIFF_H

#include <stddef.h>
#include <stdint.h>

enum { SNIFF_BYTES = 512 }; /* the first bytes that are looked at, fewer in a short file */

/* "a WebP image", "an HTML page", "a text file": static, article included; NULL where the bytes tell nothing. `head` holds the
 * first len_bytes of the file, and all of it where that is fewer than SNIFF_BYTES. Any thread. */
const char *sniff_words(const uint8_t *head, size_t len_bytes);

#endif
