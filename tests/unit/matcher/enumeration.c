#include "enumeration.h"

#include <stdbool.h>
#include <string.h>

/* Appends all texts of 1 .. ENUMERATION_LEVELS of the given levels; with `multi`, # takes the place of the last. */
static void enumerate(struct enumeration *e, const char *const *levels, uint32_t level_count, bool multi)
{
    uint32_t combinations = 1;
    for (uint32_t depth = 1; depth <= ENUMERATION_LEVELS; depth++) {
        combinations *= multi && depth == 1 ? 1 : level_count;
        for (uint32_t code = 0; code < combinations; code++) {
            char *text = e->text[e->count];
            text[0] = '\0';
            uint32_t rest = code;
            for (uint32_t i = 1; i <= depth; i++) {
                bool last = multi && i == depth;
                strcat(text, i > 1 ? "/" : "");
                strcat(text, last ? "#" : levels[rest % level_count]);
                rest /= level_count;
            }
            e->count += text[0] != '\0' ? 1 : 0;
        }
    }
}

void enumerate_topics(struct enumeration *topics)
{
    static const char *const levels[] = {"", "a", "b", "$x"};
    topics->count = 0;
    enumerate(topics, levels, 4, false);
}

void enumerate_filters(struct enumeration *filters)
{
    static const char *const levels[] = {"", "a", "b", "$x", "+"};
    filters->count = 0;
    enumerate(filters, levels, 5, false);
    enumerate(filters, levels, 5, true);
}
