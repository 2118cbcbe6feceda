/*
 * The table of options: what each is called, what it may be, where it is stored, and what it does.
 */
#define _GNU_SOURCE
#include "values.h"

#include <stdio.h>
#include <string.h>

/* ---- Options that need more than the table ---------------------------------------------------------------------------- */

/* Begins a listener; the options of listeners that follow are its own. */
static bool set_listener(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    uint64_t port;
    const char *end;
    if (settings->listener_count == MIDGE_LISTENERS_MAX || !midge_value_leading(value, 65535, &port, &end)) {
        return false;
    }
    struct midge_listener_settings *listener = &settings->listeners[settings->listener_count];
    midge_defaults_listener(listener);
    listener->port = (uint16_t)port;
    if (*end != '\0') {
        size_t size = sizeof(listener->address);
        if (*end != ' ' && *end != '\t') {
            return false;
        }
        end += strspn(end, " \t");
        if (end[0] == '/') {
            listener->domain = MIDGE_DOMAIN_UNIX;
            size = port == 0 ? MIDGE_UNIX_PATH_SIZE : 0;
        } else if (strpbrk(end, " \t") != NULL) {
            return false;
        }
        if (!midge_value_text(listener->address, size, end)) {
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
    if (!midge_value_number(value, 0, 65535, &port)) {
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
    return strpbrk(value, " \t") == NULL &&
           midge_value_text(settings->default_listener.address, sizeof(settings->default_listener.address), value);
}

static bool set_socket_domain(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    struct midge_listener_settings *listener = midge_settings_listener(settings);
    if (listener->domain == MIDGE_DOMAIN_UNIX) {
        return false;
    }
    listener->domain = strcmp(value, "ipv4") == 0 ? MIDGE_DOMAIN_IPV4 : MIDGE_DOMAIN_IPV6;
    return strcmp(value, "ipv4") == 0 || strcmp(value, "ipv6") == 0;
}

static bool set_allow_anonymous(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)given_before;
    bool allowed;
    if (!midge_value_bool(value, &allowed)) {
        return false;
    }
    midge_settings_security(settings)->allow_anonymous = allowed ? MIDGE_ANONYMOUS_YES : MIDGE_ANONYMOUS_NO;
    return true;
}

/* The first line replaces the defaults, the others add to it. */
static bool set_log_type(struct midge_settings *settings, const char *value, bool given_before)
{
    /* In the order of enum midge_log_level. */
    static const char *const names[MIDGE_LEVEL_COUNT] = {"error", "warning",   "notice",     "information",
                                                         "debug", "subscribe", "unsubscribe"};
    static const char *const others[] = {"none", "websockets", "internal"};
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
    } else if (strcmp(value, "topic") == 0) {
        destination = MIDGE_LOG_TO_TOPIC;
    } else if (strncmp(value, "file", 4) == 0 && (value[4] == ' ' || value[4] == '\t')) {
        destination = MIDGE_LOG_TO_FILE;
        if (!midge_value_text(settings->log.path, sizeof(settings->log.path), value + 4 + strspn(value + 4, " \t"))) {
            return false;
        }
    } else if (strcmp(value, "none") != 0) {
        return false;
    }
    settings->log.destinations = given_before ? settings->log.destinations | destination : destination;
    return true;
}

/* The reader of the file follows include_dir itself; only one without a value, or in a file that was included, gets here. */
static bool set_include_dir(struct midge_settings *settings, const char *value, bool given_before)
{
    (void)settings;
    (void)value;
    (void)given_before;
    return false;
}

/* ---- The table -------------------------------------------------------------------------------------------------------- */

#define COUNT_MAX 16777214u
#define DAY_MS 86400000u
#define BYTES_MAX UINT32_MAX

/* Whose option it is, and where it is stored: the whole broker's; that of the listener above it; or that of who may do what,
 * which is the listener's with per_listener_settings, else the broker's. */
#define BROKER(field) MIDGE_SCOPE_BROKER, offsetof(struct midge_settings, field)
#define LISTENER(field) MIDGE_SCOPE_LISTENER, offsetof(struct midge_listener_settings, field)
#define SECURITY(field) MIDGE_SCOPE_SECURITY, offsetof(struct midge_security_settings, field)
/* Likewise for an option that its function stores. */
#define BROKER_OWN MIDGE_SCOPE_BROKER, MIDGE_NOWHERE
#define LISTENER_OWN MIDGE_SCOPE_LISTENER, MIDGE_NOWHERE
#define SECURITY_OWN MIDGE_SCOPE_SECURITY, MIDGE_NOWHERE

/* The fields of a row, in the order of struct midge_option. `place` is one of those above. */
#define NUMBER(name, place, min, max, doc) name, MIDGE_OPTION_NUMBER, place, min, max, NULL, NULL, doc
#define NUMBER8(name, place, min, max, doc) name, MIDGE_OPTION_NUMBER8, place, min, max, NULL, NULL, doc
#define NUMBER16(name, place, min, max, doc) name, MIDGE_OPTION_NUMBER16, place, min, max, NULL, NULL, doc
#define CONNECTIONS(name, place, valid, doc) name, MIDGE_OPTION_CONNECTIONS, place, 1, COUNT_MAX, NULL, valid, doc
#define LIMIT(name, field, min, max, doc) NUMBER("limit_" name, BROKER(core.limits.field), min, max, doc)
#define BOOL(name, place, doc) name, MIDGE_OPTION_BOOL, place, 0, 0, NULL, NULL, doc
#define DURATION(name, field, doc) name, MIDGE_OPTION_MILLISECONDS, BROKER(core.policy.field), 1, DAY_MS, NULL, NULL, doc
#define EXPIRY(name, place, doc) name, MIDGE_OPTION_EXPIRY, place, 0, UINT32_MAX, NULL, NULL, doc
#define OVERFLOW(name, field, valid, doc) name, MIDGE_OPTION_OVERFLOW, BROKER(core.policy.field), 0, 0, NULL, valid, doc
#define TEXT(name, place, size, valid, doc) name, MIDGE_OPTION_TEXT, place, 0, size, NULL, valid, doc
#define PATH(name, place, doc) name, MIDGE_OPTION_TEXT, place, 0, MIDGE_PATH_SIZE, NULL, "a path", doc
#define FUNCTION(name, place, function, valid, doc) name, MIDGE_OPTION_FUNCTION, place, 0, 0, function, valid, doc
#define FIXED(name, valid, doc) name, MIDGE_OPTION_FIXED, BROKER_OWN, 0, 0, NULL, valid, doc
#define UNUSED(name) name, MIDGE_OPTION_UNUSED, BROKER_OWN, 0, 0, NULL, "anything", "Has no effect, since persistence is false."

const struct midge_option midge_options[] = {
    /* listeners */
    {FUNCTION("listener", BROKER_OWN, set_listener,
              "PORT [ADDRESS] or 0 /PATH of at most 107 bytes for a Unix socket, at most 16 listeners",
              "Listens on this TCP port (0: one that is free) of this address, or of all interfaces. The options of listeners "
              "apply to the listener above them, or to the default listener before any.")},
    {FUNCTION("port", BROKER_OWN, set_port, "0 .. 65535",
              "The port of the default listener (0: one that is free); without this line 1883.")},
    {FUNCTION("bind_address", BROKER_OWN, set_bind_address, "an address or a host name",
              "The address of the default listener; without it all interfaces.")},
    {FUNCTION("socket_domain", LISTENER_OWN, set_socket_domain, "ipv4 or ipv6",
              "Restricts a TCP listener to one kind of address; without this line it has both.")},
    {CONNECTIONS("max_connections", LISTENER(connections_max), "1 .. 16777214, or -1 for as many as global_max_connections",
                 "Connections of a listener at once.")},
    {FIXED("protocol", "mqtt", "WebSockets are not supported; remove this listener")},
    {BOOL("set_tcp_nodelay", BROKER(tcp_nodelay), "Sends small packets at once (TCP_NODELAY).")},
    {BOOL("per_listener_settings", BROKER(per_listener),
          "true: the options that say who may connect and do what belong to listeners too. Comes before any of them.")},
    {FUNCTION("include_dir", BROKER_OWN, set_include_dir, "a directory, in no file that is included itself",
              "Reads all files in it that end with .conf, by name.")},
    {TEXT("pid_file", BROKER(pid_path), MIDGE_PATH_SIZE, "a path", "Holds the process identifier while Midge runs.")},
    {TEXT("user", BROKER(user), MIDGE_USER_SIZE, "the name of a user, up to 63 bytes",
          "Whom Midge becomes when root starts it; without this line midge, or nobody where there is no midge.")},
    /* who may connect */
    {FUNCTION("allow_anonymous", SECURITY_OWN, set_allow_anonymous, "true or false",
              "Whether clients without a user name may connect. Without this line: only where every listener is on a loopback "
              "address and there is no password_file.")},
    {TEXT("password_file", SECURITY(password_path), MIDGE_PATH_SIZE, "a path",
          "The users: lines NAME:HASH, as midge passwd and mosquitto_passwd write them.")},
    {TEXT("acl_file", SECURITY(acl_path), MIDGE_PATH_SIZE, "a path",
          "What users may publish and read, in Mosquitto's format.")},
    {BOOL("use_username_as_clientid", LISTENER(use_username_as_clientid),
          "A client's identifier is its user name, whatever it sent.")},
    {TEXT("auto_id_prefix", SECURITY(auto_id_prefix), MIDGE_PREFIX_SIZE, "1 .. 63 characters",
          "How the identifiers start that are made up for clients without one.")},
    {TEXT("clientid_prefixes", BROKER(clientid_prefixes), MIDGE_PREFIX_SIZE, "1 .. 63 characters",
          "How the identifiers of clients have to start.")},
    {NUMBER16("max_keepalive", BROKER(keepalive_max_s), 0, 65535,
              "The longest keep alive in seconds that a client may have, none included; 0: any.")},
    {NUMBER("max_connections_per_address", BROKER(connections_per_address_max), 0, COUNT_MAX,
            "Connections from one IPv4 address or one IPv6 network of 64 bits; 0: any number.")},
    {NUMBER("max_message_rate", BROKER(message_rate), 0, 1000000,
            "Messages a second that a client may publish; more of them wait. 0: any number.")},
    {NUMBER("max_byte_rate", BROKER(byte_rate), 0, 1000000000,
            "Bytes a second that a client may send, of all packets; more of them wait. 0: any number.")},
    {NUMBER("limit_users", BROKER(user_max), 0, 1000000, "Users in password_file and acl_file, of all listeners together.")},
    {NUMBER("limit_rights", BROKER(rule_max), 0, 1000000, "Lines topic and pattern in acl_file, likewise.")},
    {NUMBER(
        "limit_identity_size", BROKER(identity_size), 64, 131070,
        "User name and client identifier together, in bytes, of a client to which users or rights apply; it is refused where "
        "they are longer.")},
    {NUMBER("limit_logins", BROKER(login_max), 1, 100000, "Logins that wait until their password is hashed.")},
    {BOOL("allow_zero_length_clientid", BROKER(core.policy.empty_client_id),
          "Accepts an empty client identifier with clean session.")},
    {NUMBER("limit_client_id_size", BROKER(core.policy.client_id_size_max), 0, 65535,
            "Longest client identifier in bytes; 0: 65535.")},
    {DURATION("connect_timeout", connect_timeout_ms, "Time from the connection to its whole CONNECT.")},
    /* TLS */
    {PATH("certfile", LISTENER(tls.certificate_path),
          "The server's certificate in PEM, and those that lead to its authority: the listener has TLS.")},
    {PATH("keyfile", LISTENER(tls.key_path), "Its private key in PEM, without a passphrase.")},
    {PATH("cafile", LISTENER(tls.authority_path), "Certificates of the authorities that sign clients' certificates, in PEM.")},
    {PATH("capath", LISTENER(tls.authority_directory), "A directory of such certificates, prepared by openssl rehash.")},
    {PATH("crlfile", LISTENER(tls.crl_path), "The certificates that those authorities have revoked, in PEM.")},
    {BOOL("require_certificate", LISTENER(tls.require_certificate), "true: a client without a good certificate is refused.")},
    {BOOL(
        "use_identity_as_username", LISTENER(tls.identity_as_username),
        "The common name in the certificate, or the identity of the shared key, is the user name; no password is asked for.")},
    {BOOL("use_subject_as_username", LISTENER(tls.subject_as_username),
          "Likewise the certificate's whole subject (RFC 2253).")},
    {TEXT("psk_hint", LISTENER(tls.psk_hint), MIDGE_PSK_HINT_SIZE, "a text of 1 .. 127 bytes",
          "Clients may use the keys of psk_file: the listener has TLS. The text itself is not sent.")},
    {PATH("psk_file", SECURITY(psk_path), "Shared keys, one a line: IDENTITY:KEY, the key in hexadecimal digits.")},
    {FIXED("tls_version", "tlsv1.2", "mbedTLS has no other version that is finished and safe; remove the line")},
    {TEXT("ciphers", LISTENER(tls.ciphers), MIDGE_CIPHERS_SIZE, "names of ciphers with : between them",
          "Only these ciphers, by OpenSSL's names or the standard's, the best first.")},
    {NUMBER("limit_tls_memory", BROKER(tls_memory_size), 65536, BYTES_MAX,
            "Bytes for certificates and connections with TLS: 21 KB for a client, 8 KB where it limits its records to 4 KB, 48 "
            "KB in its handshake.")},
    /* sizes of messages */
    {NUMBER("max_packet_size", BROKER(core.policy.packet_size_max), 0, 268435460,
            "Largest packet accepted, bytes with its header; 0: what half the blocks can hold.")},
    {NUMBER("message_size_limit", BROKER(message_size_limit), 0, 268435455,
            "Lowers max_packet_size to this payload + 65544 bytes for topic and header; 0: does not.")},
    /* queues */
    {NUMBER16("max_inflight_messages", BROKER(core.policy.inflight_max), 0, MIDGE_INFLIGHT_MAX,
              "QoS 1 and 2 messages on their way to one client; 0: as many as can be, 4096.")},
    {NUMBER("max_queued_messages", BROKER(core.policy.queued_messages_max), 0, COUNT_MAX,
            "Messages queued for one client beyond those in flight; 0: a share of what is free.")},
    {NUMBER("max_queued_bytes", BROKER(core.policy.queued_bytes_max), 0, BYTES_MAX,
            "The same in bytes of topic and payload; 0: a share of what is free.")},
    {BOOL("queue_qos0_messages", BROKER(core.policy.queue_qos0), "Keeps QoS 0 messages too for a client that is away.")},
    {NUMBER8("max_qos", BROKER(core.policy.qos_max), 0, 2, "The highest QoS granted to a subscription.")},
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
    {FIXED(
        "persistence", "false",
        "retained messages, sessions and what waits for them are lost when Midge ends; write \"persistence false\" where that "
        "will do, and no other line about it has to go")},
    {UNUSED("persistence_location")},
    {UNUSED("persistence_file")},
    {UNUSED("autosave_interval")},
    {UNUSED("autosave_on_changes")},
    {EXPIRY("persistent_client_expiration", BROKER(core.policy.session_expiry_s),
            "Time after which the session of an absent client is removed; 0s: never.")},
    {BOOL("evict_sessions", BROKER(core.policy.evict_sessions),
          "With all sessions in use, a new client takes that of the one absent for longest; else it is refused.")},
    {BOOL("retain_available", BROKER(retain_available), "false: nothing is retained, and no memory is set aside for it.")},
    {NUMBER("limit_retained_messages", BROKER(core.policy.retained_max), 0, COUNT_MAX,
            "Retained messages; 0: what memory allows.")},
    {NUMBER("limit_retained_bytes", BROKER(core.policy.retained_bytes_max), 0, BYTES_MAX,
            "Topics and payloads of retained messages in bytes; 0: what memory allows.")},
    /* memory */
    {CONNECTIONS("global_max_connections", BROKER(core.limits.clients),
                 "1 .. 16777214, or -1 for the sum of max_connections where all listeners have it, else 16384 at least",
                 "Clients connected at once, on all listeners together.")},
    {LIMIT("handshakes", handshakes, 1, COUNT_MAX, "Connections beyond global_max_connections for peers not accepted yet.")},
    {LIMIT("sessions", sessions, 1, COUNT_MAX, "Sessions, absent clients included: at least global_max_connections.")},
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
    {NUMBER("sys_interval", BROKER(sys_interval_s), 0, 65535, "Seconds between updates of $SYS; 0: $SYS is not published.")},
    {FUNCTION(
        "log_dest", BROKER_OWN, set_log_dest, "stderr, stdout, syslog, topic, none, or file PATH; several lines add up",
        "Where the log goes; without this line to stderr. topic: to $SYS/broker/log/E, W, N, I, M/subscribe, M/unsubscribe.")},
    {FUNCTION(
        "log_type", BROKER_OWN, set_log_type,
        "error, warning, notice, information, debug, subscribe, unsubscribe, all, none (websockets and internal log nothing)",
        "What is logged; several lines add up, without any of them: error, warning, notice, information. debug logs each "
        "packet.")},
    {BOOL("connection_messages", BROKER(log.connections), "Logs clients that connect and disconnect.")},
    {BOOL("log_timestamp", BROKER(log.timestamp), "Starts each line of the log with the time.")},
    {TEXT("log_timestamp_format", BROKER(log.timestamp_format), sizeof(((struct midge_settings *)0)->log.timestamp_format),
          "a format for strftime, up to 63 bytes", "How the time is written; without this line, seconds since 1970.")},
    {NULL, MIDGE_OPTION_FIXED, BROKER_OWN, 0, 0, NULL, NULL, NULL},
};

_Static_assert(sizeof(midge_options) / sizeof(midge_options[0]) <= MIDGE_OPTIONS_MAX, "raise MIDGE_OPTIONS_MAX");
