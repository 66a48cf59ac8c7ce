/* json.h - writes JSON into a growing buffer. Always valid JSON: commas and nesting are kept track of, invalid UTF-8 is
 * replaced by U+FFFD, non-finite numbers become the strings "NaN", "Infinity", "-Infinity". Running out of memory is
 * remembered and told once, by json_finish. Not shared between threads. */
#ifndef PIXFS_JSON_H
#define PIXFS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t len_bytes, room_bytes;
	unsigned depth;
	uint64_t first;  /* bit d: nothing was written yet at depth d */
	uint64_t broken; /* bit d: the scope at depth d is written over several lines */
	bool failed;
	size_t limit_bytes; /* see json_limit; 0: none */
	bool over;
	bool compact; /* true: one line; false: indented by two blanks a level */
};

void json_init(struct json *json, bool compact);
/* Ends the text with a newline; gives it (free with free(), a NUL behind it) and its length. 0 or -ENOMEM, and then nothing
 * is given. */
int json_finish(struct json *json, char **ret_text, size_t *ret_len_bytes);
void json_discard(struct json *json);

/* key NULL: an element of an array, or the whole text. */
void json_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_array(struct json *json, const char *key); /* inside arrays of numbers pass through json_* with key NULL */
void json_end_array(struct json *json);
void json_string(struct json *json, const char *key, const char *text); /* NULL text: null */
void json_string_n(struct json *json, const char *key, const char *text, size_t len_bytes);
void json_int(struct json *json, const char *key, int64_t value);
void json_uint(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
void json_literal(struct json *json, const char *key, const char *text); /* JSON as it is: blanks too */
/* The fewest digits that read back as the same float32, or float64; whole numbers end with ".0". */
void json_float(struct json *json, const char *key, float value);
void json_double(struct json *json, const char *key, double value);

/* From here on the text may grow by so many bytes; what is written beyond isn't kept, and json->over tells. */
struct json_mark {
	size_t len_bytes;
	uint64_t first, broken;
	unsigned depth;
};
void json_limit(struct json *json, size_t more_bytes, struct json_mark *ret_mark);
/* Ends that. False: there was more, and all that was written since is taken back. */
bool json_end_limit(struct json *json, const struct json_mark *mark);

/* text as json_string shows it: invalid UTF-8 replaced. Two keys are the same where these are. To be freed; NULL: no memory. */
char *json_visible(const char *text);

#endif
