#include "client.h"

#include "model.h"
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG_MAX = 100000, SIZE_CYCLE_MAX = 512 };

void clients_draw(struct world *w)
{
    struct rng *rng = &w->rng;
    for (uint32_t i = 0; i < w->scenario.clients; i++) {
        struct client *c = &w->clients[i];
        snprintf(c->id, sizeof c->id, rng_percent(rng, 20) ? "client-with-a-long-name-%u" : "c%u", i);
        c->link = NOBODY;
        c->persistent = rng_percent(rng, w->scenario.persistent);
        c->anonymous = rng_percent(rng, w->scenario.anonymous);
        c->character = GOOD;
        if (rng_percent(rng, w->scenario.bad_clients)) {
            c->character = (enum character)rng_between(rng, LAZY, VANDAL);
        }
        c->next_id = (uint16_t)(rng_percent(rng, 80) ? 1 : rng_between(rng, 65500, 65535));
    }
}

/* ---- CONNECT ---- */

static uint32_t draw_topic(struct world *w)
{
    return rng_below(&w->rng, w->topics.topic_count);
}

/* The sizes of payloads on one topic follow each other, so that topic and size, which is what the broker's records say of a
 * message, hardly ever fit two messages at once. Some are too short to tell which message they belong to. */
uint32_t client_draw_size(struct world *w, uint32_t topic)
{
    struct rng *rng = &w->rng;
    uint32_t cycle = w->scenario.payload_max < SIZE_CYCLE_MAX ? w->scenario.payload_max : SIZE_CYCLE_MAX;
    uint32_t size = SMALL_PAYLOAD + w->topic_uses[topic]++ % cycle;
    if (rng_percent(rng, 5)) {
        return rng_below(rng, SMALL_PAYLOAD);
    }
    uint32_t room = w->scenario.payload_max / cycle;
    return size + (room > 1 && rng_percent(rng, 20) ? cycle * rng_scale(rng, 1, room - 1) : 0);
}

static uint32_t draw_message(struct world *w, uint32_t publisher, bool will)
{
    struct rng *rng = &w->rng;
    const struct scenario *scenario = &w->scenario;
    uint32_t total = scenario->qos[0] + scenario->qos[1] + scenario->qos[2];
    uint32_t draw = rng_below(rng, total);
    uint8_t qos = draw < scenario->qos[0] ? 0 : draw < scenario->qos[0] + scenario->qos[1] ? 1 : 2;
    uint32_t topic = draw_topic(w);
    uint32_t size = client_draw_size(w, topic);
    if (size < SMALL_PAYLOAD) {
        qos = (uint8_t)(size % 3); /* of messages that are all alike, at least the QoS is the same */
    }
    return message_new(w, &(struct message){.topic = topic,
                                            .size = size,
                                            .publisher = publisher,
                                            .qos = qos,
                                            .retain = rng_percent(rng, scenario->retain),
                                            .will = will});
}

/* A session for a client without an identifier; NOBODY where all are taken. */
static uint32_t find_anonymous(const struct world *w)
{
    for (uint32_t i = CLIENTS_MAX; i < SESSIONS_MAX; i++) {
        bool taken = w->sessions[i].exists;
        for (uint32_t k = 1; k < w->link_count && !taken; k++) {
            const struct link *link = &w->links[k];
            taken = link->state != LINK_FREE && link->connect_written && link->login.session == i;
        }
        if (!taken) {
            return i;
        }
    }
    return NOBODY;
}

const char *client_sent_id(const struct world *w, const struct login *login)
{
    return login->anonymous ? "" : login->alias[0] != '\0' ? login->alias : w->clients[login->session].id;
}

