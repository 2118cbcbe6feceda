/* From deliveries to bytes: however the output is cut, the same bytes come out; and what was begun is sent again with DUP. */
#include "output.h"

#include "fixture.h"
#include "unit.h"

static const uint32_t payload_sizes[] = {0, 1, 30, 43, 44, 45, 46, 47, 48, 49, 50, 51, 110, 113, 125, 126, 127, 128, 129, 300};

struct world {
    struct midge *b;
    struct midge_handle from;
    struct midge_handle to;
};

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    config.limits.blocks = 400;
    config.limits.replies = 32;
    w->b = fixture_begin(&config);
    w->from = fixture_connect(w->b, "from", true);
    w->to = fixture_connect(w->b, "to", false);
    fixture_subscribe(w->b, w->to, "t/#", 2);
}

/* Publishes the n-th message; every other one in two pieces, so that it is stored with its packet identifier in it. */
static void publish(const struct world *w, uint32_t n, uint8_t qos)
{
    uint8_t payload[512];
    uint8_t packet[1024];
    unit_fill(payload, payload_sizes[n], n);
    uint32_t size = fixture_put_publish(packet, (uint8_t)(qos << 1), "t/x", (uint16_t)(n + 1), payload, payload_sizes[n]);
    uint32_t first = n % 2 == 0 ? size : size / 2;
    fixture_send(w->b, w->from, packet, first);
    fixture_send(w->b, w->from, packet + first, size - first);
    fixture_drain(w->b, w->from);
    if (qos == 2) {
        uint8_t pubrel[] = {0x62, 2, 0, (uint8_t)(n + 1)};
        fixture_send(w->b, w->from, pubrel, 4);
        fixture_drain(w->b, w->from);
    }
}

/* What is to come out: all messages, identifiers counted from 1. */
static uint32_t expect(uint8_t *expected)
{
    uint32_t size = 0;
    uint16_t id = 0;
    for (uint32_t n = 0; n < UNIT_COUNT(payload_sizes); n++) {
        uint8_t payload[512];
        uint8_t qos = (uint8_t)(n % 3);
        unit_fill(payload, payload_sizes[n], n);
        id = (uint16_t)(id + (qos > 0 ? 1 : 0));
        size += fixture_put_publish(expected + size, (uint8_t)(qos << 1), "t/x", id, payload, payload_sizes[n]);
    }
    return size;
}

static void publish_all(const struct world *w)
{
    for (uint32_t n = 0; n < UNIT_COUNT(payload_sizes); n++) {
        publish(w, n, (uint8_t)(n % 3));
    }
}

/* Acknowledges everything, so that the next round starts anew. */
static void settle(const struct world *w, uint32_t stream_size, const uint8_t *stream)
{
    for (uint32_t at = 0; at < stream_size;) {
        uint32_t length = stream[at + 1] & 0x7f;
        uint32_t header = 2;
        if ((stream[at + 1] & 0x80) != 0) {
            length |= (uint32_t)stream[at + 2] << 7;
            header = 3;
        }
        uint32_t qos = stream[at] >> 1 & 3;
        if (qos > 0) {
            const uint8_t *id = stream + at + header + 5;
            const uint8_t acks[] = {qos == 1 ? 0x40 : 0x50, 2, id[0], id[1], 0x70, 2, id[0], id[1]};
            fixture_send(w->b, w->to, acks, qos == 1 ? 4 : 8);
            fixture_drain(w->b, w->to);
        }
        at += header + length;
    }
    assert_int_equal(w->b->deliveries.used, 0);
    assert_int_equal(w->b->store.blocks.used, 0);
}

