/* Topics and filters: the checks and the matcher against the oracle of the unit tests.
 *
 * The input: how many levels are allowed, how large the pools are, and then texts, each on a line. Each is tried as a topic and
 * as a filter; the valid ones are subscribed to and retained, all together, and every pair is asked in both indices; then some
 * are removed, and the rest is asked again. */
#include "retained.h"
#include "subscriptions.h"
#include "topic.h"

#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
    (void)fprintf(stderr, "fuzz_topic.c:%d: %s\n", line, condition);
    abort();
}

enum { TEXTS_MAX = 24, LEVELS_MAX = 64, NODES_MAX = 512, NAME_SIZE = 12, BLOCK_SIZE = 64 };

/* A line, and the index entries that it has as a filter and as a topic; 0: none. */
struct text {
    char *text; /* with a terminator */
    uint32_t size;
    midge_index subscription;
    bool is_topic;
    bool retained;
};

struct house {
    struct midge_names names;
    struct midge_subscriptions subscriptions;
    struct midge_retained retained;
    struct midge_store store;
    midge_index message;
    struct text texts[TEXTS_MAX];
    uint32_t count;
    uint32_t found[TEXTS_MAX + 1]; /* by the session, which is the number of the text, from 1 */
};

static void *memory(size_t count, size_t size)
{
    void *taken = calloc(count > 0 ? count : 1, size);
    REQUIRE(taken != NULL);
    return taken;
}

static struct midge_view view_of(const struct text *text)
{
    return (struct midge_view){(const uint8_t *)text->text, text->size};
}

static void house_begin(struct house *house, uint32_t levels_max, midge_index nodes)
{
    static const uint8_t topic[1] = {'t'};
    midge_index tail;
    midge_pool_init(&house->names.chunks, memory(nodes * 2u, NAME_SIZE), (midge_index)(nodes * 2u), NAME_SIZE);
    house->subscriptions.levels_max = levels_max;
    house->subscriptions.stack = memory(levels_max + 1, sizeof(struct midge_walk));
    midge_pool_init(&house->subscriptions.pool, memory(TEXTS_MAX, sizeof(struct midge_subscription)), TEXTS_MAX,
                    sizeof(struct midge_subscription));
    midge_pool_init(&house->subscriptions.tree.nodes, memory(nodes + 1u, sizeof(struct midge_filter_node)),
                    (midge_index)(nodes + 1), sizeof(struct midge_filter_node));
    house->subscriptions.tree.table.buckets = memory(nodes, sizeof(midge_index));
    midge_tree_init(&house->subscriptions.tree, &house->names, 2024);
    midge_pool_init(&house->retained.tree.nodes, memory(nodes + 1u, sizeof(struct midge_topic_node)), (midge_index)(nodes + 1),
                    sizeof(struct midge_topic_node));
    house->retained.tree.table.buckets = memory(nodes, sizeof(midge_index));
    midge_tree_init(&house->retained.tree, &house->names, 4202);
    midge_pool_init(&house->store.blocks, memory(4, BLOCK_SIZE), 4, BLOCK_SIZE);
    house->retained.store = &house->store;
    house->message = tail = midge_store_begin(&house->store);
    midge_store_append(&house->store, house->message, &tail, topic, 1);
    midge_store_publish(&house->store, house->message, 1, 0);
}

static void house_end(struct house *house)
{
    midge_store_release(&house->store, house->message);
    REQUIRE(house->names.chunks.used == 0 && house->subscriptions.pool.used == 0 && house->store.blocks.used == 0);
    REQUIRE(house->subscriptions.tree.nodes.used == 0 && house->retained.tree.nodes.used == 0);
    free(midge_pool_at(&house->names.chunks, 1));
    free(house->subscriptions.stack);
    free(midge_pool_at(&house->subscriptions.pool, 1));
    free(midge_pool_at(&house->subscriptions.tree.nodes, 0));
    free(house->subscriptions.tree.table.buckets);
    free(midge_pool_at(&house->retained.tree.nodes, 0));
    free(house->retained.tree.table.buckets);
    free(midge_pool_at(&house->store.blocks, 1));
    for (uint32_t i = 0; i < house->count; i++) {
        free(house->texts[i].text);
    }
}

static void audit(const struct house *house)
{
    REQUIRE(midge_subscriptions_audit(&house->subscriptions) == 0);
    REQUIRE(midge_retained_audit(&house->retained) == 0);
}

