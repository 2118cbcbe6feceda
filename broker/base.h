/* What every file of the core uses: assertions, bytes in network order, the seeded hash. */
#ifndef MIDGE_BASE_H
#define MIDGE_BASE_H

#include "midge.h"

#include <limits.h>
#include <string.h>

/* The number of each source file that audits: the core holds no strings. */
enum midge_file {
    MIDGE_FILE_AUDIT = 1,
    MIDGE_FILE_DELIVERY,
    MIDGE_FILE_INTEREST,
    MIDGE_FILE_RETAINED,
    MIDGE_FILE_SUBSCRIPTIONS
};

/* Stops the program by a trap, also in release builds: only our own bugs get here, never a peer's bytes. The address of the
 * trap, which a fault handler prints and a core file holds, tells which assertion failed; to name it costs two bytes so. */
#define MIDGE_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())

/* For a function that is rarely needed: where speed counts, it is kept out of the way of what each message passes. */
#ifdef __OPTIMIZE_SIZE__
#define MIDGE_RARE
#else
#define MIDGE_RARE __attribute__((cold, noinline))
#endif

/* The place of a check of midge_audit. Each file that has one defines MIDGE_FILE, one of enum midge_file. */
#define MIDGE_PLACE ((uint32_t)MIDGE_FILE * 0x10000u + (uint32_t)__LINE__)

static inline uint32_t midge_min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint16_t midge_get_u16(const uint8_t *bytes)
{
    return (uint16_t)((uint32_t)bytes[0] << 8 | bytes[1]);
}

static inline void midge_put_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)(value & 0xff);
}

/* A keyed hash: the words of the string, `tweak` before them, are the coefficients of a polynomial modulo 2^31 - 1, which is
 * evaluated at one half of the key (J. L. Carter and M. N. Wegman, 1979) and multiplied by the other, which spreads it over
 * the upper bits (M. Dietzfelbinger and others, 1997). A peer that does not know the key cannot choose strings that collide:
 * two strings of n words do under n of half a billion keys. That holds as long as peers do not see the hashes. */
uint32_t midge_hash(const uint64_t *key, uint32_t tweak, const uint8_t *bytes, uint32_t size);

/* Makes the key of a seed of 64 random bits. */
uint64_t midge_hash_key(uint64_t seed);

/* Maps a hash onto 0 .. count - 1 without a division; count > 0. */
static inline uint32_t midge_hash_bucket(uint32_t hash, uint32_t count)
{
    return (uint32_t)(((uint64_t)hash * count) >> 32);
}

#endif
