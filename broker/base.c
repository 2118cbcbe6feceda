#include "base.h"

/* 2^31 - 1, a prime: what is beyond its 31 bits is added to them. One step leaves a number below 2^32, congruent to its
 * product, as long as one of the factors is below 2^30. */
enum { PRIME = 0x7fffffff };

static inline uint32_t fold(uint64_t product)
{
    return ((uint32_t)product & PRIME) + (uint32_t)(product >> 31);
}

uint64_t midge_hash_key(uint64_t seed)
{
    uint32_t at = ((uint32_t)seed & 0x1fffffff) | 0x20000000;
    /* The golden ratio, so that seeds with few bits spread as well. */
    uint32_t factor = (uint32_t)(seed >> 32) << 1 ^ 0x9e3779b1;
    return (uint64_t)factor << 32 | at;
}

uint32_t midge_hash(const uint64_t *key, uint32_t tweak, const uint8_t *bytes, uint32_t size)
{
    uint32_t at = (uint32_t)*key;
    uint32_t hash = tweak;
    uint32_t left = size;
    uint32_t word;
    while (left >= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = fold((uint64_t)hash * at + word);
        bytes += sizeof(word);
        left -= (uint32_t)sizeof(word);
    }
    /* The size makes strings different that differ in zeros at their end. */
    word = size;
    while (left > 0) {
        word = word << 8 | *bytes++;
        left--;
    }
    return fold((uint64_t)hash * at + word) * (uint32_t)(*key >> 32);
}
