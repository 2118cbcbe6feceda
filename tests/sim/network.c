#include "network.h"

#include "client.h"
#include "model.h"
#include "oracle.h"
#include "scenario.h"

#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = 65536, OUTPUT_MIN = 16 };

/* ---- What the broker asks ---- */

static bool view_is(struct midge_view view, const char *text)
{
    return view.size == strlen(text) && (view.size == 0 || memcmp(view.bytes, text, view.size) == 0);
}

static enum midge_verdict authenticate(void *context, const struct midge_login *asked, uint32_t *who)
{
    struct world *w = context;
    struct link *link = asked->conn.index < w->link_count ? &w->links[asked->conn.index] : NULL;
    if (link == NULL || link->state != LINK_OPEN || link->conn.generation != asked->conn.generation || link->authenticating) {
        fail(w, "authenticate is asked about a connection that has not sent CONNECT, or is asked again");
    }
    struct login *login = &link->login;
    if (asked->listener != 7 || asked->level != login->level || asked->clean_session != login->clean ||
        asked->keepalive_s != login->keepalive_s || asked->has_username != login->has_username ||
        !view_is(asked->username, login->username) || asked->has_password ||
        !view_is(asked->client_id, client_sent_id(w, login))) {
        fail(w, "authenticate is asked about %s with other fields than its CONNECT has", say_link(w, link));
    }
    link->authenticating = login->pending;
    if (login->pending) {
        return MIDGE_PENDING;
    }
    *who = login->session + 1;
    return (enum midge_verdict)login->verdict;
}

/* Some clients are known by another identifier than the one they send. */
static struct midge_view rename_client(void *context, const struct midge_login *asked)
{
    struct world *w = context;
    const struct link *link = asked->conn.index < w->link_count ? &w->links[asked->conn.index] : NULL;
    if (link == NULL || link->state != LINK_OPEN || link->conn.generation != asked->conn.generation ||
        link->login.verdict != MIDGE_ACCEPT || !view_is(asked->client_id, client_sent_id(w, &link->login))) {
        fail(w, "the broker asks for the identifier of a client that was not just accepted, or tells another than it sent");
    }
    const char *id = link->login.alias[0] != '\0' ? w->clients[link->login.session].id : "";
    return (struct midge_view){(const uint8_t *)id, (uint32_t)strlen(id)};
}

static bool authorize(void *context, uint32_t who, enum midge_action action, struct midge_view topic)
{
    const struct world *w = context;
    return scenario_allows(w, who - 1, action, (const char *)topic.bytes, topic.size);
}

/* What an earlier policy has allowed or forbidden may still show. */
static void note_policy(struct world *w, const struct midge_policy *policy)
{
    const struct midge_limits *limits = &w->scenario.config.limits;
    uint32_t size = policy->packet_size_max != 0 ? policy->packet_size_max : limits->blocks / 4 * (limits->block_size - 24);
    w->packet_size_least = size < w->packet_size_least ? size : w->packet_size_least;
    if (policy->inflight_max > w->inflight_peak_allowed) {
        w->inflight_peak_allowed = policy->inflight_max;
    }
}

void network_start(struct world *w)
{
    struct midge_config *config = &w->scenario.config;
    config->context = w;
    config->authenticate = w->scenario.authenticate || w->scenario.authorize ? authenticate : NULL;
    config->authorize = w->scenario.authorize ? authorize : NULL;
    config->client_id = w->scenario.aliases ? rename_client : NULL;
    config->log = oracle_log;
    size_t size = midge_memory_size(&config->limits);
    size_t wrong = 0;
    w->memory = calloc(1, size);
    w->broker = w->memory == NULL ? NULL : midge_init(w->memory, size, config, &wrong);
    if (w->broker == NULL) {
        fail(w, "midge_init refuses the configuration: the field at offset %zu", wrong);
    }
    w->link_count = config->limits.clients + config->limits.handshakes + 1;
    w->packet_size_least = UINT32_MAX;
    note_policy(w, &config->policy);
    w->due_ms = UINT64_MAX;
    w->fair_ms = w->now_ms;
    network_advance(w, w->now_ms);
}

/* ---- Connections ---- */

static void reset_link(struct link *link)
{
    struct link kept = *link;
    *link = (struct link){.index = kept.index};
    link->out = kept.out;
    link->in = kept.in;
    bytes_clear(&link->out);
    bytes_clear(&link->in);
    link->packets = kept.packets;
    link->packet_capacity = kept.packet_capacity;
    link->replies = kept.replies;
    link->reply_capacity = kept.reply_capacity;
    link->inbox = kept.inbox;
    link->inbox_capacity = kept.inbox_capacity;
}

