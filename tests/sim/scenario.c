#include "scenario.h"

#include <string.h>

static const struct midge_limits ample_limits = {
    .clients = 300,
    .handshakes = 60,
    .sessions = 320,
    .subscriptions = 32000,
    .filter_nodes = 600,
    .topic_nodes = 2000,
    .names = 16000,
    .name_size = 32,
    .deliveries = 32000,
    .qos2_identifiers = 20000,
    .blocks = 32000,
    .block_size = 256,
    .replies = 16,
    .scratch_size = 4096,
    .topic_levels = 200,
};

/* From what a handful of clients needs down to what hardly lets one message pass. */
static void draw_tight_limits(struct midge_limits *limits, struct rng *rng, uint32_t clients)
{
    limits->clients = rng_between(rng, clients / 2 + 1, clients + 20);
    limits->handshakes = rng_scale(rng, 1, 16);
    limits->sessions = limits->clients + rng_below(rng, clients);
    limits->subscriptions = rng_scale(rng, clients, 8 * clients);
    limits->filter_nodes = rng_scale(rng, 8, 400);
    limits->topic_nodes = rng_percent(rng, 10) ? 0 : rng_scale(rng, 4, 400);
    limits->name_size = rng_percent(rng, 50) ? 16 : 4 * rng_between(rng, 2, 16);
    limits->names = rng_scale(rng, 4 * clients, 20 * clients);
    limits->deliveries = rng_scale(rng, clients, 4000);
    limits->qos2_identifiers = rng_scale(rng, 1, 200);
    limits->block_size = rng_percent(rng, 50) ? 64 : 8 * rng_between(rng, 8, 64);
    limits->blocks = rng_scale(rng, 3 * clients, 4000);
    limits->replies = rng_between(rng, 4, rng_percent(rng, 50) ? 4 : 40);
    limits->scratch_size = rng_scale(rng, 150, 4096);
    limits->topic_levels = rng_percent(rng, 70) ? 200 : rng_between(rng, 2, 8);
}

static void draw_tiny_limits(struct midge_limits *limits, struct rng *rng)
{
    limits->clients = rng_between(rng, 1, 12);
    limits->handshakes = rng_between(rng, 1, 3);
    limits->sessions = limits->clients + rng_below(rng, 6);
    limits->subscriptions = rng_percent(rng, 5) ? 0 : rng_scale(rng, 1, 60);
    limits->filter_nodes = rng_percent(rng, 5) ? 0 : rng_scale(rng, 1, 100);
    limits->topic_nodes = rng_percent(rng, 20) ? 0 : rng_scale(rng, 1, 60);
    limits->name_size = 4 * rng_between(rng, 2, 8);
    limits->names = rng_scale(rng, 8, 200);
    limits->deliveries = rng_scale(rng, 1, 60);
    limits->qos2_identifiers = rng_scale(rng, 1, 8);
    limits->block_size = 8 * rng_between(rng, 8, 16);
    limits->blocks = rng_scale(rng, 4, 120);
    limits->replies = 4;
    limits->scratch_size = rng_scale(rng, 64, 500);
    limits->topic_levels = rng_percent(rng, 80) ? 8 : rng_between(rng, 1, 7);
}

/* Ample, but for a few limits: what is scarce is met alone, with everything else at work. */
static void draw_pinched_limits(struct midge_limits *limits, struct rng *rng, uint32_t clients)
{
    enum { FIELDS = sizeof *limits / sizeof(uint32_t) };
    struct midge_limits small;
    uint32_t from[FIELDS];
    uint32_t to[FIELDS];
    if (rng_percent(rng, 50)) {
        draw_tight_limits(&small, rng, clients);
    } else {
        draw_tiny_limits(&small, rng);
    }
    memcpy(from, &small, sizeof small);
    memcpy(to, limits, sizeof *limits);
    uint32_t count = rng_between(rng, 1, 3);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t field = rng_below(rng, FIELDS);
        to[field] = from[field];
    }
    memcpy(limits, to, sizeof *limits);
    if (limits->sessions < limits->clients) {
        limits->sessions = limits->clients;
    }
}

static void draw_queue_policy(struct rng *rng, struct midge_policy *policy)
{
    static const enum midge_overflow online[] = {MIDGE_DROP_NEWEST, MIDGE_DROP_OLDEST, MIDGE_DISCONNECT, MIDGE_REFUSE};
    static const enum midge_overflow offline[] = {MIDGE_DROP_NEWEST, MIDGE_DROP_OLDEST, MIDGE_REFUSE};
    policy->overflow_qos0 = online[rng_below(rng, 4)];
    policy->overflow_qos12 = online[rng_below(rng, 4)];
    policy->overflow_offline = offline[rng_below(rng, 3)];
    policy->queue_qos0 = rng_percent(rng, 40);
    policy->queued_messages_max = rng_percent(rng, 50) ? 0 : rng_scale(rng, 1, 100);
    policy->queued_bytes_max = rng_percent(rng, 70) ? 0 : rng_scale(rng, 1, 20000);
    policy->inflight_max =
        (uint16_t)(rng_percent(rng, 30) ? 1 : rng_scale(rng, 1, rng_percent(rng, 10) ? MIDGE_INFLIGHT_MAX : 100));
    policy->qos_max = (uint8_t)(rng_percent(rng, 80) ? 2 : rng_below(rng, 3));
}

