#define _GNU_SOURCE
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct {
    int socket;           /* -1: nobody wants to know */
    uint64_t interval_ms; /* between two messages to the watchdog; 0: there is none */
    uint64_t due_ms;
} notify = {.socket = -1};

/* The variable's value as a number, 0 where it is none. */
static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? value : 0;
}

/* Half the time, as sd_watchdog_enabled(3) recommends. */
static uint64_t watchdog_interval_ms(void)
{
    uint64_t interval_us = number_of("WATCHDOG_USEC");
    if (interval_us == 0 || (getenv("WATCHDOG_PID") != NULL && number_of("WATCHDOG_PID") != (uint64_t)getpid())) {
        return 0;
    }
    return interval_us < 2000 ? 1 : interval_us / 2000;
}

void midge_notify_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 1};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t size = path == NULL ? 0 : strlen(path);
    if (size < 2 || size > sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* a name in the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* A manager that does not read must not hold up the clients for long. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    notify.socket = fd;
    notify.interval_ms = watchdog_interval_ms();
}

static void tell(const char *message, int flags)
{
    if (notify.socket >= 0) {
        ssize_t sent = send(notify.socket, message, strlen(message), MSG_NOSIGNAL | flags);
        (void)sent; /* there is nowhere to complain */
    }
}

void midge_notify_ready(void)
{
    tell("READY=1", 0);
}

void midge_notify_reloading(void)
{
    char message[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
    tell(message, 0);
}

void midge_notify_stopping(void)
{
    tell("STOPPING=1", 0);
}

uint64_t midge_notify_turn(uint64_t now_ms)
{
    if (notify.socket < 0 || notify.interval_ms == 0) {
        return UINT64_MAX;
    }
    if (now_ms >= notify.due_ms) {
        tell("WATCHDOG=1", MSG_DONTWAIT);
        notify.due_ms = now_ms + notify.interval_ms;
    }
    return notify.due_ms;
}
