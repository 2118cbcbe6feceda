/* What the broker sends: every packet must be due, in its turn; and what is due must be sent. */
#include "model.h"
#include "oracle.h"

#include <string.h>

/* ---- Replies ---- */

void oracle_owe(struct world *w, struct link *link, const struct reply *reply)
{
    (void)w;
    link->replies = memory_grow(link->replies, link->reply_end, &link->reply_capacity, sizeof *link->replies);
    link->replies[link->reply_end++] = *reply;
}

static void reply_settled(struct link *link, size_t place)
{
    memmove(&link->replies[link->reply_begin + 1], &link->replies[link->reply_begin],
            (place - link->reply_begin) * sizeof *link->replies);
    link->reply_begin++;
    if (link->reply_begin == link->reply_end) {
        link->reply_begin = 0;
        link->reply_end = 0;
    }
}

/* The first reply of a type; of those due because of a new connection, whose order is that of the messages, the one with the
 * identifier. */
static struct reply *find_reply(struct link *link, const struct decoded *packet, size_t *place)
{
    for (size_t i = link->reply_begin; i < link->reply_end; i++) {
        struct reply *reply = &link->replies[i];
        if (reply->type == packet->type && (!reply->resumed || reply->packet_id == packet->packet_id)) {
            *place = i;
            return reply;
        }
    }
    return NULL;
}

static void check_reply(struct world *w, struct link *link, const struct decoded *packet)
{
    size_t place;
    const struct reply *reply = find_reply(link, packet, &place);
    if (reply == NULL) {
        fail(w, "%s is sent %s id %u, which nothing has asked for", say_link(w, link), say_type(packet->type),
             packet->packet_id);
    }
    if (reply->packet_id != packet->packet_id) {
        fail(w, "%s is sent %s id %u, but id %u comes first", say_link(w, link), say_type(packet->type), packet->packet_id,
             reply->packet_id); /* [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4] */
    }
    if (packet->type == CONNACK && (packet->code != reply->codes[0] || packet->session_present != reply->session_present)) {
        fail(w, "%s is sent CONNACK with code %u, session present %u; expected %u, %u", say_link(w, link), packet->code,
             packet->session_present, reply->codes[0], reply->session_present);
    }
    if (packet->type == SUBACK &&
        (packet->payload.size != reply->code_count || memcmp(packet->payload.bytes, reply->codes, reply->code_count) != 0)) {
        fail(w, "%s is sent SUBACK id %u with codes that differ from what was granted", say_link(w, link), packet->packet_id);
    }
    struct session *s = link->state == LINK_ACCEPTED && reply->resumed ? &w->sessions[link->login.session] : NULL;
    for (uint32_t i = s != NULL ? s->flight.head : 0; i != 0; i = delivery_at(w, i)->next) {
        if (delivery_at(w, i)->packet_id == packet->packet_id) {
            delivery_at(w, i)->whole_on = link->serial; /* PUBCOMP may come now */
        }
    }
    reply_settled(link, place);
}

/* ---- Messages ---- */

static _Noreturn void fail_publish(struct world *w, const struct link *link, const struct decoded *packet, const char *why)
{
    uint32_t message = message_read(w, packet->payload);
    fail(w, "%s is sent PUBLISH id %u QoS %u%s%s '%.*s' of %zu bytes (%s), but %s", say_link(w, link), packet->packet_id,
         packet->qos, packet->dup ? " DUP" : "", packet->retain ? " RETAIN" : "", (int)packet->topic.size,
         (const char *)packet->topic.bytes, packet->payload.size,
         message != 0 ? say_message(w, message) : "too short to tell which", why);
}

static bool tells(const struct world *w, uint32_t message)
{
    return w->messages[message].size >= SMALL_PAYLOAD;
}

/* Something that must come before: the same publisher and QoS, still to be sent on this connection. */
static bool precedes(const struct world *w, const struct delivery *other, const struct delivery *d, uint32_t serial)
{
    return other->qos == d->qos && !other->retain && other->arrival < d->arrival && other->begun_on != serial &&
           other->state != RELEASED && tells(w, other->message) &&
           w->messages[other->message].publisher == w->messages[d->message].publisher;
}

/* [MQTT-4.6.0-6]: the order in which one client published at one QoS. */
static void check_order(struct world *w, struct link *link, const struct decoded *packet, uint32_t delivery)
{
    const struct session *s = &w->sessions[link->login.session];
    const struct delivery *d = delivery_at(w, delivery);
    if (!tells(w, d->message)) {
        return;
    }
    uint32_t lists[2] = {s->queue.head, s->flight.head};
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t i = lists[k]; i != 0 && i != delivery; i = delivery_at(w, i)->next) {
            if (precedes(w, delivery_at(w, i), d, link->serial)) {
                TRACE(w, "  before it: %s", say_message(w, delivery_at(w, i)->message));
                fail_publish(w, link, packet,
                             "a message that the same client published before it, at the same QoS, is still to be sent");
            }
        }
    }
}

