/* Losses: each one is reported by exactly one record, which must be true, and allowed by the policies. */
#include "model.h"
#include "oracle.h"

#include <stdio.h>
#include <string.h>

bool oracle_names(const struct world *w, uint32_t message, const struct record *record)
{
    const struct message *m = &w->messages[message];
    return m->size == record->size && w->topics.topic_size[m->topic] == record->topic_size &&
           memcmp(w->topics.topic[m->topic], record->topic, record->topic_size) == 0;
}

static _Noreturn void fail_drop(struct world *w, const struct record *record, const char *why)
{
    fail(w, "the broker says it dropped a message of %u bytes on '%.*s' for '%.*s' (%s), but %s", record->size,
         record->topic_size, record->topic, record->id_size, record->id, say_reason(record->reason), why);
}

/* ---- Whether a full queue is a true excuse ---- */

static uint64_t list_bytes(struct world *w, const struct delivery_list *list)
{
    uint64_t bytes = 0;
    for (uint32_t i = list->head; i != 0; i = delivery_at(w, i)->next) {
        const struct message *m = &w->messages[delivery_at(w, i)->message];
        bytes += delivery_at(w, i)->state == RELEASED ? 0 : w->topics.topic_size[m->topic] + m->size;
    }
    return bytes;
}

/* Blocks that half-sent packets hold or keep reserved, at most. */
static uint64_t reserved_blocks(const struct world *w)
{
    uint64_t blocks = 0;
    for (uint32_t i = 1; i < w->link_count; i++) {
        const struct link *link = &w->links[i];
        if (link->state == LINK_FREE || link->state == LINK_ENDED || link->packet_begin == link->packet_end) {
            continue;
        }
        const struct packet *next = &link->packets[link->packet_begin];
        if (link->held || next->end - next->size < link->consumed) {
            blocks += next->size / (w->scenario.config.limits.block_size - 8) + 1;
        }
    }
    return blocks;
}

/* Rule 4 of the design, without its exact arithmetic: a queue that takes less than half of what it may, and stays within the
 * limits that the operator set, is not full. */
static bool may_be_full(struct world *w, struct session *s, uint32_t size)
{
    const struct midge_policy *policy = &w->scenario.config.policy;
    const struct midge_limits *limits = &w->scenario.config.limits;
    uint64_t free_entries = oracle_free(w, MIDGE_POOL_DELIVERIES);
    uint64_t free_blocks = oracle_free(w, MIDGE_POOL_BLOCKS);
    uint64_t needed = (size + 64) / (limits->block_size - 8) + 1;
    uint64_t reserved = reserved_blocks(w);
    uint64_t held = s->queue.count + s->flight.count;
    uint64_t held_bytes = list_bytes(w, &s->queue) + list_bytes(w, &s->flight);
    uint64_t share = s->online ? 2 : 8;
    if (w->publication.active && w->publication.receiver_count > free_entries) {
        return true; /* there are fewer deliveries than receivers */
    }
    if (w->publication.active) {
        free_entries -= w->publication.receiver_count; /* those that displace older messages come after the others */
    }
    if (policy->queued_messages_max != 0 && s->queue.count >= policy->queued_messages_max) {
        return true;
    }
    if (policy->queued_bytes_max != 0 && held_bytes + size > policy->queued_bytes_max) {
        return true;
    }
    if (!s->online && free_entries <= limits->deliveries / 8 + 1) {
        return true; /* an eighth of the deliveries is kept free of those for absent clients */
    }
    if (!s->online && free_blocks < limits->blocks / 2 + 2 * needed + reserved) {
        return true; /* room for one packet of the largest size has to stay */
    }
    uint64_t short_blocks = needed + reserved;
    uint64_t free_bytes = free_blocks < short_blocks ? 0 : (free_blocks - short_blocks) * (limits->block_size - 8);
    if (held == 0) {
        return free_blocks < short_blocks || free_entries == 0; /* an empty queue admits one message */
    }
    return held * share >= free_entries || held_bytes * share >= free_bytes;
}

/* Whether something waits for room, which a newcomer does not pass. */
static bool others_wait(const struct world *w)
{
    for (uint32_t i = 1; i < w->link_count; i++) {
        if (w->links[i].state != LINK_FREE && w->links[i].held) {
            return true;
        }
    }
    return w->will_count > 0;
}

