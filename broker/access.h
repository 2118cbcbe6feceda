/* Who may do what. */
#ifndef MIDGE_ACCESS_H
#define MIDGE_ACCESS_H

#include "state.h"

/* Whether this client may do this: $SYS is the broker's own, for the rest the port is asked. */
bool midge_allowed(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic);

#endif
