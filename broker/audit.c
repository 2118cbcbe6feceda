/* midge_audit: every invariant between pools, lists and counters, for tests. */
#include "delivery.h"
#include "interest.h"
#include "session.h"
#include "waiting.h"

#define MIDGE_FILE MIDGE_FILE_AUDIT

#define CHECK(condition)                                                                                                       \
    do {                                                                                                                       \
        if (!(condition)) {                                                                                                    \
            return MIDGE_PLACE;                                                                                                \
        }                                                                                                                      \
    } while (0)

/* ---- References ---- */

struct visit {
    const struct midge *b;
    void (*holder)(struct visit *visit, struct midge_message *message, midge_index index);
    uint32_t blocks;
    bool wrong;
};

static void visit_message(struct visit *visit, midge_index message)
{
    if (message != 0) {
        visit->holder(visit, midge_message_at(&visit->b->store, message), message);
    }
}

static void visit_list(struct visit *visit, const struct midge_list *list)
{
    for (midge_index i = list->head; i != 0; i = midge_delivery_at(visit->b, i)->next) {
        visit_message(visit, midge_delivery_at(visit->b, i)->message);
    }
}

/* Calls visit->holder once for each reference to a message. */
static void visit_holders(struct visit *visit)
{
    const struct midge *b = visit->b;
    for (midge_index i = midge_table_next(&b->session_table, 0); i != 0; i = midge_table_next(&b->session_table, i)) {
        const struct midge_session *s = midge_session_at(b, i);
        visit_list(visit, &s->queue_qos0);
        visit_list(visit, &s->queue);
        visit_list(visit, &s->window);
    }
    const struct midge_table *topics = &b->retained.tree.table;
    for (midge_index i = midge_table_next(topics, 0); i != 0; i = midge_table_next(topics, i)) {
        visit_message(visit, midge_topic_node_at(&b->retained, i)->message);
    }
    for (midge_index i = 1; i <= b->connections.touched; i++) {
        const struct midge_connection *c = midge_connection_at(b, i);
        if (c->state != MIDGE_FREE) {
            visit_message(visit, c->will);
            visit_message(visit, c->assembly);
            visit_message(visit, c->suback);
        }
    }
}

static void count_down(struct visit *visit, struct midge_message *message, midge_index index)
{
    (void)visit;
    (void)index;
    message->references--;
}

static void expect_zero(struct visit *visit, struct midge_message *message, midge_index index)
{
    (void)index;
    visit->wrong = visit->wrong || message->references != 0;
}

/* The first holder of a message finds its count at 0, and counts its blocks. */
static void count_up(struct visit *visit, struct midge_message *message, midge_index index)
{
    if (message->references++ == 0) {
        for (midge_index i = index; i != 0 && visit->blocks <= visit->b->store.blocks.used; visit->blocks++) {
            memcpy(&i, midge_pool_at(&visit->b->store.blocks, i), sizeof(i));
        }
    }
}

/* The references of each message equal its holders, and its blocks are all there are. The counts are taken down and put back,
 * so that no memory is needed; each message is as before at the end. */
static uint32_t audit_references(const struct midge *b)
{
    struct visit visit = {.b = b, .holder = count_down};
    visit_holders(&visit);
    visit.holder = expect_zero;
    visit_holders(&visit);
    visit.holder = count_up;
    visit_holders(&visit);
    CHECK(!visit.wrong);
    CHECK(visit.blocks == b->store.blocks.used);
    return 0;
}

/* ---- Names ---- */

static uint32_t tree_names(const struct midge *b, const struct midge_tree *tree)
{
    uint32_t chunks = 0;
    for (midge_index i = midge_table_next(&tree->table, 0); i != 0; i = midge_table_next(&tree->table, i)) {
        chunks += midge_names_chunks(&b->names, midge_tree_at(tree, i)->name_size);
    }
    return chunks;
}

/* ---- Sessions ---- */

struct totals {
    uint32_t sessions;
    uint32_t offline;
    uint32_t entries;
    uint32_t subscriptions;
    uint32_t qos2;
    uint32_t names;
};

static uint32_t audit_session(const struct midge *b, midge_index session, struct totals *totals)
{
    const struct midge_session *s = midge_session_at(b, session);
    totals->names += midge_names_chunks(&b->names, s->client_id_size);
    uint32_t place = midge_delivery_audit(b, s, &totals->entries);
    if (place == 0) {
        place = midge_interest_audit(b, s, &totals->subscriptions);
    }
    if (place != 0) {
        return place;
    }
    uint32_t unreleased = 0;
    midge_index previous = 0;
    for (midge_index i = s->qos2; i != 0; i = midge_qos2_at(b, i)->next) {
        CHECK(++unreleased <= b->qos2.used);
        CHECK(midge_qos2_at(b, i)->previous == previous && midge_qos2_at(b, i)->session == session);
        CHECK(midge_qos2_find(b, session, midge_qos2_at(b, i)->packet_id) == i);
        previous = i;
    }
    CHECK(unreleased == s->qos2_count);
    totals->qos2 += unreleased;
    if (s->connection == 0) {
        totals->offline++;
        CHECK((s->flags & MIDGE_SESSION_EPHEMERAL) == 0);
        CHECK(s->younger != 0 ? midge_session_at(b, s->younger)->older == session : b->offline.tail == session);
        CHECK(s->older != 0 ? midge_session_at(b, s->older)->younger == session : b->offline.head == session);
    } else {
        CHECK(midge_connection_at(b, s->connection)->session == session);
        CHECK(midge_connection_at(b, s->connection)->state == MIDGE_ACTIVE);
    }
    return 0;
}

