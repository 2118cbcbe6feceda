#include "record.h"

struct midge_log *midge_record(struct midge *b, enum midge_log_event event, enum midge_reason reason,
                               const struct midge_connection *c)
{
    struct midge_log *record = midge_record_session(b, event, reason, c->session != 0 ? midge_session_of(b, c) : NULL);
    record->conn = c->handle;
    return record;
}

struct midge_log *midge_record_session(struct midge *b, enum midge_log_event event, enum midge_reason reason,
                                       const struct midge_session *s)
{
    struct midge_log *record = &b->log;
    memset(record, 0, sizeof(*record));
    record->event = event;
    record->reason = reason;
    if (s != NULL) {
        record->client_id.bytes = b->log_client;
        record->client_id.size = midge_min(s->client_id_size, MIDGE_LOG_CLIENT_MAX);
        midge_names_copy(&b->names, s->client_id, b->log_client, record->client_id.size);
    }
    return record;
}

void midge_record_message(struct midge *b, midge_index message)
{
    struct midge_log *record = &b->log;
    const struct midge_message *m = midge_message_at(&b->store, message);
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, message, 2);
    uint32_t size = midge_min(m->topic_size, MIDGE_LOG_TOPIC_MAX);
    midge_reader_copy(&reader, b->log_topic, size);
    record->topic.bytes = b->log_topic;
    record->topic.size = size;
    record->size = midge_message_payload_size(m);
}

void midge_record_write(struct midge *b)
{
    if (b->config.log != NULL) {
        struct midge_log *record = &b->log;
        record->client_id.size = midge_min(record->client_id.size, MIDGE_LOG_CLIENT_MAX);
        record->topic.size = midge_min(record->topic.size, MIDGE_LOG_TOPIC_MAX);
        b->config.log(b->config.context, record);
    }
}

/* Counts a lost message. Where somebody listens, the record of it is begun. */
static bool drop(struct midge *b, enum midge_reason reason, const struct midge_session *s)
{
    b->metrics.drops[reason]++;
    if (b->config.log == NULL) {
        return false;
    }
    midge_record_session(b, MIDGE_LOG_DROPPED, reason, s);
    return true;
}

void midge_drop_message(struct midge *b, enum midge_reason reason, const struct midge_session *s, midge_index message)
{
    if (drop(b, reason, s)) {
        midge_record_message(b, message);
        midge_record_write(b);
    }
}

void midge_drop_topic(struct midge *b, enum midge_reason reason, const struct midge_session *s, struct midge_view topic,
                      uint32_t payload_size)
{
    if (drop(b, reason, s)) {
        b->log.topic = topic;
        b->log.size = payload_size;
        midge_record_write(b);
    }
}

void midge_trace(struct midge *b, enum midge_log_event event, const struct midge_connection *c,
                 const struct midge_traced *traced)
{
    uint8_t kind = event > MIDGE_LOG_SENT ? MIDGE_TRACE_SUBSCRIPTIONS : MIDGE_TRACE_PACKETS;
    if ((b->config.policy.trace & kind) == 0) {
        return;
    }
    struct midge_log *record = midge_record(b, event, MIDGE_NONE, c);
    record->packet = traced->first;
    record->packet_id = traced->packet_id;
    record->topic = traced->topic;
    record->size = traced->size;
    record->code = traced->code;
    midge_record_write(b);
}
