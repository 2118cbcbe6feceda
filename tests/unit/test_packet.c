/* Packets: fixed headers of every length, bodies whole and cut at every byte, flat and across blocks. */
#include "packet.h"

#include "unit.h"

enum { LEVELS = 8, BLOCKS = 16, BODY_MAX = 256 };

/* ---- Fixed headers ---- */

static void headers_of_every_length(void **state)
{
    (void)state;
    static const struct {
        uint32_t remaining;
        uint32_t size;
    } cases[] = {{0, 2}, {1, 2}, {127, 2}, {128, 3}, {16383, 3}, {16384, 4}, {2097151, 4}, {2097152, 5}, {268435455, 5}};
    for (uint32_t i = 0; i < UNIT_COUNT(cases); i++) {
        uint8_t bytes[MIDGE_HEADER_SIZE_MAX + 1];
        assert_int_equal(midge_header_encode(bytes, 0x32, cases[i].remaining), cases[i].size);
        struct midge_header header;
        for (uint32_t size = 0; size < cases[i].size; size++) {
            uint8_t *part = unit_copy(bytes, size);
            assert_int_equal(midge_header_decode(part, size, &header), MIDGE_INCOMPLETE);
            free(part);
        }
        for (uint32_t size = cases[i].size; size <= sizeof(bytes); size++) {
            assert_int_equal(midge_header_decode(bytes, size, &header), MIDGE_DECODED);
            assert_int_equal(header.first, 0x32);
            assert_int_equal(header.size, cases[i].size);
            assert_int_equal(header.remaining, cases[i].remaining);
        }
    }
}

static void a_fifth_byte_of_length_is_malformed(void **state)
{
    (void)state;
    struct midge_header header;
    const uint8_t bytes[] = {0x30, 0xff, 0xff, 0xff, 0xff, 0x01};
    for (size_t size = 0; size < 5; size++) {
        assert_int_equal(midge_header_decode(bytes, size, &header), MIDGE_INCOMPLETE);
    }
    assert_int_equal(midge_header_decode(bytes, 5, &header), MIDGE_MALFORMED);
    assert_int_equal(midge_header_decode(bytes, 6, &header), MIDGE_MALFORMED);
    /* More bytes than needed are well-formed: the standard forbids four continuations only. */
    const uint8_t padded[] = {0x30, 0x80, 0x80, 0x80, 0x00};
    assert_int_equal(midge_header_decode(padded, 5, &header), MIDGE_DECODED);
    assert_int_equal(header.remaining, 0);
}

static void all_first_bytes(void **state)
{
    (void)state;
    /* By type: the flags a client may send, or why it may not send the type at all. PUBLISH is told apart below. */
    static const int flags[16] = {-1, 0, -1, 0, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1};
    for (uint32_t first = 0; first < 256; first++) {
        uint32_t type = first >> 4;
        uint32_t low = first & 0xf;
        enum midge_reason expected = flags[type] < 0                ? MIDGE_PACKET_TYPE
                                     : low == (uint32_t)flags[type] ? MIDGE_NONE
                                                                    : MIDGE_HEADER_FLAGS;
        if (type == MIDGE_PACKET_PUBLISH) {
            uint32_t qos = low >> 1 & 3;
            expected = qos == 3 ? MIDGE_QOS_3 : qos == 0 && (low & 8) != 0 ? MIDGE_QOS0_DUP : MIDGE_NONE;
        }
        assert_int_equal(midge_first_check((uint8_t)first), expected);
    }
}

