/* What the packets of clients do. */
#include "client.h"
#include "model.h"
#include "oracle.h"
#include "scenario.h"

#include <string.h>

static struct session *session_of(struct world *w, const struct link *link)
{
    return &w->sessions[link->login.session];
}

/* ---- CONNECT ---- */

static void owe_connack(struct world *w, struct link *link, uint8_t code, bool present)
{
    oracle_owe(w, link, &(struct reply){.type = CONNACK, .code_count = 1, .codes = {code}, .session_present = present});
}

/* Everything that was in flight is due again [MQTT-4.4.0-1]; of messages already received, PUBREL is. */
static void resume(struct world *w, struct link *link)
{
    struct session *s = session_of(w, link);
    for (uint32_t i = s->flight.head; i != 0; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if (d->state == RELEASED) {
            oracle_owe(w, link, &(struct reply){.type = PUBREL, .packet_id = d->packet_id, .resumed = true});
        }
    }
}

static void open_session(struct world *w, struct link *link, const struct record *record, bool present)
{
    uint32_t session = link->login.session;
    struct session *s = &w->sessions[session];
    if (s->exists) {
        w->sessions_offline--;
    }
    if (!present) {
        if (s->exists) {
            fail(w, "%s connects with clean session, but its old session was not said to be gone", say_session(w, session));
        }
        session_create(w, session, record->id, record->id_size);
    }
    s->clean = link->login.clean;
    session_online(w, session, link);
    link->epoch = s->epoch;
}

static bool connects(const struct world *w, const struct record *record)
{
    return w->current_active && w->current.type == CONNECT && record->link == w->current_link;
}

void oracle_accepted(struct world *w, const struct record *record)
{
    if (!connects(w, record) || w->links[record->link].state != LINK_OPEN) {
        fail(w, "the broker accepts a client that has not sent CONNECT");
    }
    struct link *link = &w->links[record->link];
    const struct login *login = &link->login;
    oracle_settle(w);
    struct session *s = session_of(w, link);
    if (login->verdict != MIDGE_ACCEPT) {
        fail(w, "%s is accepted, but authenticate said %u", say_link(w, link), login->verdict);
    }
    if (s->exists && s->online) {
        fail(w, "%s is accepted while its session is still tied to link %u", say_link(w, link), w->links[s->link].serial);
    }
    if (login->anonymous && session_find(w, record->id, record->id_size) != NOBODY) {
        fail(w, "the broker assigns the client identifier '%.*s', which is in use", record->id_size, record->id);
    }
    bool present = s->exists && !login->clean; /* [MQTT-3.2.2-2] */
    if (record->code != present || record->size != login->keepalive_s) {
        fail(w, "%s is accepted with session present %u and keep alive %u s, expected %u and %u s", say_link(w, link),
             record->code, record->size, present, login->keepalive_s);
    }
    link->state = LINK_ACCEPTED;
    w->links_accepted++;
    TRACE(w, "  accepted: %s, session present %u", say_link(w, link), present);
    owe_connack(w, link, 0, present && (login->level & 127) != 3); /* in MQTT 3.1 that bit is reserved */
    open_session(w, link, record, present);
    if (login->has_will) {
        message_keep(w, login->will);
    }
    if (present) {
        resume(w, link);
    }
}

/* Why a refusal is wrong; NULL: it is right. */
static const char *check_refusal(struct world *w, const struct link *link, const struct record *record)
{
    const struct midge_limits *limits = &w->scenario.config.limits;
    const struct midge_policy *policy = &w->scenario.config.policy;
    const struct login *login = &link->login;
    size_t id_size = strlen(client_sent_id(w, login));
    uint8_t code = 3;
    const char *wrong = NULL;
    switch (record->reason) {
    case MIDGE_PROTOCOL_LEVEL:
        code = 1;
        wrong = (login->level & 127) == 3 || (login->level & 127) == 4 ? "the protocol level is supported" : NULL;
        break;
    case MIDGE_CLIENT_ID_EMPTY:
        code = 2;
        wrong = id_size > 0 || (login->clean && policy->empty_client_id && (login->level & 127) != 3)
                    ? "there is an identifier, or it need not be"
                    : NULL;
        break;
    case MIDGE_CLIENT_ID_SIZE:
        code = 2;
        wrong =
            policy->client_id_size_max == 0 || id_size <= policy->client_id_size_max ? "the identifier is not too long" : NULL;
        break;
    case MIDGE_NOT_AUTHENTICATED:
        code = login->verdict;
        wrong = code == MIDGE_ACCEPT ? "authenticate accepted it" : NULL;
        break;
    case MIDGE_CLIENTS_FULL:
        wrong = w->links_accepted < limits->clients ? "there is room for a client" : NULL;
        if (!login->anonymous && w->sessions[login->session].exists && w->sessions[login->session].online) {
            wrong = "it takes its own session over";
        }
        break;
    case MIDGE_SESSIONS_FULL:
        wrong = w->sessions_used < limits->sessions ? "there is room for a session" : NULL;
        break;
    case MIDGE_NAMES_FULL:
    case MIDGE_WILL_FULL:
        wrong = w->scenario.plain ? "there is room for everything" : NULL;
        break;
    default:
        wrong = "that is no reason to refuse a client";
        break;
    }
    return wrong == NULL && record->code != code ? "the return code does not fit the reason" : wrong;
}

