/* From one message to its receivers: who they are, what becomes of it where there is no room, and what is retained. */
#include "route.h"

#include "fixture.h"
#include "unit.h"

enum { CLIENTS = 3 };

struct world {
    struct midge *b;
    struct midge_handle handles[CLIENTS];
    midge_index sessions[CLIENTS];
    struct midge_route_problem problem;
};

static void begin_with(struct world *w, const struct midge_config *config)
{
    *w = (struct world){.b = fixture_begin(config)};
    char id[] = "a";
    for (uint32_t i = 0; i < CLIENTS; i++, id[0]++) {
        w->handles[i] = fixture_connect(w->b, id, false);
        w->sessions[i] = midge_connection_at(w->b, w->handles[i].index)->session;
    }
}

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    begin_with(w, &config);
}

static struct midge_session *session(const struct world *w, uint32_t i)
{
    return midge_session_at(w->b, w->sessions[i]);
}

/* What waits for a session, in flight or not. */
static uint32_t queued(const struct world *w, uint32_t i)
{
    return session(w, i)->charged_entries;
}

/* A message as a client that is none of those here would publish it; it lasts until the next one. */
static struct midge_publication message_with(const char *topic, struct midge_view payload, uint8_t qos)
{
    static uint8_t head[2 + 64 + 2];
    static struct midge_view parts[2];
    struct midge_view name = fixture_view(topic);
    uint32_t head_size = 2 + name.size + (qos > 0 ? 2u : 0u);
    assert_in_range(head_size, 0, sizeof(head));
    midge_put_u16(head, (uint16_t)name.size);
    memcpy(head + 2, name.bytes, name.size);
    parts[0] = (struct midge_view){.bytes = head, .size = head_size};
    parts[1] = payload;
    return (struct midge_publication){.publish = {.topic = name, .payload_size = payload.size, .qos = qos},
                                      .parts = parts,
                                      .part_count = 2,
                                      .body_size = head_size + payload.size,
                                      .drop_reason = MIDGE_QOS0_WAIT};
}

static struct midge_publication message_of(const char *topic, const char *payload, uint8_t qos)
{
    return message_with(topic, fixture_view(payload), qos);
}

/* Without an audit, for a test that plays with what an audit checks. */
static enum midge_routed route_only(struct world *w, struct midge_publication *publication)
{
    enum midge_routed result = midge_route(w->b, publication);
    w->problem = publication->problem;
    return result;
}

static enum midge_routed route(struct world *w, struct midge_publication *publication)
{
    enum midge_routed result = route_only(w, publication);
    assert_int_equal(midge_audit(w->b), 0);
    return result;
}

static enum midge_routed route_simple(struct world *w, const char *topic, uint8_t qos)
{
    struct midge_publication publication = message_of(topic, "text", qos);
    return route(w, &publication);
}

/* ---- Receivers ---- */

static void once_with_the_highest_granted_qos(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "#", 0);
    fixture_subscribe(w.b, w.handles[0], "t/+", 2);
    fixture_subscribe(w.b, w.handles[0], "t/x", 1);
    fixture_subscribe(w.b, w.handles[1], "t/x", 0);
    fixture_subscribe(w.b, w.handles[2], "other", 2);
    for (uint8_t qos = 0; qos < 3; qos++) {
        assert_int_equal(route_simple(&w, "t/x", qos), MIDGE_ROUTED);
        assert_int_equal(w.b->store.messages, qos + 1); /* stored once */
        assert_int_equal(queued(&w, 0), qos + 1);
        assert_int_equal(queued(&w, 1), qos + 1);
        assert_int_equal(queued(&w, 2), 0);
        midge_index tail = qos == 0 ? session(&w, 0)->queue_qos0.tail : session(&w, 0)->queue.tail;
        assert_int_equal(midge_delivery_qos(midge_delivery_at(w.b, tail)), qos);
    }
    fixture_end(w.b);
}

static void nothing_is_stored_for_nobody(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "other", 2);
    assert_int_equal(route_simple(&w, "t", 2), MIDGE_ROUTED);
    assert_int_equal(w.b->store.blocks.touched, 0);
    assert_int_equal(w.b->deliveries.touched, 0);
    fixture_end(w.b);
}

