/* Retained messages: set, replaced and cleared, walked while the tree changes, stamps around their end. */
#include "retained.h"

#include "oracle.h"
#include "unit.h"

enum { BLOCKS = 60, NODES = 40 };

struct fixture {
    struct midge_names names;
    struct midge_store store;
    struct midge_retained retained;
};

static struct midge_view view(const char *text)
{
    return (struct midge_view){.bytes = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static void begin(struct fixture *f, midge_index nodes, midge_index chunks)
{
    midge_pool_init(&f->names.chunks, unit_memory(chunks * 8u), chunks, 8);
    f->store = (struct midge_store){0};
    midge_pool_init(&f->store.blocks, unit_memory(BLOCKS * 64u), BLOCKS, 64);
    f->retained = (struct midge_retained){.store = &f->store};
    midge_pool_init(&f->retained.tree.nodes, unit_memory((nodes + 1u) * sizeof(struct midge_topic_node)), nodes + 1,
                    sizeof(struct midge_topic_node));
    f->retained.tree.table.buckets = unit_memory(nodes * sizeof(midge_index));
    midge_tree_init(&f->retained.tree, &f->names, 31);
}

static void finish(struct fixture *f)
{
    assert_int_equal(f->retained.tree.nodes.used, 0);
    assert_int_equal(f->names.chunks.used, 0);
    assert_int_equal(f->store.blocks.used, 0);
    assert_int_equal(f->retained.count, 0);
    assert_int_equal(f->retained.bytes, 0);
    assert_int_equal(midge_topic_node_at(&f->retained, 0)->first_child, 0);
    assert_int_equal(midge_retained_audit(&f->retained), 0);
    free(midge_pool_at(&f->names.chunks, 1));
    free(midge_pool_at(&f->store.blocks, 1));
    free(midge_pool_at(&f->retained.tree.nodes, 0));
    free(f->retained.tree.table.buckets);
}

/* Retains a message with a payload of this size, which nobody else holds then. */
static bool set(struct fixture *f, const char *topic, uint32_t payload_size, midge_index *message)
{
    uint8_t payload[64] = {0};
    uint8_t size[2];
    midge_put_u16(size, (uint16_t)strlen(topic));
    *message = midge_store_begin(&f->store);
    midge_index tail = *message;
    midge_store_append(&f->store, *message, &tail, size, 2);
    midge_store_append(&f->store, *message, &tail, (const uint8_t *)topic, (uint32_t)strlen(topic));
    midge_store_append(&f->store, *message, &tail, payload, payload_size);
    midge_store_publish(&f->store, *message, (uint16_t)strlen(topic), 0);
    bool done = midge_retained_set(&f->retained, view(topic), *message);
    midge_store_release(&f->store, *message);
    assert_int_equal(midge_retained_audit(&f->retained), 0);
    return done;
}

static void clear(struct fixture *f, const char *topic)
{
    midge_retained_clear(&f->retained, view(topic));
    assert_int_equal(midge_retained_audit(&f->retained), 0);
}

static void set_replaced_and_cleared(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NODES, 60);
    midge_index first, second, deeper;
    assert_int_equal(midge_retained_get(&f.retained, view("a/b")), 0);
    assert_true(set(&f, "a/b", 10, &first));
    assert_int_equal(midge_retained_get(&f.retained, view("a/b")), first);
    assert_int_equal(midge_retained_get(&f.retained, view("a")), 0);
    assert_int_equal(midge_retained_get(&f.retained, view("a/b/c")), 0);
    assert_int_equal(f.retained.bytes, 13);
    assert_true(set(&f, "a/b", 20, &second));
    assert_int_equal(midge_retained_get(&f.retained, view("a/b")), second);
    assert_int_equal(f.retained.count, 1);
    assert_int_equal(f.retained.bytes, 23);
    assert_int_equal(f.store.messages, 1);
    assert_true(set(&f, "a/b//", 0, &deeper));
    assert_int_equal(f.retained.count, 2);
    assert_int_equal(f.retained.tree.nodes.used, 4);
    clear(&f, "a");
    clear(&f, "a/b/");
    clear(&f, "a/b///");
    clear(&f, "x");
    assert_int_equal(f.retained.count, 2);
    clear(&f, "a/b");
    assert_int_equal(midge_retained_get(&f.retained, view("a/b")), 0);
    assert_int_equal(midge_retained_get(&f.retained, view("a/b//")), deeper);
    clear(&f, "a/b//");
    finish(&f);
}

static void a_replacement_by_the_same_message(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NODES, 60);
    midge_index message;
    assert_true(set(&f, "t", 5, &message));
    assert_true(midge_retained_set(&f.retained, view("t"), message));
    assert_int_equal(midge_message_at(&f.store, message)->references, 1);
    assert_int_equal(midge_retained_audit(&f.retained), 0);
    clear(&f, "t");
    finish(&f);
}

