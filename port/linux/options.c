/*
 * The table of options: what each is called, what it may be, where it is stored, and what it does.
 */
#define _GNU_SOURCE
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, uint64_t max, uint64_t *number, const char **end)
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

static bool parse_whole(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    const char *end;
    return parse_number(text, max, number, &end) && *end == '\0' && *number >= min;
}

static bool parse_bool(const char *text, bool *value)
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
    if (!parse_number(text, max, number, &end)) {
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

static bool copy_text(char *to, size_t size, const char *value)
{
    size_t length = strlen(value);
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(to, value, length + 1);
    return true;
}

/* ---- Options that need more than the table ---------------------------------------------------------------------------- */

static bool set_listener(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    uint64_t port;
    const char *end;
    if (settings->listener_count == MIDGE_LISTENERS_MAX || !parse_number(value, 65535, &port, &end)) {
        return false;
    }
    struct midge_listener_settings *listener = &settings->listeners[settings->listener_count];
    *listener = (struct midge_listener_settings){.port = (uint16_t)port};
    if (*end != '\0') {
        if (*end != ' ' && *end != '\t') {
            return false;
        }
        end += strspn(end, " \t");
        if (end[0] == '/' || !copy_text(listener->address, sizeof(listener->address), end)) {
            return false;
        }
    }
    settings->listener_count++;
    return true;
}

static bool set_port(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    uint64_t port;
    if (!parse_whole(value, 0, 65535, &port)) {
        return false;
    }
    settings->default_listener.port = (uint16_t)port;
    settings->default_listener_used = true;
    return true;
}

static bool set_bind_address(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    settings->default_listener_used = true;
    return copy_text(settings->default_listener.address, sizeof(settings->default_listener.address), value);
}

static bool set_socket_domain(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    struct midge_listener_settings *listener =
        settings->listener_count > 0 ? &settings->listeners[settings->listener_count - 1] : &settings->default_listener;
    listener->domain = strcmp(value, "ipv4") == 0 ? MIDGE_DOMAIN_IPV4 : MIDGE_DOMAIN_IPV6;
    return strcmp(value, "ipv4") == 0 || strcmp(value, "ipv6") == 0;
}

/* All listeners share the connections, so that a second, different value would be a misunderstanding. */
static bool set_max_connections(struct midge_settings *settings, const char *value, bool given_before)
{
    uint64_t number = MIDGE_LIMIT_UNSET;
    if (strcmp(value, "-1") != 0 && !parse_whole(value, 1, 16777214, &number)) {
        return false;
    }
    if (given_before && settings->core.limits.clients != number) {
        return false;
    }
    settings->core.limits.clients = (uint32_t)number;
    return true;
}

static bool set_allow_anonymous(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    bool allowed;
    if (!parse_bool(value, &allowed)) {
        return false;
    }
    settings->allow_anonymous = allowed ? MIDGE_ANONYMOUS_YES : MIDGE_ANONYMOUS_NO;
    return true;
}

static bool set_inflight(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    uint64_t number;
    if (!parse_whole(value, 0, MIDGE_INFLIGHT_MAX, &number)) {
        return false;
    }
    settings->core.policy.inflight_max = (uint16_t)(number == 0 ? MIDGE_INFLIGHT_MAX : number);
    return true;
}

/* The first line replaces the defaults, the others add to it. */
static bool set_log_type(struct midge_settings *settings, const char *value, bool given_before)
{
    static const char *const names[] = {"error", "warning", "notice", "information", "debug"};
    static const char *const others[] = {"none", "subscribe", "unsubscribe", "websockets"};
    unsigned levels = 0;
    bool known = strcmp(value, "all") == 0;
    if (known) {
        levels = (1u << MIDGE_LEVEL_COUNT) - 1;
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            levels = 1u << i;
            known = true;
        }
    }
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        known = known || strcmp(value, others[i]) == 0;
    }
    settings->log.levels = given_before ? settings->log.levels | levels : levels;
    return known;
}

