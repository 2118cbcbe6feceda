#include "model.h"

#include "oracle.h"

#include <stdlib.h>
#include <string.h>

/* ---- Messages ---- */

uint32_t message_new(struct world *w, const struct message *fields)
{
    w->messages = memory_grow(w->messages, w->message_count, &w->message_capacity, sizeof *w->messages);
    uint32_t message = (uint32_t)w->message_count++;
    w->messages[message] = *fields;
    w->messages[message].refs = 0;
    if (fields->original == 0) {
        w->messages[message].original = message;
    }
    return message;
}

static uint8_t fill_byte(uint32_t message, uint32_t place)
{
    return (uint8_t)(message * 31 + place * 7 + (place >> 8));
}

void message_payload(const struct world *w, uint32_t message, uint8_t *payload)
{
    uint32_t size = w->messages[message].size;
    bool tells = size >= SMALL_PAYLOAD;
    for (uint32_t i = 0; i < size; i++) {
        payload[i] = fill_byte(tells ? message : 0, i);
    }
    if (tells) {
        for (uint32_t i = 0; i < 4; i++) {
            payload[i] = (uint8_t)(message >> (8 * i));
        }
    }
}

uint32_t message_read(const struct world *w, struct text payload)
{
    if (payload.size < SMALL_PAYLOAD) {
        return 0;
    }
    const uint8_t *bytes = payload.bytes;
    uint32_t message = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return message < w->message_count ? message : 0;
}

bool message_equals(const struct world *w, uint32_t message, struct text topic, struct text payload)
{
    const struct message *m = &w->messages[message];
    if (payload.size != m->size || topic.size != w->topics.topic_size[m->topic] ||
        memcmp(topic.bytes, w->topics.topic[m->topic], topic.size) != 0) {
        return false;
    }
    bool tells = m->size >= SMALL_PAYLOAD;
    if (tells && message_read(w, payload) != message) {
        return false;
    }
    const uint8_t *bytes = payload.bytes;
    for (uint32_t i = tells ? 4 : 0; i < m->size; i++) {
        if (bytes[i] != fill_byte(tells ? message : 0, i)) {
            return false;
        }
    }
    return true;
}

static uint32_t message_bytes(const struct world *w, uint32_t message)
{
    return w->topics.topic_size[w->messages[message].topic] + w->messages[message].size;
}

void message_keep(struct world *w, uint32_t message)
{
    if (w->messages[message].refs++ == 0) {
        w->stored_messages++;
        w->stored_bytes += message_bytes(w, message);
    }
}

void message_release(struct world *w, uint32_t message)
{
    if (--w->messages[message].refs == 0) {
        w->stored_messages--;
        w->stored_bytes -= message_bytes(w, message);
    }
}

/* ---- Deliveries ---- */

static void list_append(struct world *w, struct delivery_list *list, uint32_t delivery)
{
    struct delivery *d = delivery_at(w, delivery);
    d->next = 0;
    d->prev = list->tail;
    if (list->tail != 0) {
        delivery_at(w, list->tail)->next = delivery;
    } else {
        list->head = delivery;
    }
    list->tail = delivery;
    list->count++;
}

static void list_unlink(struct world *w, struct delivery_list *list, uint32_t delivery)
{
    struct delivery *d = delivery_at(w, delivery);
    if (d->prev != 0) {
        delivery_at(w, d->prev)->next = d->next;
    } else {
        list->head = d->next;
    }
    if (d->next != 0) {
        delivery_at(w, d->next)->prev = d->prev;
    } else {
        list->tail = d->prev;
    }
    list->count--;
}

uint32_t delivery_new(struct world *w, struct delivery_list *list, uint32_t message, uint8_t qos)
{
    uint32_t delivery = w->delivery_free;
    if (delivery != 0) {
        w->delivery_free = delivery_at(w, delivery)->next;
    } else {
        w->deliveries = memory_grow(w->deliveries, w->delivery_count, &w->delivery_capacity, sizeof *w->deliveries);
        delivery = (uint32_t)w->delivery_count++;
    }
    *delivery_at(w, delivery) = (struct delivery){.message = message, .qos = qos, .arrival = ++w->arrivals};
    list_append(w, list, delivery);
    message_keep(w, message);
    w->deliveries_used++;
    return delivery;
}

