#include "handlers.h"

#include "connection.h"
#include "delivery.h"
#include "events.h"
#include "interest.h"
#include "publishing.h"
#include "record.h"
#include "replies.h"
#include "session.h"
#include "waiting.h"

static enum midge_handled end(struct midge *b, midge_index connection, enum midge_reason reason)
{
    midge_connection_end(b, connection, (struct midge_ending){.reason = reason});
    return MIDGE_ENDED;
}

static enum midge_handled stall(struct midge *b, midge_index connection, enum midge_wait_kind kind, midge_index object,
                                midge_index need)
{
    midge_wait(b, connection, kind, object, need);
    return MIDGE_STALLED;
}

static void trace_received(struct midge *b, midge_index connection, const struct midge_incoming *packet, uint16_t packet_id,
                           struct midge_view topic)
{
    midge_trace(b, MIDGE_LOG_RECEIVED, connection, packet->first, packet_id, topic, packet->size, 0);
}

/* ---- PUBLISH ---- */

/* Acknowledges a message that was accepted, and counts it. [MQTT-3.3.4-1] */
static void publish_accepted(struct midge *b, midge_index connection, const struct midge_incoming *packet,
                             const struct midge_publish *publish)
{
    b->metrics.publish_received++;
    b->metrics.publish_bytes_received += publish->payload_size;
    trace_received(b, connection, packet, publish->packet_id, publish->topic);
    if (publish->qos > 0) {
        midge_reply(b, connection, publish->qos == 1 ? MIDGE_PACKET_PUBACK : MIDGE_PACKET_PUBREC, publish->packet_id);
    }
}

static enum midge_handled publish_route(struct midge *b, midge_index connection, const struct midge_incoming *packet,
                                        const struct midge_publish *publish)
{
    if (packet->stored != 0 && (midge_message_at(&b->store, packet->stored)->flags & MIDGE_MESSAGE_PUBLISHED) == 0) {
        uint8_t flags = (uint8_t)(publish->qos | (publish->qos > 0 ? MIDGE_MESSAGE_GAP : 0u));
        midge_store_publish(&b->store, packet->stored, (uint16_t)publish->topic.size, flags);
    }
    struct midge_publication publication = {
        .topic = publish->topic,
        .message = packet->stored,
        .payload = publish->payload,
        .payload_size = publish->payload_size,
        .qos = publish->qos,
        .retain = publish->retain,
        .may_wait = !midge_wait_expired(b, connection),
        .may_refuse = true,
        .publisher = connection,
        .drop_reason = MIDGE_QOS0_WAIT,
    };
    struct midge_route_problem problem = {0};
    switch (midge_publishing_route(b, &publication, &problem)) {
    case MIDGE_ROUTE_WAIT:
        return stall(b, connection, problem.kind, problem.kind == MIDGE_WAIT_SUBSCRIBER ? problem.connection : 0, problem.need);
    case MIDGE_ROUTE_REFUSED: {
        struct midge_ending ending = {.reason = problem.reason, .topic = publish->topic, .size = publish->payload_size};
        midge_connection_end(b, connection, ending);
        return MIDGE_ENDED;
    }
    default:
        return MIDGE_HANDLED;
    }
}

