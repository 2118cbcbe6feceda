/*
 * The broker on lwIP's raw API, with no operating system below (NO_SYS=1): one listening port, and a loop that calls
 * midge_server_turn after each frame and at each tick. What it asks of lwIP's options is in lwipopts.h, how it works in
 * README.md.
 */
#ifndef MIDGE_SERVER_H
#define MIDGE_SERVER_H

#include "midge.h"

#include "stream.h"

struct pbuf;
struct tcp_pcb;

/* A transport connection; all of it is the server's own. */
struct midge_server_connection {
    struct tcp_pcb *pcb; /* NULL: free, or just lost */
    struct pbuf *held;   /* input that the broker has not taken yet */
    struct midge_handle conn;
#ifdef MIDGE_BOARD_TLS
    struct midge_stream stream;
#endif
    bool ended;   /* the peer has closed its side, behind what is held */
    bool output;  /* the broker has something to say */
    bool waiting; /* sent bytes wait for their acknowledgement */
    bool stalled; /* the broker does not take input */
};

struct midge_server {
    struct midge *broker;
    struct midge_server_connection *connections; /* limits.clients + limits.handshakes of them, zeroed */
    uint32_t connection_count;
    uint32_t (*buffers_waiting)(
        void); /* how many of lwIP's receive buffers the driver keeps for frames to come: as good as free */
#ifdef MIDGE_BOARD_TLS
    struct midge_tls_context *tls;                                 /* what is offered to each connection */
    void (*tls_failed)(struct midge_handle conn, const char *why); /* is told why TLS with a peer has failed */
#endif
    uint64_t now_ms; /* what the broker was told last, and when it wants to be called again */
    uint64_t next_ms;
    uint32_t open;    /* connections in use */
    uint32_t quiet;   /* those of them with nothing under way */
    uint32_t refused; /* transport connections for which there was no entry */
    uint32_t retried; /* writes for which lwIP had no memory at first */
    bool retry;       /* something waits for lwIP's memory, or for its turn: try again with each turn */
};

/* Starts to listen. `server` has its fields up to `open` set, the others are zero; there is one server in a program. Returns
 * false where lwIP has no memory for it. */
bool midge_server_start(struct midge_server *server, uint16_t port);

/* Sets the broker's time, where it is another than in the last turn, and does what the broker asks for. Returns when it wants
 * to be called again, as midge_advance does; `now_ms` where a handshake goes on. */
uint64_t midge_server_turn(uint64_t now_ms);

/* How many bytes this connection may write now. */
uint32_t midge_server_room(const struct midge_server_connection *connection);

/* Hands bytes to lwIP, all or none. Returns false where it has no memory for them. */
bool midge_server_write(struct midge_server_connection *connection, const uint8_t *bytes, size_t size);

/* Writes the peer's address, "10.0.2.2:50123", terminated; empty where it is not known (any more). 22 bytes are enough. */
void midge_server_peer(struct midge_handle conn, char *bytes, size_t size);

#endif
