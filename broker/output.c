#include "output.h"

#include "delivery.h"
#include "events.h"
#include "interest.h"
#include "record.h"
#include "replies.h"

/* Nodes of the retained index looked at in one go, so that a filter which matches little delays nobody for long. */
enum { REPLAY_STEPS = 512 };

/* Retained messages encoded ahead of the transport, at most. */
enum { REPLAY_UNSENT = 64 };

/* How a delivery is put together: a fixed header, then the message as it is stored, with another packet identifier in the place
 * of its publisher's; at QoS 0 without that place. A PUBREL is all header. */
struct layout {
    uint8_t head[MIDGE_HEADER_SIZE_MAX];
    uint32_t head_size;
    uint32_t id_at; /* in the packet: where its identifier is, or would be */
    uint32_t cut;   /* bytes of the body that are left out there: 0 or 2 */
    uint32_t size;  /* of the whole packet */
};

static void lay_out(const struct midge *b, const struct midge_delivery *d, struct layout *l)
{
    if (d->message == 0) {
        l->size = l->head_size = midge_header_encode(l->head, MIDGE_PACKET_PUBREL << 4 | 0x02, 2) + 2;
        midge_put_u16(l->head + 2, d->packet_id);
        return;
    }
    const struct midge_message *m = midge_message_at(&b->store, d->message);
    uint8_t first = (d->flags & MIDGE_DELIVERY_PUBLISH) | MIDGE_PACKET_PUBLISH << 4;
    l->cut = (d->flags & MIDGE_DELIVERY_QOS) == 0 ? m->framing - 2u : 0;
    uint32_t remaining = m->size - l->cut;
    l->head_size = midge_header_encode(l->head, first, remaining);
    l->size = l->head_size + remaining;
    l->id_at = l->head_size + 2 + m->topic_size;
}

/* The offset in the body of the byte at `offset` of the packet, of its first byte for one in the header. */
static uint32_t body_offset(const struct layout *l, uint32_t offset)
{
    if (offset < l->head_size) {
        return 0;
    }
    return offset - l->head_size + (offset < l->id_at ? 0 : l->cut);
}

/* Puts the packet identifier, where there is one, into its place in bytes `offset` .. `end` of the packet. */
static void put_id(const struct layout *l, uint16_t id, uint8_t *to, uint32_t offset, uint32_t end)
{
    const uint8_t bytes[2] = {(uint8_t)(id >> 8), (uint8_t)id};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t place = l->id_at + i - offset;
        if (id != 0 && place < end - offset) {
            to[place] = bytes[i];
        }
    }
}

/* Encodes a delivery from `offset` on, reading from `block`, which holds that byte. Returns the number of bytes. */
static uint32_t encode(const struct midge *b, const struct midge_delivery *d, uint32_t offset, midge_index block, uint8_t *to,
                       uint32_t room)
{
    struct layout l;
    lay_out(b, d, &l);
    uint32_t end = midge_min(l.size - offset, room) + offset;
    uint32_t at = offset;
    if (at < l.head_size) {
        at = midge_min(l.head_size, end);
        memcpy(to, l.head + offset, at - offset);
    }
    if (at < end) {
        uint32_t from = body_offset(&l, at);
        if (l.cut != 0 && at < l.id_at && l.id_at < end) {
            midge_store_copy(&b->store, block, from, to + (at - offset), l.id_at - at);
            at = l.id_at;
            block = midge_store_block(&b->store, block, from, body_offset(&l, at));
            from = body_offset(&l, at);
        }
        midge_store_copy(&b->store, block, from, to + (at - offset), end - at);
        put_id(&l, d->packet_id, to, offset, end);
    }
    return end - offset;
}

/* Whether a part of the first unsent delivery is with the transport: nothing else may go in between. */
static bool delivery_begun(const struct midge_connection *c)
{
    return c->session != 0 && c->output_offset > 0 && !c->output_reply;
}

/* Remembers a session whose retained messages find no delivery, to go on when one is free. */
static void starve(struct midge *b, struct midge_connection *c)
{
    if ((c->flags & MIDGE_CONN_STARVED) != 0) {
        return;
    }
    c->flags |= MIDGE_CONN_STARVED;
    midge_wait_of(b, c)->starved_next = 0;
    midge_list_append(&b->starved, &midge_wait_at(b, b->starved.tail)->starved_next, c->index);
}

void midge_output_feed_starved(struct midge *b)
{
    uint32_t room = midge_pool_free(&b->deliveries);
    while (b->starved.head != 0 && room > 0) {
        struct midge_connection *c = midge_connection_at(b, b->starved.head);
        b->starved.head = midge_wait_of(b, c)->starved_next;
        c->flags &= (uint8_t)~MIDGE_CONN_STARVED;
        if (c->state == MIDGE_ACTIVE) {
            midge_output_due(b, c);
            room--;
        }
    }
}

