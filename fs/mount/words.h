/* words.h - what the command line says: help, and what helps after a mistake. */
#ifndef PIXFS_WORDS_H
#define PIXFS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The help of a command, of pixfs itself for NULL. NULL: there is no such command. */
const char *words_help(const char *command);

/* Of the words in the list (closed by NULL) the one that somebody who wrote `word` may have meant, NULL: none is near. What
 * follows '=' doesn't count, on either side. */
const char *words_nearest(const char *word, const char *const *list);
/* The command that was meant, NULL: none. */
const char *words_nearest_command(const char *word);

/* The path as a shell takes it, cut where it doesn't fit. Returns ret. */
const char *words_quote(const char *path, char *ret, size_t room);

/* "png apng ... zip": the extensions that are read as images and archives, separated by spaces. Returns ret. */
const char *words_extensions(char *ret, size_t room);

#endif
