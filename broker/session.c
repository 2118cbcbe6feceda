#include "session.h"

#include "delivery.h"
#include "interest.h"
#include "record.h"

enum { OFFLINE_LINKS = offsetof(struct midge_session, younger), QOS2_LINKS = offsetof(struct midge_qos2, next) };

/* Absence is counted in units of 512 ms: no division, and 32 bits last for sixty years. */
enum { OFFLINE_SHIFT = 9 };

static uint32_t hash_of(const struct midge *b, struct midge_view client_id)
{
    return midge_hash(&b->config.hash_seed, 0, client_id.bytes, client_id.size);
}

struct midge_session *midge_session_find(const struct midge *b, struct midge_view client_id)
{
    uint32_t hash = hash_of(b, client_id);
    for (midge_index i = midge_table_first(&b->session_table, hash); i != 0;
         i = midge_table_after(&b->session_table, i, hash)) {
        struct midge_session *s = midge_session_at(b, i);
        if (s->client_id_size == client_id.size &&
            midge_names_equal(&b->names, s->client_id, client_id.bytes, client_id.size)) {
            return s;
        }
    }
    return NULL;
}

static void offline_append(struct midge *b, struct midge_session *s)
{
    s->offline_since = (uint32_t)(b->now_ms >> OFFLINE_SHIFT);
    midge_list_insert(&b->sessions, &b->offline, OFFLINE_LINKS, midge_session_index(b, s), 0);
    b->metrics.sessions_offline++;
}

static void offline_remove(struct midge *b, midge_index session)
{
    midge_list_remove(&b->sessions, &b->offline, OFFLINE_LINKS, session);
    b->metrics.sessions_offline--;
}

/* Removes the session that was absent for longest. */
static void remove_oldest(struct midge *b, enum midge_reason reason)
{
    midge_session_remove(b, midge_session_at(b, b->offline.head), reason);
}

/* Makes room at the cost of the client absent for longest, if the policy says so. Returns false where nothing was gained. */
static bool evict(struct midge *b)
{
    if (!b->config.policy.evict_sessions || b->offline.head == 0) {
        return false;
    }
    remove_oldest(b, MIDGE_SESSION_EVICTED);
    return true;
}

/* Whether the names of all absent clients and what is free suffice for a client identifier: else none is evicted in vain. */
static bool may_fit(const struct midge *b, struct midge_view client_id)
{
    uint32_t chunks = midge_pool_free(&b->names.chunks);
    for (midge_index i = b->config.policy.evict_sessions ? b->offline.head : 0; i != 0; i = midge_session_at(b, i)->younger) {
        chunks += midge_names_chunks(&b->names, midge_session_at(b, i)->client_id_size);
    }
    return midge_names_chunks(&b->names, client_id.size) <= chunks;
}

struct midge_session *midge_session_create(struct midge *b, struct midge_view client_id, enum midge_reason *reason)
{
    if (midge_pool_free(&b->sessions) == 0 && !evict(b)) {
        *reason = MIDGE_SESSIONS_FULL;
        return NULL;
    }
    midge_index name;
    bool fits = false; /* not known yet */
    while (!midge_names_store(&b->names, client_id.bytes, client_id.size, &name)) {
        fits = fits || may_fit(b, client_id);
        if (!fits || !evict(b)) {
            *reason = MIDGE_NAMES_FULL;
            return NULL;
        }
    }
    midge_index session = midge_pool_take(&b->sessions);
    struct midge_session *s = midge_session_at(b, session);
    *s = (struct midge_session){.client_id = name, .client_id_size = (uint16_t)client_id.size, .next_packet_id = 1};
    midge_table_add(&b->session_table, hash_of(b, client_id), session);
    offline_append(b, s);
    return s;
}

