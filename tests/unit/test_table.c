/* The hash table over a pool: what was added is found by its hash and by the walk, what was removed is not. */
#include "table.h"

#include "unit.h"

enum { ENTRIES = 7, HASHES = 5, STEPS = 20000 };

struct entry {
    midge_index bucket_next;
    midge_index number;
};

struct fixture {
    struct midge_pool pool;
    struct midge_table table;
    uint32_t hash[ENTRIES + 1]; /* the oracle: of the entries that are in the table */
    bool in[ENTRIES + 1];
};

static void check_chains(const struct fixture *f)
{
    for (uint32_t h = 0; h < HASHES; h++) {
        uint32_t hash = h * (UINT32_MAX / (HASHES - 1));
        bool found[ENTRIES + 1] = {false};
        for (midge_index i = midge_table_first(&f->table, hash); i != 0; i = midge_table_after(&f->table, i, hash)) {
            assert_true(i <= ENTRIES && f->in[i] && !found[i]);
            found[i] = true;
        }
        for (midge_index i = 1; i <= ENTRIES; i++) {
            assert_true(found[i] || !f->in[i] || f->hash[i] != hash);
        }
    }
}

static void check_walk(const struct fixture *f)
{
    bool found[ENTRIES + 1] = {false};
    for (midge_index i = midge_table_next(&f->table, 0); i != 0; i = midge_table_next(&f->table, i)) {
        assert_true(i <= ENTRIES && f->in[i] && !found[i]);
        found[i] = true;
    }
    for (midge_index i = 1; i <= ENTRIES; i++) {
        assert_int_equal(found[i], f->in[i]);
    }
}

/* Hashes at both ends of the range and between, so that buckets hold none, one and several. */
static void random_additions_and_removals(void **state)
{
    (void)state;
    struct entry entries[ENTRIES];
    midge_index buckets[ENTRIES] = {0};
    struct fixture f = {.table = {.pool = &f.pool, .buckets = buckets}};
    memset(entries, 0, sizeof(entries));
    midge_pool_init(&f.pool, entries, ENTRIES, sizeof(struct entry));
    check_walk(&f);
    uint32_t seed = 11;
    for (uint32_t step = 0; step < STEPS; step++) {
        seed = seed * 1664525u + 1013904223u;
        midge_index entry = (midge_index)(1 + (seed >> 8) % ENTRIES);
        if (f.in[entry]) {
            midge_table_remove(&f.table, entry);
            f.in[entry] = false;
        } else {
            f.hash[entry] = (seed >> 16) % HASHES * (UINT32_MAX / (HASHES - 1));
            midge_table_add(&f.table, f.hash[entry], entry);
            f.in[entry] = true;
        }
        check_chains(&f);
        check_walk(&f);
    }
}

/* How often a search meets an entry. */
static uint32_t count_of(const struct midge_table *table, midge_index entry, uint32_t hash)
{
    uint32_t count = 0;
    for (midge_index i = midge_table_first(table, hash); i != 0; i = midge_table_after(table, i, hash)) {
        count += i == entry ? 1 : 0;
    }
    return count;
}

static uint32_t hash_of(midge_index entry)
{
    return (uint32_t)entry * 2654435761u;
}

/* Each entry is met once by its search, and no other range of buckets is used than that of the entries there have been. */
static void check_many(const struct midge_table *table, midge_index removed_step)
{
    uint32_t walked = 0;
    for (midge_index i = 1; i <= table->pool->touched; i++) {
        assert_int_equal(count_of(table, i, hash_of(i)), removed_step != 0 && i % removed_step == 0 ? 0 : 1);
    }
    for (midge_index i = midge_table_next(table, 0); i != 0; i = midge_table_next(table, i)) {
        walked++;
    }
    assert_int_equal(walked, table->pool->touched - (removed_step != 0 ? table->pool->touched / removed_step : 0));
}

/* Few entries touch few buckets, many are found whichever range of buckets they came into. */
static void ranges_of_buckets(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static const midge_index steps[] = {1, 1000, 1024, 1025, 3000, 16384, 16385, MANY};
    struct entry *entries = unit_memory(MANY * sizeof(struct entry));
    midge_index *buckets = unit_memory(MANY * sizeof(midge_index));
    struct midge_pool pool;
    struct midge_table table = {.pool = &pool, .buckets = buckets};
    memset(entries, 0, MANY * sizeof(struct entry));
    memset(buckets, 0, MANY * sizeof(midge_index));
    midge_pool_init(&pool, entries, MANY, sizeof(struct entry));
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        while (pool.touched < steps[step]) {
            midge_index entry = midge_pool_take(&pool);
            midge_table_add(&table, hash_of(entry), entry);
        }
        check_many(&table, 0);
        uint32_t range = MIDGE_INDEX_BITS == 16 || pool.touched > 16384 ? MANY : pool.touched > 1024 ? 16384 : 1024;
        for (uint32_t i = range; i < MANY; i++) {
            assert_int_equal(buckets[i], 0);
        }
    }
    for (midge_index i = 3; i <= MANY; i += 3) {
        midge_table_remove(&table, i);
    }
    check_many(&table, 3);
    free(buckets);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_additions_and_removals), cmocka_unit_test(ranges_of_buckets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
