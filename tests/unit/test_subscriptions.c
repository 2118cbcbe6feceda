/* Subscriptions: their lists and nodes, pools that run dry at every step, and a match as deep and as wide as it gets. */
#include "subscriptions.h"

#include "oracle.h"
#include "unit.h"

enum { LEVELS = 10, FOUND_MAX = 2048 };

struct fixture {
    struct midge_names names;
    struct midge_subscriptions subscriptions;
};

static struct midge_view view(const char *text)
{
    return (struct midge_view){.bytes = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static void begin(struct fixture *f, midge_index count, midge_index nodes, midge_index chunks)
{
    midge_pool_init(&f->names.chunks, unit_memory(chunks * 8u), chunks, 8);
    f->subscriptions = (struct midge_subscriptions){.levels_max = LEVELS};
    f->subscriptions.stack = unit_memory((LEVELS + 1) * sizeof(struct midge_walk));
    size_t size = sizeof(struct midge_subscription);
    midge_pool_init(&f->subscriptions.pool, unit_memory(count * size), count, (uint32_t)size);
    midge_pool_init(&f->subscriptions.tree.nodes, unit_memory((nodes + 1u) * sizeof(struct midge_filter_node)), nodes + 1,
                    sizeof(struct midge_filter_node));
    f->subscriptions.tree.table.buckets = unit_memory(nodes * sizeof(midge_index));
    midge_tree_init(&f->subscriptions.tree, &f->names, 99);
}

static void finish(struct fixture *f)
{
    assert_int_equal(f->subscriptions.pool.used, 0);
    assert_int_equal(f->subscriptions.tree.nodes.used, 0);
    assert_int_equal(f->names.chunks.used, 0);
    const struct midge_filter_node *root = midge_pool_at(&f->subscriptions.tree.nodes, 0);
    assert_int_equal(root->exact, 0);
    assert_int_equal(root->multi, 0);
    assert_int_equal(root->plus, 0);
    assert_int_equal(midge_subscriptions_audit(&f->subscriptions), 0);
    free(midge_pool_at(&f->names.chunks, 1));
    free(f->subscriptions.stack);
    free(midge_pool_at(&f->subscriptions.pool, 1));
    free(midge_pool_at(&f->subscriptions.tree.nodes, 0));
    free(f->subscriptions.tree.table.buckets);
}

/* A session's circle of one, so that it can be searched. */
static midge_index add(struct fixture *f, midge_index session, const char *filter, uint32_t state)
{
    midge_index subscription = midge_subscriptions_add(&f->subscriptions, session, view(filter), state);
    if (subscription != 0) {
        midge_subscription_at(&f->subscriptions, subscription)->session_next = subscription;
        midge_subscription_at(&f->subscriptions, subscription)->session_previous = subscription;
    }
    assert_int_equal(midge_subscriptions_audit(&f->subscriptions), 0);
    return subscription;
}

static void drop(struct fixture *f, midge_index subscription)
{
    midge_subscriptions_remove(&f->subscriptions, subscription);
    assert_int_equal(midge_subscriptions_audit(&f->subscriptions), 0);
}

struct found {
    const struct midge_subscriptions *subscriptions;
    uint32_t count;
    midge_index index[FOUND_MAX];
};

static void note(void *context, midge_index first)
{
    struct found *found = context;
    for (midge_index i = first; i != 0; i = midge_subscription_at(found->subscriptions, i)->node_next) {
        assert_true(found->count < FOUND_MAX);
        found->index[found->count++] = i;
    }
}

static struct found *match(struct fixture *f, const char *topic)
{
    static struct found found;
    found.subscriptions = &f->subscriptions;
    found.count = 0;
    midge_subscriptions_match(&f->subscriptions, view(topic), note, &found);
    return &found;
}

static void filters_are_found_exactly(void **state)
{
    (void)state;
    static const char *const filters[] = {"a", "a/#", "a/+", "#", "+", "/", "/#", "a/b/c", "+/+", "a//b", "$x/#"};
    struct fixture f;
    begin(&f, 20, 40, 40);
    midge_index subscriptions[UNIT_COUNT(filters)];
    for (uint32_t i = 0; i < UNIT_COUNT(filters); i++) {
        subscriptions[i] = add(&f, (midge_index)(i + 1), filters[i], i % 3 | 5u << MIDGE_SUBSCRIPTION_STAMP);
        assert_int_not_equal(subscriptions[i], 0);
    }
    for (uint32_t i = 0; i < UNIT_COUNT(filters); i++) {
        const struct midge_subscription *s = midge_subscription_at(&f.subscriptions, subscriptions[i]);
        assert_int_equal(s->state & MIDGE_SUBSCRIPTION_QOS, i % 3);
        assert_int_equal(s->state >> MIDGE_SUBSCRIPTION_STAMP, 5);
        assert_int_equal((s->state & MIDGE_SUBSCRIPTION_MULTI) != 0, strchr(filters[i], '#') != NULL);
        uint32_t size = (uint32_t)strlen(filters[i]);
        uint8_t *text = unit_memory(size);
        struct midge_view filter = midge_subscription_filter(&f.subscriptions, subscriptions[i], text + size);
        assert_ptr_equal(filter.bytes, text);
        assert_int_equal(filter.size, size);
        assert_memory_equal(text, filters[i], size);
        free(text);
        for (uint32_t k = 0; k < UNIT_COUNT(filters); k++) {
            midge_index session = (midge_index)(i + 1);
            midge_index found = midge_subscriptions_find(&f.subscriptions, session, subscriptions[i], view(filters[k]));
            assert_int_equal(found, i == k ? subscriptions[i] : 0);
        }
        assert_int_equal(midge_subscriptions_find(&f.subscriptions, 99, 0, view(filters[i])), 0);
    }
    assert_int_equal(midge_subscriptions_find(&f.subscriptions, 1, subscriptions[0], view("not/there")), 0);
    for (uint32_t i = 0; i < UNIT_COUNT(filters); i++) {
        drop(&f, subscriptions[i]);
    }
    finish(&f);
}

/* A session with many subscriptions on a filter with one, and the other way round: both lists lead to it. */
static void find_by_the_shorter_list(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 40, 40, 40);
    midge_index circle[10];
    for (midge_index i = 0; i < 10; i++) {
        const char filter[] = {(char)('a' + i), '\0'};
        circle[i] = midge_subscriptions_add(&f.subscriptions, 1, view(filter), 0);
    }
    for (uint32_t i = 0; i < 10; i++) {
        midge_subscription_at(&f.subscriptions, circle[i])->session_next = circle[(i + 1) % 10];
        midge_subscription_at(&f.subscriptions, circle[i])->session_previous = circle[(i + 9) % 10];
    }
    midge_index others[10];
    for (midge_index i = 0; i < 10; i++) {
        others[i] = add(&f, (midge_index)(i + 2), "a", 0);
    }
    for (uint32_t first = 0; first < 10; first++) {
        for (uint32_t i = 0; i < 10; i++) {
            const char filter[] = {(char)('a' + i), '\0'};
            assert_int_equal(midge_subscriptions_find(&f.subscriptions, 1, circle[first], view(filter)), circle[i]);
        }
        assert_int_equal(midge_subscriptions_find(&f.subscriptions, 1, circle[first], view("a/#")), 0);
    }
    for (midge_index i = 0; i < 10; i++) {
        assert_int_equal(midge_subscriptions_find(&f.subscriptions, (midge_index)(i + 2), others[i], view("a")), others[i]);
        assert_int_equal(midge_subscriptions_find(&f.subscriptions, (midge_index)(i + 2), others[i], view("b")), 0);
    }
    for (uint32_t i = 0; i < 10; i++) {
        drop(&f, others[(i * 7) % 10]);
        drop(&f, circle[i]);
    }
    finish(&f);
}

/* Whichever pool is too small by however much, nothing stays behind. */
static void dry_pools_at_every_step(void **state)
{
    (void)state;
    const char *filter = "a/+/longer than a chunk/b/#";
    enum { NEED_NODES = 4 };
    struct fixture f;
    begin(&f, 2, 16, 32);
    drop(&f, add(&f, 1, filter, 0));
    midge_index need_chunks = f.names.chunks.touched;
    finish(&f);
    for (midge_index nodes = 0; nodes <= NEED_NODES; nodes++) {
        for (midge_index chunks = 0; chunks <= need_chunks; chunks++) {
            for (midge_index count = 0; count <= 1; count++) {
                begin(&f, count, nodes, chunks);
                bool fits = nodes == NEED_NODES && chunks == need_chunks && count == 1;
                midge_index subscription = add(&f, 1, filter, 0);
                assert_int_equal(subscription != 0, fits);
                if (fits) {
                    drop(&f, subscription);
                }
                finish(&f);
            }
        }
    }
    /* The way that others use stays when the rest of it does not fit. */
    begin(&f, 3, 3, 32);
    midge_index short_one = add(&f, 1, "a/+", 0);
    assert_int_equal(add(&f, 2, "a/+/b/c", 0), 0);
    assert_int_equal(f.subscriptions.tree.nodes.used, 2);
    midge_index on_the_way = add(&f, 2, "a/+/b", 0);
    assert_int_not_equal(on_the_way, 0);
    drop(&f, short_one);
    assert_int_equal(f.subscriptions.tree.nodes.used, 3);
    assert_int_equal(match(&f, "a/x/b")->count, 1);
    drop(&f, on_the_way);
    finish(&f);
}

/* Both branches at each of as many levels as there may be: the stack just holds. */
static void as_deep_and_as_wide_as_it_gets(void **state)
{
    (void)state;
    struct fixture f;
    enum { FILTERS = 1 << LEVELS };
    begin(&f, FILTERS + 1, 2 * FILTERS, 2 * FILTERS);
    static midge_index subscriptions[FILTERS];
    for (uint32_t bits = 0; bits < FILTERS; bits++) {
        char filter[2 * LEVELS + 1] = {0};
        for (uint32_t i = 0; i < LEVELS; i++) {
            strcat(filter, i > 0 ? "/" : "");
            strcat(filter, (bits >> i & 1) != 0 ? "+" : "a");
        }
        subscriptions[bits] = midge_subscriptions_add(&f.subscriptions, 1, view(filter), 0);
        assert_int_not_equal(subscriptions[bits], 0);
    }
    assert_int_equal(midge_subscriptions_audit(&f.subscriptions), 0);
    assert_int_equal(match(&f, "a/a/a/a/a/a/a/a/a/a")->count, FILTERS);
    assert_int_equal(match(&f, "a/a/a/a/a/b/a/a/a/a")->count, FILTERS / 2);
    assert_int_equal(match(&f, "a/a/a/a/a/a/a/a/a")->count, 0);
    assert_int_equal(match(&f, "/////////")->count, 1);
    for (uint32_t bits = 0; bits < FILTERS; bits++) {
        midge_subscriptions_remove(&f.subscriptions, subscriptions[(bits * 77) % FILTERS]);
    }
    finish(&f);
}

struct model {
    midge_index subscription;
    midge_index session;
    char filter[24];
};

static void random_filter(struct unit_random *random, char *filter)
{
    static const char *const levels[] = {"a", "b", "", "+", "$x", "a longer one"};
    filter[0] = '\0';
    uint32_t depth = 1 + unit_random_below(random, 3);
    for (uint32_t i = 0; i < depth; i++) {
        uint32_t choices = UNIT_COUNT(levels) - (i > 0 ? 1 : 0);
        strcat(filter, i > 0 ? "/" : "");
        strcat(filter, levels[unit_random_below(random, choices)]);
    }
    if (filter[0] == '\0' || unit_random_below(random, 3) == 0) {
        strcat(filter, filter[0] == '\0' ? "#" : "/#");
    }
}

static void random_operations(void **state)
{
    (void)state;
    static const char *const topics[] = {"a", "b", "/", "a/b", "a/b/a", "$x", "$x/a", "b/a longer one", "//", "a/", "x/y/z"};
    struct unit_random random = unit_random_begin("subscriptions");
    struct fixture f;
    begin(&f, 24, 40, 60);
    struct model model[30] = {0};
    for (uint32_t step = 0; step < 20000; step++) {
        struct model *m = &model[unit_random_below(&random, UNIT_COUNT(model))];
        if (m->subscription != 0) {
            drop(&f, m->subscription);
            m->subscription = 0;
        } else {
            random_filter(&random, m->filter);
            m->session = (midge_index)(1 + unit_random_below(&random, 1000));
            m->subscription = add(&f, m->session, m->filter, 0);
        }
        const char *topic = topics[unit_random_below(&random, UNIT_COUNT(topics))];
        uint32_t expected = 0;
        for (uint32_t i = 0; i < UNIT_COUNT(model); i++) {
            expected += model[i].subscription != 0 && oracle_match(model[i].filter, topic) ? 1 : 0;
        }
        const struct found *found = match(&f, topic);
        assert_int_equal(found->count, expected);
        for (uint32_t i = 0; i < found->count; i++) {
            uint32_t known = 0;
            for (uint32_t k = 0; k < UNIT_COUNT(model); k++) {
                known += model[k].subscription == found->index[i] && oracle_match(model[k].filter, topic) ? 1 : 0;
            }
            assert_int_equal(known, 1);
        }
    }
    for (uint32_t i = 0; i < UNIT_COUNT(model); i++) {
        if (model[i].subscription != 0) {
            drop(&f, model[i].subscription);
        }
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_found_exactly), cmocka_unit_test(find_by_the_shorter_list),
        cmocka_unit_test(dry_pools_at_every_step),   cmocka_unit_test(as_deep_and_as_wide_as_it_gets),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
