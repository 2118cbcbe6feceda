#include "base.h"

/* One step of the polynomial modulo 2^31 - 1, in numbers below 2^32: the upper bits of the product, from 2^31 on, are added to
 * the lower ones, and 2 for the 2^32 of a carry. The key is doubled, so that the upper bits are the upper word. */
static inline uint32_t step(uint32_t hash, uint32_t twice_at, uint32_t word)
{
    uint64_t twice = (uint64_t)hash * twice_at;
    uint32_t sum = (uint32_t)(twice >> 32) + ((uint32_t)twice >> 1) + word;
    return sum < word ? sum + 2 : sum;
}

uint64_t midge_hash_key(uint64_t seed)
{
    uint32_t twice_at = ((uint32_t)seed << 1 & 0x3fffffff) | 0x40000000;
    /* The golden ratio, so that seeds with few bits spread as well. */
    uint32_t factor = (uint32_t)(seed >> 32) << 1 ^ 0x9e3779b1;
    return (uint64_t)factor << 32 | twice_at;
}

uint32_t midge_hash(const uint64_t *key, uint32_t tweak, const uint8_t *bytes, uint32_t size)
{
    uint32_t twice_at = (uint32_t)*key;
    uint32_t hash = tweak;
    uint32_t word;
    const uint8_t *end = bytes + size;
    while ((uint32_t)(end - bytes) >= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = step(hash, twice_at, word);
        bytes += sizeof(word);
    }
    /* The size makes strings different that differ in zeros at their end. */
    word = size;
    while (bytes != end) {
        word = word << 8 | *bytes++;
    }
    return step(hash, twice_at, word) * (uint32_t)(*key >> 32);
}