static void draw_login(struct world *w, struct link *link, uint32_t anonymous)
{
    struct rng *rng = &w->rng;
    struct login *login = &link->login;
    const struct client *c = &w->clients[link->client];
    *login = (struct login){.session = link->client, .level = 4, .clean = !c->persistent};
    if (!w->scenario.plain) {
        if (c->anonymous) {
            login->session = anonymous;
            login->anonymous = true;
            login->clean = rng_percent(rng, 95);
        } else if (rng_percent(rng, 5)) {
            login->clean = !login->clean;
        }
        login->level = rng_percent(rng, 90) ? 4 : rng_percent(rng, 50) ? 3 : (uint8_t)(128 + rng_between(rng, 3, 4));
        login->keepalive_s = (uint16_t)(rng_percent(rng, 50) ? 0 : rng_scale(rng, 1, w->scenario.keepalive_max_s));
    }
    if (w->scenario.aliases && !login->anonymous && !w->draining && rng_percent(rng, 50)) {
        snprintf(login->alias, sizeof login->alias, "alias-%u", rng_below(rng, 100));
    }
    login->has_will = rng_percent(rng, w->scenario.wills);
    if (login->has_will) {
        login->will = draw_message(w, login->session, true);
    }
    if (w->scenario.authenticate) {
        static const enum midge_verdict refusals[] = {MIDGE_REFUSE_IDENTIFIER, MIDGE_REFUSE_UNAVAILABLE,
                                                      MIDGE_REFUSE_CREDENTIALS, MIDGE_REFUSE_UNAUTHORIZED};
        login->verdict = (uint8_t)(rng_percent(rng, 90) ? MIDGE_ACCEPT : refusals[rng_below(rng, 4)]);
        login->pending = rng_percent(rng, 30);
    }
    login->has_username = !w->draining && rng_percent(rng, 50);
    snprintf(login->username, sizeof login->username, "%s", login->has_username ? "someone" : "");
}

void client_write_connect(struct world *w, struct link *link, const char *protocol, uint8_t level, uint8_t flip,
                          struct packet *meant)
{
    static uint8_t payload[65536];
    const struct login *login = &link->login;
    const char *id = client_sent_id(w, login);
    struct connect_fields fields = {
        .protocol = protocol,
        .level = level,
        .flags = (uint8_t)((login->clean ? 0x02 : 0) | (login->has_username ? 0x80 : 0)),
        .keepalive_s = login->keepalive_s,
        .client_id = {id, strlen(id)},
        .username = {login->username, strlen(login->username)},
    };
    if (login->has_will) {
        const struct message *m = &w->messages[login->will];
        message_payload(w, login->will, payload);
        fields.flags |= (uint8_t)(0x04 | m->qos << 3 | (m->retain ? 0x20 : 0));
        fields.will_topic = (struct text){w->topics.topic[m->topic], w->topics.topic_size[m->topic]};
        fields.will_payload = (struct text){payload, m->size};
        meant->levels = w->topics.topic_levels[m->topic];
    }
    fields.flags ^= flip;
    meant->type = CONNECT;
    meant->strings = (uint32_t)(fields.client_id.size + fields.username.size + fields.will_topic.size);
    encode_connect(&link->out, &fields);
    network_written(w, link, meant);
    link->connect_written = true;
}

static void write_ack(struct world *w, struct link *link, uint8_t type, uint16_t packet_id)
{
    encode_ack(&link->out, (enum packet_type)type, packet_id);
    network_written(w, link, &(struct packet){.type = type, .packet_id = packet_id});
}

void client_connect(struct world *w, uint32_t client)
{
    struct client *c = &w->clients[client];
    uint32_t anonymous = c->anonymous ? find_anonymous(w) : 0;
    struct link *link = anonymous == NOBODY ? NULL : network_connect(w, client);
    if (link == NULL) {
        return;
    }
    draw_login(w, link, anonymous);
    if (c->character == VANDAL && rng_percent(&w->rng, 30)) {
        client_write_malformed(w, link, true);
        return; /* it does not count as the client's connection */
    }
    c->link = link->index;
    c->connected = false;
    c->ack_count = 0;
    struct packet meant = {0};
    bool old = (link->login.level & 127) == 3;
    bool unknown = !w->scenario.plain && rng_percent(&w->rng, 2);
    link->login.level = unknown ? 5 : link->login.level;
    client_write_connect(w, link, old ? "MQIsdp" : "MQTT", link->login.level, 0, &meant);
    if (c->character == CONFUSED && !w->draining && rng_percent(&w->rng, 50)) {
        /* It acknowledges from memory what was not sent again yet. */
        static const uint8_t types[] = {PUBACK, PUBREC, PUBCOMP};
        write_ack(w, link, types[rng_below(&w->rng, 3)], (uint16_t)rng_between(&w->rng, 1, 8));
    }
}

