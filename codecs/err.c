/* err.c - the error record. Control characters are replaced, so that words taken from a file can't break a log line. */
#include "err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

void err_neutralise(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		bool is_c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* U+009B begins a terminal's command, U+0085 a line */
		if (is_c1)
			*c++ = '?';
		if (is_c1 || *c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

/* What a file says may hold any bytes, and cutting words to the room may cut a character. */
static void replace_invalid_utf8(char *text)
{
	for (size_t i = 0, left = strlen(text), step; left; i += step, left -= step) {
		size_t good = utf8_length((const unsigned char *)text + i, left);
		step = good ? good : 1;
		if (!good)
			text[i] = '?';
	}
}

int err_set(struct err *err, int code, const char *format, ...)
{
	if (!err || err->code)
		return code;
	err->code = code;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(err->text, sizeof err->text, format, arguments);
	va_end(arguments);
	replace_invalid_utf8(err->text);
	err_neutralise(err->text);
	return code;
}

int err_copy(struct err *to, const struct err *from)
{
	if (to && !to->code)
		*to = *from;
	return from->code;
}
