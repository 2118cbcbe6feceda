#define _GNU_SOURCE
#include "transport.h"

#include "clock.h"
#include "logger.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one connection may do in one turn before the others have theirs. */
#define READ_BYTES_MAX (2u * MIDGE_READ_SIZE)
#define WRITE_BYTES_MAX 262144u

#define OUTPUT_SIZE 65536u

/* A step of a handshake takes up to 10 ms (a signature with RSA); in a turn none begins after this time, so that the clients
 * who are there already go on. */
#define HANDSHAKES_US 2000u

/* How long a peer may take to close its side after ours is closed. To close both at once, while input has not been read, makes
 * the kernel send a reset, and that destroys what the peer has not read yet: the CONNACK that says why. */
#define CLOSE_MS 1000u

/* How often those are looked at whose input waits for their rate. */
#define RESUME_MS 10u

enum flag {
    READABLE = 1,
    WRITABLE = 2,
    OUTPUT = 4,         /* the core has something to say */
    BROKEN = 8,         /* sending has failed: what came before is still read, then the connection ends */
    CLOSING = 16,       /* our side is closed; input is thrown away */
    ARENA_USED = 32,    /* the pages of its part of the arena have been touched */
    AMONG_READERS = 64, /* these two outlive the connection: a slot may be taken again while it stands in a ring */
    AMONG_WRITERS = 128,
    UNSENT = 256,  /* the stream holds something that it took, or has to say itself */
    SHAKING = 512, /* in a handshake of TLS */
    DRAIN = 1024   /* the peer's end or urgent bytes lie in the input, and cut reads short before it is empty */
};

_Static_assert(MIDGE_READ_SIZE <= UINT16_MAX, "struct midge_slot counts the bytes it keeps in 16 bits");

static uint8_t read_buffer[MIDGE_READ_SIZE];
static uint8_t output_buffer[OUTPUT_SIZE];

/* ---- Rings ------------------------------------------------------------------------------------------------------------ */

/* The flag of those that stand in the ring. */
static uint16_t among(enum midge_turn turn)
{
    return turn == MIDGE_TURN_READ ? AMONG_READERS : AMONG_WRITERS;
}

static struct midge_slot *slot_at(const struct midge_transport *transport, midge_index index)
{
    return &transport->slots[index];
}

static void add(struct midge_transport *transport, enum midge_turn turn, midge_index index)
{
    struct midge_slot *slot = slot_at(transport, index);
    struct midge_ring *ring = &transport->rings[turn];
    if ((slot->flags & among(turn)) != 0) {
        return;
    }
    slot->flags |= among(turn);
    slot->next[turn] = 0;
    if (ring->count++ == 0) {
        ring->first = index;
    } else {
        slot_at(transport, ring->last)->next[turn] = index;
    }
    ring->last = index;
}

static midge_index take(struct midge_transport *transport, enum midge_turn turn)
{
    struct midge_ring *ring = &transport->rings[turn];
    midge_index index = ring->first;
    struct midge_slot *slot = slot_at(transport, index);
    ring->first = slot->next[turn];
    ring->count--;
    slot->flags &= (uint16_t)~among(turn);
    return index;
}

static bool wants_read(const struct midge_slot *slot)
{
    return slot->handle.index != 0 && (slot->flags & READABLE) != 0 && slot->kept_size == 0;
}

static bool wants_write(const struct midge_slot *slot)
{
    bool output = (slot->flags & (OUTPUT | CLOSING)) == OUTPUT || (slot->flags & UNSENT) != 0;
    return slot->handle.index != 0 && output && (slot->flags & (WRITABLE | BROKEN)) == WRITABLE;
}

/* ---- Closing ---------------------------------------------------------------------------------------------------------- */

static void join(struct midge_transport *transport, struct midge_list *list, struct midge_slot *slot, enum flag flag)
{
    midge_index index = slot->handle.index;
    slot->flags |= (uint16_t)flag;
    transport->rest[index].earlier = list->last;
    transport->rest[index].later = 0;
    if (list->last != 0) {
        transport->rest[list->last].later = index;
    } else {
        list->first = index;
    }
    list->last = index;
}

static void leave(struct midge_transport *transport, struct midge_list *list, struct midge_slot *slot, enum flag flag)
{
    if ((slot->flags & flag) == 0) {
        return;
    }
    slot->flags &= (uint16_t)~flag;
    const struct midge_slot_rest *rest = &transport->rest[slot->handle.index];
    if (rest->earlier != 0) {
        transport->rest[rest->earlier].later = rest->later;
    } else {
        list->first = rest->later;
    }
    if (rest->later != 0) {
        transport->rest[rest->later].earlier = rest->earlier;
    } else {
        list->last = rest->earlier;
    }
}

