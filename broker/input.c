#include "input.h"

#include "connection.h"
#include "events.h"
#include "handlers.h"
#include "record.h"
#include "replies.h"
#include "waiting.h"

/* The bytes offered by the port that are not consumed yet. */
struct offer {
    const uint8_t *bytes;
    size_t size;
};

static void consume(struct offer *offer, size_t size)
{
    offer->bytes += size;
    offer->size -= size;
}

static enum midge_handled end_oversize(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                       struct midge_view topic, uint32_t limit)
{
    struct midge_ending about = {.topic = topic, .size = header->size + header->remaining, .limit = limit};
    return midge_connection_end_about(b, c, MIDGE_PACKET_SIZE, &about);
}

/* ---- What may be sent at all ---- */

/* A packet's first byte, as soon as it is there: [MQTT-3.1.0-1] [MQTT-3.1.0-2] [MQTT-2.2.2-2]. */
static enum midge_reason check_first(const struct midge_connection *c, uint8_t first)
{
    bool connect = midge_type_of(first) == MIDGE_PACKET_CONNECT;
    if (c->state == MIDGE_CONNECTING && !connect) {
        return MIDGE_NOT_CONNECT;
    }
    if (c->state == MIDGE_ACTIVE && connect) {
        return MIDGE_SECOND_CONNECT;
    }
    if (c->state == MIDGE_ACTIVE && c->level == 3 && midge_type_of(first) != MIDGE_PACKET_PUBLISH) {
        first &= 0xf7; /* MQTT 3.1 sets DUP where it sends PUBREL, SUBSCRIBE or UNSUBSCRIBE again */
    }
    return midge_first_check(first);
}

static bool is_oversize(const struct midge *b, const struct midge_header *header)
{
    return header->size + header->remaining > b->packet_size_max;
}

/* Whether the reply to a packet fits; where none is due, it does. */
static bool reply_fits(const struct midge *b, const struct midge_connection *c, uint8_t first)
{
    switch (midge_type_of(first)) {
    case MIDGE_PACKET_PUBLISH:
        return (first & 0x06) == 0 || midge_replies_room(b, c);
    case MIDGE_PACKET_PUBREC:
    case MIDGE_PACKET_PUBREL:
    case MIDGE_PACKET_SUBSCRIBE:
    case MIDGE_PACKET_UNSUBSCRIBE:
    case MIDGE_PACKET_PINGREQ:
        return midge_replies_room(b, c);
    default:
        return true;
    }
}

/* Handles one whole packet, whose body is the message in assembly, or where there is none, lies at `bytes`. */
static enum midge_handled dispatch(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                   const uint8_t *bytes)
{
    static enum midge_handled (*const handlers[16])(struct midge *, struct midge_connection *, struct midge_incoming *) = {
        [MIDGE_PACKET_CONNECT] = midge_handle_connect,        [MIDGE_PACKET_PUBLISH] = midge_handle_publish,
        [MIDGE_PACKET_PUBACK] = midge_handle_acknowledgement, [MIDGE_PACKET_PUBREC] = midge_handle_acknowledgement,
        [MIDGE_PACKET_PUBREL] = midge_handle_acknowledgement, [MIDGE_PACKET_PUBCOMP] = midge_handle_acknowledgement,
        [MIDGE_PACKET_SUBSCRIBE] = midge_handle_subscribe,    [MIDGE_PACKET_UNSUBSCRIBE] = midge_handle_unsubscribe,
        [MIDGE_PACKET_PINGREQ] = midge_handle_pingreq,        [MIDGE_PACKET_DISCONNECT] = midge_handle_disconnect,
    };
    if (!reply_fits(b, c, header->first)) {
        midge_wait(b, c, MIDGE_WAIT_REPLIES, 0);
        return MIDGE_STALLED;
    }
    b->scratch.used = 0;
    struct midge_incoming packet;
    packet.stored = 0;
    packet.traced = (struct midge_traced){.first = header->first};
    if (c->assembly == 0) {
        midge_reader_flat(&packet.body, bytes, header->remaining);
    } else {
        packet.stored = c->assembly;
        midge_reader_message(&packet.body, &b->store, c->assembly, 0);
    }
    enum midge_packet_type type = midge_type_of(header->first);
    bool numbered = type >= MIDGE_PACKET_PUBACK && type <= MIDGE_PACKET_UNSUBSCRIBE;
    if (numbered) {
        packet.traced.packet_id = midge_reader_u16(&packet.body);
    }
    enum midge_handled handled = numbered && packet.traced.packet_id == 0
                                     ? midge_connection_end(b, c, MIDGE_PACKET_ID_ZERO) /* [MQTT-2.3.1-1] */
                                     : handlers[type](b, c, &packet);
    b->metrics.packets_received += handled == MIDGE_STALLED ? 0 : 1;
    if (handled == MIDGE_HANDLED) {
        packet.traced.size = header->size + header->remaining;
        midge_trace(b, MIDGE_LOG_RECEIVED, c, &packet.traced);
        c->header_size = 0;
        midge_wait_done(b, c);
    }
    return handled;
}

