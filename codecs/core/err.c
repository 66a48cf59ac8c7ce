/* err.c - the error record. Control characters are replaced, so that words taken from a file can't break a log line. */
#include "err.h"

#include <errno.h>
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

static void __attribute__((format(printf, 3, 0))) set_words(struct err *err, int code, const char *format, va_list arguments)
{
	err->code = code;
	vsnprintf(err->text, sizeof err->text, format, arguments);
	replace_invalid_utf8(err->text);
	err_neutralise(err->text);
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (err && !err->code)
		set_words(err, code, format, arguments);
	va_end(arguments);
	return code;
}

int err_set_source(struct err *err, int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (err && !err->code) {
		set_words(err, code, format, arguments);
		err->is_source = true;
	}
	va_end(arguments);
	return code;
}

bool err_is_passing(const struct err *err)
{
	switch (-err->code) {
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EINTR:
	case ESTALE:
		return true;
	default:
		return err->is_source;
	}
}

int err_copy(struct err *to, const struct err *from)
{
	if (to && !to->code)
		*to = *from;
	return from->code;
}