void scenario_draw_policy(struct world *w, struct midge_policy *policy)
{
    struct rng *rng = &w->rng;
    midge_policy_default(policy);
    policy->trace = w->scenario.trace;
    if (w->scenario.policy_free) {
        policy->packet_size_max = 1000000; /* the default may be too small for a CONNECT */
        return;
    }
    policy->empty_client_id = rng_percent(rng, 90);
    policy->wait_ms = rng_scale(rng, 1, 20000);
    policy->progress_ms = rng_scale(rng, 1, 20000);
    policy->assembly_ms = rng_scale(rng, 1, 20000);
    policy->close_ms = rng_scale(rng, 1, 10000);
    policy->connect_timeout_ms = rng_scale(rng, 1000, 30000);
    policy->session_expiry_s = rng_percent(rng, 70) ? 0 : rng_scale(rng, 1, 600);
    policy->evict_sessions = rng_percent(rng, 50);
    if (w->scenario.plain) {
        policy->session_expiry_s = 0;
        policy->inflight_max = (uint16_t)rng_scale(rng, 1, 100);
        return;
    }
    draw_queue_policy(rng, policy);
    policy->packet_size_max = rng_percent(rng, 70) ? 0 : rng_scale(rng, 200, 100000);
    policy->client_id_size_max = rng_percent(rng, 80) ? 0 : rng_between(rng, 2, 30);
    policy->retained_max = rng_percent(rng, 70) ? 0 : rng_scale(rng, 1, 100);
    policy->retained_bytes_max = rng_percent(rng, 80) ? 0 : rng_scale(rng, 1, 20000);
}

static void draw_faults(struct scenario *scenario, struct rng *rng)
{
    scenario->cuts = rng_below(rng, 20);
    scenario->takeovers = rng_below(rng, 10);
    scenario->half_open = rng_below(rng, 5);
    scenario->late_clock = rng_percent(rng, 30);
    scenario->wills = rng_below(rng, 101);
    scenario->anonymous = rng_below(rng, 20);
    scenario->bad_clients = rng_percent(rng, 50) ? rng_below(rng, 60) : 0;
    scenario->authenticate = rng_percent(rng, 50);
    scenario->authorize = rng_percent(rng, 40);
    scenario->aliases = rng_percent(rng, 20);
    scenario->denied = rng_below(rng, 30);
    scenario->policy_changes = rng_percent(rng, 30) ? rng_below(rng, 5) : 0;
}

static void draw_traffic(struct scenario *scenario, struct rng *rng)
{
    scenario->clients = rng_scale(rng, 10, CLIENTS_MAX);
    scenario->trace = rng_percent(rng, 60);
    scenario->persistent = rng_below(rng, 101);
    scenario->qos[0] = rng_between(rng, 1, 10);
    scenario->qos[1] = rng_between(rng, 0, 10);
    scenario->qos[2] = rng_between(rng, 0, 10);
    scenario->retain = rng_percent(rng, 30) ? 0 : rng_below(rng, 50);
    scenario->payload_max = rng_scale(rng, 64, rng_percent(rng, 10) ? 60000 : 1000);
    scenario->keepalive_max_s = rng_percent(rng, 30) ? 1 : rng_scale(rng, 1, 65535);
    scenario->pace_ms = rng_scale(rng, 10, 5000);
    scenario->publish_weight = rng_scale(rng, 2, 30);
    scenario->subscribe_weight = rng_scale(rng, 1, 6);
}

static void draw_limits(struct world *w)
{
    static const char *const names[] = {"plain", "faults", "pinched", "tight", "tiny"};
    struct scenario *scenario = &w->scenario;
    struct midge_limits *limits = &scenario->config.limits;
    struct rng *rng = &w->rng;
    uint32_t kind = rng_below(rng, 5);
    scenario->name = names[kind];
    scenario->plain = kind == 0;
    *limits = ample_limits;
    if (kind > 0) {
        draw_faults(scenario, rng);
    }
    if (kind == 2) {
        draw_pinched_limits(limits, rng, scenario->clients);
    } else if (kind == 3) {
        draw_tight_limits(limits, rng, scenario->clients);
    } else if (kind == 4) {
        scenario->clients = rng_between(rng, 10, 20);
        scenario->payload_max = rng_scale(rng, 16, 300);
        draw_tiny_limits(limits, rng);
    }
}

void scenario_draw(struct world *w)
{
    struct rng *rng = &w->rng;
    draw_traffic(&w->scenario, rng);
    draw_limits(w);
    scenario_draw_policy(w, &w->scenario.config.policy);
    bool few = w->scenario.config.limits.clients <= 12; /* else hardly anybody would subscribe to what others publish */
    topics_draw(&w->topics, rng, rng_scale(rng, 4, few ? 16 : TOPICS_MAX), rng_scale(rng, 4, few ? 16 : FILTERS_MAX));
    w->scenario.config.hash_seed = (uint64_t)rng_next(rng) << 32 | rng_next(rng);
}

bool scenario_allows(const struct world *w, uint32_t session, enum midge_action action, const char *topic, size_t size)
{
    if (!w->scenario.authorize) {
        return true;
    }
    uint64_t hash = rng_mix(w->options.seed ^ session) ^ (uint64_t)action;
    for (size_t i = 0; i < size; i++) {
        hash = rng_mix(hash ^ (uint8_t)topic[i]);
    }
    return hash % 100 >= w->scenario.denied;
}
