/*
 * The sockets that connections come in on.
 */
#ifndef MIDGE_LISTENER_H
#define MIDGE_LISTENER_H

#include "settings.h"

/* A listener on all interfaces or on both loopback addresses needs two sockets. */
#define MIDGE_SOCKETS_MAX (2u * (MIDGE_LISTENERS_MAX + 1u))

struct midge_listening {
    int fd;
    uint8_t listener; /* which of the settings' listeners */
    bool is_unix;     /* `address` is a path that goes when the socket does */
    uint16_t port;
    char address[MIDGE_UNIX_PATH_SIZE];
};

struct midge_listeners {
    size_t count;
    bool beyond_loopback; /* one of them can be reached from other hosts */
    struct midge_listening sockets[MIDGE_SOCKETS_MAX];
};

/* Opens the sockets of all listeners. Returns false, with what is wrong in `error` and nothing left open, where one fails. */
bool midge_listeners_open(struct midge_listeners *listeners, const struct midge_settings *settings, char *error, size_t size);

void midge_listeners_close(struct midge_listeners *listeners);

#endif
