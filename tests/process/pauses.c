/* Loaded into a program with LD_PRELOAD: the first bytes that it receives come PAUSE_MS late, as where a machine's processor is
 * taken away in the middle of a turn of the loop. A line on stderr says when that begins. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 3000 };

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    static bool paused;
    ssize_t (*real)(int, void *, size_t, int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "recv");
    ssize_t received = real(fd, buffer, size, flags);
    if (received > 0 && !paused) {
        struct timespec left = {.tv_sec = PAUSE_MS / 1000, .tv_nsec = PAUSE_MS % 1000 * 1000000L};
        static const char line[] = "pauses: it stands still\n";
        paused = write(STDERR_FILENO, line, sizeof(line) - 1) > 0;
        while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        }
    }
    return received;
}
