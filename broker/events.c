#include "events.h"

void midge_event_raise(struct midge *b, struct midge_connection *c, uint8_t event)
{
    uint8_t before = c->events;
    c->events = (before & (uint8_t)~MIDGE_EVENT_VOID) | event;
    if (before == 0) {
        c->event_next = 0;
        midge_list_append(&b->events, &midge_connection_at(b, b->events.tail)->event_next, c->index);
    }
}

void midge_output_due(struct midge *b, struct midge_connection *c)
{
    if ((c->flags & MIDGE_CONN_ARMED) != 0) {
        c->flags &= (uint8_t)~MIDGE_CONN_ARMED;
        midge_event_raise(b, c, MIDGE_EVENT_OUTPUT);
    }
}

bool midge_event_take(struct midge *b, struct midge_event *event)
{
    while (b->events.head != 0) {
        struct midge_connection *c = midge_connection_at(b, b->events.head);
        uint8_t due = c->events;
        uint8_t rest = due & (uint8_t)(due - 1); /* but for the lowest bit */
        c->events = rest;
        if (rest == 0) {
            /* Out of the list before the port acts on it: what is raised again comes behind the others. */
            b->events.head = c->event_next;
        }
        if (due != MIDGE_EVENT_VOID) {
            event->type = (enum midge_event_type)((due ^ rest) >> 1); /* of 1, 2 and 4 */
            event->conn = c->handle;
            return true;
        }
    }
    return false;
}

/* The silence after which a client is held for gone: 1.5 times the keep alive, [MQTT-3.1.2-24]. */
static uint32_t keepalive_ms(const struct midge_connection *c)
{
    return c->keepalive_s * UINT32_C(1500);
}

/* Whether what a connection waits for has a deadline: the turn of a will comes before any call returns. */
static bool wait_counts(const struct midge_connection *c)
{
    return (c->flags & MIDGE_CONN_WAITED) != 0 && c->wait_kind != MIDGE_WAIT_NONE && c->wait_kind != MIDGE_WAIT_WILL;
}

/* Keeps a deadline where it comes before the one found so far. */
static void consider(const struct midge *b, struct midge_deadline *next, enum midge_deadline_kind kind, uint32_t deadline_ms)
{
    int32_t left_ms = (int32_t)(deadline_ms - midge_now(b));
    if (left_ms < next->left_ms) {
        *next = (struct midge_deadline){.kind = kind, .left_ms = left_ms};
    }
}

struct midge_deadline midge_deadline_next(const struct midge *b, const struct midge_connection *c)
{
    struct midge_deadline next = {.left_ms = INT32_MAX};
    if (c->state == MIDGE_CONNECTING || c->state == MIDGE_CLOSING || (c->state == MIDGE_ACTIVE && c->assembly != 0)) {
        consider(b, &next, MIDGE_DEADLINE_STATE, c->state_deadline_ms);
    }
    if (wait_counts(c)) {
        const struct midge_wait *wait = midge_wait_of(b, c);
        consider(b, &next, MIDGE_DEADLINE_WAIT, wait->deadline_ms);
        if (c->wait_kind == MIDGE_WAIT_SUBSCRIBER) {
            const struct midge_connection *subscriber = midge_connection_at(b, wait->object);
            consider(b, &next, MIDGE_DEADLINE_WAIT, subscriber->progress_ms + b->config.policy.progress_ms);
        }
    } else if (c->state == MIDGE_ACTIVE && c->keepalive_s != 0) {
        /* The client's own silence counts, which it does not while it is we who do not listen. */
        consider(b, &next, MIDGE_DEADLINE_KEEPALIVE, c->last_input_ms + keepalive_ms(c));
    }
    return next;
}

void midge_deadlines_arm(struct midge *b, struct midge_connection *c)
{
    struct midge_deadline next = midge_deadline_next(b, c);
    if (next.kind != MIDGE_DEADLINE_NONE) {
        midge_timers_set(&b->timers, c->index, midge_now(b) + (uint32_t)next.left_ms);
    } else {
        midge_timers_clear(&b->timers, c->index);
    }
}