struct link *network_connect(struct world *w, uint32_t client)
{
    oracle_call(w, NULL);
    struct midge_handle conn = midge_connected(w->broker, 7);
    w->crowded = conn.index == 0;
    oracle_return(w);
    w->crowded = false;
    w->events++;
    if (conn.index == 0) {
        if (w->links_used + w->will_count < w->link_count - 1) {
            fail(w, "the broker takes no connection, but only %u of %u are open", w->links_used, w->link_count - 1);
        }
        return NULL;
    }
    if (conn.index >= w->link_count || w->links[conn.index].state != LINK_FREE) {
        fail(w, "the broker gives a handle with index %u, which is out of range or in use", conn.index);
    }
    struct link *link = &w->links[conn.index];
    link->index = conn.index;
    reset_link(link);
    link->conn = conn;
    link->serial = ++w->serial;
    link->client = client;
    link->state = LINK_OPEN;
    link->opened_at = w->fair_ms;
    link->connect_timeout_ms = w->scenario.config.policy.connect_timeout_ms;
    link->heard_at = w->fair_ms;
    w->links_used++;
    TRACE(w, "%s is open", say_link(w, link));
    return link;
}

void network_written(struct world *w, struct link *link, const struct packet *meant)
{
    link->packets = memory_grow(link->packets, link->packet_end, &link->packet_capacity, sizeof *link->packets);
    struct packet *packet = &link->packets[link->packet_end++];
    uint64_t end = link->consumed + bytes_size(&link->out);
    *packet = *meant;
    packet->size = (uint32_t)(end - link->written);
    packet->end = end;
    link->written = end;
    TRACE(w, "%s: the client writes %s, %u bytes", say_link(w, link), say_packet(w, packet), packet->size);
}

void network_disconnect(struct world *w, struct link *link)
{
    TRACE(w, "%s is gone", say_link(w, link));
    link->port_gone = true;
    w->links_used--;
    oracle_call(w, NULL);
    midge_disconnected(w->broker, link->conn);
    oracle_return(w);
    w->events++;
    if (link->state != LINK_ENDED && link->state != LINK_REFUSED) {
        fail(w, "%s is gone, but the broker has not logged its end", say_link(w, link));
    }
    struct client *client = &w->clients[link->client];
    if (client->link == link->index) {
        client->link = NOBODY;
        client->connected = false;
        client->ack_count = 0;
    }
    link->state = LINK_FREE;
}

void network_cut(struct world *w, struct link *link)
{
    struct client *client = &w->clients[link->client];
    size_t there = bytes_size(&link->out);
    size_t arrive = rng_percent(&w->rng, 30) ? there : rng_below(&w->rng, (uint32_t)there + 1);
    TRACE(w, "%s: the client is cut off, %zu of %zu bytes may still arrive", say_link(w, link), arrive, there);
    link->out.end = link->out.begin + arrive;
    link->client_gone = true;
    link->inbox_begin = link->inbox_end;
    if (client->link == link->index) {
        client->link = NOBODY;
        client->connected = false;
        client->ack_count = 0;
    }
}

/* A handle that outlived its connection does nothing. */
void network_stale(struct world *w)
{
    uint32_t index = rng_between(&w->rng, 1, w->link_count - 1);
    struct midge_handle stale = w->links[index].conn;
    if (stale.index == 0) {
        return; /* there was no connection yet */
    }
    if (w->links[index].state != LINK_FREE) {
        stale.generation--;
    }
    uint8_t bytes[OUTPUT_MIN] = {0xe0, 0};
    oracle_call(w, NULL);
    bool idle = midge_receive(w->broker, stale, bytes, 2) == 2 && midge_output(w->broker, stale, bytes, sizeof bytes) == 0;
    midge_output_done(w->broker, stale, 1);
    midge_authenticated(w->broker, stale, MIDGE_ACCEPT, 1);
    midge_disconnected(w->broker, stale);
    if (!idle || w->record_count > 0) {
        fail(w, "the broker acts on a handle that is stale (index %u)", stale.index);
    }
    oracle_return(w);
}

/* ---- Bytes ---- */

bool network_may_receive(const struct world *w, const struct link *link)
{
    (void)w;
    return link->state != LINK_FREE && !link->stalled && !link->half_open && bytes_size(&link->out) > 0;
}

bool network_may_send(const struct world *w, const struct link *link)
{
    return link->state != LINK_FREE && link->output_ready && !link->half_open && !link->client_gone &&
           w->now_ms >= link->blocked_until;
}