/* ---- What a client writes ---- */

static uint16_t draw_id(struct world *w, struct client *c)
{
    (void)w;
    for (;;) {
        uint16_t id = c->next_id;
        c->next_id = id == 65535 ? 1 : (uint16_t)(id + 1);
        bool used = false;
        for (uint32_t i = 0; i < c->outgoing_count; i++) {
            used = used || c->outgoing[i].packet_id == id;
        }
        if (!used) {
            return id;
        }
    }
}

static void write_publish(struct world *w, struct link *link, uint32_t message, uint16_t packet_id, bool dup)
{
    static uint8_t payload[65536];
    const struct message *m = &w->messages[message];
    struct text topic = {w->topics.topic[m->topic], w->topics.topic_size[m->topic]};
    message_payload(w, message, payload);
    uint8_t flags = (uint8_t)((dup ? 8 : 0) | m->qos << 1 | (m->retain ? 1 : 0));
    encode_publish(&link->out, flags, topic, packet_id, (struct text){payload, m->size});
    network_written(w, link,
                    &(struct packet){.type = PUBLISH,
                                     .message = message,
                                     .packet_id = packet_id,
                                     .dup = dup,
                                     .levels = w->topics.topic_levels[m->topic],
                                     .strings = (uint32_t)topic.size});
}

static void publish(struct world *w, uint32_t client, struct link *link)
{
    struct client *c = &w->clients[client];
    uint32_t message = draw_message(w, link->login.session, false);
    struct message *m = &w->messages[message];
    if (m->qos > 0 && c->outgoing_count == OUTGOING_MAX) {
        m->qos = 0;
    }
    uint16_t id = m->qos > 0 ? draw_id(w, c) : 0;
    if (m->qos > 0) {
        c->outgoing[c->outgoing_count++] = (struct outgoing){.message = message, .packet_id = id};
    }
    write_publish(w, link, message, id, false);
}

static void subscribe(struct world *w, uint32_t client, struct link *link, enum packet_type type)
{
    struct rng *rng = &w->rng;
    struct packet meant = {.type = (uint8_t)type, .packet_id = draw_id(w, &w->clients[client])};
    uint32_t wanted = rng_percent(rng, 70) ? 1 : rng_between(rng, 1, FILTERS_IN_PACKET);
    size_t size = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        uint8_t filter = (uint8_t)rng_below(rng, w->topics.filter_count);
        if (memchr(meant.filters, filter, meant.filter_count) != NULL) {
            continue;
        }
        meant.filter_qos[meant.filter_count] = (uint8_t)rng_below(rng, 3);
        meant.filters[meant.filter_count++] = filter;
        size += 2 + w->topics.filter_size[filter] + (type == SUBSCRIBE ? 1 : 0);
        meant.levels = meant.levels > w->topics.filter_levels[filter] ? meant.levels : w->topics.filter_levels[filter];
        meant.strings = meant.strings > w->topics.filter_size[filter] ? meant.strings : w->topics.filter_size[filter];
    }
    encode_subscribe(&link->out, type, meant.packet_id, size);
    for (uint32_t i = 0; i < meant.filter_count; i++) {
        encode_filter(&link->out, (struct text){w->topics.filter[meant.filters[i]], w->topics.filter_size[meant.filters[i]]});
        if (type == SUBSCRIBE) {
            encode_byte(&link->out, meant.filter_qos[i]);
        }
    }
    network_written(w, link, &meant);
}

