#include "route.h"

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

struct routing {
    struct midge *b;
    const struct midge_publication *publication;
    struct midge_room room;
    uint32_t count;      /* of targets */
    uint32_t admitted;   /* of those that get it */
    uint32_t displacing; /* of those that get it in place of older messages */
    uint32_t blocks;     /* still to be taken for the message */
    bool orderly;        /* others wait, and this message may wait behind them */
};

/* Rule 8: overlapping filters cost one comparison of a stamp. */
static void collect(void *context, midge_index first)
{
    struct routing *r = context;
    struct midge *b = r->b;
    for (midge_index i = first; i != 0;) {
        const struct midge_subscription *sub = midge_subscription_at(&b->subscriptions, i);
        struct midge_session *s = midge_session_at(b, sub->session);
        uint8_t granted = sub->state & MIDGE_SUBSCRIPTION_QOS;
        uint8_t qos = granted < r->publication->publish.qos ? granted : r->publication->publish.qos; /* [MQTT-3.8.4-6] */
        if (s->match_stamp != b->match_stamp) {
            s->match_stamp = b->match_stamp;
            s->match_qos = qos;
            b->targets[r->count++] = sub->session;
        } else if (qos > s->match_qos) {
            s->match_qos = qos;
        }
        i = sub->node_next;
    }
}