static uint32_t audit_sessions(const struct midge *b)
{
    struct totals totals = {0};
    for (midge_index i = midge_table_next(&b->session_table, 0); i != 0; i = midge_table_next(&b->session_table, i)) {
        CHECK(++totals.sessions <= b->sessions.used);
        uint32_t place = audit_session(b, i, &totals);
        if (place != 0) {
            return place;
        }
    }
    CHECK(totals.sessions == b->sessions.used);
    CHECK(totals.offline == b->metrics.sessions_offline);
    CHECK(totals.sessions - totals.offline == b->metrics.clients_connected);
    CHECK(totals.entries == b->deliveries.used);
    CHECK(totals.subscriptions == b->subscriptions.pool.used);
    CHECK(totals.qos2 == b->qos2.used);
    CHECK(totals.names + tree_names(b, &b->subscriptions.tree) + tree_names(b, &b->retained.tree) == b->names.chunks.used);
    return 0;
}

/* ---- Connections ---- */

static const struct midge_list *wait_queue(const struct midge *b, midge_index connection)
{
    uint8_t kind = midge_connection_at(b, connection)->wait_kind;
    if (kind == MIDGE_WAIT_SUBSCRIBER) {
        return &midge_wait_at(b, midge_wait_at(b, connection)->object)->waiters;
    }
    return kind >= MIDGE_WAIT_DELIVERIES ? &b->wait_queues[kind] : NULL;
}

static uint32_t audit_connection(const struct midge *b, midge_index connection)
{
    const struct midge_connection *c = midge_connection_at(b, connection);
    const struct midge_wait *wait = midge_wait_at(b, connection);
    CHECK((c->session != 0) == (c->state == MIDGE_ACTIVE));
    CHECK(c->session == 0 || midge_session_at(b, c->session)->connection == connection);
    CHECK(c->replies_count <= b->config.limits.replies);
    CHECK(c->state != MIDGE_CLOSED || c->replies_count == 0);
    CHECK(c->state == MIDGE_ACTIVE || wait->waiters.head == 0);
    /* What is due is announced: a connection with replies has an event raised, or output that the port knows of. */
    CHECK((c->flags & MIDGE_CONN_ARMED) == 0 || c->replies_count == 0);
    const struct midge_list *queue = wait_queue(b, connection);
    if (queue != NULL) {
        CHECK(wait->previous != 0 ? midge_wait_at(b, wait->previous)->next == connection : queue->head == connection);
        CHECK(wait->next != 0 ? midge_wait_at(b, wait->next)->previous == connection : queue->tail == connection);
    }
    if (c->wait_kind == MIDGE_WAIT_SUBSCRIBER) {
        /* Rule 1: nothing waits for a waiter, nor for one that is gone. */
        const struct midge_connection *subscriber = midge_connection_at(b, wait->object);
        CHECK(subscriber->state == MIDGE_ACTIVE);
        CHECK(subscriber->wait_kind == MIDGE_WAIT_NONE || subscriber->wait_kind == MIDGE_WAIT_REPLIES);
    }
    /* Every wait has a deadline: rule 3. */
    bool timed =
        c->state != MIDGE_CLOSED && (c->state != MIDGE_ACTIVE || c->wait_kind != MIDGE_WAIT_NONE || c->keepalive_s != 0);
    CHECK(!timed || c->timer != 0);
    return 0;
}

static uint32_t audit_connections(const struct midge *b)
{
    uint32_t count = 0;
    uint32_t reserved = 0;
    uint32_t assembled = 0;
    uint32_t handshakes = 0;
    uint32_t waiting = 0;
    uint32_t promised[MIDGE_WAIT_COUNT] = {0};
    for (midge_index i = 1; i <= b->connections.touched; i++) {
        const struct midge_connection *c = midge_connection_at(b, i);
        if (c->state == MIDGE_FREE) {
            continue;
        }
        CHECK(c->index == i);
        count++;
        waiting += wait_queue(b, i) != NULL ? 1 : 0;
        if (c->woken_kind != MIDGE_WAIT_NONE) {
            promised[c->woken_kind] += midge_wait_at(b, i)->object;
        }
        uint32_t place = audit_connection(b, i);
        if (place != 0) {
            return place;
        }
        if (c->assembly != 0) {
            uint32_t blocks = midge_store_blocks(&b->store, c->remaining);
            assembled += blocks;
            reserved += blocks - midge_store_blocks(&b->store, midge_message_at(&b->store, c->assembly)->size);
            handshakes += c->state == MIDGE_CONNECTING ? blocks : 0;
        }
    }
    CHECK(count == b->connections.used);
    CHECK(waiting == b->waiting);
    CHECK(memcmp(promised, b->promised, sizeof(promised)) == 0);
    CHECK(reserved == b->store.reserved);
    CHECK(assembled == b->assembly_reserved && handshakes == b->handshake_reserved);
    CHECK(b->store.reserved + b->store.blocks.used <= b->store.blocks.capacity);
    /* Wills are tried before any call returns. */
    CHECK(b->wait_queues[MIDGE_WAIT_WILL].head == 0);
    return 0;
}

uint32_t midge_audit(const struct midge *b)
{
    CHECK(midge_pool_audit(&b->connections));
    CHECK(midge_pool_audit(&b->sessions));
    CHECK(midge_pool_audit(&b->deliveries));
    CHECK(midge_pool_audit(&b->qos2));
    CHECK(midge_pool_audit(&b->names.chunks));
    CHECK(midge_pool_audit(&b->store.blocks));
    CHECK(midge_timers_audit(&b->timers));
    uint32_t (*const parts[])(const struct midge *) = {audit_sessions, audit_connections, audit_references};
    uint32_t place = midge_subscriptions_audit(&b->subscriptions);
    if (place == 0) {
        place = midge_retained_audit(&b->retained);
    }
    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && place == 0; i++) {
        place = parts[i](b);
    }
    return place;
}
