/* Random numbers (SplitMix64, S. Vigna). Every step of a simulation seeds its own generator from the seed and the number of
 * the step, so that leaving a step out does not change what the others draw: that is what makes shrinking possible. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream)
{
    rng->state = rng_mix(seed ^ rng_mix(stream));
}

static inline uint32_t rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    return (uint32_t)(rng_mix(rng->state) >> 32);
}

/* 0 .. count - 1; count > 0. */
static inline uint32_t rng_below(struct rng *rng, uint32_t count)
{
    return (uint32_t)(((uint64_t)rng_next(rng) * count) >> 32);
}

/* low .. high, both included. */
static inline uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high)
{
    return low + rng_below(rng, high - low + 1);
}

/* low .. high, small values as likely as large ones; low > 0. */
static inline uint32_t rng_scale(struct rng *rng, uint32_t low, uint32_t high)
{
    uint32_t bits = 0;
    while (bits < 31 && (high >> (bits + 1)) >= low) {
        bits++;
    }
    uint32_t top = high >> rng_below(rng, bits + 1);
    return rng_between(rng, low, top < low ? low : top);
}

static inline bool rng_percent(struct rng *rng, uint32_t percent)
{
    return rng_below(rng, 100) < percent;
}

static inline bool rng_permille(struct rng *rng, uint32_t permille)
{
    return rng_below(rng, 1000) < permille;
}

#endif
