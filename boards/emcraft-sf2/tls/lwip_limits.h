/* lwIP when 26 KB of the RAM are for TLS: 7 connections (board_limits.h) and 3 that come or go. The receive buffers lie in the
 * Ethernet's ring but for those that a connection holds. */
#include "lwip_segments.h"

#define MIDGE_LWIP_PCBS 10
#define MIDGE_LWIP_SEGMENTS 24
#define MIDGE_LWIP_POOL_BUFFERS 19
#define MIDGE_LWIP_HEAP_SIZE 4608
#define MIDGE_LWIP_MDNS 0