static void check_full(struct world *w, struct session *s, uint8_t qos, const struct record *record)
{
    const struct midge_policy *policy = &w->scenario.config.policy;
    enum midge_overflow overflow = !s->online ? policy->overflow_offline
                                   : qos == 0 ? policy->overflow_qos0
                                              : policy->overflow_qos12;
    const struct publication *p = &w->publication;
    bool refusable = p->active && w->messages[p->message].publisher != NOBODY && !w->messages[p->message].will;
    if (overflow == MIDGE_REFUSE && qos > 0 && refusable) {
        fail_drop(w, record, "the policy is to refuse: nothing acknowledged may be lost");
    }
    if (record->reason == MIDGE_QUEUE_FULL_OLDEST && overflow != MIDGE_DROP_OLDEST) {
        fail_drop(w, record, "the policy is not to drop the oldest");
    }
    const struct message *m = p->active ? &w->messages[p->message] : NULL;
    uint32_t size = m != NULL ? m->size + w->topics.topic_size[m->topic] : record->size + record->topic_size;
    if (!may_be_full(w, s, size) && !others_wait(w)) {
        char why[160];
        snprintf(why, sizeof why,
                 "there is room: it has %u queued and %u in flight; %u of %u deliveries and %u of %u blocks are free",
                 s->queue.count, s->flight.count, oracle_free(w, MIDGE_POOL_DELIVERIES), w->scenario.config.limits.deliveries,
                 oracle_free(w, MIDGE_POOL_BLOCKS), w->scenario.config.limits.blocks);
        fail_drop(w, record, why);
    }
}

/* ---- Which message it was ---- */

static void drop_receiver(struct world *w, const struct record *record, uint32_t session)
{
    struct publication *p = &w->publication;
    bool full = record->reason == MIDGE_QUEUE_FULL || record->reason == MIDGE_QUEUE_FULL_OFFLINE;
    if (!p->active || p->qos[session] == 0xff || !oracle_names(w, p->message, record) ||
        (full && oracle_will_rather(w, record, session))) {
        oracle_will_next(w);
        if (!p->active || p->qos[session] == 0xff || !oracle_names(w, p->message, record)) {
            fail_drop(w, record, "no such message is being published to this session");
        }
    }
    uint8_t qos = p->qos[session];
    struct session *s = &w->sessions[session];
    bool denied = !oracle_may_read(w, session, w->messages[p->message].topic);
    switch (record->reason) {
    case MIDGE_READ_DENIED:
        if (!denied) {
            fail_drop(w, record, "it may read the topic");
        }
        break;
    case MIDGE_QOS0_OFFLINE:
        if (s->online || qos != 0 || w->scenario.config.policy.queue_qos0) {
            fail_drop(w, record, "the client is not absent, or the message is not QoS 0, or the policy is to keep it");
        }
        break;
    case MIDGE_QUEUE_FULL_OFFLINE:
    case MIDGE_QUEUE_FULL:
        if (s->online == (record->reason == MIDGE_QUEUE_FULL_OFFLINE)) {
            fail_drop(w, record, "the client's presence is otherwise");
        }
        if (p->displaced[session]) {
            fail_drop(w, record, "older messages were dropped to make room for it");
        }
        check_full(w, s, qos, record);
        break;
    default:
        break;
    }
    TRACE(w, "  lost for %s (%s): %s", say_session(w, session), say_reason(record->reason), say_message(w, p->message));
    p->qos[session] = 0xff;
    p->begun = true;
}

/* Finds the first delivery of a queue that the record may be about, in that state; 0. */
static uint32_t find_delivery(struct world *w, const struct delivery_list *list, const struct record *record,
                              enum delivery_state state, bool offered, bool qos0)
{
    for (uint32_t i = list->head; i != 0; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if ((d->qos == 0) == qos0 && d->state == state && d->offered == offered && oracle_names(w, d->message, record)) {
            return i;
        }
    }
    return 0;
}

