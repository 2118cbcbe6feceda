/* The public interface: what midge.h declares. */
#include "connection.h"
#include "events.h"
#include "input.h"
#include "output.h"
#include "publishing.h"
#include "replies.h"
#include "session.h"
#include "waiting.h"

/* Whether what a call made possible matters to anybody: what a message passes asks that first. */
static bool somebody_waits(const struct midge *b)
{
    return (b->waiting | b->starved.head) != 0;
}

/* What a call may have made possible: wills that are due, connections that need not wait any longer. `progress` is the
 * connection whose queue it may have made shorter, NULL for none. */
static void settle(struct midge *b, const struct midge_connection *progress)
{
    if (progress != NULL) {
        midge_wake_for_room(b, progress);
    }
    /* What one will leaves over may be enough for the next; each is tried once. */
    midge_index tries = b->connections.used;
    do {
        midge_wills_run(b);
        midge_wake_all(b);
    } while (b->wait_queues[MIDGE_WAIT_WILL].head != 0 && tries-- > 0);
    midge_wills_run(b);
    midge_output_feed_starved(b);
}

/* Replies are with the transport, for which its own input may have waited. */
static void replies_taken(struct midge *b, struct midge_connection *c)
{
    bool room = midge_wait_of(b, c)->object == 0 ? c->replies_count <= b->config.limits.replies / 2 : c->suback == 0;
    if (room) {
        midge_wake(b, c);
    }
}

/* Ends the connection that has said no CONNECT for longest. */
static void crowd_out(struct midge *b)
{
    struct midge_connection *longest = NULL;
    for (midge_index i = 1; i <= b->connections.touched; i++) {
        struct midge_connection *c = midge_connection_at(b, i);
        if (c->state == MIDGE_CONNECTING &&
            (longest == NULL || midge_time_before(c->state_deadline_ms, longest->state_deadline_ms))) {
            longest = c;
        }
    }
    if (longest != NULL) {
        midge_connection_end(b, longest, MIDGE_CONNECT_CROWDED);
    }
}

struct midge_handle midge_connected(struct midge *b, uint8_t listener)
{
    const struct midge_connection *c = midge_connection_open(b, listener);
    if (c == NULL && midge_wills_hurry(b)) {
        c = midge_connection_open(b, listener);
    }
    if (c == NULL) {
        crowd_out(b);
    }
    struct midge_handle handle = {0};
    if (c != NULL) {
        handle = c->handle;
    }
    settle(b, NULL);
    return handle;
}

size_t midge_receive(struct midge *b, struct midge_handle conn, const uint8_t *bytes, size_t size)
{
    struct midge_connection *c = midge_connection_resolve(b, conn);
    if (c == NULL || c->state >= MIDGE_CLOSING) {
        return size;
    }
    if (c->wait_kind != MIDGE_WAIT_NONE || size == 0) {
        return 0;
    }
    c->last_input_ms = midge_now(b);
    size_t used = midge_input(b, c, bytes, size);
    b->metrics.bytes_received += (midge_counter)used;
    if (somebody_waits(b)) {
        settle(b, c);
    }
    return used;
}

size_t midge_output(struct midge *b, struct midge_handle conn, uint8_t *buffer, size_t size)
{
    struct midge_connection *c = midge_connection_resolve(b, conn);
    if (c == NULL) {
        return 0;
    }
    MIDGE_ASSERT(size >= 16);
    return midge_output_encode(b, c, buffer, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size);
}

bool midge_output_done(struct midge *b, struct midge_handle conn, size_t sent)
{
    struct midge_connection *c = midge_connection_resolve(b, conn);
    if (c == NULL || c->state == MIDGE_CLOSED) {
        return false;
    }
    bool more = midge_output_consume(b, c, (uint32_t)sent);
    if (c->state == MIDGE_CLOSING && c->replies_count == 0) {
        midge_connection_close(b, c);
    }
    if (c->wait_kind == MIDGE_WAIT_REPLIES) {
        replies_taken(b, c);
    }
    if (somebody_waits(b)) {
        settle(b, c);
    }
    return more;
}

void midge_disconnected(struct midge *b, struct midge_handle conn)
{
    struct midge_connection *c = midge_connection_resolve(b, conn);
    if (c == NULL) {
        return;
    }
    midge_connection_end(b, c, MIDGE_CONNECTION_LOST);
    midge_connection_release(b, c);
    settle(b, NULL);
}

void midge_authenticated(struct midge *b, struct midge_handle conn, enum midge_verdict verdict, uint32_t who)
{
    MIDGE_ASSERT(verdict != MIDGE_PENDING);
    struct midge_connection *c = midge_connection_resolve(b, conn);
    if (c == NULL) {
        return;
    }
    if (c->state != MIDGE_CONNECTING || c->verdict != MIDGE_PENDING) {
        return;
    }
    c->verdict = (uint8_t)verdict;
    c->who = who;
    midge_wake(b, c);
}

bool midge_publish(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain)
{
    bool kept = midge_publishing_internal(b, topic, payload, qos, retain);
    settle(b, NULL);
    return kept;
}

bool midge_next_event(struct midge *b, struct midge_event *event)
{
    return midge_event_take(b, event);
}

/* ---- Time ---- */

/* Lateness that is not the ordinary kind. */
enum { LATE_MS = 1000 };

static bool is_due(const struct midge *b, uint32_t deadline_ms)
{
    return !midge_time_before(midge_now(b), deadline_ms);
}