static void write_empty(struct world *w, struct link *link, uint8_t type)
{
    encode_empty(&link->out, (enum packet_type)type);
    network_written(w, link, &(struct packet){.type = type});
}

void client_flush(struct world *w, uint32_t client)
{
    struct client *c = &w->clients[client];
    for (size_t i = 0; i < c->ack_count; i++) {
        write_ack(w, &w->links[c->link], c->acks[i].type, c->acks[i].packet_id);
    }
    c->ack_count = 0;
}

/* Acknowledges as the client's character has it. */
static void acknowledge(struct world *w, uint32_t client, uint8_t type, uint16_t packet_id)
{
    static const uint8_t types[] = {PUBACK, PUBREC, PUBREL, PUBCOMP};
    struct client *c = &w->clients[client];
    struct rng *rng = &w->rng;
    if (c->character == SILENT && !w->draining) {
        return;
    }
    c->acks = memory_grow(c->acks, c->ack_count, &c->ack_capacity, sizeof *c->acks);
    c->acks[c->ack_count++] = (struct ack){.type = type, .packet_id = packet_id};
    if (c->character == LAZY && !w->draining) {
        return;
    }
    client_flush(w, client);
    if (c->character == CONFUSED && rng_percent(rng, 20) && !w->draining) {
        uint8_t other = rng_percent(rng, 50) ? type : types[rng_below(rng, 4)];
        uint16_t id = rng_percent(rng, 50) ? packet_id : (uint16_t)rng_between(rng, 1, 20);
        write_ack(w, &w->links[c->link], other, id);
    }
}

void client_act(struct world *w, uint32_t client)
{
    struct rng *rng = &w->rng;
    struct client *c = &w->clients[client];
    if (c->link == NOBODY) {
        /* Where the broker is full, clients try less often: else it would do nothing but refuse them. */
        if (w->links_used < w->scenario.config.limits.clients || rng_percent(rng, 4)) {
            client_connect(w, client);
        }
        return;
    }
    struct link *link = &w->links[c->link];
    bool ready = c->connected || (!w->scenario.plain && rng_percent(rng, 10)); /* a client need not wait for CONNACK */
    if (!ready || bytes_size(&link->out) > BACKLOG_MAX) {
        return;
    }
    if (c->character == VANDAL && rng_percent(rng, 3)) {
        client_write_malformed(w, link, false);
        return;
    }
    if (c->ack_count > 0 && rng_percent(rng, 50)) {
        client_flush(w, client);
    }
    uint32_t draw = rng_below(rng, w->scenario.publish_weight + w->scenario.subscribe_weight + 4);
    if (draw < w->scenario.publish_weight) {
        publish(w, client, link);
    } else if (draw < w->scenario.publish_weight + w->scenario.subscribe_weight) {
        subscribe(w, client, link, rng_percent(rng, 75) ? SUBSCRIBE : UNSUBSCRIBE);
    } else if (rng_percent(rng, 80)) {
        write_empty(w, link, PINGREQ);
    } else {
        write_empty(w, link, DISCONNECT);
        c->link = NOBODY;
        c->connected = false;
        c->ack_count = 0;
        link->leaving = true;
    }
}

/* ---- What a client receives ---- */

/* After a reconnect: everything without a final acknowledgement is sent again [MQTT-4.4.0-1], each as a message of its own, so
 * that the oracle can tell which of them the broker took. */
static void resend(struct world *w, uint32_t client, struct link *link)
{
    struct client *c = &w->clients[client];
    for (uint32_t i = 0; i < c->outgoing_count; i++) {
        struct outgoing *o = &c->outgoing[i];
        if (o->released) {
            write_ack(w, link, PUBREL, o->packet_id);
        } else {
            struct message again = w->messages[o->message];
            again.publisher = link->login.session;
            again.size = again.size < SMALL_PAYLOAD ? again.size : client_draw_size(w, again.topic);
            o->message = message_new(w, &again);
            write_publish(w, link, o->message, o->packet_id, true);
        }
    }
}

