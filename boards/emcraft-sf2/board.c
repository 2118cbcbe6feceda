/* Emcraft's SmartFusion2 module (M2S010): console, tick, entropy. */
#include "board.h"

#include "cortex_m.h"

/* Set by the FPGA design on the module; the peripheral bus runs at half of it. */
#define CLOCK_HZ 142000000u
#define BUS_HZ (CLOCK_HZ / 2u)

#define SYSREG_SOFT_RESET MIDGE_REGISTER(0x40038048u)
#define SOFT_RESET_MAC (1u << 4)
#define SOFT_RESET_UART_0 (1u << 7)

#define UART_DATA MIDGE_REGISTER(0x40000000u) /* the divisor's low byte while UART_LINE has its top bit set */
#define UART_DIVISOR_HIGH MIDGE_REGISTER(0x40000004u)
#define UART_FIFO MIDGE_REGISTER(0x40000008u)
#define UART_LINE MIDGE_REGISTER(0x4000000Cu)
#define UART_STATUS MIDGE_REGISTER(0x40000014u)
#define LINE_8N1 3u
#define LINE_DIVISOR 0x80u
#define STATUS_RX_READY 1u
#define STATUS_TX_EMPTY (1u << 5)

const char midge_board_name[] = "emcraft-sf2";

void midge_board_init(void)
{
    uint32_t divisor = (BUS_HZ + 8u * 115200u) / (16u * 115200u);

    SYSREG_SOFT_RESET &= ~(SOFT_RESET_MAC | SOFT_RESET_UART_0);
    UART_LINE = LINE_8N1 | LINE_DIVISOR;
    UART_DATA = divisor & 0xFFu;
    UART_DIVISOR_HIGH = divisor >> 8;
    UART_LINE = LINE_8N1;
    UART_FIFO = 7; /* on, and cleared */
    midge_cortex_m_tick_start(CLOCK_HZ);
    midge_cortex_m_wake_on(12); /* Ethernet */
}

bool midge_board_console_put(char c)
{
    if (!(UART_STATUS & STATUS_TX_EMPTY)) {
        return false;
    }
    UART_DATA = (uint8_t)c;
    return true;
}

int midge_board_console_get(void)
{
    if (!(UART_STATUS & STATUS_RX_READY)) {
        return -1;
    }
    return (int)(UART_DATA & 0xFFu);
}

uint64_t midge_board_entropy(void)
{
    return midge_cortex_m_ram_hash() ^ midge_board_entropy_tick();
}

/* The part's watchdog is set up by the FPGA design, not by the program. */
uint32_t midge_board_watchdog_start(void)
{
    return 0;
}

void midge_board_watchdog_feed(void)
{
}
