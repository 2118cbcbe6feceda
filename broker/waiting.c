#include "waiting.h"

#include "delivery.h"
#include "events.h"

enum { WAIT_LINKS = offsetof(struct midge_wait, next) };

/* The queue of this connection's wait, NULL where that kind has none. */
static struct midge_list *queue_of(struct midge *b, const struct midge_connection *c)
{
    switch ((enum midge_wait_kind)c->wait_kind) {
    case MIDGE_WAIT_SUBSCRIBER:
        return &midge_wait_at(b, midge_wait_of(b, c)->object)->waiters;
    case MIDGE_WAIT_DELIVERIES:
    case MIDGE_WAIT_BLOCKS:
    case MIDGE_WAIT_ASSEMBLY:
    case MIDGE_WAIT_HANDSHAKE:
    case MIDGE_WAIT_WILL:
        return &b->wait_queues[c->wait_kind];
    default:
        return NULL;
    }
}

/* Puts a connection into a queue before `next`, at its end for 0. */
static void enqueue(struct midge *b, struct midge_list *queue, const struct midge_connection *c, midge_index next)
{
    midge_list_insert(&b->waits, queue, WAIT_LINKS, c->index, next);
    b->waiting++;
}

/* Whether others that wait for this one have to be told that it waits itself. */
static bool is_stalled(const struct midge_connection *c)
{
    /* Its own replies drain by themselves, whatever others do: waiting for it then closes no circle. */
    return c->wait_kind != MIDGE_WAIT_NONE && c->wait_kind != MIDGE_WAIT_REPLIES;
}

/* Ends the privilege of having been woken. Returns the subscriber that it was woken for, 0 where there is none. */
static midge_index forget_waking(struct midge *b, struct midge_connection *c)
{
    midge_index woken_for = 0;
    if (c->woken_kind != MIDGE_WAIT_NONE) {
        const struct midge_wait *wait = midge_wait_of(b, c);
        b->promised[c->woken_kind] -= wait->object;
        if (c->woken_kind == MIDGE_WAIT_SUBSCRIBER) {
            woken_for = wait->object;
            MIDGE_ASSERT(midge_wait_at(b, woken_for)->waiters_woken > 0);
            midge_wait_at(b, woken_for)->waiters_woken--;
        }
        c->woken_kind = MIDGE_WAIT_NONE;
    }
    return woken_for;
}

void midge_wait(struct midge *b, struct midge_connection *c, enum midge_wait_kind kind, midge_index object)
{
    struct midge_wait *wait = midge_wait_of(b, c);
    MIDGE_ASSERT(c->wait_kind == MIDGE_WAIT_NONE && kind != MIDGE_WAIT_NONE);
    MIDGE_ASSERT(kind != MIDGE_WAIT_SUBSCRIBER || object != c->index);
    bool again = c->woken_kind == kind;
    midge_index woken_for = forget_waking(b, c);
    again = again && (woken_for == 0 || woken_for == object);
    c->wait_kind = (uint8_t)kind;
    wait->object = object;
    if (kind != MIDGE_WAIT_WILL) {
        b->metrics.stalls[midge_min(kind, MIDGE_WAIT_ASSEMBLY) - 1]++; /* a handshake is assembled, too */
    }
    if ((c->flags & MIDGE_CONN_WAITED) == 0 && kind != MIDGE_WAIT_AUTHENTICATION && kind != MIDGE_WAIT_WILL) {
        c->flags |= MIDGE_CONN_WAITED;
        wait->deadline_ms = midge_now(b) + b->config.policy.wait_ms;
    }
    struct midge_list *queue = queue_of(b, c);
    if (queue != NULL) {
        /* If it was its turn, and what it was woken for did not suffice, it keeps its place. */
        enqueue(b, queue, c, again ? queue->head : 0);
    }
    if (is_stalled(c)) {
        midge_wake_waiters(b, c, UINT32_MAX);
    }
    if (woken_for != 0 && !again) {
        midge_wake_for_room(b, midge_connection_at(b, woken_for));
    }
    midge_deadlines_arm(b, c);
}

void midge_wait_turn(struct midge *b, struct midge_connection *c)
{
    struct midge_list *queue = queue_of(b, c);
    if (queue != NULL) {
        midge_list_remove(&b->waits, queue, WAIT_LINKS, c->index);
        b->waiting--;
    }
    c->wait_kind = MIDGE_WAIT_NONE;
}

void midge_wait_cancel(struct midge *b, struct midge_connection *c)
{
    midge_wait_turn(b, c);
    midge_wait_done(b, c);
}

