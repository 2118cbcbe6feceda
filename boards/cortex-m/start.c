/*
 * From the reset vector to main: the vector table, the memory, the painted stack.
 *
 * The stack lies at the very start of the RAM, so that an overflow faults below the RAM's first address instead of growing
 * into the data.
 */
#include "cortex_m.h"

#include "board.h"

#define PAINT 0xC5C5C5C5u

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
    (void)main();
    midge_board_restart();
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
