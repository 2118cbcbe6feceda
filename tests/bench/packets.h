/*
 * The packets of a client, as bytes. `to` is always large enough.
 */
#ifndef BENCH_PACKETS_H
#define BENCH_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_packet {
    BENCH_CONNACK = 2,
    BENCH_PUBLISH,
    BENCH_PUBACK,
    BENCH_PUBREC,
    BENCH_PUBREL,
    BENCH_PUBCOMP,
    BENCH_SUBACK = 9,
    BENCH_PINGRESP = 13
};

/* Each returns the bytes written. */
size_t bench_put_connect(uint8_t *to, const char *client_id, uint16_t keepalive_s);
size_t bench_put_subscribe(uint8_t *to, uint16_t packet_id, const char *const *filters, size_t count, uint8_t qos);
/* Everything of a PUBLISH but its payload. */
size_t bench_put_publish(uint8_t *to, const char *topic, uint8_t qos, bool retain, uint16_t packet_id, uint32_t payload_size);
/* PUBACK, PUBREC, PUBREL or PUBCOMP. */
size_t bench_put_ack(uint8_t *to, enum bench_packet type, uint16_t packet_id);

/* A packet found in a stream. */
struct bench_view {
    const uint8_t *topic;   /* of a PUBLISH */
    const uint8_t *payload; /* likewise */
    uint32_t payload_size;
    uint16_t topic_size;
    uint16_t packet_id; /* 0: none */
    uint8_t type;       /* enum bench_packet, or any other */
    uint8_t qos;
    uint8_t code; /* of a CONNACK; of a SUBACK the highest */
};

/* Parses the packet at the start of `bytes`. Returns its size, 0 where it is not whole yet; SIZE_MAX where it is malformed. */
size_t bench_parse(struct bench_view *view, const uint8_t *bytes, size_t size);

#endif
