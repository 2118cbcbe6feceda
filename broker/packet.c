#include "packet.h"

#include "topic.h"

enum connect_flag {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN_SESSION = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS = 0x18,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USERNAME = 0x80
};
_Static_assert((int)CONNECT_WILL == (int)MIDGE_MESSAGE_GAP && (int)CONNECT_WILL_RETAIN == (int)MIDGE_MESSAGE_WILL_RETAIN,
               "the flags of a will become those of its message");

enum midge_decoded midge_header_decode(const uint8_t *bytes, size_t size, struct midge_header *header)
{
    uint32_t remaining = 0;
    uint32_t i = 1;
    uint8_t more;
    do {
        if (i >= size) {
            return MIDGE_INCOMPLETE;
        }
        more = bytes[i] & 0x80;
        remaining |= (uint32_t)(bytes[i] & 0x7f) << (7 * (i - 1));
        i++;
    } while (more != 0 && i < MIDGE_HEADER_SIZE_MAX);
    *header = (struct midge_header){.first = bytes[0], .size = (uint8_t)i, .remaining = remaining};
    return more == 0 ? MIDGE_DECODED : MIDGE_MALFORMED;
}

/* What a client may send: a bit for each value of the lower half of the first byte. */
static const uint16_t allowed[16] = {
    [MIDGE_PACKET_CONNECT] = 0x0001, [MIDGE_PACKET_PUBLISH] = 0x3c3f, /* but for QoS 3, and DUP at QoS 0 */
    [MIDGE_PACKET_PUBACK] = 0x0001,  [MIDGE_PACKET_PUBREC] = 0x0001,     [MIDGE_PACKET_PUBREL] = 0x0004,
    [MIDGE_PACKET_PUBCOMP] = 0x0001, [MIDGE_PACKET_SUBSCRIBE] = 0x0004,  [MIDGE_PACKET_UNSUBSCRIBE] = 0x0004,
    [MIDGE_PACKET_PINGREQ] = 0x0001, [MIDGE_PACKET_DISCONNECT] = 0x0001,
};

enum midge_reason midge_first_check(uint8_t first)
{
    uint32_t flags = allowed[midge_type_of(first)];
    if ((flags >> (first & 0x0f) & 1) != 0) {
        return MIDGE_NONE;
    }
    if (midge_type_of(first) == MIDGE_PACKET_PUBLISH) {
        return (first & 0x06) == 0x06 ? MIDGE_QOS_3 : MIDGE_QOS0_DUP;
    }
    return flags == 0 ? MIDGE_PACKET_TYPE : MIDGE_HEADER_FLAGS;
}

uint32_t midge_header_encode(uint8_t *to, uint8_t first, uint32_t remaining)
{
    uint32_t size = 0;
    to[size++] = first;
    while (remaining > 0x7f) {
        to[size++] = (uint8_t)(remaining | 0x80);
        remaining >>= 7;
    }
    to[size++] = (uint8_t)remaining;
    return size;
}

static enum midge_reason read_string(struct midge_reader *body, struct midge_scratch *scratch, struct midge_view *view)
{
    enum midge_reason reason = midge_reader_field(body, scratch, view);
    return reason != MIDGE_NONE ? reason : midge_string_check(view->bytes, view->size);
}

/* [MQTT-3.1.2-1] [MQTT-3.1.2-2]; bit 7 of the level marks a bridge. */
static enum midge_reason check_protocol(struct midge_view name, uint8_t level)
{
    bool mqtt31 = name.size == 6;
    if ((!mqtt31 && name.size != 4) || memcmp(name.bytes, mqtt31 ? "MQIsdp" : "MQTT", name.size) != 0) {
        return MIDGE_PROTOCOL_NAME;
    }
    return (level & 0x7f) == (mqtt31 ? 3 : 4) ? MIDGE_NONE : MIDGE_PROTOCOL_LEVEL;
}

/* The flags that contradict each other, which is known before the payload is read. */
static enum midge_reason check_connect_flags(uint8_t flags)
{
    if ((flags & CONNECT_RESERVED) != 0) {
        return MIDGE_CONNECT_RESERVED; /* [MQTT-3.1.2-3] */
    }
    if ((flags & CONNECT_WILL) == 0 && (flags & (CONNECT_WILL_QOS | CONNECT_WILL_RETAIN)) != 0) {
        return MIDGE_WILL_FLAGS; /* [MQTT-3.1.2-13] [MQTT-3.1.2-15] */
    }
    if ((flags & CONNECT_WILL_QOS) == CONNECT_WILL_QOS) {
        return MIDGE_QOS_3; /* [MQTT-3.1.2-14] */
    }
    if ((flags & CONNECT_USERNAME) == 0 && (flags & CONNECT_PASSWORD) != 0) {
        return MIDGE_PASSWORD_WITHOUT_USERNAME; /* [MQTT-3.1.2-22] */
    }
    return MIDGE_NONE;
}

