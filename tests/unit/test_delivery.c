/* A session's queues and its in-flight window: order, charges, packet identifiers, acknowledgements. */
#include "delivery.h"

#include "fixture.h"
#include "unit.h"

struct world {
    struct midge *b;
    struct midge_session *s;
};

static void begin_with(struct world *w, const struct midge_config *config)
{
    w->b = fixture_begin(config);
    struct midge_handle conn = fixture_connect(w->b, "c", false);
    w->s = midge_session_of(w->b, midge_connection_at(w->b, conn.index));
}

static void begin(struct world *w, uint16_t inflight_max)
{
    struct midge_config config = fixture_config();
    config.policy.inflight_max = inflight_max;
    begin_with(w, &config);
}

static void audit(const struct world *w)
{
    uint32_t entries = 0;
    assert_int_equal(midge_delivery_audit(w->b, w->s, &entries), 0);
    assert_int_equal(entries, w->b->deliveries.used);
}

/* Queues a message of one byte of topic and one of payload. Returns the message. */
static midge_index queue(const struct world *w, uint8_t qos)
{
    const uint8_t body[] = {0, 1, 't', 'p'};
    midge_index message = midge_store_begin(&w->b->store);
    midge_index tail = message;
    midge_store_append(&w->b->store, message, &tail, body, sizeof(body));
    midge_store_publish(&w->b->store, message, 1, qos);
    midge_queue_append(w->b, w->s, message, qos, 2);
    audit(w);
    return message;
}

static const struct midge_delivery *at(const struct world *w, midge_index delivery)
{
    return midge_delivery_at(w->b, delivery);
}

/* The first unsent delivery is with the transport. */
static void next_sent(const struct world *w)
{
    midge_window_sent(w->b, w->s, midge_delivery_at(w->b, midge_window_unsent(w->b, w->s)));
}

/* Admits and sends one delivery of QoS 1 or 2. Returns its identifier. */
static uint16_t send_one(const struct world *w, uint8_t qos)
{
    queue(w, qos);
    midge_index delivery = midge_window_admit(w->b, w->s);
    assert_int_not_equal(delivery, 0);
    uint16_t id = at(w, delivery)->packet_id;
    next_sent(w);
    audit(w);
    return id;
}

static enum midge_ack acknowledge(const struct world *w, enum midge_packet_type type, uint16_t id)
{
    enum midge_ack ack = midge_window_acknowledge(w->b, w->s, type, id);
    audit(w);
    return ack;
}

static void a_queue_is_charged_and_kept_in_order(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    midge_index messages[6];
    for (uint32_t i = 0; i < 6; i++) {
        messages[i] = queue(&w, (uint8_t)(i % 3));
        assert_int_equal(w.s->charged_entries, i + 1);
        assert_int_equal(w.s->charged_bytes, 2 * (i + 1));
    }
    for (uint32_t i = 0; i < 6; i++) {
        midge_index delivery = midge_window_admit(w.b, w.s);
        assert_int_equal(at(&w, delivery)->message, messages[i]);
        assert_int_equal(midge_delivery_qos(at(&w, delivery)), i % 3);
        assert_int_equal(at(&w, delivery)->packet_id == 0, i % 3 == 0);
    }
    assert_int_equal(midge_window_admit(w.b, w.s), 0);
    assert_int_equal(w.s->inflight_count, 4);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(at(&w, midge_window_unsent(w.b, w.s))->message, messages[i]);
        next_sent(&w);
        audit(&w);
    }
    assert_int_equal(midge_window_unsent(w.b, w.s), 0);
    assert_int_equal(w.s->charged_entries, 4);
    fixture_end(w.b);
}

static void qos0_does_not_wait_for_a_closed_window(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    midge_index first = queue(&w, 1);
    midge_index second = queue(&w, 1);
    midge_index third = queue(&w, 0);
    assert_int_equal(at(&w, midge_window_admit(w.b, w.s))->message, first);
    assert_false(midge_window_open(w.b, w.s));
    assert_int_equal(at(&w, midge_window_admit(w.b, w.s))->message, third);
    assert_int_equal(midge_window_admit(w.b, w.s), 0);
    next_sent(&w);
    next_sent(&w);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 1), MIDGE_ACK_DONE);
    assert_int_equal(at(&w, midge_window_admit(w.b, w.s))->message, second);
    fixture_end(w.b);
}

