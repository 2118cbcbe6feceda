/* Who waits for what: queues woken head first, as many as there is room for, and deadlines. */
#include "waiting.h"

#include "fixture.h"
#include "unit.h"

enum { WAITERS = 5 };

struct world {
    struct midge *b;
    struct midge_handle handles[WAITERS];
    struct midge_connection *c[WAITERS];
};

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    w->b = fixture_begin(&config);
    char id[] = "a";
    for (uint32_t i = 0; i < WAITERS; i++, id[0]++) {
        w->handles[i] = fixture_connect(w->b, id, true);
        w->c[i] = midge_connection_at(w->b, w->handles[i].index);
    }
    struct midge_event event;
    while (midge_next_event(w->b, &event)) {
        assert_int_not_equal(event.type, MIDGE_CLOSE);
    }
}

static void wait_for(const struct world *w, uint32_t i, enum midge_wait_kind kind, midge_index object)
{
    midge_wait(w->b, w->c[i], kind, object);
    assert_int_equal(midge_audit(w->b), 0);
}

static enum midge_wait_kind kind_of(const struct world *w, uint32_t i)
{
    return (enum midge_wait_kind)w->c[i]->wait_kind;
}

/* Whether the waiters are those of the bits of `mask`. */
static void assert_waiting(const struct world *w, uint32_t mask)
{
    for (uint32_t i = 0; i < WAITERS; i++) {
        assert_int_equal(kind_of(w, i) != MIDGE_WAIT_NONE, mask >> i & 1);
    }
    assert_int_equal(midge_audit(w->b), 0);
}

static void taken_out_of_the_queue_in_any_order(void **state)
{
    (void)state;
    static const enum midge_wait_kind kinds[] = {MIDGE_WAIT_DELIVERIES, MIDGE_WAIT_BLOCKS, MIDGE_WAIT_ASSEMBLY,
                                                 MIDGE_WAIT_HANDSHAKE, MIDGE_WAIT_SUBSCRIBER};
    struct world w;
    begin(&w);
    for (uint32_t k = 0; k < UNIT_COUNT(kinds); k++) {
        bool subscriber = kinds[k] == MIDGE_WAIT_SUBSCRIBER;
        for (uint32_t order = 0; order < 24; order++) {
            uint32_t left = 15;
            for (uint32_t i = 0; i < 4; i++) {
                wait_for(&w, i, kinds[k], subscriber ? w.c[4]->index : 1);
            }
            uint32_t rest = order;
            for (uint32_t count = 4; count > 0; count--) {
                uint32_t nth = rest % count;
                rest /= count;
                for (uint32_t i = 0; i < 4; i++) {
                    if ((left >> i & 1) != 0 && nth-- == 0) {
                        midge_wait_cancel(w.b, w.c[i]);
                        left &= ~(1u << i);
                        assert_waiting(&w, left);
                        break;
                    }
                }
            }
            const struct midge_list *queue = subscriber ? &midge_wait_of(w.b, w.c[4])->waiters : &w.b->wait_queues[kinds[k]];
            assert_int_equal(queue->head, 0);
            assert_int_equal(queue->tail, 0);
        }
    }
    midge_wait_cancel(w.b, w.c[0]); /* which does not wait */
    fixture_end(w.b);
}

static void woken_head_first_as_far_as_there_is_room(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, FIXTURE_DELIVERIES - 10);
    wait_for(&w, 1, MIDGE_WAIT_DELIVERIES, 10);
    wait_for(&w, 2, MIDGE_WAIT_DELIVERIES, 11);
    wait_for(&w, 3, MIDGE_WAIT_DELIVERIES, 1); /* small enough, but not its turn */
    midge_wake_all(w.b);
    assert_waiting(&w, 4 + 8);
    midge_wake_all(w.b); /* all there is was promised to the first two, who have not come back yet */
    assert_waiting(&w, 4 + 8);
    midge_wait_done(w.b, w.c[1]);
    midge_wake_all(w.b);
    assert_waiting(&w, 4 + 8);
    midge_wait_done(w.b, w.c[0]);
    midge_wake_all(w.b);
    assert_waiting(&w, 0);
    fixture_end(w.b);
}

