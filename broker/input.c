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
    const uint8_t *end;
};

static size_t size_of(const struct offer *offer)
{
    return (size_t)(offer->end - offer->bytes);
}

static enum midge_handled end_oversize(struct midge *b, struct midge_connection *c, struct midge_header header,
                                       uint32_t topic_size, uint32_t limit)
{
    struct midge_log *record = midge_record(b, MIDGE_LOG_DISCONNECTED, MIDGE_PACKET_SIZE, c);
    record->topic.bytes = b->log_topic;
    record->topic.size = topic_size;
    record->size = header.size + header.remaining;
    record->limit = limit;
    return midge_connection_end_recorded(b, c);
}

/* ---- What may be sent at all ---- */

/* A packet's first byte, as soon as it is there: [MQTT-3.1.0-1] [MQTT-3.1.0-2] [MQTT-2.2.2-2]. */
static enum midge_reason check_first(const struct midge_connection *c, uint8_t first)
{
    bool connect = midge_type_of(first) == MIDGE_PACKET_CONNECT;
    if (c->state == MIDGE_CONNECTING) {
        if (!connect) {
            return MIDGE_NOT_CONNECT;
        }
    } else if (connect) {
        return MIDGE_SECOND_CONNECT;
    }
    if (midge_type_of(first) != MIDGE_PACKET_PUBLISH && !connect && c->level == 3) {
        first &= 0xf7; /* MQTT 3.1 sets DUP where it sends one of these again */
    }
    return midge_first_check(first);
}

static bool is_oversize(const struct midge *b, struct midge_header header)
{
    return header.size + header.remaining > b->packet_size_max;
}

/* Whether a packet is answered. */
static bool is_answered(uint8_t first)
{
    switch (midge_type_of(first)) {
    case MIDGE_PACKET_PUBLISH:
        return (first & 0x06) != 0;
    case MIDGE_PACKET_PUBREC:
    case MIDGE_PACKET_PUBREL:
    case MIDGE_PACKET_SUBSCRIBE:
    case MIDGE_PACKET_UNSUBSCRIBE:
    case MIDGE_PACKET_PINGREQ:
        return true;
    default:
        return false;
    }
}

/* Lets a packet have its effect. */
static enum midge_handled handle(struct midge *b, struct midge_connection *c, struct midge_incoming *packet)
{
    enum midge_packet_type type = midge_type_of(packet->traced.first);
    if (type == MIDGE_PACKET_PUBLISH) {
        return midge_handle_publish(b, c, packet); /* most are: what the others need is not in their way */
    }
    packet->traced.topic.size = 0;
    packet->traced.packet_id = 0;
    packet->traced.code = 0;
    if (type >= MIDGE_PACKET_PUBACK && type <= MIDGE_PACKET_UNSUBSCRIBE) {
        packet->traced.packet_id = midge_reader_u16(&packet->body);
        if (packet->traced.packet_id == 0) {
            return midge_connection_end(b, c, MIDGE_PACKET_ID_ZERO); /* [MQTT-2.3.1-1] */
        }
    }
    switch (type) {
    case MIDGE_PACKET_CONNECT:
        return midge_handle_connect(b, c, packet);
    case MIDGE_PACKET_SUBSCRIBE:
        return midge_handle_subscribe(b, c, packet);
    case MIDGE_PACKET_UNSUBSCRIBE:
        return midge_handle_unsubscribe(b, c, packet);
    case MIDGE_PACKET_PINGREQ:
        return midge_handle_pingreq(b, c, packet);
    case MIDGE_PACKET_DISCONNECT:
        return midge_handle_disconnect(b, c, packet);
    default:
        return midge_handle_acknowledgement(b, c, packet);
    }
}

static void trace(struct midge *b, const struct midge_connection *c, struct midge_incoming *packet, uint32_t size)
{
    const struct midge_publish *publish = &packet->publication.publish;
    packet->traced.size = size;
    if (midge_type_of(packet->traced.first) == MIDGE_PACKET_PUBLISH) {
        packet->traced.topic = publish->topic;
        packet->traced.packet_id = publish->packet_id;
        packet->traced.code = 0;
    }
    midge_trace(b, MIDGE_LOG_RECEIVED, c, &packet->traced);
}