static void the_order_of_arrival_survives_its_counter(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 100);
    w.s->arrivals = UINT16_MAX - 8;
    midge_index messages[20];
    for (uint32_t i = 0; i < 20; i++) {
        messages[i] = queue(&w, i * 7 % 3 == 0 ? 0 : 1);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(at(&w, midge_window_admit(w.b, w.s))->message, messages[i]);
    }
    fixture_end(w.b);
}

static void identifiers_run_to_the_end_and_start_again(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 100);
    for (uint32_t expected = 1; expected <= UINT16_MAX; expected++) {
        assert_int_equal(send_one(&w, 1), expected);
        assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, (uint16_t)expected), MIDGE_ACK_DONE);
    }
    assert_int_equal(send_one(&w, 2), 1);
    fixture_end(w.b);
}

/* Wherever those in flight lie, on both sides of the wrap too, the next one is the first that is free. */
static void identifiers_in_flight_are_skipped(void **state)
{
    (void)state;
    static const uint16_t starts[] = {1, 2, 100, 65530, 65533, 65534, 65535};
    for (uint32_t i = 0; i < UNIT_COUNT(starts); i++) {
        for (uint32_t skip = 1; skip < 8; skip++) {
            struct world w;
            begin(&w, 100);
            w.s->next_packet_id = starts[i];
            uint16_t first = starts[i];
            for (uint32_t k = 0; k < skip; k++) {
                send_one(&w, (uint8_t)(1 + k % 2));
            }
            w.s->next_packet_id = first; /* as if it had gone round */
            w.s->clear_ids = 0;
            uint32_t expected = (first - 1u + skip) % UINT16_MAX + 1;
            assert_int_equal(send_one(&w, 1), expected);
            assert_int_equal(send_one(&w, 1), expected % UINT16_MAX + 1);
            fixture_end(w.b);
        }
    }
}

/* With one more in flight after each step, identifiers still never meet. */
static void a_large_window_never_repeats_an_identifier(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("delivery identifiers");
    struct midge_config config = fixture_config();
    config.limits.deliveries = 800;
    config.limits.blocks = 1200;
    config.policy.inflight_max = 4096;
    struct world w;
    begin_with(&w, &config);
    static uint8_t used[UINT16_MAX + 1];
    static uint16_t ids[700];
    memset(used, 0, sizeof(used));
    for (uint32_t i = 0; i < 700; i++) {
        w.s->next_packet_id = (uint16_t)(65535 - unit_random_below(&random, 900) % 65535);
        w.s->clear_ids = 0;
        queue(&w, 1);
        ids[i] = at(&w, midge_window_admit(w.b, w.s))->packet_id;
        assert_int_not_equal(ids[i], 0);
        assert_int_equal(used[ids[i]]++, 0);
        next_sent(&w);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t out = unit_random_below(&random, 700);
        assert_int_equal(midge_window_acknowledge(w.b, w.s, MIDGE_PACKET_PUBACK, ids[out]), MIDGE_ACK_DONE);
        used[ids[out]] = 0;
        const uint8_t body[] = {0, 1, 't'};
        midge_index message = midge_store_begin(&w.b->store);
        midge_index tail = message;
        midge_store_append(&w.b->store, message, &tail, body, sizeof(body));
        midge_store_publish(&w.b->store, message, 1, 1);
        midge_queue_append(w.b, w.s, message, 1, 1);
        ids[out] = at(&w, midge_window_admit(w.b, w.s))->packet_id;
        assert_int_equal(used[ids[out]]++, 0);
        next_sent(&w);
    }
    audit(&w);
    fixture_end(w.b);
}

