#include "retained.h"

#include "list.h"
#include "topic.h"

#define MIDGE_FILE MIDGE_FILE_RETAINED

enum { SIBLING_LINKS = offsetof(struct midge_topic_node, next) };

static void prune(struct midge_retained *retained, midge_index node)
{
    while (node != 0 && midge_tree_at(&retained->tree, node)->uses == 0) {
        const struct midge_topic_node *n = midge_topic_node_at(retained, node);
        MIDGE_ASSERT(n->first_child == 0 && n->message == 0);
        midge_list_unlink(&retained->tree.nodes, &midge_topic_node_at(retained, n->tree.parent)->first_child, SIBLING_LINKS,
                          node);
        node = midge_tree_remove(&retained->tree, node);
    }
}

static midge_index add_child(struct midge_retained *retained, midge_index parent, const uint8_t *level, uint32_t size)
{
    midge_index child = midge_tree_add(&retained->tree, parent, level, size);
    if (child != 0) {
        midge_list_push(&retained->tree.nodes, &midge_topic_node_at(retained, parent)->first_child, SIBLING_LINKS, child);
    }
    return child;
}

/* Takes the message out of a node, which the caller prunes or fills again. */
static void drop_message(struct midge_retained *retained, struct midge_topic_node *n)
{
    retained->count--;
    retained->bytes -= midge_message_charge(midge_message_at(retained->store, n->message));
    midge_store_release(retained->store, n->message);
    n->message = 0;
    n->tree.uses--;
}

/* The node of a topic, or the root, which has no message, where it has none. */
static midge_index find(const struct midge_retained *retained, struct midge_view topic)
{
    uint32_t offset = 0;
    midge_index node = midge_tree_follow(&retained->tree, topic, &offset);
    return offset <= topic.size ? 0 : node;
}

midge_index midge_retained_get(const struct midge_retained *retained, struct midge_view topic)
{
    return midge_topic_node_at(retained, find(retained, topic))->message;
}

bool midge_retained_set(struct midge_retained *retained, struct midge_view topic, midge_index message)
{
    uint32_t offset = 0;
    midge_index node = midge_tree_follow(&retained->tree, topic, &offset);
    while (offset <= topic.size) {
        uint32_t size = midge_level_size(topic.bytes, topic.size, offset);
        midge_index child = add_child(retained, node, topic.bytes + offset, size);
        if (child == 0) {
            prune(retained, node);
            return false;
        }
        node = child;
        offset += size + 1;
    }
    struct midge_topic_node *n = midge_topic_node_at(retained, node);
    midge_store_keep(retained->store, message);
    if (n->message != 0) {
        drop_message(retained, n);
    }
    n->message = message;
    n->stamp = retained->stamp;
    n->tree.uses++;
    retained->count++;
    retained->bytes += midge_message_charge(midge_message_at(retained->store, message));
    return true;
}

void midge_retained_clear(struct midge_retained *retained, struct midge_view topic)
{
    midge_index node = find(retained, topic);
    struct midge_topic_node *n = midge_topic_node_at(retained, node);
    if (n->message != 0) {
        drop_message(retained, n);
        prune(retained, node);
    }
}

uint32_t midge_retained_subscribe(struct midge_retained *retained)
{
    if (retained->stamp == MIDGE_STAMP_MAX) {
        /* Half a billion SUBSCRIBEs later: all messages become old again. Subscriptions whose walk is going on at this very
         * moment may get some twice, none is lost. */
        retained->stamp = 0;
        for (midge_index i = 1; i <= retained->tree.nodes.touched; i++) {
            midge_topic_node_at(retained, i)->stamp = 0;
        }
    }
    return ++retained->stamp;
}

enum level_kind { LEVEL_NONE, LEVEL_NAME, LEVEL_PLUS, LEVEL_MULTI };

/* What level `index` of the filter is: at or behind # it is that, behind the end of another there is none. */
static enum level_kind level_of(struct midge_view filter, uint32_t index, struct midge_view *level)
{
    uint32_t offset = 0;
    do {
        level->bytes = filter.bytes + offset;
        level->size = midge_level_size(filter.bytes, filter.size, offset);
        offset += level->size + 1;
        if (level->size == 1 && *level->bytes == '#') {
            return LEVEL_MULTI;
        }
        if (index-- == 0) {
            return level->size == 1 && *level->bytes == '+' ? LEVEL_PLUS : LEVEL_NAME;
        }
    } while (offset <= filter.size);
    return LEVEL_NONE;
}

