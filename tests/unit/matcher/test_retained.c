/* Which retained topics the walk by a filter finds: every filter against every topic, alone and all together. */
#include "retained.h"

#include "enumeration.h"
#include "oracle.h"
#include "unit.h"

enum { NODES = 2000, BLOCKS = 4 };

static struct enumeration topics;
static struct enumeration filters;
static struct midge_names names;
static struct midge_store store;
static struct midge_retained retained;
static midge_index message; /* what all topics retain */
static uint32_t visits[NODES + 1];

static struct midge_view view(const char *text)
{
    return (struct midge_view){.bytes = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static int begin(void **state)
{
    (void)state;
    enumerate_topics(&topics);
    enumerate_filters(&filters);
    midge_pool_init(&names.chunks, unit_memory(NODES * 16u), NODES, 16);
    midge_pool_init(&store.blocks, unit_memory(BLOCKS * 64u), BLOCKS, 64);
    retained = (struct midge_retained){.store = &store};
    midge_pool_init(&retained.tree.nodes, unit_memory((NODES + 1u) * sizeof(struct midge_topic_node)), NODES + 1u,
                    sizeof(struct midge_topic_node));
    retained.tree.table.buckets = unit_memory(NODES * sizeof(midge_index));
    midge_tree_init(&retained.tree, &names, 2024);
    message = midge_store_begin(&store);
    midge_index tail = message;
    midge_store_append(&store, message, &tail, (const uint8_t *)"\0\1tpayload", 10);
    midge_store_publish(&store, message, 1, 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    midge_store_release(&store, message);
    bool clean = store.blocks.used == 0 && retained.tree.nodes.used == 0 && names.chunks.used == 0 &&
                 midge_retained_audit(&retained) == 0;
    free(midge_pool_at(&names.chunks, 1));
    free(midge_pool_at(&store.blocks, 1));
    free(midge_pool_at(&retained.tree.nodes, 0));
    free(retained.tree.table.buckets);
    return clean ? 0 : -1;
}

/* Walks once by a filter, counting the visits of nodes whose topic matches, and of those none twice. */
static void walk(const char *filter)
{
    memset(visits, 0, sizeof(visits));
    midge_index node = 0;
    uint32_t steps = 0;
    for (;;) {
        bool matches = false;
        node = midge_retained_step(&retained, view(filter), node, &matches);
        if (node == 0) {
            break;
        }
        visits[node] += matches ? 1 : 0;
        assert_true(++steps <= retained.tree.nodes.used);
    }
}

/* The node of a topic: the tree's own way to it is tested elsewhere. */
static midge_index node_of(const char *topic)
{
    midge_index node = 0;
    for (const char *level = topic;; level++) {
        uint32_t size = (uint32_t)strcspn(level, "/");
        node = midge_tree_find(&retained.tree, node, (const uint8_t *)level, size);
        assert_int_not_equal(node, 0);
        level += size;
        if (*level == '\0') {
            return node;
        }
    }
}

static void check_pair(const char *filter, const char *topic, midge_index node)
{
    uint32_t expected = oracle_match(filter, topic) ? 1 : 0;
    if (visits[node] != expected) {
        fail_msg("filter '%s', topic '%s': found %u times instead of %u", filter, topic, visits[node], expected);
    }
}

static void one_at_a_time(void **state)
{
    (void)state;
    uint32_t pairs = 0;
    for (uint32_t t = 0; t < topics.count; t++) {
        assert_true(midge_retained_set(&retained, view(topics.text[t]), message));
        midge_index node = node_of(topics.text[t]);
        for (uint32_t f = 0; f < filters.count; f++) {
            walk(filters.text[f]);
            check_pair(filters.text[f], topics.text[t], node);
            pairs++;
        }
        midge_retained_clear(&retained, view(topics.text[t]));
        assert_int_equal(retained.tree.nodes.used, 0);
    }
    print_message("%u pairs, one topic at a time\n", pairs);
    assert_true(pairs > 300000);
}

static void all_at_once(void **state)
{
    (void)state;
    static midge_index nodes[ENUMERATION_MAX];
    for (uint32_t t = 0; t < topics.count; t++) {
        assert_true(midge_retained_set(&retained, view(topics.text[t]), message));
        nodes[t] = node_of(topics.text[t]);
    }
    assert_int_equal(midge_retained_audit(&retained), 0);
    uint32_t pairs = 0;
    for (uint32_t f = 0; f < filters.count; f++) {
        walk(filters.text[f]);
        for (uint32_t t = 0; t < topics.count; t++) {
            check_pair(filters.text[f], topics.text[t], nodes[t]);
            pairs++;
        }
    }
    print_message("%u pairs, all topics at once\n", pairs);
    assert_int_equal(pairs, filters.count * topics.count);
    for (uint32_t t = 0; t < topics.count; t++) {
        midge_retained_clear(&retained, view(topics.text[t]));
        assert_int_equal(midge_retained_audit(&retained), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_at_a_time), cmocka_unit_test(all_at_once)};
    return cmocka_run_group_tests(tests, begin, finish);
}