/* How much of what is there the network brings at once: every size from one byte up. */
static size_t draw_chunk(struct world *w, size_t there)
{
    if (rng_percent(&w->rng, 40)) {
        return there;
    }
    size_t limit = there < 4096 ? there : 4096;
    return rng_scale(&w->rng, 1, (uint32_t)limit);
}

void network_receive(struct world *w, struct link *link, bool everything)
{
    size_t size = everything ? bytes_size(&link->out) : draw_chunk(w, bytes_size(&link->out));
    /* Without the broker's trace nobody could tell which of two packets caused what. */
    bool limited = !w->scenario.trace && (link->state == LINK_OPEN || link->state == LINK_ACCEPTED);
    if (limited && link->packet_begin < link->packet_end && link->packets[link->packet_begin].end < link->consumed + size) {
        size = (size_t)(link->packets[link->packet_begin].end - link->consumed);
    }
    uint64_t before = link->consumed;
    link->heard_at = w->fair_ms;
    oracle_call(w, link);
    size_t used = midge_receive(w->broker, link->conn, link->out.data + link->out.begin, size);
    w->events++;
    TRACE(w, "%s: %zu bytes arrive, the broker takes %zu", say_link(w, link), size, used);
    if (used > size) {
        fail(w, "%s: the broker takes %zu of %zu bytes", say_link(w, link), used, size);
    }
    if (used < size && (link->state == LINK_ENDED || link->state == LINK_REFUSED)) {
        fail(w, "%s has ended, but the broker does not swallow what arrives", say_link(w, link));
    }
    link->consumed = before + used;
    bytes_take(&link->out, used);
    link->stalled = used < size;
    oracle_return(w);
    link->held = link->held || link->stalled;
    if (link->state == LINK_ENDED || link->state == LINK_REFUSED) {
        link->held = false;
    }
    if (link->packet_begin == link->packet_end) {
        link->packet_begin = 0;
        link->packet_end = 0;
    }
}

/* Encoding does not consume: asked again, the broker gives the same bytes, and what has become due meanwhile. */
static size_t output_again(struct world *w, struct link *link, uint8_t *bytes, size_t size, size_t room)
{
    static uint8_t again[OUTPUT_MAX];
    oracle_call(w, NULL);
    midge_output_done(w->broker, link->conn, 0);
    oracle_return(w);
    oracle_call(w, NULL);
    size_t second = midge_output(w->broker, link->conn, again, room);
    oracle_return(w);
    if (link->state == LINK_ENDED && second == 0) {
        return 0; /* a will that had waited cut it off */
    }
    if (second < size || memcmp(bytes, again, size) != 0) {
        fail(w, "%s: midge_output gives %zu bytes, then, with none taken, %zu others", say_link(w, link), size, second);
    }
    memcpy(bytes, again, second);
    return second;
}

void network_output(struct world *w, struct link *link, bool everything)
{
    static uint8_t bytes[OUTPUT_MAX];
    bool large = everything || rng_percent(&w->rng, 60);
    size_t room = large ? OUTPUT_MAX : rng_scale(&w->rng, OUTPUT_MIN, 2000);
    oracle_call(w, NULL);
    size_t size = midge_output(w->broker, link->conn, bytes, room);
    oracle_return(w);
    if (size > room) {
        fail(w, "%s: midge_output writes %zu bytes into a buffer of %zu", say_link(w, link), size, room);
    }
    if (size > 0 && !everything && rng_percent(&w->rng, 5)) {
        size = output_again(w, link, bytes, size, room);
    }
    if (size == 0) {
        link->output_ready = false;
        oracle_idle(w, link);
        return;
    }
    size_t sent = everything || rng_percent(&w->rng, 60) ? size : rng_below(&w->rng, (uint32_t)size + 1);
    TRACE(w, "%s: the broker offers %zu bytes, %zu are sent", say_link(w, link), size, sent);
    oracle_call(w, NULL);
    oracle_sent(w, link, bytes, size, sent);
    bool more = midge_output_done(w->broker, link->conn, sent);
    if (sent < size && !more) {
        fail(w, "%s: only %zu of %zu bytes were taken, and the broker has nothing more to send", say_link(w, link), sent, size);
    }
    link->output_ready = more;
    w->events++;
    oracle_return(w);
}

/* ---- The port's own calls ---- */

void network_authenticated(struct world *w, struct link *link)
{
    link->authenticating = false;
    oracle_call(w, link);
    midge_authenticated(w->broker, link->conn, (enum midge_verdict)link->login.verdict, link->login.session + 1);
    oracle_return(w);
}

