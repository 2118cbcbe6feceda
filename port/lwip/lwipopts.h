/*
 * lwIP's options. What depends on the board's RAM comes from its lwip_limits.h:
 *
 *     MIDGE_LWIP_PCBS          TCP connections, with those that are on their way in or out
 *     MIDGE_LWIP_SEGMENTS      segments sent and not acknowledged, of all connections together
 *     MIDGE_LWIP_POOL_BUFFERS  receive buffers: one for each connection, 4, and some so that stalls cost less (see server.c)
 *     MIDGE_LWIP_HEAP_SIZE     bytes for what is sent; a static array of lwIP's own
 *     MIDGE_LWIP_MSS           bytes of payload in a segment
 *     MIDGE_LWIP_WINDOW        bytes that a client may send ahead
 *     MIDGE_LWIP_SEND_BUFFER   bytes under way to one client
 *     MIDGE_LWIP_MDNS          1: answers to midge.local
 */
#ifndef MIDGE_LWIPOPTS_H
#define MIDGE_LWIPOPTS_H

#include "lwip_limits.h"

/* One loop, no operating system, no libc heap. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 4
#define MEM_SIZE MIDGE_LWIP_HEAP_SIZE
#define LWIP_TIMERS 1

/* IPv4 with DHCP. Fragments are refused: TCP never makes them. */
#define LWIP_IPV6 0
#define IP_FORWARD 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_RAW 0
#define LWIP_UDP 1
#define LWIP_DHCP 1
#define LWIP_AUTOIP 0
#define LWIP_DNS 0
#define LWIP_ACD 0
#define LWIP_ICMP 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define ARP_TABLE_SIZE 10
#define ARP_QUEUEING 0
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_SINGLE_NETIF 1
#define LWIP_IGMP MIDGE_LWIP_MDNS
#define LWIP_MDNS_RESPONDER MIDGE_LWIP_MDNS
#define MDNS_MAX_SERVICES 1
#define LWIP_NUM_NETIF_CLIENT_DATA MIDGE_LWIP_MDNS

/* DHCP, and mDNS where it is there: a UDP PCB each; their timers and those of ARP, IGMP and TCP. */
#define MEMP_NUM_UDP_PCB (1 + MIDGE_LWIP_MDNS)
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 3 * MIDGE_LWIP_MDNS)
#define MEMP_NUM_PBUF 4

#define LWIP_TCP 1
/* lwIP's own first sequence numbers count the time since the start, which everybody can guess. */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) midge_random()
#define LWIP_ALTCP 0
#define TCP_MSS MIDGE_LWIP_MSS
#define TCP_WND MIDGE_LWIP_WINDOW
#define TCP_SND_BUF MIDGE_LWIP_SEND_BUFFER
#define TCP_SND_QUEUELEN 8
#define TCP_SNDLOWAT 16
#define TCP_SNDQUEUELOWAT 4
#define TCP_QUEUE_OOSEQ 0
#define TCP_LISTEN_BACKLOG 0
/* A write takes what it needs: a buffer of a whole segment for a message of 40 bytes would be wasted on a board. */
#define TCP_OVERSIZE 0
#define MEMP_NUM_TCP_PCB MIDGE_LWIP_PCBS
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_TCP_SEG MIDGE_LWIP_SEGMENTS
#define PBUF_POOL_SIZE MIDGE_LWIP_POOL_BUFFERS
#define PBUF_POOL_BUFSIZE LWIP_MEM_ALIGN_SIZE(TCP_MSS + 40 + PBUF_LINK_HLEN)

/* A peer that vanished without a word while nothing was under way to it is found after two minutes even if its MQTT keep alive
 * is 0; one that does not acknowledge what was sent is given up after about a minute. */
#define TCP_KEEPIDLE_DEFAULT 60000u
#define TCP_KEEPINTVL_DEFAULT 10000u
#define TCP_KEEPCNT_DEFAULT 6u
#define TCP_MAXRTX 7
#define TCP_SYNMAXRTX 4
/* RFC 6298 asks for a second; lwIP's own 3 are for links slower than Ethernet. */
#define LWIP_TCP_RTO_TIME 1000

/* A client that comes back from the port that it had before is not let in before TIME-WAIT is over: 5 s instead of two minutes.
 * First sequence numbers are random, so that what a local network has kept for longer is not taken for the new connection's. */
#define TCP_MSL 2500u

/* How full the heap is decides who may send (see server.c); what was dropped is shown by the console. */
#define LWIP_STATS 1
#define LWIP_STATS_DISPLAY 0
#define MEM_STATS 1
#define MEMP_STATS 1
#define LINK_STATS 1
#define SYS_STATS 0
#define ETHARP_STATS 0
#define IP_STATS 0
#define IPFRAG_STATS 0
#define ICMP_STATS 0
#define IGMP_STATS 0
#define UDP_STATS 0
#define TCP_STATS 0

/* lwIP's own assertions cost 9 KB of flash; its input is checked without them. */
#define LWIP_NOASSERT 1

#endif
