#include "simulation.h"

#include "client.h"
#include "model.h"
#include "network.h"
#include "oracle.h"
#include "scenario.h"

#include <stdlib.h>
#include <string.h>

/* ---- Choosing ---- */

typedef bool link_filter(const struct world *w, const struct link *link);

static bool has_inbox(const struct world *w, const struct link *link)
{
    return link->state != LINK_FREE && !link->half_open && link->inbox_begin < link->inbox_end &&
           w->now_ms >= link->blocked_until;
}

static bool is_over(const struct world *w, const struct link *link)
{
    (void)w;
    return link->state != LINK_FREE && (link->close_seen || link->client_gone);
}

static bool is_open(const struct world *w, const struct link *link)
{
    (void)w;
    return link->state != LINK_FREE && !link->close_seen && !link->client_gone;
}

static bool is_half_open(const struct world *w, const struct link *link)
{
    (void)w;
    return link->state != LINK_FREE && link->half_open;
}

static bool awaits_verdict(const struct world *w, const struct link *link)
{
    (void)w;
    return link->state == LINK_OPEN && link->authenticating;
}

/* A link that fits, from a random place on; NULL. */
static struct link *choose(struct world *w, link_filter *fits)
{
    uint32_t start = rng_below(&w->rng, w->link_count);
    for (uint32_t i = 0; i < w->link_count; i++) {
        uint32_t index = start + i < w->link_count ? start + i : start + i - w->link_count;
        if (fits(w, &w->links[index])) {
            return &w->links[index];
        }
    }
    return NULL;
}

/* ---- Steps ---- */

static void break_something(struct world *w)
{
    struct rng *rng = &w->rng;
    const struct scenario *scenario = &w->scenario;
    struct link *link;
    if (rng_permille(rng, scenario->cuts) && (link = choose(w, is_open)) != NULL) {
        network_cut(w, link);
    }
    if (rng_permille(rng, scenario->half_open) && (link = choose(w, is_open)) != NULL) {
        TRACE(w, "%s: nothing passes any more", say_link(w, link));
        link->half_open = true;
    }
    if (rng_permille(rng, scenario->takeovers)) {
        client_connect(w, rng_below(rng, scenario->clients));
    }
    if (rng_permille(rng, scenario->half_open) && (link = choose(w, is_half_open)) != NULL) {
        network_disconnect(w, link);
    }
    if (scenario->cuts > 0 && rng_percent(rng, 2) && (link = choose(w, is_open)) != NULL) {
        link->blocked_until = w->now_ms + rng_scale(rng, 1, 30000); /* its client does not read for a while */
    }
    if (!scenario->plain && rng_permille(rng, 2)) {
        network_stale(w);
    }
    if (rng_permille(rng, scenario->policy_changes)) {
        network_set_policy(w);
    }
}

static void pass_time(struct world *w)
{
    struct rng *rng = &w->rng;
    uint64_t now = w->now_ms + rng_scale(rng, 1, rng_percent(rng, 5) ? 20000 : w->scenario.pace_ms);
    network_advance(w, w->now_ms); /* as a port does in each turn of its loop: what came since may have deadlines too */
    network_events(w);
    if (w->deadline_ms < now && !(w->scenario.late_clock && rng_percent(rng, 20))) {
        now = w->deadline_ms;
    }
    if (rng_percent(rng, 50)) {
        network_time(w, now); /* what came in meanwhile is handed over before timers fire */
    } else {
        network_advance(w, now);
    }
}

static void publish_by_port(struct world *w)
{
    struct rng *rng = &w->rng;
    uint32_t topic = rng_below(rng, w->topics.topic_count);
    uint32_t message = message_new(w, &(struct message){.topic = topic,
                                                        .size = client_draw_size(w, topic),
                                                        .publisher = NOBODY,
                                                        .qos = (uint8_t)rng_below(rng, 3),
                                                        .retain = rng_percent(rng, w->scenario.retain)});
    network_publish(w, message);
}

/* Something happens on a link; false where nothing can. */
static bool move(struct world *w, uint32_t draw)
{
    static const struct {
        uint32_t below;
        link_filter *fits;
    } choices[] = {{33, network_may_receive}, {65, network_may_send}, {80, has_inbox}, {82, is_over}, {84, awaits_verdict}};
    uint32_t choice = 0;
    while (choice < 5 && draw >= choices[choice].below) {
        choice++;
    }
    struct link *link = choice < 5 ? choose(w, choices[choice].fits) : NULL;
    if (link == NULL) {
        return false;
    }
    switch (choice) {
    case 0:
        network_receive(w, link, false);
        break;
    case 1:
        network_output(w, link, false);
        break;
    case 2:
        client_receive(w, link);
        break;
    case 3:
        network_disconnect(w, link);
        break;
    default:
        network_authenticated(w, link);
        break;
    }
    return true;
}

