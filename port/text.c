#include "text.h"

#include <string.h>

static void add_bytes(struct midge_text *text, const char *bytes, size_t size)
{
    size_t room = text->size - text->used - 1;
    if (size > room) {
        size = room;
    }
    memcpy(text->bytes + text->used, bytes, size);
    text->used += size;
    text->bytes[text->used] = '\0';
}

void midge_text_start(struct midge_text *text, char *bytes, size_t size)
{
    text->bytes = bytes;
    text->size = size;
    text->used = 0;
    bytes[0] = '\0';
}

void midge_text_add(struct midge_text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

/* Returns the last decimal digit, and takes it off. By parts of 16 bits, since a small processor has no division of 64 bits:
 * the compiler's own takes 750 bytes of an image. */
static uint32_t take_digit(uint64_t *number)
{
    uint64_t quotient = 0;
    uint32_t rest = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        uint32_t part = rest << 16 | (uint32_t)(*number >> shift & 0xFFFF);
        quotient = quotient << 16 | part / 10;
        rest = part % 10;
    }
    *number = quotient;
    return rest;
}

void midge_text_add_number(struct midge_text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + take_digit(&number));
    } while (number > 0);
    add_bytes(text, digits + at, sizeof(digits) - at);
}

void midge_text_add_hundredths(struct midge_text *text, uint64_t hundredths)
{
    midge_text_add_number(text, hundredths / 100);
    midge_text_add(text, hundredths % 100 < 10 ? ".0" : ".");
    midge_text_add_number(text, hundredths % 100);
}

/* The size of the UTF-8 sequence at the start of `bytes` that may be shown as it is, 0 where the first byte may not be. */
static size_t printable_size(const uint8_t *bytes, size_t size)
{
    uint8_t lead = bytes[0];
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7F && lead != '"' && lead != '\\' ? 1 : 0;
    }
    size_t length = lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xC2 && lead < 0xE0 ? 2 : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* U+0080 .. U+009F are controls too; a terminal may take U+009B for the start of an escape sequence. */
    return lead == 0xC2 && bytes[1] < 0xA0 ? 0 : length;
}

void midge_text_add_foreign(struct midge_text *text, struct midge_view view)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    while (at < view.size) {
        size_t length = printable_size(view.bytes + at, view.size - at);
        if (length > 0) {
            add_bytes(text, (const char *)view.bytes + at, length);
            at += length;
        } else {
            char escaped[4] = {'\\', 'x', hex[view.bytes[at] >> 4], hex[view.bytes[at] & 15]};
            add_bytes(text, escaped, sizeof(escaped));
            at++;
        }
    }
}

struct midge_view midge_text_view(const struct midge_text *text)
{
    return (struct midge_view){(const uint8_t *)text->bytes, (uint32_t)text->used};
}