static void blocks_are_woken_for_likewise(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_BLOCKS, 2);
    wait_for(&w, 1, MIDGE_WAIT_BLOCKS, 2);
    wait_for(&w, 2, MIDGE_WAIT_ASSEMBLY, 4);
    w.b->store.reserved = FIXTURE_BLOCKS - 3;
    midge_wake_all(w.b);
    w.b->store.reserved = 0;
    assert_waiting(&w, 2 + 4);
    midge_wake_all(w.b);
    assert_waiting(&w, 0);
    fixture_end(w.b);
}

/* Who was woken and finds that it does not suffice goes back to the head of the queue, not to its end. */
static void a_turn_is_not_lost(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 1);
    wait_for(&w, 1, MIDGE_WAIT_DELIVERIES, FIXTURE_DELIVERIES);
    wait_for(&w, 2, MIDGE_WAIT_DELIVERIES, 1);
    midge_wake_all(w.b);
    assert_waiting(&w, 2 + 4);
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 2);
    assert_int_equal(w.b->wait_queues[MIDGE_WAIT_DELIVERIES].head, w.c[0]->index);
    midge_wake(w.b, w.c[0]);
    wait_for(&w, 0, MIDGE_WAIT_BLOCKS, 1); /* something else: at the end of that queue */
    midge_wake_all(w.b);
    assert_waiting(&w, 4);
    fixture_end(w.b);
}

static void room_for_assembly_is_a_share(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    uint32_t share = FIXTURE_BLOCKS / 8 + 1;
    assert_int_equal(midge_assembly_room(w.b, true), FIXTURE_BLOCKS / 2);
    assert_int_equal(midge_assembly_room(w.b, false), share);
    w.b->assembly_reserved = 5;
    w.b->handshake_reserved = 5;
    assert_int_equal(midge_assembly_room(w.b, true), FIXTURE_BLOCKS / 2 - 5);
    assert_int_equal(midge_assembly_room(w.b, false), share - 5);
    w.b->handshake_reserved = share + 1;
    assert_int_equal(midge_assembly_room(w.b, false), 0);
    w.b->handshake_reserved = 0;
    w.b->assembly_reserved = FIXTURE_BLOCKS / 2 + 1;
    assert_int_equal(midge_assembly_room(w.b, true), 0);
    assert_int_equal(midge_assembly_room(w.b, false), 0);
    w.b->assembly_reserved = 0;
    w.b->store.reserved = FIXTURE_BLOCKS - 2;
    assert_int_equal(midge_assembly_room(w.b, true), 2);
    assert_int_equal(midge_assembly_room(w.b, false), 2);
    w.b->store.reserved = 0;
    fixture_end(w.b);
}

static void whoever_comes_later_queues_up(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    assert_false(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_DELIVERIES, 0));
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 1);
    wait_for(&w, 1, MIDGE_WAIT_DELIVERIES, FIXTURE_DELIVERIES + 1);
    assert_true(midge_wait_others(w.b, w.c[2], MIDGE_WAIT_DELIVERIES, 0));
    assert_true(midge_wait_others(w.b, NULL, MIDGE_WAIT_DELIVERIES, 0));
    assert_false(midge_wait_others(w.b, w.c[2], MIDGE_WAIT_BLOCKS, 0));
    midge_wake_all(w.b);
    assert_waiting(&w, 2);
    assert_false(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_DELIVERIES, 0)); /* it was woken: its turn has come */
    midge_wait_done(w.b, w.c[0]);
    assert_true(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_DELIVERIES, 0));
    fixture_end(w.b);
}

/* Who was woken for one thing and needs others too does not give its turn up for them, but for what is asked for later. */
static void whoever_was_woken_goes_on(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    wait_for(&w, 1, MIDGE_WAIT_SUBSCRIBER, w.c[3]->index);
    wait_for(&w, 2, MIDGE_WAIT_DELIVERIES, 1);
    midge_wake(w.b, w.c[0]);
    assert_false(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_SUBSCRIBER, w.c[3]->index));
    assert_true(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_DELIVERIES, 0));
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 1);
    midge_wake(w.b, w.c[0]);
    assert_false(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_SUBSCRIBER, w.c[3]->index));
    assert_false(midge_wait_others(w.b, w.c[0], MIDGE_WAIT_DELIVERIES, 0));
    fixture_end(w.b);
}