void oracle_refused(struct world *w, const struct record *record)
{
    if (!connects(w, record) || w->links[record->link].state != LINK_OPEN) {
        fail(w, "the broker refuses a client that has not sent CONNECT");
    }
    struct link *link = &w->links[record->link];
    const char *wrong = check_refusal(w, link, record);
    if (wrong != NULL) {
        fail(w, "%s is refused with code %u (%s), but %s", say_link(w, link), record->code, say_reason(record->reason), wrong);
    }
    TRACE(w, "  refused: %s, code %u (%s)", say_link(w, link), record->code, say_reason(record->reason));
    owe_connack(w, link, record->code, false);
    link->state = LINK_REFUSED;
    link->ended_at = w->fair_ms;
}

/* ---- Acknowledgements ---- */

/* The delivery that an identifier stands for: only what was sent whole on this connection can be acknowledged. */
static uint32_t find_flight(struct world *w, const struct link *link, uint16_t packet_id)
{
    const struct session *s = &w->sessions[link->login.session];
    for (uint32_t i = s->flight.head; i != 0; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if (d->packet_id == packet_id && d->whole_on == link->serial) {
            return i;
        }
    }
    return 0;
}

static void acknowledge(struct world *w, struct link *link)
{
    struct session *s = session_of(w, link);
    uint8_t type = w->current.type;
    uint16_t id = w->current.packet_id;
    uint32_t found = find_flight(w, link, id);
    if (found == 0) {
        if (type == PUBREC) {
            oracle_owe(w, link, &(struct reply){.type = PUBREL, .packet_id = id});
        }
        return;
    }
    struct delivery *d = delivery_at(w, found);
    if (type == PUBREC && d->qos == 2) {
        bool again = d->state == RELEASED;
        if (!again) {
            d->state = RELEASED;
            message_release(w, d->message);
        }
        TRACE(w, "  received by %s: %s", say_session(w, link->login.session), say_message(w, d->message));
        oracle_owe(w, link, &(struct reply){.type = PUBREL, .packet_id = id});
        return;
    }
    if (type == PUBACK ? d->qos != 1 : type != PUBCOMP || d->state != RELEASED) {
        w->mismatch = true;
        return;
    }
    TRACE(w, "  acknowledged by %s: %s", say_session(w, link->login.session), say_message(w, d->message));
    delivery_remove(w, &s->flight, found);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

void oracle_denied(struct world *w, const struct record *record)
{
    uint32_t filter = topics_find_filter(&w->topics, (const uint8_t *)record->topic, record->topic_size);
    if (!w->current_active || w->current.type != SUBSCRIBE || record->link != w->current_link ||
        filter == w->topics.filter_count) {
        fail(w, "the broker denies a subscription to '%.*s', which nobody asks for", record->topic_size, record->topic);
    }
    w->denied[filter] = record->reason;
}

static bool subscription_may_be_full(const struct world *w)
{
    uint32_t count = w->call_filters;
    return oracle_free(w, MIDGE_POOL_SUBSCRIPTIONS) < count || oracle_free(w, MIDGE_POOL_FILTER_NODES) < 6 * count ||
           oracle_free(w, MIDGE_POOL_NAMES) < TOPIC_SIZE_MAX;
}

static uint8_t subscribe_one(struct world *w, struct link *link, uint32_t place)
{
    uint32_t session = link->login.session;
    uint32_t filter = w->current.filters[place];
    bool allowed = scenario_allows(w, session, MIDGE_SUBSCRIBE, w->topics.filter[filter], w->topics.filter_size[filter]);
    enum midge_reason reason = w->denied[filter];
    w->denied[filter] = MIDGE_NONE;
    if (reason == MIDGE_SUBSCRIBE_DENIED ? allowed : reason != MIDGE_NONE && reason != MIDGE_SUBSCRIPTIONS_FULL) {
        fail(w, "%s is denied '%s' (%s) without cause", say_session(w, session), w->topics.filter[filter], say_reason(reason));
    }
    if (reason == MIDGE_SUBSCRIPTIONS_FULL && !subscription_may_be_full(w)) {
        fail(w, "%s is denied '%s' for want of room, but there is room", say_session(w, session), w->topics.filter[filter]);
    }
    if (reason == MIDGE_NONE && !allowed) {
        fail(w, "%s may not subscribe to '%s', but no record says that it was denied", say_session(w, session),
             w->topics.filter[filter]);
    }
    if (reason != MIDGE_NONE) {
        return 0x80;
    }
    uint8_t asked = w->current.filter_qos[place];
    uint8_t granted = asked < w->scenario.config.policy.qos_max ? asked : w->scenario.config.policy.qos_max;
    session_subscribe(w, session, filter, granted);
    return granted;
}

static void subscribe(struct world *w, struct link *link)
{
    struct reply reply = {.type = SUBACK, .packet_id = w->current.packet_id, .code_count = w->current.filter_count};
    for (uint32_t i = 0; i < w->current.filter_count; i++) {
        reply.codes[i] = subscribe_one(w, link, i);
    }
    oracle_owe(w, link, &reply);
}

static void unsubscribe(struct world *w, struct link *link)
{
    for (uint32_t i = 0; i < w->current.filter_count; i++) {
        session_unsubscribe(w, link->login.session, w->current.filters[i]);
    }
    oracle_owe(w, link, &(struct reply){.type = UNSUBACK, .packet_id = w->current.packet_id});
}

/* ---- PUBLISH ---- */

static void publish_begin(struct world *w, struct link *link)
{
    const struct message *m = &w->messages[w->current.message];
    if (w->clients[link->client].link != link->index || w->clients[link->client].character == CONFUSED) {
        w->messages[m->original].overtaken = true;
    }
    if (m->qos == 2 && session_has_id(session_of(w, link), w->current.packet_id)) {
        TRACE(w, "  a repetition of a QoS 2 message that has arrived before");
        return; /* [MQTT-4.3.3-2] */
    }
    oracle_publish(w, w->current.message);
}

static void publish_done(struct world *w, struct link *link)
{
    const struct message *m = &w->messages[w->current.message];
    if (m->qos == 2 && !session_has_id(session_of(w, link), w->current.packet_id)) {
        session_add_id(w, session_of(w, link), w->current.packet_id);
    }
    if (m->qos > 0) {
        oracle_owe(w, link, &(struct reply){.type = m->qos == 1 ? PUBACK : PUBREC, .packet_id = w->current.packet_id});
    }
}

/* ---- Any packet ---- */

void oracle_packet_begin(struct world *w, struct link *link)
{
    w->current = link->packets[link->packet_begin++];
    w->current_link = link->index;
    link->held = false;
    w->current_active = true;
    w->mismatch = false;
    w->call_filters += w->current.filter_count;
    w->events++;
    TRACE(w, "%s: the broker takes %s", say_link(w, link), say_packet(w, &w->current));
    if (w->current.reasons != 0 || w->current.skipped || link->state != LINK_ACCEPTED) {
        return;
    }
    switch (w->current.type) {
    case PUBLISH:
        publish_begin(w, link);
        break;
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
        acknowledge(w, link);
        break;
    default:
        break;
    }
}

/* What the packet did, once it is known that it did not end the connection. */
static void finish(struct world *w, struct link *link)
{
    switch (w->current.type) {
    case PUBLISH:
        publish_done(w, link);
        break;
    case SUBSCRIBE:
        subscribe(w, link);
        break;
    case UNSUBSCRIBE:
        unsubscribe(w, link);
        break;
    case PUBREL:
        session_drop_id(w, session_of(w, link), w->current.packet_id);
        oracle_owe(w, link, &(struct reply){.type = PUBCOMP, .packet_id = w->current.packet_id});
        break;
    case PINGREQ:
        oracle_owe(w, link, &(struct reply){.type = PINGRESP});
        break;
    default:
        break;
    }
}

void oracle_packet_end(struct world *w)
{
    if (!w->current_active) {
        return;
    }
    w->current_active = false;
    struct link *link = &w->links[w->current_link];
    if (link->state == LINK_ENDED) {
        oracle_publish_end(w);
        return;
    }
    oracle_publish_end(w);
    if (w->current.reasons != 0 || w->mismatch || w->current.type == DISCONNECT) {
        fail(w, "%s: %s must end the connection, and has not", say_link(w, link), say_packet(w, &w->current));
    }
    if (link->state == LINK_OPEN && w->current.type == CONNECT) {
        fail(w, "%s: CONNECT was neither accepted nor refused", say_link(w, link));
    }
    if (link->state == LINK_ACCEPTED && !w->current.skipped) {
        finish(w, link);
    }
}
