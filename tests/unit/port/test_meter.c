/* Rates: what may pass, however the stream is cut into pieces. */
#include "meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct midge_meter meter;

/* A stream of packets: PUBLISH of this size every other, PINGREQ between. */
static size_t make_stream(uint8_t *stream, size_t room, size_t body)
{
    size_t used = 0;
    while (used + body + 7 <= room) {
        stream[used++] = 0x30;
        for (size_t left = body;; left >>= 7) {
            stream[used++] = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
            if (left <= 0x7F) {
                break;
            }
        }
        memset(stream + used, 0x30, body); /* a body that looks like the start of more packets */
        used += body;
        stream[used++] = 0xC0;
        stream[used++] = 0;
    }
    return used;
}

static size_t count_messages(const uint8_t *stream, size_t size, size_t body)
{
    size_t header = body > 0x3FFF ? 4 : body > 0x7F ? 3 : 2;
    (void)stream;
    return (size + header + body + 2 - 1) / (header + body + 2);
}

/* Whatever the pieces: in no second more messages begin, and more bytes pass, than the bucket and the rate allow. */
static void no_more_passes_than_the_rate_allows(void **state)
{
    (void)state;
    static uint8_t stream[200000];
    static const size_t bodies[] = {0, 1, 5, 127, 128, 300, 20000};
    static const struct midge_rates rates[] = {{10, 0}, {1, 0}, {0, 1000}, {1000, 500}, {3, 100000}};
    const unsigned seed = 7;
    print_message("seed %u\n", seed);
    srand(seed);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]) * 5; i++) {
        const struct midge_rates *rate = &rates[i % 5];
        size_t body = bodies[i / 5];
        size_t size = make_stream(stream, sizeof(stream), body);
        size_t passed = 0;
        meter.listed = true;
        meter.next = 3;
        midge_meter_start(&meter, true);
        assert_true(meter.listed && meter.next == 3);
        for (uint64_t now_ms = 1000; now_ms < 61000 && passed < size; now_ms += 50) {
            size_t piece = (size_t)rand() % 5000;
            piece = piece < size - passed ? piece : size - passed;
            size_t allowed = midge_meter_allow(&meter, rate, now_ms, stream + passed, piece);
            assert_true(allowed <= piece);
            size_t used = rand() % 4 == 0 ? allowed / 2 : allowed; /* the core may take less */
            midge_meter_count(&meter, rate, stream + passed, used);
            passed += used;
            uint64_t seconds_m = now_ms - 1000 + 1000;
            assert_true(rate->messages == 0 || count_messages(stream, passed, body) * 1000 <= rate->messages * seconds_m);
            assert_true(rate->bytes == 0 || passed * 1000 <= rate->bytes * seconds_m);
        }
    }
}

/* Who stays below the rate is never held up, and who was held up goes on at the rate. */
static void all_that_the_rate_allows_passes(void **state)
{
    (void)state;
    static uint8_t stream[10000];
    static const struct midge_rates rates = {.messages = 5};
    size_t size = make_stream(stream, sizeof(stream), 10);
    size_t each = 10 + 4;
    meter = (struct midge_meter){.follows = true};
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(midge_meter_allow(&meter, &rates, 1000 + i * 200, stream, each), each);
        midge_meter_count(&meter, &rates, stream, each);
    }
    midge_meter_start(&meter, true);
    size_t passed = midge_meter_allow(&meter, &rates, 10000, stream, size);
    midge_meter_count(&meter, &rates, stream, passed);
    assert_int_equal(passed, 5 * each);
    for (uint64_t now_ms = 10200; now_ms < 13000; now_ms += 200) {
        assert_int_equal(midge_meter_allow(&meter, &rates, now_ms - 1, stream + passed, size - passed), 0);
        assert_int_equal(midge_meter_allow(&meter, &rates, now_ms, stream + passed, size - passed), each);
        midge_meter_count(&meter, &rates, stream + passed, each);
        passed += each;
    }
}

/* Only messages count as messages. */
static void other_packets_pass(void **state)
{
    (void)state;
    static const struct midge_rates rates = {.messages = 1};
    static const uint8_t stream[] = {0xC0, 0, 0x30, 3, 0, 1, 'a', 0xC0, 0, 0xC0, 0, 0x31, 3, 0, 1, 'a', 0xC0, 0};
    midge_meter_start(&meter, true);
    size_t passed = midge_meter_allow(&meter, &rates, 5000, stream, sizeof(stream));
    assert_int_equal(passed, 11);
    midge_meter_count(&meter, &rates, stream, passed);
    assert_int_equal(midge_meter_allow(&meter, &rates, 6000, stream + passed, sizeof(stream) - passed),
                     sizeof(stream) - passed);
}

/* A meter that came too late does not know where messages begin, and holds to the bytes only. */
static void a_meter_that_does_not_follow_counts_bytes(void **state)
{
    (void)state;
    static const struct midge_rates rates = {.messages = 1, .bytes = 10};
    static const uint8_t stream[30] = {0x30, 0, 0x30, 0, 0x30, 0};
    midge_meter_start(&meter, false);
    assert_int_equal(midge_meter_allow(&meter, &rates, 5000, stream, sizeof(stream)), 10);
    midge_meter_count(&meter, &rates, stream, 10);
    assert_int_equal(midge_meter_allow(&meter, &rates, 5000, stream, sizeof(stream)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_passes_than_the_rate_allows),
        cmocka_unit_test(all_that_the_rate_allows_passes),
        cmocka_unit_test(other_packets_pass),
        cmocka_unit_test(a_meter_that_does_not_follow_counts_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
