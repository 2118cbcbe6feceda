/* What the broker may use on a board whose 64 KB of RAM hold it, lwIP and the stack. */
#ifndef MIDGE_BOARD_LIMITS_H
#define MIDGE_BOARD_LIMITS_H

/* The fields of struct midge_limits, in their order:
 *  16 clients, and 2 connections more: one for a client that takes its session over, one to be told why it is refused;
 *  24 sessions: those of the clients, and 8 of absent ones;
 *  64 subscriptions, 4 for each client, of 6 levels where every second one begins like another: 96 nodes;
 *  64 nodes for 32 retained messages with 2 levels each that no other has;
 *  224 names of 16 (14 bytes of text each): 24 sessions take 2, each node takes 1, a few take more;
 *  192 deliveries: 8 for each session;
 *  32 QoS 2 identifiers: 2 for each client;
 *  192 blocks of 64 bytes: 32 retained messages and 16 wills of one or two blocks, and two packets of 1,536 bytes on their way;
 *  4 replies, 256 bytes of scratch, 32 levels. */
#define BOARD_LIMITS 16, 2, 24, 64, 96, 64, 224, 16, 192, 32, 192, 64, 4, 256, 32

#endif
