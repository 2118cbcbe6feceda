/* What the readings of the temperature sensor make of the entropy. The emulator has no such sensor. */
#include "../board.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define READINGS 64u
#define SEQUENCER_3 8u

static uint32_t readings[READINGS];
static uint32_t reading; /* how many were taken */
static bool works;
static uint32_t active, started, control, status, other;

volatile uint32_t *played_register(uint32_t address)
{
    switch (address) {
    case 0x40038000u:
        return &active;
    case 0x40038028u:
        return &started;
    case 0x400380A4u:
        return &control;
    case 0x400380ACu: /* bit 8: nothing has been read since the last start */
        status = works && active == SEQUENCER_3 && control == 0xEu && started == SEQUENCER_3 ? 0 : 1u << 8;
        return &status;
    case 0x400380A8u:
        started = 0;
        return works ? &readings[reading++ % READINGS] : &other;
    default:
        fail_msg("a register that has nothing to do with entropy: %x", address);
    }
    return &other;
}

void midge_cortex_m_tick_start(uint32_t clock_hz)
{
    (void)clock_hz;
}

void midge_cortex_m_wake_on(uint32_t number)
{
    (void)number;
}

uint64_t midge_cortex_m_ram_hash(void)
{
    return 0x1234567890ABCDEFu;
}

uint32_t midge_board_entropy_tick(void)
{
    return 7;
}

static uint64_t gather(void)
{
    reading = 0;
    return midge_board_entropy();
}

static void each_reading_counts(void **state)
{
    uint64_t before;
    uint32_t i;

    (void)state;
    works = true;
    before = gather();
    assert_int_equal(reading, READINGS);
    assert_int_equal(active, 0);
    assert_true(before == gather());
    for (i = 0; i < READINGS; i++) {
        readings[i] ^= 1;
        assert_false(before == gather());
        readings[i] ^= 1;
    }
}

static void goes_on_without_a_sensor(void **state)
{
    (void)state;
    works = false;
    assert_true(gather() != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reading_counts),
        cmocka_unit_test(goes_on_without_a_sensor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
