#include "base.h"

static inline uint32_t rotate(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32u - bits);
}

static inline void sip_round(uint32_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 5) ^ v[0];
    v[0] = rotate(v[0], 16);
    v[2] += v[3];
    v[3] = rotate(v[3], 8) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 7) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 13) ^ v[2];
    v[2] = rotate(v[2], 16);
}

static inline void sip_word(uint32_t v[4], uint32_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

void midge_hash_begin(struct midge_hash *hash, uint64_t seed, uint32_t tweak)
{
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)(seed >> 32);
    *hash = (struct midge_hash){.v = {k0, k1, UINT32_C(0x6c796765) ^ k0, UINT32_C(0x74656462) ^ k1}};
    sip_word(hash->v, tweak);
}

void midge_hash_add(struct midge_hash *hash, const uint8_t *bytes, uint32_t size)
{
    uint32_t i = 0;
    while (i < size) {
        if (hash->size % 4 == 0 && size - i >= 4) {
            uint32_t word =
                (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
            sip_word(hash->v, word);
            i += 4;
            hash->size += 4;
            continue;
        }
        hash->word |= (uint32_t)bytes[i] << (8 * (hash->size % 4));
        i++;
        if (++hash->size % 4 == 0) {
            sip_word(hash->v, hash->word);
            hash->word = 0;
        }
    }
}

uint32_t midge_hash_end(struct midge_hash *hash)
{
    sip_word(hash->v, hash->word | hash->size << 24);
    hash->v[2] ^= 0xff;
    sip_round(hash->v);
    sip_round(hash->v);
    sip_round(hash->v);
    return hash->v[1] ^ hash->v[3];
}

uint32_t midge_hash(uint64_t seed, uint32_t tweak, const uint8_t *bytes, uint32_t size)
{
    struct midge_hash hash;
    midge_hash_begin(&hash, seed, tweak);
    midge_hash_add(&hash, bytes, size);
    return midge_hash_end(&hash);
}