static bool set_log_dest(struct midge_settings *settings, const char *value, bool given_before)
{
    unsigned destination = 0;
    if (strcmp(value, "stderr") == 0) {
        destination = MIDGE_LOG_TO_STDERR;
    } else if (strcmp(value, "stdout") == 0) {
        destination = MIDGE_LOG_TO_STDOUT;
    } else if (strcmp(value, "syslog") == 0) {
        destination = MIDGE_LOG_TO_SYSLOG;
    } else if (strncmp(value, "file", 4) == 0 && (value[4] == ' ' || value[4] == '\t')) {
        destination = MIDGE_LOG_TO_FILE;
        if (!copy_text(settings->log.path, sizeof(settings->log.path), value + 4 + strspn(value + 4, " \t"))) {
            return false;
        }
    } else if (strcmp(value, "none") != 0) {
        return false;
    }
    settings->log.destinations = given_before ? settings->log.destinations | destination : destination;
    return true;
}

/* The reader of the file follows include_dir itself; only one without a value gets here. */
static bool set_include_dir(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)settings;
    (void)value;
    (void)given_before;
    return false;
}

/* ---- The table -------------------------------------------------------------------------------------------------------- */

#define AT(field) offsetof(struct midge_settings, field)
#define NOWHERE SIZE_MAX
#define COUNT_MAX 16777214u
#define DAY_MS 86400000u
#define BYTES_MAX UINT32_MAX

/* The fields of a row, in the order of struct midge_option. */
#define NUMBER(name, field, min, max, doc) name, MIDGE_OPTION_NUMBER, AT(field), min, max, NULL, NULL, doc
#define NUMBER8(name, field, min, max, doc) name, MIDGE_OPTION_NUMBER8, AT(field), min, max, NULL, NULL, doc
#define LIMIT(name, field, min, max, doc) NUMBER("limit_" name, core.limits.field, min, max, doc)
#define BOOL(name, field, doc) name, MIDGE_OPTION_BOOL, AT(field), 0, 0, NULL, NULL, doc
#define DURATION(name, field, doc) name, MIDGE_OPTION_MILLISECONDS, AT(core.policy.field), 1, DAY_MS, NULL, NULL, doc
#define EXPIRY(name, field, doc) name, MIDGE_OPTION_EXPIRY, AT(field), 0, UINT32_MAX, NULL, NULL, doc
#define OVERFLOW(name, field, valid, doc) name, MIDGE_OPTION_OVERFLOW, AT(core.policy.field), 0, 0, NULL, valid, doc
#define TEXT(name, field, size, valid, doc) name, MIDGE_OPTION_TEXT, AT(field), 0, size, NULL, valid, doc
#define FUNCTION(name, offset, function, valid, doc) name, MIDGE_OPTION_FUNCTION, offset, 0, 0, function, valid, doc
#define FIXED(name, valid, doc) name, MIDGE_OPTION_FIXED, NOWHERE, 0, 0, NULL, valid, doc

