#include "topic.h"

/* The size of the well-formed character that starts with a byte over 0x7f, 0 where it is ill-formed: neither overlong, nor a
 * surrogate, nor beyond U+10FFFF. */
static uint32_t character_size(const uint8_t *bytes, size_t size)
{
    uint8_t lead = bytes[0];
    uint32_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > size) {
        return 0;
    }
    uint32_t character = lead & (0x7fu >> length);
    for (uint32_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        character = character << 6 | (bytes[i] & 0x3f);
    }
    /* What one byte less could hold: of three bytes 11 bits, of four 16; that of two is seen from the lead. */
    bool wrong = character >> (5 * length - 4) == 0 || character >> 11 == 0xd800 >> 11 || character > 0x10ffff;
    return wrong ? 0 : length;
}

/* What a string holds beside well-formed characters. */
struct contents {
    uint32_t slashes;
    bool wildcards;
    bool misplaced; /* one of them is not a level of its own, or a # not the last one */
};

static enum midge_reason scan(const uint8_t *bytes, uint32_t size, struct contents *contents)
{
    const uint8_t *first = bytes;
    const uint8_t *end = bytes + size;
    *contents = (struct contents){0};
    while (bytes < end) {
        uint8_t c = *bytes++;
        if (c > '/' && c < 0x80) {
            continue; /* a digit or a letter, most likely */
        }
        if (c >= 0x80) {
            uint32_t length = character_size(bytes - 1, (size_t)(end - bytes) + 1);
            if (length == 0) {
                return MIDGE_BAD_UTF8;
            }
            bytes += length - 1;
        } else if (c == '/') {
            contents->slashes++;
        } else if (c == 0) {
            return MIDGE_NUL_CHARACTER;
        } else if (c == '+' || c == '#') {
            bool starts = bytes == first + 1 || bytes[-2] == '/';
            bool ends = bytes == end || (c == '+' && *bytes == '/');
            contents->wildcards = true;
            contents->misplaced = contents->misplaced || !starts || !ends;
        }
    }
    return MIDGE_NONE;
}

enum midge_reason midge_string_check(const uint8_t *bytes, uint32_t size)
{
    struct contents contents;
    return scan(bytes, size, &contents);
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
    if (contents.misplaced) {
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
