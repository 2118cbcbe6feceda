/*
 * A port without sockets: peers whose bytes go straight into the core and back. Everything is deterministic, so that the
 * instructions of a run can be counted exactly. Any failure ends the program.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "midge.h"

/* What the Linux port reads and sends at once. */
#define BENCH_READ_SIZE 16384u
#define BENCH_OUTPUT_SIZE 65536u

struct bench_peer {
    struct midge_handle conn; /* index 0: not connected */
    uint8_t *kept;            /* input that the core has not taken yet lies at kept_from .. kept_size */
    size_t kept_from, kept_size;
    uint32_t unacknowledged; /* QoS 1 and 2 messages that it published */
    uint16_t next_id;
};

struct bench_driver {
    struct midge *broker;
    void *memory;
    struct bench_peer *peers;
    uint32_t *peer_of; /* by the index of a connection */
    uint32_t peer_count;
    uint8_t *output;       /* what one connection got in one turn */
    uint64_t deliveries;   /* PUBLISH packets that came out of the core */
    uint32_t payload_size; /* what each of them must carry */
};

void bench_driver_open(struct bench_driver *driver, uint32_t peer_count);
void bench_driver_close(struct bench_driver *driver);

/* The peer connects, and has its CONNACK when this returns. */
void bench_driver_connect(struct bench_driver *driver, uint32_t peer);
/* It sends DISCONNECT and is gone. */
void bench_driver_disconnect(struct bench_driver *driver, uint32_t peer);
void bench_driver_subscribe(struct bench_driver *driver, uint32_t peer, const char *filter, uint8_t qos);
/* The peer sends bytes. */
void bench_driver_send(struct bench_driver *driver, uint32_t peer, const uint8_t *bytes, size_t size);
/* Turns of the loop until nothing is left to do: each peer takes and acknowledges what is sent to it. */
void bench_driver_settle(struct bench_driver *driver);

#endif
