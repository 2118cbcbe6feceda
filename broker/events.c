#include "events.h"

enum { EVENT_LINK = offsetof(struct midge_connection, event_next) };

void midge_event_raise(struct midge *b, midge_index connection, uint8_t event)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    c->events |= event;
    if ((c->flags & MIDGE_CONN_LISTED) != 0) {
        return;
    }
    c->flags |= MIDGE_CONN_LISTED;
    midge_list_append(&b->connections, &b->events, EVENT_LINK, connection);
}

bool midge_event_take(struct midge *b, struct midge_event *event)
{
    while (b->events.head != 0) {
        midge_index index = b->events.head;
        struct midge_connection *c = midge_connection_at(b, index);
        /* The types are in the order of the bits. */
        uint32_t type = 0;
        while (c->events != 0 && (c->events >> type & 1) == 0) {
            type++;
        }
        bool found = c->events != 0;
        event->type = (enum midge_event_type)type;
        event->conn = (struct midge_handle){.index = index, .generation = c->generation};
        c->events &= (uint8_t) ~(1u << type);
        if (c->events == 0) {
            /* Out of the list before the port acts on it: what is raised again comes behind the others. */
            midge_list_take(&b->connections, &b->events, EVENT_LINK, 0);
            c->flags &= (uint8_t)~MIDGE_CONN_LISTED;
        }
        if (found) {
            return true;
        }
    }
    return false;
}

/* What is left until a deadline, or until the one found before, whichever comes first. */
static int32_t sooner(const struct midge *b, int32_t left_ms, uint32_t deadline_ms)
{
    int32_t left = (int32_t)(deadline_ms - midge_now(b));
    return left < left_ms ? left : left_ms;
}

void midge_deadlines_arm(struct midge *b, midge_index connection)
{
    const struct midge_connection *c = midge_connection_at(b, connection);
    int32_t left_ms = INT32_MAX;
    if (c->state == MIDGE_CONNECTING || c->state == MIDGE_CLOSING || (c->state == MIDGE_ACTIVE && c->assembly != 0)) {
        left_ms = sooner(b, left_ms, c->state_deadline_ms);
    }
    if (midge_wait_counts(c)) {
        const struct midge_wait *wait = midge_wait_at(b, connection);
        left_ms = sooner(b, left_ms, wait->deadline_ms);
        if (c->wait_kind == MIDGE_WAIT_SUBSCRIBER) {
            const struct midge_connection *subscriber = midge_connection_at(b, wait->object);
            left_ms = sooner(b, left_ms, subscriber->progress_ms + b->config.policy.progress_ms);
        }
    } else if (midge_keepalive_counts(c)) {
        left_ms = sooner(b, left_ms, c->last_input_ms + midge_keepalive_ms(c));
    }
    if (left_ms != INT32_MAX) {
        midge_timers_set(&b->timers, connection, midge_now(b) + (uint32_t)left_ms);
    } else {
        midge_timers_clear(&b->timers, connection);
    }
}
