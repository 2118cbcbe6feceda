/* A session's subscriptions and the retained messages that they are due. */
#include "interest.h"

#include "delivery.h"
#include "fixture.h"
#include "unit.h"

struct world {
    struct midge *b;
    struct midge_handle conn;
    struct midge_session *s;
};

static void begin_with(struct world *w, const struct midge_config *config)
{
    w->b = fixture_begin(config);
    w->conn = fixture_connect(w->b, "c", false);
    w->s = midge_session_of(w->b, midge_connection_at(w->b, w->conn.index));
}

static void begin(struct world *w)
{
    struct midge_config config = fixture_config();
    begin_with(w, &config);
}

static bool add(const struct world *w, const char *filter, uint8_t qos)
{
    bool added = midge_interest_add(w->b, w->s, fixture_view(filter), qos);
    assert_int_equal(midge_audit(w->b), 0);
    return added;
}

static bool drop(const struct world *w, const char *filter)
{
    bool removed = midge_interest_remove(w->b, w->s, fixture_view(filter));
    assert_int_equal(midge_audit(w->b), 0);
    return removed;
}

static enum midge_replay replay(const struct world *w, uint32_t steps)
{
    enum midge_replay result = midge_replay_next(w->b, w->s, &steps);
    assert_int_equal(midge_audit(w->b), 0);
    return result;
}

/* Replays all there is, and clears the window. Returns how many messages came. */
static uint32_t replay_all(const struct world *w)
{
    uint32_t count = 0;
    enum midge_replay result;
    while ((result = replay(w, 1000)) == MIDGE_REPLAY_ADDED) {
        const struct midge_delivery *d = midge_delivery_at(w->b, w->s->window.tail);
        assert_true((d->flags & MIDGE_DELIVERY_RETAIN) != 0);
        count++;
    }
    assert_int_equal(result, MIDGE_REPLAY_NONE);
    midge_queue_clear(w->b, w->s, MIDGE_SESSION_CLEAN);
    return count;
}

static void clear_retained(const struct world *w, const char *const *topics, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fixture_retain(w->b, topics[i], "");
    }
    assert_int_equal(w->b->retained.count, 0);
}

static const char *const home[] = {"a", "a/b", "a/c", "b", "$x/a"};

static void retain_home(const struct world *w)
{
    for (uint32_t i = 0; i < UNIT_COUNT(home); i++) {
        fixture_retain(w->b, home[i], "text");
    }
}

static void each_retained_message_once(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        uint32_t count;
    } cases[] = {{"#", 4}, {"+", 2}, {"a/#", 3}, {"a/+", 2}, {"b", 1}, {"$x/#", 1}, {"x", 0}};
    struct world w;
    begin(&w);
    retain_home(&w);
    for (uint32_t i = 0; i < UNIT_COUNT(cases); i++) {
        for (uint8_t qos = 0; qos < 3; qos++) {
            assert_true(add(&w, cases[i].filter, qos)); /* the second and third time it replaces itself */
            assert_int_equal(replay_all(&w), cases[i].count);
            assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_NONE);
        }
    }
    assert_int_equal(w.b->subscriptions.pool.used, UNIT_COUNT(cases));
    clear_retained(&w, home, UNIT_COUNT(home));
    fixture_end(w.b);
}

static void qos_is_the_lower_of_the_two(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (uint8_t published = 0; published < 3; published++) {
        assert_true(midge_publish(w.b, fixture_view("t"), fixture_view("x"), published, true));
        for (uint8_t granted = 0; granted < 3; granted++) {
            add(&w, "t", granted);
            assert_int_equal(replay(&w, 10), MIDGE_REPLAY_ADDED);
            const struct midge_delivery *d = midge_delivery_at(w.b, w.s->window.tail);
            assert_int_equal(midge_delivery_qos(d), published < granted ? published : granted);
            midge_queue_clear(w.b, w.s, MIDGE_SESSION_CLEAN);
        }
    }
    fixture_retain(w.b, "t", "");
    fixture_end(w.b);
}

