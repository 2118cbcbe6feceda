/* Random numbers for what a peer should not guess: the hash seed, TCP's first sequence numbers. As good as the board's entropy,
 * no better; see the board's README. */
#ifndef MIDGE_RANDOM_H
#define MIDGE_RANDOM_H

#include <stdint.h>

/* Adds something that an attacker can guess only in part, such as the moment of an arrival. */
void midge_random_stir(uint64_t value);

uint32_t midge_random(void);
uint64_t midge_random_u64(void);

#endif