/* Sessions that were found just before the stamp goes round, and slots of sessions that are free at that moment. */
static void the_match_stamp_goes_round(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "t", 1);
    fixture_subscribe(w.b, w.handles[1], "t", 1);
    struct midge_handle gone[3];
    static const char *const ids[] = {"x", "y", "z"};
    for (uint32_t i = 0; i < 3; i++) {
        gone[i] = fixture_connect(w.b, ids[i], true);
    }
    for (uint32_t i = 0; i < 3; i++) {
        midge_disconnected(w.b, gone[i]);
    }
    session(&w, 0)->match_stamp = 1;
    w.b->match_stamp = UINT32_MAX - 1;
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(route_simple(&w, "t", 1), MIDGE_ROUTED);
        assert_int_equal(queued(&w, 0), i);
        assert_int_equal(queued(&w, 1), i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        fixture_connect(w.b, ids[i], true);
    }
    fixture_end(w.b);
}

static void absent_clients_and_qos0(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "t", 1);
    midge_disconnected(w.b, w.handles[0]);
    assert_int_equal(route_simple(&w, "t", 0), MIDGE_ROUTED);
    assert_int_equal(queued(&w, 0), 0);
    assert_int_equal(fixture_drops(w.b, MIDGE_QOS0_OFFLINE), 1);
    assert_int_equal(route_simple(&w, "t", 1), MIDGE_ROUTED);
    assert_int_equal(queued(&w, 0), 1);
    w.b->config.policy.queue_qos0 = true;
    assert_int_equal(route_simple(&w, "t", 0), MIDGE_ROUTED);
    assert_int_equal(queued(&w, 0), 2);
    assert_int_equal(fixture_drops(w.b, MIDGE_QOS0_OFFLINE), 1);
    fixture_end(w.b);
}

static void a_topic_that_may_not_be_read(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "#", 1);
    strcpy(fixture_callbacks.denied, "secret");
    assert_int_equal(route_simple(&w, "secret", 1), MIDGE_ROUTED);
    assert_int_equal(route_simple(&w, "open", 1), MIDGE_ROUTED);
    assert_int_equal(queued(&w, 0), 1);
    assert_int_equal(fixture_drops(w.b, MIDGE_READ_DENIED), 1);
    assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_DROPPED], 1);
    fixture_end(w.b);
}

/* ---- Full queues ---- */

struct full_case {
    enum midge_overflow policy;
    uint8_t qos;
    bool may_wait;
    bool may_refuse;
    bool own; /* the publisher is the subscriber */
    enum midge_routed result;
    enum midge_reason reason; /* of the problem, or of what was dropped */
};