static void lengths_by_type(void **state)
{
    (void)state;
    static const uint8_t types[] = {
        MIDGE_PACKET_CONNECT, MIDGE_PACKET_PUBLISH,   MIDGE_PACKET_PUBACK,      MIDGE_PACKET_PUBREC,  MIDGE_PACKET_PUBREL,
        MIDGE_PACKET_PUBCOMP, MIDGE_PACKET_SUBSCRIBE, MIDGE_PACKET_UNSUBSCRIBE, MIDGE_PACKET_PINGREQ, MIDGE_PACKET_DISCONNECT};
    for (uint32_t i = 0; i < UNIT_COUNT(types); i++) {
        uint8_t type = types[i];
        for (uint32_t remaining = 0; remaining < 6; remaining++) {
            bool acknowledgement = type >= MIDGE_PACKET_PUBACK && type <= MIDGE_PACKET_PUBCOMP;
            bool empty = type == MIDGE_PACKET_PINGREQ || type == MIDGE_PACKET_DISCONNECT;
            bool right = acknowledgement ? remaining == 2 : empty ? remaining == 0 : remaining >= 2;
            struct midge_header header = {.first = (uint8_t)(type << 4), .size = 2, .remaining = remaining};
            assert_int_equal(midge_length_check(header), right);
        }
    }
}

/* ---- Building bodies ---- */

struct body {
    uint8_t bytes[BODY_MAX];
    uint32_t size;
};

static void put_byte(struct body *body, uint32_t byte)
{
    assert_true(body->size < BODY_MAX);
    body->bytes[body->size++] = (uint8_t)byte;
}

static void put_field(struct body *body, const void *bytes, uint32_t size)
{
    put_byte(body, size >> 8);
    put_byte(body, size & 0xff);
    for (uint32_t i = 0; i < size; i++) {
        put_byte(body, ((const uint8_t *)bytes)[i]);
    }
}

static void put_text(struct body *body, const char *text)
{
    put_field(body, text, (uint32_t)strlen(text));
}

static void assert_view(struct midge_view view, const char *text)
{
    assert_int_equal(view.size, strlen(text));
    assert_memory_equal(view.bytes, text, view.size);
}

/* ---- CONNECT ---- */

/* A CONNECT with the given flags and the fields that they announce. */
static void build_connect(struct body *body, const char *name, uint32_t level, uint32_t flags)
{
    body->size = 0;
    put_text(body, name);
    put_byte(body, level);
    put_byte(body, flags);
    put_byte(body, 0x12);
    put_byte(body, 0x34);
    put_text(body, "the-client");
    if ((flags & 0x04) != 0) {
        put_text(body, "a/will/topic");
        put_field(body, "\0will\xff", 6);
    }
    if ((flags & 0x80) != 0) {
        put_text(body, "user name");
    }
    if ((flags & 0x40) != 0) {
        put_field(body, "\0\1\2password\xfe", 12);
    }
}

static enum midge_reason decode_connect(const struct body *body, uint32_t size, struct midge_connect *connect)
{
    uint8_t *bytes = unit_copy(body->bytes, size);
    struct midge_scratch none = {0};
    struct midge_reader reader;
    midge_reader_flat(&reader, bytes, size);
    enum midge_reason reason = midge_connect_decode(&reader, &none, connect);
    free(bytes);
    return reason;
}

static void connect_with_all_flags(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 256; flags++) {
        struct body body;
        build_connect(&body, "MQTT", 4, flags);
        bool will = (flags & 0x04) != 0;
        enum midge_reason expected = (flags & 0x01) != 0            ? MIDGE_CONNECT_RESERVED
                                     : !will && (flags & 0x38) != 0 ? MIDGE_WILL_FLAGS
                                     : (flags & 0x18) == 0x18       ? MIDGE_QOS_3
                                     : (flags & 0xc0) == 0x40       ? MIDGE_PASSWORD_WITHOUT_USERNAME
                                                                    : MIDGE_NONE;
        struct midge_connect connect;
        assert_int_equal(decode_connect(&body, body.size, &connect), expected);
        if (expected != MIDGE_NONE) {
            continue;
        }
        assert_int_equal(connect.login.level, 4);
        assert_int_equal(connect.login.keepalive_s, 0x1234);
        assert_int_equal(connect.login.clean_session, (flags & 0x02) != 0);
        assert_int_equal(connect.will_flags != 0, will);
        assert_int_equal(connect.will_flags, (flags & 0x24) | (flags >> 3 & 3));
        assert_int_equal(connect.login.has_username, (flags & 0x80) != 0);
        assert_int_equal(connect.login.has_password, (flags & 0x40) != 0);
        assert_int_equal(connect.will_size, will ? 2 + 12 + 2 + 6 : 0);
    }
}

