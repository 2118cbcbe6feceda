/* What is a well-formed string, topic or filter: all strings of a small alphabet, and all short strings of bytes. */
#include "topic.h"

#include "oracle.h"
#include "unit.h"

/* ---- Topics and filters ---- */

enum { TEXT_MAX = 8 };

static void all_texts_of_a_small_alphabet(void **state)
{
    (void)state;
    static const char alphabet[] = {'a', '/', '+', '#', '$'};
    static const uint32_t levels_max[] = {1, 2, 3, TEXT_MAX + 1};
    uint32_t texts = 0;
    uint32_t combinations = 1;
    for (uint32_t size = 0; size <= TEXT_MAX; size++) {
        for (uint32_t code = 0; code < combinations; code++) {
            char text[TEXT_MAX + 1] = {0};
            uint32_t rest = code;
            for (uint32_t i = 0; i < size; i++) {
                text[i] = alphabet[rest % sizeof(alphabet)];
                rest /= (uint32_t)sizeof(alphabet);
            }
            const uint8_t *bytes = (const uint8_t *)text;
            for (uint32_t i = 0; i < UNIT_COUNT(levels_max); i++) {
                enum midge_reason topic = midge_topic_check(bytes, size, levels_max[i]);
                enum midge_reason filter = midge_filter_check(bytes, size, levels_max[i]);
                if (topic != oracle_topic_check(bytes, size, levels_max[i]) ||
                    filter != oracle_filter_check(bytes, size, levels_max[i])) {
                    fail_msg("'%s' with %u levels: %d as a topic, %d as a filter", text, levels_max[i], (int)topic,
                             (int)filter);
                }
            }
            texts++;
        }
        combinations *= (uint32_t)sizeof(alphabet);
    }
    print_message("%u texts\n", texts);
}

/* ---- UTF-8 ---- */

static void check_string(const uint8_t *bytes, uint32_t size)
{
    enum midge_reason reason = midge_string_check(bytes, size);
    if (reason != oracle_string_check(bytes, size)) {
        fail_msg("%02x %02x %02x %02x, the first %u: %d", bytes[0], bytes[1], bytes[2], bytes[3], size, (int)reason);
    }
}

static void all_strings_of_up_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t size = 0; size <= 3; size++) {
        for (uint32_t code = 0; code < 1u << (8 * size); code++) {
            const uint8_t bytes[4] = {(uint8_t)code, (uint8_t)(code >> 8), (uint8_t)(code >> 16), 0};
            check_string(bytes, size);
        }
    }
}

static void strings_of_four_bytes(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x01, 0x2f, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                    0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xff};
    for (uint32_t lead = 0; lead < 256; lead++) {
        for (uint32_t code = 0; code < 16 * 16 * 16; code++) {
            const uint8_t bytes[4] = {(uint8_t)lead, edges[code % 16], edges[code / 16 % 16], edges[code / 256]};
            check_string(bytes, 4);
        }
    }
    /* Every second byte of the four-byte characters. */
    for (uint32_t code = 0; code < 16 * 256; code++) {
        const uint8_t bytes[4] = {(uint8_t)(0xf0 + code / 256), (uint8_t)code, 0x80, 0xbf};
        check_string(bytes, 4);
    }
}

/* The characters of Unicode, each written in the one right way. */
static void all_characters(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        uint8_t bytes[4] = {(uint8_t)c, 0, 0, 0};
        uint32_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (uint32_t k = size - 1, rest = c; size > 1; k--) {
            bytes[k] = k == 0 ? (uint8_t)(lead[size] | rest) : (uint8_t)(0x80 | (rest & 0x3f));
            rest >>= 6;
            if (k == 0) {
                break;
            }
        }
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_int_equal(midge_string_check(bytes, size), surrogate ? MIDGE_BAD_UTF8 : MIDGE_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_texts_of_a_small_alphabet),
        cmocka_unit_test(all_strings_of_up_to_three_bytes),
        cmocka_unit_test(strings_of_four_bytes),
        cmocka_unit_test(all_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