static void what_came_after_the_subscription_is_not_replayed(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    fixture_retain(w.b, "a", "old");
    fixture_retain(w.b, "b", "old");
    add(&w, "+", 1);
    fixture_retain(w.b, "a", "new"); /* goes out live */
    fixture_retain(w.b, "c", "new");
    assert_int_equal(w.s->charged_entries, 2);
    assert_int_equal(replay_all(&w), 1);
    add(&w, "+", 1);
    assert_int_equal(replay_all(&w), 3);
    static const char *const topics[] = {"a", "b", "c"};
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, topics, 3);
    fixture_end(w.b);
}

static void stopped_by_window_deliveries_and_steps(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.policy.inflight_max = 2;
    config.limits.deliveries = 3;
    struct world w;
    begin_with(&w, &config);
    retain_home(&w);
    add(&w, "#", 1);
    assert_int_equal(replay(&w, 0), MIDGE_REPLAY_STEPS);
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_ADDED);
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_ADDED);
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_BLOCKED);
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_BLOCKED);
    w.b->config.policy.inflight_max = 9;
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_ADDED);
    assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_STARVED);
    midge_queue_clear(w.b, w.s, MIDGE_SESSION_CLEAN);
    assert_int_equal(replay_all(&w), 1); /* nothing was passed over, nothing came twice */
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, home, UNIT_COUNT(home));
    fixture_end(w.b);
}

static void many_subscriptions_in_the_order_they_were_made(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    retain_home(&w);
    static const char *const filters[] = {"b", "a", "$x/a", "a/c", "a/b"};
    for (uint32_t i = 0; i < 5; i++) {
        add(&w, filters[i], 1);
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(replay(&w, 1000), MIDGE_REPLAY_ADDED);
        midge_index message = midge_delivery_at(w.b, w.s->window.tail)->message;
        assert_int_equal(message, midge_retained_get(&w.b->retained, fixture_view(filters[i])));
    }
    assert_int_equal(replay_all(&w), 0);
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, home, UNIT_COUNT(home));
    fixture_end(w.b);
}

static void a_walk_that_is_cut_short_leaves_no_pin(void **state)
{
    (void)state;
    for (uint32_t how = 0; how < 4; how++) {
        struct world w;
        begin(&w);
        retain_home(&w);
        add(&w, "#", 1);
        add(&w, "a/#", 1);
        replay(&w, 1000);
        replay(&w, 1000);
        assert_int_not_equal(w.s->replay_node, 0);
        if (how == 0) {
            assert_true(drop(&w, "#"));
            assert_int_equal(replay_all(&w), 3);
        } else if (how == 1) {
            add(&w, "#", 1); /* from the beginning, behind the other */
            assert_int_equal(replay_all(&w), 3 + 4);
        } else if (how == 2) {
            midge_interest_clear(w.b, w.s);
            assert_int_equal(w.s->subscriptions, 0);
        } else {
            assert_true(drop(&w, "a/#"));
            assert_false(drop(&w, "a/#"));
            assert_int_equal(replay_all(&w), 2);
        }
        assert_int_equal(w.s->replay_node, 0);
        midge_interest_clear(w.b, w.s);
        clear_retained(&w, home, UNIT_COUNT(home));
        assert_int_equal(w.b->retained.tree.nodes.used, 0);
        fixture_end(w.b);
    }
}

static void the_stamp_goes_round(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.b->retained.stamp = MIDGE_STAMP_MAX - 1;
    retain_home(&w);
    add(&w, "a", 1);
    assert_int_equal(replay_all(&w), 1);
    fixture_retain(w.b, "b", "newer");
    add(&w, "b", 1);
    assert_int_equal(w.b->retained.stamp, 1);
    assert_int_equal(replay_all(&w), 1);
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, home, UNIT_COUNT(home));
    fixture_end(w.b);
}

static void what_may_not_be_read_is_not_replayed(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    retain_home(&w);
    strcpy(fixture_callbacks.denied, "a/b");
    add(&w, "a/#", 1);
    assert_int_equal(replay_all(&w), 2);
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, home, UNIT_COUNT(home));
    fixture_end(w.b);
}

