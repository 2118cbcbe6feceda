/* All topics and filters up to four levels on a small alphabet. */
#ifndef UNIT_ENUMERATION_H
#define UNIT_ENUMERATION_H

#include <stdint.h>

enum { ENUMERATION_LEVELS = 4, ENUMERATION_TEXT = 16, ENUMERATION_MAX = 1024 };

struct enumeration {
    char text[ENUMERATION_MAX][ENUMERATION_TEXT];
    uint32_t count;
};

/* Topics of the levels "", a, b and $x; all but the empty one. */
void enumerate_topics(struct enumeration *topics);

/* Filters of the same levels and +, with and without # at the end. */
void enumerate_filters(struct enumeration *filters);

#endif
