/* log.h - where the log goes: stderr in the foreground, syslog as a daemon, or a file. */
#ifndef PIXFS_LOG_H
#define PIXFS_LOG_H

#include <stdbool.h>

/* path: a file to append to, NULL: none. 0 or a negative errno. */
int log_open(const char *path);
/* From now on there is no stderr. */
void log_become_daemon(void);
/* One line; code: a negative errno or 0. From any thread. */
void log_write(int code, const char *line);
/* The file is opened anew by its name: whoever rotates logs has renamed it. From any thread. */
void log_reopen(void);
void log_close(void);

#endif