static void dry_pools_at_every_step(void **state)
{
    (void)state;
    const char *topic = "a/a name longer than a chunk//b";
    enum { NEED_NODES = 4 };
    struct fixture f;
    midge_index message;
    begin(&f, NODES, 60);
    assert_true(set(&f, topic, 3, &message));
    midge_index need_chunks = f.names.chunks.used;
    clear(&f, topic);
    finish(&f);
    for (midge_index nodes = 0; nodes <= NEED_NODES; nodes++) {
        for (midge_index chunks = 0; chunks <= need_chunks; chunks++) {
            begin(&f, nodes, chunks);
            bool fits = nodes == NEED_NODES && chunks == need_chunks;
            assert_int_equal(set(&f, topic, 3, &message), fits);
            clear(&f, topic);
            finish(&f);
        }
    }
    /* What is there already stays. */
    begin(&f, 2, 60);
    midge_index kept;
    assert_true(set(&f, "a/b", 3, &kept));
    assert_false(set(&f, "a/b/c", 3, &message));
    assert_false(set(&f, "c", 3, &message));
    assert_int_equal(midge_retained_get(&f.retained, view("a/b")), kept);
    assert_int_equal(f.retained.tree.nodes.used, 2);
    clear(&f, "a/b");
    finish(&f);
}

static midge_index step(const struct fixture *f, const char *filter, midge_index node, bool *matches)
{
    *matches = false;
    return midge_retained_step(&f->retained, view(filter), node, matches);
}

/* A cursor holds its node, and what is needed to go on from it, though everything around it is cleared. */
static void a_cursor_stays_where_it_is(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NODES, 60);
    midge_index message;
    assert_true(set(&f, "a/1", 0, &message));
    assert_true(set(&f, "a/2", 0, &message));
    assert_true(set(&f, "a/3", 0, &message));
    bool matches;
    midge_index node = step(&f, "a/+", 0, &matches);
    assert_false(matches);
    node = step(&f, "a/+", node, &matches);
    assert_true(matches);
    midge_retained_pin(&f.retained, node);
    clear(&f, "a/1");
    clear(&f, "a/2");
    clear(&f, "a/3");
    assert_int_equal(f.retained.tree.nodes.used, 2);
    assert_int_equal(step(&f, "a/+", node, &matches), 0);
    midge_retained_pin(&f.retained, 0);
    midge_retained_unpin(&f.retained, 0);
    midge_retained_pin(&f.retained, node);
    midge_retained_unpin(&f.retained, node);
    assert_int_equal(f.retained.tree.nodes.used, 2);
    midge_retained_unpin(&f.retained, node);
    finish(&f);
}

static void stamps_go_round(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NODES, 60);
    midge_index message;
    assert_true(set(&f, "old", 0, &message));
    uint32_t first = midge_retained_subscribe(&f.retained);
    assert_int_equal(first, 1);
    assert_true(set(&f, "new", 0, &message));
    bool matches;
    midge_index newer = step(&f, "new", 0, &matches);
    midge_index older = step(&f, "old", 0, &matches);
    assert_true(midge_topic_node_at(&f.retained, older)->stamp < first);
    assert_false(midge_topic_node_at(&f.retained, newer)->stamp < first);
    assert_int_equal(midge_retained_subscribe(&f.retained), 2);
    assert_true(midge_topic_node_at(&f.retained, newer)->stamp < 2);

    f.retained.stamp = MIDGE_STAMP_MAX - 1;
    assert_int_equal(midge_retained_subscribe(&f.retained), MIDGE_STAMP_MAX);
    assert_true(set(&f, "new", 0, &message));
    assert_int_equal(midge_topic_node_at(&f.retained, newer)->stamp, MIDGE_STAMP_MAX);
    uint32_t wrapped = midge_retained_subscribe(&f.retained);
    assert_int_equal(wrapped, 1);
    assert_true(midge_topic_node_at(&f.retained, newer)->stamp < wrapped);
    assert_true(midge_topic_node_at(&f.retained, older)->stamp < wrapped);
    assert_true(set(&f, "old", 0, &message));
    assert_false(midge_topic_node_at(&f.retained, older)->stamp < wrapped);
    clear(&f, "old");
    clear(&f, "new");
    finish(&f);
}

