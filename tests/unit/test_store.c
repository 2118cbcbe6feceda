/* The store: messages across blocks at every split, readers at every offset, counts and references. */
#include "store.h"

#include "unit.h"

enum { BLOCKS = 16, BODY_MAX = 260 };

struct fixture {
    uint8_t *memory;
    struct midge_store store;
    uint32_t head; /* bytes of body in the first block, and in each other */
    uint32_t rest;
};

static void begin(struct fixture *f, midge_index blocks, uint32_t block_size)
{
    f->memory = unit_memory((size_t)blocks * block_size);
    memset(f->memory, 0xee, (size_t)blocks * block_size);
    f->store = (struct midge_store){0};
    midge_pool_init(&f->store.blocks, f->memory, blocks, block_size);
    f->head = block_size - (uint32_t)sizeof(struct midge_message);
    f->rest = block_size - (uint32_t)sizeof(midge_index);
}

static void finish(struct fixture *f)
{
    assert_int_equal(f->store.blocks.used, 0);
    assert_int_equal(f->store.messages, 0);
    assert_int_equal(f->store.bytes, 0);
    assert_true(midge_pool_audit(&f->store.blocks));
    free(f->memory);
}

static uint32_t blocks_of(const struct fixture *f, uint32_t size)
{
    uint32_t blocks = 1;
    for (uint32_t room = f->head; room < size; room += f->rest) {
        blocks++;
    }
    return blocks;
}

/* Makes a message of a body that comes in two parts. */
static midge_index make(struct fixture *f, const uint8_t *body, uint32_t size, uint32_t split)
{
    midge_index message = midge_store_begin(&f->store);
    midge_index tail = message;
    midge_store_append(&f->store, message, &tail, body, split);
    midge_store_append(&f->store, message, &tail, body + split, size - split);
    return message;
}

static void assert_body(const struct fixture *f, midge_index message, const uint8_t *body, uint32_t size)
{
    uint8_t *copy = unit_memory(size);
    struct midge_reader reader;
    midge_reader_message(&reader, &f->store, message, 0);
    assert_int_equal(reader.size, size);
    midge_reader_copy(&reader, copy, size);
    assert_memory_equal(copy, body, size);
    assert_int_equal(reader.size, 0);
    free(copy);
}

static const uint32_t block_sizes[] = {64, 72, 128};

static void blocks_and_room_agree(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < UNIT_COUNT(block_sizes); i++) {
        struct fixture f;
        begin(&f, BLOCKS, block_sizes[i]);
        for (uint32_t size = 0; size < 2000; size++) {
            assert_int_equal(midge_store_blocks(&f.store, size), blocks_of(&f, size));
        }
        assert_int_equal(midge_store_room(&f.store, 0), 0);
        for (uint32_t blocks = 1; blocks < 100; blocks++) {
            uint32_t room = midge_store_room(&f.store, blocks);
            assert_int_equal(blocks_of(&f, room), blocks);
            assert_int_equal(blocks_of(&f, room + 1), blocks + 1);
        }
        finish(&f);
    }
}

static void bodies_at_every_split(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 1);
    for (uint32_t i = 0; i < UNIT_COUNT(block_sizes); i++) {
        struct fixture f;
        begin(&f, BLOCKS, block_sizes[i]);
        for (uint32_t size = 0; size <= BODY_MAX; size++) {
            for (uint32_t split = 0; split <= size; split++) {
                midge_index message = make(&f, body, size, split);
                assert_int_equal(midge_message_at(&f.store, message)->size, size);
                assert_int_equal(f.store.blocks.used, blocks_of(&f, size));
                if (split % 16 == 0 || split == size) {
                    assert_body(&f, message, body, size);
                }
                midge_store_release(&f.store, message);
                assert_int_equal(f.store.blocks.used, 0);
            }
        }
        finish(&f);
    }
}