void midge_session_remove(struct midge *b, struct midge_session *s, enum midge_reason reason)
{
    MIDGE_ASSERT(s->connection == 0);
    uint32_t lost = midge_queue_clear(b, s, reason);
    midge_interest_clear(b, s);
    while (s->qos2 != 0) {
        midge_qos2_remove(b, s->qos2);
    }
    if ((s->flags & MIDGE_SESSION_EPHEMERAL) == 0 || lost > 0) {
        midge_record_session(b, MIDGE_LOG_SESSION_GONE, reason, s)->size = lost;
        midge_record_write(b);
    }
    midge_index session = midge_session_index(b, s);
    midge_table_remove(&b->session_table, session);
    midge_names_release(&b->names, s->client_id);
    offline_remove(b, session);
    midge_pool_give(&b->sessions, session);
}

void midge_session_attach(struct midge *b, struct midge_session *s, const struct midge_connection *c, bool clean, uint32_t who)
{
    MIDGE_ASSERT(s->connection == 0);
    offline_remove(b, midge_session_index(b, s));
    s->connection = c->index;
    s->flags = clean ? MIDGE_SESSION_EPHEMERAL : 0;
    s->who = who;
}

void midge_session_detach(struct midge *b, struct midge_session *s)
{
    MIDGE_ASSERT(s->connection != 0);
    s->connection = 0;
    offline_append(b, s);
    if ((s->flags & MIDGE_SESSION_EPHEMERAL) != 0) {
        midge_session_remove(b, s, MIDGE_SESSION_CLEAN);
    } else {
        midge_queue_disconnect(b, s);
    }
}

uint64_t midge_session_expire(struct midge *b)
{
    while (b->offline.head != 0 && b->config.policy.session_expiry_s != 0) {
        uint64_t expiry_s = b->config.policy.session_expiry_s;
        uint64_t since = (uint64_t)midge_session_at(b, b->offline.head)->offline_since + 1;
        uint64_t due = (since << OFFLINE_SHIFT) + expiry_s * 1000;
        if (due > b->now_ms) {
            return due;
        }
        b->metrics.sessions_expired++;
        remove_oldest(b, MIDGE_SESSION_EXPIRED);
    }
    return UINT64_MAX;
}

static uint32_t qos2_hash(const struct midge *b, midge_index session, uint16_t packet_id)
{
    return midge_hash(&b->config.hash_seed, session, (const uint8_t *)&packet_id, sizeof(packet_id));
}

midge_index midge_qos2_find(const struct midge *b, midge_index session, uint16_t packet_id)
{
    uint32_t hash = qos2_hash(b, session, packet_id);
    midge_index i = midge_table_first(&b->qos2_table, hash);
    while (i != 0 && (midge_qos2_at(b, i)->session != session || midge_qos2_at(b, i)->packet_id != packet_id)) {
        i = midge_table_after(&b->qos2_table, i, hash);
    }
    return i;
}

bool midge_qos2_room(const struct midge *b, midge_index session)
{
    const struct midge_session *s = midge_session_at(b, session);
    uint32_t room = midge_pool_free(&b->qos2);
    return room > 0 && (s->qos2_count == 0 || s->qos2_count < room);
}

void midge_qos2_add(struct midge *b, midge_index session, uint16_t packet_id)
{
    struct midge_session *s = midge_session_at(b, session);
    midge_index entry = midge_pool_take(&b->qos2);
    MIDGE_ASSERT(entry != 0);
    struct midge_qos2 *q = midge_qos2_at(b, entry);
    q->session = session;
    q->packet_id = packet_id;
    midge_table_add(&b->qos2_table, qos2_hash(b, session, packet_id), entry);
    midge_list_push(&b->qos2, &s->qos2, QOS2_LINKS, entry);
    s->qos2_count++;
}

void midge_qos2_remove(struct midge *b, midge_index entry)
{
    struct midge_session *s = midge_session_at(b, midge_qos2_at(b, entry)->session);
    midge_table_remove(&b->qos2_table, entry);
    midge_list_unlink(&b->qos2, &s->qos2, QOS2_LINKS, entry);
    s->qos2_count--;
    midge_pool_give(&b->qos2, entry);
}
