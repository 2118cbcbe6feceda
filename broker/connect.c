/* CONNECT: who may come in, to which session, with which will. */
#include "handlers.h"

#include "connection.h"
#include "events.h"
#include "publishing.h"
#include "record.h"
#include "replies.h"
#include "session.h"
#include "topic.h"
#include "waiting.h"

enum { CODE_LEVEL = 1, CODE_IDENTIFIER = 2, CODE_UNAVAILABLE = 3 };

enum { ASSIGNED_ID_SIZE = 22 };

/* The rules for the client identifier alone. */
static enum midge_reason check_client_id(const struct midge *b, const struct midge_connect *connect)
{
    const struct midge_policy *policy = &b->config.policy;
    if (connect->login.client_id.size == 0) {
        bool mqtt31 = (connect->login.level & 0x7f) == 3;
        bool allowed = connect->login.clean_session && policy->empty_client_id && !mqtt31;
        return allowed ? MIDGE_NONE : MIDGE_CLIENT_ID_EMPTY; /* [MQTT-3.1.3-8] */
    }
    bool too_long = policy->client_id_size_max != 0 && connect->login.client_id.size > policy->client_id_size_max;
    return too_long ? MIDGE_CLIENT_ID_SIZE : MIDGE_NONE;
}

/* Asks the port; an answer that came by midge_authenticated is kept in the connection. */
static enum midge_verdict authenticate(struct midge *b, struct midge_connection *c, const struct midge_login *login)
{
    if (c->verdict != MIDGE_VERDICT_NONE) {
        return (enum midge_verdict)c->verdict;
    }
    if (b->config.authenticate == NULL) {
        return MIDGE_ACCEPT;
    }
    c->verdict = (uint8_t)b->config.authenticate(b->config.context, login, &c->who);
    return (enum midge_verdict)c->verdict;
}

