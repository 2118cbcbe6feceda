/* Ends of connections: whether the broker may end one, or should have. */
#include "model.h"
#include "oracle.h"
#include "scenario.h"

#include <string.h>

/* Whether the broker has taken a part of the link's next packet. */
static bool next_begun(const struct link *link)
{
    if (link->packet_begin == link->packet_end) {
        return false;
    }
    const struct packet *next = &link->packets[link->packet_begin];
    return next->end - next->size < link->consumed;
}

/* Reasons that only the clock can bring about. */
static const char *check_clock(const struct world *w, const struct link *link, enum midge_reason reason)
{
    uint64_t silent = w->fair_ms - link->heard_at;
    switch (reason) {
    case MIDGE_KEEPALIVE:
        if (link->state != LINK_ACCEPTED || link->login.keepalive_s == 0 || silent < link->login.keepalive_s * 1500ull) {
            return "it has not been silent for 1.5 times its keep alive";
        }
        return link->stalled ? "its input is stalled, it cannot be heard" : NULL;
    case MIDGE_CONNECT_TIMEOUT:
        if (link->state != LINK_OPEN || w->fair_ms - link->opened_at < link->connect_timeout_ms) {
            return "the time for CONNECT is not over";
        }
        return NULL;
    case MIDGE_ASSEMBLY_TIMEOUT:
        return next_begun(link) ? NULL : "it has sent no half packet";
    default:
        return NULL;
    }
}

/* Whether the policy for a message that is due to a connected client at this QoS (0xff: it is not) is to disconnect it. */
static bool disconnects(const struct world *w, uint8_t qos)
{
    const struct midge_policy *policy = &w->scenario.config.policy;
    return qos != 0xff && (qos == 0 ? policy->overflow_qos0 : policy->overflow_qos12) == MIDGE_DISCONNECT;
}

/* Reasons that have to do with what a publisher wants to publish: the record of its end names what was refused, but where that
 * was not put together, or is not for its own sake. */
static const char *check_refusal(const struct world *w, const struct link *link, const struct record *record)
{
    const struct midge_policy *policy = &w->scenario.config.policy;
    const struct packet *packet = &w->current;
    enum midge_reason reason = record->reason;
    bool named = record->topic_size > 0;
    bool working = w->current_active && w->current_link == link->index;
    bool codes = working && packet->type == SUBSCRIBE && packet->filter_count > 4;
    if (reason == MIDGE_NO_ROOM && !named) {
        /* For a packet that is not there as a whole, or for a SUBACK with many codes. */
        return (link->held || next_begun(link) || codes) && !w->scenario.plain ? NULL : "it has sent nothing that needs room";
    }
    if (!working || packet->type != PUBLISH) {
        return "it is not publishing";
    }
    if (named ? !oracle_names(w, packet->message, record) : reason != MIDGE_QOS2_FULL) {
        return "the record does not name what it publishes";
    }
    const struct publication *p = &w->publication;
    if (!p->active || p->message != packet->message || p->begun) {
        return "what it publishes was published";
    }
    uint8_t qos = w->messages[packet->message].qos;
    if (reason == MIDGE_QOS2_FULL) {
        /* Rule 4: one session takes no more of them than are left. */
        uint32_t held = (uint32_t)w->sessions[link->login.session].qos2_count;
        uint32_t room = w->scenario.config.limits.qos2_identifiers - w->qos2_used;
        return qos != 2 || (room > 0 && held < room) ? "there is room for its QoS 2 identifier" : NULL;
    }
    if (reason == MIDGE_SLOW_READER) {
        return disconnects(w, p->qos[link->login.session]) ? NULL : "it gets nothing of that itself, or the policy is another";
    }
    if (qos == 0) {
        return "a QoS 0 message is dropped rather than refused";
    }
    if (w->scenario.plain) {
        return "there is room for everything";
    }
    if (reason == MIDGE_RETAINED_FULL && (policy->overflow_offline != MIDGE_REFUSE || !w->messages[packet->message].retain)) {
        return "it has nothing to retain, or the policy is not to refuse";
    }
    if (reason == MIDGE_REFUSED_BY_SUBSCRIBER && policy->overflow_qos12 != MIDGE_REFUSE &&
        policy->overflow_offline != MIDGE_REFUSE) {
        return "no policy is to refuse";
    }
    return NULL;
}

