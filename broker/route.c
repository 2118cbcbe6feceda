#include "route.h"

#include "access.h"
#include "delivery.h"
#include "events.h"
#include "record.h"
#include "waiting.h"

/* What was found out about a target, beside the QoS in session.match_qos. */
enum {
    TARGET_QOS = 0x03,
    TARGET_FULL = 0x04,    /* its queue has no room, and its policy does not refuse */
    TARGET_OFFLINE = 0x08, /* QoS 0 for an absent client */
    TARGET_DENIED = 0x10,
    TARGET_NO_ROOM = 0x20, /* there is no delivery or no block for it */
    TARGET_OLDEST = 0x40,  /* it gets the message once the oldest of its queue made room */
    TARGET_LOST = TARGET_FULL | TARGET_OFFLINE | TARGET_DENIED | TARGET_NO_ROOM
};

struct match {
    struct midge *b;
    struct midge_publication *publication;
};

/* Whether nothing at all waits for a connected client: it then has room, whatever the quotas. */
static bool is_idle(const struct midge_session *s)
{
    return s->connection != 0 && s->charged_entries == 0;
}

/* Rule 8: overlapping filters cost one comparison of a stamp. */
static void collect(void *context, midge_index first)
{
    const struct match *match = context;
    struct midge *b = match->b;
    struct midge_publication *p = match->publication;
    midge_index i = first;
    do {
        const struct midge_subscription *sub = midge_subscription_at(&b->subscriptions, i);
        struct midge_session *s = midge_session_at(b, sub->session);
        uint8_t granted = sub->state & MIDGE_SUBSCRIPTION_QOS;
        uint8_t qos = granted < p->publish.qos ? granted : p->publish.qos; /* [MQTT-3.8.4-6] */
        if (s->match_stamp != b->match_stamp) {
            s->match_stamp = b->match_stamp;
            s->match_qos = qos;
            b->targets[p->count++] = sub->session;
            if (!is_idle(s)) {
                p->busy = true;
            }
        } else if (qos > s->match_qos) {
            s->match_qos = qos;
        }
        i = sub->node_next;
    } while (i != 0);
}

static void find_targets(struct midge *b, struct midge_publication *p)
{
    if (++b->match_stamp == 0) {
        /* The stamp went round: forget those of four billion messages ago. */
        for (midge_index i = 1; i <= b->sessions.touched; i++) {
            midge_session_at(b, i)->match_stamp = 0;
        }
        b->match_stamp = 1;
    }
    p->count = 0;
    p->busy = false;
    if (b->subscriptions.pool.used != 0) {
        struct match match = {.b = b, .publication = p};
        midge_subscriptions_match(&b->subscriptions, p->publish.topic, collect, &match);
    }
}

static enum midge_overflow policy_for(const struct midge *b, const struct midge_session *s)
{
    const struct midge_policy *policy = &b->config.policy;
    if (s->connection == 0) {
        return policy->overflow_offline;
    }
    return (s->match_qos & TARGET_QOS) == 0 ? policy->overflow_qos0 : policy->overflow_qos12;
}

static void measure_room(const struct midge *b, struct midge_publication *p)
{
    uint32_t free_blocks = midge_store_free(&b->store);
    p->room.entries = midge_pool_free(&b->deliveries);
    p->room.blocks = free_blocks - midge_min(free_blocks, p->blocks);
    p->room.bytes = midge_store_room(&b->store, p->room.blocks);
}

/* Rule 1: what is to happen because of a queue without room. */
static enum midge_routed judge_full(struct midge *b, struct midge_publication *p, struct midge_session *s)
{
    p->problem.object = s->connection;
    if (p->may_wait && midge_waitable(b, s, p->publisher)) {
        p->problem.kind = MIDGE_WAIT_SUBSCRIBER;
        return MIDGE_ROUTE_WAIT;
    }
    bool own = p->publisher != NULL && s->connection == p->publisher->index;
    switch (policy_for(b, s)) {
    case MIDGE_REFUSE:
        if (p->may_refuse && (s->match_qos & TARGET_QOS) > 0) {
            p->problem.reason = MIDGE_REFUSED_BY_SUBSCRIBER;
            return MIDGE_ROUTE_REFUSED;
        }
        break;
    case MIDGE_DISCONNECT:
        p->problem.reason = MIDGE_SLOW_READER;
        if (s->connection != 0 && (!own || p->may_refuse)) {
            return own ? MIDGE_ROUTE_REFUSED : MIDGE_ROUTE_DISCONNECT;
        }
        break;
    case MIDGE_DROP_OLDEST:
        if (midge_queue_has_memory(b, s, &p->room)) {
            s->match_qos |= TARGET_OLDEST;
            p->displacing++;
            p->takers++;
            return MIDGE_ROUTED;
        }
        break;
    case MIDGE_DROP_NEWEST:
        break;
    }
    s->match_qos |= TARGET_FULL;
    return MIDGE_ROUTED;
}

