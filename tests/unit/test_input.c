/* From bytes to packets: however the bytes are cut, the same comes of them. */
#include "input.h"

#include "fixture.h"
#include "unit.h"

enum { STREAM_MAX = 2048 };

struct stream {
    uint8_t bytes[STREAM_MAX];
    uint32_t size;
};

static void put(struct stream *s, const void *bytes, uint32_t size)
{
    assert_true(s->size + size <= STREAM_MAX);
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
}

static void put_publish(struct stream *s, uint8_t flags, uint16_t id, uint32_t payload_size)
{
    uint8_t packet[512];
    uint8_t payload[300];
    unit_fill(payload, payload_size, id);
    put(s, packet, fixture_put_publish(packet, flags, "t/x", id, payload, payload_size));
}

/* A client's whole life: every kind of packet, of sizes that fit the header's place, a block, and neither. */
static void put_life(struct stream *s)
{
    static const uint8_t connect[] = "\x10\x2c\0\4MQTT\4\xee\0\0\0\4self\0\4will\0\6a will\0\4user\0\6secret";
    static const uint8_t few[] = "\x82\x0f\0\1\0\3t/+\2\0\4none\1";
    static const uint8_t many[] = "\x82\x1c\0\2\0\1a\0\0\1b\1\0\1c\2\0\1d\0\0\1e\1\0\3f/#\2";
    s->size = 0;
    put(s, connect, sizeof(connect) - 1);
    put(s, few, sizeof(few) - 1);
    put(s, many, sizeof(many) - 1);
    put_publish(s, 0, 0, 0);
    put_publish(s, 0, 0, 1);
    put_publish(s, 2, 11, 40);
    put_publish(s, 4, 12, 130);
    put_publish(s, 0x0c, 12, 130); /* the same again: not routed twice */
    put_publish(s, 0, 0, 300);
    put(s, "\x62\2\0\14", 4);
    put(s, "\xc0\0", 2);
    put(s, "\xc0\x80\x80\0", 4); /* a length that is longer than it need be */
    put(s, "\xa2\x07\0\3\0\3t/+", 9);
    put_publish(s, 2, 13, 60);
    put(s, "\xe0\0", 2);
}

static struct midge *begin(void)
{
    struct midge_config config = fixture_config();
    config.limits.replies = 32;
    return fixture_begin(&config);
}

static uint8_t *expected;
static uint32_t expected_size;

/* Sends a stream in pieces whose ends are given by `cut`, and compares what comes out with `expected`. */
static void send_cut(const struct stream *s, uint32_t first, uint32_t piece)
{
    struct midge *b = begin();
    struct midge_handle conn = fixture_open(b);
    fixture_send(b, conn, s->bytes, first);
    assert_int_equal(midge_audit(b), 0);
    for (uint32_t at = first; at < s->size; at += piece) {
        uint32_t size = midge_min(piece, s->size - at);
        fixture_send(b, conn, s->bytes + at, size);
        if (piece < s->size) {
            assert_int_equal(midge_audit(b), 0);
        }
    }
    assert_int_equal(b->store.reserved, 0);
    assert_int_equal(b->assembly_reserved, 0);
    uint32_t size = fixture_drain(b, conn);
    if (expected == NULL) {
        expected = unit_copy(fixture_output, size);
        expected_size = size;
    }
    assert_int_equal(size, expected_size);
    assert_memory_equal(fixture_output, expected, size);
    fixture_end(b);
}

static void a_life_in_pieces(void **state)
{
    (void)state;
    struct stream s;
    put_life(&s);
    s.size -= 2; /* without the DISCONNECT, so that all output stays to be seen */
    expected = NULL;
    send_cut(&s, s.size, 1);
    assert_true(expected_size > 500);
    for (uint32_t first = 1; first < s.size; first++) {
        send_cut(&s, first, s.size);
    }
    for (uint32_t piece = 1; piece < 150; piece++) {
        send_cut(&s, 0, piece);
    }
    struct unit_random random = unit_random_begin("input");
    for (uint32_t round = 0; round < 200; round++) {
        send_cut(&s, unit_random_below(&random, s.size), 1 + unit_random_below(&random, 40));
    }
    free(expected);
}

