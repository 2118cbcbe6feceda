/* The Ethernet controller of the LM3S6965: two FIFOs behind one data register, and a PHY on the chip. */
#include "board.h"

#include "cortex_m.h"
#include "lwip/pbuf.h"
#include "lwip/stats.h"
#include "word_fifo.h"

#define MAC(offset) MIDGE_REGISTER(0x40048000u + (offset))
#define MAC_STATUS MAC(0x00u) /* read: what happened; write: acknowledge */
#define MAC_ENABLE MAC(0x04u)
#define MAC_RX_CONTROL MAC(0x08u)
#define MAC_TX_CONTROL MAC(0x0Cu)
#define MAC_DATA MAC(0x10u)
#define MAC_ADDRESS_LOW MAC(0x14u)
#define MAC_ADDRESS_HIGH MAC(0x18u)
#define MAC_THRESHOLD MAC(0x1Cu)
#define MAC_FRAMES MAC(0x34u) /* how many received frames wait */
#define MAC_TX_REQUEST MAC(0x38u)
#define STATUS_RECEIVED 1u
#define STATUS_ALL 0x7Fu
#define IP_PACKET_MAX 1500u
#define RX_ON 1u
#define RX_BAD_CRC (1u << 3) /* reject frames with a bad FCS */
#define RX_RESET (1u << 4)
#define TX_ON 1u
#define TX_PAD (1u << 1)
#define TX_CRC (1u << 2)
#define TX_DUPLEX (1u << 4)

/* The factory's address lies in the user registers of the flash; all ones where none was written. */
#define FLASH_USER_0 MIDGE_REGISTER(0x400FE1E0u)
#define FLASH_USER_1 MIDGE_REGISTER(0x400FE1E4u)

/* A longer wait for the transmitter means that nothing will ever be sent: give up on the frame then. */
#define TX_PATIENCE 200000u

uint32_t midge_board_ethernet_init(uint8_t address[6])
{
    static const uint8_t local[6] = {0x02, 'm', 'i', 'd', 'g', 'e'}; /* a locally administered one */
    uint32_t low = FLASH_USER_0, high = FLASH_USER_1, i;

    for (i = 0; i < 6; i++) {
        uint32_t factory = i < 3 ? low >> (8u * i) : high >> (8u * (i - 3u));
        /* The emulator keeps zeros there. */
        bool written = (low & 0xFFFFFFu) != 0xFFFFFFu && (high & 0xFFFFFFu) != 0xFFFFFFu && (low | high) != 0;

        address[i] = written ? (uint8_t)factory : local[i];
    }
    MAC_ENABLE = 0;
    MAC_RX_CONTROL = RX_RESET;
    MAC_STATUS = STATUS_ALL;
    MAC_ADDRESS_LOW =
        (uint32_t)address[0] | (uint32_t)address[1] << 8 | (uint32_t)address[2] << 16 | (uint32_t)address[3] << 24;
    MAC_ADDRESS_HIGH = (uint32_t)address[4] | (uint32_t)address[5] << 8;
    MAC_THRESHOLD = 0x3F; /* send only when asked to */
    MAC_RX_CONTROL = RX_ON | RX_BAD_CRC;
    MAC_TX_CONTROL = TX_ON | TX_PAD | TX_CRC | TX_DUPLEX;
    MAC_ENABLE = STATUS_RECEIVED;
    return IP_PACKET_MAX;
}

/* Acknowledged before the FIFO is looked at: what comes later sets it again. */
bool midge_board_ethernet_pending(void)
{
    MAC_STATUS = STATUS_ALL;
    return (MAC_FRAMES & 0x3Fu) != 0;
}

struct pbuf *midge_board_ethernet_receive(void)
{
    struct pbuf *frame = NULL;
    uint32_t word, total, words_read = 1;

    if (!midge_board_ethernet_pending()) {
        return NULL;
    }
    word = MAC_DATA;
    total = word & 0xFFFFu; /* with these two bytes and the four of the FCS */
    if (total >= 6 + 14 && total <= 6 + 14 + IP_PACKET_MAX) {
        frame = pbuf_alloc(PBUF_RAW, (u16_t)(total - 6), PBUF_POOL);
        if (frame) {
            /* The first word holds the frame's first two bytes above its size. */
            words_read += midge_word_fifo_read(&MAC_DATA, frame, word >> 16, 2);
        } else {
            LINK_STATS_INC(link.drop);
        }
    }
    /* The rest, the FCS at least, has to be read for the next frame to come up. */
    for (; words_read < (total + 3) / 4; words_read++) {
        (void)MAC_DATA;
    }
    return frame;
}

uint32_t midge_board_ethernet_buffers(void)
{
    return 0;
}

bool midge_board_ethernet_send(const struct pbuf *frame)
{
    uint32_t patience = TX_PATIENCE;

    while ((MAC_TX_REQUEST & 1u) && --patience > 0) {
    }
    if (patience == 0 || frame->tot_len < 14) {
        return false;
    }
    /* Before the frame comes the size of its payload. */
    midge_word_fifo_write(&MAC_DATA, frame, (uint32_t)frame->tot_len - 14u, 2);
    MAC_TX_REQUEST = 1;
    return true;
}