/* The connection is gone. The core may log who it was, so the slot is freed last. */
static void finish(struct midge_transport *transport, struct midge_slot *slot)
{
    leave(transport, &transport->closing, slot, CLOSING);
    leave(transport, &transport->shaking, slot, SHAKING);
    midge_stream_close(&slot->stream);
    if ((slot->flags & ARENA_USED) != 0) {
        /* Without this, every connection that ever stalled would hold its pages. */
        madvise(transport->arena + (size_t)slot->handle.index * MIDGE_READ_SIZE, MIDGE_READ_SIZE, MADV_DONTNEED);
    }
    midge_disconnected(transport->broker, slot->handle);
    midge_gate_left(transport->gate, slot->handle.index);
    slot->handle.index = 0;
    slot->kept_size = 0;
    slot->flags &= AMONG_READERS | AMONG_WRITERS;
}

void midge_transport_end(struct midge_transport *transport, midge_index index)
{
    finish(transport, slot_at(transport, index));
}

/* Nothing is left to be sent. */
static void shut(struct midge_transport *transport, struct midge_slot *slot)
{
    if (!midge_stream_shut(&slot->stream)) {
        finish(transport, slot);
    } else if (wants_read(slot)) {
        add(transport, MIDGE_TURN_READ, slot->handle.index);
    }
}

/* The core is done with the connection. */
static void begin_close(struct midge_transport *transport, struct midge_slot *slot)
{
    if ((slot->flags & BROKEN) != 0) {
        finish(transport, slot);
        return;
    }
    leave(transport, &transport->shaking, slot, SHAKING);
    slot->kept_size = 0;
    transport->rest[slot->handle.index].close_by_ms = (uint32_t)(transport->now_ms + CLOSE_MS);
    join(transport, &transport->closing, slot, CLOSING);
    if ((slot->flags & UNSENT) == 0) {
        shut(transport, slot);
    }
}

uint64_t midge_transport_expire(struct midge_transport *transport)
{
    while (transport->closing.first != 0) {
        midge_index first = transport->closing.first;
        int32_t left_ms = (int32_t)(transport->rest[first].close_by_ms - (uint32_t)transport->now_ms);
        if (left_ms > 0) {
            return transport->now_ms + (uint32_t)left_ms;
        }
        finish(transport, slot_at(transport, first));
    }
    return UINT64_MAX;
}

bool midge_transport_hurry(struct midge_transport *transport)
{
    if (transport->closing.first == 0) {
        return false;
    }
    finish(transport, slot_at(transport, transport->closing.first));
    return true;
}

/* ---- Sending ---------------------------------------------------------------------------------------------------------- */

/* A step of a handshake may be waited for on both sides. */
static void note_unsent(struct midge_transport *transport, struct midge_slot *slot)
{
    if (midge_stream_unsent(&slot->stream)) {
        slot->flags |= UNSENT;
        if (wants_write(slot)) {
            add(transport, MIDGE_TURN_WRITE, slot->handle.index);
        }
    } else {
        slot->flags &= (uint16_t)~UNSENT;
    }
}

/* Goes on with what the stream holds. Returns what came of it. */
static int send_rest(struct midge_transport *transport, struct midge_slot *slot)
{
    int result = midge_stream_flush(&slot->stream);
    if (result == MIDGE_TLS_BUSY) {
        /* Reading may have stopped at this, with input that the kernel has already told of. */
        slot->flags |= READABLE;
        add(transport, MIDGE_TURN_READ, slot->handle.index);
        note_unsent(transport, slot);
        if ((slot->flags & (CLOSING | UNSENT)) == CLOSING) {
            shut(transport, slot);
        }
    }
    return result;
}

