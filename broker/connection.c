#include "connection.h"

#include "events.h"
#include "record.h"
#include "replies.h"
#include "session.h"
#include "waiting.h"

midge_index midge_connection_open(struct midge *b, uint8_t listener)
{
    midge_index connection = midge_pool_take(&b->connections);
    if (connection == 0) {
        return 0;
    }
    struct midge_connection *c = midge_connection_at(b, connection);
    /* What ties the slot to lists that may still hold it stays, and its generation. */
    struct midge_connection old = *c;
    memset(c, 0, sizeof(*c));
    c->generation = old.generation;
    c->event_next = old.event_next;
    c->flags = (old.flags & (MIDGE_CONN_LISTED | MIDGE_CONN_STARVED)) | MIDGE_CONN_ARMED;
    c->state = MIDGE_CONNECTING;
    c->listener = listener;
    c->verdict = MIDGE_VERDICT_NONE;
    c->last_input_ms = midge_now(b);
    c->progress_ms = midge_now(b);
    c->state_deadline_ms = midge_now(b) + b->config.policy.connect_timeout_ms;
    b->metrics.connections_accepted++;
    midge_deadlines_arm(b, connection);
    return connection;
}

midge_index midge_connection_resolve(const struct midge *b, struct midge_handle handle)
{
    if (handle.index == 0 || handle.index > b->connections.touched) {
        return 0;
    }
    const struct midge_connection *c = midge_connection_at(b, handle.index);
    bool live = c->state != MIDGE_FREE && (c->flags & MIDGE_CONN_PORT_GONE) == 0 && c->generation == handle.generation;
    return live ? handle.index : 0;
}

void midge_assembly_drop(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    if (c->assembly == 0) {
        return;
    }
    uint32_t held = midge_store_blocks(&b->store, c->remaining);
    uint32_t used = midge_store_blocks(&b->store, midge_message_at(&b->store, c->assembly)->size);
    b->assembly_reserved -= held;
    if (c->state == MIDGE_CONNECTING) {
        b->handshake_reserved -= held;
    }
    b->store.reserved -= held - used;
    midge_store_release(&b->store, c->assembly);
    c->assembly = 0;
    c->assembly_tail = 0;
    c->flags &= (uint8_t) ~(MIDGE_CONN_COMPLETE | MIDGE_CONN_OVERSIZE);
}

void midge_assembly_accept(struct midge *b, midge_index connection)
{
    const struct midge_connection *c = midge_connection_at(b, connection);
    MIDGE_ASSERT(c->state == MIDGE_CONNECTING);
    if (c->assembly != 0) {
        b->handshake_reserved -= midge_store_blocks(&b->store, c->remaining);
    }
}

static void log_ending(struct midge *b, midge_index connection, enum midge_reason reason, const struct midge_ending *about)
{
    struct midge_log record = midge_record(b, MIDGE_LOG_DISCONNECTED, reason, connection);
    if (about != NULL) {
        record.topic = about->topic;
        record.size = about->size;
        record.limit = about->limit;
    }
    midge_record_write(b, &record);
}

static void detach_session(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    if (c->session != 0) {
        midge_index session = c->session;
        c->session = 0;
        b->metrics.clients_connected--;
        midge_session_detach(b, session);
    }
}

/* The part that all endings share. `flush` keeps the replies. */
static void end(struct midge *b, midge_index connection, bool keep_will, bool flush)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    midge_wait_cancel(b, connection);
    midge_wait_done(b, connection);
    midge_wake_waiters(b, connection, UINT32_MAX);
    midge_assembly_drop(b, connection);
    /* A delivery that was begun must not be followed by anything else. */
    bool accepted = c->state == MIDGE_ACTIVE;
    flush = flush && c->replies_count > 0 && (!accepted || c->output_offset == 0 || c->output_reply);
    if (!accepted) {
        c->output_offset = 0; /* what stood there was `who` */
    } else if (!flush) {
        c->who = midge_session_at(b, c->session)->who;
    }
    c->state = MIDGE_CLOSING;
    c->state_deadline_ms = midge_now(b) + b->config.policy.close_ms;
    detach_session(b, connection);
    if (c->will != 0 && !keep_will) {
        midge_store_release(&b->store, c->will);
        c->will = 0;
    }
    if (c->will != 0) {
        midge_wait(b, connection, MIDGE_WAIT_WILL, 0, 0);
    }
    if (flush) {
        midge_deadlines_arm(b, connection);
        midge_output_due(b, connection);
    } else {
        midge_connection_close(b, connection);
    }
}

enum midge_handled midge_connection_end_about(struct midge *b, midge_index connection, enum midge_reason reason,
                                              const struct midge_ending *about)
{
    const struct midge_connection *c = midge_connection_at(b, connection);
    if (c->state != MIDGE_CLOSING && c->state != MIDGE_CLOSED) {
        log_ending(b, connection, reason, about);
        bool by_client = reason == MIDGE_CLIENT_DISCONNECT;
        end(b, connection, !by_client, by_client); /* [MQTT-3.14.4-3] [MQTT-3.1.2-8] */
    }
    return MIDGE_ENDED;
}

enum midge_handled midge_connection_end(struct midge *b, midge_index connection, enum midge_reason reason)
{
    return midge_connection_end_about(b, connection, reason, NULL);
}

enum midge_handled midge_connection_refuse(struct midge *b, midge_index connection, struct midge_view client_id,
                                           enum midge_reason reason, uint8_t code)
{
    struct midge_log record = midge_record(b, MIDGE_LOG_REFUSED, reason, connection);
    record.client_id = client_id;
    record.code = code;
    midge_record_write(b, &record);
    midge_reply_connack(b, connection, false, code); /* [MQTT-3.2.2-4] */
    end(b, connection, false, true);
    return MIDGE_ENDED;
}

void midge_connection_close(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    c->state = MIDGE_CLOSED;
    midge_replies_clear(b, connection);
    midge_deadlines_arm(b, connection);
    if ((c->flags & MIDGE_CONN_PORT_GONE) == 0) {
        midge_event_raise(b, connection, MIDGE_EVENT_CLOSE);
    }
}

static void free_if_done(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    if ((c->flags & MIDGE_CONN_PORT_GONE) == 0 || c->will != 0) {
        return;
    }
    midge_timers_clear(&b->timers, connection);
    c->generation++;
    c->state = MIDGE_FREE;
    midge_pool_give(&b->connections, connection);
}

void midge_connection_release(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    MIDGE_ASSERT(c->state == MIDGE_CLOSING || c->state == MIDGE_CLOSED);
    c->flags |= MIDGE_CONN_PORT_GONE;
    c->events = 0;
    if (c->state == MIDGE_CLOSING) {
        midge_connection_close(b, connection);
    }
    free_if_done(b, connection);
}

void midge_connection_will_done(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    midge_store_release(&b->store, c->will);
    c->will = 0;
    midge_wait_done(b, connection);
    midge_deadlines_arm(b, connection);
    free_if_done(b, connection);
}
