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

void midge_deadlines_arm(struct midge *b, midge_index connection)
{
    const struct midge_connection *c = midge_connection_at(b, connection);
    bool any = false;
    uint32_t first = 0;
    uint32_t deadlines[3];
    uint32_t count = 0;
    bool by_state = c->state == MIDGE_CONNECTING || c->state == MIDGE_CLOSING || (c->state == MIDGE_ACTIVE && c->assembly != 0);
    if (by_state) {
        deadlines[count++] = c->state_deadline_ms;
    }
    if (midge_wait_counts(c)) {
        deadlines[count++] = c->wait_deadline_ms;
        if (c->wait_kind == MIDGE_WAIT_SUBSCRIBER) {
            const struct midge_connection *subscriber = midge_connection_at(b, c->wait_object);
            deadlines[count++] = subscriber->progress_ms + b->config.policy.progress_ms;
        }
    } else if (midge_keepalive_counts(c)) {
        deadlines[count++] = c->last_input_ms + midge_keepalive_ms(c);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!any || midge_time_before(deadlines[i], first)) {
            first = deadlines[i];
            any = true;
        }
    }
    if (any) {
        midge_timers_set(&b->timers, connection, first);
    } else {
        midge_timers_clear(&b->timers, connection);
    }
}
