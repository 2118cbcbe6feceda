/* The tree of topic levels: children by hash, paths, uses, and what happens when nodes or names run dry. */
#include "tree.h"

#include "unit.h"

enum { NODES = 32, CHUNKS = 64 };

/* A node with something behind the part that the tree knows. */
struct node {
    struct midge_tree_node tree;
    uint32_t own[3];
};

struct fixture {
    struct node *nodes;
    midge_index *buckets;
    uint8_t *chunks;
    struct midge_names names;
    struct midge_tree tree;
};

static void begin(struct fixture *f, midge_index nodes, midge_index chunks)
{
    f->nodes = unit_memory((nodes + 1u) * sizeof(struct node));
    f->buckets = unit_memory(nodes * sizeof(midge_index));
    f->chunks = unit_memory(chunks * 12u);
    midge_pool_init(&f->names.chunks, f->chunks, chunks, 12);
    f->tree = (struct midge_tree){0};
    midge_pool_init(&f->tree.nodes, f->nodes, nodes + 1, sizeof(struct node));
    f->tree.table.buckets = f->buckets;
    midge_tree_init(&f->tree, &f->names, 4711);
}

static void finish(struct fixture *f)
{
    assert_int_equal(f->tree.nodes.used, 0);
    assert_int_equal(f->names.chunks.used, 0);
    for (uint32_t i = 0; i < f->tree.nodes.capacity; i++) {
        assert_int_equal(midge_table_entry(f->buckets[i]), 0);
    }
    assert_true(midge_pool_audit(&f->tree.nodes));
    free(f->nodes);
    free(f->buckets);
    free(f->chunks);
}

static midge_index add(struct fixture *f, midge_index parent, const char *level)
{
    return midge_tree_add(&f->tree, parent, (const uint8_t *)level, (uint32_t)strlen(level));
}

static midge_index find(const struct fixture *f, midge_index parent, const char *level)
{
    return midge_tree_find(&f->tree, parent, (const uint8_t *)level, (uint32_t)strlen(level));
}

static void assert_path(const struct fixture *f, midge_index node, const char *path, uint32_t depth)
{
    uint32_t size = (uint32_t)strlen(path);
    assert_int_equal(midge_tree_depth(&f->tree, node), depth);
    uint8_t *to = unit_memory(size);
    assert_ptr_equal(midge_tree_path(&f->tree, node, to + size), to);
    assert_memory_equal(to, path, size);
    free(to);
}

static void a_level_is_a_child_of_its_parent_alone(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NODES, CHUNKS);
    assert_int_equal(find(&f, 0, "a"), 0);
    midge_index a = add(&f, 0, "a");
    midge_index aa = add(&f, a, "a");
    midge_index empty = add(&f, 0, "");
    midge_index empty_empty = add(&f, empty, "");
    midge_index lengthy = add(&f, aa, "a level that takes a number of chunks");
    assert_int_equal(find(&f, 0, "a"), a);
    assert_int_equal(find(&f, a, "a"), aa);
    assert_int_equal(find(&f, aa, "a"), 0);
    assert_int_equal(find(&f, 0, ""), empty);
    assert_int_equal(find(&f, empty, ""), empty_empty);
    assert_int_equal(find(&f, empty_empty, ""), 0);
    assert_int_equal(find(&f, aa, "a level that takes a number of chunks"), lengthy);
    assert_int_equal(find(&f, aa, "a level that takes a number of chunk"), 0);
    assert_int_equal(find(&f, aa, "a level that takes a number of chunkz"), 0);
    assert_path(&f, 0, "", 0);
    assert_path(&f, a, "a", 1);
    assert_path(&f, aa, "a/a", 2);
    assert_path(&f, empty, "", 1);
    assert_path(&f, empty_empty, "/", 2);
    assert_path(&f, lengthy, "a/a/a level that takes a number of chunks", 3);
    assert_int_equal(f.nodes[a].tree.uses, 1);
    assert_int_equal(f.nodes[aa].tree.uses, 1);
    assert_int_equal(f.nodes[lengthy].tree.uses, 0);
    assert_int_equal(midge_tree_remove(&f.tree, lengthy), aa);
    assert_int_equal(midge_tree_remove(&f.tree, aa), a);
    assert_int_equal(midge_tree_remove(&f.tree, a), 0);
    assert_int_equal(find(&f, 0, "a"), 0);
    assert_int_equal(midge_tree_remove(&f.tree, empty_empty), empty);
    assert_int_equal(midge_tree_remove(&f.tree, empty), 0);
    finish(&f);
}

