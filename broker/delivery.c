#include "delivery.h"

#include "record.h"

#define MIDGE_FILE MIDGE_FILE_DELIVERY

/* Appends a delivery, d, to a list. */
static void append(const struct midge *b, struct midge_list *list, struct midge_delivery *d, midge_index delivery)
{
    d->next = 0;
    midge_list_append(list, &midge_delivery_at(b, list->tail)->next, delivery);
}

/* Unlinks the delivery behind `previous`, the first where that is 0. */
static midge_index take(const struct midge *b, struct midge_list *list, midge_index previous)
{
    midge_index *from = previous != 0 ? &midge_delivery_at(b, previous)->next : &list->head;
    midge_index delivery = *from;
    *from = midge_delivery_at(b, delivery)->next;
    if (*from == 0) {
        list->tail = previous;
    }
    return delivery;
}

/* Unlinks the first delivery. */
static midge_index take_first(const struct midge *b, struct midge_list *list)
{
    midge_index delivery = list->head;
    list->head = midge_delivery_at(b, delivery)->next;
    if (list->head == 0) {
        list->tail = 0;
    }
    return delivery;
}

static void release_message(struct midge *b, struct midge_session *s, const struct midge_delivery *d)
{
    if (d->message == 0) {
        return;
    }
    if ((d->flags & MIDGE_DELIVERY_CHARGED) != 0) {
        s->charged_bytes -= midge_message_charge(midge_message_at(&b->store, d->message));
    }
    midge_store_release(&b->store, d->message);
}

/* Gives an unlinked delivery back. */
static void free_delivery(struct midge *b, struct midge_session *s, midge_index delivery)
{
    const struct midge_delivery *d = midge_delivery_at(b, delivery);
    if ((d->flags & MIDGE_DELIVERY_CHARGED) != 0) {
        s->charged_entries--;
    }
    release_message(b, s, d);
    midge_pool_give(&b->deliveries, delivery);
}

/* Messages that are queued beyond those in flight: those that the window would take at once do not count. */
static uint32_t queued_beyond_window(const struct midge *b, const struct midge_session *s)
{
    uint32_t queued = (uint32_t)s->charged_entries - midge_min(s->charged_entries, s->inflight_count);
    if (s->connection != 0 && midge_window_open(b, s)) {
        uint32_t open = (uint32_t)b->config.policy.inflight_max - s->inflight_count;
        for (midge_index i = s->queue.head; i != 0 && open > 0 && queued > 0; i = midge_delivery_at(b, i)->next) {
            open--;
            queued--;
        }
    }
    return queued;
}

bool midge_queue_has_memory(const struct midge *b, const struct midge_session *s, const struct midge_room *room)
{
    bool offline = s->connection == 0;
    return !offline || (room->blocks >= b->blocks_for_packet && room->entries > b->deliveries.capacity / 8u);
}

bool midge_queue_admits(const struct midge *b, const struct midge_session *s, uint32_t size, const struct midge_room *room)
{
    const struct midge_policy *policy = &b->config.policy;
    if (s->charged_entries == 0) {
        return true;
    }
    if (policy->queued_messages_max != 0 && s->charged_entries >= policy->queued_messages_max &&
        queued_beyond_window(b, s) >= policy->queued_messages_max) {
        return false;
    }
    if (policy->queued_bytes_max != 0 &&
        size > policy->queued_bytes_max - midge_min(policy->queued_bytes_max, s->charged_bytes)) {
        return false;
    }
    uint32_t share = s->connection == 0 ? 4 : 1;
    return s->charged_entries < room->entries / share && s->charged_bytes < room->bytes / share;
}

bool midge_queue_admits_emptied(const struct midge *b, const struct midge_session *s, uint8_t qos, uint32_t size,
                                const struct midge_room *room)
{
    struct midge_session emptied = *s;
    struct midge_room larger = *room;
    struct midge_list *queue = qos == 0 ? &emptied.queue_qos0 : &emptied.queue;
    for (midge_index i = queue->head; i != 0; i = midge_delivery_at(b, i)->next) {
        emptied.charged_entries--;
        emptied.charged_bytes -= midge_message_charge(midge_message_at(&b->store, midge_delivery_at(b, i)->message));
        larger.entries++;
    }
    queue->head = 0;
    return larger.entries > 0 && midge_queue_admits(b, &emptied, size, &larger);
}

uint32_t midge_queue_wake_room(const struct midge *b, const struct midge_session *s)
{
    const struct midge_policy *policy = &b->config.policy;
    uint32_t entries = midge_pool_free(&b->deliveries);
    uint32_t bytes = midge_store_room(&b->store, midge_store_free(&b->store));
    uint32_t room = entries / 2 - midge_min(entries / 2, s->charged_entries);
    if (policy->queued_messages_max != 0) {
        uint32_t half = (policy->queued_messages_max + 1) / 2;
        room = midge_min(room, half - midge_min(half, queued_beyond_window(b, s)));
    }
    if (policy->queued_bytes_max != 0) {
        bytes = midge_min(bytes, policy->queued_bytes_max);
    }
    if (s->charged_entries == 0) {
        return room == 0 ? 1 : room;
    }
    return s->charged_bytes <= bytes / 2 ? room : 0;
}

