/*
 * The limits of a gateway. Each is the sum of who can hold an entry. Pages that are never used cost nothing, so the sums are
 * generous: they are ceilings, not what Midge takes at start.
 */
#include "settings.h"

#include <string.h>

/* Fewer clients do not lower the other limits; more clients raise them. */
#define CLIENTS 16384u

/* The most entries of a pool that the core accepts. */
#define COUNT_MAX 16777214u

#define KIB 1024u
#define MIB (1024u * KIB)

static uint32_t count(uint64_t sum)
{
    return (uint32_t)(sum < COUNT_MAX ? sum : COUNT_MAX);
}

static void fill(uint32_t *limit, uint32_t value)
{
    if (*limit == MIDGE_LIMIT_UNSET) {
        *limit = value;
    }
}

struct midge_listener_settings *midge_settings_listener(struct midge_settings *settings)
{
    return settings->listener_count > 0 ? &settings->listeners[settings->listener_count - 1] : &settings->default_listener;
}

struct midge_security_settings *midge_settings_security(struct midge_settings *settings)
{
    return settings->per_listener ? &midge_settings_listener(settings)->security : &settings->security;
}

/* As many clients as the listeners may have; the usual number, or more, where one of them does not say. */
static uint64_t clients_of(const struct midge_settings *settings)
{
    uint64_t sum = 0;
    bool all = true;
    for (size_t i = 0; i < settings->listener_count; i++) {
        uint32_t max = settings->listeners[i].connections_max;
        all = all && max != MIDGE_LIMIT_UNSET;
        sum += max != MIDGE_LIMIT_UNSET ? max : 0;
    }
    return all || sum > CLIENTS ? sum : CLIENTS;
}

void midge_defaults_fill(struct midge_settings *settings)
{
    struct midge_limits *limits = &settings->core.limits;
    fill(&limits->clients, count(clients_of(settings)));
    uint64_t clients = limits->clients > CLIENTS ? limits->clients : CLIENTS;

    /* Peers between accept and CONNACK while all clients are connected, and peers that were refused and not yet gone. */
    fill(&limits->handshakes, 64);
    /* Connected clients + as many absent ones. */
    fill(&limits->sessions, count(2 * clients));
    uint64_t sessions = limits->sessions > 2 * clients ? limits->sessions : 2 * clients;
    /* Four for each session. */
    fill(&limits->subscriptions, count(4 * sessions));
    /* A last level of its own for each subscription; the levels before it are shared, and take a quarter more. */
    fill(&limits->filter_nodes, count(5 * sessions));
    /* 32,768 retained topics + as many levels above them, since a device keeps several topics below one level. */
    fill(&limits->topic_nodes, 65536);
    if (!settings->retain_available) {
        limits->topic_nodes = 0;
    }
    /* 12 bytes each, since most names are short: client identifiers of up to 48 bytes + levels of up to 24. */
    fill(&limits->name_size, 16);
    fill(&limits->names, count(4 * (uint64_t)limits->sessions + 2 * ((uint64_t)limits->filter_nodes + limits->topic_nodes)));
    /* A full window of the default size for each client + the queues: 65,536 sessions may have 8 messages each, or fewer more.
     */
    fill(&limits->deliveries, count(100 * clients + 524288));
    /* Clients have 20 messages or fewer on their way by default, and few of them use QoS 2 for all they publish. */
    fill(&limits->qos2_identifiers, count(16 * clients));
    /* 64 MB of retained messages + 32 MB of messages in windows and queues + 32 MB of half-sent packets and wills. */
    fill(&limits->block_size, 256);
    fill(&limits->blocks, count(128 * MIB / limits->block_size));
    /* Runs of consecutive identifiers share an entry, so 8 hold those of any ordinary client. */
    fill(&limits->replies, 8);
    /* Client identifier + user name + password of 65,535 bytes each, rounded up. */
    fill(&limits->scratch_size, 256 * KIB);
    /* What Mosquitto accepts. */
    fill(&limits->topic_levels, 200);
}

void midge_defaults_listener(struct midge_listener_settings *listener)
{
    memset(listener, 0, sizeof(*listener));
    listener->connections_max = MIDGE_LIMIT_UNSET;
    listener->security.allow_anonymous = MIDGE_ANONYMOUS_UNSET;
}

void midge_defaults_start(struct midge_settings *settings)
{
    midge_defaults_listener(&settings->default_listener);
    settings->security = settings->default_listener.security;
    midge_policy_default(&settings->core.policy);
    memset(&settings->core.limits, 0xFF, sizeof(settings->core.limits)); /* MIDGE_LIMIT_UNSET in each field */
    /* Zigbee2MQTT's largest message is a quarter of a megabyte, those of cameras are two at most. */
    settings->core.policy.packet_size_max = 2 * MIB;
    /* The rest of the blocks stays for what is on its way. */
    settings->core.policy.retained_bytes_max = 64 * MIB;
    settings->default_listener.port = 1883;
    settings->retain_available = true;
    settings->tcp_nodelay = true;
    settings->tls_memory_size = 64 * MIB; /* about 3,000 clients that do not limit their records */
    settings->sys_interval_s = 10;
    settings->user_max = 10000;
    settings->rule_max = 10000;
    /* With what else there is in an entry, a power of two or nearly so; names are rarely longer than 40 bytes. */
    settings->identity_size = 220;
    settings->login_max = 1024;
    settings->log.levels =
        1u << MIDGE_LEVEL_ERROR | 1u << MIDGE_LEVEL_WARNING | 1u << MIDGE_LEVEL_NOTICE | 1u << MIDGE_LEVEL_INFORMATION;
    settings->log.destinations = MIDGE_LOG_TO_STDERR;
    settings->log.connections = true;
    settings->log.timestamp = true;
}