/* ---- A packet whose body comes in parts ---- */

/* A packet found no blocks in time: rule 3. */
static enum midge_handled assembly_give_up(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                           uint32_t remaining)
{
    if (remaining != header->remaining) {
        return end_oversize(b, c, header, (struct midge_view){0}, b->packet_size_max); /* its topic stays unknown */
    }
    bool qos0 = midge_type_of(header->first) == MIDGE_PACKET_PUBLISH && (header->first & 0x06) == 0;
    if (!qos0) {
        return midge_connection_end(b, c, MIDGE_NO_ROOM);
    }
    midge_drop_topic(b, MIDGE_QOS0_WAIT, midge_session_of(b, c), (struct midge_view){0}, remaining);
    c->flags |= MIDGE_CONN_SKIPPED;
    c->remaining = remaining;
    return MIDGE_HANDLED;
}

/* Reserves the blocks of the whole packet: rule 5. */
static enum midge_handled assembly_begin(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                         uint32_t remaining)
{
    bool accepted = c->state == MIDGE_ACTIVE;
    uint32_t need = midge_store_blocks(&b->store, remaining);
    uint32_t most = accepted ? b->store.blocks.capacity / 2u : b->store.blocks.capacity / 8u + 1u;
    if (need > most) {
        return end_oversize(b, c, header, (struct midge_view){0}, midge_store_room(&b->store, most));
    }
    enum midge_wait_kind kind = accepted ? MIDGE_WAIT_ASSEMBLY : MIDGE_WAIT_HANDSHAKE;
    if (need > midge_assembly_room(b, accepted) || midge_wait_others(b, c, kind, 0)) {
        if (midge_wait_expired(b, c)) {
            return assembly_give_up(b, c, header, remaining);
        }
        midge_wait(b, c, kind, (midge_index)need);
        return MIDGE_STALLED;
    }
    c->assembly = midge_store_begin(&b->store);
    c->assembly_tail = c->assembly;
    c->remaining = remaining;
    b->store.reserved += need - 1;
    b->assembly_reserved += need;
    midge_wait_done(b, c);
    if (accepted) {
        c->state_deadline_ms = midge_now(b) + b->config.policy.assembly_ms;
        midge_deadlines_arm(b, c);
    } else {
        b->handshake_reserved += need;
    }
    return MIDGE_HANDLED;
}

static void assembly_append(struct midge *b, struct midge_connection *c, struct offer *offer)
{
    uint32_t missing = c->remaining - midge_message_at(&b->store, c->assembly)->size;
    uint32_t part = offer->size < missing ? (uint32_t)offer->size : missing;
    midge_index before = b->store.blocks.used;
    midge_store_append(&b->store, c->assembly, &c->assembly_tail, offer->bytes, part);
    midge_index taken = (midge_index)(b->store.blocks.used - before);
    MIDGE_ASSERT(taken <= b->store.reserved);
    b->store.reserved -= taken;
    consume(offer, part);
}

/* A PUBLISH that is too large: ends the connection as soon as its topic is known, or cannot be. */
static enum midge_handled oversize_step(struct midge *b, struct midge_connection *c, const struct midge_header *header)
{
    const struct midge_message *m = midge_message_at(&b->store, c->assembly);
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, c->assembly, 0);
    uint32_t topic_size = reader.size < 2 ? UINT32_MAX : midge_reader_u16(&reader);
    if (reader.size < topic_size && m->size < c->remaining) {
        return MIDGE_HANDLED;
    }
    uint8_t topic[MIDGE_LOG_TOPIC_MAX];
    uint32_t size = midge_min(midge_min(topic_size, reader.size), MIDGE_LOG_TOPIC_MAX);
    midge_reader_copy(&reader, topic, size);
    return end_oversize(b, c, header, (struct midge_view){.bytes = topic, .size = size}, b->packet_size_max);
}

static enum midge_handled assembly_step(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                        struct offer *offer)
{
    if (c->assembly == 0) {
        /* Decided once: the limit may be raised meanwhile. */
        bool too_large = is_oversize(b, header);
        uint32_t remaining = too_large ? midge_min(header->remaining, 2 + MIDGE_LOG_TOPIC_MAX) : header->remaining;
        enum midge_handled begun = assembly_begin(b, c, header, remaining);
        if (begun != MIDGE_HANDLED || c->assembly == 0) {
            return begun;
        }
        c->flags |= too_large ? MIDGE_CONN_OVERSIZE : 0;
    }
    bool oversize = (c->flags & MIDGE_CONN_OVERSIZE) != 0;
    bool again = (c->flags & MIDGE_CONN_COMPLETE) != 0;
    if (again) {
        c->flags &= (uint8_t)~MIDGE_CONN_COMPLETE;
        consume(offer, 1);
    } else {
        assembly_append(b, c, offer);
    }
    if (oversize) {
        return oversize_step(b, c, header);
    }
    if (midge_message_at(&b->store, c->assembly)->size < c->remaining) {
        return MIDGE_HANDLED;
    }
    enum midge_handled handled = dispatch(b, c, header, NULL);
    if (handled == MIDGE_HANDLED) {
        midge_assembly_drop(b, c);
    } else if (handled == MIDGE_STALLED) {
        c->flags |= MIDGE_CONN_COMPLETE;
        offer->bytes--;
        offer->size++;
    }
    return handled;
}

