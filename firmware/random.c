#include "random.h"

static uint64_t state;

/* SplitMix64 (S. Vigna, public domain): its finalizer spreads each bit of the state over the whole result. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

/* Called for each frame, so it does little: an FNV-1a step, which loses nothing of the state. */
void midge_random_stir(uint64_t value)
{
    state = (state ^ value) * 0x100000001B3u;
}

uint64_t midge_random_u64(void)
{
    state += 0x9E3779B97F4A7C15u;
    return mix(state);
}

uint32_t midge_random(void)
{
    return (uint32_t)(midge_random_u64() >> 32);
}
