/* utf8.h - where one character of UTF-8 ends: for texts out of files, which may hold any bytes. */
#ifndef PIXFS_UTF8_H
#define PIXFS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed sequence (Unicode 15, table 3-7) at s, 1 to 4; 0 where there is none. len_bytes is at least 1. */
static inline size_t utf8_length(const unsigned char *s, size_t len_bytes)
{
	if (s[0] < 0x80)
		return 1;
	size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	if (!n || n > len_bytes)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool surrogate = s[0] == 0xed && s[1] > 0x9f, beyond = s[0] == 0xf4 && s[1] > 0x8f;
	return overlong || surrogate || beyond ? 0 : n;
}

#endif
