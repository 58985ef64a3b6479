/* Stands before fsync and fdatasync of a process (LD_PRELOAD): the call number SYNC_FAILS_AT, from 1, for a path that holds SYNC_FAILS_IN fails with EIO,
 * once, the way Linux reports that it could not write back: whoever asks again is told that all is well. Each call is a line in SYNC_CALLS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int calls;

static int sync_of(int fd, const char *name)
{
    const char *part = getenv("SYNC_FAILS_IN"), *at = getenv("SYNC_FAILS_AT"), *list = getenv("SYNC_CALLS");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && part && at && list) {
        path[length] = 0;
        int to = open(list, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (to >= 0) {
            dprintf(to, "%s\n", path);
            close(to);
        }
        if (strstr(path, part) && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atoi(at)) {
            errno = EIO;
            return -1;
        }
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_of(fd, "fsync");
}

int fdatasync(int fd)
{
    return sync_of(fd, "fdatasync");
}
