/*
 * Who listens on a port that we were refused.
 */
#ifndef MIDGE_OCCUPANT_H
#define MIDGE_OCCUPANT_H

#include <stddef.h>
#include <stdint.h>

/* Describes the program that listens on the TCP port, as "mosquitto (process 812)"; "another program" where the kernel does not
 * tell: only root may look at the processes of others. */
void midge_occupant(uint16_t port, char *text, size_t size);

#endif
