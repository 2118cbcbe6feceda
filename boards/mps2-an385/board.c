/* Arm's MPS2 FPGA board with the AN385 image, a Cortex-M3: clock, console, watchdog, entropy. */
#include "board.h"

#include "cortex_m.h"

#define CLOCK_HZ 25000000u

#define UART_DATA MIDGE_REGISTER(0x40004000u)
#define UART_STATE MIDGE_REGISTER(0x40004004u)
#define UART_CONTROL MIDGE_REGISTER(0x40004008u)
#define UART_DIVISOR MIDGE_REGISTER(0x40004010u)
#define UART_TX_FULL 1u
#define UART_RX_FULL 2u

#define WATCHDOG_LOAD MIDGE_REGISTER(0x40008000u)
#define WATCHDOG_CONTROL MIDGE_REGISTER(0x40008008u)
#define WATCHDOG_CLEAR MIDGE_REGISTER(0x4000800Cu)
#define WATCHDOG_LOCK MIDGE_REGISTER(0x40008C00u)
#define WATCHDOG_UNLOCK 0x1ACCE551u

/* The watchdog counts twice: once to its interrupt, the NMI, whose handler says where the program hung and restarts; once more
 * to the reset, should that hang too. It is patient: a step of a handshake takes a second or more, in which nobody feeds it,
 * and in the emulator its clock runs on while the host lets the processor wait. */
#define WATCHDOG_PERIOD_MS 32000u

const char midge_board_name[] = "mps2-an385";

void midge_board_init(void)
{
    UART_DIVISOR = CLOCK_HZ / 115200u;
    UART_CONTROL = 3; /* transmitter and receiver on */
    midge_cortex_m_tick_start(CLOCK_HZ);
    midge_cortex_m_wake_on(13); /* Ethernet */
}

bool midge_board_console_put(char c)
{
    if (UART_STATE & UART_TX_FULL) {
        return false;
    }
    UART_DATA = (uint8_t)c;
    return true;
}

int midge_board_console_get(void)
{
    if (!(UART_STATE & UART_RX_FULL)) {
        return -1;
    }
    return (int)(UART_DATA & 0xFFu);
}

uint64_t midge_board_entropy(void)
{
    return midge_cortex_m_ram_hash() ^ midge_board_entropy_tick();
}

uint32_t midge_board_watchdog_start(void)
{
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_LOAD = CLOCK_HZ / 1000u * (WATCHDOG_PERIOD_MS / 2u);
    WATCHDOG_CONTROL = 3; /* count, and reset at the second expiry */
    WATCHDOG_LOCK = 0;
    return WATCHDOG_PERIOD_MS;
}

/* Clearing reloads the counter. */
void midge_board_watchdog_feed(void)
{
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_CLEAR = 1;
    WATCHDOG_LOCK = 0;
}