static void find_targets(struct routing *r)
{
    struct midge *b = r->b;
    if (++b->match_stamp == 0) {
        /* The stamp went round: forget those of four billion messages ago. */
        for (midge_index i = midge_table_next(&b->session_table, 0); i != 0; i = midge_table_next(&b->session_table, i)) {
            midge_session_at(b, i)->match_stamp = 0;
        }
        b->match_stamp = 1;
    }
    r->count = 0;
    if (b->subscriptions.pool.used != 0) {
        midge_subscriptions_match(&b->subscriptions, r->publication->publish.topic, collect, r);
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

static void measure_room(struct routing *r)
{
    const struct midge *b = r->b;
    uint32_t free_blocks = midge_store_free(&b->store);
    r->room.entries = midge_pool_free(&b->deliveries);
    r->room.blocks = free_blocks - midge_min(free_blocks, r->blocks);
    r->room.bytes = midge_store_room(&b->store, r->room.blocks);
}

/* Rule 1: what is to happen because of a queue without room. */
static enum midge_routed judge_full(struct routing *r, midge_index session, struct midge_route_problem *problem)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    struct midge_session *s = midge_session_at(b, session);
    problem->connection = s->connection;
    if (publication->may_wait && midge_waitable(b, session, publication->publisher)) {
        problem->kind = MIDGE_WAIT_SUBSCRIBER;
        problem->need = 0;
        return MIDGE_ROUTE_WAIT;
    }
    bool own = s->connection != 0 && s->connection == publication->publisher;
    switch (policy_for(b, s)) {
    case MIDGE_REFUSE:
        if (publication->may_refuse && (s->match_qos & TARGET_QOS) > 0) {
            problem->reason = MIDGE_REFUSED_BY_SUBSCRIBER;
            return MIDGE_ROUTE_REFUSED;
        }
        break;
    case MIDGE_DISCONNECT:
        problem->reason = MIDGE_SLOW_READER;
        if (s->connection != 0 && (!own || publication->may_refuse)) {
            return own ? MIDGE_ROUTE_REFUSED : MIDGE_ROUTE_DISCONNECT;
        }
        break;
    case MIDGE_DROP_OLDEST:
        if (midge_queue_has_memory(b, session, &r->room)) {
            s->match_qos |= TARGET_OLDEST;
            r->displacing++;
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
static bool must_queue_up(const struct routing *r, midge_index session)
{
    const struct midge_publication *publication = r->publication;
    midge_index connection = midge_session_at(r->b, session)->connection;
    return r->orderly && connection != 0 &&
           midge_wait_others(r->b, publication->publisher, MIDGE_WAIT_SUBSCRIBER, connection) &&
           midge_waitable(r->b, session, publication->publisher);
}

/* Whether nothing at all waits for a connected client: it then has room, whatever the quotas. */
static bool is_idle(const struct midge_session *s)
{
    return s->connection != 0 && s->charged_entries == 0;
}

static bool queue_has_room(const struct routing *r, midge_index session, uint32_t size)
{
    return midge_queue_has_memory(r->b, session, &r->room) && midge_queue_admits(r->b, session, size, &r->room);
}

static enum midge_routed judge_targets(struct routing *r, struct midge_route_problem *problem)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    uint32_t size = publication->publish.topic.size + publication->publish.payload_size;
    for (uint32_t i = 0; i < r->count; i++) {
        midge_index session = b->targets[i];
        struct midge_session *s = midge_session_at(b, session);
        if (!midge_allowed(b, s->who, MIDGE_READ, publication->publish.topic)) {
            s->match_qos |= TARGET_DENIED;
        } else if (s->connection == 0 && s->match_qos == 0 && !b->config.policy.queue_qos0) {
            s->match_qos |= TARGET_OFFLINE;
        } else if ((!is_idle(s) && !queue_has_room(r, session, size)) || must_queue_up(r, session)) {
            enum midge_routed result = judge_full(r, session, problem);
            if (result != MIDGE_ROUTED) {
                return result;
            }
        } else {
            r->admitted++;
        }
    }
    return MIDGE_ROUTED;
}

/* Whether there are deliveries for all. Where not, and waiting does not help, the last targets go without. */
static enum midge_routed judge_deliveries(struct routing *r, struct midge_route_problem *problem)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    bool queue_up = r->orderly && midge_wait_others(b, publication->publisher, MIDGE_WAIT_DELIVERIES, 0);
    if (r->admitted == 0 || (r->admitted <= r->room.entries && !queue_up)) {
        return MIDGE_ROUTED;
    }
    if (publication->may_wait && r->admitted <= b->deliveries.capacity) {
        *problem = (struct midge_route_problem){.kind = MIDGE_WAIT_DELIVERIES, .need = (midge_index)r->admitted};
        return MIDGE_ROUTE_WAIT;
    }
    for (uint32_t i = r->count; i-- > 0 && r->admitted > r->room.entries;) {
        struct midge_session *s = midge_session_at(b, b->targets[i]);
        if ((s->match_qos & (TARGET_LOST | TARGET_OLDEST)) != 0) {
            continue;
        }
        /* Only a policy that says so may lose what is to be acknowledged: rule 3. */
        enum midge_overflow policy = policy_for(b, s);
        bool may_drop = policy == MIDGE_DROP_NEWEST || policy == MIDGE_DROP_OLDEST;
        if (publication->may_refuse && (s->match_qos & TARGET_QOS) > 0 && !may_drop) {
            problem->reason = MIDGE_NO_ROOM;
            return MIDGE_ROUTE_REFUSED;
        }
        s->match_qos |= TARGET_NO_ROOM;
        r->admitted--;
    }
    return MIDGE_ROUTED;
}

/* Whether there are blocks for the message. Where not, and waiting does not help, QoS 0 goes to nobody. */
static enum midge_routed judge_blocks(struct routing *r, bool retain, struct midge_route_problem *problem)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    if (publication->message != 0 || (r->admitted + r->displacing == 0 && !retain)) {
        r->blocks = 0;
        return MIDGE_ROUTED;
    }
    bool queue_up = r->orderly && midge_wait_others(b, publication->publisher, MIDGE_WAIT_BLOCKS, 0);
    if (r->blocks <= midge_store_free(&b->store) && !queue_up) {
        return MIDGE_ROUTED;
    }
    if (publication->may_wait && r->blocks <= b->store.blocks.capacity) {
        *problem = (struct midge_route_problem){.kind = MIDGE_WAIT_BLOCKS, .need = (midge_index)r->blocks};
        return MIDGE_ROUTE_WAIT;
    }
    if (publication->may_refuse && publication->publish.qos > 0) {
        problem->reason = MIDGE_NO_ROOM;
        return MIDGE_ROUTE_REFUSED;
    }
    if (r->blocks > midge_store_free(&b->store)) {
        r->blocks = UINT32_MAX;
    }
    return MIDGE_ROUTED;
}

/* Makes the message, with one reference that is the caller's. */
static midge_index make_message(struct routing *r)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    if (publication->message != 0) {
        midge_store_keep(&b->store, publication->message);
        return publication->message;
    }
    midge_index message = midge_store_begin(&b->store);
    midge_index tail = message;
    for (uint32_t i = 0; i < publication->part_count; i++) {
        midge_store_append(&b->store, message, &tail, publication->parts[i].bytes, publication->parts[i].size);
    }
    midge_store_publish(&b->store, message, (uint16_t)publication->publish.topic.size,
                        midge_message_flags(publication->publish.qos));
    return message;
}

