/* Packets that break the rules, each with the reasons that the broker may give for ending the connection. */
#include "client.h"
#include "network.h"

#include <string.h>

struct malformed {
    const char *fault;
    uint64_t reasons;
    uint8_t size;
    uint8_t bytes[24];
};

static const struct malformed packets[] = {
    {"QoS 3", REASON(QOS_3), 9, {0x36, 7, 0, 1, 'a', 0, 1, 'x', 'y'}},
    {"DUP at QoS 0", REASON(QOS0_DUP), 6, {0x38, 4, 0, 1, 'a', 'x'}},
    {"+ in a topic", REASON(TOPIC_WILDCARD), 6, {0x30, 4, 0, 1, '+', 'x'}},
    {"# in a topic", REASON(TOPIC_WILDCARD), 8, {0x30, 6, 0, 3, 'a', '/', '#', 'x'}},
    {"empty topic", REASON(TOPIC_EMPTY), 5, {0x30, 3, 0, 0, 'x'}},
    {"PUBLISH identifier 0", REASON(PACKET_ID_ZERO), 7, {0x32, 5, 0, 1, 'a', 0, 0}},
    {"overlong UTF-8", REASON(BAD_UTF8), 7, {0x30, 5, 0, 2, 0xc0, 0x80, 'x'}},
    {"surrogate in UTF-8", REASON(BAD_UTF8), 8, {0x30, 6, 0, 3, 0xed, 0xa0, 0x80, 'x'}},
    {"U+0000 in a topic", REASON(NUL_CHARACTER), 8, {0x30, 6, 0, 3, 'a', 0, 'b', 'x'}},
    {"topic longer than the packet", REASON(LENGTH), 6, {0x30, 4, 0, 9, 'a', 'b'}},
    {"PUBLISH of one byte", REASON(LENGTH), 3, {0x30, 1, 0}},
    {"QoS 1 without room for an identifier", REASON(LENGTH), 6, {0x32, 4, 0, 1, 'a', 0}},
    {"SUBSCRIBE with wrong flags", REASON(HEADER_FLAGS), 8, {0x80, 6, 0, 9, 0, 1, 'a', 0}},
    {"SUBSCRIBE without filters", REASON(NO_FILTER) | REASON(LENGTH), 4, {0x82, 2, 0, 9}},
    {"SUBSCRIBE identifier 0", REASON(PACKET_ID_ZERO), 8, {0x82, 6, 0, 0, 0, 1, 'a', 0}},
    {"SUBSCRIBE at QoS 3", REASON(SUBSCRIBE_QOS), 8, {0x82, 6, 0, 9, 0, 1, 'a', 3}},
    {"SUBSCRIBE with reserved bits", REASON(SUBSCRIBE_QOS), 8, {0x82, 6, 0, 9, 0, 1, 'a', 0x10}},
    {"SUBSCRIBE whose second filter is malformed",
     REASON(FILTER_WILDCARD),
     13,
     {0x82, 11, 0, 9, 0, 1, '#', 2, 0, 2, 'a', '#', 0}},
    {"SUBSCRIBE with an empty filter", REASON(TOPIC_EMPTY) | REASON(FILTER_WILDCARD), 7, {0x82, 5, 0, 9, 0, 0, 0}},
    {"SUBSCRIBE without the QoS", REASON(LENGTH), 7, {0x82, 5, 0, 9, 0, 1, 'a'}},
    {"UNSUBSCRIBE with wrong flags", REASON(HEADER_FLAGS), 7, {0xa0, 5, 0, 9, 0, 1, 'a'}},
    {"UNSUBSCRIBE without filters", REASON(NO_FILTER) | REASON(LENGTH), 4, {0xa2, 2, 0, 9}},
    {"second CONNECT", REASON(SECOND_CONNECT), 15, {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'x'}},
    {"CONNACK from a client", REASON(PACKET_TYPE), 4, {0x20, 2, 0, 0}},
    {"SUBACK from a client", REASON(PACKET_TYPE), 5, {0x90, 3, 0, 9, 0}},
    {"PINGRESP from a client", REASON(PACKET_TYPE), 2, {0xd0, 0}},
    {"packet type 0", REASON(PACKET_TYPE), 2, {0x00, 0}},
    {"packet type 15", REASON(PACKET_TYPE), 2, {0xf0, 0}},
    {"Remaining Length of 5 bytes", REASON(REMAINING_LENGTH), 6, {0x30, 0xff, 0xff, 0xff, 0xff, 0x01}},
    {"PINGREQ with a body", REASON(LENGTH), 3, {0xc0, 1, 0}},
    {"PINGREQ with flags", REASON(HEADER_FLAGS), 2, {0xc1, 0}},
    {"PUBACK of 3 bytes", REASON(LENGTH), 5, {0x40, 3, 0, 9, 0}},
    {"PUBACK of 1 byte", REASON(LENGTH), 3, {0x40, 1, 0}},
    {"PUBACK identifier 0", REASON(PACKET_ID_ZERO), 4, {0x40, 2, 0, 0}},
    {"PUBREL with wrong flags", REASON(HEADER_FLAGS), 4, {0x60, 2, 0, 9}},
    {"DISCONNECT with flags", REASON(HEADER_FLAGS), 2, {0xe1, 0}},
    {"DISCONNECT with a body", REASON(LENGTH), 3, {0xe0, 1, 0}},
};