enum midge_handled midge_handle_publish(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    struct midge_publish publish;
    enum midge_reason reason =
        midge_publish_decode(packet->first, packet->body, &b->scratch, b->config.limits.topic_levels, &publish);
    if (reason == MIDGE_NONE && publish.topic.size > b->scratch.size / 2) {
        reason = MIDGE_SCRATCH;
    }
    if (reason != MIDGE_NONE) {
        struct midge_ending ending = {.reason = reason, .topic = publish.topic};
        if (reason == MIDGE_SCRATCH || reason == MIDGE_TOPIC_LEVELS) {
            ending.size = publish.topic.size;
            ending.limit = reason == MIDGE_SCRATCH ? b->scratch.size / 2 : b->config.limits.topic_levels;
            ending.topic.size = publish.topic.bytes == NULL ? 0 : publish.topic.size;
        }
        midge_connection_end(b, connection, ending);
        return MIDGE_ENDED;
    }
    midge_index session = midge_connection_at(b, connection)->session;
    if (publish.qos == 2) {
        if (midge_qos2_find(b, session, publish.packet_id) != 0) {
            publish_accepted(b, connection, packet, &publish); /* [MQTT-4.3.3-2]: once only */
            return MIDGE_HANDLED;
        }
        if (!midge_qos2_room(b, session)) {
            return end(b, connection, MIDGE_QOS2_FULL);
        }
    }
    if (!midge_allowed(b, midge_session_at(b, session)->who, MIDGE_WRITE, publish.topic)) {
        midge_drop_topic(b, MIDGE_WRITE_DENIED, session, publish.topic, publish.payload_size); /* [MQTT-3.3.5-2] */
    } else {
        enum midge_handled handled = publish_route(b, connection, packet, &publish);
        if (handled != MIDGE_HANDLED) {
            return handled;
        }
    }
    if (publish.qos == 2) {
        midge_qos2_add(b, session, publish.packet_id);
    }
    publish_accepted(b, connection, packet, &publish);
    return MIDGE_HANDLED;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

/* Checks a whole list of filters before any of them takes effect. Returns their number, 0 where the connection was ended. */
static uint32_t check_filters(struct midge *b, midge_index connection, struct midge_reader list, bool subscribe)
{
    uint32_t count = 0;
    struct midge_ending ending = {.reason = list.size == 0 ? MIDGE_NO_FILTER : MIDGE_NONE}; /* [MQTT-3.8.3-3] */
    while (list.size > 0 && ending.reason == MIDGE_NONE) {
        struct midge_view filter;
        uint8_t qos;
        b->scratch.used = 0;
        ending.reason = midge_filter_decode(&list, subscribe, &b->scratch, b->config.limits.topic_levels, &filter, &qos);
        if (ending.reason == MIDGE_NONE && filter.size > b->scratch.size / 2) {
            ending.reason = MIDGE_SCRATCH;
        }
        if (ending.reason == MIDGE_SCRATCH || ending.reason == MIDGE_TOPIC_LEVELS) {
            ending.size = filter.size;
            ending.limit = ending.reason == MIDGE_SCRATCH ? b->scratch.size / 2 : b->config.limits.topic_levels;
            ending.topic = filter.bytes != NULL ? filter : (struct midge_view){0};
        }
        count++;
    }
    b->scratch.used = 0;
    if (ending.reason != MIDGE_NONE) {
        midge_connection_end(b, connection, ending);
        return 0;
    }
    return count;
}

/* Subscribes to one filter; returns the code for the SUBACK. */
static uint8_t subscribe_one(struct midge *b, midge_index connection, struct midge_view filter, uint8_t qos)
{
    midge_index session = midge_connection_at(b, connection)->session;
    enum midge_reason reason = MIDGE_SUBSCRIBE_DENIED;
    if (midge_allowed(b, midge_session_at(b, session)->who, MIDGE_SUBSCRIBE, filter)) {
        uint8_t granted = qos < b->config.policy.qos_max ? qos : b->config.policy.qos_max;
        if (midge_interest_add(b, session, filter, granted)) {
            midge_trace(b, MIDGE_LOG_SUBSCRIBED, connection, 0, 0, filter, 0, granted);
            return granted;
        }
        reason = MIDGE_SUBSCRIPTIONS_FULL;
    }
    struct midge_log record = midge_record(b, MIDGE_LOG_DENIED, reason, connection);
    record.topic = filter;
    midge_record_write(b, &record);
    return MIDGE_SUBACK_FAILURE;
}

/* The list of codes of a SUBSCRIBE with many filters: the blocks of the packet itself, where it lies in blocks, else new ones.
 * MIDGE_HANDLED: c->suback is there, to be filled. */
static enum midge_handled open_suback(struct midge *b, midge_index connection, const struct midge_incoming *packet,
                                      uint32_t count)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    if (c->suback != 0) {
        return stall(b, connection, MIDGE_WAIT_REPLIES, 0, 1);
    }
    if (packet->stored != 0) {
        midge_store_keep(&b->store, packet->stored);
        c->suback = packet->stored;
        midge_assembly_drop(b, connection);
        return MIDGE_HANDLED;
    }
    uint32_t blocks = midge_store_blocks(&b->store, count);
    bool queue_up = midge_wait_others(b, connection, MIDGE_WAIT_BLOCKS, 0);
    if (blocks > midge_store_free(&b->store) || queue_up) {
        if (blocks > b->store.blocks.capacity || midge_wait_expired(b, connection)) {
            return end(b, connection, MIDGE_NO_ROOM);
        }
        return stall(b, connection, MIDGE_WAIT_BLOCKS, 0, (midge_index)blocks);
    }
    c->suback = midge_store_begin(&b->store);
    return MIDGE_HANDLED;
}

/* Where the codes of a stored SUBACK go: over the packet that they answer (a filter takes four bytes at least, its code one, so
 * that writing never overtakes reading), or behind each other in new blocks. */
struct code_writer {
    struct midge_reader over;
    midge_index tail;
};

static void write_code(struct midge *b, midge_index suback, struct code_writer *writer, bool over, uint8_t code)
{
    if (over) {
        /* The reader walks over blocks that are ours to write. */
        *(uint8_t *)(uintptr_t)writer->over.run = code;
        midge_reader_skip(&writer->over, 1);
    } else {
        midge_store_append(&b->store, suback, &writer->tail, &code, 1);
    }
}

