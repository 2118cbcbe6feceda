#define _GNU_SOURCE
#include "listener.h"

#include "occupant.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Options set here are inherited by the connections, which saves a system call for each. */
static bool prepare(int fd, const struct addrinfo *info, bool nodelay)
{
    int on = 1;
    int no_delay = nodelay ? 1 : 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay)) != 0 ||
        (info->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)) {
        return false;
    }
    return bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
}

/* Notes the address and the port that the socket was given. */
static void describe(struct midge_listening *listening, const struct addrinfo *info)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    memset(&address, 0, sizeof(address));
    (void)getsockname(listening->fd, (struct sockaddr *)&address, &size);
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;
        inet_ntop(AF_INET, &in->sin_addr, listening->address, sizeof(listening->address));
        listening->port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&address;
        inet_ntop(AF_INET6, &in6->sin6_addr, listening->address, sizeof(listening->address));
        listening->port = ntohs(in6->sin6_port);
    }
}

/* Opens one socket. Returns 0 or the error number. */
static int open_socket(struct midge_listeners *listeners, const struct addrinfo *info, uint8_t number, bool nodelay)
{
    if (listeners->count == MIDGE_SOCKETS_MAX) {
        return ENOBUFS;
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    if (!prepare(fd, info, nodelay)) {
        int error = errno;
        close(fd);
        return error;
    }
    struct midge_listening *listening = &listeners->sockets[listeners->count];
    listening->fd = fd;
    listening->listener = number;
    describe(listening, info);
    listeners->beyond_loopback = listeners->beyond_loopback || !is_loopback(info->ai_addr);
    listeners->count++;
    return 0;
}

static void explain(char *text, size_t size, const char *address, unsigned port, int error)
{
    const char *advice = "check the address and the port";
    char occupied[192];
    if (error == EADDRINUSE) {
        char occupant[64];
        midge_occupant((uint16_t)port, occupant, sizeof(occupant));
        snprintf(occupied, sizeof(occupied),
                 "%s has it: end that, or take another port with -p PORT or \"listener PORT\" in the configuration", occupant);
        advice = occupied;
    } else if (error == EACCES) {
        advice = "ports below 1024 are for root: take another port with -p PORT or \"listener PORT\" in the configuration";
    } else if (error == EADDRNOTAVAIL) {
        advice = "this host does not have that address: correct \"listener\" or \"bind_address\" in the configuration";
    }
    snprintf(text, size, "cannot listen on %s port %u: %s; %s", address, port, strerror(error), advice);
}

/* Opens sockets on all addresses that a name stands for. An `optional` name may have none on this host. */
static bool open_name(struct midge_listeners *listeners, const struct midge_settings *settings, uint8_t number,
                      const char *name, bool optional, char *error, size_t size)
{
    const struct midge_listener_settings *listener = &settings->listeners[number];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    hints.ai_family = listener->domain == MIDGE_DOMAIN_IPV4   ? AF_INET
                      : listener->domain == MIDGE_DOMAIN_IPV6 ? AF_INET6
                                                              : AF_UNSPEC;
    snprintf(port, sizeof(port), "%u", listener->port);
    int status = getaddrinfo(name, port, &hints, &found);
    if (status != 0 && !optional) {
        snprintf(error, size, "cannot listen on %s: %s; correct the address, or socket_domain, in the configuration", name,
                 gai_strerror(status));
        return false;
    }
    bool good = true;
    for (const struct addrinfo *info = found; info != NULL && good; info = info->ai_next) {
        int failed = open_socket(listeners, info, number, settings->tcp_nodelay);
        if (failed != 0 && !(optional && (failed == EAFNOSUPPORT || failed == EADDRNOTAVAIL))) {
            explain(error, size, name, listener->port, failed);
            good = false;
        }
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    return good;
}

/* A socket that nobody listens on any more is in the way of the next start. */
static bool is_abandoned(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool abandoned = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return abandoned;
}

static bool open_unix(struct midge_listeners *listeners, const struct midge_listener_settings *listener, uint8_t number,
                      char *error, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *name = (const struct sockaddr *)&address;
    memcpy(address.sun_path, listener->address, strlen(listener->address) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool bound = fd >= 0 && bind(fd, name, sizeof(address)) == 0;
    if (fd >= 0 && !bound && errno == EADDRINUSE && is_abandoned(&address)) {
        bound = unlink(listener->address) == 0 && bind(fd, name, sizeof(address)) == 0;
    }
    if (!bound || listen(fd, BACKLOG) != 0) {
        snprintf(error, size,
                 "cannot listen on %s: %s; check the path in \"listener 0 PATH\" and the permissions of its directory",
                 listener->address, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    struct midge_listening *listening = &listeners->sockets[listeners->count];
    *listening = (struct midge_listening){.fd = fd, .listener = number, .is_unix = true};
    memcpy(listening->address, listener->address, strlen(listener->address) + 1);
    listeners->count++;
    return true;
}

/* Opens one listener of the settings. Where the kernel chooses the port, only one socket is opened: two would get two ports. */
static bool open_listener(struct midge_listeners *listeners, const struct midge_settings *settings, uint8_t number, char *error,
                          size_t size)
{
    const struct midge_listener_settings *listener = &settings->listeners[number];
    size_t before = listeners->count;
    if (listener->domain == MIDGE_DOMAIN_UNIX) {
        return open_unix(listeners, listener, number, error, size);
    }
    if (!listener->loopback && listener->address[0] != '\0') {
        return open_name(listeners, settings, number, listener->address, false, error, size);
    }
    const char *first = listener->loopback ? "127.0.0.1" : "0.0.0.0";
    const char *second = listener->loopback ? "::1" : "::";
    if (!open_name(listeners, settings, number, first, true, error, size) ||
        (!(listener->port == 0 && listeners->count > before) &&
         !open_name(listeners, settings, number, second, true, error, size))) {
        return false;
    }
    if (listeners->count == before) {
        snprintf(error, size, "cannot listen on port %u: this host has no address of the wanted kind; correct socket_domain",
                 listener->port);
        return false;
    }
    return true;
}

bool midge_listeners_open(struct midge_listeners *listeners, const struct midge_settings *settings, char *error, size_t size)
{
    memset(listeners, 0, sizeof(*listeners));
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (!open_listener(listeners, settings, (uint8_t)i, error, size)) {
            midge_listeners_close(listeners);
            return false;
        }
    }
    return true;
}

void midge_listeners_close(struct midge_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        close(listeners->sockets[i].fd);
        if (listeners->sockets[i].is_unix) {
            unlink(listeners->sockets[i].address);
        }
    }
    listeners->count = 0;
}
