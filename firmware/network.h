/* The board's Ethernet under lwIP: frames in and out, the address, lwIP's timers. */
#ifndef MIDGE_NETWORK_H
#define MIDGE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the controller, lwIP and DHCP. The console says when there is an address. mDNS, where the board has it, names the
 * service and its port: "_mqtt", 1883. */
void midge_network_start(const char *service, uint16_t port);

/* Takes the frames that wait, a bounded number, and fires lwIP's timers. Returns true where more of them may
 * wait. */
bool midge_network_turn(void);

/* Is there an address to be reached at? */
bool midge_network_ready(void);

#endif
