#include "access.h"

/* Compared byte by byte, since each message passes here, and few come as far as the second. */
static bool is_reserved(const struct midge_view *topic)
{
    const uint8_t *bytes = topic->bytes;
    return bytes[0] == '$' && topic->size >= 4 && bytes[1] == 'S' && bytes[2] == 'Y' && bytes[3] == 'S';
}

bool midge_allowed(const struct midge *b, uint32_t who, enum midge_action action, const struct midge_view *topic)
{
    if (action == MIDGE_WRITE && is_reserved(topic)) {
        return false;
    }
    if (b->config.authorize == NULL) {
        return true;
    }
    return b->config.authorize(b->config.context, who, action, *topic);
}
