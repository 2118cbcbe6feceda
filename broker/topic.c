#include "topic.h"

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

/* What a string holds beside well-formed characters. */
struct contents {
    uint32_t slashes;
    bool wildcards;
};

static enum midge_reason scan(const uint8_t *bytes, uint32_t size, struct contents *contents)
{
    *contents = (struct contents){0};
    for (uint32_t i = 0; i < size;) {
        uint8_t c = bytes[i];
        uint32_t length = 1;
        if (c >= 0x80) {
            length = character_size(bytes + i, size - i);
            if (length == 0) {
                return MIDGE_BAD_UTF8;
            }
        } else if (c <= '/') { /* digits and letters lie above */
            if (c == 0) {
                return MIDGE_NUL_CHARACTER;
            }
            contents->slashes += c == '/' ? 1 : 0;
            contents->wildcards = contents->wildcards || c == '+' || c == '#';
        }
        i += length;
    }
    return MIDGE_NONE;
}

enum midge_reason midge_string_check(const uint8_t *bytes, uint32_t size)
{
    struct contents contents;
    return scan(bytes, size, &contents);
}

/* Whether each wildcard of a filter is a level of its own, and # the last one. */
static bool wildcards_stand_alone(const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        if (bytes[i] == '+' || bytes[i] == '#') {
            bool starts = i == 0 || bytes[i - 1] == '/';
            bool ends = i + 1 == size || (bytes[i] == '+' && bytes[i + 1] == '/');
            if (!starts || !ends) {
                return false;
            }
        }
    }
    return true;
}

/* Topics and filters differ in wildcards only. */
static enum midge_reason check(const uint8_t *bytes, uint32_t size, uint32_t levels_max, bool filter)
{
    struct contents contents;
    enum midge_reason reason = scan(bytes, size, &contents);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    if (size == 0) {
        return MIDGE_TOPIC_EMPTY;
    }
    if (contents.wildcards && !filter) {
        return MIDGE_TOPIC_WILDCARD;
    }
    if (contents.wildcards && !wildcards_stand_alone(bytes, size)) {
        return MIDGE_FILTER_WILDCARD;
    }
    return contents.slashes >= levels_max ? MIDGE_TOPIC_LEVELS : MIDGE_NONE;
}

enum midge_reason midge_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    return check(bytes, size, levels_max, false);
}

enum midge_reason midge_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    return check(bytes, size, levels_max, true);
}