/* Every CONNECT that ends too early, and one that goes on too long, is malformed; with the memory behind it out of reach. */
static void connect_cut_at_every_byte(void **state)
{
    (void)state;
    static const uint32_t flags[] = {0x00, 0x02, 0x04, 0x2c, 0x80, 0xc0, 0xf6};
    for (uint32_t i = 0; i < UNIT_COUNT(flags); i++) {
        struct body body;
        build_connect(&body, "MQTT", 4, flags[i]);
        struct midge_connect connect;
        for (uint32_t size = 0; size < body.size; size++) {
            assert_int_equal(decode_connect(&body, size, &connect), MIDGE_LENGTH);
        }
        assert_int_equal(decode_connect(&body, body.size, &connect), MIDGE_NONE);
        put_byte(&body, 0);
        assert_int_equal(decode_connect(&body, body.size, &connect), MIDGE_LENGTH);
    }
}

static void connect_protocols(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t level;
        enum midge_reason reason;
    } cases[] = {
        {"MQTT", 4, MIDGE_NONE},
        {"MQTT", 0x84, MIDGE_NONE},
        {"MQIsdp", 3, MIDGE_NONE},
        {"MQIsdp", 0x83, MIDGE_NONE},
        {"MQTT", 3, MIDGE_PROTOCOL_LEVEL},
        {"MQTT", 5, MIDGE_PROTOCOL_LEVEL},
        {"MQTT", 0x85, MIDGE_PROTOCOL_LEVEL},
        {"MQTT", 0, MIDGE_PROTOCOL_LEVEL},
        {"MQIsdp", 4, MIDGE_PROTOCOL_LEVEL},
        {"mqtt", 4, MIDGE_PROTOCOL_NAME},
        {"MQT", 4, MIDGE_PROTOCOL_NAME},
        {"MQTTT", 4, MIDGE_PROTOCOL_NAME},
        {"MQisdp", 3, MIDGE_PROTOCOL_NAME},
        {"", 4, MIDGE_PROTOCOL_NAME},
        {"\xff", 4, MIDGE_BAD_UTF8},
    };
    for (uint32_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct body body;
        build_connect(&body, cases[i].name, cases[i].level, 0xee);
        struct midge_connect connect;
        assert_int_equal(decode_connect(&body, body.size, &connect), cases[i].reason);
    }
}

static void connect_strings_are_checked(void **state)
{
    (void)state;
    struct body good;
    build_connect(&good, "MQTT", 4, 0xc6);
    static const struct {
        const char *text;
        enum midge_reason bad;
        enum midge_reason nul;
    } fields[] = {
        {"the-client", MIDGE_BAD_UTF8, MIDGE_NUL_CHARACTER},
        {"a/will/topic", MIDGE_BAD_UTF8, MIDGE_NUL_CHARACTER},
        {"will\xff", MIDGE_NONE, MIDGE_NONE},
        {"user name", MIDGE_BAD_UTF8, MIDGE_NUL_CHARACTER},
        {"password", MIDGE_NONE, MIDGE_NONE},
    };
    for (uint32_t i = 0; i < UNIT_COUNT(fields); i++) {
        for (uint32_t at = 0; at < good.size; at++) {
            if (memcmp(good.bytes + at, fields[i].text, midge_min((uint32_t)strlen(fields[i].text), good.size - at)) == 0) {
                struct body body = good;
                struct midge_connect connect;
                body.bytes[at + 2] = 0xff;
                assert_int_equal(decode_connect(&body, body.size, &connect), fields[i].bad);
                body.bytes[at + 2] = 0;
                assert_int_equal(decode_connect(&body, body.size, &connect), fields[i].nul);
                break;
            }
        }
    }
}

