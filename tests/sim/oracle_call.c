/* One call of the broker: its log records, in order, and what its counters say afterwards. */
#include "model.h"
#include "oracle.h"

#include <string.h>

void oracle_call(struct world *w, struct link *link)
{
    w->record_count = 0;
    w->call_filters = 0;
    midge_metrics(w->broker, &w->before);
    w->call_link = link != NULL ? link->index : NOBODY;
}

static uint8_t copy_view(char *to, size_t room, struct midge_view view)
{
    size_t size = view.size < room ? view.size : room;
    if (size > 0) {
        memcpy(to, view.bytes, size);
    }
    return (uint8_t)size;
}

void oracle_log(void *context, const struct midge_log *log)
{
    struct world *w = context;
    if (w->record_count == RECORDS_MAX) {
        fail(w, "the broker has written %u log records in one call", RECORDS_MAX);
    }
    struct record *record = &w->records[w->record_count++];
    record->event = log->event;
    record->reason = log->reason;
    record->size = log->size;
    record->limit = log->limit;
    record->packet_id = log->packet_id;
    record->packet = log->packet;
    record->code = log->code;
    record->conn_index = log->conn.index;
    record->conn_generation = log->conn.generation;
    record->link = NOBODY;
    if (log->conn.index > 0 && log->conn.index < w->link_count) {
        const struct link *link = &w->links[log->conn.index];
        if (link->state != LINK_FREE && link->conn.generation == log->conn.generation) {
            record->link = log->conn.index;
        }
    }
    if (log->client_id.size > sizeof record->id || log->topic.size > sizeof record->topic) {
        fail(w, "a log record has strings longer than promised");
    }
    record->id_size = copy_view(record->id, sizeof record->id, log->client_id);
    record->topic_size = copy_view(record->topic, sizeof record->topic, log->topic);
}

/* ---- Packets ---- */

static bool alive(const struct link *link)
{
    return link->state == LINK_ACCEPTED || link->state == LINK_OPEN;
}

/* Begins with the next packet that the broker took whole in this call. */
static void begin_next(struct world *w)
{
    struct link *link = w->call_link != NOBODY ? &w->links[w->call_link] : NULL;
    if (!w->current_active && link != NULL && alive(link) && link->packet_begin < link->packet_end &&
        link->packets[link->packet_begin].end <= link->consumed) {
        w->current_received = false;
        oracle_packet_begin(w, link);
    }
}

/* What a packet brings about is logged before the packet itself, but for these, which are logged first. */
static bool logged_first(uint8_t type)
{
    return type != CONNECT && type != PUBLISH && type != SUBSCRIBE && type != UNSUBSCRIBE;
}

/* The trace tells where the work on one packet ends: its record comes when all but the end of its connection is done. */
static void received(struct world *w, const struct record *record)
{
    begin_next(w);
    while (w->current_active && w->current.skipped) {
        oracle_packet_end(w);
        begin_next(w);
    }
    const struct packet *packet = &w->current;
    if (!w->current_active || record->link != w->current_link || w->current_received) {
        fail(w, "the broker says it received %s id %u, but no such packet was taken whole", say_type(record->packet >> 4),
             record->packet_id);
    }
    const struct link *link = &w->links[record->link];
    if (packet->type != record->packet >> 4 || packet->packet_id != record->packet_id || packet->size != record->size) {
        fail(w, "the broker says it received %s id %u of %u bytes on %s, but the client sent %s of %u bytes",
             say_type(record->packet >> 4), record->packet_id, record->size, say_link(w, link), say_packet(w, packet),
             packet->size);
    }
    if (packet->type == PUBLISH && packet->reasons == 0) {
        const char *topic = w->topics.topic[w->messages[packet->message].topic];
        if (strlen(topic) != record->topic_size || memcmp(topic, record->topic, record->topic_size) != 0) {
            fail(w, "the broker says it received a PUBLISH on '%.*s', but the client sent it on '%s'", record->topic_size,
                 record->topic, topic);
        }
    }
    w->current_received = true;
    if (!logged_first(packet->type)) {
        oracle_packet_end(w);
        begin_next(w);
    }
}

/* A record that does not belong to the packet at hand, which was logged first, belongs to the next. */
static void turn_to(struct world *w, const struct record *record)
{
    while (w->current_active && w->current.skipped) {
        oracle_packet_end(w);
        begin_next(w);
    }
    bool own_end = record->event == MIDGE_LOG_DISCONNECTED && record->link == w->current_link &&
                   (w->mismatch || w->current.type == DISCONNECT);
    if (w->current_active && w->current_received && !own_end && w->links[w->current_link].state != LINK_ENDED) {
        oracle_packet_end(w);
        begin_next(w);
    }
}

/* ---- Records ---- */

static void judge(struct world *w, const struct record *record)
{
    turn_to(w, record);
    switch (record->event) {
    case MIDGE_LOG_RECEIVED:
        received(w, record);
        break;
    case MIDGE_LOG_CONNECTED:
        oracle_accepted(w, record);
        break;
    case MIDGE_LOG_REFUSED:
        oracle_refused(w, record);
        break;
    case MIDGE_LOG_DISCONNECTED:
        oracle_ended(w, record);
        break;
    case MIDGE_LOG_DENIED:
        oracle_denied(w, record);
        break;
    case MIDGE_LOG_DROPPED:
        oracle_dropped(w, record);
        break;
    case MIDGE_LOG_SESSION_GONE:
        oracle_session_gone(w, record);
        break;
    case MIDGE_LOG_WILL:
        oracle_will_published(w, record);
        break;
    case MIDGE_LOG_SENT:
    case MIDGE_LOG_SUBSCRIBED: /* nobody asks for these two */
    case MIDGE_LOG_UNSUBSCRIBED:
        break;
    }
}

