/* Who may do what. */
#ifndef MIDGE_ACCESS_H
#define MIDGE_ACCESS_H

#include "state.h"

/* Asks the port, which must have an answer. */
bool midge_access_ask(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic);

/* Whether this client may do this: $SYS is the broker's own, for the rest the port is asked. */
static inline bool midge_allowed(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic)
{
    if (action == MIDGE_WRITE && topic->bytes[0] == '$' && topic->size >= 4 && memcmp(topic->bytes, "$SYS", 4) == 0) {
        return false;
    }
    return b->config.authorize == NULL || midge_access_ask(b, who, action, topic);
}

#endif
