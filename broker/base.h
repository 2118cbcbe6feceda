/* What every file of the core uses: assertions, bytes in network order, the seeded hash. */
#ifndef MIDGE_BASE_H
#define MIDGE_BASE_H

#include "midge.h"

#include <limits.h>
#include <string.h>

/* The number of each source file, for assertions and audits: the core holds no strings. */
enum midge_file {
    MIDGE_FILE_POOL = 1,
    MIDGE_FILE_NAMES,
    MIDGE_FILE_TREE,
    MIDGE_FILE_TIMERS,
    MIDGE_FILE_STORE,
    MIDGE_FILE_PACKET,
    MIDGE_FILE_DELIVERY,
    MIDGE_FILE_SUBSCRIPTIONS,
    MIDGE_FILE_RETAINED,
    MIDGE_FILE_SESSION,
    MIDGE_FILE_INTEREST,
    MIDGE_FILE_WAITING,
    MIDGE_FILE_ROUTE,
    MIDGE_FILE_PUBLISHING,
    MIDGE_FILE_REPLIES,
    MIDGE_FILE_CONNECTION,
    MIDGE_FILE_CONNECT,
    MIDGE_FILE_HANDLERS,
    MIDGE_FILE_INPUT,
    MIDGE_FILE_OUTPUT,
    MIDGE_FILE_BROKER,
    MIDGE_FILE_AUDIT
};

/* The place of the assertion that failed, for a fault handler or a debugger: file in the upper, line in the lower 16 bits. */
extern volatile uint32_t midge_panic_place;

/* Stops the program by a trap: only our own bugs get here, never a peer's bytes. */
_Noreturn void midge_panic(uint32_t place);

/* Stays on in release builds. Each source file defines MIDGE_FILE, one of enum midge_file. */
#define MIDGE_PLACE ((uint32_t)MIDGE_FILE * 0x10000u + (uint32_t)__LINE__)
#define MIDGE_ASSERT(condition) ((condition) ? (void)0 : midge_panic(MIDGE_PLACE))

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

/* A keyed hash (HalfSipHash-1-3, J.-P. Aumasson and D. J. Bernstein): a peer that does not know the seed cannot choose strings
 * that collide. It takes its bytes in pieces, since names lie in chunks. */
struct midge_hash {
    uint32_t v[4];
    uint32_t word; /* the bytes, size % 4 of them, that do not fill a word yet */
    uint32_t size;
};

void midge_hash_begin(struct midge_hash *hash, uint64_t seed, uint32_t tweak);
void midge_hash_add(struct midge_hash *hash, const uint8_t *bytes, uint32_t size);
uint32_t midge_hash_end(struct midge_hash *hash);

/* The hash of one piece. */
uint32_t midge_hash(uint64_t seed, uint32_t tweak, const uint8_t *bytes, uint32_t size);

/* Maps a hash onto 0 .. count - 1 without a division; count > 0. */
static inline uint32_t midge_hash_bucket(uint32_t hash, uint32_t count)
{
    return (uint32_t)(((uint64_t)hash * count) >> 32);
}

#endif
