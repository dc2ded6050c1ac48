/* Loaded before the C library (LD_PRELOAD): a clock that goes back, or a file system that denies locks.

   SHIM_BACK=FILE   as soon as FILE is there the clock of the day goes back by an hour, and FILE.PID says so
   SHIM_LOCKS=E     flock and locks by fcntl fail with error number E */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

static time_t back(void) {
    static int gone = 0;
    const char *file = getenv("SHIM_BACK");
    if (!gone && file && syscall(SYS_faccessat, AT_FDCWD, file, F_OK) == 0) {
        char said[4096];
        gone = 1;
        snprintf(said, sizeof said, "%s.%ld", file, (long)getpid());
        syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, said, O_CREAT | O_WRONLY, 0644));
    }
    return gone ? 3600 : 0;
}

int clock_gettime(clockid_t clock, struct timespec *told) {
    int status = (int)syscall(SYS_clock_gettime, clock, told);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) told->tv_sec -= back();
    return status;
}

int gettimeofday(struct timeval *told, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}

int flock(int file, int operation) {
    if (number("SHIM_LOCKS") >= 0) {
        errno = (int)number("SHIM_LOCKS");
        return -1;
    }
    return (int)syscall(SYS_flock, file, operation);
}

static int control(int file, int command, void *argument) {
    int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    if (locks && number("SHIM_LOCKS") >= 0) {
        errno = (int)number("SHIM_LOCKS");
        return -1;
    }
    return (int)syscall(SYS_fcntl, file, command, argument);
}

int fcntl(int file, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return control(file, command, argument);
}

int fcntl64(int file, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return control(file, command, argument);
}
