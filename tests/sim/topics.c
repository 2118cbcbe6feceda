#include "topics.h"

#include <stdio.h>
#include <string.h>

/* Few names, so that topics share levels; an empty one, a longer one that takes several chunks, and one beyond ASCII. */
static const char *const level_names[] = {"a", "b", "c", "", "sensor", "\xc3\xa9t\xc3\xa9", "a-level-longer-than-one-chunk",
                                          "1"};
enum { LEVEL_NAMES = sizeof level_names / sizeof level_names[0] };

static size_t level_size(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash != NULL ? (size_t)(slash - text) : strlen(text);
}

bool topics_match(const char *filter, const char *topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) {
        return false; /* [MQTT-4.7.2-1] */
    }
    for (;;) {
        if (strcmp(filter, "#") == 0) {
            return true;
        }
        size_t filter_part = level_size(filter);
        size_t topic_part = level_size(topic);
        bool any = filter_part == 1 && filter[0] == '+';
        if (!any && (filter_part != topic_part || memcmp(filter, topic, filter_part) != 0)) {
            return false;
        }
        filter += filter_part;
        topic += topic_part;
        if (*topic == '\0') {
            return *filter == '\0' || strcmp(filter, "/#") == 0; /* "a/#" matches "a" too */
        }
        if (*filter == '\0') {
            return false;
        }
        filter++;
        topic++;
    }
}

static uint32_t count_levels(const char *text)
{
    uint32_t levels = 1;
    for (; *text != '\0'; text++) {
        levels += *text == '/';
    }
    return levels;
}

/* Writes a random topic, or with `wildcards` a random filter. */
static void draw_text(struct rng *rng, char *text, bool wildcards)
{
    uint32_t levels = rng_between(rng, 1, rng_percent(rng, 80) ? 3 : 6);
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < levels; i++) {
        const char *level = level_names[rng_below(rng, rng_percent(rng, 70) ? 3 : LEVEL_NAMES)];
        if (i == 0 && rng_percent(rng, 4)) {
            level = "$SYS";
        }
        bool last = false;
        if (wildcards && rng_percent(rng, 25)) {
            last = rng_percent(rng, 40);
            level = last ? "#" : "+";
        }
        if (used + strlen(level) + 2 > TOPIC_SIZE_MAX) {
            break;
        }
        used += (size_t)snprintf(text + used, TOPIC_SIZE_MAX - used, "%s%s", i > 0 ? "/" : "", level);
        if (last) {
            break;
        }
    }
}

static bool known(char (*list)[TOPIC_SIZE_MAX], uint32_t count, const char *text)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(list[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Some drawings fail because they repeat an earlier one: the number of attempts is bounded. */
static uint32_t draw_list(struct rng *rng, char (*list)[TOPIC_SIZE_MAX], uint32_t wanted, bool wildcards)
{
    uint32_t count = 0;
    for (uint32_t attempt = 0; attempt < wanted * 8 && count < wanted; attempt++) {
        draw_text(rng, list[count], wildcards);
        count += list[count][0] != '\0' && !known(list, count, list[count]);
    }
    return count;
}

void topics_draw(struct topics *topics, struct rng *rng, uint32_t topic_count, uint32_t filter_count)
{
    topics->topic_count = draw_list(rng, topics->topic, topic_count, false);
    topics->filter_count = draw_list(rng, topics->filter, filter_count, true);
    for (uint32_t t = 0; t < topics->topic_count; t++) {
        topics->topic_size[t] = (uint32_t)strlen(topics->topic[t]);
        topics->topic_levels[t] = count_levels(topics->topic[t]);
    }
    for (uint32_t f = 0; f < topics->filter_count; f++) {
        topics->filter_size[f] = (uint32_t)strlen(topics->filter[f]);
        topics->filter_levels[f] = count_levels(topics->filter[f]);
        for (uint32_t t = 0; t < topics->topic_count; t++) {
            topics->matches[f][t] = topics_match(topics->filter[f], topics->topic[t]);
        }
    }
}

static uint32_t find(const char (*list)[TOPIC_SIZE_MAX], const uint32_t *sizes, uint32_t count, const uint8_t *text,
                     size_t size)
{
    uint32_t i = 0;
    while (i < count && (sizes[i] != size || memcmp(list[i], text, size) != 0)) {
        i++;
    }
    return i;
}

uint32_t topics_find(const struct topics *topics, const uint8_t *text, size_t size)
{
    return find((const char(*)[TOPIC_SIZE_MAX])topics->topic, topics->topic_size, topics->topic_count, text, size);
}

uint32_t topics_find_filter(const struct topics *topics, const uint8_t *text, size_t size)
{
    return find((const char(*)[TOPIC_SIZE_MAX])topics->filter, topics->filter_size, topics->filter_count, text, size);
}