/* The longest filter and the longest topic there may be, the latter across blocks, share the scratch. */
static void a_long_topic_under_a_long_filter(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.scratch_size = 112;
    struct world w;
    begin_with(&w, &config);
    const char *topic = "a topic/that is longer/than what the first/block holds/x";
    const char *filter = "a topic/that is longer/than what the first/block holds/#";
    assert_int_equal(strlen(topic), 56);
    fixture_retain(w.b, topic, "text");
    add(&w, filter, 1);
    assert_int_equal(replay_all(&w), 1);
    const char *longer = "a topic/that is longer/than what the first/block holds/xy"; /* its replay would find no room */
    assert_false(midge_publish(w.b, fixture_view(longer), fixture_view("text"), 1, true));
    assert_int_equal(w.b->retained.count, 1);
    midge_interest_clear(w.b, w.s);
    fixture_retain(w.b, topic, "");
    fixture_end(w.b);
}

static void no_room_for_a_subscription(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.subscriptions = 2;
    config.limits.filter_nodes = 3;
    struct world w;
    begin_with(&w, &config);
    assert_true(add(&w, "a", 1));
    assert_false(add(&w, "b/c/d", 1));
    assert_true(add(&w, "b/c", 1));
    assert_false(add(&w, "a/#", 1));
    assert_true(add(&w, "a", 2));
    assert_true(drop(&w, "b/c"));
    assert_true(add(&w, "a/#", 1));
    assert_int_equal(w.b->subscriptions.pool.used, 2);
    fixture_end(w.b);
}

static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("interest");
    static const char *const filters[] = {"#", "a/#", "+", "a/+", "a", "b", "$x/#", "+/b", "c/d/e"};
    bool model[UNIT_COUNT(filters)] = {false};
    struct midge_config config = fixture_config();
    config.limits.filter_nodes = 6;
    config.policy.inflight_max = 3;
    struct world w;
    begin_with(&w, &config);
    for (uint32_t step = 0; step < 10000; step++) {
        uint32_t i = unit_random_below(&random, UNIT_COUNT(filters));
        switch (unit_random_below(&random, 5)) {
        case 0:
            model[i] = add(&w, filters[i], (uint8_t)unit_random_below(&random, 3)) || model[i];
            break;
        case 1:
            assert_int_equal(drop(&w, filters[i]), model[i]);
            model[i] = false;
            break;
        case 2:
            midge_publish(w.b, fixture_view(home[i % UNIT_COUNT(home)]), fixture_view(step % 3 == 0 ? "" : "text"), 1, true);
            break;
        case 3:
            midge_queue_clear(w.b, w.s, MIDGE_SESSION_CLEAN);
            break;
        default:
            replay(&w, unit_random_below(&random, 6));
            break;
        }
        uint32_t count = 0;
        for (uint32_t k = 0; k < UNIT_COUNT(filters); k++) {
            count += model[k] ? 1 : 0;
        }
        assert_int_equal(w.b->subscriptions.pool.used, count);
        assert_int_equal(midge_audit(w.b), 0);
    }
    midge_interest_clear(w.b, w.s);
    clear_retained(&w, home, UNIT_COUNT(home));
    assert_int_equal(w.b->retained.tree.nodes.used, 0);
    fixture_end(w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_retained_message_once),
        cmocka_unit_test(qos_is_the_lower_of_the_two),
        cmocka_unit_test(what_came_after_the_subscription_is_not_replayed),
        cmocka_unit_test(stopped_by_window_deliveries_and_steps),
        cmocka_unit_test(many_subscriptions_in_the_order_they_were_made),
        cmocka_unit_test(a_walk_that_is_cut_short_leaves_no_pin),
        cmocka_unit_test(the_stamp_goes_round),
        cmocka_unit_test(what_may_not_be_read_is_not_replayed),
        cmocka_unit_test(a_long_topic_under_a_long_filter),
        cmocka_unit_test(no_room_for_a_subscription),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
