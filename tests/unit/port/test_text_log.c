/* The line that a log record becomes, and the text it is put together in. */
#include "log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char buffer[MIDGE_LOG_LINE_SIZE];
static struct midge_text text;

static struct midge_view view(const char *string)
{
    return (struct midge_view){(const uint8_t *)string, (uint32_t)strlen(string)};
}

static void expect_line(const struct midge_log *record, const char *expected)
{
    midge_text_start(&text, buffer, sizeof(buffer));
    midge_log_line(&text, record, "127.0.0.1:5000");
    assert_string_equal(buffer, expected);
    assert_int_equal(text.used, strlen(expected));
}

static void text_is_cut_off_at_its_end(void **state)
{
    (void)state;
    char small[6] = "xxxxx";
    midge_text_start(&text, small, sizeof(small));
    assert_string_equal(small, "");
    midge_text_add(&text, "abc");
    midge_text_add_number(&text, 12345);
    assert_string_equal(small, "abc12");
    midge_text_add(&text, "more");
    midge_text_add_foreign(&text, view("more\n"));
    assert_string_equal(small, "abc12");
    assert_int_equal(midge_text_view(&text).size, 5);
}

static void numbers_are_decimal(void **state)
{
    (void)state;
    midge_text_start(&text, buffer, sizeof(buffer));
    midge_text_add_number(&text, 0);
    midge_text_add(&text, " ");
    midge_text_add_number(&text, UINT64_MAX);
    midge_text_add(&text, " ");
    midge_text_add_hundredths(&text, 5);
    midge_text_add(&text, " ");
    midge_text_add_hundredths(&text, 1230);
    assert_string_equal(buffer, "0 18446744073709551615 0.05 12.30");
}

static void numbers_are_what_the_c_library_says(void **state)
{
    (void)state;
    for (int bits = 1; bits < 64; bits++) {
        for (int more = -1; more <= 1; more++) {
            uint64_t number = ((uint64_t)1 << bits) + (uint64_t)more;
            char wanted[24];
            (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, number);
            midge_text_start(&text, buffer, sizeof(buffer));
            midge_text_add_number(&text, number);
            assert_string_equal(buffer, wanted);
        }
    }
}

static void foreign_text_cannot_forge_a_line(void **state)
{
    (void)state;
    midge_text_start(&text, buffer, sizeof(buffer));
    midge_text_add_foreign(&text, view("a\n\x1b[2J\"\\\x7f"));
    assert_string_equal(buffer, "a\\x0a\\x1b[2J\\x22\\x5c\\x7f");
}