void midge_queue_append(struct midge *b, struct midge_session *s, midge_index message, uint8_t qos, uint32_t charge)
{
    midge_index delivery = midge_pool_take(&b->deliveries);
    MIDGE_ASSERT(delivery != 0);
    struct midge_delivery *d = midge_delivery_at(b, delivery);
    d->message = message;
    d->packet_id = s->arrivals++;
    d->flags = (uint8_t)(qos << 1 | MIDGE_DELIVERY_CHARGED);
    s->charged_entries++;
    s->charged_bytes += charge;
    append(b, qos == 0 ? &s->queue_qos0 : &s->queue, d, delivery);
}

/* Drops the delivery behind `previous`, the first where that is 0. */
static void drop(struct midge *b, struct midge_session *s, struct midge_list *list, midge_index previous,
                 enum midge_reason reason)
{
    midge_index delivery = take(b, list, previous);
    midge_drop_message(b, reason, s, midge_delivery_at(b, delivery)->message);
    free_delivery(b, s, delivery);
}

bool midge_queue_drop_oldest(struct midge *b, struct midge_session *s, uint8_t qos)
{
    struct midge_list *queue = qos == 0 ? &s->queue_qos0 : &s->queue;
    if (queue->head == 0) {
        return false;
    }
    drop(b, s, queue, 0, MIDGE_QUEUE_FULL_OLDEST);
    return true;
}

void midge_queue_disconnect(struct midge *b, struct midge_session *s)
{
    while (!b->config.policy.queue_qos0 && s->queue_qos0.head != 0) {
        drop(b, s, &s->queue_qos0, 0, MIDGE_QOS0_CUT);
    }
    /* Everything in the window is to be sent again; what was begun, with DUP [MQTT-4.4.0-1] [MQTT-3.3.1-1]. */
    midge_index previous = 0;
    midge_index next = s->window.head;
    while (next != 0) {
        struct midge_delivery *d = midge_delivery_at(b, next);
        midge_index after = d->next;
        if ((d->flags & MIDGE_DELIVERY_STARTED) != 0) {
            d->flags |= MIDGE_DELIVERY_DUP;
        }
        if ((d->flags & MIDGE_DELIVERY_QOS) == 0) {
            drop(b, s, &s->window, previous, MIDGE_QOS0_CUT);
        } else {
            previous = next;
        }
        next = after;
    }
    s->sent = 0;
}

static uint32_t clear_list(struct midge *b, struct midge_session *s, struct midge_list *list, enum midge_reason reason)
{
    uint32_t count = 0;
    while (list->head != 0) {
        midge_index delivery = take_first(b, list);
        const struct midge_delivery *d = midge_delivery_at(b, delivery);
        if (d->message != 0) {
            b->metrics.drops[reason]++;
            count++;
        }
        free_delivery(b, s, delivery);
    }
    return count;
}

uint32_t midge_queue_clear(struct midge *b, struct midge_session *s, enum midge_reason reason)
{
    s->sent = 0;
    s->inflight_count = 0;
    uint32_t count = clear_list(b, s, &s->window, reason);
    count += clear_list(b, s, &s->queue, reason);
    count += clear_list(b, s, &s->queue_qos0, reason);
    return count;
}

/* ---- The window ---- */

static uint16_t id_after(uint16_t id)
{
    uint16_t next = (uint16_t)(id + 1);
    return next != 0 ? next : 1;
}

/* Identifiers are given in turn. Those of the window are looked through only when the stretch known to be free is used up. */
static uint16_t next_packet_id(struct midge *b, struct midge_session *s)
{
    while (s->clear_ids == 0) {
        uint16_t clear = UINT16_MAX - 1;
        for (midge_index i = s->window.head; i != 0; i = midge_delivery_at(b, i)->next) {
            const struct midge_delivery *d = midge_delivery_at(b, i);
            /* A distance that passes 0, which is no identifier, is one less than it looks. */
            int32_t ahead = d->packet_id - s->next_packet_id;
            uint16_t distance = (uint16_t)(ahead < 0 ? ahead - 1 : ahead);
            if ((d->flags & MIDGE_DELIVERY_QOS) != 0 && distance < clear) {
                clear = distance;
            }
        }
        s->clear_ids = clear;
        if (clear == 0) {
            s->next_packet_id = id_after(s->next_packet_id);
        }
    }
    s->clear_ids--;
    uint16_t id = s->next_packet_id;
    s->next_packet_id = id_after(id);
    return id;
}

static void enter_window(struct midge *b, struct midge_session *s, midge_index delivery)
{
    struct midge_delivery *d = midge_delivery_at(b, delivery);
    d->packet_id = 0;
    if ((d->flags & MIDGE_DELIVERY_QOS) != 0) {
        d->packet_id = next_packet_id(b, s);
        s->inflight_count++;
    }
    append(b, &s->window, d, delivery);
}