const struct midge_option midge_options[] = {
    /* listeners */
    {FUNCTION("listener", NOWHERE, set_listener, "PORT [ADDRESS], at most 16 listeners; Unix sockets are not supported",
              "Listens on this TCP port (0: one that is free) of this address, or of all interfaces.")},
    {FUNCTION("port", NOWHERE, set_port, "0 .. 4096", "The port of the default listener (0: one that is free).")},
    {FUNCTION("bind_address", NOWHERE, set_bind_address, "an address or a host name",
              "The address of the default listener; without it all interfaces.")},
    {FUNCTION("socket_domain", NOWHERE, set_socket_domain, "ipv4 or ipv6",
              "Restricts the listener above to one kind of address.")},
    {FIXED("protocol", "mqtt", "WebSockets are not supported")},
    {BOOL("set_tcp_nodelay", tcp_nodelay, "Sends small packets at once (TCP_NODELAY).")},
    {FIXED("per_listener_settings", "false", "all listeners share their settings")},
    {FUNCTION("include_dir", NOWHERE, set_include_dir, "a directory", "Reads all files in it that end with .conf, by name.")},
    {TEXT("pid_file", pid_path, MIDGE_PATH_SIZE, "a path", "Holds the process identifier while Midge runs.")},
    /* who may connect */
    {FUNCTION("allow_anonymous", NOWHERE, set_allow_anonymous, "true or false",
              "Whether clients may connect; there are no users yet, so false refuses all. Without this line: only where every "
              "listener is on a loopback address.")},
    {BOOL("allow_zero_length_clientid", core.policy.empty_client_id, "Accepts an empty client identifier with clean session.")},
    {NUMBER("limit_client_id_size", core.policy.client_id_size_max, 0, 65535, "Longest client identifier in bytes; 0: 65535.")},
    {DURATION("connect_timeout", connect_timeout_ms, "Time from the connection to its whole CONNECT.")},
    /* sizes of messages */
    {NUMBER("max_packet_size", core.policy.packet_size_max, 0, 268435460,
            "Largest packet accepted, bytes with its header; 0: what half the blocks can hold.")},
    {NUMBER("message_size_limit", message_size_limit, 0, 268435455,
            "Lowers max_packet_size to this payload + 65544 bytes for topic and header; 0: does not.")},
    /* queues */
    {FUNCTION("max_inflight_messages", AT(core.policy.inflight_max), set_inflight, "0 .. 4096",
              "QoS 1 and 2 messages on their way to one client; 0: 65535.")},
    {NUMBER("max_queued_messages", core.policy.queued_messages_max, 0, COUNT_MAX,
            "Messages queued for one client beyond those in flight; 0: a share of what is free.")},
    {NUMBER("max_queued_bytes", core.policy.queued_bytes_max, 0, BYTES_MAX,
            "The same in bytes of topic and payload; 0: a share of what is free.")},
    {BOOL("queue_qos0_messages", core.policy.queue_qos0, "Keeps QoS 0 messages too for a client that is away.")},
    {NUMBER8("max_qos", core.policy.qos_max, 0, 2, "The highest QoS granted to a subscription.")},
    {OVERFLOW("overflow_qos0", overflow_qos0, "drop_newest, drop_oldest, disconnect or refuse",
              "What becomes of a QoS 0 message for a connected client whose queue is full.")},
    {OVERFLOW("overflow_qos12", overflow_qos12, "drop_newest, drop_oldest, disconnect or refuse",
              "What becomes of a QoS 1 or 2 message for a connected client whose queue is full.")},
    {OVERFLOW("overflow_offline", overflow_offline, "drop_newest, drop_oldest or refuse",
              "What becomes of a message for an absent client whose queue is full.")},
    {DURATION("overflow_wait", wait_ms, "How long a publisher waits for room before the overflow policy decides.")},
    {DURATION("progress_timeout", progress_ms, "How long a subscriber may take nothing and still be waited for.")},
    {DURATION("assembly_timeout", assembly_ms, "How long a half-sent packet may hold its blocks while others wait for them.")},
    {DURATION("close_timeout", close_ms, "How long a closing connection may take to accept its last bytes.")},
    /* what is kept */
    {FIXED("persistence", "false", "nothing is kept when Midge ends; remove the line")},
    {EXPIRY("persistent_client_expiration", core.policy.session_expiry_s,
            "Time after which the session of an absent client is removed; 0s: never.")},
    {BOOL("evict_sessions", core.policy.evict_sessions,
          "With all sessions in use, a new client takes that of the one absent for longest; else it is refused.")},
    {BOOL("retain_available", retain_available, "false: nothing is retained, and no memory is set aside for it.")},
    {NUMBER("limit_retained_messages", core.policy.retained_max, 0, COUNT_MAX, "Retained messages; 0: what memory allows.")},
    {NUMBER("limit_retained_bytes", core.policy.retained_bytes_max, 0, BYTES_MAX,
            "Topics and payloads of retained messages in bytes; 0: what memory allows.")},
    /* memory */
    {FUNCTION("max_connections", AT(core.limits.clients), set_max_connections,
              "1 .. 16777214, or -1 for the default; one value for all listeners together", "Clients connected at once.")},
    {LIMIT("handshakes", handshakes, 1, COUNT_MAX, "Connections beyond max_connections for peers not accepted yet.")},
    {LIMIT("sessions", sessions, 1, COUNT_MAX, "Sessions, absent clients included: at least max_connections.")},
    {LIMIT("subscriptions", subscriptions, 0, COUNT_MAX, "Subscriptions of all sessions; 0: every SUBSCRIBE is refused.")},
    {LIMIT("filter_nodes", filter_nodes, 0, COUNT_MAX, "One for each level of a filter, shared by filters that start alike.")},
    {LIMIT("topic_nodes", topic_nodes, 0, COUNT_MAX, "One for each level of a retained topic, shared likewise.")},
    {LIMIT("names", names, 0, COUNT_MAX, "Chunks for client identifiers and levels of topics and filters.")},
    {LIMIT("name_size", name_size, 8, 256, "Bytes of such a chunk, a multiple of 4; 4 of them link it to the next.")},
    {LIMIT("deliveries", deliveries, 1, COUNT_MAX, "Messages queued or in flight; one for each message and receiver.")},
    {LIMIT("qos2_identifiers", qos2_identifiers, 1, COUNT_MAX, "QoS 2 messages received and not yet released.")},
    {LIMIT("blocks", blocks, 4, COUNT_MAX, "Blocks for messages, wills and packets in parts.")},
    {LIMIT("block_size", block_size, 64, 4096, "Bytes of a block, a multiple of 8.")},
    {LIMIT("replies", replies, 4, 128, "Acknowledgements that wait on one connection, runs counted once.")},
    {LIMIT("scratch_size", scratch_size, 64, 16777216,
           "Bytes in which the strings of a packet that came in parts are joined.")},
    {LIMIT("topic_levels", topic_levels, 1, 65535, "Levels of a topic or filter; more cost the connection.")},
    /* what is told */
    {NUMBER("sys_interval", sys_interval_s, 0, 65535, "Seconds between updates of $SYS; 0: $SYS is not published.")},
    {FUNCTION("log_dest", NOWHERE, set_log_dest, "stderr, stdout, syslog, none, or file PATH; several lines add up",
              "Where the log goes.")},
    {FUNCTION("log_type", NOWHERE, set_log_type,
              "error, warning, notice, information, debug, all, none (subscribe, unsubscribe and websockets log nothing)",
              "What is logged; several lines add up. debug logs each packet.")},
    {BOOL("connection_messages", log.connections, "Logs clients that connect and disconnect.")},
    {BOOL("log_timestamp", log.timestamp, "Starts each line of the log with the time.")},
    {TEXT("log_timestamp_format", log.timestamp_format, sizeof(((struct midge_settings *)0)->log.timestamp_format),
          "a format for strftime, up to 63 bytes", "How the time is written; without this line, seconds since 1970.")},
    {NULL, MIDGE_OPTION_FIXED, NOWHERE, 0, 0, NULL, NULL, NULL},
};