/* Whether the retained messages may take one more: rule 4, room for one packet stays. */
static bool retained_admits(const struct routing *r)
{
    const struct midge *b = r->b;
    const struct midge_policy *policy = &b->config.policy;
    const struct midge_publication *publication = r->publication;
    uint32_t size = publication->publish.topic.size + publication->publish.payload_size;
    uint32_t count = b->retained.count;
    uint32_t bytes = b->retained.bytes;
    midge_index old = midge_retained_get(&b->retained, publication->publish.topic);
    uint32_t blocks = midge_store_free(&b->store);
    if (old != 0) {
        const struct midge_message *m = midge_message_at(&b->store, old);
        count--;
        bytes -= midge_message_charge(m);
        blocks += m->references == 1 ? midge_store_blocks(&b->store, m->size) : 0;
        if (m->size >= publication->body_size) {
            return true; /* what replaces one of its own size takes nothing from others */
        }
    }
    if ((policy->retained_max != 0 && count >= policy->retained_max) ||
        (policy->retained_bytes_max != 0 && (uint64_t)bytes + size > policy->retained_bytes_max)) {
        return false;
    }
    return blocks >= b->blocks_for_packet;
}

/* Retains the message. Returns false where that is refused to the publisher; where it is merely not possible, the one before
 * is removed all the same, since it is no longer true. */
static bool retain_message(struct routing *r, midge_index message)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    if (retained_admits(r) && midge_retained_set(&b->retained, publication->publish.topic, message)) {
        return true;
    }
    if (publication->may_refuse && publication->publish.qos > 0 && b->config.policy.overflow_offline == MIDGE_REFUSE) {
        return false;
    }
    midge_retained_clear(&b->retained, publication->publish.topic);
    midge_drop_topic(b, MIDGE_RETAINED_FULL, 0, publication->publish.topic, publication->publish.payload_size);
    return true;
}

/* Counts the loss of the message for one target. */
static void lose(struct routing *r, const struct midge_session *s, midge_index session)
{
    const struct midge_publication *publication = r->publication;
    enum midge_reason reason = s->connection == 0 ? MIDGE_QUEUE_FULL_OFFLINE : MIDGE_QUEUE_FULL;
    if ((s->match_qos & TARGET_DENIED) != 0) {
        reason = MIDGE_READ_DENIED;
    } else if ((s->match_qos & TARGET_OFFLINE) != 0) {
        reason = MIDGE_QOS0_OFFLINE;
    } else if ((s->match_qos & TARGET_NO_ROOM) != 0 && (s->match_qos & TARGET_QOS) == 0) {
        reason = publication->drop_reason;
    }
    midge_drop_topic(r->b, reason, session, publication->publish.topic, publication->publish.payload_size);
}

/* Drops the oldest messages of a queue until it admits the new one. Returns false where nothing more can be dropped. */
static bool make_room(struct routing *r, midge_index session)
{
    uint32_t size = r->publication->publish.topic.size + r->publication->publish.payload_size;
    uint8_t qos = midge_session_at(r->b, session)->match_qos & TARGET_QOS;
    do {
        measure_room(r);
        if (r->room.entries > 0 && midge_queue_admits(r->b, session, size, &r->room)) {
            return true;
        }
        if (!midge_queue_admits_emptied(r->b, session, qos, size, &r->room)) {
            return false; /* nothing is dropped in vain */
        }
    } while (midge_queue_drop_oldest(r->b, session, qos));
    return false;
}

