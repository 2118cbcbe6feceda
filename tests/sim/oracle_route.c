/* Publications: who is to receive them. */
#include "model.h"
#include "oracle.h"
#include "scenario.h"

#include <string.h>

bool oracle_may_read(const struct world *w, uint32_t session, uint32_t topic)
{
    return scenario_allows(w, session, MIDGE_READ, w->topics.topic[topic], w->topics.topic_size[topic]);
}

bool oracle_may_write(const struct world *w, uint32_t session, uint32_t topic)
{
    const char *text = w->topics.topic[topic];
    if (session == NOBODY) {
        return true;
    }
    /* $SYS is the broker's own. */
    return strncmp(text, "$SYS", 4) != 0 && scenario_allows(w, session, MIDGE_WRITE, text, w->topics.topic_size[topic]);
}

void oracle_publish(struct world *w, uint32_t message)
{
    struct publication *p = &w->publication;
    const struct message *m = &w->messages[message];
    memset(p->qos, 0xff, sizeof p->qos);
    *p = (struct publication){.active = true, .message = message, .denied = !oracle_may_write(w, m->publisher, m->topic)};
    memset(p->qos, 0xff, sizeof p->qos);
    w->published++;
    message_keep(w, message);
    if (p->denied) {
        return;
    }
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        if (!w->sessions[i].exists) {
            continue;
        }
        uint8_t granted = session_granted(w, i, m->topic);
        if (granted != 0xff) {
            p->qos[i] = granted < m->qos ? granted : m->qos;
            p->receivers[p->receiver_count++] = i;
        }
    }
}

void oracle_publish_cancel(struct world *w)
{
    struct publication *p = &w->publication;
    TRACE(w, "  the publisher is refused: %s goes to nobody", say_message(w, p->message));
    message_release(w, p->message);
    p->active = false;
}

/* A receiver for whom no loss was reported gets the message. */
static void deliver(struct world *w, uint32_t session)
{
    struct publication *p = &w->publication;
    struct session *s = &w->sessions[session];
    const struct message *m = &w->messages[p->message];
    if (!oracle_may_read(w, session, m->topic)) {
        fail(w, "%s may not read %s, but no record says that it was denied", say_session(w, session),
             say_message(w, p->message));
    }
    if (!s->online && p->qos[session] == 0 && !w->scenario.config.policy.queue_qos0) {
        fail(w, "%s is absent and misses %s, but no record says so", say_session(w, session), say_message(w, p->message));
    }
    delivery_new(w, &s->queue, p->message, p->qos[session]);
    TRACE(w, "  due to %s at QoS %u: %s", say_session(w, session), p->qos[session], say_message(w, p->message));
}

void oracle_publish_end(struct world *w)
{
    struct publication *p = &w->publication;
    if (!p->active) {
        return;
    }
    oracle_settle(w);
    p->active = false;
    const struct message *m = &w->messages[p->message];
    if (p->denied && !p->denied_seen) {
        fail(w, "%s may not be published by %s, but no record says that it was denied", say_message(w, p->message),
             say_session(w, m->publisher));
    }
    for (uint32_t i = 0; i < p->receiver_count; i++) {
        uint32_t session = p->receivers[i];
        if (p->qos[session] != 0xff && w->sessions[session].exists) {
            deliver(w, session);
        }
    }
    if (m->retain && !p->denied) {
        /* [MQTT-3.3.1-5] [MQTT-3.3.1-10]; one for which there is no room removes the one before all the same: that is outdated.
         */
        retain(w, m->topic, m->size > 0 && !p->retained_failed ? p->message : 0);
    }
    message_release(w, p->message);
}

/* ---- Wills ---- */

void oracle_will_due(struct world *w, const struct link *link)
{
    uint32_t session = link->login.session;
    uint32_t message = link->login.will;
    w->wills = memory_grow(w->wills, w->will_count, &w->will_capacity, sizeof *w->wills);
    w->wills[w->will_count++] = (struct pending_will){.message = message, .conn = link->conn, .due_at = w->fair_ms};
    TRACE(w, "  the will of %s is due: %s", say_session(w, session), say_message(w, message));
}