/* Ends with the same reason wherever the bytes are cut, and swallows what comes behind. */
static void assert_ends(const char *bytes, uint32_t size, enum midge_reason reason, bool connected)
{
    for (uint32_t first = 0; first < size; first++) {
        struct midge *b = begin();
        struct midge_handle conn = connected ? fixture_connect(b, "c", true) : fixture_open(b);
        fixture_send(b, conn, bytes, first);
        fixture_send(b, conn, bytes + first, size - first);
        fixture_send(b, conn, bytes, size);
        assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_DISCONNECTED], 1);
        assert_int_equal(fixture_callbacks.last_reason, reason);
        assert_int_equal(fixture_events(b, conn, MIDGE_CLOSE), 1);
        assert_int_equal(b->store.blocks.used, 0);
        fixture_end(b);
    }
}

static void wrong_packets_in_pieces(void **state)
{
    (void)state;
    assert_ends("\xc0\0", 2, MIDGE_NOT_CONNECT, false);
    assert_ends("\x11\x10", 2, MIDGE_HEADER_FLAGS, false);
    assert_ends("\x10\1", 2, MIDGE_LENGTH, false);
    assert_ends("\x10\xff\xff\xff\xff", 5, MIDGE_REMAINING_LENGTH, false);
    assert_ends("\x10\x0a\0\4MQXX\4\2\0\0", 12, MIDGE_PROTOCOL_NAME, false);
    assert_ends("\x10\xff\xff\xff\x7f", 5, MIDGE_PACKET_SIZE, false);
    assert_ends("\x10\x0c\0\4MQTT\4\2\0\0\0\0", 14, MIDGE_SECOND_CONNECT, true);
    assert_ends("\xd0\0", 2, MIDGE_PACKET_TYPE, true);
    assert_ends("\x36\3\0\1a", 5, MIDGE_QOS_3, true);
    assert_ends("\x30\x04\0\3a/", 6, MIDGE_LENGTH, true);
    assert_ends("\x30\x0c\0\3a/#1234567", 14, MIDGE_TOPIC_WILDCARD, true);
    assert_ends("\x40\3\0\1x", 5, MIDGE_LENGTH, true);
    assert_ends("\x82\2\0\1", 4, MIDGE_NO_FILTER, true);
    assert_ends("\x82\6\0\0\0\1a\0", 8, MIDGE_PACKET_ID_ZERO, true);
    assert_ends("\x82\6\0\1\0\1a\3", 8, MIDGE_SUBSCRIBE_QOS, true);
    assert_ends("\xa2\5\0\1\0\1\xff", 7, MIDGE_BAD_UTF8, true);
    assert_ends("\xe0\1x", 3, MIDGE_LENGTH, true);
    assert_ends("\x82\xff\xff\xff\x7f", 5, MIDGE_PACKET_SIZE, true);
}

/* A PUBLISH that is too large is read on as far as its topic, to name it. */
static void a_packet_too_large_names_its_topic(void **state)
{
    (void)state;
    uint8_t packet[256];
    uint8_t payload[100] = {0};
    uint32_t size = fixture_put_publish(packet, 0, "the/topic", 0, payload, sizeof(payload));
    for (uint32_t first = 0; first < size; first++) {
        struct midge *b = begin();
        struct midge_handle conn = fixture_connect(b, "c", true);
        struct midge_policy policy = b->config.policy;
        policy.packet_size_max = size - 1;
        assert_true(midge_set_policy(b, &policy, NULL));
        fixture_send(b, conn, packet, first);
        fixture_send(b, conn, packet + first, size - first);
        assert_int_equal(fixture_callbacks.last_reason, MIDGE_PACKET_SIZE);
        assert_int_equal(fixture_callbacks.last_size, size);
        assert_int_equal(b->store.blocks.used, 0);
        fixture_end(b);
    }
}

