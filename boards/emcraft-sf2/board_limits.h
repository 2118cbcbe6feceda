/* What the broker may use on this board: as on the lm3s6965evb with its 64 KB. */
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
#define BOARD_CONNECTIONS (16 + 2)
#define BOARD_PACKET_SIZE_MAX 1536u
#define BOARD_INFLIGHT_MAX 4u

/* The ring of the console's lines, and the longest line. */
#define BOARD_CONSOLE_SIZE 512u
#define BOARD_LINE_SIZE 160u

/* Bytes of the largest IP packet: what one of lwIP's buffers holds, see ethernet.c. */
#define BOARD_MTU 576

/* Where no DHCP server answers. These are the addresses of QEMU's user network. */
#define BOARD_ADDRESS 10, 0, 2, 15
#define BOARD_NETMASK 255, 255, 255, 0
#define BOARD_GATEWAY 10, 0, 2, 2

#endif