/* Brings the next message into the window: retained ones and live ones in turn (rule 10). Returns 0 where there is none. */
static midge_index admit_next(struct midge *b, struct midge_connection *c, uint32_t unsent, uint32_t *steps)
{
    struct midge_session *s = midge_session_of(b, c);
    /* Retained messages are not charged, so a reader that is slow must not gather deliveries for them. */
    if (s->replay_last == 0 || unsent >= midge_min(REPLAY_UNSENT, b->deliveries.capacity / 16u + 1u)) {
        return midge_window_admit(b, s);
    }
    if ((s->flags & MIDGE_SESSION_REPLAY_TURN) == 0) {
        midge_index live = midge_window_admit(b, s);
        if (live != 0) {
            s->flags |= MIDGE_SESSION_REPLAY_TURN;
            return live;
        }
    }
    enum midge_replay replay = midge_replay_next(b, s, steps);
    if (replay == MIDGE_REPLAY_ADDED) {
        s->flags &= (uint8_t)~MIDGE_SESSION_REPLAY_TURN;
        return s->window.tail;
    }
    if (replay == MIDGE_REPLAY_STARVED) {
        starve(b, c);
    }
    midge_index live = midge_window_admit(b, s);
    if (replay == MIDGE_REPLAY_STEPS && live == 0 && unsent == 0) {
        midge_event_raise(b, c, MIDGE_EVENT_OUTPUT);
    }
    return live;
}

/* Encodes what is in the window, from `next` on, and what comes into it, as long as there is room. Returns where that ends. */
static uint8_t *encode_deliveries(struct midge *b, struct midge_connection *c, midge_index next, uint8_t *to,
                                  const uint8_t *end)
{
    uint32_t steps = REPLAY_STEPS;
    for (uint32_t unsent = 0; to < end; unsent++) {
        if (next == 0) {
            next = admit_next(b, c, unsent, &steps);
        }
        if (next == 0) {
            break;
        }
        const struct midge_delivery *d = midge_delivery_at(b, next);
        to += encode(b, d, 0, d->message, to, (uint32_t)(end - to));
        next = d->next;
    }
    return to;
}

/* Nothing is due: what becomes due from now on raises an event, unless one is on its way. */
static void arm(struct midge_connection *c)
{
    if ((c->events & MIDGE_EVENT_OUTPUT) == 0) {
        c->flags |= MIDGE_CONN_ARMED;
    }
}

uint32_t midge_output_encode(struct midge *b, struct midge_connection *c, uint8_t *buffer, uint32_t size)
{
    uint8_t *to = buffer;
    const uint8_t *end = buffer + size;
    midge_index next = c->session == 0 ? 0 : midge_window_unsent(b, midge_session_of(b, c));
    if (delivery_begun(c)) {
        const struct midge_delivery *d = midge_delivery_at(b, next);
        to += encode(b, d, c->output_offset, c->output_block, to, size);
        next = d->next;
    }
    to += midge_replies_encode(b, c, to, (uint32_t)(end - to));
    if (c->session != 0) {
        to = encode_deliveries(b, c, next, to, end);
    }
    if (to == buffer) {
        arm(c);
        /* It may have had its turn for nothing: what it leaves is for the next. */
        midge_output_feed_starved(b);
    }
    return (uint32_t)(to - buffer);
}

/* All of the first unsent delivery is with the transport. */
static void delivery_done(struct midge *b, struct midge_connection *c, midge_index delivery, const struct layout *l)
{
    const struct midge_delivery *d = midge_delivery_at(b, delivery);
    b->metrics.packets_sent++;
    if (d->message != 0) {
        b->metrics.publish_sent++;
        b->metrics.publish_bytes_sent += midge_message_payload_size(midge_message_at(&b->store, d->message));
    }
    if ((b->config.policy.trace & MIDGE_TRACE_PACKETS) != 0) {
        struct midge_traced traced = {.size = l->size, .packet_id = d->packet_id, .first = l->head[0]};
        if (d->message != 0) {
            midge_record_message(b, d->message);
            traced.topic = b->log.topic;
        }
        midge_trace(b, MIDGE_LOG_SENT, c, &traced);
    }
    c->output_offset = 0;
    midge_window_sent(b, midge_session_of(b, c), delivery);
}

/* Bytes of the first unsent delivery are with the transport. Returns how many of them were of others behind it. */
static uint32_t consume_delivery(struct midge *b, struct midge_connection *c, uint32_t sent)
{
    midge_index delivery = midge_window_unsent(b, midge_session_of(b, c));
    MIDGE_ASSERT(delivery != 0);
    struct midge_delivery *d = midge_delivery_at(b, delivery);
    struct layout l;
    lay_out(b, d, &l);
    d->flags |= MIDGE_DELIVERY_STARTED;
    uint32_t left = l.size - c->output_offset;
    if (sent >= left) {
        delivery_done(b, c, delivery, &l);
        return sent - left;
    }
    if (d->message != 0) {
        midge_index block = c->output_offset == 0 ? d->message : c->output_block;
        c->output_block =
            midge_store_block(&b->store, block, body_offset(&l, c->output_offset), body_offset(&l, c->output_offset + sent));
    }
    c->output_offset += sent;
    return 0;
}

/* Whether there may be something to send. */
static bool is_due(const struct midge *b, const struct midge_connection *c)
{
    if (c->replies_count > 0 || c->state != MIDGE_ACTIVE) {
        return c->replies_count > 0;
    }
    const struct midge_session *s = midge_session_of(b, c);
    return midge_window_unsent(b, s) != 0 || s->queue_qos0.head != 0 || (s->queue.head != 0 && midge_window_open(b, s)) ||
           s->replay_last != 0;
}

bool midge_output_consume(struct midge *b, struct midge_connection *c, uint32_t sent)
{
    b->metrics.bytes_sent += sent;
    if (sent > 0) {
        c->progress_ms = midge_now(b);
        if (delivery_begun(c)) {
            sent = consume_delivery(b, c, sent);
        }
        sent = midge_replies_done(b, c, sent);
    }
    while (sent > 0) {
        sent = consume_delivery(b, c, sent);
    }
    bool due = is_due(b, c);
    if (!due) {
        arm(c);
    }
    return due;
}
