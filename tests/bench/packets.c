#include "packets.h"

#include <string.h>

static size_t put_u16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
    return 2;
}

static size_t put_string(uint8_t *to, const char *string)
{
    size_t size = strlen(string);
    put_u16(to, (uint32_t)size);
    memcpy(to + 2, string, size);
    return 2 + size;
}

static size_t put_header(uint8_t *to, uint8_t first, uint32_t remaining)
{
    size_t size = 1;
    to[0] = first;
    do {
        to[size] = (uint8_t)(remaining & 0x7F);
        remaining >>= 7;
        if (remaining > 0) {
            to[size] |= 0x80;
        }
        size++;
    } while (remaining > 0);
    return size;
}

size_t bench_put_connect(uint8_t *to, const char *client_id, uint16_t keepalive_s)
{
    static const uint8_t clean_311[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2};
    size_t size = put_header(to, 0x10, (uint32_t)(sizeof(clean_311) + 4 + strlen(client_id)));
    memcpy(to + size, clean_311, sizeof(clean_311));
    size += sizeof(clean_311);
    size += put_u16(to + size, keepalive_s);
    return size + put_string(to + size, client_id);
}

size_t bench_put_subscribe(uint8_t *to, uint16_t packet_id, const char *const *filters, size_t count, uint8_t qos)
{
    uint32_t remaining = 2;
    for (size_t i = 0; i < count; i++) {
        remaining += (uint32_t)(3 + strlen(filters[i]));
    }
    size_t size = put_header(to, 0x82, remaining);
    size += put_u16(to + size, packet_id);
    for (size_t i = 0; i < count; i++) {
        size += put_string(to + size, filters[i]);
        to[size++] = qos;
    }
    return size;
}

size_t bench_put_publish(uint8_t *to, const char *topic, uint8_t qos, bool retain, uint16_t packet_id, uint32_t payload_size)
{
    uint32_t remaining = (uint32_t)(2 + strlen(topic) + (qos > 0 ? 2 : 0)) + payload_size;
    size_t size = put_header(to, (uint8_t)(0x30 | qos << 1 | (retain ? 1 : 0)), remaining);
    size += put_string(to + size, topic);
    if (qos > 0) {
        size += put_u16(to + size, packet_id);
    }
    return size;
}

size_t bench_put_ack(uint8_t *to, enum bench_packet type, uint16_t packet_id)
{
    to[0] = (uint8_t)(type << 4 | (type == BENCH_PUBREL ? 2 : 0));
    to[1] = 2;
    return 2 + put_u16(to + 2, packet_id);
}

static uint16_t get_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
}

static bool parse_publish(struct bench_view *view, const uint8_t *body, size_t size)
{
    view->qos = view->qos >> 1 & 3;
    size_t id_size = view->qos > 0 ? 2 : 0;
    if (size < 2 || size < 2 + (size_t)get_u16(body) + id_size) {
        return false;
    }
    view->topic_size = get_u16(body);
    view->topic = body + 2;
    size_t head = 2u + view->topic_size;
    view->packet_id = id_size > 0 ? get_u16(body + head) : 0;
    view->payload = body + head + id_size;
    view->payload_size = (uint32_t)(size - head - id_size);
    return true;
}

size_t bench_parse(struct bench_view *view, const uint8_t *bytes, size_t size)
{
    size_t header = 1;
    uint32_t remaining = 0;
    do {
        if (header == 5) {
            return SIZE_MAX;
        }
        if (header >= size) {
            return 0;
        }
        remaining |= (uint32_t)(bytes[header] & 0x7F) << (7 * (header - 1));
    } while ((bytes[header++] & 0x80) != 0);
    if (size - header < remaining) {
        return 0;
    }
    memset(view, 0, sizeof(*view));
    view->type = bytes[0] >> 4;
    view->qos = bytes[0] & 0x0F;
    const uint8_t *body = bytes + header;
    if (view->type == BENCH_PUBLISH) {
        return parse_publish(view, body, remaining) ? header + remaining : SIZE_MAX;
    }
    if (remaining >= 2) {
        view->packet_id = get_u16(body);
    }
    for (uint32_t i = view->type == BENCH_CONNACK ? 1 : 2; i < remaining; i++) {
        view->code = body[i] > view->code ? body[i] : view->code;
    }
    return header + remaining;
}
