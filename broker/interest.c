#include "interest.h"

#include "access.h"
#include "delivery.h"
#include "record.h"

#define MIDGE_FILE MIDGE_FILE_INTEREST

static struct midge_subscription *at(const struct midge *b, midge_index subscription)
{
    return midge_subscription_at(&b->subscriptions, subscription);
}

static uint32_t stamp_of(const struct midge_subscription *sub)
{
    return sub->state >> MIDGE_SUBSCRIPTION_STAMP;
}

/* Moves the cursor of the first subscription's retained messages. */
static void set_cursor(struct midge *b, struct midge_session *s, midge_index node)
{
    midge_index old = s->replay_node;
    midge_retained_pin(&b->retained, node);
    s->replay_node = node;
    midge_retained_unpin(&b->retained, old);
}

static void link_in(struct midge *b, struct midge_session *s, midge_index subscription)
{
    struct midge_subscription *sub = at(b, subscription);
    bool due = stamp_of(sub) != 0;
    midge_index previous = subscription; /* a circle of its own */
    sub->session_next = subscription;
    if (due && s->replay_last != 0) {
        previous = s->replay_last;
    } else if (s->subscriptions != 0) {
        previous = at(b, s->subscriptions)->session_previous;
    }
    sub->session_previous = previous;
    sub->session_next = at(b, previous)->session_next;
    at(b, sub->session_next)->session_previous = subscription;
    at(b, previous)->session_next = subscription;
    if (s->subscriptions == 0 || (due && s->replay_last == 0)) {
        s->subscriptions = subscription;
    }
    if (due) {
        s->replay_last = subscription;
    }
}

static void link_out(struct midge *b, struct midge_session *s, midge_index subscription)
{
    const struct midge_subscription *sub = at(b, subscription);
    bool first = s->subscriptions == subscription;
    if (first && stamp_of(sub) != 0) {
        set_cursor(b, s, 0);
    }
    if (s->replay_last == subscription) {
        s->replay_last = first ? 0 : sub->session_previous;
    }
    if (first) {
        s->subscriptions = sub->session_next == subscription ? 0 : sub->session_next;
    }
    at(b, sub->session_previous)->session_next = sub->session_next;
    at(b, sub->session_next)->session_previous = sub->session_previous;
}

bool midge_interest_add(struct midge *b, struct midge_session *s, struct midge_view filter, uint8_t qos)
{
    uint32_t stamp = b->retained.count == 0 ? 0 : midge_retained_subscribe(&b->retained);
    uint32_t state = stamp << MIDGE_SUBSCRIPTION_STAMP | qos;
    midge_index subscription = midge_subscriptions_find(&b->subscriptions, midge_session_index(b, s), s->subscriptions, filter);
    if (subscription != 0) {
        link_out(b, s, subscription);
        at(b, subscription)->state = state | (at(b, subscription)->state & MIDGE_SUBSCRIPTION_MULTI);
    } else {
        subscription = midge_subscriptions_add(&b->subscriptions, midge_session_index(b, s), filter, state);
        if (subscription == 0) {
            return false;
        }
    }
    link_in(b, s, subscription);
    return true;
}

bool midge_interest_remove(struct midge *b, struct midge_session *s, struct midge_view filter)
{
    midge_index subscription = midge_subscriptions_find(&b->subscriptions, midge_session_index(b, s), s->subscriptions, filter);
    if (subscription == 0) {
        return false;
    }
    link_out(b, s, subscription);
    midge_subscriptions_remove(&b->subscriptions, subscription);
    return true;
}

void midge_interest_clear(struct midge *b, struct midge_session *s)
{
    while (s->subscriptions != 0) {
        midge_index subscription = s->subscriptions;
        link_out(b, s, subscription);
        midge_subscriptions_remove(&b->subscriptions, subscription);
    }
}

/* The first subscription has had its retained messages: it goes behind the others. */
static void finish_first(struct midge *b, struct midge_session *s)
{
    midge_index first = s->subscriptions;
    set_cursor(b, s, 0);
    at(b, first)->state &= MIDGE_SUBSCRIPTION_QOS | MIDGE_SUBSCRIPTION_MULTI;
    if (s->replay_last == first) {
        s->replay_last = 0;
    } else {
        s->subscriptions = at(b, first)->session_next;
    }
}

