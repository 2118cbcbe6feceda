/* What is left to do when the program went wrong: say where on the console, and start again. */
#include "cortex_m.h"

#include "board.h"

#define SCB_ICSR MIDGE_REGISTER(0xE000ED04u)
#define SCB_CFSR MIDGE_REGISTER(0xE000ED28u)
#define SCB_HFSR MIDGE_REGISTER(0xE000ED2Cu)
#define SCB_BFAR MIDGE_REGISTER(0xE000ED38u)

void midge_cortex_m_fault(void);
void midge_cortex_m_report(const uint32_t *frame, uint32_t lr);

static void put(char c)
{
    /* A transmitter that never gets empty must not keep the board from starting again. */
    uint32_t patience = 1000000;

    while (!midge_board_console_put(c) && --patience > 0) {
    }
}

static void put_register(const char *name, uint32_t value)
{
    uint32_t digit;
    int shift;

    put(' ');
    while (*name != '\0') {
        put(*name++);
    }
    put('=');
    for (shift = 28; shift >= 0; shift -= 4) {
        digit = (value >> shift) & 15u;
        put((char)(digit < 10 ? '0' + digit : 'a' + (digit - 10)));
    }
}

/* The processor has pushed r0-r3, r12, lr, pc and xpsr; a NULL frame could not be pushed. */
void midge_cortex_m_report(const uint32_t *frame, uint32_t lr)
{
    static const char *const names[8] = {"r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr"};
    const char *title = "\r\nfault:";
    uint32_t i;

    while (*title != '\0') {
        put(*title++);
    }
    for (i = 0; frame && i < 8; i++) {
        put_register(names[i], frame[i]);
    }
    put_register("sp", (uint32_t)(uintptr_t)frame);
    put_register("exc_return", lr);
    put_register("exception", SCB_ICSR & 0x1FFu);
    put_register("cfsr", SCB_CFSR);
    put_register("hfsr", SCB_HFSR);
    put_register("bfar", SCB_BFAR);
    put('\r');
    put('\n');
    for (i = 0; i < 200000; i++) {
        __asm volatile("nop"); /* until the last characters have left the transmitter */
    }
    midge_board_restart();
}

/* The report goes on below the frame where there is room, else it starts the stack over and has no frame to show: a stack that
 * overflowed lies outside of the RAM, and pushing there would fault in the fault handler, which locks the processor up. */
__attribute__((naked)) void midge_cortex_m_fault(void)
{
    __asm volatile("mov r1, lr\n"
                   "mrs r0, msp\n"
                   "ldr r2, =midge_stack_end\n"
                   "sub r3, r2, #32\n"
                   "cmp r0, r3\n"
                   "bhi 1f\n"
                   "ldr r3, =midge_stack_start\n"
                   "add r3, r3, #512\n"
                   "cmp r0, r3\n"
                   "bhs 2f\n"
                   "1: msr msp, r2\n"
                   "movs r0, #0\n"
                   "2: b midge_cortex_m_report\n");
}