static void lose(struct world *w, uint32_t session, struct delivery_list *list, uint32_t delivery, enum midge_reason reason)
{
    TRACE(w, "  lost for %s (%s): %s", say_session(w, session), say_reason(reason),
          say_message(w, delivery_at(w, delivery)->message));
    delivery_remove(w, list, delivery);
}

/* Whether no other message of the same kind has waited for longer. Those that were offered may be in the window already. */
static bool is_oldest(struct world *w, const struct delivery_list *list, uint32_t delivery)
{
    bool qos0 = delivery_at(w, delivery)->qos == 0;
    for (uint32_t i = list->head; i != delivery; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if (d->state == QUEUED && !d->offered && (d->qos == 0) == qos0) {
            return false;
        }
    }
    return true;
}

/* Room is made among the messages of the same kind. */
static uint32_t find_oldest(struct world *w, const struct record *record, uint32_t session)
{
    const struct publication *p = &w->publication;
    if (!p->active || p->qos[session] == 0xff) {
        return 0;
    }
    const struct delivery_list *queue = &w->sessions[session].queue;
    uint32_t found = find_delivery(w, queue, record, QUEUED, false, p->qos[session] == 0);
    if (found == 0 && record->size < SMALL_PAYLOAD) {
        found = find_delivery(w, queue, record, QUEUED, true, p->qos[session] == 0); /* they are all alike */
    }
    return found;
}

/* Whether the record is rather about a message of the other kind that looks the same: that one has waited for longest. */
static bool is_of_other_kind(struct world *w, const struct record *record, uint32_t session, uint32_t delivery)
{
    const struct delivery_list *queue = &w->sessions[session].queue;
    uint32_t other = find_delivery(w, queue, record, QUEUED, false, delivery_at(w, delivery)->qos != 0);
    return other != 0 && is_oldest(w, queue, other) && !is_oldest(w, queue, delivery);
}

static void drop_oldest(struct world *w, const struct record *record, uint32_t session)
{
    struct session *s = &w->sessions[session];
    uint32_t delivery = find_oldest(w, record, session);
    if ((delivery == 0 || is_of_other_kind(w, record, session, delivery)) && oracle_will_next(w)) {
        delivery = find_oldest(w, record, session);
    }
    if (delivery == 0) {
        fail_drop(w, record, "no such message waits in its queue (those of which a part was sent, and those in flight, stay)");
    }
    check_full(w, s, w->publication.qos[session], record);
    w->publication.displaced[session] = true;
    w->publication.begun = true;
    lose(w, session, &s->queue, delivery, record->reason);
}

/* A retained message that was about to be sent when the connection ended. Where one such copy may come and another must, nobody
 * can tell them apart: the oracle takes it for the latter. */
static bool drop_replay(struct world *w, const struct record *record, uint32_t session)
{
    uint32_t found = 0;
    for (uint32_t r = w->sessions[session].replays; r != 0; r = w->replays[r].next) {
        if (w->replays[r].qos == 0 && oracle_names(w, w->replays[r].message, record) &&
            (found == 0 || !w->replays[found].must)) {
            found = r;
        }
    }
    if (found == 0) {
        return false;
    }
    TRACE(w, "  lost for %s (%s): retained %s", say_session(w, session), say_reason(record->reason),
          say_message(w, w->replays[found].message));
    replay_remove(w, session, found);
    return true;
}

/* The message at hand, where a session that a will behind it has cut off had got it. */
static bool drop_published(struct world *w, const struct record *record, uint32_t session)
{
    struct publication *p = &w->publication;
    bool got = p->active && p->qos[session] == 0 && w->sessions[session].settling && !w->scenario.config.policy.queue_qos0;
    if (!got || !oracle_names(w, p->message, record)) {
        return false;
    }
    TRACE(w, "  lost for %s (%s): %s", say_session(w, session), say_reason(record->reason), say_message(w, p->message));
    p->qos[session] = 0xff;
    p->begun = true;
    return true;
}