static void only_the_right_acknowledgement_counts(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 0), MIDGE_ACK_UNKNOWN);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 1), MIDGE_ACK_UNKNOWN);
    queue(&w, 1);
    midge_window_admit(w.b, w.s);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 1), MIDGE_ACK_UNKNOWN); /* not sent to its last byte */
    next_sent(&w);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBREC, 1), MIDGE_ACK_WRONG);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBCOMP, 1), MIDGE_ACK_WRONG);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 2), MIDGE_ACK_UNKNOWN);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 1), MIDGE_ACK_DONE);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, 1), MIDGE_ACK_UNKNOWN);

    uint16_t id = send_one(&w, 2);
    uint32_t blocks = w.b->store.blocks.used;
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, id), MIDGE_ACK_WRONG);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBCOMP, id), MIDGE_ACK_WRONG);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBREC, id), MIDGE_ACK_DONE);
    assert_int_equal(w.b->store.blocks.used, blocks - 1); /* the message is gone, the entry stays */
    assert_int_equal(w.s->charged_bytes, 0);
    assert_int_equal(w.s->charged_entries, 1);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBREC, id), MIDGE_ACK_DONE);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, id), MIDGE_ACK_WRONG);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBCOMP, id), MIDGE_ACK_DONE);
    assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBCOMP, id), MIDGE_ACK_UNKNOWN);
    assert_int_equal(w.s->inflight_count, 0);
    assert_int_equal(w.b->deliveries.used, 0);
    fixture_end(w.b);
}

static void acknowledgements_in_any_order(void **state)
{
    (void)state;
    for (uint32_t order = 0; order < 64; order++) {
        uint32_t pick[3] = {order & 3, order >> 2 & 3, order >> 4 & 3};
        if (pick[0] > 2 || pick[1] > 2 || pick[2] > 2 || (1u << pick[0] | 1u << pick[1] | 1u << pick[2]) != 7) {
            continue;
        }
        struct world w;
        begin(&w, 10);
        uint16_t ids[3];
        for (uint32_t i = 0; i < 3; i++) {
            ids[i] = send_one(&w, 1);
        }
        queue(&w, 1);
        midge_index unsent = midge_window_admit(w.b, w.s);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, ids[pick[i]]), MIDGE_ACK_DONE);
            assert_int_equal(midge_window_unsent(w.b, w.s), unsent);
        }
        assert_int_equal(w.s->sent, 0);
        assert_int_equal(w.s->window.head, unsent);
        fixture_end(w.b);
    }
}

static void after_the_connection_everything_is_sent_again(void **state)
{
    (void)state;
    for (uint32_t keep = 0; keep < 2; keep++) {
        struct midge_config config = fixture_config();
        config.policy.queue_qos0 = keep == 1;
        struct world w;
        begin_with(&w, &config);
        uint16_t first = send_one(&w, 1);
        midge_delivery_at(w.b, w.s->window.head)->flags |= MIDGE_DELIVERY_STARTED;
        uint16_t released = send_one(&w, 2);
        acknowledge(&w, MIDGE_PACKET_PUBREC, released);
        queue(&w, 0); /* in the window, unsent: cut */
        queue(&w, 1); /* in the window, unsent */
        midge_window_admit(w.b, w.s);
        midge_window_admit(w.b, w.s);
        queue(&w, 0); /* still queued: as the policy says */
        midge_index waiting = queue(&w, 1);
        midge_queue_disconnect(w.b, w.s);
        audit(&w);
        assert_int_equal(fixture_drops(w.b, MIDGE_QOS0_CUT), keep == 1 ? 1 : 2);
        assert_int_equal(w.s->sent, 0);
        assert_int_equal(w.s->inflight_count, 3);
        midge_index i = midge_window_unsent(w.b, w.s);
        assert_int_equal(at(&w, i)->packet_id, first);
        assert_true((at(&w, i)->flags & MIDGE_DELIVERY_DUP) != 0);
        i = at(&w, i)->next;
        assert_int_equal(at(&w, i)->packet_id, released);
        assert_true((at(&w, i)->flags & MIDGE_DELIVERY_RELEASED) != 0);
        i = at(&w, i)->next;
        assert_true((at(&w, i)->flags & MIDGE_DELIVERY_DUP) == 0);
        assert_int_equal(at(&w, i)->next, 0);
        assert_int_equal(at(&w, w.s->queue.head)->message, waiting);
        assert_int_equal(w.s->queue_qos0.head != 0, keep == 1);
        assert_int_equal(acknowledge(&w, MIDGE_PACKET_PUBACK, first), MIDGE_ACK_UNKNOWN);
        fixture_end(w.b);
    }
}