void delivery_move(struct world *w, struct delivery_list *from, struct delivery_list *to, uint32_t delivery)
{
    list_unlink(w, from, delivery);
    list_append(w, to, delivery);
}

void delivery_remove(struct world *w, struct delivery_list *list, uint32_t delivery)
{
    list_unlink(w, list, delivery);
    if (delivery_at(w, delivery)->state != RELEASED) {
        message_release(w, delivery_at(w, delivery)->message);
    }
    delivery_at(w, delivery)->next = w->delivery_free;
    w->delivery_free = delivery;
    w->deliveries_used--;
}

/* ---- Sessions ---- */

uint32_t session_find(const struct world *w, const char *id, size_t size)
{
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        const struct session *s = &w->sessions[i];
        if (s->exists && s->id_size == size && memcmp(s->id, id, size) == 0) {
            return i;
        }
    }
    return NOBODY;
}

void session_create(struct world *w, uint32_t session, const char *id, size_t size)
{
    struct session *s = &w->sessions[session];
    s->exists = true;
    s->epoch++;
    memset(s->granted, 0xff, sizeof s->granted);
    s->filter_count = 0;
    s->queue = (struct delivery_list){0};
    s->flight = (struct delivery_list){0};
    s->replays = 0;
    s->replays_due = 0;
    s->qos2_count = 0;
    s->partial = (struct partial){0};
    s->id_size = (uint32_t)(size < sizeof s->id ? size : sizeof s->id);
    memcpy(s->id, id, s->id_size);
    w->sessions_used++;
}

void session_remove(struct world *w, uint32_t session)
{
    struct session *s = &w->sessions[session];
    while (s->queue.head != 0) {
        delivery_remove(w, &s->queue, s->queue.head);
    }
    while (s->flight.head != 0) {
        delivery_remove(w, &s->flight, s->flight.head);
    }
    while (s->replays != 0) {
        replay_remove(w, session, s->replays);
    }
    w->qos2_used -= (uint32_t)s->qos2_count;
    w->subscriptions_used -= s->filter_count;
    s->qos2_count = 0;
    s->filter_count = 0;
    s->exists = false;
    s->settling = false;
    w->sessions_used--;
    if (!s->online) {
        w->sessions_offline--;
    }
    s->online = false;
}

void session_online(struct world *w, uint32_t session, struct link *link)
{
    w->sessions[session].online = true;
    w->sessions[session].link = link->index;
}

void session_offline(struct world *w, uint32_t session)
{
    struct session *s = &w->sessions[session];
    s->online = false;
    s->offline_since = w->fair_ms;
    s->offline_order = ++w->offline_order;
    w->sessions_offline++;
}

/* ---- Retained messages ---- */

static void replay_add(struct world *w, struct session *s, uint32_t filter, uint32_t message, uint8_t qos)
{
    uint32_t replay = w->replay_free;
    if (replay != 0) {
        w->replay_free = w->replays[replay].next;
    } else {
        w->replays = memory_grow(w->replays, w->replay_count, &w->replay_capacity, sizeof *w->replays);
        replay = (uint32_t)w->replay_count++;
    }
    w->replays[replay] = (struct replay){.message = message, .filter = filter, .qos = qos, .must = true};
    *(s->replays == 0 ? &s->replays : &w->replays[s->replays_last].next) = replay;
    s->replays_last = replay;
    s->replays_due++;
}

void replay_excuse(struct world *w, struct session *s, struct replay *replay)
{
    (void)w;
    if (replay->must) {
        replay->must = false;
        s->replays_due--;
    }
}