/* A message that was begun on an earlier connection. */
static void check_again(struct world *w, struct link *link, const struct decoded *packet, uint32_t delivery)
{
    const struct session *s = &w->sessions[link->login.session];
    const struct delivery *d = delivery_at(w, delivery);
    if (d->begun_on == link->serial) {
        fail_publish(w, link, packet, "this packet identifier is in flight"); /* [MQTT-2.3.1-4] */
    }
    if (d->state == RELEASED) {
        fail_publish(w, link, packet, "the client has sent PUBREC for it"); /* [MQTT-4.3.3-1] */
    }
    if (!message_equals(w, d->message, packet->topic, packet->payload) || d->qos != packet->qos ||
        d->retain != packet->retain) {
        fail_publish(w, link, packet, "under this packet identifier another message is in flight");
    }
    if (!packet->dup) {
        fail_publish(w, link, packet, "it was sent on an earlier connection, DUP is due"); /* [MQTT-3.3.1-1] */
    }
    for (uint32_t i = s->flight.head; i != delivery; i = delivery_at(w, i)->next) {
        if (delivery_at(w, i)->state == SENT && delivery_at(w, i)->begun_on != link->serial) {
            fail_publish(w, link, packet, "an earlier one is still to be sent again"); /* [MQTT-4.6.0-1] */
        }
    }
}

/* Whether this may be the message of which an unknown part was sent before the last connection ended. */
static bool was_partial(const struct session *s, const struct decoded *packet)
{
    return s->partial.there && s->partial.qos == packet->qos && s->partial.retain == packet->retain &&
           (s->partial.packet_id == 0 || s->partial.packet_id == packet->packet_id);
}

static void check_dup(struct world *w, struct link *link, struct session *s, const struct decoded *packet)
{
    if (packet->dup && !was_partial(s, packet)) {
        fail_publish(w, link, packet, "it is sent for the first time, with DUP"); /* [MQTT-3.3.1-3] [MQTT-4.3.2-1] */
    }
    if (!packet->dup && was_partial(s, packet) && s->partial.packet_id != 0) {
        fail_publish(w, link, packet, "a part of it was sent on an earlier connection, DUP is due");
    }
    if (packet->dup) {
        s->partial.there = false;
    }
}

/* A retained message that is due because of a subscription. */
static uint32_t take_replay(struct world *w, struct link *link, const struct decoded *packet)
{
    uint32_t session = link->login.session;
    struct session *s = &w->sessions[session];
    uint32_t found = 0;
    bool other_qos = false;
    for (uint32_t r = s->replays; r != 0 && !(found != 0 && w->replays[found].must); r = w->replays[r].next) {
        if (message_equals(w, w->replays[r].message, packet->topic, packet->payload)) {
            if (w->replays[r].qos == packet->qos) {
                found = found == 0 || w->replays[r].must ? r : found;
            } else {
                other_qos = true;
            }
        }
    }
    if (found == 0) {
        fail_publish(w, link, packet,
                     other_qos ? "the subscription and the message give another QoS" : "no such retained message is due to it");
    }
    uint32_t message = w->replays[found].message;
    replay_remove(w, session, found);
    uint32_t delivery = delivery_new(w, packet->qos > 0 ? &s->flight : &s->queue, message, packet->qos);
    delivery_at(w, delivery)->retain = true;
    return delivery;
}

/* A message that is due because a client published it. */
static uint32_t take_queued(struct world *w, struct link *link, const struct decoded *packet)
{
    struct session *s = &w->sessions[link->login.session];
    uint32_t found = s->queue.head;
    bool other_qos = false;
    while (found != 0) {
        const struct delivery *d = delivery_at(w, found);
        if (!d->retain && d->state == QUEUED && message_equals(w, d->message, packet->topic, packet->payload)) {
            if (d->qos == packet->qos) {
                break;
            }
            other_qos = true;
        }
        found = d->next;
    }
    if (found == 0) {
        fail_publish(w, link, packet,
                     other_qos ? "it is due at another QoS" : "no such message is due to it (any more)"); /* [MQTT-3.8.4-6] */
    }
    check_order(w, link, packet, found);
    if (packet->qos > 0) {
        delivery_move(w, &s->queue, &s->flight, found);
    }
    return found;
}

