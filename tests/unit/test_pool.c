/* Pools: what is taken and given back, at every capacity, and what an audit finds. */
#include "pool.h"

#include "unit.h"

enum { CAPACITY = 20, INDEX_SIZE = sizeof(midge_index) };

static void takes_each_entry_once_and_then_none(void **state)
{
    (void)state;
    for (midge_index capacity = 0; capacity <= CAPACITY; capacity++) {
        uint8_t *memory = unit_memory(capacity * 16u);
        struct midge_pool pool;
        midge_pool_init(&pool, memory, capacity, 16);
        for (midge_index i = 1; i <= capacity; i++) {
            assert_int_equal(midge_pool_free(&pool), capacity - i + 1);
            assert_int_equal(midge_pool_take(&pool), i);
            assert_ptr_equal(midge_pool_at(&pool, i), memory + 16u * (i - 1u));
            assert_int_equal(pool.used, i);
            assert_int_equal(pool.touched, i);
        }
        assert_int_equal(midge_pool_free(&pool), 0);
        assert_int_equal(midge_pool_take(&pool), 0);
        assert_int_equal(pool.used, capacity);
        assert_true(midge_pool_audit(&pool));
        free(memory);
    }
}

static void gives_back_in_any_order(void **state)
{
    (void)state;
    uint8_t *memory = unit_memory(4u * INDEX_SIZE);
    struct midge_pool pool;
    for (uint32_t order = 0; order < 256; order++) {
        midge_index at[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
        if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15) {
            continue;
        }
        midge_pool_init(&pool, memory, 4, INDEX_SIZE);
        for (uint32_t i = 0; i < 4; i++) {
            midge_pool_take(&pool);
        }
        for (uint32_t i = 0; i < 4; i++) {
            midge_pool_give(&pool, (midge_index)(at[i] + 1));
            assert_true(midge_pool_audit(&pool));
        }
        assert_int_equal(pool.used, 0);
        assert_int_equal(pool.touched, 4);
        for (uint32_t i = 4; i-- > 0;) {
            assert_int_equal(midge_pool_take(&pool), at[i] + 1);
        }
        assert_int_equal(midge_pool_take(&pool), 0);
    }
    free(memory);
}

static void never_touches_what_was_never_taken(void **state)
{
    (void)state;
    uint8_t *memory = unit_memory(CAPACITY * 8u);
    struct midge_pool pool;
    midge_pool_init(&pool, memory, CAPACITY, 8);
    for (uint32_t round = 0; round < 10; round++) {
        midge_index a = midge_pool_take(&pool);
        midge_index b = midge_pool_take(&pool);
        memset(midge_pool_at(&pool, a), 0xff, 8);
        memset(midge_pool_at(&pool, b), 0xff, 8);
        midge_pool_give(&pool, a);
        midge_pool_give(&pool, b);
    }
    assert_int_equal(pool.touched, 2);
    for (uint32_t i = 16; i < CAPACITY * 8u; i++) {
        assert_int_equal(memory[i], 0);
    }
    free(memory);
}

/* Entries of a size that no index is aligned in, each with a content of its own, against a table of who has what. */
static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("pool");
    enum { ODD_SIZE = 13 };
    uint8_t *memory = unit_memory(CAPACITY * ODD_SIZE);
    uint8_t held[CAPACITY + 1] = {0};
    uint32_t count = 0;
    uint32_t peak = 0;
    struct midge_pool pool;
    midge_pool_init(&pool, memory, CAPACITY, ODD_SIZE);
    for (uint32_t step = 0; step < 20000; step++) {
        if (unit_random_below(&random, 2) == 0) {
            midge_index index = midge_pool_take(&pool);
            assert_int_equal(index == 0, count == CAPACITY);
            if (index != 0) {
                assert_in_range(index, 1, CAPACITY);
                assert_int_equal(held[index], 0);
                held[index] = (uint8_t)(1 + unit_random_below(&random, 255));
                memset(midge_pool_at(&pool, index), held[index], ODD_SIZE);
                count++;
            }
        } else if (count > 0) {
            midge_index index = (midge_index)(1 + unit_random_below(&random, CAPACITY));
            if (held[index] != 0) {
                const uint8_t *entry = midge_pool_at(&pool, index);
                for (uint32_t i = 0; i < ODD_SIZE; i++) {
                    assert_int_equal(entry[i], held[index]);
                }
                held[index] = 0;
                midge_pool_give(&pool, index);
                count--;
            }
        }
        peak = count > peak ? count : peak;
        assert_int_equal(pool.used, count);
        assert_int_equal(pool.touched, peak);
        assert_true(midge_pool_audit(&pool));
    }
    free(memory);
}

static void holds_as_many_as_an_index_can_tell(void **state)
{
    (void)state;
    enum { MOST = 65534 };
    uint8_t *memory = unit_memory((size_t)MOST * INDEX_SIZE);
    struct midge_pool pool;
    midge_pool_init(&pool, memory, MOST, INDEX_SIZE);
    for (uint32_t i = 1; i <= MOST; i++) {
        assert_int_equal(midge_pool_take(&pool), i);
    }
    assert_int_equal(midge_pool_take(&pool), 0);
    for (uint32_t i = 1; i <= MOST; i++) {
        midge_pool_give(&pool, (midge_index)i);
    }
    assert_true(midge_pool_audit(&pool));
    free(memory);
}

/* Writes the link of a free entry, as a stray write would. */
static void corrupt(const struct midge_pool *pool, midge_index index, midge_index link)
{
    memcpy(midge_pool_at(pool, index), &link, sizeof(link));
}

static void audit_finds_a_broken_pool(void **state)
{
    (void)state;
    uint8_t *memory = unit_memory(8u * INDEX_SIZE);
    struct midge_pool pool;
    midge_pool_init(&pool, memory, 8, INDEX_SIZE);
    for (uint32_t i = 0; i < 5; i++) {
        midge_pool_take(&pool);
    }
    midge_pool_give(&pool, 1);
    midge_pool_give(&pool, 2);
    midge_pool_give(&pool, 3);
    assert_true(midge_pool_audit(&pool));
    const struct midge_pool good = pool;

    corrupt(&pool, 1, 3); /* a circle */
    assert_false(midge_pool_audit(&pool));
    corrupt(&pool, 1, 6); /* an entry that was never taken */
    assert_false(midge_pool_audit(&pool));
    corrupt(&pool, 1, 0);
    corrupt(&pool, 3, 0); /* too short */
    assert_false(midge_pool_audit(&pool));
    corrupt(&pool, 3, 2);
    assert_true(midge_pool_audit(&pool));

    pool.used = 6;
    assert_false(midge_pool_audit(&pool));
    pool = good;
    pool.touched = 9;
    assert_false(midge_pool_audit(&pool));
    pool = good;
    pool.touched = 1;
    assert_false(midge_pool_audit(&pool));
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_each_entry_once_and_then_none), cmocka_unit_test(gives_back_in_any_order),
        cmocka_unit_test(never_touches_what_was_never_taken),  cmocka_unit_test(random_operations),
        cmocka_unit_test(holds_as_many_as_an_index_can_tell),  cmocka_unit_test(audit_finds_a_broken_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
