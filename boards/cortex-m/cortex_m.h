/* What the boards with an ARMv7-M processor share: start, fault handler, tick, sleep. */
#ifndef MIDGE_CORTEX_M_H
#define MIDGE_CORTEX_M_H

#include <stdint.h>

/* A register at an address. */
#define MIDGE_REGISTER(address) (*(volatile uint32_t *)(address))

/* Starts the tick. `clock_hz` is the processor's clock. */
void midge_cortex_m_tick_start(uint32_t clock_hz);

/* Lets interrupt `number` end a sleep. */
void midge_cortex_m_wake_on(uint32_t number);

/* A hash of what the RAM held before the start cleared it. */
uint64_t midge_cortex_m_ram_hash(void);

#endif
