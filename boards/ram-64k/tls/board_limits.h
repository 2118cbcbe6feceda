/* What the broker may use on a board with 64 KB of RAM of which 26 KB are for TLS. */
#ifndef MIDGE_BOARD_LIMITS_H
#define MIDGE_BOARD_LIMITS_H

/* The fields of struct midge_limits, in their order:
 *  6 clients, and 1 connection more for one that takes a session over or is told why it is refused;
 *  8 sessions: those of the clients, and 2 of absent ones;
 *  24 subscriptions, 4 for each client, with 36 nodes;
 *  24 nodes for retained messages;
 *  84 names of 16 (14 bytes of text each);
 *  48 deliveries: 6 for each session;
 *  12 QoS 2 identifiers: 2 for each client;
 *  80 blocks of 64 bytes;
 *  4 replies, 256 bytes of scratch, 32 levels. */
#define BOARD_LIMITS 6, 1, 8, 24, 36, 24, 84, 16, 48, 12, 80, 64, 4, 256, 32

#endif
