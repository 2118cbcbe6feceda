/* The ring of acknowledgements: shared entries, every cut of the output, and that it never says anything twice. */
#include "replies.h"

#include "fixture.h"
#include "unit.h"

struct world {
    struct midge *b;
    struct midge_connection *c;
};

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    w->b = fixture_begin(&config);
    w->c = midge_connection_at(w->b, fixture_connect(w->b, "c", true).index);
}

static void finish(struct world *w)
{
    midge_replies_clear(w->b, w->c);
    assert_int_equal(w->c->replies_count, 0);
    assert_int_equal(w->c->suback, 0);
    fixture_end(w->b);
}

/* Encodes all there is, into memory of exactly that size. */
static void assert_replies(const struct world *w, const void *expected, uint32_t size)
{
    uint8_t *to = unit_memory(size + 1);
    assert_int_equal(midge_replies_encode(w->b, w->c, to, size + 1), size);
    assert_memory_equal(to, expected, size);
    free(to);
}

static void each_kind_as_it_is_written(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 0x1234);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBREC, 0x0001);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBREL, 0xffff);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBCOMP, 0x0100);
    midge_reply(w.b, w.c, MIDGE_PACKET_UNSUBACK, 0x0203);
    midge_reply(w.b, w.c, MIDGE_PACKET_PINGRESP, 0);
    uint32_t codes = midge_suback_code(0, 0) | midge_suback_code(1, 1) | midge_suback_code(2, 2) | midge_suback_code(0x80, 3);
    midge_reply_suback(w.b, w.c, 0x0405, 4, codes);
    midge_reply_suback(w.b, w.c, 0x0607, 1, midge_suback_code(0x80, 0));
    assert_false(midge_replies_room(w.b, w.c));
    static const uint8_t expected[] = {0x40, 2, 0x12, 0x34, 0x50, 2, 0, 1, 0x62, 2, 0xff, 0xff, 0x70, 2, 1, 0, 0xb0, 2,
                                       2,    3, 0xd0, 0,    0x90, 6, 4, 5, 0,    1, 2,    0x80, 0x90, 3, 6, 7, 0x80};
    assert_replies(&w, expected, sizeof(expected));
    finish(&w);
    begin(&w);
    midge_reply_connack(w.b, w.c, true, 0);
    midge_reply_connack(w.b, w.c, false, 5);
    static const uint8_t connacks[] = {0x20, 2, 1, 0, 0x20, 2, 0, 5};
    assert_replies(&w, connacks, sizeof(connacks));
    finish(&w);
}

static void consecutive_identifiers_share_an_entry(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (uint32_t i = 0; i < UINT8_MAX; i++) {
        midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, (uint16_t)(100 + i));
    }
    assert_int_equal(w.c->replies_count, 1);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 100 + UINT8_MAX);
    assert_int_equal(w.c->replies_count, 2); /* more than an entry counts */
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 100 + UINT8_MAX);
    assert_int_equal(w.c->replies_count, 3); /* the same again does not follow itself */
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBREC, 101 + UINT8_MAX);
    assert_int_equal(w.c->replies_count, 4); /* another kind */
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBREC, UINT16_MAX);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBREC, 1);
    assert_int_equal(w.c->replies_count, 6); /* 1 comes after 65,535, but 65,536 is not an identifier */
    for (uint32_t i = 0; i < UINT8_MAX; i++) {
        midge_reply(w.b, w.c, MIDGE_PACKET_PINGRESP, 0);
    }
    assert_int_equal(w.c->replies_count, 7);
    midge_reply(w.b, w.c, MIDGE_PACKET_PINGRESP, 0);
    assert_int_equal(w.c->replies_count, 8);
    uint8_t *to = unit_memory(4096);
    assert_int_equal(midge_replies_encode(w.b, w.c, to, 4096), 4 * UINT8_MAX + 5 * 4 + 2 * UINT8_MAX + 2);
    for (uint32_t i = 0; i < UINT8_MAX; i++) {
        assert_int_equal(midge_get_u16(to + 4 * i + 2), 100 + i);
    }
    free(to);
    finish(&w);
}

/* A SUBACK whose codes fill blocks. */
static void put_stored_suback(const struct world *w, uint16_t packet_id, const uint8_t *codes, uint32_t count)
{
    w->c->suback = midge_store_begin(&w->b->store);
    midge_index tail = w->c->suback;
    midge_store_append(&w->b->store, w->c->suback, &tail, codes, count);
    midge_reply_suback(w->b, w->c, packet_id, 0, 0);
}

/* Fills the ring, and gives what is to come out. Returns its size. */
static uint32_t fill(const struct world *w, uint8_t *expected)
{
    uint8_t codes[150];
    for (uint32_t i = 0; i < sizeof(codes); i++) {
        codes[i] = (uint8_t)(i % 4 == 3 ? 0x80 : i % 4);
    }
    midge_reply(w->b, w->c, MIDGE_PACKET_PUBACK, 1);
    midge_reply(w->b, w->c, MIDGE_PACKET_PUBACK, 2);
    put_stored_suback(w, 0x0708, codes, sizeof(codes));
    midge_reply(w->b, w->c, MIDGE_PACKET_PINGRESP, 0);
    midge_reply(w->b, w->c, MIDGE_PACKET_PINGRESP, 0);
    midge_reply_suback(w->b, w->c, 9, 2, midge_suback_code(1, 0) | midge_suback_code(2, 1));
    static const uint8_t front[] = {0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x90, 0x98, 1, 7, 8};
    static const uint8_t back[] = {0xd0, 0, 0xd0, 0, 0x90, 4, 0, 9, 1, 2};
    memcpy(expected, front, sizeof(front));
    memcpy(expected + sizeof(front), codes, sizeof(codes));
    memcpy(expected + sizeof(front) + sizeof(codes), back, sizeof(back));
    return (uint32_t)(sizeof(front) + sizeof(codes) + sizeof(back));
}

