/* lwIP on a board with megabytes of RAM: 68 connections (board_limits.h) and 12 that come or go. */
#define MIDGE_LWIP_PCBS 80
#define MIDGE_LWIP_SEGMENTS 512
#define MIDGE_LWIP_POOL_BUFFERS 96
#define MIDGE_LWIP_HEAP_SIZE (192 * 1024)
#define MIDGE_LWIP_MSS 1460
#define MIDGE_LWIP_WINDOW (4 * MIDGE_LWIP_MSS)
#define MIDGE_LWIP_SEND_BUFFER (4 * MIDGE_LWIP_MSS)
#define MIDGE_LWIP_MDNS 1