/* Makes up an identifier that no session has [MQTT-3.1.3-6]. */
static struct midge_view assign_client_id(struct midge *b, uint8_t id[ASSIGNED_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    struct midge_view view = {.bytes = id, .size = ASSIGNED_ID_SIZE};
    memcpy(id, "midge-", 6);
    do {
        b->assigned_ids++;
        uint32_t number = 0;
        for (uint32_t i = 0; i < 16; i++) {
            if (i % 8 == 0) {
                number =
                    midge_hash(&b->config.hash_seed, 1 + i / 8, (const uint8_t *)&b->assigned_ids, sizeof(b->assigned_ids));
            }
            id[6 + i] = (uint8_t)digits[number >> 28];
            number <<= 4;
        }
    } while (midge_session_find(b, view) != NULL);
    return view;
}

/* Takes the session, if there is one, or makes it [MQTT-3.1.2-4] [MQTT-3.1.2-6], taking it from another connection first
 * [MQTT-3.1.4-2]. Returns NULL where there is no room. */
static struct midge_session *open_session(struct midge *b, struct midge_session *s, struct midge_view client_id, bool clean,
                                          bool *present, enum midge_reason *reason)
{
    if (s != NULL && s->connection != 0) {
        midge_connection_end(b, midge_connection_at(b, s->connection), MIDGE_TAKEN_OVER);
        s = midge_session_find(b, client_id);
    }
    if (s != NULL && clean) {
        midge_session_remove(b, s, MIDGE_SESSION_CLEAN);
        s = NULL;
    }
    *present = s != NULL;
    return s != NULL ? s : midge_session_create(b, client_id, reason);
}

static void log_connected(struct midge *b, const struct midge_connection *c, uint16_t keepalive_s, bool present)
{
    struct midge_log record = midge_record(b, MIDGE_LOG_CONNECTED, MIDGE_NONE, c);
    record.code = present ? 1 : 0;
    record.size = keepalive_s;
    midge_record_write(b, &record);
}

/* All questions are answered: the client is in, unless a pool is dry. */
static enum midge_handled accept_client(struct midge *b, struct midge_connection *c, const struct midge_connect *connect)
{
    uint8_t assigned[ASSIGNED_ID_SIZE];
    struct midge_view client_id = connect->login.client_id.size == 0 ? assign_client_id(b, assigned) : connect->login.client_id;
    struct midge_session *s = midge_session_find(b, client_id);
    bool takeover = s != NULL && s->connection != 0;
    if (!takeover && b->metrics.clients_connected >= b->config.limits.clients) {
        return midge_connection_refuse(b, c, client_id, MIDGE_CLIENTS_FULL, CODE_UNAVAILABLE);
    }
    midge_index will = connect->has_will ? midge_will_store(b, connect) : 0;
    if (connect->has_will && will == 0) {
        return midge_connection_refuse(b, c, client_id, MIDGE_WILL_FULL, CODE_UNAVAILABLE);
    }
    bool present;
    enum midge_reason reason = MIDGE_NONE;
    s = open_session(b, s, client_id, connect->login.clean_session, &present, &reason);
    if (s == NULL) {
        if (will != 0) {
            midge_store_release(&b->store, will);
        }
        return midge_connection_refuse(b, c, client_id, reason, CODE_UNAVAILABLE);
    }
    midge_session_attach(b, s, c, connect->login.clean_session, c->who);
    /* What is still in assembly was counted among the handshakes. */
    midge_assembly_accept(b, c);
    c->state = MIDGE_ACTIVE;
    c->output_offset = 0; /* what stood there was `who` */
    c->level = connect->login.level & 0x7f;
    c->session = midge_session_index(b, s);
    c->will = will;
    c->keepalive_s = connect->login.keepalive_s;
    c->last_input_ms = midge_now(b);
    c->progress_ms = midge_now(b);
    b->metrics.clients_accepted++;
    b->metrics.clients_connected++;
    b->metrics.clients_peak =
        b->metrics.clients_connected > b->metrics.clients_peak ? b->metrics.clients_connected : b->metrics.clients_peak;
    /* In MQTT 3.1 the bit of session present is reserved. */
    midge_reply_connack(b, c, present && (connect->login.level & 0x7f) != 3, 0); /* [MQTT-3.2.2-2] */
    log_connected(b, c, c->keepalive_s, present);
    midge_deadlines_arm(b, c);
    return MIDGE_HANDLED;
}

enum midge_handled midge_handle_connect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    struct midge_connect connect;
    enum midge_reason reason = midge_connect_decode(&packet->body, &b->scratch, &connect);
    if (reason == MIDGE_PROTOCOL_LEVEL) {
        return midge_connection_refuse(b, c, connect.login.client_id, reason, CODE_LEVEL); /* [MQTT-3.1.2-2] */
    }
    if (reason == MIDGE_NONE && connect.has_will) {
        reason = midge_topic_check(connect.will_topic.bytes, connect.will_topic.size, b->config.limits.topic_levels);
        if (reason == MIDGE_NONE && connect.will_topic.size > midge_name_size_max(b)) {
            reason = MIDGE_SCRATCH;
        }
    }
    if (reason != MIDGE_NONE) {
        return midge_connection_end(b, c, reason); /* [MQTT-3.1.4-1] */
    }
    reason = check_client_id(b, &connect);
    if (reason != MIDGE_NONE) {
        return midge_connection_refuse(b, c, connect.login.client_id, reason, CODE_IDENTIFIER);
    }
    connect.login.conn = (struct midge_handle){.index = c->index, .generation = c->generation};
    connect.login.listener = (uint8_t)c->listener;
    enum midge_verdict verdict = authenticate(b, c, &connect.login);
    if (verdict == MIDGE_PENDING) {
        midge_wait_done(b, c);
        midge_wait(b, c, MIDGE_WAIT_AUTHENTICATION, 0);
        return MIDGE_STALLED;
    }
    if (verdict != MIDGE_ACCEPT) {
        return midge_connection_refuse(b, c, connect.login.client_id, MIDGE_NOT_AUTHENTICATED, (uint8_t)verdict);
    }
    if (b->config.client_id != NULL) {
        struct midge_view client_id = b->config.client_id(b->config.context, &connect.login);
        if (client_id.size > 0) {
            connect.login.client_id = client_id;
        }
    }
    packet->traced.code = connect.login.level;
    return accept_client(b, c, &connect);
}