/* Sends until the core or the kernel has had enough, or others must have their turn. */
static void send_output(struct midge_transport *transport, struct midge_slot *slot)
{
    size_t total = 0;
    while (wants_write(slot) && total < WRITE_BYTES_MAX) {
        size_t size = 0;
        int sent;
        if ((slot->flags & UNSENT) != 0) {
            sent = send_rest(transport, slot);
        } else {
            size = midge_output(transport->broker, slot->handle, output_buffer, sizeof(output_buffer));
            if (size == 0) {
                slot->flags &= (uint16_t)~OUTPUT;
                return;
            }
            sent = midge_stream_write(&slot->stream, output_buffer, size);
            if (!midge_output_done(transport->broker, slot->handle, sent > 0 ? (size_t)sent : 0)) {
                slot->flags &= (uint16_t)~OUTPUT;
            }
            note_unsent(transport, slot);
        }
        if (sent == MIDGE_TLS_BLOCKED || (sent > 0 && (size_t)sent < size)) {
            slot->flags &= (uint16_t)~WRITABLE; /* the kernel will say when there is room again */
        } else if (sent == MIDGE_TLS_FAILED || sent == MIDGE_TLS_CLOSED) {
            slot->flags |= BROKEN | READABLE | DRAIN;
        }
        total += sent > 0 ? (size_t)sent : 0;
    }
}

