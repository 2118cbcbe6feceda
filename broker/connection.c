#include "connection.h"

#include "events.h"
#include "record.h"
#include "replies.h"
#include "session.h"
#include "waiting.h"

struct midge_connection *midge_connection_open(struct midge *b, uint8_t listener)
{
    midge_index index = midge_pool_take(&b->connections);
    if (index == 0) {
        return NULL;
    }
    struct midge_connection *c = midge_connection_at(b, index);
    /* What ties the slot to lists that may still hold it stays, and its generation. */
    struct midge_connection old = *c;
    memset(c, 0, sizeof(*c));
    c->index = index;
    c->generation = old.generation;
    c->event_next = old.event_next;
    c->events = old.events;
    c->flags = (old.flags & MIDGE_CONN_STARVED) | MIDGE_CONN_ARMED;
    c->state = MIDGE_CONNECTING;
    c->listener = listener;
    c->verdict = MIDGE_VERDICT_NONE;
    c->last_input_ms = midge_now(b);
    c->progress_ms = midge_now(b);
    c->state_deadline_ms = midge_now(b) + b->config.policy.connect_timeout_ms;
    b->metrics.connections_accepted++;
    midge_deadlines_arm(b, c);
    return c;
}

struct midge_connection *midge_connection_resolve(const struct midge *b, struct midge_handle handle)
{
    if (handle.index - 1u >= b->connections.touched) {
        return NULL;
    }
    struct midge_connection *c = midge_connection_at(b, handle.index);
    /* A slot that was freed keeps MIDGE_CONN_PORT_GONE until it is taken again. */
    bool live = (c->flags & MIDGE_CONN_PORT_GONE) == 0 && c->generation == handle.generation;
    return live ? c : NULL;
}

void midge_assembly_drop(struct midge *b, struct midge_connection *c)
{
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

void midge_assembly_accept(struct midge *b, const struct midge_connection *c)
{
    MIDGE_ASSERT(c->state == MIDGE_CONNECTING);
    if (c->assembly != 0) {
        b->handshake_reserved -= midge_store_blocks(&b->store, c->remaining);
    }
}

static void detach_session(struct midge *b, struct midge_connection *c)
{
    if (c->session != 0) {
        struct midge_session *s = midge_session_of(b, c);
        c->session = 0;
        b->metrics.clients_connected--;
        midge_session_detach(b, s);
    }
}

/* The part that all endings share. In good order, replies are still sent and the will is not. */
static void end(struct midge *b, struct midge_connection *c, bool orderly)
{
    midge_wait_cancel(b, c);
    midge_wake_waiters(b, c, UINT32_MAX);
    midge_assembly_drop(b, c);
    /* A delivery that was begun must not be followed by anything else. */
    bool accepted = c->state == MIDGE_ACTIVE;
    bool flush = orderly && c->replies_count > 0 && (!accepted || c->output_offset == 0 || c->output_reply);
    if (!accepted) {
        c->output_offset = 0; /* what stood there was `who` */
    } else if (!flush) {
        c->who = midge_session_of(b, c)->who;
    }
    c->state = MIDGE_CLOSING;
    c->state_deadline_ms = midge_now(b) + b->config.policy.close_ms;
    detach_session(b, c);
    if (c->will != 0 && orderly) {
        midge_store_release(&b->store, c->will);
        c->will = 0;
    }
    if (c->will != 0) {
        midge_wait(b, c, MIDGE_WAIT_WILL, 0);
    }
    if (flush) {
        midge_deadlines_arm(b, c);
        midge_output_due(b, c);
    } else {
        midge_connection_close(b, c);
    }
}

enum midge_handled midge_connection_end_recorded(struct midge *b, struct midge_connection *c)
{
    midge_record_write(b);
    end(b, c, b->log.reason == MIDGE_CLIENT_DISCONNECT); /* [MQTT-3.14.4-3] [MQTT-3.1.2-8] */
    return MIDGE_ENDED;
}

enum midge_handled midge_connection_end(struct midge *b, struct midge_connection *c, enum midge_reason reason)
{
    if (c->state != MIDGE_CLOSING && c->state != MIDGE_CLOSED) {
        midge_record(b, MIDGE_LOG_DISCONNECTED, reason, c);
        midge_connection_end_recorded(b, c);
    }
    return MIDGE_ENDED;
}

enum midge_handled midge_connection_refuse(struct midge *b, struct midge_connection *c, const struct midge_view *client_id,
                                           enum midge_reason reason, uint8_t code)
{
    struct midge_log *record = midge_record(b, MIDGE_LOG_REFUSED, reason, c);
    record->client_id = *client_id;
    record->code = code;
    midge_record_write(b);
    midge_reply_connack(b, c, false, code); /* [MQTT-3.2.2-4] */
    end(b, c, true);
    return MIDGE_ENDED;
}

void midge_connection_close(struct midge *b, struct midge_connection *c)
{
    c->state = MIDGE_CLOSED;
    midge_replies_clear(b, c);
    midge_deadlines_arm(b, c);
    if ((c->flags & MIDGE_CONN_PORT_GONE) == 0) {
        midge_event_raise(b, c, MIDGE_EVENT_CLOSE);
    }
}

static void free_if_done(struct midge *b, struct midge_connection *c)
{
    if ((c->flags & MIDGE_CONN_PORT_GONE) == 0 || c->will != 0) {
        return;
    }
    midge_timers_clear(&b->timers, c->index);
    c->generation++;
    c->state = MIDGE_FREE;
    midge_pool_give(&b->connections, c->index);
}

void midge_connection_release(struct midge *b, struct midge_connection *c)
{
    MIDGE_ASSERT(c->state == MIDGE_CLOSING || c->state == MIDGE_CLOSED);
    c->flags |= MIDGE_CONN_PORT_GONE;
    if (c->events != 0) {
        c->events = MIDGE_EVENT_VOID;
    }
    if (c->state == MIDGE_CLOSING) {
        midge_connection_close(b, c);
    }
    free_if_done(b, c);
}

void midge_connection_will_done(struct midge *b, struct midge_connection *c)
{
    midge_store_release(&b->store, c->will);
    c->will = 0;
    midge_wait_done(b, c);
    midge_deadlines_arm(b, c);
    free_if_done(b, c);
}
