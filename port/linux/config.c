#define _GNU_SOURCE
#include "config.h"

#include "directory.h"
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char spaces[] = " \t";

void midge_config_start(struct midge_configuration *config)
{
    if (config->started) { /* else most of it is not even touched, and takes no memory */
        memset(config, 0, sizeof(*config));
    }
    config->started = true;
    midge_defaults_start(&config->settings);
}

bool midge_config_add_loopback(struct midge_configuration *config, uint16_t port)
{
    struct midge_settings *settings = &config->settings;
    size_t number = settings->listener_count;
    if (number == MIDGE_LISTENERS_MAX) {
        snprintf(config->error, sizeof(config->error), "more than %u listeners; remove some", MIDGE_LISTENERS_MAX);
        return false;
    }
    settings->listeners[number] = settings->default_listener;
    settings->listeners[number].port = port;
    settings->listeners[number].loopback = true;
    memcpy(config->listener_origins[number], config->listener_origins[MIDGE_LISTENERS_MAX],
           sizeof(config->listener_origins[0]));
    settings->listener_count++;
    return true;
}

/* An option that nobody has would be ignored: it stands before all listeners, and none of them is the default listener. */
static bool check_strays(struct midge_configuration *config)
{
    const struct midge_settings *settings = &config->settings;
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (settings->listeners[i].loopback) {
            return true; /* -p gave it the options of the default listener */
        }
    }
    for (size_t i = 0; midge_options[i].name != NULL; i++) {
        if (config->listener_origins[MIDGE_LISTENERS_MAX][i].file != NULL) {
            midge_config_wrong(
                config, MIDGE_LISTENERS_MAX, midge_options[i].name,
                "it is above all listeners, and belongs to none; move it below the line of its listener, or begin "
                "the default listener with \"port 1883\"");
            return false;
        }
    }
    return true;
}

bool midge_config_finish(struct midge_configuration *config)
{
    /* A topic takes up to 65,535 bytes, the rest of a PUBLISH around its payload 9. */
    static const uint32_t around_payload = 65544;
    struct midge_settings *settings = &config->settings;
    struct midge_policy *policy = &settings->core.policy;
    size_t number = settings->listener_count;
    if (settings->default_listener_used || number == 0) {
        settings->default_listener.loopback = !settings->default_listener_used;
        settings->listeners[number] = settings->default_listener;
        memmove(config->listener_origins[number], config->listener_origins[MIDGE_LISTENERS_MAX],
                sizeof(config->listener_origins[0]));
        settings->listener_count++;
    } else if (!check_strays(config)) {
        return false;
    }
    for (size_t i = 0; !settings->per_listener && i < settings->listener_count; i++) {
        settings->listeners[i].security = settings->security;
    }
    policy->inflight_max = policy->inflight_max == 0 ? MIDGE_INFLIGHT_MAX : policy->inflight_max;
    uint32_t largest = settings->message_size_limit + around_payload;
    if (settings->message_size_limit > 0 && (policy->packet_size_max == 0 || policy->packet_size_max > largest)) {
        policy->packet_size_max = largest;
    }
    const unsigned subscriptions = 1u << MIDGE_LEVEL_SUBSCRIBE | 1u << MIDGE_LEVEL_UNSUBSCRIBE;
    policy->trace = (settings->log.levels & 1u << MIDGE_LEVEL_DEBUG) != 0 ? MIDGE_TRACE_PACKETS : 0;
    policy->trace |= (settings->log.levels & subscriptions) != 0 ? MIDGE_TRACE_SUBSCRIPTIONS : 0;
    midge_defaults_fill(settings);
    return true;
}

/* Starts config->error with the place of the current line. Returns how much is used. */
static size_t error_at(struct midge_configuration *config, const struct midge_origin *origin, const char *name)
{
    int used = snprintf(config->error, sizeof(config->error), "%.*s:%u: option \"%.64s\": ", (int)MIDGE_PATH_SIZE, origin->file,
                        origin->line, name);
    return (size_t)used;
}

static void error_value(struct midge_configuration *config, const struct midge_option *option, const char *value)
{
    char buffer[128];
    size_t used = error_at(config, &config->here, option->name);
    const char *valid = midge_option_valid(option, buffer, sizeof(buffer));
    if (option->type == MIDGE_OPTION_FIXED) {
        snprintf(config->error + used, sizeof(config->error) - used, "\"%.64s\" is not supported, only %s: %s", value, valid,
                 option->doc);
    } else if (value[0] == '\0') {
        snprintf(config->error + used, sizeof(config->error) - used, "a value is missing; valid: %s", valid);
    } else {
        snprintf(config->error + used, sizeof(config->error) - used, "\"%.64s\" is not valid; valid: %s", value, valid);
    }
}

static void error_name(struct midge_configuration *config, const char *name)
{
    const char *instead = midge_option_unsupported(name);
    size_t used = error_at(config, &config->here, name);
    if (instead != NULL) {
        snprintf(config->error + used, sizeof(config->error) - used, "Mosquitto has it, Midge does not; %s", instead);
    } else {
        snprintf(config->error + used, sizeof(config->error) - used, "there is no such option; midge --options lists them");
    }
}

