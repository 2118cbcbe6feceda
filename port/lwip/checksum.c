#include "checksum.h"

#include <string.h>

static uint32_t load(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Carries gather in the sum's upper half: 2^32 words fit. */
uint16_t midge_checksum(const void *bytes, int size)
{
    const uint8_t *at = bytes;
    uint8_t last[4] = {0};
    uint64_t sum = 0;
    uint32_t folded;

    for (; size >= 16; size -= 16, at += 16) {
        sum += load(at);
        sum += load(at + 4);
        sum += load(at + 8);
        sum += load(at + 12);
    }
    for (; size >= 4; size -= 4, at += 4) {
        sum += load(at);
    }
    if (size > 0) {
        memcpy(last, at, (size_t)size);
        sum += load(last);
    }
    sum = (sum & 0xFFFFFFFFu) + (sum >> 32);
    folded = (uint32_t)(sum & 0xFFFFu) + ((uint32_t)sum >> 16) + (uint32_t)(sum >> 32);
    folded = (folded & 0xFFFFu) + (folded >> 16);
    folded = (folded & 0xFFFFu) + (folded >> 16);
    return (uint16_t)folded;
}
