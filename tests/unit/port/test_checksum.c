/* The Internet checksum against its definition, at each alignment and length, with the carries that bytes of 255 make. */
#include "checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* RFC 1071, section 1, for a little-endian memory as all of our targets have it. */
static uint16_t oracle(const uint8_t *bytes, int size)
{
    uint32_t sum = 0;
    int i;

    for (i = 0; i < size; i++) {
        sum += i % 2 == 0 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xFFFFu) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static void equals_its_definition(void **state)
{
    static uint8_t bytes[1600];
    uint32_t random = 1;
    int pattern, start, size;
    size_t i;

    (void)state;
    for (pattern = 0; pattern < 3; pattern++) {
        for (i = 0; i < sizeof bytes; i++) {
            random = random * 1664525u + 1013904223u;
            bytes[i] = pattern == 0 ? 255 : pattern == 1 ? 0 : (uint8_t)(random >> 24);
        }
        for (start = 0; start < 8; start++) {
            for (size = 0; size <= 1514; size++) {
                assert_int_equal(midge_checksum(bytes + start, size), oracle(bytes + start, size));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_its_definition),
    };

    return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