void midge_transport_write(struct midge_transport *transport)
{
    for (uint32_t left = transport->rings[MIDGE_TURN_WRITE].count; left > 0; left--) {
        midge_index index = take(transport, MIDGE_TURN_WRITE);
        struct midge_slot *slot = slot_at(transport, index);
        send_output(transport, slot);
        if (wants_write(slot)) {
            add(transport, MIDGE_TURN_WRITE, index);
        }
        if ((slot->flags & BROKEN) != 0 && wants_read(slot)) {
            add(transport, MIDGE_TURN_READ, index);
        }
    }
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

/* The peer has closed its side, and all that it sent has been used. It may still be listening, so it gets what is due. */
static void end_of_input(struct midge_transport *transport, struct midge_slot *slot)
{
    if ((slot->flags & (CLOSING | BROKEN)) == 0) {
        slot->flags |= OUTPUT;
        send_output(transport, slot);
    }
    finish(transport, slot);
}

static bool is_metered(const struct midge_transport *transport)
{
    return transport->rates.messages > 0 || transport->rates.bytes > 0;
}

void midge_transport_set_rates(struct midge_transport *transport, struct midge_rates rates)
{
    bool was_metered = is_metered(transport);
    transport->rates = rates;
    if (!was_metered || is_metered(transport)) {
        return;
    }
    for (midge_index i = 1; i < transport->slot_count; i++) {
        midge_meter_start(&transport->meters[i], false); /* what comes in meanwhile is not counted */
    }
}

/* What is left of a client's input waits until more may pass. */
static void pause_input(struct midge_transport *transport, midge_index index)
{
    struct midge_meter *meter = &transport->meters[index];
    transport->pauses++;
    if (!meter->listed) {
        meter->listed = true;
        meter->next = transport->paused;
        transport->paused = index;
    }
}

/* Gives bytes to the core: as many as it takes, and as may pass now. Returns how many those were. */
static size_t give(struct midge_transport *transport, struct midge_slot *slot, const uint8_t *bytes, size_t size)
{
    midge_index index = slot->handle.index;
    if (!is_metered(transport)) {
        return midge_receive(transport->broker, slot->handle, bytes, size);
    }
    struct midge_meter *meter = &transport->meters[index];
    size_t allowed = midge_meter_allow(meter, &transport->rates, transport->now_ms, bytes, size);
    size_t used = allowed > 0 ? midge_receive(transport->broker, slot->handle, bytes, allowed) : 0;
    midge_meter_count(meter, &transport->rates, bytes, used);
    if (used == allowed && used < size) {
        pause_input(transport, index);
    }
    return used;
}

/* Gives what came in to the core, and keeps what cannot be taken yet. */
static void take_input(struct midge_transport *transport, struct midge_slot *slot, size_t size)
{
    if ((slot->flags & CLOSING) != 0) {
        return;
    }
    size_t used = give(transport, slot, read_buffer, size);
    if (used < size) {
        memcpy(transport->arena + (size_t)slot->handle.index * MIDGE_READ_SIZE, read_buffer + used, size - used);
        slot->kept_from = 0;
        slot->kept_size = (uint16_t)(size - used);
        slot->flags |= ARENA_USED;
    }
}

/* Whether the next read is a step of a handshake whose time in this turn is over. */
static bool must_wait(const struct midge_transport *transport, struct midge_slot *slot)
{
    return (slot->flags & SHAKING) != 0 && midge_clock_us() >= transport->handshakes_until_us;
}

/* A plain stream has nothing to say that the core does not. */
static void report(const struct midge_transport *transport, const struct midge_slot *slot)
{
    char peer[MIDGE_PEER_SIZE];
    if (slot->stream.tls != NULL) {
        midge_transport_peer(transport, slot->handle.index, peer);
        midge_stream_report(&slot->stream, peer);
    }
}

static void read_input(struct midge_transport *transport, struct midge_slot *slot)
{
    size_t total = 0;
    while (wants_read(slot) && total < READ_BYTES_MAX && !must_wait(transport, slot)) {
        int got = midge_stream_read(&slot->stream, read_buffer, sizeof(read_buffer));
        if (got > 0) {
            total += (size_t)got;
            if ((size_t)got < sizeof(read_buffer) && (slot->flags & DRAIN) == 0 && slot->stream.tls == NULL) {
                /* That was all (epoll(7), question 9): one call less. What TLS gives says nothing about the socket. */
                slot->flags &= (uint16_t)~READABLE;
            }
            take_input(transport, slot, (size_t)got);
        } else if (got == MIDGE_TLS_CLOSED) {
            end_of_input(transport, slot);
            return;
        } else if (got == MIDGE_TLS_BLOCKED) {
            slot->flags &= (uint16_t)~READABLE;
        } else if (got == MIDGE_TLS_FAILED) {
            report(transport, slot);
            finish(transport, slot);
            return;
        } else if (!midge_stream_shaking(&slot->stream)) {
            leave(transport, &transport->shaking, slot, SHAKING);
            report(transport, slot);
        }
        note_unsent(transport, slot);
    }
}

void midge_transport_read(struct midge_transport *transport)
{
    transport->handshakes_until_us = transport->shaking.first != 0 ? midge_clock_us() + HANDSHAKES_US : 0;
    for (uint32_t left = transport->rings[MIDGE_TURN_READ].count; left > 0; left--) {
        midge_index index = take(transport, MIDGE_TURN_READ);
        struct midge_slot *slot = slot_at(transport, index);
        read_input(transport, slot);
        if (wants_read(slot)) {
            add(transport, MIDGE_TURN_READ, index);
        }
    }
}

/* The stall or the pause is over: the core gets what was kept. */
static void offer_again(struct midge_transport *transport, struct midge_slot *slot)
{
    if (slot->kept_size == 0) {
        return;
    }
    const uint8_t *kept = transport->arena + (size_t)slot->handle.index * MIDGE_READ_SIZE + slot->kept_from;
    size_t used = give(transport, slot, kept, slot->kept_size);
    slot->kept_from = (uint16_t)(slot->kept_from + used);
    slot->kept_size = (uint16_t)(slot->kept_size - used);
    if (wants_read(slot)) {
        add(transport, MIDGE_TURN_READ, slot->handle.index);
    }
}

uint64_t midge_transport_resume(struct midge_transport *transport)
{
    if (transport->paused == 0) {
        return UINT64_MAX;
    }
    if (transport->now_ms >= transport->resume_ms) {
        midge_index index = transport->paused;
        transport->paused = 0;
        while (index != 0) {
            midge_index next = transport->meters[index].next;
            transport->meters[index].listed = false;
            if (slot_at(transport, index)->handle.index != 0) {
                offer_again(transport, slot_at(transport, index));
            }
            index = next;
        }
        transport->resume_ms = transport->now_ms + RESUME_MS;
    }
    return transport->paused != 0 ? transport->resume_ms : UINT64_MAX;
}

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

bool midge_transport_events(struct midge_transport *transport)
{
    struct midge_event event;
    bool any = false;
    while (midge_next_event(transport->broker, &event)) {
        struct midge_slot *slot = slot_at(transport, event.conn.index);
        any = true;
        if (slot->handle.index == 0 || slot->handle.generation != event.conn.generation || (slot->flags & CLOSING) != 0) {
            continue;
        }
        switch (event.type) {
        case MIDGE_OUTPUT_READY:
            slot->flags |= OUTPUT;
            if (wants_write(slot)) {
                add(transport, MIDGE_TURN_WRITE, event.conn.index);
            }
            break;
        case MIDGE_INPUT_READY:
            offer_again(transport, slot);
            break;
        case MIDGE_CLOSE:
            begin_close(transport, slot);
            break;
        }
    }
    return any;
}

void midge_transport_ready(struct midge_transport *transport, midge_index index, uint32_t epoll_events)
{
    struct midge_slot *slot = slot_at(transport, index);
    if ((epoll_events & ~(uint32_t)EPOLLOUT) != 0) {
        slot->flags |= READABLE;
        if ((epoll_events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) != 0) {
            slot->flags |= DRAIN;
        }
        if (wants_read(slot)) {
            add(transport, MIDGE_TURN_READ, index);
        }
    }
    if ((epoll_events & EPOLLOUT) != 0) {
        slot->flags |= WRITABLE;
        if (wants_write(slot)) {
            add(transport, MIDGE_TURN_WRITE, index);
        }
    }
}

bool midge_transport_busy(const struct midge_transport *transport)
{
    return transport->rings[MIDGE_TURN_READ].count > 0 || transport->rings[MIDGE_TURN_WRITE].count > 0;
}

/* ---- Coming and going ------------------------------------------------------------------------------------------------- */

/* A new connection with TLS may take the place of those that have been in their handshake for longest: peers that never finish
 * it could otherwise lock all others out. */
static bool open_stream(struct midge_transport *transport, struct midge_slot *slot, int fd, uint8_t listener)
{
    struct midge_tls_context *context = transport->certificates.contexts[listener];
    char peer[MIDGE_PEER_SIZE];
    while (!midge_stream_open(&slot->stream, fd, context)) {
        struct midge_slot *oldest = transport->shaking.first != 0 ? slot_at(transport, transport->shaking.first) : slot;
        midge_transport_peer(transport, oldest->handle.index, peer);
        midge_logger_provoked(MIDGE_LEVEL_WARNING, "%s with %s ended: no memory is left for TLS; raise limit_tls_memory.",
                              oldest == slot ? "Connection" : "TLS handshake", peer);
        if (oldest == slot) {
            return false;
        }
        finish(transport, oldest);
    }
    if (context != NULL) {
        join(transport, &transport->shaking, slot, SHAKING);
    }
    return true;
}

bool midge_transport_accepted(struct midge_transport *transport, int fd, uint8_t listener, const struct sockaddr_storage *peer)
{
    struct midge_handle handle = midge_connected(transport->broker, listener);
    if (handle.index == 0 && midge_transport_hurry(transport)) {
        handle = midge_connected(transport->broker, listener);
    }
    if (handle.index == 0) {
        close(fd);
        return false;
    }
    struct midge_slot *slot = slot_at(transport, handle.index);
    slot->handle = handle;
    slot->kept_size = 0;
    slot->flags &= AMONG_READERS | AMONG_WRITERS;
    slot->flags |= WRITABLE;
    midge_peer_note(&slot->peer, transport->rest[handle.index].peer_ipv6, peer);
    midge_gate_arrived(transport->gate, handle.index, listener, peer);
    if (is_metered(transport)) { /* else it is not even touched: its page would cost memory */
        midge_meter_start(&transport->meters[handle.index], true);
    }
    struct epoll_event interest = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = handle.index};
    if (!open_stream(transport, slot, fd, listener) || epoll_ctl(transport->epoll, EPOLL_CTL_ADD, fd, &interest) != 0) {
        finish(transport, slot);
    }
    return true;
}

