/*
 * What a board offers to the firmware: the whole of it. A board implements these functions in its own folder (boards/README.md
 * says how); the processor's part (start, fault handler, sleep) is shared by all boards of one kind, see boards/cortex-m.
 */
#ifndef MIDGE_BOARD_H
#define MIDGE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netif;
struct pbuf;

/* What it is called, for the console. */
extern const char midge_board_name[];

/* Sets the clock, the console, the tick and the entropy source up. Called once, before anything else. */
void midge_board_init(void);

/* ---- Console: polled, so that it works in a fault handler too ---- */

/* Puts one character into the transmitter; false when it is full. */
bool midge_board_console_put(char c);

/* A character that was received, or -1. */
int midge_board_console_get(void);

/* ---- Time ---- */

/* Milliseconds since the start. */
uint64_t midge_board_now_ms(void);

/* ---- Entropy: what it is worth is said in the board's README ---- */

/* Bits that an attacker can guess least, gathered at the start. */
uint64_t midge_board_entropy(void);

/* A counter as fast as the processor: the lowest bits of the moment at which something happened. */
uint32_t midge_board_entropy_tick(void);

/* ---- Ethernet ---- */

/* Writes the board's own address and starts the controller. Returns the bytes of the largest IP packet that it takes. */
uint32_t midge_board_ethernet_init(uint8_t address[6]);

/* Does a received frame wait? */
bool midge_board_ethernet_pending(void);

/* Takes the oldest received frame; NULL when there is none or no buffer is free (the frame is then lost, and counted). */
struct pbuf *midge_board_ethernet_receive(void);

/* How many buffers of lwIP's pool wait in the controller's ring for frames; 0 where the controller has a memory of its own. */
uint32_t midge_board_ethernet_buffers(void);

/* Sends a frame. Returns false when the controller had no room for it. */
bool midge_board_ethernet_send(const struct pbuf *frame);

/* ---- Processor ---- */

/* Sleeps until an interrupt, unless a frame waits. */
void midge_board_sleep(void);

/* Starts the watchdog, where there is one; returns its period, 0 without one. */
uint32_t midge_board_watchdog_start(void);

/* Tells the watchdog that the loop is alive. */
void midge_board_watchdog_feed(void);

/* Starts again from the reset vector. */
_Noreturn void midge_board_restart(void);

/* Why it has started, in words. */
const char *midge_board_start_reason(void);

/* The painted stack: its size, and how much of it was never touched. */
uint32_t midge_board_stack_size(void);
uint32_t midge_board_stack_untouched(void);

#endif
