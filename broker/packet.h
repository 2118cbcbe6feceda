/* MQTT control packets: decoding what clients send, and the fixed headers of what they are sent. */
#ifndef MIDGE_PACKET_H
#define MIDGE_PACKET_H

#include "store.h"

enum midge_packet_type {
    MIDGE_PACKET_CONNECT = 1,
    MIDGE_PACKET_CONNACK,
    MIDGE_PACKET_PUBLISH,
    MIDGE_PACKET_PUBACK,
    MIDGE_PACKET_PUBREC,
    MIDGE_PACKET_PUBREL,
    MIDGE_PACKET_PUBCOMP,
    MIDGE_PACKET_SUBSCRIBE,
    MIDGE_PACKET_SUBACK,
    MIDGE_PACKET_UNSUBSCRIBE,
    MIDGE_PACKET_UNSUBACK,
    MIDGE_PACKET_PINGREQ,
    MIDGE_PACKET_PINGRESP,
    MIDGE_PACKET_DISCONNECT
};

enum { MIDGE_HEADER_SIZE_MAX = 5, MIDGE_REMAINING_MAX = 268435455, MIDGE_SUBACK_FAILURE = 0x80 };

struct midge_header {
    uint8_t first; /* type and flags */
    uint8_t size;  /* of the fixed header: 2 .. 5 */
    uint32_t remaining;
};

enum midge_decoded { MIDGE_DECODED, MIDGE_INCOMPLETE, MIDGE_MALFORMED };

static inline enum midge_packet_type midge_type_of(uint8_t first)
{
    return (enum midge_packet_type)(first >> 4);
}

/* Decodes a fixed header. MIDGE_MALFORMED: Remaining Length has more than four bytes. */
enum midge_decoded midge_header_decode(const uint8_t *bytes, size_t size, struct midge_header *header);

/* Whether a client may send a packet that starts so: MIDGE_NONE, MIDGE_PACKET_TYPE, MIDGE_HEADER_FLAGS [MQTT-2.2.2-2],
 * MIDGE_QOS_3 [MQTT-3.3.1-4] or MIDGE_QOS0_DUP [MQTT-3.3.1-2]. */
enum midge_reason midge_first_check(uint8_t first);

/* Whether a packet whose first byte was checked may be that long. */
static inline bool midge_length_check(struct midge_header header)
{
    enum midge_packet_type type = midge_type_of(header.first);
    if (type >= MIDGE_PACKET_PINGREQ) {
        return header.remaining == 0;
    }
    if (header.remaining < 2) {
        return false; /* a field of two bytes comes first; the decoders find out the rest */
    }
    return header.remaining == 2 || type < MIDGE_PACKET_PUBACK || type > MIDGE_PACKET_PUBCOMP;
}

/* Writes a fixed header, MIDGE_HEADER_SIZE_MAX bytes at most. Returns its size. */
uint32_t midge_header_encode(uint8_t *to, uint8_t first, uint32_t remaining);

/* The size of a fixed header. */
static inline uint32_t midge_header_size(uint32_t remaining)
{
    uint32_t size = 2;
    while (remaining > 0x7f) {
        remaining >>= 7;
        size++;
    }
    return size;
}

struct midge_connect {
    struct midge_login login; /* but for the connection and its listener */
    uint8_t will_flags;       /* of its message; 0: there is no will */
    struct midge_view will_topic;
    struct midge_reader will; /* from the size of its topic on */
    uint32_t will_size;       /* to the end of its message */
};

/* Decodes the body of a CONNECT, of which `body` then stands at the end. MIDGE_PROTOCOL_LEVEL is to be answered with CONNACK 1
 * [MQTT-3.1.2-2], all else but MIDGE_NONE closes the connection without a CONNACK [MQTT-3.1.4-1]. Views point into the packet
 * or the scratch. */
enum midge_reason midge_connect_decode(struct midge_reader *body, struct midge_scratch *scratch, struct midge_connect *connect);

struct midge_publish {
    struct midge_view topic;
    uint32_t payload_size;
    uint16_t packet_id; /* 0 at QoS 0 */
    uint8_t qos;
    bool retain;
};

/* Decodes the body of a PUBLISH, whose first byte was checked; `body` then stands at the payload. The topic is checked, with at
 * most levels_max levels. The size of the payload is only set where all is well. */
enum midge_reason midge_publish_decode(uint8_t first, struct midge_reader *body, struct midge_scratch *scratch,
                                       uint32_t levels_max, struct midge_publish *publish);

/* Takes the next filter, and for a SUBSCRIBE the requested QoS, off the list of a SUBSCRIBE or UNSUBSCRIBE which is not at its
 * end. */
enum midge_reason midge_filter_decode(struct midge_reader *list, bool subscribe, struct midge_scratch *scratch,
                                      uint32_t levels_max, struct midge_view *filter, uint8_t *qos);

#endif