static void subscribe_many(struct midge *b, midge_index connection, const struct midge_incoming *packet,
                           struct midge_reader list, uint16_t packet_id, uint32_t count)
{
    midge_index suback = midge_connection_at(b, connection)->suback;
    bool over = packet->stored != 0;
    struct code_writer writer = {.tail = suback};
    if (over) {
        midge_reader_message(&writer.over, &b->store, suback, 0);
    }
    while (list.size > 0) {
        struct midge_view filter;
        uint8_t qos = 0;
        b->scratch.used = 0;
        midge_filter_decode(&list, true, &b->scratch, b->config.limits.topic_levels, &filter, &qos);
        write_code(b, suback, &writer, over, subscribe_one(b, connection, filter, qos));
    }
    midge_store_truncate(&b->store, suback, count);
    midge_reply_suback_stored(b, connection, packet_id);
}

static void subscribe_few(struct midge *b, midge_index connection, struct midge_reader list, uint16_t packet_id)
{
    uint8_t codes[MIDGE_REPLY_CODES_MAX];
    uint8_t count = 0;
    while (list.size > 0) {
        struct midge_view filter;
        uint8_t qos = 0;
        b->scratch.used = 0;
        midge_filter_decode(&list, true, &b->scratch, b->config.limits.topic_levels, &filter, &qos);
        codes[count++] = subscribe_one(b, connection, filter, qos);
    }
    midge_reply_suback(b, connection, packet_id, codes, count);
}

enum midge_handled midge_handle_subscribe(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    struct midge_reader list = packet->body;
    uint16_t packet_id = midge_reader_u16(&list);
    if (packet_id == 0) {
        return end(b, connection, MIDGE_PACKET_ID_ZERO);
    }
    uint32_t count = check_filters(b, connection, list, true);
    if (count == 0) {
        return MIDGE_ENDED;
    }
    if (count <= MIDGE_REPLY_CODES_MAX) {
        subscribe_few(b, connection, list, packet_id);
    } else {
        enum midge_handled handled = open_suback(b, connection, packet, count);
        if (handled != MIDGE_HANDLED) {
            return handled;
        }
        subscribe_many(b, connection, packet, list, packet_id, count);
    }
    trace_received(b, connection, packet, packet_id, (struct midge_view){0});
    midge_output_due(b, connection);
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_unsubscribe(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    struct midge_reader list = packet->body;
    uint16_t packet_id = midge_reader_u16(&list);
    if (packet_id == 0) {
        return end(b, connection, MIDGE_PACKET_ID_ZERO);
    }
    if (check_filters(b, connection, list, false) == 0) {
        return MIDGE_ENDED;
    }
    while (list.size > 0) {
        struct midge_view filter;
        b->scratch.used = 0;
        midge_filter_decode(&list, false, &b->scratch, b->config.limits.topic_levels, &filter, NULL);
        midge_interest_remove(b, midge_connection_at(b, connection)->session, filter);
        midge_trace(b, MIDGE_LOG_UNSUBSCRIBED, connection, 0, 0, filter, 0, 0);
    }
    trace_received(b, connection, packet, packet_id, (struct midge_view){0});
    midge_reply(b, connection, MIDGE_PACKET_UNSUBACK, packet_id); /* [MQTT-3.10.4-5] */
    return MIDGE_HANDLED;
}

/* ---- The rest ---- */

enum midge_handled midge_handle_acknowledgement(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    struct midge_connection *c = midge_connection_at(b, connection);
    struct midge_reader body = packet->body;
    uint16_t packet_id = midge_reader_u16(&body);
    enum midge_packet_type type = midge_type_of(packet->first);
    if (packet_id == 0) {
        return end(b, connection, MIDGE_PACKET_ID_ZERO);
    }
    trace_received(b, connection, packet, packet_id, (struct midge_view){0});
    if (type == MIDGE_PACKET_PUBREL) {
        midge_index received = midge_qos2_find(b, c->session, packet_id);
        if (received != 0) {
            midge_qos2_remove(b, received);
        }
        midge_reply(b, connection, MIDGE_PACKET_PUBCOMP, packet_id);
        return MIDGE_HANDLED;
    }
    enum midge_ack ack = midge_window_acknowledge(b, c->session, type, packet_id);
    if (ack == MIDGE_ACK_WRONG) {
        return end(b, connection, MIDGE_ACK_MISMATCH);
    }
    if (ack == MIDGE_ACK_DONE) {
        c->progress_ms = midge_now(b);
        midge_output_due(b, connection);
    }
    if (type == MIDGE_PACKET_PUBREC) {
        midge_reply(b, connection, MIDGE_PACKET_PUBREL, packet_id);
    }
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_pingreq(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    trace_received(b, connection, packet, 0, (struct midge_view){0});
    midge_reply(b, connection, MIDGE_PACKET_PINGRESP, 0); /* [MQTT-3.12.4-1] */
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_disconnect(struct midge *b, midge_index connection, const struct midge_incoming *packet)
{
    trace_received(b, connection, packet, 0, (struct midge_view){0});
    return end(b, connection, MIDGE_CLIENT_DISCONNECT);
}
