/* An independent decoder of what the broker sends. */
#ifndef SIM_DECODE_H
#define SIM_DECODE_H

#include "encode.h"

struct decoded {
    enum packet_type type;
    size_t size; /* of the whole packet */
    bool dup;
    bool retain;
    uint8_t qos;
    uint8_t code;         /* CONNACK */
    bool session_present; /* CONNACK */
    uint16_t packet_id;
    struct text topic;
    struct text payload; /* PUBLISH; the codes of a SUBACK */
};

enum decode_result { DECODE_INCOMPLETE, DECODE_DONE, DECODE_WRONG };

/* Decodes the first packet of `bytes`. DECODE_WRONG: a server may not send this; *why says why. */
enum decode_result decode(struct decoded *packet, const uint8_t *bytes, size_t size, const char **why);

/* What is known of a packet that is not whole: how many of its fields lie in the bytes. */
struct decoded_start {
    bool qos_known; /* and DUP and RETAIN */
    bool id_known;
    struct decoded fields;
    size_t topic_known; /* bytes of the topic */
    size_t payload_size;
};

/* Looks at a PUBLISH of which only a part is there; at least one byte. */
void decode_start(struct decoded_start *start, const uint8_t *bytes, size_t size);

#endif
