/* err.c - the error record. Control characters are replaced, so that words taken from a file can't break a log line. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	if (!err || err->code)
		return code;
	err->code = code;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(err->text, sizeof err->text, format, arguments);
	va_end(arguments);
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return code;
}

int err_copy(struct err *to, const struct err *from)
{
	if (to && !to->code)
		*to = *from;
	return from->code;
}
