/* How much a connection may have under way on a board with 64 KB of RAM, for its lwip_limits.h. */
#define MIDGE_LWIP_MSS 536
#define MIDGE_LWIP_WINDOW (2 * MIDGE_LWIP_MSS)
#define MIDGE_LWIP_SEND_BUFFER (2 * MIDGE_LWIP_MSS)
