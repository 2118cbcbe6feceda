/* The seeded hash against its definition, assertions, and the small helpers. */
#include "base.h"

#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The definition: a polynomial over words, the last of which holds the size and the bytes that are left, evaluated modulo
 * 2^31 - 1 in numbers below 2^32, and spread by an odd factor. 2^32 is 2 then. */
static uint32_t oracle_hash(uint64_t seed, uint32_t tweak, const uint8_t *bytes, uint32_t size)
{
    const uint64_t modulus = UINT64_C(1) << 31;
    uint64_t key = (seed & 0x1fffffff) | 0x20000000;
    uint64_t factor = (seed >> 32) * 2 ^ 0x9e3779b1;
    uint8_t padded[512] = {0};
    memcpy(padded, bytes, size);
    uint64_t hash = tweak;
    for (uint32_t i = 0; i <= size / 4; i++) {
        uint64_t word = size;
        if (i < size / 4) {
            word = 0;
            for (uint32_t k = 4; k-- > 0;) {
                word = word << 8 | padded[4 * i + k];
            }
        } else {
            for (uint32_t k = 4 * i; k < size; k++) {
                word = (word << 8 | padded[k]) & 0xffffffff;
            }
        }
        uint64_t product = hash * key;
        hash = product % modulus + product / modulus + word;
        if (hash > UINT32_MAX) {
            hash = hash % (2 * modulus) + 2;
        }
        assert_true(hash <= UINT32_MAX);
    }
    return (uint32_t)(hash * factor);
}

static void hash_equals_its_definition(void **state)
{
    (void)state;
    uint8_t bytes[300];
    unit_fill(bytes, sizeof(bytes), 3);
    const uint64_t seeds[] = {0, 1, UINT64_MAX, UINT64_C(0x0123456789abcdef)};
    const uint32_t tweaks[] = {0, 1, 65534, UINT32_MAX};
    for (uint32_t size = 0; size <= sizeof(bytes); size++) {
        for (uint32_t i = 0; i < UNIT_COUNT(seeds); i++) {
            uint8_t *copy = unit_copy(bytes, size);
            const uint64_t key = midge_hash_key(seeds[i]);
            assert_int_equal(midge_hash(&key, tweaks[i], copy, size), oracle_hash(seeds[i], tweaks[i], bytes, size));
            free(copy);
        }
    }
}

static void hash_depends_on_each_bit(void **state)
{
    (void)state;
    const uint64_t seed = 1;
    const uint64_t key = midge_hash_key(seed);
    uint8_t bytes[9] = {0};
    uint32_t before = midge_hash(&key, 2, bytes, sizeof(bytes));
    for (uint32_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(midge_hash(&key, 2, bytes, sizeof(bytes)), before);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (uint32_t bit = 0; bit < 64; bit += bit == 28 ? 4 : bit == 62 ? 2 : 1) {
        const uint64_t other = midge_hash_key(seed ^ UINT64_C(1) << bit);
        assert_int_not_equal(midge_hash(&other, 2, bytes, sizeof(bytes)), before);
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        assert_int_not_equal(midge_hash(&key, 2u ^ 1u << bit, bytes, sizeof(bytes)), before);
    }
    for (uint32_t size = 0; size < sizeof(bytes); size++) {
        assert_int_not_equal(midge_hash(&key, 2, bytes, size), before);
    }
}

static void buckets_are_in_range_and_even(void **state)
{
    (void)state;
    const uint32_t counts[] = {1, 2, 3, 1000, 65534, 16777214, UINT32_MAX};
    for (uint32_t i = 0; i < UNIT_COUNT(counts); i++) {
        assert_int_equal(midge_hash_bucket(0, counts[i]), 0);
        assert_int_equal(midge_hash_bucket(UINT32_MAX, counts[i]), counts[i] - 1);
    }
    const uint64_t key = midge_hash_key(9);
    uint32_t used[64] = {0};
    for (uint32_t i = 0; i < 64000; i++) {
        uint8_t bytes[4] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 0};
        used[midge_hash_bucket(midge_hash(&key, 0, bytes, sizeof(bytes)), 64)]++;
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_in_range(used[i], 800, 1200);
    }
}

static void bytes_in_network_order(void **state)
{
    (void)state;
    for (uint32_t value = 0; value <= UINT16_MAX; value++) {
        uint8_t bytes[2];
        midge_put_u16(bytes, (uint16_t)value);
        assert_int_equal(bytes[0], value / 256);
        assert_int_equal(bytes[1], value % 256);
        assert_int_equal(midge_get_u16(bytes), value);
    }
    assert_int_equal(midge_min(1, 2), 1);
    assert_int_equal(midge_min(2, 1), 1);
    assert_int_equal(midge_min(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

static void trapped(int number)
{
    (void)number;
    _exit(0);
}

static void assertion_traps(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, trapped);
        signal(SIGTRAP, trapped);
        MIDGE_ASSERT(child != 0);
        _exit(1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_equals_its_definition),
        cmocka_unit_test(hash_depends_on_each_bit),
        cmocka_unit_test(buckets_are_in_range_and_even),
        cmocka_unit_test(bytes_in_network_order),
        cmocka_unit_test(assertion_traps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