_Static_assert(sizeof(midge_options) / sizeof(midge_options[0]) <= MIDGE_OPTIONS_MAX, "raise MIDGE_OPTIONS_MAX");

bool midge_option_set(const struct midge_option *option, struct midge_settings *settings, const char *value, bool given_before)
{
    uint64_t number = 0;
    void *field = (uint8_t *)settings + (option->offset == NOWHERE ? 0 : option->offset);
    switch (option->type) {
    case MIDGE_OPTION_NUMBER:
    case MIDGE_OPTION_NUMBER8:
        if (!parse_whole(value, option->min, option->max, &number)) {
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
        return parse_bool(value, field);
    case MIDGE_OPTION_OVERFLOW:
        return parse_overflow(value, field);
    case MIDGE_OPTION_TEXT:
        return copy_text(field, option->max, value);
    case MIDGE_OPTION_FIXED:
        return strcmp(value, option->valid) == 0;
    case MIDGE_OPTION_FUNCTION:
        return option->set(settings, value, given_before);
    }
    if (option->type == MIDGE_OPTION_NUMBER8) {
        *(uint8_t *)field = (uint8_t)number;
    } else {
        *(uint32_t *)field = (uint32_t)number;
    }
    return true;
}

const char *midge_option_valid(const struct midge_option *option, char *buffer, size_t size)
{
    switch (option->type) {
    case MIDGE_OPTION_NUMBER:
    case MIDGE_OPTION_NUMBER8:
        snprintf(buffer, size, "%u .. %u", option->min, option->max);
        return buffer;
    case MIDGE_OPTION_BOOL:
        return "true or false";
    case MIDGE_OPTION_MILLISECONDS:
        return "1ms .. 24h, with ms, s, min or h; a plain number is seconds";
    case MIDGE_OPTION_EXPIRY:
        return "a number with s, h, d, w, m (30 days) or y, up to 136y";
    case MIDGE_OPTION_OVERFLOW:
    case MIDGE_OPTION_TEXT:
    case MIDGE_OPTION_FIXED:
    case MIDGE_OPTION_FUNCTION:
        break;
    }
    return option->valid;
}

void midge_options_print(int fd)
{
    char buffer[128];
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        dprintf(fd, "%s  (%s)\n    %s\n", option->name, midge_option_valid(option, buffer, sizeof(buffer)), option->doc);
    }
}