static void remove_will(struct world *w, size_t place)
{
    w->will_count--;
    memmove(&w->wills[place], &w->wills[place + 1], (w->will_count - place) * sizeof *w->wills);
}

/* A will is being published. */
static void begin_will(struct world *w, size_t place)
{
    struct pending_will will = w->wills[place];
    oracle_packet_end(w); /* wills come when what the call was about is done */
    oracle_publish_end(w);
    remove_will(w, place);
    oracle_publish(w, will.message);
    w->publication.from = will.conn.index;
    message_release(w, will.message); /* the publication keeps it now */
}

static bool find_will(const struct world *w, const struct record *record, size_t *place)
{
    for (size_t i = 0; i < w->will_count; i++) {
        if (w->wills[i].conn.index == record->conn_index && w->wills[i].conn.generation == record->conn_generation) {
            *place = i;
            return true;
        }
    }
    return false;
}

/* Losses are reported before the will that brings them about: it is the next one to be reported. Returns its record, or NULL.
 */
static const struct record *next_will(const struct world *w)
{
    for (uint32_t i = w->record_at + 1; i < w->record_count && w->records[i].event != MIDGE_LOG_RECEIVED; i++) {
        if (w->records[i].event == MIDGE_LOG_WILL) {
            return &w->records[i];
        }
    }
    return NULL;
}

bool oracle_will_next(struct world *w)
{
    size_t place;
    const struct record *will = next_will(w);
    if (will == NULL || !find_will(w, will, &place)) {
        return false;
    }
    begin_will(w, place);
    return true;
}

/* Whether a record that names this will may be about its way to a session, at QoS 0 or not. */
static bool may_be_lost(const struct world *w, uint32_t will, const struct record *record, uint32_t session, bool qos0)
{
    const struct message *m = &w->messages[will];
    uint8_t granted = session_granted(w, session, m->topic);
    return granted != 0xff && (granted == 0 || m->qos == 0) == qos0 && oracle_names(w, will, record);
}

bool oracle_will_rather(const struct world *w, const struct record *record, uint32_t session)
{
    size_t place;
    bool qos0 = w->publication.qos[session] == 0;
    const struct record *will = next_will(w);
    if (will == NULL || !find_will(w, will, &place) || !may_be_lost(w, w->wills[place].message, record, session, qos0)) {
        return false;
    }
    for (const struct record *later = record + 1; later < will; later++) {
        if (later->event == MIDGE_LOG_DROPPED && later->reason == record->reason &&
            oracle_names(w, w->wills[place].message, later) && session_find(w, later->id, later->id_size) == session) {
            return false;
        }
    }
    return true;
}

bool oracle_will_denied(struct world *w, const struct record *record)
{
    for (size_t i = 0; i < w->will_count; i++) {
        const struct message *m = &w->messages[w->wills[i].message];
        if (oracle_names(w, w->wills[i].message, record) && !oracle_may_write(w, m->publisher, m->topic)) {
            begin_will(w, i);
            return true;
        }
    }
    return false;
}

void oracle_will_published(struct world *w, const struct record *record)
{
    struct publication *p = &w->publication;
    if (p->active && p->from == record->conn_index && w->messages[p->message].will) {
        oracle_publish_end(w); /* its losses were reported first */
        return;
    }
    size_t place;
    if (find_will(w, record, &place)) {
        begin_will(w, place);
        oracle_publish_end(w);
        return;
    }
    fail(w, "a will of %u bytes on '%.*s' is said to be published, but no such will is due", record->size, record->topic_size,
         record->topic);
}

/* A will may wait for room as a publisher may, but not longer. */
void oracle_wills_settle(struct world *w)
{
    for (size_t i = 0; i < w->will_count; i++) {
        const struct pending_will *will = &w->wills[i];
        uint64_t waited = w->advanced_ms > will->due_at ? w->advanced_ms - will->due_at : 0;
        if (w->scenario.plain || (waited > w->scenario.config.policy.wait_ms && !w->policy_changed)) {
            fail(w, "%s has been due for %llu ms and is not published", say_message(w, will->message),
                 (unsigned long long)waited);
        }
    }
}