/* Begins the error with where the option was given; returns the length of that. */
static size_t error_origin(struct midge_configuration *config, size_t listener, const char *name)
{
    size_t i = 0;
    while (midge_options[i].name != NULL && strcmp(midge_options[i].name, name) != 0) {
        i++;
    }
    const struct midge_origin *origin = &config->origins[i];
    if (listener != SIZE_MAX && config->listener_origins[listener][i].file != NULL) {
        origin = &config->listener_origins[listener][i];
    }
    if (origin->file != NULL) {
        return error_at(config, origin, name);
    }
    return (size_t)snprintf(config->error, sizeof(config->error), "option \"%s\": ", name);
}

void midge_config_wrong(struct midge_configuration *config, size_t listener, const char *name, const char *format, ...)
{
    size_t used = error_origin(config, listener, name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(config->error + used, sizeof(config->error) - used, format, arguments);
    va_end(arguments);
}

/* Notes where an option was given. */
static bool note_origin(struct midge_configuration *config, size_t i)
{
    const struct midge_option *option = &midge_options[i];
    bool of_listener =
        option->scope == MIDGE_SCOPE_LISTENER || (option->scope == MIDGE_SCOPE_SECURITY && config->settings.per_listener);
    size_t count = config->settings.listener_count;
    config->origins[i] = config->here;
    if (of_listener) {
        config->listener_origins[count > 0 ? count - 1 : MIDGE_LISTENERS_MAX][i] = config->here;
    }
    config->security_given = config->security_given || option->scope == MIDGE_SCOPE_SECURITY;
    if (config->security_given && strcmp(option->name, "per_listener_settings") == 0) {
        midge_config_wrong(config, SIZE_MAX, option->name,
                           "it decides about lines that stand above it; move it to the top of the configuration");
        return false;
    }
    return true;
}

/* Ends a value where a comment begins. As in Mosquitto, only texts may have a # behind a space in them. */
static void cut_comment(char *value)
{
    char *end = value;
    while (*end != '\0' && !(*end == '#' && (end == value || strchr(spaces, end[-1]) != NULL))) {
        end++;
    }
    while (end > value && strchr(spaces, end[-1]) != NULL) {
        end--;
    }
    *end = '\0';
}

/* Takes one line. An include_dir is left to the caller, in *directory; NULL where that cannot include others. */
static bool read_line(struct midge_configuration *config, char *line, char **directory)
{
    char *name = line;
    char *value = name + strcspn(name, spaces);
    if (*value != '\0') {
        *value++ = '\0';
        value += strspn(value, spaces);
    }
    if (directory != NULL && strcmp(name, "include_dir") == 0 && value[0] != '\0') {
        *directory = value;
        return true;
    }
    size_t i = 0;
    while (midge_options[i].name != NULL && strcmp(midge_options[i].name, name) != 0) {
        i++;
    }
    if (midge_options[i].name == NULL) {
        error_name(config, name);
        return false;
    }
    if (midge_options[i].type != MIDGE_OPTION_TEXT) {
        cut_comment(value);
    }
    if (!midge_option_set(&midge_options[i], &config->settings, value, config->origins[i].file != NULL)) {
        error_value(config, &midge_options[i], value);
        return false;
    }
    return note_origin(config, i);
}

/* Whether to go on after a line: where it was good, or where all that are wrong are wanted. */
static bool goes_on(struct midge_configuration *config, bool good)
{
    if (!good && config->complain != NULL) {
        config->complain(config->error);
        config->complaints++;
    }
    return good || config->complain != NULL;
}

/* Begins a file; its name is kept for messages. */
static bool open_file(struct midge_configuration *config, const char *path, struct midge_lines *lines)
{
    size_t size = strlen(path) + 1;
    if (size > MIDGE_PATH_SIZE || size > sizeof(config->paths) - config->paths_used) {
        snprintf(config->error, sizeof(config->error), "the path %.64s... is too long, or there are too many files", path);
        return false;
    }
    if (!midge_lines_open(lines, path)) {
        snprintf(config->error, sizeof(config->error), "cannot read %s: %s; check the path and its permissions", path,
                 strerror(errno));
        return false;
    }
    config->here = (struct midge_origin){config->paths + config->paths_used, 0};
    memcpy(config->paths + config->paths_used, path, size);
    config->paths_used += size;
    return true;
}

/* The next line; NULL after the last, and where *good becomes false. */
static char *next_line(struct midge_configuration *config, struct midge_lines *lines, bool *good)
{
    char *line = midge_lines_next(lines);
    config->here.line = lines->line;
    if (line == NULL && lines->wrong != NULL) {
        snprintf(config->error, sizeof(config->error), "%s:%u: %s; this is no configuration", config->here.file, lines->line,
                 lines->wrong);
        *good = false;
    }
    return line;
}

/* Reads a file. `include` follows an include_dir; NULL where there can be none. */
static bool read_file(struct midge_configuration *config, const char *path,
                      bool (*include)(struct midge_configuration *config, const char *directory))
{
    struct midge_lines lines;
    char *line;
    bool good = true;
    if (!open_file(config, path, &lines)) {
        return false;
    }
    while (good && (line = next_line(config, &lines, &good)) != NULL) {
        char *directory = NULL;
        good = goes_on(config, read_line(config, line, include != NULL ? &directory : NULL)) &&
               (directory == NULL || goes_on(config, include(config, directory)));
    }
    midge_lines_close(&lines);
    return good;
}

/* Finds the name that follows `previous` in the directory, among those that end with .conf. An empty name: there is none. */
static bool next_name(struct midge_directory *directory, const char *previous, char next[256])
{
    const char *name;
    next[0] = '\0';
    midge_directory_rewind(directory);
    while ((name = midge_directory_next(directory)) != NULL) {
        size_t size = strlen(name);
        if (size > 5 && size < 256 && strcmp(name + size - 5, ".conf") == 0 && strcmp(name, previous) > 0 &&
            (next[0] == '\0' || strcmp(name, next) < 0)) {
            memcpy(next, name, size + 1);
        }
    }
    return !midge_directory_failed(directory);
}

/* Reads the .conf files of a directory in the order of their names. */
static bool read_directory(struct midge_configuration *config, const char *path)
{
    static struct midge_directory directory;
    char name[256] = "";
    char next[256];
    char file[MIDGE_PATH_SIZE + 1 + 256];
    struct midge_origin here = config->here;
    bool opened = midge_directory_open(&directory, path);
    bool listed = opened;
    bool good = true;
    while (listed && good && (listed = next_name(&directory, name, next)) && next[0] != '\0') {
        memcpy(name, next, sizeof(name));
        snprintf(file, sizeof(file), "%.*s/%s", (int)MIDGE_PATH_SIZE, path, name);
        good = read_file(config, file, NULL);
    }
    if (!listed) {
        size_t used = error_at(config, &here, "include_dir");
        snprintf(config->error + used, sizeof(config->error) - used, "cannot read the directory %.256s: %s", path,
                 strerror(errno));
    }
    if (opened) {
        midge_directory_close(&directory);
    }
    config->here = here;
    return listed && good;
}

bool midge_config_read(struct midge_configuration *config, const char *path)
{
    return read_file(config, path, read_directory) && config->complaints == 0;
}

static bool same_place(const struct midge_listener_settings *a, const struct midge_listener_settings *b)
{
    return a->port == b->port && a->loopback == b->loopback && a->domain == b->domain && strcmp(a->address, b->address) == 0;
}

bool midge_config_align(struct midge_configuration *config, const struct midge_settings *running, bool *moved)
{
    static struct midge_listener_settings aligned[MIDGE_LISTENERS_MAX + 1];
    static struct midge_origin origins[MIDGE_LISTENERS_MAX + 1][MIDGE_OPTIONS_MAX];
    struct midge_settings *settings = &config->settings;
    bool taken[MIDGE_LISTENERS_MAX + 1] = {false};
    if (settings->per_listener != running->per_listener) {
        midge_config_wrong(config, SIZE_MAX, "per_listener_settings", "it changes at the next start only");
        return false;
    }
    *moved = settings->listener_count != running->listener_count;
    for (size_t i = 0; i < running->listener_count; i++) {
        size_t j = 0;
        while (j < settings->listener_count && (taken[j] || !same_place(&running->listeners[i], &settings->listeners[j]))) {
            j++;
        }
        bool found = j < settings->listener_count;
        *moved = *moved || !found;
        aligned[i] = found ? settings->listeners[j] : running->listeners[i];
        memcpy(origins[i], config->listener_origins[found ? j : i], sizeof(origins[i]));
        if (found) {
            taken[j] = true;
        } else if (!settings->per_listener) {
            aligned[i].security = settings->security;
        }
    }
    memcpy(settings->listeners, aligned, sizeof(aligned));
    memcpy(config->listener_origins, origins, sizeof(origins));
    settings->listener_count = running->listener_count;
    return true;
}

void midge_config_explain(struct midge_configuration *config, size_t wrong)
{
    char buffer[128];
    size_t i = 0;
    size_t offset = wrong + offsetof(struct midge_settings, core);
    while (midge_options[i].name != NULL && (midge_options[i].scope != MIDGE_SCOPE_BROKER ||
                                             midge_options[i].offset == MIDGE_NOWHERE || midge_options[i].offset != offset)) {
        i++;
    }
    const struct midge_option *option = &midge_options[i];
    if (option->name == NULL) {
        snprintf(config->error, sizeof(config->error), "the broker refuses its settings (offset %zu)", wrong);
        return;
    }
    const char *valid = midge_option_valid(option, buffer, sizeof(buffer));
    if (config->origins[i].file != NULL) {
        size_t used = error_at(config, &config->origins[i], option->name);
        snprintf(config->error + used, sizeof(config->error) - used, "not possible with the other settings; valid: %s. %s",
                 valid, option->doc);
    } else {
        snprintf(config->error, sizeof(config->error),
                 "option \"%s\": its default does not fit the other settings, give it a value; valid: %s. %s", option->name,
                 valid, option->doc);
    }
}
