#include "record.h"

struct midge_log midge_record(struct midge *b, enum midge_log_event event, enum midge_reason reason,
                              const struct midge_connection *c)
{
    struct midge_log record = {.event = event, .reason = reason};
    if (c != NULL) {
        record.conn = (struct midge_handle){.index = c->index, .generation = c->generation};
        if (c->session != 0) {
            midge_record_session(b, &record, midge_session_of(b, c));
        }
    }
    return record;
}

void midge_record_session(struct midge *b, struct midge_log *record, const struct midge_session *s)
{
    record->client_id.bytes = b->log_client;
    record->client_id.size = midge_min(s->client_id_size, MIDGE_LOG_CLIENT_MAX);
    midge_names_copy(&b->names, s->client_id, b->log_client, record->client_id.size);
}

void midge_record_message(struct midge *b, struct midge_log *record, midge_index message)
{
    const struct midge_message *m = midge_message_at(&b->store, message);
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, message, 2);
    uint32_t size = midge_min(m->topic_size, MIDGE_LOG_TOPIC_MAX);
    midge_reader_copy(&reader, b->log_topic, size);
    record->topic = (struct midge_view){.bytes = b->log_topic, .size = size};
    record->size = midge_message_payload_size(m);
}

void midge_record_write(struct midge *b, struct midge_log *record)
{
    if (b->config.log != NULL) {
        record->client_id.size = midge_min(record->client_id.size, MIDGE_LOG_CLIENT_MAX);
        record->topic.size = midge_min(record->topic.size, MIDGE_LOG_TOPIC_MAX);
        b->config.log(b->config.context, record);
    }
}

/* The part that both kinds of drop share; `message` is 0 where the topic is known otherwise. */
static void drop(struct midge *b, enum midge_reason reason, const struct midge_session *s, midge_index message,
                 struct midge_view topic, uint32_t payload_size)
{
    b->metrics.drops[reason]++;
    if (b->config.log == NULL) {
        return;
    }
    struct midge_log record = midge_record(b, MIDGE_LOG_DROPPED, reason, NULL);
    record.topic = topic;
    record.size = payload_size;
    if (s != NULL) {
        midge_record_session(b, &record, s);
    }
    if (message != 0) {
        midge_record_message(b, &record, message);
    }
    midge_record_write(b, &record);
}

void midge_drop_message(struct midge *b, enum midge_reason reason, const struct midge_session *s, midge_index message)
{
    drop(b, reason, s, message, (struct midge_view){0}, 0);
}

void midge_drop_topic(struct midge *b, enum midge_reason reason, const struct midge_session *s, struct midge_view topic,
                      uint32_t payload_size)
{
    drop(b, reason, s, 0, topic, payload_size);
}

void midge_trace(struct midge *b, enum midge_log_event event, const struct midge_connection *c,
                 const struct midge_traced *traced)
{
    uint8_t kind = event > MIDGE_LOG_SENT ? MIDGE_TRACE_SUBSCRIPTIONS : MIDGE_TRACE_PACKETS;
    if ((b->config.policy.trace & kind) == 0) {
        return;
    }
    struct midge_log record = midge_record(b, event, MIDGE_NONE, c);
    record.packet = traced->first;
    record.packet_id = traced->packet_id;
    record.topic = traced->topic;
    record.size = traced->size;
    record.code = traced->code;
    midge_record_write(b, &record);
}