void network_publish(struct world *w, uint32_t message)
{
    static uint8_t payload[65536];
    const struct message *m = &w->messages[message];
    const char *topic = w->topics.topic[m->topic];
    message_payload(w, message, payload);
    TRACE(w, "the port publishes %s", say_message(w, message));
    const struct midge_limits *limits = &w->scenario.config.limits;
    bool valid = w->topics.topic_levels[m->topic] <= limits->topic_levels && strlen(topic) <= limits->scratch_size / 2;
    oracle_call(w, NULL);
    if (valid) {
        oracle_publish(w, message);
    }
    bool published = midge_publish(w->broker, (struct midge_view){(const uint8_t *)topic, (uint32_t)strlen(topic)},
                                   (struct midge_view){payload, m->size}, m->qos, m->retain);
    oracle_return(w);
    if (published != valid && (published || w->scenario.plain)) {
        fail(w, "midge_publish returns %d for %s", published, say_message(w, message));
    }
}

void network_set_policy(struct world *w)
{
    struct midge_policy policy;
    scenario_draw_policy(w, &policy);
    if (!midge_set_policy(w->broker, &policy, NULL)) {
        fail(w, "midge_set_policy refuses policies that are within their ranges");
    }
    TRACE(w, "the policies change");
    w->scenario.config.policy = policy;
    w->policy_changed = true;
    note_policy(w, &policy);
}

void network_events(struct world *w)
{
    struct midge_event event;
    while (midge_next_event(w->broker, &event)) {
        struct link *link = event.conn.index < w->link_count ? &w->links[event.conn.index] : NULL;
        if (link == NULL || link->state == LINK_FREE || link->conn.generation != event.conn.generation) {
            fail(w, "the broker has an event for a connection that is not there (index %u)", event.conn.index);
        }
        switch (event.type) {
        case MIDGE_OUTPUT_READY:
            if (link->output_ready) {
                fail(w, "%s: MIDGE_OUTPUT_READY comes again, though midge_output has not returned 0", say_link(w, link));
            }
            link->output_ready = true;
            break;
        case MIDGE_INPUT_READY:
            if (!link->stalled) {
                fail(w, "%s: MIDGE_INPUT_READY without a stall", say_link(w, link));
            }
            link->stalled = false;
            link->heard_at = w->fair_ms; /* the silence was the broker's */
            TRACE(w, "%s: the stall is over", say_link(w, link));
            break;
        case MIDGE_CLOSE:
            if (link->close_seen || (link->state != LINK_ENDED && link->state != LINK_REFUSED)) {
                fail(w, "%s: MIDGE_CLOSE comes again, or nothing has ended the connection", say_link(w, link));
            }
            if (link->state == LINK_REFUSED && link->reply_begin < link->reply_end && !link->port_gone &&
                w->fair_ms < link->ended_at + w->scenario.config.policy.close_ms && !w->policy_changed) {
                fail(w, "%s: MIDGE_CLOSE comes before CONNACK was sent, and before close_ms is over", say_link(w, link));
            }
            link->close_seen = true;
            link->stalled = false;
            break;
        }
    }
}

/* What the clock was called late by, beyond a second, does not count: rule 15. */
static void pass(struct world *w, uint64_t now_ms)
{
    enum { LATE_MS = 1000 };
    if (w->due_ms != UINT64_MAX && now_ms - w->late_ms > w->due_ms + LATE_MS) {
        w->late_ms = now_ms - w->due_ms;
    }
    uint64_t fair_ms = now_ms - w->late_ms;
    w->fair_ms = fair_ms > w->fair_ms ? fair_ms : w->fair_ms;
    w->now_ms = now_ms;
}

void network_time(struct world *w, uint64_t now_ms)
{
    pass(w, now_ms);
    midge_time(w->broker, now_ms);
    w->events++;
    TRACE(w, "the port has waited");
}

void network_advance(struct world *w, uint64_t now_ms)
{
    pass(w, now_ms);
    w->advanced_ms = w->fair_ms;
    oracle_call(w, NULL);
    w->deadline_ms = midge_advance(w->broker, now_ms);
    w->due_ms = w->deadline_ms == UINT64_MAX ? UINT64_MAX : w->deadline_ms - w->late_ms;
    w->events++;
    oracle_return(w);
    if (w->deadline_ms <= now_ms) {
        fail(w, "midge_advance(%llu) wants to be called at %llu", (unsigned long long)now_ms,
             (unsigned long long)w->deadline_ms);
    }
    oracle_clock(w);
}
