/* Who subscribed to what: a tree of filter levels with the subscriptions hanging on its nodes. */
#ifndef MIDGE_SUBSCRIPTIONS_H
#define MIDGE_SUBSCRIPTIONS_H

#include "tree.h"

enum {
    MIDGE_SUBSCRIPTION_QOS = 0x3,   /* granted */
    MIDGE_SUBSCRIPTION_MULTI = 0x4, /* the filter ends with # */
    MIDGE_SUBSCRIPTION_STAMP = 3    /* bits to shift; the stamp is 0 where no retained messages are due */
};

struct midge_subscription {
    midge_index session;
    midge_index session_next; /* a circle */
    midge_index session_previous;
    midge_index node;
    midge_index node_next; /* a list that ends with 0 */
    midge_index node_previous;
    uint32_t state;
};

/* A filter that ends with # hangs on the node of the level before it (on the root for # alone), and a node knows its child +.
 * So a match takes one look-up for each level that it passes. */
struct midge_filter_node {
    struct midge_tree_node tree;
    midge_index plus;  /* the child + */
    midge_index exact; /* subscriptions whose filter ends here */
    midge_index multi; /* subscriptions whose filter goes on with # alone */
};

struct midge_walk {
    uint32_t node;
    uint32_t offset; /* of the next level in the topic; size + 1 behind the last */
};

struct midge_subscriptions {
    struct midge_pool pool;
    struct midge_tree tree;
    struct midge_walk *stack; /* levels_max + 1 entries */
    uint32_t levels_max;
};

static inline struct midge_subscription *midge_subscription_at(const struct midge_subscriptions *subscriptions,
                                                               midge_index subscription)
{
    return (struct midge_subscription *)subscriptions->pool.origin + subscription;
}

/* Finds the session's subscription with exactly this valid filter; `first` is one of the session's subscriptions, 0 where it
 * has none. Returns 0 where there is none. The cost is bounded by the shorter of the two lists it could be in. [MQTT-3.10.4-1]
 */
midge_index midge_subscriptions_find(const struct midge_subscriptions *subscriptions, midge_index session, midge_index first,
                                     struct midge_view filter);

/* Adds a subscription that is not there yet, with the given state less MIDGE_SUBSCRIPTION_MULTI; the caller puts it into the
 * session's circle. Returns 0 where a pool is dry; nothing has changed then. */
midge_index midge_subscriptions_add(struct midge_subscriptions *subscriptions, midge_index session, struct midge_view filter,
                                    uint32_t state);

/* Removes a subscription, which the caller has taken out of its session's circle. */
void midge_subscriptions_remove(struct midge_subscriptions *subscriptions, midge_index subscription);

/* Calls found(context, s) for each list of subscriptions whose filter matches a valid topic; the list goes on by node_next. */
void midge_subscriptions_match(struct midge_subscriptions *subscriptions, struct midge_view topic,
                               void (*found)(void *context, midge_index first), void *context);

/* Writes a subscription's filter, so that it ends before `end`. */
struct midge_view midge_subscription_filter(const struct midge_subscriptions *subscriptions, midge_index subscription,
                                            uint8_t *end);

/* Checks nodes and lists against each other. Returns a place, or 0. */
uint32_t midge_subscriptions_audit(const struct midge_subscriptions *subscriptions);

#endif