void midge_wake(struct midge *b, struct midge_connection *c)
{
    const struct midge_wait *wait = midge_wait_of(b, c);
    uint8_t kind = c->wait_kind;
    midge_wait_turn(b, c);
    forget_waking(b, c);
    c->woken_kind = kind;
    b->promised[kind] += wait->object;
    if (kind == MIDGE_WAIT_SUBSCRIBER) {
        midge_wait_at(b, wait->object)->waiters_woken++;
    }
    if (c->state == MIDGE_CLOSING || c->state == MIDGE_CLOSED) {
        c->wait_kind = MIDGE_WAIT_WILL;
        enqueue(b, &b->wait_queues[MIDGE_WAIT_WILL], c, 0);
        midge_deadlines_arm(b, c);
        return;
    }
    /* The silence up to now was ours. */
    c->last_input_ms = midge_now(b);
    midge_event_raise(b, c, MIDGE_EVENT_INPUT);
    midge_deadlines_arm(b, c);
}

bool midge_wait_others(const struct midge *b, const struct midge_connection *c, enum midge_wait_kind kind, midge_index object)
{
    bool subscriber = kind == MIDGE_WAIT_SUBSCRIBER;
    if ((subscriber ? &midge_wait_at(b, object)->waiters : &b->wait_queues[kind])->head == 0) {
        return false;
    }
    if (c == NULL) {
        return true;
    }
    /* Whoever was woken has had its turn. It queues up only for what is asked for later, in the order of the kinds: else those
     * that need two things would go from one queue to the other and back for ever, though there is room in both. */
    return c->woken_kind < kind;
}

void midge_wait_done(struct midge *b, struct midge_connection *c)
{
    c->flags &= (uint8_t)~MIDGE_CONN_WAITED;
    midge_index subscriber = c->woken_kind != MIDGE_WAIT_NONE ? forget_waking(b, c) : 0;
    if (subscriber != 0) {
        /* What it was woken for and may not have used is left to the next: where a subscriber has nothing to take any more,
         * nothing else would wake those that still wait for it. */
        midge_wake_for_room(b, midge_connection_at(b, subscriber));
    }
}

bool midge_wait_expired(const struct midge *b, const struct midge_connection *c)
{
    return (c->flags & MIDGE_CONN_WAITED) != 0 && !midge_time_before(midge_now(b), midge_wait_of(b, c)->deadline_ms);
}

bool midge_waitable(const struct midge *b, const struct midge_session *s, const struct midge_connection *publisher)
{
    if (s->connection == 0) {
        return false;
    }
    const struct midge_connection *c = midge_connection_at(b, s->connection);
    /* One that was woken and has not got through yet may wait again at once: taking it for one that does not wait would close
     * circles, in which all wake each other until the first deadline. */
    bool woken = c->woken_kind != MIDGE_WAIT_NONE && c->woken_kind != MIDGE_WAIT_REPLIES;
    return c != publisher && !is_stalled(c) && !woken &&
           midge_time_before(midge_now(b), c->progress_ms + b->config.policy.progress_ms);
}

void midge_wake_waiters(struct midge *b, const struct midge_connection *subscriber, uint32_t room)
{
    const struct midge_wait *wait = midge_wait_of(b, subscriber);
    while (wait->waiters.head != 0 && wait->waiters_woken < room) {
        midge_wake(b, midge_connection_at(b, wait->waiters.head));
    }
}

void midge_wake_for_room(struct midge *b, const struct midge_connection *subscriber)
{
    if (b->waiting != 0 && midge_wait_of(b, subscriber)->waiters.head != 0 && subscriber->session != 0) {
        midge_wake_waiters(b, subscriber, midge_queue_wake_room(b, midge_session_of(b, subscriber)));
    }
}

uint32_t midge_assembly_room(const struct midge *b, bool accepted)
{
    uint32_t half = b->store.blocks.capacity / 2u;
    uint32_t room = half - midge_min(half, b->assembly_reserved);
    if (!accepted) {
        uint32_t share = b->store.blocks.capacity / 8u + 1u;
        room = midge_min(room, share - midge_min(share, b->handshake_reserved));
    }
    return midge_min(room, midge_store_free(&b->store));
}

/* What there is for those that wait in a queue. */
static uint32_t room_for(const struct midge *b, enum midge_wait_kind kind)
{
    switch (kind) {
    case MIDGE_WAIT_DELIVERIES:
        return midge_pool_free(&b->deliveries);
    case MIDGE_WAIT_BLOCKS:
        return midge_store_free(&b->store);
    default:
        return midge_assembly_room(b, kind == MIDGE_WAIT_ASSEMBLY);
    }
}

void midge_wake_all(struct midge *b)
{
    for (uint32_t kind = MIDGE_WAIT_DELIVERIES; kind <= MIDGE_WAIT_HANDSHAKE; kind++) {
        const struct midge_list *queue = &b->wait_queues[kind];
        while (queue->head != 0) {
            /* What was promised to others is theirs. */
            uint32_t room = room_for(b, (enum midge_wait_kind)kind);
            room -= midge_min(room, b->promised[kind]);
            if (midge_wait_at(b, queue->head)->object > room) {
                break;
            }
            midge_wake(b, midge_connection_at(b, queue->head));
        }
    }
}