/* Where QoS 0 messages are kept, one that stands in the queue is lost only if a part of it was encoded. */
static void drop_cut(struct world *w, const struct record *record, uint32_t session)
{
    struct session *s = &w->sessions[session];
    bool kept = w->scenario.config.policy.queue_qos0;
    uint32_t delivery = 0;
    for (uint32_t i = 0; i < 4 && delivery == 0; i++) {
        if (i == 3 && kept && !s->unseen && drop_replay(w, record, session)) {
            return;
        }
        delivery = find_delivery(w, &s->queue, record, i < 2 ? SENDING : QUEUED, i % 2 == 0, true);
    }
    if (delivery != 0) {
        lose(w, session, &s->queue, delivery, record->reason);
    } else if (!drop_replay(w, record, session) && !drop_published(w, record, session)) {
        fail_drop(w, record, "no such QoS 0 message was on its way to it");
    }
}

static void drop_publication(struct world *w, const struct record *record)
{
    struct publication *p = &w->publication;
    bool denied = record->reason == MIDGE_WRITE_DENIED;
    bool fits = p->active && oracle_names(w, p->message, record) &&
                (denied ? p->denied && !p->denied_seen : w->messages[p->message].retain && !p->retained_failed);
    if (!fits) {
        if (denied ? !oracle_will_denied(w, record) : !oracle_will_next(w) || !oracle_names(w, p->message, record)) {
            fail_drop(w, record, "no such message is being published");
        }
    }
    if (denied) {
        if (!p->denied || p->denied_seen) {
            fail_drop(w, record, "it may be published, or this was said before");
        }
        p->denied_seen = true;
        return;
    }
    const struct message *m = &w->messages[p->message];
    if (!m->retain || m->size == 0 || w->scenario.plain) {
        fail_drop(w, record, "the message is not to be retained, or there is room for it");
    }
    TRACE(w, "  not retained: %s", say_message(w, p->message));
    p->retained_failed = true;
    p->begun = true;
}

/* A QoS 0 message whose bytes could not be put together in time, before anything but its header was known: the record is about
 * its publisher. */
static void drop_half_sent(struct world *w, const struct record *record, uint32_t session)
{
    struct link *link = w->sessions[session].online ? &w->links[w->sessions[session].link] : NULL;
    bool working = link != NULL && w->current_active && !w->current_received && w->current_link == link->index;
    struct packet *packet = working                                                 ? &w->current
                            : link != NULL && link->packet_begin < link->packet_end ? &link->packets[link->packet_begin]
                                                                                    : NULL;
    if (packet == NULL || packet->type != PUBLISH || packet->message == 0 || w->messages[packet->message].qos != 0 ||
        packet->skipped || w->scenario.plain) {
        fail_drop(w, record, "that client is not sending a QoS 0 message");
    }
    uint32_t size_max = w->scenario.config.policy.packet_size_max;
    if (size_max != 0 && packet->size > size_max) {
        fail_drop(w, record, "the packet is too large, its connection has to end");
    }
    TRACE(w, "  not put together in time: %s", say_message(w, packet->message));
    packet->skipped = true;
    if (working && w->publication.active && w->publication.message == packet->message) {
        oracle_publish_cancel(w);
    }
}

void oracle_dropped(struct world *w, const struct record *record)
{
    w->drops[record->reason]++;
    uint32_t session = record->id_size > 0 ? session_find(w, record->id, record->id_size) : NOBODY;
    switch (record->reason) {
    case MIDGE_WRITE_DENIED:
    case MIDGE_RETAINED_FULL:
        drop_publication(w, record);
        return;
    default:
        break;
    }
    if (session == NOBODY) {
        fail_drop(w, record, "there is no such session");
    }
    if (record->reason == MIDGE_QOS0_WAIT && record->topic_size == 0) {
        drop_half_sent(w, record, session);
        return;
    }
    switch (record->reason) {
    case MIDGE_QUEUE_FULL_OLDEST:
        drop_oldest(w, record, session);
        break;
    case MIDGE_QOS0_CUT:
        drop_cut(w, record, session);
        break;
    case MIDGE_QUEUE_FULL:
    case MIDGE_QUEUE_FULL_OFFLINE:
    case MIDGE_QOS0_OFFLINE:
    case MIDGE_READ_DENIED:
    case MIDGE_QOS0_WAIT:
    case MIDGE_WILL_DROPPED:
    case MIDGE_INTERNAL_DROPPED:
        drop_receiver(w, record, session);
        break;
    default:
        fail_drop(w, record, "that is no reason to lose a message");
    }
}

/* ---- Ends of sessions ---- */