static void foreign_text_keeps_utf8_and_escapes_what_is_not(void **state)
{
    (void)state;
    midge_text_start(&text, buffer, sizeof(buffer));
    midge_text_add_foreign(&text, view("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    assert_string_equal(buffer, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    midge_text_start(&text, buffer, sizeof(buffer));
    midge_text_add_foreign(&text, view("\xc2\x9b"
                                       "1m\xff\xc3"
                                       "x\xe2\x82"));
    assert_string_equal(buffer, "\\xc2\\x9b1m\\xff\\xc3x\\xe2\\x82");
}

static void a_connect_names_client_and_address(void **state)
{
    (void)state;
    struct midge_log record = {.event = MIDGE_LOG_CONNECTED, .client_id = view("abc"), .size = 60};
    expect_line(&record, "New client connected from 127.0.0.1:5000 as abc (new session, keep alive 60 s).");
    record.code = 1;
    expect_line(&record, "New client connected from 127.0.0.1:5000 as abc (session present, keep alive 60 s).");
    assert_int_equal(midge_log_level(&record), MIDGE_LEVEL_NOTICE);
}

static void a_refusal_names_the_setting(void **state)
{
    (void)state;
    struct midge_log record = {.event = MIDGE_LOG_REFUSED, .client_id = view("abc"), .reason = MIDGE_CLIENTS_FULL, .code = 3};
    expect_line(&record, "Client abc at 127.0.0.1:5000 refused with return code 3: too many clients (setting: max_connections, "
                         "global_max_connections).");
}

static void a_size_that_was_exceeded_names_client_topic_size_and_setting(void **state)
{
    (void)state;
    struct midge_log record = {.event = MIDGE_LOG_DISCONNECTED,
                               .client_id = view("cam"),
                               .reason = MIDGE_PACKET_SIZE,
                               .topic = view("cam/1"),
                               .size = 3000000,
                               .limit = 2097152};
    expect_line(&record,
                "Client cam at 127.0.0.1:5000 disconnected: packet too large: 3000000 where 2097152 is the limit, topic "
                "\"cam/1\" (setting: max_packet_size, limit_blocks).");
}

static void a_broken_rule_names_its_clause(void **state)
{
    (void)state;
    struct midge_log record = {.event = MIDGE_LOG_DISCONNECTED, .reason = MIDGE_KEEPALIVE};
    expect_line(&record, "Client <unknown> at 127.0.0.1:5000 disconnected: exceeded keep alive [MQTT-3.1.2-24].");
}

static void losses_are_warnings(void **state)
{
    (void)state;
    struct midge_log record = {
        .event = MIDGE_LOG_DROPPED, .client_id = view("abc"), .reason = MIDGE_QUEUE_FULL, .topic = view("t"), .size = 12};
    expect_line(&record, "Message for abc dropped, topic \"t\", payload of 12 bytes: queue full (setting: max_queued_messages, "
                         "max_queued_bytes, limit_deliveries, limit_blocks).");
    assert_int_equal(midge_log_level(&record), MIDGE_LEVEL_WARNING);
    record.reason = MIDGE_WRITE_DENIED;
    expect_line(&record, "Message from abc dropped, topic \"t\", payload of 12 bytes: publishing denied (setting: acl_file, "
                         "or $SYS).");
    record.reason = MIDGE_QOS0_WAIT;
    expect_line(&record, "Message for abc dropped, topic \"t\", payload of 12 bytes: no room for a QoS 0 message in time "
                         "(setting: overflow_wait, limit_blocks, limit_deliveries).");
    record.topic.size = 0;
    expect_line(&record, "Message from abc dropped, payload of 12 bytes: no room for a QoS 0 message in time (setting: "
                         "overflow_wait, limit_blocks, limit_deliveries).");
    record = (struct midge_log){.event = MIDGE_LOG_DROPPED, .reason = MIDGE_RETAINED_FULL, .topic = view("t"), .size = 12};
    expect_line(&record, "Message not retained, topic \"t\", payload of 12 bytes: no room to retain the message (setting: "
                         "limit_retained_messages, limit_retained_bytes, limit_topic_nodes, limit_names, limit_blocks).");
    record = (struct midge_log){
        .event = MIDGE_LOG_DENIED, .client_id = view("abc"), .reason = MIDGE_SUBSCRIPTIONS_FULL, .topic = view("t/#")};
    expect_line(&record, "Client abc at 127.0.0.1:5000 was refused the subscription to \"t/#\": no room for the subscription "
                         "(setting: limit_subscriptions, limit_filter_nodes, limit_names).");
    record =
        (struct midge_log){.event = MIDGE_LOG_SESSION_GONE, .client_id = view("abc"), .reason = MIDGE_SESSION_CLEAN, .size = 1};
    expect_line(&record,
                "Session of abc removed with 1 undelivered message: session discarded by clean session [MQTT-3.1.2-6].");
}

static void a_packet_is_one_line(void **state)
{
    (void)state;
    struct midge_log record = {
        .event = MIDGE_LOG_RECEIVED, .client_id = view("abc"), .packet = 0x3B, .packet_id = 7, .topic = view("t"), .size = 44};
    expect_line(&record, "Received PUBLISH from abc (d1, q1, r1, m7, \"t\", 44 bytes)");
    record.packet = 0x34;
    expect_line(&record, "Received PUBLISH from abc (d0, q2, r0, m7, \"t\", 44 bytes)");
    record = (struct midge_log){.event = MIDGE_LOG_SENT, .client_id = view("abc"), .packet = 0x20, .code = 5, .size = 4};
    expect_line(&record, "Sending CONNACK to abc (return code 5, 4 bytes)");
    record = (struct midge_log){.event = MIDGE_LOG_SENT, .client_id = view("abc"), .packet = 0xD0, .size = 2};
    expect_line(&record, "Sending PINGRESP to abc (2 bytes)");
    assert_int_equal(midge_log_level(&record), MIDGE_LEVEL_DEBUG);
}

static void subscriptions_are_lines(void **state)
{
    (void)state;
    struct midge_log record = {.event = MIDGE_LOG_SUBSCRIBED, .client_id = view("abc"), .topic = view("t/#"), .code = 1};
    expect_line(&record, "Client abc at 127.0.0.1:5000 subscribed to \"t/#\" with QoS 1.");
    assert_int_equal(midge_log_level(&record), MIDGE_LEVEL_SUBSCRIBE);
    record.event = MIDGE_LOG_UNSUBSCRIBED;
    expect_line(&record, "Client abc at 127.0.0.1:5000 unsubscribed from \"t/#\".");
    assert_int_equal(midge_log_level(&record), MIDGE_LEVEL_UNSUBSCRIBE);
}

/* Every reason in every event makes a whole sentence, even where all strings are as long and as bad as they can be. */
static void no_record_is_too_long(void **state)
{
    (void)state;
    static uint8_t bad[128];
    memset(bad, 0xFF, sizeof(bad));
    for (int event = MIDGE_LOG_CONNECTED; event <= MIDGE_LOG_UNSUBSCRIBED; event++) {
        for (int reason = 0; reason < MIDGE_REASON_COUNT; reason++) {
            struct midge_log record = {.event = (enum midge_log_event)event,
                                       .reason = (enum midge_reason)reason,
                                       .client_id = {bad, 64},
                                       .topic = {bad, 128},
                                       .size = UINT32_MAX,
                                       .limit = UINT32_MAX,
                                       .packet_id = 65535,
                                       .packet = 0x3F,
                                       .code = 255};
            midge_text_start(&text, buffer, sizeof(buffer));
            midge_log_line(&text, &record, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
            assert_true(text.used > 20);
            char last = buffer[text.used - 1];
            assert_true(last == '.' || last == ')');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_off_at_its_end),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(numbers_are_what_the_c_library_says),
        cmocka_unit_test(foreign_text_cannot_forge_a_line),
        cmocka_unit_test(foreign_text_keeps_utf8_and_escapes_what_is_not),
        cmocka_unit_test(a_connect_names_client_and_address),
        cmocka_unit_test(a_refusal_names_the_setting),
        cmocka_unit_test(a_size_that_was_exceeded_names_client_topic_size_and_setting),
        cmocka_unit_test(a_broken_rule_names_its_clause),
        cmocka_unit_test(losses_are_warnings),
        cmocka_unit_test(a_packet_is_one_line),
        cmocka_unit_test(subscriptions_are_lines),
        cmocka_unit_test(no_record_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
