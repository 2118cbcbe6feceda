/*
 * What the values of options look like: numbers, durations, words, texts; and how each type is stored.
 */
#define _GNU_SOURCE
#include "values.h"

#include <stdio.h>
#include <string.h>

bool midge_value_leading(const char *text, uint64_t max, uint64_t *number, const char **end)
{
    uint64_t value = 0;
    const char *at = text;
    while (*at >= '0' && *at <= '9') {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > max) {
            return false;
        }
        at++;
    }
    *number = value;
    *end = at;
    return at > text;
}

bool midge_value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    const char *end;
    return midge_value_leading(text, max, number, &end) && *end == '\0' && *number >= min;
}

bool midge_value_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

struct unit {
    const char *name;
    uint32_t factor;
};

static bool parse_duration(const char *text, const struct unit *units, uint64_t max, uint64_t *number)
{
    const char *end;
    if (!midge_value_leading(text, max, number, &end)) {
        return false;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, end) == 0) {
            *number *= unit->factor;
            return *number <= max;
        }
    }
    return false;
}

static const struct unit millisecond_units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"min", 60000}, {"h", 3600000}, {NULL, 0}};

static const struct unit expiry_units[] = {{"s", 1},       {"h", 3600},     {"d", 86400}, {"w", 7 * 86400},
                                           {"m", 2592000}, {"y", 31536000}, {NULL, 0}};

/* In the order of enum midge_overflow. */
static const char *const overflow_names[] = {"drop_newest", "drop_oldest", "disconnect", "refuse"};

static bool parse_overflow(const char *text, enum midge_overflow *value)
{
    for (size_t i = 0; i < sizeof(overflow_names) / sizeof(overflow_names[0]); i++) {
        if (strcmp(text, overflow_names[i]) == 0) {
            *value = (enum midge_overflow)i;
            return true;
        }
    }
    return false;
}

bool midge_value_text(char *to, size_t size, const char *value)
{
    size_t length = strlen(value);
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(to, value, length + 1);
    return true;
}

void *midge_option_field(const struct midge_option *option, struct midge_settings *settings)
{
    uint8_t *place = (uint8_t *)settings;
    if (option->scope == MIDGE_SCOPE_LISTENER) {
        place = (uint8_t *)midge_settings_listener(settings);
    } else if (option->scope == MIDGE_SCOPE_SECURITY) {
        place = (uint8_t *)midge_settings_security(settings);
    }
    return option->offset == MIDGE_NOWHERE ? NULL : place + option->offset;
}

bool midge_option_set(const struct midge_option *option, struct midge_settings *settings, const char *value, bool given_before)
{
    uint64_t number = 0;
    void *field = midge_option_field(option, settings);
    switch (option->type) {
    case MIDGE_OPTION_NUMBER:
    case MIDGE_OPTION_NUMBER16:
    case MIDGE_OPTION_NUMBER8:
        if (!midge_value_number(value, option->min, option->max, &number)) {
            return false;
        }
        break;
    case MIDGE_OPTION_CONNECTIONS:
        number = MIDGE_LIMIT_UNSET;
        if (strcmp(value, "-1") != 0 && !midge_value_number(value, option->min, option->max, &number)) {
            return false;
        }
        break;
    case MIDGE_OPTION_MILLISECONDS:
        if (!parse_duration(value, millisecond_units, option->max, &number) || number < option->min) {
            return false;
        }
        break;
    case MIDGE_OPTION_EXPIRY:
        if (!parse_duration(value, expiry_units, option->max, &number)) {
            return false;
        }
        break;
    case MIDGE_OPTION_BOOL:
        return midge_value_bool(value, field);
    case MIDGE_OPTION_OVERFLOW:
        return parse_overflow(value, field);
    case MIDGE_OPTION_TEXT:
        return midge_value_text(field, option->max, value);
    case MIDGE_OPTION_FIXED:
        return strcmp(value, option->valid) == 0;
    case MIDGE_OPTION_UNUSED:
        return value[0] != '\0';
    case MIDGE_OPTION_FUNCTION:
        return option->set(settings, value, given_before);
    }
    if (option->type == MIDGE_OPTION_NUMBER8) {
        *(uint8_t *)field = (uint8_t)number;
    } else if (option->type == MIDGE_OPTION_NUMBER16) {
        *(uint16_t *)field = (uint16_t)number;
    } else {
        *(uint32_t *)field = (uint32_t)number;
    }
    return true;
}

