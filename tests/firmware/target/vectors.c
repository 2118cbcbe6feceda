/* The vectors of a test program on the target. A fault ends the emulator with status 3, so that no test can hang on one. */
#include <stdint.h>

typedef void (*vector)(void);

extern uint32_t target_stack[];
void _start(void);

#define SYS_EXIT_EXTENDED 0x20
#define STOPPED_BY_APPLICATION 0x20026

static void fault(void)
{
    static const uint32_t status[2] = {STOPPED_BY_APPLICATION, 3};
    register uint32_t operation __asm__("r0") = SYS_EXIT_EXTENDED;
    register const uint32_t *argument __asm__("r1") = status;

    __asm volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    (vector)target_stack,
    _start,
    [2 ... 15] = fault,
};
