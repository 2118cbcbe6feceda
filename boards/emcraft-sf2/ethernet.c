/* The EMAC of the SmartFusion2: rings of descriptors in memory, and a DMA engine that follows them. */
#include "board.h"

#include "cortex_m.h"
#include "lwip/pbuf.h"
#include "lwip/stats.h"

#include <string.h>

#define MAC(offset) MIDGE_REGISTER(0x40041000u + (offset))
#define MAC_CONFIG_1 MAC(0x000u)
#define MAC_CONFIG_2 MAC(0x004u)
#define MAC_FRAME_MAX MAC(0x010u)
#define MAC_MII_CONFIG MAC(0x020u)
#define MAC_MII_ADDRESS MAC(0x028u)
#define MAC_MII_DATA MAC(0x02Cu)
#define MAC_MII_BUSY MAC(0x034u)
#define MAC_STATION_1 MAC(0x040u)
#define MAC_STATION_2 MAC(0x044u)
#define MAC_FIFO_0 MAC(0x048u)
#define DMA_TX_CONTROL MAC(0x180u)
#define DMA_TX_DESCRIPTOR MAC(0x184u)
#define DMA_TX_STATUS MAC(0x188u)
#define DMA_RX_CONTROL MAC(0x18Cu)
#define DMA_RX_DESCRIPTOR MAC(0x190u)
#define DMA_RX_STATUS MAC(0x194u)
#define DMA_INTERRUPT_MASK MAC(0x198u)
#define CONFIG_1_RESET (1u << 31)
#define CONFIG_1_RX_TX ((1u << 2) | 1u)
#define CONFIG_2_FULL_DUPLEX ((7u << 12) | (1u << 8) | (1u << 2) | (1u << 1) | 1u) /* 100 Mbit/s, padding, FCS */
#define FIFO_ALL_ON (0x1Fu << 8)
#define DMA_ON 1u
#define TX_SENT 1u
#define RX_RECEIVED 1u
#define RX_OVERFLOW (1u << 2)
#define SIZE_EMPTY (1u << 31)
#define SIZE_MASK 0xFFFu

/* The engine writes frames into buffers of lwIP's pool, and the ring takes all of them that nobody holds: it drops what comes
 * while the ring is full, and after that most of what waited behind it in the emulator. A frame is as large as one buffer:
 * segments have 536 bytes (lwip_limits.h), and larger frames are none of ours. */
#define RX_COUNT MIDGE_LWIP_POOL_BUFFERS
#define FRAME_SIZE PBUF_POOL_BUFSIZE
#define IP_PACKET_MAX (MIDGE_LWIP_MSS + 40u)

/* A frame that would leave the ring with less than this is not taken, its buffer is used again. */
#define RX_COUNT_MIN 2u

/* A longer wait means that nothing will ever be sent. */
#define PATIENCE 2000000u

struct descriptor {
    uint32_t address;
    uint32_t size; /* with SIZE_EMPTY: no data for, or none from, the engine */
    uint32_t next;
};

static volatile struct descriptor rx_ring[RX_COUNT], tx_descriptor;
static struct pbuf *rx_buffers[RX_COUNT];
static uint8_t tx_frame[FRAME_SIZE] __attribute__((aligned(4)));
static uint32_t rx_next;  /* the descriptor that the next frame will be found in */
static uint32_t rx_count; /* from there on, how many have a buffer; the engine stops at the one behind them, which looks full */

/* Lets the PHY at address 0 negotiate speed and duplex. */
static void start_phy(void)
{
    uint32_t patience = PATIENCE;

    MAC_MII_CONFIG = 7; /* the slowest management clock */
    MAC_MII_ADDRESS = 0;
    MAC_MII_DATA = 0x1200u; /* its register 0: auto-negotiation on, and begin */
    while ((MAC_MII_BUSY & 1u) && --patience > 0) {
    }
}

/* Gives the descriptor behind the others a buffer, for the engine to write into. */
static void append(struct pbuf *buffer)
{
    uint32_t last = (rx_next + rx_count) % RX_COUNT;

    rx_buffers[last] = buffer;
    rx_ring[last].address = (uint32_t)(uintptr_t)buffer->payload;
    __asm volatile("dsb" ::: "memory");
    rx_ring[last].size = SIZE_EMPTY;
    rx_count++;
}