/* Checks one line, and puts it into the indices where it is valid. */
static void add_text(struct house *house, const uint8_t *bytes, uint32_t size)
{
    uint32_t levels_max = house->subscriptions.levels_max;
    enum midge_reason as_topic = midge_topic_check(bytes, size, levels_max);
    enum midge_reason as_filter = midge_filter_check(bytes, size, levels_max);
    REQUIRE(midge_string_check(bytes, size) == oracle_string_check(bytes, size));
    REQUIRE(as_topic == oracle_topic_check(bytes, size, levels_max));
    REQUIRE(as_filter == oracle_filter_check(bytes, size, levels_max));
    if (as_filter != MIDGE_NONE) {
        return;
    }
    struct text *text = &house->texts[house->count++];
    *text = (struct text){.text = memory(size + 1, 1), .size = size, .is_topic = as_topic == MIDGE_NONE};
    memcpy(text->text, bytes, size);
    midge_index nodes = house->subscriptions.tree.nodes.used;
    midge_index names = house->names.chunks.used;
    text->subscription = midge_subscriptions_add(&house->subscriptions, (midge_index)house->count, view_of(text), 1);
    REQUIRE(text->subscription != 0 || (house->subscriptions.tree.nodes.used == nodes && house->names.chunks.used == names));
    if (text->is_topic) {
        nodes = house->retained.tree.nodes.used;
        names = house->names.chunks.used;
        text->retained = midge_retained_set(&house->retained, view_of(text), house->message);
        REQUIRE(text->retained || (house->retained.tree.nodes.used == nodes && house->names.chunks.used == names));
    }
}

static void count_found(void *context, midge_index first)
{
    struct house *house = context;
    for (midge_index i = first; i != 0; i = midge_subscription_at(&house->subscriptions, i)->node_next) {
        house->found[midge_subscription_at(&house->subscriptions, i)->session]++;
    }
}

static void check_subscriptions(struct house *house, const struct text *topic)
{
    memset(house->found, 0, sizeof house->found);
    midge_subscriptions_match(&house->subscriptions, view_of(topic), count_found, house);
    for (uint32_t i = 0; i < house->count; i++) {
        bool due = house->texts[i].subscription != 0 && oracle_match(house->texts[i].text, topic->text);
        REQUIRE(house->found[i + 1] == (due ? 1 : 0));
    }
}

/* The walk meets each topic that is retained and matches once; the same topic may stand on several lines. */
static void check_retained(const struct house *house, const struct text *filter)
{
    uint32_t met = 0;
    uint32_t due = 0;
    bool matches = false;
    for (midge_index node = midge_retained_step(&house->retained, view_of(filter), 0, &matches); node != 0;
         node = midge_retained_step(&house->retained, view_of(filter), node, &matches)) {
        met += matches && midge_topic_node_at(&house->retained, node)->message != 0 ? 1 : 0;
    }
    for (uint32_t i = 0; i < house->count; i++) {
        const struct text *topic = &house->texts[i];
        bool first = true;
        for (uint32_t k = 0; k < i; k++) {
            first = first && !(house->texts[k].retained && strcmp(house->texts[k].text, topic->text) == 0);
        }
        due += topic->retained && first && oracle_match(filter->text, topic->text) ? 1 : 0;
    }
    REQUIRE(met == due);
}

static void check_all(struct house *house)
{
    audit(house);
    for (uint32_t i = 0; i < house->count; i++) {
        const struct text *text = &house->texts[i];
        check_retained(house, text);
        if (text->is_topic) {
            check_subscriptions(house, text);
            REQUIRE((midge_retained_get(&house->retained, view_of(text)) != 0) == text->retained);
        }
        if (text->subscription != 0) {
            uint8_t *filter = memory(text->size, 1);
            struct midge_view written =
                midge_subscription_filter(&house->subscriptions, text->subscription, filter + text->size);
            REQUIRE(written.bytes == filter && written.size == text->size);
            REQUIRE(memcmp(filter, text->text, text->size) == 0);
            free(filter);
        }
    }
}

/* Takes every `step`-th text out of both indices. */
static void remove_some(struct house *house, uint32_t step)
{
    for (uint32_t i = 0; i < house->count; i += step) {
        struct text *text = &house->texts[i];
        if (text->subscription != 0) {
            midge_subscriptions_remove(&house->subscriptions, text->subscription);
            text->subscription = 0;
        }
        for (uint32_t k = 0; k < house->count && text->is_topic; k++) {
            /* The same topic on another line is the same entry. */
            house->texts[k].retained = house->texts[k].retained && strcmp(house->texts[k].text, text->text) != 0;
        }
        if (text->is_topic) {
            midge_retained_clear(&house->retained, view_of(text));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const midge_index nodes[] = {NODES_MAX, 0, 1, 2, 3, 5, 8, 13};
    if (size < 3) {
        return 0;
    }
    struct house house = {0};
    house_begin(&house, 1 + bytes[0] % LEVELS_MAX, nodes[bytes[1] % 8]);
    uint32_t step = 2 + bytes[2] % 3;
    for (size_t at = 3; at < size && house.count < TEXTS_MAX;) {
        const uint8_t *end = memchr(bytes + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - (bytes + at)) : size - at;
        uint8_t *copy = memory(length, 1); /* of exactly that size, for the sanitizer */
        memcpy(copy, bytes + at, length);
        add_text(&house, copy, (uint32_t)length);
        free(copy);
        at += length + 1;
    }
    check_all(&house);
    remove_some(&house, step);
    check_all(&house);
    remove_some(&house, 1);
    audit(&house);
    house_end(&house);
    return 0;
}
