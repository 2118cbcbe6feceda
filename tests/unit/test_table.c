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
        for (midge_index i = midge_table_first(&f->table, hash); i != 0; i = midge_table_after(&f->table, i)) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_additions_and_removals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
