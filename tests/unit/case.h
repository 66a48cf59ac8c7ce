/* case.h - what unit tests share: a check that keeps the first thing that was not as it must be, and a runner of named cases
 * that prints a line each and closes with "N passed, N failed". For one source file each. */
#ifndef PIXFS_CASE_H
#define PIXFS_CASE_H

#include <stddef.h>
#include <stdio.h>

static const char *case_words;
static int case_line;

#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (!(condition) && !case_words) {                                                                                 \
			case_words = #condition;                                                                                   \
			case_line = __LINE__;                                                                                      \
		}                                                                                                                  \
	} while (0)

struct test_case {
	const char *name;
	void (*run)(void);
};

#define CASE(name)                                                                                                                 \
	{                                                                                                                          \
#name, name                                                                                                        \
	}

/* The exit code of main(). */
static inline int run_cases(const struct test_case *cases, size_t count)
{
	size_t failed = 0;
	for (size_t i = 0; i < count; i++) {
		case_words = NULL;
		cases[i].run();
		if (case_words)
			printf("FAIL %s: line %d: %s\n", cases[i].name, case_line, case_words);
		else
			printf("ok %s\n", cases[i].name);
		failed += case_words != NULL;
	}
	printf("%zu passed, %zu failed\n", count - failed, failed);
	return failed != 0;
}

#endif
