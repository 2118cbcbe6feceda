#include "subscriptions.h"

#include "list.h"
#include "topic.h"

#define MIDGE_FILE MIDGE_FILE_SUBSCRIPTIONS

enum { NODE_LINKS = offsetof(struct midge_subscription, node_next) };

static struct midge_filter_node *node_at(const struct midge_subscriptions *subscriptions, midge_index node)
{
    return (struct midge_filter_node *)subscriptions->tree.nodes.origin + node;
}

/* The subscriptions of a node whose filter ends with #, or those whose filter does not. */
static midge_index *list_of(struct midge_filter_node *n, bool multi)
{
    return multi ? &n->multi : &n->exact;
}

/* Takes # off a filter, and the slash before it. What is left of # alone has no level: *offset is beyond its end. Returns
 * whether there was one. */
static bool cut_multi(struct midge_view *filter, uint32_t *offset)
{
    bool multi = filter->bytes[filter->size - 1] == '#';
    *offset = multi && filter->size == 1 ? 1 : 0;
    filter->size -= multi ? 2 - *offset : 0;
    return multi;
}

midge_index midge_subscriptions_find(const struct midge_subscriptions *subscriptions, midge_index session, midge_index first,
                                     struct midge_view filter)
{
    uint32_t offset;
    bool multi = cut_multi(&filter, &offset);
    midge_index node = midge_tree_follow(&subscriptions->tree, filter, &offset);
    if (first == 0 || offset <= filter.size) {
        return 0;
    }
    struct midge_filter_node *n = node_at(subscriptions, node);
    midge_index on_node = *list_of(n, multi);
    midge_index of_session = first;
    do {
        const struct midge_subscription *a = midge_subscription_at(subscriptions, on_node);
        if (on_node == 0 || a->session == session) {
            return on_node;
        }
        const struct midge_subscription *b = midge_subscription_at(subscriptions, of_session);
        if (b->node == node && ((b->state & MIDGE_SUBSCRIPTION_MULTI) != 0) == multi) {
            return of_session;
        }
        on_node = a->node_next;
        of_session = b->session_next;
    } while (of_session != first);
    return 0;
}

/* Removes a node, and those above it, as far as nothing uses them. */
static void prune(struct midge_subscriptions *subscriptions, midge_index node)
{
    while (node != 0 && midge_tree_at(&subscriptions->tree, node)->uses == 0) {
        struct midge_filter_node *parent = node_at(subscriptions, midge_tree_at(&subscriptions->tree, node)->parent);
        if (parent->plus == node) {
            parent->plus = 0;
        }
        node = midge_tree_remove(&subscriptions->tree, node);
    }
}

midge_index midge_subscriptions_add(struct midge_subscriptions *subscriptions, midge_index session, struct midge_view filter,
                                    uint32_t state)
{
    if (midge_pool_free(&subscriptions->pool) == 0) {
        return 0;
    }
    uint32_t offset;
    bool multi = cut_multi(&filter, &offset);
    midge_index node = midge_tree_follow(&subscriptions->tree, filter, &offset);
    while (offset <= filter.size) {
        const uint8_t *level = filter.bytes + offset;
        uint32_t size = midge_level_size(filter.bytes, filter.size, offset);
        midge_index child = midge_tree_add(&subscriptions->tree, node, level, size);
        if (child == 0) {
            prune(subscriptions, node);
            return 0;
        }
        if (size == 1 && level[0] == '+') {
            node_at(subscriptions, node)->plus = child;
        }
        node = child;
        offset += size + 1;
    }
    midge_index subscription = midge_pool_take(&subscriptions->pool);
    struct midge_filter_node *n = node_at(subscriptions, node);
    struct midge_subscription *s = midge_subscription_at(subscriptions, subscription);
    s->session = session;
    s->node = node;
    s->state = state | (multi ? MIDGE_SUBSCRIPTION_MULTI : 0u);
    midge_list_push(&subscriptions->pool, list_of(n, multi), NODE_LINKS, subscription);
    n->tree.uses++;
    return subscription;
}

