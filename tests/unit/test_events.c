/* Events: edges, reported once and in order; and which deadline a connection's timer is set to. */
#include "events.h"

#include "fixture.h"
#include "unit.h"

enum { CONNECTIONS = 4 };

struct world {
    struct midge *b;
    struct midge_handle handles[CONNECTIONS];
};

static struct midge_connection *at(const struct world *w, uint32_t i)
{
    return midge_connection_at(w->b, w->handles[i].index);
}

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    w->b = fixture_begin(&config);
    char id[] = "a";
    for (uint32_t i = 0; i < CONNECTIONS; i++, id[0]++) {
        w->handles[i] = fixture_connect(w->b, id, true);
    }
    struct midge_event event;
    while (midge_event_take(w->b, &event)) {
        assert_int_equal(midge_output(w->b, event.conn, fixture_output, 64), 0);
    }
}

static void assert_event(const struct world *w, uint32_t i, enum midge_event_type type)
{
    struct midge_event event;
    assert_true(midge_event_take(w->b, &event));
    assert_int_equal(event.conn.index, w->handles[i].index);
    assert_int_equal(event.conn.generation, w->handles[i].generation);
    assert_int_equal(event.type, type);
}

static void assert_no_event(const struct world *w)
{
    struct midge_event event;
    assert_false(midge_event_take(w->b, &event));
    assert_int_equal(w->b->events.head, 0);
}

static void edges_in_the_order_they_came(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    assert_no_event(&w);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_CLOSE);
    midge_event_raise(w.b, at(&w, 0), MIDGE_EVENT_INPUT);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_OUTPUT);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_OUTPUT);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_INPUT);
    assert_event(&w, 2, MIDGE_OUTPUT_READY); /* what is to be said comes before the close */
    assert_event(&w, 2, MIDGE_INPUT_READY);
    assert_event(&w, 2, MIDGE_CLOSE);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_INPUT); /* again: behind the others */
    assert_event(&w, 0, MIDGE_INPUT_READY);
    assert_event(&w, 2, MIDGE_INPUT_READY);
    midge_event_raise(w.b, at(&w, 1), MIDGE_EVENT_OUTPUT);
    assert_event(&w, 1, MIDGE_OUTPUT_READY);
    assert_no_event(&w);
    fixture_end(w.b);
}

static void output_is_announced_when_the_last_look_found_nothing(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    midge_output_due(w.b, at(&w, 1));
    midge_output_due(w.b, at(&w, 1));
    assert_event(&w, 1, MIDGE_OUTPUT_READY);
    midge_output_due(w.b, at(&w, 1));
    assert_no_event(&w);
    assert_int_equal(midge_output(w.b, w.handles[1], fixture_output, 64), 0);
    midge_output_due(w.b, at(&w, 1));
    assert_event(&w, 1, MIDGE_OUTPUT_READY);
    assert_no_event(&w);
    fixture_end(w.b);
}

/* A slot that is still in the list when it is freed and taken again says nothing of its old connection. */
static void a_slot_used_again_while_listed(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    midge_event_raise(w.b, at(&w, 0), MIDGE_EVENT_OUTPUT);
    midge_event_raise(w.b, at(&w, 1), MIDGE_EVENT_INPUT);
    midge_event_raise(w.b, at(&w, 2), MIDGE_EVENT_OUTPUT);
    midge_disconnected(w.b, w.handles[1]);
    struct midge_handle again = fixture_open(w.b);
    assert_int_equal(again.index, w.handles[1].index);
    assert_int_not_equal(again.generation, w.handles[1].generation);
    assert_event(&w, 0, MIDGE_OUTPUT_READY);
    midge_event_raise(w.b, midge_connection_at(w.b, again.index), MIDGE_EVENT_CLOSE);
    w.handles[1] = again;
    assert_event(&w, 1, MIDGE_CLOSE);
    assert_event(&w, 2, MIDGE_OUTPUT_READY);
    assert_no_event(&w);
    midge_disconnected(w.b, again);
    assert_no_event(&w);
    fixture_end(w.b);
}

