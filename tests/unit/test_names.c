/* Names: strings of every size around the borders of their chunks, and a pool that runs dry. */
#include "names.h"

#include "unit.h"

enum { CHUNKS = 12, SIZE_MAX_TESTED = 120 };

struct fixture {
    uint8_t *memory;
    struct midge_names names;
    uint32_t room;
};

static void begin(struct fixture *f, midge_index chunks, uint32_t chunk_size)
{
    f->memory = unit_memory((size_t)chunks * chunk_size);
    midge_pool_init(&f->names.chunks, f->memory, chunks, chunk_size);
    f->room = chunk_size - (uint32_t)sizeof(midge_index);
}

static void finish(struct fixture *f)
{
    assert_int_equal(f->names.chunks.used, 0);
    assert_true(midge_pool_audit(&f->names.chunks));
    free(f->memory);
}

static uint32_t chunks_of(const struct fixture *f, uint32_t size)
{
    uint32_t chunks = 0;
    for (uint32_t held = 0; held < size; held += f->room) {
        chunks++;
    }
    return chunks;
}

/* A stored string is what it was, and nothing else. */
static void check_string(const struct fixture *f, midge_index name, const uint8_t *string, uint32_t size)
{
    assert_true(midge_names_equal(&f->names, name, string, size));
    for (uint32_t part = 0; part <= size; part++) {
        uint8_t *to = unit_memory(part);
        midge_names_copy(&f->names, name, to, part);
        assert_memory_equal(to, string, part);
        free(to);
    }
    for (uint32_t i = 0; i < size; i++) {
        uint8_t *other = unit_copy(string, size);
        other[i] ^= 0x20;
        assert_false(midge_names_equal(&f->names, name, other, size));
        free(other);
    }
}

static void strings_of_every_size(void **state)
{
    (void)state;
    const uint32_t chunk_sizes[] = {8, 12, 16, 32, 256};
    uint8_t bytes[SIZE_MAX_TESTED];
    unit_fill(bytes, sizeof(bytes), 1);
    for (uint32_t i = 0; i < UNIT_COUNT(chunk_sizes); i++) {
        struct fixture f;
        begin(&f, 64, chunk_sizes[i]);
        for (uint32_t size = 0; size <= SIZE_MAX_TESTED; size++) {
            uint8_t *string = unit_copy(bytes, size);
            midge_index name = 99;
            assert_int_equal(midge_names_chunks(&f.names, size), chunks_of(&f, size));
            assert_true(midge_names_store(&f.names, string, size, &name));
            assert_int_equal(name == 0, size == 0);
            assert_int_equal(f.names.chunks.used, chunks_of(&f, size));
            check_string(&f, name, string, size);
            midge_names_release(&f.names, name);
            assert_int_equal(f.names.chunks.used, 0);
            free(string);
        }
        finish(&f);
    }
}

static void a_store_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    uint8_t bytes[SIZE_MAX_TESTED * 4];
    unit_fill(bytes, sizeof(bytes), 2);
    struct fixture f;
    begin(&f, CHUNKS, 16);
    for (uint32_t taken = 0; taken <= CHUNKS; taken++) {
        midge_index first = 0;
        assert_true(midge_names_store(&f.names, bytes, taken * f.room, &first));
        uint32_t left = (CHUNKS - taken) * f.room;
        midge_index name = 99;
        assert_false(midge_names_store(&f.names, bytes, left + 1, &name));
        assert_int_equal(name, 0);
        assert_int_equal(f.names.chunks.used, taken);
        assert_true(midge_names_store(&f.names, bytes, left, &name));
        assert_int_equal(f.names.chunks.used, CHUNKS);
        midge_index empty = 99;
        assert_true(midge_names_store(&f.names, bytes, 0, &empty));
        assert_int_equal(empty, 0);
        midge_names_release(&f.names, name);
        midge_names_release(&f.names, first);
    }
    midge_names_release(&f.names, 0);
    finish(&f);

    struct fixture none;
    begin(&none, 0, 16);
    midge_index name = 99;
    assert_false(midge_names_store(&none.names, bytes, 1, &name));
    assert_true(midge_names_store(&none.names, bytes, 0, &name));
    finish(&none);
}

static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("names");
    struct {
        uint8_t bytes[64];
        uint32_t size;
        midge_index name;
        bool live;
    } model[10] = {0};
    struct fixture f;
    begin(&f, CHUNKS, 12);
    uint32_t used = 0;
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = unit_random_below(&random, UNIT_COUNT(model));
        if (model[i].live) {
            assert_true(midge_names_equal(&f.names, model[i].name, model[i].bytes, model[i].size));
            midge_names_release(&f.names, model[i].name);
            used -= chunks_of(&f, model[i].size);
            model[i].live = false;
        } else {
            model[i].size = unit_random_below(&random, sizeof(model[i].bytes) + 1);
            unit_fill(model[i].bytes, model[i].size, step);
            model[i].live = midge_names_store(&f.names, model[i].bytes, model[i].size, &model[i].name);
            assert_int_equal(model[i].live, chunks_of(&f, model[i].size) <= CHUNKS - used);
            used += model[i].live ? chunks_of(&f, model[i].size) : 0;
        }
        assert_int_equal(f.names.chunks.used, used);
    }
    for (uint32_t i = 0; i < UNIT_COUNT(model); i++) {
        if (model[i].live) {
            midge_names_release(&f.names, model[i].name);
        }
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_of_every_size),
        cmocka_unit_test(a_store_that_does_not_fit_changes_nothing),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