static enum midge_handled skip_step(struct midge *b, struct midge_connection *c, struct offer *offer)
{
    uint32_t part = offer->size < c->remaining ? (uint32_t)offer->size : c->remaining;
    consume(offer, part);
    c->remaining -= part;
    if (c->remaining == 0) {
        c->flags &= (uint8_t)~MIDGE_CONN_SKIPPED;
        c->header_size = 0;
        b->metrics.packets_received++;
        midge_wait_done(b, c);
    }
    return MIDGE_HANDLED;
}

/* ---- Any packet ---- */

/* A small packet is put together beside its header, without a block. */
static enum midge_handled small_step(struct midge *b, struct midge_connection *c, const struct midge_header *header,
                                     struct offer *offer)
{
    uint32_t whole = header->size + header->remaining;
    if (c->header_size < whole) {
        c->header[c->header_size++] = offer->bytes[0];
        consume(offer, 1);
    }
    if (c->header_size < whole) {
        return MIDGE_HANDLED;
    }
    enum midge_handled handled = dispatch(b, c, header, c->header + header->size);
    if (handled == MIDGE_STALLED) {
        c->header_size--;
        offer->bytes--;
        offer->size++;
    }
    return handled;
}

/* Takes the bytes of a header, as far as they are there. Returns why the packet cannot be taken, MIDGE_NONE else. */
static enum midge_reason take_header(struct midge_connection *c, struct offer *offer, struct midge_header *header,
                                     enum midge_decoded *decoded)
{
    uint32_t had = c->header_size;
    enum midge_reason reason = had == 0 ? check_first(c, offer->bytes[0]) : MIDGE_NONE;
    if (reason != MIDGE_NONE) {
        return reason;
    }
    uint32_t most = MIDGE_HEADER_SIZE_MAX - had;
    uint32_t part = offer->size < most ? (uint32_t)offer->size : most;
    memcpy(c->header + had, offer->bytes, part);
    *decoded = midge_header_decode(c->header, had + part, header);
    if (*decoded == MIDGE_MALFORMED) {
        return MIDGE_REMAINING_LENGTH;
    }
    c->header_size = *decoded == MIDGE_DECODED ? header->size : (uint8_t)(had + part);
    consume(offer, c->header_size - had);
    return *decoded == MIDGE_DECODED ? midge_length_check(header) : MIDGE_NONE;
}

/* One step with a packet: at least one byte is consumed, or the connection waits or ends. */
static enum midge_handled step(struct midge *b, struct midge_connection *c, struct offer *offer)
{
    struct midge_header header;
    enum midge_decoded decoded = midge_header_decode(c->header, c->header_size, &header);
    if (decoded == MIDGE_INCOMPLETE) {
        enum midge_reason reason = take_header(c, offer, &header, &decoded);
        if (reason != MIDGE_NONE) {
            return midge_connection_end(b, c, reason);
        }
        if (decoded == MIDGE_INCOMPLETE) {
            return MIDGE_HANDLED;
        }
    }
    bool begun = c->header_size > header.size || c->assembly != 0 || (c->flags & MIDGE_CONN_SKIPPED) != 0;
    /* Here and not where the header came: the limit may be lowered while the packet waits. */
    if (!begun && is_oversize(b, &header) && midge_type_of(header.first) != MIDGE_PACKET_PUBLISH) {
        return end_oversize(b, c, &header, (struct midge_view){0}, b->packet_size_max);
    }
    if (header.remaining > 0 && offer->size == 0) {
        return MIDGE_HANDLED;
    }
    if (!begun && header.remaining > 0 && offer->size >= header.remaining && !is_oversize(b, &header)) {
        enum midge_handled handled = dispatch(b, c, &header, offer->bytes);
        if (handled == MIDGE_HANDLED) {
            consume(offer, header.remaining);
        }
        return handled;
    }
    if (header.size + header.remaining <= sizeof(c->header)) {
        return small_step(b, c, &header, offer);
    }
    return (c->flags & MIDGE_CONN_SKIPPED) != 0 ? skip_step(b, c, offer) : assembly_step(b, c, &header, offer);
}

size_t midge_input(struct midge *b, struct midge_connection *c, const uint8_t *bytes, size_t size)
{
    struct offer offer = {.bytes = bytes, .size = size};
    while (offer.size > 0) {
        enum midge_handled handled = step(b, c, &offer);
        if (handled == MIDGE_ENDED) {
            return size;
        }
        if (handled == MIDGE_STALLED) {
            break;
        }
    }
    return size - offer.size;
}