static void nothing_waits_for_a_waiter(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    wait_for(&w, 1, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    wait_for(&w, 2, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    midge_wake_waiters(w.b, w.c[4], 0);
    assert_waiting(&w, 7);
    midge_wake_waiters(w.b, w.c[4], 1);
    assert_waiting(&w, 6);
    wait_for(&w, 4, MIDGE_WAIT_REPLIES, 0); /* its own replies drain by themselves */
    assert_waiting(&w, 6 + 16);
    midge_wait_cancel(w.b, w.c[4]);
    wait_for(&w, 4, MIDGE_WAIT_DELIVERIES, 1);
    assert_waiting(&w, 16);
    fixture_end(w.b);
}

static void who_may_be_waited_for(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct midge_connection *subscriber = w.c[4];
    const struct midge_session *s = midge_session_of(w.b, subscriber);
    assert_true(midge_waitable(w.b, s, w.c[0]));
    assert_true(midge_waitable(w.b, s, 0));
    assert_false(midge_waitable(w.b, s, w.c[4]));
    wait_for(&w, 4, MIDGE_WAIT_REPLIES, 0);
    assert_true(midge_waitable(w.b, s, w.c[0]));
    midge_wait_cancel(w.b, w.c[4]);
    wait_for(&w, 4, MIDGE_WAIT_BLOCKS, 1);
    assert_false(midge_waitable(w.b, s, w.c[0]));
    midge_wait_cancel(w.b, w.c[4]);
    subscriber->progress_ms = midge_now(w.b) - w.b->config.policy.progress_ms + 1;
    assert_true(midge_waitable(w.b, s, w.c[0]));
    subscriber->progress_ms--;
    assert_false(midge_waitable(w.b, s, w.c[0]));
    subscriber->progress_ms = midge_now(w.b);
    struct midge_handle kept = fixture_connect(w.b, "kept", false);
    const struct midge_session *absent = midge_session_of(w.b, midge_connection_at(w.b, kept.index));
    midge_disconnected(w.b, kept);
    assert_false(midge_waitable(w.b, absent, w.c[0]));
    fixture_end(w.b);
}

static void the_first_wait_of_a_packet_sets_its_deadline(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const struct midge_wait *wait = midge_wait_of(w.b, w.c[0]);
    assert_false(midge_wait_expired(w.b, w.c[0]));
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 1);
    uint32_t deadline = wait->deadline_ms;
    assert_int_equal(deadline, midge_now(w.b) + w.b->config.policy.wait_ms);
    uint64_t now = w.b->now_ms;
    w.b->now_ms += w.b->config.policy.wait_ms - 1;
    assert_false(midge_wait_expired(w.b, w.c[0]));
    midge_wake(w.b, w.c[0]);
    wait_for(&w, 0, MIDGE_WAIT_BLOCKS, 1); /* the same packet waits for something else */
    assert_int_equal(wait->deadline_ms, deadline);
    w.b->now_ms++;
    assert_true(midge_wait_expired(w.b, w.c[0]));
    midge_wake(w.b, w.c[0]);
    midge_wait_done(w.b, w.c[0]);
    assert_false(midge_wait_expired(w.b, w.c[0]));
    w.b->now_ms = now;
    assert_int_equal(w.b->metrics.stalls[MIDGE_STALL_DELIVERIES], 1);
    assert_int_equal(w.b->metrics.stalls[MIDGE_STALL_BLOCKS], 1);
    fixture_end(w.b);
}

/* Who was woken for a subscriber and then waits for another one, or needs nothing any more, leaves its turn to the next. */
static void a_turn_is_passed_on(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (uint32_t i = 0; i < 3; i++) {
        wait_for(&w, i, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    }
    midge_wake_waiters(w.b, w.c[4], 1);
    assert_waiting(&w, 2 + 4);
    wait_for(&w, 0, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index); /* what there was did not suffice: it keeps its turn */
    assert_waiting(&w, 1 + 2 + 4);
    midge_wake_waiters(w.b, w.c[4], 1);
    wait_for(&w, 0, MIDGE_WAIT_SUBSCRIBER, w.c[3]->index);
    assert_waiting(&w, 1); /* the queue is empty: there is room for both */
    midge_wait_cancel(w.b, w.c[0]);
    for (uint32_t i = 1; i < 3; i++) {
        midge_wait_done(w.b, w.c[i]);
        wait_for(&w, i, MIDGE_WAIT_SUBSCRIBER, w.c[4]->index);
    }
    midge_wake_waiters(w.b, w.c[4], 1);
    assert_waiting(&w, 4);
    midge_disconnected(w.b, w.handles[1]);
    assert_int_equal(kind_of(&w, 2), MIDGE_WAIT_NONE);
    assert_int_equal(midge_audit(w.b), 0);
    fixture_end(w.b);
}

static void a_wake_is_announced_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    wait_for(&w, 0, MIDGE_WAIT_DELIVERIES, 1);
    assert_int_equal(fixture_events(w.b, w.handles[0], MIDGE_INPUT_READY), 0);
    midge_wake_all(w.b);
    midge_wake_all(w.b);
    assert_int_equal(fixture_events(w.b, w.handles[0], MIDGE_INPUT_READY), 1);
    assert_int_equal(fixture_events(w.b, w.handles[0], MIDGE_INPUT_READY), 0);
    wait_for(&w, 1, MIDGE_WAIT_HANDSHAKE, 1);
    assert_int_equal(w.b->metrics.stalls[MIDGE_STALL_ASSEMBLY], 1);
    fixture_end(w.b);
}

/* The index that all of them were woken for, added up, is more than 32 bits hold. */
static void a_crowd_is_woken_for_the_last_connection(void **state)
{
    (void)state;
    enum { CROWD = MIDGE_INDEX_BITS == 16 ? 1000 : 70000 };
    struct midge_config config = fixture_config();
    config.limits.handshakes = CROWD;
    struct midge *b = fixture_begin(&config);
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_not_equal(midge_connected(b, 0).index, 0);
    }
    struct midge_handle handle = fixture_connect(b, "last", true);
    struct midge_connection *last = midge_connection_at(b, handle.index);
    for (midge_index i = 1; i <= CROWD; i++) {
        midge_wait(b, midge_connection_at(b, i), MIDGE_WAIT_SUBSCRIBER, last->index);
    }
    midge_wake_waiters(b, last, UINT32_MAX);
    assert_int_equal(midge_wait_of(b, last)->waiters_woken, CROWD);
    assert_int_equal(midge_audit(b), 0);
    for (midge_index i = 1; i <= CROWD; i++) {
        midge_wait_done(b, midge_connection_at(b, i));
    }
    assert_int_equal(midge_wait_of(b, last)->waiters_woken, 0);
    midge_disconnected(b, handle);
    for (midge_index i = 1; i <= CROWD; i++) {
        midge_disconnected(b, (struct midge_handle){.index = i});
    }
    fixture_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_out_of_the_queue_in_any_order),
        cmocka_unit_test(woken_head_first_as_far_as_there_is_room),
        cmocka_unit_test(blocks_are_woken_for_likewise),
        cmocka_unit_test(a_turn_is_not_lost),
        cmocka_unit_test(a_turn_is_passed_on),
        cmocka_unit_test(room_for_assembly_is_a_share),
        cmocka_unit_test(whoever_comes_later_queues_up),
        cmocka_unit_test(whoever_was_woken_goes_on),
        cmocka_unit_test(nothing_waits_for_a_waiter),
        cmocka_unit_test(who_may_be_waited_for),
        cmocka_unit_test(the_first_wait_of_a_packet_sets_its_deadline),
        cmocka_unit_test(a_wake_is_announced_once),
        cmocka_unit_test(a_crowd_is_woken_for_the_last_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