void oracle_settle(struct world *w)
{
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *s = &w->sessions[i];
        if (s->settling) {
            s->settling = false;
            oracle_session_settle(w, i);
        }
    }
}

/* A packet that was taken whole, on a connection that goes on, was dealt with. */
static void check_taken(struct world *w)
{
    struct link *link = w->call_link != NOBODY ? &w->links[w->call_link] : NULL;
    if (link == NULL || !alive(link)) {
        return;
    }
    if (link->packet_begin < link->packet_end && link->packets[link->packet_begin].end <= link->consumed) {
        fail(w, "%s: the broker has taken %s and has not dealt with it", say_link(w, link),
             say_packet(w, &link->packets[link->packet_begin]));
    }
}

void oracle_return(struct world *w)
{
    begin_next(w);
    for (uint32_t i = 0; i < w->record_count; i++) {
        w->record_at = i;
        judge(w, &w->records[i]);
    }
    oracle_settle(w);
    if (w->current_active && w->current_received) {
        oracle_packet_end(w);
        begin_next(w);
    }
    if (w->scenario.trace && w->current_active && !w->current_received && !w->current.skipped &&
        alive(&w->links[w->current_link])) {
        fail(w, "the broker's trace does not show %s", say_packet(w, &w->current));
    }
    oracle_packet_end(w);
    oracle_publish_end(w);
    oracle_wills_settle(w);
    check_taken(w);
    w->record_count = 0;
}

/* ---- Counters ---- */

static void compare(struct world *w, const char *what, uint64_t broker, uint64_t oracle)
{
    if (broker != oracle) {
        fail(w, "the broker counts %llu %s, the oracle %llu", (unsigned long long)broker, what, (unsigned long long)oracle);
    }
}

static uint32_t count_replays(const struct world *w, bool excused)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        const struct session *s = &w->sessions[i];
        for (uint32_t r = s->exists ? s->replays : 0; r != 0; r = w->replays[r].next) {
            count += !(excused && w->replays[r].must);
        }
    }
    return count;
}

/* Retained messages that are in a window but have not been seen to leave are the only deliveries that the model does not know.
 */
static void compare_deliveries(struct world *w, const struct midge_metrics *metrics)
{
    if (metrics->queued == w->deliveries_used) {
        return;
    }
    uint32_t unseen = count_replays(w, false);
    if (metrics->queued < w->deliveries_used || metrics->queued > w->deliveries_used + unseen) {
        fail(w, "the broker counts %u deliveries, the oracle %u and %u retained messages that are due", metrics->queued,
             w->deliveries_used, unseen);
    }
}

uint32_t oracle_free(const struct world *w, enum midge_pool_id pool)
{
    struct midge_metrics now;
    midge_metrics(w->broker, &now);
    uint32_t used = now.pools[pool].used > w->before.pools[pool].used ? now.pools[pool].used : w->before.pools[pool].used;
    return now.pools[pool].capacity - used;
}

void oracle_counters(struct world *w)
{
    struct midge_metrics *m = &w->metrics;
    midge_metrics(w->broker, m);
    for (uint32_t i = 0; i < MIDGE_REASON_COUNT; i++) {
        if (m->drops[i] != w->drops[i]) {
            fail(w, "the broker counts %llu losses for %s, its log records say %llu", (unsigned long long)m->drops[i],
                 say_reason((enum midge_reason)i), (unsigned long long)w->drops[i]);
        }
    }
    compare(w, "clients connected", m->clients_connected, w->links_accepted);
    compare(w, "sessions", m->pools[MIDGE_POOL_SESSIONS].used, w->sessions_used);
    compare(w, "sessions of absent clients", m->sessions_offline, w->sessions_offline);
    compare(w, "subscriptions", m->subscriptions, w->subscriptions_used);
    compare(w, "retained messages", m->retained, w->retained_count);
    compare(w, "bytes of retained messages", m->retained_bytes, w->retained_bytes);
    compare(w, "QoS 2 identifiers", m->pools[MIDGE_POOL_QOS2_IDENTIFIERS].used, w->qos2_used);
    compare(w, "deliveries in the pool", m->pools[MIDGE_POOL_DELIVERIES].used, m->queued);
    compare_deliveries(w, m);
    uint32_t waiting = 0; /* a message that waits for room may be stored already */
    for (uint32_t i = 1; i < w->link_count; i++) {
        waiting += w->links[i].state != LINK_FREE && w->links[i].held;
    }
    waiting += count_replays(w, true); /* and a replaced one may still be on its way */
    if (waiting == 0) {
        compare(w, "stored messages", m->stored_messages, w->stored_messages);
        compare(w, "bytes of stored messages", m->stored_bytes, w->stored_bytes);
    } else if (m->stored_messages < w->stored_messages || m->stored_messages > w->stored_messages + waiting) {
        fail(w, "the broker counts %u stored messages, the oracle %u and %u that wait for room", m->stored_messages,
             w->stored_messages, waiting);
    }
}
