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

uint32_t midge_hash(uint64_t seed, uint32_t tweak, const uint8_t *bytes, uint32_t size)
{
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)(seed >> 32);
    uint32_t v[4] = {k0 ^ tweak, k1, UINT32_C(0x6c796765) ^ k0, UINT32_C(0x74656462) ^ k1};
    uint32_t left = size;
    bool last = false;
    while (!last) {
        uint32_t word = size << 24;
        last = left < sizeof(word);
        if (last) {
            while (left > 0) {
                left--;
                word |= (uint32_t)bytes[left] << (8 * left);
            }
        } else {
            memcpy(&word, bytes, sizeof(word));
            bytes += sizeof(word);
            left -= (uint32_t)sizeof(word);
        }
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (uint32_t i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[1] ^ v[3];
}
