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

/* Encodes a delivery, the rest of it where it was begun: then `begun` is the connection, else NULL. There is room for a fixed
 * header, at least. Returns the number of bytes. */
static uint32_t encode(const struct midge *b, const struct midge_delivery *d, uint8_t *to, const uint8_t *end,
                       const struct midge_connection *begun)
{
    if (d->message == 0) {
        uint32_t offset = begun != NULL ? begun->output_offset : 0;
        to[0] = first_byte(d);
        to[1] = 2;
        midge_put_u16(to + 2, d->packet_id);
        memmove(to, to + offset, 4 - offset);
        return 4 - offset;
    }
    const struct midge_message *m = midge_message_at(&b->store, d->message);
    uint32_t cut = cut_of(d, m);
    uint32_t remaining = m->size - cut;
    uint32_t id_at = 2u + m->topic_size;
    midge_index block = d->message;
    uint32_t from = 0;
    uint32_t at = midge_header_encode(to, first_byte(d), remaining);
    uint32_t size = at + remaining;
    id_at += at;
    if (begun != NULL) {
        uint32_t offset = begun->output_offset;
        from = body_offset(d, m, at, offset);
        size -= offset;
        id_at -= offset; /* what lies before `to` is beyond any size now */
        offset = midge_min(offset, at);
        at -= offset;
        memmove(to, to + offset, at);
        block = begun->output_block;
    }
    size = midge_min(size, (uint32_t)(end - to));
    if (cut != 0 && at < id_at && id_at < size) {
        midge_store_copy(&b->store, block, from, to + at, id_at - at);
        uint32_t behind = from + (id_at - at) + cut;
        block = midge_store_block(&b->store, block, from, behind);
        from = behind;
        at = id_at;
    }
    midge_store_copy(&b->store, block, from, to + at, size - at);
    uint16_t packet_id = d->packet_id;
    if (packet_id != 0) {
        put(to, size, id_at, (uint8_t)(packet_id >> 8));
        put(to, size, id_at + 1, (uint8_t)packet_id);
    }
    return size;
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
static midge_index admit_next(struct midge *b, struct midge_connection *c, struct midge_session *s, uint32_t unsent,
                              uint32_t *steps)
{
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

/* Whether a part of the first unsent delivery is with the transport: nothing else may go in between. */
static bool delivery_begun(const struct midge_connection *c)
{
    return c->output_offset > 0 && !c->output_reply;
}

/* Encodes for an accepted client: what was begun, the replies, the rest of the window and what comes into it, as long as there
 * is room for more than a fixed header. Returns the number of bytes. */
static uint32_t encode_all(struct midge *b, struct midge_connection *c, uint8_t *to, uint32_t size)
{
    struct midge_session *s = midge_session_of(b, c);
    midge_index next = midge_window_unsent(b, s);
    const uint8_t *end = to + size;
    if (delivery_begun(c)) {
        const struct midge_delivery *d = midge_delivery_at(b, next);
        to += encode(b, d, to, end, c);
        next = d->next;
    }
    if (c->replies_count > 0) {
        to += midge_replies_encode(b, c, to, (uint32_t)(end - to));
    }
    uint32_t steps = REPLAY_STEPS;
    for (uint32_t unsent = 0; to <= end - MIDGE_HEADER_SIZE_MAX; unsent++) {
        if (next == 0) {
            next = admit_next(b, c, s, unsent, &steps);
        }
        if (next == 0) {
            break;
        }
        const struct midge_delivery *d = midge_delivery_at(b, next);
        to += encode(b, d, to, end, NULL);
        next = d->next;
    }
    return size - (uint32_t)(end - to);
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
    uint32_t done = c->session != 0 ? encode_all(b, c, buffer, size) : midge_replies_encode(b, c, buffer, size);
    if (done == 0) {
        arm(c);
        /* It may have had its turn for nothing: what it leaves is for the next. */
        midge_output_feed_starved(b);
    }
    return done;
}

/* Counts a packet that is with the transport as a whole. */
static void count_sent(struct midge *b, const struct midge_connection *c, const struct midge_delivery *d,
                       const struct midge_message *m, uint32_t size)
{
    b->metrics.packets_sent++;
    if (d->message != 0) {
        b->metrics.publish_sent++;
        b->metrics.publish_bytes_sent += midge_message_payload_size(m);
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
    const struct midge_message *m = midge_message_at(&b->store, d->message); /* of a released one nothing */
    uint32_t remaining = d->message != 0 ? m->size - cut_of(d, m) : 2;
    uint32_t head_size = midge_header_size(remaining);
    uint32_t size = head_size + remaining;
    uint32_t offset = c->output_offset;
    sent += offset;
    if (sent >= size) {
        count_sent(b, c, d, m, size);
        c->output_offset = 0;
        midge_window_sent(b, s, d);
        return sent - size;
    }
    d->flags |= MIDGE_DELIVERY_STARTED;
    c->output_offset = sent;
    if (d->message != 0) {
        midge_index block = offset == 0 ? d->message : c->output_block;
        c->output_block =
            midge_store_block(&b->store, block, body_offset(d, m, head_size, offset), body_offset(d, m, head_size, sent));
    }
    return 0;
}

/* Whether there may be something to send. */
static bool is_due(const struct midge *b, const struct midge_connection *c)
{
    if (c->replies_count > 0) {
        return true;
    }
    if (c->session == 0) {
        return false;
    }
    const struct midge_session *s = midge_session_of(b, c);
    return s->window.tail != s->sent || (s->queue_qos0.head | s->replay_last) != 0 ||
           (s->queue.head != 0 && midge_window_open(b, s));
}

bool midge_output_consume(struct midge *b, struct midge_connection *c, uint32_t sent)
{
    b->metrics.bytes_sent += sent;
    if (sent > 0) {
        c->progress_ms = midge_now(b);
    }
    while (sent > 0) {
        bool reply = c->replies_count > 0 && (c->session == 0 || !delivery_begun(c));
        sent = reply ? midge_reply_consume(b, c, sent) : consume_delivery(b, c, sent);
    }
    bool due = is_due(b, c);
    if (!due) {
        arm(c);
    }
    return due;
}
