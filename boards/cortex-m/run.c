/* While the board runs: the tick, sleep and wake. */
#include "cortex_m.h"

#include "board.h"

#define SYSTICK_CONTROL MIDGE_REGISTER(0xE000E010u)
#define SYSTICK_RELOAD MIDGE_REGISTER(0xE000E014u)
#define SYSTICK_CURRENT MIDGE_REGISTER(0xE000E018u)
#define NVIC_ENABLE(n) MIDGE_REGISTER(0xE000E100u + 4u * (n))
#define NVIC_DISABLE(n) MIDGE_REGISTER(0xE000E180u + 4u * (n))
#define NVIC_CLEAR_PENDING(n) MIDGE_REGISTER(0xE000E280u + 4u * (n))
#define SCB_ICSR MIDGE_REGISTER(0xE000ED04u)

/* lwIP's shortest timer is 250 ms and MQTT counts in seconds: waking a hundred times a second is often enough. */
#define TICK_MS 10u

#define WAKE_SOURCES 4

void midge_cortex_m_tick(void);
void midge_cortex_m_wake(void);

static volatile uint32_t ticks_low;
static volatile uint32_t ticks_high;
static uint8_t wake_numbers[WAKE_SOURCES];
static uint8_t wake_count;

void midge_cortex_m_tick_start(uint32_t clock_hz)
{
    SYSTICK_RELOAD = clock_hz / 1000u * TICK_MS - 1u;
    SYSTICK_CURRENT = 0;
    SYSTICK_CONTROL = 7; /* on, with an interrupt, from the processor's clock */
}

void midge_cortex_m_tick(void)
{
    ticks_low++;
    if (ticks_low == 0) {
        ticks_high++;
    }
}

uint32_t midge_board_entropy_tick(void)
{
    return SYSTICK_CURRENT;
}

uint64_t midge_board_now_ms(void)
{
    uint32_t high, low;

    do {
        high = ticks_high;
        low = ticks_low;
    } while (high != ticks_high);
    return (((uint64_t)high << 32) | low) * TICK_MS;
}

void midge_cortex_m_wake_on(uint32_t number)
{
    if (wake_count < WAKE_SOURCES) {
        wake_numbers[wake_count++] = (uint8_t)number;
    }
}

/* An interrupt of a device has done its work once it has ended a sleep: the loop polls the devices. So it only turns itself
 * off, and the next sleep turns it on again. */
void midge_cortex_m_wake(void)
{
    uint32_t number = (SCB_ICSR & 0x1FFu) - 16u;

    NVIC_DISABLE(number / 32u) = 1u << (number % 32u);
}

/* Interrupts are masked between the last look at the device and WFI, which a pending one ends all the same: no frame can slip
 * in between and wait for the next tick. What the devices asked for until now has been done: it is still pending, and would
 * turn its interrupt off at once if it were let in, so that the next frame could not end the sleep. */
void midge_board_sleep(void)
{
    uint32_t i;

    __asm volatile("cpsid i" ::: "memory");
    for (i = 0; i < wake_count; i++) {
        NVIC_CLEAR_PENDING(wake_numbers[i] / 32u) = 1u << (wake_numbers[i] % 32u);
        NVIC_ENABLE(wake_numbers[i] / 32u) = 1u << (wake_numbers[i] % 32u);
    }
    if (!midge_board_ethernet_pending()) {
        __asm volatile("dsb\n wfi" ::: "memory");
    }
    __asm volatile("cpsie i\n isb" ::: "memory");
}