static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("events");
    struct world w;
    begin(&w);
    uint8_t model[CONNECTIONS] = {0};
    for (uint32_t step = 0; step < 20000; step++) {
        if (unit_random_below(&random, 2) == 0) {
            uint32_t i = unit_random_below(&random, CONNECTIONS);
            uint8_t bit = (uint8_t)(1u << unit_random_below(&random, 3));
            model[i] |= bit;
            midge_event_raise(w.b, at(&w, i), bit);
            continue;
        }
        struct midge_event event;
        bool any = (model[0] | model[1] | model[2] | model[3]) != 0;
        assert_int_equal(midge_event_take(w.b, &event), any);
        if (any) {
            uint32_t i = 0;
            while (w.handles[i].index != event.conn.index) {
                i++;
            }
            static const uint8_t bits[] = {MIDGE_EVENT_OUTPUT, MIDGE_EVENT_INPUT, MIDGE_EVENT_CLOSE};
            assert_true((model[i] & bits[event.type]) != 0);
            assert_true((model[i] & (bits[event.type] - 1u)) == 0);
            model[i] &= (uint8_t)~bits[event.type];
        }
    }
    fixture_end(w.b);
}

/* ---- Deadlines ---- */

static void assert_deadline(const struct world *w, const struct midge_connection *c, bool any, uint32_t deadline_ms)
{
    midge_deadlines_arm(w->b, at(w, 0));
    assert_int_equal(c->timer != 0, any);
    if (any) {
        assert_int_equal(w->b->timers.heap[c->timer - 1].deadline_ms, deadline_ms);
    }
}

static void the_first_deadline_counts(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct midge_connection *c = at(&w, 0);
    struct midge_wait *wait = midge_wait_of(w.b, c);
    struct midge_connection *subscriber = at(&w, 1);
    const struct midge_connection before = *c;
    c->state_deadline_ms = 5000;
    c->last_input_ms = 1000;
    assert_deadline(&w, c, false, 0);
    c->keepalive_s = 3;
    assert_deadline(&w, c, true, 1000 + 4500);
    c->assembly = 1;
    assert_deadline(&w, c, true, 5000);
    c->state_deadline_ms = 6000;
    assert_deadline(&w, c, true, 5500);
    c->wait_kind = MIDGE_WAIT_BLOCKS; /* the client's silence does not count now */
    wait->deadline_ms = 5900;
    c->flags |= MIDGE_CONN_WAITED;
    assert_deadline(&w, c, true, 5900);
    c->assembly = 0;
    c->wait_kind = MIDGE_WAIT_SUBSCRIBER;
    wait->object = w.handles[1].index;
    uint32_t progress = subscriber->progress_ms + w.b->config.policy.progress_ms;
    wait->deadline_ms = progress + 1;
    assert_deadline(&w, c, true, progress);
    wait->deadline_ms = progress - 1;
    assert_deadline(&w, c, true, progress - 1);
    c->wait_kind = MIDGE_WAIT_NONE;
    c->keepalive_s = UINT16_MAX;
    c->last_input_ms = UINT32_MAX; /* around the wrap */
    assert_deadline(&w, c, true, UINT16_MAX * 1500u - 1u);
    c->keepalive_s = 0;
    c->state = MIDGE_CLOSING;
    assert_deadline(&w, c, true, 6000);
    c->state = MIDGE_CLOSED;
    assert_deadline(&w, c, false, 0);
    c->state = MIDGE_CONNECTING;
    assert_deadline(&w, c, true, 6000);
    midge_index timer = c->timer;
    *c = before;
    c->timer = timer;
    assert_deadline(&w, c, false, 0);
    fixture_end(w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_in_the_order_they_came),
        cmocka_unit_test(output_is_announced_when_the_last_look_found_nothing),
        cmocka_unit_test(a_slot_used_again_while_listed),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(the_first_deadline_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
