/* What every unit test starts with: cmocka and the headers it wants before it, and random numbers whose seed is printed. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNIT_COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* Random numbers (splitmix64). */
struct unit_random {
    uint64_t state;
};

/* Begins random numbers, different in each run, and prints the seed; the environment's MIDGE_SEED replays a run. */
struct unit_random unit_random_begin(const char *test);

uint64_t unit_random_next(struct unit_random *random);

/* 0 .. count - 1. */
static inline uint32_t unit_random_below(struct unit_random *random, uint32_t count)
{
    return (uint32_t)(unit_random_next(random) % count);
}

/* Memory of exactly this size, zeroed, so that the sanitizer finds an access beyond it. The caller frees it. */
static inline void *unit_memory(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);
    assert_non_null(memory);
    return memory;
}

/* A copy of some bytes in memory of exactly that size. The caller frees it. */
static inline uint8_t *unit_copy(const void *bytes, size_t size)
{
    uint8_t *copy = unit_memory(size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* Fills bytes so that each differs from its neighbours and from the same byte of another string. */
static inline void unit_fill(uint8_t *bytes, uint32_t size, uint32_t salt)
{
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + salt * 31 + 1);
    }
}

#endif