/* Whether a subscriber with room has to be waited for, since others were first to do so. */
static bool must_queue_up(const struct midge *b, const struct midge_publication *p, const struct midge_session *s)
{
    midge_index connection = s->connection;
    return b->waiting > 0 && p->may_wait && connection != 0 &&
           midge_wait_others(b, p->publisher, MIDGE_WAIT_SUBSCRIBER, connection) && midge_waitable(b, s, p->publisher);
}

static bool queue_has_room(const struct midge *b, const struct midge_publication *p, const struct midge_session *s)
{
    return midge_queue_has_memory(b, s, &p->room) && midge_queue_admits(b, s, p->charge, &p->room);
}

static enum midge_routed judge_targets(struct midge *b, struct midge_publication *p)
{
    measure_room(b, p);
    for (uint32_t i = 0; i < p->count; i++) {
        struct midge_session *s = midge_session_at(b, b->targets[i]);
        if (!midge_allowed(b, s->who, MIDGE_READ, &p->publish.topic)) {
            s->match_qos |= TARGET_DENIED;
        } else if (s->connection == 0 && s->match_qos == 0 && !b->config.policy.queue_qos0) {
            s->match_qos |= TARGET_OFFLINE;
        } else if (!queue_has_room(b, p, s) || must_queue_up(b, p, s)) {
            enum midge_routed result = judge_full(b, p, s);
            if (result != MIDGE_ROUTED) {
                return result;
            }
        } else {
            p->takers++;
        }
    }
    return MIDGE_ROUTED;
}

/* Whether the message has to wait for deliveries or blocks, of which it needs that many: there are too few, or others were
 * first to wait for them. Where it may not wait, or waiting does not help, it has to do with those that are free. */
static bool must_wait(const struct midge *b, struct midge_publication *p, enum midge_wait_kind kind, uint32_t need,
                      uint32_t available, uint32_t capacity)
{
    if (need == 0 || !p->may_wait || need > capacity || (need <= available && !midge_wait_others(b, p->publisher, kind, 0))) {
        return false;
    }
    p->problem.kind = kind;
    p->problem.object = (midge_index)need;
    return true;
}

/* Whether there are deliveries for all. Where not, and waiting does not help, the last targets go without. */
static enum midge_routed judge_deliveries(struct midge *b, struct midge_publication *p)
{
    uint32_t entries = midge_pool_free(&b->deliveries);
    uint32_t need = p->takers - p->displacing; /* the others make room */
    if (must_wait(b, p, MIDGE_WAIT_DELIVERIES, need, entries, b->deliveries.capacity)) {
        return MIDGE_ROUTE_WAIT;
    }
    for (uint32_t i = p->count; i-- > 0 && p->takers - p->displacing > entries;) {
        struct midge_session *s = midge_session_at(b, b->targets[i]);
        if ((s->match_qos & (TARGET_LOST | TARGET_OLDEST)) != 0) {
            continue;
        }
        /* Only a policy that says so may lose what is to be acknowledged: rule 3. */
        enum midge_overflow policy = policy_for(b, s);
        bool may_drop = policy == MIDGE_DROP_NEWEST || policy == MIDGE_DROP_OLDEST;
        if (p->may_refuse && (s->match_qos & TARGET_QOS) > 0 && !may_drop) {
            p->problem.reason = MIDGE_NO_ROOM;
            return MIDGE_ROUTE_REFUSED;
        }
        s->match_qos |= TARGET_NO_ROOM;
        p->takers--;
    }
    return MIDGE_ROUTED;
}

/* Whether somebody gets the message, or it is retained. */
static bool is_wanted(const struct midge_publication *p)
{
    return p->takers != 0 || (p->publish.retain && p->publish.payload_size > 0);
}