/* A half-sent packet may keep its blocks as long as nobody else needs them. */
static void assembly_timer(struct midge *b, struct midge_connection *c)
{
    bool others = b->wait_queues[MIDGE_WAIT_ASSEMBLY].head != 0 || b->wait_queues[MIDGE_WAIT_BLOCKS].head != 0;
    if (others && c->wait_kind == MIDGE_WAIT_NONE) {
        midge_connection_end(b, c, MIDGE_ASSEMBLY_TIMEOUT);
        return;
    }
    c->state_deadline_ms = midge_now(b) + b->config.policy.assembly_ms / 4 + 1;
    midge_deadlines_arm(b, c);
}

/* A connection that waits is tried again: its deadline has come, or that of what it waits for. One whose replies are not taken
 * is given up, unless some were. */
static void wait_timer(struct midge *b, struct midge_connection *c)
{
    if (c->wait_kind != MIDGE_WAIT_REPLIES) {
        midge_wake(b, c);
        return;
    }
    uint32_t deadline_ms = c->progress_ms + b->config.policy.wait_ms;
    midge_wait_of(b, c)->deadline_ms = deadline_ms;
    if (is_due(b, deadline_ms)) {
        midge_connection_end(b, c, MIDGE_SLOW_READER);
    } else {
        midge_deadlines_arm(b, c);
    }
}

/* A deadline of the connection's state. */
static void state_timer(struct midge *b, struct midge_connection *c)
{
    switch ((enum midge_connection_state)c->state) {
    case MIDGE_CONNECTING:
        midge_connection_end(b, c, MIDGE_CONNECT_TIMEOUT);
        break;
    case MIDGE_CLOSING:
        midge_connection_close(b, c);
        break;
    default:
        assembly_timer(b, c);
        break;
    }
}

static void timer_fired(struct midge *b, struct midge_connection *c)
{
    struct midge_deadline next = midge_deadline_next(b, c);
    switch (next.left_ms > 0 ? MIDGE_DEADLINE_NONE : next.kind) {
    case MIDGE_DEADLINE_STATE:
        state_timer(b, c);
        break;
    case MIDGE_DEADLINE_WAIT:
        wait_timer(b, c);
        break;
    case MIDGE_DEADLINE_KEEPALIVE:
        midge_connection_end(b, c, MIDGE_KEEPALIVE); /* [MQTT-3.1.2-24] */
        break;
    case MIDGE_DEADLINE_NONE:
        midge_deadlines_arm(b, c);
        break;
    }
}

/* When the first timer fires, on the clock of now_ms. */
static uint64_t next_timer(const struct midge *b)
{
    if (midge_timers_first(&b->timers) == 0) {
        return UINT64_MAX;
    }
    int32_t ahead = (int32_t)(b->timers.heap[0].deadline_ms - midge_now(b));
    return b->now_ms + (ahead > 0 ? (uint32_t)ahead : 0);
}

void midge_time(struct midge *b, uint64_t now_ms)
{
    uint64_t now = now_ms - b->late_ms;
    if (now > b->next_ms && now - b->next_ms > LATE_MS) {
        /* Rule 15: what the port came late by did not happen for the clients. The little that every turn is late by must not
         * add up, or else deadlines would stretch under load. */
        b->late_ms += now - b->next_ms;
        now = b->next_ms;
    }
    b->now_ms = now > b->now_ms ? now : b->now_ms;
}

uint64_t midge_advance(struct midge *b, uint64_t now_ms)
{
    midge_time(b, now_ms);
    while (midge_timers_first(&b->timers) != 0 && is_due(b, b->timers.heap[0].deadline_ms)) {
        timer_fired(b, midge_connection_at(b, midge_timers_first(&b->timers)));
    }
    uint64_t expiry = midge_session_expire(b);
    settle(b, NULL);
    uint64_t timer = next_timer(b);
    b->next_ms = timer < expiry ? timer : expiry;
    return b->next_ms == UINT64_MAX ? UINT64_MAX : b->next_ms + b->late_ms;
}

/* ---- Counters ---- */

void midge_metrics(const struct midge *b, struct midge_metrics *metrics)
{
    static const uint16_t pools[] = {
        [MIDGE_POOL_CONNECTIONS] = offsetof(struct midge, connections),
        [MIDGE_POOL_SESSIONS] = offsetof(struct midge, sessions),
        [MIDGE_POOL_SUBSCRIPTIONS] = offsetof(struct midge, subscriptions.pool),
        [MIDGE_POOL_FILTER_NODES] = offsetof(struct midge, subscriptions.tree.nodes),
        [MIDGE_POOL_TOPIC_NODES] = offsetof(struct midge, retained.tree.nodes),
        [MIDGE_POOL_NAMES] = offsetof(struct midge, names.chunks),
        [MIDGE_POOL_DELIVERIES] = offsetof(struct midge, deliveries),
        [MIDGE_POOL_QOS2_IDENTIFIERS] = offsetof(struct midge, qos2),
        [MIDGE_POOL_BLOCKS] = offsetof(struct midge, store.blocks),
    };
    *metrics = b->metrics;
    metrics->subscriptions = b->subscriptions.pool.used;
    metrics->retained = b->retained.count;
    metrics->retained_bytes = b->retained.bytes;
    metrics->queued = b->deliveries.used;
    metrics->stored_messages = b->store.messages;
    metrics->stored_bytes = b->store.bytes;
    for (uint32_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        const struct midge_pool *pool = (const void *)((const uint8_t *)b + pools[i]);
        metrics->pools[i] = (struct midge_pool_use){.used = pool->used, .peak = pool->touched, .capacity = pool->capacity};
    }
}