/* Handles one whole packet, whose body is the message in assembly, or where there is none, lies at `bytes`. */
static enum midge_handled dispatch(struct midge *b, struct midge_connection *c, struct midge_header header,
                                   const uint8_t *bytes)
{
    if (!midge_replies_room(b, c) && is_answered(header.first)) {
        midge_wait(b, c, MIDGE_WAIT_REPLIES, 0);
        return MIDGE_STALLED;
    }
    b->scratch.used = 0;
    struct midge_incoming packet;
    packet.whole.bytes = bytes;
    packet.whole.size = header.remaining;
    packet.stored = c->assembly;
    packet.traced.first = header.first;
    if (c->assembly == 0) {
        midge_reader_flat(&packet.body, bytes, header.remaining);
    } else {
        midge_reader_message(&packet.body, &b->store, c->assembly, 0);
    }
    enum midge_handled handled = handle(b, c, &packet);
    if (handled == MIDGE_STALLED) {
        return handled;
    }
    b->metrics.packets_received++;
    if (handled == MIDGE_HANDLED) {
        if ((b->config.policy.trace & MIDGE_TRACE_PACKETS) != 0) {
            trace(b, c, &packet, header.size + header.remaining);
        }
        if ((c->flags & MIDGE_CONN_WAITED) != 0 || c->woken_kind != MIDGE_WAIT_NONE) { /* few have to wait */
            midge_wait_done(b, c);
        }
        if (c->header_size > 0) { /* it did not come at once */
            c->header_size = 0;
            midge_assembly_drop(b, c);
        }
    }
    return handled;
}

/* ---- A packet whose body comes in parts ---- */

/* A packet found no blocks in time: rule 3. */
static enum midge_handled assembly_give_up(struct midge *b, struct midge_connection *c, struct midge_header header)
{
    if (is_oversize(b, header)) {
        return end_oversize(b, c, header, 0, b->packet_size_max); /* its topic stays unknown */
    }
    bool qos0 = midge_type_of(header.first) == MIDGE_PACKET_PUBLISH && (header.first & 0x06) == 0;
    if (!qos0) {
        return midge_connection_end(b, c, MIDGE_NO_ROOM);
    }
    midge_drop_topic(b, MIDGE_QOS0_WAIT, midge_session_of(b, c), (struct midge_view){0}, header.remaining);
    c->flags |= MIDGE_CONN_SKIPPED;
    c->remaining = header.remaining;
    return MIDGE_HANDLED;
}