static const char *check_size(const struct world *w, const struct link *link, enum midge_reason reason)
{
    const struct midge_limits *limits = &w->scenario.config.limits;
    if (link->packet_begin == link->packet_end && !(w->current_active && w->current_link == link->index)) {
        return "it has sent no packet";
    }
    const struct packet *packet =
        w->current_active && w->current_link == link->index ? &w->current : &link->packets[link->packet_begin];
    /* Packets in assembly take half the blocks, before CONNECT an eighth. */
    uint64_t blocks = limits->blocks / (link->state == LINK_OPEN ? 8 : 2);
    bool tight = blocks * (limits->block_size - 8) < packet->size + 64u;
    if (reason == MIDGE_PACKET_SIZE) {
        /* Of a packet that comes in parts this is decided when its header comes, by the policy of that time. */
        bool large = packet->size > w->packet_size_least;
        return large || tight ? NULL : "the packet is not too large";
    }
    if (reason == MIDGE_TOPIC_LEVELS) {
        return packet->levels > limits->topic_levels ? NULL : "it has no more levels than allowed";
    }
    return packet->strings > limits->scratch_size / 2 ? NULL : "its strings fit the scratch";
}

/* Why this end is wrong; NULL: it is right. */
static const char *check_reason(const struct world *w, const struct link *link, const struct record *record)
{
    enum midge_reason reason = record->reason;
    bool working = w->current_active && w->current_link == link->index;
    const struct packet *next = link->packet_begin < link->packet_end ? &link->packets[link->packet_begin] : NULL;
    switch (reason) {
    case MIDGE_CLIENT_DISCONNECT:
        return working && w->current.type == DISCONNECT ? NULL : "it has not sent DISCONNECT";
    case MIDGE_CONNECTION_LOST:
        return link->port_gone ? NULL : "its connection is there";
    case MIDGE_KEEPALIVE:
    case MIDGE_CONNECT_TIMEOUT:
    case MIDGE_ASSEMBLY_TIMEOUT:
        return check_clock(w, link, reason);
    case MIDGE_TAKEN_OVER:
        return w->current_active && w->current.type == CONNECT && w->current_link != link->index &&
                       w->links[w->current_link].login.session == link->login.session
                   ? NULL
                   : "no other connection has asked for its session";
    case MIDGE_SLOW_READER:
        return record->topic_size > 0 ? check_refusal(w, link, record) : NULL; /* else it is looked at as a subscriber */
    case MIDGE_CONNECT_CROWDED:
        return link->state == LINK_OPEN && w->crowded ? NULL : "nobody else wanted to connect, or it has sent CONNECT";
    case MIDGE_RETAINED_FULL:
    case MIDGE_NO_ROOM:
    case MIDGE_REFUSED_BY_SUBSCRIBER:
    case MIDGE_QOS2_FULL:
        return check_refusal(w, link, record);
    case MIDGE_PACKET_SIZE:
    case MIDGE_TOPIC_LEVELS:
    case MIDGE_SCRATCH:
        return check_size(w, link, reason);
    case MIDGE_ACK_MISMATCH:
        return working && w->mismatch ? NULL : "it has not acknowledged anything with the wrong kind";
    default:
        break;
    }
    uint64_t reasons = working ? w->current.reasons : next != NULL ? next->reasons : 0;
    return (reasons & (1ull << reason)) != 0 ? NULL : "it has not broken that rule";
}

