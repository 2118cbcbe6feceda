#include "codec.h"

#include <string.h>

static const char *const packet_names[] = {"?",           "CONNECT",  "CONNACK", "PUBLISH",   "PUBACK",
                                           "PUBREC",      "PUBREL",   "PUBCOMP", "SUBSCRIBE", "SUBACK",
                                           "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",  "DISCONNECT"};

const char *packet_name(unsigned type)
{
    return type <= DISCONNECT ? packet_names[type] : packet_names[0];
}

unsigned packet_type_of(struct span name)
{
    for (unsigned type = CONNECT; type <= DISCONNECT; type++) {
        if (span_is(name, packet_names[type])) {
            return type;
        }
    }
    return 0;
}

void encode_header(struct buffer *out, unsigned first_byte, size_t remaining_length)
{
    buffer_add_byte(out, first_byte);
    do {
        unsigned digit = (unsigned)(remaining_length % 128);
        remaining_length /= 128;
        buffer_add_byte(out, remaining_length > 0 ? digit | 128u : digit);
    } while (remaining_length > 0);
}

static void encode_16(struct buffer *out, size_t value)
{
    buffer_add_byte(out, (unsigned)(value >> 8) & 0xFFu);
    buffer_add_byte(out, (unsigned)value & 0xFFu);
}

void encode_string(struct buffer *out, struct span string)
{
    encode_16(out, string.size);
    buffer_add(out, string.bytes, string.size);
}

void encode_connect(struct buffer *out, const struct connect_fields *fields)
{
    unsigned flags = fields->clean ? 2u : 0u;
    struct buffer body = {0};
    encode_string(&body, fields->protocol);
    buffer_add_byte(&body, fields->level);
    if (fields->has_will) {
        flags |= 4u | fields->will_qos << 3 | (fields->will_retain ? 0x20u : 0u);
    }
    flags |= (fields->has_username ? 0x80u : 0u) | (fields->has_password ? 0x40u : 0u);
    buffer_add_byte(&body, (flags | fields->flags_or) & fields->flags_and);
    encode_16(&body, fields->keepalive_s);
    encode_string(&body, fields->client_id);
    if (fields->has_will) {
        encode_string(&body, fields->will_topic);
        encode_string(&body, fields->will_payload);
    }
    if (fields->has_username) {
        encode_string(&body, fields->username);
    }
    if (fields->has_password) {
        encode_string(&body, fields->password);
    }
    encode_header(out, CONNECT << 4, body.size);
    buffer_add(out, body.bytes, body.size);
    buffer_free(&body);
}

void encode_publish(struct buffer *out, struct span topic, struct span payload, unsigned flags, uint16_t id)
{
    bool has_id = (flags & 6u) != 0;
    encode_header(out, PUBLISH << 4 | flags, 2 + topic.size + (has_id ? 2u : 0u) + payload.size);
    encode_string(out, topic);
    if (has_id) {
        encode_16(out, id);
    }
    buffer_add(out, payload.bytes, payload.size);
}

void encode_ack(struct buffer *out, unsigned type, uint16_t id)
{
    encode_header(out, type << 4 | (type == PUBREL ? 2u : 0u), 2);
    encode_16(out, id);
}

void encode_empty(struct buffer *out, unsigned type)
{
    encode_header(out, type << 4, 0);
}

/* Reads the fixed header: returns its size, 0 where it is not complete, -1 where Remaining Length never ends. */
static int decode_header(struct span in, size_t *remaining_length)
{
    size_t value = 0;
    for (int i = 1; i <= 4; i++) {
        if ((size_t)i >= in.size) {
            return 0;
        }
        value |= (size_t)(in.bytes[i] & 127u) << 7 * (i - 1);
        if ((in.bytes[i] & 128u) == 0) {
            *remaining_length = value;
            return i + 1;
        }
    }
    return -1;
}

static unsigned decode_16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static bool decode_string(struct span *in, struct span *string)
{
    if (in->size < 2) {
        return false;
    }
    size_t size = decode_16(in->bytes);
    if (in->size - 2 < size) {
        return false;
    }
    *string = (struct span){in->bytes + 2, size};
    *in = (struct span){in->bytes + 2 + size, in->size - 2 - size};
    return true;
}

/* A sequence of UTF-8 as RFC 3629 defines it: its size, or 0. U+0000 counts as wrong. */
static size_t utf8_sequence(struct span in)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint8_t first = in.bytes[0];
    size_t size = first < 0x80              ? 1
                  : (first & 0xE0u) == 0xC0 ? 2
                  : (first & 0xF0u) == 0xE0 ? 3
                  : (first & 0xF8u) == 0xF0 ? 4
                                            : 0;
    if (size == 0 || size > in.size) {
        return 0;
    }
    uint32_t point = size == 1 ? first : first & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((in.bytes[i] & 0xC0u) != 0x80) {
            return 0;
        }
        point = point << 6 | (in.bytes[i] & 0x3Fu);
    }
    bool right = point >= least[size] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    return right ? size : 0;
}

static bool topic_is_right(struct span topic)
{
    if (topic.size == 0) {
        return false;
    }
    for (size_t i = 0; i < topic.size;) {
        size_t size = utf8_sequence((struct span){topic.bytes + i, topic.size - i});
        if (size == 0 || topic.bytes[i] == '#' || topic.bytes[i] == '+') {
            return false;
        }
        i += size;
    }
    return true;
}

