#include "topic.h"

/* Whether the four bytes at `bytes` are all ASCII and none is NUL: nearly all strings are checked by this alone. */
static bool plain_word(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return ((word | (word - UINT32_C(0x01010101))) & UINT32_C(0x80808080)) == 0;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The size of the well-formed character that starts with a byte over 0x7f, 0 where it is ill-formed (table 3-7 of the Unicode
 * standard: neither overlong, nor a surrogate, nor beyond U+10FFFF). */
static uint32_t character_size(const uint8_t *bytes, uint32_t size)
{
    uint8_t lead = bytes[0];
    uint32_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                      : lead >= 0xe0 && lead <= 0xef ? 3
                      : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    for (uint32_t i = 1; i < length; i++) {
        if (!is_continuation(bytes[i])) {
            return 0;
        }
    }
    uint8_t second = bytes[1];
    bool wrong = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
                 (lead == 0xf4 && second > 0x8f);
    return wrong ? 0 : length;
}

enum midge_reason midge_string_check(const uint8_t *bytes, uint32_t size)
{
    uint32_t i = 0;
    while (i < size) {
        if (size - i >= 4 && plain_word(bytes + i)) {
            i += 4;
        } else if (bytes[i] == 0) {
            return MIDGE_NUL_CHARACTER;
        } else if (bytes[i] < 0x80) {
            i++;
        } else {
            uint32_t length = character_size(bytes + i, size - i);
            if (length == 0) {
                return MIDGE_BAD_UTF8;
            }
            i += length;
        }
    }
    return MIDGE_NONE;
}

enum midge_reason midge_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    enum midge_reason reason = midge_string_check(bytes, size);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (size == 0) {
        return MIDGE_TOPIC_EMPTY;
    }
    uint32_t levels = 1;
    for (uint32_t i = 0; i < size; i++) {
        if (bytes[i] == '+' || bytes[i] == '#') {
            return MIDGE_TOPIC_WILDCARD;
        }
        levels += bytes[i] == '/' ? 1 : 0;
    }
    return levels > levels_max ? MIDGE_TOPIC_LEVELS : MIDGE_NONE;
}

enum midge_reason midge_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    enum midge_reason reason = midge_string_check(bytes, size);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (size == 0) {
        return MIDGE_TOPIC_EMPTY;
    }
    uint32_t levels = 0;
    uint32_t offset = 0;
    for (;;) {
        uint32_t length = midge_level_size(bytes, size, offset);
        levels++;
        for (uint32_t i = 0; i < length; i++) {
            uint8_t c = bytes[offset + i];
            bool last = offset + length == size;
            if ((c == '+' && length != 1) || (c == '#' && (length != 1 || !last))) {
                return MIDGE_FILTER_WILDCARD;
            }
        }
        if (offset + length == size) {
            return levels > levels_max ? MIDGE_TOPIC_LEVELS : MIDGE_NONE;
        }
        offset += length + 1;
    }
}