static void the_oldest_is_dropped_from_the_queue_alone(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    queue(&w, 1);
    midge_window_admit(w.b, w.s);
    queue(&w, 1);
    midge_index younger = queue(&w, 2);
    midge_index qos0 = queue(&w, 0);
    assert_true(midge_queue_drop_oldest(w.b, w.s, 1));
    audit(&w);
    assert_int_equal(at(&w, w.s->queue.head)->message, younger);
    assert_true(midge_queue_drop_oldest(w.b, w.s, 2));
    assert_false(midge_queue_drop_oldest(w.b, w.s, 1));
    assert_int_equal(at(&w, w.s->queue_qos0.head)->message, qos0);
    assert_true(midge_queue_drop_oldest(w.b, w.s, 0));
    assert_false(midge_queue_drop_oldest(w.b, w.s, 0));
    audit(&w);
    assert_int_equal(fixture_drops(w.b, MIDGE_QUEUE_FULL_OLDEST), 3);
    assert_int_equal(w.s->inflight_count, 1);
    fixture_end(w.b);
}

static void clearing_counts_what_was_lost(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 3);
    uint16_t released = send_one(&w, 2);
    acknowledge(&w, MIDGE_PACKET_PUBREC, released);
    send_one(&w, 1);
    queue(&w, 1);
    midge_window_admit(w.b, w.s);
    queue(&w, 2);
    queue(&w, 0);
    assert_int_equal(midge_queue_clear(w.b, w.s, MIDGE_SESSION_EXPIRED), 4);
    audit(&w);
    assert_int_equal(fixture_drops(w.b, MIDGE_SESSION_EXPIRED), 4);
    assert_int_equal(w.b->deliveries.used, 0);
    assert_int_equal(w.b->store.blocks.used, 0);
    assert_int_equal(midge_queue_clear(w.b, w.s, MIDGE_SESSION_EXPIRED), 0);
    fixture_end(w.b);
}

static void retained_messages_enter_the_window_uncharged(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 100);
    midge_index message = queue(&w, 1);
    midge_store_keep(&w.b->store, message);
    uint32_t added = 0;
    while (midge_window_add_retained(w.b, w.s, message, (uint8_t)(added % 3))) {
        assert_true((at(&w, w.s->window.tail)->flags & MIDGE_DELIVERY_RETAIN) != 0);
        added++;
        audit(&w);
    }
    assert_int_equal(added, FIXTURE_DELIVERIES - 1);
    assert_int_equal(midge_message_at(&w.b->store, message)->references, 2 + added);
    assert_int_equal(w.s->charged_entries, 1);
    assert_int_equal(w.s->charged_bytes, 2);
    midge_store_release(&w.b->store, message);
    fixture_end(w.b);
}

/* ---- Shares ---- */

static void a_queue_grows_to_its_share(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct midge_room room = {.entries = 0, .bytes = 0, .blocks = 0};
    assert_true(midge_queue_admits(w.b, w.s, 100, &room)); /* an empty queue always admits one */
    queue(&w, 1);
    queue(&w, 1);
    room = (struct midge_room){.entries = 3, .bytes = 5, .blocks = 0};
    assert_true(midge_queue_admits(w.b, w.s, 100, &room));
    room.entries = 2;
    assert_false(midge_queue_admits(w.b, w.s, 100, &room));
    room = (struct midge_room){.entries = 3, .bytes = 4, .blocks = 0};
    assert_false(midge_queue_admits(w.b, w.s, 100, &room));
    room.bytes = 5;
    /* What is in flight, or could be at once, does not count as queued. */
    for (uint32_t admitted = 0; admitted < 2; admitted++) {
        w.b->config.policy.queued_messages_max = 1;
        assert_false(midge_queue_admits(w.b, w.s, 1, &room));
        w.b->config.policy.queued_messages_max = 2;
        assert_true(midge_queue_admits(w.b, w.s, 1, &room));
        midge_window_admit(w.b, w.s);
    }
    w.b->config.policy.queued_messages_max = 0;
    w.b->config.policy.queued_bytes_max = 6;
    assert_true(midge_queue_admits(w.b, w.s, 2, &room));
    assert_false(midge_queue_admits(w.b, w.s, 3, &room));
    assert_false(midge_queue_admits(w.b, w.s, UINT32_MAX, &room));
    fixture_end(w.b);
}