static void act(struct world *w)
{
    uint32_t draw = rng_below(&w->rng, 100);
    if (move(w, draw)) {
        return;
    }
    if (draw >= 95 && draw < 99) {
        pass_time(w);
    } else if (draw == 99 && !w->scenario.plain) {
        publish_by_port(w);
    } else {
        client_act(w, rng_below(&w->rng, w->scenario.clients));
    }
}

/* Whether it is time to look at everything. That takes as long as there are entries to look at, so it is done after each step
 * of a small world; of a large one as often as keeps the average of entries in one step. */
static bool audit_is_due(struct world *w)
{
    enum { AUDIT_ENTRIES = 2000 };
    if (w->options.audit_every != 0) {
        return w->step % w->options.audit_every == 0;
    }
    struct midge_metrics metrics;
    midge_metrics(w->broker, &metrics);
    const struct midge_limits *limits = &w->scenario.config.limits;
    uint64_t entries = (uint64_t)limits->sessions + limits->filter_nodes + limits->topic_nodes;
    for (uint32_t i = 0; i < MIDGE_POOL_COUNT; i++) {
        entries += metrics.pools[i].used;
    }
    w->audit_credit += AUDIT_ENTRIES;
    if (w->audit_credit < entries) {
        return false;
    }
    w->audit_credit = 0;
    return true;
}

/* What must be true after every step. */
static void check(struct world *w)
{
    network_events(w);
    w->checks++;
    if (audit_is_due(w)) {
        w->audits++;
        oracle_counters(w);
        oracle_edges(w);
        uint32_t place = midge_audit(w->broker);
        if (place != 0) {
            fail(w, "midge_audit finds a broken invariant: file %u, line %u", place >> 16, place & 0xffff);
        }
    }
}

static void step(struct world *w)
{
    rng_seed(&w->rng, w->options.seed, w->step + 1);
    break_something(w);
    act(w);
    check(w);
}

/* ---- The end ---- */

/* A round is a turn for each link. With one delivery for all, retained messages to many leave one at a time. */
enum { WAIT_MAX_MS = 600000, ROUNDS_MAX = 100000 };

/* Lets everything flow until nothing moves any more; clients read and acknowledge everything. */
static void drain_traffic(struct world *w)
{
    bool moved = true;
    for (uint32_t round = 0; moved; round++) {
        if (round > ROUNDS_MAX) {
            fail(w, "the traffic does not end");
        }
        moved = false;
        for (uint32_t i = 1; i < w->link_count; i++) {
            struct link *link = &w->links[i];
            if (awaits_verdict(w, link)) {
                network_authenticated(w, link);
                check(w);
                moved = true;
            }
            if (network_may_receive(w, link)) {
                network_receive(w, link, true);
                check(w);
                moved = true;
            }
            while (network_may_send(w, link)) {
                network_output(w, link, true);
                check(w);
                moved = true;
            }
            while (has_inbox(w, link)) {
                client_receive(w, link);
                moved = true;
            }
            if (is_over(w, link)) {
                network_disconnect(w, link);
                check(w);
                moved = true;
            }
        }
    }
}

static void heal(struct world *w)
{
    for (uint32_t i = 1; i < w->link_count; i++) {
        w->links[i].blocked_until = 0;
        if (is_half_open(w, &w->links[i])) {
            network_disconnect(w, &w->links[i]);
            check(w);
        }
    }
    for (uint32_t i = 0; i < w->scenario.clients; i++) {
        if (w->clients[i].link != NOBODY && w->clients[i].connected) {
            client_flush(w, i);
        }
    }
}

/* Whether nothing is scarce: the pools are mostly free, nobody has a queue, and whatever waits is small. */
static bool is_ample(const struct world *w)
{
    const struct midge_limits *limits = &w->scenario.config.limits;
    struct midge_metrics metrics;
    midge_metrics(w->broker, &metrics);
    uint32_t deliveries = metrics.pools[MIDGE_POOL_DELIVERIES].used + w->sessions_used;
    uint64_t bytes = (uint64_t)metrics.pools[MIDGE_POOL_BLOCKS].used * limits->block_size;
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        const struct session *s = &w->sessions[i];
        if (s->exists && s->online && s->queue.count + s->flight.count > 0) {
            return false;
        }
    }
    for (uint32_t i = 1; i < w->link_count; i++) {
        const struct link *link = &w->links[i];
        if (link->state != LINK_FREE && link->stalled) {
            bytes += bytes_size(&link->out) + 64;
        }
    }
    return deliveries <= limits->deliveries / 4 && bytes <= (uint64_t)limits->blocks * limits->block_size / 16;
}

/* How much waits for something. */
static uint32_t count_waits(const struct world *w)
{
    uint32_t count = (uint32_t)w->will_count;
    for (uint32_t i = 1; i < w->link_count; i++) {
        count += w->links[i].state != LINK_FREE && w->links[i].stalled;
    }
    return count;
}