static enum midge_reason read_will(struct midge_reader *body, struct midge_scratch *scratch, struct midge_connect *connect)
{
    connect->will = *body;
    enum midge_reason reason = read_string(body, scratch, &connect->will_topic);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (body->size < 2) {
        return MIDGE_LENGTH;
    }
    uint32_t payload_size = midge_reader_u16(body);
    if (payload_size > body->size) {
        return MIDGE_LENGTH;
    }
    midge_reader_skip(body, payload_size);
    connect->will_size = connect->will.size - body->size;
    return MIDGE_NONE;
}

/* [MQTT-3.1.3-1]: client identifier, will topic, will message, user name, password. */
static enum midge_reason read_connect_payload(struct midge_reader *body, struct midge_scratch *scratch,
                                              struct midge_connect *connect)
{
    enum midge_reason reason = read_string(body, scratch, &connect->login.client_id);
    if (reason == MIDGE_NONE && connect->will_flags != 0) {
        reason = read_will(body, scratch, connect);
    }
    if (reason == MIDGE_NONE && connect->login.has_username) {
        reason = read_string(body, scratch, &connect->login.username);
    }
    if (reason == MIDGE_NONE && connect->login.has_password) {
        reason = midge_reader_field(body, scratch, &connect->login.password);
    }
    if (reason == MIDGE_NONE && body->size != 0) {
        reason = MIDGE_LENGTH;
    }
    return reason;
}

enum midge_reason midge_connect_decode(struct midge_reader *body, struct midge_scratch *scratch, struct midge_connect *connect)
{
    *connect = (struct midge_connect){0};
    struct midge_view name;
    enum midge_reason reason = read_string(body, scratch, &name);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (body->size < 1) {
        return MIDGE_LENGTH;
    }
    connect->login.level = midge_reader_u8(body);
    reason = check_protocol(name, connect->login.level);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (body->size < 3) {
        return MIDGE_LENGTH;
    }
    uint8_t flags = midge_reader_u8(body);
    reason = check_connect_flags(flags);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    connect->login.clean_session = (flags & CONNECT_CLEAN_SESSION) != 0;
    connect->will_flags = (uint8_t)((flags & (CONNECT_WILL | CONNECT_WILL_RETAIN)) | (flags & CONNECT_WILL_QOS) >> 3);
    connect->login.has_username = (flags & CONNECT_USERNAME) != 0;
    connect->login.has_password = (flags & CONNECT_PASSWORD) != 0;
    connect->login.keepalive_s = midge_reader_u16(body);
    return read_connect_payload(body, scratch, connect);
}

enum midge_reason midge_publish_decode(uint8_t first, struct midge_reader *body, struct midge_scratch *scratch,
                                       uint32_t levels_max, struct midge_publish *publish)
{
    const uint8_t qos = (first >> 1) & 3;
    publish->packet_id = 0;
    publish->qos = qos;
    publish->retain = (first & 1) != 0;
    enum midge_reason reason = MIDGE_NONE;
    if (!midge_reader_field_at_hand(body, &publish->topic)) {
        reason = midge_reader_field(body, scratch, &publish->topic);
    }
    if (reason == MIDGE_NONE) {
        reason = midge_topic_check(publish->topic.bytes, publish->topic.size, levels_max);
    }
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (qos > 0) {
        if (body->size < 2) {
            return MIDGE_LENGTH;
        }
        publish->packet_id = midge_reader_u16(body);
        if (publish->packet_id == 0) {
            return MIDGE_PACKET_ID_ZERO; /* [MQTT-2.3.1-1] */
        }
    }
    publish->payload_size = body->size;
    return MIDGE_NONE;
}

enum midge_reason midge_filter_decode(struct midge_reader *list, bool subscribe, struct midge_scratch *scratch,
                                      uint32_t levels_max, struct midge_view *filter, uint8_t *qos)
{
    enum midge_reason reason = midge_reader_field(list, scratch, filter);
    if (reason == MIDGE_NONE) {
        reason = midge_filter_check(filter->bytes, filter->size, levels_max);
    }
    if (reason != MIDGE_NONE || !subscribe) {
        return reason;
    }
    if (list->size < 1) {
        return MIDGE_LENGTH;
    }
    *qos = midge_reader_u8(list);
    return *qos > 2 ? MIDGE_SUBSCRIBE_QOS : MIDGE_NONE; /* [MQTT-3.8.3-4] */
}
