/* Which subscriptions a topic finds: every filter against every topic, alone and all together. */
#include "subscriptions.h"

#include "enumeration.h"
#include "oracle.h"
#include "unit.h"

enum { NODES = 2000 };

static struct enumeration topics;
static struct enumeration filters;
static struct midge_names names;
static struct midge_subscriptions subscriptions;
static uint32_t found_count[ENUMERATION_MAX + 1]; /* by session, which is the number of its filter, from 1 */

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
    subscriptions = (struct midge_subscriptions){.levels_max = ENUMERATION_LEVELS};
    subscriptions.stack = unit_memory((ENUMERATION_LEVELS + 1) * sizeof(struct midge_walk));
    midge_pool_init(&subscriptions.pool, unit_memory(ENUMERATION_MAX * sizeof(struct midge_subscription)), ENUMERATION_MAX,
                    sizeof(struct midge_subscription));
    midge_pool_init(&subscriptions.tree.nodes, unit_memory((NODES + 1u) * sizeof(struct midge_filter_node)), NODES + 1u,
                    sizeof(struct midge_filter_node));
    subscriptions.tree.table.buckets = unit_memory(NODES * sizeof(midge_index));
    midge_tree_init(&subscriptions.tree, &names, 2024);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    bool clean = subscriptions.pool.used == 0 && subscriptions.tree.nodes.used == 0 && names.chunks.used == 0 &&
                 midge_subscriptions_audit(&subscriptions) == 0;
    free(midge_pool_at(&names.chunks, 1));
    free(subscriptions.stack);
    free(midge_pool_at(&subscriptions.pool, 1));
    free(midge_pool_at(&subscriptions.tree.nodes, 0));
    free(subscriptions.tree.table.buckets);
    return clean ? 0 : -1;
}

static void count_found(void *context, midge_index first)
{
    (void)context;
    for (midge_index i = first; i != 0; i = midge_subscription_at(&subscriptions, i)->node_next) {
        found_count[midge_subscription_at(&subscriptions, i)->session]++;
    }
}

/* Each filter that matches is found once, no other is. `live` tells which are subscribed. */
static void check_topic(const char *topic, const midge_index *live, uint32_t *pairs)
{
    memset(found_count, 0, sizeof(found_count));
    midge_subscriptions_match(&subscriptions, view(topic), count_found, NULL);
    for (uint32_t f = 0; f < filters.count; f++) {
        if (live[f] == 0) {
            assert_int_equal(found_count[f + 1], 0);
            continue;
        }
        uint32_t expected = oracle_match(filters.text[f], topic) ? 1 : 0;
        if (found_count[f + 1] != expected) {
            fail_msg("filter '%s', topic '%s': found %u times instead of %u", filters.text[f], topic, found_count[f + 1],
                     expected);
        }
        ++*pairs;
    }
}

static midge_index subscribe(uint32_t f)
{
    midge_index subscription = midge_subscriptions_add(&subscriptions, (midge_index)(f + 1), view(filters.text[f]), 1);
    assert_int_not_equal(subscription, 0);
    return subscription;
}

static void one_at_a_time(void **state)
{
    (void)state;
    uint32_t pairs = 0;
    for (uint32_t f = 0; f < filters.count; f++) {
        midge_index subscription = subscribe(f);
        for (uint32_t t = 0; t < topics.count; t++) {
            memset(found_count, 0, sizeof(found_count));
            midge_subscriptions_match(&subscriptions, view(topics.text[t]), count_found, NULL);
            uint32_t expected = oracle_match(filters.text[f], topics.text[t]) ? 1 : 0;
            if (found_count[f + 1] != expected) {
                fail_msg("filter '%s' alone, topic '%s'", filters.text[f], topics.text[t]);
            }
            pairs++;
        }
        midge_subscriptions_remove(&subscriptions, subscription);
        assert_int_equal(subscriptions.tree.nodes.used, 0);
    }
    print_message("%u pairs, one subscription at a time\n", pairs);
    assert_true(pairs > 300000);
}

static void all_at_once(void **state)
{
    (void)state;
    static midge_index live[ENUMERATION_MAX];
    uint32_t pairs = 0;
    for (uint32_t f = 0; f < filters.count; f++) {
        live[f] = subscribe(f);
    }
    assert_int_equal(midge_subscriptions_audit(&subscriptions), 0);
    for (uint32_t t = 0; t < topics.count; t++) {
        check_topic(topics.text[t], live, &pairs);
    }
    print_message("%u pairs, all subscriptions at once\n", pairs);
    assert_int_equal(pairs, filters.count * topics.count);
    for (uint32_t f = 0; f < filters.count; f++) {
        uint8_t text[ENUMERATION_TEXT];
        struct midge_view filter = midge_subscription_filter(&subscriptions, live[f], text + sizeof(text));
        assert_int_equal(filter.size, strlen(filters.text[f]));
        assert_memory_equal(filter.bytes, filters.text[f], filter.size);
    }
    /* What is left still matches, after every step of taking them all away. */
    struct unit_random random = unit_random_begin("matcher");
    for (uint32_t left = filters.count; left > 0;) {
        for (uint32_t i = 0; i < filters.count; i++) {
            if (live[i] != 0 && unit_random_below(&random, left > 100 ? 3 : 1) == 0) {
                midge_subscriptions_remove(&subscriptions, live[i]);
                live[i] = 0;
                left--;
            }
        }
        assert_int_equal(midge_subscriptions_audit(&subscriptions), 0);
        for (uint32_t t = 0; t < topics.count; t++) {
            check_topic(topics.text[t], live, &pairs);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_at_a_time), cmocka_unit_test(all_at_once)};
    return cmocka_run_group_tests(tests, begin, finish);
}