static void a_node_used_again_starts_from_zero(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, 1);
    for (uint32_t round = 0; round < 3; round++) {
        midge_index node = add(&f, 0, "x");
        assert_int_equal(node, 1);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(f.nodes[1].own[i], 0);
            f.nodes[1].own[i] = 0xffffffff;
        }
        assert_int_equal(f.nodes[1].tree.uses, 0);
        midge_tree_remove(&f.tree, node);
    }
    finish(&f);
}

static void dry_pools_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, CHUNKS);
    midge_index a = add(&f, 0, "a");
    midge_index b = add(&f, a, "b");
    uint32_t chunks = f.names.chunks.used;
    assert_int_equal(add(&f, a, "c"), 0);
    assert_int_equal(f.names.chunks.used, chunks);
    assert_int_equal(f.nodes[a].tree.uses, 1);
    midge_tree_remove(&f.tree, b);
    midge_tree_remove(&f.tree, a);
    finish(&f);

    begin(&f, NODES, 1);
    a = add(&f, 0, "a");
    assert_int_equal(add(&f, a, "b"), 0);
    assert_int_equal(f.tree.nodes.used, 1);
    assert_int_equal(f.nodes[a].tree.uses, 0);
    midge_index empty = add(&f, a, ""); /* takes no chunk */
    assert_int_not_equal(empty, 0);
    midge_tree_remove(&f.tree, empty);
    midge_tree_remove(&f.tree, a);
    finish(&f);

    begin(&f, 0, 0);
    assert_int_equal(find(&f, 0, "a"), 0);
    assert_int_equal(add(&f, 0, "a"), 0);
    finish(&f);
}

static void the_longest_level(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, 65535 / 8 + 2);
    uint8_t *level = unit_memory(UINT16_MAX);
    unit_fill(level, UINT16_MAX, 9);
    midge_index node = midge_tree_add(&f.tree, 0, level, UINT16_MAX);
    assert_int_not_equal(node, 0);
    assert_int_equal(midge_tree_find(&f.tree, 0, level, UINT16_MAX), node);
    assert_int_equal(midge_tree_find(&f.tree, 0, level, UINT16_MAX - 1), 0);
    uint8_t *path = unit_memory(UINT16_MAX);
    assert_ptr_equal(midge_tree_path(&f.tree, node, path + UINT16_MAX), path);
    assert_memory_equal(path, level, UINT16_MAX);
    free(path);
    midge_tree_remove(&f.tree, node);
    free(level);
    finish(&f);
}

struct entry {
    midge_index node;
    uint32_t parent; /* an index into the model, 0: the root */
    uint32_t children;
    char level[8];
};

static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("tree");
    static const char *const levels[] = {"", "a", "b", "c", "dd", "e-level"};
    struct fixture f;
    begin(&f, NODES, CHUNKS);
    struct entry model[NODES + 1] = {0};
    for (uint32_t step = 0; step < 30000; step++) {
        uint32_t parent = unit_random_below(&random, NODES + 1);
        if (parent != 0 && model[parent].node == 0) {
            continue;
        }
        if (parent != 0 && model[parent].children == 0 && unit_random_below(&random, 2) == 0) {
            midge_index above = midge_tree_remove(&f.tree, model[parent].node);
            assert_int_equal(above, model[model[parent].parent].node);
            model[model[parent].parent].children--;
            model[parent].node = 0;
            continue;
        }
        const char *level = levels[unit_random_below(&random, UNIT_COUNT(levels))];
        uint32_t known = 0;
        uint32_t unused = 0;
        for (uint32_t i = 1; i <= NODES; i++) {
            if (model[i].node != 0 && model[i].parent == parent && strcmp(model[i].level, level) == 0) {
                known = i;
            }
            unused = model[i].node == 0 ? i : unused;
        }
        midge_index found = find(&f, model[parent].node, level);
        assert_int_equal(found, known == 0 ? 0 : model[known].node);
        if (known == 0) {
            midge_index added = add(&f, model[parent].node, level);
            assert_int_equal(added == 0, unused == 0);
            if (added != 0) {
                model[unused] = (struct entry){.node = added, .parent = parent};
                strcpy(model[unused].level, level);
                model[parent].children++;
            }
        }
    }
    for (uint32_t left = f.tree.nodes.used; left > 0; left = f.tree.nodes.used) {
        for (uint32_t i = 1; i <= NODES; i++) {
            if (model[i].node != 0 && model[i].children == 0) {
                assert_int_equal(midge_tree_at(&f.tree, model[i].node)->uses, 0);
                midge_tree_remove(&f.tree, model[i].node);
                model[model[i].parent].children--;
                model[i].node = 0;
            }
        }
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_is_a_child_of_its_parent_alone),
        cmocka_unit_test(a_node_used_again_starts_from_zero),
        cmocka_unit_test(dry_pools_change_nothing),
        cmocka_unit_test(the_longest_level),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