static const char *const topics[] = {"a", "b",  "a/b",  "a/c",  "a/b/c", "b/b",  "b/c/d",
                                     "/", "/a", "$x/a", "$x/b", "$x",    "a/b/", "c/c/c"};

/* Sets and clears topics at random; topics whose `fixed` is true stay. */
static void disturb(struct fixture *f, struct unit_random *random, const bool *fixed, bool *live)
{
    for (uint32_t i = unit_random_below(random, 4); i > 0; i--) {
        uint32_t t = unit_random_below(random, UNIT_COUNT(topics));
        midge_index message;
        if (!fixed[t] && live[t]) {
            clear(f, topics[t]);
            live[t] = false;
        } else if (set(f, topics[t], unit_random_below(random, 40), &message)) {
            live[t] = true;
        } else {
            assert_int_not_equal(live[t], true);
        }
    }
}

static uint32_t topic_of(const struct fixture *f, midge_index node)
{
    char memory[16] = {0};
    const char *text = (const char *)midge_tree_path(&f->retained.tree, node, (uint8_t *)memory + sizeof(memory) - 1);
    for (uint32_t t = 0; t < UNIT_COUNT(topics); t++) {
        if (strcmp(topics[t], text) == 0) {
            return t;
        }
    }
    return UNIT_COUNT(topics);
}

/* A walk during which topics come and go: what is there all the time is passed exactly once, nothing twice. */
static void walks_while_the_tree_changes(void **state)
{
    (void)state;
    static const char *const filters[] = {"#", "+", "a/#", "+/+", "a/+/#", "+/c/#", "$x/#", "$x/+", "/#", "a", "a/b", "b/+/d"};
    struct unit_random random = unit_random_begin("retained");
    for (uint32_t round = 0; round < 3000; round++) {
        struct fixture f;
        begin(&f, (midge_index)(12 + round % 20), 20);
        bool fixed[UNIT_COUNT(topics)] = {false};
        bool live[UNIT_COUNT(topics)] = {false};
        disturb(&f, &random, fixed, live);
        disturb(&f, &random, fixed, live);
        disturb(&f, &random, fixed, live);
        for (uint32_t t = 0; t < UNIT_COUNT(topics); t++) {
            fixed[t] = live[t] && unit_random_below(&random, 2) == 0;
        }
        const char *filter = filters[unit_random_below(&random, UNIT_COUNT(filters))];
        uint32_t visits[UNIT_COUNT(topics) + 1] = {0};
        midge_index node = 0;
        for (;;) {
            bool matches;
            midge_index next = step(&f, filter, node, &matches);
            midge_retained_pin(&f.retained, next);
            midge_retained_unpin(&f.retained, node);
            node = next;
            if (node == 0) {
                break;
            }
            visits[topic_of(&f, node)] += matches ? 1 : 0;
            disturb(&f, &random, fixed, live);
        }
        for (uint32_t t = 0; t < UNIT_COUNT(topics); t++) {
            bool match = oracle_match(filter, topics[t]);
            assert_true(visits[t] == 0 || match);
            assert_true(!fixed[t] || visits[t] == (match ? 1 : 0));
            clear(&f, topics[t]);
        }
        finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_replaced_and_cleared), cmocka_unit_test(a_replacement_by_the_same_message),
        cmocka_unit_test(dry_pools_at_every_step),  cmocka_unit_test(a_cursor_stays_where_it_is),
        cmocka_unit_test(stamps_go_round),          cmocka_unit_test(walks_while_the_tree_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