/* Whether the retained message on a node is due to a subscription: it is there, is older than it, and may be read. */
static bool is_due(struct midge *b, const struct midge_session *s, const struct midge_subscription *sub,
                   const struct midge_topic_node *n)
{
    if (n->message == 0 || n->stamp >= stamp_of(sub)) {
        return false;
    }
    if (b->config.authorize == NULL) {
        return true;
    }
    uint32_t mark = b->scratch.used;
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, n->message, 2);
    uint32_t size = midge_message_at(&b->store, n->message)->topic_size;
    const uint8_t *topic = midge_reader_take(&reader, size, &b->scratch);
    b->scratch.used = mark;
    const struct midge_view view = {.bytes = topic, .size = size};
    return topic != NULL && midge_allowed(b, s->who, MIDGE_READ, &view);
}

/* Puts a retained message into the window, if it may. */
static enum midge_replay send_retained(struct midge *b, struct midge_session *s, const struct midge_subscription *sub,
                                       midge_index message)
{
    uint32_t published = midge_message_at(&b->store, message)->flags & MIDGE_MESSAGE_QOS;
    uint8_t qos = (uint8_t)midge_min(published, sub->state & MIDGE_SUBSCRIPTION_QOS);
    if (qos > 0 && !midge_window_open(b, s)) {
        return MIDGE_REPLAY_BLOCKED;
    }
    return midge_window_add_retained(b, s, message, qos) ? MIDGE_REPLAY_ADDED : MIDGE_REPLAY_STARVED;
}

/* Walks on for the first subscription until a message is due. */
static enum midge_replay walk_first(struct midge *b, struct midge_session *s, struct midge_view filter, uint32_t *steps)
{
    const struct midge_subscription *sub = at(b, s->subscriptions);
    while (*steps > 0) {
        --*steps;
        bool matches = false;
        midge_index node = midge_retained_step(&b->retained, filter, s->replay_node, &matches);
        if (node == 0) {
            return MIDGE_REPLAY_NONE;
        }
        const struct midge_topic_node *n = midge_topic_node_at(&b->retained, node);
        enum midge_replay result = matches && is_due(b, s, sub, n) ? send_retained(b, s, sub, n->message) : MIDGE_REPLAY_NONE;
        if (result > MIDGE_REPLAY_ADDED) {
            return result;
        }
        set_cursor(b, s, node);
        if (result == MIDGE_REPLAY_ADDED) {
            return result;
        }
    }
    return MIDGE_REPLAY_STEPS;
}

enum midge_replay midge_replay_next(struct midge *b, struct midge_session *s, uint32_t *steps)
{
    enum midge_replay result = MIDGE_REPLAY_NONE;
    while (s->replay_last != 0 && result == MIDGE_REPLAY_NONE) {
        /* The filter lies in the first half; a topic that is asked about takes the other. */
        b->scratch.used = midge_name_size_max(b);
        uint8_t *end = b->scratch.bytes + b->scratch.used;
        result = walk_first(b, s, midge_subscription_filter(&b->subscriptions, s->subscriptions, end), steps);
        if (result == MIDGE_REPLAY_NONE) {
            finish_first(b, s);
        }
    }
    return result;
}

uint32_t midge_interest_audit(const struct midge *b, const struct midge_session *s, uint32_t *subscriptions)
{
    midge_index i = s->subscriptions;
    bool due = s->replay_last != 0;
    while (i != 0) {
        const struct midge_subscription *sub = at(b, i);
        if (sub->session != midge_session_index(b, s) || at(b, sub->session_next)->session_previous != i ||
            (stamp_of(sub) != 0) != due || ++*subscriptions > b->subscriptions.pool.used) {
            return MIDGE_PLACE;
        }
        due = due && i != s->replay_last;
        i = sub->session_next == s->subscriptions ? 0 : sub->session_next;
    }
    return due || (s->replay_node != 0 && s->replay_last == 0) ? MIDGE_PLACE : 0;
}