/* A limit that is lowered while a packet is on its way: nothing in a SUBSCRIBE is taken for a topic. */
static void a_subscribe_that_has_become_too_large_names_no_topic(void **state)
{
    (void)state;
    static const uint8_t subscribe[] = "\x82\x14\0\5\0\17fifteen/letters\1";
    enum { SIZE = sizeof(subscribe) - 1 };
    for (uint32_t first = 1; first < SIZE; first++) {
        struct midge *b = begin();
        struct midge_handle conn = fixture_connect(b, "c", true);
        struct midge_policy policy = b->config.policy;
        fixture_send(b, conn, subscribe, first);
        policy.packet_size_max = SIZE - 1;
        assert_true(midge_set_policy(b, &policy, NULL));
        fixture_send(b, conn, subscribe + first, SIZE - first);
        bool begun = first > 2; /* it then came under the limit that was */
        assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_DISCONNECTED], begun ? 0 : 1);
        if (!begun) {
            assert_int_equal(fixture_callbacks.last_reason, MIDGE_PACKET_SIZE);
            assert_int_equal(fixture_callbacks.last_topic_size, 0);
            assert_int_equal(fixture_callbacks.last_size, SIZE);
        }
        midge_disconnected(b, conn);
        fixture_end(b);
    }
}

/* A list that ends in the middle of a filter names no filter, not even the one before. */
static void a_filter_cut_short_names_none(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    struct midge_handle conn = fixture_connect(b, "client", true);
    static const uint8_t subscribe[] = {0x82, 8, 0, 1, 0, 1, 'a', 0, 0, 9};
    fixture_send(b, conn, subscribe, sizeof(subscribe));
    assert_int_equal(fixture_callbacks.last_reason, MIDGE_LENGTH);
    assert_int_equal(fixture_callbacks.last_topic_size, 0);
    midge_disconnected(b, conn);
    fixture_end(b);
}

/* Acknowledgements that are not taken stall the input; it goes on where it stopped, whatever was cut. */
static void a_stall_loses_nothing(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    for (uint16_t i = 0; i < 20; i++) {
        put(&s, (const uint8_t[]){0x62, 2, 0, (uint8_t)(100 - 2 * i)}, 4); /* do not follow each other */
        put(&s, "\xc0\0", 2);
        put_publish(&s, 2, (uint16_t)(300 - 2 * i), i * 9u);
    }
    expected = NULL;
    for (uint32_t piece = s.size; piece > 0; piece = piece > 40 ? piece / 2 : piece - 1) {
        struct midge_config config = fixture_config();
        struct midge *b = fixture_begin(&config);
        struct midge_handle conn = fixture_connect(b, "c", true);
        static uint8_t all[4096];
        uint32_t size = 0;
        for (uint32_t at = 0; at < s.size;) {
            uint32_t part = midge_min(piece, s.size - at);
            uint32_t used = (uint32_t)midge_receive(b, conn, s.bytes + at, part);
            at += used;
            assert_int_equal(midge_audit(b), 0);
            if (used < part) {
                assert_int_equal(midge_receive(b, conn, s.bytes + at, 1), 0); /* it waits */
                uint32_t got = fixture_drain(b, conn);
                memcpy(all + size, fixture_output, got);
                size += got;
                assert_int_equal(fixture_events(b, conn, MIDGE_INPUT_READY), 1);
            }
        }
        uint32_t got = fixture_drain(b, conn);
        memcpy(all + size, fixture_output, got);
        size += got;
        if (expected == NULL) {
            expected = unit_copy(all, size);
            expected_size = size;
            assert_int_equal(size, 20 * 10);
        }
        assert_int_equal(size, expected_size);
        assert_memory_equal(all, expected, size);
        assert_int_not_equal(b->metrics.stalls[MIDGE_STALL_REPLIES], 0);
        fixture_end(b);
    }
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_in_pieces),
        cmocka_unit_test(wrong_packets_in_pieces),
        cmocka_unit_test(a_packet_too_large_names_its_topic),
        cmocka_unit_test(a_subscribe_that_has_become_too_large_names_no_topic),
        cmocka_unit_test(a_filter_cut_short_names_none),
        cmocka_unit_test(a_stall_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