static const struct full_case full_cases[] = {
    {MIDGE_DROP_NEWEST, 1, true, true, false, MIDGE_ROUTE_WAIT, MIDGE_NONE},
    {MIDGE_DROP_NEWEST, 0, true, true, false, MIDGE_ROUTE_WAIT, MIDGE_NONE},
    {MIDGE_DROP_NEWEST, 1, true, true, true, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
    {MIDGE_DROP_NEWEST, 1, false, true, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
    {MIDGE_DROP_NEWEST, 0, false, true, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
    {MIDGE_DROP_OLDEST, 1, false, true, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL_OLDEST},
    {MIDGE_DROP_OLDEST, 0, false, true, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL_OLDEST},
    {MIDGE_DISCONNECT, 1, false, true, false, MIDGE_ROUTE_DISCONNECT, MIDGE_SLOW_READER},
    {MIDGE_DISCONNECT, 0, false, false, false, MIDGE_ROUTE_DISCONNECT, MIDGE_SLOW_READER},
    {MIDGE_DISCONNECT, 1, false, true, true, MIDGE_ROUTE_REFUSED, MIDGE_SLOW_READER},
    {MIDGE_DISCONNECT, 1, false, false, true, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
    {MIDGE_REFUSE, 1, false, true, false, MIDGE_ROUTE_REFUSED, MIDGE_REFUSED_BY_SUBSCRIBER},
    {MIDGE_REFUSE, 2, true, true, false, MIDGE_ROUTE_WAIT, MIDGE_NONE},
    {MIDGE_REFUSE, 1, false, false, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
    {MIDGE_REFUSE, 0, false, true, false, MIDGE_ROUTED, MIDGE_QUEUE_FULL},
};

static void a_full_queue_by_its_policy(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < UNIT_COUNT(full_cases); i++) {
        const struct full_case *f = &full_cases[i];
        struct midge_config config = fixture_config();
        config.policy.queued_bytes_max = 10; /* two messages */
        config.policy.overflow_qos0 = f->policy;
        config.policy.overflow_qos12 = f->policy;
        struct world w;
        begin_with(&w, &config);
        fixture_subscribe(w.b, w.handles[0], "t", 2);
        fixture_subscribe(w.b, w.handles[1], "t", 0);
        for (uint32_t k = 0; k < 2; k++) {
            route_simple(&w, "t", f->qos);
        }
        fixture_drain(w.b, w.handles[1]); /* the other one reads */
        uint32_t other = queued(&w, 1);
        struct midge_publication publication = message_of("t", "more", f->qos);
        publication.may_wait = f->may_wait;
        publication.may_refuse = f->may_refuse;
        publication.publisher = midge_connection_at(w.b, w.handles[f->own ? 0 : 2].index);
        assert_int_equal(route(&w, &publication), f->result);
        assert_int_equal(queued(&w, 0), 2);
        assert_int_equal(queued(&w, 1), other + (f->result == MIDGE_ROUTED ? 1 : 0)); /* all or nothing */
        if (f->result == MIDGE_ROUTED) {
            assert_int_equal(fixture_drops(w.b, f->reason), 1);
        } else {
            assert_int_equal(w.problem.reason, f->reason);
            assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_DROPPED], 0);
        }
        if (f->result == MIDGE_ROUTE_WAIT) {
            assert_int_equal(w.problem.kind, MIDGE_WAIT_SUBSCRIBER);
            assert_int_equal(w.problem.object, w.handles[0].index);
        } else if (f->result == MIDGE_ROUTE_DISCONNECT) {
            assert_int_equal(w.problem.object, w.handles[0].index);
        }
        fixture_end(w.b);
    }
}

static void a_full_queue_of_an_absent_client(void **state)
{
    (void)state;
    static const enum midge_overflow policies[] = {MIDGE_DROP_NEWEST, MIDGE_DROP_OLDEST, MIDGE_REFUSE};
    static const enum midge_reason reasons[] = {MIDGE_QUEUE_FULL_OFFLINE, MIDGE_QUEUE_FULL_OLDEST, MIDGE_NONE};
    for (uint32_t i = 0; i < 3; i++) {
        struct midge_config config = fixture_config();
        config.policy.queued_messages_max = 1;
        config.policy.overflow_offline = policies[i];
        struct world w;
        begin_with(&w, &config);
        fixture_subscribe(w.b, w.handles[0], "t", 1);
        midge_disconnected(w.b, w.handles[0]);
        route_simple(&w, "t", 1);
        struct midge_publication publication = message_of("t", "more", 1);
        publication.may_wait = true;
        publication.may_refuse = true;
        assert_int_equal(route(&w, &publication), policies[i] == MIDGE_REFUSE ? MIDGE_ROUTE_REFUSED : MIDGE_ROUTED);
        assert_int_equal(queued(&w, 0), 1);
        assert_int_equal(fixture_drops(w.b, reasons[i]), policies[i] == MIDGE_REFUSE ? 0 : 1);
        fixture_end(w.b);
    }
}

/* ---- Too few deliveries, too few blocks ---- */

static void too_few_deliveries(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.deliveries = 3;
    struct world w;
    begin_with(&w, &config);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fixture_subscribe(w.b, w.handles[i], "t", 1);
    }
    fixture_subscribe(w.b, w.handles[0], "own", 1);
    assert_int_equal(route_simple(&w, "own", 1), MIDGE_ROUTED);
    struct midge_publication publication = message_of("t", "text", 1);
    publication.may_wait = true;
    publication.may_refuse = true;
    session(&w, 0)->charged_entries = 0; /* so that it is not its queue that is full */
    struct midge_delivery *d = midge_delivery_at(w.b, session(&w, 0)->queue.head);
    session(&w, 0)->charged_bytes = 0;
    d->flags &= (uint8_t)~MIDGE_DELIVERY_CHARGED;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTE_WAIT);
    assert_int_equal(w.problem.kind, MIDGE_WAIT_DELIVERIES);
    assert_int_equal(w.problem.object, 3);
    publication.may_wait = false;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTE_REFUSED); /* the policy does not allow to lose it */
    assert_int_equal(w.problem.reason, MIDGE_NO_ROOM);
    assert_int_equal(w.b->deliveries.used, 1);
    w.b->config.policy.overflow_qos12 = MIDGE_DROP_NEWEST;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTED);
    assert_int_equal(w.b->deliveries.used, 3);
    assert_int_equal(fixture_drops(w.b, MIDGE_QUEUE_FULL), 1);
    publication.publish.qos = 0;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTED);
    assert_int_equal(w.b->deliveries.used, 3);
    fixture_end(w.b);
}

