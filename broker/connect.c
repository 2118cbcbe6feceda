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

enum { ASSIGNED_ID_SIZE = 22 };

/* The rules for the client identifier alone. */
static enum midge_reason check_client_id(const struct midge *b, const struct midge_login *login)
{
    const struct midge_policy *policy = &b->config.policy;
    if (login->client_id.size == 0) {
        bool mqtt31 = (login->level & 0x7f) == 3;
        bool allowed = login->clean_session && policy->empty_client_id && !mqtt31;
        return allowed ? MIDGE_NONE : MIDGE_CLIENT_ID_EMPTY; /* [MQTT-3.1.3-8] */
    }
    bool too_long = policy->client_id_size_max != 0 && login->client_id.size > policy->client_id_size_max;
    return too_long ? MIDGE_CLIENT_ID_SIZE : MIDGE_NONE;
}

/* Asks the port, unless an answer came already by midge_authenticated; it is kept in the connection. */
static void ask(struct midge *b, struct midge_connection *c, const struct midge_login *login)
{
    if (c->verdict == MIDGE_VERDICT_NONE) {
        c->verdict = b->config.authenticate == NULL ? (uint8_t)MIDGE_ACCEPT
                                                    : (uint8_t)b->config.authenticate(b->config.context, login, &c->who);
    }
}

/* Makes up an identifier that no session has [MQTT-3.1.3-6]. */
static struct midge_view assign_client_id(struct midge *b, uint8_t id[ASSIGNED_ID_SIZE])
{
    const struct midge_view view = {.bytes = id, .size = ASSIGNED_ID_SIZE};
    memcpy(id, "midge-", 6);
    do {
        b->assigned_ids++;
        const uint8_t *count = (const uint8_t *)&b->assigned_ids;
        uint32_t upper = midge_hash(&b->config.hash_seed, 0, count, sizeof(b->assigned_ids));
        uint32_t lower = midge_hash(&b->config.hash_seed, upper, count, sizeof(b->assigned_ids));
        uint64_t number = (uint64_t)upper << 32 | lower;
        for (uint32_t i = 6; i < ASSIGNED_ID_SIZE; i++) {
            id[i] = (uint8_t)('a' + (number >> 60));
            number <<= 4;
        }
    } while (midge_session_find(b, view) != NULL);
    return view;
}

/* Takes the session, if there is one, or makes it [MQTT-3.1.2-4] [MQTT-3.1.2-6], taking it from another connection first
 * [MQTT-3.1.4-2]. Returns NULL where there is no room. */
static struct midge_session *open_session(struct midge *b, struct midge_session *s, const struct midge_login *login,
                                          bool *present, enum midge_reason *reason)
{
    if (s != NULL && s->connection != 0) {
        midge_connection_end(b, midge_connection_at(b, s->connection), MIDGE_TAKEN_OVER);
        s = midge_session_find(b, login->client_id);
    }
    if (s != NULL && login->clean_session) {
        midge_session_remove(b, s, MIDGE_SESSION_CLEAN);
        s = NULL;
    }
    *present = s != NULL;
    return s != NULL ? s : midge_session_create(b, login->client_id, reason);
}

static void log_connected(struct midge *b, const struct midge_connection *c, bool present)
{
    struct midge_log *record = midge_record(b, MIDGE_LOG_CONNECTED, MIDGE_NONE, c);
    record->code = present ? 1 : 0;
    record->size = c->keepalive_s;
    midge_record_write(b);
}