static void fail_unaccounted(struct world *w, uint32_t session, uint32_t message, const char *why)
{
    fail(w, "%s: %s, but %s was on its way to it and no record says that it was lost", say_session(w, session), why,
         say_message(w, message));
}

void oracle_session_settle(struct world *w, uint32_t session)
{
    struct session *s = &w->sessions[session];
    bool keep = !s->clean && w->scenario.config.policy.queue_qos0;
    s->unseen = false;
    for (uint32_t i = s->queue.head; i != 0; i = delivery_at(w, i)->next) {
        const struct delivery *d = delivery_at(w, i);
        if (s->clean || (d->qos == 0 && (!keep || d->state == SENDING))) {
            fail_unaccounted(w, session, d->message, s->clean ? "its clean session ended" : "its connection ended");
        }
    }
    for (uint32_t i = s->clean ? s->flight.head : 0; i != 0; i = delivery_at(w, i)->next) {
        if (delivery_at(w, i)->state != RELEASED) {
            fail_unaccounted(w, session, delivery_at(w, i)->message, "its clean session ended");
        }
    }
    if (s->clean) {
        TRACE(w, "  the clean session of %s is gone", say_session(w, session));
        session_remove(w, session);
    }
}

/* A session is gone with so many messages, which have no records of their own. Retained messages that were about to be sent may
 * be among them. */
static void lose_session(struct world *w, uint32_t session, const struct record *record)
{
    struct session *s = &w->sessions[session];
    uint32_t undelivered = s->queue.count;
    for (uint32_t i = s->flight.head; i != 0; i = delivery_at(w, i)->next) {
        undelivered += delivery_at(w, i)->state != RELEASED;
    }
    uint32_t replays = 0;
    for (uint32_t r = s->replays; r != 0; r = w->replays[r].next) {
        replays++;
    }
    if (record->size < undelivered || record->size > undelivered + replays) {
        fail(w,
             "the session of %s is gone with %u undelivered messages, says the broker; the oracle counts %u and %u retained "
             "ones",
             say_session(w, session), record->size, undelivered, replays);
    }
    w->drops[record->reason] += record->size;
    TRACE(w, "  the session of %s is gone (%s) with %u messages", say_session(w, session), say_reason(record->reason),
          record->size);
    session_remove(w, session);
}

/* Whether the session is the one that has been absent for longest. */
static bool absent_longest(const struct world *w, uint32_t session)
{
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        const struct session *s = &w->sessions[i];
        if (s->exists && !s->online && s->offline_order < w->sessions[session].offline_order) {
            return false;
        }
    }
    return true;
}

/* Whether there is no session left, or was hardly a name left. */
static bool sessions_scarce(const struct world *w)
{
    return w->sessions_used >= w->scenario.config.limits.sessions || oracle_free(w, MIDGE_POOL_NAMES) < 16;
}

void oracle_session_gone(struct world *w, const struct record *record)
{
    uint32_t session = session_find(w, record->id, record->id_size);
    if (session == NOBODY) {
        fail(w, "the broker says that the session of '%.*s' is gone (%s), but there is none", record->id_size, record->id,
             say_reason(record->reason));
    }
    struct session *s = &w->sessions[session];
    const struct midge_policy *policy = &w->scenario.config.policy;
    bool right = !s->online && !s->clean;
    const struct link *link = w->current_active && w->current.type == CONNECT ? &w->links[w->current_link] : NULL;
    bool replaced = link != NULL && link->login.session == session && link->login.clean;
    bool ended = s->clean && s->settling;
    if (record->reason == MIDGE_SESSION_EXPIRED) {
        right = right && policy->session_expiry_s != 0 && w->fair_ms - s->offline_since >= policy->session_expiry_s * 1000ull;
    } else if (record->reason == MIDGE_SESSION_EVICTED) {
        right = right && policy->evict_sessions && sessions_scarce(w) && absent_longest(w, session);
    } else {
        right = record->reason == MIDGE_SESSION_CLEAN && !s->online && (replaced || ended);
    }
    if (!right) {
        fail(w, "the session of %s is gone (%s), which nothing has caused", say_session(w, session),
             say_reason(record->reason));
    }
    lose_session(w, session, record);
}
