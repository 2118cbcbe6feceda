/* lwIP on a board with 64 KB of RAM. 18 connections (board_limits.h) and 4 that come or go. */
#include "lwip_segments.h"

#define MIDGE_LWIP_PCBS 22
#define MIDGE_LWIP_SEGMENTS 44
#define MIDGE_LWIP_POOL_BUFFERS 30
#define MIDGE_LWIP_HEAP_SIZE 6144
#define MIDGE_LWIP_MDNS 0