static void messages_made_of_parts(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 9);
    struct fixture f;
    begin(&f, BLOCKS, 64);
    for (uint32_t size = 2; size <= BODY_MAX; size++) {
        for (uint32_t split = 0; split <= size; split++) {
            const struct midge_view parts[] = {{body, split}, {body + split, size - split}};
            midge_index message = midge_store_make(&f.store, parts, split == size ? 1 : 2, 1, 0);
            const struct midge_message *m = midge_message_at(&f.store, message);
            assert_int_equal(m->references, 1);
            assert_int_equal(m->size, size);
            assert_int_equal(m->topic_size, 1);
            assert_int_equal(m->flags, MIDGE_MESSAGE_PUBLISHED);
            assert_int_equal(f.store.messages, 1);
            assert_int_equal(f.store.bytes, size - 2);
            assert_int_equal(f.store.blocks.used, blocks_of(&f, size));
            assert_body(&f, message, body, size);
            midge_store_release(&f.store, message);
        }
    }
    finish(&f);
}

static void bodies_byte_by_byte(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 2);
    struct fixture f;
    begin(&f, BLOCKS, 64);
    midge_index message = midge_store_begin(&f.store);
    midge_index tail = message;
    for (uint32_t i = 0; i < BODY_MAX; i++) {
        assert_body(&f, message, body, i);
        midge_store_append(&f.store, message, &tail, body + i, 1);
    }
    assert_body(&f, message, body, BODY_MAX);
    midge_store_release(&f.store, message);
    finish(&f);
}

/* The four ways to read on from one place, each compared with the body. */
static void read_from(const struct midge_reader *start, const uint8_t *body, uint32_t offset, uint32_t size)
{
    assert_int_equal(start->size, size - offset);
    struct midge_reader reader = *start;
    for (uint32_t i = offset; i < size; i++) {
        assert_int_equal(midge_reader_u8(&reader), body[i]);
    }
    assert_int_equal(reader.size, 0);
    reader = *start;
    for (uint32_t i = offset; i + 2 <= size; i += 2) {
        assert_int_equal(midge_reader_u16(&reader), midge_get_u16(body + i));
    }
    for (uint32_t part = 0; part <= size - offset; part += 1 + part / 4) {
        uint8_t to[BODY_MAX];
        reader = *start;
        midge_reader_copy(&reader, to, part);
        assert_memory_equal(to, body + offset, part);
        midge_reader_copy(&reader, to, reader.size);
        assert_memory_equal(to, body + offset + part, size - offset - part);
        reader = *start;
        midge_reader_skip(&reader, part);
        assert_int_equal(reader.size, size - offset - part);
        if (reader.size > 0) {
            assert_int_equal(midge_reader_u8(&reader), body[offset + part]);
        }
    }
}

static void readers_at_every_offset(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 3);
    for (uint32_t i = 0; i < UNIT_COUNT(block_sizes); i++) {
        struct fixture f;
        begin(&f, BLOCKS, block_sizes[i]);
        const uint32_t sizes[] = {1, f.head - 1, f.head, f.head + 1, f.head + f.rest, f.head + f.rest + 1, BODY_MAX};
        for (uint32_t k = 0; k < UNIT_COUNT(sizes); k++) {
            midge_index message = make(&f, body, sizes[k], 0);
            for (uint32_t offset = 0; offset <= sizes[k]; offset++) {
                struct midge_reader reader;
                midge_reader_message(&reader, &f.store, message, offset);
                read_from(&reader, body, offset, sizes[k]);
                midge_reader_flat(&reader, body + offset, sizes[k] - offset);
                read_from(&reader, body, offset, sizes[k]);
            }
            midge_store_release(&f.store, message);
        }
        finish(&f);
    }
}

/* The block of each byte, found by walking; the last byte's for the end of the body. */
static midge_index block_of(const struct fixture *f, midge_index message, uint32_t offset)
{
    midge_index block = message;
    for (uint32_t end = f->head; end <= offset; end += f->rest) {
        memcpy(&block, midge_pool_at(&f->store.blocks, block), sizeof(block));
    }
    return block;
}