/* Finds out which delivery a PUBLISH is, all of which can be seen, when its first byte leaves. */
static uint32_t identify(struct world *w, struct link *link, const struct decoded *packet)
{
    struct session *s = &w->sessions[link->login.session];
    if (link->state != LINK_ACCEPTED) {
        fail_publish(w, link, packet, "the connection has ended");
    }
    uint32_t found = packet->qos > 0 ? s->flight.head : 0;
    while (found != 0 && delivery_at(w, found)->packet_id != packet->packet_id) {
        found = delivery_at(w, found)->next;
    }
    if (found != 0) {
        check_again(w, link, packet, found);
    } else {
        check_dup(w, link, s, packet);
        found = packet->retain ? take_replay(w, link, packet) : take_queued(w, link, packet);
        if (s->flight.count > w->inflight_peak_allowed) {
            fail_publish(w, link, packet, "that is more in flight than inflight_max allows");
        }
    }
    struct delivery *d = delivery_at(w, found);
    d->packet_id = packet->packet_id;
    d->begun_on = link->serial;
    d->state = packet->qos > 0 ? SENT : SENDING;
    return found;
}

static void publish_sent(struct world *w, struct link *link, const struct decoded *packet)
{
    struct session *s = &w->sessions[link->login.session];
    uint32_t delivery = link->begun != 0 ? link->begun : identify(w, link, packet);
    link->begun = 0;
    struct delivery *d = delivery_at(w, delivery);
    TRACE(w, "%s: the broker sent%s%s at QoS %u, id %u: %s", say_link(w, link), packet->dup ? " DUP" : "",
          packet->retain ? " RETAIN" : "", packet->qos, packet->packet_id, say_message(w, d->message));
    w->delivered++;
    d->whole_on = link->serial;
    link->sent_message = d->message;
    if (packet->qos == 0) {
        delivery_remove(w, &s->queue, delivery);
    }
}

/* ---- The stream ---- */

static void packet_sent(struct world *w, struct link *link, const struct decoded *packet)
{
    w->events++;
    if (!link->connack_sent && packet->type != CONNACK) {
        fail(w, "%s is sent %s before CONNACK", say_link(w, link), say_type(packet->type)); /* [MQTT-3.2.0-1] */
    }
    link->sent_message = 0;
    if (packet->type == PUBLISH) {
        publish_sent(w, link, packet);
    } else {
        TRACE(w, "%s: the broker sent %s id %u", say_link(w, link), say_type(packet->type), packet->packet_id);
        check_reply(w, link, packet);
        link->connack_sent = true;
    }
    link->inbox = memory_grow(link->inbox, link->inbox_end, &link->inbox_capacity, sizeof *link->inbox);
    link->inbox[link->inbox_end++] = (struct decoded_copy){.type = (uint8_t)packet->type,
                                                           .qos = packet->qos,
                                                           .code = packet->code,
                                                           .dup = packet->dup,
                                                           .retain = packet->retain,
                                                           .session_present = packet->session_present,
                                                           .packet_id = packet->packet_id,
                                                           .message = link->sent_message};
}

static void fail_bytes(struct world *w, const struct link *link, const char *why)
{
    fail(w, "%s is sent bytes that are no packet of a server: %s", say_link(w, link), why);
}

/* Messages that were encoded, but not taken yet, or in part: they are not in the queue any more. The last may be cut off
 * anywhere. */
static void note_offered(struct world *w, struct link *link, const uint8_t *bytes, size_t size)
{
    struct session *s = &w->sessions[link->login.session];
    s->unseen = false;
    w->outputs++;
    for (bool first = true; size > 0; first = false) {
        struct decoded packet;
        struct decoded_start start;
        const char *why;
        bool whole = decode(&packet, bytes, size, &why) == DECODE_DONE;
        decode_start(&start, bytes, size);
        bool known = first && link->begun != 0;
        bool live = start.fields.type == PUBLISH && !start.fields.retain && !start.fields.dup && !known;
        bool topic_known = start.topic_known > 0 && start.topic_known == start.fields.topic.size;
        s->unseen = live && !topic_known;
        if (live && topic_known) {
            uint32_t topic = topics_find(&w->topics, start.fields.topic.bytes, start.fields.topic.size);
            uint32_t i = s->queue.head;
            while (i != 0 &&
                   (delivery_at(w, i)->noted == w->outputs || delivery_at(w, i)->state != QUEUED || delivery_at(w, i)->retain ||
                    delivery_at(w, i)->qos != start.fields.qos || w->messages[delivery_at(w, i)->message].topic != topic ||
                    w->messages[delivery_at(w, i)->message].size != start.payload_size ||
                    (whole && !message_equals(w, delivery_at(w, i)->message, packet.topic, packet.payload)))) {
                i = delivery_at(w, i)->next;
            }
            if (i != 0) {
                delivery_at(w, i)->offered = true;
                delivery_at(w, i)->noted = w->outputs;
            }
        }
        if (!whole) {
            return;
        }
        bytes += packet.size;
        size -= packet.size;
    }
}

