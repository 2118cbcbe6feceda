#include "handlers.h"

#include "access.h"
#include "connection.h"
#include "delivery.h"
#include "events.h"
#include "interest.h"
#include "publishing.h"
#include "record.h"
#include "replies.h"
#include "session.h"
#include "waiting.h"

static enum midge_handled stall(struct midge *b, struct midge_connection *c, enum midge_wait_kind kind, midge_index object)
{
    midge_wait(b, c, kind, object);
    return MIDGE_STALLED;
}

/* ---- PUBLISH ---- */

/* Ends a connection because of a topic or filter, with what the limit is where it is one. */
static enum midge_handled end_for_name(struct midge *b, struct midge_connection *c, enum midge_reason reason,
                                       struct midge_view name)
{
    struct midge_log *record = midge_record(b, MIDGE_LOG_DISCONNECTED, reason, c);
    if (name.bytes != NULL) { /* else it found no room in the scratch */
        record->topic = name;
    }
    if (reason == MIDGE_SCRATCH || reason == MIDGE_TOPIC_LEVELS) {
        record->size = name.size;
        record->limit = reason == MIDGE_SCRATCH ? midge_name_size_max(b) : b->config.limits.topic_levels;
    }
    return midge_connection_end_recorded(b, c);
}

static enum midge_handled publish_route(struct midge *b, struct midge_connection *c, struct midge_publication *publication)
{
    const struct midge_route_problem *problem = &publication->problem;
    enum midge_routed routed = midge_publishing_route(b, publication);
    if (routed == MIDGE_ROUTED) {
        return MIDGE_HANDLED;
    }
    if (routed == MIDGE_ROUTE_WAIT) {
        return stall(b, c, problem->kind, problem->object);
    }
    struct midge_log *record = midge_record(b, MIDGE_LOG_DISCONNECTED, problem->reason, c);
    record->topic = publication->publish.topic;
    record->size = publication->publish.payload_size;
    return midge_connection_end_recorded(b, c);
}

