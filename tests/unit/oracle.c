#include "oracle.h"

#include <string.h>

bool oracle_match(const char *filter, const char *topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) {
        return false;
    }
    while (filter[0] != '#') {
        size_t f = strcspn(filter, "/");
        size_t t = strcspn(topic, "/");
        if (filter[0] != '+' && (f != t || memcmp(filter, topic, t) != 0)) {
            return false;
        }
        if (topic[t] == '\0' || filter[f] == '\0') {
            return topic[t] == '\0' && (filter[f] == '\0' || strcmp(filter + f, "/#") == 0);
        }
        filter += f + 1;
        topic += t + 1;
    }
    return true;
}