static void more_receivers_than_deliveries_never_wait(void **state)
{
    (void)state;
    static const enum midge_overflow policies[] = {MIDGE_DROP_NEWEST, MIDGE_DROP_OLDEST, MIDGE_DISCONNECT, MIDGE_REFUSE};
    for (uint32_t i = 0; i < UNIT_COUNT(policies); i++) {
        bool refused = i >= 2;
        struct midge_config config = fixture_config();
        config.limits.deliveries = 2;
        config.policy.overflow_qos12 = policies[i];
        struct world w;
        begin_with(&w, &config);
        for (uint32_t k = 0; k < CLIENTS; k++) {
            fixture_subscribe(w.b, w.handles[k], "t", 1);
        }
        struct midge_publication publication = message_of("t", "text", 1);
        publication.may_wait = true;
        publication.may_refuse = true;
        assert_int_equal(route(&w, &publication), refused ? MIDGE_ROUTE_REFUSED : MIDGE_ROUTED);
        assert_int_equal(w.b->deliveries.used, refused ? 0 : 2);
        assert_int_equal(fixture_drops(w.b, MIDGE_QUEUE_FULL), refused ? 0 : 1);
        fixture_end(w.b);
    }
}

static void too_few_blocks(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "t", 1);
    w.b->store.reserved = FIXTURE_BLOCKS; /* all are promised to others */
    for (uint8_t qos = 0; qos < 2; qos++) {
        struct midge_publication publication = message_of("t", "text", qos);
        publication.may_wait = true;
        publication.may_refuse = true;
        assert_int_equal(route_only(&w, &publication), MIDGE_ROUTE_WAIT);
        assert_int_equal(w.problem.kind, MIDGE_WAIT_BLOCKS);
        assert_int_equal(w.problem.object, 1);
        publication.may_wait = false;
        assert_int_equal(route_only(&w, &publication), qos == 0 ? MIDGE_ROUTED : MIDGE_ROUTE_REFUSED);
        assert_int_equal(fixture_drops(w.b, MIDGE_QOS0_WAIT), 1);
    }
    struct midge_publication retained = message_of("t", "text", 1);
    retained.publish.retain = true;
    assert_int_equal(route_only(&w, &retained), MIDGE_ROUTED); /* nobody would send it again */
    assert_int_equal(fixture_drops(w.b, MIDGE_QUEUE_FULL), 1);
    assert_int_equal(fixture_drops(w.b, MIDGE_RETAINED_FULL), 1);
    assert_int_equal(w.b->store.blocks.used, 0);
    w.b->store.reserved = 0;
    fixture_end(w.b);
}

/* One receiver's old message makes room for another receiver too, which then drops nothing: the entries for the others must
 * suffice all the same. */
static void displacing_takes_nothing_from_the_others(void **state)
{
    (void)state;
    enum { OTHERS = 5 };
    struct midge_config config = fixture_config();
    config.limits.deliveries = 2 + OTHERS;
    config.policy.overflow_qos12 = MIDGE_DROP_OLDEST;
    struct world w;
    begin_with(&w, &config);
    fixture_subscribe(w.b, w.handles[2], "t", 1);
    char id[] = "1";
    for (uint32_t i = 1; i < OTHERS; i++, id[0]++) {
        fixture_subscribe(w.b, fixture_connect(w.b, id, true), "t", 1);
    }
    static const char *const own[] = {"own/0", "own/1"};
    static uint8_t payload[22 * FIXTURE_BLOCK_SIZE - 120];
    for (uint32_t i = 0; i < 2; i++) {
        fixture_subscribe(w.b, w.handles[i], own[i], 1);
        fixture_subscribe(w.b, w.handles[i], "t", 1);
        struct midge_publication large = message_with(own[i], (struct midge_view){payload, sizeof(payload)}, 1);
        assert_int_equal(route(&w, &large), MIDGE_ROUTED);
    }
    assert_int_equal(midge_pool_free(&w.b->deliveries), OTHERS);
    assert_int_equal(route_simple(&w, "t", 1), MIDGE_ROUTED);
    fixture_end(w.b);
}

static void a_message_larger_than_the_store_never_waits(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_subscribe(w.b, w.handles[0], "t", 1);
    static uint8_t payload[FIXTURE_BLOCKS * FIXTURE_BLOCK_SIZE + 1];
    struct midge_publication publication = message_with("t", (struct midge_view){payload, sizeof(payload)}, 1);
    publication.may_wait = true;
    publication.may_refuse = true;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTE_REFUSED);
    assert_int_equal(w.problem.reason, MIDGE_NO_ROOM);
    publication.publish.qos = 0;
    assert_int_equal(route(&w, &publication), MIDGE_ROUTED);
    assert_int_equal(fixture_drops(w.b, MIDGE_QOS0_WAIT), 1);
    fixture_end(w.b);
}