/* All questions are answered: the client is in, unless a pool is dry. */
static enum midge_reason accept_client(struct midge *b, struct midge_connection *c, struct midge_connect *connect)
{
    const struct midge_login *login = &connect->login;
    struct midge_session *s = midge_session_find(b, login->client_id);
    bool takeover = s != NULL && s->connection != 0;
    if (!takeover && b->metrics.clients_connected >= b->config.limits.clients) {
        return MIDGE_CLIENTS_FULL;
    }
    midge_index will = 0;
    if (connect->will_flags != 0) {
        will = midge_will_store(b, connect);
        if (will == 0) {
            return MIDGE_WILL_FULL;
        }
    }
    bool present;
    enum midge_reason reason = MIDGE_NONE;
    s = open_session(b, s, login, &present, &reason);
    if (s == NULL) {
        if (will != 0) {
            midge_store_release(&b->store, will);
        }
        return reason;
    }
    midge_session_attach(b, s, c, login->clean_session, c->who);
    /* What is still in assembly was counted among the handshakes. */
    midge_assembly_accept(b, c);
    c->state = MIDGE_ACTIVE;
    c->output_offset = 0; /* what stood there was `who` */
    c->level = login->level & 0x7f;
    c->session = midge_session_index(b, s);
    c->will = will;
    c->keepalive_s = login->keepalive_s;
    c->last_input_ms = midge_now(b);
    c->progress_ms = midge_now(b);
    b->metrics.clients_accepted++;
    b->metrics.clients_connected++;
    b->metrics.clients_peak =
        b->metrics.clients_connected > b->metrics.clients_peak ? b->metrics.clients_connected : b->metrics.clients_peak;
    /* In MQTT 3.1 the bit of session present is reserved. */
    midge_reply_connack(b, c, present && c->level != 3, 0); /* [MQTT-3.2.2-2] */
    log_connected(b, c, present);
    midge_deadlines_arm(b, c);
    return MIDGE_NONE;
}

/* Asks whether the client may connect, and as whom. MIDGE_NONE: it may, or nobody knows yet. */
static enum midge_reason judge(struct midge *b, struct midge_connection *c, struct midge_login *login)
{
    enum midge_reason reason = check_client_id(b, login);
    if (reason != MIDGE_NONE) {
        return reason;
    }
    login->conn = c->handle;
    login->listener = (uint8_t)c->listener;
    ask(b, c, login);
    if (c->verdict != MIDGE_ACCEPT) {
        return c->verdict == MIDGE_PENDING ? MIDGE_NONE : MIDGE_NOT_AUTHENTICATED;
    }
    if (b->config.client_id != NULL) {
        struct midge_view client_id = b->config.client_id(b->config.context, login);
        if (client_id.size > 0) {
            login->client_id = client_id;
        }
    }
    return MIDGE_NONE;
}

/* The return code that tells the client why it is refused. */
static uint8_t code_of(enum midge_reason reason, const struct midge_connection *c)
{
    switch (reason) {
    case MIDGE_PROTOCOL_LEVEL:
        return 1; /* [MQTT-3.1.2-2] */
    case MIDGE_CLIENT_ID_EMPTY:
    case MIDGE_CLIENT_ID_SIZE:
        return 2;
    case MIDGE_NOT_AUTHENTICATED:
        return c->verdict;
    default:
        return 3; /* a pool is dry */
    }
}

enum midge_handled midge_handle_connect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    struct midge_connect connect;
    uint8_t assigned[ASSIGNED_ID_SIZE];
    enum midge_reason reason = midge_connect_decode(&packet->body, &b->scratch, &connect);
    if (reason == MIDGE_NONE && connect.will_flags != 0) {
        reason = midge_topic_check(connect.will_topic.bytes, connect.will_topic.size, b->config.limits.topic_levels);
        if (reason == MIDGE_NONE && connect.will_topic.size > midge_name_size_max(b)) {
            reason = MIDGE_SCRATCH;
        }
    }
    if (reason != MIDGE_NONE && reason != MIDGE_PROTOCOL_LEVEL) {
        return midge_connection_end(b, c, reason); /* [MQTT-3.1.4-1] */
    }
    if (reason == MIDGE_NONE) {
        reason = judge(b, c, &connect.login);
    }
    if (reason == MIDGE_NONE) {
        if (c->verdict == MIDGE_PENDING) {
            midge_wait_done(b, c);
            midge_wait(b, c, MIDGE_WAIT_AUTHENTICATION, 0);
            return MIDGE_STALLED;
        }
        if (connect.login.client_id.size == 0) {
            connect.login.client_id = assign_client_id(b, assigned);
        }
        packet->traced.code = connect.login.level;
        reason = accept_client(b, c, &connect);
    }
    if (reason != MIDGE_NONE) {
        return midge_connection_refuse(b, c, &connect.login.client_id, reason, code_of(reason, c));
    }
    return MIDGE_HANDLED;
}