/* The same CONNECT across blocks, shifted so that each field is cut in turn. */
static void connect_across_blocks(void **state)
{
    (void)state;
    struct body body;
    build_connect(&body, "MQTT", 4, 0xc6);
    uint8_t *memory = unit_memory(BLOCKS * 64u);
    struct midge_store store = {0};
    midge_pool_init(&store.blocks, memory, BLOCKS, 64);
    uint8_t pad[64] = {0};
    uint32_t most = 0;
    for (uint32_t shift = 0; shift < 64; shift++) {
        midge_index message = midge_store_begin(&store);
        midge_index tail = message;
        midge_store_append(&store, message, &tail, pad, shift);
        midge_store_append(&store, message, &tail, body.bytes, body.size);
        uint32_t enough = UINT32_MAX;
        for (uint32_t room = 0; room <= 64; room++) {
            struct midge_reader reader;
            midge_reader_message(&reader, &store, message, shift);
            uint8_t *bytes = unit_memory(room);
            struct midge_scratch scratch = {.bytes = bytes, .size = room};
            struct midge_connect connect;
            enum midge_reason reason = midge_connect_decode(&reader, &scratch, &connect);
            if (reason == MIDGE_NONE) {
                assert_view(connect.login.client_id, "the-client");
                assert_view(connect.will_topic, "a/will/topic");
                assert_view(connect.login.username, "user name");
                assert_int_equal(connect.login.password.size, 12);
                assert_memory_equal(connect.login.password.bytes, "\0\1\2password\xfe", 12);
                assert_int_equal(connect.will_size, 2 + 12 + 2 + 6);
                uint8_t will[2 + 12 + 2 + 6];
                midge_reader_copy(&connect.will, will, sizeof(will));
                assert_memory_equal(will, "\0\014a/will/topic\0\6\0will\xff", sizeof(will));
            } else {
                assert_int_equal(reason, MIDGE_SCRATCH);
                assert_int_equal(enough, UINT32_MAX);
            }
            enough = reason == MIDGE_NONE ? midge_min(enough, room) : enough;
            free(bytes);
        }
        /* At most the strings that a border cuts; this body is too short to be cut more than twice. */
        assert_in_range(enough, 0, 24);
        most = enough > most ? enough : most;
        midge_store_release(&store, message);
    }
    assert_int_not_equal(most, 0);
    free(memory);
}

/* ---- PUBLISH ---- */

static enum midge_reason decode_publish(uint8_t first, const uint8_t *body, uint32_t size, struct midge_publish *publish)
{
    uint8_t *bytes = unit_copy(body, size);
    struct midge_scratch none = {0};
    struct midge_reader reader;
    midge_reader_flat(&reader, bytes, size);
    enum midge_reason reason = midge_publish_decode(first, &reader, &none, LEVELS, publish);
    free(bytes);
    return reason;
}

static void publish_cut_at_every_byte(void **state)
{
    (void)state;
    struct body body = {.size = 0};
    put_text(&body, "a/b");
    put_byte(&body, 0x12);
    put_byte(&body, 0x34);
    put_byte(&body, 'x');
    for (uint8_t qos = 0; qos < 3; qos++) {
        for (uint32_t size = 0; size <= body.size; size++) {
            struct midge_publish publish;
            enum midge_reason reason = decode_publish((uint8_t)(0x39 | qos << 1), body.bytes, size, &publish);
            bool whole = size >= (qos > 0 ? 7u : 5u);
            assert_int_equal(reason, whole ? MIDGE_NONE : MIDGE_LENGTH);
            if (whole) {
                assert_int_equal(publish.packet_id, qos > 0 ? 0x1234 : 0);
                assert_int_equal(publish.payload_size, size - (qos > 0 ? 7u : 5u));
                assert_int_equal(publish.qos, qos);
                assert_true(publish.retain);
                assert_int_equal(publish.topic.size, 3);
            }
        }
    }
}