/* ---- Retained ---- */

static enum midge_routed retain(struct world *w, const char *topic, const char *payload, bool may_refuse)
{
    struct midge_publication publication = message_of(topic, payload, 1);
    publication.publish.retain = true;
    publication.may_refuse = may_refuse;
    return route(w, &publication);
}

static void quotas_of_retained_messages(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.b->config.policy.retained_max = 2;
    w.b->config.policy.retained_bytes_max = 20;
    assert_int_equal(retain(&w, "a", "1234", true), MIDGE_ROUTED);
    assert_int_equal(retain(&w, "b", "1234", true), MIDGE_ROUTED);
    assert_int_equal(retain(&w, "a", "12345678901234", true), MIDGE_ROUTED); /* 15 bytes and 5: all */
    assert_int_equal(w.b->retained.bytes, 20);
    assert_int_equal(retain(&w, "c", "", true), MIDGE_ROUTED); /* clears what is not there */
    assert_int_equal(fixture_drops(w.b, MIDGE_RETAINED_FULL), 0);
    assert_int_equal(retain(&w, "c", "1", true), MIDGE_ROUTED);
    assert_int_equal(fixture_drops(w.b, MIDGE_RETAINED_FULL), 1);
    assert_int_equal(w.b->retained.count, 2);
    assert_int_equal(retain(&w, "b", "12345", true), MIDGE_ROUTED); /* a byte too many: the old one is not true either */
    assert_int_equal(fixture_drops(w.b, MIDGE_RETAINED_FULL), 2);
    assert_int_equal(midge_retained_get(&w.b->retained, fixture_view("b")), 0);
    assert_int_equal(retain(&w, "b", "1", true), MIDGE_ROUTED);
    w.b->config.policy.overflow_offline = MIDGE_REFUSE;
    assert_int_equal(retain(&w, "b", "123456789", true), MIDGE_ROUTE_REFUSED);
    assert_int_equal(w.problem.reason, MIDGE_RETAINED_FULL);
    assert_int_not_equal(midge_retained_get(&w.b->retained, fixture_view("b")), 0);
    assert_int_equal(retain(&w, "b", "123456789", false), MIDGE_ROUTED); /* a will is not sent again */
    assert_int_equal(w.b->retained.count, 1);
    assert_int_equal(retain(&w, "a", "", true), MIDGE_ROUTED);
    assert_int_equal(w.b->retained.tree.nodes.used, 0);
    fixture_end(w.b);
}

static void retained_messages_leave_room_for_a_packet(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    char topic[] = "t/000";
    uint32_t count = 0;
    while (fixture_drops(w.b, MIDGE_RETAINED_FULL) == 0) {
        topic[2] = (char)('0' + count / 100);
        topic[3] = (char)('0' + count / 10 % 10);
        topic[4] = (char)('0' + count % 10);
        assert_int_equal(retain(&w, topic, "text", true), MIDGE_ROUTED);
        count++;
    }
    assert_true(midge_store_free(&w.b->store) + 1 >= w.b->blocks_for_packet);
    assert_int_equal(w.b->retained.count, count - 1);
    while (count-- > 0) {
        topic[2] = (char)('0' + count / 100);
        topic[3] = (char)('0' + count / 10 % 10);
        topic[4] = (char)('0' + count % 10);
        retain(&w, topic, "", true);
    }
    assert_int_equal(w.b->store.blocks.used, 0);
    fixture_end(w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_with_the_highest_granted_qos),
        cmocka_unit_test(nothing_is_stored_for_nobody),
        cmocka_unit_test(the_match_stamp_goes_round),
        cmocka_unit_test(absent_clients_and_qos0),
        cmocka_unit_test(a_topic_that_may_not_be_read),
        cmocka_unit_test(a_full_queue_by_its_policy),
        cmocka_unit_test(a_full_queue_of_an_absent_client),
        cmocka_unit_test(too_few_deliveries),
        cmocka_unit_test(more_receivers_than_deliveries_never_wait),
        cmocka_unit_test(too_few_blocks),
        cmocka_unit_test(displacing_takes_nothing_from_the_others),
        cmocka_unit_test(a_message_larger_than_the_store_never_waits),
        cmocka_unit_test(quotas_of_retained_messages),
        cmocka_unit_test(retained_messages_leave_room_for_a_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