static void connack(struct world *w, uint32_t client, struct link *link, const struct decoded_copy *packet)
{
    struct client *c = &w->clients[client];
    if (packet->code != 0) {
        return;
    }
    c->connected = true;
    if (c->epoch != link->epoch || c->anonymous) {
        /* Its session is new. The client knows even where it missed the CONNACK that would have told it. */
        c->epoch = link->epoch;
        c->outgoing_count = 0;
        c->received2_count = 0;
    } else {
        resend(w, client, link);
    }
}

/* QoS 2 means that the application sees it once, whatever happened on the way; unless one of the two releases packet
 * identifiers at random. */
static void application(struct world *w, uint32_t client, const struct decoded_copy *packet)
{
    struct client *c = &w->clients[client];
    uint32_t original = w->messages[packet->message].original;
    if (packet->qos != 2 || packet->retain || w->messages[packet->message].size < SMALL_PAYLOAD) {
        return;
    }
    if (original >= c->seen2_size) {
        size_t size = w->message_capacity;
        c->seen2 = realloc(c->seen2, size);
        memset(c->seen2 + c->seen2_size, 0, size - c->seen2_size);
        c->seen2_size = size;
    }
    if (c->seen2[original] && !w->messages[original].overtaken && c->character != CONFUSED) {
        fail(w, "the application of c%u has received the QoS 2 %s twice", client,
             say_message(w, packet->message)); /* [MQTT-4.3.3-2] */
    }
    c->seen2[original] = 1;
}

static void receive_publish(struct world *w, uint32_t client, const struct decoded_copy *packet)
{
    struct client *c = &w->clients[client];
    bool again = false;
    for (size_t i = 0; i < c->received2_count && packet->qos == 2; i++) {
        again = again || c->received2[i] == packet->packet_id;
    }
    if (packet->qos == 2 && !again) {
        c->received2 = memory_grow(c->received2, c->received2_count, &c->received2_capacity, sizeof *c->received2);
        c->received2[c->received2_count++] = packet->packet_id;
        application(w, client, packet);
    }
    if (packet->qos > 0) {
        acknowledge(w, client, packet->qos == 1 ? PUBACK : PUBREC, packet->packet_id);
    }
}

static void receive_ack(struct world *w, uint32_t client, struct link *link, const struct decoded_copy *packet)
{
    struct client *c = &w->clients[client];
    for (uint32_t i = 0; i < c->outgoing_count; i++) {
        struct outgoing *o = &c->outgoing[i];
        if (o->packet_id != packet->packet_id) {
            continue;
        }
        uint8_t qos = w->messages[o->message].qos;
        if (packet->type == PUBREC && qos == 2) {
            o->released = true;
            write_ack(w, link, PUBREL, o->packet_id);
        } else if (packet->type == (qos == 1 ? PUBACK : PUBCOMP)) {
            memmove(o, o + 1, (c->outgoing_count - i - 1) * sizeof *o);
            c->outgoing_count--;
        }
        return;
    }
}

void client_receive(struct world *w, struct link *link)
{
    uint32_t client = link->client;
    struct client *c = &w->clients[client];
    struct decoded_copy packet = link->inbox[link->inbox_begin++];
    if (link->inbox_begin == link->inbox_end) {
        link->inbox_begin = 0;
        link->inbox_end = 0;
    }
    if (c->link != link->index || link->client_gone) {
        return; /* it has another connection by now, or none */
    }
    switch (packet.type) {
    case CONNACK:
        connack(w, client, link, &packet);
        break;
    case PUBLISH:
        receive_publish(w, client, &packet);
        break;
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
        receive_ack(w, client, link, &packet);
        break;
    case PUBREL:
        for (size_t i = 0; i < c->received2_count; i++) {
            if (c->received2[i] == packet.packet_id) {
                c->received2[i] = c->received2[--c->received2_count];
                break;
            }
        }
        acknowledge(w, client, PUBCOMP, packet.packet_id);
        break;
    default:
        break;
    }
}