/* Whatever waits for something gets it, or an end, when its time is over. */
static void drain_waits(struct world *w)
{
    uint64_t start_ms = w->now_ms;
    for (;;) {
        drain_traffic(w);
        uint32_t waits = count_waits(w);
        if (waits == 0) {
            return;
        }
        if (is_ample(w)) {
            fail(w, "something waits, though there is room for everything: %zu wills, and input that is stalled",
                 w->will_count);
        }
        network_advance(w, w->now_ms);
        network_events(w);
        if (count_waits(w) < waits) {
            continue; /* what may go on does so before time passes */
        }
        if (w->deadline_ms == UINT64_MAX || w->now_ms - start_ms > WAIT_MAX_MS) {
            fail(w, "something waits, and nothing will ever end that: %zu wills, and input that is stalled", w->will_count);
        }
        network_advance(w, w->deadline_ms);
        check(w);
    }
}

static void disconnect_all(struct world *w)
{
    for (uint32_t i = 1; i < w->link_count; i++) {
        if (w->links[i].state != LINK_FREE) {
            network_disconnect(w, &w->links[i]);
            check(w);
        }
    }
    drain_waits(w);
}

/* Clean sessions take the place of all sessions that are left, and end. */
static void remove_sessions(struct world *w)
{
    w->scenario.plain = true; /* no surprises in their CONNECTs */
    w->scenario.authenticate = false;
    w->scenario.wills = 0;
    w->scenario.policy_free = true;
    network_set_policy(w);
    for (uint32_t i = 0; i < w->scenario.clients; i++) {
        if (!w->sessions[i].exists) {
            continue;
        }
        w->clients[i].persistent = false;
        w->clients[i].character = GOOD;
        client_connect(w, i);
        drain_waits(w);
        disconnect_all(w);
        if (w->sessions[i].exists) {
            fail(w, "%s could not be replaced by a clean session", say_session(w, i));
        }
    }
}

static void remove_retained(struct world *w)
{
    for (uint32_t t = 0; t < w->topics.topic_count; t++) {
        if (w->retained[t] != 0) {
            network_publish(w, message_new(w, &(struct message){.topic = t, .publisher = NOBODY, .retain = true}));
            check(w);
        }
    }
}

static void check_empty(struct world *w)
{
    static const char *const names[] = {"connections", "sessions",   "subscriptions",     "filter nodes", "topic nodes",
                                        "names",       "deliveries", "QoS 2 identifiers", "blocks"};
    oracle_counters(w);
    for (uint32_t i = 0; i < MIDGE_POOL_COUNT; i++) {
        if (w->metrics.pools[i].used != 0) {
            fail(w, "everything is gone, but %u %s are still in use", w->metrics.pools[i].used, names[i]);
        }
    }
    uint32_t place = midge_audit(w->broker);
    if (place != 0) {
        fail(w, "everything is gone, but midge_audit finds a broken invariant: file %u, line %u", place >> 16, place & 0xffff);
    }
}

static void finish(struct world *w)
{
    TRACE(w, "---- the end: everything is drained and removed ----");
    w->draining = true;
    w->scenario.late_clock = false;
    heal(w);
    drain_waits(w);
    disconnect_all(w);
    remove_sessions(w);
    remove_retained(w);
    check_empty(w);
}

/* ---- All of it ---- */

static void run(struct world *w, const uint8_t *skipped)
{
    w->message_count = 1;
    w->delivery_count = 1;
    w->replay_count = 1;
    w->messages = memory_grow(NULL, 0, &w->message_capacity, sizeof *w->messages);
    w->deliveries = memory_grow(NULL, 0, &w->delivery_capacity, sizeof *w->deliveries);
    w->replays = memory_grow(NULL, 0, &w->replay_capacity, sizeof *w->replays);
    w->records = calloc(RECORDS_MAX, sizeof *w->records);
    w->trace = w->options.trace ? calloc(TRACE_LINES, TRACE_WIDTH) : NULL;
    rng_seed(&w->rng, w->options.seed, 0);
    w->now_ms = rng_below(&w->rng, 2) == 0 ? 0 : (uint64_t)rng_next(&w->rng) << rng_below(&w->rng, 8);
    scenario_draw(w);
    clients_draw(w);
    network_start(w);
    for (w->step = 0; w->step < w->options.steps; w->step++) {
        if (skipped == NULL || !skipped[w->step]) {
            step(w);
        }
    }
    rng_seed(&w->rng, w->options.seed, (uint64_t)1 << 40);
    finish(w);
}

bool simulation_run(struct world *w, const struct options *options, const uint8_t *skipped)
{
    memset(w, 0, sizeof *w);
    w->options = *options;
    if (setjmp(w->failed) != 0) {
        return false;
    }
    run(w, skipped);
    return true;
}

void simulation_free(struct world *w)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        bytes_free(&w->links[i].out);
        bytes_free(&w->links[i].in);
        free(w->links[i].packets);
        free(w->links[i].replies);
        free(w->links[i].inbox);
    }
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        free(w->clients[i].acks);
        free(w->clients[i].received2);
        free(w->clients[i].seen2);
    }
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        free(w->sessions[i].qos2_ids);
    }
    free(w->messages);
    free(w->deliveries);
    free(w->replays);
    free(w->wills);
    free(w->records);
    free(w->trace);
    free(w->memory);
}