enum midge_handled midge_handle_publish(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    struct midge_publication *publication = &packet->publication;
    struct midge_publish *publish = &publication->publish;
    enum midge_reason reason =
        midge_publish_decode(packet->traced.first, &packet->body, &b->scratch, b->config.limits.topic_levels, publish);
    if (reason == MIDGE_NONE && publish->topic.size > midge_name_size_max(b)) {
        reason = MIDGE_SCRATCH;
    }
    if (reason != MIDGE_NONE) {
        return end_for_name(b, c, reason, publish->topic);
    }
    const uint8_t qos = publish->qos;
    struct midge_session *s = midge_session_of(b, c);
    bool repeated = qos == 2 && midge_qos2_find(b, c->session, publish->packet_id) != 0;
    if (qos == 2 && !repeated && !midge_qos2_room(b, c->session)) {
        return midge_connection_end(b, c, MIDGE_QOS2_FULL);
    }
    if (repeated) {
        /* It was routed when it came first [MQTT-4.3.3-2]. */
    } else if (!midge_allowed(b, s->who, MIDGE_WRITE, &publish->topic)) {
        midge_drop_topic(b, MIDGE_WRITE_DENIED, s, publish->topic, publish->payload_size); /* [MQTT-3.3.5-2] */
    } else {
        if (packet->stored != 0 && (midge_message_at(&b->store, packet->stored)->flags & MIDGE_MESSAGE_PUBLISHED) == 0) {
            midge_store_publish(&b->store, packet->stored, (uint16_t)publish->topic.size, midge_message_flags(qos));
        }
        publication->message = packet->stored;
        publication->parts = &packet->whole;
        publication->part_count = 1;
        publication->body_size = packet->whole.size;
        publication->may_wait = !midge_wait_expired(b, c);
        publication->may_refuse = true;
        publication->publisher = c;
        publication->drop_reason = MIDGE_QOS0_WAIT;
        enum midge_handled handled = publish_route(b, c, publication);
        if (handled != MIDGE_HANDLED) {
            return handled;
        }
    }
    if (qos == 2 && !repeated) {
        midge_qos2_add(b, c->session, publish->packet_id);
    }
    b->metrics.publish_received++;
    b->metrics.publish_bytes_received += publish->payload_size;
    if (qos > 0) { /* [MQTT-3.3.4-1] */
        midge_reply(b, c, qos == 1 ? MIDGE_PACKET_PUBACK : MIDGE_PACKET_PUBREC, publish->packet_id);
    }
    return MIDGE_HANDLED;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

struct filter {
    struct midge_view name;
    uint8_t qos; /* of a SUBSCRIBE */
};

/* Takes the next filter off a list. */
static enum midge_reason next_filter(struct midge *b, struct midge_reader *list, bool subscribe, struct filter *filter)
{
    b->scratch.used = 0;
    enum midge_reason reason =
        midge_filter_decode(list, subscribe, &b->scratch, b->config.limits.topic_levels, &filter->name, &filter->qos);
    return reason == MIDGE_NONE && filter->name.size > midge_name_size_max(b) ? MIDGE_SCRATCH : reason;
}

/* Checks a whole list of filters before any of them takes effect. Returns their number, 0 where the connection was ended. */
static uint32_t check_filters(struct midge *b, struct midge_connection *c, struct midge_reader list, bool subscribe)
{
    struct filter filter = {0};
    uint32_t count = 0;
    enum midge_reason reason = list.size == 0 ? MIDGE_NO_FILTER : MIDGE_NONE; /* [MQTT-3.8.3-3] */
    while (list.size > 0 && reason == MIDGE_NONE) {
        reason = next_filter(b, &list, subscribe, &filter);
        count++;
    }
    if (reason != MIDGE_NONE) {
        end_for_name(b, c, reason, filter.name);
        return 0;
    }
    return count;
}

/* Subscribes to one filter; returns the code for the SUBACK. */
static uint8_t subscribe_one(struct midge *b, struct midge_connection *c, const struct filter *filter)
{
    struct midge_session *s = midge_session_of(b, c);
    enum midge_reason reason = MIDGE_SUBSCRIBE_DENIED;
    if (midge_allowed(b, s->who, MIDGE_SUBSCRIBE, &filter->name)) {
        uint8_t granted = filter->qos < b->config.policy.qos_max ? filter->qos : b->config.policy.qos_max;
        if (midge_interest_add(b, s, filter->name, granted)) {
            const struct midge_traced traced = {.topic = filter->name, .code = granted};
            midge_trace(b, MIDGE_LOG_SUBSCRIBED, c, &traced);
            return granted;
        }
        reason = MIDGE_SUBSCRIPTIONS_FULL;
    }
    midge_record(b, MIDGE_LOG_DENIED, reason, c)->topic = filter->name;
    midge_record_write(b);
    return MIDGE_SUBACK_FAILURE;
}

/* The list of codes of a SUBSCRIBE with many filters: the blocks of the packet itself, where it lies in blocks, else new ones.
 * MIDGE_HANDLED: c->suback is there, to be filled. */
static enum midge_handled open_suback(struct midge *b, struct midge_connection *c, struct midge_incoming *packet,
                                      uint32_t count)
{
    if (c->suback != 0) {
        return stall(b, c, MIDGE_WAIT_REPLIES, 1);
    }
    if (packet->stored != 0) {
        midge_store_keep(&b->store, packet->stored);
        c->suback = packet->stored;
        midge_assembly_drop(b, c);
        return MIDGE_HANDLED;
    }
    uint32_t blocks = midge_store_blocks(&b->store, count);
    bool queue_up = midge_wait_others(b, c, MIDGE_WAIT_BLOCKS, 0);
    if (blocks > midge_store_free(&b->store) || queue_up) {
        if (blocks > b->store.blocks.capacity || midge_wait_expired(b, c)) {
            return midge_connection_end(b, c, MIDGE_NO_ROOM);
        }
        return stall(b, c, MIDGE_WAIT_BLOCKS, (midge_index)blocks);
    }
    c->suback = midge_store_begin(&b->store);
    midge_index tail = c->suback;
    midge_store_append(&b->store, c->suback, &tail, packet->body.run, count); /* anything, for the codes to be written over */
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_subscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    uint32_t count = check_filters(b, c, packet->body, true);
    if (count == 0) {
        return MIDGE_ENDED;
    }
    uint32_t codes = 0;
    struct midge_reader over;
    if (count > MIDGE_REPLY_CODES_MAX) {
        enum midge_handled handled = open_suback(b, c, packet, count);
        if (handled != MIDGE_HANDLED) {
            return handled;
        }
        midge_reader_message(&over, &b->store, c->suback, 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct filter filter;
        next_filter(b, &packet->body, true, &filter);
        uint8_t code = subscribe_one(b, c, &filter);
        if (count <= MIDGE_REPLY_CODES_MAX) {
            codes |= midge_suback_code(code, i);
        } else {
            /* The reader walks over blocks that are ours to write. A filter takes four bytes at least, its code one, so that
             * writing over the packet itself never overtakes reading. */
            *(uint8_t *)(uintptr_t)over.run = code;
            midge_reader_skip(&over, 1);
        }
    }
    if (count > MIDGE_REPLY_CODES_MAX) {
        midge_store_truncate(&b->store, c->suback, count);
        count = 0;
    }
    midge_reply_suback(b, c, packet->traced.packet_id, count, codes);
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_unsubscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    if (check_filters(b, c, packet->body, false) == 0) {
        return MIDGE_ENDED;
    }
    while (packet->body.size > 0) {
        struct filter filter;
        next_filter(b, &packet->body, false, &filter);
        midge_interest_remove(b, midge_session_of(b, c), filter.name);
        const struct midge_traced traced = {.topic = filter.name};
        midge_trace(b, MIDGE_LOG_UNSUBSCRIBED, c, &traced);
    }
    midge_reply(b, c, MIDGE_PACKET_UNSUBACK, packet->traced.packet_id); /* [MQTT-3.10.4-5] */
    return MIDGE_HANDLED;
}

/* ---- The rest ---- */

enum midge_handled midge_handle_acknowledgement(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    uint16_t packet_id = packet->traced.packet_id;
    enum midge_packet_type type = midge_type_of(packet->traced.first);
    if (type == MIDGE_PACKET_PUBREL) {
        midge_index received = midge_qos2_find(b, c->session, packet_id);
        if (received != 0) {
            midge_qos2_remove(b, received);
        }
        midge_reply(b, c, MIDGE_PACKET_PUBCOMP, packet_id);
        return MIDGE_HANDLED;
    }
    enum midge_ack ack = midge_window_acknowledge(b, midge_session_of(b, c), type, packet_id);
    if (ack == MIDGE_ACK_WRONG) {
        return midge_connection_end(b, c, MIDGE_ACK_MISMATCH);
    }
    if (ack == MIDGE_ACK_DONE) {
        c->progress_ms = midge_now(b);
        midge_output_due(b, c);
    }
    if (type == MIDGE_PACKET_PUBREC) {
        midge_reply(b, c, MIDGE_PACKET_PUBREL, packet_id);
    }
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_pingreq(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    (void)packet;
    midge_reply(b, c, MIDGE_PACKET_PINGRESP, 0); /* [MQTT-3.12.4-1] */
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_disconnect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    packet->traced.size = 2;
    midge_trace(b, MIDGE_LOG_RECEIVED, c, &packet->traced); /* while it is known whose it is */
    return midge_connection_end(b, c, MIDGE_CLIENT_DISCONNECT);
}