/* Whether there are blocks for the message. Where not, and waiting does not help, QoS 0 goes to nobody. */
static enum midge_routed judge_blocks(struct midge *b, struct midge_publication *p)
{
    uint32_t available = midge_store_free(&b->store);
    if (!is_wanted(p)) {
        p->blocks = 0;
    }
    if (must_wait(b, p, MIDGE_WAIT_BLOCKS, p->blocks, available, b->store.blocks.capacity)) {
        return MIDGE_ROUTE_WAIT;
    }
    if (p->blocks <= available) {
        return MIDGE_ROUTED;
    }
    if (p->may_refuse && p->publish.qos > 0) {
        p->problem.reason = MIDGE_NO_ROOM;
        return MIDGE_ROUTE_REFUSED;
    }
    p->blocks = 0;
    p->takers = 0;
    p->displacing = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct midge_session *s = midge_session_at(b, b->targets[i]);
        s->match_qos = (s->match_qos & (uint8_t)~TARGET_OLDEST) | TARGET_NO_ROOM;
    }
    return MIDGE_ROUTED;
}

MIDGE_RARE static enum midge_routed judge(struct midge *b, struct midge_publication *p)
{
    p->takers = 0;
    enum midge_routed result = judge_targets(b, p);
    if (result == MIDGE_ROUTED) {
        result = judge_deliveries(b, p);
    }
    return result == MIDGE_ROUTED ? judge_blocks(b, p) : result;
}

/* Whether all get the message, and there is nothing to judge: it may be read, nobody waits for anything, there is enough. */
static bool is_plain(const struct midge *b, const struct midge_publication *p)
{
    return !p->busy && b->config.authorize == NULL && b->waiting == 0 && p->count <= midge_pool_free(&b->deliveries) &&
           p->blocks <= midge_store_free(&b->store);
}

/* Makes the message, with one reference that is the caller's. Returns 0 where nobody gets it, or there are no blocks. */
static midge_index make_message(struct midge *b, const struct midge_publication *p)
{
    if (!is_wanted(p)) {
        return 0;
    }
    if (p->blocks == 0) {
        if (p->message != 0) {
            midge_store_keep(&b->store, p->message);
        }
        return p->message;
    }
    return midge_store_make(&b->store, p->parts, p->part_count, (uint16_t)p->publish.topic.size,
                            midge_message_flags(p->publish.qos));
}

/* Whether the retained messages may take one more: rule 4, room for one packet stays. */
static bool retained_admits(const struct midge *b, const struct midge_publication *p)
{
    const struct midge_policy *policy = &b->config.policy;
    uint32_t count = b->retained.count;
    uint32_t bytes = b->retained.bytes;
    midge_index old = midge_retained_get(&b->retained, p->publish.topic);
    uint32_t blocks = midge_store_free(&b->store);
    if (old != 0) {
        const struct midge_message *m = midge_message_at(&b->store, old);
        count--;
        bytes -= midge_message_charge(m);
        blocks += m->references == 1 ? midge_store_blocks(&b->store, m->size) : 0;
        if (m->size >= p->body_size) {
            return true; /* what replaces one of its own size takes nothing from others */
        }
    }
    if ((policy->retained_max != 0 && count >= policy->retained_max) ||
        (policy->retained_bytes_max != 0 &&
         p->charge > policy->retained_bytes_max - midge_min(policy->retained_bytes_max, bytes))) {
        return false;
    }
    return blocks >= b->blocks_for_packet;
}

static void drop(struct midge *b, const struct midge_publication *p, enum midge_reason reason, const struct midge_session *s)
{
    midge_drop_topic(b, reason, s, p->publish.topic, p->publish.payload_size);
}

/* Retains the message, if there is one. Returns false where that is refused to the publisher; where it is merely not possible,
 * the one before is removed all the same, since it is no longer true. One without payload removes it, no more. */
MIDGE_RARE static bool retain_message(struct midge *b, const struct midge_publication *p, midge_index message)
{
    if (p->publish.payload_size == 0) {
        /* [MQTT-3.3.1-10] [MQTT-3.3.1-11] */
        midge_retained_clear(&b->retained, p->publish.topic);
        return true;
    }
    if (message != 0 && retained_admits(b, p) && midge_retained_set(&b->retained, p->publish.topic, message)) {
        return true;
    }
    if (p->may_refuse && p->publish.qos > 0 && b->config.policy.overflow_offline == MIDGE_REFUSE) {
        return false;
    }
    midge_retained_clear(&b->retained, p->publish.topic);
    drop(b, p, MIDGE_RETAINED_FULL, NULL);
    return true;
}

