#include "client.h"

#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536u
#define EVENTS_MAX 256

_Noreturn void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

void bench_clients_open(struct bench_clients *clients, uint32_t count)
{
    clients->count = count;
    clients->clients = calloc(count, sizeof(*clients->clients));
    clients->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (clients->clients == NULL || clients->epoll < 0) {
        bench_fail("no memory");
    }
}

static void *grow(void *memory, size_t *capacity, size_t wanted)
{
    if (wanted > *capacity) {
        *capacity = wanted + wanted / 2;
        memory = realloc(memory, *capacity);
        if (memory == NULL) {
            bench_fail("no memory");
        }
    }
    return memory;
}

static void watch(struct bench_clients *clients, struct bench_client *client, int operation, uint32_t events)
{
    struct epoll_event interest = {.events = events, .data.u32 = client->number};
    if (epoll_ctl(clients->epoll, operation, client->fd, &interest) != 0) {
        bench_fail("epoll_ctl: %s", strerror(errno));
    }
}

void bench_client_connect(struct bench_clients *clients, uint32_t number, uint16_t port)
{
    struct bench_client *client = &clients->clients[number];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->number = number;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        bench_fail("client %u cannot connect: %s", number, strerror(errno));
    }
    watch(clients, client, EPOLL_CTL_ADD, EPOLLIN);
}

void bench_client_prepare(const struct bench_client *client)
{
    int yes = 1;
    /* The end is a reset: thousands of connections in TIME_WAIT would be in the way of the next run. */
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0 ||
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) != 0) {
        bench_fail("client %u: %s", client->number, strerror(errno));
    }
}

/* ---- Sending ---------------------------------------------------------------------------------------------------------- */

static size_t send_some(const struct bench_client *client, const uint8_t *bytes, size_t size)
{
    ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        bench_fail("client %u cannot send: %s", client->number, strerror(errno));
    }
    return sent > 0 ? (size_t)sent : 0;
}

void bench_client_send(struct bench_clients *clients, struct bench_client *client, const uint8_t *bytes, size_t size)
{
    bool waited = bench_client_busy(client);
    if (!waited) {
        size_t sent = send_some(client, bytes, size);
        if (sent == size) {
            return;
        }
        bytes += sent;
        size -= sent;
        client->out_from = client->out_size = 0;
    }
    client->out = grow(client->out, &client->out_capacity, client->out_size + size);
    memcpy(client->out + client->out_size, bytes, size);
    client->out_size += size;
    if (!waited) {
        watch(clients, client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

void bench_client_put(struct bench_clients *clients, const uint8_t *bytes, size_t size)
{
    clients->put = grow(clients->put, &clients->put_capacity, clients->put_size + size);
    memcpy(clients->put + clients->put_size, bytes, size);
    clients->put_size += size;
}

static void flush(struct bench_clients *clients, struct bench_client *client)
{
    client->out_from += send_some(client, client->out + client->out_from, client->out_size - client->out_from);
    if (!bench_client_busy(client)) {
        client->out_from = client->out_size = 0;
        watch(clients, client, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* ---- Receiving -------------------------------------------------------------------------------------------------------- */

static void receive(struct bench_clients *clients, struct bench_client *client)
{
    static uint8_t *buffer;
    static size_t capacity;
    buffer = grow(buffer, &capacity, client->rest_size + READ_SIZE);
    if (client->rest_size > 0) {
        memcpy(buffer, client->rest, client->rest_size);
    }
    ssize_t got = recv(client->fd, buffer + client->rest_size, READ_SIZE, MSG_DONTWAIT);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        bench_fail("the broker has ended the connection of client %u", client->number);
    }
    size_t size = client->rest_size + (size_t)got;
    size_t at = 0, used;
    struct bench_view packet;
    while (at < size && (used = bench_parse(&packet, buffer + at, size - at)) > 0) {
        if (used == SIZE_MAX) {
            bench_fail("client %u got a malformed packet", client->number);
        }
        at += used;
        clients->packet(client, &packet);
    }
    client->rest_size = size - at;
    if (client->rest_size > 0) {
        client->rest = grow(client->rest, &client->rest_capacity, client->rest_size);
        memcpy(client->rest, buffer + at, client->rest_size);
    }
}

bool bench_clients_turn(struct bench_clients *clients, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = bench_clock_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u), .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(clients->epoll, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        struct bench_client *client = &clients->clients[events[i].data.u32];
        if ((events[i].events & EPOLLOUT) != 0) {
            flush(clients, client);
        }
        if ((events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
            receive(clients, client);
        }
        if (clients->put_size > 0) {
            bench_client_send(clients, client, clients->put, clients->put_size);
            clients->put_size = 0;
        }
        clients->handled(client);
    }
    return count > 0;
}
