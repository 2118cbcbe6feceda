#include "access.h"

bool midge_access_ask(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic)
{
    return b->config.authorize(b->config.context, who, action, *topic);
}
