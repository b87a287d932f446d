/* A disk that fails on demand: preloaded into a process that writes a ledger.
   FAULT_PATH: only files whose path holds this text. FAULT_AFTER: how many calls go well first.
   FAULT_KIND: "eio" (a write fails), "sync" (fsync fails), "short" (half of a write is done, then
   the disk is full), "full" (no write is done). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static int meant(int fd) {
    char link[64], path[4096];
    const char *want = getenv("FAULT_PATH");
    ssize_t n;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n < 0 || !want) return 0;
    path[n] = 0;
    return strstr(path, want) != NULL;
}

static int due(int fd, int sync) {
    const char *kind = getenv("FAULT_KIND"), *after = getenv("FAULT_AFTER");
    if (!kind || !after || !meant(fd)) return 0;
    if (sync != (strcmp(kind, "sync") == 0)) return 0;
    return ++calls > atol(after);
}

static ssize_t fail(ssize_t (*real)(int, const void *, size_t, off_t), int fd, const void *data,
                    size_t count, off_t at) {
    const char *kind = getenv("FAULT_KIND");
    if (strcmp(kind, "short") == 0 && count > 1) return real(fd, data, count / 2, at);
    errno = strcmp(kind, "eio") == 0 ? EIO : ENOSPC;
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    return due(fd, 0) ? fail(real, fd, data, count, at) : real(fd, data, count, at);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite");
    return due(fd, 0) ? fail(real, fd, data, count, at) : real(fd, data, count, at);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    if (due(fd, 1)) { errno = EIO; return -1; }
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    if (due(fd, 1)) { errno = EIO; return -1; }
    return real(fd);
}