/* Passes over topics that start with $, which no wildcard reaches [MQTT-4.7.2-1]. */
static midge_index visible(const struct midge_retained *retained, midge_index node)
{
    while (node != 0) {
        const struct midge_topic_node *n = midge_topic_node_at(retained, node);
        uint8_t first = 0;
        if (n->tree.parent == 0 && n->tree.name_size > 0) {
            midge_names_copy(retained->tree.names, n->tree.name, &first, 1);
        }
        if (first != '$') {
            break;
        }
        node = n->next;
    }
    return node;
}

midge_index midge_retained_step(const struct midge_retained *retained, struct midge_view filter, midge_index node,
                                bool *matches)
{
    struct midge_view level;
    uint32_t depth = midge_tree_depth(&retained->tree, node);
    enum level_kind kind = level_of(filter, depth, &level);
    midge_index next = 0;
    midge_index sibling = midge_topic_node_at(retained, node)->first_child; /* the next one that a wildcard may lead to */
    if (kind == LEVEL_NAME) {
        next = midge_tree_find(&retained->tree, node, level.bytes, level.size);
    }
    for (;;) {
        if (kind >= LEVEL_PLUS) {
            next = visible(retained, sibling);
        }
        if (next != 0 || node == 0) {
            break;
        }
        sibling = midge_topic_node_at(retained, node)->next;
        node = midge_tree_at(&retained->tree, node)->parent;
        depth--;
        kind = level_of(filter, depth, &level);
    }
    if (next != 0) {
        /* It matches where the filter ends here, or where what is left of it is # alone. */
        kind = level_of(filter, depth + 1, &level);
        *matches = kind == LEVEL_MULTI || kind == LEVEL_NONE;
    }
    return next;
}

void midge_retained_pin(struct midge_retained *retained, midge_index node)
{
    if (node != 0) {
        midge_tree_at(&retained->tree, node)->uses++;
    }
}

void midge_retained_unpin(struct midge_retained *retained, midge_index node)
{
    if (node != 0) {
        midge_tree_at(&retained->tree, node)->uses--;
        prune(retained, node);
    }
}

/* Checks the children of one node: linked both ways, and in the right place. Returns their number, UINT32_MAX if wrong. */
static uint32_t audit_children(const struct midge_retained *retained, midge_index parent)
{
    uint32_t count = 0;
    midge_index previous = 0;
    for (midge_index i = midge_topic_node_at(retained, parent)->first_child; i != 0;
         i = midge_topic_node_at(retained, i)->next) {
        const struct midge_topic_node *n = midge_topic_node_at(retained, i);
        if (n->tree.parent != parent || n->previous != previous || ++count > retained->tree.nodes.used) {
            return UINT32_MAX;
        }
        previous = i;
    }
    return count;
}

uint32_t midge_retained_audit(const struct midge_retained *retained)
{
    if (!midge_pool_audit(&retained->tree.nodes)) {
        return MIDGE_PLACE;
    }
    uint32_t children = audit_children(retained, 0);
    uint32_t nodes = 0;
    uint32_t messages = 0;
    uint32_t bytes = 0;
    const struct midge_table *table = &retained->tree.table;
    for (midge_index i = midge_table_next(table, 0); i != 0; i = midge_table_next(table, i)) {
        const struct midge_topic_node *n = midge_topic_node_at(retained, i);
        uint32_t own = audit_children(retained, i);
        uint32_t message = n->message != 0 ? 1 : 0;
        if (own == UINT32_MAX || n->tree.uses < own + message || n->tree.uses == 0 || ++nodes > retained->tree.nodes.used) {
            return MIDGE_PLACE;
        }
        children += own;
        messages += message;
        bytes += message == 0 ? 0 : midge_message_charge(midge_message_at(retained->store, n->message));
    }
    bool right =
        children == nodes && nodes == retained->tree.nodes.used && messages == retained->count && bytes == retained->bytes;
    return right ? 0 : MIDGE_PLACE;
}
