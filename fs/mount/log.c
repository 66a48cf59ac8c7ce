/* log.c - see log.h. */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

static struct {
	pthread_mutex_t lock; /* around file */
	FILE *file;
	char *path; /* absolute */
	bool daemon;
} to = {.lock = PTHREAD_MUTEX_INITIALIZER};

int log_open(const char *path)
{
	openlog("pixfs", LOG_PID, LOG_DAEMON);
	if (!path)
		return 0;
	to.file = fopen(path, "ae");
	if (!to.file)
		return -errno;
	to.path = realpath(path, NULL);
	return to.path ? 0 : -errno;
}

void log_become_daemon(void)
{
	to.daemon = true;
}

void log_write(int code, const char *line)
{
	char when[32];
	time_t now = time(NULL);
	struct tm utc;
	pthread_mutex_lock(&to.lock);
	if (to.daemon && !to.file) {
		syslog(code ? LOG_ERR : LOG_INFO, "%s", line);
	} else {
		FILE *file = to.file ? to.file : stderr;
		gmtime_r(&now, &utc);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
		fprintf(file, "%s pixfs: %s%s%s\n", when, line, code ? ": " : "", code ? strerrorname_np(-code) : "");
		fflush(file);
	}
	pthread_mutex_unlock(&to.lock);
}

void log_reopen(void)
{
	if (!to.path)
		return;
	FILE *file = fopen(to.path, "ae");
	int rc = file ? 0 : -errno;
	pthread_mutex_lock(&to.lock);
	if (file) {
		fclose(to.file);
		to.file = file;
	}
	pthread_mutex_unlock(&to.lock);
	if (rc)
		log_write(rc, "the log can't be opened anew: it goes on where it was");
}

void log_close(void)
{
	if (to.file)
		fclose(to.file);
	to.file = NULL;
	free(to.path);
	to.path = NULL;
}
