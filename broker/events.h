/* What the port has to do next: a list of connections, each with the kinds of event that are due. */
#ifndef MIDGE_EVENTS_H
#define MIDGE_EVENTS_H

#include "state.h"

/* Raises an event (MIDGE_EVENT_...); once until it is taken. */
void midge_event_raise(struct midge *b, midge_index connection, uint8_t event);

/* Says that there may be something to send: raises an event where the last midge_output found nothing. */
static inline void midge_output_due(struct midge *b, midge_index connection)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    if ((c->flags & MIDGE_CONN_ARMED) != 0) {
        c->flags &= (uint8_t)~MIDGE_CONN_ARMED;
        midge_event_raise(b, connection, MIDGE_EVENT_OUTPUT);
    }
}

/* Takes the next event; false where there is none. */
bool midge_event_take(struct midge *b, struct midge_event *event);

/* Sets a connection's timer to the first of its deadlines. To be called when one of them was set; those that move on with
 * each packet are found out when the timer fires. */
void midge_deadlines_arm(struct midge *b, midge_index connection);

/* The silence after which a client is held for gone: 1.5 times the keep alive, [MQTT-3.1.2-24]. */
static inline uint32_t midge_keepalive_ms(const struct midge_connection *c)
{
    return c->keepalive_s * UINT32_C(1500);
}

/* Whether the client's own silence counts at present: not while it is we who do not listen. */
static inline bool midge_keepalive_counts(const struct midge_connection *c)
{
    return c->state == MIDGE_ACTIVE && c->keepalive_s != 0 && c->wait_kind == MIDGE_WAIT_NONE;
}

/* Whether what a connection waits for has a deadline: the turn of a will comes before any call returns. */
static inline bool midge_wait_counts(const struct midge_connection *c)
{
    return (c->flags & MIDGE_CONN_WAITED) != 0 && c->wait_kind != MIDGE_WAIT_NONE && c->wait_kind != MIDGE_WAIT_WILL;
}

#endif
