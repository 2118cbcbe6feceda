#include "topic.h"

/* How many bytes the well-formed character that starts with a byte over 0x7f has behind it, 0 where it is ill-formed: neither
 * overlong, nor a surrogate, nor beyond U+10FFFF. */
static uint32_t character_rest(const uint8_t *bytes, size_t size)
{
    uint8_t lead = bytes[0];
    uint32_t rest = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || rest >= size) {
        return 0;
    }
    uint32_t character = lead & (0x3fu >> rest);
    for (uint32_t i = 1; i <= rest; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        character = character << 6 | (bytes[i] & 0x3f);
    }
    /* What one byte less could hold: of three bytes 11 bits, of four 16; that of two is seen from the lead. */
    bool wrong = character >> (5 * rest + 1) == 0 || character >> 11 == 0xd800 >> 11 || character > 0x10ffff;
    return wrong ? 0 : rest;
}

enum kind { STRING, TOPIC, FILTER };

/* Passes over four bytes at a time, as long as these are what most topics consist of: ASCII behind '+', so that only the
 * slashes among them matter, which are counted. */
static const uint8_t *pass_words(const uint8_t *bytes, const uint8_t *end, uint32_t *slashes)
{
    const uint32_t tops = 0x80808080; /* the top bit of each byte: it takes what is found out about that byte */
    uint32_t word;
    while (end - bytes >= (ptrdiff_t)sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        uint32_t beyond = word + 0x54545454; /* 0x80 - ',' each: a carry comes only from a byte that is not ASCII itself */
        if (((word | ~beyond) & tops) != 0) {
            break;
        }
        uint32_t others = (word ^ 0x2f2f2f2f) + 0x7f7f7f7f;
        for (uint32_t found = ~others & tops; found != 0; found &= found - 1) {
            ++*slashes;
        }
        bytes += sizeof(word);
    }
    return bytes;
}

/* Checks a string of any kind: first whether it is well-formed throughout, then the rest. */
static enum midge_reason check(const uint8_t *bytes, uint32_t size, uint32_t levels_max, enum kind kind)
{
    const uint8_t *first = bytes;
    const uint8_t *end = bytes + size;
    enum midge_reason wrong = size == 0 ? MIDGE_TOPIC_EMPTY : MIDGE_NONE;
    uint32_t levels = 1;
    for (bytes = pass_words(bytes, end, &levels); bytes != end; bytes++) {
        uint8_t c = *bytes;
        if (c > '/' && c < 0x80) {
            continue; /* a digit or a letter, most likely */
        }
        if (c >= 0x80) {
            uint32_t rest = character_rest(bytes, (size_t)(end - bytes));
            if (rest == 0) {
                return MIDGE_BAD_UTF8;
            }
            bytes += rest;
        } else if (c == '/') {
            levels++;
        } else if (c == 0) {
            return MIDGE_NUL_CHARACTER;
        } else if (c == '+' || c == '#') {
            if (kind == TOPIC) {
                wrong = MIDGE_TOPIC_WILDCARD;
            } else if ((bytes != first && bytes[-1] != '/') || (bytes + 1 != end && (c == '#' || bytes[1] != '/'))) {
                wrong = MIDGE_FILTER_WILDCARD; /* it is not a level of its own, or a # not the last one */
            }
        }
    }
    if (kind == STRING) {
        return MIDGE_NONE;
    }
    return wrong == MIDGE_NONE && levels > levels_max ? MIDGE_TOPIC_LEVELS : wrong;
}

enum midge_reason midge_string_check(const uint8_t *bytes, uint32_t size)
{
    return check(bytes, size, 0, STRING);
}

enum midge_reason midge_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    return check(bytes, size, levels_max, TOPIC);
}

enum midge_reason midge_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max)
{
    return check(bytes, size, levels_max, FILTER);
}
