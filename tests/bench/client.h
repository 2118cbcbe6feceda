/*
 * The load's connections: one epoll, bytes in and bytes out. What the packets mean is the business of the one who runs them.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "packets.h"

struct bench_client {
    int fd;
    uint32_t number;
    uint8_t *rest; /* of the input: a packet that is not whole yet */
    size_t rest_size, rest_capacity;
    uint8_t *out; /* what the kernel has not taken yet */
    size_t out_from, out_size, out_capacity;
};

struct bench_clients {
    struct bench_client *clients;
    uint32_t count;
    int epoll;
    uint8_t *put; /* what bench_client_put has gathered */
    size_t put_size, put_capacity;
    /* A whole packet came in. */
    void (*packet)(struct bench_client *client, const struct bench_view *packet);
    /* What there was for this client in this turn has been handled. */
    void (*handled)(struct bench_client *client);
};

void bench_clients_open(struct bench_clients *clients, uint32_t count);

/* Opens the TCP connection of a client to 127.0.0.1. */
void bench_client_connect(struct bench_clients *clients, uint32_t number, uint16_t port);
/* Sets what a connection needs for messages: apart, since it would be measured with the time that connecting takes. */
void bench_client_prepare(const struct bench_client *client);

/* Sends bytes, or keeps them until the kernel has room. */
void bench_client_send(struct bench_clients *clients, struct bench_client *client, const uint8_t *bytes, size_t size);
/* Sends a few bytes to the client that is being handled, together with what else is put meanwhile. */
void bench_client_put(struct bench_clients *clients, const uint8_t *bytes, size_t size);
/* Whether the kernel has not taken all that was sent. */
static inline bool bench_client_busy(const struct bench_client *client)
{
    return client->out_from < client->out_size;
}

/* Waits for the network, until_ns at the latest, and handles what happened. Returns false where nothing did. */
bool bench_clients_turn(struct bench_clients *clients, uint64_t until_ns);

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
