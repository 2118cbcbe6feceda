/*
 * What a service manager is told: that the program serves, reads its configuration again, ends, and that its loop still turns.
 * The protocol is systemd's, sd_notify(3), which documents it as stable: one datagram to the socket that NOTIFY_SOCKET names.
 * So there is no need for libsystemd, which a small gateway may not have. Without NOTIFY_SOCKET nothing is done.
 */
#ifndef MIDGE_NOTIFY_H
#define MIDGE_NOTIFY_H

#include <stdint.h>

/* Takes the manager's socket, and how often it wants to hear from the loop, from the environment. */
void midge_notify_open(void);

void midge_notify_ready(void);
void midge_notify_reloading(void);
void midge_notify_stopping(void);

/* Tells the watchdog, where it is time, that the loop turns. Returns when to be called again, UINT64_MAX for never. */
uint64_t midge_notify_turn(uint64_t now_ms);

#endif
