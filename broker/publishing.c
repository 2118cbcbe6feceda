#include "publishing.h"

#include "access.h"
#include "connection.h"
#include "record.h"
#include "topic.h"
#include "waiting.h"

enum midge_routed midge_publishing_route(struct midge *b, struct midge_publication *publication)
{
    enum midge_routed result;
    while ((result = midge_route(b, publication)) == MIDGE_ROUTE_DISCONNECT) {
        midge_connection_end(b, midge_connection_at(b, publication->problem.object), publication->problem.reason);
    }
    return result;
}

midge_index midge_will_store(struct midge *b, struct midge_connect *connect)
{
    if (midge_store_blocks(&b->store, connect->will_size) > midge_store_free(&b->store)) {
        return 0;
    }
    midge_index message = midge_store_begin(&b->store);
    midge_index tail = message;
    midge_store_append_from(&b->store, message, &tail, &connect->will, connect->will_size);
    midge_store_publish(&b->store, message, (uint16_t)connect->will_topic.size, connect->will_flags);
    return message;
}

/* Tries to publish one will; it is done, or waits for something. */
static void run_will(struct midge *b, struct midge_connection *c)
{
    const struct midge_message *m = midge_message_at(&b->store, c->will);
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, c->will, 2);
    b->scratch.used = 0;
    const uint8_t *topic = midge_reader_take(&reader, m->topic_size, &b->scratch);
    MIDGE_ASSERT(topic != NULL);
    struct midge_publication will = {
        .publish.topic = {.bytes = topic, .size = m->topic_size},
        .publish.payload_size = midge_message_payload_size(m),
        .publish.qos = m->flags & MIDGE_MESSAGE_QOS,
        .publish.retain = (m->flags & MIDGE_MESSAGE_WILL_RETAIN) != 0, /* [MQTT-3.1.2-16] [MQTT-3.1.2-17] */
        .message = c->will,
        .body_size = m->size,
        .may_wait = !midge_wait_expired(b, c),
        .publisher = c,
        .drop_reason = MIDGE_WILL_DROPPED,
    };
    if (!midge_allowed(b, c->who, MIDGE_WRITE, &will.publish.topic)) {
        midge_drop_message(b, MIDGE_WRITE_DENIED, NULL, c->will); /* [MQTT-3.3.5-2] */
    } else if (midge_publishing_route(b, &will) == MIDGE_ROUTE_WAIT) {
        midge_wait(b, c, will.problem.kind, will.problem.object);
        return;
    } else {
        midge_record(b, MIDGE_LOG_WILL, MIDGE_NONE, c);
        midge_record_message(b, c->will);
        midge_record_write(b);
    }
    midge_connection_will_done(b, c);
}

void midge_wills_run(struct midge *b)
{
    while (b->wait_queues[MIDGE_WAIT_WILL].head != 0) {
        struct midge_connection *c = midge_connection_at(b, b->wait_queues[MIDGE_WAIT_WILL].head);
        midge_wait_turn(b, c);
        run_will(b, c);
    }
}

bool midge_wills_hurry(struct midge *b)
{
    for (midge_index i = 1; i <= b->connections.touched; i++) {
        struct midge_connection *c = midge_connection_at(b, i);
        if (c->state == MIDGE_CLOSED && (c->flags & MIDGE_CONN_PORT_GONE) != 0) {
            midge_wait_cancel(b, c);
            c->flags |= MIDGE_CONN_WAITED;
            midge_wait_of(b, c)->deadline_ms = midge_now(b);
            run_will(b, c);
            return true;
        }
    }
    return false;
}

bool midge_publishing_internal(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain)
{
    uint8_t between[2] = {0}; /* where a packet has its identifier */
    uint8_t topic_size[2];
    midge_put_u16(topic_size, (uint16_t)topic.size);
    const struct midge_view parts[] = {{topic_size, 2}, topic, {between, qos > 0 ? 2 : 0}, payload};
    struct midge_publication publication = {
        .publish = {.topic = topic, .payload_size = payload.size, .qos = qos, .retain = retain},
        .parts = parts,
        .part_count = sizeof(parts) / sizeof(parts[0]),
        .body_size = 2 + topic.size + parts[2].size + payload.size,
        .drop_reason = MIDGE_INTERNAL_DROPPED,
    };
    if (midge_topic_check(topic.bytes, topic.size, b->config.limits.topic_levels) != MIDGE_NONE ||
        topic.size > midge_name_size_max(b)) {
        return false;
    }
    midge_counter before = b->metrics.drops[MIDGE_INTERNAL_DROPPED] + b->metrics.drops[MIDGE_RETAINED_FULL];
    midge_publishing_route(b, &publication);
    return b->metrics.drops[MIDGE_INTERNAL_DROPPED] + b->metrics.drops[MIDGE_RETAINED_FULL] == before;
}
