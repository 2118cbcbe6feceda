/* The retained messages: a tree of topic levels whose siblings are linked, so that it can be walked by a filter. */
#ifndef MIDGE_RETAINED_H
#define MIDGE_RETAINED_H

#include "store.h"
#include "tree.h"

struct midge_topic_node {
    struct midge_tree_node tree; /* uses: children, the message, cursors that rest here */
    midge_index first_child;
    midge_index next;
    midge_index previous;
    midge_index message; /* 0: none */
    uint32_t stamp;      /* of the last SUBSCRIBE before the message was retained */
};

struct midge_retained {
    struct midge_tree tree;
    struct midge_store *store;
    uint32_t count; /* messages */
    uint32_t bytes; /* their topics and payloads */
    uint32_t stamp; /* counts SUBSCRIBEs: a message with a stamp not below that of a subscription is newer than it */
};

enum { MIDGE_STAMP_MAX = (1 << 29) - 1 };

static inline struct midge_topic_node *midge_topic_node_at(const struct midge_retained *retained, midge_index node)
{
    return midge_pool_at(&retained->tree.nodes, node);
}

/* Returns the message retained for a topic, 0 where there is none. */
midge_index midge_retained_get(const struct midge_retained *retained, struct midge_view topic);

/* Retains a published message, of which it keeps a reference, in place of the one before. Returns false where nodes or names
 * are dry; nothing has changed then. [MQTT-3.3.1-5] */
bool midge_retained_set(struct midge_retained *retained, struct midge_view topic, midge_index message);

/* Removes the message retained for a topic, if there is one. [MQTT-3.3.1-10] */
void midge_retained_clear(struct midge_retained *retained, struct midge_view topic);

/* Returns the stamp for a subscription that is made now: 1 .. MIDGE_STAMP_MAX. */
uint32_t midge_retained_subscribe(struct midge_retained *retained);

/* One step of a walk over the nodes that a valid filter leads to: from `node`, 0 at first, to the next, in an order that
 * insertions do not disturb. Returns 0 at the end. *matches tells whether the topic of the node matches the filter (which
 * does not mean that a message is there). */
midge_index midge_retained_step(const struct midge_retained *retained, struct midge_view filter, midge_index node,
                                bool *matches);

/* Lets a cursor rest on a node, so that it stays; and takes it off again. 0 is allowed. */
void midge_retained_pin(struct midge_retained *retained, midge_index node);
void midge_retained_unpin(struct midge_retained *retained, midge_index node);

uint32_t midge_retained_audit(const struct midge_retained *retained);

#endif
