/* notify.h - tells systemd of the states of this process, where NOTIFY_SOCKET says that it listens (sd_notify(3)). */
#ifndef PIXFS_NOTIFY_H
#define PIXFS_NOTIFY_H

/* The mount answers; this process is the one to watch. */
void notify_ready(void);
/* The end has begun. What is told once isn't told again. */
void notify_stopping(void);

#endif
