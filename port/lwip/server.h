/*
 * The broker on lwIP's raw API, with no operating system below (NO_SYS=1): one listening port, and a loop that calls
 * midge_server_turn after each frame and at each tick. What it asks of lwIP's options is in lwipopts.h, how it works in
 * README.md.
 */
#ifndef MIDGE_SERVER_H
#define MIDGE_SERVER_H

#include "midge.h"

struct pbuf;
struct tcp_pcb;

/* A transport connection; all of it is the server's own. */
struct midge_server_connection {
    struct tcp_pcb *pcb; /* NULL: free, or just lost */
    struct pbuf *held;   /* input that the broker has not taken yet */
    struct midge_handle conn;
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
        void);        /* how many of lwIP's receive buffers the driver keeps for frames to come: as good as free */
    uint32_t open;    /* connections in use */
    uint32_t quiet;   /* those of them with nothing under way */
    uint32_t holding; /* those with held input */
    uint32_t refused; /* transport connections for which there was no entry */
    uint32_t retried; /* writes for which lwIP had no memory at first */
    bool retry;       /* output waits for lwIP's memory: try again with each turn */
};

/* Starts to listen. `server` has its first four fields set, the others are zero; there is one server in a program. Returns
 * false where lwIP has no memory for it. */
bool midge_server_start(struct midge_server *server, uint16_t port);

/* Sets the broker's time and does what it asks for. Returns when it wants to be called again, as midge_advance does. */
uint64_t midge_server_turn(uint64_t now_ms);

/* Writes the peer's address, "10.0.2.2:50123", terminated; empty where it is not known (any more). 22 bytes are enough. */
void midge_server_peer(struct midge_handle conn, char *bytes, size_t size);

#endif
