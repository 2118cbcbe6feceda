/* Strings, topic names and topic filters: what is well-formed. */
#ifndef MIDGE_TOPIC_H
#define MIDGE_TOPIC_H

#include "base.h"

/* MIDGE_NONE, MIDGE_BAD_UTF8 [MQTT-1.5.3-1] or MIDGE_NUL_CHARACTER [MQTT-1.5.3-2]. */
enum midge_reason midge_string_check(const uint8_t *bytes, uint32_t size);

/* A string that is well-formed as a topic name: MIDGE_NONE, MIDGE_TOPIC_EMPTY [MQTT-4.7.3-1], MIDGE_TOPIC_WILDCARD
 * [MQTT-3.3.2-2], MIDGE_TOPIC_LEVELS where there are more than levels_max, or what midge_string_check says. */
enum midge_reason midge_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max);

/* The same for a topic filter: MIDGE_FILTER_WILDCARD [MQTT-4.7.1-2] [MQTT-4.7.1-3]. */
enum midge_reason midge_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max);

/* The size of the level that starts at `offset` <= size. */
static inline uint32_t midge_level_size(const uint8_t *bytes, uint32_t size, uint32_t offset)
{
    const uint8_t *at = bytes + offset;
    uint32_t left = size - offset;
    while (left > 0 && *at++ != '/') {
        left--;
    }
    return size - offset - left;
}

#endif