static void readers_resume_from_every_block(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 4);
    for (uint32_t i = 0; i < UNIT_COUNT(block_sizes); i++) {
        struct fixture f;
        begin(&f, BLOCKS, block_sizes[i]);
        midge_index message = make(&f, body, BODY_MAX, 0);
        for (uint32_t known = 0; known < BODY_MAX; known++) {
            for (uint32_t offset = known; offset < BODY_MAX; offset++) {
                midge_index block = midge_store_block(&f.store, block_of(&f, message, known), known, offset);
                assert_int_equal(block, block_of(&f, message, offset));
                struct midge_reader reader;
                midge_reader_resume(&reader, &f.store, message, block, offset);
                assert_int_equal(reader.size, BODY_MAX - offset);
                assert_int_equal(reader.run[0], body[offset]);
                uint8_t last;
                midge_reader_skip(&reader, reader.size - 1);
                last = midge_reader_u8(&reader);
                assert_int_equal(last, body[BODY_MAX - 1]);
            }
        }
        midge_store_release(&f.store, message);
        finish(&f);
    }
}

/* A string in one piece: in place where it lies so, in the scratch where not, NULL where that has no room. */
static void strings_in_one_piece(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 5);
    struct fixture f;
    begin(&f, BLOCKS, 64);
    midge_index message = make(&f, body, BODY_MAX, 0);
    for (uint32_t offset = 0; offset <= BODY_MAX; offset++) {
        for (uint32_t size = 0; offset + size <= BODY_MAX; size++) {
            uint32_t end = f.head;
            while (end <= offset) {
                end += f.rest;
            }
            bool whole = size == 0 || offset + size <= end;
            uint8_t *bytes = unit_memory(3 + size);
            struct midge_scratch scratch = {.bytes = bytes, .size = 3 + size, .used = 3};
            struct midge_reader reader;
            midge_reader_message(&reader, &f.store, message, offset);
            struct midge_reader small = reader;
            const uint8_t *piece = midge_reader_take(&reader, size, &scratch);
            assert_non_null(piece);
            assert_memory_equal(piece, body + offset, size);
            assert_int_equal(reader.size, BODY_MAX - offset - size);
            assert_int_equal(scratch.used, whole ? 3 : 3 + size);
            assert_true(whole || piece == bytes + 3);
            scratch = (struct midge_scratch){.bytes = bytes, .size = 2 + size, .used = 3};
            assert_int_equal(midge_reader_take(&small, size, &scratch) == NULL, !whole);
            free(bytes);
        }
    }
    midge_store_release(&f.store, message);
    finish(&f);
}

static void a_truncated_body_keeps_its_front(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 6);
    for (uint32_t i = 0; i < UNIT_COUNT(block_sizes); i++) {
        struct fixture f;
        begin(&f, BLOCKS, block_sizes[i]);
        for (uint32_t size = 0; size <= BODY_MAX; size++) {
            midge_index message = make(&f, body, BODY_MAX, 0);
            midge_store_truncate(&f.store, message, size);
            assert_int_equal(f.store.blocks.used, blocks_of(&f, size));
            assert_int_equal(midge_message_at(&f.store, message)->size, size);
            assert_body(&f, message, body, size);
            midge_store_release(&f.store, message);
        }
        finish(&f);
    }
}

static void appending_from_a_reader(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 7);
    struct fixture f;
    begin(&f, BLOCKS, 64);
    midge_index source = make(&f, body, BODY_MAX, 0);
    for (uint32_t offset = 0; offset <= BODY_MAX; offset += 3) {
        for (uint32_t before = 0; before < 130; before += 13) {
            struct midge_reader reader;
            midge_reader_message(&reader, &f.store, source, offset);
            midge_index copy = midge_store_begin(&f.store);
            midge_index tail = copy;
            midge_store_append(&f.store, copy, &tail, body, before);
            uint32_t part = (BODY_MAX - offset) / 2;
            midge_store_append_from(&f.store, copy, &tail, &reader, part);
            midge_store_append_from(&f.store, copy, &tail, &reader, reader.size);
            uint8_t expected[BODY_MAX + 130];
            memcpy(expected, body, before);
            memcpy(expected + before, body + offset, BODY_MAX - offset);
            assert_body(&f, copy, expected, before + BODY_MAX - offset);
            midge_store_release(&f.store, copy);
        }
    }
    midge_store_release(&f.store, source);
    finish(&f);
}

