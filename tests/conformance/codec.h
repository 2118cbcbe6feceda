/* An MQTT 3.1.1 encoder and decoder of its own: it shares no code and no idea with broker/, so that both cannot be wrong in
 * the same way. */
#ifndef CONFORMANCE_CODEC_H
#define CONFORMANCE_CODEC_H

#include "util.h"

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

/* "CONNECT" and so on; "packet type 15" has none and gives "?". */
const char *packet_name(unsigned type);
/* 0 where there is no such packet. */
unsigned packet_type_of(struct span name);

struct connect_fields {
    struct span protocol;
    unsigned level;
    unsigned flags_or;  /* added to the flags that the fields below make: for ill-formed packets */
    unsigned flags_and; /* ~0u: keeps them all */
    bool clean;
    unsigned keepalive_s;
    struct span client_id;
    bool has_will, will_retain;
    unsigned will_qos;
    struct span will_topic, will_payload;
    bool has_username, has_password;
    struct span username, password;
};

void encode_connect(struct buffer *out, const struct connect_fields *fields);
void encode_publish(struct buffer *out, struct span topic, struct span payload, unsigned flags, uint16_t id);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
void encode_ack(struct buffer *out, unsigned type, uint16_t id);
/* PINGREQ, DISCONNECT. */
void encode_empty(struct buffer *out, unsigned type);
/* The fixed header and the body of SUBSCRIBE and UNSUBSCRIBE are put together by the caller's list of filters. */
void encode_string(struct buffer *out, struct span string);
void encode_header(struct buffer *out, unsigned first_byte, size_t remaining_length);

/* A packet from the server. */
struct packet {
    unsigned type;
    bool dup, retain;
    unsigned qos;
    uint16_t id;
    unsigned session_present, return_code;
    struct span topic, payload; /* payload of a SUBACK: its codes */
    struct span whole;
};

/* Decodes the packet at the start of `in`, which a server sent: returns its size, 0 where it is not complete yet, and -1 where
 * the standard does not allow a server to send it; *why is then a sentence. The spans point into `in`. */
long decode_from_server(struct span in, struct packet *packet, const char **why);

/* What the runner has to remember of the packets that a client sent. */
struct client_packet {
    unsigned type;
    bool retain;
    bool clean; /* of a CONNECT */
    unsigned qos;
    uint16_t id;
    struct span topic;     /* of a PUBLISH; the will's of a CONNECT */
    struct span client_id; /* of a CONNECT */
    struct span payload;   /* of a PUBLISH; of others what stands behind the packet identifier */
    struct span whole;
};

/* Like decode_from_server for the other direction, without checks: -1 where the packet makes no sense. */
long decode_from_client(struct span in, struct client_packet *packet);

#endif