/* How many of what is due to a session at QoS 0 a record of a loss could mean, where it names that message. */
static uint32_t count_alike(const struct world *w, const struct session *s, const struct record *record)
{
    uint32_t count = 0;
    for (uint32_t i = s->queue.head; i != 0; i = w->deliveries[i].next) {
        count += w->deliveries[i].qos == 0 && oracle_names(w, w->deliveries[i].message, record);
    }
    for (uint32_t r = s->replays; r != 0; r = w->replays[r].next) {
        count += w->replays[r].qos == 0 && oracle_names(w, w->replays[r].message, record);
    }
    return count;
}

/* All messages that may be lost with a session, as far as is known before its end. */
static uint32_t count_undelivered(const struct world *w, const struct session *s)
{
    uint32_t count = s->queue.count;
    for (uint32_t i = s->flight.head; i != 0; i = w->deliveries[i].next) {
        count += w->deliveries[i].state != RELEASED;
    }
    for (uint32_t r = s->replays; r != 0; r = w->replays[r].next) {
        count++;
    }
    return count;
}

/* Whether the records to come tell that a session which is cut off has got what is being published, and loses it with its
 * connection: more is lost than was due to it before. */
static bool lost_behind(const struct world *w, uint32_t session)
{
    const struct session *s = &w->sessions[session];
    uint32_t cuts = 0;
    for (uint32_t i = w->record_at + 1; i < w->record_count && w->records[i].event != MIDGE_LOG_WILL; i++) {
        const struct record *record = &w->records[i];
        if (record->id_size != s->id_size || memcmp(record->id, s->id, s->id_size) != 0) {
            continue;
        }
        if (record->event == MIDGE_LOG_DROPPED && record->reason == MIDGE_QOS0_CUT &&
            oracle_names(w, w->publication.message, record) && ++cuts > count_alike(w, s, record)) {
            return true;
        }
        if (record->event == MIDGE_LOG_SESSION_GONE && s->clean && record->size > count_undelivered(w, s)) {
            return true;
        }
    }
    return false;
}

/* A subscriber is cut off for the sake of what is being published, or of a will that comes right behind that. In the latter
 * case the subscriber has got the message. */
static bool published_before(const struct world *w, uint32_t session)
{
    const struct publication *p = &w->publication;
    if (!p->active || p->qos[session] == 0xff) {
        return false;
    }
    return p->begun || lost_behind(w, session);
}

/* A connection that is cut off as a subscriber is in the way of what others publish. What it has sent itself was dealt with
 * before: the record of its end would name a PUBLISH of its own that is refused. */
static void attribute(struct world *w, const struct link *link)
{
    if (w->current_active && w->current_link == link->index) {
        oracle_packet_end(w);
    } else if (published_before(w, link->login.session)) {
        oracle_publish_end(w);
    }
}

/* Whether this message, once it is published, would be due to the session, and the policy may be to cut it off. */
static bool may_cut_off(const struct world *w, uint32_t message, uint32_t session)
{
    const struct message *m = &w->messages[message];
    uint8_t granted = session_granted(w, session, m->topic);
    return disconnects(w, granted < m->qos || granted == 0xff ? granted : m->qos) && oracle_may_read(w, session, m->topic) &&
           oracle_may_write(w, m->publisher, m->topic);
}

static bool will_may_cut_off(const struct world *w, uint32_t session)
{
    for (size_t i = 0; i < w->will_count; i++) {
        if (may_cut_off(w, w->wills[i].message, session)) {
            return true;
        }
    }
    return false;
}

/* Whether the packet that the current call leaves behind is a PUBLISH that may cut the session off, and has to wait all the
 * same. */
static bool next_may_cut_off(const struct world *w, uint32_t session)
{
    const struct link *from = w->call_link != NOBODY ? &w->links[w->call_link] : NULL;
    if (from == NULL || from->packet_begin == from->packet_end) {
        return false;
    }
    const struct packet *next = &from->packets[from->packet_begin];
    return next->type == PUBLISH && next->reasons == 0 && may_cut_off(w, next->message, session);
}