midge_index midge_window_admit(struct midge *b, struct midge_session *s)
{
    struct midge_list *queue = &s->queue_qos0;
    if (s->queue.head != 0 && midge_window_open(b, s)) {
        if (queue->head == 0) {
            queue = &s->queue;
        } else {
            uint16_t ahead =
                (uint16_t)(midge_delivery_at(b, s->queue.head)->packet_id - midge_delivery_at(b, queue->head)->packet_id);
            if (ahead > UINT16_MAX / 2) {
                queue = &s->queue;
            }
        }
    }
    if (queue->head == 0) {
        return 0;
    }
    midge_index delivery = take_first(b, queue);
    enter_window(b, s, delivery);
    return delivery;
}

bool midge_window_add_retained(struct midge *b, struct midge_session *s, midge_index message, uint8_t qos)
{
    midge_index delivery = midge_pool_take(&b->deliveries);
    if (delivery == 0) {
        return false;
    }
    *midge_delivery_at(b, delivery) =
        (struct midge_delivery){.message = message, .flags = (uint8_t)(qos << 1 | MIDGE_DELIVERY_RETAIN)};
    midge_store_keep(&b->store, message);
    enter_window(b, s, delivery);
    return true;
}

void midge_window_sent(struct midge *b, struct midge_session *s, struct midge_delivery *d)
{
    if ((d->flags & MIDGE_DELIVERY_QOS) != 0) {
        d->flags |= MIDGE_DELIVERY_STARTED;
        s->sent = midge_window_unsent(b, s);
    } else {
        free_delivery(b, s, take(b, &s->window, s->sent));
    }
}

enum midge_ack midge_window_acknowledge(struct midge *b, struct midge_session *s, enum midge_packet_type type,
                                        uint16_t packet_id)
{
    midge_index previous = 0;
    midge_index found = s->sent == 0 ? 0 : s->window.head;
    while (found != 0 && midge_delivery_at(b, found)->packet_id != packet_id) {
        previous = found;
        found = found == s->sent ? 0 : midge_delivery_at(b, found)->next;
    }
    if (found == 0) {
        return MIDGE_ACK_UNKNOWN;
    }
    struct midge_delivery *d = midge_delivery_at(b, found);
    uint8_t qos = midge_delivery_qos(d);
    bool released = (d->flags & MIDGE_DELIVERY_RELEASED) != 0;
    if (type == MIDGE_PACKET_PUBREC && qos == 2) {
        release_message(b, s, d);
        d->message = 0;
        d->flags |= MIDGE_DELIVERY_RELEASED;
        return MIDGE_ACK_DONE;
    }
    bool right = type == MIDGE_PACKET_PUBACK ? qos == 1 : type == MIDGE_PACKET_PUBCOMP && released;
    if (!right) {
        return MIDGE_ACK_WRONG;
    }
    if (s->sent == found) {
        s->sent = previous;
    }
    take(b, &s->window, previous);
    free_delivery(b, s, found);
    s->inflight_count--;
    return MIDGE_ACK_DONE;
}

/* Counts a list and its charges; UINT32_MAX where its tail is wrong or it does not end. */
static uint32_t audit_list(const struct midge *b, const struct midge_list *list, uint32_t *charged, uint64_t *bytes)
{
    uint32_t count = 0;
    midge_index last = 0;
    for (midge_index i = list->head; i != 0; i = midge_delivery_at(b, i)->next) {
        const struct midge_delivery *d = midge_delivery_at(b, i);
        if (++count > b->deliveries.used) {
            return UINT32_MAX;
        }
        if ((d->flags & MIDGE_DELIVERY_CHARGED) != 0) {
            ++*charged;
            *bytes += d->message == 0 ? 0 : midge_message_charge(midge_message_at(&b->store, d->message));
        }
        last = i;
    }
    return last == list->tail ? count : UINT32_MAX;
}

uint32_t midge_delivery_audit(const struct midge *b, const struct midge_session *s, uint32_t *entries)
{
    uint32_t charged = 0;
    uint64_t bytes = 0;
    uint32_t counts[3] = {audit_list(b, &s->queue_qos0, &charged, &bytes), audit_list(b, &s->queue, &charged, &bytes),
                          audit_list(b, &s->window, &charged, &bytes)};
    for (uint32_t i = 0; i < 3; i++) {
        if (counts[i] == UINT32_MAX) {
            return MIDGE_PLACE;
        }
        *entries += counts[i];
    }
    if (charged != s->charged_entries || bytes != s->charged_bytes) {
        return MIDGE_PLACE;
    }
    uint32_t inflight = 0;
    bool unsent = s->sent == 0;
    for (midge_index i = s->window.head; i != 0; i = midge_delivery_at(b, i)->next) {
        const struct midge_delivery *d = midge_delivery_at(b, i);
        bool acknowledged = (d->flags & MIDGE_DELIVERY_QOS) != 0;
        inflight += acknowledged ? 1 : 0;
        if (acknowledged != (d->packet_id != 0) || (!unsent && !acknowledged)) {
            return MIDGE_PLACE;
        }
        unsent = unsent || i == s->sent;
    }
    return unsent && inflight == s->inflight_count ? 0 : MIDGE_PLACE;
}
