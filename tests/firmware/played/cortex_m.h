/* In place of the processor's own, for tests of a board's code on the host: its registers are what the test says. */
#ifndef MIDGE_CORTEX_M_H
#define MIDGE_CORTEX_M_H

#include <stdint.h>

/* Called before each access. Returns where the register's value is, or goes. */
volatile uint32_t *played_register(uint32_t address);

#define MIDGE_REGISTER(address) (*played_register(address))

void midge_cortex_m_tick_start(uint32_t clock_hz);
void midge_cortex_m_wake_on(uint32_t number);
uint64_t midge_cortex_m_ram_hash(void);

#endif
