#include "replies.h"

#include "events.h"
#include "record.h"

enum { TYPE_MASK = 0x0f, PACKET_MAX = MIDGE_HEADER_SIZE_MAX + 2 + MIDGE_REPLY_CODES_MAX };

/* The first entries of all rings lie together, then the second ones, and so on: most rings never hold more than one or two. */
static struct midge_reply *slot(const struct midge *b, const struct midge_connection *c, uint32_t index)
{
    uint32_t place = (c->replies_first + index) % b->config.limits.replies;
    return &b->replies[(size_t)place * b->connections.capacity + c->index - 1u];
}

static void push(struct midge *b, struct midge_connection *c, struct midge_reply reply)
{
    MIDGE_ASSERT(midge_replies_room(b, c));
    *slot(b, c, c->replies_count++) = reply;
    midge_output_due(b, c);
}

void midge_reply(struct midge *b, struct midge_connection *c, enum midge_packet_type type, uint16_t packet_id)
{
    if (c->replies_count > 0) {
        struct midge_reply *last = slot(b, c, c->replies_count - 1u);
        bool follows = type == MIDGE_PACKET_PINGRESP || (packet_id > last->id && packet_id - last->id == last->count);
        if (last->type == type && follows && last->count < UINT8_MAX) {
            last->count++;
            return;
        }
    }
    push(b, c, (struct midge_reply){.type = (uint8_t)type, .count = 1, .id = packet_id});
}

void midge_reply_connack(struct midge *b, struct midge_connection *c, bool session_present, uint8_t code)
{
    push(b, c, (struct midge_reply){.type = MIDGE_PACKET_CONNACK, .count = code, .id = session_present ? 1 : 0});
}

void midge_reply_suback(struct midge *b, struct midge_connection *c, uint16_t packet_id, uint32_t count, uint32_t codes)
{
    MIDGE_ASSERT(count <= MIDGE_REPLY_CODES_MAX);
    uint8_t type = (uint8_t)(MIDGE_PACKET_SUBACK | count << 4);
    push(b, c, (struct midge_reply){.type = type, .count = (uint8_t)codes, .id = packet_id});
}

void midge_replies_clear(struct midge *b, struct midge_connection *c)
{
    c->replies_count = 0;
    if (c->suback != 0) {
        midge_store_release(&b->store, c->suback);
        c->suback = 0;
    }
}

static bool is_stored_suback(const struct midge_reply *reply)
{
    return reply->type == MIDGE_PACKET_SUBACK;
}

/* How many packets a reply stands for. */
static uint32_t packets_of(const struct midge_reply *reply)
{
    uint32_t type = reply->type & TYPE_MASK;
    return type == MIDGE_PACKET_CONNACK || type == MIDGE_PACKET_SUBACK ? 1 : reply->count;
}

/* A packet, of a stored SUBACK what comes before the codes. */
struct packet {
    uint8_t head[PACKET_MAX];
    uint32_t head_size;
    uint32_t size; /* of the whole */
};

/* Writes the first packet of a reply. */
static void write_packet(const struct midge *b, const struct midge_connection *c, const struct midge_reply *reply,
                         struct packet *packet)
{
    uint32_t type = reply->type & TYPE_MASK;
    uint8_t *to = packet->head;
    uint32_t head = 4;
    uint32_t stored = 0;
    to[0] = (uint8_t)(type << 4 | (type == MIDGE_PACKET_PUBREL ? 0x02u : 0u));
    to[1] = 2;
    midge_put_u16(to + 2, reply->id);
    if (type == MIDGE_PACKET_PINGRESP) {
        to[1] = 0;
        head = 2;
    } else if (type == MIDGE_PACKET_CONNACK) {
        to[2] = (uint8_t)reply->id;
        to[3] = reply->count;
    } else if (is_stored_suback(reply)) {
        stored = midge_message_at(&b->store, c->suback)->size;
        head = midge_header_encode(to, to[0], 2 + stored) + 2;
        midge_put_u16(to + head - 2, reply->id);
    } else if (type == MIDGE_PACKET_SUBACK) {
        uint32_t codes = (uint32_t)reply->type >> 4;
        to[1] = (uint8_t)(2 + codes);
        for (uint32_t i = 0; i < codes; i++) {
            uint32_t code = (uint32_t)reply->count >> (MIDGE_REPLY_CODE_BITS * i) & MIDGE_REPLY_CODE_FAILURE;
            to[head++] = code == MIDGE_REPLY_CODE_FAILURE ? (uint8_t)MIDGE_SUBACK_FAILURE : (uint8_t)code;
        }
    }
    packet->head_size = head;
    packet->size = head + stored;
}

uint32_t midge_replies_encode(const struct midge *b, const struct midge_connection *c, uint8_t *buffer, uint32_t size)
{
    uint32_t done = 0;
    uint32_t offset = c->output_reply ? c->output_offset : 0;
    for (uint32_t i = 0; i < c->replies_count; i++) {
        struct midge_reply reply = *slot(b, c, i);
        for (uint32_t packets = packets_of(&reply); packets > 0 && done < size; packets--) {
            struct packet packet;
            write_packet(b, c, &reply, &packet);
            if (offset < packet.head_size) {
                uint32_t part = midge_min(packet.head_size - offset, size - done);
                memcpy(buffer + done, packet.head + offset, part);
                done += part;
                offset += part;
            }
            if (offset >= packet.head_size && offset < packet.size) {
                struct midge_reader codes;
                midge_reader_message(&codes, &b->store, c->suback, offset - packet.head_size);
                uint32_t part = midge_min(packet.size - offset, size - done);
                midge_reader_copy(&codes, buffer + done, part);
                done += part;
            }
            offset = 0;
            reply.id++;
        }
    }
    return done;
}

/* One packet of the first reply is with the transport as a whole. */
static void packet_done(struct midge *b, struct midge_connection *c, struct midge_reply *reply, const struct packet *packet)
{
    uint32_t type = reply->type & TYPE_MASK;
    bool connack = type == MIDGE_PACKET_CONNACK;
    b->metrics.packets_sent++;
    const struct midge_traced traced = {
        .size = packet->size,
        .packet_id = connack ? 0 : reply->id,
        .first = packet->head[0],
        .code = connack ? reply->count : 0,
    };
    midge_trace(b, MIDGE_LOG_SENT, c, &traced);
    c->output_offset = 0;
    c->output_reply = false;
    if (packets_of(reply) > 1) {
        reply->count--;
        reply->id = type == MIDGE_PACKET_PINGRESP ? 0 : (uint16_t)(reply->id + 1);
        return;
    }
    if (is_stored_suback(reply)) {
        midge_store_release(&b->store, c->suback);
        c->suback = 0;
    }
    c->replies_count--;
    c->replies_first = (uint8_t)(c->replies_count == 0 ? 0 : (c->replies_first + 1u) % b->config.limits.replies);
}

uint32_t midge_reply_consume(struct midge *b, struct midge_connection *c, uint32_t sent)
{
    struct midge_reply *reply = slot(b, c, 0);
    struct packet packet;
    write_packet(b, c, reply, &packet);
    sent += c->output_reply ? c->output_offset : 0;
    if (sent < packet.size) {
        c->output_offset = sent;
        c->output_reply = true;
        return 0;
    }
    packet_done(b, c, reply, &packet);
    return sent - packet.size;
}
