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
#define BOARD_CONNECTIONS (64 + 4)
#define BOARD_PACKET_SIZE_MAX 65536u
#define BOARD_INFLIGHT_MAX 16u

/* The ring of the console's lines, and the longest line. */
#define BOARD_CONSOLE_SIZE 4096u
#define BOARD_LINE_SIZE 512u

/* Bytes of the largest IP packet. */
#define BOARD_MTU 1500

/* Where no DHCP server answers. These are the addresses of QEMU's user network. */
#define BOARD_ADDRESS 10, 0, 2, 15
#define BOARD_NETMASK 255, 255, 255, 0
#define BOARD_GATEWAY 10, 0, 2, 2

#endif