/* Queues the message for one target, or counts why not. */
static void deliver(struct routing *r, midge_index session, midge_index message)
{
    struct midge *b = r->b;
    struct midge_session *s = midge_session_at(b, session);
    if ((s->match_qos & TARGET_OLDEST) != 0 && !make_room(r, session)) {
        s->match_qos |= TARGET_FULL;
    }
    if ((s->match_qos & TARGET_LOST) != 0) {
        lose(r, s, session);
        return;
    }
    if (s->connection != 0) {
        if (s->charged_entries == 0) {
            midge_connection_at(b, s->connection)->progress_ms = midge_now(b);
        }
        midge_output_due(b, s->connection);
    }
    midge_queue_append(b, session, message, s->match_qos & TARGET_QOS);
}

/* Queues the message for the targets that displace older messages by it, or for all others. */
static void deliver_to(struct routing *r, midge_index message, bool displacing)
{
    for (uint32_t i = 0; i < r->count; i++) {
        midge_index session = r->b->targets[i];
        bool displaces = (midge_session_at(r->b, session)->match_qos & TARGET_OLDEST) != 0;
        if (displaces == displacing) {
            deliver(r, session, message);
        }
    }
}

/* There is no block for a message that nobody insists on. */
static void drop_everywhere(struct routing *r, bool retain)
{
    struct midge *b = r->b;
    const struct midge_publication *publication = r->publication;
    for (uint32_t i = 0; i < r->count; i++) {
        struct midge_session *s = midge_session_at(b, b->targets[i]);
        s->match_qos |= TARGET_NO_ROOM;
        lose(r, s, b->targets[i]);
    }
    if (retain) {
        midge_retained_clear(&b->retained, publication->publish.topic);
        midge_drop_topic(b, MIDGE_RETAINED_FULL, 0, publication->publish.topic, publication->publish.payload_size);
    }
}

enum midge_routed midge_route(struct midge *b, const struct midge_publication *publication, struct midge_route_problem *problem)
{
    struct routing r;
    r.b = b;
    r.publication = publication;
    r.admitted = 0;
    r.displacing = 0;
    bool retain = publication->publish.retain && publication->publish.payload_size > 0;
    find_targets(&r);
    r.blocks = publication->message != 0 ? 0 : midge_store_blocks(&b->store, publication->body_size);
    r.orderly = publication->may_wait && b->waiting > 0;
    measure_room(&r);
    enum midge_routed result = judge_targets(&r, problem);
    if (result == MIDGE_ROUTED) {
        result = judge_deliveries(&r, problem);
    }
    if (result == MIDGE_ROUTED) {
        result = judge_blocks(&r, retain, problem);
    }
    if (result != MIDGE_ROUTED) {
        return result;
    }
    if (publication->publish.retain && !retain) {
        midge_retained_clear(&b->retained, publication->publish.topic); /* [MQTT-3.3.1-10] [MQTT-3.3.1-11] */
    }
    if (r.blocks == UINT32_MAX) {
        drop_everywhere(&r, retain);
        return MIDGE_ROUTED;
    }
    midge_index message = r.admitted + r.displacing > 0 || retain ? make_message(&r) : 0;
    if (retain && !retain_message(&r, message)) {
        midge_store_release(&b->store, message);
        problem->reason = MIDGE_RETAINED_FULL;
        return MIDGE_ROUTE_REFUSED;
    }
    r.blocks = 0;
    /* Those that displace older messages come last: the deliveries of the others are counted already. */
    deliver_to(&r, message, false);
    if (r.displacing > 0) {
        deliver_to(&r, message, true);
    }
    if (message != 0) {
        midge_store_release(&b->store, message);
    }
    return MIDGE_ROUTED;
}
