/* The Stellaris LM3S6965 evaluation board: clock, console, watchdog, entropy. */
#include "board.h"

#include "cortex_m.h"

#define CLOCK_HZ 50000000u

#define SYSCTL_RIS MIDGE_REGISTER(0x400FE050u)
#define SYSCTL_RCC MIDGE_REGISTER(0x400FE060u)
#define SYSCTL_RCGC0 MIDGE_REGISTER(0x400FE100u)
#define SYSCTL_RCGC1 MIDGE_REGISTER(0x400FE104u)
#define SYSCTL_RCGC2 MIDGE_REGISTER(0x400FE108u)
#define RCC_BYPASS (1u << 11)
#define RCC_USESYSDIV (1u << 22)
/* Main oscillator on, its crystal is of 8 MHz, PLL powered; the PLL's 200 MHz divided by SYSDIV + 1 = 4. */
#define RCC_PLL_50MHZ ((3u << 23) | (14u << 6))
#define RCC_POWER_DOWN (1u << 13)
#define RIS_PLL_LOCKED (1u << 6)

#define GPIO_A(offset) MIDGE_REGISTER(0x40004000u + (offset))
#define GPIO_F(offset) MIDGE_REGISTER(0x40025000u + (offset))
#define GPIO_FUNCTION 0x420u
#define GPIO_DIGITAL 0x51Cu

#define UART_DATA MIDGE_REGISTER(0x4000C000u)
#define UART_FLAGS MIDGE_REGISTER(0x4000C018u)
#define UART_DIVISOR MIDGE_REGISTER(0x4000C024u)
#define UART_FRACTION MIDGE_REGISTER(0x4000C028u)
#define UART_LINE MIDGE_REGISTER(0x4000C02Cu)
#define UART_CONTROL MIDGE_REGISTER(0x4000C030u)
#define UART_FLAG_RX_EMPTY (1u << 4)
#define UART_FLAG_TX_FULL (1u << 5)

#define WATCHDOG_LOAD MIDGE_REGISTER(0x40000000u)
#define WATCHDOG_CONTROL MIDGE_REGISTER(0x40000008u)
#define WATCHDOG_CLEAR MIDGE_REGISTER(0x4000000Cu)
#define WATCHDOG_LOCK MIDGE_REGISTER(0x40000C00u)
#define WATCHDOG_UNLOCK 0x1ACCE551u

/* The watchdog counts twice: once to its interrupt, once more to the reset. It is patient, since in the emulator its clock runs
 * on while the host lets the processor wait. */
#define WATCHDOG_PERIOD_MS 32000u

#define ADC_ACTIVE MIDGE_REGISTER(0x40038000u)
#define ADC_START MIDGE_REGISTER(0x40038028u)
#define ADC_CONTROL_3 MIDGE_REGISTER(0x400380A4u)
#define ADC_FIFO_3 MIDGE_REGISTER(0x400380A8u)
#define ADC_STATUS_3 MIDGE_REGISTER(0x400380ACu)
#define ADC_TEMPERATURE_ONCE 0xEu /* temperature sensor, interrupt, end of the sequence */
#define ADC_EMPTY (1u << 8)

const char midge_board_name[] = "lm3s6965evb";

static void start_clock(void)
{
    uint32_t patience = 100000;
    uint32_t rcc = SYSCTL_RCC;

    /* By the data sheet: run from the oscillator, set the PLL up, wait until it has locked, then use it. */
    rcc = (rcc | RCC_BYPASS) & ~RCC_USESYSDIV;
    SYSCTL_RCC = rcc;
    rcc = (rcc & ~((15u << 23) | (15u << 6) | (3u << 4) | RCC_POWER_DOWN | 1u)) | RCC_PLL_50MHZ | RCC_USESYSDIV;
    SYSCTL_RCC = rcc;
    while (!(SYSCTL_RIS & RIS_PLL_LOCKED) && --patience > 0) {
    }
    SYSCTL_RCC = rcc & ~RCC_BYPASS;
}

static void start_devices(void)
{
    SYSCTL_RCGC0 |= (1u << 16) | (1u << 3);                   /* ADC, watchdog */
    SYSCTL_RCGC1 |= 1u;                                       /* UART 0 */
    SYSCTL_RCGC2 |= (1u << 30) | (1u << 28) | (1u << 5) | 1u; /* PHY, MAC, GPIO F, GPIO A */
    (void)SYSCTL_RCGC2;
    (void)SYSCTL_RCGC2;

    GPIO_A(GPIO_FUNCTION) |= 3u; /* PA0, PA1: the UART, which the board's own USB adapter shows as a serial port */
    GPIO_A(GPIO_DIGITAL) |= 3u;
    GPIO_F(GPIO_FUNCTION) |= 0xCu; /* PF2, PF3: the LEDs of the Ethernet socket */
    GPIO_F(GPIO_DIGITAL) |= 0xCu;

    UART_CONTROL = 0;
    UART_DIVISOR = CLOCK_HZ / (16u * 115200u);
    UART_FRACTION = (CLOCK_HZ % (16u * 115200u) * 64u + 8u * 115200u) / (16u * 115200u);
    UART_LINE = 0x70;     /* 8 bits, no parity, 1 stop bit, FIFOs */
    UART_CONTROL = 0x301; /* on, both directions */
}

void midge_board_init(void)
{
    start_clock();
    start_devices();
    midge_cortex_m_tick_start(CLOCK_HZ);
    midge_cortex_m_wake_on(42); /* Ethernet */
}

bool midge_board_console_put(char c)
{
    if (UART_FLAGS & UART_FLAG_TX_FULL) {
        return false;
    }
    UART_DATA = (uint8_t)c;
    return true;
}

int midge_board_console_get(void)
{
    if (UART_FLAGS & UART_FLAG_RX_EMPTY) {
        return -1;
    }
    return (int)(UART_DATA & 0xFFu);
}

/* The lowest bits of the temperature sensor are noise on a real board; the RAM's contents at the start are too. */
uint64_t midge_board_entropy(void)
{
    uint64_t entropy = midge_cortex_m_ram_hash();
    uint32_t i, patience;

    ADC_ACTIVE = 0;
    ADC_CONTROL_3 = ADC_TEMPERATURE_ONCE;
    ADC_ACTIVE = 8;
    for (i = 0; i < 64; i++) {
        ADC_START = 8;
        for (patience = 1000; (ADC_STATUS_3 & ADC_EMPTY) && patience > 0; patience--) {
        }
        entropy = (entropy ^ ADC_FIFO_3 ^ midge_board_entropy_tick()) * 0x100000001B3u;
    }
    ADC_ACTIVE = 0;
    return entropy;
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