static const char *decode_server_publish(struct span body, unsigned flags, struct packet *packet)
{
    packet->dup = (flags & 8u) != 0;
    packet->qos = flags >> 1 & 3u;
    packet->retain = (flags & 1u) != 0;
    if (packet->qos == 3) {
        return "PUBLISH with QoS 3 [MQTT-3.3.1-4]";
    }
    if (packet->qos == 0 && packet->dup) {
        return "DUP at QoS 0 [MQTT-3.3.1-2]";
    }
    if (!decode_string(&body, &packet->topic) || !topic_is_right(packet->topic)) {
        return "PUBLISH with an ill-formed topic [MQTT-3.3.2-1] [MQTT-3.3.2-2]";
    }
    if (packet->qos > 0) {
        if (body.size < 2 || decode_16(body.bytes) == 0) {
            return "PUBLISH without packet identifier [MQTT-2.3.1-1]";
        }
        packet->id = (uint16_t)decode_16(body.bytes);
        body = (struct span){body.bytes + 2, body.size - 2};
    }
    packet->payload = body;
    return NULL;
}

static const char *decode_server_body(struct span body, unsigned flags, struct packet *packet)
{
    if (packet->type == PUBLISH) {
        return decode_server_publish(body, flags, packet);
    }
    if (flags != (packet->type == PUBREL ? 2u : 0u)) {
        return "wrong flags in a fixed header [MQTT-2.2.2-1]";
    }
    if (packet->type == PINGRESP) {
        return body.size == 0 ? NULL : "PINGRESP with a body";
    }
    if (packet->type == CONNACK) {
        if (body.size != 2 || body.bytes[0] > 1 || body.bytes[1] > 5) {
            return "ill-formed CONNACK";
        }
        packet->session_present = body.bytes[0];
        packet->return_code = body.bytes[1];
        return packet->return_code == 0 || packet->session_present == 0 ? NULL : "Session Present in a refusal [MQTT-3.2.2-4]";
    }
    bool is_ack = (packet->type >= PUBACK && packet->type <= PUBCOMP) || packet->type == SUBACK || packet->type == UNSUBACK;
    if (!is_ack) {
        return "a packet that only clients send";
    }
    if (body.size < 2 || decode_16(body.bytes) == 0) {
        return "acknowledgement without packet identifier";
    }
    packet->id = (uint16_t)decode_16(body.bytes);
    packet->payload = (struct span){body.bytes + 2, body.size - 2};
    if (packet->type != SUBACK) {
        return body.size == 2 ? NULL : "acknowledgement of a wrong size";
    }
    for (size_t i = 0; i < packet->payload.size; i++) {
        if (packet->payload.bytes[i] > 2 && packet->payload.bytes[i] != 0x80) {
            return "reserved code in a SUBACK [MQTT-3.9.3-2]";
        }
    }
    return packet->payload.size > 0 ? NULL : "SUBACK without codes";
}

long decode_from_server(struct span in, struct packet *packet, const char **why)
{
    size_t remaining_length = 0;
    int header_size = decode_header(in, &remaining_length);
    if (header_size < 0) {
        *why = "Remaining Length of more than 4 bytes";
        return -1;
    }
    if (header_size == 0 || in.size - (size_t)header_size < remaining_length) {
        return 0;
    }
    if (header_size > 2 && in.bytes[header_size - 1] == 0) {
        *why = "Remaining Length is not in its shortest form";
        return -1;
    }
    *packet = (struct packet){.type = in.bytes[0] >> 4, .whole = {in.bytes, (size_t)header_size + remaining_length}};
    struct span body = {in.bytes + header_size, remaining_length};
    *why = decode_server_body(body, in.bytes[0] & 15u, packet);
    return *why == NULL ? (long)packet->whole.size : -1;
}

static bool decode_client_connect(struct span body, struct client_packet *packet)
{
    struct span protocol;
    if (!decode_string(&body, &protocol) || body.size < 4) {
        return false;
    }
    unsigned flags = body.bytes[1];
    body = (struct span){body.bytes + 4, body.size - 4};
    packet->retain = (flags & 0x24u) == 0x24u;
    packet->qos = flags >> 3 & 3u;
    packet->clean = (flags & 2u) != 0;
    return decode_string(&body, &packet->client_id) && ((flags & 4u) == 0 || decode_string(&body, &packet->topic));
}

long decode_from_client(struct span in, struct client_packet *packet)
{
    size_t remaining_length = 0;
    int header_size = decode_header(in, &remaining_length);
    if (header_size <= 0) {
        return header_size;
    }
    if (in.size - (size_t)header_size < remaining_length) {
        return 0;
    }
    *packet = (struct client_packet){.type = in.bytes[0] >> 4, .whole = {in.bytes, (size_t)header_size + remaining_length}};
    struct span body = {in.bytes + header_size, remaining_length};
    bool right = true;
    if (packet->type == CONNECT) {
        right = decode_client_connect(body, packet);
    } else if (packet->type == PUBLISH) {
        packet->retain = (in.bytes[0] & 1u) != 0;
        packet->qos = in.bytes[0] >> 1 & 3u;
        right = decode_string(&body, &packet->topic) && (packet->qos == 0 || body.size >= 2);
        if (right && packet->qos > 0) {
            packet->id = (uint16_t)decode_16(body.bytes);
            body = (struct span){body.bytes + 2, body.size - 2};
        }
        packet->payload = body;
    } else if (body.size >= 2) {
        packet->id = (uint16_t)decode_16(body.bytes);
        packet->payload = (struct span){body.bytes + 2, body.size - 2};
    }
    return right ? (long)packet->whole.size : -1;
}