void oracle_sent(struct world *w, struct link *link, const uint8_t *bytes, size_t offered, size_t sent)
{
    struct bytes *in = &link->in;
    size_t done = bytes_size(in) + sent;
    bytes_add(in, bytes, offered);
    while (done > 0) {
        struct decoded packet;
        const char *why;
        enum decode_result result = decode(&packet, in->data + in->begin, bytes_size(in), &why);
        if (result == DECODE_WRONG) {
            fail_bytes(w, link, why);
        }
        if (result == DECODE_DONE && packet.size <= done) {
            packet_sent(w, link, &packet);
            bytes_take(in, packet.size);
            done -= packet.size;
            continue;
        }
        if (result == DECODE_DONE && packet.type == PUBLISH && link->begun == 0) {
            link->begun = identify(w, link, &packet);
        }
        break;
    }
    if (link->state == LINK_ACCEPTED) {
        note_offered(w, link, in->data + in->begin, bytes_size(in));
    }
    in->end = in->begin + done; /* what was offered and not taken is forgotten */
}

void oracle_output_cut(struct world *w, struct link *link)
{
    struct session *s = &w->sessions[link->login.session];
    size_t there = bytes_size(&link->in);
    if (there > 0 && link->begun == 0) {
        struct decoded_start start;
        decode_start(&start, link->in.data + link->in.begin, there);
        const struct decoded *fields = &start.fields;
        if (fields->type == PUBLISH && fields->qos > 0 && !fields->dup) {
            s->partial =
                (struct partial){.there = true, .qos = fields->qos, .retain = fields->retain, .packet_id = fields->packet_id};
            TRACE(w, "  an unknown part of a PUBLISH of QoS %u was sent", fields->qos);
        }
    }
    link->begun = 0;
}

/* ---- Nothing to send ---- */

static void check_queue_idle(struct world *w, const struct link *link, const struct session *s, bool open)
{
    for (uint32_t i = s->queue.head; i != 0; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if (d->qos == 0 || open) {
            fail(w, "%s: the broker has nothing to send, but %s is due at QoS %u and %u messages are in flight",
                 say_link(w, link), say_message(w, d->message), d->qos, s->flight.count);
        }
    }
    for (uint32_t i = s->flight.head; i != 0; i = delivery_at(w, i)->next) {
        if (delivery_at(w, i)->whole_on != link->serial) {
            fail(w, "%s: the broker has nothing to send, but %s was in flight on an earlier connection and is due again",
                 say_link(w, link), say_message(w, delivery_at(w, i)->message)); /* [MQTT-4.4.0-1] */
        }
    }
}

/* How many others were told that they may take a free delivery for a retained message; whether they still need it shows when
 * they are asked for their output. */
static uint32_t others_offered(const struct world *w, const struct link *link)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < w->link_count; i++) {
        const struct link *other = &w->links[i];
        count += other != link && other->state == LINK_ACCEPTED && other->output_ready;
    }
    return count;
}

static void check_replays_idle(struct world *w, const struct link *link, struct session *s, bool open)
{
    if (s->replays == 0 || !open || oracle_free(w, MIDGE_POOL_DELIVERIES) <= others_offered(w, link)) {
        return; /* they wait for the window, or for a free delivery */
    }
    while (s->replays != 0) {
        const struct replay *replay = &w->replays[s->replays];
        if (replay->must) {
            fail(w, "%s: the broker has nothing to send, but retained %s is due since the subscription to '%s'",
                 say_link(w, link), say_message(w, replay->message), w->topics.filter[replay->filter]); /* [MQTT-3.3.1-6] */
        }
        replay_remove(w, link->login.session, s->replays);
    }
}

void oracle_idle(struct world *w, struct link *link)
{
    if (link->state == LINK_ENDED || link->close_seen) {
        return;
    }
    if (link->reply_begin < link->reply_end) {
        const struct reply *reply = &link->replies[link->reply_begin];
        fail(w, "%s: the broker has nothing to send, but %s id %u is due", say_link(w, link), say_type(reply->type),
             reply->packet_id);
    }
    if (bytes_size(&link->in) > 0) {
        fail(w, "%s: the broker has nothing to send, but a packet has been sent in part", say_link(w, link));
    }
    if (link->state == LINK_ACCEPTED) {
        struct session *s = &w->sessions[link->login.session];
        s->partial.there = false;
        bool open = s->flight.count < w->scenario.config.policy.inflight_max;
        check_queue_idle(w, link, s, open);
        check_replays_idle(w, link, s, open);
    }
}

void oracle_edges(struct world *w)
{
    for (uint32_t i = 1; i < w->link_count && !w->policy_changed; i++) {
        struct link *link = &w->links[i];
        if (link->state == LINK_ACCEPTED && !link->output_ready) {
            oracle_idle(w, link);
        }
    }
}
