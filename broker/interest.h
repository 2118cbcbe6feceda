/* A session's subscriptions: a circle in which those whose retained messages are still due come first, in the order in which
 * they were made. */
#ifndef MIDGE_INTEREST_H
#define MIDGE_INTEREST_H

#include "state.h"

/* Subscribes a session to a valid filter, or replaces the subscription to exactly this filter [MQTT-3.8.4-3], and has the
 * retained messages that match sent (again). Returns false where there is no room. */
bool midge_interest_add(struct midge *b, struct midge_session *s, struct midge_view filter, uint8_t qos);

/* Ends the subscription to exactly this filter. Returns false where there is none [MQTT-3.10.4-1]. */
bool midge_interest_remove(struct midge *b, struct midge_session *s, struct midge_view filter);

/* Ends all subscriptions. */
void midge_interest_clear(struct midge *b, struct midge_session *s);

enum midge_replay {
    MIDGE_REPLAY_NONE,    /* no retained message is due */
    MIDGE_REPLAY_ADDED,   /* the next one is in the window */
    MIDGE_REPLAY_BLOCKED, /* the window is full */
    MIDGE_REPLAY_STARVED, /* no delivery is free */
    MIDGE_REPLAY_STEPS    /* it looked at as many nodes as it may; there are more */
};

/* Puts the next retained message that is due into the window. It looks at most at *steps nodes, and counts them off. Uses the
 * scratch. */
enum midge_replay midge_replay_next(struct midge *b, struct midge_session *s, uint32_t *steps);

uint32_t midge_interest_audit(const struct midge *b, const struct midge_session *s, uint32_t *subscriptions);

#endif