const char *midge_option_valid(const struct midge_option *option, char *buffer, size_t size)
{
    switch (option->type) {
    case MIDGE_OPTION_NUMBER:
    case MIDGE_OPTION_NUMBER16:
    case MIDGE_OPTION_NUMBER8:
        snprintf(buffer, size, "%u .. %u", option->min, option->max);
        return buffer;
    case MIDGE_OPTION_BOOL:
        return "true or false";
    case MIDGE_OPTION_MILLISECONDS:
        return "1ms .. 24h, with ms, s, min or h; a plain number is seconds";
    case MIDGE_OPTION_EXPIRY:
        return "a number with s, h, d, w, m (30 days) or y, up to 136y";
    case MIDGE_OPTION_CONNECTIONS:
    case MIDGE_OPTION_OVERFLOW:
    case MIDGE_OPTION_TEXT:
    case MIDGE_OPTION_FIXED:
    case MIDGE_OPTION_UNUSED:
    case MIDGE_OPTION_FUNCTION:
        break;
    }
    return option->valid;
}

/* Writes a duration in the largest unit of which it is a multiple. The first of the units is the smallest. */
static void print_duration(char *buffer, size_t size, const struct unit *units, uint32_t value)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value >= unit->factor && value % unit->factor == 0 && unit->factor > best->factor) {
            best = unit;
        }
    }
    snprintf(buffer, size, "%u%s", value / best->factor, best->name);
}

const char *midge_option_default(const struct midge_option *option, struct midge_settings *defaults, char *buffer, size_t size)
{
    const void *field = midge_option_field(option, defaults);
    const char *text = field;
    switch (option->type) {
    case MIDGE_OPTION_CONNECTIONS:
        if (*(const uint32_t *)field == MIDGE_LIMIT_UNSET) {
            return "-1";
        }
        snprintf(buffer, size, "%u", *(const uint32_t *)field);
        return buffer;
    case MIDGE_OPTION_NUMBER:
        snprintf(buffer, size, "%u", *(const uint32_t *)field);
        return buffer;
    case MIDGE_OPTION_NUMBER8:
        snprintf(buffer, size, "%u", *(const uint8_t *)field);
        return buffer;
    case MIDGE_OPTION_NUMBER16:
        snprintf(buffer, size, "%u", *(const uint16_t *)field);
        return buffer;
    case MIDGE_OPTION_BOOL:
        return *(const bool *)field ? "true" : "false";
    case MIDGE_OPTION_MILLISECONDS:
        print_duration(buffer, size, millisecond_units, *(const uint32_t *)field);
        return buffer;
    case MIDGE_OPTION_EXPIRY:
        print_duration(buffer, size, expiry_units, *(const uint32_t *)field);
        return buffer;
    case MIDGE_OPTION_OVERFLOW:
        return overflow_names[*(const enum midge_overflow *)field];
    case MIDGE_OPTION_TEXT:
        return text[0] == '\0' ? NULL : text;
    case MIDGE_OPTION_FIXED:
    case MIDGE_OPTION_UNUSED:
    case MIDGE_OPTION_FUNCTION:
        break;
    }
    return NULL;
}

void midge_options_print(int fd)
{
    static struct midge_settings defaults;
    char buffer[128];
    midge_defaults_start(&defaults);
    midge_defaults_listener(&defaults.listeners[0]);
    defaults.listener_count = 1;
    midge_defaults_fill(&defaults);
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        dprintf(fd, "%s  (%s)\n    %s", option->name, midge_option_valid(option, buffer, sizeof(buffer)), option->doc);
        const char *value = midge_option_default(option, &defaults, buffer, sizeof(buffer));
        if (value != NULL) {
            dprintf(fd, " Default: %s.", value);
        }
        dprintf(fd, "\n");
    }
}