void midge_subscriptions_remove(struct midge_subscriptions *subscriptions, midge_index subscription)
{
    const struct midge_subscription *s = midge_subscription_at(subscriptions, subscription);
    struct midge_filter_node *n = node_at(subscriptions, s->node);
    midge_index node = s->node;
    midge_index *list = list_of(n, (s->state & MIDGE_SUBSCRIPTION_MULTI) != 0);
    midge_list_unlink(&subscriptions->pool, list, NODE_LINKS, subscription);
    n->tree.uses--;
    midge_pool_give(&subscriptions->pool, subscription);
    prune(subscriptions, node);
}

/* Filters that start with a wildcard do not match topics that start with $ [MQTT-4.7.2-1]. */
static bool may_be_wild(midge_index node, struct midge_view topic)
{
    return node != 0 || topic.bytes[0] != '$';
}

void midge_subscriptions_match(struct midge_subscriptions *subscriptions, struct midge_view topic,
                               void (*found)(void *context, midge_index first), void *context)
{
    midge_index node = 0;
    uint32_t offset = 0; /* of the level that a child of the node would have */
    uint32_t depth = 0;  /* of the stack: children + are left there for later */
    for (;;) {
        const struct midge_filter_node *n = node_at(subscriptions, node);
        if (n->multi != 0 && may_be_wild(node, topic)) {
            found(context, n->multi);
        }
        if (offset <= topic.size) {
            const uint8_t *level = topic.bytes + offset;
            uint32_t size = midge_level_size(topic.bytes, topic.size, offset);
            offset += size + 1;
            if (n->plus != 0 && may_be_wild(node, topic)) {
                MIDGE_ASSERT(depth <= subscriptions->levels_max);
                subscriptions->stack[depth++] = (struct midge_walk){.node = n->plus, .offset = offset};
            }
            node = midge_tree_find(&subscriptions->tree, node, level, size);
        } else {
            if (n->exact != 0) {
                found(context, n->exact);
            }
            node = 0;
        }
        if (node == 0) {
            if (depth == 0) {
                return;
            }
            depth--;
            node = (midge_index)subscriptions->stack[depth].node;
            offset = subscriptions->stack[depth].offset;
        }
    }
}

struct midge_view midge_subscription_filter(const struct midge_subscriptions *subscriptions, midge_index subscription,
                                            uint8_t *end)
{
    const struct midge_subscription *s = midge_subscription_at(subscriptions, subscription);
    uint8_t *to = end;
    if ((s->state & MIDGE_SUBSCRIPTION_MULTI) != 0) {
        *--to = '#';
        if (s->node != 0) {
            *--to = '/';
        }
    }
    to = midge_tree_path(&subscriptions->tree, s->node, to);
    return (struct midge_view){.bytes = to, .size = (uint32_t)(end - to)};
}

/* Counts the subscriptions of one list, and finds out whether it is linked both ways. */
static bool audit_list(const struct midge_subscriptions *subscriptions, midge_index first, midge_index node, uint32_t *count)
{
    midge_index previous = 0;
    for (midge_index i = first; i != 0; i = midge_subscription_at(subscriptions, i)->node_next) {
        const struct midge_subscription *s = midge_subscription_at(subscriptions, i);
        if (s->node != node || s->node_previous != previous || ++*count > subscriptions->pool.used) {
            return false;
        }
        previous = i;
    }
    return true;
}

uint32_t midge_subscriptions_audit(const struct midge_subscriptions *subscriptions)
{
    if (!midge_pool_audit(&subscriptions->pool) || !midge_pool_audit(&subscriptions->tree.nodes)) {
        return MIDGE_PLACE;
    }
    uint32_t lists = 0;
    const struct midge_filter_node *root = node_at(subscriptions, 0);
    if (!audit_list(subscriptions, root->multi, 0, &lists) || root->exact != 0) {
        return MIDGE_PLACE;
    }
    uint32_t nodes = 0;
    const struct midge_table *table = &subscriptions->tree.table;
    for (midge_index i = midge_table_next(table, 0); i != 0; i = midge_table_next(table, i)) {
        const struct midge_filter_node *n = node_at(subscriptions, i);
        uint32_t before = lists;
        if (++nodes > subscriptions->tree.nodes.used || !audit_list(subscriptions, n->exact, i, &lists) ||
            !audit_list(subscriptions, n->multi, i, &lists) || n->tree.uses < lists - before || n->tree.uses == 0) {
            return MIDGE_PLACE;
        }
    }
    return nodes == subscriptions->tree.nodes.used && lists == subscriptions->pool.used ? 0 : MIDGE_PLACE;
}
