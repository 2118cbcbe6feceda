/*
 * From the reset vector to main: the vector table, the memory, the painted stack; and back to the reset vector.
 *
 * The stack lies at the very start of the RAM, so that an overflow faults below the RAM's first address instead of growing
 * into the data.
 */
#include "cortex_m.h"

#include "board.h"

#define SCB_AIRCR MIDGE_REGISTER(0xE000ED0Cu)
#define AIRCR_RESET 0x05FA0004u

#define PAINT 0xC5C5C5C5u

/* What a run leaves in the RAM, for the next one to know how it ended. After power-on there is neither. */
#define RUNNING 0x4D696467u
#define RESTARTING 0x65526573u

typedef void (*vector)(void);

/* Set by the linker script. */
extern uint32_t midge_stack_start[], midge_stack_end[];
extern uint32_t midge_data_start[], midge_data_end[], midge_bss_start[], midge_bss_end[];
extern const uint32_t midge_data_load[];

void midge_cortex_m_reset(void);
void midge_cortex_m_fault(void);
void midge_cortex_m_tick(void);
void midge_cortex_m_wake(void);
int main(void);

static uint64_t ram_hash __attribute__((section(".noinit")));
static volatile uint32_t this_run __attribute__((section(".noinit")));
static uint32_t last_run __attribute__((section(".noinit")));

__attribute__((section(".vectors"), used)) static const vector vectors[16 + BOARD_INTERRUPTS] = {
    (vector)midge_stack_end,
    midge_cortex_m_reset,
    [2 ... 14] = midge_cortex_m_fault,
    [15] = midge_cortex_m_tick,
    [16 ... 16 + BOARD_INTERRUPTS - 1] = midge_cortex_m_wake, /* these only end sleeps */
};

/* Runs before the RAM is set up and uses only the part of the stack that it itself has painted around, so it is one function
 * without calls. The hash (FNV-1a over words) is of what was in the RAM: noise after power-on, the last run's data after a
 * restart. */
void midge_cortex_m_reset(void)
{
    uint64_t hash = 0xCBF29CE484222325u;
    volatile uint32_t *word;
    const uint32_t *from = midge_data_load;
    uint32_t marker;

    for (word = midge_data_start; word < midge_bss_end; word++) {
        hash = (hash ^ *word) * 0x100000001B3u;
    }
    for (word = midge_stack_start; word + 32 < &marker; word++) {
        *word = PAINT;
    }
    for (word = midge_data_start; word < midge_data_end; word++) {
        *word = *from++;
    }
    for (word = midge_bss_start; word < midge_bss_end; word++) {
        *word = 0;
    }
    ram_hash = hash;
    last_run = this_run;
    this_run = RUNNING;
    (void)main();
    midge_board_restart();
}

_Noreturn void midge_board_restart(void)
{
    this_run = RESTARTING;
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
        __asm volatile("wfi");
    }
}

const char *midge_board_start_reason(void)
{
    if (last_run == RUNNING) {
        return "reset from outside or by the watchdog";
    }
    return last_run == RESTARTING ? "restarted by the program" : "power on";
}

uint64_t midge_cortex_m_ram_hash(void)
{
    return ram_hash;
}

uint32_t midge_board_stack_size(void)
{
    return (uint32_t)((uintptr_t)midge_stack_end - (uintptr_t)midge_stack_start);
}

uint32_t midge_board_stack_untouched(void)
{
    const uint32_t *word = midge_stack_start;

    while (word < midge_stack_end && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)word - (uintptr_t)midge_stack_start);
}
