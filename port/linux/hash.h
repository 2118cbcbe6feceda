/*
 * A hash of bytes for tables. With a secret seed, others can hardly choose bytes that collide.
 */
#ifndef MIDGE_PORT_HASH_H
#define MIDGE_PORT_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t midge_hash_bytes(uint64_t seed, const uint8_t *bytes, size_t size)
{
    uint64_t hash = seed ^ (size * UINT64_C(0x9E3779B97F4A7C15));
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0xBF58476D1CE4E5B9);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

#endif