uint32_t midge_transport_close_all(struct midge_transport *transport)
{
    uint32_t closed = 0;
    for (midge_index i = 1; i < transport->slot_count; i++) {
        struct midge_slot *slot = slot_at(transport, i);
        if (slot->handle.index == 0) {
            continue;
        }
        slot->flags |= OUTPUT;
        send_output(transport, slot);
        (void)midge_stream_shut(&slot->stream);
        /* What is not read turns the close into a reset; a peer that never stops sending gets one. */
        int got = 1;
        for (size_t total = 0; got > 0 && total < READ_BYTES_MAX; total += (size_t)got) {
            got = midge_stream_read(&slot->stream, read_buffer, sizeof(read_buffer));
        }
        midge_stream_close(&slot->stream);
        slot->handle.index = 0;
        closed++;
    }
    return closed;
}

const char *midge_transport_identity(const struct midge_transport *transport, struct midge_handle conn)
{
    const struct midge_slot *slot = slot_at(transport, conn.index);
    return slot->stream.tls != NULL ? midge_tls_identity(slot->stream.tls) : NULL;
}

void midge_transport_peer(const struct midge_transport *transport, midge_index index, char text[MIDGE_PEER_SIZE])
{
    const struct midge_slot *slot = slot_at(transport, index);
    text[0] = '\0';
    if (index != 0 && index < transport->slot_count && slot->handle.index != 0) {
        midge_peer_text(&slot->peer, transport->rest[index].peer_ipv6, text);
    }
}
