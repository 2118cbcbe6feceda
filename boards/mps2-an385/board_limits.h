/* What the broker may use on this board: 64 clients in a few hundred KB of its megabytes. */
#ifndef MIDGE_BOARD_LIMITS_H
#define MIDGE_BOARD_LIMITS_H

/* The fields of struct midge_limits, in their order:
 *  64 clients, and 4 connections more for those who take a session over or are to be told why they are refused;
 *  128 sessions, 512 subscriptions with 768 nodes, 768 nodes for retained topics;
 *  2,048 names of 16 (14 bytes of text each);
 *  2,048 deliveries, 256 QoS 2 identifiers;
 *  1,024 blocks of 256 bytes;
 *  8 replies, 512 bytes of scratch, 64 levels. */
#define BOARD_LIMITS 64, 4, 128, 512, 768, 768, 2048, 16, 2048, 256, 1024, 256, 8, 512, 64

#endif
