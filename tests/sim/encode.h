/* What clients write: packets of MQTT 3.1.1, added to a queue of bytes. */
#ifndef SIM_ENCODE_H
#define SIM_ENCODE_H

#include "memory.h"

#include <stdbool.h>

enum packet_type {
    CONNECT = 1,
    CONNACK,
    PUBLISH,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK,
    PINGREQ,
    PINGRESP,
    DISCONNECT
};

struct text {
    const void *bytes;
    size_t size;
};

struct connect_fields {
    const char *protocol;
    uint8_t level;
    uint8_t flags;
    uint16_t keepalive_s;
    struct text client_id;
    struct text will_topic; /* with bit 2 of the flags */
    struct text will_payload;
    struct text username; /* with bit 7 of the flags */
    struct text password; /* with bit 6 of the flags */
};

void encode_connect(struct bytes *out, const struct connect_fields *fields);
/* `flags`: DUP, QoS and RETAIN as in the first byte. */
void encode_publish(struct bytes *out, uint8_t flags, struct text topic, uint16_t packet_id, struct text payload);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
void encode_ack(struct bytes *out, enum packet_type type, uint16_t packet_id);
/* PINGREQ, DISCONNECT. */
void encode_empty(struct bytes *out, enum packet_type type);

/* SUBSCRIBE and UNSUBSCRIBE: the fixed header, given the size of all filters, then the filters; only SUBSCRIBE has a QoS. */
void encode_subscribe(struct bytes *out, enum packet_type type, uint16_t packet_id, size_t filters_size);
void encode_filter(struct bytes *out, struct text filter);
void encode_byte(struct bytes *out, uint8_t byte);

#endif