/* The transport takes bytes. Returns how many of them are not of replies. */
static uint32_t take(struct world *w, uint32_t sent)
{
    while (sent > 0 && w->c->replies_count > 0) {
        sent = midge_reply_consume(w->b, w->c, sent);
    }
    return sent;
}

/* Buffers of every size, of which every part is taken: the same bytes come out. */
static void every_cut(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (uint32_t room = 1; room < 200; room += room < 20 ? 1 : 13) {
        for (uint32_t taken = 1; taken <= room; taken += taken < 8 ? 1 : 11) {
            uint8_t expected[256];
            uint32_t size = fill(&w, expected);
            uint32_t blocks = w.b->store.blocks.used;
            for (uint32_t at = 0; at < size;) {
                uint8_t *to = unit_memory(room);
                uint32_t got = midge_replies_encode(w.b, w.c, to, room);
                assert_int_equal(got, midge_min(room, size - at));
                assert_memory_equal(to, expected + at, got);
                free(to);
                uint32_t part = midge_min(taken, got);
                assert_int_equal(take(&w, part), 0);
                at += part;
            }
            assert_int_equal(w.c->replies_count, 0);
            assert_int_equal(w.c->output_offset, 0);
            assert_false(w.c->output_reply);
            assert_int_equal(w.c->suback, 0);
            assert_true(w.b->store.blocks.used < blocks);
        }
    }
    finish(&w);
}

static void what_is_beyond_the_replies_is_handed_back(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 1);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 2);
    assert_int_equal(take(&w, 5), 0);
    assert_int_equal(take(&w, 13), 10);
    finish(&w);
}

static void clearing_gives_a_stored_suback_back(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    uint8_t expected[256];
    fill(&w, expected);
    take(&w, 20);
    midge_replies_clear(w.b, w.c);
    assert_int_equal(w.b->store.blocks.used, 0);
    assert_int_equal(midge_replies_encode(w.b, w.c, expected, sizeof(expected)), 0);
    finish(&w);
}

/* Random replies, taken in random parts, against a plain queue of bytes. */
static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("replies");
    struct world w;
    begin(&w);
    static const enum midge_packet_type types[] = {MIDGE_PACKET_PUBACK, MIDGE_PACKET_PUBREC, MIDGE_PACKET_PUBCOMP,
                                                   MIDGE_PACKET_PINGRESP};
    static uint8_t model[8192];
    uint32_t size = 0;
    uint16_t id = 65500;
    for (uint32_t step = 0; step < 50000; step++) {
        if (unit_random_below(&random, 2) == 0 && midge_replies_room(w.b, w.c) && size < sizeof(model) - 16) {
            enum midge_packet_type type = types[unit_random_below(&random, UNIT_COUNT(types)) / 2 * (step / 1000 % 3)];
            id = (uint16_t)(unit_random_below(&random, 5) == 0 ? 1 + unit_random_below(&random, UINT16_MAX)
                                                               : id % UINT16_MAX + 1u);
            bool ping = type == MIDGE_PACKET_PINGRESP;
            midge_reply(w.b, w.c, type, ping ? 0 : id);
            model[size++] = (uint8_t)(type << 4);
            model[size++] = ping ? 0 : 2;
            if (!ping) {
                midge_put_u16(model + size, id);
                size += 2;
            }
        } else {
            uint8_t to[64];
            uint32_t room = 1 + unit_random_below(&random, sizeof(to));
            uint32_t got = midge_replies_encode(w.b, w.c, to, room);
            assert_int_equal(got, midge_min(room, size));
            assert_memory_equal(to, model, got);
            uint32_t part = unit_random_below(&random, got + 1);
            assert_int_equal(take(&w, part), 0);
            memmove(model, model + part, size - part);
            size -= part;
        }
    }
    finish(&w);
}

static void a_reply_announces_itself_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct midge_handle conn = {.index = w.c->index, .generation = w.c->generation};
    fixture_events(w.b, conn, MIDGE_OUTPUT_READY);
    fixture_drain(w.b, conn);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 1);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 9);
    assert_int_equal(fixture_events(w.b, conn, MIDGE_OUTPUT_READY), 1);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 20);
    assert_int_equal(fixture_events(w.b, conn, MIDGE_OUTPUT_READY), 0);
    assert_int_equal(fixture_drain(w.b, conn), 12);
    midge_reply(w.b, w.c, MIDGE_PACKET_PUBACK, 30);
    assert_int_equal(fixture_events(w.b, conn, MIDGE_OUTPUT_READY), 1);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_as_it_is_written),
        cmocka_unit_test(consecutive_identifiers_share_an_entry),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(what_is_beyond_the_replies_is_handed_back),
        cmocka_unit_test(clearing_gives_a_stored_suback_back),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(a_reply_announces_itself_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
