#include "access.h"

bool midge_allowed(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic)
{
    if (action == MIDGE_WRITE && topic->bytes[0] == '$' && topic->size >= 4 && memcmp(topic->bytes, "$SYS", 4) == 0) {
        return false;
    }
    return b->config.authorize == NULL || b->config.authorize(b->config.context, who, action, *topic);
}