/* Reserves the blocks of the whole packet: rule 5. */
static enum midge_handled assembly_begin(struct midge *b, struct midge_connection *c, struct midge_header header,
                                         uint32_t remaining)
{
    bool accepted = c->state == MIDGE_ACTIVE;
    uint32_t need = midge_store_blocks(&b->store, remaining);
    uint32_t most = accepted ? b->store.blocks.capacity / 2u : b->store.blocks.capacity / 8u + 1u;
    if (need > most) {
        return end_oversize(b, c, header, 0, midge_store_room(&b->store, most));
    }
    enum midge_wait_kind kind = accepted ? MIDGE_WAIT_ASSEMBLY : MIDGE_WAIT_HANDSHAKE;
    if (need > midge_assembly_room(b, accepted) || midge_wait_others(b, c, kind, 0)) {
        if (midge_wait_expired(b, c)) {
            return assembly_give_up(b, c, header);
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
    uint32_t part = size_of(offer) < missing ? (uint32_t)size_of(offer) : missing;
    midge_index before = b->store.blocks.used;
    midge_store_append(&b->store, c->assembly, &c->assembly_tail, offer->bytes, part);
    midge_index taken = (midge_index)(b->store.blocks.used - before);
    MIDGE_ASSERT(taken <= b->store.reserved);
    b->store.reserved -= taken;
    offer->bytes += part;
}

/* A PUBLISH that is too large: ends the connection as soon as its topic is known, or cannot be. */
static enum midge_handled oversize_step(struct midge *b, struct midge_connection *c, struct midge_header header)
{
    const struct midge_message *m = midge_message_at(&b->store, c->assembly);
    struct midge_reader reader;
    midge_reader_message(&reader, &b->store, c->assembly, 0);
    uint32_t topic_size = reader.size < 2 ? UINT32_MAX : midge_reader_u16(&reader);
    if (reader.size < topic_size && m->size < c->remaining) {
        return MIDGE_HANDLED;
    }
    uint32_t size = midge_min(midge_min(topic_size, reader.size), MIDGE_LOG_TOPIC_MAX);
    midge_reader_copy(&reader, b->log_topic, size);
    return end_oversize(b, c, header, size, b->packet_size_max);
}

/* Takes what is offered of a packet: MIDGE_CONN_COMPLETE tells whether that is all of it. */
static enum midge_handled assembly_step(struct midge *b, struct midge_connection *c, struct midge_header header,
                                        struct offer *offer)
{
    if (c->assembly == 0) {
        /* Decided once: the limit may be raised meanwhile. */
        bool too_large = is_oversize(b, header);
        uint32_t remaining = too_large ? midge_min(header.remaining, 2 + MIDGE_LOG_TOPIC_MAX) : header.remaining;
        enum midge_handled begun = assembly_begin(b, c, header, remaining);
        if (begun != MIDGE_HANDLED) {
            return begun;
        }
        c->header_size++;
        if (c->assembly == 0) {
            return MIDGE_HANDLED;
        }
        c->flags |= too_large ? MIDGE_CONN_OVERSIZE : 0;
    }
    if ((c->flags & MIDGE_CONN_COMPLETE) != 0) {
        offer->bytes++;
        return MIDGE_HANDLED;
    }
    assembly_append(b, c, offer);
    if ((c->flags & MIDGE_CONN_OVERSIZE) != 0) {
        return oversize_step(b, c, header);
    }
    if (midge_message_at(&b->store, c->assembly)->size == c->remaining) {
        c->flags |= MIDGE_CONN_COMPLETE;
    }
    return MIDGE_HANDLED;
}

static enum midge_handled skip_step(struct midge *b, struct midge_connection *c, struct offer *offer)
{
    uint32_t part = size_of(offer) < c->remaining ? (uint32_t)size_of(offer) : c->remaining;
    offer->bytes += part;
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

/* Keeps what is offered of a packet, up to its first `size` bytes. Returns whether they are there. */
static bool gather(struct midge_connection *c, struct offer *offer, uint32_t size)
{
    while (c->header_size < size) {
        if (offer->bytes == offer->end) {
            return false;
        }
        c->header[c->header_size++] = *offer->bytes++;
    }
    return true;
}

/* Decodes the header of the packet at hand, which stands in the offer, or where that does not hold all of it, is gathered. */
static enum midge_decoded take_header(struct midge_connection *c, struct offer *offer, struct midge_header *header)
{
    const uint8_t *bytes = offer->bytes;
    size_t size = size_of(offer);
    if (c->header_size > 0) {
        bytes = c->header;
        size = c->header_size;
    } else if (size >= 2 && bytes[1] <= 0x7f) {
        *header = (struct midge_header){.first = bytes[0], .size = 2, .remaining = bytes[1]}; /* as most are */
        return MIDGE_DECODED;
    }
    enum midge_decoded decoded;
    while ((decoded = midge_header_decode(bytes, size, header)) == MIDGE_INCOMPLETE && gather(c, offer, c->header_size + 1u)) {
        bytes = c->header;
        size = c->header_size;
    }
    return decoded;
}

/* One step with a packet: at least one byte is consumed, or the connection waits or ends. */
static enum midge_handled step(struct midge *b, struct midge_connection *c, struct offer *offer)
{
    enum midge_reason reason = c->header_size == 0 ? check_first(c, offer->bytes[0]) : MIDGE_NONE;
    if (reason != MIDGE_NONE) {
        return midge_connection_end(b, c, reason);
    }
    struct midge_header header;
    enum midge_decoded decoded = take_header(c, offer, &header);
    if (decoded == MIDGE_INCOMPLETE) {
        return MIDGE_HANDLED;
    }
    if (decoded == MIDGE_MALFORMED) {
        return midge_connection_end(b, c, MIDGE_REMAINING_LENGTH);
    }
    if (!midge_length_check(header)) {
        return midge_connection_end(b, c, MIDGE_LENGTH);
    }
    const uint8_t *body = NULL; /* it is the message in assembly */
    uint32_t again = 1;         /* bytes to be offered again where the packet waits */
    uint32_t whole = header.size + header.remaining;
    uint32_t left = whole - c->header_size;
    bool begun = c->header_size > header.size;
    /* Here and not where the header came: the limit may be lowered while the packet waits. */
    bool oversize = !begun && is_oversize(b, header);
    if (oversize && midge_type_of(header.first) != MIDGE_PACKET_PUBLISH) {
        return end_oversize(b, c, header, 0, b->packet_size_max);
    }
    if (!begun && !oversize && left > 0 && size_of(offer) >= left) {
        /* All of the header, or nothing, is before the body. */
        body = offer->bytes + (left - header.remaining);
        again = left;
        offer->bytes += left;
    } else if (whole <= sizeof(c->header)) {
        /* It is put together beside its header, without a block. */
        if (!gather(c, offer, whole)) {
            return MIDGE_HANDLED;
        }
        body = c->header + header.size;
    } else {
        if (!gather(c, offer, header.size) || offer->bytes == offer->end) {
            return MIDGE_HANDLED;
        }
        if ((c->flags & MIDGE_CONN_SKIPPED) != 0) {
            return skip_step(b, c, offer);
        }
        enum midge_handled taken = assembly_step(b, c, header, offer);
        if (taken != MIDGE_HANDLED || (c->flags & MIDGE_CONN_COMPLETE) == 0) {
            return taken;
        }
    }
    enum midge_handled handled = dispatch(b, c, header, body);
    if (handled == MIDGE_STALLED) {
        offer->bytes -= again;
        if (c->header_size == whole) {
            c->header_size--;
        }
    }
    return handled;
}

size_t midge_input(struct midge *b, struct midge_connection *c, const uint8_t *bytes, size_t size)
{
    struct offer offer = {.bytes = bytes, .end = bytes + size};
    enum midge_handled handled;
    do {
        handled = step(b, c, &offer);
    } while (offer.bytes != offer.end && handled == MIDGE_HANDLED);
    if (handled == MIDGE_ENDED) {
        offer.bytes = offer.end;
    }
    return (size_t)(offer.bytes - bytes);
}