/* Counts the loss of the message for one target. */
static void lose(struct midge *b, const struct midge_publication *p, const struct midge_session *s)
{
    enum midge_reason reason = s->connection == 0 ? MIDGE_QUEUE_FULL_OFFLINE : MIDGE_QUEUE_FULL;
    if ((s->match_qos & TARGET_DENIED) != 0) {
        reason = MIDGE_READ_DENIED;
    } else if ((s->match_qos & TARGET_OFFLINE) != 0) {
        reason = MIDGE_QOS0_OFFLINE;
    } else if ((s->match_qos & TARGET_NO_ROOM) != 0 && (s->match_qos & TARGET_QOS) == 0) {
        reason = p->drop_reason;
    }
    drop(b, p, reason, s);
}

/* Drops the oldest messages of a queue until it admits the new one. Returns false where nothing more can be dropped. */
static bool make_room(struct midge *b, struct midge_publication *p, struct midge_session *s)
{
    uint8_t qos = s->match_qos & TARGET_QOS;
    do {
        measure_room(b, p);
        if (p->room.entries > 0 && midge_queue_admits(b, s, p->charge, &p->room)) {
            return true;
        }
        if (!midge_queue_admits_emptied(b, s, qos, p->charge, &p->room)) {
            return false; /* nothing is dropped in vain */
        }
    } while (midge_queue_drop_oldest(b, s, qos));
    return false;
}

/* Whether a target of which something was found out gets the message all the same, the oldest of its queue having made room.
 * Where not, that is counted. */
MIDGE_RARE static bool is_saved(struct midge *b, struct midge_publication *p, struct midge_session *s, midge_index message)
{
    if ((s->match_qos & TARGET_OLDEST) != 0) {
        if (make_room(b, p, s)) {
            return true;
        }
        midge_store_release(&b->store, message);
    }
    lose(b, p, s);
    return false;
}

/* Queues the message, to which each delivery has a reference already: first for those that have room, then for those that
 * displace older messages by it, as the deliveries of the others are counted already. */
static void deliver(struct midge *b, struct midge_publication *p, midge_index message)
{
    for (uint8_t kind = 0;; kind = TARGET_OLDEST) {
        for (uint32_t i = 0; i < p->count; i++) {
            struct midge_session *s = midge_session_at(b, b->targets[i]);
            uint8_t found = s->match_qos & (TARGET_LOST | TARGET_OLDEST);
            if ((found & TARGET_OLDEST) != kind || (found != 0 && !is_saved(b, p, s, message))) {
                continue;
            }
            if (s->connection != 0) {
                struct midge_connection *c = midge_connection_at(b, s->connection);
                if (s->charged_entries == 0) {
                    c->progress_ms = midge_now(b);
                }
                midge_output_due(b, c);
            }
            midge_queue_append(b, s, message, s->match_qos & TARGET_QOS, p->charge);
        }
        if (p->displacing == 0) {
            return;
        }
        p->displacing = 0;
        p->blocks = 0;
    }
}

enum midge_routed midge_route(struct midge *b, struct midge_publication *p)
{
    p->charge = p->publish.topic.size + p->publish.payload_size;
    p->blocks = p->message != 0 ? 0 : midge_store_blocks(&b->store, p->body_size);
    find_targets(b, p);
    p->takers = p->count;
    p->displacing = 0;
    enum midge_routed result = is_plain(b, p) ? MIDGE_ROUTED : judge(b, p);
    if (result != MIDGE_ROUTED) {
        return result;
    }
    midge_index message = make_message(b, p);
    if (p->publish.retain && !retain_message(b, p, message)) {
        midge_store_release(&b->store, message);
        p->problem.reason = MIDGE_RETAINED_FULL;
        return MIDGE_ROUTE_REFUSED;
    }
    if (p->takers != 1 && message != 0) {
        midge_store_share(&b->store, message, p->takers);
    }
    deliver(b, p, message);
    return MIDGE_ROUTED;
}