static void publish_that_is_wrong(void **state)
{
    (void)state;
    struct midge_publish publish;
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\0x", 3, &publish), MIDGE_TOPIC_EMPTY);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\3a/#", 5, &publish), MIDGE_TOPIC_WILDCARD);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\1\xff", 3, &publish), MIDGE_BAD_UTF8);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\1\0", 3, &publish), MIDGE_NUL_CHARACTER);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\11a/b/c/d//", 11, &publish), MIDGE_NONE);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\x8////////", 10, &publish), MIDGE_TOPIC_LEVELS);
    assert_int_equal(decode_publish(0x32, (const uint8_t *)"\0\1a\0\0", 5, &publish), MIDGE_PACKET_ID_ZERO);
    assert_int_equal(decode_publish(0x34, (const uint8_t *)"\0\1a\0", 4, &publish), MIDGE_LENGTH);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\xff\xff", 2, &publish), MIDGE_LENGTH);
    assert_int_equal(decode_publish(0x30, (const uint8_t *)"\0\1a", 3, &publish), MIDGE_NONE);
    assert_false(publish.retain);
    assert_int_equal(publish.payload_size, 0);
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

static enum midge_reason decode_filter(const char *bytes, uint32_t size, bool subscribe, struct midge_view *filter,
                                       uint8_t *qos)
{
    uint8_t *copy = unit_copy(bytes, size);
    struct midge_scratch none = {0};
    struct midge_reader list;
    midge_reader_flat(&list, copy, size);
    enum midge_reason reason = midge_filter_decode(&list, subscribe, &none, LEVELS, filter, qos);
    if (reason == MIDGE_NONE) {
        assert_int_equal(list.size, size - 2 - filter->size - (subscribe ? 1 : 0));
    }
    free(copy);
    return reason;
}

static void filters_of_a_list(void **state)
{
    (void)state;
    struct midge_view filter;
    uint8_t qos = 9;
    assert_int_equal(decode_filter("\0\3a/#\2\0\1b\0", 10, true, &filter, &qos), MIDGE_NONE);
    assert_int_equal(qos, 2);
    assert_int_equal(filter.size, 3);
    assert_int_equal(decode_filter("\0\3a/#\0\1b", 8, false, &filter, NULL), MIDGE_NONE);
    assert_int_equal(decode_filter("\0\3a/#", 5, false, &filter, NULL), MIDGE_NONE);
    for (uint32_t size = 1; size < 6; size++) {
        assert_int_equal(decode_filter("\0\3a/#\1", size, true, &filter, &qos), MIDGE_LENGTH);
    }
    for (uint32_t value = 0; value < 256; value++) {
        const char list[] = {0, 1, 'a', (char)value};
        enum midge_reason reason = decode_filter(list, 4, true, &filter, &qos);
        assert_int_equal(reason, value > 2 ? MIDGE_SUBSCRIBE_QOS : MIDGE_NONE);
    }
    assert_int_equal(decode_filter("\0\0\1", 3, true, &filter, &qos), MIDGE_TOPIC_EMPTY);
    assert_int_equal(decode_filter("\0\2#a\1", 5, true, &filter, &qos), MIDGE_FILTER_WILDCARD);
    assert_int_equal(decode_filter("\0\1\xc3\1", 4, true, &filter, &qos), MIDGE_BAD_UTF8);
    assert_int_equal(decode_filter("\0\x8////////\1", 11, true, &filter, &qos), MIDGE_TOPIC_LEVELS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_every_length), cmocka_unit_test(a_fifth_byte_of_length_is_malformed),
        cmocka_unit_test(all_first_bytes),         cmocka_unit_test(lengths_by_type),
        cmocka_unit_test(connect_with_all_flags),  cmocka_unit_test(connect_cut_at_every_byte),
        cmocka_unit_test(connect_protocols),       cmocka_unit_test(connect_strings_are_checked),
        cmocka_unit_test(connect_across_blocks),   cmocka_unit_test(publish_cut_at_every_byte),
        cmocka_unit_test(publish_that_is_wrong),   cmocka_unit_test(filters_of_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