static void buffers_and_sends_of_every_size(void **state)
{
    (void)state;
    static uint8_t expected[8192];
    uint32_t size = expect(expected);
    for (uint32_t room = 16; room < 400; room += room < 80 ? 1 : 23) {
        for (uint32_t step = 0; step < 5; step++) {
            struct world w;
            begin(&w);
            publish_all(&w);
            uint32_t at = 0;
            for (;;) {
                uint8_t *buffer = unit_memory(room);
                uint32_t got = (uint32_t)midge_output(w.b, w.to, buffer, room);
                assert_true(at + got <= size);
                assert_memory_equal(buffer, expected + at, got);
                free(buffer);
                if (got == 0) {
                    break;
                }
                uint32_t sent = step == 0 ? got : step == 1 ? 1 + at % got : step == 2 ? (got + 1) / 2 : got - got / (step * 3);
                midge_output_done(w.b, w.to, sent);
                at += sent;
            }
            assert_int_equal(at, size);
            settle(&w, size, expected);
            fixture_end(w.b);
        }
    }
}

/* A byte at a time, with the look at the next ones repeated: encoding consumes nothing, and leaves no more room than a fixed
 * header may need. */
static void looking_changes_nothing(void **state)
{
    (void)state;
    static uint8_t expected[8192];
    uint32_t size = expect(expected);
    struct world w;
    begin(&w);
    publish_all(&w);
    for (uint32_t at = 0; at < size; at++) {
        uint8_t buffer[64];
        for (uint32_t room = 16; room <= sizeof(buffer); room += 24) {
            uint32_t got = midge_output_encode(w.b, midge_connection_at(w.b, w.to.index), buffer, room);
            assert_in_range(got, midge_min(room - MIDGE_HEADER_SIZE_MAX + 1, size - at), midge_min(room, size - at));
            assert_memory_equal(buffer, expected + at, got);
        }
        assert_int_equal(midge_audit(w.b), 0);
        midge_output_consume(w.b, midge_connection_at(w.b, w.to.index), 1);
    }
    settle(&w, size, expected);
    fixture_end(w.b);
}

/* The connection ends at each byte of three messages in turn: from the first byte on a message bears DUP when it comes again.
 */
static void cut_at_every_byte(void **state)
{
    (void)state;
    static uint8_t stream[1024];
    uint32_t ends[4] = {0};
    uint8_t payload[64];
    unit_fill(payload, 50, 1);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t flags = i == 1 ? 4 : 2;
        ends[i + 1] = ends[i] + fixture_put_publish(stream + ends[i], flags, "t/x", (uint16_t)(i + 1), payload, 50);
    }
    for (uint32_t cut = 0; cut <= ends[3]; cut++) {
        struct world w;
        begin(&w);
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t packet[128];
            uint32_t size = fixture_put_publish(packet, i == 1 ? 4 : 2, "t/x", (uint16_t)(i + 1), payload, 50);
            fixture_send(w.b, w.from, packet, size);
        }
        uint8_t buffer[1024];
        assert_int_equal(midge_output(w.b, w.to, buffer, sizeof(buffer)), ends[3]);
        assert_int_equal(midge_output_done(w.b, w.to, cut), cut < ends[3]);
        midge_disconnected(w.b, w.to);
        assert_int_equal(midge_audit(w.b), 0);
        struct midge_handle again = fixture_open(w.b);
        static const uint8_t connect[] = "\x10\x0e\0\4MQTT\4\0\0\0\0\2to";
        fixture_send(w.b, again, connect, sizeof(connect) - 1);
        assert_int_equal(fixture_drain(w.b, again), 4 + ends[3]);
        assert_memory_equal(fixture_output, "\x20\2\1\0", 4);
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t *packet = fixture_output + 4 + ends[i];
            assert_int_equal((packet[0] & 8) != 0, cut > ends[i]);
            packet[0] &= 0xf7;
            assert_memory_equal(packet, stream + ends[i], ends[i + 1] - ends[i]);
        }
        fixture_end(w.b);
    }
}

