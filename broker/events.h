/* What the port has to do next: a list of connections, each with the kinds of event that are due. */
#ifndef MIDGE_EVENTS_H
#define MIDGE_EVENTS_H

#include "state.h"

/* Raises an event (MIDGE_EVENT_...); once until it is taken. */
void midge_event_raise(struct midge *b, struct midge_connection *c, uint8_t event);

/* Says that there may be something to send: raises an event where the last midge_output found nothing. */
void midge_output_due(struct midge *b, struct midge_connection *c);

/* Takes the next event; false where there is none. */
bool midge_event_take(struct midge *b, struct midge_event *event);

/* Which of a connection's deadlines is the next one, and what is left until then: nothing where it is due. */
struct midge_deadline {
    enum midge_deadline_kind { MIDGE_DEADLINE_NONE, MIDGE_DEADLINE_STATE, MIDGE_DEADLINE_WAIT, MIDGE_DEADLINE_KEEPALIVE } kind;
    int32_t left_ms;
};
struct midge_deadline midge_deadline_next(const struct midge *b, const struct midge_connection *c);

/* Sets a connection's timer to the first of its deadlines. To be called when one of them was set; those that move on with
 * each packet are found out when the timer fires. */
void midge_deadlines_arm(struct midge *b, struct midge_connection *c);

#endif
