#include "oracle.h"

#include <string.h>

bool oracle_match(const char *filter, const char *topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) {
        return false;
    }
    while (filter[0] != '#') {
        size_t f = strcspn(filter, "/");
        size_t t = strcspn(topic, "/");
        if (filter[0] != '+' && (f != t || memcmp(filter, topic, t) != 0)) {
            return false;
        }
        if (topic[t] == '\0' || filter[f] == '\0') {
            return topic[t] == '\0' && (filter[f] == '\0' || strcmp(filter + f, "/#") == 0);
        }
        filter += f + 1;
        topic += t + 1;
    }
    return true;
}

/* Decodes by the pattern of bits alone, and then asks whether that was the only way to write the character. */
enum midge_reason oracle_string_check(const uint8_t *bytes, uint32_t size)
{
    static const uint32_t shortest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t i = 0;
    while (i < size) {
        uint32_t lead = bytes[i];
        uint32_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (length == 0 || length > size - i) {
            return MIDGE_BAD_UTF8;
        }
        uint32_t character = length == 1 ? lead : lead & ((1u << (7 - length)) - 1);
        for (uint32_t k = 1; k < length; k++) {
            if (bytes[i + k] >> 6 != 2) {
                return MIDGE_BAD_UTF8;
            }
            character = character << 6 | (bytes[i + k] & 0x3fu);
        }
        if (character == 0 && length == 1) {
            return MIDGE_NUL_CHARACTER;
        }
        if (character < shortest[length] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) {
            return MIDGE_BAD_UTF8;
        }
        i += length;
    }
    return MIDGE_NONE;
}

static uint32_t level_count(const uint8_t *bytes, uint32_t size)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < size; i++) {
        count += bytes[i] == '/' ? 1 : 0;
    }
    return count;
}

static enum midge_reason size_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    return size == 0 ? MIDGE_TOPIC_EMPTY : level_count(bytes, size) > levels_max ? MIDGE_TOPIC_LEVELS : MIDGE_NONE;
}

enum midge_reason oracle_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    enum midge_reason reason = oracle_string_check(bytes, size);
    if (reason == MIDGE_NONE && size > 0 && (memchr(bytes, '+', size) != NULL || memchr(bytes, '#', size) != NULL)) {
        reason = MIDGE_TOPIC_WILDCARD;
    }
    return reason != MIDGE_NONE ? reason : size_check(bytes, size, levels_max);
}

enum midge_reason oracle_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    enum midge_reason reason = oracle_string_check(bytes, size);
    for (uint32_t i = 0; i < size && reason == MIDGE_NONE; i++) {
        bool begins = i == 0 || bytes[i - 1] == '/';
        bool ends = i + 1 == size || (bytes[i] == '+' && bytes[i + 1] == '/');
        if ((bytes[i] == '+' || bytes[i] == '#') && !(begins && ends)) {
            reason = MIDGE_FILTER_WILDCARD;
        }
    }
    return reason != MIDGE_NONE ? reason : size_check(bytes, size, levels_max);
}