static void an_absent_client_has_a_quarter_and_leaves_room_for_a_packet(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct midge_handle conn = {.index = w.s->connection};
    conn.generation = midge_connection_at(w.b, conn.index)->generation;
    midge_disconnected(w.b, conn);
    assert_int_equal(w.s->connection, 0);
    uint32_t kept = FIXTURE_DELIVERIES / 8;
    struct midge_room room = {.entries = kept + 1, .bytes = 0, .blocks = w.b->blocks_for_packet};
    assert_true(midge_queue_has_memory(w.b, w.s, &room));
    room.blocks--;
    assert_false(midge_queue_has_memory(w.b, w.s, &room));
    room = (struct midge_room){.entries = kept, .bytes = 0, .blocks = w.b->blocks_for_packet};
    assert_false(midge_queue_has_memory(w.b, w.s, &room));
    assert_true(midge_queue_admits(w.b, w.s, 9, &room));
    queue(&w, 1);
    room = (struct midge_room){.entries = 8, .bytes = 12, .blocks = w.b->blocks_for_packet};
    assert_true(midge_queue_admits(w.b, w.s, 9, &room));
    room.entries = 7;
    assert_false(midge_queue_admits(w.b, w.s, 9, &room));
    room = (struct midge_room){.entries = 8, .bytes = 11, .blocks = w.b->blocks_for_packet};
    assert_false(midge_queue_admits(w.b, w.s, 9, &room));
    fixture_end(w.b);
}

static void those_who_wait_are_woken_with_hysteresis(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(midge_queue_wake_room(w.b, w.s), FIXTURE_DELIVERIES / 2);
    w.b->config.policy.queued_messages_max = 6;
    assert_int_equal(midge_queue_wake_room(w.b, w.s), 3);
    for (uint32_t queued = 1; queued <= 6; queued++) {
        queue(&w, 1);
        assert_int_equal(midge_queue_wake_room(w.b, w.s), queued < 4 ? 4 - queued : 0); /* the first would go into the window */
    }
    w.b->config.policy.queued_messages_max = 0;
    w.b->config.policy.queued_bytes_max = 24;
    assert_int_not_equal(midge_queue_wake_room(w.b, w.s), 0);
    w.b->config.policy.queued_bytes_max = 22;
    assert_int_equal(midge_queue_wake_room(w.b, w.s), 0);
    midge_queue_clear(w.b, w.s, MIDGE_SESSION_CLEAN);
    /* An empty queue always lets one in, however small its share. */
    w.b->config.policy.queued_messages_max = 1;
    assert_int_equal(midge_queue_wake_room(w.b, w.s), 1);
    fixture_end(w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_charged_and_kept_in_order),
        cmocka_unit_test(qos0_does_not_wait_for_a_closed_window),
        cmocka_unit_test(the_order_of_arrival_survives_its_counter),
        cmocka_unit_test(identifiers_run_to_the_end_and_start_again),
        cmocka_unit_test(identifiers_in_flight_are_skipped),
        cmocka_unit_test(a_large_window_never_repeats_an_identifier),
        cmocka_unit_test(only_the_right_acknowledgement_counts),
        cmocka_unit_test(acknowledgements_in_any_order),
        cmocka_unit_test(after_the_connection_everything_is_sent_again),
        cmocka_unit_test(the_oldest_is_dropped_from_the_queue_alone),
        cmocka_unit_test(clearing_counts_what_was_lost),
        cmocka_unit_test(retained_messages_enter_the_window_uncharged),
        cmocka_unit_test(a_queue_grows_to_its_share),
        cmocka_unit_test(an_absent_client_has_a_quarter_and_leaves_room_for_a_packet),
        cmocka_unit_test(those_who_wait_are_woken_with_hysteresis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
