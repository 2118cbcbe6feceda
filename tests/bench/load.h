/*
 * A load: who publishes what to whom, and what was measured meanwhile.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "client.h"

/* Every option of the command line is one of these numbers: --messages 1000. */
#define BENCH_OPTIONS(X)                                                                                                       \
    X(port, 0, "of the broker, on 127.0.0.1")                                                                                  \
    X(pid, 0, "of the broker, whose CPU time and memory are measured")                                                         \
    X(publishers, 0, "clients that publish")                                                                                   \
    X(subscribers, 0, "clients that subscribe")                                                                                \
    X(subscriptions, 0, "number i is that of subscriber i % subscribers, to topic i % topics")                                 \
    X(topics, 1, "message i of publisher p goes to topic (p + i * step) % topics")                                             \
    X(step, 0, "see topics")                                                                                                   \
    X(qos, 0, "of the messages and the subscriptions: 0 or 1")                                                                 \
    X(payload, 64, "bytes of a message")                                                                                       \
    X(messages, 0, "of each publisher that count; a tenth more come before them")                                              \
    X(window, 0, "messages of a publisher on their way; 0: no bound")                                                          \
    X(rate, 0, "messages of each publisher in a second; 0: as fast as possible")                                               \
    X(flood, 0, "1: a process beside this one publishes as fast as it can, and reads that")                                    \
    X(retained, 0, "messages retained before a newcomer subscribes to all of them")                                            \
    X(idle, 0, "clients that connect and do no more than subscribe")                                                           \
    X(shared_filter, 0, "1: they all have the same filter; else each has one of its own")

struct bench_options {
#define BENCH_FIELD(name, value, help) uint32_t name;
    BENCH_OPTIONS(BENCH_FIELD)
#undef BENCH_FIELD
};

/* The fixed-size start of a payload: what is checked on arrival. Payloads too small for it are checked by their size. */
struct bench_stamp {
    uint64_t sent_ns;
    uint32_t publisher;
    uint32_t number; /* of the publisher's messages, from 0 */
};

struct bench_load {
    struct bench_options options;
    struct bench_clients net;
    char (*topics)[24];
    uint32_t connacks, subacks, pingresps, replayed; /* packets that came in */
};

/* traffic.c: publishes, checks what arrives, and prints what was measured. */
void bench_traffic_open(struct bench_load *load);
void bench_traffic_run(struct bench_load *load);
void bench_traffic_packet(struct bench_load *load, const struct bench_client *client, const struct bench_view *packet);
void bench_traffic_handled(struct bench_load *load, const struct bench_client *client);

/* flood.c: starts a process with one client that publishes without end and one that reads that. It runs when this one does not,
 * so that what it does is not measured, and ends with it. Returns the number of messages that came through, as it grows. */
const uint64_t *bench_flood_start(const struct bench_load *load);

/* setup.c: connections, subscriptions and retained messages, and what they cost. */
void bench_setup_clients(struct bench_load *load);
void bench_setup_idle(struct bench_load *load);
void bench_setup_replay(struct bench_load *load);
void bench_replay_packet(struct bench_load *load, const struct bench_view *packet);

#endif
