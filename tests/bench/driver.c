#include "driver.h"

#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one connection may get in one turn: the largest replay of retained messages. */
#define TURN_BYTES_MAX (64u << 20)
#define ACKS_MAX (4u << 20)

/* Those of the Linux port, but for the number of clients. */
#define CLIENTS 2048u
#define SUBSCRIPTIONS 131072u
static const struct midge_limits limits = {
    .clients = CLIENTS,
    .handshakes = 64,
    .sessions = 2 * CLIENTS,
    .subscriptions = SUBSCRIPTIONS,
    .filter_nodes = 2 * SUBSCRIPTIONS + 2,
    .topic_nodes = 65536,
    .names = 4 * SUBSCRIPTIONS,
    .name_size = 32,
    .deliveries = 100 * CLIENTS + 524288,
    .qos2_identifiers = 16 * CLIENTS,
    .blocks = 524288,
    .block_size = 256,
    .replies = 16,
    .scratch_size = 262144,
    .topic_levels = 200,
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void *take(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        fail("no memory");
    }
    return memory;
}

void bench_driver_open(struct bench_driver *driver, uint32_t peer_count)
{
    struct midge_config config = {.limits = limits, .hash_seed = 1};
    midge_policy_default(&config.policy);
    memset(driver, 0, sizeof(*driver));
    size_t size = midge_memory_size(&limits);
    driver->memory = take(size);
    driver->broker = midge_init(driver->memory, size, &config, NULL);
    if (driver->broker == NULL) {
        fail("midge_init failed");
    }
    driver->peer_count = peer_count;
    driver->peers = take(peer_count * sizeof(*driver->peers));
    driver->peer_of = take((limits.clients + limits.handshakes + 1) * sizeof(*driver->peer_of));
    driver->output = take(TURN_BYTES_MAX);
    midge_time(driver->broker, 1000);
}

void bench_driver_close(struct bench_driver *driver)
{
    if (midge_audit(driver->broker) != 0) {
        fail("midge_audit found an error");
    }
    for (uint32_t i = 0; i < driver->peer_count; i++) {
        free(driver->peers[i].kept);
    }
    free(driver->output);
    free(driver->peer_of);
    free(driver->peers);
    free(driver->memory);
}

/* ---- From the peer ---------------------------------------------------------------------------------------------------- */

static void offer(struct bench_driver *driver, struct bench_peer *peer)
{
    while (peer->kept_from < peer->kept_size) {
        size_t left = peer->kept_size - peer->kept_from;
        size_t size = left < BENCH_READ_SIZE ? left : BENCH_READ_SIZE;
        size_t used = midge_receive(driver->broker, peer->conn, peer->kept + peer->kept_from, size);
        peer->kept_from += used;
        if (used < size) {
            return;
        }
    }
}

void bench_driver_send(struct bench_driver *driver, uint32_t peer, const uint8_t *bytes, size_t size)
{
    struct bench_peer *from = &driver->peers[peer];
    if (from->kept_from < from->kept_size) {
        fail("a peer sends while its input waits");
    }
    from->kept = realloc(from->kept, size);
    if (from->kept == NULL) {
        fail("no memory");
    }
    memcpy(from->kept, bytes, size);
    from->kept_from = 0;
    from->kept_size = size;
    offer(driver, from);
}

/* ---- To the peer ------------------------------------------------------------------------------------------------------ */

/* What a peer answers to the packets it got. Returns the bytes of the answer. */
static size_t answer(struct bench_driver *driver, struct bench_peer *peer, size_t size, uint8_t *acks)
{
    size_t answered = 0;
    for (size_t at = 0; at < size;) {
        struct bench_view packet;
        size_t used = bench_parse(&packet, driver->output + at, size - at);
        if (used == 0 || used == SIZE_MAX) {
            fail("the core's output ends within a packet");
        }
        at += used;
        if (packet.type == BENCH_PUBLISH) {
            driver->deliveries++;
            if (packet.payload_size != driver->payload_size) {
                fail("a payload has a wrong size");
            }
            if (packet.qos > 0) {
                answered += bench_put_ack(acks + answered, packet.qos == 1 ? BENCH_PUBACK : BENCH_PUBREC, packet.packet_id);
            }
        } else if (packet.type == BENCH_PUBREC) {
            answered += bench_put_ack(acks + answered, BENCH_PUBREL, packet.packet_id);
        } else if (packet.type == BENCH_PUBREL) {
            answered += bench_put_ack(acks + answered, BENCH_PUBCOMP, packet.packet_id);
        } else if (packet.type == BENCH_PUBACK || packet.type == BENCH_PUBCOMP) {
            peer->unacknowledged--;
        } else if ((packet.type == BENCH_CONNACK && packet.code != 0) || (packet.type == BENCH_SUBACK && packet.code > 2)) {
            fail("the core refuses a peer");
        }
        if (answered > ACKS_MAX - 16) {
            fail("too many acknowledgements at once");
        }
    }
    return answered;
}

/* Takes all that is due, and then acknowledges it. */
static void take_output(struct bench_driver *driver, struct bench_peer *peer)
{
    static uint8_t acks[ACKS_MAX];
    size_t size = 0;
    bool due = true;
    while (due) {
        size_t part = midge_output(driver->broker, peer->conn, driver->output + size, BENCH_OUTPUT_SIZE);
        due = part > 0 && midge_output_done(driver->broker, peer->conn, part);
        size += part;
        if (size > TURN_BYTES_MAX - BENCH_OUTPUT_SIZE) {
            fail("too much output at once");
        }
    }
    size_t answered = answer(driver, peer, size, acks);
    if (answered > 0) {
        bench_driver_send(driver, (uint32_t)(peer - driver->peers), acks, answered);
    }
}

void bench_driver_settle(struct bench_driver *driver)
{
    struct midge_event event;
    midge_advance(driver->broker, 1000);
    while (midge_next_event(driver->broker, &event)) {
        struct bench_peer *peer = &driver->peers[driver->peer_of[event.conn.index]];
        switch (event.type) {
        case MIDGE_OUTPUT_READY:
            take_output(driver, peer);
            break;
        case MIDGE_INPUT_READY:
            offer(driver, peer);
            break;
        case MIDGE_CLOSE:
            midge_disconnected(driver->broker, peer->conn);
            peer->conn.index = 0;
            break;
        }
    }
}

/* ---- Coming and going ------------------------------------------------------------------------------------------------- */

void bench_driver_connect(struct bench_driver *driver, uint32_t peer)
{
    uint8_t packet[64];
    char client_id[24];
    snprintf(client_id, sizeof(client_id), "bench-%u", peer);
    struct midge_handle conn = midge_connected(driver->broker, 0);
    if (conn.index == 0) {
        fail("no connection is left");
    }
    driver->peers[peer].conn = conn;
    driver->peer_of[conn.index] = peer;
    bench_driver_send(driver, peer, packet, bench_put_connect(packet, client_id, 0));
    bench_driver_settle(driver);
}

void bench_driver_disconnect(struct bench_driver *driver, uint32_t peer)
{
    static const uint8_t packet[] = {0xE0, 0};
    bench_driver_send(driver, peer, packet, sizeof(packet));
    bench_driver_settle(driver);
    if (driver->peers[peer].conn.index != 0) {
        fail("DISCONNECT does not end a connection");
    }
}

void bench_driver_subscribe(struct bench_driver *driver, uint32_t peer, const char *filter, uint8_t qos)
{
    uint8_t packet[128];
    bench_driver_send(driver, peer, packet, bench_put_subscribe(packet, 1, &filter, 1, qos));
    bench_driver_settle(driver);
}