/* Replies come between messages, never inside one. */
static void replies_do_not_cut_a_message(void **state)
{
    (void)state;
    struct world w;
    uint8_t expected[1024];
    uint8_t payload[300];
    unit_fill(payload, 300, 19);
    uint32_t size = fixture_put_publish(expected, 0, "t/x", 0, payload, 300);
    for (uint32_t cut = 0; cut < size; cut++) {
        begin(&w);
        fixture_send(w.b, w.from, expected, size);
        uint8_t buffer[1024];
        assert_int_equal(midge_output(w.b, w.to, buffer, sizeof(buffer)), size);
        midge_output_done(w.b, w.to, cut);
        fixture_send(w.b, w.to, "\xc0\0", 2);
        uint32_t got = (uint32_t)midge_output(w.b, w.to, buffer, sizeof(buffer));
        assert_int_equal(got, size - cut + 2);
        uint32_t message = cut == 0 ? 2 : 0; /* before the first byte, the reply goes first */
        assert_memory_equal(buffer + message, expected + cut, size - cut);
        assert_memory_equal(buffer + (cut == 0 ? 0 : size - cut), "\xd0\0", 2);
        midge_output_done(w.b, w.to, got);
        fixture_end(w.b);
    }
}

/* One delivery for all: who gets its turn for a retained message and no longer wants it leaves it to the next. */
static void a_turn_that_is_not_used_is_passed_on(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.deliveries = 1;
    struct midge *b = fixture_begin(&config);
    fixture_retain(b, "r", "kept");
    struct midge_handle holder = fixture_connect(b, "holder", true);
    struct midge_handle first = fixture_connect(b, "first", true);
    struct midge_handle second = fixture_connect(b, "second", true);
    static const uint8_t subscribe[] = {0x82, 6, 0, 1, 0, 1, 'r', 1};
    struct midge_handle clients[] = {holder, first, second};
    for (uint32_t i = 0; i < UNIT_COUNT(clients); i++) {
        fixture_send(b, clients[i], subscribe, sizeof(subscribe));
        /* SUBACK, and to the first of all the message with its identifier */
        assert_int_equal(fixture_drain(b, clients[i]), i == 0 ? 5 + 11 : 5);
    }
    fixture_send(b, first, (uint8_t[]){0xa2, 5, 0, 2, 0, 1, 'r'}, 7);
    assert_int_equal(fixture_drain(b, first), 4);
    fixture_events(b, second, MIDGE_OUTPUT_READY);
    assert_int_equal(fixture_drain(b, second), 0);
    fixture_send(b, holder, (uint8_t[]){0x40, 2, 0, 1}, 4);
    assert_int_equal(fixture_drain(b, first), 0);
    assert_int_equal(fixture_events(b, second, MIDGE_OUTPUT_READY), 1);
    assert_int_equal(fixture_drain(b, second), 11);
    fixture_send(b, second, (uint8_t[]){0x40, 2, 0, 1}, 4);
    fixture_end(b);
}

/* What waits for room in the window is announced when a policy makes room, without a packet of the client. */
static void a_wider_window_is_announced(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct midge_policy policy = w.b->config.policy;
    policy.inflight_max = 1;
    assert_true(midge_set_policy(w.b, &policy, NULL));
    for (uint32_t n = 0; n < 3; n++) {
        publish(&w, n, 1);
    }
    (void)fixture_events(w.b, w.to, MIDGE_OUTPUT_READY);
    assert_true(fixture_drain(w.b, w.to) > 0);
    assert_true(midge_set_policy(w.b, &policy, NULL));
    assert_int_equal(fixture_events(w.b, w.to, MIDGE_OUTPUT_READY), 0);
    policy.inflight_max = 2;
    assert_true(midge_set_policy(w.b, &policy, NULL));
    assert_int_equal(fixture_events(w.b, w.to, MIDGE_OUTPUT_READY), 1);
    assert_true(fixture_drain(w.b, w.to) > 0);
    assert_int_equal(fixture_drain(w.b, w.to), 0);
    fixture_end(w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wider_window_is_announced),  cmocka_unit_test(buffers_and_sends_of_every_size),
        cmocka_unit_test(looking_changes_nothing),      cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(replies_do_not_cut_a_message), cmocka_unit_test(a_turn_that_is_not_used_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
