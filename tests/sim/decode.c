#include "decode.h"

#include <string.h>

static uint16_t get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The Remaining Length of section 2.2.3: 0 while it is not whole, else the size of the fixed header. */
static size_t get_header(const uint8_t *bytes, size_t size, size_t *remaining, const char **why)
{
    *remaining = 0;
    for (size_t i = 1; i < size; i++) {
        if (i == 5) {
            *why = "Remaining Length of more than 4 bytes";
            return 0;
        }
        *remaining |= (size_t)(bytes[i] & 127) << (7 * (i - 1));
        if (bytes[i] < 128) {
            if (i > 1 && bytes[i] == 0) {
                *why = "Remaining Length is not in its shortest form";
            }
            return i + 1;
        }
    }
    return 0;
}

static const char *decode_publish(struct decoded *packet, const uint8_t *body, size_t size)
{
    if (packet->qos == 3) {
        return "PUBLISH with QoS 3";
    }
    if (packet->qos == 0 && packet->dup) {
        return "PUBLISH with DUP at QoS 0";
    }
    size_t topic_size = size < 2 ? 0 : get_u16(body);
    size_t fixed = 2 + topic_size + (packet->qos > 0 ? 2 : 0);
    if (size < fixed) {
        return "PUBLISH shorter than its fields";
    }
    packet->topic = (struct text){body + 2, topic_size};
    packet->packet_id = packet->qos > 0 ? get_u16(body + 2 + topic_size) : 0;
    packet->payload = (struct text){body + fixed, size - fixed};
    return packet->qos > 0 && packet->packet_id == 0 ? "PUBLISH with packet identifier 0" : NULL;
}

static const char *decode_suback(struct decoded *packet, const uint8_t *body, size_t size)
{
    if (size < 3) {
        return "SUBACK without a code";
    }
    packet->payload = (struct text){body + 2, size - 2};
    for (size_t i = 2; i < size; i++) {
        if (body[i] > 2 && body[i] != 0x80) {
            return "SUBACK with a reserved code"; /* [MQTT-3.9.3-2] */
        }
    }
    return NULL;
}

static const char *decode_body(struct decoded *packet, uint8_t flags, const uint8_t *body, size_t size)
{
    if (packet->type == PUBLISH) {
        return decode_publish(packet, body, size);
    }
    if (flags != (packet->type == PUBREL ? 2 : 0)) {
        return "reserved flags of the fixed header"; /* [MQTT-2.2.2-1] */
    }
    if (packet->type == PINGRESP) {
        return size != 0 ? "PINGRESP with a body" : NULL;
    }
    if (packet->type == CONNACK) {
        if (size != 2 || body[0] > 1 || body[1] > 5) {
            return "CONNACK with wrong fields";
        }
        packet->session_present = body[0] == 1;
        packet->code = body[1];
        return packet->session_present && packet->code != 0 ? "CONNACK refuses and says session present" : NULL;
    }
    if (packet->type == SUBSCRIBE || packet->type == UNSUBSCRIBE || packet->type < CONNACK || packet->type > PINGRESP ||
        packet->type == PINGREQ) {
        return "packet type that only a client sends";
    }
    if (size < 2 || (packet->type != SUBACK && size != 2)) {
        return "acknowledgement of a wrong length";
    }
    packet->packet_id = get_u16(body);
    if (packet->packet_id == 0) {
        return "acknowledgement with packet identifier 0";
    }
    return packet->type == SUBACK ? decode_suback(packet, body, size) : NULL;
}

static void decode_first(struct decoded *packet, uint8_t first)
{
    *packet = (struct decoded){.type = (enum packet_type)(first >> 4)};
    if (packet->type == PUBLISH) {
        packet->dup = (first & 8) != 0;
        packet->qos = (first >> 1) & 3;
        packet->retain = (first & 1) != 0;
    }
}

enum decode_result decode(struct decoded *packet, const uint8_t *bytes, size_t size, const char **why)
{
    size_t remaining;
    *why = NULL;
    size_t header = get_header(bytes, size, &remaining, why);
    if (*why != NULL) {
        return DECODE_WRONG;
    }
    if (header == 0 || size - header < remaining) {
        return DECODE_INCOMPLETE;
    }
    decode_first(packet, bytes[0]);
    packet->size = header + remaining;
    *why = decode_body(packet, bytes[0] & 15, bytes + header, remaining);
    return *why == NULL ? DECODE_DONE : DECODE_WRONG;
}

void decode_start(struct decoded_start *start, const uint8_t *bytes, size_t size)
{
    const char *why = NULL;
    size_t remaining;
    *start = (struct decoded_start){.qos_known = true};
    decode_first(&start->fields, bytes[0]);
    size_t header = get_header(bytes, size, &remaining, &why);
    if (header == 0 || size < header + 2) {
        return;
    }
    size_t topic_size = get_u16(bytes + header);
    size_t there = size - header - 2;
    start->fields.topic = (struct text){bytes + header + 2, topic_size};
    start->topic_known = there < topic_size ? there : topic_size;
    size_t fixed = 2 + topic_size + (start->fields.qos > 0 ? 2 : 0);
    start->payload_size = remaining < fixed ? 0 : remaining - fixed;
    if (there >= topic_size + 2 && start->fields.qos > 0) {
        start->id_known = true;
        start->fields.packet_id = get_u16(bytes + header + 2 + topic_size);
    }
}
