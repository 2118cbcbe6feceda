/* What is published below $SYS: names, values, and only what has changed. The core is replaced by two functions of the test. */
#include "sys.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES_MAX 400

static struct {
    char topic[100];
    char payload[60];
    bool retain;
} messages[MESSAGES_MAX];
static size_t message_count;
static bool full; /* the broker has no room */
static struct midge_metrics counts;
static struct midge_sys sys;

bool midge_publish(struct midge *broker, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain)
{
    assert_null(broker);
    assert_int_equal(qos, 0);
    assert_true(message_count < MESSAGES_MAX);
    if (!full) {
        snprintf(messages[message_count].topic, 100, "%.*s", (int)topic.size, (const char *)topic.bytes);
        snprintf(messages[message_count].payload, 60, "%.*s", (int)payload.size, (const char *)payload.bytes);
        messages[message_count++].retain = retain;
    }
    return !full;
}

void midge_metrics(const struct midge *broker, struct midge_metrics *metrics)
{
    assert_null(broker);
    *metrics = counts;
}

/* The payload of the only message with this topic, NULL where there is none. */
static const char *published(const char *topic)
{
    const char *payload = NULL;
    for (size_t i = 0; i < message_count; i++) {
        if (strcmp(messages[i].topic, topic) == 0) {
            assert_null(payload);
            payload = messages[i].payload;
        }
    }
    return payload;
}

/* One whole round at this time. Returns when the next is due. */
static uint64_t run_round(uint64_t now_ms)
{
    uint64_t next_ms;
    message_count = 0;
    do {
        size_t before = message_count;
        next_ms = midge_sys_turn(&sys, NULL, now_ms);
        assert_true(message_count - before <= 16);
    } while (next_ms == now_ms);
    return next_ms;
}

static int start(void **state)
{
    (void)state;
    memset(&counts, 0, sizeof(counts));
    full = false;
    midge_sys_start(&sys, 10000, true, 5000);
    return 0;
}

static void the_first_round_publishes_everything(void **state)
{
    (void)state;
    counts.clients_connected = 3;
    counts.sessions_offline = 4;
    counts.clients_peak = 5;
    counts.packets_received = 77;
    counts.stored_bytes = 1234;
    counts.pools[MIDGE_POOL_BLOCKS] = (struct midge_pool_use){1, 2, 3};
    counts.drops[MIDGE_QUEUE_FULL] = 6;
    counts.drops[MIDGE_QOS0_OFFLINE] = 2;
    counts.stalls[MIDGE_STALL_BLOCKS] = 9;
    assert_int_equal(run_round(5000), 15000);
    assert_string_equal(published("$SYS/broker/version"), "midge version " MIDGE_VERSION);
    assert_string_equal(published("$SYS/broker/uptime"), "0 seconds");
    assert_string_equal(published("$SYS/broker/clients/total"), "7");
    assert_string_equal(published("$SYS/broker/clients/connected"), "3");
    assert_string_equal(published("$SYS/broker/clients/disconnected"), "4");
    assert_string_equal(published("$SYS/broker/clients/maximum"), "5");
    assert_string_equal(published("$SYS/broker/messages/received"), "77");
    assert_string_equal(published("$SYS/broker/store/messages/bytes"), "1234");
    assert_string_equal(published("$SYS/broker/publish/messages/dropped"), "8");
    assert_string_equal(published("$SYS/broker/retained messages/count"), "0");
    assert_string_equal(published("$SYS/broker/pools/blocks/used"), "1");
    assert_string_equal(published("$SYS/broker/pools/blocks/peak"), "2");
    assert_string_equal(published("$SYS/broker/pools/blocks/capacity"), "3");
    assert_string_equal(published("$SYS/broker/drops/queue_full"), "6");
    assert_null(published("$SYS/broker/drops/queue_full_offline"));
    assert_string_equal(published("$SYS/broker/stalls/blocks"), "9");
    assert_string_equal(published("$SYS/broker/load/bytes/sent/15min"), "0.00");
    for (size_t i = 0; i < message_count; i++) {
        assert_true(messages[i].retain);
    }
}

