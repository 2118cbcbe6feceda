/*
 * The connections: reading, sending and closing them. A slot's index is that of the core's handle.
 *
 * Readiness is kept as bits. The kernel reports edges, so "readable" stays set until a read has emptied the input, "writable"
 * until a send was cut short, "output" until the core had nothing more to say. Slots that can do something stand in a ring, and
 * get a bounded number of bytes in each turn, one after the other.
 */
#ifndef MIDGE_TRANSPORT_H
#define MIDGE_TRANSPORT_H

#include "certificates.h"
#include "gate.h"
#include "meter.h"
#include "peer.h"
#include "stream.h"

/* The most that is read at once, and so the most that a stalled connection can leave to be kept. */
#define MIDGE_READ_SIZE (sizeof(void *) > 4 ? 16384u : 4096u)

/* What a connection waits for its turn to do. */
enum midge_turn { MIDGE_TURN_READ, MIDGE_TURN_WRITE, MIDGE_TURN_COUNT };

/* In the order that leaves no gaps: there are as many as connections. */
struct midge_slot {
    struct midge_stream stream;
    struct midge_handle handle;         /* index 0: free */
    midge_index next[MIDGE_TURN_COUNT]; /* in each of the rings */
    struct midge_peer peer;
    uint16_t flags;
    uint16_t kept_from; /* the stalled input lies at kept_from .. kept_from + kept_size of the slot's part of the arena */
    uint16_t kept_size; /* > 0: stalled */
};

/* What only some connections need. It lies beside the slots, so that its pages are not touched for the others. */
struct midge_slot_rest {
    uint8_t peer_ipv6[16];
    midge_index earlier;  /* in the list of those that are being closed, or of those in a handshake */
    midge_index later;    /* likewise */
    uint32_t close_by_ms; /* of one that is being closed: the lower half of when its patience ends */
};

struct midge_list {
    midge_index first, last; /* 0: empty */
};

struct midge_ring {
    midge_index first, last; /* 0: empty */
    uint32_t count;
};

struct midge_transport {
    struct midge *broker;
    struct midge_gate *gate;  /* is told who comes and goes */
    struct midge_slot *slots; /* [0] is not used */
    struct midge_slot_rest *rest;
    uint8_t *arena;             /* MIDGE_READ_SIZE bytes for each slot */
    uint32_t slot_count;        /* with [0] */
    struct midge_meter *meters; /* one for each slot, touched only where there is a rate */
    struct midge_rates rates;   /* how much each client may send */
    midge_index paused;         /* a list of those whose input waits for their rate; 0: none */
    uint64_t resume_ms;         /* when it is looked at next */
    uint64_t pauses;            /* how often input had to wait for it, since the start */
    int epoll;
    uint64_t now_ms;
    uint64_t handshakes_until_us; /* no step of a handshake begins after that, in this turn */
    struct midge_certificates certificates;
    struct midge_ring rings[MIDGE_TURN_COUNT]; /* of those to read from, and of those to send to */
    struct midge_list closing;                 /* in the order of close_by_ms */
    struct midge_list shaking;                 /* in a TLS handshake, the oldest first */
};

/* Takes a connection that was accepted. Closes it where the core has no room for it, and returns false. */
bool midge_transport_accepted(struct midge_transport *transport, int fd, uint8_t listener, const struct sockaddr_storage *peer);

/* Notes what epoll has said about a slot. */
void midge_transport_ready(struct midge_transport *transport, midge_index index, uint32_t epoll_events);

/* One round through those that can be read. */
void midge_transport_read(struct midge_transport *transport);

/* Changes how much each client may send; who was there before there was a rate is not held to the number of messages. */
void midge_transport_set_rates(struct midge_transport *transport, struct midge_rates rates);

/* Goes on with those whose input waited for their rate. Returns when it wants to be called again, UINT64_MAX for never. */
uint64_t midge_transport_resume(struct midge_transport *transport);

/* Does what the core asks for. Returns whether there was anything. */
bool midge_transport_events(struct midge_transport *transport);

/* One round through those that can be sent to. */
void midge_transport_write(struct midge_transport *transport);

/* Ends connections that have used up their time to close. Returns when the next one will, UINT64_MAX for none. */
uint64_t midge_transport_expire(struct midge_transport *transport);

/* Ends the connection that has been closing for longest, to make room for a new one. Returns whether there was one. */
bool midge_transport_hurry(struct midge_transport *transport);

/* Ends a connection at once. */
void midge_transport_end(struct midge_transport *transport, midge_index index);

/* Whether there is work to do without waiting for the kernel. */
bool midge_transport_busy(const struct midge_transport *transport);

/* Ends all connections, and returns how many there were. What is due is still sent where the peer takes it at once. */
uint32_t midge_transport_close_all(struct midge_transport *transport);

/* Who the client on a connection with TLS has shown to be, by its certificate or shared key; NULL where by neither. */
const char *midge_transport_identity(const struct midge_transport *transport, struct midge_handle conn);

/* Writes the peer's address; an empty text for a slot that is free. */
void midge_transport_peer(const struct midge_transport *transport, midge_index index, char text[MIDGE_PEER_SIZE]);

#endif
