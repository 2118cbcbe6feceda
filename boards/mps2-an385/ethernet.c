/* The LAN9118 of the MPS2: FIFOs of words behind a bus interface, its PHY inside. */
#include "board.h"

#include "cortex_m.h"
#include "lwip/pbuf.h"
#include "lwip/stats.h"
#include "word_fifo.h"

#include <string.h>

#define LAN(offset) MIDGE_REGISTER(0x40200000u + (offset))
#define RX_DATA LAN(0x00u)
#define TX_DATA LAN(0x20u)
#define RX_STATUS LAN(0x40u)
#define TX_STATUS LAN(0x48u)
#define IRQ_CONFIG LAN(0x54u)
#define INTERRUPTS LAN(0x58u)
#define INTERRUPT_ENABLE LAN(0x5Cu)
#define FIFO_INTERRUPTS LAN(0x68u)
#define RX_CONFIG LAN(0x6Cu)
#define TX_CONFIG LAN(0x70u)
#define HARDWARE_CONFIG LAN(0x74u)
#define RX_FIFO_INFO LAN(0x7Cu)
#define TX_FIFO_INFO LAN(0x80u)
#define MAC_COMMAND LAN(0xA4u)
#define MAC_DATA LAN(0xA8u)

#define IP_PACKET_MAX 1500u
#define IRQ_PUSH_PULL_HIGH_ON 0x111u
#define INTERRUPT_RX (1u << 3) /* the receive status FIFO has more than its level, 0 */
#define HARDWARE_RESET 1u
#define HARDWARE_TX_FIFO_5K (5u << 16)
#define HARDWARE_MUST_BE_ONE (1u << 20)
#define TX_ON (1u << 1)
#define TX_FIRST (1u << 13)
#define TX_LAST (1u << 12)
#define MAC_BUSY (1u << 31)
#define MAC_READ (1u << 30)
#define MAC_CONTROL 1u
#define MAC_ADDRESS_HIGH 2u
#define MAC_ADDRESS_LOW 3u
#define MAC_MII_ACCESS 6u
#define MAC_MII_DATA 7u
#define MAC_CONTROL_ON                                                                                                         \
    ((1u << 20) | (1u << 19) | (1u << 3) | (1u << 2)) /* full duplex, all multicast, transmitter, receiver                     \
                                                       */
#define MII_BUSY 1u
#define MII_WRITE 2u
#define MII_PHY (1u << 11)

/* A longer wait means that the controller will never be ready. */
#define PATIENCE 200000u

static void wait_for_mac(void)
{
    uint32_t patience = PATIENCE;

    while ((MAC_COMMAND & MAC_BUSY) && --patience > 0) {
    }
}

static void write_mac(uint32_t number, uint32_t value)
{
    wait_for_mac();
    MAC_DATA = value;
    MAC_COMMAND = MAC_BUSY | number;
    wait_for_mac();
}

static uint32_t read_mac(uint32_t number)
{
    wait_for_mac();
    MAC_COMMAND = MAC_BUSY | MAC_READ | number;
    wait_for_mac();
    return MAC_DATA;
}

/* Lets the PHY negotiate speed and duplex. */
static void start_phy(void)
{
    uint32_t patience = PATIENCE;

    write_mac(MAC_MII_DATA, 0x1200u); /* its register 0: auto-negotiation on, and begin */
    write_mac(MAC_MII_ACCESS, MII_PHY | MII_WRITE | MII_BUSY);
    while ((read_mac(MAC_MII_ACCESS) & MII_BUSY) && --patience > 0) {
    }
}

uint32_t midge_board_ethernet_init(uint8_t address[6])
{
    static const uint8_t local[6] = {0x02, 'm', 'i', 'd', 'g', 'e'}; /* a locally administered one */
    uint32_t patience = PATIENCE, high, low;

    HARDWARE_CONFIG = HARDWARE_RESET;
    while ((HARDWARE_CONFIG & HARDWARE_RESET) && --patience > 0) {
    }
    HARDWARE_CONFIG = HARDWARE_MUST_BE_ONE | HARDWARE_TX_FIFO_5K;

    /* The controller has read the factory's address from its EEPROM, where there is one. */
    low = read_mac(MAC_ADDRESS_LOW);
    high = read_mac(MAC_ADDRESS_HIGH) & 0xFFFFu;
    if ((low & 1u) || low == 0) {
        memcpy(address, local, 6);
    } else {
        memcpy(address, &low, 4);
        memcpy(address + 4, &high, 2);
    }
    memcpy(&low, address, 4);
    high = 0;
    memcpy(&high, address + 4, 2);
    write_mac(MAC_ADDRESS_LOW, low);
    write_mac(MAC_ADDRESS_HIGH, high);
    start_phy();

    FIFO_INTERRUPTS = 0;
    INTERRUPTS = 0xFFFFFFFFu;
    INTERRUPT_ENABLE = INTERRUPT_RX;
    IRQ_CONFIG = IRQ_PUSH_PULL_HIGH_ON;
    RX_CONFIG = 0;
    TX_CONFIG = TX_ON;
    write_mac(MAC_CONTROL, MAC_CONTROL_ON);
    return IP_PACKET_MAX;
}

/* Acknowledged before the FIFO is looked at: what comes later sets it again. */
bool midge_board_ethernet_pending(void)
{
    INTERRUPTS = INTERRUPT_RX;
    return ((RX_FIFO_INFO >> 16) & 0xFFu) != 0;
}

struct pbuf *midge_board_ethernet_receive(void)
{
    struct pbuf *frame = NULL;
    uint32_t status, size, words;

    if (!midge_board_ethernet_pending()) {
        return NULL;
    }
    status = RX_STATUS;
    size = (status >> 16) & 0x3FFFu; /* with the four bytes of the FCS */
    words = (size + 3) / 4;
    if (!(status & (1u << 15)) && size >= 4 + 14 && size <= 4 + 14 + IP_PACKET_MAX) {
        frame = pbuf_alloc(PBUF_RAW, (u16_t)(size - 4), PBUF_POOL);
        if (frame) {
            words -= midge_word_fifo_read(&RX_DATA, frame, 0, 0);
        } else {
            LINK_STATS_INC(link.drop);
        }
    }
    while (words-- > 0) {
        (void)RX_DATA;
    }
    return frame;
}

uint32_t midge_board_ethernet_buffers(void)
{
    return 0;
}

bool midge_board_ethernet_send(const struct pbuf *frame)
{
    uint32_t patience = PATIENCE;

    /* Room for the words of the frame and the two that command it. */
    while ((TX_FIFO_INFO & 0xFFFFu) < frame->tot_len + 12u && --patience > 0) {
    }
    while ((TX_FIFO_INFO >> 16) & 0xFFu) {
        (void)TX_STATUS; /* how earlier frames went: TCP finds out by itself */
    }
    if (patience == 0) {
        return false;
    }
    TX_DATA = TX_FIRST | TX_LAST | frame->tot_len;
    TX_DATA = frame->tot_len;
    midge_word_fifo_write(&TX_DATA, frame, 0, 0);
    return true;
}