/* Why a connection may not be cut off as a subscriber; NULL: it may. */
static const char *check_slow_reader(const struct world *w, const struct link *link)
{
    if (link->state != LINK_ACCEPTED) {
        return "it is not accepted";
    }
    if (link->held && link->reply_begin < link->reply_end) {
        return NULL; /* it does not take its replies, and goes on asking */
    }
    uint32_t session = link->login.session;
    const struct publication *p = &w->publication;
    bool by_will = will_may_cut_off(w, session);
    if (!by_will && !(p->active && disconnects(w, p->qos[session])) && !next_may_cut_off(w, session)) {
        return "nothing is being published for the sake of which the policy would end it";
    }
    bool got = by_will && p->active && p->qos[session] != 0xff; /* perhaps */
    return got || w->sessions[session].queue.count + w->sessions[session].flight.count > 0 ? NULL : "nothing waits for it";
}

void oracle_ended(struct world *w, const struct record *record)
{
    if (record->link == NOBODY) {
        fail(w, "the broker ends a connection that is not there (%s)", say_reason(record->reason));
    }
    struct link *link = &w->links[record->link];
    if (link->state == LINK_ENDED) {
        fail(w, "%s ended once and ends again (%s)", say_link(w, link), say_reason(record->reason));
    }
    const char *wrong = check_reason(w, link, record);
    if (record->reason == MIDGE_SLOW_READER && record->topic_size == 0) {
        if (link->state == LINK_ACCEPTED) {
            attribute(w, link);
        }
        wrong = check_slow_reader(w, link);
    }
    if (wrong != NULL) {
        fail(w, "the broker ends %s (%s), but %s", say_link(w, link), say_reason(record->reason), wrong);
    }
    TRACE(w, "  the broker ends %s (%s)", say_link(w, link), say_reason(record->reason));
    enum link_state before = link->state;
    link->state = LINK_ENDED;
    link->end_reason = record->reason;
    link->held = false;
    link->ended_at = w->fair_ms;
    if (w->current_active && w->current_link == link->index && w->publication.active &&
        w->publication.message == w->current.message) {
        oracle_publish_cancel(w);
    }
    if (before != LINK_ACCEPTED) {
        return;
    }
    w->links_accepted--;
    uint32_t session = link->login.session;
    oracle_output_cut(w, link);
    session_offline(w, session);
    w->sessions[session].settling = true;
    if (link->login.has_will) {
        if (record->reason != MIDGE_CLIENT_DISCONNECT) {
            oracle_will_due(w, link); /* [MQTT-3.1.2-8] */
        } else {
            message_release(w, link->login.will); /* [MQTT-3.14.4-3] */
        }
        link->login.has_will = false;
    }
}

/* The time is up for those who are silent. */
void oracle_clock(struct world *w)
{
    const struct midge_policy *policy = &w->scenario.config.policy;
    for (uint32_t i = 1; i < w->link_count; i++) {
        const struct link *link = &w->links[i];
        if (link->state == LINK_ACCEPTED && link->login.keepalive_s != 0 && !link->stalled &&
            w->fair_ms >= link->heard_at + link->login.keepalive_s * 1500ull) {
            fail(w, "%s has been silent for %llu ms with a keep alive of %u s and is still there", say_link(w, link),
                 (unsigned long long)(w->fair_ms - link->heard_at), link->login.keepalive_s); /* [MQTT-3.1.2-24] */
        }
        if (link->state == LINK_OPEN && !link->stalled && w->fair_ms >= link->opened_at + link->connect_timeout_ms) {
            fail(w, "%s has sent no CONNECT for %llu ms and is still there", say_link(w, link),
                 (unsigned long long)(w->fair_ms - link->opened_at));
        }
    }
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        const struct session *s = &w->sessions[i];
        uint64_t kept = w->fair_ms - s->offline_since;
        if (s->exists && !s->online && policy->session_expiry_s != 0 && !w->policy_changed &&
            kept > policy->session_expiry_s * 1000ull + 1000) {
            fail(w, "%s has been absent for %llu ms, its session should have expired", say_session(w, i),
                 (unsigned long long)kept);
        }
    }
}