static void references_and_counts(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    unit_fill(body, sizeof(body), 8);
    struct fixture f;
    begin(&f, BLOCKS, 64);
    f.store.reserved = 3;
    assert_int_equal(midge_store_free(&f.store), BLOCKS - 3);
    midge_index plain = make(&f, body, 2 + 5 + 40, 0);
    midge_index gap = make(&f, body, 2 + 7 + 2 + 100, 0);
    assert_int_equal(f.store.messages, 0);
    midge_store_publish(&f.store, plain, 5, 0);
    midge_store_publish(&f.store, gap, 7, MIDGE_MESSAGE_GAP | 1);
    assert_int_equal(f.store.messages, 2);
    assert_int_equal(midge_message_payload_size(midge_message_at(&f.store, plain)), 40);
    assert_int_equal(midge_message_payload_size(midge_message_at(&f.store, gap)), 100);
    assert_int_equal(midge_message_charge(midge_message_at(&f.store, gap)), 107);
    assert_int_equal(f.store.bytes, 45 + 107);
    assert_int_equal(midge_message_at(&f.store, gap)->flags, MIDGE_MESSAGE_GAP | MIDGE_MESSAGE_PUBLISHED | 1);
    midge_store_keep(&f.store, gap);
    midge_store_release(&f.store, gap);
    assert_int_equal(f.store.messages, 2);
    midge_store_release(&f.store, gap);
    assert_int_equal(f.store.messages, 1);
    assert_int_equal(f.store.bytes, 45);
    midge_index assembly = make(&f, body, 10, 0); /* never published: not counted */
    midge_store_release(&f.store, assembly);
    midge_store_release(&f.store, plain);
    assert_int_equal(midge_store_free(&f.store), BLOCKS - 3);
    f.store.reserved = 0;
    finish(&f);
}

/* Messages that come and go in any order keep their bodies. */
static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("store");
    struct {
        midge_index message;
        uint32_t size;
        uint32_t references;
        uint8_t body[BODY_MAX];
    } model[12] = {0};
    struct fixture f;
    begin(&f, BLOCKS, 64);
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = unit_random_below(&random, UNIT_COUNT(model));
        if (model[i].references == 0) {
            uint32_t size = unit_random_below(&random, BODY_MAX + 1);
            if (blocks_of(&f, size) > midge_store_free(&f.store)) {
                continue;
            }
            unit_fill(model[i].body, size, step);
            model[i].size = size;
            model[i].message = make(&f, model[i].body, size, unit_random_below(&random, size + 1));
            model[i].references = 1;
        } else if (model[i].references < 3 && unit_random_below(&random, 3) == 0) {
            midge_store_keep(&f.store, model[i].message);
            model[i].references++;
        } else {
            assert_body(&f, model[i].message, model[i].body, model[i].size);
            midge_store_release(&f.store, model[i].message);
            model[i].references--;
        }
        uint32_t used = 0;
        for (uint32_t k = 0; k < UNIT_COUNT(model); k++) {
            used += model[k].references > 0 ? blocks_of(&f, model[k].size) : 0;
        }
        assert_int_equal(f.store.blocks.used, used);
    }
    for (uint32_t i = 0; i < UNIT_COUNT(model); i++) {
        for (; model[i].references > 0; model[i].references--) {
            midge_store_release(&f.store, model[i].message);
        }
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_room_agree),   cmocka_unit_test(bodies_at_every_split),
        cmocka_unit_test(messages_made_of_parts),  cmocka_unit_test(bodies_byte_by_byte),
        cmocka_unit_test(readers_at_every_offset), cmocka_unit_test(readers_resume_from_every_block),
        cmocka_unit_test(strings_in_one_piece),    cmocka_unit_test(a_truncated_body_keeps_its_front),
        cmocka_unit_test(appending_from_a_reader), cmocka_unit_test(references_and_counts),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