static void later_rounds_publish_what_has_changed(void **state)
{
    (void)state;
    run_round(5000);
    assert_int_equal(run_round(14999), 15000);
    assert_int_equal(message_count, 0);
    counts.subscriptions = 1;
    assert_int_equal(run_round(15000), 25000);
    assert_string_equal(published("$SYS/broker/subscriptions/count"), "1");
    assert_string_equal(published("$SYS/broker/uptime"), "10 seconds");
    assert_string_equal(published("$SYS/broker/pools/names/used"), "0"); /* these always come again */
    assert_int_equal(message_count, 2 + MIDGE_POOL_COUNT);
    counts.drops[MIDGE_WILL_DROPPED] = 1;
    run_round(25000);
    assert_string_equal(published("$SYS/broker/drops/will_dropped"), "1");
    assert_null(published("$SYS/broker/subscriptions/count"));
}

static void what_could_not_be_published_is_tried_again(void **state)
{
    (void)state;
    run_round(5000);
    counts.subscriptions = 1;
    full = true;
    run_round(15000);
    assert_int_equal(message_count, 0);
    full = false;
    run_round(25000);
    assert_string_equal(published("$SYS/broker/subscriptions/count"), "1");
}

static void an_interval_of_zero_publishes_nothing(void **state)
{
    (void)state;
    midge_sys_start(&sys, 0, true, 5000);
    assert_true(run_round(5000) == UINT64_MAX);
    assert_int_equal(message_count, 0);
    midge_sys_set_interval(&sys, 2000, 6000);
    assert_int_equal(run_round(6000), 8000);
    assert_int_equal(message_count, 0);
    assert_int_equal(run_round(8000), 10000);
    assert_true(message_count > 60);
}

static void counters_of_the_port_are_published_too(void **state)
{
    (void)state;
    uint64_t failed = 7;
    midge_sys_add(&sys, (struct midge_sys_own){"logins/failed", &failed});
    run_round(5000);
    assert_string_equal(published("$SYS/broker/logins/failed"), "7");
    run_round(15000);
    assert_null(published("$SYS/broker/logins/failed"));
    failed++;
    run_round(25000);
    assert_string_equal(published("$SYS/broker/logins/failed"), "8");
}

static void a_broker_that_cannot_retain_is_not_asked_to(void **state)
{
    (void)state;
    midge_sys_start(&sys, 1000, false, 5000);
    run_round(5000);
    assert_true(message_count > 60);
    assert_false(messages[0].retain);
}

/* The averages against the same formula in floating point, over rounds of uneven length with uneven traffic. */
static void loads_are_those_of_the_formula(void **state)
{
    (void)state;
    static const char *const topics[3] = {"$SYS/broker/load/messages/received/1min", "$SYS/broker/load/messages/received/5min",
                                          "$SYS/broker/load/messages/received/15min"};
    static const double minutes[3] = {1, 5, 15};
    double expected[3] = {0, 0, 0};
    double told[3] = {0, 0, 0};
    uint64_t now_ms = 5000;
    run_round(now_ms);
    for (unsigned i = 1; i <= 500; i++) {
        uint64_t passed_ms = 10000 + i * 7919 % 5000;
        uint64_t events = i % 50 < 25 ? i * 104729 % 3000000 : 0;
        now_ms += passed_ms;
        counts.packets_received += events;
        run_round(now_ms);
        for (unsigned j = 0; j < 3; j++) {
            double rate = (double)events * 60000.0 / (double)passed_ms;
            expected[j] = rate + exp(-(double)passed_ms / 60000.0 / minutes[j]) * (expected[j] - rate);
            if (published(topics[j]) != NULL) {
                told[j] = strtod(published(topics[j]), NULL);
            }
            assert_true(fabs(told[j] - expected[j]) <= 0.02 + expected[j] * 1e-6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_round_publishes_everything, start),
        cmocka_unit_test_setup(later_rounds_publish_what_has_changed, start),
        cmocka_unit_test_setup(what_could_not_be_published_is_tried_again, start),
        cmocka_unit_test_setup(an_interval_of_zero_publishes_nothing, start),
        cmocka_unit_test_setup(counters_of_the_port_are_published_too, start),
        cmocka_unit_test_setup(a_broker_that_cannot_retain_is_not_asked_to, start),
        cmocka_unit_test_setup(loads_are_those_of_the_formula, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