static const struct malformed first_packets[] = {
    {"PUBLISH before CONNECT", REASON(NOT_CONNECT), 6, {0x30, 4, 0, 1, 'a', 'x'}},
    {"PINGREQ before CONNECT", REASON(NOT_CONNECT), 2, {0xc0, 0}},
    {"SUBSCRIBE before CONNECT", REASON(NOT_CONNECT), 8, {0x82, 6, 0, 9, 0, 1, 'a', 0}},
    {"CONNECT with flags", REASON(HEADER_FLAGS), 15, {0x11, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'x'}},
    {"CONNECT cut short", REASON(LENGTH), 12, {0x10, 10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}},
    {"CONNECT with bytes behind its fields",
     REASON(LENGTH),
     16,
     {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'x', 'y'}},
    {"CONNECT with a NUL in the identifier",
     REASON(NUL_CHARACTER),
     15,
     {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 0}},
    {"CONNECT with bad UTF-8", REASON(BAD_UTF8), 15, {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 0xff}},
    {"will flag without a will", REASON(LENGTH), 15, {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 6, 0, 0, 0, 1, 'x'}},
    {"will QoS without will", REASON(WILL_FLAGS), 15, {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x0a, 0, 0, 0, 1, 'x'}},
    {"password without user name",
     REASON(PASSWORD_WITHOUT_USERNAME),
     17,
     {0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x42, 0, 0, 0, 1, 'x', 0, 0}},
};

static void write_bytes(struct world *w, struct link *link, const struct malformed *malformed)
{
    bytes_add(&link->out, malformed->bytes, malformed->size);
    network_written(
        w, link, &(struct packet){.type = malformed->bytes[0] >> 4, .reasons = malformed->reasons, .fault = malformed->fault});
}

void client_write_malformed(struct world *w, struct link *link, bool first)
{
    struct rng *rng = &w->rng;
    if (!first) {
        uint32_t count = sizeof packets / sizeof packets[0];
        uint32_t choice = rng_below(rng, count + 1);
        if (choice == count) {
            struct packet meant = {.fault = "second CONNECT, with the client's own identifier",
                                   .reasons = REASON(SECOND_CONNECT)};
            client_write_connect(w, link, "MQTT", 4, 0, &meant);
            return;
        }
        uint64_t before = link->connect_written ? 0 : REASON(NOT_CONNECT);
        struct malformed chosen = packets[choice];
        chosen.reasons |= before;
        write_bytes(w, link, &chosen);
        return;
    }
    uint32_t count = sizeof first_packets / sizeof first_packets[0];
    uint32_t choice = rng_below(rng, count + 2);
    if (choice == count) {
        struct packet meant = {.fault = "protocol name 'MQTX'", .reasons = REASON(PROTOCOL_NAME)};
        client_write_connect(w, link, "MQTX", 4, 0, &meant);
    } else if (choice > count) {
        struct packet meant = {.fault = "reserved connect flag", .reasons = REASON(CONNECT_RESERVED)};
        client_write_connect(w, link, "MQTT", 4, 1, &meant);
    } else {
        write_bytes(w, link, &first_packets[choice]);
    }
}
