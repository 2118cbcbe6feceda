/* The topics and filters of one simulation, and which filter matches which topic. */
#ifndef SIM_TOPICS_H
#define SIM_TOPICS_H

#include "rng.h"

#include <stddef.h>

enum { TOPICS_MAX = 384, FILTERS_MAX = 96, TOPIC_SIZE_MAX = 128 };

struct topics {
    uint32_t topic_count;
    uint32_t filter_count;
    char topic[TOPICS_MAX][TOPIC_SIZE_MAX];
    char filter[FILTERS_MAX][TOPIC_SIZE_MAX];
    uint32_t topic_size[TOPICS_MAX];
    uint32_t filter_size[FILTERS_MAX];
    uint32_t topic_levels[TOPICS_MAX];
    uint32_t filter_levels[FILTERS_MAX];
    bool matches[FILTERS_MAX][TOPICS_MAX];
};

/* Draws up to so many topics and filters, all different. */
void topics_draw(struct topics *topics, struct rng *rng, uint32_t topic_count, uint32_t filter_count);

/* The number of the topic with this text; topic_count if there is none. */
uint32_t topics_find(const struct topics *topics, const uint8_t *text, size_t size);
uint32_t topics_find_filter(const struct topics *topics, const uint8_t *text, size_t size);

/* Section 4.7 of the standard, level by level. */
bool topics_match(const char *filter, const char *topic);

#endif