static void fill_ring(void)
{
    const struct stats_mem *pool = lwip_stats.memp[MEMP_PBUF_POOL];

    while (rx_count < RX_COUNT && pool->used < pool->avail) {
        append(pbuf_alloc(PBUF_RAW, FRAME_SIZE, PBUF_POOL));
    }
}

uint32_t midge_board_ethernet_init(uint8_t address[6])
{
    static const uint8_t local[6] = {0x02, 'm', 'i', 'd', 'g', 'e'}; /* a locally administered one */
    uint32_t i;

    memcpy(address, local, 6);
    MAC_CONFIG_1 = CONFIG_1_RESET;
    MAC_CONFIG_1 = 0;
    MAC_FIFO_0 = FIFO_ALL_ON;
    MAC_CONFIG_2 = CONFIG_2_FULL_DUPLEX;
    MAC_FRAME_MAX = FRAME_SIZE;
    MAC_STATION_1 = (uint32_t)local[0] << 24 | (uint32_t)local[1] << 16 | (uint32_t)local[2] << 8 | local[3];
    MAC_STATION_2 = (uint32_t)local[4] << 24 | (uint32_t)local[5] << 16;
    start_phy();

    for (i = 0; i < RX_COUNT; i++) {
        rx_ring[i].next = (uint32_t)(uintptr_t)&rx_ring[(i + 1) % RX_COUNT];
    }
    fill_ring();
    tx_descriptor.address = (uint32_t)(uintptr_t)tx_frame;
    tx_descriptor.size = SIZE_EMPTY;
    tx_descriptor.next = (uint32_t)(uintptr_t)&tx_descriptor;
    DMA_INTERRUPT_MASK = (1u << 4) | (1u << 6); /* a frame came in; one was lost */
    DMA_TX_DESCRIPTOR = (uint32_t)(uintptr_t)&tx_descriptor;
    DMA_RX_DESCRIPTOR = (uint32_t)(uintptr_t)&rx_ring[0];
    MAC_CONFIG_1 = CONFIG_1_RX_TX;
    DMA_RX_CONTROL = DMA_ON;
    return IP_PACKET_MAX;
}

bool midge_board_ethernet_pending(void)
{
    fill_ring();
    if (!(rx_ring[rx_next].size & SIZE_EMPTY)) {
        return true;
    }
    /* The engine stops at a descriptor that it finds full. All of them are read by now, so that it may go on where the next
     * frame is looked for. */
    if (DMA_RX_STATUS & RX_OVERFLOW) {
        LINK_STATS_INC(link.drop);
        DMA_RX_STATUS = RX_OVERFLOW;
        DMA_RX_DESCRIPTOR = (uint32_t)(uintptr_t)&rx_ring[rx_next];
        DMA_RX_CONTROL = DMA_ON;
    }
    return false;
}

/* The frame's buffer goes to lwIP. */
struct pbuf *midge_board_ethernet_receive(void)
{
    struct pbuf *frame = rx_buffers[rx_next];
    uint32_t size = rx_ring[rx_next].size;

    if (size & SIZE_EMPTY) {
        return NULL;
    }
    size &= SIZE_MASK;
    DMA_RX_STATUS = RX_RECEIVED; /* counts down what raises the interrupt */
    rx_next = (rx_next + 1) % RX_COUNT;
    rx_count--;
    if (rx_count < RX_COUNT_MIN || size < 14 || size > FRAME_SIZE) {
        LINK_STATS_INC(link.drop);
        append(frame);
        return NULL;
    }
    pbuf_realloc(frame, (u16_t)size);
    return frame;
}

uint32_t midge_board_ethernet_buffers(void)
{
    return rx_count;
}

bool midge_board_ethernet_send(const struct pbuf *frame)
{
    uint32_t patience = PATIENCE;

    while (!(tx_descriptor.size & SIZE_EMPTY) && --patience > 0) {
    }
    if (patience == 0 || frame->tot_len > FRAME_SIZE) {
        return false;
    }
    DMA_TX_STATUS = TX_SENT;
    (void)pbuf_copy_partial(frame, tx_frame, frame->tot_len, 0);
    tx_descriptor.size = frame->tot_len;
    DMA_TX_DESCRIPTOR = (uint32_t)(uintptr_t)&tx_descriptor;
    __asm volatile("dsb" ::: "memory");
    DMA_TX_CONTROL = DMA_ON;
    return true;
}
