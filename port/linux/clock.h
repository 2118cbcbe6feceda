/*
 * The clock that never goes back.
 */
#ifndef MIDGE_CLOCK_H
#define MIDGE_CLOCK_H

#include <stdint.h>

uint64_t midge_clock_us(void);

#endif