void replay_remove(struct world *w, uint32_t session, uint32_t replay)
{
    struct session *s = &w->sessions[session];
    uint32_t *place = &s->replays;
    uint32_t before = 0;
    while (*place != replay) {
        before = *place;
        place = &w->replays[*place].next;
    }
    *place = w->replays[replay].next;
    if (s->replays_last == replay) {
        s->replays_last = before;
    }
    replay_excuse(w, s, &w->replays[replay]);
    w->replays[replay].next = w->replay_free;
    w->replay_free = replay;
}

void retain(struct world *w, uint32_t topic, uint32_t message)
{
    uint32_t before = w->retained[topic];
    if (before != 0) {
        for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
            struct session *s = &w->sessions[i];
            for (uint32_t r = s->exists ? s->replays : 0; r != 0; r = w->replays[r].next) {
                if (w->replays[r].message == before) {
                    replay_excuse(w, s, &w->replays[r]);
                }
            }
        }
        w->retained_count--;
        w->retained_bytes -= message_bytes(w, before);
        message_release(w, before);
    }
    w->retained[topic] = message;
    if (message != 0) {
        w->retained_count++;
        w->retained_bytes += message_bytes(w, message);
        message_keep(w, message);
    }
}

/* ---- Subscriptions ---- */

static void excuse_filter(struct world *w, struct session *s, uint32_t filter)
{
    for (uint32_t r = s->replays; r != 0; r = w->replays[r].next) {
        if (w->replays[r].filter == filter) {
            replay_excuse(w, s, &w->replays[r]);
        }
    }
}

void session_subscribe(struct world *w, uint32_t session, uint32_t filter, uint8_t qos)
{
    struct session *s = &w->sessions[session];
    if (s->granted[filter] == 0xff) {
        s->filters[s->filter_count++] = (uint8_t)filter;
        w->subscriptions_used++;
    }
    s->granted[filter] = qos;
    excuse_filter(w, s, filter);
    for (uint32_t t = 0; t < w->topics.topic_count; t++) {
        uint32_t message = w->retained[t];
        if (message != 0 && w->topics.matches[filter][t] && oracle_may_read(w, session, t)) {
            uint8_t published = w->messages[message].qos;
            replay_add(w, s, filter, message, published < qos ? published : qos);
        }
    }
}

void session_unsubscribe(struct world *w, uint32_t session, uint32_t filter)
{
    struct session *s = &w->sessions[session];
    if (s->granted[filter] == 0xff) {
        return;
    }
    s->granted[filter] = 0xff;
    for (uint32_t i = 0; i < s->filter_count; i++) {
        if (s->filters[i] == filter) {
            s->filters[i] = s->filters[--s->filter_count];
            break;
        }
    }
    w->subscriptions_used--;
    excuse_filter(w, s, filter);
}

uint8_t session_granted(const struct world *w, uint32_t session, uint32_t topic)
{
    const struct session *s = &w->sessions[session];
    uint8_t best = 0xff;
    for (uint32_t i = 0; i < s->filter_count; i++) {
        uint8_t qos = s->granted[s->filters[i]];
        if (w->topics.matches[s->filters[i]][topic] && (best == 0xff || qos > best)) {
            best = qos;
        }
    }
    return best;
}

/* ---- QoS 2 identifiers of a publisher ---- */

bool session_has_id(const struct session *s, uint16_t packet_id)
{
    for (size_t i = 0; i < s->qos2_count; i++) {
        if (s->qos2_ids[i] == packet_id) {
            return true;
        }
    }
    return false;
}

void session_add_id(struct world *w, struct session *s, uint16_t packet_id)
{
    s->qos2_ids = memory_grow(s->qos2_ids, s->qos2_count, &s->qos2_capacity, sizeof *s->qos2_ids);
    s->qos2_ids[s->qos2_count++] = packet_id;
    w->qos2_used++;
}

bool session_drop_id(struct world *w, struct session *s, uint16_t packet_id)
{
    for (size_t i = 0; i < s->qos2_count; i++) {
        if (s->qos2_ids[i] == packet_id) {
            s->qos2_ids[i] = s->qos2_ids[--s->qos2_count];
            w->qos2_used--;
            return true;
        }
    }
    return false;
}
