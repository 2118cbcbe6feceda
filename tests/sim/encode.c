#include "encode.h"

#include <string.h>

void encode_byte(struct bytes *out, uint8_t byte)
{
    bytes_add(out, &byte, 1);
}

static void put_u16(struct bytes *out, uint32_t value)
{
    encode_byte(out, (uint8_t)(value >> 8));
    encode_byte(out, (uint8_t)(value & 255));
}

static void put_text(struct bytes *out, struct text text)
{
    put_u16(out, (uint32_t)text.size);
    bytes_add(out, text.bytes, text.size);
}

static void put_header(struct bytes *out, uint32_t first, size_t remaining)
{
    encode_byte(out, (uint8_t)first);
    do {
        uint8_t digit = (uint8_t)(remaining % 128);
        remaining /= 128;
        encode_byte(out, (uint8_t)(remaining > 0 ? digit | 128 : digit));
    } while (remaining > 0);
}

void encode_connect(struct bytes *out, const struct connect_fields *fields)
{
    struct text protocol = {fields->protocol, strlen(fields->protocol)};
    size_t size = 2 + protocol.size + 4 + 2 + fields->client_id.size;
    if (fields->flags & 0x04) {
        size += 4 + fields->will_topic.size + fields->will_payload.size;
    }
    size += fields->flags & 0x80 ? 2 + fields->username.size : 0;
    size += fields->flags & 0x40 ? 2 + fields->password.size : 0;
    put_header(out, CONNECT << 4, size);
    put_text(out, protocol);
    encode_byte(out, fields->level);
    encode_byte(out, fields->flags);
    put_u16(out, fields->keepalive_s);
    put_text(out, fields->client_id);
    if (fields->flags & 0x04) {
        put_text(out, fields->will_topic);
        put_text(out, fields->will_payload);
    }
    if (fields->flags & 0x80) {
        put_text(out, fields->username);
    }
    if (fields->flags & 0x40) {
        put_text(out, fields->password);
    }
}

void encode_publish(struct bytes *out, uint8_t flags, struct text topic, uint16_t packet_id, struct text payload)
{
    bool identified = (flags & 0x06) != 0;
    put_header(out, PUBLISH << 4 | flags, 2 + topic.size + (identified ? 2 : 0) + payload.size);
    put_text(out, topic);
    if (identified) {
        put_u16(out, packet_id);
    }
    bytes_add(out, payload.bytes, payload.size);
}

void encode_ack(struct bytes *out, enum packet_type type, uint16_t packet_id)
{
    put_header(out, (uint32_t)type << 4 | (type == PUBREL ? 2 : 0), 2);
    put_u16(out, packet_id);
}

void encode_empty(struct bytes *out, enum packet_type type)
{
    put_header(out, (uint32_t)type << 4, 0);
}

void encode_subscribe(struct bytes *out, enum packet_type type, uint16_t packet_id, size_t filters_size)
{
    put_header(out, (uint32_t)type << 4 | 2, 2 + filters_size);
    put_u16(out, packet_id);
}

void encode_filter(struct bytes *out, struct text filter)
{
    put_text(out, filter);
}
