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

/* A delivery's packet is a fixed header, then the message as it is stored, with another packet identifier in the place of its
 * publisher's; at QoS 0 without that place. That of a released one is a PUBREL. */

static uint8_t first_byte(const struct midge_delivery *d)
{
    return d->message == 0 ? MIDGE_PACKET_PUBREL << 4 | 0x02 : (d->flags & MIDGE_DELIVERY_PUBLISH) | MIDGE_PACKET_PUBLISH << 4;
}

/* Bytes of the stored body that are left out, behind the topic: 0 or 2. */
static uint32_t cut_of(const struct midge_delivery *d, const struct midge_message *m)
{
    return (d->flags & MIDGE_DELIVERY_QOS) == 0 ? m->framing - 2u : 0;
}

/* What follows the fixed header. */
static uint32_t remaining_of(const struct midge *b, const struct midge_delivery *d)
{
    if (d->message == 0) {
        return 2;
    }
    const struct midge_message *m = midge_message_at(&b->store, d->message);
    return m->size - cut_of(d, m);
}

/* The offset in the stored body of the byte at `offset` of the packet, of its first byte for one in the header. */
static uint32_t body_offset(const struct midge_delivery *d, const struct midge_message *m, uint32_t head_size, uint32_t offset)
{
    uint32_t sent = offset - midge_min(offset, head_size);
    return sent < 2u + m->topic_size ? sent : sent + cut_of(d, m);
}

/* Puts a byte into its place, if that is one of the first `size`. */
static void put(uint8_t *to, uint32_t size, uint32_t at, uint8_t byte)
{
    if (at < size) {
        to[at] = byte;
    }
}

/* Encodes a delivery from `offset` on, reading from `block`, which holds that byte. Returns the number of bytes. */
static uint32_t encode(const struct midge *b, const struct midge_delivery *d, uint32_t offset, midge_index block, uint8_t *to,
                       uint32_t room)
{
    uint8_t head[MIDGE_HEADER_SIZE_MAX];
    uint32_t remaining = remaining_of(b, d);
    uint32_t head_size = midge_header_encode(head, first_byte(d), remaining);
    uint32_t size = midge_min(head_size + remaining - offset, room);
    uint32_t id_at = head_size - offset; /* seen from `to`; what lies before that is beyond any size */
    uint32_t at = 0;
    if (offset < head_size) {
        at = midge_min(id_at, size);
        memcpy(to, head + offset, at);
    }
    if (d->message != 0 && at < size) {
        const struct midge_message *m = midge_message_at(&b->store, d->message);
        uint32_t from = body_offset(d, m, head_size, offset + at);
        uint32_t cut = cut_of(d, m);
        id_at += 2u + m->topic_size;
        if (cut != 0 && at < id_at && id_at < size) {
            midge_store_copy(&b->store, block, from, to + at, id_at - at);
            uint32_t behind = from + (id_at - at) + cut;
            block = midge_store_block(&b->store, block, from, behind);
            from = behind;
            at = id_at;
        }
        midge_store_copy(&b->store, block, from, to + at, size - at);
    }
    if (d->packet_id != 0) {
        put(to, size, id_at, (uint8_t)(d->packet_id >> 8));
        put(to, size, id_at + 1, (uint8_t)d->packet_id);
    }
    return size;
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

/* Counts a packet that is with the transport as a whole. */
static void count_sent(struct midge *b, const struct midge_connection *c, const struct midge_delivery *d, uint32_t size)
{
    b->metrics.packets_sent++;
    if (d->message != 0) {
        b->metrics.publish_sent++;
        b->metrics.publish_bytes_sent += midge_message_payload_size(midge_message_at(&b->store, d->message));
    }
    if ((b->config.policy.trace & MIDGE_TRACE_PACKETS) != 0) {
        struct midge_log *record = midge_record(b, MIDGE_LOG_SENT, MIDGE_NONE, c);
        if (d->message != 0) {
            midge_record_message(b, d->message);
        }
        record->packet = first_byte(d);
        record->packet_id = d->packet_id;
        record->size = size;
        midge_record_write(b);
    }
}

/* Bytes of the first unsent delivery are with the transport. Returns how many of them were of others behind it. */
static uint32_t consume_delivery(struct midge *b, struct midge_connection *c, uint32_t sent)
{
    struct midge_session *s = midge_session_of(b, c);
    midge_index delivery = midge_window_unsent(b, s);
    MIDGE_ASSERT(delivery != 0);
    struct midge_delivery *d = midge_delivery_at(b, delivery);
    d->flags |= MIDGE_DELIVERY_STARTED;
    uint32_t remaining = remaining_of(b, d);
    uint32_t head_size = midge_header_size(remaining);
    uint32_t left = head_size + remaining - c->output_offset;
    if (sent >= left) {
        count_sent(b, c, d, head_size + remaining);
        c->output_offset = 0;
        midge_window_sent(b, s, delivery);
        return sent - left;
    }
    if (d->message != 0) {
        const struct midge_message *m = midge_message_at(&b->store, d->message);
        midge_index block = c->output_offset == 0 ? d->message : c->output_block;
        c->output_block = midge_store_block(&b->store, block, body_offset(d, m, head_size, c->output_offset),
                                            body_offset(d, m, head_size, c->output_offset + sent));
    }
    c->output_offset += sent;
    return 0;
}

/* Whether there may be something to send. */
static bool is_due(const struct midge *b, const struct midge_connection *c)
{
    if (c->replies_count > 0) {
        return true;
    }
    const struct midge_session *s = midge_session_of(b, c);
    return c->session != 0 && ((s->queue_qos0.head | s->replay_last | midge_window_unsent(b, s)) != 0 ||
                               (s->queue.head != 0 && midge_window_open(b, s)));
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
